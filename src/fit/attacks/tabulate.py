"""What attacks achieve: the score of each setting, and of each attack with its best one, with intervals over pictures.

An attack tries several settings, and the best of them is what an attacker would use. The highest of many scores is too
high by chance, so the best setting is chosen by one half of the pictures and scored by the other, and the reverse; the
attack's score is the mean of both. `best_score` is the score of the setting that is best by all pictures. Each score is
read as a count of training images on the curve of the base, the model that nobody changed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
from fit.thresholds.backwards import ABOVE, BELOW, ReadBackwards, draw_scores, in_words, resample_scores, why_flat
from fit.thresholds.families import draw_rows
from fit.thresholds.scores import Scores

ANY = "any"
"""In the column `attack`: the settings of all attacks together, of which the best is chosen."""
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
ATTACKS: dict[str, Any] = {
    "model": pl.String,
    "base": pl.String,
    "concept": pl.String,
    "effective_count": pl.Float64,
    "attack": pl.String,
    "score": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "settings": pl.Int64,
    "best_setting": pl.String,
    "best_score": pl.Float64,
    "images": pl.Int64,
    "count": pl.Float64,
    "count_low": pl.Float64,
    "count_high": pl.Float64,
    "said": pl.String,
    "reason": pl.String,
    "drawn": pl.List(pl.Float64),
}
"""A row a concept and attack; ANY is the last attack, where more than one was tried. base: the model whose curve the
score is read on; effective_count: the concept's own; settings: that were tried and have a score; count: of training
images to which the score corresponds, -inf below the smallest count and inf above the largest; said: the same in words,
or why it is not read; reason: why there is no score; drawn: the score over pictures that were drawn again, for
comparisons."""
ByPrompt = Sequence[np.ndarray]
"""Scores of a setting's pictures, an array [G] a prompt."""


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
    drawn: np.ndarray
    """[resamples] the same over pictures that were drawn again."""

    @property
    def low(self) -> float:
        """Of the 95 % interval."""
        return interval(self.drawn)[0]

    @property
    def high(self) -> float:
        """Of the 95 % interval."""
        return interval(self.drawn)[1]


@dataclass(frozen=True)
class Base:
    """The curve of scores against counts that attacks are read on."""

    model: str
    """Whose curve it is."""
    table: Scores
    """Of all its concepts."""
    back: ReadBackwards | None
    """None where no curve can be fitted, or where one does not rise."""
    remarks: tuple[str, ...]
    """What the reader is to know of it."""

    def read(self, best: Best) -> dict[str, Any]:
        """Return the columns of ATTACKS that say to how many training images a score corresponds."""
        if self.back is None:
            return {"said": f"score {best.score:.2f}, not read as a count: {self.remarks[0]}"}
        found = self.back.read(best.score, best.drawn)
        said = in_words(found, self.table.counts)
        return {"count": found.count, "count_low": found.low, "count_high": found.high, "said": said}

    def count_of(self, concept: str) -> float | None:
        """Return the effective count of a concept; None if it has no score."""
        rows = np.flatnonzero(self.table.concepts == concept)
        return float(self.table.counts[rows[0]]) if len(rows) else None


def fit_base(model: str, table: Scores, resamples: int, seed: int) -> Base:
    """Fit the curve of a model, and those of concepts and pictures that are drawn again.

    Args:
        model: its name.
        table: its concepts, with counts and scores.
        resamples: of the bootstrap.
        seed: of the bootstrap.
    """
    if not len(table):
        return Base(model, table, None, ("the table of the base is empty",))
    rng = np.random.default_rng(seed)
    drawn = draw_scores(table.images, table.scores, resamples, rng)
    try:
        back = ReadBackwards(table.counts, table.scores, drawn, draw_rows(table, resamples, rng))
    except DataError as error:
        return Base(model, table, None, (str(error),))
    flat = why_flat(table)
    return Base(model, table, None if flat else back, (flat,) if flat else ())


def best_of(settings: Sequence[ByPrompt], resamples: int, rng: np.random.Generator) -> Best | None:
    """Return the score of the best of several settings, chosen by half of the pictures and scored by the other half.

    Args:
        settings: scores of each setting's pictures by prompt.
        resamples: of the bootstrap, in which the choice is made again each time.
        rng: of the bootstrap.

    Returns:
        Best; None where no setting has two pictures of each prompt or more (the only setting: of one prompt). Settings
        that have not are passed over: one picture has no halves, and says nothing of its own noise.
    """
    if len(settings) > 1:
        settings = [of_prompts for of_prompts in settings if all(len(scores) > 1 for scores in of_prompts)]
    if not any(len(scores) > 1 for of_prompts in settings for scores in of_prompts):
        return None
    if len(settings) == 1:
        return Best(_mean(settings[0]), resample_scores(settings[0], resamples, rng))
    halves = [[[scores[half::2] for scores in of_prompts] for of_prompts in settings] for half in range(2)]
    scores = np.array([[_mean(of_prompts) for of_prompts in half] for half in halves])
    drawn = np.array([[resample_scores(of_prompts, resamples, rng) for of_prompts in half] for half in halves])
    chosen = scores.argmax(axis=1)
    again = drawn.argmax(axis=1)
    columns = np.arange(resamples)
    resampled = (drawn[1][again[0], columns] + drawn[0][again[1], columns]) / 2
    return Best(float(scores[1, chosen[0]] + scores[0, chosen[1]]) / 2, resampled)


def _of_concept(
    concept: str,
    trials: Sequence[Mapping[str, str]],
    scores_of: Mapping[str, Sequence[float]],
    attacks: Sequence[str],
    base: Base,
    resamples: int,
    rng: np.random.Generator,
) -> tuple[list[dict], list[dict]]:
    """Return the rows SETTINGS and ATTACKS of a concept.

    Args:
        concept: its slug.
        trials: rows of TRIALS of the concept.
        scores_of: label -> scores of its pictures.
        attacks: in the order of the rows; one without a trial gets a row too.
        base: whose curve scores are read on.
        resamples, rng: of the bootstrap.
    """
    of_settings, of_attacks = [], []
    everything: dict[str, list[np.ndarray]] = {}
    tried = 0
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
                told["score"] = _mean(found)
                if any(len(one) > 1 for one in found):  # one picture says nothing of its own noise
                    told["low"], told["high"] = interval(resample_scores(found, resamples, rng))
            of_settings.append(told)
        lacking = "no picture could be used" if labels else "not tried: the log of plan_attacks says why"
        of_attacks.append({"attack": attack} | _best_row(scored, lacking, base, resamples, rng))
        everything |= {f"{attack}: {setting}": found for setting, found in scored.items()}
        tried += bool(scored)
    if tried > 1:
        of_attacks.append({"attack": ANY} | _best_row(everything, "", base, resamples, rng))
    of_both = {"base": base.model, "concept": concept, "effective_count": base.count_of(concept)}
    return of_settings, [of_both | row for row in of_attacks]


def _best_row(
    scored: Mapping[str, list[np.ndarray]], lacking: str, base: Base, resamples: int, rng: np.random.Generator
) -> dict[str, Any]:
    """Return the columns of ATTACKS about the best of several settings; `lacking`: why there may be none."""
    row: dict[str, Any] = {"settings": len(scored)}
    row["images"] = sum(len(one) for of_prompts in scored.values() for one in of_prompts)
    if not scored:
        return row | {"reason": lacking}
    best = max(scored, key=lambda setting: _mean(scored[setting]))
    row |= {"best_setting": best, "best_score": _mean(scored[best])}
    whole = best_of(list(scored.values()), resamples, rng)
    if whole is None:
        return row | {"reason": "each setting has a prompt with one usable picture: raise images_per_prompt"}
    found = {"score": whole.score, "low": whole.low, "high": whole.high, "drawn": whole.drawn.tolist()}
    return row | found | base.read(whole)


def tabulate_attacks(
    trials: str | Path,
    scores: Sequence[str | Path],
    attacks: Sequence[str],
    model: str,
    base: Base,
    resamples: int,
    seed: int,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Bring together what each attack achieves.

    Args:
        trials: table TRIALS.
        scores: tables of `fit scores imitation` on the pictures of the trials.
        attacks: names in the order of the rows.
        model: the name of the model that is attacked.
        base: whose curve scores are read on; of as many resamples.
        resamples: of the bootstrap over pictures.
        seed: of the bootstrap.

    Returns:
        (frame SETTINGS, frame ATTACKS).

    Raises:
        DataError: the scores are of other prompts, or a concept has none; a row is there twice; or the base is of other
            concepts.
    """
    table = read(trials, ["concept", "attack", "setting", "label"], schema=TRIALS)
    by_concept: dict[str, list[dict[str, str]]] = {}
    for row in table.to_pylist():
        if row in by_concept.setdefault(row["concept"], []):
            raise DataError(
                f"{trials}: concept {row['concept']!r}: the prompt {plain([row['label']], 1)} is there twice; keep one"
            )
        by_concept[row["concept"]].append(row)
    if not by_concept:
        raise DataError(f"{trials}: no row; name a table of `fit attacks plan`")
    if not set(by_concept) & set(base.table.concepts.tolist()):
        raise DataError(
            f"{trials}: the table of scores of the base {base.model} has none of its concepts "
            f"({plain(list(by_concept), 3)}); name that of this domain"
        )
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
        for prompt, values in scores_of.items():
            if values is None or any(value is None or not np.isfinite(value) for value in values):
                raise DataError(
                    f"{tables.path(concept)}, concept {concept!r}: a picture of the prompt {plain([prompt], 1)} has no "
                    "score; score the pictures again"
                )
        rng = np.random.default_rng([seed, number])
        for whole, part in zip(
            (of_settings, of_attacks), _of_concept(concept, rows, scores_of, attacks, base, resamples, rng), strict=True
        ):
            whole += part
    named = [row | {"model": model} for row in of_attacks]
    return pl.DataFrame(of_settings, schema=SETTINGS), pl.DataFrame(named, schema=ATTACKS)


def write_tables(settings: pl.DataFrame, attacks: pl.DataFrame, settings_file: str | Path, out: str | Path) -> None:
    """Write the frames as Parquet, and that of attacks as text beside it (.tsv)."""
    for frame, path in ((settings, settings_file), (attacks, out)):
        write_frame(frame, path)
    shown = attacks.drop("drawn")
    lines = [[as_text(cell) for cell in row] for row in shown.rows()]
    write_text(Path(out).with_suffix(".tsv"), delimited([shown.columns, *lines]))


def as_text(cell: Any) -> Any:
    """Return a cell for reading: three digits; below and above all counts in words."""
    if isinstance(cell, float):
        return "below" if cell == BELOW else "above" if cell == ABOVE else f"{cell:.3f}"
    return "" if cell is None else cell
