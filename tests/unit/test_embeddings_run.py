"""The engine: pictures stream from tables through processes that decode and a model, and vectors into files."""

import os
import threading
from functools import partial
from io import BytesIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from fit import embeddings as embedders
from fit.embeddings import files, run
from fit.embeddings.base import Embedder, Embedding
from fit.embeddings.files import read_embeddings
from fit.embeddings.run import embed_table, embed_texts
from fit.embeddings.settings import EmbedderSettings, FaceSettings
from fit.errors import FitError, ImageTableError, ModelError
from fit.images import table
from fit.io import parquet
from fit.io.concept_tables import concepts_in, write_concepts
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

    def __init__(self, kind="tensor"):
        self.kind, self.room, self.doom = kind, 1000, None
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
    loaded = Colours()
    monkeypatch.setattr(embedders, "load", lambda *_: loaded)
    return loaded


def embed(images, out, batch_size=4, decoders=0, model="weights.onnx"):
    tables = images if isinstance(images, list) else [images]
    embed_table("colours", EmbedderSettings(model=model), FaceSettings(), tables, out, batch_size, decoders)


def rows_of(reds, concept=None):
    """Rows of an image table: a picture per red, and a failure where it is None."""
    pictures = [None if red is None else table.encode_png(Image.new("RGB", (5, 4), (red, 40, 90))) for red in reds]
    return [{"concept": concept, "image_id": f"i{i}", "bytes": data} for i, data in enumerate(pictures)]


def fill(path, reds, row_group=parquet.ROW_GROUP):
    """An image table of nobody's concept."""
    schema = pa.schema([("image_id", pa.string()), ("bytes", pa.binary())])
    parquet.write(pa.Table.from_pylist(rows_of(reds), schema=schema), path, row_group)


def fill_concepts(path, reds, row_group=parquet.ROW_GROUP):
    """An image table of several concepts: concept -> reds."""
    schema = pa.schema([("concept", pa.string()), ("image_id", pa.string()), ("bytes", pa.binary())])
    columns = pa.schema([field for field in schema if field.name != "concept"])
    tables = [(concept, pa.Table.from_pylist(rows_of(some), schema=columns)) for concept, some in reds.items()]
    write_concepts(tables, path, schema, row_group)


def expected(reds):
    """What Colours finds in a table of fill: names, numbers of faces, and vectors."""
    faces = [(f"i{i}", k, np.array([red, 40, 90, k])) for i, red in enumerate(reds) if red for k in range(red % 4)]
    return [(name, k) for name, k, _ in faces], [v / np.linalg.norm(v) for *_, v in faces]


RANDOM = np.random.default_rng(0)
REDS = {
    "ann": [int(red) for red in RANDOM.integers(1, 250, 150)],
    "bob": [],
    "cy": [None, None, None],
    "dot": [None if i % 5 == 0 else int(red) for i, red in enumerate(RANDOM.integers(1, 250, 30))],
    "ed": [4, 8, 12],  # no face in any of them
    "flo": [3],
}


def names_in(path, concept=None):
    """(image_id, face) of the rows of a file of embeddings."""
    found = parquet.read(path, only=None if concept is None else {"concept": [concept]})
    return list(zip(*(found.column(c).to_pylist() for c in ("image_id", "face")), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("decoders", "batch_size", "kind"),
    [(0, 64, "tensor"), (0, 1, "object"), (2, 7, "tensor"), (2, 1000, "object"), (2, 16, "tensor")],
)
def test_rows_come_in_the_order_of_the_table_for_any_batch_size(colours, tmp_path, decoders, batch_size, kind):
    colours.kind = kind
    fill_concepts(tmp_path / "t.parquet", REDS, row_group=40)
    out = tmp_path / "e.parquet"
    embed(tmp_path / "t.parquet", out, batch_size, decoders)
    assert concepts_in(out) == list(REDS)
    assert pq.read_schema(out).field("embedding").type == pa.list_(pa.float32(), 4)
    found = files.read_embeddings_by_concept(out)
    assert list(found) == list(REDS)
    for concept, reds in REDS.items():
        names, vectors = expected(reds)
        assert names_in(out, concept) == names
        if names:
            assert found[concept][1] == pytest.approx(np.stack(vectors), abs=1e-6)
    in_order = list(dict.fromkeys(parquet.read(out, ["concept"]).column("concept").to_pylist()))
    assert in_order == [concept for concept in REDS if expected(REDS[concept])[0]]
    pictures = sum(red is not None for reds in REDS.values() for red in reds)
    # Batches are full across the borders of concepts, except for the last.
    assert colours.batches == [batch_size] * (pictures // batch_size) + [pictures % batch_size] * (
        pictures % batch_size > 0
    )


@pytest.mark.parametrize("decoders", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_several_tables_give_what_one_of_all_their_rows_gives(colours, tmp_path, decoders):
    fill_concepts(tmp_path / "all.parquet", REDS, row_group=40)
    embed(tmp_path / "all.parquet", tmp_path / "one.parquet", 7)
    batches, colours.batches = colours.batches, []
    concepts = list(REDS)
    parts = [tmp_path / f"part_{i}.parquet" for i in range(3)]
    for i, part in enumerate(parts):
        fill_concepts(part, {concept: REDS[concept] for concept in concepts[2 * i : 2 * i + 2]}, row_group=50)
    embed(parts, tmp_path / "several.parquet", 7, decoders)
    one, several = (parquet.read(tmp_path / f"{name}.parquet") for name in ("one", "several"))
    assert several.equals(one)
    assert concepts_in(tmp_path / "several.parquet") == concepts
    assert colours.batches == batches  # full across the borders of tables too


def test_a_table_without_concepts_among_others_gives_embeddings_without_metadata(colours, tmp_path):
    fill_concepts(tmp_path / "a.parquet", {"flo": [3]})
    fill(tmp_path / "b.parquet", [2, 1])
    embed([tmp_path / "a.parquet", tmp_path / "b.parquet"], tmp_path / "e.parquet")
    assert parquet.read(tmp_path / "e.parquet")["concept"].to_pylist() == ["flo"] * 3 + [None] * 3
    assert b"concepts" not in (pq.read_schema(tmp_path / "e.parquet").metadata or {})


def test_a_row_group_of_embeddings_is_of_one_concept(colours, tmp_path):
    fill_concepts(tmp_path / "t.parquet", REDS)
    embed(tmp_path / "t.parquet", tmp_path / "e.parquet")
    file = pq.ParquetFile(tmp_path / "e.parquet")
    groups = [file.read_row_group(i, ["concept"]).column("concept").to_pylist() for i in range(file.num_row_groups)]
    assert [set(group) for group in groups] == [{"ann"}, {"dot"}, {"flo"}]


def test_a_table_without_concepts_gives_embeddings_without_them(colours, tmp_path):
    fill(tmp_path / "t.parquet", REDS["dot"])
    embed(tmp_path / "t.parquet", tmp_path / "e.parquet")
    names, vectors = expected(REDS["dot"])
    assert names_in(tmp_path / "e.parquet") == names
    assert parquet.read(tmp_path / "e.parquet").column("concept").null_count == len(names)
    assert b"concepts" not in (pq.read_schema(tmp_path / "e.parquet").metadata or {})
    assert files.read_embeddings(tmp_path / "e.parquet")[1] == pytest.approx(np.stack(vectors), abs=1e-6)


def test_concepts_that_are_mixed_in_a_row_group_stay_in_their_order(colours, tmp_path):
    rows = [row | {"concept": concept} for row in rows_of([1, 2, 3]) for concept in ("b", "a")]
    parquet.write(pa.Table.from_pylist(rows), tmp_path / "t.parquet")
    embed(tmp_path / "t.parquet", tmp_path / "e.parquet")
    found = parquet.read(tmp_path / "e.parquet", ["concept", "image_id"]).to_pylist()
    assert [tuple(row.values()) for row in found] == [
        *([("b", "i0"), ("a", "i0")] + [("b", "i1")] * 2 + [("a", "i1")] * 2 + [("b", "i2")] * 3 + [("a", "i2")] * 3)
    ]
    assert files.read_embeddings(tmp_path / "e.parquet", "a")[0].tolist() == ["i0", "i1", "i1", "i2", "i2", "i2"]


def test_a_table_without_any_face_is_a_file_without_rows(colours, tmp_path):
    fill_concepts(tmp_path / "t.parquet", {"ed": [4, 8], "cy": [None]})
    embed(tmp_path / "t.parquet", tmp_path / "e.parquet")
    assert files.read_embeddings(tmp_path / "e.parquet")[1].shape == (0, 0)
    assert concepts_in(tmp_path / "e.parquet") == ["ed", "cy"]


def test_large_pictures_make_small_slices(colours, tmp_path, monkeypatch):
    fill(tmp_path / "t.parquet", REDS["ann"])
    monkeypatch.setattr(run, "SLICE_BYTES", 1)
    dataset = run._Prepared([tmp_path / "t.parquet"], colours.prepare)
    names = [[name for _, name in dataset[i][1]] for i in range(len(dataset))]
    assert max(map(len, names)) == 1
    assert [name for of_slice in names for name in of_slice] == [f"i{i}" for i in range(150)]


def test_neither_pictures_nor_vectors_gather_in_memory(colours, tmp_path, monkeypatch):
    colours.kind = "object"
    monkeypatch.setattr(run, "ROWS_AT_ONCE", 30)
    fill(tmp_path / "t.parquet", [3] * 600)
    Prepared.most = 0
    embed(tmp_path / "t.parquet", tmp_path / "e.parquet", 8)
    assert Prepared.most <= 8 + 2 * run.SLICE
    groups = pq.ParquetFile(tmp_path / "e.parquet").metadata
    assert groups.num_rows == 1800
    assert max(groups.row_group(i).num_rows for i in range(groups.num_row_groups)) <= 32


@pytest.mark.parametrize("decoders", [0, 2])
def test_bytes_that_are_not_a_picture_name_their_file_and_image(colours, tmp_path, decoders):
    rows = [
        {"image_id": f"x{i}", "bytes": b"nothing" if i == 70 else table.encode_png(np.ones((2, 2, 3)))}
        for i in range(90)
    ]
    parquet.write(pa.Table.from_pylist(rows), tmp_path / "bad.parquet")
    with pytest.raises(ImageTableError, match=r"bad\.parquet, image x70: not a decodable picture") as raised:
        embed(tmp_path / "bad.parquet", tmp_path / "e-bad.parquet", 4, decoders)
    assert "Traceback" not in str(raised.value)
    assert [path.name for path in tmp_path.iterdir()] == ["bad.parquet"]


def test_a_decoder_that_dies_is_an_error_with_a_remedy(colours, tmp_path):
    fill(tmp_path / "t.parquet", [1, 2, 3])
    colours.doom = 2
    with pytest.raises(FitError, match="a process that decodes pictures died"):
        embed(tmp_path / "t.parquet", tmp_path / "e.parquet", decoders=1)
    assert not (tmp_path / "e.parquet").exists()


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"image_id": ["a"]}, "no column 'bytes'"),
        ({"image_id": ["a"], "bytes": [b""], "concept": [1]}, "column 'concept' holds whole numbers"),
    ],
)
def test_a_file_that_is_not_an_image_table_is_named(colours, tmp_path, columns, said):
    pq.write_table(pa.table(columns), tmp_path / "u.parquet")
    with pytest.raises(ImageTableError, match=rf"u\.parquet: {said}"):
        embed(tmp_path / "u.parquet", tmp_path / "e.parquet")
    assert colours.batches == []


def test_batches_become_smaller_where_memory_runs_out(colours, tmp_path):
    fill(tmp_path / "t.parquet", REDS["ann"])
    colours.room = 5
    embed(tmp_path / "t.parquet", tmp_path / "e.parquet", 64)
    assert read_embeddings(tmp_path / "e.parquet")[1] == pytest.approx(np.stack(expected(REDS["ann"])[1]), abs=1e-6)
    # Tried once each, then never again more than fits.
    assert colours.batches[:5] == [64, 32, 16, 8, 4]
    assert max(colours.batches[5:]) == 4


def test_smaller_batches_keep_the_order_and_end_at_one():
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
    fill(tmp_path / "t.parquet", REDS["ann"])
    colours.room = 0
    with pytest.raises(ModelError, match="one picture is too much for the memory"):
        embed(tmp_path / "t.parquet", tmp_path / "e.parquet")


def test_other_errors_do_not_make_batches_smaller():
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
def test_a_vector_that_is_not_a_unit_vector_is_not_written(monkeypatch, tmp_path, wrong, said):
    broken = Broken()
    broken.wrong = wrong
    monkeypatch.setattr(embedders, "load", lambda *_: broken)
    fill(tmp_path / "ann.parquet", [5, 6, 7, 9])
    with pytest.raises(ModelError, match=rf"ann.parquet, image i2: .*embedder colours \(weights.onnx\).*{said}.*dtype"):
        embed(tmp_path / "ann.parquet", tmp_path / "out.parquet", 3)
    assert not (tmp_path / "out.parquet").exists()


def test_a_text_without_a_unit_vector_is_not_written(monkeypatch, tmp_path):
    broken = Colours()
    broken.embed_texts = lambda texts: np.array([[1, 0], [np.nan, 0]], np.float32)
    monkeypatch.setattr(embedders, "load", lambda *_: broken)
    with pytest.raises(ModelError, match=r"text 'an artwork': .*colours.*not finite"):
        embed_texts(
            "colours",
            EmbedderSettings(model="w"),
            FaceSettings(),
            ["a photograph", "an artwork"],
            tmp_path / "texts.parquet",
        )
    assert not (tmp_path / "texts.parquet").exists()


def test_an_embedder_that_does_not_answer_for_each_picture_or_text_is_named(colours, tmp_path, monkeypatch):
    fill(tmp_path / "images.parquet", [10, 20, 30])
    monkeypatch.setattr(colours, "embed", lambda prepared: [])
    monkeypatch.setattr(colours, "embed_texts", lambda texts: np.eye(3, dtype=np.float32))
    with pytest.raises(ModelError, match=r"returned 0 results for \d pictures"):
        embed(tmp_path / "images.parquet", tmp_path / "out.parquet")
    with pytest.raises(ModelError, match="returned 3 results for 2 texts"):
        embed_texts("colours", EmbedderSettings(model="m"), FaceSettings(), ["a", "b"], tmp_path / "texts.parquet")


@pytest.mark.parametrize("found", [[], [1], [1, 2, 3]])
def test_a_function_that_does_not_answer_for_each_item_is_an_error(found):
    with pytest.raises(ValueError, match=f"{len(found)} results for 2 items"):
        AdaptiveBatch(lambda items: found)([1, 2])
