"""The images that a person has rejected as references."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from fit.errors import ConfigError
from fit.io.user_tables import read_user_table


def read_vetoes(path: str | Path) -> dict[str, set[str]]:
    """Read which images a person has rejected: concept -> image ids, from a tab-separated file.

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


def unmatched_vetoes(
    vetoes: Mapping[str, set[str]], images_of: Mapping[str, Iterable[str]], concepts: Sequence[str] | None = None
) -> list[str]:
    """Return the vetoes that reject nothing: a list of sentences, each with what is named nearly so.

    Args:
        vetoes: as read_vetoes returns it.
        images_of: concept -> ids of its candidates, of the concepts that are looked at.
        concepts: slugs of the whole sheet; vetoes of other concepts are named by the job of the first one only. None
            where `images_of` has all concepts.
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


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    folded = {other.lower(): other for other in known}
    near = difflib.get_close_matches(name.lower(), folded, n=1)
    return f"; did you mean {folded[near[0]]!r}?" if near else "; correct or drop the row"
