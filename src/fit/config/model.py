"""Sections of what is loaded: text-to-image models and embedders."""

import re
from typing import Annotated

import pydantic
from pydantic import Field

from fit.config.section import Name, Section, section
from fit.embeddings.settings import BatchSettings, EmbedderSettings, FaceSettings
from fit.generated.settings import GenerationSettings, PipelineSettings
from fit.settings import LOADED, PLACE

Gpus = Annotated[int, Field(ge=0, le=1)]


@section
class Embedder(EmbedderSettings, FaceSettings, BatchSettings, Section):
    """An image encoder."""

    backend: str
    """Name in the registry of embedders."""
    threads: Annotated[int, Field(ge=1, le=4096)] = 4
    """Processors of a job: as many processes decode pictures and search faces in them; with 1, the job itself does."""
    gpus: Gpus = 1
    """GPUs that a job asks the scheduler for."""


@section
class Model(PipelineSettings, GenerationSettings, Section):
    """A text-to-image model."""

    corpus: Name
    """The corpus that it was trained on."""
    before: Name | None = None
    """Another of `models`: this one before it was trained on the corpus. Its scores say how difficult the concepts are
    (docs/scores.md). It has the same `corpus`, so that its pictures are compared with the same targets."""
    pipeline: Annotated[str, LOADED] | None = None  # type: ignore[assignment]  # pictures that are provided have no pipeline
    provided_images: Annotated[str, PLACE] | None = None
    """Local generated images, instead of a pipeline: a folder with a folder per slug (in it a folder per prompt, if
    you like), or Parquet with the columns concept and bytes."""
    prompt_table: Annotated[str, PLACE] | None = None
    """Table of prompts of each concept, in place of the domain's: CSV, TSV or Parquet with the columns concept and
    prompt and, if you like, negative_prompt, composition and prefix (docs/attacks.md)."""
    gpus: Gpus = 1
    """GPUs that a job asks the scheduler for."""

    @pydantic.field_validator("variant")
    @classmethod
    def _variant_is_part_of_a_name(cls, variant: str | None) -> str | None:
        if variant is not None and not re.fullmatch(r"[A-Za-z0-9_-]+", variant):
            raise ValueError("a variant is part of a file's name; use letters, digits, _ and -")
        return variant

    @pydantic.model_validator(mode="after")
    def _pipeline_or_images(self) -> "Model":
        if (self.pipeline is None) == (self.provided_images is None):
            raise ValueError("give either `pipeline` or `provided_images`")
        if self.prompt_table and self.provided_images:
            raise ValueError("`prompt_table` says what to generate, and `provided_images` are there; take one out")
        return self
