"""At how many poisoned pairs an attack works, by the estimators of the imitation threshold; what cleaning changes."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from fit.errors import DataError
from fit.io.parquet import read, write_frame
from fit.io.shown import number_of
from fit.poisoning.settings import OBJECTIVES
from fit.thresholds.report import measure
from fit.thresholds.scores import sort_scores

BEFORE, AFTER = "before", "after"
"""Before and after cleaning."""
MODELS: dict[str, Any] = {
    "objective": pl.String,
    "seed": pl.Int64,
    "poisoned_pairs": pl.Int64,
    "stage": pl.String,
    "accuracy": pl.Float64,
    "attack_success": pl.Float64,
}
"""A row is a model before or after cleaning. accuracy: share of clean held-out pictures that are given their class;
attack_success: share of patched held-out pictures of other classes that are taken for the attacker's target."""
WORKS = 0.5
"""Attack success from which on an attack is said to work."""
FEWEST = 3
"""Models with a working attack that the effect of cleaning is told of, at least."""


def write_models(rows: Iterable[dict[str, Any]], path: str | Path) -> None:
    """Write rows of MODELS to a Parquet file."""
    write_frame(pl.DataFrame(list(rows), schema=MODELS), path)


def read_models(paths: Iterable[str | Path]) -> pl.DataFrame:
    """Return the rows of tables of MODELS, in one order.

    Raises:
        DataError: a model is in two of them, or none has a row.
    """
    tables = [pl.DataFrame(pl.from_arrow(_as_table(path))) for path in paths]
    found = pl.concat(tables).sort("objective", "seed", "poisoned_pairs", "stage")
    keys = ("objective", "seed", "poisoned_pairs", "stage")
    if not len(found):
        raise DataError("the tables of models have no row; ask snakemake for poisoning")
    if found.select(keys).is_duplicated().any():
        twice = found.filter(found.select(keys).is_duplicated()).row(0, named=True)
        raise DataError(
            f"the model of seed {twice['seed']} and {number_of(twice['poisoned_pairs'], 'poisoned pair')} "
            f"({twice['objective']}) is there twice; name each table once"
        )
    return found


def _as_table(path: str | Path) -> pa.Table:
    return read(path, list(MODELS))


def _interval(values: np.ndarray, resamples: int, seed: int) -> list[float] | None:
    """Return the 95 % interval of a mean: percentiles of a bootstrap over models; None with fewer than FEWEST."""
    if len(values) < FEWEST:
        return None
    drawn = np.random.default_rng(seed).choice(values, size=(resamples, len(values)))
    return np.quantile(drawn.mean(axis=1), [0.025, 0.975]).tolist()


def _line(rows: pl.DataFrame, estimators: Sequence[str], penalty: float, resamples: int, seed: int) -> dict[str, Any]:
    """Return what the models of one objective and stage say: means by poisoned pairs, and the thresholds."""
    table = sort_scores(
        [f"seed-{of}-pairs-{pairs}" for of, pairs in rows.select("seed", "poisoned_pairs").rows()],
        rows["poisoned_pairs"],
        rows["attack_success"],
    )
    found = measure(table, penalty=penalty, resamples=resamples, seed=seed, estimators=estimators)
    counts = rows.group_by("poisoned_pairs").agg(
        pl.len().alias("models"),
        pl.col("attack_success").mean(),
        pl.col("attack_success").min().alias("lowest"),
        pl.col("attack_success").max().alias("highest"),
        pl.col("accuracy").mean(),
    )
    return {
        "models": len(rows),
        "accuracy": float(rows["accuracy"].to_numpy().mean()),
        "counts": counts.sort("poisoned_pairs").to_dicts(),
        "threshold": found,
    }


def _effect(rows: pl.DataFrame, resamples: int, seed: int) -> dict[str, Any]:
    """Return what cleaning does to models of one objective in which the attack worked, and to all models' accuracy."""
    pairs = rows.filter(pl.col("stage") == BEFORE).join(
        rows.filter(pl.col("stage") == AFTER), on=["objective", "seed", "poisoned_pairs"], suffix="_after"
    )
    working = pairs.filter(pl.col("attack_success") >= WORKS)
    removed = (working["attack_success"] - working["attack_success_after"]).to_numpy()
    lost = (pairs["accuracy"] - pairs["accuracy_after"]).to_numpy()
    return {
        "models": len(pairs),
        "working": len(working),
        "success_before": float(working["attack_success"].to_numpy().mean()) if len(working) else None,
        "success_after": float(working["attack_success_after"].to_numpy().mean()) if len(working) else None,
        "still_working": int((working["attack_success_after"] >= WORKS).sum()),
        "removed": float(removed.mean()) if len(removed) else None,
        "removed_interval": _interval(removed, resamples, seed),
        "accuracy_before": float(pairs["accuracy"].to_numpy().mean()),
        "accuracy_after": float(pairs["accuracy_after"].to_numpy().mean()),
        "accuracy_lost": float(lost.mean()),
        "accuracy_lost_interval": _interval(lost, resamples, seed),
    }


def _difference(rows: pl.DataFrame, resamples: int, seed: int) -> dict[str, Any]:
    """Return how much more attack success cleaning removes under the contrastive objective than with self-supervision.

    Compared are models of one seed and number of poisoned pairs in which the attack worked under both.
    """
    wide: pl.DataFrame | None = None
    for objective in OBJECTIVES:
        of = rows.filter(pl.col("objective") == objective)
        joined = of.filter(pl.col("stage") == BEFORE).join(
            of.filter(pl.col("stage") == AFTER), on=["seed", "poisoned_pairs"], suffix="_after"
        )
        named = joined.filter(pl.col("attack_success") >= WORKS).select(
            "seed",
            "poisoned_pairs",
            (pl.col("attack_success") - pl.col("attack_success_after")).alias(objective),
        )
        wide = named if wide is None else wide.join(named, on=["seed", "poisoned_pairs"])
    assert wide is not None
    values = (wide[OBJECTIVES[0]] - wide[OBJECTIVES[1]]).to_numpy()
    return {
        "models": len(values),
        "difference": float(values.mean()) if len(values) else None,
        "interval": _interval(values, resamples, seed),
    }


def _answer(difference: dict[str, Any], effects: dict[str, Any]) -> str:
    """Say whether cleaning works under one objective and fails under the other, as arXiv 2311.14948 found."""
    if difference["interval"] is None:
        return (
            f"not decided: the attack worked under both objectives in {difference['models']} of the models, at least "
            f"{FEWEST} are needed"
        )
    low, high = difference["interval"]
    names = [f"{objective} {effects[objective]['removed']:.2f}" for objective in OBJECTIVES]
    said = f"cleaning removes attack success of {' and '.join(names)}"
    if low > 0:
        return f"reproduced in direction: {said}; it removes less with self-supervision"
    if high < 0:
        return f"not reproduced: {said}; it removes more with self-supervision"
    return f"not reproduced: {said}; the interval of the difference contains 0"


def estimate(
    models: pl.DataFrame, *, estimators: Sequence[str], penalty: float, resamples: int, seed: int
) -> dict[str, Any]:
    """Return at how many poisoned pairs the attack works, before and after cleaning, under each objective.

    Args:
        models: a frame of the schema MODELS.
        estimators: names of fit.thresholds.estimators.ESTIMATORS.
        penalty: of PELT.
        resamples: of each bootstrap.
        seed: of the bootstraps.

    Returns:
        A dict: lines (objective -> stage -> models, accuracy, counts and threshold, which is as of
        fit.thresholds.report.measure, with attack success as the score), cleaning (objective -> its effect),
        difference (between the objectives) and answer (a sentence).
    """
    lines: dict[str, Any] = {}
    for objective in OBJECTIVES:
        of = models.filter(pl.col("objective") == objective)
        if len(of):
            lines[objective] = {
                stage: _line(of.filter(pl.col("stage") == stage), estimators, penalty, resamples, seed)
                for stage in (BEFORE, AFTER)
            }
    effects = {
        objective: _effect(models.filter(pl.col("objective") == objective), resamples, seed) for objective in lines
    }
    difference = _difference(models, resamples, seed)
    return {
        "lines": lines,
        "cleaning": effects,
        "difference": difference,
        "answer": _answer(difference, effects),
        "resamples": resamples,
    }
