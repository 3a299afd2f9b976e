"""Sections of a corpus: a model's training set, and how its images are collected."""

from typing import Annotated, Literal

import pydantic
from pydantic import Field

from fit.captions.settings import ReadingSettings, SamplingSettings, column_problem
from fit.config.section import Described, Name, Section, section
from fit.counts.settings import ScalingSettings
from fit.images.settings import DecodeSettings, FetchSettings
from fit.missed.settings import MissedSettings
from fit.settings import PLACE


@section
class Captions(SamplingSettings, ReadingSettings, Section):
    """The captions of a corpus. Give one source, `files` or `elasticsearch`."""

    files: Annotated[list[str], PLACE] | None = None
    """Files of captions: Parquet, CSV, TSV or JSON lines, compressed or not; here or at s3://, hf://, https://
    addresses. A pattern such as part-*.parquet stands for the files on this machine that it finds, a file that ends in
    .txt for those that it lists, one a line."""
    elasticsearch: str | None = None
    """An index of captions on a server, whose address and key are read from ELASTICSEARCH_URL or ELASTIC_CLOUD_ID, and
    ELASTIC_API_KEY."""
    shards_per_job: Annotated[int, Field(ge=1, le=1_000_000)] | Literal["auto"] = "auto"
    """How many files one job counts. auto: as many as make 32 jobs; a file of 20 million captions takes seconds."""

    @pydantic.field_validator("encoding")
    @classmethod
    def _known_encoding(cls, encoding: str) -> str:
        try:
            b"    ".decode(encoding, "replace")
        except LookupError:
            raise ValueError("not a known encoding; such are utf-8, windows-1252, latin-1, utf-16") from None
        return encoding

    @pydantic.model_validator(mode="after")
    def _one_source(self) -> "Captions":
        if bool(self.files) == bool(self.elasticsearch):
            raise ValueError("give one source, `files` or `elasticsearch`")
        return self

    @pydantic.model_validator(mode="after")
    def _other_columns(self) -> "Captions":
        if problem := column_problem(self):
            raise ValueError(problem)
        return self


@section
class Corpus(ScalingSettings, MissedSettings, Described):
    """A model's training set: captions, and images behind them."""

    captions: Captions | None = None
    """Where the captions are. Left out where images or counts are provided."""
    images: Literal["embedded", "http"] | None = None
    """Where the images are: in the column `image` of the caption files, or behind the links. Left out: the corpus is
    only counted, and `counts_from` says how."""
    counts_from: Name | None = None
    """Another corpus, whose effective counts are scaled by the ratio of caption counts."""
    provided_images: Annotated[str, PLACE] | None = None
    """Local training images: a folder with a folder per slug, or Parquet with the columns concept and bytes."""
    provided_counts: Annotated[str, PLACE] | None = None
    """Effective counts that are known already: CSV or Parquet with the columns concept and effective_count."""

    @pydantic.model_validator(mode="after")
    def _images_or_counts(self) -> "Corpus":
        provided = self.provided_images or self.provided_counts
        if provided and (self.captions or self.images or self.counts_from):
            raise ValueError("what is provided (`provided_...`) replaces `captions`, `images` and `counts_from`")
        if not provided and (self.images is None) == (self.counts_from is None):
            raise ValueError("give either `images` or `counts_from` (or what is provided, `provided_...`)")
        if not provided and self.captions is None:
            raise ValueError("`captions` is missing")
        return self

    @property
    def may_be_missed(self) -> bool:
        """Whether images can be drawn whose captions name no concept: there are files of captions, and images."""
        return bool(self.images and self.captions and self.captions.files)

    @property
    def has_images(self) -> bool:
        """Whether there are training images to compare with."""
        return bool(self.images or self.provided_images)


@section
class Collection(FetchSettings, DecodeSettings, Section):
    """How images are fetched and decoded."""
