"""Causes of outliers: each rule looks at one outlier, and says what was measured that may explain its score."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from fit.counts.estimate import Counts, read_counts_of, scaled_matches
from fit.embeddings.files import read_single_faces, stream_embeddings
from fit.io.concept_tables import ConceptTables
from fit.io.shown import number_of
from fit.matches.similarity import highest_similarity
from fit.references.kept import kept_vectors
from fit.sensitivity.measure import counts_at_thresholds
from fit.sensitivity.rescore import RESCORED
from fit.thresholds.scores import Scores

FEW_REFERENCES = 10
"""The paper's least number of references of a concept."""
FEW_DOWNLOADS = 10
"""Of fewer downloaded images, the share that match says nothing."""


@dataclass(frozen=True, kw_only=True)
class Measurements:
    """Where the stages left what causes are read from."""

    counts: str | Path
    """Path of the effective counts."""
    references: ConceptTables
    """Image tables of references, with the column `kept`."""
    reference_embeddings: ConceptTables
    generated: ConceptTables
    """Image tables of generated pictures."""
    generated_embeddings: ConceptTables
    names: str | Path | None = None
    """Path of the captions per name and alias; None where captions were not counted."""
    images: ConceptTables | None = None
    """Embeddings of training images; None without any."""
    rescored: ConceptTables | None = None
    """What fit.sensitivity.rescore.rescore_concept found; None without it."""
    match_threshold: float | None = None
    """Cosine above which two images show the same concept; None without training images."""


@dataclass(frozen=True)
class Outlier:
    """A concept whose score is nearer to the other side's."""

    concept: str
    row: int
    """In the table of scores."""
    side: str
    """"below" or "above" the threshold, by its count."""
    past: float
    """How far its score lies past the middle between the sides: 0 there, 1 at the other side's median."""
    causes: tuple[tuple[str, str], ...] = ()
    """(short name, what was measured) each."""


class Measured:
    """What the stages measured of all concepts, read once for all outliers."""

    def __init__(self, table: Scores, threshold: float, medians: tuple[float, float], measurements: Measurements):
        """Read what rules need of all concepts.

        Args:
            table: of the study.
            threshold: of the study, in images.
            medians: median score below the threshold, and above.
            measurements: where the stages left theirs.
        """
        self.table, self.threshold, self.at = table, threshold, measurements
        self.middle, self.half = sum(medians) / 2, (medians[1] - medians[0]) / 2
        self.concepts = table.concepts.tolist()
        self.count_of = dict(zip(self.concepts, table.counts, strict=True))
        self.counts: dict[str, Counts] = read_counts_of(measurements.counts, ("effective_count",))
        shares = [self.share(concept) for concept in self.concepts]
        known = [share for share in shares if share is not None]
        self.usual_share = float(np.median(known)) if known else None
        self.names = pl.read_parquet(measurements.names) if measurements.names else None
        self.references = {c: kept_vectors(self.at.references, self.at.reference_embeddings, c) for c in self.concepts}
        with_references = [c for c in self.concepts if len(self.references[c])]
        self.alike = with_references
        self.centres = np.array([self.references[c].astype(np.float64).mean(axis=0) for c in with_references])

    def share(self, concept: str) -> float | None:
        """Return the share of a concept's downloaded images that match; None where none was downloaded."""
        matches, downloaded = self.counts[concept]["matches"], self.counts[concept]["downloaded"]
        return matches / downloaded if downloaded and matches is not None else None

    def nearest(self, concept: str, vectors: np.ndarray) -> tuple[str | None, float]:
        """Return (concept, mean cosine) of the other concept whose references are nearest to `vectors` [N, D]."""
        others = [i for i, other in enumerate(self.alike) if other != concept]
        if not others or not len(vectors):
            return None, -1.0
        cosines = self.centres[others] @ vectors.astype(np.float64).mean(axis=0)
        return self.alike[others[int(cosines.argmax())]], float(cosines.max())

    def captions_by_name(self, concept: str) -> list[int]:
        """Return the captions per name and alias of a concept, in the sheet's order; none if they were not counted."""
        if self.names is None:
            return []
        return self.names.filter(pl.col("concept") == concept)["captions"].to_list()

    def leaks(self, concepts: Iterable[str]) -> dict[str, dict[str, int]]:
        """Return concept -> {other: training images collected for the other alone that match the concept}."""
        found: dict[str, dict[str, int]] = {concept: {} for concept in concepts}
        images, match_threshold = self.at.images, self.at.match_threshold
        if images is None or match_threshold is None or not found:
            return found
        own = {c: set(images.read(c, ["image_id"]).column("image_id").to_pylist()) for c in found}
        for other in self.concepts:
            for names, vectors in stream_embeddings(images.path(other), other):
                for concept in found:
                    if concept == other:
                        continue
                    # An image whose caption names several concepts is in the concept's own count already.
                    match = highest_similarity(vectors, self.references[concept]) > match_threshold
                    new = set(names[match]) - own[concept]
                    own[concept] |= new
                    if new:
                        found[concept][other] = found[concept].get(other, 0) + len(new)
        return found

    def leaked(self, outlier: Outlier, images_of: Mapping[str, int]) -> str | None:
        """Return what the leaks of an outlier say; None where its count stays below the threshold with them.

        Args:
            outlier: below the threshold.
            images_of: its leaks, as `leaks` returns them.
        """
        if not images_of:
            return None
        rows = {other: self.counts[other] for other in images_of}
        # Dead links and sampling are corrected for as in its own count: by the numbers of the concept for which the
        # images were collected.
        scaled = [
            scaled_matches(number, rows[other]["captions"] or number, rows[other]["downloaded"] or number)
            for other, number in images_of.items()
        ]
        count = self.table.counts[outlier.row] + sum(scaled)
        if count < self.threshold:
            return None
        most = max(images_of, key=lambda other: images_of[other])
        collected = number_of(sum(images_of.values()), "image")
        return (
            f"{collected} that match it were collected for other concepts alone, most for {most} "
            f"({images_of[most]}); with them it would have {count:.0f}"
        )


Rule = Callable[[Measured, Outlier], str | None]
"""Looks at one outlier: returns what was measured, as text, or None."""


def _few_references(measured: Measured, outlier: Outlier) -> str | None:
    number = len(measured.references[outlier.concept])
    if number < FEW_REFERENCES:
        return f"{number_of(number, 'reference')} kept, fewer than {FEW_REFERENCES}"
    return None


def _pictures(measured: Measured, concept: str) -> np.ndarray:
    """Return the vectors [G, D] of a concept's generated pictures that can be used."""
    return read_single_faces(measured.at.generated_embeddings.path(concept), concept)[1]


def _few_pictures(measured: Measured, outlier: Outlier) -> str | None:
    total = len(measured.at.generated.read(outlier.concept, ["image_id"]))
    usable = len(_pictures(measured, outlier.concept))
    if 2 * usable < total:
        return f"{usable} of {number_of(total, 'generated picture')} can be used"
    return None


def _prompts_disagree(measured: Measured, outlier: Outlier) -> str | None:
    means = [images.mean() for images in measured.table.images[outlier.row] if len(images)]
    own = sum((mean < measured.middle) == (outlier.side == "below") for mean in means)
    if own and np.ptp(means) > measured.half:
        ends = f"{min(means):.2f} to {max(means):.2f}"
        return f"on {own} of {number_of(len(means), 'prompt')} its score is nearer to its own side's ({ends})"
    return None


def _count_uncertain(measured: Measured, outlier: Outlier) -> str | None:
    row = measured.counts[outlier.concept]
    low, high = row["low"], row["high"]
    if low is None or high is None:
        return None
    if (high >= measured.threshold) if outlier.side == "below" else (low < measured.threshold):
        return f"its count's interval is {low} to {high}, which the threshold lies in"
    return None


def _count_by_threshold(measured: Measured, outlier: Outlier) -> str | None:
    rescored, in_use = measured.at.rescored, measured.at.match_threshold
    if rescored is None or in_use is None:
        return None
    rows = rescored.read(outlier.concept, ["match_threshold", "matches", "choice"], schema=RESCORED)
    for match_threshold, count in counts_at_thresholds(measured.table, outlier.row, rows).items():
        if (count >= measured.threshold) != (outlier.side == "above"):
            return f"at a match threshold of {match_threshold:.3f} instead of {in_use:.3f} its count is {count:.0f}"
    return None


def _low_matched_share(measured: Measured, outlier: Outlier) -> str | None:
    share, usual = measured.share(outlier.concept), measured.usual_share
    matches, downloaded = (measured.counts[outlier.concept][name] for name in ("matches", "downloaded"))
    if share is None or usual is None or not downloaded:
        return None
    if downloaded >= FEW_DOWNLOADS and 2 * share < usual:
        match = "matches" if matches == 1 else "match"
        return (
            f"{matches} of {downloaded} downloaded images {match} ({share:.0%}; the median of concepts is {usual:.0%})"
        )
    return None


def _only_one_name(measured: Measured, outlier: Outlier) -> str | None:
    if outlier.side == "below" and len(measured.captions_by_name(outlier.concept)) == 1:
        return "its sheet gives it no alias, so captions with another name are not counted"
    return None


def _other_names(measured: Measured, outlier: Outlier) -> str | None:
    by_names = measured.captions_by_name(outlier.concept)
    captions = measured.counts[outlier.concept]["captions"]
    if outlier.side == "below" or not by_names or not captions:
        return None
    # The name comes first in the sheet, and so here; prompts use it.
    by_name = by_names[0]
    if measured.table.counts[outlier.row] * by_name / captions < measured.threshold:
        have = "has" if by_name == 1 else "have"
        return (
            f"{by_name} of its {number_of(captions, 'caption')} {have} the name that the prompts use; with those alone "
            "it is below"
        )
    return None


def _copies(measured: Measured, outlier: Outlier) -> str | None:
    downloaded, unique = (measured.counts[outlier.concept][name] for name in ("downloaded", "unique_images"))
    if outlier.side == "below" or not downloaded or unique is None:
        return None
    different = unique / downloaded
    if measured.table.counts[outlier.row] * different < measured.threshold:
        return (
            f"its {downloaded} downloaded images are {number_of(unique, 'different picture')}; counted once each, it "
            "is below"
        )
    return None


def _look_alike(measured: Measured, outlier: Outlier) -> str | None:
    if measured.at.match_threshold is None or outlier.side == "above":
        return None
    other, cosine = measured.nearest(outlier.concept, measured.references[outlier.concept])
    if other is not None and cosine > measured.at.match_threshold and measured.count_of[other] >= measured.threshold:
        return (
            f"its references resemble those of {other} (mean cosine {cosine:.2f}, above the match threshold), which "
            f"has {number_of(measured.count_of[other], 'image')}"
        )
    return None


def _drawn_as_another(measured: Measured, outlier: Outlier) -> str | None:
    references = measured.references[outlier.concept]
    pictures = _pictures(measured, outlier.concept)
    other, cosine = measured.nearest(outlier.concept, pictures)
    if other is None or not len(references):
        return None
    own = float(pictures.astype(np.float64).mean(axis=0) @ references.astype(np.float64).mean(axis=0))
    # Of many concepts, one is nearer to bad pictures by chance: it has to be as near as those above are to their own.
    if cosine > max(own, measured.middle):
        return (
            f"its pictures resemble the references of {other} ({number_of(measured.count_of[other], 'image')}) more "
            f"than its own: mean cosine {cosine:.2f} against {own:.2f}"
        )
    return None


RULES: dict[str, Rule] = {
    "count uncertain": _count_uncertain,
    "count depends on the match threshold": _count_by_threshold,
    "low matched share": _low_matched_share,
    "no alias": _only_one_name,
    "captions by other names": _other_names,
    "copies": _copies,
    "look-alike": _look_alike,
    "drawn as another": _drawn_as_another,
    "few references": _few_references,
    "few usable pictures": _few_pictures,
    "prompts disagree": _prompts_disagree,
}
"""Name of a cause -> its rule. The cause "leaked" is looked for in all outliers at once (Measured.leaks)."""
