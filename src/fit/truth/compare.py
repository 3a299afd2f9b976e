"""How far the estimates of single models are from the true thresholds."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
from tqdm import tqdm

from fit.errors import DataError
from fit.truth.changed import UsualWorld, worths
from fit.truth.correct import corrections
from fit.truth.design import PRUNED, USUAL
from fit.truth.own import OwnCurves, fit_own_curves, matrices, shows_a_rise

TRUE_SCORE = "reference_score"
"""The score by which the true thresholds are found: its targets are the same whatever the count."""
LEVELS = (0, 4, 10, 20, 40, 80, 160, 320)
"""Counts at which the mean score, and what more images add to it, are told."""
FACTOR = 2.0
"""An answer is near the truth if it is within this factor."""
OF_A_RISE = (
    *("median", "median_interval", "spread", "spread_interval", "tenth_to_ninetieth", "halves", "components"),
    *("marginal", "without_deal", "painters"),
)
"""What is told of a world whose scores rise."""
NO_RISE = "the scores do not rise with the painters' own counts by more than chance makes; train longer, or more models"
"""Why a world has no true threshold."""
ONE_DEAL = (
    "there is one deal of the counts, so that no estimate can be compared with the models of other deals; raise "
    "`truth.deals`"
)
"""Why no estimate is compared with a world's true threshold."""


def _resampled(counts: np.ndarray, scores: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores of painters and models drawn with replacement."""
    painters, models = (rng.integers(size, size=size) for size in scores.shape)
    return counts[np.ix_(painters, models)], scores[np.ix_(painters, models)]


def _interval(values: np.ndarray) -> list[float]:
    return np.quantile(values, [0.025, 0.975]).tolist()


def _without_each(
    counts: np.ndarray, scores: np.ndarray, models: list[tuple], fitted: OwnCurves
) -> Iterator[tuple[tuple, float]]:
    """Yield (model, the median threshold by the models of other deals), so that no estimate is compared with itself.

    A deal is left out if the models of the others show no rise.
    """
    deals = np.array([deal for deal, _ in models])
    for deal in np.unique(deals):
        others = deals != deal
        if others.any():
            found = fit_own_curves(counts[:, others], scores[:, others], start=fitted)
            if shows_a_rise(counts[:, others], scores[:, others], found):
                yield from ((model, found.median) for model in models if model[0] == deal)


def _components(counts: np.ndarray, scores: np.ndarray, fitted: OwnCurves) -> dict[str, float]:
    """Return which share of the scores' variance is the painter's own count, the painter, the model, and the rest."""
    risen = fitted.mean_score(counts.ravel()).reshape(counts.shape)
    rest = scores - risen
    painter = np.nanmean(rest, axis=1, keepdims=True)
    model = np.nanmean(rest - painter, axis=0, keepdims=True)
    total = np.nanvar(scores)
    left = rest - painter - model
    # Means of noise vary too, by the noise over how many there are: that is taken off.
    noise = float(np.nanvar(left))
    of_painter = max(0.0, float(np.nanvar(painter)) - noise / scores.shape[1])
    of_model = max(0.0, float(np.nanvar(model)) - noise / scores.shape[0])
    count = max(0.0, total - noise - of_painter - of_model)
    parts = {"own_count": count, "painter": of_painter, "model": of_model, "rest": noise}
    whole = sum(parts.values())
    return {name: float(part / whole) if whole else 0.0 for name, part in parts.items()}


def _halves(counts: np.ndarray, scores: np.ndarray, fitted: OwnCurves, rng: np.random.Generator) -> float | None:
    """Return how the painters' thresholds by two halves of the models correlate; None with too few models, or if a half
    finds the same threshold for all."""
    order = rng.permutation(counts.shape[1])
    if len(order) < 4:
        return None
    sides = [order[: len(order) // 2], order[len(order) // 2 :]]
    found = [fit_own_curves(counts[:, side], scores[:, side], start=fitted).thresholds for side in sides]
    if min(np.ptp(one) for one in found) < 1e-9:
        return None
    return float(np.corrcoef(found[0], found[1])[0, 1])


def _noise_of_training(painters: pl.DataFrame) -> list[dict[str, Any]]:
    """Return how far the scores of one painter on one deal differ from training to training, by count."""
    spread = (
        painters.group_by("deal", "concept", maintain_order=True)
        .agg(pl.col(TRUE_SCORE).drop_nulls().var(), pl.col("true_count").first())
        .drop_nulls()
    )
    bands = ((0, 20), (20, 60), (60, 120), (120, 10**9))
    found = []
    for low, high in bands:
        within = spread.filter((pl.col("true_count") >= low) & (pl.col("true_count") < high))
        if len(within):
            sd = float(np.sqrt(within[TRUE_SCORE].to_numpy().mean()))
            found.append({"from": low, "below": min(high, int(painters["true_count"].to_numpy().max()) + 1), "sd": sd})
    return found


def true_thresholds(painters: pl.DataFrame, *, resamples: int, seed: int) -> dict[str, Any]:
    """Return what the models of one world say about its painters' true thresholds.

    Args:
        painters: a frame of the schema fit.truth.measure.PAINTERS, of one world.
        resamples: of the bootstrap over painters and models.
        seed: of the bootstrap.

    Returns:
        A dict: models and deals (how many), reason (why there is no threshold, else None), not_compared (why no
        estimate is compared with it, else None), curves (the fitted parameters), noise_of_training, and OF_A_RISE,
        which are None without a threshold, but for without_deal, which is empty.

    Raises:
        DataError: no painter has a score.
    """
    rng = np.random.default_rng(seed)
    concepts, models, counts, scores = matrices(painters, TRUE_SCORE)
    fitted = fit_own_curves(counts, scores)
    deals = len({deal for deal, _ in models})
    found: dict[str, Any] = {"models": len(models), "deals": deals, "reason": None, "not_compared": None}
    found |= {"curves": fitted.as_dict(), "noise_of_training": _noise_of_training(painters)}
    if not shows_a_rise(counts, scores, fitted):
        return found | dict.fromkeys(OF_A_RISE) | {"reason": NO_RISE, "not_compared": NO_RISE, "without_deal": []}
    drawn = [
        fit_own_curves(*_resampled(counts, scores, rng), start=fitted)
        for _ in tqdm(range(resamples), desc="bootstrap", unit="resample", mininterval=2)
    ]
    means = fitted.mean_score(np.array(LEVELS))
    doubled = fitted.mean_score(2 * np.array(LEVELS))
    return found | {
        "not_compared": ONE_DEAL if deals == 1 else None,
        "median": fitted.median_count,
        "median_interval": np.expm1(_interval(np.array([one.median for one in drawn]))).tolist(),
        "spread": fitted.spread,
        "spread_interval": _interval(np.array([one.spread for one in drawn])),
        "tenth_to_ninetieth": np.expm1(fitted.median + fitted.spread * 1.2816 * np.array([-1, 1])).tolist(),
        "halves": _halves(counts, scores, fitted, rng),
        "components": _components(counts, scores, fitted),
        "marginal": [
            {"count": count, "score": float(score), "doubled": float(after - score)}
            for count, score, after in zip(LEVELS, means, doubled, strict=True)
        ],
        "without_deal": [
            {"deal": deal, "training": training, "median": float(np.expm1(median))}
            for (deal, training), median in _without_each(counts, scores, models, fitted)
        ],
        "painters": [
            {
                "concept": concept,
                "threshold": float(np.expm1(at)),
                "interval": np.expm1([at - 1.96 * sd, at + 1.96 * sd]).tolist(),
            }
            for concept, at, sd in zip(concepts, fitted.thresholds, fitted.uncertainty, strict=True)
        ],
    }


def _errors(estimates: pl.DataFrame, truth: dict[tuple, float]) -> dict[str, Any]:
    """Return how far the answers of one estimator by one score are from the truth, a model each.

    Args:
        estimates: rows of the schema fit.truth.measure.THRESHOLDS.
        truth: (world, deal, training) -> the median true threshold by the models of other deals. Answers for models
            without one are counted, and not compared.
    """
    rows = estimates.filter(pl.col("claimed")).select("world", "deal", "training", "threshold", "low", "high").rows()
    logs, inside, widths = [], [], []
    for world, deal, training, threshold, low, high in rows:
        if (world, deal, training) not in truth:
            continue
        true = truth[world, deal, training]
        logs.append(np.log((1 + threshold) / (1 + true)))
        if low is not None and high is not None:
            inside.append(low < true <= high)
            widths.append(np.log((1 + high) / (1 + low)))
    found: dict[str, Any] = {"models": len(estimates), "answers": len(rows), "compared": len(logs)}
    if logs:
        errors = np.array(logs)
        found |= {
            "ratio": float(np.exp(errors.mean())),
            "ratio_interval": np.exp(
                errors.mean() + 1.96 * np.array([-1, 1]) * errors.std(ddof=1) / np.sqrt(len(errors))
            ).tolist()
            if len(errors) > 1
            else None,
            "rmse": float(np.sqrt((errors**2).mean())),
            "within_factor": float((np.abs(errors) <= np.log(FACTOR)).mean()),
        }
    if inside:
        found |= {"intervals": len(inside), "coverage": float(np.mean(inside)), "width": float(np.median(widths))}
    return found


def _spread_of_estimates(estimates: pl.DataFrame) -> dict[str, Any]:
    """Return how far one estimator's answers differ from training to training, and from deal to deal.

    Both are standard deviations of the logarithm, by one-way analysis of variance within worlds.
    """
    logs = estimates.filter(pl.col("claimed")).with_columns(log=(1 + pl.col("threshold")).log())
    groups = logs.group_by("world", "deal", maintain_order=True).agg(
        pl.col("log").var().alias("var"), pl.len(), pl.col("log").mean()
    )
    repeated = groups.filter(pl.col("len") > 1)
    found: dict[str, Any] = {"models": len(logs)}
    if len(logs) > 2:
        of_worlds = logs.group_by("world", maintain_order=True).agg(pl.col("log").var())["log"].drop_nulls().to_numpy()
        found["all"] = float(np.sqrt(of_worlds.mean())) if len(of_worlds) else None
    if len(repeated):
        weights = repeated["len"].to_numpy() - 1
        within = float(np.average(repeated["var"].to_numpy(), weights=weights))
        found["training"] = float(np.sqrt(within))
        found["pairs"] = len(repeated)
        means = (
            repeated.group_by("world", maintain_order=True).agg(pl.col("log").var(), pl.col("len").mean()).drop_nulls()
        )
        if len(means):
            between = float((means["log"] - within / means["len"]).to_numpy().mean())
            found["deal"] = float(np.sqrt(max(0.0, between)))
    return found


def estimate_truth(painters: pl.DataFrame, thresholds: pl.DataFrame, *, resamples: int, seed: int) -> dict[str, Any]:
    """Return the true thresholds of each world, and how far the estimates of its single models are from them.

    Args:
        painters: a frame of the schema fit.truth.measure.PAINTERS, of all models.
        thresholds: a frame of the schema fit.truth.measure.THRESHOLDS, of all models.
        resamples: of the bootstrap over painters and models.
        seed: of the bootstrap.

    Raises:
        DataError: there is no model of the usual world, or a world has no scores.
    """
    worlds: dict[str, Any] = {}
    truth: dict[tuple, float] = {}
    usual = painters.filter(pl.col("changes") == USUAL)
    for (world,), of_world in usual.group_by("world", maintain_order=True):
        found = true_thresholds(of_world, resamples=resamples, seed=seed)
        worlds[str(world)] = found
        truth |= {(world, one["deal"], one["training"]): one["median"] for one in found["without_deal"]}
    if not worlds:
        raise DataError("the table of painters has no model of the usual world; ask snakemake for truth")
    of_usual = thresholds.filter(pl.col("changes") == USUAL)
    errors, spreads = [], []
    for (score, estimator), rows in of_usual.group_by("score", "estimator", maintain_order=True):
        named = {"score": score, "estimator": estimator}
        errors.append(named | {"world": "all"} | _errors(rows, truth))
        for (world,), of_world in rows.group_by("world", maintain_order=True):
            errors.append(named | {"world": str(world)} | _errors(of_world, truth))
        spreads.append(named | _spread_of_estimates(rows))
    worths_of_all, changes = _changed_worlds(painters, thresholds, worlds)
    return {
        "worlds": worlds,
        "errors": errors,
        "spreads": spreads,
        "corrections": list(corrections(of_usual.filter(pl.col("score") == "published"), truth)),
        "worths": worths_of_all,
        "changes": changes,
        "resamples": resamples,
    }


def _changed_worlds(
    painters: pl.DataFrame, thresholds: pl.DataFrame, worlds: dict[str, Any]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return what an image is worth in each world that breaks an assumption, and how far the estimates there are from
    the truth of the same world unbroken and, as of_its_own, from the changed world's own."""
    found, own = [], {}
    changed_painters = painters.filter(~pl.col("changes").is_in([USUAL, PRUNED]))
    for (world,), rows in changed_painters.group_by("world", maintain_order=True):
        median = worlds.get(str(world), {}).get("median")
        if median is None:
            continue
        its = painters.filter((pl.col("world") == world) & (pl.col("changes") == USUAL))
        for told in worths(rows, UsualWorld.of(its, TRUE_SCORE), median, TRUE_SCORE):
            found.append({"world": str(world)} | told)
            own[world, told["changes"]] = told.get("median")
    errors = []
    changed = thresholds.filter(~pl.col("changes").is_in([USUAL, PRUNED]) & (pl.col("score") == "published"))
    for (world, changes, estimator), rows in changed.group_by("world", "changes", "estimator", maintain_order=True):
        median = worlds.get(str(world), {}).get("median")
        if median is None:
            continue
        models = rows.select("world", "deal", "training").rows()
        of_its_own = own.get((world, changes))
        told = {"world": str(world), "changes": changes, "estimator": estimator}
        told |= _errors(rows, dict.fromkeys(models, median))
        told["of_its_own"] = None if of_its_own is None else _errors(rows, dict.fromkeys(models, of_its_own))
        errors.append(told)
    return found, errors
