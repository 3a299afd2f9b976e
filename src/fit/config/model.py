"""Sections of what is loaded: text-to-image models and embedders."""

import re
from typing import Annotated

import pydantic
from pydantic import Field

from fit.atelier.settings import ErasingSettings
from fit.config.section import Described, Name, Section, section
from fit.embeddings.settings import BatchSettings, EmbedderSettings, FaceSettings
from fit.generated.settings import ChangeSettings, GenerationSettings, PipelineSettings
from fit.settings import LOADED, PLACE

Gpus = Annotated[int, Field(ge=0, le=1)]


@section
class Embedder(EmbedderSettings, FaceSettings, BatchSettings, Described):
    """An image encoder."""

    backend: str
    """Name in the registry of embedders."""
    threads: Annotated[int, Field(ge=1, le=4096)] = 4
    """Processors of a job: as many processes decode pictures and search faces in them; with 1, the job itself does."""
    gpus: Gpus = 1
    """GPUs that a job asks the scheduler for."""


@section
class Component(Section):
    """A component that replaces a pipeline's own: of the same class, with tensors of the same names and shapes."""

    place: Annotated[str, LOADED]
    """Its folder (with config.json), a file of safetensors whose tensors are laid over the base's, or a hub id."""
    subfolder: str | None = None
    """Where it is within its place."""
    revision: str | None = None
    """Commit of a hub id."""


@section
class Lora(Section):
    """A LoRA: small matrices that are added to the weights."""

    place: Annotated[str, LOADED]
    """A file of safetensors, a folder with one, or a hub id."""
    file: str | None = None
    """Its name within its place, if there are several."""
    revision: str | None = None
    """Commit of a hub id."""
    scale: float = 1.0
    """By what it is multiplied."""


@section
class Rule(Section):
    """A text that is replaced in every prompt."""

    find: Annotated[str, Field(min_length=1)]
    """The text, letter case ignored, where it is no part of a longer word; {name} is the concept's name."""
    replace: str = ""
    """What is put there."""

    @pydantic.field_validator("find")
    @classmethod
    def _no_blanks(cls, text: str) -> str:
        if text != text.strip():
            raise ValueError(f"{text!r} begins or ends with a blank, and whole words are replaced; take the blank out")
        return text

    @pydantic.field_validator("find", "replace")
    @classmethod
    def _no_dash(cls, text: str) -> str:
        if text.startswith("-"):
            raise ValueError("a text that begins with a dash would be taken for an option; write it otherwise")
        return text


@section
class Rewriting(Section):
    """Prompts that are rewritten before the model sees them, those of the domain and of a table of prompts: a prompt,
    each prompt of a composition. Scores stay those of the prompt that was asked for."""

    table: Annotated[str, PLACE] | None = None
    """Table with the columns prompt and rewritten: the whole text of a prompt, or one with {name}, which is the name of
    each concept, such as a template of the domain."""
    rules: list[Rule] = Field(default_factory=list)
    """Texts to replace, one after another, after the table."""

    @pydantic.model_validator(mode="after")
    def _something(self) -> "Rewriting":
        if self.table is None and not self.rules:
            raise ValueError("give a `table` or `rules`")
        return self


@section
class Erase(ErasingSettings, Section):
    """Concepts that the workflow erases from the base, by training one of its components (docs/defences.md)."""

    concepts: Annotated[list[str], Field(min_length=1)]
    """Slugs of the concepts."""
    domain: Name
    """The domain that has them. Its other concepts are those that some methods retain, or put in their place."""


@section
class Model(PipelineSettings, GenerationSettings, Described):
    """A text-to-image model."""

    corpus: Name
    """The corpus that it was trained on."""
    before: Name | None = None
    """Another of `models`: this one before it was trained on the corpus. Its scores say how difficult the concepts are
    (docs/scores.md). It has the same `corpus`, so that its pictures are compared with the same targets."""
    pipeline: Annotated[str, LOADED] | None = None  # type: ignore[assignment]  # pictures that are provided have no pipeline
    base: Name | None = None
    """Another of `models`, from which this one is derived (docs/defences.md): it has the same pipeline and corpus, and
    all keys that are left out here. `components`, `lora`, `rewrite`, `safety_checker`, `erase`, and other keys such as
    `negative_prompt`, say how it differs."""
    components: dict[str, Component] = Field(default_factory=dict)
    """Components of the base's pipeline that are replaced: text_encoder, unet, vae ..."""
    lora: Lora | None = None
    """A LoRA that is added to the weights."""
    rewrite: Rewriting | None = None
    """How prompts are rewritten."""
    safety_checker: bool = False
    """Whether the pipeline's own safety checker judges the pictures; it is off in the paper. A blocked picture counts
    as not made."""
    erase: Erase | None = None
    """What the workflow erases from the base, for the built-in world and other small pipelines."""
    erases: list[str] = Field(default_factory=list)
    """Slugs of the concepts that this model is to be kept from imitating; `erase` says it too."""
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

    @pydantic.model_validator(mode="after")
    def _changes_of_a_base(self) -> "Model":
        changed = [
            name
            for name in ("components", "lora", "rewrite", "safety_checker", "erase", "erases")
            if getattr(self, name)
        ]
        if self.base is None and changed:
            raise ValueError(f"`{changed[0]}` changes another model; name it as `base`")
        return self

    @property
    def changes(self) -> ChangeSettings:
        """What differs from the base's pipeline and prompts."""
        parts, lora, rewrite = self.components, self.lora, self.rewrite
        rules = rewrite.rules if rewrite else []
        return ChangeSettings(
            components=tuple(f"{name}={part.place}" for name, part in parts.items()),
            component_subfolders=tuple(f"{name}={part.subfolder}" for name, part in parts.items() if part.subfolder),
            component_revisions=tuple(f"{name}={part.revision}" for name, part in parts.items() if part.revision),
            lora=lora.place if lora else None,
            lora_file=lora.file if lora else None,
            lora_revision=lora.revision if lora else None,
            lora_scale=lora.scale if lora else 1.0,
            safety_checker=self.safety_checker,
            rewrite_table=rewrite.table if rewrite else None,
            rewrite_find=tuple(rule.find for rule in rules),
            rewrite_with=tuple(rule.replace for rule in rules),
        )

    @property
    def changed_places(self) -> dict[str, str]:
        """Key -> place of what the changes are loaded from: a path, or a hub id."""
        found = {f"components.{name}.place": part.place for name, part in self.components.items()}
        if self.lora:
            found["lora.place"] = self.lora.place
        if self.rewrite and self.rewrite.table:
            found["rewrite.table"] = self.rewrite.table
        return found
