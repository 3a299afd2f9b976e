"""Whether duplicates drive copies and distinct images drive imitation: painters of equal count of either kind."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import polars as pl
from matplotlib.ticker import FuncFormatter

from fit.copies.calibration import CONFIDENCE, rate
from fit.copies.paint import DISTINCT, NONE, REPEATED
from fit.copies.tables import FOUND
from fit.errors import DataError
from fit.io.concept_tables import ConceptTables
from fit.io.files import atomic_write
from fit.io.parquet import read
from fit.reports.style import ACCENT, INK, SOFT
from fit.scores.reference import reference_score

COMPARED: dict[str, Any] = {
    "concept": pl.String,
    "kind": pl.String,
    "count": pl.Int64,
    "score": pl.Float64,
    "copied_share": pl.Float64,
    "width": pl.Float64,
    "is_suspect": pl.Boolean,
    "is_copy": pl.Boolean,
    "norm": pl.Float64,
    "is_detected": pl.Boolean,
}
"""A row is a painter. score: the imitation score with the references as targets: other pictures than those that were
trained on, and the same whatever the count; the rest is of the prompt that is the caption of the first work (FOUND),
null for painters without images."""
_COLOURS = {REPEATED: ACCENT, DISTINCT: SOFT}
_MARKERS = {REPEATED: "s", DISTINCT: "o"}
_WORDS = {REPEATED: "one image, repeated", DISTINCT: "distinct images"}


def compare_painters(
    painters: str | Path,
    found: str | Path,
    *,
    generated: ConceptTables,
    generated_embeddings: ConceptTables,
    references: ConceptTables,
    reference_embeddings: ConceptTables,
    top_k: int,
) -> pl.DataFrame:
    """Return a frame of the schema COMPARED.

    Args:
        painters: table of fit.copies.paint.CopiesWorldFiles.painters.
        found: table of FOUND.
        generated, generated_embeddings, references, reference_embeddings: as of any study.
        top_k: targets that the pictures of a prompt are compared with.

    Raises:
        DataError: a painter's caption is not among the prompts.
    """
    table = pl.DataFrame(pl.from_arrow(read(painters, ["concept", "kind", "count", "caption"])))
    prompts = pl.DataFrame(pl.from_arrow(read(found, FOUND.names, schema=FOUND))).drop("concept")
    joined = table.join(prompts, on="caption", how="left", maintain_order="left")
    lacking = joined.filter(pl.col("caption").is_not_null() & pl.col("copied_share").is_null())
    if len(lacking):
        raise DataError(
            f"{found}: no prompt is {lacking['caption'][0]!r}, the caption of {lacking['concept'][0]}; give "
            "`fit copies prompts` the prompts of this world"
        )
    tables = (generated, generated_embeddings, references, reference_embeddings)
    scores = [reference_score(*tables, concept, top_k) for concept in joined["concept"]]
    return joined.with_columns(pl.Series("score", scores, pl.Float64)).select(
        pl.col(name).cast(of) for name, of in COMPARED.items()
    )


def mean_difference(frame: pl.DataFrame, column: str, resamples: int, seed: int) -> dict[str, Any]:
    """Return how much larger a column is with repeated images than with distinct ones of the same count.

    Painters of a count are taken in pairs, one of each kind; counts of 1 are alike, and left out.

    Returns:
        pairs, difference (the mean), interval (95 %, of a bootstrap over pairs; None of fewer than two pairs).
    """
    differences: list[float] = []
    for _, of_count in frame.filter(pl.col("count") > 1).group_by("count", maintain_order=True):
        one, other = (of_count.filter(pl.col("kind") == kind)[column].to_list() for kind in (REPEATED, DISTINCT))
        differences += [a - b for a, b in zip(one, other, strict=True)]
    values = np.array(differences, float)
    if not len(values):
        return {"pairs": 0, "difference": None, "interval": None}
    interval = None
    if len(values) > 1:
        drawn = np.random.default_rng(seed).integers(len(values), size=(resamples, len(values)))
        tail = (1 - CONFIDENCE) / 2
        interval = [float(end) for end in np.quantile(values[drawn].mean(axis=1), [tail, 1 - tail])]
    return {"pairs": len(values), "difference": float(values.mean()), "interval": interval}


def by_count(frame: pl.DataFrame) -> list[dict[str, Any]]:
    """Return a row for each kind and count: means, and rates with intervals."""
    rows = []
    for (kind, count), of_both in frame.sort("kind", "count").group_by("kind", "count", maintain_order=True):
        row: dict[str, Any] = {"kind": kind, "count": count, "painters": len(of_both)}
        row |= {name: of_both[name].mean() for name in ("score", "copied_share", "norm")}
        for name in ("is_suspect", "is_copy", "is_detected"):
            known = of_both[name].drop_nulls().to_numpy()
            row[name] = rate(known).as_dict() if len(known) else None
        rows.append(row)
    return rows


def summarise(frame: pl.DataFrame, found: dict[str, Any], resamples: int, seed: int) -> dict[str, Any]:
    """Return what the painters show.

    Args:
        frame: of the schema COMPARED.
        found: summary of fit.copies.find.find_copies.
        resamples: of the bootstrap.
        seed: of the bootstrap.
    """
    return {
        "copies": mean_difference(frame, "copied_share", resamples, seed),
        "imitation": mean_difference(frame, "score", resamples, seed),
        "by_count": by_count(frame),
        "found": found,
    }


def _percent(found: dict[str, Any]) -> str:
    if found["value"] is None:
        return "not known"
    low, high = found["interval"]
    return f"{found['value']:.0%} ({low:.0%} to {high:.0%})"


def draw_compared(frame: pl.DataFrame, summary: dict[str, Any], path: str | Path) -> None:
    """Draw both curves over the count: copies, imitation, and the detector beside the known truth.

    Args:
        frame: of the schema COMPARED.
        summary: of summarise.
        path: PNG to write.
    """
    plt.rcParams.update({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False})
    figure, panels = plt.subplots(1, 3, figsize=(13, 4.2), layout="constrained")
    titles = ("share of a caption's pictures that are copies", "imitation score, on other pictures than trained on", "")
    for axes, column, title in zip(panels, ("copied_share", "score", "is_detected"), titles, strict=True):
        for kind in (REPEATED, DISTINCT):
            of_kind = frame.filter(pl.col("kind") == kind).drop_nulls(column).sort("count")
            values = of_kind[column].cast(pl.Float64)
            mean = of_kind.select("count", values).group_by("count", maintain_order=True).mean()
            shift = 1.06 if kind == REPEATED else 1 / 1.06
            look = {"color": _COLOURS[kind], "marker": _MARKERS[kind]}
            axes.scatter(of_kind["count"] * shift, values, s=14, alpha=0.45, linewidths=0, **look)
            axes.plot(mean["count"], mean[column], linewidth=1.6, markersize=5, label=_WORDS[kind], **look)
        axes.set_xscale("log")
        axes.set_xlim(0.7, 1.5 * max(1, int(frame["count"].to_numpy().max(initial=1))))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda count, _: f"{count:,.0f}"))
        axes.set_xlabel("the painter's images in the training set")
        axes.set_title(title, fontsize=10)
    without = frame.filter(pl.col("kind") == NONE)
    if len(without):
        panels[1].axhline(without["score"].mean(), color=INK, linewidth=0.8, linestyle=":", label="no image")
    known = (summary["found"]["known"] or {}).get("detector")
    said = "detector: not measured"
    if known:
        said = f"detected: precision {_percent(known['precision'])},\nrecall {_percent(known['recall'])}"
    panels[2].set_title(said, fontsize=10)
    panels[0].set_ylim(-0.04, 1.04)
    panels[2].set_ylim(-0.04, 1.04)
    panels[0].legend(frameon=False, loc="upper left")
    panels[1].legend(frameon=False, loc="lower right")
    with atomic_write(path) as part:
        figure.savefig(part, dpi=160, format="png")
    plt.close(figure)
