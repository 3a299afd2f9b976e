"""Other scores of resemblance than the imitation score, as the paper compared them: on the same pictures and targets.

`clip`: mean cosine of generated images to their own prompt, by an embedder with a text tower. `frechet`: Fréchet
distance between generated images and targets, the more alike the smaller. `top5`: mean over generated images of the
mean cosine to the five targets that each resembles most.
"""

from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from fit.embeddings.files import read_embeddings
from fit.errors import DataError
from fit.scores.imitation import AT_ONCE, read_pictures, read_targets

KINDS = ("clip", "frechet", "top5")
SCHEMA = pa.schema([("kind", pa.string()), ("prompt", pa.string()), ("value", pa.float64()), ("images", pa.int32())])


def frechet_distance(one, other):
    """Fréchet distance between two sets of vectors, taken for samples of Gaussians (arXiv 1706.08500, equation 6).

    |m1 - m2|^2 + Tr(C1) + Tr(C2) - 2 Tr((C1 C2)^(1/2)). The last trace is the sum of the singular values of A B^T where
    A^T A = C1 and B^T B = C2: singular covariances (fewer vectors than numbers) need no regularisation. It is biased
    upwards in small samples, so compare only sets of like sizes.

    Args:
        one, other: [N, D] and [M, D], N and M at least 2.

    Raises:
        DataError: there are fewer.
    """
    if len(one) < 2 or len(other) < 2:
        raise DataError("a Fréchet distance takes two vectors or more on each side")
    (one, a), (other, b) = _gaussian(one), _gaussian(other)
    apart = ((one - other) ** 2).sum()
    shared = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    return float(max(0.0, apart + (a**2).sum() + (b**2).sum() - 2 * shared))


def _gaussian(vectors):
    """(mean [D], A [at most D, D] with A^T A the covariance) of `vectors` [N, D], of which there may be very many."""
    mean = vectors.mean(axis=0, dtype=np.float64)
    root: Any = np.zeros((0, len(mean)))
    for start in range(0, len(vectors), AT_ONCE):
        root = np.linalg.qr(np.concatenate([root, vectors[start : start + AT_ONCE] - mean]), mode="r")
    return mean, root / np.sqrt(len(vectors) - 1)


def mean_of_top(generated, targets, k=5):
    """Mean over `generated` [G, D] of each one's mean cosine to the `k` of `targets` [T, D] nearest to it."""
    k = min(k, len(targets))
    return float(np.partition(generated @ targets.T, -k, axis=1)[:, -k:].mean(dtype=np.float64))


def score_concept(
    generated,
    generated_embeddings,
    images,
    matches,
    references,
    reference_embeddings,
    *,
    targets_rule,
    prompt_images,
    prompts,
):
    """Score one concept in every other way.

    Args:
        generated ... targets_rule: as fit.scores.imitation.score_concept takes them.
        prompt_images: embeddings of the generated images by an embedder with a text tower, None for no CLIP score.
        prompts: embeddings of the prompts by the same; image_id is the prompt.

    Returns:
        Arrow table of SCHEMA: a row per prompt for clip and top5, one for frechet, over all prompts; value is null
        where there is no image or target, or the prompt is not known.
    """
    targets = read_targets(images, matches, references, reference_embeddings, targets_rule)
    pictures = read_pictures(generated, generated_embeddings)
    rows = []
    for prompt, of_prompt in pictures.items():
        value = mean_of_top(of_prompt, targets) if len(of_prompt) and len(targets) else None
        rows.append({"kind": "top5", "prompt": prompt, "value": value, "images": len(of_prompt)})
    number = sum(map(len, pictures.values()))
    comparable = number > 1 and len(targets) > 1
    value = frechet_distance(np.concatenate(list(pictures.values())), targets) if comparable else None
    rows.append({"kind": "frechet", "prompt": None, "value": value, "images": number})
    if prompt_images:
        rows += _clip_scores(read_pictures(generated, prompt_images), *read_embeddings(prompts))
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def _clip_scores(pictures, prompts, of_prompts):
    text_of = dict(zip(prompts.tolist(), of_prompts, strict=True))
    rows = []
    for prompt, images in pictures.items():
        known = len(images) and prompt in text_of
        value = float((images @ text_of[prompt]).mean(dtype=np.float64)) if known else None
        rows.append({"kind": "clip", "prompt": prompt, "value": value, "images": len(images)})
    return rows


def tabulate(imitation, scores, kind):
    """One kind of score of all concepts, as a table that `fit thresholds detect` reads.

    PELT's penalty of 0.9 is meant for imitation scores. So that it means the same here, the values are stretched and
    moved to the mean and the variance that the imitation scores of the same concepts have; a distance is turned round
    first.

    Args:
        imitation: path of the study's table of imitation scores; scores: concept -> path of its SCHEMA; kind: of KINDS.

    Returns:
        Arrow table of the columns of `imitation`, but for the scores of images, with score (stretched) and value (as it
        was measured); in its order, without the concepts that have no value. So counts have the same error, and
        concepts the same groups, as where the imitation score is asked for its threshold.

    Raises:
        DataError: no concept has a value of this kind.
    """
    table = pl.read_parquet(imitation)
    values, unknown = {}, []
    for concept, path in scores.items():
        of_kind = pl.read_parquet(path).filter(pl.col("kind") == kind)
        of_concept = of_kind["value"].drop_nulls()
        if len(of_concept):
            values[concept] = of_concept.mean()
        else:
            unknown += of_kind["prompt"].drop_nulls().to_list()
    found = table.filter(pl.col("concept").is_in(list(values)))
    if not len(found):
        remedy = ""
        if kind == "clip":
            remedy = "; give the domain a `prompt_embedder` in config.yaml"
            if unknown:
                remedy = (
                    f", as the prompts of its pictures, such as {unknown[0]!r}, are none of the domain's; a folder of "
                    "pictures at hand has to be named by its whole prompt, the concept's name in it"
                )
        raise DataError(f"{imitation}: no concept has a score of the kind {kind!r}{remedy}")
    value = np.array([values[concept] for concept in found["concept"]], float)
    alike = -value if kind == "frechet" else value
    spread = alike.std() or 1.0
    score = found["score"].mean() + (alike - alike.mean()) / spread * found["score"].std(ddof=0)
    return (
        found.drop("score_variance", "image_scores", strict=False)
        .with_columns(score=pl.Series(score), value=pl.Series(value))
        .to_arrow()
    )
