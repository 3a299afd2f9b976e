"""What the explorer says of a part's trustworthiness: its calibration, and how far each choice moves the threshold."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fit.explorer.concepts import known
from fit.explorer.contents import Fact, Penalty, Strip, StripValue
from fit.explorer.words import GroupRates
from fit.io.shown import number_of
from fit.io.user_tables import read_user_table
from fit.matches.verification import COLUMNS as RATES
from fit.matches.verification import EVERYONE
from fit.sensitivity import counted, ways
from fit.sensitivity.choices import LEAST_PENALTY, over_penalties, summarise
from fit.sensitivity.measure import CHOICES
from fit.thresholds.report import FEWEST
from fit.thresholds.scores import Scores

Found = Mapping[str, Any]
PENALTIES = 24
"""Penalties between the lowest and the highest that are shown."""

# --- calibration ------------------------------------------------------------------------------------------------------

RATES_IN_WORDS = (
    ("tpr", "true positives", "Of the means within a concept, or of artworks, those above it."),
    ("fpr", "false positives", "Of the means between concepts, or of photographs, those above it."),
    (
        "roc_auc",
        "area under the ROC curve",
        "How well the similarities are told apart: 0.5 is chance, 1 without error.",
    ),
    ("equal_error_rate", "equal error rate", "Where both errors are equally frequent."),
    ("image_tpr", "true positives of single images", "Of the images of a concept, those that match it."),
    ("image_fpr", "false positives of single images", "Of the images of other concepts, those that match it."),
)
"""Key of the JSON of a match threshold -> label, what it means."""


def calibration_of(found: Found, of: str) -> Iterator[Fact]:
    """Yield what is known of a match threshold.

    Args:
        found: what `fit matches threshold` or `fit matches art-threshold` wrote.
        of: what it tells apart, in front of each label.
    """
    cosine = known(found.get("match_threshold"))
    if cosine is None:
        why = found.get("reason") or "none was needed"
        yield Fact(label=f"{of}: match threshold", value="none", words=f"{why[:1].upper()}{why[1:]}.")
        return
    how = str(found.get("method", "given")).replace("_", " ")
    how += ", means with themselves" if found.get("mean_with_itself") else ""
    yield Fact(label=f"{of}: match threshold", value=f"{cosine:.4f}", words=f"A cosine, found as: {how}.")
    for key, label, words in RATES_IN_WORDS:
        rate = known(found.get(key))
        if rate is None:
            continue
        ends = found.get(f"{key}_interval")
        span = f" ({ends[0]:.4f} to {ends[1]:.4f})" if ends else ""
        yield Fact(label=f"{of}: {label}", value=f"{rate:.4f}{span}", words=words)
    if worst := found.get("worst_pair"):
        said = f"{worst['rate']:.2f} of the images of {worst['images_of']} are taken for {worst['taken_for']}"
        yield Fact(label=f"{of}: confused most", value=f"{worst['rate']:.2f}", words=f"{said}.")


def _ends(text: str) -> tuple[float, float] | None:
    """Return the ends of an interval in brackets, as fit.matches.verification writes them; None without any."""
    found = re.search(r"\(([\d.]+) to ([\d.]+)\)", text)
    return (float(found[1]), float(found[2])) if found else None


def read_rates(path: Path | None) -> tuple[list[Fact], tuple[GroupRates, ...]]:
    """Read how often the embedder errs: (facts, rates by group), of a table that `fit matches verify` wrote."""
    if path is None:
        return [], ()
    facts, rates = [], []
    for row in read_user_table(path, RATES, empty=True).rows:
        group, fnmr, fmr = (str(row[name] or "") for name in ("group", "FNMR", "FMR"))
        whom = "all concepts" if group == EVERYONE else group
        said = (
            f"Two images of a concept are not taken for one in {fnmr or '(no pair)'}; two of different concepts are in "
        )
        said += f"{fmr or '(no pair)'}."
        facts.append(
            Fact(label=f"errors of {row['embedder']}, {whom}", value=f"{fnmr or '-'}; {fmr or '-'}", words=said)
        )
        if group != EVERYONE:
            rates.append(GroupRates(group=group, fnmr_interval=_ends(fnmr), fmr_interval=_ends(fmr)))
    return facts, tuple(rates)


# --- penalties --------------------------------------------------------------------------------------------------------


def penalties_of(table: Scores, in_use: float) -> list[Penalty]:
    """Return PELT's threshold at penalties from the lowest that is looked at to one without a change, and `in_use`.

    None of a table that no threshold can be found in.
    """
    if len(table) < FEWEST or np.ptp(table.counts) == 0:
        return []
    answers = over_penalties(table)
    highest = max(2 * answers[-1]["from"], 2 * in_use)
    grid = {float(f"{penalty:.3g}") for penalty in np.geomspace(LEAST_PENALTY, highest, PENALTIES)} | {in_use}
    starts = [answer["from"] for answer in answers]

    def threshold(penalty: float) -> float | None:
        at = max(int(np.searchsorted(starts, penalty, side="right")) - 1, 0)
        return known(answers[at]["threshold"])

    return [Penalty(penalty=penalty, threshold=threshold(penalty)) for penalty in sorted(grid)]


# --- sensitivity ------------------------------------------------------------------------------------------------------


def _value(label: str, threshold: Any, is_used: bool = False) -> StripValue:
    return StripValue(label=label, threshold=known(threshold), is_used=is_used)


def _of_penalties(found: Found, answers: Sequence[Found], top_k: int) -> Iterator[StripValue]:
    for one in answers:
        end = f"up to {one['to']:.3g}" if one["to"] is not None else "and more"
        is_used = one["from"] <= found["penalty"] and (one["to"] is None or found["penalty"] < one["to"])
        yield _value(f"from {one['from']:.3g} {end}", one["threshold"], is_used)


def _of_scores(found: Found, answers: Sequence[Found], top_k: int) -> Iterator[StripValue]:
    for place, one in enumerate(answers):
        yield _value(one["score"], one["threshold"], is_used=place == 0)


def _of_concepts(found: Found, answers: Sequence[Found], top_k: int) -> Iterator[StripValue]:
    moved = [one for one in answers if summarise([dict(one)], found["threshold"])["same"] < 1]
    if len(moved) < len(answers):
        yield _value(f"without one of {len(answers) - len(moved)} others, or none", found["threshold"], is_used=True)
    for one in moved:
        yield _value(f"without {one['concept']}", one["threshold"])


def _of_prompts(found: Found, answers: Sequence[Found], top_k: int) -> Iterator[StripValue]:
    yield _value("all prompts", found["threshold"], is_used=True)
    for one in answers:
        yield _value(f"{one['prompt']} {one['kind']}", one["threshold"])


def _of_top_k(found: Found, answers: Sequence[Found], top_k: int) -> Iterator[StripValue]:
    for one in answers:
        targets = number_of(one["top_k"], "target")
        yield _value(targets, one["threshold"], is_used=one["top_k"] == top_k)


def _of_match_thresholds(found: Found, answers: Sequence[Found], top_k: int) -> Iterator[StripValue]:
    for one in answers:
        named = [name.replace("_", " ") for name in one["named"] if name != "in use"]
        label = f"{one['match_threshold']:.4f}" + (f" ({', '.join(named)})" if named else "")
        yield _value(label, one["threshold"], is_used="in use" in one["named"])


def _of_ways(found: Found, answers: Sequence[Found], top_k: int) -> Iterator[StripValue]:
    for one in answers:
        label = str(one["setting"]).replace("_", " ")
        is_marked = one["published"] and "paper" not in label
        yield _value(f"{label} (as in the paper's code)" if is_marked else label, one["threshold"], bool(one["in_use"]))


Values = Callable[[Found, Sequence[Found], int], Iterator[StripValue]]
STRIPS: dict[str, Values] = {
    "penalty": _of_penalties,
    "score": _of_scores,
    "concepts": _of_concepts,
    "prompts": _of_prompts,
    "top_k": _of_top_k,
    "match_threshold": _of_match_thresholds,
    **dict.fromkeys([*counted.CHOICES, *ways.CHOICES], _of_ways),
}
"""Key of a choice (fit.sensitivity.measure.CHOICES) -> function(sensitivity, its answers, top-k of the study)."""


def strips_of(found: Found | None, top_k: int) -> list[Strip]:
    """Return how each choice moves the threshold, of what `fit sensitivity measure` wrote; none without it."""
    if found is None:
        return []
    return [
        Strip(choice=CHOICES[key], values=list(STRIPS[key](found, choice["answers"], top_k)))
        for key, choice in found["choices"].items()
        if key in STRIPS
    ]
