"""The estimator of a result whose name is not registered here: by a later version of this package, or by a fork."""

from typing import NoReturn

from fit.errors import DataError
from fit.thresholds.estimators.base import Estimator


class UnknownEstimator(Estimator):
    """An estimator that has only its name: results of it can be read and drawn, and it estimates nothing."""

    def estimate(self, *arguments: object) -> NoReturn:
        """Raise DataError."""
        raise DataError(f"there is no estimator {self.name!r} in this version: it can only be read from results")

    def many(self, *arguments: object) -> NoReturn:
        """Raise DataError."""
        self.estimate()


def unknown_estimator(name: str) -> UnknownEstimator:
    """Return the unknown estimator called `name`."""
    return type(UnknownEstimator.__name__, (UnknownEstimator,), {"name": name})()
