"""The imitation score: how closely a model's pictures of a concept resemble it."""

import numpy as np
import pyarrow as pa

from fit.errors import DataError
from fit.io.concept_tables import CONCEPT
from fit.scores.evidence import Evidence
from fit.scores.fixed import AT_ONCE, fixed_image_scores, fixed_sizes, fixed_weights
from fit.scores.settings import FixedTargetSettings, ScoreSettings, TargetSettings

OF_PROMPT = pa.schema(
    [
        CONCEPT,
        ("prompt", pa.string()),
        ("score", pa.float64()),
        ("images", pa.int32()),
        ("targets", pa.int32()),
        ("image_scores", pa.list_(pa.float64())),
        ("fixed_sizes", pa.list_(pa.int32())),
        ("fixed_scores", pa.list_(pa.float64())),
        ("fixed_image_scores", pa.list_(pa.list_(pa.float32()))),
    ]
)
"""image_scores: of each usable image, the mean cosine to the targets that the prompt was compared with; score is their
mean. A prompt without a usable image may have one image score of 0 (TargetSettings.empty_prompt). fixed_sizes: numbers
of targets to choose from (fit.scores.fixed); fixed_scores and fixed_image_scores: the same at each of these numbers."""

EMPTY_PROMPTS: dict[str, np.ndarray] = {"left_out": np.zeros(0), "zero": np.zeros(1)}
"""TargetSettings.empty_prompt -> the image scores of a prompt without a usable image."""


def image_scores(generated: np.ndarray, targets: np.ndarray, top_k: int) -> np.ndarray:
    """Return how closely each of a prompt's images resembles the targets that all of them resemble most.

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


def imitation_score(generated: np.ndarray, targets: np.ndarray, top_k: int) -> float:
    """Return the imitation score of one prompt: the mean of the top_k x G cosines of image_scores."""
    return float(image_scores(generated, targets, top_k).mean())


def score_concept(
    evidence: Evidence, targets: TargetSettings, settings: ScoreSettings, fixed: FixedTargetSettings | None = None
) -> pa.Table:
    """Score one concept, prompt by prompt. `fixed`: of the score at a fixed number of targets; None for its defaults.

    Returns:
        Arrow table of the schema OF_PROMPT, without the column `concept`: images that could be used (exactly one face),
        targets there were. The score is null, and there is no image score, where there are fewer targets than
        `targets.fewest_targets`, or no usable image; `targets.empty_prompt` may say 0 for the latter.
    """
    vectors = evidence.targets(targets.targets)
    sizes = fixed_sizes(len(vectors), settings.top_k, (fixed or FixedTargetSettings()).fixed_targets)
    weights = fixed_weights(len(vectors), sizes, settings.top_k)
    rows = []
    for prompt, pictures in evidence.pictures.items():
        of_images, at_sizes = np.zeros(0), np.zeros((0, 0))
        if len(vectors) >= targets.fewest_targets and len(pictures):
            of_images = image_scores(pictures, vectors, settings.top_k)
            at_sizes = fixed_image_scores(pictures, vectors, weights)
        elif len(vectors) >= targets.fewest_targets:
            of_images = EMPTY_PROMPTS[targets.empty_prompt]
            at_sizes = np.tile(of_images, (len(sizes), 1))
        usable = len(of_images) > 0
        rows.append(
            {
                "prompt": prompt,
                "score": float(of_images.mean()) if len(of_images) else None,
                "images": len(pictures),
                "targets": len(vectors),
                "image_scores": of_images.tolist(),
                "fixed_sizes": sizes if usable else [],
                "fixed_scores": at_sizes.mean(axis=1).tolist() if usable else [],
                "fixed_image_scores": at_sizes.tolist() if usable else [],
            }
        )
    return pa.Table.from_pylist(rows, schema=OF_PROMPT.remove(0))
