"""The engine: pictures stream from tables through processes that decode and a model, and vectors into files."""

import os
import re
import threading
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from fit import embeddings as embedders
from fit.embeddings import files, run
from fit.embeddings.base import Embedder, EmbedderSettings, Embedding
from fit.embeddings.files import read_embeddings
from fit.embeddings.run import embed_tables, embed_texts
from fit.errors import FitError, ImageTableError, ModelError
from fit.images import table
from fit.io import parquet
from fit.memory import AdaptiveBatch


class Prepared:
    """A prepared picture that says how many of its kind are held at once."""

    alive = most = 0

    def __init__(self, values):
        self.values = values
        Prepared.alive += 1
        Prepared.most = max(Prepared.most, Prepared.alive)

    def __del__(self):
        Prepared.alive -= 1


def mean_colours(picture, kind, doom=None):
    """The mean of each channel, as a tensor or in an object of its own; a picture of the shade `doom` is the end."""
    means = np.asarray(picture, np.float32).mean((0, 1))
    if doom is not None and round(float(means[0])) == doom:
        os._exit(9)
    return torch.from_numpy(means) if kind == "tensor" else Prepared(means)


class Colours(Embedder):
    """As many vectors as the red of a picture says, modulo 4; memory for `room` pictures at once."""

    def __init__(self, weights):
        self.kind, self.room, self.doom = weights.model, 1000, None
        self.batches = []

    @property
    def prepare(self):
        return partial(mean_colours, kind=self.kind, doom=self.doom)

    def embed(self, prepared):
        assert torch.is_inference_mode_enabled()
        self.batches.append(len(prepared))
        if len(prepared) > self.room:
            raise torch.OutOfMemoryError("too much")
        means = [np.asarray(item.values if self.kind == "object" else item) for item in prepared]
        return [
            [Embedding(np.append(m, k) / np.linalg.norm(np.append(m, k))) for k in range(round(m[0]) % 4)]
            for m in means
        ]


@pytest.fixture
def colours(monkeypatch):
    """Makes `Colours` the embedder "colours", and gives the next one that is loaded."""
    loaded = Colours(EmbedderSettings("tensor"))
    monkeypatch.setattr(embedders, "load", lambda backend, weights: loaded)
    return loaded


def fill(path, reds, row_group=parquet.ROW_GROUP):
    """An image table with a picture per red, and a failure where it is None."""
    rows = [
        {
            "image_id": f"i{i}",
            "bytes": None if red is None else table.encode_png(Image.new("RGB", (5, 4), (red, 40, 90))),
        }
        for i, red in enumerate(reds)
    ]
    schema = pa.schema([("image_id", pa.string()), ("bytes", pa.binary())])
    parquet.write(pa.Table.from_pylist(rows, schema=schema), path, row_group)


def expected(reds):
    """What Colours finds in a table of fill: names, numbers of faces, and vectors."""
    faces = [(f"i{i}", k, np.array([red, 40, 90, k])) for i, red in enumerate(reds) if red for k in range(red % 4)]
    return [(name, k) for name, k, _ in faces], [v / np.linalg.norm(v) for *_, v in faces]


RANDOM = np.random.default_rng(0)
REDS = [
    [int(red) for red in RANDOM.integers(1, 250, 150)],
    [],
    [None, None, None],
    [None if i % 5 == 0 else int(red) for i, red in enumerate(RANDOM.integers(1, 250, 30))],
    [4, 8, 12],  # no face in any of them
    [3],
]


@pytest.mark.parametrize(
    ("decoders", "batch_size", "kind"),
    [(0, 64, "tensor"), (0, 1, "object"), (2, 7, "tensor"), (2, 1000, "object"), (2, 16, "tensor")],
)
def test_rows_come_in_the_order_of_the_tables_whatever_the_batches(colours, tmp_path, decoders, batch_size, kind):
    colours.kind = kind
    for i, reds in enumerate(REDS):
        fill(tmp_path / f"{i}.parquet", reds, row_group=40)
    inputs, outputs = ([tmp_path / f"{kind}{i}.parquet" for i in range(len(REDS))] for kind in ("", "out"))
    embed_tables("colours", EmbedderSettings(kind), inputs, outputs, batch_size, decoders)
    for output, reds in zip(outputs, REDS, strict=True):
        names, vectors = expected(reds)
        found = parquet.read(output)
        assert list(zip(*(found.column(c).to_pylist() for c in ("image_id", "face")), strict=True)) == names
        if names:
            assert found.schema.field("embedding").type == pa.list_(pa.float32(), 4)
            assert read_embeddings(output)[1] == pytest.approx(np.stack(vectors), abs=1e-6)
    pictures = sum(red is not None for reds in REDS for red in reds)
    # Batches are full across the borders of tables, but for the last.
    assert colours.batches == [batch_size] * (pictures // batch_size) + [pictures % batch_size] * (
        pictures % batch_size > 0
    )


def test_large_pictures_make_small_slices(colours, tmp_path, monkeypatch):
    fill(tmp_path / "t.parquet", REDS[0])
    monkeypatch.setattr(run, "SLICE_BYTES", 1)
    dataset = run._Prepared([tmp_path / "t.parquet"], colours.prepare)
    names = [dataset[i][2] for i in range(len(dataset))]
    assert max(map(len, names)) == 1
    assert [name for of_slice in names for name in of_slice] == [f"i{i}" for i in range(150)]


def test_neither_pictures_nor_vectors_gather_in_memory(colours, tmp_path, monkeypatch):
    colours.kind = "object"
    monkeypatch.setattr(run, "ROWS_AT_ONCE", 30)
    fill(tmp_path / "t.parquet", [3] * 600)
    Prepared.most = 0
    embed_tables(
        "colours", EmbedderSettings("object"), [tmp_path / "t.parquet"], [tmp_path / "e.parquet"], 8, decoders=0
    )
    assert Prepared.most <= 8 + 2 * run.SLICE
    groups = pq.ParquetFile(tmp_path / "e.parquet").metadata
    assert groups.num_rows == 1800
    assert max(groups.row_group(i).num_rows for i in range(groups.num_row_groups)) <= 32


@pytest.mark.parametrize("decoders", [0, 2])
def test_bytes_that_are_no_picture_name_their_file_and_image(colours, tmp_path, decoders):
    fill(tmp_path / "good.parquet", [1, 2])
    rows = [
        {"image_id": f"x{i}", "bytes": b"nothing" if i == 70 else table.encode_png(np.ones((2, 2, 3)))}
        for i in range(90)
    ]
    parquet.write(pa.Table.from_pylist(rows), tmp_path / "bad.parquet")
    inputs, outputs = ([tmp_path / f"{kind}{name}.parquet" for name in ("good", "bad")] for kind in ("", "e-"))
    with pytest.raises(ImageTableError, match=r"bad\.parquet, image x70: not a decodable picture") as raised:
        embed_tables("colours", EmbedderSettings("tensor"), inputs, outputs, 4, decoders)
    assert "Traceback" not in str(raised.value)
    # The table before is whole, that one is not there at all.
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.parquet", "e-good.parquet", "good.parquet"]


def test_a_decoder_that_dies_is_an_error_with_a_remedy(colours, tmp_path):
    fill(tmp_path / "t.parquet", [1, 2, 3])
    colours.doom = 2
    with pytest.raises(FitError, match="a process that decodes pictures died"):
        embed_tables(
            "colours", EmbedderSettings("tensor"), [tmp_path / "t.parquet"], [tmp_path / "e.parquet"], 4, decoders=1
        )
    assert not (tmp_path / "e.parquet").exists()


def test_a_file_that_is_no_image_table_is_found_before_anything_is_embedded(colours, tmp_path):
    fill(tmp_path / "t.parquet", [1])
    pq.write_table(pa.table({"image_id": ["a"]}), tmp_path / "u.parquet")
    inputs = [tmp_path / "t.parquet", tmp_path / "u.parquet"]
    with pytest.raises(ImageTableError, match=r"u\.parquet: no column 'bytes'"):
        embed_tables("colours", EmbedderSettings("tensor"), inputs, [tmp_path / "e", tmp_path / "f"], 4, decoders=0)
    assert colours.batches == []


def test_batches_become_smaller_where_memory_runs_out(colours, tmp_path):
    fill(tmp_path / "t.parquet", REDS[0])
    colours.room = 5
    embed_tables(
        "colours", EmbedderSettings("tensor"), [tmp_path / "t.parquet"], [tmp_path / "e.parquet"], 64, decoders=0
    )
    assert read_embeddings(tmp_path / "e.parquet")[1] == pytest.approx(np.stack(expected(REDS[0])[1]), abs=1e-6)
    # Tried once each, then never again more than fits.
    assert colours.batches[:5] == [64, 32, 16, 8, 4]
    assert max(colours.batches[5:]) == 4


def test_halving_keeps_the_order_and_ends_at_one():
    def squares(numbers):
        if len(numbers) > 3:
            raise torch.OutOfMemoryError
        return [number**2 for number in numbers]

    adaptive = AdaptiveBatch(squares, 50)
    assert adaptive(list(range(20))) == [number**2 for number in range(20)]
    assert adaptive.size == 2
    assert adaptive([]) == []

    def nothing(numbers):
        raise torch.OutOfMemoryError

    with pytest.raises(MemoryError):
        AdaptiveBatch(nothing, 8)([1, 2, 3])


def test_one_picture_that_does_not_fit_is_an_error_with_a_remedy(colours, tmp_path):
    fill(tmp_path / "t.parquet", REDS[0])
    colours.room = 0
    with pytest.raises(ModelError, match="one picture is too much for the memory"):
        embed_tables(
            "colours", EmbedderSettings("tensor"), [tmp_path / "t.parquet"], [tmp_path / "e.parquet"], 4, decoders=0
        )


def test_other_errors_do_not_halve():
    def broken(numbers):
        raise RuntimeError("another")

    adaptive = AdaptiveBatch(broken, 8)
    with pytest.raises(RuntimeError, match="another"):
        adaptive([1, 2])
    assert adaptive.size == 8


def test_two_batches_are_under_way_at_once_and_stay_in_order():
    second_has_begun = threading.Event()

    def work(number):
        if number == 0:
            assert second_has_begun.wait(30)
        if number == 1:
            second_has_begun.set()
        return number

    taken = []
    batches = (taken.append(number) or number for number in range(6))
    results = run._in_order(work, batches, threads=2)
    assert next(results) == 0
    assert len(taken) <= 3  # no more are put together than are under way
    assert list(results) == [1, 2, 3, 4, 5]


def test_pictures_are_upright_before_they_are_embedded():
    picture = Image.new("RGB", (40, 20), "white")
    picture.paste("red", (0, 0, 20, 20))
    exif = Image.Exif()
    exif[274] = 6  # to be turned by 90 degrees clockwise
    for broken, size, corner in ((False, (20, 40), (254, 0, 0)), (True, (40, 20), (254, 0, 0))):
        buffer = BytesIO()
        picture.save(buffer, "JPEG", exif=b"Exif\0\0broken" if broken else exif, quality=95)
        decoded = table.decode(buffer.getvalue(), "here")
        assert decoded.size == size
        assert decoded.getpixel((2, 2)) == corner
        assert decoded.getpixel((size[0] - 3, size[1] - 3)) == (255, 255, 255)


class Broken(Colours):
    """Gives the wrong vector of pictures with this red."""

    red, wrong = 7, np.nan

    def embed(self, prepared):
        found = super().embed(prepared)
        for picture, faces in zip(prepared, found, strict=True):
            for face in faces:
                if round(float(np.asarray(picture)[0])) == self.red:
                    face.vector[:] = self.wrong
        return found


@pytest.mark.parametrize(
    ("wrong", "said"), [(np.nan, "not finite"), (np.inf, "not finite"), (0.0, "has length 0"), (1e30, "has length 2e")]
)
def test_a_vector_that_is_no_unit_vector_is_not_written(monkeypatch, tmp_path, wrong, said):
    broken = Broken(EmbedderSettings("tensor"))
    broken.wrong = wrong
    monkeypatch.setattr(embedders, "load", lambda backend, weights: broken)
    fill(tmp_path / "ann.parquet", [5, 6, 7, 9])
    with pytest.raises(ModelError, match=rf"ann.parquet, image i2: .*embedder colours \(weights.onnx\).*{said}.*dtype"):
        embed_tables(
            "colours", EmbedderSettings("weights.onnx"), [tmp_path / "ann.parquet"], [tmp_path / "out.parquet"], 3, 0
        )
    assert not (tmp_path / "out.parquet").exists()


def test_a_text_without_a_unit_vector_is_not_written(monkeypatch, tmp_path):
    broken = Colours(EmbedderSettings("tensor"))
    broken.embed_texts = lambda texts: np.array([[1, 0], [np.nan, 0]], np.float32)
    monkeypatch.setattr(embedders, "load", lambda backend, weights: broken)
    with pytest.raises(ModelError, match=r"text 'an artwork': .*colours.*not finite"):
        embed_texts("colours", EmbedderSettings("w"), ["a photograph", "an artwork"], tmp_path / "texts.parquet")
    assert not (tmp_path / "texts.parquet").exists()


@pytest.mark.parametrize(
    ("vector", "said"),
    [
        ([np.nan, 0], "is not finite"),
        ([np.inf, 0], "is not finite"),
        ([1, None], "is not finite"),
        ([0, 0], "has length 0, not 1"),
        ([3, 4], "has length 5, not 1"),
        (None, "is missing"),
    ],
)
@pytest.mark.parametrize("kind", [pa.float32(), pa.float64()])
def test_a_vector_that_is_no_unit_vector_is_not_read(tmp_path, vector, said, kind):
    path = tmp_path / "ann.parquet"
    columns = {"image_id": ["a", "b"], "embedding": pa.array([[0.6, 0.8], vector], pa.list_(kind, 2))}
    parquet.write(pa.table(columns), path)
    for read in (read_embeddings, files.read_single_faces, lambda path: files.read_rows(path, np.array([True, False]))):
        with pytest.raises(ImageTableError, match=f"ann.parquet: the vector of image 'b' {said}.*; remove the file"):
            read(path)


def test_vectors_in_half_precision_are_unit_vectors(tmp_path):
    vectors = np.random.default_rng(0).normal(size=(500, 512))
    halves = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)
    kind = pa.FixedSizeListArray.from_arrays(pa.array(halves.ravel()), 512)
    parquet.write(pa.table({"image_id": [f"i{i}" for i in range(500)], "embedding": kind}), tmp_path / "e.parquet")
    found = read_embeddings(tmp_path / "e.parquet")[1]
    assert found.dtype == np.float32
    assert np.array_equal(found, halves.astype(np.float32))


def test_only_one_module_reads_embeddings():
    source = Path(files.__file__).parents[1]
    by_name = re.compile(r"""['"]embedding['"]""")
    others = [path.name for path in source.rglob("*.py") if by_name.search(path.read_text(encoding="utf-8"))]
    assert sorted(others) == ["files.py", "run.py"]  # run.py asks a schema that it wrote for the length
