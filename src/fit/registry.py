"""Names of backends, and the classes that they name: imported when asked for, never before.

A room's registry has the names that are built in. Other packages bring embedders and generators by entry points, in the
groups `fit.embedders` and `fit.generators`: a name, and a class that has the methods of the room's base class.
"""

import difflib
from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from fit.errors import ConfigError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


def brought_by_packages(group: str | None) -> dict[str, "EntryPoint"]:
    """Return name -> entry point of what the installed packages bring for `group`; nothing of it is imported."""
    if group is None:
        return {}
    from importlib import metadata  # takes a while to import

    return {point.name: point for point in metadata.entry_points(group=group)}


def known_names(registry: Mapping[str, str], group: str | None = None) -> list[str]:
    """Return the names that `find` knows: the built-in ones, then those of the installed packages."""
    return list(dict.fromkeys([*registry, *brought_by_packages(group)]))


def find(
    registry: Mapping[str, str], name: str, kind: str, group: str | None = None, methods: Iterable[str] = ()
) -> Any:
    """Return the class that `name` names: a built-in one, or else one that an installed package brings.

    Args:
        registry: name -> "module:Class" of those that are built in.
        name: as config.yaml gives it.
        kind: what the registry is of, a word for errors.
        group: the group of entry points in which other packages bring theirs; None: they can't.
        methods: names of methods that a class of another package must have.

    Raises:
        ConfigError: there is no such name, or the package that brings it can't be imported or has not got the methods.
    """
    if name in registry:
        module, _, attribute = registry[name].partition(":")
        return getattr(import_module(module), attribute)
    point = brought_by_packages(group).get(name)
    if point is None:
        names = known_names(registry, group)
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(sorted(names))}"
        raise ConfigError(f"config.yaml: no {kind} is called {name!r}; {hint}")
    package = f"the package {point.dist.name}" if point.dist else "an installed package"
    what = f"config.yaml: the {kind} {name!r} is {point.value} of {package}"
    try:
        found = point.load()
    except Exception as error:  # the code of another package may raise anything
        why = str(error) if isinstance(error, (ImportError, AttributeError)) else f"{type(error).__name__}: {error}"
        raise ConfigError(
            f"{what}, which can't be imported ({why}); install that package again, or name another"
        ) from error
    lacking = sorted(method for method in methods if _is_abstract(getattr(found, method, None)))
    if not isinstance(found, type) or lacking:
        wrong = f"lacks {', '.join(lacking)}" if isinstance(found, type) else "is not a class"
        raise ConfigError(
            f"{what}, which {wrong}; install a version of that package that fits this one, or name another"
        )
    return found


def _is_abstract(method: Any) -> bool:
    return method is None or getattr(method, "__isabstractmethod__", False)
