"""Any diffusers text-to-image pipeline, from a folder or by hub id. The safety checker is off, as in the paper."""

import inspect
import json
import math
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import diffusers
import diffusers.utils.dynamic_modules_utils  # loaded before no_strange_code looks for it
import huggingface_hub.constants
import numpy as np
import torch
import transformers.utils.logging
from diffusers.utils.logging import disable_progress_bar
from huggingface_hub import get_cached_repo_tree, hf_hub_download, list_repo_files
from huggingface_hub.errors import HTTPError

from fit.embeddings.strange_code import no_strange_code
from fit.errors import ConfigError, FitError, ModelError
from fit.generated import changes, composition, pipelines, weights
from fit.generated.base import GeneratedImage, Generator
from fit.generated.failures import one_line, remedy
from fit.generated.settings import ChangeSettings, PipelineSettings
from fit.memory import AdaptiveBatch, is_out_of_memory

_SLICED_PIXELS = 256 * 256
"""Pictures of so many pixels are decoded one by one: the decoder, not the U-Net, would set the memory's limit."""
_SAMPLING = ("scheduler", "dtype", "steps", "guidance", "height", "width", "negative_prompt", "compile")
"""Settings on which pictures depend, besides the weights."""


class Diffusers(Generator):
    """A diffusers pipeline."""

    takes_conditionings = True

    def __init__(self, settings: PipelineSettings):
        """Note what to load; nothing is loaded yet.

        Raises:
            ConfigError: guidance is not a finite number.
            ModelError: there is no such folder, or it is not a pipeline.
        """
        super().__init__(settings)
        if not math.isfinite(settings.guidance):
            raise ConfigError(f"`guidance` is {settings.guidance}; give a finite number")
        pipeline = settings.pipeline
        self._pipeline, self._revision, self._may_download = pipeline, settings.revision, settings.download
        self._variant_wanted = settings.variant
        self._dtype, self._device_wanted = getattr(torch, settings.dtype), settings.device
        self._sampling = {name: getattr(settings, name) for name in _SAMPLING}
        self._is_folder = Path(pipeline).is_dir()
        if not self._is_folder and (self._pipeline.startswith((".", "/", "~")) or self._pipeline.count("/") != 1):
            raise ModelError(
                f"{pipeline}: there is no such folder, and a hub id is OWNER/NAME; fix the model's `pipeline`"
            )
        if self._is_folder and not Path(pipeline, "model_index.json").is_file():
            raise ModelError(
                f"{pipeline}: this folder is not a diffusers pipeline: it has no model_index.json; "
                "save the model with save_pretrained, or fix the model's `pipeline` in config.yaml"
            )
        self._changes = ChangeSettings()
        self._sources: dict[str, changes.Source] = {}
        self._lora: changes.Source | None = None
        self._pipe: Any = None
        self._embedded: dict = {}
        self._said_other_size = False
        self._in_memory = AdaptiveBatch(lambda prompts, seeds: self._make(prompts, seeds))

    def change(self, changed: ChangeSettings) -> None:
        self._changes = changed
        self._sources = changes.sources_of(changed, self._may_download)
        self._lora = changes.lora_of(changed, self._may_download)
        for source in (*self._sources.values(), *filter(None, [self._lora])):
            source.check()

    # --- which model --------------------------------------------------------------------------------------------------

    @property
    def identity(self) -> dict[str, Any]:
        of_weights: list[Any] = weights.fingerprint(self._folder) if self._is_folder else [self._pipeline, self._commit]
        # Named only where there is one, so that the pictures of an earlier version, which had none, are still found.
        variant = {"variant": self._variant} if self._variant else {}
        return {"weights": of_weights} | self._sampling | variant | self._changed_identity

    @property
    def _changed_identity(self) -> dict[str, Any]:
        """What tells the changes from others; empty without any."""
        found: dict[str, Any] = {}
        if self._sources:
            found["components"] = {name: source.identity for name, source in self._sources.items()}
        if self._lora:
            found["lora"] = [*self._lora.identity, self._changes.lora_scale]
        if self._changes.safety_checker:
            found["safety_checker"] = True
        return found

    @cached_property
    def _variant(self) -> str | None:
        """The variant that is loaded, or None."""
        try:
            return weights.variant_in(self._folder, self._variant_wanted)
        except ModelError as error:  # a cache may have half of a model, or another variant of it
            if self._is_folder:
                raise
            if not self._may_download:
                raise ModelError(f"{error}; what the hub's cache lacks is fetched with `download: true`") from error
        self._folder = self._find_on_hub(fetch=True)
        return weights.variant_in(self._folder, self._variant_wanted)

    @cached_property
    def _folder(self) -> Path:
        return Path(self._pipeline) if self._is_folder else self._find_on_hub(fetch=False)

    @property
    def _commit(self) -> str:
        """The commit of a hub id, which is the name of its folder in the hub's cache; empty for a folder."""
        return "" if self._is_folder else self._folder.name

    def _find_on_hub(self, fetch: bool) -> Path:
        """Return the folder of a hub id in the hub's cache: as it is or, with `fetch`, completed from the hub."""
        name, at = self._pipeline, f" --revision {self._revision}" if self._revision else ""
        take_along = (
            f"fetch it where the hub can be reached (hf download {name}{at} --local-dir FOLDER), bring the folder here "
            "and name it as `pipeline`, or set HF_HOME to a cache that has the model"
        )
        if not fetch:
            try:
                return self._download(local_files_only=True)
            except OSError:  # not in the cache
                return self._find_on_hub(fetch=True)
            except ValueError as error:
                raise ModelError(
                    f"{name}: diffusers can't use this pipeline ({one_line(error)}); fix `pipeline`"
                ) from error
        if not self._may_download:
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
            return self._download(local_files_only=False)
        except (OSError, ValueError, HTTPError) as error:
            raise ModelError(
                f"{name}: can't be fetched ({error.__cause__ or error}); is the hub in reach, and are name, "
                f"`revision` and access (HF_TOKEN) right? Else {take_along}"
            ) from error

    @no_strange_code()
    def _download(self, local_files_only: bool) -> Path:
        """Have diffusers put the pipeline's files into the hub's cache. Return the folder."""
        wanted: dict[str, Any] = {
            "revision": self._revision,
            "use_safetensors": True,
            "local_files_only": local_files_only,
        }
        if self._variant_wanted:
            wanted["variant"] = self._variant_wanted
        try:
            return Path(diffusers.DiffusionPipeline.download(self._pipeline, **wanted))
        except OSError as error:
            # What diffusers says where some weights exist only in variants, or only as other files.
            if self._variant_wanted or "Could not find the necessary `safetensors`" not in str(error):
                raise
            variant = self._only_variant_on_hub(local_files_only)
            if variant is None:
                raise
            return Path(diffusers.DiffusionPipeline.download(self._pipeline, **wanted, variant=variant))

    def _only_variant_on_hub(self, local_files_only: bool) -> str | None:
        """Return the variant with which a hub id can be loaded; names of files, not yet fetched, tell it."""
        of_repo: dict[str, Any] = {"repo_id": self._pipeline, "revision": self._revision}
        index = hf_hub_download(filename="model_index.json", local_files_only=local_files_only, **of_repo)
        if local_files_only:
            names = [one.path for one in get_cached_repo_tree(**of_repo)]
        else:
            names = list_repo_files(**of_repo)
        return weights.find_variant(self._pipeline, json.loads(Path(index).read_text(encoding="utf-8")), names)

    @property
    def pipe(self) -> Any:
        """The diffusers pipeline; it is loaded first where it is not."""
        self.load()
        return self._pipe

    @property
    def place(self) -> str:
        """The folder or hub id of the pipeline, for errors."""
        return self._pipeline

    # --- loading ------------------------------------------------------------------------------------------------------

    @cached_property
    def _device(self) -> str:
        if self._device_wanted == "cuda" and not torch.cuda.is_available():
            raise ModelError(
                f"{self._pipeline}: config.yaml asks for a GPU (`device: cuda`), and torch sees none here; ask the "
                "scheduler for one (`gpus: 1`), fix the driver, or set the model's `device: auto`"
            )
        if self._device_wanted == "auto":
            return "cuda" if torch.cuda.is_available() else "cpu"
        return self._device_wanted

    @property
    def loaded(self) -> Any:
        """The pipeline of diffusers; None before it is loaded."""
        return self._pipe

    @property
    def is_guided(self) -> bool:
        """Whether each step predicts without the text, and with it, in one batch; known once the model is loaded."""
        if "guidance_scale" not in self._takes or pipelines.is_guided_inside(self._pipe):
            return False
        return self._sampling["guidance"] > 1

    def load(self) -> None:
        if self._pipe is not None:
            return
        device = self._device
        try:
            pipe = self._read_whole()
            remarks: list[str | None] = []
            if self._settings.scheduler:
                remarks.append(pipelines.with_scheduler(self._pipeline, pipe, self._settings.scheduler))
            self._prepare(pipe, device)
            remarks += pipelines.ignored_settings(pipe, self._sampling)
        except FitError:
            raise
        except Exception as error:  # whatever the code of diffusers, transformers and a broken file raises
            raise self._not_loaded(error) from error
        if not self._is_folder and not self._revision:
            remarks.append(
                f"no `revision` in config.yaml: this run takes {self._commit}, and a later run may take another; pin it"
            )
        if self._variant and not self._variant_wanted:
            remarks.append(f"its only weights are those of `variant: {self._variant}`, which are loaded")
        for remark in filter(None, remarks):
            print(f"fit: {self._pipeline}: {remark}", file=sys.stderr)
        # Reading gigabytes takes seconds, which the first pictures need not wait for.
        self._hashes = ThreadPoolExecutor(1).submit(self._read_hashes)
        self._pipe = pipe

    def _read_hashes(self) -> dict[str, str]:
        """Return file -> SHA-256 of all weights that are loaded: the base's, and those of what was changed."""
        # A replaced component's own weights are loaded only where a file is laid over them.
        unread = tuple(f"{name}/" for name, source in self._sources.items() if source.path.is_dir())
        found = {
            path: digest
            for path, digest in weights.hashes(self._folder, self._variant).items()
            if not path.startswith(unread)
        }
        if self._changes.safety_checker:
            checker = sorted((self._folder / "safety_checker").glob("*.safetensors"))
            found |= {f"safety_checker/{path.name}": weights.digest(path) for path in checker}
        return found | changes.hashes_of(self._sources, self._lora)()

    def _not_loaded(self, error: Exception) -> ModelError:
        if is_out_of_memory(error):
            return ModelError(f"{self._pipeline}: {self._too_much('the model')} ({one_line(error)})")
        return ModelError(f"{self._pipeline}: diffusers can't load this pipeline ({one_line(error)}); fix `pipeline`")

    def _read_whole(self) -> Any:
        """Return the pipeline, read; where a hub's cache has only half of it, it is fetched again."""
        try:
            return self._read(self._folder)
        except Exception as error:
            if self._is_folder or is_out_of_memory(error):
                raise
            self._folder = self._find_on_hub(fetch=True)
            self.__dict__.pop("_variant", None)
            return self._read(self._folder)

    @no_strange_code()
    def _read(self, folder: Path) -> Any:
        for quiet in (disable_progress_bar, transformers.utils.logging.disable_progress_bar):
            quiet()
        index = weights.read_index(folder)
        kind = pipelines.pipeline_class(self._pipeline, index)
        pipelines.check_makes_pictures_of_texts(self._pipeline, kind)
        for problem in weights.foreign_components(folder):
            raise ModelError(problem)
        weights.weight_files(folder, self._variant)  # all there, before gigabytes are read
        for name, source in self._sources.items():
            changes.check_component(source, name, folder, index)
        given: dict[str, Any] = {
            name: changes.load_component(source, name, folder, index, self._dtype, self._variant)
            for name, source in self._sources.items()
        }
        if not self._changes.safety_checker:
            given |= {name: None for name in ("safety_checker",) if name in index}
        elif not any(index.get("safety_checker") or []):
            raise ModelError(
                f"{self._pipeline}: this pipeline has no safety checker; take `safety_checker: true` out, or name a "
                "`base` whose pipeline has one"
            )
        of_variant = {"variant": self._variant} if self._variant else {}
        pipe = diffusers.DiffusionPipeline.from_pretrained(
            folder, dtype=self._dtype, use_safetensors=True, local_files_only=True, **given, **of_variant
        )
        if self._lora:
            changes.add_lora(pipe, self._lora, self._changes.lora_scale)
        return pipe

    def _prepare(self, pipe: Any, device: str) -> None:
        pipe.to(device)
        pipe.set_progress_bar_config(disable=True)
        unet, vae = getattr(pipe, "unet", None), getattr(pipe, "vae", None)
        for part in (unet, vae):
            if part is not None:  # convolutions; a transformer has none
                pipelines.to_channels_last(part)
        self._takes = set(inspect.signature(pipe.__call__).parameters)
        # Other pipelines' encode_prompt returns and takes other things: their plain call does it all.
        self._embeds = isinstance(pipe, diffusers.StableDiffusionPipeline)
        # As the pipeline itself decides whether to guide.
        self._guided = self._embeds and self._sampling["guidance"] > 1 and not pipelines.is_guided_inside(pipe)
        wanted = {
            "num_inference_steps": self._sampling["steps"],
            "guidance_scale": self._sampling["guidance"],
            "height": self._sampling["height"],
            "width": self._sampling["width"],
            # Quantised on the device, a picture crosses to the processor as a quarter of the bytes.
            "output_type": "pt" if hasattr(pipe, "image_processor") else "np",
            # Else a picture would depend on whether packages that clean prompts are installed.
            "clean_caption": False,
        }
        self._calls = {name: value for name, value in wanted.items() if name in self._takes and value is not None}
        if self._embeds and {"height", "width"} & self._calls.keys():
            # Stable Diffusion's pipeline takes both sides or ignores the one that it is given.
            side = pipe.unet.config.sample_size
            height, width = (side, side) if isinstance(side, int) else side
            own = {"height": height * pipe.vae_scale_factor, "width": width * pipe.vae_scale_factor}
            self._calls = own | self._calls
        if vae is not None and hasattr(vae, "enable_slicing") and self._pixels(pipe) >= _SLICED_PIXELS:
            vae.enable_slicing()
        if self._settings.compile:
            denoiser = unet or getattr(pipe, "transformer", None)
            if denoiser is None:
                raise ModelError(
                    f"{self._pipeline}: this {type(pipe).__name__} has no U-Net or transformer that `compile` could "
                    "compile; set the model's `compile: false`"
                )
            denoiser.compile()

    def _pixels(self, pipe: Any) -> int:
        side = getattr(getattr(getattr(pipe, "unet", None), "config", None), "sample_size", None) or 64
        own = (side if isinstance(side, int) else max(side)) * getattr(pipe, "vae_scale_factor", 8)
        return (self._sampling["height"] or own) * (self._sampling["width"] or own)

    @cached_property
    def provenance(self) -> dict[str, Any]:
        self.load()
        pipe = self._pipe
        scheduler = getattr(pipe, "scheduler", None)
        config = dict(scheduler.config) if scheduler else {}
        config.pop("_use_default_values", None)  # names in the order of a set, which differs from process to process
        return {
            "pipeline": self._pipeline,
            "class": type(pipe).__name__,
            "revision": self._revision or "",
            "commit": self._commit,
            "variant": self._variant or "",
            "weights": self._hashes.result(),
            "device": torch.cuda.get_device_name() if self._device == "cuda" else "cpu",
            "versions": {name: version(name) for name in ("fit", "diffusers", "torch", "transformers")},
            "safety_checker": getattr(pipe, "safety_checker", None) is not None,
            **self._changed_provenance,
            **self._sampling,
            "scheduler": type(scheduler).__name__ if scheduler else "",
            "scheduler_config": config,
        }

    @property
    def _changed_provenance(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if self._sources:
            found["components"] = {name: source.told for name, source in self._sources.items()}
        if self._lora:
            found["lora"] = self._lora.told | {"scale": self._changes.lora_scale}
        return found

    # --- pictures -----------------------------------------------------------------------------------------------------

    def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[GeneratedImage]:
        self.load()
        try:
            images = self._in_memory(list(prompts), list(seeds))
            bad = [i for i, one in enumerate(images) if one.status not in ("ok", "blocked")]
            if bad and self._dtype != torch.float32:
                with self._in_float32():
                    again = self._in_memory([prompts[i] for i in bad], [seeds[i] for i in bad])
                for i, one in zip(bad, again, strict=True):
                    images[i] = one
        except FitError:
            raise
        except Exception as error:  # whatever the code of a pipeline raises
            if is_out_of_memory(error):
                raise ModelError(f"{self._pipeline}: {self._too_much('one picture')} ({error})") from error
            raise self._not_made(error) from error
        return images

    def _not_made(self, error: Exception) -> ModelError:
        parts, optional = self._pipe.components, self._pipe._optional_components
        lacking = [name for name, part in parts.items() if part is None and name not in optional]
        return ModelError(
            f"{self._pipeline}: {type(self._pipe).__name__} can't make pictures with these settings "
            f"({one_line(error)}); {remedy(error, self._sampling, lacking)}"
        )

    def _too_much(self, what: str) -> str:
        place = "the GPU's memory" if self._device == "cuda" else "this machine's memory"
        lower = "" if self._dtype != torch.float32 else " `dtype: float16`,"
        return f"{what} is too much for {place}; set{lower} a smaller `height` and `width`, or take a larger machine"

    @torch.inference_mode()
    def _make(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[GeneratedImage]:
        # The generators live on the CPU, so that a seed means the same noise on every device.
        noise = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
        images, blocked = composition.call(self, prompts, noise)
        if isinstance(images, np.ndarray):
            images = torch.from_numpy(images).movedim(-1, 1)
        finite = torch.isfinite(images).flatten(1).all(1).tolist()
        pixels = (images.float() * 255).round().to(torch.uint8).movedim(1, -1).contiguous().cpu().numpy()
        self._say_other_size(*pixels.shape[1:3])
        judged = [GeneratedImage.judged(*one) for one in zip(pixels, finite, strict=True)]
        return [
            GeneratedImage("blocked") if is_blocked else one for is_blocked, one in zip(blocked, judged, strict=True)
        ]

    def _say_other_size(self, height: int, width: int) -> None:
        """Say, once, that a pipeline made pictures of another size than the settings ask for: some round it down."""
        wanted = (self._sampling["height"] or height, self._sampling["width"] or width)
        if wanted != (height, width) and not self._said_other_size:
            self._said_other_size = True
            print(
                f"fit: {self._pipeline}: {type(self._pipe).__name__} makes pictures of {height} x {width}, not of the "
                f"`height` and `width` that were asked for ({wanted[0]} x {wanted[1]})",
                file=sys.stderr,
            )

    def _call(self, texts: dict[str, Any], noise: list[torch.Generator]) -> tuple[Any, list[bool]]:
        """Return (pictures, whether the safety checker took each away)."""
        try:
            found = self._pipe(**texts, generator=noise, **self._calls)
        except ValueError as error:
            # Pipelines that take sizes from a list have such lists for some sizes of model only.
            if "Invalid sample size" not in str(error) or "use_resolution_binning" not in self._takes:
                raise
            self._calls["use_resolution_binning"] = False
            found = self._pipe(**texts, generator=noise, **self._calls)
        if not hasattr(found, "images"):
            raise ModelError(
                f"{self._pipeline}: {type(self._pipe).__name__} makes no pictures but {type(found).__name__}; name a "
                "text-to-image `pipeline`"
            )
        blocked = getattr(found, "nsfw_content_detected", None) or [False] * len(noise)
        return found.images, [bool(one) for one in blocked]

    def _texts(self, prompts: Sequence[str]) -> dict[str, Any]:
        """Return the arguments that say what to paint: each prompt's embedding, made once, or the prompts."""
        if self._embeds:
            pairs = [self._embed(prompt) for prompt in prompts]
            embeddings = {"prompt_embeds": torch.cat([prompt for prompt, _ in pairs])}
            if self._guided:
                embeddings["negative_prompt_embeds"] = torch.cat([negative for _, negative in pairs])
            return embeddings
        texts = {"prompt": list(prompts)}
        if self._settings.negative_prompt and "negative_prompt" in self._takes:
            texts["negative_prompt"] = [self._settings.negative_prompt] * len(prompts)
        return texts

    def _embed(self, prompt: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the embedding of a prompt and, with guidance, of the negative prompt, [1, tokens, width] each."""
        if prompt not in self._embedded:
            known = next(iter(self._embedded.values()), (None, None))[1]
            self._embedded[prompt] = self._pipe.encode_prompt(
                prompt,
                self._device,
                1,
                self._guided,
                self._settings.negative_prompt or None,
                negative_prompt_embeds=known,
            )
        return self._embedded[prompt]

    @contextmanager
    def _in_float32(self) -> Iterator[None]:
        """Compute in float32: black, constant or NaN pictures may only have left the range of a smaller format."""
        kept, self._embedded = self._embedded, {}
        self._pipe.to(torch.float32)
        try:
            yield
        finally:  # exact: weights that came from the smaller format fit into it
            self._pipe.to(self._dtype)
            self._embedded = kept
