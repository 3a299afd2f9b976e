"""Tables of users with what can't be right: it is said, with the row, and nothing of it is taken in silence."""

import warnings

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fit.audits.counts import ConceptCount, read_counted
from fit.audits.threshold import read_threshold
from fit.cli.main import main
from fit.concepts.sheet import read_sheet
from fit.counts.estimate import scale_counts
from fit.errors import DataError, SheetError
from fit.io.nearby import nearest, paired
from fit.io.numbers import as_count, as_number
from fit.io.parquet import read
from fit.io.user_tables import read_counts
from fit.thresholds.scores import read_table


def csv_of(folder, text, name="t.csv"):
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


# --- intervals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        ("8,12", "line 3, concept 'b': the count 7 is not within its interval, low 8 to high 12"),
        ("2,6", "the count 7 is not within its interval, low 2 to high 6"),
        ("12,2", "low, 12, is above high, 2"),
        ("2,", "it has low but no high"),
        (",12", "it has high but no low"),
        ("-2,12", "below 0"),
    ],
)
def test_an_interval_that_contradicts_its_count_is_refused_with_the_row(tmp_path, ends, said):
    path = csv_of(tmp_path, f"concept,effective_count,score,low,high\na,3,0.1,3,3\nb,7,0.2,{ends}\n")
    for reader in (read_counted, read_table):
        with pytest.raises(DataError, match=said):
            reader(path)


def test_one_end_of_an_interval_alone_is_refused(tmp_path):
    path = csv_of(tmp_path, "concept,effective_count,score,low\na,3,0.1,2\n")
    for reader in (read_counted, read_table):
        with pytest.raises(DataError, match="it has low but no high; write both ends of the interval, or neither"):
            reader(path)


def test_a_count_of_several_faces_an_image_may_exceed_its_interval(tmp_path):
    # matches > downloaded: the interval of fit.counts.estimate.effective_count is one of images.
    path = csv_of(tmp_path, "concept,effective_count,score,low,high,matches,downloaded\na,9,0.1,2,8,9,8\n")
    assert read_counted(path)[0] == [ConceptCount("a", 9, 2, 9)]
    assert read_table(path).evidence[0, 3:].tolist() == [2, 8]
    path = csv_of(tmp_path, "concept,effective_count,score,low,high,matches,downloaded\na,1,0.1,2,8,9,8\n")
    with pytest.raises(DataError, match="the count 1 is not within"):
        read_counted(path)


# --- numbers that are too large ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["9223372036854775807", "9007199254740993", "4611686018427387905", "0"])
def test_counts_of_many_digits_keep_all_of_them(tmp_path, text):
    assert as_count(text, "x") == int(text)
    assert read_counts(csv_of(tmp_path, f"concept,effective_count\na,{text}\n"), ["a"]) == {"a": int(text)}


@pytest.mark.parametrize("value", ["9223372036854775808", "1e30", "9" * 40, "9" * 6000, 2**63, 1e30, 2.0**63])
def test_a_count_that_no_table_can_hold_is_refused(value):
    with pytest.raises(DataError, match=r"^x is .{1,140}, (more than any count is|not a number)") as problem:
        as_count(value, "x")
    assert len(str(problem.value)) < 250


def test_counts_import_refuses_a_count_that_is_too_large(tmp_path, capsys):
    sheet = csv_of(tmp_path, "concept\tname\na\tAnn\n", "s.tsv")
    columns = {"concept": ["a"], "effective_count": pa.array([2**64 - 1], pa.uint64())}
    pq.write_table(pa.table(columns), tmp_path / "u.parquet")
    command = ["counts", "import", "--sheet", str(sheet), "--out", str(tmp_path / "o.parquet"), "--table"]
    for path in (tmp_path / "u.parquet", csv_of(tmp_path, "concept,effective_count\na,1e30\n")):
        assert main([*command, str(path)]) == 1
        assert "concept 'a': effective_count is" in capsys.readouterr().err
    assert not (tmp_path / "o.parquet").exists()
    most = csv_of(tmp_path, f"concept,effective_count\na,{2**63 - 1}\n", "most.csv")
    assert main([*command, str(most)]) == 0
    assert read(tmp_path / "o.parquet").column("effective_count").to_pylist() == [2**63 - 1]


def scores_table(folder, last, columns="", cells=""):
    rows = "".join(f"c{i},{i},{i / 100}{cells}\n" for i in range(11))
    return csv_of(folder, f"concept,effective_count,score{columns}\n{rows}z,99,{last}\n")


@pytest.mark.parametrize("score", ["1e308", "-1e31"])
def test_a_score_out_of_all_bounds_is_refused_with_its_row(tmp_path, capsys, score):
    path = scores_table(tmp_path, score)
    assert main(["thresholds", "detect", str(path), "--out", str(tmp_path / "o.json")]) == 1
    assert f"line 13, concept 'z': score is '{score}', beyond 1e+30" in capsys.readouterr().err


@pytest.mark.slow
def test_the_largest_score_that_is_allowed_breaks_nothing(tmp_path, capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (
            main(["thresholds", "detect", str(scores_table(tmp_path, "1e30")), "--out", str(tmp_path / "o.json")]) == 0
        )


def test_image_scores_have_the_same_bounds(tmp_path):
    path = scores_table(tmp_path, '0.5,"[[1e308, -1e308]]"', ",image_scores", ",")
    with pytest.raises(DataError, match=r"line 13: image_scores holds something that is not a list of numbers of at"):
        read_table(path)


@pytest.mark.parametrize(("cells", "name"), [("5,", "score"), (",0.5", "effective_count")])
def test_an_empty_count_or_score_is_said_with_its_row(tmp_path, cells, name):
    with pytest.raises(DataError, match=f"line 3, concept 'b': {name} is empty"):
        read_table(csv_of(tmp_path, f"concept,effective_count,score\na,1,1\nb,{cells}\n"))


def test_a_decimal_comma_after_a_zero_has_one_reading():
    with pytest.raises(DataError, match=r"is it 0\.477 \(a decimal comma\)\?") as problem:
        as_number("0,477", "x")
    assert "0477" not in str(problem.value)


# --- columns, cells, files --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ("alias", "column 'alias' is not one that is read; did you mean 'aliases'"),
        ("Aliases", "'Aliases' .*did you mean 'aliases'"),
        ("group_", "did you mean 'group'"),
    ],
)
def test_a_misspelt_column_of_a_sheet_is_an_error(tmp_path, columns, said):
    with pytest.raises(SheetError, match=said):
        read_sheet(csv_of(tmp_path, f"concept\tname\t{columns}\na\tAnn\tx\n", "s.tsv"))


def test_a_sheet_may_hold_notes_and_the_check_names_them(tmp_path, capsys):
    sheet = csv_of(tmp_path, "concept\tname\taliases\talias\twhy so\na\tAnn Abel\tA. Abel\tx\ty\n", "s.tsv")
    assert read_sheet(sheet)[0].aliases == ("A. Abel",)
    assert main(["concepts", "check", str(sheet)]) == 0
    assert "columns that are not read, such as notes: 'alias', 'why so'" in capsys.readouterr().err


@pytest.mark.parametrize(("reader", "column"), [(read_counted, "Low"), (read_table, "Group"), (read_table, "captoins")])
def test_a_misspelt_column_of_counts_or_scores_is_an_error(tmp_path, reader, column):
    path = csv_of(tmp_path, f"concept,effective_count,score,{column}\na,1,0.1,1\n")
    with pytest.raises(DataError, match=f"column '{column}' is not one that is read; did you mean"):
        reader(path)


def test_a_long_cell_is_read_and_no_error_shows_all_of_it(tmp_path):
    long = "x" * 200_000
    path = csv_of(tmp_path, f'concept,effective_count,notes\na,5,"{long}"\n')
    assert read_counts(path, ["a"]) == {"a": 5}
    for text in (
        f"concept,effective_count\na,{long}\n",
        f"concept,effective_count\n{long},no\n",
        f"concept,{long}\na,5\n",
        f'concept,effective_count\n"{long}" x,5\n',
        f"concept,effective_count\n{long},5\n{long},6\n",
    ):
        with pytest.raises(DataError) as problem:
            read_counts(csv_of(tmp_path, text), ["a"])
        assert len(str(problem.value)) < 800
        assert "(200,00" in str(problem.value)


def test_a_table_with_a_long_cell_is_shown(tmp_path, capsys):
    assert main(["reports", "show", str(csv_of(tmp_path, f"concept,notes\na,{'x' * 200_000}\n"))]) == 0
    assert capsys.readouterr().out.count("x") == 200_000


def test_invisible_characters_are_shown_as_escapes_and_a_second_byte_order_mark_is_none(tmp_path, capsys):
    path = tmp_path / "t.csv"
    path.write_text("\ufeff\ufeffconcept,effective_count\na,5\n\u200bb,6\n", encoding="utf-8")
    assert read_counts(path, ["a"]) == {"a": 5}
    assert r"'\u200bb'" in capsys.readouterr().err
    with pytest.raises(DataError, match=r"no count of b \(it has '\\u200bb' for b\)"):
        read_counts(path, ["b"])
    csv_of(tmp_path, "x,\u200bconcept,effective_count\n,a,5\n")
    with pytest.raises(DataError, match=r"found: x, '\\u200bconcept', effective_count\); rename '\\u200bconcept'"):
        read_counts(path, ["a"])


def test_one_row_is_what_is_meant_by_one_concept_at_most(tmp_path):
    path = csv_of(tmp_path, "concept,effective_count\nPainter J,3\n")
    with pytest.raises(DataError, match=r"no count of painter-g, painter-j \(it has Painter J for painter-j\)"):
        read_counts(path, ["painter-g", "painter-j"])


def test_it_is_said_how_many_more_counts_are_missing(tmp_path):
    path = csv_of(tmp_path, "concept,effective_count\nx,3\n")
    with pytest.raises(DataError, match="no count of a, b, c, d, e and 2 more; add a row for each"):
        read_counts(path, list("abcdefg"))


def test_names_are_paired_one_to_one_and_the_nearest_first():
    assert paired(["vermer", "vermeer-j"], ["vermeer"]) == {"vermer": "vermeer"}
    assert paired(["a-long-name", "another"], ["nothing-like-it"]) == {}
    assert paired(["painter-a", "painter-b"], ["painter-b-", "painter-x"]) == {
        "painter-a": "painter-x",
        "painter-b": "painter-b-",
    }


def test_a_part_of_one_name_alone_is_what_is_meant():
    assert nearest("monet", ["claude-monet", "edgar-degas"]) == "claude-monet"
    assert nearest("van", ["van-gogh", "van-eyck"]) is None
    assert nearest("!", ["claude-monet"]) is None


def test_a_folder_in_place_of_a_table_of_scores_names_one_in_it(tmp_path):
    with pytest.raises(DataError, match="this is a folder; name a table of scores; a study has them in results/scores"):
        read_table(tmp_path)
    place = tmp_path / "results" / "scores" / "model"
    place.mkdir(parents=True)
    (place / "people.parquet").write_bytes(b"")
    with pytest.raises(DataError, match=r"name the table in it: .*results/scores/model/people.parquet"):
        read_table(tmp_path)
    (place / "styles.parquet").write_bytes(b"")
    with pytest.raises(DataError, match=r"people.parquet or another of the 2 there"):
        read_table(tmp_path / "results" / "scores")


def test_a_number_of_an_option_is_not_in_a_row():
    with pytest.raises(DataError, match="'abc', not a number; write one with digits; or give a number") as error:
        read_threshold("abc")
    assert "row" not in str(error.value)


def test_a_number_of_an_option_is_refused_by_its_flag(tmp_path, capsys):
    out = ["--place", str(tmp_path), "--out", str(tmp_path / "a.parquet")]
    with pytest.raises(SystemExit):
        main(["images", "import", "--concepts", "a", *out, "--decoders", "0"])
    assert "argument --decoders: '0' is not a whole number of at least 1" in capsys.readouterr().err


# --- counts that are scaled or estimated ------------------------------------------------------------------------------

CAPTIONS = "concept,captions,skipped_rows,skipped_shards\na,20,3,1\nb,10,3,1\n"
COUNTS = "concept,captions,effective_count,low,high\na,10,5,4,7\nb,0,0,0,0\n"


def test_counts_are_scaled_by_captions(tmp_path, capsys):
    captions, counts = csv_of(tmp_path, CAPTIONS, "k.csv"), csv_of(tmp_path, COUNTS, "c.csv")
    rows = scale_counts(captions, counts).to_pylist()
    kept = ("concept", "captions", "effective_count", "low", "high", "skipped_rows", "skipped_shards")
    assert [tuple(row[name] for name in kept) for row in rows] == [("a", 20, 10, 8, 14, 3, 1), ("b", 10, 0, 0, 0, 3, 1)]
    assert "concepts without captions there, so that their counts stay 0 whatever" in capsys.readouterr().err
    bare = csv_of(tmp_path, "concept,captions,effective_count\na,10,5\n", "c.csv")
    (row,) = scale_counts(captions, bare).to_pylist()
    assert (row["effective_count"], row["low"], row["high"]) == (10, None, None)


@pytest.mark.parametrize(
    ("captions", "counts", "said"),
    [
        (CAPTIONS + "a,9,0,0\n", COUNTS, r"k\.csv, line 4: concept 'a' is in line 2 too"),
        (CAPTIONS, COUNTS + "a,10,6,5,7\n", r"c\.csv, line 4: concept 'a' is in line 2 too"),
        (CAPTIONS.replace("20", "10.5"), COUNTS, r"k\.csv, line 2, concept 'a': captions is '10\.5', not a count"),
        (CAPTIONS.replace("20", "many"), COUNTS, r"k\.csv, line 2, concept 'a': captions is 'many', not a number"),
        (CAPTIONS.replace("20", ""), COUNTS, r"k\.csv, line 2, concept 'a': captions is empty"),
        (CAPTIONS, COUNTS.replace("a,10,5", "a,,5"), r"c\.csv, line 2, concept 'a': captions is empty"),
        (CAPTIONS, COUNTS.replace("a,10,5", "a,0,5"), r"c\.csv, concept 'a': an effective count of 5 in 0 captions"),
        (CAPTIONS, COUNTS.replace("4,7", "6,7"), r"c\.csv, line 2, concept 'a': the count 5 is not within"),
        ("concept,captions\nA,20\n", COUNTS, r"k\.csv: no row of 'a' \(is A of it\?\)"),
        (CAPTIONS, "concept,effective_count\na,5\n", r"c\.csv, line 1: no column 'captions'"),
        (
            f"concept,captions\na,{2**63 - 1}\nb,1\n",
            COUNTS.replace("5,4,7", "15,4,17"),
            r"c\.csv, concept 'a': its counts, times .* are more than any",
        ),
    ],
)
def test_tables_that_can_not_be_scaled_are_refused_with_file_and_row(tmp_path, capsys, captions, counts, said):
    captions, counts = csv_of(tmp_path, captions, "k.csv"), csv_of(tmp_path, counts, "c.csv")
    with pytest.raises(DataError, match=said):
        scale_counts(captions, counts)
    out = tmp_path / "o.parquet"
    assert main(["counts", "scale", "--captions", str(captions), "--counts", str(counts), "--out", str(out)]) == 1
    assert not out.exists()
