"""Settings of the truth experiment: which worlds, how many deals, how many trainings."""

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Le

from fit.settings import STRICT


@dataclass(frozen=True, kw_only=True)
class DesignSettings:
    """How many models are trained, and on what."""

    __pydantic_config__: ClassVar[Any] = STRICT

    worlds: list[Annotated[int, Ge(0), Le(2**62)]]
    """Seeds of worlds: other styles, other pictures."""
    deals: Annotated[int, Ge(1), Le(1000)]
    """Deals of the counts to the painters, in each world: so many counts each painter has had in the end."""
    trainings: Annotated[int, Ge(1), Le(1000)]
    """Models that are trained on each deal, from other random weights."""
    changes: list[str] = field(default_factory=list)
    """Worlds that break an assumption on purpose (fit.atelier.changes); each is made of the first seed in `worlds`."""
    changed_deals: Annotated[int, Ge(1), Le(1000)] = 2
    """Deals of each of these, a training each."""
    pruned_painters: Annotated[int, Ge(1), Le(10_000)] = 3
    """Painters whose images `snakemake truth_pruning` takes out of the first deal of the first world, as `fit audit`
    plans; a model is trained on the rest."""
