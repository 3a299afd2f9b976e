import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from fit.captions.count import Columns
from fit.errors import ConfigError, DataError, ImageTableError
from fit.images import table
from fit.images.collect import collect
from fit.images.references import candidates_from_folder, candidates_from_table, most_similar_subset, select
from fit.paths import whole


def png(shade, side=8):
    return table.encode_png(np.full((side, side, 3), shade, np.float32))


@pytest.fixture
def crawl(tmp_path):
    noisy = table.encode_png(np.random.default_rng(0).random((16, 16, 3)))
    images = [png(0.1), None, noisy[: len(noisy) // 2], b"<html>", png(0.3)]
    pq.write_table(pa.table({"image": pa.array(images, pa.binary())}), tmp_path / "s.parquet")
    rows = [("a", 4), ("a", 1), ("b", 0), ("b", 2), ("b", 3)]
    hits = [{"concept": c, "shard": "s.parquet", "row": r, "url": f"u{r}", "caption": ""} for c, r in rows]
    pq.write_table(pa.Table.from_pylist(hits, schema=Columns().schema), tmp_path / "hits.parquet")
    return tmp_path


def test_every_hit_becomes_an_image_or_a_reason(crawl):
    tables = dict(collect("embedded", crawl / "hits.parquet", [crawl / "s.parquet"], ["a", "b", "c"]))
    assert tables["a"].column("status").to_pylist() == ["ok", "gone"]
    assert tables["a"].column("image_id").to_pylist() == ["s-4", "s-1"]
    assert tables["a"].column("bytes").to_pylist() == [png(0.3), None]
    assert tables["b"].column("width").to_pylist() == [8, 16, None]
    assert tables["b"].column("status").to_pylist() == ["ok", "truncated", "not_an_image"]
    assert len(tables["c"]) == 0
    assert tables["c"].schema == table.COLLECTED


def test_an_unknown_source_and_a_missing_shard(crawl):
    with pytest.raises(ConfigError, match="did you mean 'embedded'"):
        list(collect("embeded", crawl / "hits.parquet", [crawl / "s.parquet"], ["a"]))
    with pytest.raises(DataError, match=r"s\.parquet.*count the captions anew"):
        list(collect("embedded", crawl / "hits.parquet", [], ["a"]))


def test_an_image_table_streams_decoded_pictures(tmp_path):
    rows = [{"image_id": str(i), "bytes": png(i / 200) if i % 3 else None} for i in range(150)]
    table.write(pa.Table.from_pylist(rows), tmp_path / "t.parquet")
    batches = list(table.stream(tmp_path / "t.parquet", 40))
    assert [name for names, _ in batches for name in names] == [str(i) for i in range(150) if i % 3]
    assert all(picture.mode == "RGB" for _, pictures in batches for picture in pictures)
    assert pq.ParquetFile(tmp_path / "t.parquet").metadata.num_row_groups == 3
    assert table.unpack(tmp_path / "t.parquet", tmp_path / "out") == 100


def test_a_picture_that_does_not_decode_names_its_file(tmp_path):
    table.write(pa.table({"image_id": ["x"], "bytes": [b"nothing"]}), tmp_path / "t.parquet")
    with pytest.raises(ImageTableError, match=r"t\.parquet, image x"):
        list(table.stream(tmp_path / "t.parquet"))
    with pytest.raises(ImageTableError, match="no column 'status'"):
        table.read(tmp_path / "t.parquet", ["status"])
    with pytest.raises(ImageTableError, match="no such file"):
        table.read(tmp_path / "none.parquet")


def test_nothing_half_written_stays(tmp_path):
    with pytest.raises(RuntimeError), whole(tmp_path / "x.txt") as part:
        part.write_text("half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    with whole(tmp_path / "folder") as part:
        part.mkdir()
        (part / "a").write_text("1")
    with whole(tmp_path / "folder") as part:
        part.mkdir()
        (part / "b").write_text("2")
    assert [p.name for p in (tmp_path / "folder").iterdir()] == ["b"]
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


def test_the_least_similar_references_are_dropped():
    rng = np.random.default_rng(0)
    alike = rng.normal(size=8) + 0.1 * rng.normal(size=(12, 8))
    vectors = np.concatenate([alike, rng.normal(size=(3, 8))])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assert most_similar_subset(vectors, 12).tolist() == [True] * 12 + [False] * 3
    assert most_similar_subset(vectors[:5], 12).all()


def test_references_without_an_embedding_are_not_kept():
    candidates = pa.table({"image_id": ["a", "b", "c"], "bytes": [png(0), png(0), png(0)]})
    vectors = np.eye(3, dtype=np.float32)[[0, 0]]
    assert select(candidates, ["a", "c"], vectors, 5).column("kept").to_pylist() == [True, False, True]


def test_candidates_come_from_a_table_or_a_folder(tmp_path):
    pq.write_table(
        pa.table({"concept": ["a", "b", "a"], "bytes": [png(0.1), png(0.2), png(0.3)]}), tmp_path / "r.parquet"
    )
    found = dict(candidates_from_table(tmp_path / "r.parquet", ["a", "b"]))
    assert found["a"].column("bytes").to_pylist() == [png(0.1), png(0.3)]
    with pytest.raises(DataError, match="no reference image of 'c'"):
        list(candidates_from_table(tmp_path / "r.parquet", ["c"]))
    (tmp_path / "a").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "a" / "one.jpg")
    assert dict(candidates_from_folder(tmp_path, ["a"]))["a"].column("image_id").to_pylist() == ["one"]
    (tmp_path / "a" / "notes.txt").write_text("hello")
    with pytest.raises(ImageTableError, match="notes"):
        list(candidates_from_folder(tmp_path, ["a"]))
