"""The tables and figures of the paper, for any study: which are made, which are not and why, and what makes them.

The list is by subject. It was made from what this project knows of the paper, not from the paper itself, so it gives no
numbers of tables or figures.
"""

import csv
import io
import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fit.errors import DataError, again
from fit.io.escaping import markdown, uncell
from fit.io.files import WorkFolder, write_text
from fit.io.names import by_key
from fit.published import INVARIANCE, SOURCE, THRESHOLDS
from fit.reports.comparison import comparison_table, comparisons
from fit.reports.invariance import WITHIN, Invariance, invariance
from fit.reports.paper_tables import captions_table, changes_table, invariance_table, missed_table
from fit.reports.report import Pair, Table
from fit.thresholds.scores import read_table

MADE, NOT_MADE = "made", "not made"
STATE, WHAT = "state", "table or figure of the paper"
FEW = 4
"""Up to so many pairs, each is named."""
DEFAULT_CONFIG = ["config.yaml"]
PAGE = "results/reports/{study}/paper/paper.md"


@dataclass(frozen=True)
class Part:
    """A table or figure of the paper."""

    what: str
    command: str
    """What makes it; {study} is filled in."""
    file: str = ""
    """Where it is, with {study}, {model} and {domain} to be filled in; empty: it is never made."""
    why_never: str = ""
    """Why it is never made."""
    pairs: tuple[Pair, ...] = ()
    """(model, domain) that it is of; empty: those of the study."""

    def files(self, study: str, pairs: Sequence[Pair]) -> dict[str, list[Pair]]:
        """Return the files that it takes, each with the pairs that it is of."""
        of_file: dict[str, list[Pair]] = {}
        for model, domain in (self.pairs or pairs) if self.file else ():
            of_file.setdefault(self.file.format(study=study, model=model, domain=domain), []).append((model, domain))
        return of_file


_WITH_PAGE = f"snakemake {PAGE}"
_OF_PAGE = "results/reports/{study}/paper/"
_SD1 = tuple(pair for pair in THRESHOLDS if pair[1] == "politicians" and pair[0].startswith("sd1."))

PARTS = (
    Part("imitation thresholds of models and domains", _WITH_PAGE, "results/thresholds/{model}/{domain}.json"),
    Part(
        "imitation thresholds of SD1.1 to SD1.5 in politicians",
        _WITH_PAGE,
        "results/thresholds/{model}/{domain}.json",
        pairs=tuple(sorted(_SD1)),
    ),
    Part("all change points", _WITH_PAGE, _OF_PAGE + "changes.tsv"),
    Part("scores against counts (figures)", _WITH_PAGE, "results/thresholds/{model}/{domain}.scores.png"),
    Part(
        "references beside generated pictures (figures)", _WITH_PAGE, "results/thresholds/{model}/{domain}.pictures.png"
    ),
    Part("concepts by their number of captions, in bins", _WITH_PAGE, _OF_PAGE + "captions.tsv"),
    Part(f"invariance: concepts fewer than {WITHIN} images apart", _WITH_PAGE, _OF_PAGE + "invariance.tsv"),
    Part(
        "the caption assumption: faces in random images whose captions do not name them",
        "snakemake missed --config default_study={study}",
        "results/missed/{model}/{domain}.json",
    ),
    Part(
        "similarity within and between concepts, and the match threshold (figures)",
        _WITH_PAGE,
        "results/matches/{domain}.threshold.png",
    ),
    Part(
        "how often the recogniser errs, by group",
        "snakemake verification --config default_study={study}",
        "results/matches/{domain}.verification.tsv",
    ),
    Part(
        "human study: what people say of the pictures",
        "fit ratings serve, then fit ratings report (docs/ratings.md)",
        why_never="people have to rate pictures; no stage of a study does it",
    ),
    Part(
        "outliers: concepts on the wrong side of the threshold",
        "snakemake sensitivity --config default_study={study}",
        "results/sensitivity/{model}/{domain}.outliers.tsv",
    ),
    Part(
        "outliers (figures)",
        "snakemake sensitivity --config default_study={study}",
        "results/sensitivity/{model}/{domain}.outliers.png",
    ),
    Part(
        "models, corpora, domains, prompts",
        "",
        why_never="these are settings, not results: config.yaml and the sheets in concepts/ say them",
    ),
    Part("drawings of the method", "", why_never="they show no result"),
)
"""Every table and figure, by subject."""


def _is_made(file: str, made: Collection[tuple[str, ...]]) -> bool:
    """Whether `file`, results/STAGE/..., is among the paths `made`, in whatever folder these results are."""
    wanted = Path(file).parts[1:]
    return any(path[-len(wanted) :] == wanted for path in made)


def _listed(pairs: Sequence[Pair]) -> str:
    said = [f"{model} in {domain}" for model, domain in pairs]
    return ", ".join(said) if len(said) <= FEW else f"{', '.join(said[: FEW - 1])} and {len(said) - FEW + 1} more"


def _checks(study: str, config: Sequence[str]) -> str:
    """Say which command lists what a study lacks."""
    options = ["--config", *config] if list(config) != DEFAULT_CONFIG else []
    return f"`{shlex.join(['fit', 'check', study, *options])}` lists them"


def _command(part: Part, study: str, config: Sequence[str]) -> str:
    """Return what makes a part, with the files of configuration that lie over the first."""
    command = part.command.format(study=study)
    is_run = command.startswith("snakemake ") and len(config) > 1
    return f"{command} --configfile {shlex.join(config[1:])}" if is_run else command


def _why_not(
    files: Iterable[Sequence[Pair]],
    study: str,
    pairs: Sequence[Pair],
    missing: Sequence[Pair],
    config: Sequence[str],
) -> str:
    """Say why files are not made. `files`: of each, the pairs that it is of."""
    absent: list[Pair] = []
    lacking: list[Pair] = []
    asked = True
    for of_file in files:
        absent += [pair for pair in of_file if pair not in pairs]
        # A file of a domain can be made if one of its models has its inputs.
        ready = [pair for pair in of_file if pair in pairs and pair not in missing]
        lacking += [] if ready else [pair for pair in of_file if pair in missing]
        asked = asked and not ready
    said = []
    if absent:
        said.append(f"not in this study: {_listed(absent)}; add them to models and studies.{study} in config.yaml")
    if lacking:
        said.append(f"inputs are missing for {_listed(lacking)}; {_checks(study, config)}")
    if not asked:
        said.append("nobody has asked for it yet")
    return "; ".join(said)


def list_table(
    study: str,
    pairs: Sequence[Pair],
    missing: Sequence[Pair],
    made: Collection[str | Path],
    config: Sequence[str] = tuple(DEFAULT_CONFIG),
) -> Table:
    """Return every table and figure of the paper: made or not, where, why not, and the command that makes it.

    Args:
        study: its name.
        pairs: (model, domain) of the study.
        missing: those of `pairs` that lack inputs.
        made: paths of files that exist.
        config: files of configuration of the study, which the commands have to repeat.
    """
    there = [Path(path).parts for path in made]
    rows: list[tuple[str, ...]] = []
    for part in PARTS:
        files = part.files(study, pairs)
        found = {file for file in files if _is_made(file, there)}
        if files and len(found) == len(files):
            state = MADE
        elif found:
            state = f"{MADE} for {len(found)} of {len(files)}"
        else:
            state = NOT_MADE
        where = "" if not found else part.file.replace("{study}", study) if len(files) > 1 else next(iter(found))
        lacking = [of for file, of in files.items() if file not in found]
        why = part.why_never or _why_not(lacking, study, pairs, missing, config)
        if found and "{domain}" not in part.file and missing:
            why = f"without {_listed(missing)}, whose inputs are missing; {_checks(study, config)}"
        rows.append((part.what, state, where, why, _command(part, study, config)))
    return Table("list", (WHAT, STATE, "where", "why not", "command"), rows)


@dataclass(frozen=True)
class PaperFiles:
    """The files that the page is made of. A study may lack some."""

    thresholds: dict[Pair, str]
    """(model, domain) -> JSON of a threshold."""
    scores: dict[Pair, str]
    """(model, domain) -> table of scores."""
    captions: dict[Pair, str]
    """(corpus, domain) -> counts of captions."""
    made: list[str]
    """Other tables and figures that exist."""
    missing: list[Pair]
    """(model, domain) that lack inputs."""
    missed: dict[Pair, str] = field(default_factory=dict)
    """(corpus, domain) -> table of what captions miss, where it was made."""

    @classmethod
    def named(
        cls,
        thresholds: Sequence[str],
        scores: Sequence[str],
        captions: Sequence[str],
        made: Sequence[str],
        missing: Sequence[Pair],
        missed: Sequence[str] = (),
    ) -> "PaperFiles":
        """Tell what files are by where the workflow puts them.

        Args:
            thresholds: .../MODEL/DOMAIN.json.
            scores: .../MODEL/DOMAIN.parquet.
            captions: .../CORPUS/DOMAIN/counts.parquet.
            made: any tables and figures.
            missing: (model, domain) that lack inputs, in any order, maybe several times.
            missed: .../CORPUS/DOMAIN.parquet.
        """
        return cls(
            by_key(thresholds, lambda path: (Path(path).parent.name, Path(path).stem), "the pair"),
            by_key(scores, lambda path: (Path(path).parent.name, Path(path).stem), "the pair"),
            by_key(captions, lambda path: (Path(path).parent.parent.name, Path(path).parent.name), "the pair"),
            list(made),
            list(dict.fromkeys(missing)),
            by_key(missed, lambda path: (Path(path).parent.name, Path(path).stem), "the pair"),
        )


def write_paper(
    study: str,
    files: PaperFiles,
    folder: str | Path,
    *,
    resamples: int,
    seed: int,
    config: Sequence[str] = tuple(DEFAULT_CONFIG),
) -> Table:
    """Write paper.md and its tables, each in three formats, into `folder`; return the list.

    Args:
        study: its name.
        files: of the study.
        folder: to write into.
        resamples: of the bootstrap of the invariance's interval.
        seed: of its draws.
        config: files of configuration of the study.

    Raises:
        DataError: a file is not what its stage writes.
    """
    place = WorkFolder(folder, "the paper's tables", r"(?!)", "--out").claim()
    invariances = {pair: invariance(read_table(path), resamples, seed) for pair, path in files.scores.items()}
    pairs = list(dict.fromkeys([*files.thresholds, *files.scores, *files.missing]))
    compared = comparisons(files.thresholds, invariances, pairs)
    tables = [changes_table(files.thresholds), captions_table(files.captions), invariance_table(invariances)]
    tables.append(missed_table(files.missed))
    own = [PAGE.format(study=study).replace("paper.md", f"{table.name}.tsv") for table in tables if table.rows]
    listed = list_table(study, pairs, files.missing, [*files.thresholds.values(), *files.made, *own], config)
    for table in (listed, comparison_table(compared), *tables):
        table.write(place)
    lines = [f"# {markdown(study)}: the tables and figures of the paper", ""]
    lines += [f"{_summary(listed)} The list is by subject, from what this project knows of the paper.", ""]
    lines += [listed.markdown(), "## Published numbers", ""]
    if compared:
        lines += [f"Published: {SOURCE}.", "", *(f"- {markdown(one.sentence())}." for one in compared), ""]
        lines += [comparison_table(compared).markdown()]
    else:
        lines += ["Nothing was published about the models and domains of this study.", ""]
    titles = ("All change points", "Captions", "Invariance", "What captions miss")
    for title, table, note in zip(titles, tables, _notes(invariances), strict=True):
        if table.rows:
            lines += [f"## {title}", "", note, "", table.markdown()]
    write_text(place / "paper.md", "\n".join(lines))
    return listed


def _summary(listed: Table) -> str:
    number = count_made(listed)
    partly = f", {number['in_part']} in part" if number["in_part"] else ""
    return (
        f"Of {number['parts']} tables and figures, {number['made']} {'is' if number['made'] == 1 else 'are'} "
        f"made{partly}."
    )


def count_made(listed: Table) -> dict[str, int]:
    """Return how many tables and figures the list has (parts), and how many are made, and made in part."""
    states = [row[1] for row in listed.rows]
    in_part = sum(state.startswith(f"{MADE} for") for state in states)
    return {"parts": len(states), "made": states.count(MADE), "in_part": in_part}


def _notes(invariances: Mapping[Pair, Invariance]) -> tuple[str, ...]:
    """Return what a reader has to know of the tables."""
    near = (
        "The score of the concept with more images minus that of the other, over all pairs of concepts whose counts "
        f"differ by 1 to {WITHIN - 1} images. The interval is a bootstrap over concepts. Differences in both "
        "directions cancel in a mean. So a mean near 0 does not show that concepts with like counts have like scores; "
        "the mean size of the difference does."
    )
    if any(domain in INVARIANCE for _, domain in invariances):
        near += (
            " The source does not say which of two published scores is taken from the other: its sign may be reversed."
        )
    return (
        "Every change point of PELT at the study's penalty. The first is the paper's threshold.",
        "Concepts by how many captions mention them, in the paper's bins.",
        near,
        "The share of images whose captions name no concept that show a concept all the same: the least, the median "
        f"and the greatest of the concepts. The published share is of faces ({SOURCE}).",
    )


def read_list(path: str | Path) -> Table:
    """Read list.tsv, which write_paper wrote beside paper.md."""
    try:
        header, *rows = csv.reader(io.StringIO(Path(path).read_text(encoding="utf-8")), delimiter="\t")
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"{path}: not a list that can be read ({error}); {again(path)}") from None
    return Table("list", tuple(header), [tuple(uncell(text) for text in row) for row in rows])


def said(listed: Table) -> list[str]:
    """Say the list in lines for a terminal: the state of each table and figure, and why it is not made."""
    width = max(len(row[1]) for row in listed.rows)
    lines = [f"  {row[1]:<{width}}  {row[0]}" + (f": {row[3]}" if row[3] else "") for row in listed.rows]
    return [_summary(listed), *lines]
