"""The datasheet of a study, or of one concept of it: which sections it has, in which order.

Everything is of study.json and the tables of thumbnails beside it; nothing is measured here.
"""

from pathlib import Path

from fit.errors import DataError
from fit.explorer.contents import Study
from fit.explorer.datasheet_blocks import (
    Block,
    Bullets,
    Code,
    Datasheet,
    Section,
    Text,
    facts_of,
    grid_of,
    in_a_span,
    in_images,
    name_of,
    shown_score,
    shown_time,
    visible,
)
from fit.explorer.datasheet_concept import VERDICT_NOTE, evidence_on, find_concept, question_on, verdict_on
from fit.explorer.datasheet_pictures import Pictures
from fit.explorer.datasheet_settings import DatasheetSettings
from fit.explorer.datasheet_study import answer_of, comparisons_of, data_of, evidence_of, question_of, rests_on
from fit.explorer.words import METHOD
from fit.io.shown import number_of
from fit.thresholds.meaning import MORE


def _limits(study: Study) -> Section:
    return Section("What this does not show", [Bullets(tuple(study.limits))])


def _meaning(study: Study) -> list[Section]:
    """Return what a result means, does not show and is not for; without what a study of an earlier version lacks."""
    readers = facts_of([(one.who, one.words) for one in study.readers])
    more = [Text(MORE)] if study.unsupported else []
    return [
        *([Section("What it means, and for whom", [readers])] if study.readers else []),
        _limits(study),
        *(
            [Section("Uses that it does not support", [Bullets(tuple(map(visible, study.unsupported))), *more])]
            if study.unsupported
            else []
        ),
    ]


def _check(study: Study, sha256: str, place: str, options: str, date: str) -> Section:
    blocks: list[Block] = [
        Text("This datasheet only lays out a file of the study. That file is the right one if its hash is"),
        Code((f"{sha256}  {place}",)),
        Text(
            "In the folder that holds the study's results, these commands compute the hash; hold every file that "
            "numbers come from against the hash that the study has of it, and say which differ; and write this "
            "datasheet again:"
        ),
        Code(
            (
                f"sha256sum {place}",
                f"fit report {place} --verify",
                f"fit report {place}{options} --date {date} --pdf again.pdf --html again.html",
            )
        ),
        Text(
            "With the same version of fit and of the packages below, the same file, pictures and fonts, the HTML and "
            "the PDF have the same bytes again."
        ),
        Text("To measure again, run the workflow with the same configuration, inputs and versions in an empty folder:"),
        Code((f"fit run {place}",)),
        Text(
            (
                f"The seed of the study is {study.seed}. "
                if study.seed is not None
                else "The study does not say its seed. "
            )
            + "Another machine may give slightly other pictures and numbers. An independent check would use other "
            "pictures, another embedder, or training with and without the images of a concept."
        ),
    ]
    return Section("How to check it", blocks)


def _versions(study: Study, pictures: Pictures) -> Section:
    versions = ", ".join(f"{package} {version}" for package, version in sorted(study.versions.items()))
    blocks: list[Block] = [Text(visible(f"fit {study.fit}; {versions}" if versions else f"fit {study.fit}"))]
    if study.sources:
        rows = [(one.file, f"{one.rule}, {shown_time(one.made)}", one.says, one.sha256) for one in study.sources]
        columns = ("file", "made by, on", "what it says", "SHA-256")
        blocks.append(grid_of(columns, rows, (5, 4, 5, 6), code=frozenset({3})))
    else:
        blocks.append(Text("The study does not say which files its numbers come from.", "warning"))
    if pictures.used:
        shown = ("table of the pictures shown", "SHA-256")
        blocks.append(grid_of(shown, sorted(pictures.used.items()), (10, 9), code=frozenset({1})))
    if pictures.others:
        blocks.append(
            Text(f"Not the tables of pictures that the study was made with: {', '.join(pictures.others)}.", "warning")
        )
    return Section("Versions and files", blocks)


def _annex(study: Study, most: int) -> Section:
    number = sum(len(part.concepts) for part in study.parts)
    if number > most:
        text = (
            f"The {number_of(number, 'concept', 'is')} more than the {most:,} that this annex lists at most "
            f"(--annex-rows). {'It is' if number == 1 else 'They are'} in the study's tables of scores, which are "
            "among the files above."
        )
        return Section("Annex: every concept", [Text(text)])
    inside = []
    for part in study.parts:
        rows = [
            (
                one.name,
                one.group,
                in_images(one.count),
                in_a_span(one.count_interval),
                shown_score(one.scores.get("score")),
                one.verdict.verdict if one.verdict else "-",
            )
            for one in part.concepts
        ]
        columns = ("concept", "group", "images", "95 % interval", "score", "verdict")
        grid = grid_of(columns, rows, (6, 3, 2, 4, 2, 3), numbers=frozenset({2, 3, 4}))
        inside.append(Section(name_of(part), [grid] if rows else [Text("No concept.", "note")]))
    intro = Text(
        "Ascending in count. The verdict compares the count with the interval of the threshold; it is not about the "
        "score of that concept."
    )
    return Section("Annex: every concept", [intro], inside)


def make_datasheet(
    study: Study,
    *,
    sha256: str,
    place: str,
    folder: str | Path,
    date: str,
    author: str = "",
    concept: str | None = None,
    settings: DatasheetSettings | None = None,
) -> Datasheet:
    """Return what the datasheet of a study says, or that of one concept of it.

    Args:
        study: of study.json.
        sha256: of that file.
        place: path of that file, as a reader runs commands on it.
        folder: that holds the tables of thumbnails, {model}/{domain}/*.parquet; may be missing.
        date: of the datasheet, YYYY-MM-DD.
        author: who hands it over.
        concept: slug of a concept; None for the whole study.
        settings: what is shown.

    Raises:
        DataError: the study has no parts.
        FitError: it has no such concept.
        ImageTableError: a thumbnail can't be decoded.
    """
    settings = settings or DatasheetSettings()
    if not study.parts:
        raise DataError(f"study {study.study}: it has no model and domain, so there is nothing to report")
    pictures = Pictures(study, folder, settings.pictures)
    options = "" if settings.pictures == "all" else f" --pictures {settings.pictures}"
    defaults = DatasheetSettings()
    for name in ("examples", "annex_rows"):
        if getattr(settings, name) != getattr(defaults, name):
            options += f" --{name.replace('_', '-')} {getattr(settings, name)}"
    if concept is None:
        title = f"Imitation threshold: the study {visible(study.study)}"
        parts = study.parts
        first = [
            question_of(study),
            Section("Answer", [], [answer_of(part) for part in parts]),
            Section("Evidence", [], [evidence_of(part, pictures, settings) for part in parts]),
            *comparisons_of(study),
        ]
    else:
        found = find_concept(study, concept)
        parts = [part for part, _ in found]
        options += f" --concept {concept}"
        title = f"Imitation of {visible(found[0][1].name)}: a concept in the study {visible(study.study)}"
        first = [
            question_on(found),
            Section("Verdict", [Text(VERDICT_NOTE)], [verdict_on(part, one) for part, one in found]),
            Section("Evidence", [], [evidence_on(part, one, pictures) for part, one in found]),
        ]
    if author:
        options += f" --author {_quoted(author)}"
    lacks = [Section("What the study lacks", [Bullets(tuple(map(visible, study.missing)))])] if study.missing else []
    sections = [
        *first,
        Section("What it rests on", [], [rests_on(part) for part in parts]),
        data_of(study),
        *lacks,
        *_meaning(study),
        Section("How it was measured", [Bullets(METHOD[1:])]),
        Section("Terms", [facts_of([(term.term, term.words) for term in study.glossary])]),
        _check(study, sha256, place, options, date),
        _versions(study, pictures),
        *([_annex(study, settings.annex_rows)] if concept is None else []),
    ]
    facts = [
        ("study", study.study),
        ("models and domains", "; ".join(name_of(part) for part in parts)),
        ("gathered on", shown_time(study.made)),
        ("date of this datasheet", date),
        *([("handed over by", author)] if author else []),
        ("made with", f"fit {study.fit}"),
    ]
    return Datasheet(title, visible(study.study), date, visible(author), visible(study.fit), facts_of(facts), sections)


def _quoted(text: str) -> str:
    return "'" + visible(text).replace("'", "'\\''") + "'"
