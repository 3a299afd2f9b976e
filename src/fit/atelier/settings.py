"""Settings of the built-in world."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le

from fit.settings import STRICT


@dataclass(frozen=True, kw_only=True)
class WorldSettings:
    """How much of the built-in world is painted."""

    __pydantic_config__: ClassVar[Any] = STRICT

    painters_without_pictures: Annotated[int, Ge(0), Le(1_000_000)]
    """Painters that the corpus lacks."""
    largest_count: Annotated[int, Ge(1), Le(10**9)]
    """Pictures of the most frequent painter; the others are log-uniform below."""
    smallest_count: Annotated[int, Ge(1), Le(10**9)] = 1
    """Pictures of the least frequent painter that has any."""
    references_per_painter: Annotated[int, Ge(2), Le(10_000)]
    """Pictures painted for reference."""
    photographs: Annotated[int, Ge(2), Le(1_000_000)] = 500
    """Ordinary photographs, for the threshold of the art filter."""
    anonymous: Annotated[int, Ge(0), Le(10**9)]
    """Pictures by unnamed painters in the corpus, and as many photographs."""
    nameless: Annotated[float, Ge(0), Le(1)] = 0.0
    """Share of a painter's pictures whose captions do not name the painter: what captions miss."""
    motifs: Annotated[float, Ge(0), Le(1)] | None = None
    """Share of captions that name a motif beside the subject; each painter has a few of their own, so that words go
    with painters (docs/attacks.md). Left out: none does."""


@dataclass(frozen=True, kw_only=True)
class StyleEncoderSettings:
    """How long the encoder that tells painters apart is trained."""

    __pydantic_config__: ClassVar[Any] = STRICT

    encoder_steps: Annotated[int, Ge(1), Le(10**9)]
    """Optimisation steps of the style encoder."""


@dataclass(frozen=True, kw_only=True)
class ArtFilterSettings:
    """How long the model that tells artworks from photographs is trained."""

    __pydantic_config__: ClassVar[Any] = STRICT

    art_filter_steps: Annotated[int, Ge(1), Le(10**9)]
    """Optimisation steps of the art filter."""


@dataclass(frozen=True, kw_only=True)
class GeneratorSettings:
    """How long the text-to-image pipeline is trained."""

    __pydantic_config__: ClassVar[Any] = STRICT

    autoencoder_steps: Annotated[int, Ge(1), Le(10**9)]
    """Optimisation steps of the generator's autoencoder."""
    generator_steps: Annotated[int, Ge(1), Le(10**9)]
    """Optimisation steps of the generator's text encoder and U-Net."""
    generator_batch: Annotated[int, Ge(1), Le(1_000_000)]
    """Pictures per training step."""
    generator_width: Annotated[float, Ge(0.25), Le(16)] = 1.0
    """Channels of the U-Net, as a multiple of the usual ones."""


@dataclass(frozen=True, kw_only=True)
class ErasingSettings:
    """How concepts are erased from a pipeline."""

    __pydantic_config__: ClassVar[Any] = STRICT

    method: Literal["esd", "advunlearn", "domain_correction", "control", "control_text"]
    """How (docs/defences.md). control and control_text fine-tune the same component as long, and erase nothing."""
    erasing_steps: Annotated[int, Ge(1), Le(10**6)] = 60
    """Optimisation steps."""
    erasing_batch: Annotated[int, Ge(1), Le(10_000)] = 16
    """Noisy latents per step."""
    erasing_rate: Annotated[float, Gt(0), Le(1)] = 2e-4
    """Learning rate."""
    strength: Annotated[float, Ge(0), Le(100)] = 1.0
    """eta: how far away from the concept the noise prediction is led."""
    retain_weight: Annotated[float, Ge(0), Le(1000)] = 0.3
    """Weight of the term that retains other concepts, where the method has one."""
    attack_steps: Annotated[int, Ge(0), Le(10_000)] = 30
    """Steps of the adversary within each step, where the method has one."""
    attack_rate: Annotated[float, Gt(0), Le(10)] = 1e-2
    """Learning rate of the adversary."""
    attack_batch: Annotated[int, Ge(1), Le(10_000)] = 4
    """Noisy latents that the adversary looks at."""
