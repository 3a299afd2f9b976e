"""Settings of an embedder."""

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le

from fit.settings import LOADED, RESOURCE, STRICT

Positive = Annotated[float, Gt(0)]


@dataclass(frozen=True, kw_only=True)
class EmbedderSettings:
    """What a backend loads, and how."""

    __pydantic_config__: ClassVar[Any] = STRICT

    model: Annotated[str, LOADED]
    """What the backend loads: a model's name, `hf-hub:` id, `local-dir:` folder, or file."""
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = "auto"
    """Number format of weights and activations; auto: float16 on a GPU, float32 elsewhere."""
    download: Annotated[bool, RESOURCE] = False
    """Whether weights that are not on this machine may be fetched. HF_HUB_OFFLINE=1 forbids it too."""


@dataclass(frozen=True, kw_only=True)
class FaceSettings:
    """How faces are found in a picture and prepared."""

    __pydantic_config__: ClassVar[Any] = STRICT

    detection_side: Annotated[int, Ge(64), Le(65_536)] = 1280
    """Faces are searched in a picture scaled down to this longest side, in pixels."""
    min_face_size: Annotated[int, Ge(12), Le(65_536)] = 20
    """Side of the smallest faces that are found, in pixels of that picture."""
    pixel_mean: float | tuple[float, float, float] | None = None
    """For arcface: what is subtracted from pixels of 0 to 255, one number or one for each channel; left out: as the
    model's file tells."""
    pixel_std: Positive | tuple[Positive, Positive, Positive] | None = None
    """For arcface: what they are divided by then, one number or one for each channel; left out: as the model's file
    tells."""
    channels: Literal["rgb", "bgr"] = "rgb"
    """For arcface: order of the colours."""
    detector: Literal["hog", "cnn"] | None = None
    """For dlib: how faces are found; left out: hog. cnn finds turned faces too, and takes some 80 times as long."""
    min_face_score: float | None = None
    """For dlib: the least score of a face that is kept; sharp faces that look ahead have 1 to 2. Left out: 0.2."""
    upsample: Annotated[int, Ge(0), Le(3)] | None = None
    """For dlib: how often the picture that is searched is enlarged to twice its width and height; left out: not at all.
    Faces of about 80 pixels are found, each enlargement halves that, takes four times as long, and finds more that is
    not a face."""


@dataclass(frozen=True, kw_only=True)
class BatchSettings:
    """How much is embedded at once, and where."""

    __pydantic_config__: ClassVar[Any] = STRICT

    batch_size: Annotated[int, Ge(1), Le(1_000_000), RESOURCE] = 64
    """Images per batch, at most: halved as often as memory runs out. Changes no result beyond rounding."""


@dataclass(frozen=True, kw_only=True)
class CheckSettings:
    """Which patches are put on references, to see whether an embedder is drawn to one, and on how many pictures."""

    __pydantic_config__: ClassVar[Any] = STRICT

    concepts: Annotated[int, Ge(1), Le(10_000)] = 24
    """Concepts whose references are used, at most."""
    pictures: Annotated[int, Ge(1), Le(10_000)] = 2
    """References of each of them, at most."""
    patterns: list[str] = field(
        default_factory=lambda: ["white", "black", "red", "yellow", "checks", "stripes", "noise"]
    )
    """What is on a patch."""
    patch_sizes: list[Annotated[float, Gt(0), Le(1)]] = field(default_factory=lambda: [0.07, 0.15])
    """Sides of the patches, as shares of the shorter side of a picture."""
    places: list[str] = field(default_factory=lambda: ["corner", "centre", "anywhere", "everywhere"])
    """Where a patch is: the lower right corner or the centre of the middle square; anywhere in it, elsewhere in each
    picture; or everywhere: over the whole picture, mixed with it, and the sizes do not matter."""
    opacity: Annotated[float, Gt(0), Le(1)] = 0.2
    """Share of the pattern in the mixture, for the place `everywhere`."""
    controls: Annotated[int, Ge(8), Le(10_000)] = 12
    """Other patches of each size and place, of random patterns, that a patch is compared with."""
