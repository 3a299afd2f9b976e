"""What attacks achieve on several models, side by side: a defended one beside the model that it was made from."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from fit.attacks.tabulate import ATTACKS, as_text, interval
from fit.errors import DataError
from fit.io.escaping import delimited
from fit.io.files import write_text
from fit.io.parquet import read, write_frame
from fit.io.shown import plain

BEFORE = "named"
"""The attack that others are compared with: the domain's own prompts."""
ALL = ""
"""In the column `concept`: the mean over the concepts."""
COMPARED: dict[str, Any] = {
    **{name: of for name, of in ATTACKS.items() if name not in ("drawn", "settings", "images", "best_score")},
    "concepts": pl.Int64,
    "gain": pl.Float64,
    "gain_low": pl.Float64,
    "gain_high": pl.Float64,
}
"""A row a model, concept and attack. concepts: how many a row is of; gain: the attack's score less that of BEFORE on
the same model, with its 95 % interval over pictures; null where one of them has no score. A row of ALL concepts has the
means of scores and gains over those concepts that have both, and no count."""


def read_attacks(tables: Sequence[str | Path]) -> pl.DataFrame:
    """Return the rows of tables of `fit attacks tabulate`, in the order of the tables.

    Raises:
        DataError: two tables are of one model, or of models with different bases; a row has no model or a score that is
            not a number; or numbers of resamples differ.
    """
    frames: list[pl.DataFrame] = []
    for table in tables:
        frame = pl.DataFrame(pl.from_arrow(read(table, list(ATTACKS))))
        for other, before in zip(tables, frames, strict=False):
            if twice := set(before["model"]) & set(frame["model"]):
                raise DataError(
                    f"{table} and {other} are both of the model {min(twice)!r}; name each model's table once"
                )
        _check(frame, table)
        frames.append(frame)
    rows = pl.concat(frames)
    bases = rows["base"].unique(maintain_order=True).to_list()
    if len(bases) > 1:
        raise DataError(
            f"{plain(map(str, tables), 3)}: scores are read on the curves of {' and '.join(bases)}, which are other "
            "scales each; compare the models of each base apart"
        )
    if len(set(rows["drawn"].drop_nulls().list.len())) > 1:
        raise DataError(
            f"{plain(map(str, tables), 3)}: of different numbers of resamples; tabulate them with one --resamples"
        )
    return rows


def _check(frame: pl.DataFrame, table: str | Path) -> None:
    """Raise DataError if a table has no row, or one that cannot be meant."""
    if not len(frame):
        raise DataError(f"{table}: no row; name a table of `fit attacks tabulate`")
    if frame.select("model", "base", "concept", "attack").null_count().sum_horizontal().item():
        raise DataError(f"{table}: a row lacks its model, base, concept or attack; tabulate the attacks again")
    for row in frame.iter_rows(named=True):
        if row["drawn"] and (row["score"] is None or not np.isfinite([row["score"], *row["drawn"]]).all()):
            raise DataError(
                f"{table}: {row['concept']}, {row['attack']}: its score is not a number; tabulate the attacks again"
            )
    if frame.select("model", "concept", "attack").is_duplicated().any():
        raise DataError(f"{table}: a model has two rows of one concept and attack; keep one")


def compare_attacks(attacks: pl.DataFrame) -> pl.DataFrame:
    """Return a frame of the schema COMPARED.

    Args:
        attacks: of the schema ATTACKS, all of one number of resamples.
    """
    rows = [row for _, of_model in attacks.group_by("model", maintain_order=True) for row in _of_model(of_model)]
    return pl.DataFrame(rows, schema=COMPARED)


def _of_model(attacks: pl.DataFrame) -> Iterator[dict[str, Any]]:
    found = {(row["concept"], row["attack"]): row for row in attacks.iter_rows(named=True)}
    concepts, names = (attacks[name].unique(maintain_order=True).to_list() for name in ("concept", "attack"))
    for (concept, _), row in found.items():
        kept = {name: row[name] for name in COMPARED if name in row}
        yield kept | {"concepts": 1} | _gain([row], [found.get((concept, BEFORE))])
    if len(concepts) < 2:
        return
    for attack in names:
        pairs = [(found.get((concept, attack)), found.get((concept, BEFORE))) for concept in concepts]
        known = [(row, before) for row, before in pairs if row and before and row["drawn"] and before["drawn"]]
        if not known:
            continue
        of_both = {name: known[0][0][name] for name in ("model", "base")} | {"concept": ALL, "attack": attack}
        drawn = np.mean([row["drawn"] for row, _ in known], axis=0)
        low, high = interval(drawn)
        of_both["concepts"] = len(known)
        scores = {"score": float(np.mean([row["score"] for row, _ in known])), "low": low, "high": high}
        yield of_both | scores | _gain([row for row, _ in known], [before for _, before in known])


def _gain(rows: Sequence[dict[str, Any]], before: Sequence[dict[str, Any] | None]) -> dict[str, float]:
    """Return the mean gain over concepts; nothing where a score is not known, or is the one compared with."""
    pairs = [(one, other) for one, other in zip(rows, before, strict=True) if other and one["attack"] != BEFORE]
    if not pairs or not all(one["drawn"] and other["drawn"] for one, other in pairs):
        return {}
    low, high = interval(np.mean([np.subtract(one["drawn"], other["drawn"]) for one, other in pairs], axis=0))
    gain = float(np.mean([one["score"] - other["score"] for one, other in pairs]))
    return {"gain": gain, "gain_low": low, "gain_high": high}


def write_compared(compared: pl.DataFrame, out: str | Path) -> None:
    """Write a frame of the schema COMPARED as Parquet, and as text beside it (.tsv)."""
    write_frame(compared, out)
    rows = [[as_text(cell) for cell in row] for row in compared.rows()]
    write_text(Path(out).with_suffix(".tsv"), delimited([compared.columns, *rows]))
