"""Text-to-image models."""

from fit.registry import find

REGISTRY = {"diffusers": "fit.generated.diffusers:Diffusers"}
"""Name in config.yaml -> class of fit.generated.base.Generator."""


def prepare(backend, **settings):
    """The generator `backend`, its model not loaded yet.

    Raises:
        ConfigError: there is no such backend.
        ModelError: its model is not there.
    """
    return find(REGISTRY, backend, "generator")(**settings)


def load(backend, **settings):
    """The generator `backend`, ready to use.

    Raises:
        ConfigError: there is no such backend.
        ModelError: its model can't be loaded.
    """
    generator = prepare(backend, **settings)
    generator.load()
    return generator
