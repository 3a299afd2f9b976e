"""The image table: read in parts, shown, unpacked."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fit.cli.main import main
from fit.errors import ImageTableError
from fit.images import table
from fit.io import parquet
from fit.io.files import MARK, atomic_write


def png(shade, side=8):
    return table.encode_png(np.full((side, side, 3), shade, np.float32))


def test_an_image_table_streams_decoded_pictures(tmp_path):
    rows = [{"image_id": str(i), "bytes": png(i / 200) if i % 3 else None} for i in range(150)]
    parquet.write(pa.Table.from_pylist(rows), tmp_path / "t.parquet")
    batches = list(table.stream(tmp_path / "t.parquet", 40))
    assert [name for names, _ in batches for name in names] == [str(i) for i in range(150) if i % 3]
    assert all(picture.mode == "RGB" for _, pictures in batches for picture in pictures)
    assert pq.ParquetFile(tmp_path / "t.parquet").metadata.num_row_groups == 3
    assert table.unpack(tmp_path / "t.parquet", tmp_path / "out") == 100


def test_a_picture_that_does_not_decode_names_its_file(tmp_path):
    parquet.write(pa.table({"image_id": ["x"], "bytes": [b"nothing"]}), tmp_path / "t.parquet")
    with pytest.raises(ImageTableError, match=r"t\.parquet, image x"):
        list(table.stream(tmp_path / "t.parquet"))
    with pytest.raises(ImageTableError, match="no column 'status'"):
        parquet.read(tmp_path / "t.parquet", ["status"])
    with pytest.raises(ImageTableError, match="no such file"):
        parquet.read(tmp_path / "none.parquet")


def test_nothing_half_written_stays(tmp_path):
    with pytest.raises(RuntimeError), atomic_write(tmp_path / "x.txt") as part:
        part.write_text("half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    with atomic_write(tmp_path / "folder") as part:
        part.mkdir()
        (part / "a").write_text("1")
    with atomic_write(tmp_path / "folder") as part:
        part.mkdir()
        (part / "b").write_text("2")
    assert [p.name for p in (tmp_path / "folder").iterdir() if p.name != MARK] == ["b"]
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


def test_a_sheet_of_pictures_decodes_no_others_and_no_rejected_ones(tmp_path, monkeypatch):
    decoded = []
    decode = table.decode
    monkeypatch.setattr(table, "decode", lambda data, where: decoded.append(where) or decode(data, where))
    made = {"image_id": list("abcdefg"), "status": ["ok", "nan", *["ok"] * 5]}
    made["bytes"] = [None if status != "ok" else png(i / 8) for i, status in enumerate(made["status"])]
    parquet.write(pa.table(made), tmp_path / "made.parquet", row_group=2)
    assert table.rows_to_show(tmp_path / "made.parquet").tolist() == [0, 2, 3, 4, 5, 6]
    found = table.pictures_at(tmp_path / "made.parquet", [1, 3, 6])
    assert {row: picture and picture.getpixel((0, 0))[0] for row, picture in found.items()} == {1: None, 3: 96, 6: 191}
    assert [where[-1] for where in decoded] == ["d", "g"]
    references = {
        "image_id": ["a", "b"],
        "kept": [False, True],
        "decision": ["vetoed", "kept"],
        "bytes": [png(0.1)] * 2,
    }
    parquet.write(pa.table(references), tmp_path / "references.parquet")
    assert table.rows_to_show(tmp_path / "references.parquet").tolist() == [1]


def test_row_groups_end_before_their_pictures_are_too_many_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "GROUP_BYTES", 1000)
    sizes = [400, 400, 400, 5000, 10, 10]
    rows = {"image_id": [str(i) for i in range(6)], "bytes": [bytes(size) for size in sizes]}
    parquet.write(pa.table(rows), tmp_path / "a.parquet")
    file = pq.ParquetFile(tmp_path / "a.parquet")
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [2, 1, 1, 2]
    assert file.read().to_pydict() == rows
    parquet.write(pa.table(rows), tmp_path / "b.parquet", row_group=1)
    assert pq.ParquetFile(tmp_path / "b.parquet").num_row_groups == 6


@pytest.fixture
def several(tmp_path):
    """An image table of two concepts that have an id in common."""
    rows = [("ann", "x", 0.1), ("ann", "y", 0.3), ("bo", "x", 0.6)]
    made = [{"concept": c, "image_id": i, "status": "ok", "bytes": png(shade)} for c, i, shade in rows]
    path = tmp_path / "several.parquet"
    with pq.ParquetWriter(path, pa.Table.from_pylist(made).schema) as writer:
        writer.write_table(pa.Table.from_pylist(made[:2]))
        writer.write_table(pa.Table.from_pylist(made[2:]))
    return path


def test_the_pictures_of_one_concept_are_shown(several, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert table.rows_to_show(several, "bo").tolist() == [2]
    assert table.rows_to_show(several).tolist() == [0, 1, 2]
    assert [names for names, _ in table.stream(several, concept="bo")] == [["x"]]
    assert main(["images", "show", str(several), "--concept", "ann", "--columns", "2"]) == 0
    assert "2 pictures in ann.png" in capsys.readouterr().out
    assert main(["images", "show", str(several), "--concept", "an"]) == 1
    assert "no row is of the concept 'an'; did you mean 'ann'?" in capsys.readouterr().err


def test_pictures_of_several_concepts_are_unpacked_into_a_folder_each(several, tmp_path):
    assert table.unpack(several, tmp_path / "all") == 3
    files = sorted(path.relative_to(tmp_path / "all").as_posix() for path in (tmp_path / "all").rglob("*.png"))
    assert files == ["ann/x.png", "ann/y.png", "bo/x.png"]
    assert table.unpack(several, tmp_path / "one", "bo") == 1
    assert [path.name for path in (tmp_path / "one").glob("*.png")] == ["x.png"]
