"""Any diffusers text-to-image pipeline, from a folder or by hub id. The safety checker is off, as in the paper."""

from importlib.metadata import version
from pathlib import Path

import diffusers
import torch
from diffusers.utils.logging import disable_progress_bar

from fit.errors import ModelError
from fit.generators.base import Generator


class Diffusers(Generator):
    """A diffusers pipeline."""

    def __init__(self, pipeline, revision, scheduler, dtype, steps, guidance):
        """Load it.

        Args:
            pipeline: folder or hub id; revision: commit of a hub id, or None.
            scheduler: name of a scheduler class of diffusers, or None for the pipeline's own.
            dtype: "float32", "float16" or "bfloat16".
            steps: denoising steps; guidance: scale of classifier-free guidance.

        Raises:
            ModelError: there is no such pipeline or scheduler.
        """
        if Path(pipeline).is_dir() and not Path(pipeline, "model_index.json").is_file():
            raise ModelError(
                f"{pipeline}: this folder is no diffusers pipeline, it has no model_index.json; "
                "save the model with save_pretrained, or mend the model's `pipeline` in config.yaml"
            )
        disable_progress_bar()
        device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            self._pipe = diffusers.DiffusionPipeline.from_pretrained(
                pipeline, revision=revision, dtype=getattr(torch, dtype), safety_checker=None, use_safetensors=True
            ).to(device)
        except (OSError, ValueError, KeyError, AttributeError) as error:  # what a broken model_index.json leads to
            raise ModelError(f"{pipeline}: diffusers can't load this pipeline ({error!r}); mend `pipeline`") from error
        if scheduler:
            kind = getattr(diffusers, scheduler, None)
            if kind is None:
                raise ModelError(f"{scheduler}: diffusers has no such scheduler; mend the model's `scheduler`")
            self._pipe.scheduler = kind.from_config(self._pipe.scheduler.config)
        self._pipe.set_progress_bar_config(disable=True)
        self._pipe.unet.to(memory_format=torch.channels_last)
        self._calls = {"num_inference_steps": steps, "guidance_scale": guidance}
        self._provenance = {
            "pipeline": pipeline,
            "class": type(self._pipe).__name__,
            "revision": revision or "",
            "scheduler": type(self._pipe.scheduler).__name__,
            "scheduler_config": dict(self._pipe.scheduler.config),
            "dtype": dtype,
            "steps": steps,
            "guidance": guidance,
            "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
            **{package: version(package) for package in ("diffusers", "torch", "transformers")},
        }

    def generate(self, prompts, seeds):
        # The generators live on the CPU, so that a seed means the same noise on every device.
        noise = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
        with torch.inference_mode():
            return self._pipe(list(prompts), generator=noise, **self._calls).images

    @property
    def provenance(self):
        return self._provenance
