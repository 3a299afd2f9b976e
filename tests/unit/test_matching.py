import numpy as np
import pytest

from fit.counts.estimate import effective_count
from fit.errors import DataError
from fit.matches.similarity import highest_similarity
from fit.matches.threshold import concept_means, find_match_threshold, roc_auc
from fit.scores.imitation import choose_targets, imitation_score


def unit(rows):
    rows = np.asarray(rows, np.float32)
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def test_concept_means_are_means_over_pairs_of_images():
    rng = np.random.default_rng(0)
    concepts = [unit(rng.normal(size=(n, 5))) for n in (4, 2, 3, 1)]
    within, between = concept_means(concepts)
    expected = [np.mean([a @ b for i, a in enumerate(c) for j, b in enumerate(c) if i != j]) for c in concepts[:3]]
    assert within == pytest.approx(expected, abs=1e-6)
    pairs = [(i, j) for i in range(4) for j in range(i + 1, 4)]
    assert between == pytest.approx([np.mean(concepts[i] @ concepts[j].T) for i, j in pairs], abs=1e-6)


def test_both_cuts_and_how_well_they_tell_apart():
    positive, negative = np.array([0.6, 0.7, 0.8, 0.9]), np.array([-0.1, 0.0, 0.1, 0.2])
    found = find_match_threshold(positive, negative, "midpoint")
    assert found["match_threshold"] == pytest.approx(0.4)
    assert (found["tpr"], found["fpr"], found["roc_auc"]) == (1, 0, 1)
    assert found["best_f1"] == pytest.approx(0.4)
    assert find_match_threshold(positive, negative, 0.65)["tpr"] == 0.75
    with pytest.raises(DataError, match="two concepts"):
        find_match_threshold(positive, np.array([]), "midpoint")


def test_a_given_cut_needs_nothing_to_compare_with():
    found = find_match_threshold(np.array([0.3, 0.1]), np.array([]), 0.2)
    assert (found["match_threshold"], found["method"], found["tpr"]) == (0.2, "given", 0.5)
    assert found["fpr"] is None and found["roc_auc"] is None and found["best_f1"] is None


def test_best_f1_against_every_cut():
    rng = np.random.default_rng(1)
    positive, negative = rng.normal(1, 1, 60), rng.normal(0, 1, 90)

    def f1(match_threshold):
        tpr, tnr = (positive > match_threshold).mean(), (negative <= match_threshold).mean()
        return 2 * tpr * tnr / (tpr + tnr) if tpr + tnr else 0

    best = max(f1(match_threshold) for match_threshold in np.linspace(-4, 5, 20_000))
    assert f1(find_match_threshold(positive, negative, "best_f1")["match_threshold"]) == pytest.approx(best)


def test_equal_error_rate_is_where_both_errors_are_as_large():
    rng = np.random.default_rng(5)
    positive, negative = rng.normal(2, 1, 4000), rng.normal(0, 1, 4000)
    found = find_match_threshold(positive, negative, "midpoint")
    # Two normals, two standard deviations apart, cross half-way: Phi(-1) = 0.1587 on either side.
    assert found["equal_error_rate"] == pytest.approx(0.1587, abs=0.015)
    assert found["equal_error_threshold"] == pytest.approx(1, abs=0.1)
    match_threshold = found["equal_error_threshold"]
    assert (positive <= match_threshold).mean() == pytest.approx((negative > match_threshold).mean(), abs=1e-3)
    apart = find_match_threshold(positive + 20, negative, "midpoint")
    assert apart["equal_error_rate"] == 0 and negative.max() < apart["equal_error_threshold"] < positive.min() + 20


def test_roc_auc_counts_ties_half():
    assert roc_auc(np.array([1.0, 2.0]), np.array([1.0, 0.0])) == 0.875


def test_highest_similarity():
    rng = np.random.default_rng(2)
    vectors, references = unit(rng.normal(size=(9000, 4))), unit(rng.normal(size=(7, 4)))
    assert highest_similarity(vectors, references) == pytest.approx((vectors @ references.T).max(axis=1))
    assert (highest_similarity(vectors, references[:0]) == -1).all()
    assert len(highest_similarity(np.zeros((0, 0), np.float32), references)) == 0


def test_effective_count_corrects_for_dead_links():
    count, low, high = effective_count(matches=60, captions=1000, downloaded=80)
    assert count == 750
    assert low < 750 < high
    assert effective_count(0, 0, 0) == (0, 0, 0)
    assert effective_count(3, 50, 0)[0] == 3
    # More matching faces than images: the count may exceed the captions.
    assert effective_count(30, 20, 20)[0] == 30


def test_the_interval_of_the_effective_count_covers_the_truth():
    rng = np.random.default_rng(3)
    true = rng.random(2000) < 0.3
    covered = 0
    for _ in range(400):
        sample = rng.choice(true, 150, replace=False)
        _, low, high = effective_count(int(sample.sum()), len(true), len(sample))
        covered += low <= true.sum() <= high
    assert covered / 400 >= 0.92


def test_targets_of_styles_and_faces():
    matched, references = np.ones((11, 2)), np.zeros((5, 2))
    assert choose_targets(matched, references, "matches_or_references") is matched
    assert choose_targets(matched[:10], references, "matches_or_references") is references
    assert len(choose_targets(matched, references, "matches_and_references")) == 16
    assert len(choose_targets(np.zeros((0, 0)), references, "matches_and_references")) == 5


def test_imitation_score_is_the_mean_over_the_most_similar_targets():
    rng = np.random.default_rng(4)
    generated, targets = unit(rng.normal(size=(6, 8))), unit(rng.normal(size=(30, 8)))
    cosines = targets @ generated.T
    best = np.argsort(cosines.mean(axis=1))[::-1][:10]
    assert imitation_score(generated, targets, 10) == pytest.approx(cosines[best].mean(), abs=1e-6)
    assert imitation_score(generated, targets[:3], 10) == pytest.approx(cosines[:3].mean(), abs=1e-6)
    with pytest.raises(DataError):
        imitation_score(generated[:0], targets, 10)
