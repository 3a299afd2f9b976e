"""Painters' own thresholds, on scores whose truth is known."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from truth_data import MEDIAN, SPREAD, painters_frame, runs_of, simulate

from fit.errors import DataError
from fit.truth import own
from fit.truth.own import fit_own_curves, matrices, shows_a_rise


@pytest.fixture(scope="module")
def fits():
    """(simulated, fitted) of several worlds."""
    worlds = [simulate(32, 8, 2, seed=seed) for seed in range(5)]
    return [(world, fit_own_curves(*world[:2])) for world in worlds]


def test_the_median_and_the_spread_of_thresholds_are_found(fits):
    # Against the world's painters, of whom there are few, not against the distribution that they were drawn from.
    of_medians = [fitted.median - thresholds.mean() for (_, _, thresholds), fitted in fits]
    assert abs(np.mean(of_medians)) < 0.04
    assert np.std(of_medians) < 0.12
    assert np.mean([fitted.spread for _, fitted in fits]) == pytest.approx(SPREAD, abs=0.1)


def test_levels_slope_and_noise_are_found(fits):
    for name, true in {"low": 0.2, "high": 0.8, "noise_low": 0.12, "noise_high": 0.05, "low_spread": 0.07}.items():
        assert np.mean([getattr(fitted, name) for _, fitted in fits]) == pytest.approx(true, abs=0.02), name
    assert np.mean([fitted.slope for _, fitted in fits]) == pytest.approx(3, abs=0.4)


def test_intervals_of_painters_hold_their_thresholds(fits):
    away = np.concatenate([(f.thresholds - thresholds) / f.uncertainty for (_, _, thresholds), f in fits])
    assert 0.9 < (np.abs(away) < 1.96).mean() < 0.99
    found, true = (np.concatenate(part) for part in zip(*((f.thresholds, t) for (_, _, t), f in fits), strict=True))
    assert np.corrcoef(found, true)[0, 1] > 0.85


def test_all_of_them_show_a_rise(fits):
    assert all(shows_a_rise(counts, scores, fitted) for (counts, scores, _), fitted in fits)


def test_the_mean_score_rises_from_the_low_level_to_the_high_one(fits):
    for _, fitted in fits:
        means = fitted.mean_score(np.array([0, 5, 20, 40, 80, 400, 10**9]))
        assert (np.diff(means) > 0).all()
        assert means[0] == pytest.approx(fitted.low, abs=0.01)
        assert means[-1] == pytest.approx(fitted.high, abs=1e-3)
        half = fitted.mean_score(np.array([fitted.median_count]))[0]
        assert half == pytest.approx((fitted.low + fitted.high) / 2, abs=1e-6)


def test_the_derivatives_are_those_of_the_likelihood():
    counts, scores, _ = simulate(6, 3)
    scores[0, 1], scores[2] = np.nan, np.nan
    packed = own._packed(np.array([0.25, 0.7, 2.0, 3.0, 0.6, 0.1, 0.12, 0.08]))
    x = np.log1p(counts)
    numeric = approx_fprime(packed, lambda at: own._loss(at, x, scores)[0], 1e-6)
    assert own._loss(packed, x, scores)[1] == pytest.approx(numeric, rel=1e-3, abs=1e-3)


def test_the_likelihood_is_that_of_a_normal_distribution():
    counts, scores, _ = simulate(2, 2)
    low, high, slope, median, spread, low_spread, noise_low, noise_high = values = np.array(
        [0.25, 0.7, 2.0, 3.0, 0.6, 0.1, 0.12, 0.08]
    )
    found = own._parts(values, np.log1p(counts), scores).log_likelihoods
    for place in (0, 20, 33):
        for painter in range(2):
            at = 1 / (1 + np.exp(-slope * (np.log1p(counts[painter]) - median - spread * own.GRID[place])))
            error = scores[painter] - low - (high - low) * at
            covariance = np.diag(noise_low**2 * (1 - at) + noise_high**2 * at) + low_spread**2 * np.outer(
                1 - at, 1 - at
            )
            _, log_determinant = np.linalg.slogdet(2 * np.pi * covariance)
            expected = -(error @ np.linalg.solve(covariance, error) + log_determinant) / 2
            assert found[painter, place] == pytest.approx(expected)


def test_scores_that_are_missing_are_left_out():
    counts, scores, thresholds = simulate(24, 8)
    rng = np.random.default_rng(0)
    holes = np.where(rng.random(scores.shape) < 0.2, np.nan, scores)
    holes[5] = np.nan
    counts = np.where(np.isnan(holes), 0, counts)  # whatever the count says of them
    fitted = fit_own_curves(counts, holes)
    assert fitted.median == pytest.approx(thresholds.mean(), abs=0.25)
    # A painter without scores is as the others are.
    assert fitted.thresholds[5] == pytest.approx(fitted.median, abs=0.01)
    assert fitted.uncertainty[5] == pytest.approx(fitted.spread, rel=0.05)
    assert (fitted.uncertainty[5] >= np.delete(fitted.uncertainty, 5) - 0.01).all()


def test_no_score_at_all_is_an_error():
    with pytest.raises(DataError, match="no painter has a score in any model; ask snakemake for the scores"):
        fit_own_curves(np.ones((3, 2)), np.full((3, 2), np.nan))


def test_one_model_of_each_deal_says_less_than_two():
    fitted = [fit_own_curves(*simulate(24, 6, trainings, seed=3)[:2]) for trainings in (1, 3)]
    assert fitted[0].uncertainty.mean() > fitted[1].uncertainty.mean()


@pytest.mark.parametrize("start", [None, "fitted"])
def test_all_scores_equal_show_no_rise(start):
    counts, scores, _ = simulate(12, 3)
    start = fit_own_curves(counts, scores) if start else None
    flat = np.full_like(scores, 0.4)
    fitted = fit_own_curves(counts, flat, start)
    assert all(np.isfinite(value) for value in fitted.as_dict().values())
    assert np.isfinite(fitted.thresholds).all()
    assert not shows_a_rise(counts, flat, fitted)


def test_noise_seldom_shows_a_rise():
    claimed = 0
    for seed in range(20):
        counts, scores, _ = simulate(16, 4, seed=seed, low=0.4, high=0.4)
        fitted = fit_own_curves(counts, scores)
        assert np.isfinite(fitted.thresholds).all()
        claimed += bool(shows_a_rise(counts, scores, fitted))
    assert claimed <= 2


def test_scores_that_fall_show_no_rise():
    counts, scores, _ = simulate(16, 4, low=0.8, high=0.2)
    assert not shows_a_rise(counts, scores, fit_own_curves(counts, scores))


def test_a_start_from_the_same_scores_ends_at_the_same_place():
    counts, scores, _ = simulate(24, 6)
    fitted = fit_own_curves(counts, scores)
    again = fit_own_curves(counts, scores, start=fitted)
    assert again.median == pytest.approx(fitted.median, abs=0.01)
    assert fit_own_curves(counts, scores, start=fitted.as_dict()).as_dict() == again.as_dict()


def test_matrices_hold_each_painter_in_each_model():
    counts, scores, _ = simulate(6, 2, 2)
    frame = painters_frame(counts, scores, runs_of(2, 2)).sample(fraction=1, shuffle=True, seed=1)
    concepts, models, found_counts, found_scores = matrices(frame, "reference_score")
    assert concepts == [f"painter-{number:02d}" for number in range(6)]
    assert models == [(0, 1), (0, 2), (1, 1), (1, 2)]
    assert np.array_equal(found_counts, counts)
    assert np.array_equal(found_scores, scores)
    # A painter who is missing in a model, and a score that is null.
    less = frame.filter(~((frame["concept"] == "painter-01") & (frame["deal"] == 0)))
    assert np.isnan(matrices(less, "reference_score")[3][1]).tolist() == [True, True, False, False]
    nulls = frame.with_columns(reference_score=None)
    assert np.isnan(matrices(nulls, "reference_score")[3]).all()


def test_the_median_is_told_in_images():
    fitted = fit_own_curves(*simulate(24, 6, seed=1)[:2])
    assert fitted.as_dict()["median_count"] == fitted.median_count == pytest.approx(np.expm1(fitted.median))
    assert fitted.median_count == pytest.approx(np.expm1(MEDIAN), rel=0.5)
