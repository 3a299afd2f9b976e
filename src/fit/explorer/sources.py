"""Where the explorer's numbers come from: the files of a study, which rule made each, and what it was made with."""

import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fit.errors import DataError, ImageTableError
from fit.explorer.contents import Source
from fit.io.concept_tables import ConceptTables
from fit.io.digest import sha256_of
from fit.io.parquet import open_parquet

GIVEN = "given"
"""Rule of a file that a user gave."""

MADE_BY: tuple[tuple[str, tuple[str, ...], str], ...] = (
    (
        r"thresholds/[^/]+/[^/]+\.json",
        ("detect_threshold",),
        "thresholds by every estimator and score, and their tests",
    ),
    (r"scores/null/[^/]+/[^/]+/[^/]+\.parquet", ("score_null",), "null scores, prompt by prompt"),
    (r"scores/[^/]+/[^/]+/[^/]+\.parquet", ("score_imitation",), "scores, prompt by prompt"),
    (r"scores/[^/]+/[^/]+\.parquet", ("tabulate_scores",), "count and score of each concept"),
    (
        r"counts/[^/]+/[^/]+\.parquet",
        ("estimate_counts", "scale_counts", "import_counts"),
        "captions, downloads, matches and effective count of each concept",
    ),
    (r"images/[^/]+/[^/]+/statuses\.tsv", ("count_statuses",), "training images that sites refused"),
    (r"references/[^/]+/candidates/statuses\.tsv", ("count_candidates",), "references that sites refused"),
    (r"captions/[^/]+/[^/]+/names\.parquet", ("merge_captions",), "captions by name and alias"),
    (
        r"matches/[^/.]+\.threshold\.json",
        ("find_match_threshold",),
        "match threshold, and how well it tells concepts apart",
    ),
    (r"matches/[^/.]+\.art\.json", ("find_art_threshold",), "threshold of the art filter"),
    (r"matches/[^/.]+\.verification\.tsv", ("verify_embedder",), "how often the embedder errs, by group"),
    (r"sensitivity/[^/]+/[^/.]+\.json", ("measure_sensitivity",), "how far each choice moves the threshold"),
    (r"sensitivity/[^/]+/[^/.]+\.outliers\.tsv", ("list_outliers",), "concepts that defy the threshold, and why"),
    (r"missed/[^/]+/[^/]+\.parquet", ("measure_missed",), "images that captions miss"),
    (r"missed/[^/]+/[^/]+\.json", ("count_missed",), "threshold with the images that captions miss"),
    (r"explorer/pictures/[^/]+/[^/]+/[^/]+\.parquet", ("select_pictures",), "pictures, and how near targets are"),
    (r"explorer/excluded/[^/]+/[^/]+/[^/]+\.parquet", ("select_pictures",), "what each step left out, and why"),
)
"""Pattern of a file below results/ -> the rules that may have made it, and what the page takes from it."""

_MOST, _DEEPEST = 80, 3
"""Values of a setting that are shown, at most, and how deep lists and dicts may lie in one another."""


def rule_of(path: str, results: str | Path) -> tuple[str, str]:
    """Return (the rule that makes a file, what the page takes from it) by the file's path below `results`.

    Where several rules make such a file, it is the one with the latest log of this file; all of them, if none has one.
    """
    for pattern, rules, says in MADE_BY:
        if not re.fullmatch(pattern, path):
            continue
        if len(rules) == 1:
            return rules[0], says
        stem = str(Path(*Path(path).parts[1:]).with_suffix(".log"))
        logs = {rule: Path(results, "logs", rule, stem) for rule in rules}
        there = [rule for rule, log in logs.items() if log.is_file()]
        latest = sorted(there, key=lambda rule: logs[rule].stat().st_mtime_ns)[-1:]
        return "".join(latest) or " or ".join(rules), says
    return "unknown", ""


def utc(seconds: float) -> str:
    """Return a time in seconds since 1970 as date and time in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def plain(value: Any, depth: int = 0) -> Any:
    """Return a value of JSON as a setting is shown: infinite numbers as text, what is long or deep by its size."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, list | dict) and (len(value) > _MOST or depth > _DEEPEST):
        return f"{len(value):,} values"
    if isinstance(value, dict):
        return {str(key): plain(one, depth + 1) for key, one in value.items()}
    return [plain(one, depth + 1) for one in value] if isinstance(value, list) else value


def _of_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {key: plain(value) for key, value in found.items() if not isinstance(value, dict | list)}


def _of_parquet(path: Path) -> dict[str, Any]:
    try:
        metadata = open_parquet(path).schema_arrow.metadata or {}
    except ImageTableError:
        return {}
    found: dict[str, Any] = {}
    for key, value in metadata.items():
        name = key.decode(errors="replace")
        if name in ("concepts", "ARROW:schema", "pandas"):
            continue
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value.decode(errors="replace")
    return {name: plain(value) for name, value in found.items()}


def settings_of(path: Path) -> dict[str, Any]:
    """Return what a file says it was made with: the numbers and texts of JSON, the metadata of Parquet."""
    if path.suffix == ".json":
        return _of_json(path)
    return _of_parquet(path) if path.suffix == ".parquet" else {}


@dataclass
class Sources:
    """The files of a study that the page's numbers are read from, each noted once."""

    results: Path
    """The folder of the study's results."""

    def __post_init__(self) -> None:
        self._noted: dict[str, Source] = {}

    def place(self, *parts: str) -> Path | None:
        """Return the path of a file below the results and note it; None where it does not exist."""
        path = self.results.joinpath(*parts)
        if not path.is_file():
            return None
        self.note(path)
        return path

    def needed(self, *parts: str) -> Path:
        """Return the path of a file below the results and note it.

        Raises:
            DataError: it does not exist.
        """
        path = self.place(*parts)
        if path is None:
            raise DataError(f"{self.results.joinpath(*parts)}: there is no such file; ask snakemake for it")
        return path

    def tables(self, *parts: str) -> ConceptTables | None:
        """Return the tables in a folder below the results, and note those that hold a concept; None without any."""
        folder = self.results.joinpath(*parts)
        if not any(folder.glob("*.parquet")):
            return None
        found = ConceptTables([folder])
        for path in dict.fromkeys(found.path(concept) for concept in found):
            self.note(path)
        return found

    def given(self, path: str | Path, says: str) -> None:
        """Note a file that a user gave."""
        self._note(Path(path), str(path), GIVEN, says)

    def note(self, path: Path) -> None:
        """Note a file below the results."""
        inside = path.relative_to(self.results).as_posix()
        self._note(path, f"{self.results.name}/{inside}", *rule_of(inside, self.results))

    def _note(self, path: Path, name: str, rule: str, says: str) -> None:
        if name not in self._noted:
            made = utc(path.stat().st_mtime)
            self._noted[name] = Source(
                file=name, rule=rule, says=says, sha256=sha256_of(path), made=made, settings=settings_of(path)
            )

    def noted(self) -> list[Source]:
        """Return the files that were noted, by name."""
        return [self._noted[name] for name in sorted(self._noted)]


def versions_of(packages: Iterable[str]) -> dict[str, str]:
    """Return package -> version of those that are installed, and of Python."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
