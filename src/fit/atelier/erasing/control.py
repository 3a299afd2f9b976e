"""Controls: the same weights are fine-tuned as long, on the same prompts, and nothing is erased.

The target is the noise that was added to the model's own pictures, as in any training. (The unchanged model's
prediction as a target would not be a control: its gradient is 0, so nothing would be trained.)
"""

from typing import Any

import torch

from fit.atelier.erasing.base import Latents, Method, cross_attention


class Control(Method):
    """Fine-tunes cross-attention."""

    def trained(self) -> list[torch.nn.Parameter]:
        """Return the U-Net's cross-attention."""
        return cross_attention(self.model.unet)

    def parts(self) -> tuple[Any, Any]:
        """Return (text encoder, U-Net) that predict."""
        return self.model.teacher_text, self.model.unet

    def loss(self) -> torch.Tensor:
        """Return the mean squared error to the noise, over latents of the concepts to erase."""
        latents = self.model.erased.draw(self.settings.erasing_batch)
        return self.noise_loss(latents, self.model.erased_ids[latents.prompts])

    def noise_loss(self, latents: Latents, ids: torch.Tensor) -> torch.Tensor:
        """Return the mean squared error of the predicted noise to noise that is added to clean latents."""
        model = self.model
        text_encoder, unet = self.parts()
        noise = torch.randn_like(latents.clean)
        times = torch.randint(len(model.alphas), (len(noise),))
        kept = model.alphas[times].view(-1, 1, 1, 1)
        noisy = kept.sqrt() * latents.clean + (1 - kept).sqrt() * noise
        return torch.nn.functional.mse_loss(model.noise(unet, model.encode(text_encoder, ids), noisy, times), noise)


class ControlText(Control):
    """Fine-tunes the text encoder, on latents of the concepts to erase and, weighted, of others, as AdvUnlearn does."""

    def trained(self) -> list[torch.nn.Parameter]:
        """Return all weights of the text encoder."""
        return list(self.model.text_encoder.parameters())

    def parts(self) -> tuple[Any, Any]:
        """Return (text encoder, U-Net) that predict."""
        return self.model.text_encoder, self.model.teacher_unet

    def loss(self) -> torch.Tensor:
        """Return the error for concepts to erase and, weighted, for others."""
        kept = self.model.others.draw(self.settings.erasing_batch)
        of_others = self.noise_loss(kept, self.model.other_ids[kept.prompts])
        return super().loss() + self.settings.retain_weight * of_others
