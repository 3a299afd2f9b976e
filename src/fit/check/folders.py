"""Looks at a user's own pictures: a folder with a folder per slug, or Parquet with the columns concept and bytes."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fit.check.findings import REMARK, WRONG, Findings, some
from fit.check.tables import counts_in_table
from fit.concepts.sheet import Concept
from fit.config.config import Config
from fit.images.settings import DecodeSettings
from fit.io.folders import has_picture_suffix, walk_folder
from fit.io.nearby import entries, nearest, slug_of
from fit.io.shown import number_of
from fit.matches.settings import METHODS

FEWEST = 10
"""Concepts that a threshold needs, as in fit.thresholds.report, whose import is slow."""


@dataclass(frozen=True)
class Counted:
    """The pictures of a folder."""

    pictures: int
    """As many as were asked for, at most."""
    unreadable: int = 0
    """Files, of those looked at, that have the suffix of a picture and are none."""
    lost: str = ""
    """A sentence on links to nothing; empty without any."""


def count_pictures(folder: str | Path, most: int, decoding: DecodeSettings | None) -> Counted:
    """Count the pictures in a folder, however deep.

    Args:
        folder: the folder.
        most: where to stop.
        decoding: which pictures may be used: the header of each file is read; None: files are told by their names.
    """
    walked = walk_folder(folder)
    names = list(filter(has_picture_suffix, walked.names))
    lost = walked.say_broken() if walked.broken else ""
    twice = set(walked.beside(names))
    names = [name for name in names if name not in twice]
    if decoding is None:
        return Counted(min(most, len(names)), lost=lost)
    readable = unreadable = 0
    for name in names:
        if readable == most:
            break
        if _is_readable(Path(folder, name), decoding):
            readable += 1
        else:
            unreadable += 1
    return Counted(readable, unreadable, lost)


def _is_readable(path: Path, decoding: DecodeSettings) -> bool:
    from fit.images.picture import status_of_header

    try:
        with path.open("rb") as file:
            return status_of_header(file, decoding) == "ok"
    except OSError:
        return False


@dataclass(frozen=True)
class _Given:
    """A place with a user's own pictures."""

    place: str | None
    key: str
    """Of the configuration, which names it."""
    noun: str
    """Name of its pictures."""
    least: int
    """Pictures that a concept needs."""


def _given(config: Config, what: Sequence[str]) -> _Given:
    """Return the place of pictures; `what` as of_images takes it."""
    kind, name = what[:2]
    if kind == "references":
        references = config.domains[name].references
        source = references.source
        place = references.table or references.folder
        return _Given(place, f"domains.{name}.references.{source}", "reference images", references.least)
    if kind == "photographs":
        art = config.domains[name].art_filter
        return _Given(art.photographs if art else None, f"domains.{name}.art_filter.photographs", "photographs", 2)
    if kind == "model":
        return _Given(config.models[name].provided_images, f"models.{name}.provided_images", "generated images", 1)
    return _Given(config.corpora[name].provided_images, f"corpora.{name}.provided_images", "training images", 0)


def of_images(config: Config, what: Sequence[str], concepts: Sequence[Concept] | None, found: Findings) -> None:
    """Look at a user's own pictures.

    Args:
        config: the configuration.
        what: ("references", domain), ("photographs", domain), ("model", model, domain) or ("corpus", corpus, domain).
        concepts: those whose pictures must be there; None if the pictures are not of concepts.
        found: where findings are added.
    """
    given = _given(config, what)
    # How many training images there are is of no concern here: a concept may have none. Of other pictures the headers
    # are read, as far as needed: 0.05 ms each, and a run would go on without a concept whose files are no pictures.
    decoding = None if what[0] == "corpus" else config.collection
    place, key = given.place, given.key
    if not place or place.startswith("results/") or not Path(place).exists():
        return
    if concepts is None:
        _of_photographs(place, given, found, decoding)
        return
    if not concepts:
        return
    if Path(place).is_dir():
        looked, nameless = _in_folder(place, concepts, max(1, given.least), decoding)
        counts: dict[str, int | None] = {slug: one.pictures if one else None for slug, one in looked.items()}
        unreadable = {slug: one.unreadable for slug, one in looked.items() if one and one.unreadable}
        if lost := _lost_in_folder(place, looked):
            found.add(REMARK, key, f"{some(lost, 3)} (`{key}`)")
        if nameless:
            shown = [f"{name} (did you mean {slug}?)" if slug else name for name, slug in nameless.items()]
            found.add(
                REMARK, key, f"{place}: folders that are not a concept's slug: {some(shown)}; rename them (`{key}`)"
            )
    else:
        in_table = counts_in_table(place, key, found)
        if in_table is None:
            return
        unreadable = {}
        slugs = [concept.slug for concept in concepts]
        nameless = {name: nearest(name, slugs) for name in in_table.keys() - set(slugs)}
        counts = {slug: in_table.get(slug) for slug in slugs}
        if nameless:
            shown = [f"{name} (did you mean {slug}?)" if slug else name for name, slug in sorted(nameless.items())]
            found.add(REMARK, key, f"{place}: concepts that are on no sheet: {some(shown)} (`{key}`)")
    hints = {slug: [f"is it {name}?"] for name, slug in nameless.items() if slug}
    for slug, number in unreadable.items():
        said = "1 file is no readable picture" if number == 1 else f"{number} files are no readable pictures"
        hints.setdefault(slug, []).append(said)
    notes = {slug: ", ".join(said) for slug, said in hints.items()}
    if what[0] == "references":
        _judge_references(config, what[1], given, counts, notes, found)
    else:
        _judge_others(what[0], given, counts, notes, found)


def _in_folder(
    place: str, concepts: Sequence[Concept], most: int, decoding: DecodeSettings | None
) -> tuple[dict[str, Counted | None], dict[str, str | None]]:
    """Return what is in a folder of pictures.

    Returns:
        (looked, nameless): slug -> its pictures, None without a folder; folder of no concept -> slug that it may mean,
        or None.
    """
    there = [name for name in entries(place) if Path(place, name).is_dir()]
    looked = {
        c.slug: count_pictures(Path(place, c.slug), most, decoding) if c.slug in there else None for c in concepts
    }
    lacking = [concept for concept in concepts if looked[concept.slug] is None]
    by_name = {slug_of(name): concept.slug for concept in lacking for name in concept.names}
    nameless: dict[str, str | None] = {}
    for name in there:
        if name not in looked:
            close = by_name.get(slug_of(name)) or nearest(name, [concept.slug for concept in lacking])
            nameless[name] = close
    return looked, nameless


def _lost_in_folder(place: str, looked: Mapping[str, Counted | None]) -> list[str]:
    """Return sentences about links that lead to nothing, of what _in_folder found."""
    lost = [one.lost for one in looked.values() if one and one.lost]
    return lost + [
        f"{Path(place, slug)}: a link that leads to nothing; fix or remove it"
        for slug, one in looked.items()
        if one is None and Path(place, slug).is_symlink()
    ]


def of_shared_places(config: Config, pairs: Sequence[tuple[str, str]], found: Findings) -> None:
    """Look for pictures that have two roles: a model's pictures that are also the references imitate perfectly.

    Args:
        config: the configuration.
        pairs: (model, domain) of a study.
        found: where findings are added.
    """
    for model, domain in pairs:
        references = config.domains[domain].references
        corpus = config.models[model].corpus
        places = [
            (f"domains.{domain}.references.{references.source}", references.table or references.folder),
            (f"corpora.{corpus}.provided_images", config.corpora[corpus].provided_images),
            (f"models.{model}.provided_images", config.models[model].provided_images),
        ]
        slugs = [concept.slug for concept in config.sheet(domain)]
        for (one, here), (other, there) in itertools.combinations(places, 2):
            if not (here and there and Path(here).exists() and Path(there).exists()):
                continue
            shared = [slug for slug in slugs if _is_same(Path(here, slug), Path(there, slug))]
            if _is_same(here, there):
                text = f"{there}: `{other}` is the same as `{one}`"
            elif shared:
                text = f"{there}: the folders of {some(shared)} are the same for `{other}` and `{one}`"
            else:
                continue
            found.add(WRONG, other, f"{text}, so pictures would be compared with themselves; name another folder")


def _is_same(one: str | Path, other: str | Path) -> bool:
    try:
        return Path(one).samefile(other)
    except OSError:
        return False


def _judge_others(
    kind: str, given: _Given, counts: Mapping[str, int | None], notes: Mapping[str, str], found: Findings
) -> None:
    """Say which concepts have no pictures of a model or a corpus.

    Args:
        kind: "model" or "corpus".
        given: the place.
        counts: slug -> number of pictures, None without a folder.
        notes: slug -> why it may have too few.
        found: where the finding is added.
    """
    folder = Path(given.place or "").is_dir()
    # A concept may have no training images: its folder is empty.
    empty_too = kind == "corpus" and folder
    none = [slug for slug, count in counts.items() if (count is None if empty_too else not count)]
    if not none:
        return
    named = some([f"{slug} ({notes[slug]})" if slug in notes else slug for slug in none])
    where = f"put pictures into {given.place}/SLUG" if folder else "add rows"
    found.add(
        WRONG,
        given.key,
        f"{given.place}: no {given.noun} of {len(none)} of {number_of(len(counts), 'concept')}: "
        f"{named}; {where}, or remove them "
        f"from the sheet (`{given.key}`)",
    )


def _judge_references(
    config: Config,
    domain: str,
    given: _Given,
    counts: Mapping[str, int | None],
    notes: Mapping[str, str],
    found: Findings,
) -> None:
    """Say which concepts have too few references, and whether enough concepts are left; arguments as _judge_others."""
    place, key, noun, least = given.place, given.key, given.noun, given.least
    few = [slug for slug, count in counts.items() if (count or 0) < least]
    usable = len(counts) - len(few)
    least_key = key.rpartition(".")[0] + ".least"
    if few:
        shown = some(f"{slug} ({counts[slug] or 0}{', ' + notes[slug] if slug in notes else ''})" for slug in few)
        has, are = ("has", "is") if len(few) == 1 else ("have", "are")
        text = (
            f"{place}: {len(few)} of {number_of(len(counts), 'concept')} {has} fewer than {least} {noun} and {are} "
            f"left out: {shown}; add pictures or lower `{least_key}`"
        )
        found.add(REMARK if usable else WRONG, key, text)
    method = config.domains[domain].match_threshold
    if usable == 1 and method in METHODS and config.needs_match_threshold(domain):
        found.add(
            WRONG,
            key,
            f"{place}: 1 concept has enough {noun}; the match threshold needs two or more: add pictures, lower "
            f"`{least_key}`, or give the cosine as `domains.{domain}.match_threshold`",
        )
    elif 0 < usable < FEWEST:
        found.add(
            REMARK,
            key,
            f"{place}: {number_of(usable, 'concept', 'has')} enough {noun}; a threshold needs {FEWEST} or more",
        )


def _of_photographs(place: str, given: _Given, found: Findings, decoding: DecodeSettings | None) -> None:
    key, noun, least = given.key, given.noun, given.least
    if Path(place).is_dir():
        counted = count_pictures(place, least, decoding)
        if counted.lost:
            found.add(REMARK, key, f"{counted.lost} (`{key}`)")
        if counted.pictures < least:
            needed = number_of(least, "picture")
            found.add(WRONG, key, f"{place}: fewer than {needed} that can be read; put {noun} there (`{key}`)")
    else:
        counts_in_table(place, key, found, concept=False)
