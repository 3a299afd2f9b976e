"""The report of a study: thresholds beside published ones, counts and calibration, as TSV, Markdown and LaTeX.

Every number comes from a file that a stage wrote. What a study lacks is listed in the report and does not stop it.
"""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import polars as pl
from tabulate import tabulate

from fit.errors import DataError, again
from fit.io.escaping import delimited, latex, markdown
from fit.io.files import WorkFolder, atomic_write
from fit.io.names import by_key
from fit.io.shown import number_of
from fit.published import SOURCE, THRESHOLDS
from fit.reports.by_score import COLUMNS, by_score_rows
from fit.reports.data import DATA_NOTE, NOT_STATED, DataSource, OptOuts, opt_outs, places_of
from fit.thresholds.answer import of_pair, read, why_none
from fit.thresholds.estimators import ESTIMATORS, estimator_of_result, usual_headline
from fit.thresholds.headline import decisive_p_value, follow
from fit.thresholds.limits import limits
from fit.thresholds.meaning import MORE, READERS, UNSUPPORTED

Pair = tuple[str, str]
"""(model or corpus, domain)."""


@dataclass(frozen=True)
class Table:
    """Rows of text under named columns."""

    name: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]
    note: str = ""
    """Sentences that report.md has below it."""

    def tsv(self) -> str:
        """Return it as tab-separated text.

        polars' writer would write an empty cell as "", and takes no two columns of one name.
        """
        return delimited([self.columns, *self.rows])

    def markdown(self) -> str:
        """Return it as a table of Markdown."""
        header, *rows = ([markdown(text) for text in row] for row in [self.columns, *self.rows])
        return tabulate(rows, headers=header, tablefmt="github", disable_numparse=True) + "\n"

    def latex(self) -> str:
        """Return it as a table of LaTeX, with the package booktabs.

        tabulate pads cells, and escapes fewer signs than fit.io.escaping.latex.
        """
        header, *rows = (f"{' & '.join(map(latex, row))} \\\\" for row in [self.columns, *self.rows])
        begin = [rf"\begin{{tabular}}{{{'l' * len(self.columns)}}}", r"\toprule", header, r"\midrule"]
        return "\n".join([*begin, *rows, r"\bottomrule", r"\end{tabular}"]) + "\n"

    def write(self, folder: str | Path) -> None:
        """Write NAME.tsv, NAME.md and NAME.tex into `folder`."""
        for suffix, text in (("tsv", self.tsv()), ("md", self.markdown()), ("tex", self.latex())):
            with atomic_write(Path(folder, f"{self.name}.{suffix}")) as part:
                part.write_text(text, encoding="utf-8", newline="")


SHOWN = ("permutation_test", "below", "above")
"""What a report shows of a threshold, beside what fit.thresholds.answer.read asks for."""


def _json(path: str | Path) -> dict[str, Any]:
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not JSON that can be read ({error}); {again(path)}") from None


def _span(interval: Sequence[float] | None) -> str:
    return f"{interval[0]:.0f} to {interval[1]:.0f}" if interval else ""


def _images(threshold: float | None) -> str:
    return "" if threshold is None else f"{threshold:.0f}"


def _headline(found: dict[str, Any]) -> str:
    """Say the threshold as the table does: a fall of the scores is called one; without a threshold, why."""
    if found["threshold"] is None:
        return found["reason"] or found["estimators"][found["estimator"]]["reason"]
    why = why_none(found)
    return f"none: {why}" if why else _images(found["threshold"])


def _difference(threshold: float | None, published: float | None) -> str:
    return "" if threshold is None or published is None else f"{threshold - published:+.0f}"


def _why_no_interval(found: dict[str, Any]) -> str:
    """Say why a threshold has no interval; empty without a threshold, or if that is unknown."""
    why = found.get("interval_reason") if found["threshold"] is not None else None
    return f"none: {why}" if why else ""


def _difference_in_intervals(threshold: float | None, interval: Sequence[float] | None, published: float | None) -> str:
    """Say how far the published value lies from ours, in half-widths of our interval on that side; to 1: inside it."""
    if threshold is None or published is None or not interval:
        return ""
    half = interval[1] - threshold if published > threshold else threshold - interval[0]
    if threshold == published:
        return "0.0"
    return f"{abs(threshold - published) / half:.1f}" if half > 0 else "outside"


def _of_all(scored: int, counted: int | None) -> str:
    """Say how many concepts the threshold is of; and of how many, if some have no score."""
    return str(scored) if counted in (None, scored) else f"{scored} of {counted}"


def _other_estimators(results: Sequence[dict[str, Any]]) -> list[str]:
    """Return the estimators that get a column: all that a result has, or all known ones.

    The usual headline has none where every threshold is its own.
    """
    names = dict.fromkeys(name for found in results for name in found["estimators"])
    usual = usual_headline()
    has_column = any(follow(found)["estimator"] != usual for found in results)
    return [name for name in names or ESTIMATORS if name != usual or has_column]


def _threshold_row(pair: Pair, found: dict[str, Any], others: Sequence[str], counted: int | None) -> tuple[str, ...]:
    # Published thresholds are PELT's: they are compared with the first estimator's, not with the headline.
    threshold, interval, published = found["threshold"], found["interval"], THRESHOLDS.get(pair)
    found = follow(found)
    p_value = decisive_p_value(found)
    return (
        *pair,
        _of_all(found["concepts"], counted),
        _headline(found),
        _span(found["interval"]) or _why_no_interval(found),
        *(_images(found["estimators"].get(name, {}).get("threshold")) for name in others),
        "" if p_value is None else f"{p_value:.2g}",
        *(f"{found[side]['mean_score']:.3f}" if found[side] else "" for side in ("below", "above")),
        "" if published is None else str(published),
        _difference(threshold, published),
        _difference_in_intervals(threshold, interval, published),
    )


def thresholds_table(
    thresholds: Mapping[Pair, str | Path], missing: Mapping[Pair, Sequence[str]], counts: Mapping[Pair, str | Path]
) -> Table:
    """Return the imitation thresholds of a study (the paper's table 2), beside published ones.

    Args:
        thresholds: (model, domain) -> path of the JSON that `fit thresholds detect` wrote.
        missing: (model, domain) -> what it lacks, a list of texts.
        counts: (corpus, domain) -> path of effective counts, of which some concepts may have no score.
    """
    counted = {domain: pl.scan_parquet(path).select(pl.len()).collect().item() for (_, domain), path in counts.items()}
    results = {pair: read(path, *SHOWN) for pair, path in thresholds.items()}
    others = _other_estimators(list(results.values()))
    columns = (
        *("model", "domain", "concepts", "threshold", "95 % interval"),
        *(estimator_of_result(name).column for name in others),
        *("p-value", "score below", "score above", "published", "difference, images", "difference, half-intervals"),
    )
    rows = [_threshold_row(pair, found, others, counted.get(pair[1])) for pair, found in results.items()]
    for (model, domain), lacks in missing.items():
        published = THRESHOLDS.get((model, domain))
        cells = [
            model,
            domain,
            "",
            f"not found: {number_of(len(lacks), 'input', 'is')} missing",
            *[""] * (len(columns) - 4),
        ]
        cells[columns.index("published")] = "" if published is None else str(published)
        rows.append(tuple(cells))
    return Table("thresholds", columns, rows)


def counts_table(counts: Mapping[Pair, str | Path]) -> Table:
    """Return how often concepts occur. `counts`: (corpus, domain) -> path of effective counts."""
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


AS_PUBLISHED = {"midpoint as published": "midpoint", "best F1 as published": "best_f1_published"}
"""Column of the calibration -> the method, of a mean with itself, by which published match thresholds were found."""
NOT_COMPARABLE = (
    "Published match thresholds were found from means that include the cosine of each reference with itself, and the "
    "best F1 as the lowest mean within a concept that is still accepted. Such a threshold can only be compared with "
    "one that is found the same way with the same embedder: the last two columns, which have it of these references, "
    "whichever way the cosine in use was found."
)


def calibration_table(match_thresholds: Mapping[Pair, str | Path]) -> Table:
    """Return how well each match threshold tells pictures apart.

    Args:
        match_thresholds: (domain, what is told apart) -> path of the JSON that `fit matches threshold` wrote.
    """
    columns = (
        *("domain", "match threshold of", "cosine", "found as"),
        *("true positives", "false positives", "ROC AUC", "equal error rate"),
        *AS_PUBLISHED,
        *("true positives of images", "false positives of images", "most alike"),
    )
    rows = []
    for (domain, kind), path in match_thresholds.items():
        found = _json(path)
        known = (found[key] for key in ("tpr", "fpr", "roc_auc", "equal_error_rate"))
        numbers = ("" if number is None else f"{number:.4f}" for number in known)
        cosine = "none: too few references" if found["match_threshold"] is None else f"{found['match_threshold']:.4f}"
        found_as = found["method"] + (", mean with itself" if found.get("mean_with_itself") else "")
        theirs = (found.get("by_mean") or {}).get("with_itself", {})
        as_published = (f"{theirs[method]:.4f}" if method in theirs else "" for method in AS_PUBLISHED.values())
        rows.append((domain, kind, cosine, found_as, *numbers, *as_published, *_of_images(found)))
    return Table("calibration", columns, rows, NOT_COMPARABLE)


def _of_images(found: Mapping[str, Any]) -> list[str]:
    """Return the rates of single images with their intervals, and the pair that is confused most; empty if unknown."""
    cells = []
    for name in ("image_tpr", "image_fpr"):
        rate, interval = found.get(name), found.get(f"{name}_interval")
        cells.append(f"{rate:.4f} ({interval[0]:.4f} to {interval[1]:.4f})" if rate is not None and interval else "")
    worst = found.get("worst_pair")
    cells.append(f"{worst['images_of']} for {worst['taken_for']}: {worst['rate']:.2f}" if worst else "")
    return cells


def data_table(sources: Iterable[tuple[DataSource, OptOuts]]) -> Table:
    """Return what a study rests on: where each thing is from, its licence as stated, and what sites refused."""
    columns = ("what", "name", "from", "made or published by", "licence, as stated", "opt-outs")
    rows: list[tuple[str, ...]] = [
        (
            *(one.kind, one.name, places_of(one.places), one.origin or NOT_STATED, one.licence or NOT_STATED),
            refused.words,
        )
        for one, refused in sources
    ]
    return Table("data", columns, rows, DATA_NOTE)


@dataclass(frozen=True)
class StudyFiles:
    """The files that a report is made of. A study may lack some."""

    thresholds: dict[Pair, str]
    """(model, domain) -> JSON of a threshold."""
    counts: dict[Pair, str]
    """(corpus, domain) -> effective counts."""
    match_thresholds: dict[Pair, str]
    """(domain, what is told apart) -> JSON of a match threshold."""
    figures: dict[str, str]
    """Caption -> picture."""
    missing: dict[Pair, list[str]]
    """(model, domain) -> what it lacks."""
    statuses: dict[str, str] = field(default_factory=dict)
    """Place below results/ (DataSource.statuses) -> table of how fetching images ended."""

    @classmethod
    def named(
        cls,
        thresholds: Sequence[str],
        counts: Sequence[str],
        match_thresholds: Sequence[str],
        figures: Sequence[str],
        missing: Sequence[str],
        statuses: Sequence[str] = (),
    ) -> "StudyFiles":
        """Tell what files are by where the workflow puts them.

        Args:
            thresholds: .../MODEL/DOMAIN.json.
            counts: .../CORPUS/DOMAIN.parquet.
            match_thresholds: .../DOMAIN.threshold.json and .../DOMAIN.art.json.
            figures: pictures; the last folders and the name are the caption.
            missing: texts "MODEL/DOMAIN: what it lacks".
            statuses: .../images/CORPUS/DOMAIN/statuses.tsv and .../references/DOMAIN/candidates/statuses.tsv.

        Raises:
            PlaceError: two files are of the same pair.
            DataError: a text of `missing` does not begin with MODEL/DOMAIN.
        """
        lacks: dict[Pair, list[str]] = {}
        for text in missing:
            model, _, domain = text.partition(": ")[0].partition("/")
            if not domain:
                raise DataError(f"--missing {text!r}: begin the text with MODEL/DOMAIN and a colon")
            lacks.setdefault((model, domain), []).append(text.partition(": ")[2])
        captions = {" ".join(Path(path).with_suffix("").parts[-3:]).removeprefix("results "): path for path in figures}
        of_match_thresholds = by_key(match_thresholds, _told_apart, "the domain")
        return cls(
            by_key(thresholds, _pair, "the pair"),
            by_key(counts, _pair, "the pair"),
            of_match_thresholds,
            captions,
            lacks,
            by_key(statuses, _collection, "the collection"),
        )


def _pair(path: str) -> Pair:
    return Path(path).parent.name, Path(path).stem


def _collection(path: str) -> str:
    return "/".join(Path(path).parts[-4:])


def _told_apart(path: str) -> Pair:
    domain, _, kind = Path(path).stem.partition(".")
    return domain, "artworks" if kind == "art" else "same concept"


def write_study(
    study: str,
    files: StudyFiles,
    folder: str | Path,
    data: Sequence[DataSource] = (),
    is_opt_out_honoured: bool = True,
) -> None:
    """Write the report of a study from its files: as write_report, which says where and how.

    Args:
        study, folder: as write_report takes them.
        files: of the study.
        data: what the study rests on.
        is_opt_out_honoured: the setting `honour_opt_out` of the collection.
    """
    answers = [of_pair(model, domain, path) for (model, domain), path in files.thresholds.items()]
    answers += [of_pair(model, domain, "", lacks) for (model, domain), lacks in files.missing.items()]
    tables = [
        thresholds_table(files.thresholds, files.missing, files.counts),
        Table("scores", COLUMNS, by_score_rows(files.thresholds)),
        counts_table(files.counts),
        calibration_table(files.match_thresholds),
        data_table((one, opt_outs(one, is_opt_out_honoured, files.statuses)) for one in data),
    ]
    write_report(study, answers, tables, files.missing, files.figures, folder)


def write_report(
    study: str,
    answers: Sequence[str],
    tables: Sequence[Table],
    missing: Mapping[Pair, Sequence[str]],
    figures: Mapping[str, str],
    folder: str | Path,
) -> None:
    """Write the tables, each in three formats, and report.md: the answers first, then tables, what is missing,
    figures, what a result means and for whom, and the limits.

    Args:
        study: its name.
        answers: sentences of fit.thresholds.answer, one for each model and domain.
        tables: to show.
        missing: as thresholds_table takes it.
        figures: caption -> path of a picture.
        folder: to write into.
    """
    # Nobody named the files in it: a file that is there already is a user's, unless `fit reports paper` wrote it.
    place = WorkFolder(folder, "reports", r"paper/[^/]+", "--out").claim()
    for table in tables:
        table.write(place)
    lines = [f"# {markdown(study)}", ""]
    for text in answers:
        # A model's name stays as it is.
        first = text[:1].upper() if text.startswith(("no ", "imitation")) else text[:1]
        lines += [f"**{markdown(first + text[1:])}.**", ""]
    for table in tables:
        if table.rows:
            lines += [f"## {table.name.capitalize()}", "", table.markdown()]
            lines += [table.note, ""] if table.note else []
    if any(tuple(row[:2]) in THRESHOLDS for table in tables for row in table.rows):
        inside = "A difference of at most 1 half-interval lies inside the interval found here."
        lines += [f"Published: {SOURCE}. {inside}", ""]
    if missing:
        lines += ["## Missing", ""]
        for (model, domain), lacks in missing.items():
            lines += [f"- {markdown(f'{model}, {domain}')}:", *(f"    - {markdown(text)}" for text in lacks)]
        lines.append("")
    if figures:
        lines += ["## Figures", ""]
        for caption, path in figures.items():
            lines += [f"![{markdown(caption)}]({quote(os.path.relpath(path, place))})", ""]
    lines += ["## What this means, and for whom", ""]
    lines += [*(f"- **{markdown(who)}.** {markdown(words)}" for who, words in READERS), ""]
    lines += ["## What this does not show", "", *(f"- {markdown(text)}" for text in limits()), ""]
    lines += ["## Uses that it does not support", "", *(f"- {markdown(text)}" for text in UNSUPPORTED), ""]
    lines += [markdown(MORE), ""]
    with atomic_write(place / "report.md") as part:
        part.write_text("\n".join(lines), encoding="utf-8")
