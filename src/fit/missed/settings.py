"""Settings of the sample of images whose captions name no concept."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Le

from fit.settings import STRICT


@dataclass(frozen=True, kw_only=True)
class MissedSettings:
    """How many images are looked at."""

    __pydantic_config__: ClassVar[Any] = STRICT

    unnamed_sample: Annotated[int, Ge(1), Le(100_000_000)] = 100_000
    """Captions that name no concept of a domain whose images `snakemake missed` collects and matches against every
    concept; the paper's is 100,000."""
