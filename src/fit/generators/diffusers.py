"""Any diffusers text-to-image pipeline, from a folder or by hub id. The safety checker is off, as in the paper."""

import inspect
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import diffusers
import huggingface_hub.constants
import numpy as np
import torch
import transformers.utils.logging
from diffusers.utils.logging import disable_progress_bar
from huggingface_hub.errors import HTTPError
from safetensors import SafetensorError

from fit.embedders.strange_code import no_strange_code
from fit.errors import ModelError
from fit.generators import weights
from fit.generators.base import Generator, Made
from fit.memory import Halving, is_out_of_memory

_BROKEN = (OSError, ValueError, KeyError, AttributeError, TypeError, SafetensorError)  # what broken files lead to
_SLICED_PIXELS = 256 * 256
"""Pictures of so many pixels are decoded one by one: the decoder, not the U-Net, would set the memory's limit."""


class Diffusers(Generator):
    """A diffusers pipeline."""

    def __init__(
        self,
        pipeline,
        revision=None,
        scheduler=None,
        dtype="float32",
        steps=50,
        guidance=7.5,
        *,
        height=None,
        width=None,
        negative_prompt="",
        compile=False,
        device="auto",
        download=False,
    ):
        """Note what to load; nothing is loaded yet.

        Args:
            pipeline: folder or hub id; revision: commit of a hub id, or None for its newest.
            scheduler: name of a scheduler class of diffusers, or None for the pipeline's own.
            dtype: "float32", "float16" or "bfloat16".
            steps: denoising steps; guidance: scale of classifier-free guidance.
            height, width: of a picture, in pixels; None for the pipeline's own.
            negative_prompt: what to guide away from.
            compile: whether torch.compile makes the denoiser faster, after minutes of compiling.
            device: "cuda", "cpu", or "auto" for a GPU where there is one.
            download: whether what is not on this machine may be fetched. HF_HUB_OFFLINE=1 forbids it too.

        Raises:
            ModelError: there is no such folder, or it is no pipeline.
        """
        self._pipeline, self._revision, self._download = str(pipeline), revision, download
        self._dtype, self._device_wanted, self._compile = getattr(torch, dtype), device, compile
        self._scheduler, self._negative_prompt = scheduler, negative_prompt
        self._sampling = {
            "scheduler": scheduler,
            "dtype": dtype,
            "steps": steps,
            "guidance": guidance,
            "height": height,
            "width": width,
            "negative_prompt": negative_prompt,
            "compile": compile,
        }
        self._is_folder = Path(pipeline).is_dir()
        if not self._is_folder and (self._pipeline.startswith((".", "/", "~")) or self._pipeline.count("/") != 1):
            raise ModelError(
                f"{pipeline}: there is no such folder, and a hub id is OWNER/NAME; mend the model's `pipeline`"
            )
        if self._is_folder and not Path(pipeline, "model_index.json").is_file():
            raise ModelError(
                f"{pipeline}: this folder is no diffusers pipeline, it has no model_index.json; "
                "save the model with save_pretrained, or mend the model's `pipeline` in config.yaml"
            )
        self._pipe: Any = None
        self._embedded: dict = {}
        self._in_memory = Halving(lambda prompts, seeds: self._make(prompts, seeds))

    # --- which model --------------------------------------------------------------------------------------------------

    @property
    def identity(self):
        of_weights = weights.fingerprint(self._folder) if self._is_folder else [self._pipeline, self._commit]
        return {"weights": of_weights} | self._sampling

    @cached_property
    def _folder(self):
        return Path(self._pipeline) if self._is_folder else self._find_on_hub(fetch=False)

    @property
    def _commit(self):
        """The commit that a hub id stands for: the hub's cache names folders so."""
        return "" if self._is_folder else self._folder.name

    def _find_on_hub(self, fetch):
        """The folder of a hub id in the hub's cache: as it is there or, with `fetch`, made whole from the hub."""
        name, at = self._pipeline, f" --revision {self._revision}" if self._revision else ""
        wanted = {"revision": self._revision, "use_safetensors": True}
        take_along = (
            f"fetch it where the hub can be reached (hf download {name}{at} --local-dir FOLDER), bring the folder here "
            "and name it as `pipeline`, or set HF_HOME to a cache that has the model"
        )
        if not fetch:
            try:
                return Path(diffusers.DiffusionPipeline.download(name, local_files_only=True, **wanted))
            except OSError:  # not in the cache
                return self._find_on_hub(fetch=True)
            except ValueError as error:
                raise ModelError(f"{name}: diffusers can't use this pipeline ({error}); mend `pipeline`") from error
        if not self._download:
            raise ModelError(
                f"{name}: the model is not (whole) on this machine, and nothing is fetched unless config.yaml says so: "
                f"set the model's `download: true`, or {take_along}"
            )
        if huggingface_hub.constants.HF_HUB_OFFLINE:
            raise ModelError(
                f"{name}: the model is not (whole) on this machine, and HF_HUB_OFFLINE forbids fetching it; "
                f"unset it, or {take_along}"
            )
        try:
            return Path(diffusers.DiffusionPipeline.download(name, local_files_only=False, **wanted))
        except (OSError, ValueError, HTTPError) as error:
            raise ModelError(
                f"{name}: can't be fetched ({error.__cause__ or error}); is the hub in reach, and are name, "
                f"`revision` and access (HF_TOKEN) right? Else {take_along}"
            ) from error

    # --- loading ------------------------------------------------------------------------------------------------------

    @cached_property
    def _device(self):
        if self._device_wanted == "cuda" and not torch.cuda.is_available():
            raise ModelError(
                f"{self._pipeline}: config.yaml demands a GPU (`device: cuda`), and torch sees none here; ask the "
                "scheduler for one (`gpus: 1`), mend the driver, or set the model's `device: auto`"
            )
        if self._device_wanted == "auto":
            return "cuda" if torch.cuda.is_available() else "cpu"
        return self._device_wanted

    def load(self):
        if self._pipe is not None:
            return
        device, folder = self._device, self._folder
        try:
            pipe = self._read(folder)
        except _BROKEN as error:
            if self._is_folder:
                raise ModelError(
                    f"{self._pipeline}: diffusers can't load this pipeline ({error!r}); mend `pipeline`"
                ) from error
            pipe = self._read_again(error)
        if self._scheduler:
            kind = getattr(diffusers, self._scheduler, None)
            if kind is None:
                raise ModelError(f"{self._scheduler}: diffusers has no such scheduler; mend the model's `scheduler`")
            pipe.scheduler = kind.from_config(pipe.scheduler.config)
        try:
            self._prepare(pipe, device)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            raise ModelError(f"{self._pipeline}: {self._too_much('the model')} ({error})") from error
        if not self._is_folder and not self._revision:
            print(
                f"fit: {self._pipeline} has no `revision` in config.yaml: this run takes {self._commit}, another day's "
                "may take another; pin it",
                file=sys.stderr,
            )
        # Reading gigabytes takes seconds, which the first pictures need not wait for.
        self._hashes = ThreadPoolExecutor(1).submit(weights.hashes, self._folder)
        self._pipe = pipe

    @no_strange_code()
    def _read(self, folder):
        for quiet in (disable_progress_bar, transformers.utils.logging.disable_progress_bar):
            quiet()
        index = diffusers.DiffusionPipeline.load_config(folder)
        off = {name: None for name in ("safety_checker",) if name in index}
        return diffusers.DiffusionPipeline.from_pretrained(
            folder, dtype=self._dtype, use_safetensors=True, local_files_only=True, **off
        )

    def _read_again(self, error):
        """What a hub's cache holds of a pipeline may be half of it: a download was cut short."""
        self._folder = self._find_on_hub(fetch=True)
        try:
            return self._read(self._folder)
        except _BROKEN:
            raise ModelError(f"{self._pipeline}: diffusers can't load this pipeline ({error!r})") from error

    def _prepare(self, pipe, device):
        pipe.to(device)
        pipe.set_progress_bar_config(disable=True)
        unet, vae = getattr(pipe, "unet", None), getattr(pipe, "vae", None)
        for part in (unet, vae):
            if part is not None:  # convolutions; a transformer has none
                part.to(memory_format=torch.channels_last)
        self._takes = set(inspect.signature(pipe.__call__).parameters)
        # Other pipelines' encode_prompt returns and takes other things: their plain call does it all.
        self._embeds = isinstance(pipe, diffusers.StableDiffusionPipeline)
        # As the pipeline itself decides whether to guide.
        self._guided = self._embeds and self._sampling["guidance"] > 1 and pipe.unet.config.time_cond_proj_dim is None
        wanted = {
            "num_inference_steps": self._sampling["steps"],
            "guidance_scale": self._sampling["guidance"],
            "height": self._sampling["height"],
            "width": self._sampling["width"],
            # Quantised on the device, a picture crosses to the processor as a quarter of the bytes.
            "output_type": "pt" if hasattr(pipe, "image_processor") else "np",
        }
        self._calls = {name: value for name, value in wanted.items() if name in self._takes and value is not None}
        if vae is not None and hasattr(vae, "enable_slicing") and self._pixels(pipe) >= _SLICED_PIXELS:
            vae.enable_slicing()
        if self._compile:
            (unet or pipe.transformer).compile()

    def _pixels(self, pipe):
        side = getattr(getattr(getattr(pipe, "unet", None), "config", None), "sample_size", None) or 64
        own = (side if isinstance(side, int) else max(side)) * getattr(pipe, "vae_scale_factor", 8)
        return (self._sampling["height"] or own) * (self._sampling["width"] or own)

    @cached_property
    def provenance(self):
        self.load()
        pipe = self._pipe
        return {
            "pipeline": self._pipeline,
            "class": type(pipe).__name__,
            "revision": self._revision or "",
            "commit": self._commit,
            "weights": self._hashes.result(),
            "device": torch.cuda.get_device_name() if self._device == "cuda" else "cpu",
            "versions": {name: version(name) for name in ("fit", "diffusers", "torch", "transformers")},
            "safety_checker": getattr(pipe, "safety_checker", None) is not None,
            **self._sampling,
            "scheduler": type(pipe.scheduler).__name__,
            "scheduler_config": dict(pipe.scheduler.config),
        }

    # --- pictures -----------------------------------------------------------------------------------------------------

    def generate(self, prompts, seeds):
        self.load()
        try:
            made = self._in_memory(prompts, seeds)
            bad = [i for i, one in enumerate(made) if one.status != "ok"]
            if bad and self._dtype != torch.float32:
                with self._in_float32():
                    again = self._in_memory([prompts[i] for i in bad], [seeds[i] for i in bad])
                for i, one in zip(bad, again, strict=True):
                    made[i] = one
        except MemoryError as error:
            raise ModelError(f"{self._pipeline}: {self._too_much('one picture')} ({error})") from error
        return made

    def _too_much(self, what):
        place = "the GPU's memory" if self._device == "cuda" else "this machine's memory"
        lower = "" if self._dtype != torch.float32 else " `dtype: float16`,"
        return f"{what} is too much for {place}; set{lower} a smaller `height` and `width`, or take a larger machine"

    @torch.inference_mode()
    def _make(self, prompts, seeds):
        # The generators live on the CPU, so that a seed means the same noise on every device.
        noise = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
        images = self._pipe(**self._texts(prompts), generator=noise, **self._calls).images
        if isinstance(images, np.ndarray):
            images = torch.from_numpy(images).movedim(-1, 1)
        finite = torch.isfinite(images).flatten(1).all(1).tolist()
        pixels = (images.float() * 255).round().to(torch.uint8).movedim(1, -1).contiguous().cpu().numpy()
        return [Made.judged(*one) for one in zip(pixels, finite, strict=True)]

    def _texts(self, prompts):
        """The arguments that say what to paint: each prompt's embedding, made once, or the prompts themselves."""
        if self._embeds:
            pairs = [self._embed(prompt) for prompt in prompts]
            embeddings = {"prompt_embeds": torch.cat([prompt for prompt, _ in pairs])}
            if self._guided:
                embeddings["negative_prompt_embeds"] = torch.cat([negative for _, negative in pairs])
            return embeddings
        texts = {"prompt": list(prompts)}
        if self._negative_prompt and "negative_prompt" in self._takes:
            texts["negative_prompt"] = [self._negative_prompt] * len(prompts)
        return texts

    def _embed(self, prompt):
        """The embedding of a prompt and, with guidance, that of the negative prompt, [1, tokens, width] each."""
        if prompt not in self._embedded:
            known = next(iter(self._embedded.values()), (None, None))[1]
            self._embedded[prompt] = self._pipe.encode_prompt(
                prompt, self._device, 1, self._guided, self._negative_prompt or None, negative_prompt_embeds=known
            )
        return self._embedded[prompt]

    @contextmanager
    def _in_float32(self):
        """Compute in float32: what came out black, constant or as no number may only have left a smaller format."""
        kept, self._embedded = self._embedded, {}
        self._pipe.to(torch.float32)
        try:
            yield
        finally:  # exact: weights that came from the smaller format fit into it
            self._pipe.to(self._dtype)
            self._embedded = kept
