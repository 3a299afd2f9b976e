"""Concepts that defy the threshold: below it with a high score, above it with a low one, and what was measured of each
that may be why."""

import textwrap
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from fit.counts.estimate import read_counts_of, scaled_matches
from fit.embeddings.files import read_single_faces, stream_embeddings
from fit.errors import DataError
from fit.io.escaping import delimited
from fit.io.parquet import read
from fit.matches.similarity import highest_similarity
from fit.references.kept import kept_vectors
from fit.sensitivity.measure import counts_at_thresholds

FEW_REFERENCES = 10
"""The paper's least number of references of a concept."""
FEW_DOWNLOADS = 10
"""Of fewer downloaded images, the share that match says nothing."""
NONE_FOUND = "no cause found in the measurements"
COLUMNS = (
    "concept",
    "side",
    "effective_count",
    "low",
    "high",
    "score",
    "own_side",
    "other_side",
    "past",
    "causes",
    "why",
)


@dataclass(frozen=True)
class Measurements:
    """Where the stages left what causes are read from: paths; files in folders are named by slugs."""

    counts: str
    """Effective counts."""
    references: str
    """Folder of reference tables."""
    reference_embeddings: str
    """Folder."""
    generated: str
    """Folder of generated image tables."""
    generated_embeddings: str
    """Folder."""
    names: str | None = None
    """Captions per name and alias, where captions were counted."""
    images: str | None = None
    """Folder of embeddings of training images, where there are any."""
    rescored: str | None = None
    """Folder of what fit.sensitivity.measure.rescore_concept wrote."""
    match_threshold: float | None = None
    """Cosine above which two images show the same concept, where there are training images."""

    def of(self, kind, concept):
        """Path of a concept's file in the folder `kind`."""
        return str(Path(getattr(self, kind), f"{concept}.parquet"))


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


def find_outliers(scores, split):
    """Concepts whose score is nearer to the median of the other side of the threshold than to that of their own.

    Args:
        scores: [N], ascending in count; split: index of the first concept above the threshold.

    Returns:
        (list of (row, "below" or "above", past), those below first, the farthest past the middle first; the medians of
        both sides). The list is empty where the scores do not rise across the threshold.
    """
    below, above = float(np.median(scores[:split])), float(np.median(scores[split:]))
    if below >= above:
        return [], (below, above)
    middle, half = (below + above) / 2, (above - below) / 2
    past = (scores - middle) / half
    past[split:] *= -1
    order = sorted(np.flatnonzero(past > 0).tolist(), key=lambda row: (row >= split, -past[row]))
    return [(row, "below" if row < split else "above", float(past[row])) for row in order], (below, above)


class _Evidence:
    """What the stages measured, read once for all outliers."""

    def __init__(self, table, threshold, medians, measurements):
        self.table, self.threshold, self.at = table, threshold, measurements
        self.middle, self.half = sum(medians) / 2, (medians[1] - medians[0]) / 2
        self.concepts = table.concepts.tolist()
        self.count_of = dict(zip(self.concepts, table.counts, strict=True))
        self.counts = read_counts_of(measurements.counts, ("effective_count",))
        shares = [self.share(concept) for concept in self.concepts]
        known = [share for share in shares if share is not None]
        self.usual_share = float(np.median(known)) if known else None
        self.names = pl.read_parquet(measurements.names) if measurements.names else None
        self.references = {
            c: kept_vectors(self.at.of("references", c), self.at.of("reference_embeddings", c)) for c in self.concepts
        }
        with_references = [c for c in self.concepts if len(self.references[c])]
        self.alike = with_references
        self.centres = np.array([self.references[c].astype(np.float64).mean(axis=0) for c in with_references])

    def share(self, concept):
        """Share of a concept's downloaded images that match; None where none was downloaded."""
        row = self.counts[concept]
        return row["matches"] / row["downloaded"] if row.get("downloaded") else None

    def nearest(self, concept, vectors):
        """(concept, mean cosine) of the other concept whose references are nearest to `vectors` [N, D] on the mean."""
        others = [i for i, other in enumerate(self.alike) if other != concept]
        if not others or not len(vectors):
            return None, -1.0
        cosines = self.centres[others] @ vectors.astype(np.float64).mean(axis=0)
        return self.alike[others[int(cosines.argmax())]], float(cosines.max())

    def captions_by_name(self, concept):
        """Captions per name and alias of a concept, in the sheet's order; none where captions were not counted."""
        if self.names is None:
            return []
        return self.names.filter(pl.col("concept") == concept)["captions"].to_list()

    def leaks(self, concepts):
        """Concept -> {other: training images collected for the other alone that match the concept's references}."""
        found: dict[str, dict[str, int]] = {concept: {} for concept in concepts}
        if not self.at.images or self.at.match_threshold is None or not concepts:
            return found
        own = {c: set(read(self.at.of("images", c), ["image_id"]).column("image_id").to_pylist()) for c in concepts}
        for other in self.concepts:
            for names, vectors in stream_embeddings(self.at.of("images", other)):
                for concept in concepts:
                    if concept == other:
                        continue
                    # An image of several captions' concepts is in the concept's own count already.
                    match = highest_similarity(vectors, self.references[concept]) > self.at.match_threshold
                    new = set(names[match]) - own[concept]
                    own[concept] |= new
                    if new:
                        found[concept][other] = found[concept].get(other, 0) + len(new)
        return found

    def leaked(self, outlier, images_of):
        """What `images_of`, the leaks of an outlier, say: nothing where its count stays below with them."""
        if not images_of:
            return None
        rows = {other: self.counts[other] for other in images_of}
        # Like its own count, by dead links and sampling: those of the concept that they were collected for.
        scaled = [
            scaled_matches(number, rows[other].get("captions") or number, rows[other].get("downloaded") or number)
            for other, number in images_of.items()
        ]
        count = self.table.counts[outlier.row] + sum(scaled)
        if count < self.threshold:
            return None
        most = max(images_of, key=lambda other: images_of[other])
        return (
            f"{sum(images_of.values())} images that match it were collected for other concepts alone, most for {most} "
            f"({images_of[most]}); with them it would have {count:.0f}"
        )


# Each rule looks at one outlier: nothing, or what was measured.


def _few_references(evidence, outlier):
    number = len(evidence.references[outlier.concept])
    if number < FEW_REFERENCES:
        return f"{number} references kept, fewer than {FEW_REFERENCES}"
    return None


def _few_pictures(evidence, outlier):
    total = len(read(evidence.at.of("generated", outlier.concept), ["image_id"]))
    usable = len(read_single_faces(evidence.at.of("generated_embeddings", outlier.concept))[0])
    if 2 * usable < total:
        return f"{usable} of {total} generated pictures can be used"
    return None


def _prompts_disagree(evidence, outlier):
    means = [images.mean() for images in evidence.table.images[outlier.row] if len(images)]
    own = sum((mean < evidence.middle) == (outlier.side == "below") for mean in means)
    if own and np.ptp(means) > evidence.half:
        ends = f"{min(means):.2f} to {max(means):.2f}"
        return f"on {own} of {len(means)} prompts its score is nearer to its own side's ({ends})"
    return None


def _count_uncertain(evidence, outlier):
    row = evidence.counts[outlier.concept]
    low, high = row.get("low"), row.get("high")
    if low is None or high is None:
        return None
    if (high >= evidence.threshold) if outlier.side == "below" else (low < evidence.threshold):
        return f"its count's interval is {low} to {high}, which the threshold lies in"
    return None


def _count_by_threshold(evidence, outlier):
    if not evidence.at.rescored or evidence.at.match_threshold is None:
        return None
    of_cut = counts_at_thresholds(evidence.table, outlier.row, evidence.at.of("rescored", outlier.concept))
    for match_threshold, count in of_cut.items():
        if (count >= evidence.threshold) != (outlier.side == "above"):
            return f"at a match threshold of {match_threshold:.3f} instead of {evidence.at.match_threshold:.3f} its count is {count:.0f}"
    return None


def _low_matched_share(evidence, outlier):
    share, row = evidence.share(outlier.concept), evidence.counts[outlier.concept]
    if share is not None and row["downloaded"] >= FEW_DOWNLOADS and 2 * share < evidence.usual_share:
        return (
            f"{row['matches']} of {row['downloaded']} downloaded images match ({share:.0%}; the median of concepts is "
            f"{evidence.usual_share:.0%})"
        )
    return None


def _only_one_name(evidence, outlier):
    if outlier.side == "below" and len(evidence.captions_by_name(outlier.concept)) == 1:
        return "its sheet gives it no alias, so captions with another name are not counted"
    return None


def _other_names(evidence, outlier):
    by_names = evidence.captions_by_name(outlier.concept)
    captions = evidence.counts[outlier.concept].get("captions")
    if outlier.side == "below" or not by_names or not captions:
        return None
    # The name comes first in the sheet, and so here; prompts use it.
    by_name = by_names[0]
    if evidence.table.counts[outlier.row] * by_name / captions < evidence.threshold:
        return f"{by_name} of its {captions} captions have the name that the prompts use; with those alone it is below"
    return None


def _copies(evidence, outlier):
    row = evidence.counts[outlier.concept]
    if outlier.side == "below" or not row.get("downloaded") or row.get("unique_images") is None:
        return None
    different = row["unique_images"] / row["downloaded"]
    if evidence.table.counts[outlier.row] * different < evidence.threshold:
        return (
            f"its {row['downloaded']} downloaded images are {row['unique_images']} different pictures; counted once "
            "each, it is below"
        )
    return None


def _look_alike(evidence, outlier):
    if evidence.at.match_threshold is None or outlier.side == "above":
        return None
    other, cosine = evidence.nearest(outlier.concept, evidence.references[outlier.concept])
    if cosine > evidence.at.match_threshold and evidence.count_of[other] >= evidence.threshold:
        return (
            f"its references resemble those of {other} (mean cosine {cosine:.2f}, above the match threshold), which has "
            f"{evidence.count_of[other]:.0f} images"
        )
    return None


def _drawn_as_another(evidence, outlier):
    references = evidence.references[outlier.concept]
    pictures = read_single_faces(evidence.at.of("generated_embeddings", outlier.concept))[1]
    other, cosine = evidence.nearest(outlier.concept, pictures)
    if other is None or not len(references):
        return None
    own = float(pictures.astype(np.float64).mean(axis=0) @ references.astype(np.float64).mean(axis=0))
    # Of many concepts, one is nearer to bad pictures by chance: it has to be as near as those above are to their own.
    if cosine > max(own, evidence.middle):
        return (
            f"its pictures resemble the references of {other} ({evidence.count_of[other]:.0f} images) more than its "
            f"own: mean cosine {cosine:.2f} against {own:.2f}"
        )
    return None


RULES = {
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
"""Name of a cause -> function(evidence, outlier): what was measured, as text, or None. `leaked` is found for all at
once."""


def explain(table, found, measurements):
    """The concepts that defy the threshold, each with what was measured that may be why.

    Args:
        table: fit.thresholds.scores.Scores; found: what fit.thresholds.measure returned for it.
        measurements: Measurements.

    Returns:
        (list of Outlier, as find_outliers orders them; (median score below, above)), or ([], None) where there is no
        threshold with concepts on both sides.

    Raises:
        DataError: the threshold is of another table.
    """
    if found["threshold"] is None or not found["below"]:
        return [], None
    split = found["below"]["concepts"]
    if found["concepts"] != len(table) or str(table.concepts[split]) != found["above"]["nearest"]["concept"]:
        raise DataError("the threshold was found in another table of scores; ask snakemake for both")
    rows, medians = find_outliers(table.scores.copy(), split)
    outliers = [Outlier(str(table.concepts[row]), row, side, past) for row, side, past in rows]
    if not outliers:
        return [], medians
    evidence = _Evidence(table, found["threshold"], medians, measurements)
    leaks = evidence.leaks([outlier.concept for outlier in outliers if outlier.side == "below"])
    explained = []
    for outlier in outliers:
        causes = [(name, text) for name, rule in RULES.items() if (text := rule(evidence, outlier))]
        text = evidence.leaked(outlier, leaks.get(outlier.concept, {}))
        causes += [("leaked", text)] if text else []
        explained.append(Outlier(outlier.concept, outlier.row, outlier.side, outlier.past, tuple(causes)))
    return explained, medians


def tabulate(table, outliers, medians):
    """Outliers as tab-separated text, a row each, with the columns COLUMNS.

    own_side, other_side: median scores; past: Outlier.past; causes: their names; why: what was measured.
    """
    rows: list[tuple] = [COLUMNS]
    for one in outliers:
        low, high = table.evidence[one.row, -2:]
        own, other = medians if one.side == "below" else medians[::-1]
        rows.append(
            (
                one.concept,
                one.side,
                f"{table.counts[one.row]:.0f}",
                *("" if np.isnan(end) else f"{end:.0f}" for end in (low, high)),
                *(f"{value:.3f}" for value in (table.scores[one.row], own, other)),
                f"{one.past:.2f}",
                ", ".join(name for name, _ in one.causes) or NONE_FOUND,
                "; ".join(why for _, why in one.causes),
            )
        )
    return delimited(rows)


def describe(table, outliers, medians):
    """Outliers in lines of text."""
    if medians is None:
        return ["no threshold, so no concept can defy it"]
    if medians[0] >= medians[1]:
        return ["the scores do not rise across the threshold, so no concept can defy it"]
    lines = [f"median score below the threshold {medians[0]:.3f}, above {medians[1]:.3f}"]
    for side, level in (("below", "high"), ("above", "low")):
        of_side = [one for one in outliers if one.side == side]
        lines.append(f"{side} with a {level} score: {len(of_side)}")
        for one in of_side:
            lines.append(f"  {one.concept}: {table.counts[one.row]:.0f} images, score {table.scores[one.row]:.3f}")
            lines += [f"    {name}: {why}" for name, why in one.causes] or [f"    {NONE_FOUND}"]
    return lines


def label(table, outlier):
    """What stands beside an outlier's pictures."""
    causes = ", ".join(name for name, _ in outlier.causes) or NONE_FOUND
    level = "high" if outlier.side == "below" else "low"
    lines = [
        outlier.concept,
        f"{table.counts[outlier.row]:.0f} images ({outlier.side}), {level} score {table.scores[outlier.row]:.2f}",
    ]
    return "\n".join([*lines, *textwrap.wrap(causes, 44)[:3]])
