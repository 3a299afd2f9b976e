"""Which concepts a defence is against, which are their neighbours, and which it should leave alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from rapidfuzz.distance import Indel

from fit.concepts.sheet import Concept
from fit.errors import DataError
from fit.io.nearby import nearest

GROUPS = ("erased", "namesakes", "alike", "group", "others")
"""Groups of concepts, in the order of the table. namesakes: the most similar names; alike: the most similar references;
group: the sheet's own; others: all that are neither erased nor in one of these."""


@dataclass(frozen=True)
class Roles:
    """What N concepts are to the erased ones."""

    concepts: list[str]
    of: dict[str, np.ndarray]
    """Name of a group -> mask [N]; a neighbour may be in several groups."""
    name_similarity: np.ndarray
    """[N] the highest similarity of a name to an erased concept's, 0 to 1 (normalised indel distance); NaN of erased
    ones."""
    look_similarity: np.ndarray
    """[N] the highest cosine of mean references to an erased concept's; NaN of erased, and where references are not
    known."""

    def words(self, index: int) -> str:
        """Return the groups of a concept, in words."""
        return ", ".join(name for name in GROUPS if self.of[name][index])


def _nearest_to(similarity: np.ndarray, candidates: np.ndarray, number: int) -> np.ndarray:
    """Return a mask [N] of the `number` candidates [N] with the highest similarity [E, N] to each of E concepts."""
    found = np.zeros(len(candidates), bool)
    for row in similarity:
        known = np.flatnonzero(candidates & np.isfinite(row))
        found[known[np.argsort(-row[known], kind="stable")[:number]]] = True
    return found


def find_roles(
    concepts: Sequence[Concept], erased: Sequence[str], references: Mapping[str, np.ndarray], number: int
) -> Roles:
    """Find out what each concept is to the erased ones.

    Args:
        concepts: N, in the order of the result.
        erased: slugs.
        references: slug -> unit vectors [R, D] of its kept references; a concept may be missing.
        number: how many neighbours by name, and by references, of each erased concept.

    Raises:
        DataError: none of the erased concepts is among the concepts.
    """
    slugs = [concept.slug for concept in concepts]
    is_erased = np.isin(slugs, list(erased))
    if erased and not is_erased.any():
        other = nearest(erased[0], slugs)
        hint = f"; did you mean {other!r}?" if other else "."
        raise DataError(
            f"{', '.join(map(repr, erased))}: no scored concept of this domain has such a slug, so nothing is erased"
            f"{hint} Fix the model's `erases`"
        )
    rows = np.flatnonzero(is_erased).tolist()
    names = np.zeros((len(rows), len(slugs)))
    for place, row in enumerate(rows):
        names[place] = [_alike(concepts[row].name, concept.name) for concept in concepts]
    size = next((vectors.shape[1] for vectors in references.values() if len(vectors)), 1)
    means = np.full((len(slugs), size), np.nan)
    for index, slug in enumerate(slugs):
        if slug in references and len(references[slug]):
            mean = references[slug].mean(axis=0)
            means[index] = mean / np.linalg.norm(mean)
    looks = means[rows] @ means.T
    groups = {concept.group for concept, one in zip(concepts, is_erased, strict=True) if one and concept.group}
    of = {
        "erased": is_erased,
        "namesakes": _nearest_to(names, ~is_erased, number),
        "alike": _nearest_to(looks, ~is_erased, number),
        "group": ~is_erased & np.isin([concept.group for concept in concepts], list(groups)),
    }
    of["others"] = ~np.any(list(of.values()), axis=0)
    nothing = np.full(len(slugs), np.nan)
    with_names, with_looks = (
        np.where(is_erased, np.nan, matrix.max(axis=0)) if len(rows) else nothing for matrix in (names, looks)
    )
    return Roles(slugs, of, with_names, with_looks)


def _alike(one: str, other: str) -> float:
    return Indel.normalized_similarity(one.casefold(), other.casefold())
