"""Which models the truth experiment trains, and what each is called in the workflow."""

from collections.abc import Iterator
from dataclasses import dataclass

from fit.atelier.changes import WORLDS
from fit.truth.settings import DesignSettings

USUAL = "usual"
"""The world in which no assumption is broken, a key of fit.atelier.changes.WORLDS."""


PRUNED = "pruned"
"""The usual world, without the images that an audit of its first model would remove."""


@dataclass(frozen=True, order=True)
class Run:
    """One trained model."""

    world: int
    """Seed of the world."""
    changes: str
    """A key of fit.atelier.changes.WORLDS, or PRUNED."""
    deal: int
    """Of the counts to the painters."""
    training: int
    """Seed of weights, batches and noise."""

    @property
    def domain(self) -> str:
        """The painters of its world, as a domain of the configuration."""
        return f"truth-{self.world}-{self.changes}"

    @property
    def corpus(self) -> str:
        """What the model is trained on, as a corpus of the configuration."""
        return f"{self.domain}-{self.deal}"

    @property
    def model(self) -> str:
        """The model, as a model of the configuration."""
        return f"{self.corpus}-{self.training}"

    @property
    def _made_as(self) -> str:
        """The world whose corpus and generator it has."""
        return USUAL if self.changes in WORLDS and WORLDS[self.changes].is_of_encoder else self.changes

    @property
    def references(self) -> str:
        """The table of its painters' references, which are the same in all deals."""
        made_as = USUAL if self.changes == PRUNED else self._made_as
        return f"results/truth/worlds/{self.world}/{made_as}/0/references.parquet"

    @property
    def painted(self) -> str:
        """The folder of its world and corpus."""
        return f"results/truth/worlds/{self.world}/{self._made_as}/{self.deal}"

    @property
    def generator(self) -> str:
        """The folder of the trained pipeline."""
        return f"results/truth/generators/{self.world}/{self._made_as}/{self.deal}/{self.training}"


def runs(settings: DesignSettings) -> Iterator[Run]:
    """Yield the runs, those first without which the others say little: one training of each deal in each world."""
    for training in range(1, settings.trainings + 1):
        for world in settings.worlds:
            yield from (Run(world, USUAL, deal, training) for deal in range(settings.deals))
    for changes in settings.changes:
        yield from (Run(settings.worlds[0], changes, deal, 1) for deal in range(settings.changed_deals))
    yield Run(settings.worlds[0], PRUNED, 0, 1)
