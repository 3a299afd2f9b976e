"""Looks at a user's own pictures: a folder with a folder per slug, or Parquet with the columns concept and bytes."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fit.check.findings import REMARK, WRONG, Findings, some
from fit.check.tables import counts_in_table
from fit.concepts.sheet import Concept
from fit.config.config import Config
from fit.io.folders import has_picture_suffix, walk_folder
from fit.io.nearby import entries, nearest, slug_of
from fit.io.shown import number_of
from fit.matches.settings import METHODS

FEWEST = 10
"""Concepts that a threshold needs, as in fit.thresholds.report, whose import is slow."""


def count_pictures(folder: str | Path, most: int) -> tuple[int, str]:
    """Return (the pictures in `folder`, however deep, `most` at most; a sentence on links to nothing, or "")."""
    walked = walk_folder(folder)
    pictures = list(filter(has_picture_suffix, walked.names))
    return min(most, len(pictures) - len(walked.beside(pictures))), walked.say_broken() if walked.broken else ""


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
    place, key = given.place, given.key
    if not place or place.startswith("results/") or not Path(place).exists():
        return
    if concepts is None:
        _of_photographs(place, given, found)
        return
    if not concepts:
        return
    if Path(place).is_dir():
        counts, nameless, lost = _counts_in_folder(place, concepts, max(1, given.least))
        if lost:
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
        counts = dict(in_table)
        slugs = [concept.slug for concept in concepts]
        nameless = {name: nearest(name, slugs) for name in counts.keys() - set(slugs)}
        counts = {slug: counts.get(slug) for slug in slugs}
        if nameless:
            shown = [f"{name} (did you mean {slug}?)" if slug else name for name, slug in sorted(nameless.items())]
            found.add(REMARK, key, f"{place}: concepts that are on no sheet: {some(shown)} (`{key}`)")
    hints = {slug: name for name, slug in nameless.items() if slug}
    if what[0] == "references":
        _judge_references(config, what[1], given, counts, hints, found)
    else:
        _judge_others(what[0], given, counts, hints, found)


def _counts_in_folder(
    place: str, concepts: Sequence[Concept], most: int
) -> tuple[dict[str, int | None], dict[str, str | None], list[str]]:
    """Return what is in a folder of pictures.

    Returns:
        (counts, nameless, lost): slug -> number of pictures, None without a folder; folder of no concept -> slug that
        it may mean, or None; sentences about links that lead to nothing.
    """
    there = [name for name in entries(place) if Path(place, name).is_dir()]
    looked = {c.slug: count_pictures(Path(place, c.slug), most) for c in concepts if c.slug in there}
    counts: dict[str, int | None] = {c.slug: looked[c.slug][0] if c.slug in looked else None for c in concepts}
    lost = [said for _, said in looked.values() if said]
    lost += [
        f"{Path(place, c.slug)}: a link that leads to nothing; fix or remove it"
        for c in concepts
        if c.slug not in there and Path(place, c.slug).is_symlink()
    ]
    lacking = [concept for concept in concepts if counts[concept.slug] is None]
    by_name = {slug_of(name): concept.slug for concept in lacking for name in concept.names}
    nameless: dict[str, str | None] = {}
    for name in there:
        if name not in counts:
            close = by_name.get(slug_of(name)) or nearest(name, [concept.slug for concept in lacking])
            nameless[name] = close
    return counts, nameless, lost


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
    kind: str, given: _Given, counts: Mapping[str, int | None], hints: Mapping[str, str], found: Findings
) -> None:
    """Say which concepts have no pictures of a model or a corpus.

    Args:
        kind: "model" or "corpus".
        given: the place.
        counts: slug -> number of pictures, None without a folder.
        hints: slug -> the name there that may mean it.
        found: where the finding is added.
    """
    folder = Path(given.place or "").is_dir()
    # A concept may have no training images: its folder is empty.
    empty_too = kind == "corpus" and folder
    none = [slug for slug, count in counts.items() if (count is None if empty_too else not count)]
    if not none:
        return
    named = some([f"{slug} (is it {hints[slug]}?)" if slug in hints else slug for slug in none])
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
    hints: Mapping[str, str],
    found: Findings,
) -> None:
    """Say which concepts have too few references, and whether enough concepts are left; arguments as _judge_others."""
    place, key, noun, least = given.place, given.key, given.noun, given.least
    few = [slug for slug, count in counts.items() if (count or 0) < least]
    usable = len(counts) - len(few)
    least_key = key.rpartition(".")[0] + ".least"
    if few:
        shown = some(
            f"{slug} ({counts[slug] or 0}{', is it ' + hints[slug] + '?' if slug in hints else ''})" for slug in few
        )
        text = (
            f"{place}: {len(few)} of {len(counts)} concepts have fewer than {least} {noun} and are left out: {shown}; "
            f"add pictures or lower `{least_key}`"
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


def _of_photographs(place: str, given: _Given, found: Findings) -> None:
    key, noun, least = given.key, given.noun, given.least
    if Path(place).is_dir():
        count, lost = count_pictures(place, least)
        if lost:
            found.add(REMARK, key, f"{lost} (`{key}`)")
        if count < least:
            found.add(WRONG, key, f"{place}: fewer than {least} pictures; put {noun} there (`{key}`)")
    else:
        counts_in_table(place, key, found, concept=False)
