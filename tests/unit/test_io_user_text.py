"""Tables and sheets that users bring: read as they are meant, or refused with the line and both readings."""

import bz2
import codecs
import gzip

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fit.cli.main import main
from fit.concepts.sheet import read_sheet
from fit.errors import ConfigError, DataError, SheetError
from fit.io.numbers import as_count, as_number
from fit.io.user_tables import read_counts, read_user_table
from fit.references.vetoes import read_vetoes, unmatched_vetoes
from fit.thresholds.scores import read_table


def table_of(tmp_path, data, name="t.csv", columns=("concept", "effective_count")):
    path = tmp_path / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return read_user_table(path, columns)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("t.csv", "concept,effective_count\n00,5\n"),
        ("t.CSV", "concept,effective_count\r\n00,5\r\n"),
        ("t.csv", "\ufeffconcept,effective_count\n00,5\n"),
        ("t.csv", "concept;effective_count\n00;5\n"),
        ("t.csv", "sep=;\nconcept;effective_count\n00;5\n"),
        ("t.csv", "concept\teffective_count\n00\t5\n"),
        ("t.TSV", "concept\teffective_count\r00\t5\r"),
        ("t.txt", "concept\teffective_count\n00\t5\n\n"),
        ("t.csv", codecs.BOM_UTF16_LE + "concept,effective_count\n00,5\n".encode("utf-16-le")),
        ("t.csv", codecs.BOM_UTF16_BE + "concept,effective_count\n00,5\n".encode("utf-16-be")),
        ("t.csv", '"concept","effective_count",\n"00","5",\n'),
    ],
)
def test_a_table_is_read_as_programs_write_it_and_slugs_stay_text(tmp_path, name, data):
    found = table_of(tmp_path, data, name)
    assert [(row["concept"], row["effective_count"]) for row in found.rows] == [("00", "5")]


def test_another_separator_than_promised_is_said(tmp_path, capsys):
    table_of(tmp_path, "concept;effective_count\na;5\n")
    assert "separated by semicolons, not commas" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "the file is empty"),
        ("concept,effective_count\n", "no row"),
        ("concept,effective_count\na,1\nb\n", "line 3: 1 cell,"),
        ("concept,effective_count\na,1,200\n", "line 2: 3 cells"),
        ("concept,effective_count,effective_count\na,1,2\n", "2 columns are named 'effective_count'"),
        ("Concept,effective_count\na,1\n", "rename 'Concept'"),
        (b"concept,effective_count\na\0,1\n", "line 2: it has NUL bytes"),
        ("concept,effective_count\nd\u00fcrer,1\n".encode("cp1252"), "line 2: byte 25 is not UTF-8"),
        ('concept,effective_count\n"a" b,1\n', "line 2: the quotes of"),
        ('concept,effective_count\n"a,1\nb,2\nc",3\n', "line 2: the quotes of"),
        ('concept,effective_count\n"a,1\nb,2\n', "line 2: the quotes of"),
        (b"PK\3\4 workbook", "a spreadsheet's workbook"),
    ],
)
def test_a_table_that_cannot_be_read_for_sure_is_refused_with_its_line(tmp_path, data, said):
    with pytest.raises(DataError, match=said):
        table_of(tmp_path, data)


def test_parquet_is_read_under_any_suffix_and_a_slug_is_not_a_number(tmp_path):
    pq.write_table(pa.table({"concept": ["a"], "effective_count": [5.0]}), tmp_path / "t.PARQUET")
    assert read_counts(tmp_path / "t.PARQUET", ["a"]) == {"a": 5}
    pq.write_table(pa.table({"concept": [7], "effective_count": [5]}), tmp_path / "n.parquet")
    with pytest.raises(DataError, match="'concept' holds int64, not text"):
        read_counts(tmp_path / "n.parquet", ["7"])
    pq.write_table(
        pa.table([["a"], [1], [2]], names=["concept", "effective_count", "effective_count"]), tmp_path / "d.parquet"
    )
    with pytest.raises(DataError, match="2 columns are named 'effective_count'"):
        read_counts(tmp_path / "d.parquet", ["a"])


@pytest.mark.parametrize(("cell", "count"), [("12", 12), ("12.0", 12), ("1e3", 1000), (" 7 ", 7), (3.0, 3), ("", None)])
def test_whole_counts(cell, count):
    assert as_count(cell, "x") == count


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("0.9", "not whole"),
        ("12.9", "not whole"),
        (1.2, "not whole"),
        ("1.200", "1200 .*or 1.2 "),
        ("1.000", "1000 .*or 1.0 "),
        ("1.234.567", "1234567"),
        ("1,200", "1200 .*or 1.200 "),
        ("1,200.5", "1200.5"),
        ("1 200", "1200"),
        ("1\u00a0200", "1200"),
        ("1'200", "1200"),
        ("1’200", "1200"),
        ("3,5", r"is it 3\.5"),
        ("1.200,5", r"is it 1200\.5"),
        ("-1", "below 0"),
        ("nan", "not a number"),
        ("inf", "not a number"),
        ("1_000", "1000"),
        (True, "not a number"),
    ],
)
def test_a_count_that_is_not_whole_or_may_be_two_numbers_is_refused_with_the_readings(cell, said):
    with pytest.raises(DataError, match=said):
        as_count(cell, "x")


def test_a_score_may_have_three_decimals_but_no_decimal_comma():
    assert as_number("1.200", "x") == 1.2
    with pytest.raises(DataError, match=r"is it 0\.53"):
        as_number("0,53", "x")


def test_numbers_are_checked_wherever_users_give_them(tmp_path, capsys):
    (tmp_path / "s.tsv").write_text("concept\tname\na\tAnn\n")
    (tmp_path / "t.csv").write_text("concept;effective_count;score;captions\na;3;0.53;1.200\n")
    with pytest.raises(DataError, match=r"line 2, concept 'a': captions is '1\.200'"):
        read_table(tmp_path / "t.csv")
    (tmp_path / "t.csv").write_text("concept;effective_count;score\na;3;0,53\n")
    with pytest.raises(DataError, match="line 2, concept 'a': score is '0,53'"):
        read_table(tmp_path / "t.csv")
    (tmp_path / "c.csv").write_text("concept,effective_count,captions\na,1,1\na,2,2\n")
    out = ["--out", str(tmp_path / "o")]
    for command in (
        ["counts", "import", "--table", str(tmp_path / "c.csv"), "--sheet", str(tmp_path / "s.tsv"), *out],
        ["audit", "--counts", str(tmp_path / "c.csv"), "--threshold", "3"],
        [
            "concepts",
            "sample",
            "--candidates",
            str(tmp_path / "s.tsv"),
            "--counts",
            str(tmp_path / "c.csv"),
            "--size",
            "1",
            *out,
        ],
    ):
        assert main(command) == 1
        assert "line 3: concept 'a' is in line 2 too" in capsys.readouterr().err
    (tmp_path / "c.csv").write_text("concept,effective_count\na,1\n")
    assert main(["audit", "--counts", str(tmp_path / "c.csv"), "--threshold", "1.200"]) == 1
    assert "1200" in capsys.readouterr().err


@pytest.mark.parametrize(("pack", "program"), [(gzip.compress, "gzip"), (bz2.compress, "bz2")])
def test_a_compressed_table_of_a_user_says_what_it_is(tmp_path, pack, program):
    with pytest.raises(DataError, match=f"those of {program}; decompress it"):
        table_of(tmp_path, pack(b"concept,effective_count\na,1\n"))


# --- sheets and vetoes ------------------------------------------------------------------------------------------------


def names_of(tmp_path, text, name="s.tsv"):
    (tmp_path / name).write_text(text)
    return [(concept.slug, *concept.names) for concept in read_sheet(tmp_path / name)]


def test_a_sheet_that_a_spreadsheet_quoted_is_read_as_meant(tmp_path):
    text = 'concept\tname\taliases\na\t"Ada ""The Hat"" Example"\t"Ada, painter|The Hat"\nb\t"Gogh, Vincent"\t\n'
    expected = [("a", 'Ada "The Hat" Example', "Ada, painter", "The Hat"), ("b", "Gogh, Vincent")]
    assert names_of(tmp_path, text) == expected


def test_a_lone_quote_in_a_sheet_is_a_part_of_the_name(tmp_path):
    text = 'concept\tname\na\t"Weird Al" Yankovic\nb\t"Weird Bo\nc\tCy "The Hat" Lee\nd\tDi"\n'
    assert [name for _, name in names_of(tmp_path, text)] == [
        '"Weird Al" Yankovic', '"Weird Bo', 'Cy "The Hat" Lee', 'Di"',
    ]  # fmt: skip


def test_sheets_of_other_separators_and_with_lost_last_cells(tmp_path):
    assert names_of(tmp_path, "concept;name;aliases\na;Ann;\n", "s.csv") == [("a", "Ann")]
    assert names_of(tmp_path, "concept\tname\taliases\tgroup\na\tAnn\n") == [("a", "Ann")]
    with pytest.raises(SheetError, match="2 columns are named 'name'"):
        names_of(tmp_path, "concept\tname\tname\na\tAnn\tBo\n")


def test_vetoes_that_match_nothing_are_named_with_what_was_meant(tmp_path):
    (tmp_path / "v.csv").write_text("concept;image_id\nann;01.PNG\nann;02.png\nvangogh;x\n")
    vetoes = read_vetoes(tmp_path / "v.csv")
    said = unmatched_vetoes(vetoes, {"ann": ["01.png", "02.png"]}, ["ann", "van-gogh"])
    assert len(said) == 2
    assert "'01.PNG' matches no candidate image; did you mean '01.png'?" in said[0]
    assert "'vangogh' match no concept of the sheet; did you mean 'van-gogh'?" in said[1]
    # The other jobs of the workflow do not repeat what the first says of the sheet.
    assert unmatched_vetoes(vetoes, {"van-gogh": ["x"]}, ["ann", "van-gogh"]) == []
    (tmp_path / "v.csv").write_text("concept,image_id\nann,\n")
    with pytest.raises(ConfigError, match="line 2"):
        read_vetoes(tmp_path / "v.csv")
