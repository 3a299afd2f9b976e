"""Reference images: verified pictures of a concept, of which the most mutually similar subset is kept."""

import csv
from pathlib import Path

import numpy as np
import pyarrow as pa

from fit.errors import ConfigError
from fit.images.collect import Http, Link, gather, of_results
from fit.images.provided import links_at
from fit.images.search import SEARCHES
from fit.images.table import REFERENCES
from fit.paths import outside
from fit.registry import find


def _from_search(service, query, concepts, wanted, cache, settings):
    options = {"query": query} if query else {}
    search = find(SEARCHES, service, "reference search")(images=wanted, cache=cache, settings=settings, **options)
    links = {
        slug: [Link(f"{slug}-{i:03d}", url, "", 0) for i, url in enumerate(search.links(concept))]
        for slug, concept in concepts.items()
    }
    return Http(settings), links


def collect_references(kind, place, concepts, targets, *, wanted, cache, work, settings, limits):
    """Collect the reference candidates of concepts, an image table of the schema COLLECTED each.

    Args:
        kind: "table" or "folder", or a key of fit.images.search.SEARCHES.
        place: as fit.images.provided.links_at takes it, or what the search asks for.
        concepts: list of fit.concepts.Concept.
        targets: slug -> path of the image table to write.
        wanted: how many candidates to search for; cache: folder that keeps the answers of a search.
        work, settings, limits: as fit.images.collect.collect takes them.

    Raises:
        ConfigError: there is no such kind, or a search lacks its key.
        DataError: there is no such table or folder, or a search fails.
    """
    by_slug = {concept.concept: concept for concept in concepts}
    if kind in ("folder", "table"):
        if kind == "folder":
            outside(work, [Path(place, slug) for slug in by_slug])
        source, links = links_at(place, list(by_slug), "reference images")
    else:
        source, links = _from_search(kind, place, by_slug, wanted, cache, settings)
    gather(source, links, targets, work=work, identity=[kind, place, of_results(settings)], limits=limits)


def read_vetoes(path):
    """The images that a person has rejected: concept -> set of image ids, from a tab-separated file.

    Raises:
        ConfigError: it is missing, or lacks the columns concept and image_id.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file of vetoes; write one, or mend `references.vetoes`") from None
    rows = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
    for column in ("concept", "image_id"):
        if column not in (rows.fieldnames or []):
            raise ConfigError(
                f"{path}, line 1: no column `{column}`; the header needs concept and image_id, with a tab"
            )
    vetoes: dict[str, set[str]] = {}
    for row in rows:
        vetoes.setdefault((row["concept"] or "").strip(), set()).add((row["image_id"] or "").strip())
    return vetoes


def most_similar_subset(embeddings, keep):
    """Which `keep` of the images are most alike: the least similar to the rest is dropped again and again.

    Args:
        embeddings: [N, D] unit vectors.
        keep: how many to keep; all, where there are no more.

    Returns:
        [N] bool.
    """
    similarity = embeddings @ embeddings.T
    np.fill_diagonal(similarity, 0)
    kept = np.ones(len(embeddings), bool)
    while kept.sum() > keep:
        to_the_rest = np.where(kept, similarity @ kept, np.inf)
        kept[np.argmin(to_the_rest)] = False
    return kept


def select(candidates, image_ids, embeddings, *, keep, least=1, vetoed=frozenset()):
    """Mark the references to keep.

    Args:
        candidates: Arrow table of the schema COLLECTED.
        image_ids, embeddings: of the usable candidates (exactly one face, or any style image), [M] and [M, D].
        keep: how many.
        least: with fewer usable ones, none is kept: the concept is left out of the study.
        vetoed: ids of images that a person has rejected.

    Returns:
        Arrow table of the schema REFERENCES; `fate` says of each why it is kept or not.
    """
    usable = np.array([name not in vetoed for name in image_ids], bool)
    names = np.asarray(image_ids, dtype=object)[usable]
    enough = len(names) >= least
    kept = set(names[most_similar_subset(embeddings[usable], keep)].tolist()) if enough else set()
    rows = []
    for name, status, data in zip(
        *(candidates.column(column).to_pylist() for column in ("image_id", "status", "bytes")), strict=True
    ):
        if status != "ok":
            fate = status
        elif name in vetoed:
            fate = "vetoed"
        elif name not in set(names.tolist()):
            fate = "no single face"
        elif not enough:
            fate = "too few references"
        else:
            fate = "kept" if name in kept else "less alike"
        rows.append({"image_id": name, "kept": name in kept, "fate": fate, "bytes": data})
    return pa.Table.from_pylist(rows, schema=REFERENCES)
