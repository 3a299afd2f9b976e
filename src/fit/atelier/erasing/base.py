"""What every method of erasing has: a pipeline to learn from, another to train, and noisy latents of prompts."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import DDIMScheduler

from fit.atelier.settings import ErasingSettings

SAMPLES = 24
"""Pictures that are sampled of the prompts with a concept to erase, and as many of the others'."""
SAMPLING_STEPS = 15
"""Steps of DDIM with which they are sampled; every latent on the way is kept."""
SAMPLING_GUIDANCE = 3.0
"""Scale of guidance, as in the published code of erased stable diffusion."""


@dataclass(frozen=True)
class Latents:
    """Noisy latents, and the prompts that they are of."""

    noisy: torch.Tensor
    """[B, C, H, W]."""
    times: torch.Tensor
    """[B] timesteps."""
    clean: torch.Tensor
    """[B, C, H, W] what they become in the end."""
    prompts: torch.Tensor
    """[B] numbers of prompts."""

    def take(self, rows: torch.Tensor) -> "Latents":
        """Return the latents at `rows`."""
        return Latents(self.noisy[rows], self.times[rows], self.clean[rows], self.prompts[rows])

    def draw(self, number: int) -> "Latents":
        """Return `number` of them, drawn with replacement."""
        return self.take(torch.randint(len(self.noisy), (number,)))


class Erasable:
    """A pipeline that stays as it is, and its copy that is trained."""

    def __init__(self, pipe: Any, erased: Sequence[str], others: Sequence[str], templates: Sequence[str]):
        """Sample latents of prompts with the names, from the pipeline as it is.

        Args:
            pipe: of Stable Diffusion's parts; it is not changed.
            erased: names of the concepts to erase.
            others: names of concepts that stay.
            templates: prompts with {name}.
        """
        self.teacher_unet = pipe.unet.eval().requires_grad_(False)
        self.teacher_text = pipe.text_encoder.eval().requires_grad_(False)
        self.unet = copy.deepcopy(self.teacher_unet)
        self.text_encoder = copy.deepcopy(self.teacher_text)
        self.tokenizer = pipe.tokenizer
        self.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)
        self.alphas = self.scheduler.alphas_cumprod
        self.empty = self.encode(self.teacher_text, self.tokens([""]))
        pairs = [(template, name) for name in erased for template in templates]
        self.erased_ids = self.tokens([template.format(name=name) for template, name in pairs])
        rest = [(place, name) for name in others for place in range(len(templates))] or [(0, "")]
        self.other_ids = self.tokens([templates[place].format(name=name) for place, name in rest])
        # For each prompt of the others, the same template with a concept to erase.
        self.swapped_ids = torch.stack(
            [self.erased_ids[place + len(templates) * (at % len(erased))] for at, (place, _) in enumerate(rest)]
        )
        self.erased = self._sample(self.erased_ids)
        self.others = self._sample(self.other_ids)

    def tokens(self, prompts: Sequence[str]) -> torch.Tensor:
        """Return token numbers [N, tokens] of prompts."""
        return self.tokenizer(list(prompts), padding="max_length", truncation=True, return_tensors="pt").input_ids

    @staticmethod
    def encode(text_encoder: Any, ids: torch.Tensor) -> torch.Tensor:
        """Return what the U-Net attends to, [N, tokens, width], of token numbers [N, tokens]."""
        return text_encoder(ids)[0]

    def noise(self, unet: Any, states: torch.Tensor, noisy: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        """Return the noise [B, C, H, W] that a U-Net predicts.

        A U-Net that predicts the velocity v says the noise too: sqrt(a) v + sqrt(1 - a) x (arXiv 2202.00512, appendix
        D), a the cumulative product of the schedule.

        Args:
            unet: the trained one, or the teacher's.
            states: [B or 1, tokens, width] encoded prompts.
            noisy: [B, C, H, W] latents x.
            times: [B] timesteps.
        """
        found = unet(noisy, times, encoder_hidden_states=states.expand(len(noisy), -1, -1)).sample
        if self.scheduler.config["prediction_type"] == "epsilon":
            return found
        kept = self.alphas[times].view(-1, 1, 1, 1).to(found)
        return kept.sqrt() * found + (1 - kept).sqrt() * noisy

    @torch.no_grad()
    def teach(self, ids: torch.Tensor, latents: Latents) -> torch.Tensor:
        """Return the noise that the unchanged pipeline predicts for prompts [B, tokens]."""
        return self.noise(self.teacher_unet, self.encode(self.teacher_text, ids), latents.noisy, latents.times)

    @torch.no_grad()
    def teach_empty(self, latents: Latents) -> torch.Tensor:
        """Return the noise that the unchanged pipeline predicts for the empty prompt."""
        return self.noise(self.teacher_unet, self.empty, latents.noisy, latents.times)

    @torch.no_grad()
    def _sample(self, ids: torch.Tensor) -> Latents:
        """Return latents on the way from noise to pictures of prompts that are drawn from `ids` [P, tokens]."""
        config, unet = self.teacher_unet.config, self.teacher_unet
        prompts = torch.randint(len(ids), (SAMPLES,))
        states = torch.cat([self.encode(self.teacher_text, ids[prompts]), self.empty.expand(SAMPLES, -1, -1)])
        latents = torch.randn(SAMPLES, config.in_channels, config.sample_size, config.sample_size)
        self.scheduler.set_timesteps(SAMPLING_STEPS)
        on_the_way, times = [], []
        for time in self.scheduler.timesteps:
            on_the_way.append(latents)
            times.append(torch.full((SAMPLES,), int(time)))
            wanted, empty = unet(torch.cat([latents, latents]), time, encoder_hidden_states=states).sample.chunk(2)
            latents = self.scheduler.step(empty + SAMPLING_GUIDANCE * (wanted - empty), time, latents).prev_sample
        return Latents(
            torch.cat(on_the_way),
            torch.cat(times),
            latents.repeat(len(times), 1, 1, 1),
            prompts.repeat(len(times)),
        )


def erased_target(conditional: torch.Tensor, empty: torch.Tensor, strength: float) -> torch.Tensor:
    """Return the noise that erased stable diffusion teaches, eps(0) - eta (eps(c) - eps(0)) (arXiv 2303.07345, eq. 7).

    Args:
        conditional: eps(c) of the unchanged model.
        empty: eps(0) of it.
        strength: eta.
    """
    return empty - strength * (conditional - empty)


def cross_attention(unet: torch.nn.Module) -> list[torch.nn.Parameter]:
    """Return the weights of a U-Net's cross-attention."""
    return [weight for name, weight in unet.named_parameters() if "attn2" in name]


class Method(ABC):
    """A way to erase: which weights are trained, and by what."""

    def __init__(self, model: Erasable, settings: ErasingSettings):
        """Choose the weights that are trained."""
        self.model, self.settings = model, settings
        self.parameters = self.trained()
        for weight in self.parameters:
            weight.requires_grad_(True)

    @abstractmethod
    def trained(self) -> list[torch.nn.Parameter]:
        """Return the weights that are trained."""

    @abstractmethod
    def loss(self) -> torch.Tensor:
        """Return the loss of one step, on latents that are drawn for it."""

    def gradients(self) -> tuple[torch.Tensor, ...]:
        """Return the direction of one step: a tensor for each weight."""
        return torch.autograd.grad(self.loss(), self.parameters)
