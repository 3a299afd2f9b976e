"""Resamples draw whole families where a table names them."""

import numpy as np
import pytest

from fit.thresholds.families import draw_rows
from fit.thresholds.report import measure
from fit.thresholds.scores import sort_scores


def table(counts, scores, **known):
    return sort_scores([f"c{i:03d}" for i in range(len(counts))], counts, scores, **known)


def test_a_resample_has_whole_families_but_for_its_last():
    sizes = np.array([1, 2, 3, 4, 5, 6, 7, 8, 9, 15])
    families = np.random.default_rng(0).permutation(np.repeat(np.arange(10), sizes))
    one = table(range(60), np.zeros(60), families=[f"f{family}" for family in families])
    rows = draw_rows(one, 3000, np.random.default_rng(1))
    assert rows.shape == (3000, 60)
    times = np.stack([np.bincount(row, minlength=60) for row in rows])
    # A concept that is drawn is drawn with its family: as often, but for the last family, which may be cut.
    parted = 0
    for family in range(10):
        of_family = times[:, families == family]
        assert (np.ptp(of_family, axis=1) <= 1).all()
        parted += (np.ptp(of_family, axis=1) == 1).astype(int)
    assert parted.max() == 1
    # Which of the last family's concepts fit in is by chance: all of a family are drawn as often.
    assert times[:, families == 9].mean(axis=0) == pytest.approx(np.full(15, times[:, families == 9].mean()), rel=0.1)


def test_single_concepts_are_drawn_without_families():
    counts = np.bincount(draw_rows(table(range(20), range(20)), 2000, np.random.default_rng(2)).ravel(), minlength=20)
    assert counts == pytest.approx(np.full(20, 2000), rel=0.15)
    few = table(range(20), range(20), families=["a"] * 10 + ["b"] * 10)
    rows = draw_rows(few, 5, np.random.default_rng(2))
    assert rows.tolist() == draw_rows(table(range(20), range(20)), 5, np.random.default_rng(2)).tolist()


def test_families_widen_the_interval():
    rng = np.random.default_rng(3)
    families = np.repeat(np.arange(30), 5)
    counts = np.sort(np.floor(10 ** rng.uniform(0, 4, 150)))
    scores = 0.3 / (1 + (200 / (1 + counts)) ** 1.5) + rng.normal(0, 0.09, 30)[families] + rng.normal(0, 0.02, 150)
    widths = {}
    for known in (None, [f"f{family}" for family in families]):
        found = measure(table(counts, scores, families=known), penalty=0.9, resamples=200, seed=0)
        ends = found["estimators"]["logistic"]["interval"]
        widths[known is None] = np.ptp(np.log1p(ends)) if ends else None
    assert widths[False] > 0
    assert widths[True] is None or widths[False] > widths[True]
