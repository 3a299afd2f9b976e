"""The imitation score: how closely a model's pictures of a concept resemble it."""

import numpy as np
import pyarrow as pa

from fit.errors import DataError
from fit.io.concept_tables import CONCEPT
from fit.scores.evidence import Evidence
from fit.scores.settings import ScoreSettings, TargetSettings

AT_ONCE = 8192
"""Targets of which a copy in double precision is in memory at once."""

OF_PROMPT = pa.schema(
    [
        CONCEPT,
        ("prompt", pa.string()),
        ("score", pa.float64()),
        ("images", pa.int32()),
        ("targets", pa.int32()),
        ("image_scores", pa.list_(pa.float64())),
    ]
)
"""image_scores: of each usable image, the mean cosine to the targets that the prompt was compared with; score is their
mean. A prompt without a usable image may have one image score of 0 (TargetSettings.empty_prompt)."""

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


def score_concept(evidence: Evidence, targets: TargetSettings, settings: ScoreSettings) -> pa.Table:
    """Score one concept, prompt by prompt.

    Returns:
        Arrow table of the schema OF_PROMPT, without the column `concept`: images that could be used (exactly one face),
        targets there were. The score is null, and there is no image score, where there are fewer targets than
        `targets.fewest_targets`, or no usable image; `targets.empty_prompt` may say 0 for the latter.
    """
    vectors = evidence.targets(targets.targets)
    rows = []
    for prompt, pictures in evidence.pictures.items():
        of_images = np.zeros(0)
        if len(vectors) >= targets.fewest_targets:
            empty = EMPTY_PROMPTS[targets.empty_prompt]
            of_images = image_scores(pictures, vectors, settings.top_k) if len(pictures) else empty
        rows.append(
            {
                "prompt": prompt,
                "score": float(of_images.mean()) if len(of_images) else None,
                "images": len(pictures),
                "targets": len(vectors),
                "image_scores": of_images.tolist(),
            }
        )
    return pa.Table.from_pylist(rows, schema=OF_PROMPT.remove(0))
