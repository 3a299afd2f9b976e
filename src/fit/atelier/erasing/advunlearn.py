"""AdvUnlearn: the text encoder is taught to erase a concept while an adversary looks for it (arXiv 2405.15234)."""

from typing import Any

import torch
from torch.nn.functional import mse_loss

from fit.atelier.erasing.base import Latents, Method, erased_target

PREFIX = 1
"""Tokens that the adversary puts before the prompt."""


def encode_with_prefix(text_encoder: Any, ids: torch.Tensor, prefix: torch.Tensor) -> torch.Tensor:
    """Return encoded prompts [B, tokens, width] that begin with embeddings of no token.

    Args:
        text_encoder: of CLIP.
        ids: [B, tokens] token numbers; the last ones, which are padding, make place.
        prefix: [P, width] embeddings, put behind the token that starts a text.
    """
    number = len(prefix)
    longer = torch.cat([ids[:, :1], ids[:, :1].expand(-1, number), ids[:, 1 : ids.shape[1] - number]], dim=1)
    longer[:, -1] = ids[:, -1]  # a text that fills all places still ends

    def put(module: torch.nn.Module, inputs: Any, embedded: torch.Tensor) -> torch.Tensor:
        middle = prefix.expand(len(embedded), -1, -1)
        return torch.cat([embedded[:, :1], middle, embedded[:, 1 + number :]], dim=1)

    hook = text_encoder.get_input_embeddings().register_forward_hook(put)
    try:
        return text_encoder(longer)[0]
    finally:
        hook.remove()


class AdvUnlearn(Method):
    """Trains the text encoder on erased stable diffusion's loss, under the prefix that brings the concept back most.

    Unlike the published code, latents are sampled from the unchanged model once, and the other prompts are those of the
    other concepts of the sheet.
    """

    def trained(self) -> list[torch.nn.Parameter]:
        """Return all weights of the text encoder."""
        return list(self.model.text_encoder.parameters())

    def attack(self, latents: Latents) -> torch.Tensor:
        """Return a prefix [PREFIX, width] with which the present model predicts what the unchanged one does.

        Adam minimises the mean squared error between the two predictions of noise, from the embedding of a random token
        on.

        Args:
            latents: that it looks at.
        """
        model, settings = self.model, self.settings
        ids = model.erased_ids[latents.prompts]
        wanted = model.teach(ids, latents)
        known = model.text_encoder.get_input_embeddings().weight.detach()
        prefix = known[torch.randint(len(known), (PREFIX,))].clone().requires_grad_(True)
        optimizer = torch.optim.Adam([prefix], lr=settings.attack_rate)
        for _ in range(settings.attack_steps):
            states = encode_with_prefix(model.text_encoder, ids, prefix)
            found = model.noise(model.teacher_unet, states, latents.noisy, latents.times)
            (prefix.grad,) = torch.autograd.grad(mse_loss(found, wanted), [prefix])
            optimizer.step()
        return prefix.detach()

    def loss(self) -> torch.Tensor:
        """Return the erasing term under the adversary's prefix and, weighted, the retaining term."""
        model, settings = self.model, self.settings
        latents, kept = model.erased.draw(settings.erasing_batch), model.others.draw(settings.erasing_batch)
        prefix = self.attack(latents.take(torch.arange(min(settings.attack_batch, settings.erasing_batch))))
        return self.erasing_term(latents, prefix) + settings.retain_weight * self.retaining_term(kept)

    def erasing_term(self, latents: Latents, prefix: torch.Tensor) -> torch.Tensor:
        """Return the mean squared error, under a prefix, to the target of erased stable diffusion."""
        model = self.model
        ids = model.erased_ids[latents.prompts]
        target = erased_target(model.teach(ids, latents), model.teach_empty(latents), self.settings.strength)
        states = encode_with_prefix(model.text_encoder, ids, prefix)
        return mse_loss(model.noise(model.teacher_unet, states, latents.noisy, latents.times), target)

    def retaining_term(self, latents: Latents) -> torch.Tensor:
        """Return the mean squared error to the unchanged model for other prompts."""
        model = self.model
        ids = model.other_ids[latents.prompts]
        states = model.encode(model.text_encoder, ids)
        found = model.noise(model.teacher_unet, states, latents.noisy, latents.times)
        return mse_loss(found, model.teach(ids, latents))
