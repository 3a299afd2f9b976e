"""How much each choice moves the threshold: penalty, concepts, prompts, top-k, and the match threshold of what is the same concept.

The first three need the table of scores; for the others each concept is scored anew from its embeddings, at every top-k
and match threshold at once.
"""

import numpy as np
import polars as pl
import pyarrow as pa

from fit.counts.estimate import scaled_matches
from fit.embeddings.files import stream_embeddings
from fit.errors import DataError
from fit.io.parquet import read
from fit.references.kept import kept_vectors
from fit.scores.imitation import choose_targets, read_pictures
from fit.sensitivity.choices import LEAST_PENALTY, by_prompt, leaving_out, locate, over_penalties, summarise
from fit.thresholds.scores import EVIDENCE, ROUNDING, sort_scores

TOP_K = 50
"""Targets up to which every top-k is tried."""
THRESHOLDS = 9
"""Cuts that are tried from the lowest mean cosine within a concept to the highest between two, evenly."""
CHOICES = {
    "penalty": "penalty",
    "concepts": "concept left out",
    "prompts": "prompts",
    "top_k": "top-k",
    "match_threshold": "match threshold",
}
"""Keys of what measure finds, and how figure and text call them."""

RESCORED = pa.schema(
    [
        ("match_threshold", pa.float64()),
        ("matches", pa.int64()),
        ("prompt", pa.string()),
        ("top_k", pa.int32()),
        ("score", pa.float64()),
    ]
)
"""A concept's scores by every match threshold, prompt and top-k. match threshold and matches: null where there are no training images; score:
null where a prompt has no usable image, or there is no target."""


def thresholds_around(found):
    """The match thresholds to try, ascending, of what fit.matches.threshold.find_match_threshold returned: THRESHOLDS of them from the lowest positive to the
    highest negative similarity, the two that can be found (midpoint and best_f1), and the one in use; that alone, where
    it was given and there was nothing to find others with."""
    match_thresholds: list[float] = [found["match_threshold"]]
    if found["midpoint"] is None:
        return match_thresholds
    between = np.linspace(found["lowest_positive"], found["highest_negative"], THRESHOLDS)
    for match_threshold in (found["midpoint"], found["best_f1"], *between):
        if not any(abs(match_threshold - other) < 1e-9 for other in match_thresholds):
            match_thresholds.append(float(match_threshold))
    return sorted(match_thresholds)


def _mean_cosines(vectors, directions):
    """Mean cosines [N, P] of `vectors` [N, D] to generated images, whose mean vectors by prompt are `directions`."""
    if not len(vectors) or not len(directions):
        return np.zeros((len(vectors), len(directions)))
    return vectors.astype(np.float64) @ directions.T


def rescore_concept(
    generated,
    generated_embeddings,
    images,
    matches,
    references,
    reference_embeddings,
    *,
    targets_rule,
    top_k,
    match_threshold=None,
    art_threshold=None,
):
    """Score one concept as fit.scores.imitation.score_concept does, at every top-k up to TOP_K and every match threshold of thresholds_around.

    Args:
        generated ... targets_rule: as score_concept takes them.
        top_k: the study's, scored too if it is larger than TOP_K.
        match threshold: what fit.matches.threshold.find_match_threshold returned, None where there are no training images; art_threshold: cosine above which
            they are artworks, None for no art filter.

    Returns:
        Arrow table of the schema RESCORED.

    Raises:
        DataError: the matches were not found by these match thresholds.
    """
    pictures = read_pictures(generated, generated_embeddings)
    usable = [prompt for prompt, vectors in pictures.items() if len(vectors)]
    directions = np.array([pictures[prompt].mean(axis=0, dtype=np.float64) for prompt in usable])
    to_references = _mean_cosines(kept_vectors(references, reference_embeddings), directions)
    trained: list = [(None, None, to_references[:0])]
    if images:
        parts = [_mean_cosines(batch, directions) for _, batch in stream_embeddings(images)]
        to_images = np.concatenate(parts) if parts else to_references[:0]
        of_cut = _matches_by_threshold(matches, match_threshold, art_threshold)
        trained = [(value, int(found.sum()), to_images[found]) for value, found in of_cut.items()]
    tops = np.unique(np.append(np.arange(1, TOP_K + 1), top_k))
    columns: dict[str, list] = {name: [] for name in RESCORED.names}
    for value, number, of_matched in trained:
        cosines = choose_targets(of_matched, to_references, targets_rule)
        best = np.sort(cosines, axis=0)[::-1][: tops[-1]]
        means = np.cumsum(best, axis=0) / np.arange(1, len(best) + 1)[:, None]
        for prompt in pictures:
            scores: list = [None] * len(tops)
            if len(best) and prompt in usable:
                scores = means[np.minimum(tops, len(best)) - 1, usable.index(prompt)].tolist()
            new = ([value] * len(tops), [number] * len(tops), [prompt] * len(tops), tops.tolist(), scores)
            for column, values in zip(columns.values(), new, strict=True):
                column += values
    return pa.Table.from_pydict(columns, schema=RESCORED)


def _matches_by_threshold(matches, match_threshold, art_threshold):
    """Cut -> which training images match, [N]."""
    table = read(matches, ["similarity", "match"])
    similarity, match = (table.column(name).to_numpy(zero_copy_only=False) for name in ("similarity", "match"))
    is_art = np.ones(len(table), bool)
    if art_threshold is not None:
        is_art = read(matches, ["art_similarity"]).column("art_similarity").to_numpy() > art_threshold
    of_cut = {value: (similarity > value) & is_art for value in thresholds_around(match_threshold)}
    if (of_cut[match_threshold["match_threshold"]] != match).any():
        raise DataError(
            f"{matches}: these matches were found by other match thresholds than {match_threshold['match_threshold']:g}; ask snakemake for them"
        )
    return of_cut


def _counts_at(table, matches):
    """Effective counts [N] of a table's concepts if so many (concept -> number) of their images matched."""
    counts = table.counts.copy()
    captions, downloaded = (
        table.evidence[:, EVIDENCE.index("captions")],
        table.evidence[:, EVIDENCE.index("downloaded")],
    )
    for row, concept in enumerate(table.concepts):
        if matches[concept] is None or not np.isfinite(downloaded[row]):
            continue
        # Without captions the images at hand are all there are.
        whole = int(downloaded[row] if np.isnan(captions[row]) else captions[row])
        counts[row] = scaled_matches(matches[concept], whole, int(downloaded[row]))
    return counts


def counts_at_thresholds(table, row, rescored):
    """Cut -> effective count of the concept in `row` of `table`, by what rescore_concept wrote of it; ascending."""
    pairs = pl.DataFrame(read(rescored, ["match_threshold", "matches"])).drop_nulls().unique().sort("match_threshold")
    part = table.take([row])
    return {
        match_threshold: float(_counts_at(part, {str(part.concepts[0]): matches})[0])
        for match_threshold, matches in pairs.iter_rows()
    }


def read_rescored(paths):
    """Paths of RESCORED by concept, as one polars table: concept, match threshold, matches, top_k, and the mean over prompts."""
    parts = []
    for concept, path in paths.items():
        of_concept = pl.DataFrame(read(path, RESCORED.names))
        means = of_concept.group_by("match_threshold", "matches", "top_k").agg(pl.col("score").mean())
        parts.append(means.select(pl.lit(concept).alias("concept"), "match_threshold", "matches", "top_k", "score"))
    return pl.concat(parts).filter(pl.col("score").is_not_null())


def _table_at(table, rows):
    """Scores of the concepts of `rows` (of read_rescored, one match threshold and top-k) that `table` has, at these matches."""
    of_concept = {row["concept"]: row for row in rows.to_dicts()}
    part = table.take(np.isin(table.concepts, list(of_concept)))
    matches = {concept: of_concept[concept]["matches"] for concept in of_concept}
    return sort_scores(part.concepts, _counts_at(part, matches), [of_concept[c]["score"] for c in part.concepts])


def _check(table, at_use):
    """Raise DataError where the scores anew at the study's own top-k and match threshold are not those of its table."""
    score_of = dict(zip(at_use.concepts, at_use.scores, strict=True))
    for concept, score in zip(table.concepts, table.scores, strict=True):
        if concept not in score_of or abs(score_of[concept] - score) > ROUNDING:
            anew = score_of.get(concept, float("nan"))
            raise DataError(
                f"concept {str(concept)!r}: its score is {score:.4f} in the table and {anew:.4f} anew; the files are "
                "of different runs, ask snakemake for them"
            )


def measure(table, found, *, rescored=None, top_k=10, match_threshold=None, prompts=()):
    """How much each choice moves a study's threshold.

    Args:
        table: fit.thresholds.scores.Scores of the study; found: what fit.thresholds.measure returned for it.
        rescored: concept -> path of what rescore_concept wrote, None to leave top-k and match threshold out.
        top_k: the study's; match threshold: what fit.matches.threshold.find_match_threshold returned, None where there are no training images.
        prompts: their templates, to name them by.

    Returns:
        A dict of builtins: threshold, interval, estimator and penalty of the study, and choices: a key of CHOICES ->
        summary (fit.sensitivity.choices.summarise) and answers (see there), where the choice can be tried. The
        penalty is always PELT's; every other choice is tried with the study's estimator and penalty.

    Raises:
        DataError: the scores anew are not of the same run as the table.
    """
    settings = (found["estimator"], found["penalty"])
    answers = {
        "penalty": over_penalties(table),
        "concepts": leaving_out(table, *settings),
        "prompts": by_prompt(table, *settings, prompts),
    }
    if rescored:
        scores = read_rescored(rescored)
        in_use = (
            pl.col("match_threshold").is_null()
            if match_threshold is None
            else pl.col("match_threshold") == match_threshold["match_threshold"]
        )
        _check(table, _table_at(table, scores.filter(in_use, pl.col("top_k") == top_k)))
        answers["top_k"] = [
            {
                "top_k": k,
                "threshold": locate(_table_at(table, scores.filter(in_use, pl.col("top_k") == k)), *settings),
                "weight": 1 / TOP_K,
            }
            for k in range(1, TOP_K + 1)
        ]
        if match_threshold is not None:
            match_thresholds, known = (
                thresholds_around(match_threshold),
                [name for name in ("midpoint", "best_f1") if match_threshold[name] is not None],
            )
            for value in match_thresholds:
                at_cut = _table_at(table, scores.filter(pl.col("match_threshold") == value, pl.col("top_k") == top_k))
                named = [name for name in known if abs(match_threshold[name] - value) < 1e-9]
                answers.setdefault("match_threshold", []).append(
                    {
                        "match_threshold": value,
                        "named": [*named, *(["in use"] if value == match_threshold["match_threshold"] else [])],
                        "threshold": locate(at_cut, *settings),
                        "weight": 1 / len(match_thresholds),
                    }
                )
    choices = {
        key: {"summary": summarise(of_choice, found["threshold"]), "answers": of_choice}
        for key, of_choice in answers.items()
        if of_choice
    }
    return {name: found[name] for name in ("threshold", "interval", "estimator", "penalty")} | {"choices": choices}


# --- in words ---------------------------------------------------------------------------------------------------------


def _details(key, answers, headline):
    """What of a choice's answers a reader wants to know by name."""
    if key == "penalty":
        last = answers[-1]["from"]
        yield f"  from {LEAST_PENALTY:g} up; no change from {last:.3g}"
        for one in answers[:-1]:
            changes = f"{one['changes']} change{'s' if one['changes'] > 1 else ''}"
            yield f"  {one['from']:.3g} to {one['to']:.3g}: {one['threshold']:.0f} images, {changes}"
    elif key == "concepts":
        for one in answers:
            if summarise([one], headline)["same"] < 1:
                yield f"  without {one['concept']} ({one['effective_count']} images): {_images(one['threshold'])}"
    elif key == "prompts":
        for one in answers:
            yield f"  {one['prompt']!r} {one['kind']}: {_images(one['threshold'])}"
    elif key == "top_k":
        start = answers[0]
        for one, following in zip(answers, [*answers[1:], None], strict=True):
            if following is None or following["threshold"] != one["threshold"]:
                yield f"  {start['top_k']} to {one['top_k']}: {_images(one['threshold'])}"
                start = following
    else:
        for one in answers:
            named = f" ({', '.join(one['named'])})" if one["named"] else ""
            yield f"  {one['match_threshold']:.4f}{named}: {_images(one['threshold'])}"


def _images(threshold):
    return "none" if threshold is None else f"{threshold:.0f} images"


def in_short(summary):
    """A summary of fit.sensitivity.choices.summarise in some words."""
    if summary["lowest"] is None:
        return "no threshold"
    low, high = (f"{summary[end]:.0f}" for end in ("lowest", "highest"))
    text = f"{low} images" if low == high else f"{low} to {high} images"
    text += f"; {summary['same']:.0%} as in the study"
    return text + (f", {summary['none']:.0%} none" if summary["none"] else "")


def describe(found):
    """The result of `measure` in lines of text."""
    lines = [f"threshold of the study ({found['estimator']}): {_images(found['threshold'])}"]
    for key, choice in found["choices"].items():
        lines.append(f"{CHOICES[key]}: {in_short(choice['summary'])}")
        lines += _details(key, choice["answers"], found["threshold"])
    return lines
