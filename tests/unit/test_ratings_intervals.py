"""Intervals of what ratings say: over raters and concepts, given the count, and on each side of the threshold."""

import json

import numpy as np
import pytest
from scipy.stats import spearmanr

from fit.cli.main import main
from fit.ratings.agreement import alpha_interval, krippendorff_alpha
from fit.ratings.correlation import correlate, given_count, overall, spearman, two_way_interval
from fit.ratings.report import make_report
from fit.ratings.resampling import RatedConcepts, rated_concepts
from fit.ratings.store import Rating
from fit.ratings.threshold import add_intervals, find_threshold, from_0_to_1

NONE = np.nan


def study(rng, raters=3, concepts=60, pictures=2, differ=0.0, see_step=True):
    """Raters of concepts whose scores step up at 100 images."""
    counts = np.sort(np.floor(10 ** rng.uniform(0, 4, concepts)))
    step = np.where(counts >= 100, 1.0, -1.0)
    seen = step + rng.normal(0, 0.4, concepts)
    scores = 0.3 + 0.15 * seen + rng.normal(0, 0.05, concepts)
    # What a rater sees beside what all see: a feature of the concept that the score does not have.
    own = rng.normal(0, differ, (raters, 3)) @ rng.normal(size=(3, concepts))
    slopes = 1 + rng.normal(0, differ / 2, (raters, 1))
    rating = 3 + slopes * (seen if see_step else rng.permutation(seen)) + own
    given = np.repeat(rating, pictures, axis=1)
    given = np.clip(np.rint(given + rng.normal(0, 0.6, given.shape)), 1, 5)
    return RatedConcepts(counts, scores, given, np.repeat(np.arange(concepts), pictures))


# --- drawing again ----------------------------------------------------------------------------------------------------


def test_a_picture_has_one_weight_whatever_its_raters_and_resamples_keep_to_that():
    given = np.array([[5, 1, 2], [3, NONE, 4]])
    rated = RatedConcepts(np.array([1, 2]), np.array([0.1, 0.2]), given, np.array([0, 0, 1]))
    assert rated.means.tolist() == [2.5, 3.0]
    found = {tuple(means) for _, drawn in rated.resample(500, np.random.default_rng(0), True) for means in drawn}
    # By both, by the first rater alone, or by the second alone; and each concept twice, or both.
    of_concepts = [(2.5, 3.0), (3.0, 2.0), (3.0, 4.0)]
    assert found == {(a, b) for pair in of_concepts for a in pair for b in pair}


def test_a_resample_has_only_concepts_that_a_drawn_rater_rated():
    given = np.array([[1.0, 2.0, NONE, NONE], [NONE, NONE, 3.0, 4.0]])
    rated = RatedConcepts(np.arange(4), np.arange(4) / 10, given, np.arange(4))
    for rows, means in rated.resample(200, np.random.default_rng(0), True):
        assert np.isfinite(means).all()
        assert (means == rows + 1).all()
        assert {tuple(np.unique(of_one)) for of_one in rows} >= {(0, 1), (2, 3)} or len(rows) < 200


def test_the_order_of_ratings_and_the_names_of_files_do_not_matter(tmp_path):
    rng = np.random.default_rng(0)
    rows = [(rater, f"c{i:02d}", n, rng.integers(1, 6)) for rater in "AB" for i in range(15) for n in range(2)]
    scores = [f"c{i:02d},{i // 3},{i / 15}" for i in range(15)]
    (tmp_path / "s.csv").write_text("\n".join(["concept,effective_count,score", *scores]))
    found = []
    for order in (rows, rows[::-1]):
        lines = [",".join(map(str, row)) for row in order]
        (tmp_path / "r.csv").write_text("\n".join(["rater,concept,image_id,rating", *lines]))
        found.append(make_report([tmp_path / "r.csv"], tmp_path / "s.csv", penalty=0.9, resamples=50, seed=0))
    assert found[0] == found[1]


def test_taking_concepts_leaves_out_raters_who_rated_none_of_them():
    ratings = [Rating("A", "x", "", "1", 2), Rating("B", "y", "", "1", 4), Rating("B", "y", "", "2", 5)]
    rated = rated_concepts(ratings, {"x": (1, 0.1), "y": (9, 0.9)}, ["x", "y"])
    part = rated.take(np.array([False, True]))
    assert (part.raters, part.means.tolist(), part.concept_of.tolist()) == (1, [4.5], [0, 0])


# --- correlation ------------------------------------------------------------------------------------------------------


def test_the_partial_correlation_is_that_of_what_counts_do_not_say_of_the_ranks():
    rng = np.random.default_rng(1)
    counts, scores, means = rng.normal(size=(3, 80)) + rng.normal(size=80)
    ranks = [np.argsort(np.argsort(values)) for values in (counts, scores, means)]
    design = np.stack([np.ones(80), ranks[0]], axis=1)
    rest = [rank - design @ np.linalg.lstsq(design, rank, rcond=None)[0] for rank in ranks[1:]]
    assert given_count(counts, scores, means) == pytest.approx(np.corrcoef(*rest)[0, 1])
    assert overall(counts, scores, means) == pytest.approx(spearmanr(scores, means).statistic)


def test_a_correlation_that_is_all_step_is_seen_to_be_that(tmp_path, capsys):
    """Score and people see the same step, and nothing else alike."""
    rng = np.random.default_rng(2)
    counts = np.unique(np.floor(10 ** np.linspace(0, 4, 200))).astype(int)
    scores = np.where(counts >= 100, 0.6, 0.2) + rng.normal(0, 0.05, len(counts))
    lines = [f"c{i},{count},{score}" for i, (count, score) in enumerate(zip(counts, scores, strict=True))]
    (tmp_path / "s.csv").write_text("\n".join(["concept,effective_count,score", *lines]))
    seen = np.where(counts >= 100, 3.9, 2.1) + rng.normal(0, 0.5, len(counts))
    lines = [
        f"r{rater},c{i},p{n},{int(np.clip(np.rint(of_concept + rng.normal(0, 0.5)), 1, 5))}"
        for rater in range(5)
        for i, of_concept in enumerate(seen)
        for n in range(3)
    ]
    (tmp_path / "r.csv").write_text("\n".join(["rater,concept,image_id,rating", *lines]))
    files = ["--ratings", str(tmp_path / "r.csv"), "--table", str(tmp_path / "s.csv")]
    assert main(["ratings", "report", *files, "--resamples", "200", "--out", str(tmp_path / "o.json")]) == 0
    found = json.loads((tmp_path / "o.json").read_text())["correlation"]
    assert found["interval"][0] > 0.5
    for side in ("below", "above"):
        assert found["sides"][side]["interval"][0] < 0 < found["sides"][side]["interval"][1]
    said = capsys.readouterr().out
    assert "score and people agree on which concepts have many images" in said
    at = found["sides"]["threshold_on_scores"]
    assert f"among concepts below {at} images" in said and "for 5 other raters" in said


def test_one_rater_says_nothing_of_others_and_few_concepts_give_no_interval():
    found = correlate(study(np.random.default_rng(0), raters=1), overall, resamples=100, seed=0)
    assert found["interval"] is None and "one rater" in found["reason"]
    assert found["interval_of_these_raters"][0] < found["spearman"] < found["interval_of_these_raters"][1]
    few = correlate(study(np.random.default_rng(0), concepts=9), overall, resamples=100, seed=0)
    assert few["interval"] is few["interval_of_these_raters"] is None
    assert "too few concepts for an interval: 9, at least 10" in few["reason"]


def test_what_does_not_exist_is_none_with_the_reason():
    rng = np.random.default_rng(0)
    flat = study(rng)
    same = RatedConcepts(flat.counts, flat.scores, np.full(flat.given.shape, 3.0), flat.concept_of)
    assert correlate(same, overall, resamples=50, seed=0)["reason"] == "all ratings are the same"
    same = RatedConcepts(np.full(60, 7.0), flat.scores, flat.given, flat.concept_of)
    found = correlate(same, given_count, resamples=50, seed=0)
    assert (found["spearman"], found["reason"]) == (None, "all counts are the same")
    exact = RatedConcepts(flat.counts, flat.counts, flat.given, flat.concept_of)
    assert correlate(exact, given_count, resamples=50, seed=0)["spearman"] is None
    assert two_way_interval(1.0, np.ones(50), np.ones(50), raters=3, concepts=20) is None
    assert two_way_interval(0.5, np.full(50, NONE), np.full(50, 0.5), raters=3, concepts=20) is None


# --- alpha ------------------------------------------------------------------------------------------------------------


def test_the_interval_of_alpha_encloses_it_and_draws_pictures_of_a_concept_together():
    rated = study(np.random.default_rng(3), raters=4, pictures=1)
    # Four copies of a picture say as much as one.
    given, concept_of = np.repeat(rated.given, 4, axis=1), np.repeat(rated.concept_of, 4)
    draws = {"resamples": 300, "seed": 0, "fewest": 10}
    for metric in ("nominal", "ordinal", "interval"):
        low, high = alpha_interval(given, metric, concept_of, **draws)
        assert low < krippendorff_alpha(given, metric) < high
        once = alpha_interval(rated.given, metric, rated.concept_of, **draws)
        assert [low, high] == pytest.approx(once, abs=0.01)
        apart = alpha_interval(given, metric, np.arange(len(concept_of)), **draws)
        assert high - low > 1.6 * (apart[1] - apart[0])


def test_an_interval_of_alpha_needs_units_that_two_raters_rated():
    alone = np.array([[1.0, 2.0, 3.0, 4.0] * 5, [NONE] * 20])
    draws = {"resamples": 100, "seed": 0, "fewest": 10}
    assert alpha_interval(alone, "ordinal", np.arange(20), **draws) is None
    nine = np.where(np.arange(20) < 9, np.array([[1.0], [2.0]]), NONE)
    assert alpha_interval(nine, "ordinal", np.arange(20), **draws) is None
    assert alpha_interval(np.full((2, 20), 3.0), "ordinal", np.arange(20), **draws) is None
    assert alpha_interval(np.empty((0, 0)), "ordinal", np.empty(0, int), **draws) is None


# --- threshold --------------------------------------------------------------------------------------------------------


def threshold_of(rated, penalty=0.9):
    found = find_threshold(rated.counts, from_0_to_1(rated.means), penalty=penalty, permutations=200, seed=0)
    add_intervals(found, rated, penalty=penalty, resamples=200, seed=0)
    return found


def test_the_threshold_on_ratings_has_an_interval_that_is_wider_where_raters_differ():
    alike = threshold_of(study(np.random.default_rng(4), raters=4))
    differ = threshold_of(study(np.random.default_rng(4), raters=4, differ=0.6))
    for found in (alike, differ):
        low, high = found["one_change"]["interval"]
        assert low < found["one_change"]["threshold"] <= high
    assert alike["interval"][0] < 100 <= alike["interval"][1]
    assert np.ptp(np.log1p(differ["one_change"]["interval"])) > np.ptp(np.log1p(alike["one_change"]["interval"]))


def test_ratings_that_do_not_depend_on_the_count_have_no_threshold():
    found = threshold_of(study(np.random.default_rng(5), see_step=False), penalty=5)
    assert found["p_value"] > 0.05
    assert found["threshold"] is found["interval"] is None
    assert found["one_change"]["threshold"] is found["one_change"]["interval"] is None


def test_ratings_that_fall_are_said_to_fall(tmp_path, capsys):
    scores = [f"c{i:02d},{i},{0.2 + 0.4 * (i > 15)}" for i in range(30)]
    (tmp_path / "s.csv").write_text("\n".join(["concept,effective_count,score", *scores]))
    lines = [f"{rater},c{i:02d},p,{5 - 3 * (i > 15)}" for rater in "AB" for i in range(30)]
    (tmp_path / "r.csv").write_text("\n".join(["rater,concept,image_id,rating", *lines]))
    files = ["--ratings", str(tmp_path / "r.csv"), "--table", str(tmp_path / "s.csv")]
    assert main(["ratings", "report", *files, "--resamples", "50", "--out", str(tmp_path / "o.json")]) == 0
    assert "threshold on ratings (0 to 1, penalty 0.9): 16 images" in (said := capsys.readouterr().out)
    assert "they fall there: this is not a threshold of imitation" in said
    assert json.loads((tmp_path / "o.json").read_text())["threshold"]["ratings"]["falls"] is True


# --- coverage ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("raters", [2, 5])
def test_an_interval_over_raters_and_concepts_holds_what_other_raters_find_where_one_over_concepts_does_not(raters):
    rng = np.random.default_rng([6, raters])
    truth = np.mean(
        [float(spearman(of.scores, of.means)) for of in (study(rng, raters, 2000, 2, 1.2) for _ in range(60))]
    )
    held = []
    for seed in range(100):
        found = correlate(study(rng, raters, 60, 2, 1.2), overall, resamples=150, seed=seed)
        ends = found["interval"], found["interval_of_these_raters"]
        held.append([low <= truth <= high for low, high in ends])
    both, concepts = np.mean(held, axis=0)
    assert both >= 0.88
    assert concepts < 0.75
