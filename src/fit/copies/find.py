"""Finds suspects and copies among generated pictures, with cuts that prompts of no training image give."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from fit.copies.calibration import low_cut, rate
from fit.copies.cliques import tightest_clique
from fit.copies.distances import Nearest, find_nearest, neighbour_distances, tile_distances, tiles_of
from fit.copies.settings import CopySettings
from fit.copies.tables import FOUND, NORMS, TrainingImages, read_chosen, read_generated
from fit.errors import ConfigError, DataError
from fit.io.parquet import read
from fit.io.shown import number_of


@dataclass(frozen=True)
class _Clique:
    """The tightest clique of a prompt's pictures."""

    pictures: int
    width: float
    middle: str
    is_exact: bool
    compared: np.ndarray
    """[1 + C, S, S, 3] uint8: the middle, then the first C pictures of the prompt."""


def _look_at(ids: list[str], pictures: np.ndarray, settings: CopySettings, prompt: str) -> _Clique:
    """Raise DataError where there are fewer pictures than a clique has."""
    if len(pictures) < settings.clique:
        raise DataError(
            f"the prompt {prompt} has {number_of(len(pictures), 'picture')}, and a clique has {settings.clique}; "
            "generate more (`copies.images_per_prompt`), or lower `clique`"
        )
    tiles = tiles_of(pictures)
    distances = tile_distances(tiles, tiles)
    distances = np.minimum(distances, distances.T)
    np.fill_diagonal(distances, 0)
    width, rows, is_exact = tightest_clique(distances, settings.clique)
    middle = rows[int(distances[np.ix_(rows, rows)].sum(axis=1).argmin())]
    compared = pictures[[middle, *range(min(settings.compared_pictures, len(pictures)))]]
    return _Clique(len(pictures), width, ids[middle], is_exact, compared)


def _ratios(pictures: np.ndarray, training: TrainingImages, settings: CopySettings) -> tuple[Nearest, np.ndarray]:
    """Return (the nearest training image of each picture [N, S, S, 3], its distance over what a copy may be away [N]).

    The distance is divided by `ratio` times the training image's mean distance to its own neighbours (arXiv 2301.13188,
    section 5.1), so that copies are below 1.
    """
    nearest = find_nearest(pictures, training, settings.memory_mb)
    training.report()
    _, first, back = np.unique(nearest.rows, return_index=True, return_inverse=True)
    mean = neighbour_distances(
        nearest.pictures[first], training, settings.neighbours, settings.same_picture, settings.memory_mb
    )
    return nearest, nearest.distances / (settings.ratio * mean[back])


def _halves(count: int) -> tuple[slice, slice]:
    """Return which of `count` values find a cut, and on which its false positives are counted."""
    return slice(0, count, 2), slice(1, count, 2)


def _cut(values: np.ndarray, settings: CopySettings, *, is_high: bool) -> tuple[float, dict[str, Any]]:
    """Return a cut of values of prompts of no training image, and what is said of it."""
    sign = -1 if is_high else 1
    finds, counts = _halves(len(values))
    cut = sign * low_cut(sign * values[finds], settings.false_positives)
    passing = values[counts] > cut if is_high else values[counts] < cut
    return cut, {"cut": cut, "found_on": len(values[finds]), "false_positives": rate(passing).as_dict()}


def _against(known: np.ndarray, said: np.ndarray) -> dict[str, Any]:
    """Return precision and recall of what is `said` [N] bool of prompts of which it is `known` [N] bool."""
    return {"precision": rate(known[said]).as_dict(), "recall": rate(said[known]).as_dict()}


def find_copies(
    prompts: str | Path,
    generated: Iterable[str | Path],
    norms: str | Path,
    training: Sequence[str],
    settings: CopySettings,
) -> tuple[pa.Table, dict[str, Any]]:
    """Return what is found for each prompt (a table of the schema FOUND), and a summary.

    Args:
        prompts: table of fit.copies.prompts.PROMPTS.
        generated: image tables of their pictures.
        norms: table of NORMS, of the detector; norms are null where the model has none.
        training: tables of training images.
        settings: what is near, and what is a copy.

    Raises:
        ConfigError: `side` is no multiple of 4.
        DataError: too few pictures or prompts; no training image.
        ImageTableError: a table is not what it should be.
    """
    if settings.side % 4:
        raise ConfigError(f"`side` is {settings.side}, which 4 tiles do not divide; make it {settings.side // 4 * 4}")
    chosen = read_chosen(prompts)
    names = [row["concept"] for row in chosen]
    looked = {
        name: _look_at(ids, pictures, settings, name)
        for name, ids, pictures in read_generated(generated, settings.side, names)
    }
    cliques = [looked[name] for name in names]
    if inexact := sum(not one.is_exact for one in cliques):
        print(
            f"fit: {number_of(inexact, 'prompt')}: the tightest clique may be tighter than the one that was found, as "
            "the search was given up",
            file=sys.stderr,
        )
    images = TrainingImages(training, settings.side)
    nearest, ratios = _ratios(np.concatenate([one.compared for one in cliques]), images, settings)
    starts = np.cumsum([0, *(len(one.compared) for one in cliques)])
    of_norm = {row["concept"]: row["norm"] for row in read(norms, ["concept", "norm"], schema=NORMS).to_pylist()}
    norm = np.array([np.nan if of_norm.get(name) is None else of_norm[name] for name in names], float)
    width = np.array([one.width for one in cliques])
    is_other = np.array([row["is_other"] for row in chosen])
    epsilon, of_epsilon = _cut(width[is_other], settings, is_high=False)
    has_detector = not np.isnan(norm).any()
    cut, of_cut = _cut(norm[is_other], settings, is_high=True) if has_detector else (np.inf, None)
    suspect, detected = width < epsilon, norm > cut
    small = ratios < 1
    copy = suspect & small[starts[:-1]]
    shares = [float(small[start + 1 : end].mean()) for start, end in pairwise(starts)]
    rows = []
    for at, (row, one) in enumerate(zip(chosen, cliques, strict=True)):
        table, place = images.places[nearest.rows[starts[at]]]
        rows.append(
            row
            | {
                "pictures": one.pictures,
                "width": one.width,
                "is_suspect": bool(suspect[at]),
                "middle": one.middle,
                "nearest_table": table,
                "nearest_row": place,
                "distance": float(nearest.distances[starts[at]]),
                "ratio": float(ratios[starts[at]]),
                "is_copy": bool(copy[at]),
                "copied_share": shares[at],
                "norm": float(norm[at]) if has_detector else None,
                "is_detected": bool(detected[at]) if has_detector else None,
            }
        )
    counted = _halves(int(is_other.sum()))[1]
    known = np.array([row["memorised"] is not None for row in chosen])
    memorised = np.array([bool(row["memorised"]) for row in chosen])
    summary = {
        "prompts": int((~is_other).sum()),
        "others": int(is_other.sum()),
        "training_images": len(images.places),
        "broken_training_images": images.broken,
        "inexact_cliques": inexact,
        "epsilon": of_epsilon,
        "copies_false_positives": rate(copy[is_other][counted]).as_dict(),
        "detector": of_cut,
        "suspects": rate(suspect[~is_other]).as_dict(),
        "copies": rate(copy[~is_other]).as_dict(),
        "detected": rate(detected[~is_other]).as_dict() if has_detector else None,
        "known": {
            "memorised": int((known & memorised).sum()),
            "not_memorised": int((known & ~memorised).sum()),
            "suspects": _against(memorised[known], suspect[known]),
            "copies": _against(memorised[known], copy[known]),
            "detector": _against(memorised[known], detected[known]) if has_detector else None,
        }
        if known.any()
        else None,
    }
    return pa.Table.from_pylist(rows, schema=FOUND), summary


def _share(found: dict[str, Any]) -> str:
    """Return hits, of how many, and the interval, in words."""
    if not found["of"]:
        return "none of none"
    low, high = found["interval"]
    return f"{found['hits']} of {found['of']} ({low:.1%} to {high:.1%})"


def told(summary: dict[str, Any]) -> list[str]:
    """Return the summary in lines."""
    epsilon, detector = summary["epsilon"], summary["detector"]
    lines = [
        f"prompts that are suspects: {_share(summary['suspects'])}; that make copies: {_share(summary['copies'])}",
        f"epsilon {epsilon['cut']:.4f}; of prompts of no training image, suspects: "
        f"{_share(epsilon['false_positives'])}, copies: {_share(summary['copies_false_positives'])}",
    ]
    if detector:
        lines.append(
            f"the detector's cut {detector['cut']:.3f}: of the prompts, {_share(summary['detected'])} are above it; of "
            f"those of no training image, {_share(detector['false_positives'])}"
        )
    else:
        lines.append("the detector was not measured: this model has no text-conditional part that can be told apart")
    for name, against in (summary["known"] or {}).items():
        if isinstance(against, dict):
            lines.append(
                f"{name}, against what is known: precision {_share(against['precision'])}, recall "
                f"{_share(against['recall'])}"
            )
    return lines
