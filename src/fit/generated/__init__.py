"""Text-to-image models, and the pictures that they generate."""

from typing import TYPE_CHECKING

from fit.registry import find

if TYPE_CHECKING:
    from fit.generated.base import Generator
    from fit.generated.settings import ChangeSettings, PipelineSettings

REGISTRY = {"diffusers": "fit.generated.diffusers:Diffusers"}
"""Name in config.yaml -> class of fit.generated.base.Generator."""
ENTRY_POINTS = "fit.generators"
"""Group of entry points by which other packages bring generators."""
VERSIONS = {"generate_images": 4, "import_generated": 4, "draw_generated": 2}
"""Stage -> number that goes up when its results change, so that its jobs run again."""


def prepare(settings: "PipelineSettings", changes: "ChangeSettings | None" = None) -> "Generator":
    """Return the generator that `settings` name; its model is not loaded yet.

    Args:
        settings: what to load.
        changes: of its pipeline; None for none. What they say of prompts is not applied here (fit.generated.rewriting).

    Raises:
        ConfigError: there is no such backend, or it cannot be changed so.
        ModelError: its model is not there.
    """
    from fit.generated.base import Generator

    generator = find(REGISTRY, settings.backend, "generator", ENTRY_POINTS, Generator.__abstractmethods__)(settings)
    if changes is not None and changes.is_of_pipeline:
        generator.change(changes)
    return generator


def load(settings: "PipelineSettings", changes: "ChangeSettings | None" = None) -> "Generator":
    """Return the generator that `settings` name, with the changes of its pipeline, ready to use.

    Raises:
        ConfigError: there is no such backend.
        ModelError: its model can't be loaded.
    """
    generator = prepare(settings, changes)
    generator.load()
    return generator
