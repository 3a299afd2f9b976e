"""What is found in concept sheets."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fit.cli.main import main
from fit.concepts.check import ALIKE, check, nearly_alike
from fit.concepts.sheet import read_sheet

SHEETS = sorted(Path(__file__).parents[2].glob("concepts/*.tsv"))


def test_the_sheets_that_ship_have_no_errors():
    found = check(SHEETS)
    assert found.errors == []
    rows = {Path(row["sheet"]).stem: row["rows"] for row in found.summary}
    assert rows["celebrities"] == rows["politicians"] == 400
    assert len(rows) == len(SHEETS)


@pytest.mark.parametrize("domain", ["celebrities", "politicians"])
def test_the_sheets_of_people_are_in_order_and_in_two_groups(domain):
    (path,) = (path for path in SHEETS if path.stem == domain)
    concepts = read_sheet(path)
    slugs = [concept.slug for concept in concepts]
    assert slugs == sorted(slugs)
    groups = Counter(concept.group for concept in concepts)
    assert set(groups) <= {"woman", "man", ""}
    assert min(groups["woman"], groups["man"]) > 150


def test_a_summary_counts_rows_aliases_and_groups(sheet):
    path = sheet(
        "a.tsv", "ann-lee\tAnn Lee\tA. Lee|Annie Lee\twoman", "bo\tBo\t\tman", "cy-ng\tCy Ng\t\tman", "di-oh\tDi Oh"
    )
    (row,) = check([path]).summary
    assert row == {
        "sheet": path,
        "rows": 4,
        "aliases": 2,
        "one word": 1,
        "groups": "man 2, woman 1",
        "without group": 1,
    }


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("ann\tANN  LÉE", ["'ann'", "'ANN  LÉE'", "'ann-lee'", "'Ann Lee'"]),  # a name, but for case and accents
        ("bob-ray\tBob Ray\tAnn-Lee", ["'bob-ray'", "'Ann-Lee'", "'ann-lee'"]),  # an alias and a name
        ("annie\tAnnie Lee", ["'annie'", "'ann-lee'", "'Annie Lee'"]),  # a name and an alias
        ("bob-ray\tBob Ray\tAnnie Lee", ["'bob-ray'", "'ann-lee'"]),  # two aliases
        ("bob-ray\tBob Ray\t...", ["'bob-ray'", "'...'", "no letter or digit"]),
    ],
)
@pytest.mark.parametrize("sheets", [1, 2])
def test_names_that_stand_twice_are_errors_within_a_sheet_and_across_sheets(sheet, row, said, sheets):
    first = "ann-lee\tAnn Lee\tAnnie Lee"
    paths = [sheet("a.tsv", first, row)] if sheets == 1 else [sheet("a.tsv", first), sheet("b.tsv", row)]
    (error,) = check(paths).errors
    for words in [paths[-1], *said]:
        assert words in error


def test_spellings_of_one_concept_are_no_error(sheet):
    path = sheet("a.tsv", "ann-lee\tAnn Lée\tAnn Lee|Ann Lee Roy")
    assert check([path]).errors == []


def test_a_slug_in_two_sheets_is_one_error(sheet):
    paths = [sheet("a.tsv", "ann-lee\tAnn Lee"), sheet("b.tsv", "ann-lee\tAnn Lee")]
    (error,) = check(paths).errors
    assert all(words in error for words in [*paths, "'ann-lee'"])


def test_a_broken_sheet_is_an_error_and_the_others_are_looked_at(sheet, tmp_path):
    bad = sheet("bad.tsv", "ann\tAnn Lee", "ann\tAnn Ray")
    good = sheet("good.tsv", "bo\tBo\t...")
    found = check([str(tmp_path / "none.tsv"), bad, good])
    for error, words in zip(found.errors, ["no such concept sheet", "line 2", "no letter"], strict=True):
        assert words in error
    assert [row["sheet"] for row in found.summary] == [good]


def test_one_word_and_near_duplicates_are_warnings(sheet):
    path = sheet(
        "a.tsv", "drake\tDrake", "ann-leeson\tAnn Leeson\tAnn M. Leeson", "anne-leeson\tAnne Leeson", "bo\tBo Ng"
    )
    found = check([path])
    assert found.errors == []
    one_word, alike = found.warnings
    assert "one word" in one_word and "Drake" in one_word and "Leeson" not in one_word
    assert "'Ann Leeson'" in alike and "'Anne Leeson'" in alike and "0.95" in alike


def test_many_names_that_are_nearly_alike_are_one_line(sheet):
    rows = [f"painter-number-{letter}\tPainter With A Longer Number {letter}{letter}" for letter in "abcdefghijklmn"]
    path = sheet("a.tsv", *rows, "ann-leeson\tAnn Leeson\tAnn M. Leeson", "anne-leeson\tAnne Leeson\tAnne M. Leeson")
    many, two = [warning for warning in check([path]).warnings if "nearly alike" in warning]
    assert many.startswith("14 concepts have names that are nearly alike (0.")
    assert all(
        f"'Painter With A Longer Number {letter}{letter}' (painter-number-{letter} in {path})" in many
        for letter in "an"
    )
    assert two.startswith(f"'Ann Leeson' (ann-leeson in {path}) and 'Anne Leeson'")


def longest_common(one, other):
    """The length of the longest common subsequence, by the textbook."""
    lengths = [0] * (len(other) + 1)
    for character in one:
        diagonal = 0
        for place, of_other in enumerate(other, 1):
            diagonal, lengths[place] = (
                lengths[place],
                diagonal + 1 if character == of_other else max(lengths[place], lengths[place - 1]),
            )
    return lengths[-1]


@pytest.mark.slow
@settings(deadline=None)
@given(st.lists(st.text("ab é", min_size=1, max_size=25), unique=True, max_size=12))
def test_nearly_alike_finds_what_comparing_all_pairs_finds(names):
    ratios = [
        (i, j, 2 * longest_common(names[i], names[j]) / len(names[i] + names[j]))
        for i in range(len(names))
        for j in range(i + 1, len(names))
    ]
    found = nearly_alike(names)
    expected = [pair for pair in ratios if pair[2] >= ALIKE]
    assert [pair[:2] for pair in found] == [pair[:2] for pair in expected]
    assert [pair[2] for pair in found] == pytest.approx([pair[2] for pair in expected])


def test_check_ends_with_1_on_errors_only(sheet, capsys):
    good = sheet("a.tsv", "drake\tDrake\t\tman")
    assert main(["concepts", "check", good]) == 0
    said = capsys.readouterr()
    assert "without group" in said.out and "man 1" in said.out
    assert "one word" in said.err
    assert main(["concepts", "check", good, sheet("b.tsv", "drake\tJohn Drake")]) == 1
    said = capsys.readouterr()
    assert "named above: 1" in said.err and "'drake'" in said.err and "Traceback" not in said.err
    assert "man 1" in said.out
