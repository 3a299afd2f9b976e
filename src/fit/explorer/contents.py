"""What `study.json` holds: everything that the explorer and the datasheet say of a study, but for its pictures.

`fit explorer gather` writes it from the files of a study; `fit explorer build` and `fit report` lay it out. So both
say the same, and a page can be tested without a study.
"""

from typing import Annotated, Any, Literal, TypeVar, cast, dataclass_transform

import pyarrow as pa
import pydantic
from pydantic import AfterValidator, Field

from fit.io.numbers import LARGEST_COUNT, LARGEST_SCORE
from fit.reports.data import Kind

VERSION = 1
"""Of these classes. Raise it when a field changes its meaning."""

C = TypeVar("C")

PICTURES = pa.schema(
    [
        ("concept", pa.string()),
        ("role", pa.string()),
        ("rank", pa.int32()),
        ("image_id", pa.string()),
        ("prompt", pa.string()),
        ("cosine", pa.float32()),
        ("near", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("bytes", pa.binary()),
    ]
)
"""A thumbnail of a concept. The pictures are in tables of their own, beside study.json: they are large.

role is "reference", "generated" or "target"; rank is its place in its role, from 0. A generated picture has its prompt.
A target has the cosine to the generated picture that it is near, whose image_id is `near`. bytes are WebP.
"""


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(Field,))
def content(cls: type[C]) -> type[C]:
    """Make a class a part of study.json: a frozen pydantic dataclass, strict about its fields."""
    config = pydantic.ConfigDict(extra="forbid", allow_inf_nan=False)
    return cast("type[C]", pydantic.dataclasses.dataclass(config=config, frozen=True, kw_only=True)(cls))


def _in_order(ends: list[float]) -> list[float]:
    """Return the ends of an interval.

    Raises:
        ValueError: the first is above the second.
    """
    if ends[0] > ends[1]:
        raise ValueError("the low end should not be above the high end")
    return ends


def _is_a_folder(name: str) -> str:
    """Return the name of a model or domain, of which there is a folder.

    Raises:
        ValueError: no folder can have this name.
    """
    if name in ("", ".", "..") or "/" in name or "\0" in name or len(name.encode("utf-8", "replace")) > LONGEST_NAME:
        raise ValueError("it should be the name of a folder")
    return name


LONGEST_NAME = 255
"""Of a file or folder, in bytes."""
FolderName = Annotated[str, AfterValidator(_is_a_folder)]
Images = Annotated[float, Field(ge=0, le=LARGEST_COUNT)]
"""A number of training images that may lie between two counts."""
Whole = Annotated[int, Field(ge=0, le=LARGEST_COUNT)]
"""How many there are of something."""
Score = Annotated[float, Field(ge=-LARGEST_SCORE, le=LARGEST_SCORE)]
Probability = Annotated[float, Field(ge=0, le=1)]
Ratio = Annotated[float, Field(ge=0, le=LARGEST_SCORE)]
"""Of one threshold to another."""
Interval = Annotated[list[Images], Field(min_length=2, max_length=2), AfterValidator(_in_order)]
"""[low, high], in training images: the value is above low and at most high."""
RatioInterval = Annotated[list[Ratio], Field(min_length=2, max_length=2), AfterValidator(_in_order)]
"""[low, high] of a ratio."""


@content
class Term:
    """An entry of the glossary."""

    term: str
    words: str
    """What it means, in plain words."""


@content
class Table:
    """A table that a reader can take away, as CSV."""

    name: str
    """Of its file, without a suffix."""
    title: str
    columns: list[str]
    rows: list[list[str | float | int | bool | None]]
    note: str = ""


@content
class Estimate:
    """What one estimator says."""

    estimator: str
    label: str
    """In words: "PELT, as published"."""
    threshold: Images | None
    interval: Interval | None
    reason: str | None = None
    """Why there is none."""


@content
class Penalty:
    """The threshold of PELT at one penalty."""

    penalty: Annotated[float, Field(ge=0)]
    threshold: Images | None


@content
class ScoreKind:
    """One kind of score, and the thresholds by it. The first of a part is the published score."""

    name: str
    """"score", "fixed_score", "minus_null", "null_score" ...: the key in Concept.scores."""
    label: str
    words: str
    """What it is, in a sentence."""
    estimates: list[Estimate]
    penalties: list[Penalty] = Field(default_factory=list)
    """Ascending; empty if they were not measured."""


@content
class Prompt:
    """The scores of a concept at one prompt."""

    prompt: str
    """With the concept's name in it."""
    scores: dict[str, Score | None]
    """By ScoreKind.name; "score" is there always."""
    images: Whole
    """Generated pictures that were scored."""
    targets: Whole
    """What they were compared with."""


@content
class NameCount:
    """Captions that mention one name or alias of a concept."""

    name: str
    captions: Whole


@content
class Excluded:
    """Pictures of a concept that were left out of some step, and why."""

    step: Literal["references", "training images", "generated pictures", "prompts"]
    number: Whole
    why: str


@content
class Verdict:
    """What `fit audit` says of a concept."""

    verdict: Literal["above", "within", "below", "unknown", "refused"]
    words: str
    """In a sentence."""
    p_above: Probability | None = None
    """Probability that its count reaches the threshold."""
    p_high: Probability | None = None
    """Probability that its score is high, given its count."""


@content
class Outlier:
    """A concept that defies the threshold."""

    side: Literal["below", "above"]
    causes: list[str]
    """What was measured that may explain it, in words; empty: nothing was found."""


@content
class Concept:
    """One concept of a part."""

    slug: str
    name: str
    aliases: list[str]
    group: str
    """Empty for none."""
    count: Images | None
    """Effective count; None if unknown."""
    count_interval: Interval | None
    captions: Whole | None
    downloaded: Whole | None
    matches: Whole | None
    names: list[NameCount]
    """Empty if captions were not counted by name."""
    corrected_count: Images | None = None
    """Without the recogniser's errors."""
    corrected_interval: Interval | None = None
    scores: dict[str, Score | None]
    """By ScoreKind.name."""
    prompts: list[Prompt]
    excluded: list[Excluded]
    verdict: Verdict | None
    """None without an audit."""
    outlier: Outlier | None = None


@content
class Published:
    """The paper's value for the same model and domain."""

    threshold: Images
    ours: Images | None
    """By the same estimator on this study; None if it finds none."""
    sentence: str
    """Both, and the source."""


@content
class Answer:
    """The headline of a part."""

    kind: Literal["jump", "gradual", "none"]
    sentence: str
    threshold: Images | None
    interval: Interval | None
    estimator: str
    rests_on: list[str]
    """Sentences: how many concepts, pictures and captions it rests on, which tests it passed, which scores agree."""
    warnings: list[str]
    published: Published | None = None


@content
class Strip:
    """How one choice moves the threshold."""

    choice: str
    """"penalty", "targets of faces" ..."""
    values: list["StripValue"]


@content
class StripValue:
    """The threshold at one value of a choice."""

    label: str
    threshold: Images | None
    is_used: bool
    """Whether the study uses this value."""


@content
class Fact:
    """A measured number in words."""

    label: str
    value: str
    words: str = ""
    """What it means."""


@content
class Assumption:
    """Something that the number rests on."""

    assumption: str
    status: Literal["checked", "checked in part", "not checked", "does not hold"]
    words: str
    """How it was checked and with what result, or how it can be."""


@content
class Part:
    """One model in one domain."""

    model: FolderName
    domain: FolderName
    corpus: str
    is_of_people: bool
    """Whether its pictures show faces of people."""
    score_label: str
    """Of the vertical axis."""
    answer: Answer
    scores: list[ScoreKind]
    concepts: list[Concept]
    """Ascending in count; those without a score too."""
    calibration: list[Fact]
    sensitivity: list[Strip]
    """Empty if it was not measured."""
    assumptions: list[Assumption]
    outliers_sought: bool = False
    """Whether the study looked for concepts that defy the threshold."""


@content
class Comparison:
    """Two parts side by side, paired by concept."""

    first: str
    """"model/domain", in another study "study: model/domain"."""
    second: str
    sentence: str
    ratio: Ratio | None
    """Of the second threshold to the first."""
    interval: RatioInterval | None
    p_value: Probability | None
    concepts: Whole
    """How many both have."""
    pairs: list["PairedConcept"]


@content
class PairedConcept:
    """A concept of two parts."""

    slug: str
    name: str
    counts: Annotated[list[Images | None], Field(min_length=2, max_length=2)]
    scores: Annotated[list[Score | None], Field(min_length=2, max_length=2)]


@content
class Reader:
    """Somebody who reads a result."""

    who: str
    words: str
    """What it means for them, in sentences."""


@content
class Data:
    """Something that the study rests on."""

    kind: Kind
    name: str
    """Of references and photographs, their domain."""
    places: list[str]
    """Files, folders, hub ids, or what a search asks for."""
    origin: str
    """Who made or published it; empty if nobody stated it."""
    licence: str
    """As its publisher states it; empty if nobody stated it."""
    opt_outs: str
    """What became of images whose site refuses their use, in a sentence; empty where it is not a question."""
    refused: Whole | None = None
    """Images that were left out for that."""
    links: Whole | None = None
    """Links that were asked for."""


@content
class KnownWorld:
    """Thresholds of the models of one built-in world, whose truth is known, as multiples of the true one."""

    world: str
    ratios: list[Ratio]


@content
class Source:
    """A file that numbers of the page were read from."""

    file: str
    """Relative to the folder of the study."""
    rule: str
    """Of the workflow, that made it; "given" for a user's file."""
    says: str
    """Which numbers of the page come from it, in words."""
    sha256: str
    made: str
    """Date and time in UTC."""
    settings: dict[str, Any]
    """What it was made with, as far as the file says: seeds, versions, settings."""


@content
class Study:
    """All that is said of a study."""

    version: int = VERSION
    study: str
    made: str
    """Date and time in UTC."""
    fit: str
    """Version of this package."""
    seed: Whole | None
    parts: list[Part]
    comparisons: list[Comparison]
    missing: list[str]
    """What the study lacks, in sentences."""
    pictures_left_out: str
    """Why the page shows no pictures, or not all, in a sentence; empty if it shows them."""
    glossary: list[Term]
    readers: list[Reader] = Field(default_factory=list)
    """What the number means, and for whom."""
    limits: list[str]
    """What the number does not show, in sentences."""
    unsupported: list[str] = Field(default_factory=list)
    """Uses that the number does not support, in sentences."""
    data: list[Data] = Field(default_factory=list)
    """What the study rests on; empty in a study of an earlier version."""
    known_truth: list[KnownWorld] = Field(default_factory=list)
    """How far thresholds are from the truth where it is known (docs/truth.md)."""
    versions: dict[str, str]
    """Package -> version."""
    sources: list[Source]
    tables: list[Table]
