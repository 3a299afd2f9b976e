"""Worlds that break one of the method's assumptions on purpose, by name."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # the command line imports this module, for the names of WORLDS
    import numpy as np

    from fit.atelier.painting import Styles


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What is unlike the usual world."""

    breaks: str = ""
    """What the usual world has and this one has not, in words."""
    noise: Mapping[str, float] = field(default_factory=dict)
    """Fields of fit.atelier.corpus.Noise with other values."""
    kin: float = 0.0
    """Share of painters of whom each two paint nearly alike."""
    fame: Literal["any", "simple", "difficult"] = "any"
    """Which styles the frequent painters have."""
    longer: float = 1.0
    """The generator's training steps, as a multiple."""
    wider: float = 1.0
    """The generator's channels, as a multiple."""
    encoder_longer: float = 1.0
    """The style encoder's training steps, as a multiple."""

    @property
    def is_of_encoder(self) -> bool:
        """Whether the encoder alone differs: the corpus and the generator are those of the usual world."""
        return self.encoder_longer != 1 and self == Changes(breaks=self.breaks, encoder_longer=self.encoder_longer)

    def order(self, styles: "Styles", rng: "np.random.Generator") -> "np.ndarray":
        """Return the rung of each painter [N], 0 for the fewest pictures, in deal 0."""
        drawn = rng.permutation(len(styles))
        if self.fame == "any":
            return drawn
        rank = difficulty(styles).argsort().argsort()
        return rank if self.fame == "difficult" else len(styles) - 1 - rank


def difficulty(styles: "Styles") -> "np.ndarray":
    """Return how rich in detail each style is [N]: fine, crossed and bent stripes are hard for a small model."""
    import numpy as np

    parts = (np.log(styles.frequency), styles.crossing, styles.bend * styles.bend_frequency)
    return np.sum([(part - part.mean()) / part.std() for part in parts], axis=0)


def with_kin(styles: "Styles", share: float, rng: "np.random.Generator") -> "Styles":
    """Return `styles`, where a `share` of painters form pairs of which one paints nearly as the other does.

    The palette is the same, and all else nine tenths of the way to the other's.
    """
    count = len(styles)
    rows = rng.permutation(count)
    pupils = rows[: round(share * count / 2)]
    masters = rows[count - len(pupils) :]
    changed = {f.name: getattr(styles, f.name).copy() for f in fields(styles)}
    for name, values in changed.items():
        own, other = values[pupils], values[masters]
        values[pupils] = other if name == "palette" else own + 0.9 * (other - own)
    return replace(styles, **changed)


WORLDS: dict[str, Changes] = {
    "usual": Changes(),
    "simple-fame": Changes(breaks="frequent painters have the simplest styles", fame="simple"),
    "difficult-fame": Changes(breaks="frequent painters have the most difficult styles", fame="difficult"),
    "copies": Changes(breaks="half of a painter's images are copies of another one", noise={"copies": 0.5}),
    "pseudonyms": Changes(breaks="a third of the captions use a name that the sheet lacks", noise={"pseudonym": 1 / 3}),
    "lies": Changes(
        breaks="for each picture by a painter, another caption names the painter under somebody else's picture",
        noise={"after": 1.0},
    ),
    "kin": Changes(breaks="each two painters paint nearly alike", kin=1.0),
    "joint": Changes(breaks="a third of the pictures are by two painters, and name both", noise={"joint": 1 / 3}),
    "motifs": Changes(
        breaks="two thirds of the captions name a motif, most of them one that goes with the painter",
        noise={"motif": 2 / 3},
    ),
    "dead-links": Changes(
        breaks="the share of dead links depends on the painter, from 0 to 80 %", noise={"dead": 0.4, "dead_spread": 1.0}
    ),
    "weak-encoder": Changes(breaks="the embedder is trained for a tenth of the steps", encoder_longer=0.1),
    "half-training": Changes(breaks="half the training steps", longer=0.5),
    "double-training": Changes(breaks="twice the training steps", longer=2.0),
    "wider": Changes(breaks="one and a half times the channels", wider=1.5),
}
"""Name -> what is changed in it."""
