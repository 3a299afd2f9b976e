"""What an image is worth in a world that breaks an assumption, on scores whose truth is known."""

import numpy as np
import polars as pl
import pytest
from truth_data import painters_frame, runs_of, simulate

from fit.errors import DataError
from fit.truth.changed import NO_COUNT, NO_NULL, OTHER_SCORES, UsualWorld, worths
from fit.truth.own import fit_shift

SCORE = "reference_score"
MODELS = runs_of(8, 1)


def two_worlds(worth, seed, changed_models=2):
    """(usual, changed): frames of one set of painters; an image of the changed world is worth `worth`.

    Counts are asked of the ladder by the worlds' scores, so that the changed world's are those of `worth` times more.
    """
    counts, scores, _ = simulate(48, 8, 1, seed=seed)
    changed = painters_frame(
        np.maximum(0, np.round((1 + counts) / worth - 1)), scores, runs_of(8, 1, changes="copies")
    ).filter(pl.col("deal") < changed_models)
    # The usual models of the same deals have other noise: those of another draw of the same painters.
    again, more, _ = simulate(48, 8, 1, seed=seed, noise_seed=seed + 1000)
    return painters_frame(again, more, MODELS), changed


@pytest.mark.parametrize("worth", [0.25, 1.0, 3.0])
def test_the_worth_of_an_image_is_found(worth):
    found = []
    for seed in range(4):
        usual, changed = two_worlds(worth, seed)
        world = UsualWorld.of(usual, SCORE)
        (told,) = worths(changed, world, world.fitted.median_count, SCORE)
        assert (told["changes"], told["models"]) == ("copies", 2)
        assert told["interval"][0] < told["worth"] < told["interval"][1]
        assert 1 + told["median"] == pytest.approx((1 + world.fitted.median_count) / told["worth"])
        found.append(told["worth"])
    assert np.exp(np.mean(np.log(found))) == pytest.approx(worth, rel=0.25)


def test_scores_of_the_same_counts_show_no_shift_beyond_chance():
    usual, _ = two_worlds(1.0, 9)
    chance = UsualWorld.of(usual, SCORE).shifts_by_chance()
    assert len(chance) == 8
    assert abs(np.mean(chance)) < 0.15 and np.std(chance) < 0.5


def test_what_cannot_be_told_is_said():
    usual, changed = two_worlds(1.0, 3)
    world = UsualWorld.of(usual, SCORE)
    of_encoder = changed.with_columns(changes=pl.lit("weak-encoder"))
    assert [one["why_none"] for one in worths(of_encoder, world, 40.0, SCORE)] == [OTHER_SCORES]
    one_deal = UsualWorld.of(usual.filter(pl.col("deal") == 0), SCORE)
    assert [one["why_none"] for one in worths(changed, one_deal, 40.0, SCORE)] == [NO_NULL]
    high = changed.with_columns(pl.lit(0.9).alias(SCORE), pl.lit(0).alias("true_count").cast(pl.Int64))
    assert [one["why_none"] for one in worths(high, world, 40.0, SCORE)] == [NO_COUNT]


def test_a_changed_world_with_other_painters_is_an_error():
    usual, changed = two_worlds(1.0, 3)
    others = changed.with_columns(concept=pl.col("concept") + "-b")
    with pytest.raises(DataError, match="other painters"):
        list(worths(others, UsualWorld.of(usual, SCORE), 40.0, SCORE))


def test_missing_scores_are_left_out_of_a_shift():
    usual, changed = two_worlds(0.5, 4, changed_models=1)
    world = UsualWorld.of(usual, SCORE)
    whole = world.shift(changed, SCORE)
    gone = changed.with_columns(pl.when(pl.col("concept") < "painter-10").then(None).otherwise(SCORE).alias(SCORE))
    assert world.shift(gone, SCORE) == pytest.approx(whole, abs=0.5)
    assert fit_shift(world.fitted, world.counts, world.scores, (world.counts, world.scores)) == pytest.approx(
        0, abs=0.1
    )
