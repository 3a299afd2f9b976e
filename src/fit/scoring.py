"""How closely a model's pictures of a concept resemble it."""

import numpy as np

from fit.errors import DataError

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


def imitation_score(generated, targets, top_k):
    """The imitation score of one prompt: the mean cosine to the targets that its images resemble most.

    Args:
        generated: [G, D] unit vectors of the prompt's images.
        targets: [T, D] unit vectors.
        top_k: how many targets: those with the highest mean cosine to the generated images.

    Returns:
        The mean of the top_k x G cosines, a float.

    Raises:
        DataError: there is no generated image or no target.
    """
    if not len(generated) or not len(targets):
        raise DataError("no generated image with exactly one face" if len(targets) else "no target image")
    # The mean of cosines to all generated images is the cosine-like product with their mean vector.
    mean_cosines = targets.astype(np.float64) @ generated.mean(axis=0, dtype=np.float64)
    return float(np.sort(mean_cosines)[::-1][:top_k].mean())
