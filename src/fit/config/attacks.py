"""The section `attacks`, and the configuration with the models that it adds: each attacked model is a model of its own,
whose prompts are a table. So the ordinary stages generate and embed its pictures."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import pydantic
from pydantic import Field

from fit.attacks import REGISTRY
from fit.attacks.settings import AssociationSettings, PrefixSettings, PromptingSettings
from fit.config.section import DomainName, Name, Section, section
from fit.errors import ConfigError
from fit.io.nearby import nearest
from fit.settings import PLACE

if TYPE_CHECKING:
    from fit.config.config import Config

SUFFIX = ".attacked"
"""What follows a model's name in the name of the model that is added for it."""


@section
class Attacks(AssociationSettings, PromptingSettings, PrefixSettings, Section):
    """What brings a concept back that a model should not imitate: `snakemake attacks` (docs/attacks.md)."""

    models: Annotated[list[Name], Field(min_length=1)]
    """Models to attack, such as a defended one and the one that it was made from."""
    domain: DomainName
    """The domain of the concepts."""
    concepts: Annotated[list[str], Field(min_length=1)]
    """Slugs of the concepts to attack."""
    attacks: Annotated[list[str], Field(min_length=1)] = Field(
        default_factory=lambda: [name for name in REGISTRY if name != "described"]
    )
    """Which attacks: named (the domain's prompts, to compare with), indirect, described, arithmetic, prefix."""
    descriptions: Annotated[str, PLACE] | None = None
    """Table with the columns concept and description, for `described`: CSV, TSV or Parquet."""
    images_per_prompt: Annotated[int, Field(ge=2, le=1_000_000)] = 10
    """Pictures of each prompt: half of them choose an attack's best setting, the others score it."""

    @pydantic.field_validator("models", "concepts", "attacks", "negatives", "top_words")
    @classmethod
    def _each_once(cls, names: list) -> list:
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"{twice!r} occurs twice; name each once")
        return names

    @pydantic.field_validator("attacks")
    @classmethod
    def _known(cls, names: list[str]) -> list[str]:
        for name in names:
            if name not in REGISTRY:
                other = nearest(name, REGISTRY)
                hint = f"did you mean {other!r}? There are" if other else "there are"
                raise ValueError(f"no such attack: {name!r}; {hint}: {', '.join(REGISTRY)}")
        return names

    @pydantic.field_validator("in_context")
    @classmethod
    def _names_the_concept(cls, prompt: str) -> str:
        try:
            named = prompt.format(name="\0")
        except (KeyError, IndexError, ValueError):
            named = ""
        if "\0" not in named:
            raise ValueError("the prompt needs {name} where the concept's name goes, and no other braces")
        return prompt

    @pydantic.model_validator(mode="after")
    def _descriptions_where_described(self) -> "Attacks":
        if "described" in self.attacks and not self.descriptions:
            raise ValueError("give `descriptions`, a table, for the attack `described`, or take it off `attacks`")
        if "{" in self.context:
            raise ValueError("`context` is a prompt without the concept; put {name} into `in_context`")
        if max(self.weights, default=0) <= 0:
            raise ValueError("`weights` needs one above 0, to go towards something")
        return self

    @property
    def needs_words(self) -> bool:
        """Whether words that go with a concept are looked for in captions."""
        of_negatives = {"words", "both"} & set(self.negatives)
        return "indirect" in self.attacks or ("described" in self.attacks and bool(of_negatives))


def attacked(model: str) -> str:
    """Return the name of the model that is added for an attacked one."""
    return model + SUFFIX


def _problems(config: "Config", section: Attacks) -> Iterator[str]:
    """Yield what the section names and the configuration has not got."""
    if section.domain not in config.domains:
        yield f"`attacks.domain` names {section.domain!r}, which `domains` lacks; it has {', '.join(config.domains)}"
        return
    slugs = config.slugs(section.domain)
    for concept in section.concepts:
        if concept not in slugs:
            other = nearest(concept, slugs)
            hint = f"; did you mean {other!r}?" if other else "; correct it, or add it to the sheet"
            yield f"`attacks.concepts` names {concept!r}, which {config.domains[section.domain].concepts} lacks{hint}"
    bases = dict.fromkeys(config.derived_from(name) or name for name in section.models if name in config.models)
    if len(bases) > 1:
        yield (
            f"`attacks.models` has models of different bases ({', '.join(bases)}), whose curves are different scales; "
            "name the models of one of them"
        )
    for name in section.models:
        model = config.models.get(name)
        if model is None:
            yield f"`attacks.models` names {name!r}, which `models` lacks; it has {', '.join(config.models)}"
        elif model.pipeline is None:
            yield f"`attacks.models` names {name!r}, whose pictures are provided; name a model with a `pipeline`"
        elif section.needs_words and not ((captions := config.corpora[model.corpus].captions) and captions.files):
            yield (
                f"`attacks.attacks` looks for words in captions, and the corpus {model.corpus} of {name!r} has no "
                "files of captions; give `captions.files`, or take `indirect` off"
            )


def with_attacks(config: "Config") -> "Config":
    """Return `config` with a model for each that is attacked.

    Raises:
        ConfigError: the section names what is not there.
    """
    section = config.attacks
    if section is None:
        return config
    if problems := list(_problems(config, section)):
        raise ConfigError("\n".join(f"config.yaml: {problem}" for problem in problems))
    added = {
        attacked(name): replace(
            config.models[name],
            prompt_table=f"results/attacks/{name}/{section.domain}/trials.parquet",
            images_per_prompt=section.images_per_prompt,
        )
        for name in section.models
    }
    return config.model_copy(update={"models": config.models | added})
