"""Reference images: verified pictures of a concept, of which the most mutually similar subset is kept."""

import difflib
from pathlib import Path

import numpy as np
import pyarrow as pa

from fit.errors import ConfigError
from fit.images.collect import Http, Link, gather, of_results
from fit.images.local import links_at
from fit.images.table import REFERENCES
from fit.io.files import outside
from fit.io.user_tables import read_user_table
from fit.references.search import SEARCHES
from fit.registry import find


def _from_search(service, query, concepts, wanted, cache, settings):
    options = {"query": query} if query else {}
    search = find(SEARCHES, service, "reference search")(images=wanted, cache=cache, settings=settings, **options)
    links = {
        slug: [Link(f"{slug}-{i:03d}", url, "", 0) for i, url in enumerate(search.links(concept))]
        for slug, concept in concepts.items()
    }
    return Http(settings), links


def collect_references(kind, place, concepts, targets, *, wanted, cache, work, settings, limits, sheet=None):
    """Collect the reference candidates of concepts, an image table of the schema COLLECTED each.

    Args:
        kind: "table" or "folder", or a key of fit.references.search.SEARCHES.
        place: as fit.images.local.links_at takes it, or what the search asks for.
        concepts: list of fit.concepts.sheet.Concept.
        targets: slug -> path of the image table to write.
        wanted: how many candidates to search for; cache: folder that keeps the answers of a search.
        work, settings, limits: as fit.images.collect.collect takes them; sheet: as links_at takes it.

    Raises:
        ConfigError: there is no such kind, or a search lacks its key.
        DataError: there is no such table or folder, or a search fails.
    """
    by_slug = {concept.slug: concept for concept in concepts}
    if kind in ("folder", "table"):
        if kind == "folder":
            outside(work, [Path(place, slug) for slug in by_slug])
        source, links = links_at(place, list(by_slug), "reference images", sheet)
    else:
        source, links = _from_search(kind, place, by_slug, wanted, cache, settings)
    gather(source, links, targets, work=work, identity=[kind, place, of_results(settings)], limits=limits)


def read_vetoes(path):
    """The images that a person has rejected: concept -> set of image ids, from a tab-separated file.

    Raises:
        ConfigError: it is missing, or lacks the columns concept and image_id.
    """
    table = read_user_table(
        path,
        ("concept", "image_id"),
        error=ConfigError,
        separator="\t",
        empty=True,
        missing="there is no such file of vetoes: write one, or correct `references.vetoes`",
    )
    vetoes: dict[str, set[str]] = {}
    for index, row in enumerate(table.rows):
        concept, image_id = (row["concept"] or "").strip(), (row["image_id"] or "").strip()
        if not concept or not image_id:
            raise ConfigError(
                f"{table.where(index)}: the concept or the image_id is empty; write both, or drop the row"
            )
        vetoes.setdefault(concept, set()).add(image_id)
    return vetoes


def unmatched_vetoes(vetoes, images_of, concepts=None):
    """The vetoes that reject nothing: a list of sentences, each with what is named nearly so.

    Args:
        vetoes: as read_vetoes returns it.
        images_of: concept -> ids of its candidates, of the concepts that are looked at.
        concepts: slugs of the whole sheet; vetoes of other concepts are named by the job of the first one only. None
            where all that there are are looked at.
    """
    said = []
    for concept, image_ids in sorted(vetoes.items()):
        if concept in images_of:
            known = list(images_of[concept])
            for image_id in sorted(image_ids - set(known)):
                said.append(
                    f"{concept}: the veto of {image_id!r} matches no candidate image{_did_you_mean(image_id, known)}"
                )
        elif concepts is None:
            said.append(f"the vetoes of {concept!r} match no concept given here{_did_you_mean(concept, images_of)}")
        elif concept not in concepts and set(concepts[:1]) & set(images_of):
            said.append(f"the vetoes of {concept!r} match no concept of the sheet{_did_you_mean(concept, concepts)}")
    return said


def _did_you_mean(name, known):
    folded = {other.lower(): other for other in known}
    near = difflib.get_close_matches(name.lower(), folded, n=1)
    return f"; did you mean {folded[near[0]]!r}?" if near else "; correct or drop the row"


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
        Arrow table of the schema REFERENCES; `decision` says of each why it is kept or not.
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
            decision = status
        elif name in vetoed:
            decision = "vetoed"
        elif name not in set(names.tolist()):
            decision = "no single face"
        elif not enough:
            decision = "too few references"
        else:
            decision = "kept" if name in kept else "less alike"
        rows.append({"image_id": name, "kept": name in kept, "decision": decision, "bytes": data})
    return pa.Table.from_pylist(rows, schema=REFERENCES)
