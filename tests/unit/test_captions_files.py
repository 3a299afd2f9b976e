"""What counting makes of files, good and bad, in each format."""

import json
import random
import tarfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from counting import CONCEPTS, count, shard, tables

from fit.captions.sources import FORMATS, open_captions
from fit.cli.main import main
from fit.errors import CorpusError
from fit.io.folders import TABLES
from fit.io.parquet import read


def test_every_format_is_known_to_the_search_for_files():
    assert set(FORMATS) - {"folder"} == set(TABLES)


@pytest.mark.parametrize(
    "write",
    [
        lambda p, rows: (
            (p / "s.csv").write_text("url,caption\n" + "".join(f'{u},"{c}"\n' for u, c in rows)) and "s.csv"
        ),
        lambda p, rows: (
            (p / "s.tsv").write_text("url\tcaption\n" + "".join(f"{u}\t{c}\n" for u, c in rows)) and "s.tsv"
        ),
        lambda p, rows: (
            (p / "s.jsonl").write_text("".join(json.dumps({"n": 1, "caption": c, "url": u}) + "\n" for u, c in rows))
            and "s.jsonl"
        ),
        lambda p, rows: (
            pa.CompressedOutputStream(str(p / "s.csv.gz"), "gzip").write(
                ("caption,url\n" + "".join(f'"{c}",{u}\n' for u, c in rows)).encode()
            )
            and "s.csv.gz"
        ),
    ],
)
def test_text_files_count_like_parquet(tmp_path, write):
    rows = [(f"u{i}", text) for i, text in enumerate(["Ann Lee, painter", "NA", "Mary Ann Lee", "é"])]
    name = write(tmp_path, rows)
    parquet = shard(tmp_path / "p.parquet", [text for _, text in rows])
    found, expected = (tables(count(tmp_path / "out", [f], CONCEPTS[:3])) for f in (str(tmp_path / name), parquet))
    assert found["counts"] == expected["counts"]
    assert [{**row, "shard": ""} for row in found["matched_captions"]] == [
        {**row, "shard": ""} for row in expected["matched_captions"]
    ]


def test_files_are_read_through_fsspec(tmp_path):
    import fsspec

    local = shard(tmp_path / "1.parquet", ["Ann Lee"])
    with fsspec.open("memory://corpus/1.parquet", "wb") as target:
        target.write((tmp_path / "1.parquet").read_bytes())
    there, here = (tables(count(tmp_path / "out", [f])) for f in ("memory://corpus/1.parquet", local))
    assert there == here
    command = ["captions", "count", "--concepts", str(tmp_path / "c.tsv"), "--captions", "memory://corpus/*.parquet"]
    (tmp_path / "c.tsv").write_text("concept\tname\nann-lee\tAnn Lee\n")
    assert (
        main([*command, "--counts", str(tmp_path / "c.parquet"), "--matched-captions", str(tmp_path / "h.parquet")])
        == 0
    )
    assert read(tmp_path / "c.parquet").column("captions").to_pylist() == [1]


@pytest.mark.parametrize(
    "kind",
    [pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())],
)
def test_captions_in_any_layout(tmp_path, kind):
    file = shard(tmp_path / "1.parquet", ["Ann Lee", None, "Mary Ann Lee"], kind)
    assert [row["captions"] for row in tables(count(tmp_path / "out", [file]))["counts"]] == [2, 1, 0]


def truncated(path):
    shard(path, [f"Ann Lee {i} {random.random()}" for i in range(5000)])
    path.write_bytes(path.read_bytes()[:-100])


def damaged(path):
    """A file that opens and breaks off in the middle."""
    shard(path, [f"Ann Lee {i} {random.random()}" for i in range(5000)])
    data = bytearray(path.read_bytes())
    data[len(data) // 3 : len(data) // 2] = b"\xff" * (len(data) // 2 - len(data) // 3)
    path.write_bytes(data)


BAD = [
    (lambda p: p.write_text("not parquet"), ["bad.parquet", "not a readable file of captions"]),
    (lambda p: p.write_bytes(b""), ["bad.parquet", "not a readable file of captions"]),
    (truncated, ["bad.parquet", "not a readable file of captions", "on_bad_shard: skip"]),
    (damaged, ["bad.parquet", "not a readable file of captions"]),
    (lambda p: pq.write_table(pa.table({"url": ["u"], "text": ["x"]}), p), ["no column 'caption'", "url, text"]),
    (lambda p: pq.write_table(pa.table({"url": ["u"], "caption": [1]}), p), ["'caption' is int64, not text"]),
    (lambda p: None, ["no such file"]),
]


@pytest.mark.parametrize(("make", "said"), BAD)
def test_a_bad_shard_is_named_with_a_remedy_or_skipped_and_told(tmp_path, make, said):
    make(tmp_path / "bad.parquet")
    good = shard(tmp_path / "good.parquet", ["Ann Lee", "x"])
    with pytest.raises(CorpusError) as error:
        count(tmp_path / "out", [good, str(tmp_path / "bad.parquet")])
    for words in said:
        assert words in str(error.value)
    assert not (tmp_path / "out/counts.parquet").exists()
    found = tables(count(tmp_path / "out", [good, str(tmp_path / "bad.parquet")], on_bad_shard="skip"))
    row = found["counts"][0]
    assert (row["captions"], row["corpus_rows"], row["skipped_shards"]) == (1, 2, 1)
    assert [matched_caption["shard"] for matched_caption in found["matched_captions"]] == ["good.parquet"]
    bad = found["shards"][0]
    assert (bad["shard"], bad["status"]) == ("bad.parquet", "skipped")
    assert said[-1] in bad["reason"] or said[0] in bad["reason"]
    if make is damaged:
        assert row["skipped_rows"] == bad["rows"] == 5000


def test_skipped_captions_are_told_on_the_command_line(tmp_path, capsys):
    damaged(tmp_path / "bad.parquet")
    (tmp_path / "c.tsv").write_text("concept\tname\nann-lee\tAnn Lee\n")
    command = ["captions", "count", "--concepts", "c.tsv", "--captions", "bad.parquet", "--on-bad-shard", "skip"]
    command = [str(tmp_path / part) if "." in part else part for part in command]
    assert main([*command, "--counts", str(tmp_path / "n.parquet")]) == 0
    assert "fit: skipped 5,000 captions: " in capsys.readouterr().err


def test_empty_shards_and_columns_of_nulls(tmp_path):
    files = [shard(tmp_path / "none.parquet", []), shard(tmp_path / "null.parquet", [None, None])]
    found = tables(count(tmp_path / "out", files))
    assert [row["captions"] for row in found["counts"]] == [0, 0, 0]
    assert [(row["rows"], row["null_captions"]) for row in found["shards"]] == [(0, 0), (2, 2)]


def test_invalid_utf8_is_counted_and_repaired(tmp_path):
    captions = pa.array([b"Ann\xff Lee", b"Ann Lee \xe9"], pa.binary())
    table = pa.table({"url": ["u", "v"], "caption": captions})
    pq.write_table(table, tmp_path / "raw.parquet")
    # Other writers call bytes text that are not; here the word is changed in a file of bytes.
    text = pa.StringArray.from_buffers(2, captions.buffers()[1], captions.buffers()[2])
    pq.write_table(pa.table({"url": ["u", "v"], "caption": text}), tmp_path / "1.parquet")
    found = tables(count(tmp_path / "out", [str(tmp_path / "1.parquet")]))
    assert [matched_caption["caption"] for matched_caption in found["matched_captions"]] == [
        "Ann\ufffd Lee",
        "Ann Lee \ufffd",
    ]
    assert found["shards"][0]["malformed_captions"] == 2
    with pytest.raises(CorpusError, match="'caption' is binary, not text"):
        count(tmp_path / "out", [str(tmp_path / "raw.parquet")])


def test_nested_columns_are_not_carried(tmp_path):
    file = shard(tmp_path / "1.parquet", ["Ann Lee"], tags=[["a"]])
    with pytest.raises(CorpusError, match=r"'tags' holds list<.*take it off `captions\.columns`"):
        count(tmp_path / "out", [file], columns=["tags"])


def test_two_shards_of_one_name_are_refused(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
    files = [shard(tmp_path / name / "1.parquet", ["x"]) for name in "ab"]
    with pytest.raises(CorpusError, match=r"1\.parquet: two files"):
        count(tmp_path / "out", files)


def test_folders_of_key_and_value_tell_shards_of_one_name_apart(tmp_path):
    for name in ("lang=en", "lang=fr"):
        (tmp_path / "c" / name).mkdir(parents=True)
    files = [shard(tmp_path / "c" / name / "1.parquet", ["Ann Lee"]) for name in ("lang=en", "lang=fr")]
    found = tables(count(tmp_path / "out", files))
    assert [row["shard"] for row in found["shards"]] == ["lang=en/1.parquet", "lang=fr/1.parquet"]
    assert found["counts"][0]["captions"] == 2


def test_a_file_of_an_unknown_format(tmp_path):
    with pytest.raises(CorpusError, match=r"x\.xlsx: captions are read from files that end in \.parquet"):
        count(tmp_path / "out", [str(tmp_path / "x.xlsx")])
    with pytest.raises(CorpusError, match=r"\*\.parquet"):
        count(tmp_path / "out", [str(tmp_path / "*.parquet")])


@pytest.mark.slow
@pytest.mark.parametrize("first", ["", "x"])
def test_a_value_that_repeats_is_not_unpacked_all_at_once(tmp_path, first):
    """Ten kilobytes in which forty thousand rows have one long value: gigabytes, if every row were unpacked."""
    values = pa.DictionaryArray.from_arrays(pa.array([0] + [1] * 40_000, pa.int32()), [first, "ada lee " * 25_000])
    file = tmp_path / "bomb.parquet"
    pq.write_table(pa.table({"caption": values, "url": ["u"] * 40_001}), file, store_schema=False)
    assert file.stat().st_size < 100_000
    rows = 0
    for batch in open_captions(str(file)).batches(["caption", "url"]):
        rows += len(batch)
        assert batch.nbytes < 100 << 20
        if rows > 1000:
            break
    else:
        raise AssertionError("not read")


def test_a_value_that_is_too_large_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr("fit.captions.sources.parquet.LARGEST_FILE", 1000)
    monkeypatch.setattr("fit.captions.sources.parquet._BATCH_BYTES", 1000)
    pq.write_table(pa.table({"caption": ["x" * 1001] * 5, "url": ["u"] * 5}), tmp_path / "a.parquet")
    with pytest.raises(CorpusError, match="a value of column 'caption' has 1,001 bytes, more than 1,000"):
        list(open_captions(str(tmp_path / "a.parquet")).batches(["caption"]))


@pytest.mark.parametrize("kind", ["folder", "tar"])
def test_a_picture_or_a_text_that_is_too_large_is_not_read(tmp_path, monkeypatch, kind, capsys):
    monkeypatch.setattr("fit.captions.sources.pictures.LARGEST_FILE", 1000)
    monkeypatch.setattr("fit.captions.sources.pictures._SIDECAR_BYTES", 100)
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name, size in (("a", 1001), ("b", 10)):
        (folder / f"{name}.jpg").write_bytes(bytes(size))
        (folder / f"{name}.txt").write_text(name)

    def place():
        if kind == "folder":
            return str(folder)
        with tarfile.open(tmp_path / "pictures.tar", "w") as tar:
            for file in sorted(folder.iterdir()):
                tar.add(file, file.name)
        return str(tmp_path / "pictures.tar")

    found = pa.Table.from_batches(open_captions(place()).batches(["caption", "image"])).to_pydict()
    assert found == {"caption": ["a", "b"], "image": [None, bytes(10)]}
    assert "1,001 bytes, more than 1,000, so it is left out" in capsys.readouterr().err
    (folder / "b.txt").write_text("b" * 101)
    with pytest.raises(CorpusError, match=r"b\.txt has 101 bytes, more than a caption or its JSON has"):
        list(open_captions(place()).batches(["caption"]))
