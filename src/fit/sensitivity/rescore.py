"""A concept's scores at every top-k, at match thresholds around the study's own, and by each of the ways."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from fit.errors import DataError
from fit.io.concept_tables import CONCEPT
from fit.matches.threshold import MatchThreshold
from fit.scores.evidence import Evidence, TrainingImages
from fit.scores.imitation import EMPTY_PROMPTS, score_concept
from fit.scores.settings import ScoreSettings, TargetSettings
from fit.scores.targets import choose_targets
from fit.sensitivity.ways import Setting, settings_to_try

TOP_K = 50
"""Targets up to which every top-k is tried."""
THRESHOLDS = 9
"""Match thresholds from the lowest mean cosine within a concept to the highest between two, evenly."""

RESCORED = pa.schema(
    [
        CONCEPT,
        ("match_threshold", pa.float64()),
        ("matches", pa.int64()),
        ("prompt", pa.string()),
        ("top_k", pa.int32()),
        ("score", pa.float64()),
        ("choice", pa.string()),
        ("setting", pa.string()),
        ("in_use", pa.bool_()),
        ("published", pa.bool_()),
        ("image_scores", pa.list_(pa.float64())),
    ]
)
"""Scores by every match threshold, prompt and top-k. match_threshold and matches: null where there are no training
images; score: null where the prompt has none by the study's TargetSettings.

The last five columns are null there. Rows that have them are scores at a setting of fit.sensitivity.ways, by prompt, at
the study's top-k, with the scores of each image."""


def threshold_in_use(found: MatchThreshold) -> float:
    """Return the study's match threshold.

    Raises:
        DataError: none was found.
    """
    threshold = found["match_threshold"]
    if threshold is None:
        raise DataError(f"no match threshold was found: {found.get('reason', 'it does not say why')}")
    return threshold


def thresholds_around(found: MatchThreshold) -> list[float]:
    """Return the match thresholds to try, ascending.

    They are THRESHOLDS of them from the lowest positive to the highest negative similarity, the two that can be found
    (midpoint and best_f1), and the one in use. Where that was given, and there was nothing to find others with, it is
    the only one.
    """
    thresholds = [threshold_in_use(found)]
    midpoint, best_f1 = found["midpoint"], found["best_f1"]
    low, high = found["lowest_positive"], found["highest_negative"]
    if midpoint is None or best_f1 is None or low is None or high is None:
        return thresholds
    for threshold in (midpoint, best_f1, *np.linspace(low, high, THRESHOLDS).tolist()):
        if not any(abs(threshold - other) < 1e-9 for other in thresholds):
            thresholds.append(float(threshold))
    return sorted(thresholds)


def _mean_cosines(vectors: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Return mean cosines [N, P] of vectors [N, D] to generated images, whose mean vectors by prompt are [P, D]."""
    if not len(vectors) or not len(directions):
        return np.zeros((len(vectors), len(directions)))
    return vectors.astype(np.float64) @ directions.T


def _matches_by_threshold(
    training: TrainingImages, values: Sequence[float], match_threshold: MatchThreshold, art_threshold: float | None
) -> dict[float, np.ndarray]:
    """Return match threshold, of `values` and the one in use -> which training images match, [N]."""
    is_art = np.ones(len(training.match), bool)
    if art_threshold is not None:
        if training.art_similarity is None:
            raise DataError(f"{training.place}: the matches have no column 'art_similarity'; ask snakemake for them")
        is_art = training.art_similarity > art_threshold
    in_use = threshold_in_use(match_threshold)
    found = {value: (training.similarity > value) & is_art for value in dict.fromkeys([*values, in_use])}
    if (found[in_use] != training.match).any():
        raise DataError(
            f"{training.place}: the matches were found by other match thresholds than {in_use:g}; ask snakemake for "
            "them"
        )
    return found


def _at_settings(
    evidence: Evidence,
    tried: Sequence[Setting],
    settings: ScoreSettings,
    match_threshold: MatchThreshold | None,
    art_threshold: float | None,
) -> pa.Table:
    """Return the rows of RESCORED, without `concept`, of each setting: scores as score_concept finds them."""
    matches: dict[float, np.ndarray] = {}
    if evidence.training is not None and match_threshold is not None:
        values = [setting.match_threshold for setting in tried if setting.match_threshold is not None]
        matches = _matches_by_threshold(evidence.training, values, match_threshold, art_threshold)
    rows = []
    # One match threshold after another: the matched vectors of only one are in memory.
    for value in dict.fromkeys(setting.match_threshold for setting in tried):
        at_value, number = evidence, None
        if evidence.training is not None and value is not None:
            at_value = replace(evidence, training=replace(evidence.training, match=matches[value]))
            number = int(matches[value].sum())
        scored: dict[TargetSettings, pa.Table] = {}
        for setting in tried:
            if setting.match_threshold != value:
                continue
            targets = setting.way.targets
            if targets not in scored:
                scored[targets] = score_concept(at_value, targets, settings)
            of_setting = {name: getattr(setting, name) for name in ("choice", "in_use", "published")}
            of_setting |= {"setting": setting.name, "match_threshold": value, "matches": number}
            of_setting |= {"top_k": settings.top_k}
            columns = scored[targets].select(["prompt", "score", "image_scores"])
            rows += [{**of_setting, **row} for row in columns.to_pylist()]
    return pa.Table.from_pylist(rows, schema=RESCORED.remove(0))


def rescore_concept(
    evidence: Evidence,
    targets: TargetSettings,
    settings: ScoreSettings,
    match_threshold: MatchThreshold | None = None,
    art_threshold: float | None = None,
) -> pa.Table:
    """Score one concept as fit.scores.imitation.score_concept does, at every top-k, match threshold and setting to try.

    Args:
        evidence: on the concept.
        targets: of the study.
        settings: of the study; its top-k is scored too if it is larger than TOP_K.
        match_threshold: of the study; None without training images.
        art_threshold: cosine above which training images are artworks; None without an art filter.

    Returns:
        Arrow table of the schema RESCORED, without the column `concept`.

    Raises:
        DataError: the matches were not found by these match thresholds.
    """
    grid = _on_grid(evidence, targets, settings, match_threshold, art_threshold)
    tried = settings_to_try(targets, match_threshold if evidence.training is not None else None)
    return pa.concat_tables([grid, _at_settings(evidence, tried, settings, match_threshold, art_threshold)])


def _on_grid(
    evidence: Evidence,
    targets: TargetSettings,
    settings: ScoreSettings,
    match_threshold: MatchThreshold | None,
    art_threshold: float | None,
) -> pa.Table:
    """Return the rows of RESCORED, without `concept`, at every top-k and every match threshold to try."""
    usable = [prompt for prompt, vectors in evidence.pictures.items() if len(vectors)]
    directions = np.array([evidence.pictures[prompt].mean(axis=0, dtype=np.float64) for prompt in usable])
    to_references = _mean_cosines(evidence.references, directions)
    trained: list[tuple[float | None, int | None, np.ndarray]] = [(None, None, to_references[:0])]
    if evidence.training is not None:
        if match_threshold is None:
            raise DataError(f"concept {evidence.concept!r}: it has training images, so give the match threshold too")
        parts = [_mean_cosines(vectors, directions) for _, vectors in evidence.training.stream()]
        to_images = np.concatenate(parts) if parts else to_references[:0]
        values = thresholds_around(match_threshold)
        by_threshold = _matches_by_threshold(evidence.training, values, match_threshold, art_threshold)
        trained = [(value, int(match.sum()), to_images[match]) for value, match in by_threshold.items()]
    tops = np.unique(np.append(np.arange(1, TOP_K + 1), settings.top_k))
    columns: dict[str, list[float | int | str | None]] = {name: [] for name in RESCORED.names[1:6]}
    empty = EMPTY_PROMPTS[targets.empty_prompt]
    for value, number, to_matched in trained:
        cosines = choose_targets(to_matched, to_references, targets.targets)
        best = np.sort(cosines, axis=0)[::-1][: tops[-1]]
        means = np.cumsum(best, axis=0) / np.arange(1, len(best) + 1)[:, None]
        for prompt in evidence.pictures:
            scores: list[float | None] = [None] * len(tops)
            if len(cosines) < targets.fewest_targets:
                pass
            elif prompt not in usable:
                scores = [float(empty.mean())] * len(tops) if len(empty) else scores
            else:
                scores = means[np.minimum(tops, len(best)) - 1, usable.index(prompt)].tolist()
            new = ([value] * len(tops), [number] * len(tops), [prompt] * len(tops), tops.tolist(), scores)
            for column, values in zip(columns.values(), new, strict=True):
                column += values
    of_settings = {name: [None] * len(columns["prompt"]) for name in RESCORED.names[6:]}
    return pa.Table.from_pydict({**columns, **of_settings}, schema=RESCORED.remove(0))
