"""Settings of how images are fetched and decoded."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Gt, Le

from fit.settings import RESOURCE, STRICT, settings_of


@dataclass(frozen=True, kw_only=True)
class FetchSettings:
    """How links are fetched."""

    __pydantic_config__: ClassVar[Any] = STRICT

    connections: Annotated[int, Ge(1), Le(10_000), RESOURCE] = 64
    """Requests at once, in all."""
    connections_per_host: Annotated[int, Ge(1), Le(1000), RESOURCE] = 4
    """Requests at once to one host name, whatever its port and scheme."""
    connect_timeout_s: Annotated[float, Gt(0), Le(86_400), RESOURCE] = 10.0
    """Seconds for looking a name up and connecting (TCP and TLS together)."""
    total_timeout_s: Annotated[float, Gt(0), Le(86_400), RESOURCE] = 60.0
    """Seconds for one attempt, its redirects and body included; waiting for a turn does not count."""
    max_bytes: Annotated[int, Ge(1), Le(2**40)] = 25_000_000
    """Largest body, in bytes, both as sent and decoded."""
    retries: Annotated[int, Ge(0), Le(100), RESOURCE] = 2
    """Further attempts after a failure that may be temporary."""
    honour_opt_out: bool = True
    """Leave out images whose X-Robots-Tag says noai or noimageai."""
    allow_loopback: bool = False
    """Let links lead to this machine itself, for tests. Other private addresses are never open."""


@dataclass(frozen=True, kw_only=True)
class DecodeSettings:
    """Which pictures are decoded, and what decoding one may take."""

    __pydantic_config__: ClassVar[Any] = STRICT

    max_pixels: Annotated[int, Ge(1), Le(2**40)] = 100_000_000
    """Largest picture, width times height."""
    min_side: Annotated[int, Ge(1), Le(1_000_000)] = 1
    """Shortest side of a picture, in pixels; smaller ones are left out."""
    decode_timeout_s: Annotated[float, Gt(0), Le(86_400), RESOURCE] = 20.0
    """Seconds of processor time that a picture may take to decode."""


def of_results(settings: FetchSettings | DecodeSettings) -> dict[str, int | float | bool]:
    """Return the settings that decide which images there are, by name.

    The others are resources (timeouts, connections, retries): they decide only how images are brought, and what was
    brought under other ones is kept.
    """
    of_class: type = type(settings)
    return {field.name: getattr(settings, field.name) for field in settings_of(of_class) if not field.is_resource}
