"""Erased stable diffusion: the model is taught to move away from the concept (arXiv 2303.07345, its variant ESD-x)."""

import torch

from fit.atelier.erasing.base import Method, cross_attention, erased_target


class Esd(Method):
    """Trains cross-attention so that its prediction for the concept is the unchanged model's, led away from it.

    Unlike the published code, latents are sampled from the unchanged model once, not from the trained one in every
    step.
    """

    def trained(self) -> list[torch.nn.Parameter]:
        """Return the U-Net's cross-attention."""
        return cross_attention(self.model.unet)

    def loss(self) -> torch.Tensor:
        """Return the mean squared error to the target."""
        model = self.model
        latents = model.erased.draw(self.settings.erasing_batch)
        ids = model.erased_ids[latents.prompts]
        target = erased_target(model.teach(ids, latents), model.teach_empty(latents), self.settings.strength)
        with torch.no_grad():
            states = model.encode(model.teacher_text, ids)
        return torch.nn.functional.mse_loss(model.noise(model.unet, states, latents.noisy, latents.times), target)
