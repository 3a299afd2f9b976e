"""Names of backends, and what they stand for: imported when asked for, never before."""

import difflib
from importlib import import_module

from fit.errors import ConfigError


def find(registry, name, kind):
    """The class that `registry` (name -> "module:Class") has under `name`; `kind` names the registry in errors.

    Raises:
        ConfigError: there is no such name.
    """
    if name not in registry:
        near = difflib.get_close_matches(name, registry, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(sorted(registry))}"
        raise ConfigError(f"config.yaml: no {kind} is called {name!r}; {hint}")
    module, _, attribute = registry[name].partition(":")
    return getattr(import_module(module), attribute)
