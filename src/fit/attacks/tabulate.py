"""What attacks achieve: the score of each setting, and of each attack with its best one, with intervals over pictures.

An attack tries several settings, and the best of them is what an attacker would use. The highest of many scores is too
high by chance, so the best setting is chosen by one half of the pictures and scored by the other, and the reverse; the
attack's score is the mean of both. `best_score` is the score of the setting that is best by all pictures.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from fit.attacks.plan import TRIALS
from fit.errors import DataError
from fit.io.concept_tables import CONCEPT, ConceptTables
from fit.io.escaping import delimited
from fit.io.files import write_text
from fit.io.parquet import read, write_frame
from fit.io.shown import plain
from fit.scores.imitation import OF_PROMPT

SETTINGS: dict[str, type[pl.DataType]] = {
    "concept": pl.String,
    "attack": pl.String,
    "setting": pl.String,
    "score": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "images": pl.Int64,
}
"""A row a concept, attack and setting. low, high: 95 % interval over pictures. images: that could be used."""
ATTACKS: dict[str, type[pl.DataType]] = {
    "concept": pl.String,
    "attack": pl.String,
    "score": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "settings": pl.Int64,
    "best_setting": pl.String,
    "best_score": pl.Float64,
    "images": pl.Int64,
    "reason": pl.String,
}
"""A row a concept and attack. settings: that were tried and have a score; reason: why there is no score."""
ByPrompt = Sequence[np.ndarray]
"""Scores of a setting's pictures, an array [G] a prompt."""


def _resampled(of_prompts: ByPrompt, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Return the score [resamples] of a setting when the pictures of each prompt are drawn again."""
    means = [scores[rng.integers(len(scores), size=(resamples, len(scores)))].mean(axis=1) for scores in of_prompts]
    return np.mean(means, axis=0)


def _mean(of_prompts: ByPrompt) -> float:
    return float(np.mean([scores.mean() for scores in of_prompts]))


def interval(values: np.ndarray) -> tuple[float, float]:
    """Return the 95 % percentile interval of resampled scores."""
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


@dataclass(frozen=True)
class Best:
    """What an attack achieves with its best setting."""

    score: float
    low: float
    high: float


def best_of(settings: Sequence[ByPrompt], resamples: int, rng: np.random.Generator) -> Best | None:
    """Return the score of the best of several settings, chosen by half of the pictures and scored by the other half.

    Args:
        settings: scores of each setting's pictures by prompt.
        resamples: of the bootstrap, in which the choice is made again each time.
        rng: of the bootstrap.

    Returns:
        Best; None where a prompt has one picture only, so that there are no halves.
    """
    if len(settings) == 1:
        return Best(_mean(settings[0]), *interval(_resampled(settings[0], resamples, rng)))
    if any(len(scores) < 2 for of_prompts in settings for scores in of_prompts):
        return None
    halves = [[[scores[half::2] for scores in of_prompts] for of_prompts in settings] for half in range(2)]
    scores = np.array([[_mean(of_prompts) for of_prompts in half] for half in halves])
    drawn = np.array([[_resampled(of_prompts, resamples, rng) for of_prompts in half] for half in halves])
    chosen = scores.argmax(axis=1)
    again = drawn.argmax(axis=1)
    columns = np.arange(resamples)
    resampled = (drawn[1][again[0], columns] + drawn[0][again[1], columns]) / 2
    return Best(float(scores[1, chosen[0]] + scores[0, chosen[1]]) / 2, *interval(resampled))


def _of_concept(
    concept: str,
    trials: Sequence[Mapping[str, str]],
    scores_of: Mapping[str, Sequence[float]],
    attacks: Sequence[str],
    resamples: int,
    rng: np.random.Generator,
) -> tuple[list[dict], list[dict]]:
    """Return the rows SETTINGS and ATTACKS of a concept.

    Args:
        concept: its slug.
        trials: rows of TRIALS of the concept.
        scores_of: label -> scores of its pictures.
        attacks: in the order of the rows; one without a trial gets a row too.
        resamples, rng: of the bootstrap.
    """
    of_settings, of_attacks = [], []
    for attack in attacks:
        labels: dict[str, list[str]] = {}
        for trial in trials:
            if trial["attack"] == attack:
                labels.setdefault(trial["setting"], []).append(trial["label"])
        scored: dict[str, list[np.ndarray]] = {}
        for setting, names in labels.items():
            found = [np.array(scores_of[name], float) for name in names if len(scores_of[name])]
            told = {"concept": concept, "attack": attack, "setting": setting, "images": sum(map(len, found))}
            if found:
                scored[setting] = found
                low, high = interval(_resampled(found, resamples, rng))
                told |= {"score": _mean(found), "low": low, "high": high}
            of_settings.append(told)
        row = {"concept": concept, "attack": attack, "settings": len(scored), "images": 0}
        row["images"] = sum(len(one) for of_prompts in scored.values() for one in of_prompts)
        if not scored:
            row["reason"] = "no picture could be used" if labels else "not tried: the log of plan_attacks says why"
        else:
            best = max(scored, key=lambda setting: _mean(scored[setting]))
            row |= {"best_setting": best, "best_score": _mean(scored[best])}
            whole = best_of(list(scored.values()), resamples, rng)
            if whole is None:
                row["reason"] = "a prompt has one usable picture: raise images_per_prompt"
            else:
                row |= vars(whole)
        of_attacks.append(row)
    return of_settings, of_attacks


def tabulate_attacks(
    trials: str | Path, scores: Sequence[str | Path], attacks: Sequence[str], resamples: int, seed: int
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Bring together what each attack achieves.

    Args:
        trials: table TRIALS.
        scores: tables of `fit scores imitation` on the pictures of the trials.
        attacks: names in the order of the rows.
        resamples: of the bootstrap over pictures.
        seed: of the bootstrap.

    Returns:
        (frame SETTINGS, frame ATTACKS).

    Raises:
        DataError: the scores are of other prompts, or a concept has none.
    """
    table = read(trials, ["concept", "attack", "setting", "label"], schema=TRIALS)
    by_concept: dict[str, list[dict[str, str]]] = {}
    for row in table.to_pylist():
        by_concept.setdefault(row["concept"], []).append(row)
    tables = ConceptTables(scores)
    of_settings: list[dict] = []
    of_attacks: list[dict] = []
    columns = ["prompt", "image_scores"]
    schema = pa.schema([CONCEPT, *(OF_PROMPT.field(name) for name in columns)])
    for number, (concept, rows) in enumerate(by_concept.items()):
        found = tables.read(concept, columns, schema=schema).to_pydict()
        scores_of = dict(zip(found["prompt"], found["image_scores"], strict=True))
        if lacking := [row["label"] for row in rows if row["label"] not in scores_of]:
            raise DataError(
                f"{tables.path(concept)}, concept {concept!r}: no score of the prompt {plain(lacking, 1)}: its "
                "pictures are of another table of prompts; ask snakemake for attacks again"
            )
        rng = np.random.default_rng([seed, number])
        for whole, part in zip(
            (of_settings, of_attacks), _of_concept(concept, rows, scores_of, attacks, resamples, rng), strict=True
        ):
            whole += part
    return pl.DataFrame(of_settings, schema=SETTINGS), pl.DataFrame(of_attacks, schema=ATTACKS)


def write_tables(settings: pl.DataFrame, attacks: pl.DataFrame, settings_file: str | Path, out: str | Path) -> None:
    """Write the frames as Parquet, and that of attacks as text beside it (.tsv)."""
    for frame, path in ((settings, settings_file), (attacks, out)):
        write_frame(frame, path)
    lines = [
        ["" if cell is None else f"{cell:.3f}" if isinstance(cell, float) else cell for cell in row]
        for row in attacks.rows()
    ]
    write_text(Path(out).with_suffix(".tsv"), delimited([attacks.columns, *lines]))
