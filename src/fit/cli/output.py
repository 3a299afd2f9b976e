"""What a command prints: text for a reader or, with --json, the same numbers for a program."""

from argparse import Namespace
from collections.abc import Callable, Iterable


def show(args: Namespace, text: Callable[[], str | Iterable[str]], data: Callable[[], object]) -> None:
    """Print the result of a command: as text, or as one JSON document where its `--json` is given.

    A command that calls this has `prints=True` (fit.cli.command.Command), which gives it the option. Remarks go to
    stderr either way.

    Args:
        args: of the command.
        text: returns the text, or its lines; called only where it is printed.
        data: returns what fit.io.json_files.as_builtins takes; likewise.
    """
    if args.json:
        from fit.io.json_files import dumps

        print(dumps(data()))
        return
    said = text()
    print(*([said] if isinstance(said, str) else said), sep="\n")


def rows_of(table: object) -> list[dict[str, object]]:
    """Return the rows of an Arrow table, a dict of column -> cell each."""
    return table.to_pylist()  # type: ignore[attr-defined, no-any-return]  # pyarrow is imported by who made the table
