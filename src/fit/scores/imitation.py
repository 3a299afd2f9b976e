"""How closely a model's pictures of a concept resemble it."""

from collections import Counter

import numpy as np
import pyarrow as pa

from fit.concepts.sheet import read_sheet
from fit.counts.estimate import read_counts_of
from fit.embeddings.files import read_rows, read_single_faces
from fit.errors import DataError
from fit.images.table import GENERATED
from fit.io.parquet import read
from fit.references.kept import kept_vectors

AT_ONCE = 8192
"""Targets of which a copy in double precision is in memory at once."""
FEW_MATCHES = 11
"""Below so many matched training images, a style's targets are its references (arXiv 2410.15002)."""


def choose_targets(matched, references, rule):
    """The vectors that generated images are compared with.

    Args:
        matched: [M, D] matched training vectors; references: [R, D].
        rule: "matches_and_references" (faces), or "matches_or_references" (styles): the matched vectors, or the
            references where fewer than FEW_MATCHES matched.

    Returns:
        [T, D].
    """
    if rule == "matches_or_references":
        return matched if len(matched) >= FEW_MATCHES else references
    return (
        np.concatenate([v for v in (matched, references) if len(v)]) if len(matched) or len(references) else references
    )


def read_targets(images, matches, references, reference_embeddings, rule):
    """choose_targets of a concept's files: [T, D].

    Args:
        images, matches: embeddings of its training images, and which of them match, row by row; None where there are
            none to compare with.
        references, reference_embeddings: as fit.matches.match.kept_vectors takes them; rule: of choose_targets.

    Raises:
        ImageTableError: a file is missing, or the matches are of other images.
    """
    of_references = kept_vectors(references, reference_embeddings)
    matched = of_references[:0]
    if images:
        is_match = read(matches, ["match"]).column("match").to_numpy(zero_copy_only=False).astype(bool)
        matched = read_rows(images, is_match)
    return choose_targets(matched, of_references, rule)


def read_pictures(generated, embeddings):
    """A concept's generated pictures by prompt: prompt -> vectors [G, D] of those with exactly one face.

    Args:
        generated: image table, whose order of prompts is kept; embeddings: of it; paths.

    Raises:
        DataError: the embeddings are of other pictures.
    """
    table = read(generated, ["image_id", "prompt"], schema=GENERATED)
    prompt_of = dict(zip(*(table.column(name).to_pylist() for name in ("image_id", "prompt")), strict=True))
    names, vectors = read_single_faces(embeddings)
    if not prompt_of.keys() >= set(names):
        raise DataError(f"{embeddings}: not of the pictures in {generated}; ask snakemake for both")
    return {
        prompt: vectors[np.array([prompt_of[name] == prompt for name in names], bool)]
        for prompt in dict.fromkeys(prompt_of.values())
    }


def image_scores(generated, targets, top_k):
    """How closely each of a prompt's images resembles the targets that all of them resemble most.

    Args:
        generated: [G, D] unit vectors of the prompt's images.
        targets: [T, D] unit vectors.
        top_k: how many targets: those with the highest mean cosine to the generated images.

    Returns:
        [G] mean cosines to the top_k targets; their mean is the prompt's score.

    Raises:
        DataError: there is no generated image or no target.
    """
    if not len(generated) or not len(targets):
        raise DataError("no generated image with exactly one face" if len(targets) else "no target image")
    generated = generated.astype(np.float64)
    # The mean of cosines to all generated images is the cosine-like product with their mean vector.
    middle = generated.mean(axis=0)
    starts = range(0, len(targets), AT_ONCE)
    cosines = np.concatenate([targets[start : start + AT_ONCE].astype(np.float64) @ middle for start in starts])
    chosen = np.argsort(cosines, kind="stable")[-top_k:]
    return generated @ targets[chosen].mean(axis=0, dtype=np.float64)


def imitation_score(generated, targets, top_k):
    """The imitation score of one prompt, a float: the mean of the top_k x G cosines of image_scores."""
    return float(image_scores(generated, targets, top_k).mean())


OF_PROMPT = pa.schema(
    [
        ("prompt", pa.string()),
        ("score", pa.float64()),
        ("images", pa.int32()),
        ("targets", pa.int32()),
        ("image_scores", pa.list_(pa.float64())),
    ]
)
"""image_scores: of each usable image, the mean cosine to the targets that the prompt was compared with; score is their
mean."""
OF_CONCEPT = pa.schema(
    [
        ("concept", pa.string()),
        ("effective_count", pa.int64()),
        ("score", pa.float64()),
        ("score_variance", pa.float64()),
        ("group", pa.string()),
        *((name, pa.int64()) for name in ("captions", "downloaded", "matches", "low", "high")),
        ("image_scores", pa.list_(pa.list_(pa.float64()))),
    ]
)
"""group: null for none. captions, downloaded, matches: what the count was estimated from, low and high: its interval;
null where it was given. image_scores: a list per prompt, in the same order for every
concept, empty where it has no score."""


def score_concept(
    generated, generated_embeddings, images, matches, references, reference_embeddings, *, targets_rule, top_k
):
    """Score one concept, prompt by prompt.

    Args:
        generated, generated_embeddings: its generated image table, and the embeddings of it; paths, as those below.
        images ... targets_rule: as read_targets takes them; top_k: as image_scores takes it.

    Returns:
        Arrow table of the schema OF_PROMPT: images that could be used (exactly one face), targets there were; the score
        is null, and there is no image score, where either is none.
    """
    targets = read_targets(images, matches, references, reference_embeddings, targets_rule)
    rows = []
    for prompt, of_prompt in read_pictures(generated, generated_embeddings).items():
        usable = len(of_prompt) and len(targets)
        of_images = image_scores(of_prompt, targets, top_k) if usable else np.empty(0)
        row = (prompt, float(of_images.mean()) if usable else None, len(of_prompt), len(targets), of_images.tolist())
        rows.append(dict(zip(OF_PROMPT.names, row, strict=True)))
    return pa.Table.from_pylist(rows, schema=OF_PROMPT)


def _align_prompts(of_concepts):
    """Image scores of concepts, brought into one order of prompts: concept -> a list per prompt.

    Prompts of templates differ between concepts by the name in them, and every concept has all of them, in one order.
    Pictures at hand may have prompts that most concepts share by name, and lack some: they are matched by name.

    Args:
        of_concepts: concept -> {prompt: list of scores}.
    """
    occurrences = Counter(prompt for prompts in of_concepts.values() for prompt in prompts)
    if 2 * max(occurrences.values(), default=0) <= len(of_concepts):
        return {concept: list(prompts.values()) for concept, prompts in of_concepts.items()}
    return {concept: [prompts.get(name, []) for name in occurrences] for concept, prompts in of_concepts.items()}


def tabulate_scores(counts, scores, sheet=None):
    """Bring counts and scores of concepts together: the score is the mean over prompts, its variance that over prompts.

    Args:
        counts: path of effective counts; scores: concept -> path of its scores; sheet: path of the concept sheet that
            says which group a concept is of, None for no groups.

    Returns:
        (Arrow table of the schema OF_CONCEPT, sorted by count; the concepts without any score -> their paths).
    """
    count_of = read_counts_of(counts, ("effective_count",))
    group_of = {concept.slug: concept.group for concept in read_sheet(sheet)} if sheet else {}
    rows, unscored, images_of = [], {}, {}
    for concept, path in scores.items():
        prompts = read(path, ["prompt", "score", "image_scores"], schema=OF_PROMPT).to_pylist()
        of_prompts = [row["score"] for row in prompts if row["score"] is not None]
        if not of_prompts:
            unscored[concept] = path
            continue
        if concept not in count_of:
            raise DataError(f"{counts}: no count of {concept!r}, which {path} is of; ask snakemake for both")
        found = count_of[concept]
        images_of[concept] = {row["prompt"]: row["image_scores"] or [] for row in prompts}
        rows.append(
            {name: found.get(name) for name in ("captions", "downloaded", "matches", "low", "high")}
            | {
                "concept": concept,
                "effective_count": found["effective_count"],
                "score": float(np.mean(of_prompts)),
                "score_variance": float(np.var(of_prompts)),
                "group": group_of.get(concept) or None,
            }
        )
    aligned = _align_prompts(images_of)
    for row in rows:
        row["image_scores"] = aligned[row["concept"]]
    rows.sort(key=lambda row: (row["effective_count"], row["concept"]))
    return pa.Table.from_pylist(rows, schema=OF_CONCEPT), unscored
