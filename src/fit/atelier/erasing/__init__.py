"""Erases concepts from a text-to-image pipeline by training one of its components.

Each method is a class in a file of its own, and a line in REGISTRY.
"""

from typing import TYPE_CHECKING

from fit.registry import find

if TYPE_CHECKING:
    from fit.atelier.erasing.base import Method

REGISTRY = {
    "esd": "fit.atelier.erasing.esd:Esd",
    "advunlearn": "fit.atelier.erasing.advunlearn:AdvUnlearn",
    "domain_correction": "fit.atelier.erasing.domain_correction:DomainCorrection",
    "control": "fit.atelier.erasing.control:Control",
    "control_text": "fit.atelier.erasing.control:ControlText",
}
"""Name of a method in config.yaml -> its class."""

COMPONENTS = {
    "esd": "unet",
    "advunlearn": "text_encoder",
    "domain_correction": "unet",
    "control": "unet",
    "control_text": "text_encoder",
}
"""Name of a method -> the component that it trains; here, so that a configuration is read without torch."""


def load(name: str) -> "type[Method]":
    """Return the method that is called `name`.

    Raises:
        ConfigError: there is no such method.
    """
    return find(REGISTRY, name, "method of erasing")
