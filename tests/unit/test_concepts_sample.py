"""Sheets that are drawn from longer ones."""

from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fit.cli.main import main
from fit.concepts.sample import Bin, equal_shares, sample
from fit.concepts.sheet import Concept, read_sheet, write_sheet
from fit.errors import DataError, SheetError

SHEETS = sorted(Path(__file__).parents[2].glob("concepts/*.tsv"))


@settings(deadline=None)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=9), st.data())
def test_shares_are_even_but_where_a_bin_has_no_more(available, data):
    size = data.draw(st.integers(0, sum(available)))
    shares = equal_shares(available, size)
    assert sum(shares) == size
    assert all(0 <= share <= most for share, most in zip(shares, available, strict=True))
    for share, most in zip(shares, available, strict=True):
        assert share == most or share >= max(shares) - 1


@pytest.fixture
def candidates(sheet, tmp_path):
    """A sheet of 5 concepts that no caption mentions, 60 mentioned 1 to 9 times, 40 10 to 99, and 30 1,000 to 9,999."""
    counts = [0] * 5 + [1, 9] * 30 + [10, 99] * 20 + [1000, 9999] * 15
    slugs = [f"c{index:03d}" for index in range(len(counts))]
    path = sheet("long.tsv", *(f'{slug}\tName {slug}\tAlias {slug}|“{slug}” "x"\tman' for slug in slugs))
    pq.write_table(pa.table({"concept": slugs, "captions": counts, "corpus_rows": counts}), tmp_path / "counts.parquet")
    lines = [f"{slug},{count}" for slug, count in zip(slugs, counts, strict=True)]
    (tmp_path / "counts.csv").write_text("\n".join(["concept,captions", *lines]))
    return path, dict(zip(slugs, counts, strict=True))


def test_a_sample_is_even_over_powers_of_ten(candidates, tmp_path):
    path, captions = candidates
    concepts, bins = sample(path, tmp_path / "counts.parquet", 80)
    # The 5 without captions all go in, the other 75 are shared equally: the rest of a bin makes no other bin smaller.
    assert bins == [
        Bin("0", candidates=5, drawn=5),
        Bin("1 to 9", candidates=60, drawn=25),
        Bin("10 to 99", candidates=40, drawn=25),
        Bin("1,000 to 9,999", candidates=30, drawn=25),
    ]
    digits = Counter(len(str(captions[concept.slug])) if captions[concept.slug] else 0 for concept in concepts)
    assert digits == {0: 5, 1: 25, 2: 25, 4: 25}
    slugs = [concept.slug for concept in concepts]
    assert slugs == sorted(set(slugs))
    assert set(concepts) <= set(read_sheet(path))


def test_a_sample_repeats_with_its_seed_whatever_the_order_and_the_format(candidates, sheet, tmp_path):
    path, _ = candidates
    rows = Path(path).read_text().splitlines()[1:]
    drawn = sample(path, tmp_path / "counts.parquet", 40, seed=3)
    assert sample(sheet("turned.tsv", *reversed(rows)), tmp_path / "counts.csv", 40, seed=3) == drawn
    assert sample(path, tmp_path / "counts.parquet", 40, seed=4)[0] != drawn[0]


def test_all_candidates_can_be_drawn_but_no_more(candidates, tmp_path):
    path, captions = candidates
    assert sample(path, tmp_path / "counts.csv", len(captions))[0] == read_sheet(path)
    for size in (len(captions) + 1, 0):
        with pytest.raises(SheetError, match=f"{size} concepts can't be drawn from 135"):
            sample(path, tmp_path / "counts.csv", size)


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ("concept,captions\nann,3\n", "no count of bo"),
        ("concept,captions\nann,3\nbo,many\n", "concept 'bo': captions is 'many'"),
        ("concept,number\nann,3\n", "no column 'captions'"),
        (None, "(?i)no such file"),
    ],
)
def test_counts_that_do_not_serve(sheet, tmp_path, counts, said):
    path = tmp_path / "counts.csv"
    if counts is not None:
        path.write_text(counts)
    with pytest.raises(DataError, match=said) as error:
        sample(sheet("a.tsv", "ann\tAnn", "bo\tBo"), path, 1)
    assert str(path) in str(error.value)


def test_a_missing_sheet_of_candidates(tmp_path):
    with pytest.raises(SheetError, match="no such concept sheet"):
        sample(tmp_path / "none.tsv", tmp_path / "counts.csv", 1)


def test_a_written_sheet_reads_as_it_was(tmp_path):
    concepts = [Concept("ann", 'Ann "A" Lée', ("'A' Lee", "x\\y"), "woman"), Concept("bo", "Bo, Jr.")]
    write_sheet(concepts, tmp_path / "new" / "a.tsv")
    assert read_sheet(tmp_path / "new" / "a.tsv") == concepts


def test_the_command_writes_the_sheet_and_prints_the_bins(candidates, tmp_path, capsys):
    path, _ = candidates
    counts, out = str(tmp_path / "counts.parquet"), tmp_path / "drawn.tsv"
    arguments = ["concepts", "sample", "--candidates", path, "--counts", counts, "--out", str(out), "--seed", "7"]
    assert main([*arguments, "--size", "80"]) == 0
    assert read_sheet(out) == sample(path, counts, 80, seed=7)[0]
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["captions", "candidates", "drawn"] in lines
    assert ["1,000", "to", "9,999", "30", "25"] in lines
    out.unlink()
    assert main([*arguments, "--size", "800"]) == 1
    assert "800" in capsys.readouterr().err
    assert not out.exists()
