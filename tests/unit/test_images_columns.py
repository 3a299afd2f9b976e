"""Columns of tables of pictures that a user gives: their names, types and layouts."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from places import fails, png

from fit.cli.main import main
from fit.io import parquet

HF = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def references(folder, columns):
    names, arrays = [name for name, _ in columns], [array for _, array in columns]
    pq.write_table(pa.Table.from_arrays(arrays, names=names), folder / "refs.parquet")
    (folder / "s.tsv").write_text("concept\tname\nann\tAnn\n")
    command = ["references", "collect", "--source", "table", "--place", folder / "refs.parquet", "--concepts", "ann"]
    return [*command, "--sheet", folder / "s.tsv", "--out", folder / "out/ann.parquet"]


CONCEPT = ("concept", pa.array(["ann", "bo"]))


@pytest.mark.slow
@pytest.mark.parametrize(
    "pictures",
    [
        pa.array([png(0), None]),
        pa.array([png(0), None], pa.large_binary()),
        pa.array([{"bytes": png(0), "path": None}, None], HF),
        pa.array([{"bytes": png(0), "path": "a.png"}, {"bytes": png(1), "path": "b.png"}], HF),
    ],
    ids=["bytes", "large", "struct", "struct with paths"],
)
@pytest.mark.parametrize("column", ["bytes", "image", "picture"])
def test_pictures_of_a_table_are_read_as_hugging_face_writes_them_too(tmp_path, pictures, column):
    assert main(list(map(str, references(tmp_path, [CONCEPT, (column, pictures)])))) == 0
    assert parquet.read(tmp_path / "out/ann.parquet").column("bytes").to_pylist() == [png(0)]


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ([CONCEPT, ("bytes", pa.array(["aGVsbG8=", "eA=="]))], "column 'bytes' holds text, not pictures; decode it"),
        ([CONCEPT, ("image", pa.array([[1], [2]]))], "column 'image' holds list<"),
        ([CONCEPT, ("image", pa.array([{"path": "a"}, {"path": "b"}]))], "column 'image' holds struct<"),
        (
            [CONCEPT, ("image", pa.array([{"bytes": None, "path": "pics/a.png"}, {"bytes": png(0), "path": "b"}], HF))],
            "1 picture has only a path in column 'image', and no bytes (the first: 'pics/a.png' of ann)",
        ),
        ([("concept", pa.array([1, 2])), ("bytes", pa.array([png(0)] * 2))], "column 'concept' holds whole numbers"),
        ([CONCEPT, CONCEPT, ("bytes", pa.array([png(0)] * 2))], "2 columns are called 'concept'"),
        ([CONCEPT, *[("bytes", pa.array([png(0)] * 2))] * 2], "2 columns are called 'bytes'"),
        ([CONCEPT, ("pixels", pa.array([png(0)] * 2))], "no column of pictures, bytes or image or picture; it has"),
        ([("slug", pa.array(["ann", "bo"])), ("bytes", pa.array([png(0)] * 2))], "no column 'concept'"),
    ],
)
def test_columns_are_checked_by_type_and_named(tmp_path, capsys, columns, said):
    found = fails(capsys, *references(tmp_path, columns))
    *remarks, error = found.splitlines()
    assert said in error and "refs.parquet" in error
    assert all("1 row of what is not a concept of the sheet" in remark for remark in remarks)
    assert not (tmp_path / "out/ann.parquet").exists()


def test_a_damaged_table_is_named_without_a_traceback(tmp_path, capsys):
    command = references(tmp_path, [CONCEPT, ("bytes", pa.array([png(i / 9) * 50 for i in range(2)]))])
    data = bytearray((tmp_path / "refs.parquet").read_bytes())
    data[4:400] = bytes(396)
    (tmp_path / "refs.parquet").write_bytes(data)
    assert "refs.parquet: damaged" in fails(capsys, *command)


@pytest.mark.slow
@pytest.mark.parametrize("of_type", [pa.binary(), HF], ids=["bytes", "struct"])
def test_pictures_of_a_corpus_are_read_from_either_layout(tmp_path, capsys, of_type):
    pictures = [png(0), None, png(1)]
    if of_type == HF:
        pictures = [{"bytes": png(0), "path": None}, {"bytes": None, "path": "x.png"}, {"bytes": png(1), "path": "y"}]
    columns = {"caption": ["by Ann"] * 3, "url": list("abc"), "image": pa.array(pictures, of_type)}
    pq.write_table(pa.table(columns), tmp_path / "c.parquet")
    (tmp_path / "s.tsv").write_text("concept\tname\nann\tAnn\n")
    command = ["captions", "count", "--concepts", tmp_path / "s.tsv", "--captions", tmp_path / "c.parquet"]
    assert main(list(map(str, [*command, "--counts", tmp_path / "n.parquet"]))) == 0
    command = [
        "images",
        "collect",
        "--source",
        "embedded",
        "--matched-captions",
        tmp_path / "n.matched_captions.parquet",
        "--concepts",
        "ann",
        "--corpus",
    ]
    assert main(list(map(str, [*command, tmp_path / "c.parquet", "--out", tmp_path / "out/ann.parquet"]))) == 0
    rows = parquet.read(tmp_path / "out/ann.parquet").to_pylist()
    assert [row["status"] for row in rows] == ["ok", "path_only" if of_type == HF else "gone", "ok"]
    assert ("1 picture has only a path in column 'image'" in capsys.readouterr().err) == (of_type == HF)


@pytest.mark.slow
def test_a_table_of_photographs_needs_no_concepts(tmp_path):
    pictures = pa.array([{"bytes": png(i / 3), "path": "x"} for i in range(3)], HF)
    pq.write_table(pa.table({"image": pictures}), tmp_path / "p.parquet")
    command = ["images", "import-photographs", "--place", tmp_path / "p.parquet"]
    assert main(list(map(str, [*command, "--out", tmp_path / "out/d.parquet"]))) == 0
    assert parquet.read(tmp_path / "out/d.parquet").column("status").to_pylist() == ["ok"] * 3
