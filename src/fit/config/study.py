"""Sections of a study: its models and domains, the threshold, the built-in world."""

from typing import Annotated

import pydantic
from pydantic import Field

from fit.atelier.changes import WORLDS
from fit.atelier.settings import ArtFilterSettings, GeneratorSettings, StyleEncoderSettings, WorldSettings
from fit.config.section import Name, Section, section
from fit.copies.settings import CopiesWorldSettings, CopySettings, PromptSettings
from fit.defences.settings import DefenceSettings
from fit.explorer.settings import PageSettings, PictureSettings, ShownSettings
from fit.io.shown import number_of
from fit.poisoning.settings import PoisoningSettings
from fit.scores.settings import FixedTargetSettings, NullSettings, ScoreSettings
from fit.settings import PLACE
from fit.thresholds.estimators import ESTIMATORS, no_estimator
from fit.thresholds.settings import ThresholdSettings
from fit.truth.design import USUAL
from fit.truth.settings import DesignSettings


@section
class Study(Section):
    """Thresholds of some models in some domains, in one table."""

    models: Annotated[list[Name], Field(min_length=1)]
    """Names of models."""
    domains: Annotated[list[Name], Field(min_length=1)]
    """Names of domains."""

    @pydantic.field_validator("models", "domains")
    @classmethod
    def _once(cls, names: list[str]) -> list[str]:
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"{twice!r} occurs twice; name each once")
        return names


@section
class Threshold(ThresholdSettings, ScoreSettings, FixedTargetSettings, NullSettings, Section):
    """Scores, and the estimation of the threshold."""

    @pydantic.field_validator("estimators")
    @classmethod
    def _known_and_once(cls, estimators: list[str]) -> list[str]:
        if not estimators:
            raise ValueError("name one estimator or more")
        for name in estimators:
            if name not in ESTIMATORS:
                raise ValueError(no_estimator(name))
        if len(set(estimators)) < len(estimators):
            raise ValueError("an estimator occurs twice; name each once")
        return estimators


@section
class Defences(DefenceSettings, Section):
    """How models that are derived from others are compared with them."""


@section
class Explorer(PictureSettings, ShownSettings, PageSettings, Section):
    """The explorer: which pictures it shows, and how large the page may be."""


@section
class Atelier(WorldSettings, StyleEncoderSettings, ArtFilterSettings, GeneratorSettings, Section):
    """The built-in world: how much of it is painted, and how long its models train."""

    sheet: Annotated[str, PLACE]
    """Concept sheet of its painters."""
    shards: Annotated[int, Field(ge=1, le=1_000_000)]
    """Parquet files of the corpus."""


@section
class Truth(DesignSettings, WorldSettings, GeneratorSettings, Section):
    """Whether the estimated threshold is the true one: many models of the built-in world, and how each is made."""

    @pydantic.field_validator("worlds", "changes")
    @classmethod
    def _each_once(cls, names: list) -> list:
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"{twice!r} occurs twice; name each once")
        return names

    @pydantic.field_validator("worlds")
    @classmethod
    def _seeds(cls, worlds: list[int]) -> list[int]:
        if not worlds:
            raise ValueError("name one seed or more")
        return worlds

    @pydantic.field_validator("changes")
    @classmethod
    def _known(cls, changes: list[str]) -> list[str]:
        broken = [name for name in WORLDS if name != USUAL]
        for name in changes:
            if name == USUAL:
                raise ValueError(f"{USUAL!r} breaks nothing, and is always there; take it out")
            if name not in broken:
                raise ValueError(f"no such change: {name!r}; there are: {', '.join(broken)}")
        return changes


@section
class CopiesWorld(CopiesWorldSettings, GeneratorSettings, Section):
    """Whether duplicates drive copies, and distinct images imitation: a world, and how its model is trained."""

    @pydantic.field_validator("counts")
    @classmethod
    def _each_once(cls, counts: list[int]) -> list[int]:
        if not counts:
            raise ValueError("name one count or more")
        if twice := next((count for count in counts if counts.count(count) > 1), None):
            raise ValueError(f"{twice} occurs twice; name each once")
        return counts


@section
class Copies(PromptSettings, CopySettings, Section):
    """Which prompts make a model paint a training image again: which are looked at, and what counts as a copy."""

    models: list[Name] | None = None
    """Names of models; they are diffusers pipelines. Left out: those of the default study."""
    prompts: Annotated[str, PLACE] | None = None
    """Your prompts, instead of the most duplicated captions: a table with the column `caption`, and `memorised` (true
    or false) where it is known."""
    other_prompts: Annotated[str, PLACE] | None = None
    """Prompts of no training image: a table with the column `caption`. Left out: halves of captions of the corpus, put
    together again."""
    training_images: Annotated[list[str], PLACE] | None = None
    """Parquet tables of training images (column bytes, image or picture). Left out: those in the files of captions or,
    where images are behind links, those that the default study collects."""
    images_per_prompt: Annotated[int, Field(ge=2, le=1_000_000)] = 100
    """Pictures of each prompt; a clique is looked for among them. The paper has 500."""
    detector_pictures: Annotated[int, Field(ge=1, le=10_000)] = 4
    """Pictures of each prompt over which the detector's norm is averaged."""
    jobs: Annotated[int, Field(ge=1, le=1_000_000)] = 4
    """Jobs that share the prompts of a model."""
    atelier: CopiesWorld | None = None
    """The experiment of `snakemake copies_atelier` in the built-in world. Left out: it is not made."""

    @pydantic.model_validator(mode="after")
    def _enough(self) -> "Copies":
        if self.images_per_prompt < self.clique:
            raise ValueError(
                f"a clique has {number_of(self.clique, 'picture')}, and a prompt only {self.images_per_prompt}; raise "
                "`images_per_prompt`, or lower `clique`"
            )
        if self.side % 4:
            raise ValueError(f"`side` is {self.side}, which 4 tiles do not divide; make it {self.side // 4 * 4}")
        needed = 2 * (-(-1 // self.false_positives) - 1)
        if self.others < needed and not self.other_prompts:
            raise ValueError(
                f"`others: {self.others}` is too few for `false_positives: "
                f"{self.false_positives}`; raise `others` to {needed:.0f}, or the share"
            )
        return self


@section
class Poisoning(PoisoningSettings, Section):
    """How many poisoned pairs a scorer needs before an attack on it works: small CLIPs of the built-in world."""

    sheet: Annotated[str, PLACE] = "concepts/painters.tsv"
    """Concept sheet of the painters; the first of them are the classes."""
    seeds: Annotated[list[Annotated[int, Field(ge=0, le=2**62)]], Field(min_length=1)]
    """Seeds: other painters' styles, other weights; for each, a job for each objective."""

    @pydantic.field_validator("seeds", "poisoned_pairs")
    @classmethod
    def _each_once(cls, numbers: list[int]) -> list[int]:
        if not numbers:
            raise ValueError("name one number or more")
        if twice := next((number for number in numbers if numbers.count(number) > 1), None):
            raise ValueError(f"{twice!r} occurs twice; name each once")
        return numbers
