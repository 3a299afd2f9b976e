"""Estimators of the threshold: a class in a file of its own each, and their names here.

A new estimator is a subclass of fit.thresholds.estimators.base.Estimator and a line of ESTIMATORS. Commands, figures,
the sensitivity and the report then know it.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fit.thresholds.estimators.base import Estimator

ESTIMATORS = {
    "pelt": "fit.thresholds.estimators.pelt:Pelt",
    "pelt_published": "fit.thresholds.estimators.pelt_published:PeltPublished",
    "pelt_scaled": "fit.thresholds.estimators.pelt_scaled:PeltScaled",
    "one_change": "fit.thresholds.estimators.one_change:OneChange",
    "isotonic": "fit.thresholds.estimators.isotonic:Isotonic",
    "logistic": "fit.thresholds.estimators.logistic:Logistic",
}
"""Name -> "module:Class" of the estimator; the first is the usual headline."""
RENAMED = {"single": "one_change"}
"""Name in an earlier version -> name now."""


def usual_headline() -> str:
    """Return the name of the estimator that is the headline unless settings say otherwise: the paper's."""
    return next(iter(ESTIMATORS))


def no_estimator(name: str) -> str:
    """Return what is said of a name that no estimator has."""
    if name in RENAMED:
        return f"the estimator `{name}` is now called `{RENAMED[name]}`"
    return f"there is no estimator {name!r}; there are {', '.join(ESTIMATORS)}"


def find_estimator(name: str) -> "Estimator":
    """Return the estimator that is registered under `name`.

    Raises:
        DataError: there is none.
    """
    from fit.errors import DataError
    from fit.registry import find

    if name not in ESTIMATORS:
        raise DataError(no_estimator(name))
    return find(ESTIMATORS, name, "estimator")()


def estimator_of_result(name: str) -> "Estimator":
    """Return the estimator that a result names; one that is not registered here has only its name."""
    if name in ESTIMATORS:
        return find_estimator(name)
    from fit.thresholds.estimators.unknown import unknown_estimator

    return unknown_estimator(name)
