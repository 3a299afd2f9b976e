"""What a change of a model does to its pictures: a table, in which a row is a quantity of a concept or of a group."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.stats import binomtest

from fit.alternatives.frechet import frechet_distance
from fit.concepts.sheet import read_sheet
from fit.defences.roles import GROUPS, Roles, find_roles
from fit.defences.settings import DefenceSettings
from fit.errors import DataError
from fit.images.table import GENERATED
from fit.io.concept_tables import ConceptTables
from fit.io.escaping import delimited
from fit.io.files import atomic_write
from fit.io.shown import as_images, number_of, plain
from fit.references.kept import kept_vectors
from fit.scores.evidence import Pictures, read_pictures
from fit.thresholds.backwards import ABOVE, BELOW, CONFIDENCE, ReadBackwards, draw_scores, in_words, why_flat
from fit.thresholds.families import draw_rows
from fit.thresholds.scores import Scores, read_table

ROWS = pa.schema(
    [
        ("quantity", pa.string()),
        ("of", pa.string()),
        ("role", pa.string()),
        ("concepts", pa.int64()),
        ("base", pa.float64()),
        ("defended", pa.float64()),
        ("value", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("said", pa.string()),
        ("name_similarity", pa.float64()),
        ("look_similarity", pa.float64()),
    ]
)
"""A row is a quantity of a concept (`of` is its slug) or of a group of fit.defences.roles.GROUPS. low, high: the 95 %
interval of value; role: the groups that a concept is in; concepts: how many it is of. Quantities:

- score: base, defended: imitation scores; value: their difference. Of a group, the mean over its concepts.
- count: base: the concept's effective count; defended: its score; value: the count that this score corresponds to on
  the base's curve, -inf below the smallest count and inf above the largest; said: the same in words.
- base_count: the same of the base's own score, to compare with.
- prompt_score: base, defended: mean cosine of pictures to their prompts; value: their difference.
- frechet: value: the Frechet distance between the base's pictures and the defended model's in the embedder's space;
  base: what it would be if the two models were one (pictures dealt again to the two sides, mean).
- blocked: value: the share of pictures that the safety checker took away.
"""
DEALS = 20
"""Times that pictures are dealt again to the two models, for what a Frechet distance is without a difference."""
MOST_BLOCKS = 60
"""Blocks of a jackknife, at most."""


@dataclass(frozen=True, kw_only=True)
class Places:
    """The tables of one model."""

    scores: str | Path
    """Of `fit scores tabulate`."""
    generated: ConceptTables
    embeddings: ConceptTables
    prompt_images: ConceptTables | None = None
    """Embeddings of the pictures by an embedder that also reads text; None without one."""


@dataclass(frozen=True)
class Measured:
    """What was found."""

    rows: list[dict[str, Any]]
    remarks: list[str]
    """Sentences for the reader."""
    curve: dict[str, list[float]] = field(default_factory=dict)
    """counts, levels: of the base's curve."""

    def table(self) -> pa.Table:
        """Return an Arrow table of ROWS."""
        return pa.Table.from_pylist(self.rows, schema=ROWS)


def _ends(drawn: np.ndarray) -> dict[str, float]:
    low, high = np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return {"low": float(low), "high": float(high)}


def _of_group(drawn: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return means [resamples] over concepts that are drawn with replacement from `drawn` [resamples, concepts]."""
    resamples, number = drawn.shape
    return np.take_along_axis(drawn, rng.integers(number, size=(resamples, number)), axis=1).mean(axis=1)


def changes_of(
    quantity: str,
    slugs: Sequence[str],
    base: np.ndarray,
    defended: np.ndarray,
    drawn: np.ndarray,
    roles: Roles,
    rng: np.random.Generator,
) -> Iterator[dict[str, Any]]:
    """Yield the rows of a difference: of each concept, and of each group, whose concepts are drawn again too.

    Args:
        quantity: its name in the table.
        slugs: [N] concepts, those of `roles`.
        base, defended: [N] values; NaN where one is not known.
        drawn: [resamples, N] differences over pictures that were drawn again.
        roles: of the concepts.
        rng: of the draws.
    """
    change = defended - base
    known = np.isfinite(change)
    for index, slug in enumerate(slugs):
        row = {
            "quantity": quantity,
            "of": slug,
            "role": roles.words(index),
            "concepts": 1,
            "base": _or_none(base[index]),
        }
        if not known[index]:
            yield row | {"said": "no picture that can be used"}
            continue
        yield row | {"defended": float(defended[index]), "value": float(change[index])} | _ends(drawn[:, index])
    for name in GROUPS:
        members = roles.of[name] & known
        if members.any():
            means = {"base": float(base[members].mean()), "defended": float(defended[members].mean())}
            yield (
                {"quantity": quantity, "of": name, "role": "", "concepts": int(members.sum())}
                | means
                | {"value": float(change[members].mean())}
                | _ends(_of_group(drawn[:, members], rng))
            )


def _or_none(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _aligned(base: Scores, defended: Scores) -> tuple[np.ndarray, list[list[np.ndarray]]]:
    """Return the defended scores [N] of the base's concepts, NaN where there is none, and their pictures' scores."""
    row_of = {concept: row for row, concept in enumerate(defended.concepts)}
    rows = [row_of.get(concept) for concept in base.concepts]
    return (
        np.array([np.nan if row is None else defended.scores[row] for row in rows]),
        [[] if row is None else defended.images[row] for row in rows],
    )


def _count_rows(
    base: Scores,
    back: ReadBackwards,
    scores: Mapping[str, tuple[np.ndarray, np.ndarray]],
    roles: Roles,
) -> Iterator[dict[str, Any]]:
    """Yield what each concept's scores correspond to; `scores`: quantity -> (scores [N], drawn [resamples, N])."""
    for quantity, (values, drawn) in scores.items():
        for index, slug in enumerate(base.concepts.tolist()):
            row = {"quantity": quantity, "of": slug, "role": roles.words(index), "concepts": 1}
            row |= {"base": float(base.counts[index]), "defended": _or_none(values[index])}
            if not np.isfinite(values[index]):
                yield row | {"said": "no picture that can be used"}
                continue
            found = back.read(float(values[index]), drawn[:, index])
            yield row | {
                "value": found.count,
                "low": found.low,
                "high": found.high,
                "said": in_words(found, base.counts),
            }


# --- pictures ---------------------------------------------------------------------------------------------------------


def jackknife(
    blocks: Sequence[tuple[np.ndarray, np.ndarray]], statistic: Callable[[np.ndarray, np.ndarray], float]
) -> tuple[float, float, float]:
    """Return (value, low, high) of a statistic of two sets of vectors, by a jackknife that leaves out one block a time.

    The interval is value +- 1.96 sqrt((B - 1) / B sum (t_b - mean t)^2) (Efron and Tibshirani 1993, chapter 11). A
    bootstrap would draw pictures twice, which a Frechet distance takes for less spread.

    Args:
        blocks: B times vectors [n, D] and [m, D].
        statistic: of all vectors of the first kind and all of the second.
    """

    def of(kept: Sequence[tuple[np.ndarray, np.ndarray]]) -> float:
        return statistic(np.concatenate([one for one, _ in kept]), np.concatenate([other for _, other in kept]))

    size = -(-len(blocks) // MOST_BLOCKS)
    joined = [list(blocks[start : start + size]) for start in range(0, len(blocks), size)]
    value = of(blocks)
    without = np.array([of([b for other in joined if other is not one for b in other]) for one in joined])
    error = np.sqrt((len(joined) - 1) / len(joined) * ((without - without.mean()) ** 2).sum())
    return value, max(0.0, value - 1.96 * float(error)), value + 1.96 * float(error)


def _stacked(pictures: Pictures) -> np.ndarray:
    parts = [vectors for vectors in pictures.values() if len(vectors)]
    return np.concatenate(parts) if parts else np.zeros((0, 0), np.float32)


def frechet_rows(
    base: Mapping[str, np.ndarray], defended: Mapping[str, np.ndarray], roles: Roles, rng: np.random.Generator
) -> Iterator[dict[str, Any]]:
    """Yield the Frechet distance of each group of concepts.

    Args:
        base, defended: slug -> vectors [G, D] of its pictures.
        roles: of the concepts.
        rng: of the deals.
    """
    for name in GROUPS:
        members = [slug for slug, one in zip(roles.concepts, roles.of[name], strict=True) if one]
        pairs = [(base[s], defended[s]) for s in members if len(base.get(s, ())) and len(defended.get(s, ()))]
        if len(pairs) in (1, 2):  # too few concepts to leave one out: a block is a picture of each
            pairs = [
                (one[i : i + 1], other[i : i + 1]) for one, other in pairs for i in range(min(len(one), len(other)))
            ]
        if len(pairs) < 3:
            continue
        value, low, high = jackknife(pairs, frechet_distance)
        yield {"quantity": "frechet", "of": name, "role": "", "concepts": len(members), "base": _dealt(pairs, rng)} | {
            "value": value,
            "low": low,
            "high": high,
        }


def _dealt(pairs: Sequence[tuple[np.ndarray, np.ndarray]], rng: np.random.Generator) -> float:
    """Return the mean distance where each concept's pictures are dealt again to the two sides."""
    found = []
    for _ in range(DEALS):
        dealt = []
        for one, other in pairs:
            both = np.concatenate([one, other])[rng.permutation(len(one) + len(other))]
            dealt.append((both[: len(one)], both[len(one) :]))
        found.append(frechet_distance(np.concatenate([o for o, _ in dealt]), np.concatenate([o for _, o in dealt])))
    return float(np.mean(found))


def _prompt_cosines(pictures: Pictures, prompts: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Return the cosine of each picture to its prompt: an array a prompt."""
    return [
        vectors.astype(np.float64) @ prompts[prompt]
        for prompt, vectors in pictures.items()
        if prompt in prompts and len(vectors)
    ]


def _blocked_rows(generated: ConceptTables, roles: Roles) -> Iterator[dict[str, Any]]:
    for index, slug in enumerate(roles.concepts):
        statuses = generated.read(slug, ["status"], schema=GENERATED).column("status").to_pylist()
        blocked = statuses.count("blocked")
        if blocked:
            interval = binomtest(blocked, len(statuses)).proportion_ci(CONFIDENCE, method="wilson")
            yield {"quantity": "blocked", "of": slug, "role": roles.words(index), "concepts": 1} | {
                "value": blocked / len(statuses),
                "low": float(interval.low),
                "high": float(interval.high),
                "said": f"{blocked} of {number_of(len(statuses), 'picture')}",
            }


# --- all of it --------------------------------------------------------------------------------------------------------


def measure(
    base: Places,
    defended: Places,
    sheet: str | Path,
    erased: Sequence[str],
    *,
    references: ConceptTables,
    reference_embeddings: ConceptTables,
    prompts: Mapping[str, np.ndarray] | None = None,
    settings: DefenceSettings,
    resamples: int,
    seed: int,
) -> Measured:
    """Measure what a model does otherwise than its base.

    Pictures are drawn again within each prompt, independently for the two models. A curve is drawn again with other
    concepts (families, where the sheet's groups are families) and other pictures.

    Args:
        base, defended: the tables of the two models, which have the same corpus.
        sheet: path of the domain's concept sheet.
        erased: slugs of the concepts that the model is to be kept from imitating; none: every concept is of `others`.
        references, reference_embeddings: of the domain.
        prompts: prompt -> its vector by an embedder that also reads text; None without one.
        settings: which concepts are neighbours.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        DataError: the tables are of different concepts, or none of the erased concepts is among them.
    """
    of_base, of_defended = read_table(base.scores), read_table(defended.scores)
    slugs = of_base.concepts.tolist()
    if not set(slugs) & set(of_defended.concepts.tolist()):
        raise DataError(f"{base.scores} and {defended.scores} have no concept in common; name tables of one domain")
    known = {concept.slug: concept for concept in read_sheet(sheet)}
    if lacking := [slug for slug in slugs if slug not in known]:
        raise DataError(
            f"{sheet}: it lacks {plain(lacking, 3)}, which {base.scores} has; name the sheet of this domain"
        )
    vectors = {slug: kept_vectors(references, reference_embeddings, slug) for slug in slugs if slug in references}
    roles = find_roles([known[slug] for slug in slugs], erased, vectors, settings.neighbours)
    remarks = []
    if missing := sorted(set(erased) - set(slugs)):
        remarks.append(f"{plain(missing, 5)}: to be erased, but without a score of the base in this domain")
    if not erased:
        remarks.append("the model's `erases` names no concept, so that all are called others")

    rng = np.random.default_rng(seed)
    scores, images = _aligned(of_base, of_defended)
    base_drawn = draw_scores(of_base.images, of_base.scores, resamples, rng)
    drawn = draw_scores(images, scores, resamples, rng)
    rows = list(changes_of("score", slugs, of_base.scores, scores, drawn - base_drawn, roles, rng))
    curve: dict[str, list[float]] = {}
    try:
        back = ReadBackwards(of_base.counts, of_base.scores, base_drawn, draw_rows(of_base, resamples, rng))
    except DataError as error:
        remarks.append(f"{base.scores}: no score is read as a count: {error}")
    else:
        counted = {"count": (scores, drawn), "base_count": (of_base.scores, base_drawn)}
        rows += _count_rows(of_base, back, counted, roles)
        curve = {"counts": np.expm1(back.curve.places).tolist(), "levels": back.curve.levels.tolist()}
        if flat := why_flat(of_base):
            remarks.append(flat)

    pictures = {
        name: {
            slug: _stacked(read_pictures(of.generated, of.embeddings, slug)) for slug in slugs if slug in of.generated
        }
        for name, of in (("base", base), ("defended", defended))
    }
    if pictures["base"] and all(
        np.array_equal(vectors, pictures["defended"].get(slug, ())) for slug, vectors in pictures["base"].items()
    ):
        remarks.append(
            "to the embedder all pictures of the two models are the same: the change changes none of them, or the "
            "embeddings that are named for both are those of one model"
        )
    if base.prompt_images is not None and defended.prompt_images is not None and prompts:
        cosines = {
            name: [_prompt_cosines(read_pictures(of.generated, of.prompt_images, slug), prompts) for slug in slugs]
            for name, of in (("base", base), ("defended", defended))
            if of.prompt_images is not None
        }
        means = {
            name: np.array([np.mean([v.mean() for v in one]) if one else np.nan for one in of_model])
            for name, of_model in cosines.items()
        }
        both = [draw_scores(cosines[name], means[name], resamples, rng) for name in ("base", "defended")]
        rows += changes_of("prompt_score", slugs, means["base"], means["defended"], both[1] - both[0], roles, rng)
    rows += frechet_rows(pictures["base"], pictures["defended"], roles, rng)
    rows += _blocked_rows(defended.generated, roles)
    similar = {
        slug: {"name_similarity": _or_none(name), "look_similarity": _or_none(look)}
        for slug, name, look in zip(slugs, roles.name_similarity, roles.look_similarity, strict=True)
    }
    return Measured([row | similar.get(row["of"], {}) for row in rows], remarks, curve)


def write_tsv(table: pa.Table, path: str | Path) -> None:
    """Write the rows for reading: tab-separated, numbers with four digits; below and above all counts in words."""

    def cell(value: Any) -> object:
        if value in (BELOW, ABOVE):
            return "below" if value == BELOW else "above"
        return "" if value is None else f"{value:.4g}" if isinstance(value, float) else value

    rows = [table.schema.names, *([cell(value) for value in row.values()] for row in table.to_pylist())]
    with atomic_write(path) as part:
        Path(part).write_text(delimited(rows), encoding="utf-8")


def summary(measured: Measured) -> list[str]:
    """Return what was found, in lines: the erased concepts, then the groups."""
    lines = list(measured.remarks)
    for row in measured.rows:
        if row["quantity"] == "count" and "erased" in row["role"] and row.get("said"):
            lines.append(f"{row['of']} ({as_images(row['base'])} in the training set) corresponds to: {row['said']}")
    for row in measured.rows:
        if row["quantity"] == "score" and row["of"] in GROUPS:
            lines.append(
                f"{row['of']}: {number_of(row['concepts'], 'concept')}, score {row['base']:.2f} -> "
                f"{row['defended']:.2f} ({row['value']:+.2f}; 95 %: {row['low']:+.2f} to {row['high']:+.2f})"
            )
    return lines
