"""Pictures of a diffusers pipeline by more than a prompt: composed guidance, negative prompts, prefixes of embeddings.

Composed guidance (Liu et al. 2022, "Compositional Visual Generation with Composable Diffusion Models", arXiv
2206.01714) replaces the noise that a step predicts by

    eps = eps(empty) + sum over i of w_i (eps(c_i) - eps(empty)),

in which weights may be negative. It is done around the denoiser, not in a pipeline's code, so it works with every
pipeline that guides by calling its denoiser once per step on a batch whose halves are unconditional and conditional:
the pipeline is asked for a picture of each term from the same noise, and the denoiser's answer is replaced by one that
the pipeline's own formula turns into eps. All terms see the same picture, so they go on from the same one; of the
pictures that come out, which are equal, the first is kept.
"""

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from fit.errors import ModelError
from fit.generated import pipelines
from fit.generated.conditioning import Conditioning, Prompt, Term
from fit.generated.failures import one_line
from fit.io.shown import number_of

if TYPE_CHECKING:
    from fit.generated.diffusers import Diffusers

_NOT_OF_A_PICTURE = ("image_rotary_emb", "img_ids", "txt_ids")
"""Inputs of denoisers whose first axis is not the batch."""
_PROBE: Term = (0.0, "")
"""A term that changes nothing, beside a single one: without a second text, the halves of a batch look alike."""


def call(model: "Diffusers", prompts: Sequence[Prompt], noise: list[torch.Generator]) -> tuple[Any, list[bool]]:
    """Return the pictures of prompts, [N, ...] in their order, and whether the safety checker took each away.

    Args:
        model: loaded.
        prompts: texts and conditionings.
        noise: the random numbers of each picture, fresh.

    Raises:
        ModelError: the pipeline can't do what a conditioning asks for.
    """
    if all(isinstance(prompt, str) for prompt in prompts):
        return model._call(model._texts([str(prompt) for prompt in prompts]), noise)
    asked = [Conditioning(prompt) if isinstance(prompt, str) else prompt for prompt in prompts]
    groups: dict[int, list[int]] = {}
    for index, one in enumerate(asked):
        groups.setdefault(len(one.terms), []).append(index)
    found: dict[int, Any] = {}
    for terms, rows in groups.items():
        make = _composed if terms else _by_prompts
        images, blocked = make(model, [asked[row] for row in rows], [noise[row] for row in rows])
        found |= dict(zip(rows, zip(images, blocked, strict=True), strict=True))
    pictures, taken_away = zip(*(found[index] for index in range(len(asked))), strict=True)
    stacked = np.stack(pictures) if isinstance(pictures[0], np.ndarray) else torch.stack(pictures)
    return stacked, list(taken_away)


# --- negative prompts and prefixes ------------------------------------------------------------------------------------


def _by_prompts(
    model: "Diffusers", asked: Sequence[Conditioning], noise: list[torch.Generator]
) -> tuple[Any, list[bool]]:
    prompts = [_with_prefix(model, one) for one in asked]
    return model._call(_texts(model, prompts, [one.negative_prompt for one in asked]), noise)


def _texts(model: "Diffusers", prompts: Sequence[str], negatives: Sequence[str | None]) -> dict[str, Any]:
    """Return the arguments of the pipeline for prompts and their negative prompts; None: the model's own."""
    if all(negative is None for negative in negatives):
        return model._texts(prompts)
    pipe, settings = model._pipe, model._settings
    takes = inspect.signature(type(pipe).__call__).parameters
    if why := pipelines.why_no_negative_prompt(pipe, takes, settings.guidance):
        raise ModelError(
            f"{settings.pipeline}: {why}, and the table of prompts has a negative prompt; leave such rows out, or name "
            "another `pipeline` (with `guidance` above 1)"
        )
    texts = [settings.negative_prompt if negative is None else negative for negative in negatives]
    if not model._embeds:
        return {"prompt": list(prompts), "negative_prompt": texts}
    # Stable Diffusion encodes a negative prompt as it does a prompt.
    of_negatives = model._texts(texts)["prompt_embeds"]
    return model._texts(prompts) | {"negative_prompt_embeds": of_negatives}


def _with_prefix(model: "Diffusers", asked: Conditioning) -> str:
    """Return the prompt, after the token that stands for its prefix; the pipeline learns the token first."""
    if not asked.prefix:
        return asked.prompt
    pipe, place = model._pipe, model._settings.pipeline
    if not model._embeds:
        raise ModelError(
            f"{place}: a prefix needs a Stable Diffusion pipeline with one text encoder, and this is a "
            f"{type(pipe).__name__}; leave such rows of the table of prompts out"
        )
    token = f"<prefix-{asked.digest[:12]}>"
    if token not in pipe.tokenizer.get_vocab():
        from safetensors.torch import load_file

        try:
            (vectors,) = load_file(asked.prefix).values()
            pipe.load_textual_inversion({token: vectors}, token=token)
        except Exception as error:  # whatever a file of another kind leads to
            raise ModelError(
                f"{asked.prefix}: not a prefix for {place} ({one_line(error)}); make it for this model with `fit "
                "attacks prefix`"
            ) from error
    return f"{token} {asked.prompt}"


# --- composed guidance ------------------------------------------------------------------------------------------------


def compose(unconditional: torch.Tensor, conditional: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return eps(empty) + sum w_i (eps(c_i) - eps(empty)).

    Args:
        unconditional: [B, ...] eps(empty).
        conditional: [n, B, ...] eps(c_i).
        weights: [n, B] w_i.

    Returns:
        [B, ...]
    """
    shaped = weights.to(conditional).reshape(*weights.shape, *[1] * (conditional.dim() - 2))
    return unconditional + (shaped * (conditional - unconditional)).sum(0)


def _composed(
    model: "Diffusers", asked: Sequence[Conditioning], noise: list[torch.Generator]
) -> tuple[Any, list[bool]]:
    """Return pictures by composed guidance, and whether each was taken away; all of `asked` have as many terms."""
    settings, pipe = model._settings, model._pipe
    denoiser = getattr(pipe, "unet", None) or getattr(pipe, "transformer", None)
    if denoiser is None or "guidance_scale" not in model._takes or settings.guidance <= 1:
        why = f"`guidance` is {settings.guidance:g}" if settings.guidance <= 1 else "it has no guidance_scale"
        raise _not_guided(model, why)
    of_pictures = [[*one.terms, _PROBE] if len(one.terms) == 1 else list(one.terms) for one in asked]
    count, terms = len(asked), len(of_pictures[0])
    # By term, then by picture: the first `count` rows are a whole set.
    prompts = [of_picture[term][1] for term in range(terms) for of_picture in of_pictures]
    weights = torch.tensor([[of_picture[term][0] for of_picture in of_pictures] for term in range(terms)])
    copies = [torch.Generator("cpu").manual_seed(one.initial_seed()) for _ in range(terms) for one in noise]
    texts = _texts(model, prompts, [one.negative_prompt for _ in range(terms) for one in asked])
    guided = _Guided(weights, settings.guidance, lambda why: _not_guided(model, why))
    with guided.around(denoiser):
        images, blocked = model._call(texts, copies)
    if not guided.calls:
        raise _not_guided(model, "its denoiser is not called")
    return images[:count], blocked[:count]


def _not_guided(model: "Diffusers", why: str) -> ModelError:
    return ModelError(
        f"{model._settings.pipeline}: composed guidance needs a pipeline with classifier-free guidance, whose denoiser "
        f"takes both halves in one batch, and for this {type(model._pipe).__name__} {why}; leave rows with a "
        "composition out of the table of prompts, or name a pipeline such as Stable Diffusion with `guidance` above 1"
    )


class _Guided:
    """Makes a denoiser answer so that a pipeline's guidance becomes composed guidance."""

    def __init__(self, weights: torch.Tensor, guidance: float, error: Callable[[str], ModelError]):
        """Take the weights [n, B], the scale with which the pipeline guides, and what makes an error of a reason."""
        self._weights, self._guidance, self._error = weights, guidance, error
        self._terms, self._count = weights.shape
        self._empty: int | None = None
        self.calls = 0

    @contextmanager
    def around(self, denoiser: torch.nn.Module) -> Iterator[None]:
        """Change the answers of a denoiser."""
        hooks = [
            denoiser.register_forward_pre_hook(self._before, with_kwargs=True),
            denoiser.register_forward_hook(self._after, with_kwargs=True),
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    @property
    def _batch(self) -> int:
        return 2 * self._terms * self._count

    def _before(self, module: torch.nn.Module, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
        """Return the inputs without the unconditional copies: n + 1 conditionings of each picture."""
        self.calls += 1
        sample = next((one for one in (*args, *kwargs.values()) if isinstance(one, torch.Tensor)), None)
        if sample is None or sample.shape[:1] != (self._batch,):
            size = "nothing" if sample is None else number_of(len(sample), "picture")
            raise self._error(f"it is given {size} and not {self._batch}")
        if self._empty is None:
            self._empty = self._find_empty(args, kwargs)
        half = self._batch // 2
        empty, given = self._empty * half, (1 - self._empty) * half
        rows = [*range(empty, empty + self._count), *range(given, given + half)]
        index = torch.tensor(rows, device=sample.device)

        def taken(value: torch.Tensor) -> torch.Tensor:
            return value.index_select(0, index.to(value.device))

        return tuple(self._mapped(one, taken) for one in args), {
            name: one if name in _NOT_OF_A_PICTURE else self._mapped(one, taken) for name, one in kwargs.items()
        }

    def _mapped(self, value: Any, change: Callable[[torch.Tensor], Any]) -> Any:
        """Return an input in which tensors of the whole batch are changed, inside lists and dicts too."""
        if isinstance(value, torch.Tensor):
            return change(value) if value.shape[:1] == (self._batch,) else value
        if isinstance(value, dict):
            return {k: one if k in _NOT_OF_A_PICTURE else self._mapped(one, change) for k, one in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(self._mapped(one, change) for one in value)
        return value

    def _find_empty(self, args: tuple, kwargs: dict[str, Any]) -> int:
        """Return which half of the batch, 0 or 1, is unconditional: the one that does not differ from term to term."""
        varies = [False, False]

        def look(value: torch.Tensor) -> torch.Tensor:
            halves = value.unflatten(0, (2, self._terms, self._count))
            for half in range(2):
                varies[half] |= not all(torch.equal(halves[half, 0], one) for one in halves[half, 1:])
            return value

        self._mapped([*args, kwargs], look)
        if all(varies):
            raise self._error("neither half of the batch is the same for all terms")
        return 1 if varies[0] else 0

    def _after(self, module: torch.nn.Module, args: tuple, kwargs: dict[str, Any], output: Any) -> Any:
        """Return the answer for the whole batch, of which the pipeline makes composed guidance."""
        kept = self._count * (self._terms + 1)

        def composed(value: Any) -> Any:
            if not isinstance(value, torch.Tensor) or value.shape[:1] != (kept,):
                return value
            empty, given = value[: self._count], value[self._count :].unflatten(0, (self._terms, self._count))
            # The pipeline computes empty + guidance * (answer - empty).
            answer = empty + (compose(empty, given, self._weights.to(value.device)) - empty) / self._guidance
            halves = [
                empty.repeat(self._terms, *[1] * (empty.dim() - 1)),
                answer.repeat(self._terms, *[1] * (empty.dim() - 1)),
            ]
            return torch.cat(halves if self._empty == 0 else halves[::-1])

        if isinstance(output, tuple):
            return tuple(composed(one) for one in output)
        if isinstance(output, torch.Tensor):
            return composed(output)
        return type(output)(**{name: composed(one) for name, one in output.items()})
