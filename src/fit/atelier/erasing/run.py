"""Erases concepts from a pipeline in a folder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionPipeline
from tqdm import trange

from fit.atelier.erasing import COMPONENTS, load
from fit.atelier.erasing.base import Erasable
from fit.atelier.settings import ErasingSettings
from fit.errors import ModelError


def erase(
    pipeline: str | Path,
    erased: Sequence[str],
    others: Sequence[str],
    templates: Sequence[str],
    settings: ErasingSettings,
    *,
    seed: int,
) -> Any:
    """Return the component of a pipeline that a method trained, on the processor.

    Args:
        pipeline: folder of a diffusers pipeline of Stable Diffusion's parts.
        erased: names of the concepts to erase.
        others: names of concepts that stay.
        templates: prompts with {name}.
        settings: how.
        seed: of latents, prompts and noise.

    Raises:
        ModelError: the folder is not such a pipeline, or numbers left their range.
    """
    torch.manual_seed(seed)
    try:
        pipe = StableDiffusionPipeline.from_pretrained(
            pipeline, safety_checker=None, requires_safety_checker=False, local_files_only=True, use_safetensors=True
        )
    except Exception as error:  # whatever the code of diffusers raises
        raise ModelError(
            f"{pipeline}: concepts are erased from folders with a StableDiffusionPipeline, and this is not one "
            f"({error}); name another `base`"
        ) from error
    model = Erasable(pipe, erased, others, templates)
    method = load(settings.method)(model, settings)
    optimizer = torch.optim.Adam(method.parameters, lr=settings.erasing_rate)
    progress = trange(settings.erasing_steps, desc="erasing", mininterval=2)
    for step in progress:
        for weight, gradient in zip(method.parameters, method.gradients(), strict=True):
            weight.grad = gradient
        if not all(torch.isfinite(weight.grad).all() for weight in method.parameters if weight.grad is not None):
            raise ModelError(f"step {step} of erasing left the range of numbers; set a lower `erasing_rate`")
        optimizer.step()
    return getattr(model, COMPONENTS[settings.method])
