"""Sections of what is loaded: text-to-image models and embedders."""

from typing import Annotated

import pydantic
from pydantic import Field

from fit.config.section import Name, Section, section
from fit.embeddings.settings import BatchSettings, EmbedderSettings, FaceSettings
from fit.generated.settings import GenerationSettings, PipelineSettings

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
    pipeline: str | None = None  # type: ignore[assignment]  # of pictures that are provided there is none
    """Hub id or folder of a diffusers text-to-image pipeline."""
    provided_images: str | None = None
    """Local generated images, instead of a pipeline: a folder with a folder per slug (in it a folder per prompt, if
    you like), or Parquet with the columns concept and bytes."""
    variant: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")] | None = None
    """Which weights to load where files have several: fp16 for model.fp16.safetensors. Left out: those without a
    variant or, where a component has none, the only variant that there is."""
    gpus: Gpus = 1
    """GPUs that a job asks the scheduler for."""

    @pydantic.model_validator(mode="after")
    def _pipeline_or_images(self) -> "Model":
        if (self.pipeline is None) == (self.provided_images is None):
            raise ValueError("give either `pipeline` or `provided_images`")
        return self
