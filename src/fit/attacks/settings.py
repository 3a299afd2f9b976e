"""Settings of attacks."""

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le

from fit.settings import STRICT


@dataclass(frozen=True, kw_only=True)
class AssociationSettings:
    """Which words go with a concept."""

    __pydantic_config__: ClassVar[Any] = STRICT

    words_per_concept: Annotated[int, Ge(1), Le(100_000)] = 50
    """Words that are kept of each concept, those of the highest PMI."""
    least_captions: Annotated[int, Ge(1), Le(10**9)] = 3
    """Captions of a concept that a word has to be in."""
    smoothing: Annotated[float, Ge(0), Le(10**6)] = 1.0
    """Captions with the word, and as many without it, that are added to each count (add-k)."""
    sampled_captions: Annotated[int, Ge(0), Le(10**9)] = 1_000_000
    """Captions of the whole corpus in which words are counted, a seeded sample; 0: all of them."""


@dataclass(frozen=True, kw_only=True)
class PromptingSettings:
    """Which prompts an attack is made of."""

    __pydantic_config__: ClassVar[Any] = STRICT

    top_words: list[Annotated[int, Ge(1), Le(1000)]] = field(default_factory=lambda: [3, 5, 10, 20])
    """How many words an indirect prompt has; one prompt each."""
    negatives: list[Literal["none", "name", "words", "both"]] = field(
        default_factory=lambda: ["none", "name", "words", "both"]
    )
    """What indirect prompts and descriptions are tried against, as the negative prompt: nothing, the concept's names,
    the words that go with it, both."""
    negative_words: Annotated[int, Ge(1), Le(1000)] = 5
    """Words of a negative prompt that is made of words."""
    weights: list[Annotated[float, Ge(-1000), Le(1000)]] = field(default_factory=lambda: [-5.0, 0.0, 5.0])
    """Concept arithmetic tries each of these for the concept, for the concept in a context, and for the context."""
    context: str = "a painting of a harbour"
    """What concept arithmetic composes with the concept: a prompt of its own, without {name}."""
    in_context: str = "a painting of a harbour by {name}"
    """The concept in that context."""


@dataclass(frozen=True, kw_only=True)
class PrefixSettings:
    """How a prefix of token embeddings is found that brings a concept back."""

    __pydantic_config__: ClassVar[Any] = STRICT

    prefix_tokens: Annotated[int, Ge(1), Le(64)] = 3
    """Token embeddings before a prompt; UnlearnDiffAtk's number for styles."""
    prefix_steps: Annotated[int, Ge(1), Le(10**6)] = 40
    """Steps of the optimiser; UnlearnDiffAtk's number."""
    prefix_batch: Annotated[int, Ge(1), Le(10**6)] = 8
    """Noisy pictures of the concept per step."""
    prefix_learning_rate: Annotated[float, Gt(0), Le(100)] = 0.01
    """Of Adam."""
