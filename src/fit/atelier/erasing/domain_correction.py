"""Concept domain correction: predictions for the concept become like an anchor's (arXiv 2405.15304)."""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy
from torch.nn.functional import mse_loss

from fit.atelier.erasing.base import Erasable, Latents, Method, cross_attention
from fit.atelier.settings import ErasingSettings

WIDTH = 32
"""Channels of the discriminator."""
FASTER = 10.0
"""The discriminator's learning rate, as a multiple of the U-Net's: the ratio of the published code's."""
WARM_UP = 30
"""Steps of the discriminator before the U-Net is trained."""


def make_discriminator(channels: int) -> nn.Sequential:
    """Return a patch discriminator: predictions of noise [B, C, H, W] -> a logit for each patch [B, 1, h, w]."""
    return nn.Sequential(
        nn.Conv2d(channels, WIDTH, 4, stride=2, padding=1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(WIDTH, 2 * WIDTH, 4, stride=2, padding=1),
        nn.GroupNorm(8, 2 * WIDTH),
        nn.LeakyReLU(0.2),
        nn.Conv2d(2 * WIDTH, 1, 3, padding=1),
    )


def without_conflict(unlearning: Sequence[torch.Tensor], retaining: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
    """Return the unlearning gradient without what conflicts with the retaining one.

    Where their inner product, over all weights, is negative, it is g_u - (g_u . g_r) / (g_r . g_r) g_r; else g_u.

    Args:
        unlearning: g_u, a tensor for each weight.
        retaining: g_r, likewise.
    """
    product = sum(((u * r).sum() for u, r in zip(unlearning, retaining, strict=True)), torch.zeros(()))
    length = sum(((r * r).sum() for r in retaining), torch.zeros(()))
    if product >= 0 or length == 0:
        return tuple(unlearning)
    return tuple(u - product / length * r for u, r in zip(unlearning, retaining, strict=True))


class DomainCorrection(Method):
    """Trains cross-attention against a discriminator, and keeps to what does not harm other prompts.

    The anchor is the same prompt with another concept's name. Both predictions are of the anchor's latents.
    """

    def __init__(self, model: Erasable, settings: ErasingSettings):
        """Make the discriminator."""
        super().__init__(model, settings)
        self.discriminator = make_discriminator(model.teacher_unet.config.out_channels)
        self._optimizer = torch.optim.Adam(self.discriminator.parameters(), lr=FASTER * settings.erasing_rate)
        for _ in range(WARM_UP):
            self._train_discriminator(model.others.draw(settings.erasing_batch))

    def trained(self) -> list[torch.nn.Parameter]:
        """Return the U-Net's cross-attention."""
        return cross_attention(self.model.unet)

    def predicted(self, latents: Latents) -> torch.Tensor:
        """Return the noise that is predicted for the concept."""
        model = self.model
        with torch.no_grad():
            states = model.encode(model.teacher_text, model.swapped_ids[latents.prompts])
        return model.noise(model.unet, states, latents.noisy, latents.times)

    def _train_discriminator(self, latents: Latents) -> None:
        with torch.no_grad():
            target = self.predicted(latents)
        anchor = self.model.teach(self.model.other_ids[latents.prompts], latents)
        loss = self.discriminator_loss(target, anchor)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._optimizer.step()

    def discriminator_loss(self, target: torch.Tensor, anchor: torch.Tensor) -> torch.Tensor:
        """Return the cross-entropy of telling the anchor's predictions (1) from the concept's (0)."""
        real, false = self.discriminator(anchor), self.discriminator(target)
        return cross_entropy(real, torch.ones_like(real)) + cross_entropy(false, torch.zeros_like(false))

    def loss(self) -> torch.Tensor:
        """Return the unlearning loss: the cross-entropy of the concept's predictions being taken for the anchor's."""
        logits = self.discriminator(self.predicted(self.model.others.draw(self.settings.erasing_batch)))
        return cross_entropy(logits, torch.ones_like(logits))

    def retaining_loss(self) -> torch.Tensor:
        """Return the mean squared error to the unchanged model for other prompts."""
        model = self.model
        latents = model.others.draw(self.settings.erasing_batch)
        ids = model.other_ids[latents.prompts]
        with torch.no_grad():
            states = model.encode(model.teacher_text, ids)
        return mse_loss(model.noise(model.unet, states, latents.noisy, latents.times), model.teach(ids, latents))

    def gradients(self) -> tuple[torch.Tensor, ...]:
        """Train the discriminator by a step; return the unlearning gradient without conflict, and the retaining one."""
        self._train_discriminator(self.model.others.draw(self.settings.erasing_batch))
        unlearning = torch.autograd.grad(self.loss(), self.parameters)
        retaining = torch.autograd.grad(self.retaining_loss(), self.parameters)
        weight = self.settings.retain_weight
        return tuple(u + weight * r for u, r in zip(without_conflict(unlearning, retaining), retaining, strict=True))
