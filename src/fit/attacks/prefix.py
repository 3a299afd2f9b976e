"""A prefix of token embeddings with which a model imitates a concept again: an attacker who did not train the defence.

In the manner of UnlearnDiffAtk (Zhang et al. 2023, "To Generate or Not? Safety-Driven Unlearned Diffusion Models Are
Still Easy To Generate Unsafe Images ... For Now", arXiv 2310.11868): the model itself judges. The prefix is found with
which it predicts the noise on pictures of the concept best,

    minimise over the prefix  E over pictures, times and noise of || eps(picture + noise, prefix + prompt) - noise ||^2.

Theirs are tokens of the vocabulary; these are embeddings, which an attacker who has the weights may give as well. The
file is one that diffusers loads as a textual inversion.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from fit.attacks.settings import PrefixSettings
from fit.errors import DataError, ModelError

if TYPE_CHECKING:
    from fit.generated.diffusers import Diffusers

KEY = "prefix"
"""Name of the tensor [tokens, width] in the file."""


def _check(model: "Diffusers") -> Any:
    """Return the loaded pipeline.

    Raises:
        ModelError: it is of another kind than Stable Diffusion's.
    """
    import diffusers

    pipe = model.pipe
    if not isinstance(pipe, diffusers.StableDiffusionPipeline):
        raise ModelError(
            f"{model.place}: a prefix is found for a Stable Diffusion pipeline with one text encoder, and this is a "
            f"{type(pipe).__name__}; take `prefix` off the attacks on this model"
        )
    return pipe


def encode_pictures(pipe: Any, pictures: Sequence[Image.Image]) -> torch.Tensor:
    """Return the latents [N, C, h, w] of pictures, scaled as the U-Net sees them."""
    side = pipe.unet.config.sample_size
    height, width = (side, side) if isinstance(side, int) else side
    factor = pipe.vae_scale_factor
    size = (width * factor, height * factor)
    arrays = [np.asarray(one.convert("RGB").resize(size, Image.Resampling.BICUBIC), np.float32) for one in pictures]
    tensor = torch.from_numpy(np.stack(arrays)).movedim(-1, 1) / 127.5 - 1
    found = []
    for picture in tensor.split(8):
        encoded = pipe.vae.encode(picture.to(pipe.device, pipe.vae.dtype))
        # The autoencoders of latent diffusion give a distribution, small ones the latents.
        found.append(encoded.latent_dist.mean if hasattr(encoded, "latent_dist") else encoded.latents)
    shift = getattr(pipe.vae.config, "shift_factor", None) or 0
    return (torch.cat(found) - shift) * pipe.vae.config.scaling_factor


class _Texts:
    """Encodes prompts after a prefix, so that the prefix has a gradient."""

    def __init__(self, pipe: Any, prompts: Sequence[str], tokens: int):
        self._pipe, self._tokens = pipe, tokens
        tokenizer = pipe.tokenizer
        longest = tokenizer.model_max_length
        ids = tokenizer(list(prompts), truncation=True, max_length=longest - tokens, padding="longest").input_ids
        begin, pad = [one[:1] for one in ids], tokenizer.pad_token_id
        # What stands for the prefix is replaced; any id does.
        rows = [
            first + [pad] * tokens + one[1:] + [pad] * (longest - tokens - len(one))
            for first, one in zip(begin, ids, strict=True)
        ]
        self._ids = torch.tensor(rows, device=pipe.device)
        self._mask = None
        if getattr(pipe.text_encoder.config, "use_attention_mask", None):
            raise ModelError("this text encoder takes an attention mask, for which a prefix is not made")

    def encode(self, prefix: torch.Tensor, which: torch.Tensor) -> torch.Tensor:
        """Return the states [B, length, width] of the prompts `which` [B] after `prefix` [tokens, width]."""

        def replace(module: torch.nn.Module, args: tuple, output: torch.Tensor) -> torch.Tensor:
            own = prefix.to(output.dtype).expand(len(output), -1, -1)
            return torch.cat([output[:, :1], own, output[:, 1 + self._tokens :]], dim=1)

        hook = self._pipe.text_encoder.get_input_embeddings().register_forward_hook(replace)
        try:
            return self._pipe.text_encoder(self._ids[which])[0]
        finally:
            hook.remove()


def _target(scheduler: Any, latents: torch.Tensor, noise: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
    """Return what the U-Net should predict."""
    kind = scheduler.config.prediction_type
    if kind == "v_prediction":
        return scheduler.get_velocity(latents, noise, times)
    return noise if kind == "epsilon" else latents


def find_prefix(
    model: "Diffusers", pictures: Sequence[Image.Image], prompts: Sequence[str], settings: PrefixSettings, seed: int
) -> tuple[torch.Tensor, list[float]]:
    """Find the prefix with which a model predicts the noise on pictures of a concept best.

    Args:
        model: loaded, a Stable Diffusion pipeline.
        pictures: of the concept: references, or pictures by a model that was not defended.
        prompts: that the prefix is to go before, with the concept's name.
        settings: of the optimisation.
        seed: of the first embeddings, the noise, and the order of pictures.

    Returns:
        (prefix [tokens, width] float32, the loss of each step).

    Raises:
        ModelError: it is of another kind than Stable Diffusion's.
        DataError: there is no picture or prompt.
    """
    from diffusers import DDPMScheduler

    if not pictures or not prompts:
        raise DataError(f"no {'prompt' if pictures else 'picture of the concept'} to find a prefix with; give some")
    pipe = _check(model)
    random = torch.Generator("cpu").manual_seed(seed)
    scheduler = DDPMScheduler.from_config(pipe.scheduler.config)
    count = scheduler.config.num_train_timesteps
    with torch.no_grad():
        latents = encode_pictures(pipe, pictures)
        vocabulary = pipe.text_encoder.get_input_embeddings().weight
        first = torch.randint(len(vocabulary), (settings.prefix_tokens,), generator=random)
        prefix = vocabulary[first.to(vocabulary.device)].float().clone().requires_grad_()
    trained = [one for part in (pipe.unet, pipe.text_encoder) for one in part.parameters() if one.requires_grad]
    texts, losses = _Texts(pipe, prompts, settings.prefix_tokens), []
    optimizer = torch.optim.Adam([prefix], lr=settings.prefix_learning_rate)
    for one in trained:
        one.requires_grad_(False)
    try:
        for _ in tqdm(range(settings.prefix_steps), desc="prefix", unit="step", mininterval=2):
            which, prompt = (
                torch.randint(len(of), (settings.prefix_batch,), generator=random) for of in (latents, prompts)
            )
            times = torch.randint(count, (settings.prefix_batch,), generator=random).to(pipe.device)
            clean = latents[which.to(pipe.device)]
            noise = torch.randn(clean.shape, generator=random).to(clean)
            states = texts.encode(prefix, prompt.to(pipe.device))
            noisy = scheduler.add_noise(clean, noise, times)
            predicted = pipe.unet(noisy, times, encoder_hidden_states=states, return_dict=False)[0]
            loss = (predicted.float() - _target(scheduler, clean, noise, times).float()).square().mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    finally:
        for one in trained:
            one.requires_grad_(True)
    if not torch.isfinite(prefix).all():
        raise ModelError(
            f"{model.place}: the prefix left the range of numbers; lower `prefix_learning_rate`, or set "
            "`dtype: float32`"
        )
    return prefix.detach().cpu(), losses
