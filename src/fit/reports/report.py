"""The report of a study: thresholds beside published ones, counts and calibration, as TSV, Markdown and LaTeX.

Every number comes from a file that a stage wrote; what a study lacks stands in the report instead of stopping it.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np
import polars as pl
from tabulate import tabulate

from fit.errors import DataError, again
from fit.io.escaping import delimited, latex, markdown
from fit.io.files import WorkFolder, atomic_write
from fit.published import MIMETIC2, THRESHOLDS
from fit.thresholds.answer import read, why_none


@dataclass(frozen=True)
class Table:
    """Rows of text under named columns."""

    name: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]

    def tsv(self):
        """As tab-separated text."""
        return delimited([self.columns, *self.rows])

    def markdown(self):
        """As a table of Markdown."""
        header, *rows = ([markdown(text) for text in row] for row in [self.columns, *self.rows])
        return tabulate(rows, headers=header, tablefmt="github", disable_numparse=True) + "\n"

    def latex(self):
        """As a table of LaTeX, with the package booktabs."""
        header, *rows = (f"{' & '.join(map(latex, row))} \\\\" for row in [self.columns, *self.rows])
        begin = [rf"\begin{{tabular}}{{{'l' * len(self.columns)}}}", r"\toprule", header, r"\midrule"]
        return "\n".join([*begin, *rows, r"\bottomrule", r"\end{tabular}"]) + "\n"

    def write(self, folder):
        """Write NAME.tsv, NAME.md and NAME.tex into `folder`."""
        for suffix, text in (("tsv", self.tsv()), ("md", self.markdown()), ("tex", self.latex())):
            with atomic_write(Path(folder, f"{self.name}.{suffix}")) as part:
                part.write_text(text, encoding="utf-8", newline="")


SHOWN = ("one_change", "permutation_test", "below", "above")
"""What a report shows of a threshold, beside what fit.thresholds.answer.read asks for."""


def _json(path):
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: no JSON that can be read ({error}); {again(path)}") from None


def _span(interval):
    return f"{interval[0]:.0f} to {interval[1]:.0f}" if interval else ""


def _images(threshold):
    return "" if threshold is None else f"{threshold:.0f}"


def _headline(found):
    """The threshold as the table says it: a fall of the scores is called one, and where there is none, why."""
    if found["threshold"] is None:
        return found["estimators"][found["estimator"]]["reason"]
    why = why_none(found)
    return f"none: {why}" if why else _images(found["threshold"])


def _difference(threshold, published):
    return "" if threshold is None or published is None else f"{threshold - published:+.0f}"


def _difference_in_intervals(threshold, interval, published):
    """How far the published value lies from ours, in half-widths of our interval on that side; within 1: inside it."""
    if threshold is None or published is None or not interval:
        return ""
    half = interval[1] - threshold if published > threshold else threshold - interval[0]
    if threshold == published:
        return "0.0"
    return f"{abs(threshold - published) / half:.1f}" if half > 0 else "outside"


def _of_all(scored, counted):
    """How many concepts the threshold is of; and of how many, where some have no score."""
    return str(scored) if counted in (None, scored) else f"{scored} of {counted}"


def thresholds_table(thresholds, missing, counts):
    """Imitation thresholds of a study (the paper's table 2), beside published ones.

    Args:
        thresholds: (model, domain) -> path of the JSON that `fit thresholds detect` wrote.
        missing: (model, domain) -> what it lacks, a list of texts.
        counts: (corpus, domain) -> path of effective counts, of which some concepts may have no score.
    """
    counted = {domain: pl.scan_parquet(path).select(pl.len()).collect().item() for (_, domain), path in counts.items()}
    columns = (
        *("model", "domain", "concepts", "threshold", "95 % interval", "best split", "isotonic", "logistic", "p-value"),
        *("score below", "score above"),
        *("published", "difference, images", "difference, half-intervals"),
    )
    rows: list[tuple[str, ...]] = []
    for (model, domain), path in thresholds.items():
        found = read(path, *SHOWN)
        threshold, interval, published = found["threshold"], found["interval"], THRESHOLDS.get((model, domain))
        others = (found["one_change"], *(found["estimators"].get(name, {}) for name in ("isotonic", "logistic")))
        p_value = found["permutation_test"]["p_value"]
        sides = (f"{found[side]['mean_score']:.3f}" if found[side] else "" for side in ("below", "above"))
        rows.append(
            (
                *(model, domain, _of_all(found["concepts"], counted.get(domain))),
                _headline(found),
                _span(interval),
                *(_images(other.get("threshold")) for other in others),
                "" if p_value is None else f"{p_value:.2g}",
                *sides,
                "" if published is None else str(published),
                _difference(threshold, published),
                _difference_in_intervals(threshold, interval, published),
            )
        )
    for (model, domain), lacks in missing.items():
        published = THRESHOLDS.get((model, domain))
        cells = [model, domain, "", f"not found: {len(lacks)} inputs are missing", *[""] * (len(columns) - 4)]
        cells[columns.index("published")] = "" if published is None else str(published)
        rows.append(tuple(cells))
    return Table("thresholds", columns, rows)


def counts_table(counts):
    """How often concepts occur. `counts`: (corpus, domain) -> path of effective counts."""
    columns = (
        *("corpus", "domain", "concepts", "captions", "downloaded", "matches"),
        *("effective count: least", "1st quartile", "median", "3rd quartile", "most", "of none"),
    )
    rows = []
    for (corpus, domain), path in counts.items():
        table = pl.read_parquet(path)
        effective = table["effective_count"].to_numpy()
        sums = [
            f"{table[name].sum():,}" if name in table.columns and table[name].count() else ""
            for name in ("captions", "downloaded", "matches")
        ]
        quantiles = (
            [f"{q:,.0f}" for q in np.quantile(effective, [0, 0.25, 0.5, 0.75, 1])] if len(effective) else [""] * 5
        )
        rows.append((corpus, domain, str(len(table)), *sums, *quantiles, str(int((effective == 0).sum()))))
    return Table("counts", columns, rows)


def calibration_table(match_thresholds):
    """How well same is told from different. `match_thresholds`: (domain, what is told apart) -> path of the JSON of `fit matches threshold`."""
    columns = (
        "domain",
        "match threshold of",
        "cosine",
        "found as",
        "true positives",
        "false positives",
        "ROC AUC",
        "equal error rate",
    )
    rows = []
    for (domain, kind), path in match_thresholds.items():
        found = _json(path)
        known = (found[key] for key in ("tpr", "fpr", "roc_auc", "equal_error_rate"))
        numbers = ("" if number is None else f"{number:.4f}" for number in known)
        cosine = "none: too few references" if found["match_threshold"] is None else f"{found['match_threshold']:.4f}"
        rows.append((domain, kind, cosine, found["method"], *numbers))
    return Table("calibration", columns, rows)


def write_report(study, answers, tables, missing, figures, folder):
    """Write the tables, each in three formats, and report.md: the answers first, then tables, figures, what is missing.

    Args:
        study: its name; answers: sentences of fit.thresholds.answer, one for each model and domain.
        tables: list of Table; missing: as thresholds_table takes it.
        figures: caption -> path of a picture; folder: where to write.
    """
    # Nobody has named the files in it: what lies there already is a user's.
    folder = WorkFolder(folder, "reports", r"(?!)", "--out").claim()
    for table in tables:
        table.write(folder)
    lines = [f"# {markdown(study)}", ""]
    for text in answers:
        # A model's name stays as it is.
        first = text[:1].upper() if text.startswith(("no ", "imitation")) else text[:1]
        lines += [f"**{markdown(first + text[1:])}.**", ""]
    for table in tables:
        if table.rows:
            lines += [f"## {table.name.capitalize()}", "", table.markdown()]
    if any(tuple(row[:2]) in THRESHOLDS for table in tables for row in table.rows):
        inside = "A difference of at most 1 half-interval lies inside the interval found here."
        lines += [f"Published: {MIMETIC2}, table 2. {inside}", ""]
    if missing:
        lines += ["## Missing", ""]
        for (model, domain), lacks in missing.items():
            lines += [f"- {markdown(f'{model}, {domain}')}:", *(f"    - {markdown(text)}" for text in lacks)]
        lines.append("")
    if figures:
        lines += ["## Figures", ""]
        for caption, path in figures.items():
            lines += [f"![{markdown(caption)}]({quote(os.path.relpath(path, folder))})", ""]
    with atomic_write(folder / "report.md") as part:
        part.write_text("\n".join(lines), encoding="utf-8")
