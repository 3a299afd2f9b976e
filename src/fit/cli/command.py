"""What a command of the command line is."""

from argparse import Namespace
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """A command: its arguments, and the function that carries it out."""

    name: str
    help: str
    add_arguments: Callable[[Callable[..., None]], None]
    run: Callable[[Namespace], int | None]
    writes: tuple[str, ...] = ("out", "figure", "work")
    """Arguments that name what it writes."""
    written: Callable[[Namespace], dict[str, list[str]]] | None = None
    """Further paths that it writes, by the argument that they come from."""
    prints: bool = False
    """Whether it prints a table or a result (fit.cli.output.show), so that it has the option --json."""
    adds_to: bool = False
    """Whether it adds to a file that exists, so that this is no mistake."""
