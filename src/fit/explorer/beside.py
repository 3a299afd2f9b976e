"""Other studies that a study is compared with: their tables of scores, in their folders of results."""

from pathlib import Path


def results_beside(folder: str | Path) -> Path:
    """Return the folder of another study's results: `folder`, or `results` in it."""
    inside = Path(folder, "results")
    return inside if (inside / "scores").is_dir() else Path(folder)


def tables_beside(folder: str | Path) -> list[Path]:
    """Return the tables scores/MODEL/DOMAIN.parquet of another study; none if there are none."""
    tables = results_beside(folder).glob("scores/*/*.parquet")
    return sorted(path for path in tables if path.parent.name != "null")


def name_of(folder: str | Path) -> str:
    """Return what another study is called: the name of the folder that its results are in."""
    place = results_beside(folder).resolve()
    return place.parent.name if place.name == "results" else place.name


def nothing_beside(folder: str | Path) -> str:
    """Say that a folder has no table, and what to do."""
    return f"{folder}: no scores/MODEL/DOMAIN.parquet in it; name the folder of results of another study"
