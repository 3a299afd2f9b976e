"""Stages that are left with no concept, one, or two: an answer or an error in words, never a traceback."""

import json
import warnings

import numpy as np
import pyarrow as pa
import pytest

from fit.cli.main import main
from fit.errors import DataError
from fit.io import parquet
from fit.matches.threshold import concept_means, find_match_threshold, no_match_threshold
from fit.reports.figures import (
    contact_sheet,
    counts_figure,
    match_threshold_figure,
    sensitivity_figure,
    threshold_figure,
)
from fit.sensitivity.measure import measure as measure_sensitivity
from fit.thresholds import describe, measure
from fit.thresholds.scores import sort_scores


@pytest.fixture(autouse=True)
def loud():
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        yield


def references(folder, kept_of):
    """References of concepts, as `fit references select` and `fit embeddings` leave them: slug -> how many are kept."""
    files = []
    for number, (slug, kept) in enumerate(kept_of.items()):
        vectors = np.eye(8, dtype=np.float32)[[number] * 3]
        ids = [f"{slug}-{i}" for i in range(3)]
        rows = {"image_id": ids, "kept": [i < kept for i in range(3)], "bytes": [b""] * 3}
        parquet.write(pa.table(rows), folder / "references" / f"{slug}.parquet")
        embedding = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), 8)
        parquet.write(pa.table({"image_id": ids, "embedding": embedding}), folder / "embeddings" / f"{slug}.parquet")
        files.append((folder / "references" / f"{slug}.parquet", folder / "embeddings" / f"{slug}.parquet"))
    return [str(left) for left, _ in files], [str(right) for _, right in files]


@pytest.mark.parametrize("kept", [{"a": 0, "b": 0}, {"a": 3, "b": 0}])
def test_too_few_concepts_for_a_cut_are_an_error_that_names_the_key(tmp_path, capsys, kept):
    left, right = references(tmp_path, kept)
    out = ["--method", "midpoint", "--out", str(tmp_path / "cut.json"), "--figure", str(tmp_path / "cut.png")]
    assert main(["matches", "threshold", "--references", *left, "--embeddings", *right, *out]) == 1
    said = capsys.readouterr().err
    assert "domains.NAME.references.least" in said
    assert "Traceback" not in said
    # Where no count or score needs it, the study goes on and the file says why there is none.
    assert main(["matches", "threshold", "--references", *left, "--embeddings", *right, *out, "--needed", "no"]) == 0
    found = json.loads((tmp_path / "cut.json").read_text())
    assert found["cut"] is None and "two concepts" in found["reason"]
    assert (tmp_path / "cut.png").stat().st_size > 1000
    report = ["reports", "write", "mine", "--cuts", str(tmp_path / "cut.json"), "--out", str(tmp_path / "report")]
    assert main(report) == 0
    assert "none: too few references" in (tmp_path / "report/report.md").read_text()


def test_two_concepts_are_enough_for_a_cut(tmp_path):
    left, right = references(tmp_path, {"a": 3, "b": 3, "c": 0})
    out = ["--method", "midpoint", "--out", str(tmp_path / "cut.json")]
    assert main(["matches", "threshold", "--references", *left, "--embeddings", *right, *out]) == 0
    assert json.loads((tmp_path / "cut.json").read_text())["cut"] == pytest.approx(0.5)


def test_a_cut_that_is_none_is_refused_by_whoever_needs_it(tmp_path, capsys):
    left, right = references(tmp_path, {"a": 3})
    (tmp_path / "cut.json").write_text(json.dumps(no_match_threshold([], [], "too few")))
    files = ["--images", right[0], "--references", left[0], "--reference-embeddings", right[0]]
    assert (
        main(["matches", "find", *files, "--cut", str(tmp_path / "cut.json"), "--out", str(tmp_path / "m.parquet")])
        == 1
    )
    assert f"{tmp_path / 'cut.json'}: no cut was found: too few" in capsys.readouterr().err


def test_no_concept_has_no_means():
    within, between = concept_means([])
    assert len(within) == len(between) == 0
    assert find_match_threshold(within, between, 0.4)["cut"] == 0.4
    with pytest.raises(DataError, match="no cut can be found"):
        find_match_threshold(within, between, "best_f1")


@pytest.mark.parametrize("number", [0, 1, 2, 3])
def test_a_threshold_of_few_concepts_is_none_for_a_reason(tmp_path, number):
    scores = sort_scores([f"c{i}" for i in range(number)], range(number), np.linspace(0.1, 0.5, number))
    found = measure(scores, penalty=0.9, resamples=10, seed=0)
    assert found["threshold"] is None
    assert f"too few concepts: {number}" in " ".join(describe(found))
    for name in ("a.png", "b.png", "c.png", "d.png", "e.png"):
        (tmp_path / name).touch()
    threshold_figure(scores.counts, scores.scores, found, "t", tmp_path / "a.png")
    counts_figure(np.arange(number), "t", tmp_path / "b.png")
    contact_sheet([], tmp_path / "c.png", "t")
    match_threshold_figure(np.zeros(0), np.zeros(0), None, ("x", "y", "z"), tmp_path / "d.png", "same or not")
    sensitivity = measure_sensitivity(scores, found)
    names = {key: (key, "") for key in sensitivity["choices"]}
    sensitivity_figure(sensitivity, names, "t", tmp_path / "e.png")
