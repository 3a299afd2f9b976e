"""Sections of a domain: its concepts, their references, how they are recognised and what the models are asked for."""

from typing import Annotated, Literal

import pydantic
from pydantic import Field

from fit.config.section import Cosine, Described, Name, Section, section
from fit.matches.settings import MeanSettings, Method
from fit.references import SOURCES
from fit.references.settings import SearchSettings, SelectionSettings
from fit.scores.settings import TargetSettings
from fit.settings import PLACE

MatchThreshold = Literal[Method, "paper-faces", "paper-faces-f1", "paper-classical", "paper-modern"]
ArtThreshold = Literal["paper-classical", "paper-modern"]


@section
class ArtFilter(Described):
    """Keeps artworks and drops ordinary photographs, by similarity of image to text. `origin` and `licence` are those
    of the photographs."""

    embedder: Name
    """An embedder that has a text tower."""
    texts: Annotated[list[str], Field(min_length=1)] = Field(default_factory=lambda: ["an artwork"])
    """An image's similarity is the highest to any of these."""
    photographs: Annotated[str, PLACE] | None = None
    """Ordinary photographs, against which the threshold is found: an image table (Parquet) or a folder. May be left out
    where `threshold` is given; how well it tells them apart is then not known."""
    threshold: ArtThreshold | Cosine | None = None
    """Cosine above which an image is an artwork, or the name of a published one (fit.published); found from references
    and photographs when left out."""

    @pydantic.model_validator(mode="after")
    def _threshold_or_photographs(self) -> "ArtFilter":
        if self.threshold is None and not self.photographs:
            raise ValueError("give `photographs`, against which the threshold is found, or `threshold`")
        return self


@section
class References(SearchSettings, SelectionSettings, Described):
    """Where a domain's verified images come from. Give one source."""

    table: Annotated[str, PLACE] | None = None
    """Parquet file with the columns concept and bytes."""
    folder: Annotated[str, PLACE] | None = None
    """Folder with one folder of images per concept, named by its slug."""
    serpapi: str | None = None
    """What to ask Google's image search for through serpapi.com, with {name}; the key is read from SERPAPI_API_KEY."""
    wikiart: bool | None = None
    """true: an artist's works from wikiart.org, found by name."""
    vetoes: Annotated[str, PLACE] | None = None
    """Tab-separated file with the columns concept and image_id: images that a person has rejected."""

    @pydantic.model_validator(mode="after")
    def _one_source(self) -> "References":
        if len([kind for kind in SOURCES if getattr(self, kind)]) != 1:
            raise ValueError(f"give one source: {', '.join(f'`{kind}`' for kind in SOURCES)}")
        return self

    @property
    def source(self) -> str:
        """Which source is given."""
        return next(kind for kind in SOURCES if getattr(self, kind))

    @property
    def place(self) -> str:
        """The table or folder, or what a search asks for."""
        return self.table or self.folder or self.serpapi or ""


@section
class Domain(TargetSettings, MeanSettings, Section):
    """A set of concepts of one kind."""

    concepts: Annotated[str, PLACE]
    """Concept sheet, tab-separated."""
    embedder: Name
    """Which of `embedders` tells its concepts apart."""
    references: References
    """Verified images of each concept."""
    match_threshold: MatchThreshold | Cosine
    """How the cosine above which two images show the same concept is found; or that cosine, or the name of a published
    one (fit.published), which holds for the embedder that it was published with and no other."""
    prompts: Annotated[list[str], Field(min_length=1)]
    """Templates with {name}, one generated set each; the paper has five."""
    art_filter: ArtFilter | None = None
    """For styles: keeps photographs of and about the artist out of the count."""
    prompt_embedder: Name | None = None
    """An embedder with a text tower, for the CLIP score of generated images to their prompts, one of the alternatives
    that an imitation score can be compared with; none: no CLIP score."""
    of_people: bool | None = None
    """Whether its pictures show people, so that a page for publication leaves them out (`explorer.pictures`). Left out:
    whether its embedder may look for faces."""
    concepts_per_job: Annotated[int, Field(ge=1, le=1_000_000)] | Literal["auto"] = "auto"
    """How many concepts one job takes. auto: it follows from the work. Where a concept takes minutes (to collect, to
    generate): as many as make 200 jobs, and more where they have few links or pictures. To embed generated pictures: as
    many as have 10,000. In stages of seconds, which spend most of their time on starting: 64."""

    @pydantic.field_validator("prompts")
    @classmethod
    def _prompts_name_the_concept(cls, prompts: list[str]) -> list[str]:
        if len(set(prompts)) < len(prompts):
            raise ValueError("a prompt occurs twice; its pictures would be the same")
        for prompt in prompts:
            try:
                named = prompt.format(name="\0")
            except (KeyError, IndexError, ValueError):
                named = ""
            if "\0" not in named:
                raise ValueError(
                    f"the prompt {prompt!r} needs {{name}} where the concept's name goes, and no other braces"
                )
        return prompts
