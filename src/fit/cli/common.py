"""What several commands share: results read and written as JSON."""

import json
from pathlib import Path

from fit.errors import FitError


def write_json(data, path):
    from fit.io.files import atomic_write

    with atomic_write(path) as part:
        part.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")


def read_json(path, keys, command):
    """The dict that `command` wrote to `path` as JSON, which must have `keys`."""
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FitError(f"{path}: there is no such file; `{command}` writes it") from None
    except ValueError as error:
        raise FitError(f"{path}: no JSON ({error}); name a file that `{command}` wrote") from None
    for key in keys:
        if not isinstance(found, dict) or key not in found:
            raise FitError(f"{path}: no key `{key}` in it; name a file that `{command}` wrote")
    return found


def read_match_threshold(path, *also):
    found = read_json(path, ("match_threshold", *also), "fit matches threshold")
    if found["match_threshold"] is None:
        raise FitError(f"{path}: no match threshold was found: {found.get('reason', 'it does not say why')}")
    if not isinstance(found["match_threshold"], (int, float)) or not -1 <= found["match_threshold"] <= 1:
        raise FitError(
            f"{path}: its match threshold is {found['match_threshold']!r}, not a cosine; name a file that "
            "`fit matches threshold` wrote"
        )
    return found


def read_threshold(path):
    return read_json(
        path,
        ("threshold", "interval", "below", "above", "changes", "concepts", "estimator", "penalty"),
        "fit threshold --out",
    )


def by_slug(paths):
    """Concept -> file: a concept's file is named by its slug."""
    from fit.io.files import by_key

    return by_key(paths, lambda path: Path(path).stem, "the concept")


def set_threads(count):
    if count:
        import torch

        torch.set_num_threads(count)
