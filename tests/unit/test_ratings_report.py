"""Agreement of raters, and the comparison of their ratings with scores."""

import json
from itertools import product

import numpy as np
import pytest
from printed import agree
from scipy.stats import spearmanr

from fit.cli.main import main
from fit.errors import DataError
from fit.ratings import report
from fit.ratings.agreement import krippendorff_alpha
from fit.ratings.correlation import spearman
from fit.ratings.store import Answers, Rating

NONE = np.nan
PUBLISHED = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, NONE, NONE, NONE],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NONE, 3],
    [NONE, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NONE],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NONE],
]
"""Four observers and twelve units, in Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011), section C."""


@pytest.mark.parametrize(("metric", "alpha"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_alpha_of_the_published_example(metric, alpha):
    assert krippendorff_alpha(PUBLISHED, metric) == pytest.approx(alpha, abs=5e-4)


def test_alpha_by_its_definition():
    """1 - observed / expected disagreement, summed over pairs of ratings one by one."""
    rng = np.random.default_rng(0)
    ratings = rng.integers(1, 6, (5, 30)).astype(float)
    ratings[rng.random(ratings.shape) < 0.4] = NONE
    units = [unit[~np.isnan(unit)] for unit in ratings.T]
    units = [unit for unit in units if len(unit) >= 2]
    every = np.concatenate(units)
    observed = sum(((unit[:, None] - unit) ** 2).sum() / (len(unit) - 1) for unit in units) / len(every)
    expected = ((every[:, None] - every) ** 2).sum() / (len(every) * (len(every) - 1))
    assert krippendorff_alpha(ratings, "interval") == pytest.approx(1 - observed / expected)


@pytest.mark.parametrize("metric", ["nominal", "ordinal", "interval"])
def test_alpha_at_its_ends(metric):
    assert krippendorff_alpha([[1, 2, 5], [1, 2, 5]], metric) == 1
    assert krippendorff_alpha([[1, 5, 1, 5], [5, 1, 5, 1]], metric) < 0
    assert krippendorff_alpha([[1, 2, 5]], metric) is None
    assert krippendorff_alpha([[1, 2, NONE], [NONE, NONE, 4]], metric) is None
    assert krippendorff_alpha([[3, 3, 3], [3, 3, 3]], metric) is None
    assert krippendorff_alpha(np.empty((0, 0)), metric) is None


def test_alpha_looks_only_at_units_with_two_ratings():
    ratings = np.array([[1, 2, 4, 4], [1, 3, 5, 4]], float)
    alone = np.array([[5, 5, 1], [NONE] * 3])
    for metric in ("nominal", "ordinal", "interval"):
        assert krippendorff_alpha(np.hstack([ratings, alone]), metric) == krippendorff_alpha(ratings, metric)


def test_spearman_equals_scipy():
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, 6, (2, 4, 25)).astype(float)
    expected = [spearmanr(*pair).statistic for pair in zip(x, y, strict=True)]
    assert spearman(x, y) == pytest.approx(expected)


def simulate(folder, *, noise, lenient=0, concepts=60, at=30, seed=0):
    """A table in which the score steps up at `at` images, and two raters who see that, more or less."""
    rng = np.random.default_rng(seed)
    counts = np.unique(np.round(10 ** np.linspace(0, 3, concepts)).astype(int))
    scores = np.where(counts >= at, 0.6, 0.1) + rng.normal(0, 0.08, len(counts))
    lines = [f"c{i:02d},{count},{score}" for i, (count, score) in enumerate(zip(counts, scores, strict=True))]
    (folder / "scores.csv").write_text("\n".join(["concept,effective_count,score", *lines]))
    ratings = []
    for rater, bias in (("Ann", 0), ("Bo", lenient)):
        for i, score in enumerate(scores):
            for n in range(4):
                rating = int(np.clip(np.round(1 + 5 * score + bias + rng.normal(0, noise)), 1, 5))
                ratings.append(Rating(rater, f"c{i:02d}", "", f"c{i:02d}-{n}", rating))
    with Answers(folder / "ratings.csv") as answers:
        answers.add(ratings)
    return min(count for count in counts if count >= at)


def reported(folder, *options):
    arguments = ["--ratings", str(folder / "ratings.csv"), "--table", str(folder / "scores.csv")]
    assert main(["ratings", "report", *arguments, "--out", str(folder / "report.json"), *options]) == 0
    return json.loads((folder / "report.json").read_text())


def test_raters_who_see_what_the_score_says(tmp_path, capsys):
    true = simulate(tmp_path, noise=0.3)
    found = reported(tmp_path)
    assert found["ratings"] == 8 * found["concepts"] == 2 * found["pictures"]
    assert found["correlation"]["spearman"] > 0.7
    low, high = found["correlation"]["interval"]
    assert 0.5 < low < found["correlation"]["spearman"] < high <= 1
    assert found["agreement"]["alpha_ordinal"] > 0.8
    assert found["agreement"]["pictures_with_two_or_more"] == found["pictures"]
    for kind in ("ratings", "scores"):
        assert found["threshold"][kind]["threshold"] == found["threshold"][kind]["one_change"]["threshold"] == true
    on_ratings = found["threshold"]["ratings"]
    assert 0 < on_ratings["mean_below"] < 0.3 < 0.6 < on_ratings["mean_above"] < 1
    said = capsys.readouterr().out
    assert f"threshold on ratings (0 to 1, penalty 0.9): {true} images" in said
    assert f"Spearman {found['correlation']['spearman']:.2f}" in said
    given = ["--ratings", tmp_path / "ratings.csv", "--table", tmp_path / "scores.csv", "--out", tmp_path / "r.json"]
    _, printed = agree(capsys, "ratings", "report", *given)
    assert printed == found


def test_raters_who_see_nothing(tmp_path, capsys):
    simulate(tmp_path, noise=50)
    found = reported(tmp_path)
    low, high = found["correlation"]["interval"]
    assert low < 0 < high
    assert abs(found["agreement"]["alpha_ordinal"]) < 0.2
    assert found["threshold"]["scores"]["threshold"] is not None
    assert found["threshold"]["ratings"]["one_change"]["squared_error_removed"] < 0.3
    reported(tmp_path, "--penalty", "1000")
    assert "threshold on ratings (0 to 1, penalty 1000.0): no change point" in capsys.readouterr().out


def test_a_lenient_rater_costs_agreement_and_not_correlation(tmp_path):
    (tmp_path / "same").mkdir()
    (tmp_path / "lenient").mkdir()
    simulate(tmp_path / "same", noise=0.3)
    simulate(tmp_path / "lenient", noise=0.3, lenient=1.5)
    same, lenient = reported(tmp_path / "same"), reported(tmp_path / "lenient")
    assert lenient["by_rater"]["Bo"]["mean"] > lenient["by_rater"]["Ann"]["mean"] + 0.8
    assert lenient["agreement"]["alpha_interval"] < same["agreement"]["alpha_interval"] - 0.2
    assert lenient["correlation"]["spearman"] > 0.7


def write(folder, ratings, concepts=("a", "b", "c")):
    lines = [f"{concept},{10 * i},{i / 10}" for i, concept in enumerate(concepts)]
    (folder / "scores.csv").write_text("\n".join(["concept,effective_count,score", *lines]))
    lines = [",".join(map(str, row)) for row in ratings]
    (folder / "ratings.csv").write_text("\n".join(["rater,concept,image_id,rating", *lines, ""]))


def test_the_latest_answer_counts_and_a_late_skip_takes_one_back(tmp_path):
    write(tmp_path, [("Ann", "a", "x", 1), ("Ann", "b", "y", 2), ("Ann", "a", "x", 5), ("Ann", "b", "y", "")])
    found = reported(tmp_path)
    assert (found["ratings"], found["skipped"], found["mean_rating"]) == (1, 1, 5)


def test_every_picture_weighs_the_same(tmp_path):
    raters = [(rater, "a", "x", 5) for rater in ("Ann", "Bo", "Cy")]
    write(tmp_path, [*raters, ("Ann", "a", "y", 1)])
    assert reported(tmp_path)["by_concept"][0]["mean_rating"] == 3


def test_one_rater_has_nobody_to_agree_with(tmp_path, capsys):
    write(tmp_path, [("Ann", "a", "x", 1), ("Ann", "b", "y", 4), ("Ann", "c", "z", 5)])
    found = reported(tmp_path)
    assert found["agreement"]["alpha_ordinal"] is None
    assert found["correlation"]["spearman"] == pytest.approx(1)
    assert "0 pictures have two ratings or more; nothing to compare" in capsys.readouterr().out


def test_all_the_same_has_no_correlation_agreement_or_threshold(tmp_path, capsys):
    write(tmp_path, [(rater, concept, "x", 3) for rater, concept in product(("Ann", "Bo"), "abc")])
    found = reported(tmp_path)
    assert found["correlation"]["spearman"] is found["correlation"]["interval"] is None
    assert found["agreement"]["alpha_interval"] is found["threshold"]["ratings"]["threshold"] is None
    said = capsys.readouterr().out
    assert "no correlation" in said
    assert "3 pictures have two ratings or more; all of them rated alike" in said


def test_concepts_that_the_table_lacks_are_left_out_and_named(tmp_path, capsys):
    write(tmp_path, [("Ann", "a", "x", 1), ("Ann", "zoe", "y", 4)])
    found = reported(tmp_path)
    assert found["unknown_concepts"] == ["zoe"]
    assert found["ratings"] == 1
    assert "zoe" in capsys.readouterr().err
    write(tmp_path, [("Ann", "zoe", "y", 4)])
    with pytest.raises(DataError, match=r"no rating of a concept that .*rated: zoe"):
        report.make_report([tmp_path / "ratings.csv"], tmp_path / "scores.csv", penalty=0.9, resamples=9, seed=0)
