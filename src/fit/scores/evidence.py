"""The evidence on one concept, read once: scores, alternatives and sensitivity are functions of it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from fit.embeddings.files import read_embeddings, read_single_faces, stream_embeddings
from fit.errors import DataError, ImageTableError
from fit.images.table import GENERATED
from fit.io.concept_tables import ConceptTables
from fit.io.parquet import open_parquet
from fit.io.shown import number_of
from fit.matches.match import MATCHES_OF_ART
from fit.references.kept import kept_vectors
from fit.scores.targets import choose_targets

Pictures = dict[str, np.ndarray]
"""Prompt -> vectors [G, D] of its generated pictures that can be used: those with exactly one face; all of a style."""


@dataclass(frozen=True, kw_only=True)
class EvidencePlaces:
    """The tables that hold the evidence on concepts."""

    generated: ConceptTables
    """Image tables of generated pictures."""
    generated_embeddings: ConceptTables
    references: ConceptTables
    """Image tables of references, with the column `kept`."""
    reference_embeddings: ConceptTables
    images: ConceptTables | None = None
    """Embeddings of training images; None without any."""
    matches: ConceptTables | None = None
    """Which of the training images match, row by row; None without any."""
    prompt_images: ConceptTables | None = None
    """Embeddings of the generated pictures by an embedder that also reads text; None without any."""
    prompts: str | Path | None = None
    """Embeddings of the prompts by the same embedder, in which the image_id is the prompt; None without any."""

    @cached_property
    def prompt_vectors(self) -> dict[str, np.ndarray]:
        """Prompt -> its vector [D]; read once for all concepts."""
        if self.prompts is None:
            return {}
        names, vectors = read_embeddings(self.prompts)
        return dict(zip(names.tolist(), vectors, strict=True))


@dataclass(frozen=True, kw_only=True)
class TrainingImages:
    """The training images of a concept: what is known of each, and its vector, which is read only when it is needed.

    There may be 100,000 vectors of 768 numbers, of which a score needs the few that match.
    """

    match: np.ndarray
    """[N] whether it shows the concept."""
    similarity: np.ndarray
    """[N] the highest cosine to a reference."""
    art_similarity: np.ndarray | None = None
    """[N] the highest cosine to a text of the art filter; None without a filter."""
    read: Callable[[], Iterator[np.ndarray]] = field(repr=False)
    """Yields the vectors [n, D] in the same order, some thousands at a time."""
    place: str = "training images"
    """Names the embeddings in errors."""

    def stream(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield (match [n], vectors [n, D]), some thousands at a time.

        Raises:
            ImageTableError: the matches are of another number of images.
        """
        start = 0
        for vectors in self.read():
            match = self.match[start : start + len(vectors)]
            start += len(vectors)
            if len(match) == len(vectors):
                yield match, vectors
        if start != len(self.match):
            raise ImageTableError(
                f"{self.place}: {number_of(start, 'row')}, where {len(self.match)} were matched; ask snakemake for "
                "the matches"
            )

    @cached_property
    def matched(self) -> np.ndarray:
        """The vectors [M, D] of the images that match; no others stay in memory."""
        parts = [vectors[match] for match, vectors in self.stream()]
        return np.concatenate(parts) if parts else np.zeros((0, 0), np.float32)


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What is known of one concept. All vectors are of length 1."""

    concept: str
    """Its slug."""
    pictures: Pictures
    """Generated pictures by prompt, in the order of the prompts."""
    references: np.ndarray
    """[R, D] kept references."""
    training: TrainingImages | None = None
    """None without training images."""
    prompt_pictures: Pictures | None = None
    """The generated pictures by an embedder that also reads text; None without one."""
    prompts: dict[str, np.ndarray] = field(default_factory=dict)
    """Prompt -> its vector [D] by the same embedder; other prompts than those of the pictures may be among them."""

    @property
    def matched(self) -> np.ndarray:
        """The matched training vectors [M, D]."""
        return self.references[:0] if self.training is None else self.training.matched

    def targets(self, rule: str) -> np.ndarray:
        """Return the vectors [T, D] that generated pictures are compared with, by a rule of TargetSettings.targets."""
        return choose_targets(self.matched, self.references, rule)


def read_pictures(generated: ConceptTables, embeddings: ConceptTables, concept: str) -> Pictures:
    """Read the vectors of a concept's generated pictures by prompt, in the order of the image table's prompts.

    Args:
        generated: image tables.
        embeddings: embeddings of the same pictures.
        concept: its slug.

    Raises:
        DataError: a table lacks the concept, or the embeddings are of other pictures.
    """
    table = generated.read(concept, ["image_id", "prompt"], schema=GENERATED)
    prompt_of = dict(zip(*(table.column(name).to_pylist() for name in ("image_id", "prompt")), strict=True))
    names, vectors = read_single_faces(embeddings.path(concept), concept)
    if not prompt_of.keys() >= set(names):
        raise DataError(
            f"{embeddings.path(concept)}, concept {concept!r}: not of the pictures in {generated.path(concept)}; ask "
            "snakemake for both"
        )
    return {
        prompt: vectors[np.array([prompt_of[name] == prompt for name in names], bool)]
        for prompt in dict.fromkeys(prompt_of.values())
    }


def read_training(images: ConceptTables, matches: ConceptTables, concept: str) -> TrainingImages:
    """Read which training images of a concept match; their vectors are read when they are needed.

    Args:
        images: embeddings of the training images.
        matches: tables of the schema MATCHES or MATCHES_OF_ART, row by row of the same images.
        concept: its slug.

    Raises:
        DataError: a table lacks the concept.
    """
    path, known = images.path(concept), open_parquet(matches.path(concept)).schema_arrow.names
    columns = ["similarity", "match", *(name for name in ("art_similarity",) if name in known)]
    table = matches.read(concept, columns, schema=MATCHES_OF_ART)

    def of(name: str) -> np.ndarray:
        return table.column(name).to_numpy(zero_copy_only=False)

    def vectors() -> Iterator[np.ndarray]:
        for _, batch in stream_embeddings(path, concept):
            yield batch

    return TrainingImages(
        match=of("match").astype(bool),
        similarity=of("similarity"),
        art_similarity=of("art_similarity") if "art_similarity" in columns else None,
        read=vectors,
        place=f"{path}, concept {concept!r}",
    )


def read_targets(
    references: ConceptTables,
    embeddings: ConceptTables,
    images: ConceptTables | None,
    matches: ConceptTables | None,
    rule: str,
    concept: str,
) -> np.ndarray:
    """Read the vectors [T, D] that pictures are compared with, and nothing else of a concept.

    Args:
        references: image tables of references, with the column `kept`.
        embeddings: of the references.
        images, matches: as EvidencePlaces; None without training images.
        rule: of TargetSettings.targets.
        concept: its slug.

    Raises:
        ImageTableError: a table is missing, or it cannot be read.
        DataError: a table lacks the concept.
    """
    training = read_training(images, matches, concept) if images is not None and matches is not None else None
    kept = kept_vectors(references, embeddings, concept)
    return Evidence(concept=concept, pictures={}, references=kept, training=training).targets(rule)


def read_evidence(places: EvidencePlaces, concept: str) -> Evidence:
    """Read all that is known of a concept.

    Raises:
        ImageTableError: a table is missing, or it cannot be read.
        DataError: a table lacks the concept, or embeddings are of other pictures.
    """
    training = None
    if places.images is not None and places.matches is not None:
        training = read_training(places.images, places.matches, concept)
    prompt_pictures = None
    if places.prompt_images is not None:
        prompt_pictures = read_pictures(places.generated, places.prompt_images, concept)
    return Evidence(
        concept=concept,
        pictures=read_pictures(places.generated, places.generated_embeddings, concept),
        references=kept_vectors(places.references, places.reference_embeddings, concept),
        training=training,
        prompt_pictures=prompt_pictures,
        prompts=places.prompt_vectors,
    )
