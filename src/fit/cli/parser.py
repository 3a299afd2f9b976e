"""How the command line answers: its version, suggestions for misspelt words, and a line about what stops a command."""

import argparse
import difflib
import math
import os
import re
import select
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import Any, NoReturn

from fit.errors import FitError, forget_said, missing_extra
from fit.io.files import is_disk_full
from fit.io.folders import printable

STOPPED, CLOSED_PIPE = 130, 141
"""Exit statuses, as shells give them: Ctrl-C stopped the command; nobody reads its output any more."""
UNREADABLE = {
    "pyarrow.lib": "ArrowException",
    "polars.exceptions": "PolarsError",
    "yaml.error": "YAMLError",
    "_csv": "Error",
    "tarfile": "TarError",
}
"""Module -> base class of the errors that it raises on a file of the wrong kind; none of them is imported here."""


class Version(argparse.Action):
    """The action of an option that prints the version of the package, which is looked up only then."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str | None = None):
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, help=help)

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: Namespace, values: Any, option_string: str | None = None
    ) -> None:
        """Print it and exit."""
        from importlib.metadata import version

        print(f"fit {version('fit')}")
        parser.exit()


class Parser(argparse.ArgumentParser):
    """A parser that suggests a command, or an option, for one that is not known."""

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices and isinstance(value, str):
            names = [str(choice) for choice in action.choices]
            close = difflib.get_close_matches(value, names, n=1)
            hint = f"did you mean {close[0]!r}? There are" if close else "there are"
            kind = "command" if isinstance(action, argparse._SubParsersAction) else "choice"
            where = "" if kind == "command" else f"{'/'.join(action.option_strings)}: "
            self.error(f"{where}{kind} {value!r} is not known; {hint}: {', '.join(names)}")
        super()._check_value(action, value)

    def error(self, message: str) -> NoReturn:
        """End the process, as argparse does; suggest an option for one that is not known."""
        unknown = message.removeprefix("unrecognized arguments: ").split()
        if message.startswith("unrecognized") and unknown and unknown[0].startswith("--"):
            known = [flag for action in self._actions for flag in action.option_strings]
            close = difflib.get_close_matches(unknown[0].partition("=")[0], known, n=1)
            message += f"; did you mean {close[0]}?" if close else ""
        super().error(message)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """Parse as argparse does; words that are left over are an error of the command, which knows its options."""
        found, rest = super().parse_known_args(args, namespace)
        if rest:
            self.error(f"unrecognized arguments: {' '.join(rest)}")
        return found, rest


@dataclass(frozen=True)
class Number:
    """The type of an option that is a number within bounds: a function of its text."""

    kind: type
    """int or float."""
    low: float
    high: float
    beyond: bool = False
    """Whether it has to be more than `low`."""
    also: tuple[str, ...] = ()
    """Other texts that are allowed: of a number, or "auto", which means None."""

    def __call__(self, text: str) -> Any:
        """Return the number that `text` is.

        Raises:
            argparse.ArgumentTypeError: it is not a number, or not within the bounds; the message says them.
        """
        if text in self.also:
            return None if text == "auto" else self.kind(text)
        try:
            value = self.kind(text)
        except ValueError:
            value = math.nan
        inside = self.low < value <= self.high if self.beyond else self.low <= value <= self.high
        if not inside or math.isinf(value):
            raise argparse.ArgumentTypeError(f"{text!r} is not {self}")
        return value

    def __str__(self) -> str:
        """Return the bounds in words."""
        low = "" if math.isinf(self.low) else f"{'above' if self.beyond else 'of at least'} {self.low:,}"
        high = "" if math.isinf(self.high) else f"at most {self.high:,}"
        within = " and ".join(filter(None, (low, high))) or "that is finite"
        of_kind = "a whole number" if self.kind is int else "a number"
        return f"{of_kind} {within}" + "".join(f", or {text}" for text in self.also)


SEED = Number(int, 0, 2**63 - 1)
THREADS = Number(int, 1, 4096, also=("0",))


class Slugs(argparse.Action):
    """The action of an option that names concepts: each a slug, each once. Slugs become names of files."""

    def __init__(self, option_strings: list[str], dest: str, **options: Any):
        super().__init__(option_strings, dest, nargs="+", **{"metavar": "SLUG"} | options)

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        for slug in values:
            if not re.fullmatch("[a-z0-9][a-z0-9-]*", slug):
                parser.error(f"argument {option}: {slug!r} is not a slug; use only a-z, 0-9 and -, and no - first")
            if values.count(slug) > 1:
                parser.error(f"argument {option}: {slug!r} is given {values.count(slug)} times; give each concept once")
        setattr(namespace, self.dest, values)


class OptionalPath(argparse.Action):
    """The action of an option that names a file, or nothing: `--images` alone is the same as leaving it out.

    A rule writes an input that does not always exist as `--images {input.images:q}`.
    """

    def __init__(self, option_strings: Sequence[str], dest: str, **options: Any):
        super().__init__(option_strings, dest, nargs="*", **{"default": None, "metavar": "FILE"} | options)

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: Namespace, values: Any, option_string: str | None = None
    ) -> None:
        """Keep the one file that is named, or None."""
        if len(values) > 1:
            parser.error(f"argument {option_string}: takes one file, not {len(values)}")
        setattr(namespace, self.dest, values[0] if values else None)


def same_length(args: Namespace, *names: str) -> None:
    """Check that lists of the command line have the same length.

    Raises:
        FitError: they do not; the message names both options.
    """
    lengths = {name: len(getattr(args, name)) for name in names}
    first = names[0]
    for name, length in lengths.items():
        if length != lengths[first]:
            flags = (f"--{other.replace('_', '-')}" for other in (first, name))
            raise FitError(
                "{} has {} items and {} has {}; give as many of each, in the same order".format(
                    *(part for pair in zip(flags, (lengths[first], length), strict=True) for part in pair)
                )
            )


def guarded(function: Callable[[Namespace], int | None], args: Namespace) -> int:
    """Run `function(args)` and return the exit status; print what a user can fix in a line, without a traceback."""
    if isinstance(sys.stdout, TextIOWrapper):  # a name that the terminal can't show is shown with \\x and \\u
        sys.stdout.reconfigure(errors="backslashreplace")
    forget_said()
    try:
        status = function(args) or 0
        sys.stdout.flush()
        return status
    except FitError as error:
        return _say(error)
    except ImportError as error:
        lacking = missing_extra(error)
        if lacking is None:
            raise
        return _say(lacking)
    except KeyboardInterrupt:
        print("fit: stopped; what was finished is kept", file=sys.stderr)
        return STOPPED
    except UnicodeEncodeError as error:
        return _say(f"{printable(error.object[:300])!r} has bytes that are not UTF-8; rename the file, or fix the text")
    except BrokenPipeError as error:
        if not _is_closed():
            return _say(f"{error}; run it again")
        # The reader of the output has seen enough (| head).
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED_PIPE
    except OSError as error:
        if is_disk_full(error):
            return _say(_full(error))
        if _is_unreadable(error):
            return _say(_unreadable(error, args))
        # An error of the machine, not of the program: a path is missing, or may not be read or written.
        said = f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)
        return _say(f"{said}; check that the path exists and can be read and written")
    except MemoryError as error:
        return _say(_no_memory(error))
    except Exception as error:
        if is_disk_full(error):
            return _say(_full(error))
        if _is_memory(error):
            return _say(_no_memory(error))
        if not _is_unreadable(error):
            raise
        return _say(_unreadable(error, args))


def _full(error: Exception) -> str:
    name = getattr(error, "filename", None)
    place = f"{name}: " if name else ""
    return f"{place}no space left on this disk ({error}); free some and run again: what was written before is kept"


def _is_memory(error: Exception) -> bool:
    """Whether `error` is how PyTorch says that memory does not suffice; PyTorch is asked only if it is loaded."""
    if "torch" not in sys.modules:
        return False
    from fit.memory import is_out_of_memory

    return is_out_of_memory(error)


def _no_memory(error: BaseException) -> str:
    detail = f" ({str(error).partition(chr(10))[0]})" if str(error) else ""
    return f"not enough memory{detail}; give a smaller --batch-size if the command has one, or free some memory"


def _say(message: object) -> int:
    print(f"fit: {message}", file=sys.stderr)
    return 1


def _is_closed() -> bool:
    """Whether nobody reads the output any more. (A pipe that breaks within a command is an error.)"""
    try:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)
        return bool(poll.poll(0))
    except (OSError, ValueError):
        return False


def _is_unreadable(error: BaseException) -> bool:
    """Whether `error` says that a file is not of the kind that the command reads."""
    if isinstance(error, UnicodeDecodeError):
        return True
    return any(UNREADABLE.get(kind.__module__) == kind.__name__ for kind in type(error).__mro__)


def _unreadable(error: BaseException, args: Namespace) -> str:
    """Say that a file can't be read. Libraries do not say which, so the message names the files that were given."""
    values = [value for name, value in vars(args).items() if name != "function"]
    names = [item for value in values for item in (value if isinstance(value, list) else [value])]
    there = [name for name in dict.fromkeys(names) if isinstance(name, str) and name and Path(name).exists()]
    named = ", ".join(there[:5]) + (f" and {len(there) - 5} more" if len(there) > 5 else "") or "a file"
    first = str(error).strip().partition("\n")[0]
    one = "this is not what the command reads" if len(there) == 1 else "one of these is not what the command reads"
    return f"{named}: {one} ({first}); see its --help for the kind and columns of each file"
