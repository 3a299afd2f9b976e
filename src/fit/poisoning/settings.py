"""Settings of the poisoning experiment: which models are trained, on what, and how they are cleaned."""

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le

from fit.settings import STRICT

OBJECTIVES = ("contrastive", "self-supervised")
"""Names of the objectives of training: contrastive alone, and with self-supervision within pictures and captions."""
Objective = Literal["contrastive", "self-supervised"]


@dataclass(frozen=True, kw_only=True)
class PoisoningSettings:
    """What a small CLIP is trained on, how long, and how it is cleaned."""

    __pydantic_config__: ClassVar[Any] = STRICT

    poisoned_pairs: list[Annotated[int, Ge(0), Le(1_000_000)]] = field(
        default_factory=lambda: [0, 10, 30, 60, 120, 300]
    )
    """How many poisoned pairs are among the training pairs, a model each."""
    classes: Annotated[int, Ge(3), Le(1000)] = 12
    """Painters: the first of the sheet. The first of them is the attacker's target."""
    pairs: Annotated[int, Ge(16), Le(10_000_000)] = 900
    """Clean pairs of a picture and a caption, as many of each painter."""
    patch_pixels: Annotated[int, Ge(1), Le(16)] = 5
    """Side of the patch, in pixels of a picture of 32 x 32."""
    training_steps: Annotated[int, Ge(1), Le(10**9)] = 120
    """Optimisation steps of a training."""
    training_rate: Annotated[float, Gt(0), Le(1)] = 3e-3
    """Highest learning rate of a training."""
    cleaning_pairs: Annotated[int, Ge(16), Le(10_000_000)] = 480
    """Clean pairs that a model is cleaned with; it has not seen them before."""
    cleaning_steps: Annotated[int, Ge(0), Le(10**9)] = 40
    """Optimisation steps of a cleaning."""
    cleaning_rate: Annotated[float, Gt(0), Le(1)] = 2e-3
    """Highest learning rate of a cleaning."""
    pairs_per_step: Annotated[int, Ge(2), Le(1_000_000)] = 32
    """Pairs of a step."""
    held_out: Annotated[int, Ge(10), Le(1_000_000)] = 360
    """Pictures that accuracy and attack success are measured on; no model has seen them."""
