"""Captions in text that users bring: read as it is meant, or refused and said; nothing wrong in silence."""

import bz2
import gzip
import json
import tarfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fit.cli.main import main
from fit.config.corpus import Captions
from fit.errors import CorpusError
from fit.io.folders import table_files, without_folders
from fit.io.parquet import read

SHEET = "concept\tname\nvan-gogh\tVincent van Gogh\ndurer\tAlbrecht Dürer\n"


def gzipped(data):
    return gzip.compress(data, mtime=0)  # the same bytes at any time, so that every process names a test the same


def counted(tmp_path, captions, *options, sheet=SHEET):
    (tmp_path / "sheet.tsv").write_text(sheet)
    files = ["--concepts", str(tmp_path / "sheet.tsv"), "--counts", str(tmp_path / "out.parquet")]
    if main(["captions", "count", *files, "--captions", str(captions), *options]):
        return None
    rows = read(tmp_path / "out.parquet").to_pylist()
    return {row["concept"]: row["captions"] for row in rows} | {"rows": rows[0]["corpus_rows"]}


def test_tab_separated_captions_do_not_quote(tmp_path):
    lines = ['"Starry Night" by Vincent van Gogh', '"Sunflowers by Vincent van Gogh', 'a "Vincent van Gogh"']
    (tmp_path / "c.tsv").write_text("url\tcaption\n" + "".join(f"u\t{line}\n" for line in lines))
    assert counted(tmp_path, tmp_path / "c.tsv") == {"van-gogh": 3, "durer": 0, "rows": 3}


@pytest.mark.slow
@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_captions_in_any_encoding_and_with_any_separator(tmp_path, separator, encoding, end):
    text = end.join([f"url{separator}caption", f"u{separator}by Albrecht Dürer", f"u{separator}x", ""])
    (tmp_path / "c.CSV").write_bytes(text.encode(encoding))
    options = ["--encoding", "windows-1252"] if encoding == "cp1252" else []
    assert counted(tmp_path, tmp_path / "c.CSV", *options) == {"van-gogh": 0, "durer": 1, "rows": 2}


def test_malformed_captions_are_said_with_share_and_remedy(tmp_path, capsys):
    (tmp_path / "c.csv").write_bytes("url,caption\nu,by Albrecht Dürer\nu,x\n".encode("cp1252"))
    assert counted(tmp_path, tmp_path / "c.csv")["durer"] == 0
    said = capsys.readouterr().err
    assert "1 of 2 captions (50.0%) are not text in UTF-8" in said
    assert "--encoding" in said
    assert "concepts that no caption mentions: 2 (van-gogh, durer)" in said
    assert counted(tmp_path, tmp_path / "c.csv", "--encoding", "windoze") is None
    assert "'windoze' is not a known encoding" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["folder", "tar"])
def test_captions_beside_pictures_have_an_encoding_too(tmp_path, kind, capsys):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, text in enumerate(("by Albrecht Dürer", "Dürer: Albrecht Dürer", "by Albrecht Dürer ")):
        (folder / f"{number}.jpg").write_bytes(b"x")
        (folder / f"{number}.txt").write_bytes(text.encode("cp1252"))
    if kind == "tar":
        with tarfile.open(tmp_path / "pictures.tar", "w") as tar:
            for file in sorted(folder.iterdir()):
                tar.add(file, file.name)
    place = folder if kind == "folder" else tmp_path / "pictures.tar"
    assert counted(tmp_path, place) == {"van-gogh": 0, "durer": 0, "rows": 3}
    assert "3 of 3 captions (100.0%) are not text in UTF-8" in capsys.readouterr().err
    assert counted(tmp_path, place, "--encoding", "windows-1252") == {"van-gogh": 0, "durer": 3, "rows": 3}
    assert "not text" not in capsys.readouterr().err


@pytest.mark.parametrize("encoding", ["ascii", "utf-16-le", "cp1253"])
def test_captions_that_are_not_in_the_encoding_that_was_given_are_malformed(tmp_path, encoding, capsys):
    lines = ["url,caption", "u,by Albrecht D\xd2rer", "u,\xd2"]  # byte D2 is nothing in windows-1253
    if encoding == "utf-16-le":
        data = "\n".join(lines).encode("utf-16-le") + b"\x00\xd8x\x00\n\x00"  # half a pair
    else:
        data = "\n".join(lines).encode("latin-1")
    (tmp_path / "c.csv").write_bytes(data)
    counted(tmp_path, tmp_path / "c.csv", "--encoding", encoding)
    assert "are not text in UTF-8, or not in the encoding that was given" in capsys.readouterr().err


def test_a_corpus_without_a_row_is_an_error_but_a_part_of_one_may_have_none(tmp_path, capsys):
    (tmp_path / "c.csv").write_text("url,caption\n")
    assert counted(tmp_path, tmp_path / "c.csv") is None
    assert "c.csv: no caption was read, since there is no row" in capsys.readouterr().err
    assert not (tmp_path / "out.parquet").exists()
    assert counted(tmp_path, tmp_path / "c.csv", "--part") == {"van-gogh": 0, "durer": 0, "rows": 0}
    out = ["--counts", str(tmp_path / "all.parquet")]
    assert main(["captions", "merge", "--parts", str(tmp_path / "out.parquet"), *out]) == 1
    assert "no caption was read" in capsys.readouterr().err


def test_a_folder_of_files_stands_for_them_as_spark_writes_it(tmp_path):
    for part in ("lang=en", "lang=fr"):
        (tmp_path / "x.parquet" / part).mkdir(parents=True)
        pq.write_table(
            pa.table({"caption": ["Vincent van Gogh", None], "url": ["u", "v"]}),
            tmp_path / "x.parquet" / part / "part-0.parquet",
        )
    (tmp_path / "x.parquet" / "_SUCCESS").write_text("")
    (tmp_path / "x.parquet" / ".part-0.parquet.crc").write_text("x")
    assert len(without_folders([str(tmp_path / "x.parquet")])) == 2
    assert counted(tmp_path, tmp_path / "x.parquet") == {"van-gogh": 2, "durer": 0, "rows": 4}


def test_a_folder_of_something_else_says_what_it_was_taken_for(tmp_path, capsys):
    folder = tmp_path / "x"
    folder.mkdir()
    (folder / "notes.docx").write_text("x")
    with pytest.raises(CorpusError, match=r"taken for a folder of captions.*1 \.docx"):
        table_files(folder)
    (folder / "a.jpg").write_bytes(b"x")
    assert counted(tmp_path, folder) is None
    assert "none has a caption" in capsys.readouterr().err
    (folder / "c.csv").write_text("caption,url\nx,u\n")
    with pytest.raises(CorpusError, match="beside 1 picture"):
        table_files(folder)


def test_a_shard_of_nulls_is_null_captions_and_no_error(tmp_path, capsys):
    pq.write_table(pa.table({"caption": pa.nulls(5), "url": ["u"] * 5}), tmp_path / "c.parquet")
    assert counted(tmp_path, tmp_path / "c.parquet")["rows"] == 5
    assert "5 of 5 captions (100.0%) are empty" in capsys.readouterr().err
    (tmp_path / "c.jsonl").write_text("".join(json.dumps({"caption": None, "url": "u"}) + "\n" for _ in range(3)))
    assert counted(tmp_path, tmp_path / "c.jsonl")["rows"] == 3


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda p: pq.write_table(pa.table([["a"], ["b"], ["u"]], names=["caption", "caption", "url"]), p),
            "2 columns",
        ),
        (lambda p: pq.write_table(pa.table({"caption": [["a"]], "url": ["u"]}), p), "list"),
        (lambda p: pq.write_table(pa.table({"caption": [{"a": "b"}], "url": ["u"]}), p), "struct"),
        (lambda p: pq.write_table(pa.table({"caption": [1.5], "url": ["u"]}), p), "double, not text"),
    ],
)
def test_caption_columns_are_checked_by_type(tmp_path, capsys, make, said):
    make(tmp_path / "c.parquet")
    assert counted(tmp_path, tmp_path / "c.parquet") is None
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "text", ['{"caption": ', "[" * 100_000, '{"caption": "a", "url": "u"}\n{"caption": 5, "url": "u"}\n', "caption\n"]
)
def test_any_broken_shard_is_an_error_in_words_or_skipped(tmp_path, capsys, text):
    (tmp_path / "c.jsonl").write_text(text)
    assert counted(tmp_path, tmp_path / "c.jsonl") is None
    assert "c.jsonl" in capsys.readouterr().err
    assert counted(tmp_path, tmp_path / "c.jsonl", "--on-bad-shard", "skip")["rows"] == 0


def test_names_and_captions_match_composed_and_decomposed(tmp_path):
    captions = ["Albrecht D\u00fcrer", "Albrecht Du\u0308rer", "Albrecht Durer"]
    (tmp_path / "c.jsonl").write_text("".join(json.dumps({"caption": text, "url": "u"}) + "\n" for text in captions))
    for name in captions[:2]:
        found = counted(tmp_path, tmp_path / "c.jsonl", sheet=f"concept\tname\ndurer\t{name}\n")
        assert found == {"durer": 2, "rows": 3}
    assert len(read(tmp_path / "out.names.parquet")) == 1


def test_merge_and_audit_take_what_count_writes(tmp_path, capsys):
    for part in "ab":
        (tmp_path / part).mkdir()
        (tmp_path / part / f"{part}.csv").write_text("url,caption\nu,Vincent van Gogh\n")
        assert counted(tmp_path / part, tmp_path / part / f"{part}.csv")["van-gogh"] == 1
    parts = [str(tmp_path / part / "out.parquet") for part in "ab"]
    assert main(["captions", "merge", "--parts", *parts, "--counts", str(tmp_path / "m.parquet")]) == 0
    assert read(tmp_path / "m.parquet").column("captions").to_pylist() == [2, 0]
    capsys.readouterr()
    assert main(["audit", "--counts", str(tmp_path / "m.parquet"), "--threshold", "2"]) == 0
    said = capsys.readouterr()
    assert "These are counts of captions, not effective counts" in said.out
    assert main(["captions", "merge", "--parts", parts[0], parts[0], "--counts", str(tmp_path / "m.parquet")]) == 1
    assert "is counted in" in capsys.readouterr().err
    (tmp_path / "a/out.names.parquet").unlink()
    assert main(["captions", "merge", "--parts", *parts, "--counts", str(tmp_path / "m.parquet")]) == 1
    assert "out.names.parquet" in capsys.readouterr().err


def test_an_encoding_in_the_configuration_is_known():
    assert Captions(files=["a.csv"], encoding="windows-1252").encoding == "windows-1252"
    with pytest.raises(ValueError, match="not a known encoding"):
        Captions(files=["a.csv"], encoding="windoze")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("J.M.W. Turner", "1 token (j.m.w)"),
        ("J. M. W. Turner", "'J.M.W. Turner'; add that as an alias"),
        ("Georgia O\u2019Keeffe", '"Georgia O\'Keeffe"'),
        ("Georgia O'Keeffe", "'Georgia O\u2019Keeffe'"),
        ("Black &amp; White", "HTML entity '&amp;'; write '&'"),
        ("葛飾北斎", "script without spaces"),
        ("Albrecht Du\u0308rer", "decomposed Unicode"),
        ("Ann\u200bLee", "U+200B"),
    ],
)
def test_the_check_of_a_sheet_says_what_an_analyzer_makes_of_a_name(tmp_path, capsys, name, said):
    (tmp_path / "s.tsv").write_text(f"concept\tname\na\t{name}\nb\tPlain Name\n")
    assert main(["concepts", "check", str(tmp_path / "s.tsv")]) == 0
    warned = capsys.readouterr().err
    assert said in warned
    assert "Plain Name" not in warned


def test_quotes_that_a_program_put_around_tab_separated_captions_are_pointed_out(tmp_path, capsys):
    (tmp_path / "c.tsv").write_text('url\tcaption\n"u"\t"a"\n"u"\t"b"\n"u"\t"c"\n')
    assert counted(tmp_path, tmp_path / "c.tsv")["rows"] == 3
    assert "begin and end with a quote" in capsys.readouterr().err


# --- what a file is, whatever its name says ---------------------------------------------------------------------------

ROWS = "caption,url\nVincent van Gogh,u\nAlbrecht Dürer,v\n"
BOTH = {"van-gogh": 1, "durer": 1, "rows": 2}


@pytest.mark.parametrize(
    ("name", "pack"),
    [("c.CSV.GZ", gzip.compress), ("c.csv.Gz", gzip.compress), ("c.CSV.BZ2", bz2.compress), ("c.Csv", bytes)],
)
def test_suffixes_are_read_in_any_case(tmp_path, name, pack):
    (tmp_path / name).write_bytes(pack(ROWS.encode()))
    assert counted(tmp_path, tmp_path / name) == BOTH


@pytest.mark.parametrize("codec", ["utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("name", ["c.csv", "c.csv.gz"])
def test_a_byte_order_mark_says_which_unicode(tmp_path, codec, name):
    data = ("\ufeff" + ROWS).encode(codec)
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    assert counted(tmp_path, tmp_path / name) == BOTH


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("g.csv", gzipped(b"x"), "first bytes are those of gzip, not of .csv; name it g.csv.gz"),
        ("g.jsonl", b"PAR1\0\0", "first bytes are those of Parquet, not of .jsonl; name it g.parquet"),
        ("g.tsv", b"PK\3\4\0", "a zip or a spreadsheet's workbook, not of .tsv; save it as CSV"),
        ("g.csv", b"\x28\xb5\x2f\xfd\0", "those of zstd, not of .csv; name it g.csv.zst"),
        ("g.csv", bz2.compress(b"x"), "those of bz2, not of .csv; name it g.csv.bz2"),
        ("g.csv", b"\xfd7zXZ\0", "those of xz, not of .csv; decompress it"),
        ("g.csv.gz", ROWS.encode(), "not those of gzip, so it is misnamed; name it g.csv"),
        ("g.csv.gz", bz2.compress(b"x"), "are those of bz2, so it is misnamed; name it g.csv.bz2"),
        ("g.csv.gz", gzipped(b"PAR1\0\0"), "inside its compression, its first bytes are those of Parquet"),
        ("g.parquet", gzipped(b"PAR1"), "its first bytes are those of gzip, not of .parquet; decompress it"),
        ("g.parquet.gz", gzipped(b"PAR1"), "its first bytes are those of gzip, not of .parquet; decompress it"),
        ("g.tar", gzipped(b"x"), "those of gzip, not of .tar; name it g.tar.gz"),
        ("g.csv", b"\0c\0a", "it is not text in UTF-8"),
    ],
)
def test_a_file_of_captions_under_a_wrong_name_says_what_it_is(tmp_path, capsys, name, data, said):
    (tmp_path / name).write_bytes(data)
    assert counted(tmp_path, tmp_path / name) is None
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("name", ["x.txt", "x.TXT"])
def test_captions_in_a_txt_are_not_a_list_of_files(tmp_path, capsys, name):
    (tmp_path / name).write_text(ROWS)
    assert counted(tmp_path, tmp_path / name) is None
    said = capsys.readouterr().err
    assert f"{name}, line 1: 'caption,url' is not the name of a file of captions" in said
    assert "taken for a list of files, one a line; if it holds captions itself, name it .csv" in said


def test_a_list_of_files_and_folders_is_still_one(tmp_path):
    (tmp_path / "deep").mkdir()
    for name in ("a.csv", "deep/b.csv"):
        (tmp_path / name).write_text(ROWS)
    (tmp_path / "x.txt").write_text(f"\ufeff{tmp_path}/a.csv\r\n\r\n{tmp_path}/deep\r\n", encoding="utf-8")
    assert counted(tmp_path, tmp_path / "x.txt")["rows"] == 4


def test_a_remark_on_a_file_is_said_once_a_command(tmp_path, capsys):
    (tmp_path / "c.csv").write_text(ROWS.replace(",", ";"))
    for _ in range(2):
        assert counted(tmp_path, tmp_path / "c.csv") == BOTH
        assert capsys.readouterr().err.count("separated by semicolons") == 1
