"""The threshold by which images are counted."""

import json

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fit.cli.main import main
from fit.errors import DataError
from fit.missed.measure import MISSED
from fit.sensitivity.counted import over_counts, without_errors
from fit.thresholds.scores import sort_scores

NAMES = [f"c{i:02d}" for i in range(40)]
COUNTS = np.arange(40) * 10 + 30
FOUND = {"estimator": "one_change", "penalty": 0.9, "threshold": 230.0}


@pytest.fixture
def table():
    """40 concepts of 30 to 420 images; the score jumps at 230."""
    scores = np.where(COUNTS >= 230, 1.0, 0.0) + np.random.default_rng(0).normal(0, 0.05, 40)
    return sort_scores(NAMES, COUNTS, scores)


@pytest.fixture
def counts(tmp_path):
    """Counts of which 20 images are false each; of the first concept, the recogniser's errors are unknown."""
    corrected = [None, *(int(count) - 20 for count in COUNTS[1:])]
    columns = {"concept": NAMES, "effective_count": COUNTS, "low": COUNTS - 5, "high": COUNTS + 5}
    columns |= {"corrected_count": corrected}
    columns |= {
        f"corrected_{end}": [c if c is None else c + by for c in corrected] for end, by in (("low", -9), ("high", 9))
    }
    pl.DataFrame(columns).write_parquet(tmp_path / "counts.parquet")
    return tmp_path / "counts.parquet"


@pytest.fixture
def missed(tmp_path):
    """Captions miss 100 images of each concept, 30 of them by the recogniser's errors."""
    row = {"unnamed_captions": 9, "downloaded": 9, "matches": 1, "share": 0.1, "share_low": 0.0, "share_high": 0.2}
    for name, value in (("missed", 100), ("corrected_missed", 70)):
        row |= {name: value, f"{name}_low": value - 5, f"{name}_high": value + 5}
    rows = [row | {"concept": name} for name in NAMES]
    pq.write_table(pa.Table.from_pylist(rows, schema=MISSED), tmp_path / "missed.parquet")
    return tmp_path / "missed.parquet"


def test_counts_without_errors_have_their_own_intervals_and_leave_out_what_is_unknown(table, counts):
    found = without_errors(table, counts)
    assert found.concepts.tolist() == NAMES[1:]
    assert found.counts.tolist() == (COUNTS[1:] - 20).tolist()
    assert found.evidence[:, 3].tolist() == (COUNTS[1:] - 29).tolist()
    assert found.scores.tolist() == table.scores[1:].tolist()


def test_each_way_to_count_moves_the_threshold_by_as_many_images(table, counts, missed):
    answers = {one["setting"]: one for one in over_counts(table, counts, missed, FOUND, 50, 0)}
    thresholds = {setting: one["threshold"] for setting, one in answers.items()}
    assert thresholds == {
        "effective counts": 230,
        "without the recogniser's errors": 210,
        "with what captions miss": 330,
        "with what captions miss, without the recogniser's errors in it": 300,
    }
    assert [one["concepts"] for one in answers.values()] == [40, 39, 40, 40]
    assert [setting for setting, one in answers.items() if one["in_use"]] == ["effective counts"]
    assert sum(one["weight"] for one in answers.values()) == pytest.approx(1)
    for one in answers.values():
        low, high = one["interval"]
        assert low < one["threshold"] <= high


def test_without_other_counts_there_is_no_choice(table, counts, tmp_path):
    assert over_counts(table, None, None, FOUND, 10, 0) == []
    bare = pl.read_parquet(counts).select("concept", "effective_count")
    bare.write_parquet(tmp_path / "bare.parquet")
    assert over_counts(table, tmp_path / "bare.parquet", None, FOUND, 10, 0) == []


def test_what_was_missed_of_other_concepts_is_refused(table, missed, tmp_path):
    pq.write_table(pq.read_table(missed).slice(0, 30), tmp_path / "part.parquet")
    with pytest.raises(DataError, match="what was missed of c30, "):
        over_counts(table, None, tmp_path / "part.parquet", FOUND, 10, 0)


@pytest.mark.slow
def test_text_and_data_of_the_sensitivity_have_the_strip(table, counts, missed, tmp_path, capsys):
    scores, threshold, out = tmp_path / "scores.csv", tmp_path / "threshold.json", tmp_path / "out.json"
    columns = {"concept": table.concepts, "effective_count": table.counts, "score": table.scores}
    pl.DataFrame(columns).write_csv(scores)
    words = ["--resamples", "20", "--estimators", "one_change", "--out", str(threshold)]
    assert main(["thresholds", "detect", str(scores), *words]) == 0
    capsys.readouterr()
    words = ["--counts", str(counts), "--missed", str(missed), "--resamples", "20", "--out", str(out)]
    words += ["--figure", str(tmp_path / "f.png")]
    assert main(["sensitivity", "measure", str(scores), "--threshold", str(threshold), *words]) == 0
    said = capsys.readouterr().out
    assert "images that are counted: the study's is the paper's: 230; else 210, 330, 300" in said
    assert "  without the recogniser's errors: 210 (" in said
    answers = json.loads(out.read_text())["choices"]["counts"]["answers"]
    assert [one["threshold"] for one in answers] == [230, 210, 330, 300]
