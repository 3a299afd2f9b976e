"""The configuration: domains, corpora, models, and the studies that join them.

`load` reads config.yaml, allows no unknown key, checks that every name that is used is defined, and answers what a
workflow asks: which concepts a domain has, which corpus a model was trained on, which settings a stage gets.
Nothing here imports torch or touches the network.
"""

import difflib
import os
import typing
from hashlib import sha256
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import pydantic
import yaml
from pydantic import Field

from fit.concepts.sheet import read_sheet
from fit.errors import ConfigError, CorpusError
from fit.io.files import expand
from fit.io.folders import caption_files, check_listed
from fit.io.nearby import near, nearest
from fit.published import ART_THRESHOLDS, MATCH_THRESHOLDS

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", description="a-z, 0-9, '.', '_' and '-'")]
DomainName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", description="a-z, 0-9, '_' and '-'")]
"""Without dots: files such as DOMAIN.art.json stand beside DOMAIN.json."""
Share = Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False)]
MatchThreshold = Literal["midpoint", "best_f1", "paper-faces", "paper-faces-f1", "paper-classical", "paper-modern"]
ArtThreshold = Literal["paper-classical", "paper-modern"]
LIGHT_CONCEPTS, LARGEST_LIGHT_DOMAIN = 64, 256
"""Of a domain of up to 256 concepts, 64 share a job in stages that take seconds a concept, unless config.yaml says
otherwise. Beyond, planning so many named files would take longer than it saves."""
WEIGHTS = {".onnx", ".pt", ".pth", ".ckpt", ".bin", ".safetensors"}
"""Suffixes by which an embedder's model is a file."""


class _Strict(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)

    @pydantic.field_validator("*", mode="before")
    @classmethod
    def _true_is_not_a_number(cls, value, info):
        """pydantic takes true for 1; who writes it where a number belongs means something else."""
        kinds = _kinds(cls.model_fields[info.field_name].annotation)
        if isinstance(value, bool) and bool not in kinds and kinds & {int, float}:
            raise ValueError("this is not a number")
        return value


def _kinds(annotation):
    """The plain types in an annotation, those of a union and of Annotated too."""
    if typing.get_origin(annotation) is Literal:
        return set()
    inner = typing.get_args(annotation)
    return {kind for one in inner for kind in _kinds(one)} if inner else {annotation}


class ArtFilter(_Strict):
    """Keeps artworks and drops ordinary photographs, by similarity of image to text."""

    embedder: Name
    """An embedder that has a text tower."""
    texts: list[str] = ["an artwork"]
    """An image's similarity is the highest to any of these."""
    photographs: str | None = None
    """Ordinary photographs, against which the match threshold is found: an image table (Parquet) or a folder. May be left out where
    `threshold` is given; nothing is then said of how well it tells them apart."""
    threshold: ArtThreshold | Share | None = None
    """Cosine above which an image is an artwork, or the name of a published one (fit.published); found from references
    and photographs when left out."""

    @pydantic.model_validator(mode="after")
    def _cut_or_photographs(self):
        if self.threshold is None and not self.photographs:
            raise ValueError("give `photographs`, against which the match threshold is found, or `threshold`")
        return self


class References(_Strict):
    """Where a domain's verified images come from. Give one source."""

    table: str | None = None
    """Parquet file with the columns concept and bytes."""
    folder: str | None = None
    """Folder with one folder of images per concept, named by its slug."""
    serpapi: str | None = None
    """What to ask Google's image search for through serpapi.com, with {name}; the key is read from SERPAPI_API_KEY."""
    wikiart: bool | None = None
    """true: an artist's works from wikiart.org, found by name."""
    candidates: Annotated[int, Field(ge=1, le=10_000)] = 30
    """How many images to search for."""
    keep: Annotated[int, Field(ge=2, le=10_000)] = 20
    """How many images of a concept to keep: the most mutually similar ones."""
    least: Annotated[int, Field(ge=1, le=10_000)] = 10
    """A concept with fewer usable images is left out of the study, and reported."""
    vetoes: str | None = None
    """Tab-separated file with the columns concept and image_id: images that a person has rejected."""

    @pydantic.model_validator(mode="after")
    def _one_source(self):
        if len([kind for kind in self._kinds if getattr(self, kind)]) != 1:
            raise ValueError(f"give one source: {', '.join(f'`{kind}`' for kind in self._kinds)}")
        return self

    _kinds: ClassVar = ("table", "folder", "serpapi", "wikiart")

    @property
    def source(self):
        """Which source is given."""
        return next(kind for kind in self._kinds if getattr(self, kind))

    @property
    def place(self):
        """The table or folder, or what a search asks for."""
        return self.table or self.folder or self.serpapi or ""


class Domain(_Strict):
    """A set of concepts of one kind."""

    concepts: str
    """Concept sheet, tab-separated."""
    embedder: Name
    """Which of `embedders` tells its concepts apart."""
    references: References
    """Verified images of each concept."""
    match_threshold: MatchThreshold | Share
    """How the cosine above which two images show the same concept is found; or that cosine, or the name of a published
    one (fit.published), which holds for the embedder that it was published with and no other."""
    targets: Literal["matches_and_references", "matches_or_references"]
    """What a generated image is compared with: the matched training vectors and the references (faces), or the matched
    training vectors, and the references only where fewer than 11 matched (styles)."""
    prompts: Annotated[list[str], Field(min_length=1)]
    """Templates with {name}, one generated set each; the paper has five."""
    art_filter: ArtFilter | None = None
    """For styles: keeps photographs of and about the artist out of the count."""
    prompt_embedder: Name | None = None
    """An embedder with a text tower, for the CLIP score of generated images to their prompts, one of the other scores
    that an imitation score can be compared with; none: no CLIP score."""
    concepts_per_job: Annotated[int, Field(ge=1, le=1_000_000)] | Literal["auto"] = "auto"
    """How many concepts one job takes. auto: one, where a concept takes minutes (to collect, to generate, and to embed
    what is collected or generated), so that a stop costs little; 64 in stages of seconds, which spend most of their
    time on starting (in domains of up to 256 concepts). One concept's file is made again with those of its job."""

    @pydantic.field_validator("prompts")
    @classmethod
    def _prompts_name_the_concept(cls, prompts):
        if len(set(prompts)) < len(prompts):
            raise ValueError("a prompt stands there twice; its pictures would be the same")
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


class Captions(_Strict):
    """The captions of a corpus. Give one source, `files` or `elasticsearch`."""

    files: list[str] | None = None
    """Files of captions: Parquet, CSV, TSV or JSON lines, compressed or not; here or at s3://, hf://, https://
    addresses. A pattern such as part-*.parquet stands for the files on this machine that it finds, a file that ends in
    .txt for those that it lists, one a line."""
    elasticsearch: str | None = None
    """An index of captions on a server, whose address and key are read from ELASTICSEARCH_URL or ELASTIC_CLOUD_ID, and
    ELASTIC_API_KEY."""
    caption_column: str = "caption"
    """Column (or field) with the caption."""
    url_column: str = "url"
    """Column with the image's address."""
    columns: list[str] = []
    """Other columns to carry into the sampled matched captions, as text: width, similarity, hash ..."""
    encoding: str = "utf-8"
    """Of text files (CSV, TSV, JSON lines): utf-8, windows-1252, latin-1, utf-16 ... A byte order mark says its own."""
    tokens: Literal["standard", "words"] = "standard"
    """What a name is compared with: the tokens of Elasticsearch's standard analyzer (the paper's; "Picasso's" is no
    mention of Picasso), or runs of letters and digits (it is one). An index has its own analyzer."""
    fold_accents: bool = False
    """Whether "Durer" mentions Dürer."""
    max_matched_captions: Annotated[int, Field(ge=0, le=10**9)] = 100_000
    """Largest sample of captions per concept whose images are collected; 0 for a corpus that is only counted."""
    on_bad_shard: Literal["fail", "skip"] = "fail"
    """What a broken or missing file leads to: an error, or counts without it, which say so."""
    shards_per_job: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    """How many files one job counts."""

    @pydantic.field_validator("encoding")
    @classmethod
    def _known_encoding(cls, encoding):
        try:
            b"    ".decode(encoding, "replace")
        except LookupError:
            raise ValueError("not a known encoding; such are utf-8, windows-1252, latin-1, utf-16") from None
        return encoding

    @pydantic.model_validator(mode="after")
    def _one_source(self):
        if bool(self.files) == bool(self.elasticsearch):
            raise ValueError("give one source, `files` or `elasticsearch`")
        return self


class Corpus(_Strict):
    """A model's training set: captions, and images behind them."""

    captions: Captions | None = None
    """Where the captions are. Left out where the images or the counts are at hand."""
    images: Literal["embedded", "http"] | None = None
    """Where the images are: in the column `image` of the caption files, or behind the links. Left out: the corpus is
    only counted, and `counts_from` says how."""
    counts_from: Name | None = None
    """Another corpus, whose effective counts are scaled by the ratio of caption counts."""
    provided_images: str | None = None
    """Training images at hand: a folder with a folder per slug, or Parquet with the columns concept and bytes."""
    provided_counts: str | None = None
    """Effective counts at hand: CSV or Parquet with the columns concept and effective_count."""

    @pydantic.model_validator(mode="after")
    def _images_or_counts(self):
        at_hand = self.provided_images or self.provided_counts
        if at_hand and (self.captions or self.images or self.counts_from):
            raise ValueError(
                "what is at hand (`provided_...`) stands instead of `captions`, `images` and `counts_from`"
            )
        if not at_hand and (self.images is None) == (self.counts_from is None):
            raise ValueError("give either `images` or `counts_from` (or what is at hand, `provided_...`)")
        if not at_hand and self.captions is None:
            raise ValueError("`captions` is missing")
        return self

    @property
    def has_images(self):
        """Whether there are training images to compare with."""
        return bool(self.images or self.provided_images)


CIRCUMSTANCES = (
    "connections",
    "connections_per_host",
    "connect_timeout_s",
    "total_timeout_s",
    "retries",
    "decode_timeout_s",
)
"""Keys of Collection that say how images are brought, not which: a change collects nothing again."""


class Collection(_Strict):
    """How images are fetched and made clean."""

    connections: Annotated[int, Field(ge=1, le=10_000)] = 64
    """Requests under way at once, in all."""
    connections_per_host: Annotated[int, Field(ge=1, le=1000)] = 4
    """Requests under way at once to one host."""
    connect_timeout_s: Annotated[float, Field(gt=0, le=86_400)] = 10
    """Seconds for looking a name up and connecting."""
    total_timeout_s: Annotated[float, Field(gt=0, le=86_400)] = 60
    """Seconds for one attempt, its redirects and body included."""
    max_bytes: Annotated[int, Field(ge=1, le=2**40)] = 25_000_000
    """Largest body, in bytes."""
    retries: Annotated[int, Field(ge=0, le=100)] = 2
    """Further attempts after a failure that another may mend."""
    honour_opt_out: bool = True
    """Leave images whose X-Robots-Tag says noai or noimageai."""
    allow_loopback: bool = False
    """Let links lead to this machine itself, for tests. Other private addresses are never open."""
    max_pixels: Annotated[int, Field(ge=1, le=2**40)] = 100_000_000
    """Largest picture, width times height."""
    min_side: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    """Shortest side of a picture, in pixels; smaller ones are left out."""
    decode_timeout_s: Annotated[float, Field(gt=0, le=86_400)] = 20
    """Seconds of processor time that a picture may take to decode."""


class Embedder(_Strict):
    """An image encoder."""

    backend: str
    """Name in the registry of embedders."""
    model: str
    """What the backend loads: a model's name, `hf-hub:` id, `local-dir:` folder, or file."""
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = "auto"
    """Number format of weights and activations; auto: float16 on a GPU, float32 elsewhere."""
    download: bool = False
    """Whether weights that are not on this machine may be fetched. HF_HUB_OFFLINE=1 forbids it too."""
    detection_side: Annotated[int, Field(ge=64, le=65_536)] = 1280
    """Faces are searched in a picture scaled down to this longest side, in pixels."""
    min_face_size: Annotated[int, Field(ge=12, le=65_536)] = 20
    """Side of the smallest faces that are found, in pixels of that picture."""
    pixel_mean: float | None = None
    """For arcface: what is subtracted from pixels of 0 to 255; left out: as the model's file tells."""
    pixel_std: Annotated[float, Field(gt=0)] | None = None
    """For arcface: what they are divided by then; left out: as the model's file tells."""
    channels: Literal["rgb", "bgr"] = "rgb"
    """For arcface: order of the colours."""
    batch_size: Annotated[int, Field(ge=1, le=1_000_000)] = 64
    """Images a batch, at most: halved as often as memory runs out. Changes no result beyond rounding."""
    threads: Annotated[int, Field(ge=1, le=4096)] = 4
    """Processors of a job: as many processes decode pictures and search faces in them; with 1, the job itself does."""
    gpus: Annotated[int, Field(ge=0, le=1)] = 1
    """GPUs that a job asks the scheduler for."""


class Model(_Strict):
    """A text-to-image model."""

    corpus: Name
    """The corpus that it was trained on."""
    backend: str = "diffusers"
    """Name in the registry of generators."""
    pipeline: str | None = None
    """Hub id or folder of a diffusers text-to-image pipeline."""
    provided_images: str | None = None
    """Generated images at hand, instead of a pipeline: a folder with a folder per slug (in it a folder per prompt, if
    you like), or Parquet with the columns concept and bytes."""
    revision: str | None = None
    """Commit of a hub id."""
    variant: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")] | None = None
    """Which weights to load where files have several: fp16 for model.fp16.safetensors. Left out: those without a
    variant or, where a component has none, the only variant that there is."""
    scheduler: str | None = None
    """Class of diffusers scheduler to use instead of the pipeline's own."""
    dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    """Number format of weights and activations."""
    steps: Annotated[int, Field(ge=1, le=10_000)] = 50
    """Denoising steps."""
    guidance: float = 7.5
    """Scale of classifier-free guidance."""
    height: Annotated[int, Field(ge=8, le=65_536)] | None = None
    """Pixels; the pipeline's own where left out."""
    width: Annotated[int, Field(ge=8, le=65_536)] | None = None
    """Pixels; the pipeline's own where left out."""
    negative_prompt: str = ""
    """What to guide away from."""
    compile: bool = False
    """Whether torch.compile makes the denoiser faster, after some minutes of compiling. It rounds differently."""
    image_format: Literal["png", "webp"] = "png"
    """How pictures are stored, without loss both; WebP is a little smaller."""
    images_per_prompt: Annotated[int, Field(ge=1, le=1_000_000)] = 200
    """Images per prompt and concept."""
    batch_size: Annotated[int, Field(ge=1, le=1_000_000)] = 20
    """Images a batch, at most: it is halved while memory does not suffice. Each has its own seed, so this changes no
    picture beyond rounding."""
    gpus: Annotated[int, Field(ge=0, le=1)] = 1
    """GPUs that a job asks the scheduler for."""
    device: Literal["auto", "cuda", "cpu"] = "auto"
    """Where the model runs. cuda: a job that gets no GPU fails; auto: it runs on the processor then."""
    download: bool = False
    """Whether a hub id that is not on this machine may be fetched. HF_HUB_OFFLINE=1 forbids it too."""

    @pydantic.model_validator(mode="after")
    def _pipeline_or_images(self):
        if (self.pipeline is None) == (self.provided_images is None):
            raise ValueError("give either `pipeline` or `provided_images`")
        return self


class Threshold(_Strict):
    """Change-point detection."""

    estimators: Annotated[list[Literal["pelt", "one_change", "isotonic", "logistic"]], Field(min_length=1)] = [
        "pelt",
        "one_change",
        "isotonic",
        "logistic",
    ]
    """What finds the threshold (docs/threshold.md). All are reported side by side; the first is the headline."""
    penalty: Annotated[float, Field(gt=0)] = 0.9
    """Penalty of PELT for each change; the paper's is 0.9."""
    top_k: Annotated[int, Field(ge=1, le=1_000_000)] = 10
    """How many targets a prompt's images are compared with; the paper's is 10."""
    resamples: Annotated[int, Field(ge=1, le=10_000_000)] = 1000
    """Bootstrap resamples, for the intervals, and permutations, for the tests."""

    @pydantic.field_validator("estimators")
    @classmethod
    def _each_once(cls, estimators):
        if len(set(estimators)) < len(estimators):
            raise ValueError("an estimator stands twice; name each once")
        return estimators


class Study(_Strict):
    """Thresholds of some models in some domains, in one table."""

    models: Annotated[list[Name], Field(min_length=1)]
    """Names of models."""
    domains: Annotated[list[Name], Field(min_length=1)]
    """Names of domains."""


class Atelier(_Strict):
    """The built-in world: how much of it is painted, and how long its models train."""

    sheet: str
    """Concept sheet of its painters."""
    painters_without_pictures: Annotated[int, Field(ge=0, le=1_000_000)]
    """Painters that the corpus lacks."""
    largest_count: Annotated[int, Field(ge=1, le=10**9)]
    """Pictures of the most frequent painter; the others are log-uniform below."""
    references_per_painter: Annotated[int, Field(ge=2, le=10_000)]
    """Pictures painted for reference."""
    photographs: Annotated[int, Field(ge=2, le=1_000_000)]
    """Ordinary photographs, for the art filter's match threshold."""
    shards: Annotated[int, Field(ge=1, le=1_000_000)]
    """Parquet files of the corpus."""
    anonymous: Annotated[int, Field(ge=0, le=10**9)]
    """Pictures by unnamed painters in the corpus, and as many photographs."""
    encoder_steps: Annotated[int, Field(ge=1, le=10**9)]
    """Optimisation steps of the style encoder."""
    art_filter_steps: Annotated[int, Field(ge=1, le=10**9)]
    """Optimisation steps of the art filter."""
    autoencoder_steps: Annotated[int, Field(ge=1, le=10**9)]
    """Optimisation steps of the generator's autoencoder."""
    generator_steps: Annotated[int, Field(ge=1, le=10**9)]
    """Optimisation steps of the generator's text encoder and U-Net."""
    generator_batch: Annotated[int, Field(ge=1, le=1_000_000)]
    """Pictures a step."""


class Config(_Strict):
    """Everything in config.yaml."""

    seed: Annotated[int, Field(ge=0, lt=2**63)]
    """Every random choice of a study derives from it."""
    default_study: Name
    """The study that plain `snakemake` runs."""
    studies: dict[Name, Study]
    """What to find out."""
    domains: dict[DomainName, Domain]
    """Sets of concepts."""
    corpora: dict[Name, Corpus]
    """Training sets."""
    models: dict[Name, Model]
    """Text-to-image models."""
    embedders: dict[Name, Embedder]
    """Image encoders."""
    collection: Collection = Collection()
    """Limits and manners of the collection of images."""
    threshold: Threshold = Threshold()
    """The last step."""
    atelier: Atelier
    """The built-in world."""

    _files: dict[str, list[str]] = pydantic.PrivateAttr(default_factory=dict)
    _unread: dict[str, list[str]] = pydantic.PrivateAttr(default_factory=dict)
    _parts: dict[str, dict[str, list[str]]] = pydantic.PrivateAttr(default_factory=dict)

    def sheet(self, domain):
        """The concepts of a domain, a list of Concept."""
        return read_sheet(self.domains[domain].concepts)

    def pairs(self, study):
        """The (model, domain) pairs of a study."""
        return [(model, domain) for model in self.studies[study].models for domain in self.studies[study].domains]

    def study_named(self, study=None):
        """`study`, or the default study where left out.

        Raises:
            ConfigError: there is no such study.
        """
        if not study or study in self.studies:
            return study or self.default_study
        other = nearest(study, self.studies)
        hint = f"did you mean {other!r}? It has" if other else "it has"
        raise ConfigError(f"config.yaml: `studies` lacks {study!r}; {hint}: {', '.join(self.studies)}")

    def needs_match_threshold(self, domain):
        """Whether a count or score of some study needs the cosine that tells the concepts of a domain apart: it does
        where there are training images to match."""
        return any(
            self.corpora[self.matched_corpus(self.models[model].corpus)].has_images
            for study in self.studies.values()
            if domain in study.domains
            for model in study.models
        )

    def matched_corpus(self, corpus):
        """The corpus whose images stand for those of `corpus`: itself, or the one that its counts are scaled from."""
        return self.corpora[corpus].counts_from or corpus

    def caption_files(self, corpus):
        """The files of a corpus's captions, patterns and lists replaced by what they stand for; none for an index.

        They are looked for once: a plan asks for them job by job.
        """
        if corpus not in self._files:
            captions = self.corpora[corpus].captions
            names = (captions.files if captions else None) or []
            self._files[corpus], self._unread[corpus] = caption_files(expand(names, check_listed))
        return self._files[corpus]

    def unread_captions(self, corpus):
        """Sentences about files beside those of a corpus's captions that are not read, and files reached twice."""
        self.caption_files(corpus)
        return self._unread[corpus]

    def caption_parts(self, corpus):
        """The files of a corpus, part by part, as jobs count them: part -> files. An index is a part without files."""
        if corpus not in self._parts:
            captions, files = self.corpora[corpus].captions, self.caption_files(corpus)
            size = captions.shards_per_job if captions else 1
            starts = range(0, max(1, len(files)), size)
            self._parts[corpus] = {f"{number:05d}": files[start : start + size] for number, start in enumerate(starts)}
        return self._parts[corpus]

    def folder_of(self, kind, name):
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

    def lacks(self, model, domain):
        """What the threshold of `model` in `domain` needs and this machine has not got: texts that name key and remedy.

        Only files, folders and keys of services are looked for; what comes from a hub is asked for when its turn comes.
        """
        return [text for _, text in self.missing(model, domain)]

    def missing(self, model, domain):
        """As lacks, but (key, text) each, such as ("models.sd.pipeline", "weights/sd: put it there, or ...")."""
        of_model, of_domain = self.models[model], self.domains[domain]
        corpora = dict.fromkeys([of_model.corpus, self.matched_corpus(of_model.corpus)])
        needs = [need for corpus in corpora for need in self._corpus_needs(corpus)]
        references, art = of_domain.references, of_domain.art_filter
        needs.append((f"domains.{domain}.references.{references.source}", references.table or references.folder))
        needs.append((f"domains.{domain}.references.vetoes", references.vetoes))
        needs.append((f"models.{model}.provided_images", of_model.provided_images))
        needs.append((f"models.{model}.pipeline", self.folder_of("model", model)))
        embedders = [of_domain.embedder]
        if art:
            embedders.append(art.embedder)
            if art.threshold is None:
                needs.append((f"domains.{domain}.art_filter.photographs", art.photographs))
        for embedder in embedders:
            is_file = Path(self.embedders[embedder].model).suffix in WEIGHTS
            path = self.embedders[embedder].model if is_file else self.folder_of("embedder", embedder)
            needs.append((f"embedders.{embedder}.model", path))
        lacking = [(key, _absence(path, key)) for key, path in needs if _is_absent(path)]
        if references.serpapi and "SERPAPI_API_KEY" not in os.environ:
            key = f"domains.{domain}.references.serpapi"
            lacking.append((key, f"SERPAPI_API_KEY in the environment, for `{key}`"))
        if not {"ELASTICSEARCH_URL", "ELASTIC_CLOUD_ID"} & os.environ.keys():
            for corpus in corpora:
                captions, key = self.corpora[corpus].captions, f"corpora.{corpus}.captions"
                if captions and captions.elasticsearch:
                    lacking.append((key, f"ELASTICSEARCH_URL in the environment, for `{key}`"))
        return lacking

    def _named_files(self, names):
        try:
            return expand(names, check_listed)
        except CorpusError:  # a list that is none: what is wrong with it is said where it is read
            return []

    def _corpus_needs(self, name):
        corpus = self.corpora[name]
        files = (corpus.captions and corpus.captions.files) or []
        return [
            *((f"corpora.{name}.captions.files", file) for file in self._named_files(files)),
            (f"corpora.{name}.provided_images", corpus.provided_images),
            (f"corpora.{name}.provided_counts", corpus.provided_counts),
        ]

    def shared_jobs(self, domain, slugs, heavy):
        """The concepts of each job that takes several of `domain`: a list of lists; empty where a job takes one.

        Args:
            slugs: the domain's concepts; heavy: whether a concept takes minutes in this stage.
        """
        size = self.domains[domain].concepts_per_job
        if size == "auto":
            is_shared = not heavy and 1 < len(slugs) <= LARGEST_LIGHT_DOMAIN
            return self.batches(slugs, LIGHT_CONCEPTS) if is_shared else []
        return self.batches(slugs, size) if size > 1 else []

    @staticmethod
    def batches(slugs, size):
        """Share `slugs` out among batches of about `size`; a slug's batch depends on it and their number."""
        count = -(-len(slugs) // size)
        batches: list[list[str]] = [[] for _ in range(count)]
        for slug in slugs:
            batches[int.from_bytes(sha256(slug.encode()).digest()[:8], "big") % count].append(slug)
        return [batch for batch in batches if batch]

    def settings(self, stage, **wildcards):
        """What `stage` depends on besides its inputs: builtins with sorted keys, and the stage's version.

        Args:
            stage: a key of STAGES.
            wildcards: those of the job: domain, corpus, model, embedder ... as far as the stage has them.
        """
        version, pick = STAGES[stage]
        return dict(sorted((pick(self, wildcards) | {"version": version}).items()))


def _is_absent(path):
    """Whether `path` should be on this machine and is not; what the workflow makes is no matter."""
    return bool(path) and not path.startswith("results/") and "://" not in path and not Path(path).exists()


def _absence(path, key):
    """What is said of a path that is missing."""
    other = near(path)
    return f"{path}: put it there, or mend `{key}`" + (f" (did you mean {other}?)" if other else "")


def _of_atelier(*keys):
    return lambda config, job: {key: getattr(config.atelier, key) for key in keys} | {"seed": config.seed}


def _plot_threshold(config, job):
    """Only the other scores' figures have a kind."""
    others = {"clip": "CLIP score", "frechet": "Fréchet distance, turned round", "top5": "top-5 mean"}
    kind = job.get("kind")
    return {"score": f"{others[kind]}, rescaled" if kind else "imitation score"}


def _nothing(config, job):
    return {}


def _merge_captions(config, job):
    captions = config.corpora[job["corpus"]].captions
    of_hits = ("caption_column", "url_column", "columns", "max_matched_captions", "tokens")
    return (
        captions.model_dump(include=set(of_hits))
        | {"fold_accents": "yes" if captions.fold_accents else "no"}
        | {"seed": config.seed}
    )


def _count_captions(config, job):
    captions = config.corpora[job["corpus"]].captions
    files = config.caption_parts(job["corpus"])[job["part"]]
    source = {"files": files, "elasticsearch": captions.elasticsearch or "", "on_bad_shard": captions.on_bad_shard}
    source["encoding"] = captions.encoding
    return _merge_captions(config, job) | source


def _collect_images(config, job):
    corpus = config.corpora[job["corpus"]]
    files = config.caption_files(job["corpus"]) if corpus.images == "embedded" else []
    return {"images": corpus.images, "files": files} | _collection(config)


def _limits(config):
    """What pictures at hand are held to."""
    return config.collection.model_dump(include={"max_pixels", "min_side"})


def _of_provided(kind, wildcard):
    def pick(config, job):
        place = getattr(config, kind)[job[wildcard]].provided_images
        return _limits(config) | {"place": place, "sheet": config.domains[job["domain"]].concepts}

    return pick


def _collection(config):
    found = config.collection.model_dump(exclude=set(CIRCUMSTANCES))
    return found | {name: "yes" if found[name] else "no" for name in ("honour_opt_out", "allow_loopback")}


def _collect_references(config, job):
    references = config.domains[job["domain"]].references
    found = {"source": references.source, "place": references.place, "candidates": references.candidates}
    if references.source in ("table", "folder"):
        found["reading"] = 2  # a version of how these are read, so that what came from the web is not asked for again
    return found | _collection(config)


def _select_references(config, job):
    references = config.domains[job["domain"]].references
    # Where there are vetoes, those of no concept of the sheet are named.
    sheet = config.domains[job["domain"]].concepts if references.vetoes else ""
    found = references.model_dump(include={"keep", "least"}) | {"vetoes": references.vetoes or "", "sheet": sheet}
    return found | {"place": references.folder or references.table or ""}


def _embedder(config, job):
    found = config.embedders[job["embedder"]].model_dump(exclude={"batch_size", "download", "threads", "gpus"})
    return found | {name: "auto" if found[name] is None else found[name] for name in ("pixel_mean", "pixel_std")}


def _embedder_of_texts(config, job):
    return {name: _embedder(config, job)[name] for name in ("backend", "model", "dtype")}


def _import_photographs(config, job):
    return _limits(config) | {"photographs": config.domains[job["domain"]].art_filter.photographs}


def _embed_art_texts(config, job):
    return _embedder_of_texts(config, job) | {"texts": config.domains[job["domain"]].art_filter.texts}


def _find_same_concept_cut(config, job):
    match_threshold = config.domains[job["domain"]].match_threshold
    return {
        "method": MATCH_THRESHOLDS.get(match_threshold, match_threshold),
        "needed": "yes" if config.needs_match_threshold(job["domain"]) else "no",
    }


def _embed_prompts(config, job):
    domain = config.domains[job["domain"]]
    names = [concept.name for concept in read_sheet(domain.concepts)]
    return _embedder_of_texts(config, job) | {"prompts": domain.prompts, "names": names}


def _score_otherwise(config, job):
    return {"targets": config.domains[job["domain"]].targets}


def _report_study(config, job):
    lacking = {f"{model}/{domain}": config.lacks(model, domain) for model, domain in config.pairs(job["study"])}
    return {"missing": [f"{pair}: {text}" for pair, texts in lacking.items() for text in texts]}


def _assess_recogniser(config, job):
    return {
        "method": _find_same_concept_cut(config, job)["method"],
        "embedder": config.domains[job["domain"]].embedder,
        "seed": config.seed,
    }


def _find_art_cut(config, job):
    match_threshold = config.domains[job["domain"]].art_filter.threshold
    method = "best_f1" if match_threshold is None else ART_THRESHOLDS.get(match_threshold, match_threshold)
    return {"method": method, "needed": "yes" if config.needs_match_threshold(job["domain"]) else "no"}


def _generate_images(config, job):
    # How large batches are, where they are made and what may be fetched changes no picture: resources of the rule.
    circumstances = {"batch_size", "gpus", "device", "download"}
    model = config.models[job["model"]].model_dump(exclude={"corpus", "provided_images"} | circumstances)
    shell_words = {name: model[name] or "" for name in ("revision", "variant", "scheduler")}
    shell_words |= {name: model[name] or 0 for name in ("height", "width")}
    shell_words["compile"] = "yes" if model["compile"] else "no"
    return model | shell_words | {"prompts": config.domains[job["domain"]].prompts, "seed": config.seed}


def _score_imitation(config, job):
    return {"targets": config.domains[job["domain"]].targets, "top_k": config.threshold.top_k}


def _measure_sensitivity(config, job):
    # Pictures at hand may be of other prompts than the domain's.
    prompts = config.domains[job["domain"]].prompts if config.models[job["model"]].pipeline else []
    return {"top_k": config.threshold.top_k, "prompts": prompts}


def _list_outliers(config, job):
    embedder = config.domains[job["domain"]].embedder
    corpus = config.matched_corpus(config.models[job["model"]].corpus)
    images = f"results/embeddings/{embedder}/images/{corpus}/{job['domain']}"
    return {"embedder": embedder, "images": images if config.corpora[corpus].has_images else ""}


def _detect_threshold(config, job):
    return config.threshold.model_dump(include={"estimators", "penalty", "resamples"}) | {"seed": config.seed}


STAGES = {
    "paint_world": (
        2,
        _of_atelier("painters_without_pictures", "largest_count", "references_per_painter", "photographs", "anonymous"),
    ),
    "train_style_encoder": (1, _of_atelier("encoder_steps")),
    "train_art_filter": (1, _of_atelier("art_filter_steps")),
    "train_generator": (3, _of_atelier("autoencoder_steps", "generator_steps", "generator_batch")),
    "count_captions": (5, _count_captions),
    "merge_captions": (1, _merge_captions),
    "plot_counts": (2, _nothing),
    "collect_images": (2, _collect_images),
    "import_training_images": (2, _of_provided("corpora", "corpus")),
    "import_generated": (3, _of_provided("models", "model")),
    "import_counts": (1, _nothing),
    "collect_references": (2, _collect_references),
    "select_references": (3, _select_references),
    "draw_references": (1, _nothing),
    "embed_images": (2, _embedder),
    "import_photographs": (2, _import_photographs),
    "embed_art_texts": (2, _embed_art_texts),
    "find_same_concept_cut": (3, _find_same_concept_cut),
    "find_art_cut": (3, _find_art_cut),
    "assess_recogniser": (1, _assess_recogniser),
    "match_images": (1, _nothing),
    "estimate_counts": (3, _nothing),
    "scale_counts": (2, _nothing),
    "generate_images": (3, _generate_images),
    "draw_generated": (1, _nothing),
    "score_imitation": (2, _score_imitation),
    "tabulate_scores": (3, _nothing),
    "detect_threshold": (3, _detect_threshold),
    "plot_threshold": (5, _plot_threshold),
    "draw_contact_sheet": (2, _nothing),
    "embed_prompts": (1, _embed_prompts),
    "score_otherwise": (2, _score_otherwise),
    "tabulate_alternative": (2, _nothing),
    "report_study": (6, _report_study),
    "rescore_imitation": (1, _score_imitation),
    "measure_sensitivity": (2, _measure_sensitivity),
    "list_outliers": (2, _list_outliers),
}
"""Stage -> (version, which settings it depends on).

Raise a stage's version in the commit that changes what it computes: Snakemake does not see edits in this package.
"""


def _locate(error):
    # Where a value may be of several types, pydantic names each type behind the key.
    kinds = ("constrained-", "literal[", "[key]")
    key = ".".join(str(part) for part in error["loc"] if not str(part).startswith(kinds))
    message = error["msg"].removeprefix("Value error, ")
    return key, message


def _known_keys(data, location):
    model: type[_Strict] = Config
    inside = data
    for part in location[:-1]:
        annotation = (
            model.model_fields[part].annotation if isinstance(model, type) and part in model.model_fields else None
        )
        inside = inside[part]
        if annotation is None:
            continue
        arguments = getattr(annotation, "__args__", (annotation,))
        model = next((a for a in reversed(arguments) if isinstance(a, type) and issubclass(a, _Strict)), model)
    return list(model.model_fields)


class _Layers:
    """The configuration files of a run, to say in errors which of them sets a key. They are read for errors only."""

    def __init__(self, paths, command_line=None):
        self._paths, self._command_line = [str(path) for path in paths], command_line or {}
        self._data: list[dict] | None = None

    def name(self, location):
        """The last file that has the most of `location`, a tuple of keys: the one to change. The first, where none has
        any: the key is missing. --config, where the command line sets it."""
        if _depth(self._command_line, location) == len(location):
            return "--config"
        if len(self._paths) == 1:
            return self._paths[0]
        if self._data is None:
            self._data = [_laid_out(path) for path in self._paths]
        depths = [_depth(data, location) for data in self._data]
        deepest = max(depths)
        return [path for path, depth in zip(self._paths, depths, strict=True) if depth == deepest][-1 if deepest else 0]


def _laid_out(path):
    try:
        return _read_yaml(path)
    except (ConfigError, OSError):
        return {}


def _depth(data, location):
    """How many of the keys of `location` `data` has, one inside the other."""
    depth = 0
    for key in location:
        there = key in data if isinstance(data, dict) else isinstance(data, list) and key in range(len(data))
        if not there:
            break
        data, depth = data[key], depth + 1
    return depth


def check(data, path="config.yaml", files=(), command_line=None):
    """Turn the contents of config.yaml into a Config.

    Args:
        data: a dict. path: what errors call the place that it comes from.
        files: the files that it comes from, each laid over those before it: errors then name the one that sets a key.
        command_line: what --config sets, a dict, which lies over all files.

    Raises:
        ConfigError: an unknown, missing or mistyped key, or a name that is used but not defined.
    """
    layers = _Layers(files or [path], command_line)
    try:
        config = Config.model_validate(data)
    except pydantic.ValidationError as invalid:
        problems = []
        for error in invalid.errors():
            key, message = _locate(error)
            path = layers.name(error["loc"])
            if error["type"] == "extra_forbidden":
                known = _known_keys(data, error["loc"])
                near = difflib.get_close_matches(str(error["loc"][-1]), known, n=1)
                remedy = f"did you mean `{near[0]}`?" if near else f"take it out; known here: {', '.join(known)}"
                problems.append(f"{path}: `{key}` is no known key; {remedy}")
            elif error["type"] == "missing":
                problems.append(
                    f"{path}: `{key}` is missing; add it as in config.yaml, and run from the project's root"
                )
            else:
                problems.append(f"{path}: `{key}`: {message} (it is {error['input']!r}); mend the value")
        raise ConfigError("\n".join(problems)) from None
    problems = [*_undefined_names(config, layers), *_unscalable_counts(config, layers)]
    if problems:
        raise ConfigError("\n".join(problems))
    return config


def _undefined_names(config, layers):
    """What is said of each name that is used and not defined."""
    uses: list[tuple[tuple[str, ...], str, str]] = [(("default_study",), config.default_study, "studies")]
    for name, study in config.studies.items():
        uses += [(("studies", name, "models"), model, "models") for model in study.models]
        uses += [(("studies", name, "domains"), domain, "domains") for domain in study.domains]
    uses += [(("models", name, "corpus"), model.corpus, "corpora") for name, model in config.models.items()]
    for name, domain in config.domains.items():
        uses.append((("domains", name, "embedder"), domain.embedder, "embedders"))
        if domain.prompt_embedder:
            uses.append((("domains", name, "prompt_embedder"), domain.prompt_embedder, "embedders"))
        if domain.art_filter:
            uses.append((("domains", name, "art_filter", "embedder"), domain.art_filter.embedder, "embedders"))
    for name, corpus in config.corpora.items():
        if corpus.counts_from:
            uses.append((("corpora", name, "counts_from"), corpus.counts_from, "corpora"))
    for key, name, kind in uses:
        defined = getattr(config, kind)
        if name not in defined:
            close = difflib.get_close_matches(name, defined, n=1)
            remedy = f"did you mean {close[0]!r}? It has" if close else "it has"
            yield (
                f"{layers.name(key)}: `{'.'.join(key)}` names {name!r}, which `{kind}` lacks; {remedy}: "
                f"{', '.join(defined)}"
            )


def _unscalable_counts(config, layers):
    """What is said of each corpus whose counts are scaled from one that can't be scaled from."""
    for name, corpus in config.corpora.items():
        source = config.corpora.get(corpus.counts_from) if corpus.counts_from else None
        if source and (source.counts_from or source.provided_counts or not source.captions):
            why = "are scaled themselves" if source.counts_from else "come without captions to scale them by"
            yield (
                f"{layers.name(('corpora', name, 'counts_from'))}: `corpora.{name}.counts_from` names "
                f"{corpus.counts_from!r}, whose counts {why}; name a corpus with `captions` and `images`"
            )


def _check_keys_once(node, path):
    """Raise ConfigError where a mapping has a key twice: YAML's readers keep the last one in silence.

    The tree is looked at before it is made into dicts, since what `<<` merges in may be set otherwise beside it.
    """
    inside, seen = [node], set()
    while inside:
        node = inside.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            inside += node.value
        if not isinstance(node, yaml.MappingNode):
            continue
        lines: dict[tuple[str, str], int] = {}
        for key, value in node.value:
            inside.append(value)
            line = key.start_mark.line + 1
            if isinstance(key, yaml.ScalarNode) and (key.tag, key.value) in lines:
                raise ConfigError(
                    f"{path}, line {line}: the key `{key.value}` is in line {lines[key.tag, key.value]} too; the last "
                    "one would replace the first: keep one, or put what is in them together"
                )
            if isinstance(key, yaml.ScalarNode):
                lines[key.tag, key.value] = line


def _read_yaml(path):
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file; check the path, and run from the project's root") from None
    except OSError as error:
        raise ConfigError(f"{path}: can't be read ({error.strerror}); name a file of YAML") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: byte {error.start} is not UTF-8; save it as UTF-8") from None
    if text.lstrip().startswith("{"):  # JSON, which Snakemake reads too, may be indented with tabs
        text = text.replace("\t", " ")
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        _check_keys_once(node, path)
        data = None if node is None else loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{path}, line {mark.line + 1}" if mark else path
        why = ", ".join(part for part in (error.context, error.problem) if part)
        raise ConfigError(f"{where}: not YAML: {why}; correct that line") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(data, dict):
        what = "it is empty" if data is None else f"it holds a {'list' if isinstance(data, list) else 'single value'}"
        raise ConfigError(f"{path}: no keys in it: {what}; see config.yaml in the project's root")
    return data


def check_files(paths):
    """Raise ConfigError where a configuration file is missing, not YAML, without keys, or has a key twice."""
    for path in paths:
        _read_yaml(path)


def _laid_over(below, above):
    """`above` over `below`, key by key as deep as both have dicts: how Snakemake takes several configuration files."""
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return below | {key: _laid_over(below.get(key), value) for key, value in above.items()}


def load(*paths):
    """Read and check configuration files, each laid over those before it.

    Args:
        paths: of the files; config.yaml where there are none.

    Raises:
        ConfigError: as `check` does; and for a file that is missing or no YAML.
    """
    paths = paths or ("config.yaml",)
    data: dict = {}
    for path in paths:
        data = _laid_over(data, _read_yaml(path))
    return check(data, files=paths)
