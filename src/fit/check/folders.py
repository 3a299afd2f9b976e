"""Pictures that a user gives: a folder with a folder per slug, or Parquet with the columns concept and bytes."""

import itertools
from pathlib import Path

from fit.check.findings import REMARK, WRONG, some
from fit.check.tables import counts_in_table
from fit.io.folders import has_picture_suffix, walk_folder
from fit.io.nearby import entries, nearest, slug_of

FEWEST = 10
"""Concepts that a threshold takes, as in fit.thresholds.report, which takes long to import."""


def count_pictures(folder, most):
    """(How many pictures lie in `folder`, however deep, `most` at most; what is said of links to nothing, or "")."""
    walked = walk_folder(folder)
    pictures = list(filter(has_picture_suffix, walked.names))
    return min(most, len(pictures) - len(walked.beside(pictures))), walked.say_broken() if walked.broken else ""


def _given(config, what):
    """(Place, its key, what lies there, how many a concept needs, what a concept without enough leads to)."""
    kind, name = what[:2]
    if kind == "references":
        references = config.domains[name].references
        source = references.source
        place = references.table or references.folder
        return place, f"domains.{name}.references.{source}", "reference images", references.least
    if kind == "photographs":
        art = config.domains[name].art_filter
        return art.photographs, f"domains.{name}.art_filter.photographs", "photographs", 2
    if kind == "model":
        return config.models[name].provided_images, f"models.{name}.provided_images", "generated images", 1
    return config.corpora[name].provided_images, f"corpora.{name}.provided_images", "training images", 0


def of_images(config, what, concepts, found):
    """Look at pictures that are given.

    Args:
        what: ("references", domain), ("photographs", domain), ("model", model, domain) or ("corpus", corpus, domain).
        concepts: list of fit.concepts.sheet.Concept that have to be there; None where there are none; found: Findings.
    """
    place, key, noun, least = _given(config, what)
    if not place or place.startswith("results/") or not Path(place).exists():
        return
    if concepts is None:
        _of_photographs(place, key, noun, least, found)
        return
    if not concepts:
        return
    if Path(place).is_dir():
        counts, nameless, lost = _counts_in_folder(place, concepts, max(1, least))
        if lost:
            found.add(REMARK, key, f"{some(lost, 3)} (`{key}`)")
        if nameless:
            shown = [f"{name} (did you mean {slug}?)" if slug else name for name, slug in nameless.items()]
            found.add(REMARK, key, f"{place}: folders that are no concept's slug: {some(shown)}; rename them (`{key}`)")
    else:
        counts = counts_in_table(place, key, found)
        if counts is None:
            return
        nameless = {name: nearest(name, [c.slug for c in concepts]) for name in counts.keys() - _slugs(concepts)}
        if nameless:
            shown = [f"{name} (did you mean {slug}?)" if slug else name for name, slug in sorted(nameless.items())]
            found.add(REMARK, key, f"{place}: concepts that are on no sheet: {some(shown)} (`{key}`)")
    hints = {slug: name for name, slug in nameless.items() if slug}
    _judge(config, what, (place, key, noun, least), counts, [c.slug for c in concepts], hints, found)


def _slugs(concepts):
    return {concept.slug for concept in concepts}


def _counts_in_folder(place, concepts, most):
    """What is in a folder of pictures.

    Returns:
        (counts, nameless, lost): slug -> number of pictures, None without a folder; folder of no concept -> slug that
        it may mean, or None; sentences about links that lead to nothing.
    """
    there = [name for name in entries(place) if Path(place, name).is_dir()]
    looked = {c.slug: count_pictures(Path(place, c.slug), most) for c in concepts if c.slug in there}
    counts = {c.slug: looked[c.slug][0] if c.slug in looked else None for c in concepts}
    lost = [said for _, said in looked.values() if said]
    lost += [
        f"{Path(place, c.slug)}: a link that leads to nothing; fix or remove it"
        for c in concepts
        if c.slug not in there and Path(place, c.slug).is_symlink()
    ]
    lacking = [concept for concept in concepts if counts[concept.slug] is None]
    by_name = {slug_of(name): concept.slug for concept in lacking for name in concept.names}
    nameless = {}
    for name in there:
        if name not in counts:
            close = by_name.get(slug_of(name)) or nearest(name, [concept.slug for concept in lacking])
            nameless[name] = close
    return counts, nameless, lost


def of_shared_places(config, pairs, found):
    """Look for pictures that are given in two roles: a model's pictures that are the references imitate perfectly.

    Args:
        pairs: (model, domain) of a study.
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


def _is_same(one, other):
    try:
        return Path(one).samefile(other)
    except OSError:
        return False


def _judge(config, what, given, counts, slugs, hints, found):
    place, key, noun, least = given
    kind = what[0]
    folder = Path(place).is_dir()
    # A concept without training images is a legal one: its folder is empty.
    empty_too = kind == "corpus" and folder
    none = [slug for slug in slugs if (counts.get(slug) is None if empty_too else not counts.get(slug))]
    named = some([f"{slug} (is it {hints[slug]}?)" if slug in hints else slug for slug in none])
    if kind != "references":
        if none:
            where = f"put pictures into {place}/SLUG" if folder else "add rows"
            found.add(
                WRONG,
                key,
                f"{place}: no {noun} of {len(none)} of {len(slugs)} concepts: {named}; {where}, or take them off the "
                f"sheet (`{key}`)",
            )
        return
    few = [slug for slug in slugs if (counts.get(slug) or 0) < least]
    usable = len(slugs) - len(few)
    least_key = key.rpartition(".")[0] + ".least"
    if few:
        shown = some(
            f"{slug} ({counts.get(slug) or 0}{', is it ' + hints[slug] + '?' if slug in hints else ''})" for slug in few
        )
        text = (
            f"{place}: {len(few)} of {len(slugs)} concepts have fewer than {least} {noun} and are left out: {shown}; "
            f"add pictures or lower `{least_key}`"
        )
        found.add(REMARK if usable else WRONG, key, text)
    method = config.domains[what[1]].match_threshold
    if usable == 1 and method in ("midpoint", "best_f1") and config.needs_match_threshold(what[1]):
        found.add(
            WRONG,
            key,
            f"{place}: 1 concept has enough {noun}; the match threshold takes two or more: add pictures, lower "
            f"`{least_key}`, or give the cosine as `domains.{what[1]}.match_threshold`",
        )
    elif 0 < usable < FEWEST:
        found.add(REMARK, key, f"{place}: {usable} concepts have enough {noun}; a threshold takes {FEWEST} or more")


def _of_photographs(place, key, noun, least, found):
    if Path(place).is_dir():
        count, lost = count_pictures(place, least)
        if lost:
            found.add(REMARK, key, f"{lost} (`{key}`)")
        if count < least:
            found.add(WRONG, key, f"{place}: fewer than {least} pictures; put {noun} there (`{key}`)")
    else:
        counts_in_table(place, key, found, concept=False)
