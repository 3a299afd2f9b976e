"""Counts that are scaled from another corpus and left unrounded, up to the threshold."""

import pyarrow.parquet as pq
import pytest
from concept_files import write_rows

from fit.cli.main import main
from fit.counts.estimate import read_unrounded
from fit.errors import DataError
from fit.scores.imitation import OF_PROMPT
from fit.thresholds.scores import read_table


@pytest.fixture
def study(tmp_path):
    """Counts of two concepts that are equal when rounded, and of which the first by name is the larger."""
    (tmp_path / "here.csv").write_text("concept,captions\na,13\nb,10\nc,20\n")
    (tmp_path / "there.csv").write_text("concept,captions,effective_count\na,10,10\nb,10,13\nc,10,13\n")
    (tmp_path / "sheet.tsv").write_text("concept\tname\na\tA\nb\tB\nc\tC\n")
    scores = {slug: [{"prompt": "oil", "score": 0.5, "image_scores": [0.5]}] for slug in "abc"}
    write_rows(tmp_path / "scores.parquet", scores, OF_PROMPT)
    text = (tmp_path / "there.csv").read_text().replace("a,10,10", "a,30,31")
    (tmp_path / "there.csv").write_text(text)
    return tmp_path


def scale_and_tabulate(folder, *flags):
    counts, table = str(folder / "counts.parquet"), str(folder / "table.parquet")
    given = ["--captions", str(folder / "here.csv"), "--counts", str(folder / "there.csv")]
    assert main(["counts", "scale", *given, *flags, "--out", counts]) == 0
    given = ["--counts", counts, "--scores", str(folder / "scores.parquet"), "--sheet", str(folder / "sheet.tsv")]
    assert main(["scores", "tabulate", *given, "--out", table]) == 0
    return read_table(table)


def test_unrounded_counts_reach_the_threshold_and_order_what_rounding_ties(study):
    rounded = scale_and_tabulate(study)
    assert rounded.concepts.tolist() == ["a", "b", "c"] and rounded.counts.tolist() == [13, 13, 26]
    assert "unrounded_count" not in pq.read_schema(study / "table.parquet").names
    assert read_unrounded(study / "counts.parquet") == {}
    unrounded = scale_and_tabulate(study, "--no-round-scaled")
    assert unrounded.concepts.tolist() == ["b", "a", "c"]
    assert unrounded.counts == pytest.approx([13, 31 * 13 / 30, 26])
    # Files of whole counts stay whole: others read effective_count.
    assert pq.read_table(study / "counts.parquet").column("effective_count").to_pylist() == [13, 13, 26]


def test_a_count_that_is_not_its_unrounded_one_is_refused(tmp_path):
    (tmp_path / "table.csv").write_text("concept,effective_count,score,unrounded_count\na,13,0.5,13.7\n")
    with pytest.raises(
        DataError, match=r"line 2, concept 'a': effective_count 13 is not unrounded_count 13\.7 rounded"
    ):
        read_table(tmp_path / "table.csv")
