"""What each step left out of a concept's pictures, and why: read from the statuses that the stages left."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from fit.embeddings.files import read_single_faces
from fit.errors import ImageTableError
from fit.explorer.pictures import PicturePlaces
from fit.images.table import COLLECTED, GENERATED, REFERENCES, provenance
from fit.io.concept_tables import CONCEPT, write_concepts
from fit.io.parquet import open_parquet
from fit.matches.match import MATCHES

EXCLUDED = pa.schema([CONCEPT, ("step", pa.string()), ("number", pa.int64()), ("why", pa.string())])
"""A row a concept, step (fit.explorer.contents.Excluded.step) and reason. The metadata `generated` of the file say what
made the generated pictures, as JSON, if their table says so."""

MADE_BY = b"generated"

TOO_FEW = "the concept has too few references, so none is kept"
LESS_ALIKE = "they are less like the others than those that are kept"

WHY = {
    # References that were not kept (fit.images.table.REFERENCES).
    "vetoed": "a person rejected them",
    "less alike": LESS_ALIKE,
    "no single face": "they do not show exactly one face",
    "too few references": TOO_FEW,
    # Images that could not be collected (fit.images.fetch.Fetched).
    "timeout": "the server did not answer in time",
    "dns": "the server's name is not known any more",
    "connection": "the server refused the connection or ended it",
    "tls": "the server's certificate or encryption failed",
    "bad_url": "the link is not valid",
    "blocked_address": "the link leads to a private address",
    "too_large": "the file is larger than the study allows",
    "truncated": "the file ends too early",
    "too_many_redirects": "the link leads on and on",
    "opted_out": "the site asks not to use its images for training",
    "decoding": "the answer's encoding is not supported or damaged",
    "path_only": "the table holds only the name of a file",
    "does_not_fit": "a value of the row does not fit its column",
    # Bytes that are not a picture (fit.images.picture.STATUSES).
    "empty": "there are no bytes",
    "not_an_image": "it is not a picture",
    "corrupt": "the picture is damaged",
    "too_many_pixels": "the picture has more pixels than the study allows",
    "too_small": "the picture is smaller than the study allows",
    "decoder_crashed": "the picture could not be decoded",
    "decoder_timeout": "the picture took too long to decode",
    # Generated pictures (fit.generated.base.GeneratedImage).
    "nan": "the model's numbers left the range of their format",
    "black": "the picture is all black",
    "constant": "the picture is of one colour",
    "blocked": "the safety checker took the picture away",
}
"""Status or decision -> why, in words."""


def why(status: str) -> str:
    """Say a status or decision in words; of the server's answers, with their code."""
    if status.startswith("http_"):
        return f"the server answered with the code {status.removeprefix('http_')}"
    return WHY.get(status, status.replace("_", " "))


def _statuses(step: str, statuses: Sequence[str]) -> Iterator[dict[str, Any]]:
    for status, number in sorted(Counter(statuses).items(), key=lambda one: (-one[1], one[0])):
        yield {"step": step, "number": number, "why": why(status)}


def _of_training(places: PicturePlaces, concept: str) -> Iterator[dict[str, Any]]:
    if places.image_tables is None or places.matches is None:
        return
    step = "training images"
    rows = places.image_tables.read(concept, ["image_id", "status"], schema=COLLECTED).to_pylist()
    yield from _statuses(step, [row["status"] for row in rows if row["status"] != "ok"])
    has_filter = "art_similarity" in open_parquet(places.matches.path(concept)).schema_arrow.names
    match_of: dict[str, bool] = {}
    for row in places.matches.read(concept, ["image_id", "match"], schema=MATCHES).to_pylist():
        match_of[row["image_id"]] = match_of.get(row["image_id"], False) or row["match"]
    faceless = {row["image_id"] for row in rows if row["status"] == "ok"} - match_of.keys()
    if faceless:
        yield {"step": step, "number": len(faceless), "why": "no face was found in them"}
    others = sum(not match for match in match_of.values())
    if others:
        said = "they do not match: they are not like a reference" + (", or not an artwork" if has_filter else "")
        yield {"step": step, "number": others, "why": said}


def excluded_of(places: PicturePlaces, concept: str) -> pa.Table:
    """Return what each step left out of a concept, as an Arrow table of the schema EXCLUDED without `concept`.

    Raises:
        ImageTableError: a table is missing, or it cannot be read.
        DataError: a table lacks the concept.
    """
    decisions = places.references.read(concept, ["kept", "decision"], schema=REFERENCES).to_pylist()
    rows = list(_statuses("references", [row["decision"] for row in decisions if not row["kept"]]))
    rows += _of_training(places, concept)
    pictures = places.generated.read(concept, ["image_id", "status"], schema=GENERATED).to_pylist()
    rows += _statuses("generated pictures", [row["status"] for row in pictures if row["status"] != "ok"])
    usable = set(read_single_faces(places.generated_embeddings.path(concept), concept)[0].tolist())
    faceless = sum(row["status"] == "ok" and row["image_id"] not in usable for row in pictures)
    if faceless:
        rows.append({"step": "generated pictures", "number": faceless, "why": WHY["no single face"]})
    return pa.Table.from_pylist(rows, schema=EXCLUDED.remove(0))


def _made_by(places: PicturePlaces, concepts: Sequence[str]) -> dict[bytes, bytes]:
    """Return metadata that say what made the generated pictures; none where they were provided."""
    try:
        found = provenance(places.generated.path(concepts[0])) if concepts else None
    except ImageTableError:
        return {}
    return {MADE_BY: json.dumps(found, sort_keys=True).encode()} if found else {}


def write_excluded(places: PicturePlaces, concepts: Sequence[str], out: str | Path) -> None:
    """Write what each step left out of concepts, as a table of the schema EXCLUDED."""
    schema = EXCLUDED.with_metadata(_made_by(places, concepts))
    write_concepts(((concept, excluded_of(places, concept)) for concept in concepts), out, schema, row_group=4096)
