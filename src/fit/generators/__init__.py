"""Text-to-image models."""

from fit.registry import find

REGISTRY = {"diffusers": "fit.generators.diffusers:Diffusers"}
"""Name in config.yaml -> class of fit.generators.base.Generator."""


def load(backend, **settings):
    """The generator `backend`, ready to use.

    Raises:
        ConfigError: there is no such backend.
        ModelError: its model can't be loaded.
    """
    return find(REGISTRY, backend, "generator")(**settings)
