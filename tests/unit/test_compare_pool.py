"""What several thresholds say together."""

import json

import numpy as np
import polars as pl
import pytest
from printed import agree
from scipy.special import expit

from fit.cli.compare import _names
from fit.cli.main import main
from fit.comparisons.pool import GRID, SPREAD, Estimate, _in_images, describe_pool, group_tables, pool, pool_tables
from fit.thresholds.scores import sort_scores

SETTINGS = {"penalty": 0.9, "resamples": 60, "seed": 0, "estimators": ["isotonic", "one_change"]}


def table(middle, seed, concepts=80, names="c", counts=None):
    """Scores that rise over a factor of 10 about `middle` images."""
    rng = np.random.default_rng(seed)
    if counts is None:
        counts = np.rint(np.exp(rng.uniform(0, np.log(1e5), concepts)))
    rise = expit((np.log1p(counts) - np.log1p(middle)) / 0.52)
    scores = 0.1 + 0.4 * rise + rng.normal(0, 0.08, len(counts))
    return sort_scores([f"{names}{i:03d}" for i in range(len(counts))], counts, scores)


def test_estimates_that_are_alike_are_nearly_averaged_and_those_that_differ_are_nearly_left():
    errors = np.diag([0.3] * 8) ** 2
    alike = pool(6 + 0.3 * np.array([-1, 1, 0.5, -0.5, 0.8, -0.8, 0.2, -0.2]) / 2, errors)
    assert alike.common.value == pytest.approx(6, abs=0.01)
    assert all(abs(one.value - 6) < 0.06 for one in alike.each)
    assert all(one.high - one.low < 0.8 * 2 * 1.96 * 0.3 for one in alike.each)
    values = 6 + np.linspace(-1.5, 1.5, 8)
    apart = pool(values, errors)
    assert 0.6 < apart.spread.value < 1.3 and apart.spread.low > 0.4
    assert [one.value for one in apart.each] == pytest.approx(values, abs=0.25)


def test_the_posterior_is_that_of_draws():
    """Against draws by brute force: spreads from the prior, weighted by the likelihood, thresholds given each."""
    y, s = np.array([5.0, 5.4, 6.2]), np.array([0.2, 0.3, 0.25])
    found, rng = pool(y, np.diag(s**2)), np.random.default_rng(0)
    spreads = np.abs(rng.normal(0, SPREAD, 200_000))
    variance = s**2 + spreads[:, None] ** 2
    middle_variance = 1 / (1 / variance).sum(axis=1)
    middles = middle_variance * (y / variance).sum(axis=1)
    away = ((y - middles[:, None]) ** 2 / variance).sum(axis=1)
    weights = np.sqrt(middle_variance / variance.prod(axis=1)) * np.exp(-away / 2)
    at = rng.choice(len(spreads), 100_000, p=weights / weights.sum())
    common = middles[at] + np.sqrt(middle_variance[at]) * rng.normal(size=len(at))
    share = s**2 / variance[at]
    each = share * common[:, None] + (1 - share) * y + np.sqrt(1 - share) * s * rng.normal(size=(len(at), 3))
    for estimate, draws in zip([found.common, *found.each], [common, *each.T], strict=True):
        assert estimate.value == pytest.approx(draws.mean(), abs=0.01)
        assert [estimate.low, estimate.high] == pytest.approx(np.quantile(draws, [0.025, 0.975]), abs=0.03)
    assert found.spread.value == pytest.approx(np.median(spreads[at]), abs=0.02)
    assert found.spread.high < GRID[-1]


def test_errors_in_common_are_not_taken_for_evidence():
    alone, together = (pool([6.0, 6.1, 5.9, 6.0], 0.09 * matrix) for matrix in (np.eye(4), 0.1 * np.eye(4) + 0.9))
    width = [found.common.high - found.common.low for found in (alone, together)]
    assert width[1] > 1.4 * width[0]


def test_tables_that_share_concepts_are_in_one_group():
    tables = [table(300, 0), table(300, 1, names="d"), table(400, 2), table(300, 3, names="c", concepts=40)]
    assert group_tables(tables) == [[0, 2, 3], [1]]
    found = pool_tables(tables, **SETTINGS)
    assert found["groups"] == [[0, 2, 3], [1]] and found["concepts"] == [40, 80, 40, 40]


def test_each_threshold_lies_between_its_own_and_the_common_one():
    tables = [table(middle, seed, names=f"t{seed}-") for seed, middle in enumerate((200, 300, 450, 300))]
    found = pool_tables(tables, **SETTINGS)
    assert found["estimator"] == "isotonic"
    common = found["common"]["value"]
    assert found["common"]["low"] < 300 < found["common"]["high"]
    for alone, one in zip(found["thresholds"], found["each"], strict=True):
        assert min(alone["threshold"], common) - 1 <= one["value"] <= max(alone["threshold"], common) + 1
        assert one["high"] / one["low"] < alone["interval"][1] / alone["interval"][0] * 1.1


def test_a_table_without_a_threshold_is_said(tmp_path, capsys):
    flat = sort_scores([f"x{i}" for i in range(20)], np.arange(20.0), -np.arange(20.0))
    found = pool_tables([table(300, 0), flat], **SETTINGS | {"estimators": ["isotonic"]})
    assert found["common"] is None and [one["table"] for one in found["lacking"]] == [1]
    first, second = describe_pool(found, ["risen", "flat"])
    assert "cannot be pooled: not every table has a threshold" in first
    assert second.startswith("  flat: no threshold: ")


def test_tables_of_noise_are_refused_and_not_pooled():
    rng = np.random.default_rng(5)
    noise = [
        sort_scores([f"{name}{i}" for i in range(60)], np.arange(60.0) + 1, rng.normal(0.3, 0.05, 60)) for name in "ab"
    ]
    found = pool_tables(noise, **SETTINGS | {"resamples": 100})
    assert found["each"] is None and [one["table"] for one in found["lacking"]] == [0, 1]
    assert all("chance" in one["reason"] for one in found["lacking"])


def test_a_table_whose_neighbours_are_alike_is_refused_with_that_reason():
    rng, counts = np.random.default_rng(0), np.arange(1.0, 301)
    drift = np.zeros(300)
    for i in range(1, 300):
        drift[i] = 0.8 * drift[i - 1] + rng.normal(0, 0.02)
    alike = sort_scores([f"n{i}" for i in range(300)], counts, 0.1 + 0.4 * (counts > 150) + drift)
    found = pool_tables([table(300, 0), alike], **SETTINGS | {"resamples": 100})
    assert found["common"] is None and [one["table"] for one in found["lacking"]] == [1]
    assert "no interval: the scores of neighbours in count are alike" in found["lacking"][0]["reason"]


def test_estimators_that_cannot_be_pooled_are_said():
    found = pool_tables([table(300, 0), table(300, 1)], **SETTINGS | {"estimators": ["pelt"]})
    assert "name one of logistic, isotonic, one_change" in found["reason"] and found["lacking"] == []


def test_an_estimate_below_no_images_is_none_and_not_minus_zero():
    near_zero = _in_images(Estimate(-0.01, -0.3, 0.2))
    assert f"{near_zero['value']:.0f} {near_zero['low']:.0f}" == "0 0"


def test_names_of_tables_are_paths_without_the_folders_that_all_have():
    assert _names(["/a/one/x.csv", "/b/two/x.csv"]) == ["a/one/x", "b/two/x"]
    assert _names(["/a/x.csv", "b/x.csv"]) == ["/a/x", "b/x"]
    assert _names(["s/x.csv", "s/x.csv"]) == ["x", "x"]


def test_the_command_says_what_tables_say_together(tmp_path, capsys):
    paths = []
    for seed, middle in enumerate((200, 300, 450)):
        its = table(middle, seed, names=f"t{seed}-")
        columns = {"concept": its.concepts, "effective_count": its.counts.astype(int), "score": its.scores}
        paths.append(str(tmp_path / f"m{seed}.csv"))
        pl.DataFrame(columns).write_csv(paths[-1])
    words = ["--resamples", "60", "--estimators", "isotonic", "--out", str(tmp_path / "pooled.json")]
    said, told = agree(capsys, "compare", *paths, "--pool", *words)
    assert told["names"] == ["m0", "m1", "m2"]
    assert said.startswith("the thresholds of 3 tables lie about ") and "\n  m1: " in said
    assert json.loads((tmp_path / "pooled.json").read_text())["names"] == ["m0", "m1", "m2"]
    assert main(["compare", *paths]) != 0
    assert "give --pool" in capsys.readouterr().err
    assert main(["compare", *paths, "--pool", "--names", "one", "two"]) != 0
    assert "2 names for 3 tables" in capsys.readouterr().err
    assert main(["compare", *paths, "--pool", "--paired"]) != 0
    assert "take --figure and --paired out" in capsys.readouterr().err
