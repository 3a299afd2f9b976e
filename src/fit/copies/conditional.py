"""The one-prompt detector: how much of the noise that a model predicts is due to the text.

Of a memorised prompt, the text pulls every step strongly to one picture: the norm of eps(x_t, text) - eps(x_t, no
text), averaged over the steps, is large (Wen et al., "Detecting, explaining, and mitigating memorization in diffusion
models", ICLR 2024, equation 3).
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from fit.concepts.sheet import Concept
from fit.copies.tables import NORMS
from fit.errors import ModelError
from fit.generated.base import Generator
from fit.generated.run import image_seed
from fit.io.parquet import write


class _Seen:
    """The calls of a denoiser: a list a picture or batch, of (timestep, norms [B])."""

    def __init__(self, scheduler: Any):
        self._scheduler = scheduler
        self.batches: list[list[np.ndarray]] = []
        self._last = -np.inf

    def __call__(self, model: Any, args: Any, kwargs: Any, output: Any) -> None:
        time = kwargs["timestep"] if "timestep" in kwargs else args[1]
        predicted = output[0] if isinstance(output, tuple) else output.sample
        # Noise goes down within a picture, so a step up begins another one.
        if not self.batches or float(time) > self._last:
            self.batches.append([])
        self._last = float(time)
        without, with_text = predicted.float().chunk(2)
        # Some U-Nets predict the noise's variance too, in channels behind those of the noise.
        difference = (with_text - without)[:, : model.config.in_channels] * self._to_noise(float(time))
        self.batches[-1].append(difference.flatten(1).norm(dim=1).cpu().numpy())

    def _to_noise(self, time: float) -> float:
        """Return what turns a difference of predictions into one of noises: predictions may be of velocity or sample.

        With x_t = a x + s eps and a^2 + s^2 = 1: v = a eps - s x, so eps = a v + s x_t; and eps = (x_t - a x) / s.
        """
        kind = self._scheduler.config.get("prediction_type", "epsilon")
        if kind == "epsilon":
            return 1.0
        kept = float(self._scheduler.alphas_cumprod[round(time)])
        return kept**0.5 if kind == "v_prediction" else -((kept / (1 - kept)) ** 0.5)


def why_not(generator: Generator) -> str | None:
    """Say why a loaded generator's prompts can't be looked at; None if they can."""
    pipe = getattr(generator, "loaded", None)
    scheduler = getattr(pipe, "scheduler", None)
    if getattr(pipe, "unet", None) is None or not hasattr(scheduler, "alphas_cumprod"):
        return "the detector needs a diffusers pipeline with a U-Net and a scheduler of discrete noise levels"
    if not getattr(generator, "is_guided", False):
        return "the detector needs classifier-free guidance: a `guidance` above 1, which is no input of the U-Net"
    return None


@contextmanager
def _watched(generator: Any) -> Iterator[_Seen]:
    seen = _Seen(generator.loaded.scheduler)
    hook = generator.loaded.unet.register_forward_hook(seen, with_kwargs=True)
    try:
        yield seen
    finally:
        hook.remove()


def conditional_norms(generator: Generator, prompt: str, seeds: Sequence[int]) -> np.ndarray:
    """Return the mean norm of the text-conditional part of the predicted noise over the steps of each picture.

    Args:
        generator: loaded, for which `why_not` finds no reason.
        prompt: of all pictures.
        seeds: N, of the pictures.

    Returns:
        [N] float64.

    Raises:
        ModelError: the model can't make the pictures, or the numbers are not finite.
    """
    with _watched(generator) as seen:
        generator.generate([prompt] * len(seeds), seeds)
    (first, *others) = seen.batches
    if not others and all(len(norms) == len(seeds) for norms in first):
        found = np.stack(first).mean(axis=0, dtype=np.float64)
    elif len(seeds) > 1:  # memory ran out, or numbers did: each picture alone
        return np.concatenate([conditional_norms(generator, prompt, [seed]) for seed in seeds])
    else:  # made again in float32, as the first try left the range of a smaller format
        found = np.stack(seen.batches[-1]).mean(axis=0, dtype=np.float64)
    if not np.isfinite(found).all():
        raise ModelError(f"the predicted noise of {prompt!r} is not finite; set the model's `dtype: float32`")
    return found


def measure_norms(
    generator: Generator, concepts: Sequence[Concept], pictures: int, study_seed: int, out: str | Path
) -> None:
    """Write a table of the schema NORMS: of each prompt, over its first pictures, which have the seeds of `generate`.

    Where the model has no such part, all norms are null, and stderr says why.

    Args:
        generator: loaded.
        concepts: prompts, as their names.
        pictures: how many of each prompt.
        study_seed: of the study.
        out: path of the table.
    """
    reason = why_not(generator)
    if reason:
        print(f"fit: {reason}; this model has no detector, and all norms are null", file=sys.stderr)
    rows = []
    for concept in tqdm(concepts, desc="guidance", unit="prompt", mininterval=2):
        seeds = [image_seed(study_seed, concept.slug, "{name}", index) for index in range(pictures)]
        norms = None if reason else conditional_norms(generator, concept.name, seeds).tolist()
        rows.append({"concept": concept.slug, "norm": None if norms is None else float(np.mean(norms)), "norms": norms})
    write(pa.Table.from_pylist(rows, schema=NORMS), out, row_group=65_536)
