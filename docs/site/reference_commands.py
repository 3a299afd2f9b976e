"""Pages of the commands, from their parsers."""

import argparse
import html
from collections.abc import Iterator

from fit.cli.main import COMMANDS, make_parser


def as_text(text: str) -> str:
    """A sentence of plain text as Markdown that shows it as it is, also in a cell of a table."""
    text = html.escape(" ".join(text.split()), quote=False)
    for mark in "\\`*_[]{}|":
        text = text.replace(mark, f"&#{ord(mark)};")
    return text


def as_code(text: str) -> str:
    """A word of code, also in a cell of a table."""
    return f"<code>{as_text(text)}</code>"


def as_prose(text: str) -> str:
    """A text of the code as Markdown, also in a cell of a table: what is between backticks is code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return as_text(text)
    return "".join(as_code(part) if at % 2 else _spaced(part) for at, part in enumerate(parts))


def _spaced(part: str) -> str:
    """As `as_text`, with the spaces at the ends of a part of a sentence."""
    before, after = (" " if part[:1].isspace() else ""), (" " if part[-1:].isspace() and part.strip() else "")
    return f"{before}{as_text(part)}{after}"


def as_sentence(text: str) -> str:
    """A line about a command, which has neither a capital nor a full stop, as a sentence."""
    return f"{as_prose(text[:1].upper() + text[1:])}."


def commands_of(name: str) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Yield (words, parser) of each command that a name of fit.cli.main.COMMANDS has."""

    def below(words: str, parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
        groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
        if not groups:
            yield words, parser
        for group in groups:
            for word, its in group.choices.items():
                yield from below(f"{words} {word}", its)

    whole = make_parser(name)
    group = next(action for action in whole._actions if isinstance(action, argparse._SubParsersAction))
    yield from below(f"fit {name}", group.choices[name])


def arguments_of(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """The arguments of a command but --help: those that must be given first."""
    actions = [action for action in parser._actions if not isinstance(action, argparse._HelpAction)]
    return sorted(actions, key=lambda action: (bool(action.option_strings), not action.required))


def value_of(action: argparse.Action) -> str:
    """What a user writes after an option, or for an argument: "FILE", "FILE ...", "{a,b}", or nothing."""
    if action.nargs == 0 or isinstance(action, argparse.BooleanOptionalAction):
        return ""
    shown = action.metavar or (f"{{{','.join(map(str, action.choices))}}}" if action.choices else action.dest.upper())
    if isinstance(shown, tuple):
        return " ".join(shown)
    return f"{shown} ..." if action.nargs in ("*", "+") else str(shown)


def written(action: argparse.Action) -> str:
    """An argument with its value, as in a usage."""
    flags = ", ".join(action.option_strings)
    return " ".join(part for part in (flags, value_of(action)) if part)


def usage_of(words: str, parser: argparse.ArgumentParser) -> str:
    """The command line: what must be given in full, and [options] if there are more."""
    required, optional = [], False
    for action in arguments_of(parser):
        if action.required:
            required.append(" ".join(part for part in (*action.option_strings[-1:], value_of(action)) if part))
        elif action.option_strings:
            optional = True
        else:
            required.append(f"[{value_of(action)}]")
    return " ".join([words, *required, *(["[options]"] if optional else [])])


def _meaning(action: argparse.Action) -> str:
    default = "" if action.default is argparse.SUPPRESS else action.default
    text = (action.help or "").replace("%(default)s", str(default)).replace("%%", "%")
    return as_prose(text)


def command_page(name: str) -> str:
    """The page of a name of COMMANDS: each of its commands with a line about it, its usage and its arguments."""
    commands = list(commands_of(name))
    lines = [f"# fit {name}", "", as_sentence(COMMANDS[name]), ""]
    for words, parser in commands:
        if len(commands) > 1:
            lines += [f"## {words}", "", as_sentence(parser.description or ""), ""]
        lines += ["```text", usage_of(words, parser), "```", ""]
        if arguments := arguments_of(parser):
            lines += ["| argument | must be given | meaning |", "| --- | --- | --- |"]
            lines += [
                f"| {as_code(written(action))} | {'yes' if action.required else ''} | {_meaning(action)} |"
                for action in arguments
            ]
            lines += [""]
    return "\n".join(lines)


def command_list() -> str:
    """A table of all commands, each with a link to its place."""
    lines = ["| command | what it does |", "| --- | --- |"]
    for name in COMMANDS:
        for words, parser in commands_of(name):
            place = "" if words == f"fit {name}" else f"#{words.replace(' ', '-')}"
            lines.append(f"| [{as_code(words)}](commands/{name}.md{place}) | {as_prose(parser.description or '')} |")
    return "\n".join(lines)
