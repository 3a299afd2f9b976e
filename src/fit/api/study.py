"""A study that was run: its thresholds, scores, counts and figures, read from its folder of results."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fit.api.functions import as_result
from fit.api.results import Result, ThresholdResult
from fit.api.tables import as_frame
from fit.errors import DataError
from fit.io.nearby import nearest

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.figure import Figure

COLUMNS = ("model", "domain", "threshold", "low", "high", "kind", "estimator", "p_value", "concepts", "sentence")


@dataclass(frozen=True, eq=False)
class Study(Result):
    """A study that was run; `fit.load_study` returns it. Its tables are read when they are asked for."""

    folder: Path
    """The folder `results` that it was read from."""
    pairs: tuple[tuple[str, str], ...]
    """(model, domain) of each threshold."""
    _cache: dict[tuple[str, str], ThresholdResult] = field(default_factory=dict, repr=False)

    @property
    def models(self) -> list[str]:
        """Names of the models that have a threshold."""
        return sorted({model for model, _ in self.pairs})

    @property
    def domains(self) -> list[str]:
        """Names of the domains that have a threshold."""
        return sorted({domain for _, domain in self.pairs})

    @property
    def corpora(self) -> list[str]:
        """Names of the corpora that have effective counts."""
        return sorted({path.parent.name for path in self.folder.glob("counts/*/*.parquet")})

    @property
    def sentence(self) -> str:
        """All answers, a sentence each, as `fit answer` says them."""
        return "; ".join(self.answers)

    @property
    def answers(self) -> list[str]:
        """The answer on each model and domain, a sentence each."""
        return self.thresholds["sentence"].to_list()

    @property
    def table(self) -> "pl.DataFrame":
        """The same as `thresholds`."""
        return self.thresholds

    @cached_property
    def thresholds(self) -> "pl.DataFrame":
        """A row per model and domain: threshold with its interval (low, high; null if there is none), kind ("jump",
        "gradual" or "none"), estimator, p_value against no jump, concepts, sentence."""
        from fit.thresholds.headline import decisive_p_value

        rows = []
        for model, domain in self.pairs:
            result = self.threshold(model, domain)
            low, high = result.interval or (None, None)
            head = result.found.get("headline") or result.found
            row = {"model": model, "domain": domain, "threshold": result.threshold, "low": low, "high": high}
            row |= {"kind": head.get("kind") if result.threshold is not None else "none"}
            row |= {"estimator": head.get("estimator"), "p_value": decisive_p_value(result.found)}
            rows.append(row | {"concepts": result.found["concepts"], "sentence": result.sentence})
        return as_frame(rows, COLUMNS)

    def threshold(self, model: str | None = None, domain: str | None = None) -> ThresholdResult:
        """Return the threshold of a model and domain, which may be left out where there is only one.

        Raises:
            DataError: the study has no such model or domain, or several of them; or a file of it can't be read.
        """
        from fit.thresholds.answer import read
        from fit.thresholds.scores import read_table

        pair = self._pair(model, domain)
        if pair not in self._cache:
            found = read(self._place("thresholds", *pair, ".json"))
            self._cache[pair] = as_result(read_table(self._place("scores", *pair)), found, pair)
        return self._cache[pair]

    def scores(self, model: str | None = None, domain: str | None = None) -> "pl.DataFrame":
        """Return the counts and imitation scores of all concepts: what `fit scores tabulate` wrote (docs/scores.md).

        Raises:
            DataError: as `threshold`.
        """
        return self._frame(self._place("scores", *self._pair(model, domain)))

    def counts(self, corpus: str | None = None, domain: str | None = None) -> "pl.DataFrame":
        """Return the effective counts of all concepts in a corpus: what the stage `counts` wrote (docs/counts.md).

        Raises:
            DataError: there is no such corpus or domain, or several and none is named; or the file can't be read.
        """
        corpus, domain = self._one(corpus, self.corpora, "corpus"), self._one(domain, self.domains, "domain")
        return self._frame(self._place("counts", corpus, domain))

    def captions(self, corpus: str | None = None, domain: str | None = None) -> "pl.DataFrame":
        """Return how many captions of a corpus mention each concept: what `fit captions count` wrote.

        Raises:
            DataError: as `counts`; or captions were not counted.
        """
        known = sorted({path.parents[1].name for path in self.folder.glob("captions/*/*/counts.parquet")})
        corpus, domain = self._one(corpus, known, "corpus"), self._one(domain, self.domains, "domain")
        return self._frame(self.folder / "captions" / corpus / domain / "counts.parquet")

    def figure(self, model: str | None = None, domain: str | None = None, title: str = "") -> "Figure":
        """Draw scores against counts, with the threshold and its interval.

        Raises:
            DataError: as `threshold`.
        """
        pair = self._pair(model, domain)
        return self.threshold(*pair).plot(title or f"{pair[0]}, {pair[1]}")

    def to_dict(self) -> dict[str, Any]:
        """Return all thresholds in builtins: model -> domain -> what `fit thresholds detect --out` wrote."""
        found: dict[str, Any] = {}
        for model, domain in self.pairs:
            found.setdefault(model, {})[domain] = self.threshold(model, domain).to_dict()
        return found

    def _place(self, kind: str, first: str, domain: str, suffix: str = ".parquet") -> Path:
        return self.folder / kind / first / f"{domain}{suffix}"

    def _pair(self, model: str | None, domain: str | None) -> tuple[str, str]:
        if model is None and domain is not None:
            model = self._one(None, sorted({m for m, d in self.pairs if d == domain}) or self.models, "model")
        model = self._one(model, self.models, "model")
        of_model = sorted(d for m, d in self.pairs if m == model)
        return model, self._one(domain, of_model, "domain")

    def _one(self, name: str | None, known: list[str], what: str) -> str:
        """Return `name`, or the only one there is.

        Raises:
            DataError: it is not one of `known`; or it is None, and there is not exactly one.
        """
        if not known:
            raise DataError(f"{self.folder}: no {what} has such a table yet; run the stage of the study that makes it")
        has = ", ".join(known)
        if name is None:
            if len(known) == 1:
                return known[0]
            raise DataError(f"{self.folder}: name a {what}; there are: {has}")
        if name not in known:
            other = nearest(name, known)
            hint = f"did you mean {other!r}? There are" if other else "there are"
            raise DataError(f"{self.folder}: no {what} {name!r}; {hint}: {has}")
        return name

    @staticmethod
    def _frame(path: Path) -> "pl.DataFrame":
        import polars as pl

        from fit.errors import again

        try:
            return pl.read_parquet(path)
        except FileNotFoundError:
            raise DataError(f"{path}: there is no such file yet; run the study's stage {path.parts[-3]!r}") from None
        except (OSError, pl.exceptions.PolarsError) as error:
            why = str(error).partition("\n")[0]
            raise DataError(f"{path}: not a Parquet file that can be read ({why}); {again(path)}") from None


def load_study(folder: str | Path = ".") -> Study:
    """Read a study that was run.

    Args:
        folder: that the study was run in, which holds `results`; or `results` itself.

    Returns:
        The study: `.thresholds` (a row per model and domain), `.threshold(model, domain)`, `.scores(model, domain)`,
        `.counts(corpus, domain)`, `.captions(corpus, domain)`, `.figure(model, domain)`. A model, domain or corpus may
        be left out where there is only one.

    Raises:
        DataError: there is no result of a study in the folder.

    Examples:
        >>> import fit
        >>> fit.load_study("no-such-folder")
        Traceback (most recent call last):
        ...
        fit.errors.DataError: no-such-folder: no threshold of a study in it (results/thresholds/MODEL/DOMAIN.json); \
name the folder in which the study was run
    """
    place = Path(folder)
    results = place if place.name == "results" else place / "results"
    pairs = [(path.parent.name, path.stem) for path in sorted(results.glob("thresholds/*/*.json"))]
    if not pairs:
        raise DataError(
            f"{folder}: no threshold of a study in it (results/thresholds/MODEL/DOMAIN.json); name the folder in which "
            "the study was run"
        )
    return Study(results, tuple(pairs))
