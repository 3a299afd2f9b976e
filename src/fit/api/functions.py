"""The functions that `import fit` gives: those of the commands, on tables in memory or in files."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from fit.api.results import AuditResult, CaptionCounts, Comparison, Interval, ThresholdResult
from fit.api.settings import Work, checked, checked_names
from fit.api.tables import Captions, Names, Table, as_concepts, as_source, caption_files
from fit.thresholds.settings import ThresholdSettings

if TYPE_CHECKING:
    from fit.thresholds.scores import Scores

_USUAL = ThresholdSettings()


def _settings(penalty: float, resamples: int, estimators: Sequence[str] | None) -> dict[str, Any]:
    names = _USUAL.estimators if estimators is None else [estimators] if isinstance(estimators, str) else estimators
    return asdict(checked(ThresholdSettings, estimators=names, penalty=penalty, resamples=resamples))


def as_result(
    scores: "Scores", found: dict[str, Any], of_whom: tuple[str | None, str | None] = (None, None)
) -> ThresholdResult:
    """Return the result of a measurement; `of_whom`: (model, domain), None if unknown."""
    from fit.thresholds.answer import why_none
    from fit.thresholds.headline import follow

    told = {} if why_none(found) else follow(found)
    return ThresholdResult(told.get("threshold"), _interval(told.get("interval")), found, scores, of_whom)


def _interval(ends: Sequence[float] | None) -> Interval:
    return (ends[0], ends[1]) if ends else None


def threshold(
    table: Table,
    *,
    penalty: float = _USUAL.penalty,
    resamples: int = _USUAL.resamples,
    estimators: Sequence[str] | None = None,
    seed: int = 0,
    threads: int = 0,
) -> ThresholdResult:
    """Find the imitation threshold of a table of concepts, as `fit thresholds detect` does, with the same answers.

    Args:
        table: path, or table in memory, with the columns concept, effective_count and score, and others that
            docs/thresholds.md lists.
        penalty: of PELT, in squared units of the score; above 0.
        resamples: of the bootstrap, and permutations of the tests; at least 1.
        estimators: names, the first is the headline where the others agree with it; None for all.
        seed: of the resamples and permutations.
        threads: processor threads, on which results do not depend; 0: one for each core.

    Returns:
        The result: `.threshold` and `.interval` (images; None if there is none), `.sentence`, `.table`, `.plot()`.
        That there is no threshold is a result, not an error; the sentence says why.

    Raises:
        DataError: the table lacks a column, a cell is not a number, a concept is there twice, or a setting is not
            valid.

    Examples:
        Thirty concepts, whose score rises from 0.1 to 0.6 at 16 training images:

        >>> import fit
        >>> counts = list(range(1, 31))
        >>> table = {
        ...     "concept": [f"artist-{count}" for count in counts],
        ...     "effective_count": counts,
        ...     "score": [(0.1 if count < 16 else 0.6) + 0.01 * (count % 3) for count in counts],
        ... }
        >>> found = fit.threshold(table, resamples=200)
        >>> found.threshold
        16
        >>> found.table.filter(side="above")["concept"].to_list()[:2]
        ['artist-16', 'artist-17']
        >>> fit.threshold({"concept": ["a"], "effective_count": [3], "score": [0.5]}).threshold is None
        True
        >>> fit.threshold({"concept": ["a"], "effective_count": [3]})
        Traceback (most recent call last):
        ...
        fit.errors.DataError: the table: no column 'score'; the header needs concept, effective_count, score \
(found: concept, effective_count)
    """
    from fit.thresholds.by_score import measure_by_score
    from fit.thresholds.report import measure
    from fit.thresholds.scores import read_table
    from fit.thresholds.threads import use_threads

    settings, work = _settings(penalty, resamples, estimators), checked(Work, seed=seed, threads=threads)
    source = as_source(table, "the table")
    use_threads(work.threads)
    scores = read_table(source)
    found = measure(scores, **settings, seed=work.seed)
    if by_score := measure_by_score(source, scores, found, **settings, seed=work.seed):
        found["by_score"] = by_score
    return as_result(scores, found)


def count_captions(
    captions: Captions,
    names: Names,
    *,
    tokens: Literal["standard", "words"] = "standard",
    fold_accents: bool = False,
    caption_column: str = "caption",
    url_column: str = "url",
    max_matched_captions: int = 0,
    seed: int = 0,
    threads: int = 1,
) -> CaptionCounts:
    """Count the captions that mention each concept, as `fit captions count` does, with the same answers.

    A caption mentions a concept when the tokens of its name, or of an alias, occur in it one after the other; case and
    punctuation do not matter, and a caption counts once for a concept (docs/captions.md).

    Args:
        captions: captions in memory (a list of texts, a column, a table with the column `caption`); or files: a path or
            pattern as text, or a list of pathlib.Path.
        names: names in memory (a list, or a dict of name -> aliases; the slug of each is made from it); or the path of
            a concept sheet, or a table with its columns.
        tokens: what a name is compared with: "standard" (the paper's; "Picasso's" does not mention Picasso), or
            "words".
        fold_accents: whether "Durer" mentions Dürer.
        caption_column: column with the captions.
        url_column: column with the addresses of images, which files need where captions are kept.
        max_matched_captions: captions to keep of each concept, a seeded sample, in `.matched`; 0 for none.
        seed: of that sample.
        threads: files, or pieces of Parquet files, that are read at once.

    Returns:
        The result: `.table` (concept, captions), `.names`, `.matched`, `.remarks`, `.sentence`, `.plot()`.

    Raises:
        CorpusError: a file of captions is not usable, or there is no caption.
        SheetError: a name is empty, or two have one slug; or the sheet is not usable.
        DataError: `captions` is neither captions nor files.

    Examples:
        >>> import fit
        >>> captions = ["A vase, after Vincent van Gogh", "VAN GOGH: sunflowers", "Monet's garden", "a vase"]
        >>> found = fit.count_captions(captions, {"Vincent van Gogh": ["Van Gogh"], "Claude Monet": []})
        >>> dict(found.table.iter_rows())
        {'vincent-van-gogh': 2, 'claude-monet': 0}
        >>> print(found)
        2 concepts are mentioned 2 times in 4 captions
        >>> found.remarks
        ['concepts that no caption mentions: 1 (claude-monet); `fit captions explain NAME CAPTION` says why']
    """
    import polars as pl

    from fit.captions.count import count_captions as count
    from fit.captions.report import CountReport
    from fit.captions.scan import CountJob
    from fit.captions.settings import ReadingSettings, SamplingSettings
    from fit.captions.tables import CountFiles
    from fit.io.files import temporary_folder
    from fit.io.parquet import read

    concepts = as_concepts(names)
    work = checked(Work, seed=seed, threads=threads)
    sampling = checked(
        SamplingSettings,
        caption_column=caption_column,
        url_column=url_column,
        tokens=tokens,
        fold_accents=fold_accents,
        max_matched_captions=max_matched_captions,
    )
    with (
        caption_files(captions, caption_column, url_column) as files,
        temporary_folder(tempfile.gettempdir(), "fit-counts-") as folder,
    ):
        outputs = CountFiles.in_folder(folder)
        count(
            concepts,
            CountJob(files, sampling, ReadingSettings(), work.seed, work.threads or 1, is_silent=True),
            outputs,
        )
        report = CountReport.of_files(outputs)
        matched = pl.DataFrame(pl.from_arrow(read(outputs.matched_captions))) if max_matched_captions else None
    return CaptionCounts(report.rows, matched, report)


def audit(
    threshold: "float | str | Path | Mapping[str, Any] | ThresholdResult",
    counts: "Table | CaptionCounts",
    *,
    scores: Table | None = None,
) -> AuditResult:
    """Say which concepts lie above a threshold, as `fit audit` does, with the same answers.

    Args:
        threshold: a number of images, what `fit.threshold` returned, or JSON that `fit thresholds detect --out` wrote
            (its path, or a dict).
        counts: path, or table in memory, with the columns concept and effective_count, and optionally low, high and
            captions; or what `fit.count_captions` returned, whose captions are then taken for images, which `.note`
            says.
        scores: the table that the threshold was found in, to say how likely a high score is.

    Returns:
        The result: `.table` (concept, verdict, count, by, p_above ...), `.sentence`, `.note`, `.refusal` (why there is
        no verdict, where the study shows no threshold), `.plot()`.

    Raises:
        DataError: `threshold` is not a threshold, the counts lack a column or hold something else than whole numbers,
            or `scores` is not the table that the threshold was found in.

    Examples:
        >>> import fit
        >>> counts = {"concept": ["ada", "ben", "cleo"], "effective_count": [12, 340, 250]}
        >>> found = fit.audit(250, counts)
        >>> dict(found.table.select("concept", "verdict").iter_rows())
        {'ben': 'above', 'cleo': 'above', 'ada': 'below'}
        >>> print(found)
        3 concepts: 2 above, 0 within, 1 below, 0 unknown
    """
    from fit.audits.counts import read_counted
    from fit.audits.likelihood import read_high_scores
    from fit.audits.threshold import read_threshold, threshold_of
    from fit.audits.verdicts import audit as compared

    if isinstance(threshold, ThresholdResult):
        limit = threshold_of(threshold.found, "the threshold")
    elif isinstance(threshold, Mapping):
        limit = threshold_of(dict(threshold), "the threshold")
    else:
        limit = read_threshold(str(threshold), "the threshold")
    if isinstance(counts, CaptionCounts):
        counts = counts._report.counts
    counted, skipped, of_captions = read_counted(as_source(counts, "the counts"))
    known = None
    if scores is not None and not limit.refusal:
        known = read_high_scores(as_source(scores, "the scores"), limit)
    found = compared(counted, limit, skipped, of_captions, known)
    interval = (limit.low, limit.high) if limit.has_interval else None
    return AuditResult(limit.images, interval, limit.refusal, found)


def compare(
    first: Table,
    second: Table,
    *,
    names: tuple[str, str] = ("first", "second"),
    paired: bool | None = None,
    penalty: float = _USUAL.penalty,
    resamples: int = _USUAL.resamples,
    estimators: Sequence[str] | None = None,
    seed: int = 0,
) -> Comparison:
    """Say whether the thresholds of two tables differ, as `fit compare` does, with the same answers.

    Args:
        first, second: tables of concepts, as `fit.threshold` takes them: of two models, checkpoints, scores or domains.
        names: of the two, in text and figure.
        paired: whether to compare concept by concept; None: where both tables have most concepts.
        penalty, resamples, estimators, seed: as `fit.threshold` takes them.

    Returns:
        The result: `.ratio` of the second threshold to the first, `.interval`, `.p_value`, `.sentence`, `.table`,
        `.plot()`.

    Raises:
        DataError: as `fit.threshold`; or `paired`, and too few concepts are in both tables.

    Examples:
        >>> import fit
        >>> def table(at):
        ...     counts = list(range(1, 61))
        ...     score = [(0.1 if count < at else 0.6) + 0.01 * (count % 3) for count in counts]
        ...     return {"concept": [f"c{count}" for count in counts], "effective_count": counts, "score": score}
        >>> found = fit.compare(table(10), table(40), names=("small", "large"), resamples=100)
        >>> found.ratio > 3
        True
        >>> str(found).startswith("the threshold of large is higher")
        True
    """
    from fit.comparisons.compare import compare as compared
    from fit.comparisons.survival import remarks_on
    from fit.thresholds.scores import read_table

    of_both = checked_names(names)
    settings, work = _settings(penalty, resamples, estimators), checked(Work, seed=seed)
    sources = as_source(first, "the first table"), as_source(second, "the second table")
    tables = (read_table(sources[0]), read_table(sources[1]))
    remarks = remarks_on(sources, tables, of_both, settings["penalty"], work.seed)
    found = compared(*tables, **settings, seed=work.seed, paired=paired) | {"remarks": remarks}
    told = found["estimators"].get(found["estimator"], {})
    return Comparison(told.get("ratio"), _interval(told.get("interval")), told.get("p_value"), found, of_both, tables)
