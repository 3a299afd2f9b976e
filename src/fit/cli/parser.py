"""How the command line answers: versions, commands that are misspelt, and what stops a command, in words."""

import argparse
import difflib
import math
import os
import select
import sys
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from fit.errors import FitError, forget_said
from fit.io.files import is_disk_full
from fit.io.folders import printable

STOPPED, CLOSED_PIPE = 130, 141
"""Exit statuses of a command that Ctrl-C stopped, and of one whose reader has gone, as shells give them."""
UNREADABLE = {
    "pyarrow.lib": "ArrowException",
    "polars.exceptions": "PolarsError",
    "yaml.error": "YAMLError",
    "_csv": "Error",
    "tarfile": "TarError",
}
"""Module -> base class of what it raises on a file that is not what it is taken for; none of them is imported here."""


class Version(argparse.Action):
    """Prints the version of the package, which is looked up only then."""

    def __init__(self, option_strings, dest, help=None):
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, help=help)

    def __call__(self, parser, namespace, values, option_string=None):
        """Print it and exit."""
        from importlib.metadata import version

        print(f"fit {version('fit')}")
        parser.exit()


class Parser(argparse.ArgumentParser):
    """A parser that suggests a command, or an option, for one that is not known."""

    def _check_value(self, action, value):
        if action.choices is not None and value not in action.choices and isinstance(value, str):
            names = [str(choice) for choice in action.choices]
            close = difflib.get_close_matches(value, names, n=1)
            hint = f"did you mean {close[0]!r}? There are" if close else "there are"
            kind = "command" if isinstance(action, argparse._SubParsersAction) else "choice"
            where = "" if kind == "command" else f"{'/'.join(action.option_strings)}: "
            self.error(f"{where}{kind} {value!r} is not known; {hint}: {', '.join(names)}")
        super()._check_value(action, value)

    def error(self, message):
        """As argparse does it; an option that is not known gets a suggestion."""
        unknown = message.removeprefix("unrecognized arguments: ").split()
        if message.startswith("unrecognized") and unknown and unknown[0].startswith("--"):
            known = [flag for action in self._actions for flag in action.option_strings]
            close = difflib.get_close_matches(unknown[0].partition("=")[0], known, n=1)
            message += f"; did you mean {close[0]}?" if close else ""
        super().error(message)

    def parse_known_args(self, args=None, namespace=None):
        """As argparse does it; what is left over is an error of the command, which knows its options."""
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
    """Other texts that are allowed: of a number, or "auto", which stands for None."""

    def __call__(self, text):
        """The number that `text` is.

        Raises:
            argparse.ArgumentTypeError: it is none, or not within the bounds; the message says them.
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

    def __str__(self):
        """The bounds in words."""
        low = "" if math.isinf(self.low) else f"{'above' if self.beyond else 'of at least'} {self.low:,}"
        high = "" if math.isinf(self.high) else f"at most {self.high:,}"
        within = " and ".join(filter(None, (low, high))) or "that is finite"
        of_kind = "a whole number" if self.kind is int else "a number"
        return f"{of_kind} {within}" + "".join(f", or {text}" for text in self.also)


class OptionalPath(argparse.Action):
    """The action of an option that names a file, or nothing: `--images` alone is as if it were left out.

    A rule writes an input that is not always there as `--images {input.images:q}`.
    """

    def __init__(self, option_strings: list[str], dest: str, **options: Any):
        super().__init__(option_strings, dest, nargs="*", **{"default": None} | options)

    def __call__(self, parser, namespace, values, option_string=None):
        if len(values) > 1:
            parser.error(f"argument {option_string}: takes one file, not {len(values)}")
        setattr(namespace, self.dest, values[0] if values else None)


def same_length(args, *names):
    """Check that lists of the command line go together, item by item.

    Raises:
        FitError: they are of different lengths; the message names both options.
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


def guarded(function, args):
    """Run `function(args)` and return the exit status. What a user can fix is said in a line, without a traceback."""
    if isinstance(sys.stdout, TextIOWrapper):  # a name that the terminal can't show is shown with \\x and \\u
        sys.stdout.reconfigure(errors="backslashreplace")
    forget_said()
    try:
        status = function(args) or 0
        sys.stdout.flush()
        return status
    except FitError as error:
        return _say(error)
    except KeyboardInterrupt:
        print("fit: stopped; what was finished is kept", file=sys.stderr)
        return STOPPED
    except UnicodeEncodeError as error:
        return _say(f"{printable(error.object[:300])!r} has bytes that are not UTF-8; rename the file, or fix the text")
    except BrokenPipeError as error:
        if not _is_closed():
            return _say(f"{error}; run it again")
        # Whoever read the output has seen enough (| head).
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED_PIPE
    except OSError as error:
        if is_disk_full(error):
            return _say(_full(error))
        if _is_unreadable(error):
            return _say(_unreadable(error, args))
        # Of the machine, not of the program: a path that is missing or may not be read or written, a full disk.
        said = f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)
        return _say(f"{said}; mend the path, or what is in its way")
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


def _full(error):
    place = f"{error.filename}: " if getattr(error, "filename", None) else ""
    return f"{place}no space left on this disk ({error}); free some and run again: what was written before is kept"


def _is_memory(error):
    """Whether `error` is PyTorch's way of saying that memory does not suffice; it is asked only where it is loaded."""
    if "torch" not in sys.modules:
        return False
    from fit.memory import is_out_of_memory

    return is_out_of_memory(error)


def _no_memory(error):
    detail = f" ({str(error).partition(chr(10))[0]})" if str(error) else ""
    return f"not enough memory{detail}; give a smaller --batch-size where there is one, or free some memory"


def _say(message):
    print(f"fit: {message}", file=sys.stderr)
    return 1


def _is_closed():
    """Whether nobody reads the output any more: a pipe may also break within a command, which is an error."""
    try:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)
        return bool(poll.poll(0))
    except (OSError, ValueError):
        return False


def _is_unreadable(error):
    """Whether `error` says that a file is not what it was taken for."""
    if isinstance(error, UnicodeDecodeError):
        return True
    return any(UNREADABLE.get(kind.__module__) == kind.__name__ for kind in type(error).__mro__)


def _unreadable(error, args):
    """Words for a file that can't be read: libraries do not say which, so those that were given are named."""
    values = [value for name, value in vars(args).items() if name != "function"]
    names = [item for value in values for item in (value if isinstance(value, list) else [value])]
    there = [name for name in dict.fromkeys(names) if isinstance(name, str) and name and Path(name).exists()]
    named = ", ".join(there[:5]) + (f" and {len(there) - 5} more" if len(there) > 5 else "") or "a file"
    first = str(error).strip().partition("\n")[0]
    one = "this is not what the command reads" if len(there) == 1 else "one of these is not what the command reads"
    return f"{named}: {one} ({first}); see its --help for the kind and columns of each file"
