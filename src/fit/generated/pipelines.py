"""What FIT needs to know about a class of diffusers pipelines: is it text to image, and which settings does it take?"""

import difflib
import inspect
from collections.abc import Mapping
from typing import Any

import diffusers
import torch

from fit.errors import ModelError
from fit.generated.failures import one_line

_OF_PICTURES = ("strength", "mask_image", "reference_image")
_OF_VIDEO = ("num_frames", "video_length", "video", "frames")
_OF_SOUND = ("audio_length_in_s", "audio_duration", "audio_end_in_s", "lyrics")


def _parameters(kind: type) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(kind.__call__).parameters


def pipeline_class(place: str, index: Mapping[str, Any]) -> type:
    """Return the class of diffusers that model_index.json names.

    Args:
        place: what errors call the pipeline.
        index: what model_index.json says.

    Raises:
        ModelError: it is code of the model's own, or this diffusers has no such class, or lacks a package for it.
    """
    name = index.get("_class_name")
    if not isinstance(name, str):
        raise ModelError(
            f"{place}: diffusers can't load this pipeline without running code that comes with it "
            f"(`_class_name` in model_index.json is {name!r}), and such code is not run; name another `pipeline`"
        )
    kind = getattr(diffusers, name, None)
    if isinstance(kind, type) and issubclass(kind, diffusers.DiffusionPipeline):
        return kind
    if _needed(kind):
        raise ModelError(f"{place}: {name} needs the packages {', '.join(_needed(kind))}; install what is missing")
    near = difflib.get_close_matches(name, [one for one in dir(diffusers) if "Pipeline" in one], n=1)
    saved = f"; it was saved with diffusers {index['_diffusers_version']}" if "_diffusers_version" in index else ""
    raise ModelError(
        f"{place}: diffusers can't load this pipeline, {diffusers.__version__} has no class {name}{saved}"
        + (f"; did you mean {near[0]}?" if near else "")
        + "; fix `_class_name` in model_index.json, or name another `pipeline`"
    )


def _needed(kind: Any) -> list[str]:
    """Return the packages without which diffusers has only a placeholder for a class."""
    return vars(kind).get("_backends", []) if isinstance(kind, type) else []


def check_makes_pictures_of_texts(place: str, kind: type) -> None:
    """Refuse a class of pipelines that is not text to image.

    Raises:
        ModelError: it makes something else, or needs more than a text; the message says what.
    """
    takes = _parameters(kind)
    wanted = [
        name
        for name, one in list(takes.items())[1:]
        if one.default is one.empty and one.kind not in (one.VAR_KEYWORD, one.VAR_POSITIONAL) and name != "prompt"
    ]
    what = None
    if any(name in takes for name in _OF_VIDEO) or "Video" in kind.__name__:
        what = "it makes videos"
    elif any(name in takes for name in _OF_SOUND) or "Audio" in kind.__name__:
        what = "it makes sound"
    elif "prompt" not in takes:
        what = "it takes no prompt"
    elif any(name in takes for name in _OF_PICTURES):
        what = "it changes a picture that it is given"
    elif wanted:
        what = f"it also needs {', '.join(wanted)}"
    elif "generator" not in takes:
        what = "it takes no `generator`, so that a picture would not depend on its seed"
    if what is None:
        return
    raise ModelError(
        f"{place}: {kind.__name__} is not a text-to-image pipeline: {what}; name a text-to-image `pipeline`"
        + _sibling(kind)
    )


def _sibling(kind: type) -> str:
    """Return a hint at the text-to-image class of the same family."""
    for word in ("Img2Img", "Inpaint", "ControlNet", "ImageToVideo", "VideoToVideo", "Video"):
        other = kind.__name__.replace(word, "")
        if other != kind.__name__ and hasattr(diffusers, other):
            return f", such as {other}"
    return ""


def ignored_settings(pipe: Any, sampling: Mapping[str, Any]) -> list[str]:
    """Say which settings change nothing in the pictures of a pipeline, and why: a list of sentences.

    Args:
        pipe: a diffusers pipeline, loaded.
        sampling: setting -> value, as the generator was given them.
    """
    takes, name = _parameters(type(pipe)), type(pipe).__name__
    said = []
    for setting, parameter in (("steps", "num_inference_steps"), ("height", "height"), ("width", "width")):
        if sampling[setting] is not None and parameter not in takes:
            said.append(f"{name} takes no {parameter}: `{setting}: {sampling[setting]}` changes nothing")
    guidance = sampling["guidance"]
    if "guidance_scale" not in takes:
        others = [one for one in takes if "guidance_scale" in one]
        own = f" (it has {', '.join(others)}, which keep their defaults)" if others else ""
        said.append(f"{name} takes no guidance_scale{own}: `guidance: {guidance}` changes nothing")
    elif _embeds_guidance(pipe) is False and "true_cfg_scale" in takes:
        said.append(f"this {name} was not trained to take guidance: `guidance: {guidance}` changes nothing")
    why = sampling["negative_prompt"] and why_no_negative_prompt(pipe, takes, guidance)
    if why:
        said.append(f"{why}: `negative_prompt` changes nothing")
    return said


def _embeds_guidance(pipe: Any) -> bool | None:
    return getattr(getattr(getattr(pipe, "transformer", None), "config", None), "guidance_embeds", None)


def why_no_negative_prompt(pipe: Any, takes: Mapping[str, inspect.Parameter], guidance: float) -> str | None:
    """Say why a negative prompt changes nothing in the pictures of a pipeline; None if it changes them.

    Args:
        pipe: a diffusers pipeline, loaded.
        takes: the parameters of its call.
        guidance: the scale of guidance.
    """
    name = type(pipe).__name__
    if "negative_prompt" not in takes:
        return f"{name} takes no negative prompt"
    if "true_cfg_scale" in takes:
        is_guided = takes["true_cfg_scale"].default > 1
        return (
            None if is_guided else f"{name} uses a negative prompt only with a true_cfg_scale, which FIT does not set"
        )
    if is_guided_inside(pipe):
        return f"the U-Net of this {name} guides by itself"
    if "guidance_scale" in takes and guidance <= 1:
        return f"a `guidance` of {guidance} does not guide"
    return None


def is_guided_inside(pipe: Any) -> bool:
    """Whether the U-Net takes the scale of guidance as an input (latent consistency): nothing is denoised twice."""
    return getattr(getattr(getattr(pipe, "unet", None), "config", None), "time_cond_proj_dim", None) is not None


def with_scheduler(place: str, pipe: Any, name: str) -> str | None:
    """Give a pipeline another scheduler, configured as its own. Return a remark on it, or None.

    Raises:
        ModelError: diffusers has no such scheduler, or it can't be configured so.
    """
    kind = getattr(diffusers, name, None)
    if not (
        isinstance(kind, type) and issubclass(kind, diffusers.SchedulerMixin) and kind is not diffusers.SchedulerMixin
    ):
        if _needed(kind):
            raise ModelError(
                f"{place}: `scheduler: {name}` needs the packages {', '.join(_needed(kind))}; install what is missing"
            )
        names = [one for one in dir(diffusers) if one.endswith("Scheduler")]
        near = difflib.get_close_matches(name, names, n=1) or difflib.get_close_matches(f"{name}Scheduler", names, n=1)
        hint = f"did you mean {near[0]}?" if near else "take a class such as DDIMScheduler, or leave it out"
        raise ModelError(f"{place}: `scheduler: {name}`: diffusers has no scheduler of this name; {hint}")
    own = getattr(pipe, "scheduler", None)
    if own is None:
        raise ModelError(f"{place}: `scheduler: {name}`: this {type(pipe).__name__} has no scheduler; leave it out")
    try:
        fits = kind in own.compatibles
        pipe.scheduler = kind.from_config(own.config)  # type: ignore[attr-defined]  # a SchedulerMixin, see above
    except Exception as error:  # whatever its code raises
        raise ModelError(
            f"{place}: `scheduler: {name}` can't be configured as the pipeline's own {type(own).__name__} is "
            f"({one_line(error)}); fix `scheduler`"
        ) from error
    if fits:
        return None
    return (
        f"`scheduler: {name}` is not among those that diffusers lists beside {type(own).__name__}; look at the pictures"
    )


def to_channels_last(part: torch.nn.Module) -> None:
    """Store a network's convolutions in the layout that is fastest; those over three dimensions have no such layout."""
    if all(one.dim() < 5 for one in part.parameters()):
        part.to(memory_format=torch.channels_last)
