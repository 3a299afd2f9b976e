"""Other scores of resemblance than the imitation score, as the paper compared them: on the same pictures and targets.

Each is an object in a file of its own. To add one, write its class (fit.alternatives.base.Score) and add a line to
REGISTRY.
"""

from typing import TYPE_CHECKING

from fit.registry import find

if TYPE_CHECKING:
    from fit.alternatives.base import Score

REGISTRY = {
    "top5": "fit.alternatives.top5:Top5",
    "frechet": "fit.alternatives.frechet:Frechet",
    "clip": "fit.alternatives.clip:Clip",
}
"""Name of a score -> its class. A concept's rows are written in this order."""

VERSIONS = {"score_alternatives": 3, "tabulate_alternative": 2}
"""Stage -> the version of what it computes; a new version runs the stage again."""


def load(name: str) -> "Score":
    """Return the score that is called `name`.

    Raises:
        ConfigError: there is no such score.
    """
    return find(REGISTRY, name, "alternative score")()
