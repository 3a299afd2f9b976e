"""The losses of training and of cleaning.

Embeddings are unit vectors [N, D], a row a pair; scale is 1 / temperature.
"""

import torch
import torch.nn.functional as F


def _one_way(queries: torch.Tensor, keys: torch.Tensor, scale: torch.Tensor | float) -> torch.Tensor:
    """Return the cross-entropy of each query's own key among all N keys, a mean over queries."""
    return F.cross_entropy(scale * queries @ keys.T, torch.arange(len(queries)))


def contrastive(images: torch.Tensor, texts: torch.Tensor, scale: torch.Tensor | float) -> torch.Tensor:
    """Return CLIP's symmetric InfoNCE (arXiv 2103.00020, figure 3): the mean of both directions."""
    return (_one_way(images, texts, scale) + _one_way(texts, images, scale)) / 2


def self_supervised(
    images: torch.Tensor,
    changed_images: torch.Tensor,
    texts: torch.Tensor,
    changed_texts: torch.Tensor,
    scale: torch.Tensor | float,
) -> torch.Tensor:
    """Return the loss within each modality: a picture finds its changed copy, a caption its own (arXiv 2303.03323).

    It is half the sum of the cross-entropies of pictures and of captions, each in the direction to the changed copies.
    """
    return (_one_way(images, changed_images, scale) + _one_way(texts, changed_texts, scale)) / 2


def cleaning(
    images: torch.Tensor,
    changed_images: torch.Tensor,
    texts: torch.Tensor,
    changed_texts: torch.Tensor,
    scale: torch.Tensor | float,
    weights: tuple[float, float] = (1.0, 1.0),
) -> torch.Tensor:
    """Return CleanCLIP's loss (arXiv 2303.03323): the weighted sum of `contrastive` and `self_supervised`.

    With weights of 1 it is also the objective of training with self-supervision (arXiv 2311.14948).
    """
    of_pairs = contrastive(images, texts, scale)
    return weights[0] * of_pairs + weights[1] * self_supervised(images, changed_images, texts, changed_texts, scale)
