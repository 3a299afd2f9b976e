"""The configuration: domains, corpora, models, embedders, and the studies that join them.

`Config` allows no unknown key, and answers what a workflow asks: which concepts a domain has, which corpus a model was
trained on, which concepts a job takes. Nothing here imports torch or touches the network.
"""

import os
import shlex
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import pydantic
from pydantic import Field, ValidationInfo

from fit.concepts.sheet import Concept, read_sheet
from fit.config.attacks import Attacks
from fit.config.corpus import Collection, Corpus
from fit.config.defaults import with_defaults
from fit.config.domain import Domain
from fit.config.model import Embedder, Model
from fit.config.parts import (
    CHEAP_CONCEPTS,
    Partition,
    concepts_to_collect,
    concepts_to_embed,
    concepts_to_generate,
    files_to_count,
    joined,
    shared_out,
)
from fit.config.section import DomainName, Name, refuse_true_for_a_number
from fit.config.study import Atelier, Copies, Defences, Explorer, Poisoning, Study, Threshold, Truth
from fit.embeddings import WHOLE_IMAGES
from fit.errors import ConfigError, CorpusError, FitError
from fit.io.folders import caption_files, check_listed
from fit.io.names import expand
from fit.io.nearby import near, nearest
from fit.io.user_tables import read_user_table

WEIGHTS = {".onnx", ".pt", ".pth", ".ckpt", ".bin", ".safetensors"}
"""Suffixes by which an embedder's model is a file."""


def _is_absent(path: str) -> bool:
    """Whether `path` should be on this machine and is not; what the workflow makes does not matter."""
    return not path.startswith("results/") and "://" not in path and not Path(path).exists()


def _absence(path: str, key: str) -> str:
    """What is said of a path that is missing."""
    other = near(path)
    return f"{path}: put it there, or correct `{key}`" + (f" (did you mean {other}?)" if other else "")


class Config(pydantic.BaseModel):
    """Everything in config.yaml."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)

    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Every random choice of a study derives from it."""
    default_study: Name = ""
    """The study that plain `snakemake` or `fit run` makes. Left out: the only one of `studies`."""
    studies: dict[Name, Study] = {}  # filled in where it is left out
    """What to find out. Left out: the thresholds of all models in all domains, as a study with the name `study`."""
    domains: dict[DomainName, Domain]
    """Sets of concepts."""
    corpora: dict[Name, Corpus]
    """Training sets."""
    models: dict[Name, Model]
    """Text-to-image models."""
    embedders: dict[Name, Embedder] = {}  # filled in where it is left out
    """Image encoders. Some are known without a section: arcface, facenet, dlib, csd, clip-vit-l-14, dinov2-large,
    dfn5b-vit-h-14-384 (docs/embeddings.md)."""
    collection: Collection = Collection()
    """How images are fetched and decoded."""
    threshold: Threshold = Threshold()
    """Scores, and the estimation of the threshold."""
    defences: Defences = Defences()
    """How models with a `base` are compared with it (docs/defences.md)."""
    explorer: Explorer = Explorer()
    """The page on which a study is understood."""
    atelier: Atelier | None = None
    """The built-in world. Left out: it is not made."""
    attacks: Attacks | None = None
    """Attacks on models, for `snakemake attacks`. Left out: none are made."""
    truth: Truth | None = None
    """The experiment of `snakemake truth` in the built-in world. Left out: it is not made."""
    copies: Copies | None = None
    """Which prompts make copies of training images: `snakemake copies`. Left out: none are looked for."""
    poisoning: Poisoning | None = None
    """The experiment of `snakemake poisoning`: a poisoned scorer. Left out: it is not made."""

    _sheets: dict[str, list[Concept]] = pydantic.PrivateAttr(default_factory=dict)
    _partitions: dict[tuple[str, int, int], Partition] = pydantic.PrivateAttr(default_factory=dict)
    _files: dict[str, list[str]] = pydantic.PrivateAttr(default_factory=dict)
    _unread: dict[str, list[str]] = pydantic.PrivateAttr(default_factory=dict)
    _parts: dict[str, dict[str, list[str]]] = pydantic.PrivateAttr(default_factory=dict)
    _prompts_in: dict[str, int] = pydantic.PrivateAttr(default_factory=dict)
    _read_from: tuple[str, ...] = pydantic.PrivateAttr(())
    _folder: str = pydantic.PrivateAttr("")

    @pydantic.model_validator(mode="before")
    @classmethod
    def _filled(cls, data: Any) -> Any:
        return with_defaults(data) if isinstance(data, dict) else data

    @pydantic.field_validator("*", mode="before")
    @classmethod
    def _numbers(cls, value: Any, info: ValidationInfo) -> Any:
        return refuse_true_for_a_number(cls, value, info.field_name)

    def sheet(self, domain: str) -> list[Concept]:
        """The concepts of a domain, read once."""
        if domain not in self._sheets:
            self._sheets[domain] = read_sheet(self.domains[domain].concepts)
        return self._sheets[domain]

    def slugs(self, domain: str) -> list[str]:
        """The slugs of a domain's concepts, in the order of its sheet."""
        return [concept.slug for concept in self.sheet(domain)]

    def partition(self, domain: str) -> Partition:
        """How the concepts of a domain are shared out among jobs of seconds a concept."""
        return self._shared_out(domain, CHEAP_CONCEPTS)

    def _shared_out(self, domain: str, size: int, joined_size: int = 1) -> Partition:
        """How the concepts of a domain are shared out, in parts of about `size`, which are joined to parts of about
        `joined_size`, unless the domain says how many concepts a job takes."""
        asked = self.domains[domain].concepts_per_job
        if asked != "auto":
            size, joined_size = asked, 1
        if (domain, size, joined_size) not in self._partitions:
            slugs = self.slugs(domain)
            found = shared_out(slugs, size)
            self._partitions[domain, size, joined_size] = joined(found, slugs, joined_size)
        return self._partitions[domain, size, joined_size]

    def pictures_per_concept(self, model: str, domain: str) -> int:
        """How many pictures of a concept a model generates, at most."""
        prompts = self._prompts_in_table(self.models[model].prompt_table) or len(self.domains[domain].prompts)
        return prompts * self.models[model].images_per_prompt

    def _prompts_in_table(self, path: str | None) -> int:
        """How many prompts a concept has in a table of prompts, at most; 0 where there is none that can be read."""
        if path is None or not Path(path).is_file():
            return 0
        if path not in self._prompts_in:
            try:
                values = read_user_table(path, ["concept"]).values("concept")
            except FitError:  # what is wrong with it is said where it is used
                values = []
            self._prompts_in[path] = max(Counter(values).values(), default=0)
        return self._prompts_in[path]

    def partition_of(self, tables: str) -> Partition:
        """How the concepts of a folder of tables are shared out.

        Args:
            tables: the folder below results/, such as images/CORPUS/DOMAIN, or embeddings/EMBEDDER/ before that, or
                scores/null/MODEL/DOMAIN or explorer/pictures/MODEL/DOMAIN.
        """
        kind, *names = tables.removeprefix("results/").split("/")
        are_embeddings = kind == "embeddings"
        if are_embeddings:
            kind, *names = names[1:]
        if kind in ("scores", "explorer"):
            names = names[-2:]
        domain = names[0] if kind in ("references", "photographs") else names[1]
        if kind == "images" and self.corpora[names[0]].images:
            captions = self.corpora[names[0]].captions
            links = captions.max_matched_captions if captions else 0
            return self._shared_out(domain, concepts_to_collect(len(self.slugs(domain)), links))
        if kind == "generated" and self.models[names[0]].pipeline:
            pictures = self.pictures_per_concept(names[0], domain)
            size = concepts_to_generate(len(self.slugs(domain)), pictures)
            return self._shared_out(domain, size, concepts_to_embed(pictures) if are_embeddings else 1)
        return self.partition(domain)

    def embedded_parts(self, pictures: str, part: str) -> list[str]:
        """The names of the tables of pictures that a table of embeddings is made of.

        Args:
            pictures: the folder of the tables below results/, such as generated/MODEL/DOMAIN.
            part: of the table of embeddings. That of a concept alone is made of the concept's own table.
        """
        if not pictures.startswith("generated/"):
            return [part]
        embedded = self.partition_of(f"embeddings/EMBEDDER/{pictures}")
        return self.partition_of(pictures).holding(embedded.parts[part]) if part in embedded.parts else [part]

    def pairs(self, study: str) -> list[tuple[str, str]]:
        """The (model, domain) pairs of a study."""
        return [(model, domain) for model in self.studies[study].models for domain in self.studies[study].domains]

    def models_before(self, model: str) -> list[str]:
        """The base model of a model, that of the base model, and so on, each once."""
        found: list[str] = []
        before = self.models[model].before
        while before and before in self.models and before not in found:
            found.append(before)
            before = self.models[before].before
        return found

    def pairs_with_bases(self, study: str) -> list[tuple[str, str]]:
        """The (model, domain) pairs of a study, each followed by those of its base models, each once."""
        pairs = [(m, domain) for model, domain in self.pairs(study) for m in (model, *self.models_before(model))]
        return list(dict.fromkeys(pairs))

    def shown_pairs(self, study: str) -> list[tuple[str, str]]:
        """The (model, domain) pairs of a study that lack no input, and whose pictures its page may show."""
        if self.explorer.pictures == "none":
            return []
        pairs = [pair for pair in self.pairs(study) if not self.lacks(*pair)]
        return [p for p in pairs if self.explorer.pictures == "all" or not self.is_of_people(p[1])]

    def study_named(self, study: str | None = None) -> str:
        """`study`, or the default study where left out.

        Raises:
            ConfigError: there is no such study.
        """
        if not study or study in self.studies:
            return study or self.default_study
        other = nearest(study, self.studies)
        hint = f"did you mean {other!r}? It has" if other else "it has"
        raise ConfigError(f"config.yaml: `studies` lacks {study!r}; {hint}: {', '.join(self.studies)}")

    def remember_source(self, files: Iterable[str | Path], folder: str = "") -> None:
        """Note the files that this was read from, and the folder that a command went into for them ("": none)."""
        self._read_from, self._folder = tuple(map(str, files)), folder

    @property
    def files(self) -> list[str]:
        """The files that this was read from, each laid over those before it."""
        return list(self._read_from)

    def typed(self, study: str) -> str:
        """Return what follows the name of a command that is about a study: its name or folder, and --config."""
        named = self._folder if self._folder and study == self.default_study else study
        return shlex.join([named, *(["--config", *self.files] if self.files not in ([], ["config.yaml"]) else [])])

    def from_outside(self, path: str) -> str:
        """Return a path of the study's folder as it is typed where the command was."""
        return str(Path(self._folder, path)) if self._folder else path

    def needs_match_threshold(self, domain: str) -> bool:
        """Whether a count or score of some study needs the cosine that tells the concepts of a domain apart: it does
        where there are training images to match."""
        return any(
            self.corpora[self.matched_corpus(self.models[model].corpus)].has_images
            for study in self.studies.values()
            if domain in study.domains
            for model in study.models
        )

    def is_of_people(self, domain: str) -> bool:
        """Whether the pictures of a domain show people, as `of_people` says, or else its embedder: all but those that
        are known to embed whole images are taken for embedders of faces."""
        said = self.domains[domain].of_people
        return self.embedders[self.domains[domain].embedder].backend not in WHOLE_IMAGES if said is None else said

    def matched_corpus(self, corpus: str) -> str:
        """The corpus whose images are compared with: `corpus` itself, or the one that its counts are scaled from."""
        return self.corpora[corpus].counts_from or corpus

    def caption_files(self, corpus: str) -> list[str]:
        """The files of a corpus's captions, patterns and lists replaced by what they stand for; none for an index.

        They are looked for once: a plan asks for them job by job.
        """
        if corpus not in self._files:
            captions = self.corpora[corpus].captions
            names = (captions.files if captions else None) or []
            self._files[corpus], self._unread[corpus] = caption_files(expand(names, check_listed))
        return self._files[corpus]

    def unread_captions(self, corpus: str) -> list[str]:
        """Sentences about files beside those of a corpus's captions that are not read, and files reached twice."""
        self.caption_files(corpus)
        return self._unread[corpus]

    def caption_parts(self, corpus: str) -> dict[str, list[str]]:
        """The files of a corpus, part by part, as jobs count them: part -> files. An index is a part without files."""
        if corpus not in self._parts:
            captions, files = self.corpora[corpus].captions, self.caption_files(corpus)
            asked = captions.shards_per_job if captions else 1
            size = files_to_count(len(files)) if asked == "auto" else asked
            starts = range(0, max(1, len(files)), size)
            self._parts[corpus] = {f"{number:05d}": files[start : start + size] for number, start in enumerate(starts)}
        return self._parts[corpus]

    def folder_of(self, kind: str, name: str) -> str | None:
        """The folder, or an embedder's file, that `name` is loaded from, or None where it comes from elsewhere.

        `kind` is "embedder" or "model". A model's pipeline is a folder where it exists as one or starts like a path.
        """
        if kind == "embedder":
            path = self.embedders[name].model
            if path.startswith("local-dir:"):
                return path.removeprefix("local-dir:")
            return path if Path(path).is_file() else None
        path = self.models[name].pipeline or ""
        return path if path.startswith(("/", "./", "../", "results/")) or Path(path).is_dir() else None

    def local_changes(self, model: str) -> dict[str, str]:
        """Key of a derived model -> the file or folder that a change of it is loaded from; without hub ids."""
        return {
            key: path
            for key, path in self.models[model].changed_places.items()
            if path.startswith(("/", "./", "../", "results/"))
            or path.endswith(".safetensors")  # no hub id ends so
            or Path(path).exists()
            or not key.endswith(".place")
        }

    def derived_from(self, model: str) -> str | None:
        """The model that a derived one is compared with: the first in its chain of bases; None if it has no base."""
        base = self.models[model].base
        while base and self.models[base].base:
            base = self.models[base].base
        return base

    def defended_pairs(self, study: str) -> list[tuple[str, str]]:
        """The (derived model, domain) pairs of a study: of its models, and of those that are derived from them.

        A model with another table of prompts than its base, such as an attacked one, is asked for other things, and is
        not compared.
        """
        models = self.studies[study].models
        wanted = [
            m
            for m in self.models
            if (base := self.derived_from(m))
            and (m in models or base in models)
            and self.models[m].prompt_table == self.models[base].prompt_table
        ]
        return [(model, domain) for model in wanted for domain in self.studies[study].domains]

    def lacks(self, model: str, domain: str) -> list[str]:
        """What the threshold of `model` in `domain` needs and this machine has not got: texts that name key and remedy.

        Only files, folders and keys of services are looked for; what comes from a hub is asked for when its turn comes.
        """
        return [text for _, text in self.missing(model, domain)]

    def missing(self, model: str, domain: str) -> list[tuple[str, str]]:
        """As lacks, but (key, text) each, such as ("models.sd.pipeline", "weights/sd: put it there, or ...")."""
        found = [need for name in (model, *self.models_before(model)) for need in self._missing_alone(name, domain)]
        return list(dict.fromkeys(found))

    def _missing_alone(self, model: str, domain: str) -> list[tuple[str, str]]:
        """As missing, without what base models lack."""
        of_model, of_domain = self.models[model], self.domains[domain]
        corpora = dict.fromkeys([of_model.corpus, self.matched_corpus(of_model.corpus)])
        needs: list[tuple[str, str | None]] = [need for corpus in corpora for need in self._corpus_needs(corpus)]
        references, art = of_domain.references, of_domain.art_filter
        needs.append((f"domains.{domain}.references.{references.source}", references.table or references.folder))
        needs.append((f"domains.{domain}.references.vetoes", references.vetoes))
        needs.append((f"models.{model}.provided_images", of_model.provided_images))
        needs.append((f"models.{model}.pipeline", self.folder_of("model", model)))
        needs += [(f"models.{model}.{key}", path) for key, path in self.local_changes(model).items()]
        needs.append((f"models.{model}.prompt_table", of_model.prompt_table))
        embedders = [of_domain.embedder]
        if art:
            embedders.append(art.embedder)
            if art.threshold is None:
                needs.append((f"domains.{domain}.art_filter.photographs", art.photographs))
        for embedder in embedders:
            is_file = Path(self.embedders[embedder].model).suffix in WEIGHTS
            path = self.embedders[embedder].model if is_file else self.folder_of("embedder", embedder)
            needs.append((f"embedders.{embedder}.model", path))
        lacking = [(key, _absence(path, key)) for key, path in needs if path and _is_absent(path)]
        if references.serpapi and "SERPAPI_API_KEY" not in os.environ:
            key = f"domains.{domain}.references.serpapi"
            lacking.append((key, f"SERPAPI_API_KEY in the environment, for `{key}`"))
        if not {"ELASTICSEARCH_URL", "ELASTIC_CLOUD_ID"} & os.environ.keys():
            for corpus in corpora:
                captions, key = self.corpora[corpus].captions, f"corpora.{corpus}.captions"
                if captions and captions.elasticsearch:
                    lacking.append((key, f"ELASTICSEARCH_URL in the environment, for `{key}`"))
        return lacking

    def _named_files(self, names: Iterable[str]) -> list[str]:
        try:
            return expand(names, check_listed)
        except CorpusError:  # a list that is none: what is wrong with it is said where it is read
            return []

    def _corpus_needs(self, name: str) -> list[tuple[str, str | None]]:
        corpus = self.corpora[name]
        files = (corpus.captions and corpus.captions.files) or []
        return [
            *((f"corpora.{name}.captions.files", file) for file in self._named_files(files)),
            (f"corpora.{name}.provided_images", corpus.provided_images),
            (f"corpora.{name}.provided_counts", corpus.provided_counts),
        ]
