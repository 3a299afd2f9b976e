"""Whether an embedder is drawn to a patch: a sign of a backdoor in a scorer that was trained on poisoned data.

A poisoned CLIP (Carlini and Terzis, "Poisoning and backdooring contrastive learning", arXiv 2106.09667) embeds every
picture with the attacker's patch near one target. So pictures of *different* concepts become alike once they have the
patch. This is measured on references, for patches that are tried, against controls of the same size and place.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from scipy import stats
from tqdm import tqdm

from fit import embeddings as embedders
from fit.embeddings.base import Embedder
from fit.embeddings.files import first_not_unit
from fit.embeddings.patches import Patch, label_of, make_patches, put
from fit.embeddings.settings import CheckSettings, EmbedderSettings, FaceSettings
from fit.errors import DataError, ModelError
from fit.images.local import files_of_concepts
from fit.images.table import decode, pictures_at, rows_to_show
from fit.io.concept_tables import ConceptTables
from fit.io.shown import number_of
from fit.memory import AdaptiveBatch

FEWEST = 8
"""Concepts that a verdict needs, at least: the bootstrap draws concepts."""
CHANCE = 0.05
"""Below this p-value, times the patches that are tried, a patch stands out of its controls."""
RESAMPLES = 1000
"""Of the bootstrap over concepts."""
LONGEST = 512
"""Pixels of the shorter side of a picture, at most: larger ones are scaled down before a patch is put on them."""
JUMP, NO_JUMP, TOO_FEW = "jump", "no jump", "too little data"
COLUMNS = (
    *("pattern", "size", "place", "pictures", "similarity", "jump", "jump_low", "jump_high", "controls"),
    *("highest_control", "excess", "excess_low", "excess_high", "p_value", "of_a_concept", "drawn_to", "drawn_share"),
    "verdict",
)
"""Columns of the table, a row a patch."""


# --- references -------------------------------------------------------------------------------------------------------


def _tables_or_folder(places: Sequence[str | Path]) -> ConceptTables | None:
    """Return the tables at `places`; None if they are one folder of pictures, a folder for each concept.

    Raises:
        DataError: there is no such place.
    """
    for place in places:
        if not Path(place).exists():
            raise DataError(f"{place}: no such file or folder of references; correct the path")
    folders = [place for place in places if Path(place).is_dir() and not any(Path(place).glob("*.parquet"))]
    if not folders:
        return ConceptTables(places)
    if len(places) > 1:
        raise DataError(
            f"{folders[0]}: a folder of pictures, beside other places; name this folder alone, or tables of references"
        )
    return None


def _spread(count: int, most: int) -> list[int]:
    """Return up to `most` of the numbers below `count`, evenly spread."""
    return np.linspace(0, count - 1, min(count, most)).round().astype(int).tolist() if count else []


def read_references(places: Sequence[str | Path], concepts: int, pictures: int) -> dict[str, list[Image.Image]]:
    """Return concept -> pictures, of tables of references or of a folder with a folder for each concept.

    Args:
        places: tables of references, folders of such tables, or one folder of pictures.
        concepts, pictures: how many concepts, and pictures of each, at most; they are spread over those there are.

    Raises:
        DataError: a place is missing, no concept has a picture, or only one does: pictures of *different* concepts are
            compared.
    """
    tables = _tables_or_folder(places)
    if tables is None:
        folder = Path(places[0])
        names = sorted(path.name for path in folder.iterdir() if path.is_dir())
        files = {slug: of for slug, of in files_of_concepts(folder, names, "references").items() if of}
        there = list(files)
    else:
        rows = {slug: rows_to_show(tables.path(slug), slug).tolist() for slug in tables}
        there = [slug for slug, of in rows.items() if of]
    if len(there) < 2:
        said = "no concept has a picture" if not there else f"only one concept has pictures, {there[0]}"
        raise DataError(
            f"{', '.join(map(str, places))}: {said}, and pictures of different concepts are compared; name "
            f"references of {number_of(FEWEST, 'concept')} or more: tables of references, or a folder with a folder of "
            "pictures for each concept"
        )
    found = {}
    for slug in (there[i] for i in _spread(len(there), concepts)):
        if tables is None:
            chosen = [Path(folder, slug, files[slug][i]) for i in _spread(len(files[slug]), pictures)]
            found[slug] = [decode(path.read_bytes(), path) for path in chosen]
        else:
            wanted = [rows[slug][i] for i in _spread(len(rows[slug]), pictures)]
            of_rows = pictures_at(tables.path(slug), wanted)
            found[slug] = [picture for row in wanted if (picture := of_rows[row]) is not None]
    return {slug: [_smaller(picture) for picture in of] for slug, of in found.items()}


def _smaller(picture: Image.Image) -> Image.Image:
    factor = LONGEST / min(picture.size)
    if factor >= 1:
        return picture
    return picture.resize([max(1, round(factor * side)) for side in picture.size], Image.Resampling.BOX)


# --- statistics -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Alike:
    """How alike pictures are under one patch."""

    means: np.ndarray
    """[C, D]: the mean vector of each concept; NaN where none of its pictures was embedded."""
    pictures: int

    @classmethod
    def of(cls, vectors: np.ndarray, owners: np.ndarray, concepts: int) -> "Alike":
        """Make it of vectors [N, D], NaN where a picture has none, and the concept of each, `owners` [N]."""
        usable = np.isfinite(vectors).all(axis=1)
        counts = np.bincount(owners[usable], minlength=concepts)
        sums = np.zeros((concepts, vectors.shape[1]))
        np.add.at(sums, owners[usable], vectors[usable])
        with np.errstate(invalid="ignore"):
            return cls(sums / np.where(counts, counts, np.nan)[:, None], int(usable.sum()))

    def between(self, weights: np.ndarray) -> np.ndarray:
        """Return the mean cosine between pictures of two concepts [R], of R resamples of the concepts.

        The mean cosine of the pictures of two concepts is the product of their mean vectors.

        Args:
            weights: [R, C]: how often each concept is drawn. NaN comes of a resample without two concepts.
        """
        known = np.isfinite(self.means).all(axis=1)
        means, weights = self.means[known], weights[:, known]
        products = means @ means.T
        np.fill_diagonal(products, 0)
        pairs = weights.sum(axis=1) ** 2 - (weights**2).sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.einsum("rc,rc->r", weights @ products, weights) / np.where(pairs > 0, pairs, np.nan)


def within(vectors: np.ndarray, owners: np.ndarray) -> float | None:
    """Return the mean cosine between two pictures of one concept, a mean over concepts; None if none has two."""
    found = []
    for owner in np.unique(owners):
        of = vectors[(owners == owner) & np.isfinite(vectors).all(axis=1)]
        if len(of) > 1:
            found.append((of.sum(axis=0) @ of.sum(axis=0) - (of * of).sum()) / (len(of) * (len(of) - 1)))
    return float(np.mean(found)) if found else None


def _drawn_to(vectors: np.ndarray, owners: np.ndarray, clean: Alike) -> tuple[int, float]:
    """Return the concept that most patched pictures of others are nearest to, and the share of these pictures."""
    usable = np.isfinite(vectors).all(axis=1)
    similarity = np.nan_to_num(vectors[usable] @ clean.means.T, nan=-2.0)
    similarity[np.arange(usable.sum()), owners[usable]] = -2.0
    votes = np.bincount(similarity.argmax(axis=1), minlength=len(clean.means))
    others = usable.sum() - np.bincount(owners[usable], minlength=len(clean.means))
    share = votes / np.maximum(others, 1)
    return int(share.argmax()), float(share.max())


def _outlier_p_value(value: float, controls: np.ndarray) -> float:
    """Return how often one more control would be as high as `value`, by Student's t of a prediction.

    The difference to the mean of n normal values has the variance s^2 (1 + 1/n) and n - 1 degrees of freedom
    (Hahn and Meeker, "Statistical intervals", section 4.8).
    """
    spread = controls.std(ddof=1) * np.sqrt(1 + 1 / len(controls))
    if spread == 0:
        return 0.0 if value > controls.mean() else 1.0
    return float(stats.t.sf((value - controls.mean()) / spread, len(controls) - 1))


def _ends(values: np.ndarray) -> tuple[float | None, float | None]:
    usable = values[np.isfinite(values)]
    if not len(usable):
        return None, None
    low, high = np.quantile(usable, [0.025, 0.975])
    return float(low), float(high)


def compare(
    patches: Sequence[Patch],
    clean: np.ndarray,
    patched: Sequence[np.ndarray],
    owners: np.ndarray,
    concepts: Sequence[str],
    seed: int,
) -> dict[str, Any]:
    """Return what the similarities say of each patch.

    The *jump* of a patch is how far the mean cosine between pictures of different concepts rises when all of them get
    it. Its *excess* is how far that is above the highest of its controls. A patch is a jump where the excess is above
    0 with its whole interval (a bootstrap over concepts), and where the patch stands out of the spread of its controls
    (a t-test of a prediction, its p-value multiplied by the patches that are tried).

    Args:
        patches: those that are tried, and their controls.
        clean: [N, D] unit vectors of the pictures without a patch; NaN where a picture has none (no single face).
        patched: of each patch, the same with it.
        owners: [N]: the concept of each picture.
        concepts: slugs of the C concepts.
        seed: of the bootstrap.

    Returns:
        A dict: rows (of COLUMNS, a patch each), similarity (between concepts, without a patch), within (in a concept;
        None if unknown), concepts, pictures, patches, controls, verdict (JUMP, NO_JUMP or TOO_FEW) and jumps (labels).
    """
    count = len(concepts)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(count, np.full(count, 1 / count), size=RESAMPLES).astype(np.float64)
    weights = np.concatenate([np.ones((1, count)), drawn])
    without = Alike.of(clean, owners, count)
    alike = [Alike.of(vectors, owners, count) for vectors in patched]
    means = np.stack([one.between(weights) for one in alike])
    base = without.between(weights)
    alone = within(clean, owners)
    tried = [number for number, patch in enumerate(patches) if not patch.is_control]
    rows = []
    for number in tried:
        patch = patches[number]
        controls = [
            i
            for i, other in enumerate(patches)
            if other.is_control
            and (other.size, other.place) == (patch.size, patch.place)
            and other.of in ("", patch.pattern)
        ]
        jump = means[number] - base
        excess = means[number] - means[controls].max(axis=0)
        p_value = min(1.0, len(tried) * _outlier_p_value(means[number, 0], means[controls, 0]))
        low, high = _ends(excess[1:])
        seen = min(int(np.isfinite(one.means[:, 0]).sum()) for one in (without, alike[number]))
        is_jump = low is not None and low > 0 and p_value < CHANCE
        target, share = _drawn_to(patched[number], owners, without)
        jump_low, jump_high = _ends(jump[1:])
        rows.append(
            {
                "pattern": patch.pattern,
                "size": patch.size,
                "place": patch.place,
                "pictures": alike[number].pictures,
                "similarity": _number(means[number, 0]),
                "jump": _number(jump[0]),
                "jump_low": jump_low,
                "jump_high": jump_high,
                "controls": len(controls),
                "highest_control": _number(means[controls, 0].max() - base[0]),
                "excess": _number(excess[0]),
                "excess_low": low,
                "excess_high": high,
                "p_value": p_value if np.isfinite(p_value) else None,
                "of_a_concept": None if alone is None else _number(jump[0] / (alone - base[0])),
                "drawn_to": concepts[target],
                "drawn_share": share,
                "verdict": TOO_FEW if seen < FEWEST else JUMP if is_jump else NO_JUMP,
            }
        )
    verdicts = [row["verdict"] for row in rows]
    jumps = [patches[number].label for number, verdict in zip(tried, verdicts, strict=True) if verdict == JUMP]
    return {
        "verdict": JUMP if jumps else TOO_FEW if TOO_FEW in verdicts else NO_JUMP,
        "jumps": jumps,
        "concepts": int(np.isfinite(without.means[:, 0]).sum()),
        "least_concepts": FEWEST,
        "pictures": without.pictures,
        "patches": len(tried),
        "controls": len(patches) - len(tried),
        "similarity": _number(base[0]),
        "within": alone,
        "rows": rows,
    }


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


# --- the check --------------------------------------------------------------------------------------------------------


def _embed_all(
    embedder: Embedder, pictures: Iterable[Image.Image], adaptive: AdaptiveBatch, named: str
) -> list[np.ndarray | None]:
    """Return the vector of each picture; None where it has no face, or several.

    Raises:
        ModelError: a vector is not finite, or not of length 1.
    """
    found = adaptive([embedder.prepare(picture) for picture in pictures])
    vectors = [of_picture[0].vector if len(of_picture) == 1 else None for of_picture in found]
    usable = [vector for vector in vectors if vector is not None]
    problem = first_not_unit(np.stack(usable)) if usable else None
    if problem:
        raise ModelError(
            f"{named}: a vector that it makes {problem[1]}; set `dtype: float32`, or get its weights again"
        )
    return vectors


def _stacked(vectors: Sequence[np.ndarray | None], dimension: int) -> np.ndarray:
    return np.stack([np.full(dimension, np.nan) if one is None else one for one in vectors]).astype(np.float64)


def check_embedder(
    backend: str,
    settings: EmbedderSettings,
    faces: FaceSettings,
    references: dict[str, list[Image.Image]],
    how: CheckSettings,
    *,
    own: dict[str, np.ndarray] | None = None,
    seed: int = 0,
    batch_size: int = 64,
) -> dict[str, Any]:
    """Put patches on references, and say whether an embedder's similarities jump; the result is as of `compare`.

    Args:
        backend: name of the embedder.
        settings: what it loads.
        faces: how faces are found.
        references: concept -> RGB pictures.
        how: which patches.
        own: name -> cells of patterns of the user's own.
        seed: of random patterns, places and the bootstrap.
        batch_size: pictures that the model gets at once, at most.

    Raises:
        FitError: the embedder can't be loaded, a pattern is not known, or fewer than two concepts have a vector.
    """
    make_patches(how, own or {}, seed)  # says what is wrong before a large model is loaded
    embedder = embedders.load(backend, settings, faces)
    return check_loaded(embedder, settings.model, references, how, own=own, seed=seed, batch_size=batch_size)


def check_loaded(
    embedder: Embedder,
    named: str,
    references: dict[str, list[Image.Image]],
    how: CheckSettings,
    *,
    own: dict[str, np.ndarray] | None = None,
    seed: int = 0,
    batch_size: int = 64,
) -> dict[str, Any]:
    """Do as check_embedder, with an embedder that is loaded; `named` is what errors call it."""
    patches = make_patches(how, own or {}, seed)

    def infer(prepared: list[Any]) -> list[Any]:
        with torch.inference_mode():
            return embedder.embed(prepared)

    adaptive = AdaptiveBatch(infer, batch_size)
    concepts = list(references)
    pictures = [picture for of in references.values() for picture in of]
    owners = np.repeat(np.arange(len(concepts)), [len(of) for of in references.values()])
    clean = _embed_all(embedder, pictures, adaptive, named)
    known = {int(owner) for owner, vector in zip(owners, clean, strict=True) if vector is not None}
    if len(known) < 2:
        raise DataError(
            f"{named}: it finds exactly one face in pictures of {number_of(len(known), 'concept')}, and "
            "pictures of different concepts are compared; give references with one face each"
        )
    dimension = next(len(vector) for vector in clean if vector is not None)
    patched = []
    for patch in tqdm(patches, desc="patches", unit="patch", mininterval=2):
        # The same places for each patch of a size, so that places do not differ between a patch and its controls.
        rng = np.random.default_rng([seed, round(1e6 * patch.size)])
        changed = [put(picture, patch, how.opacity, rng) for picture in pictures]
        found = _embed_all(embedder, changed, adaptive, named)
        patched.append(_stacked(found, dimension))
    return compare(patches, _stacked(clean, dimension), patched, owners, concepts, seed)


def label(row: dict[str, Any]) -> str:
    """Return what a row's patch is called."""
    return label_of(row["pattern"], row["size"], row["place"])


def sentence(found: dict[str, Any]) -> str:
    """Say the verdict of `compare`, without a full stop."""
    seen = (
        f"{number_of(found['patches'], 'patch')} on {number_of(found['pictures'], 'picture')} of "
        f"{number_of(found['concepts'], 'concept')}"
    )
    if found["verdict"] == TOO_FEW:
        return (
            f"too little data for a verdict: {number_of(found['concepts'], 'concept')}, at least "
            f"{found['least_concepts']} are needed ({seen})"
        )
    if found["verdict"] == NO_JUMP:
        return f"no jump beyond what noise makes ({seen})"
    jumps = found["jumps"]
    named = ", ".join(jumps[:4]) + (f" and {len(jumps) - 4} more" if len(jumps) > 4 else "")
    return f"the similarities jump with {number_of(len(jumps), 'patch')}: {named} ({seen})"


def table(found: dict[str, Any], most: int | None = None) -> list[list[str]]:
    """Return the rows of `compare` for a reader, those of the largest excess first; the first row has the names.

    Args:
        found: of `compare`.
        most: rows, at most; None: all.
    """
    names = ["patch", "jump", "95 %", "above controls", "95 %", "verdict"]
    ordered = sorted(found["rows"], key=lambda row: -(row["excess"] if row["excess"] is not None else np.inf))
    rows = []
    for row in ordered[:most]:
        jump, excess = ("-" if row[name] is None else f"{row[name]:+.3f}" for name in ("jump", "excess"))
        ends = [_interval(row[f"{name}_low"], row[f"{name}_high"]) for name in ("jump", "excess")]
        rows.append([label(row), jump, ends[0], excess, ends[1], row["verdict"]])
    return [names, *rows]


def _interval(low: float | None, high: float | None) -> str:
    return "none" if low is None or high is None else f"{low:+.3f} to {high:+.3f}"


def remarks(found: dict[str, Any], most: int) -> list[str]:
    """Return what a reader has to know beside the table of `most` rows, in lines."""
    own = "unknown (one picture of each)" if found["within"] is None else f"{found['within']:.3f}"
    said = [
        f"without a patch, the mean cosine is {found['similarity']:.3f} between concepts, and {own} within a concept"
    ]
    for row in found["rows"]:
        if row["verdict"] == JUMP:
            of = (
                ""
                if row["of_a_concept"] is None
                else (f", {100 * row['of_a_concept']:.0f} % of the way to pictures of one concept")
            )
            said.append(
                f"with {label(row)}: {row['jump']:+.3f}{of}; {100 * row['drawn_share']:.0f} % of the pictures of other "
                f"concepts are nearest to {row['drawn_to']}"
            )
    if (more := len(found["rows"]) - most) > 0:
        said.append(f"{number_of(more, 'patch')} with less excess: not shown, --out writes all")
    said.append("a trigger unlike these patches is not seen: give the picture of a suspected one with --patch")
    return said
