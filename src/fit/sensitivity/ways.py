"""The choices in which the paper's code and this project differ, and the threshold by each way to make them.

Each choice is changed alone, with all others as in the study; then all at once, as in the paper's code and as this
project makes them where nothing is said.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from fit.counts.estimate import read_counts_of, scaled_matches
from fit.io.concept_tables import ConceptTables
from fit.io.shown import number_of
from fit.matches.settings import METHODS
from fit.matches.threshold import MEANS, MatchThreshold
from fit.scores.prompts import align_prompts, prompt_places
from fit.scores.settings import TargetSettings
from fit.scores.targets import RULES
from fit.sensitivity.choices import Answer, locate
from fit.thresholds.neighbours import measure_neighbours, why_no_interval
from fit.thresholds.scores import EVIDENCE, Scores, sort_scores
from fit.thresholds.uncertainty import bootstrap, interval

GIVEN = "given"
"""MatchThreshold.method of a cosine that was given, not found."""


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way to make the choices."""

    targets: TargetSettings
    method: str = GIVEN
    """Of the match threshold: a name of METHODS, or GIVEN."""
    mean: str = "without_itself"
    """A key of MEANS."""


def _way(rule: Any, fewest: int, empty: Any, method: str, mean: str) -> Way:
    settings = TargetSettings(targets=rule, fewest_targets=fewest, empty_prompt=empty)
    return Way(targets=settings, method=method, mean=mean)


OURS = {
    "faces": _way("matches_and_references", 1, "left_out", "midpoint", "without_itself"),
    "styles": _way("matches_or_references", 1, "left_out", "best_f1", "without_itself"),
}
PUBLISHED = {
    "faces": _way("ten_matches_or_references", 5, "zero", "midpoint", "with_itself"),
    "styles": _way("matches_or_references", 1, "left_out", "best_f1_published", "with_itself"),
}
"""What a domain is of -> how the code of arXiv 2410.15002 makes the choices."""
CHOICES = {
    "targets": "targets",
    "mean": "mean within a concept",
    "method": "match threshold found as",
    "fewest_targets": "fewest targets of a concept",
    "empty_prompt": "prompt without a usable picture",
    "published": "all as in the paper's code",
}
"""Keys of the choices, and their names in figure and text."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One setting of a choice."""

    choice: str
    """A key of CHOICES."""
    name: str
    in_use: bool
    """Whether the study has it."""
    published: bool
    """Whether the paper's code has it, for domains of the study's kind."""
    way: Way
    match_threshold: float | None
    """The cosine that the way leads to; None without training images."""


def kind_of(targets: TargetSettings) -> str:
    """Return what a domain is of, by its rule of targets: "styles" by matches_or_references, else "faces"."""
    return "styles" if targets.targets == OURS["styles"].targets.targets else "faces"


def _values(way: Way) -> dict[str, str | int]:
    """Return choice -> setting of a way."""
    of_targets = {name: getattr(way.targets, name) for name in ("targets", "fewest_targets", "empty_prompt")}
    return {**of_targets, "method": way.method, "mean": way.mean}


def _changed(way: Way, choice: str, value: Any) -> Way:
    if choice in ("method", "mean"):
        return replace(way, **{choice: value})
    return replace(way, targets=replace(way.targets, **{choice: value}))


def settings_to_try(targets: TargetSettings, found: MatchThreshold | None) -> list[Setting]:
    """Return the settings of every choice that can be tried.

    Args:
        targets: of the study.
        found: its match threshold; None without training images. Where it does not say what other methods would have
            found (MatchThreshold.by_mean), only the choices of targets and prompts can be tried. Where it was given, it
            does not depend on the mean.
    """
    by_mean = (found or {}).get("by_mean") or {}
    mean = "with_itself" if (found or {}).get("mean_with_itself") else "without_itself"
    method = str(found["method"]) if found else GIVEN
    in_use = Way(targets=targets, method=method, mean=mean)
    published, ours = PUBLISHED[kind_of(targets)], OURS[kind_of(targets)]
    if not by_mean:
        published, ours = (replace(way, method=method, mean=mean) for way in (published, ours))

    def cosine(way: Way) -> float | None:
        if found is None or way.method == GIVEN or (way.method, way.mean) == (method, mean):
            return found["match_threshold"] if found else None
        return by_mean[way.mean][way.method]

    names: dict[str, Sequence[str | int]] = {
        "targets": tuple(RULES),
        "mean": tuple(MEANS) if by_mean and method != GIVEN else (),
        "method": tuple(dict.fromkeys([*([GIVEN] if method == GIVEN else []), *METHODS])) if by_mean else (),
        "fewest_targets": sorted({1, 5, targets.fewest_targets}),
        "empty_prompt": ("left_out", "zero"),
    }
    tried = []
    for choice, values in names.items():
        for value in values:
            way = _changed(in_use, choice, value)
            tried.append(
                Setting(
                    choice=choice,
                    name=str(value),
                    in_use=way == in_use,
                    published=_values(published)[choice] == value,
                    way=way,
                    match_threshold=cosine(way),
                )
            )
    # Without a match threshold to choose, both are one for styles.
    whole = (("usual here", ours), ("as in the paper's code", published)) if ours != published else ()
    for name, way in whole:
        is_published = way == published
        tried.append(
            Setting(
                choice="published",
                name=name,
                in_use=way == in_use,
                published=is_published,
                way=way,
                match_threshold=cosine(way),
            )
        )
    return tried


# --- the threshold by each --------------------------------------------------------------------------------------------

OF_SETTING = ("choice", "setting", "in_use", "published", "matches", "prompt", "image_scores")
"""Columns of the rows of settings in tables of fit.sensitivity.rescore.RESCORED."""


@dataclass(frozen=True)
class _Known:
    """What is known of a concept besides its scores."""

    count: float
    evidence: np.ndarray
    """[5] in the order of EVIDENCE, NaN if unknown."""
    family: str = ""
    """Of like concepts; empty if unknown."""

    def at(self, matches: int | None) -> "_Known":
        """Return it if so many training images matched; None: if there are none."""
        captions, downloaded, matched = self.evidence[:3]
        if matches is None or not np.isfinite(downloaded) or matches == matched:
            return self
        # Without captions the collected images are all there are.
        whole = int(downloaded if np.isnan(captions) else captions)
        evidence = np.array([captions, downloaded, matches, np.nan, np.nan])
        return _Known(float(scaled_matches(matches, whole, int(downloaded))), evidence, self.family)


def _known(table: Scores, counts: str | Path | None) -> dict[str, _Known]:
    """Return concept -> what is known of it: of the study's table, and of the counts of concepts that it left out."""
    known = {}
    if counts is not None:
        for concept, row in read_counts_of(counts, ("effective_count",)).items():
            evidence = np.array([np.nan if row[name] is None else row[name] for name in EVIDENCE], np.float64)
            known[concept] = _Known(float(row["effective_count"] or 0), evidence)
    families = table.groups if table.families is None else table.families
    return known | {
        str(concept): _Known(float(table.counts[row]), table.evidence[row], str(families[row]))
        for row, concept in enumerate(table.concepts)
    }


_Images = dict[str, list[float]]
"""Prompt -> image scores."""


def _read(rescored: ConceptTables) -> dict[tuple[str, str], tuple[bool, bool, dict[str, tuple[int | None, _Images]]]]:
    """Return (choice, setting) -> (in use, published, concept -> (matches, image scores))."""
    found: dict[tuple[str, str], tuple[bool, bool, dict[str, tuple[int | None, _Images]]]] = {}
    for concept, rows in rescored.each(list(OF_SETTING)):
        for row in rows.filter(rows.column("choice").is_valid()).to_pylist():
            _, _, of_concepts = found.setdefault((row["choice"], row["setting"]), (row["in_use"], row["published"], {}))
            _, images = of_concepts.setdefault(concept, (row["matches"], {}))
            images[row["prompt"]] = row["image_scores"] or []
    return found


def _table_of(known: Mapping[str, _Known], of_concepts: Mapping[str, tuple[int | None, _Images]]) -> Scores:
    """Return the concepts with a score and a count."""
    scored = {
        concept: images
        for concept, (_, images) in of_concepts.items()
        if concept in known and any(len(of_prompt) for of_prompt in images.values())
    }
    aligned = align_prompts(scored, prompt_places(scored))
    at = [known[concept].at(of_concepts[concept][0]) for concept in scored]
    scores = [np.mean([np.mean(of_prompt) for of_prompt in aligned[concept] if of_prompt]) for concept in scored]
    evidence = np.array([one.evidence for one in at]).reshape(-1, len(EVIDENCE))
    images = [aligned[concept] for concept in scored]
    families = [one.family for one in at]
    return sort_scores(list(scored), [one.count for one in at], scores, None, images, evidence, families)


def _threshold_of(
    table: Scores, estimator: str, penalty: float, resamples: int, seed: int
) -> tuple[float | None, list[float] | None]:
    """Return the threshold of a table and its interval; None each where there is none, or where it does not hold."""
    threshold = locate(table, estimator, penalty)
    if threshold is None or why_no_interval(measure_neighbours(table, seed)):
        return threshold, None
    drawn = bootstrap(table, [estimator], penalty, resamples, seed)[estimator]
    return threshold, interval(estimator, drawn, table.counts)


def over_ways(
    table: Scores,
    rescored: ConceptTables,
    counts: str | Path | None,
    found: Mapping[str, Any],
    resamples: int,
    seed: int,
) -> dict[str, list[Answer]]:
    """Return choice -> the threshold at each of its settings, with its interval.

    Args:
        table: of the study.
        rescored: tables of fit.sensitivity.rescore.RESCORED.
        counts: path of effective counts, also of concepts that the study has no score of. Without it, these stay out
            where a setting gives them one.
        found: estimator and penalty of the study.
        resamples: of the bootstrap.
        seed: of its draws.

    Returns:
        Answers with setting, in_use, published, interval, concepts (with a score), threshold and weight. A choice with
        one setting is left out.
    """
    known, estimator, penalty = _known(table, counts), found["estimator"], found["penalty"]
    answers: dict[str, list[Answer]] = {}
    # Many settings lead to the same table: each choice has the study's own among its settings.
    done: dict[bytes, tuple[float | None, list[float] | None]] = {}
    for (choice, setting), (in_use, published, of_concepts) in _read(rescored).items():
        at_setting = _table_of(known, of_concepts)
        columns = (at_setting.concepts, at_setting.counts, at_setting.scores, at_setting.evidence)
        table_is = b"".join(column.tobytes() for column in columns)
        if table_is not in done:
            done[table_is] = _threshold_of(at_setting, estimator, penalty, resamples, seed)
        threshold, ends = done[table_is]
        answers.setdefault(choice, []).append(
            {
                "setting": setting,
                "in_use": in_use,
                "published": published,
                "threshold": threshold,
                "interval": ends,
                "concepts": len(at_setting),
            }
        )
    several = {choice: of_choice for choice, of_choice in answers.items() if len(of_choice) > 1}
    for of_choice in several.values():
        for answer in of_choice:
            answer["weight"] = 1 / len(of_choice)
    return {choice: several[choice] for choice in CHOICES if choice in several}


# --- in words ---------------------------------------------------------------------------------------------------------


def _images(threshold: float | None) -> str:
    return "none" if threshold is None else f"{threshold:.0f}"


def in_short(answers: Sequence[Answer]) -> str:
    """Say in a few words what the study's setting, and the paper's, lead to."""
    here = next((_images(one["threshold"]) for one in answers if one["in_use"]), None)
    theirs = next((_images(one["threshold"]) for one in answers if one["published"]), None)
    if any(one["in_use"] and one["published"] for one in answers):
        others = dict.fromkeys(_images(one["threshold"]) for one in answers if not one["published"])
        return f"the study's is the paper's: {here}; else {', '.join(others)}"
    if here is None:
        here = next(_images(one["threshold"]) for one in answers if not one["published"])
        return f"the paper's {theirs}, usual here {here}"
    return f"the study's {here}, the paper's {theirs}"


def details(answers: Sequence[Answer]) -> Iterator[str]:
    """Yield a line for each setting."""
    for one in answers:
        marks = [name for name, has in (("the study's", one["in_use"]), ("the paper's", one["published"])) if has]
        named = f"{one['setting']} ({', '.join(marks)})" if marks else one["setting"]
        ends = f" ({one['interval'][0]:.0f} to {one['interval'][1]:.0f})" if one["interval"] else ""
        yield f"  {named}: {_images(one['threshold'])}{ends}, {number_of(one['concepts'], 'concept')}"
