"""Writes what the site is built from: its pages into .site/, and mkdocs.yml with the commands' pages into .site.yml.

The builder (`make site`) then only lays them out. In a page of the repository, docs/atelier.md may link to
../config.yaml; here such a file is shown as a page of its text, and the link leads there. A comment
`<!-- site: NAME -->` in a page is replaced by what NAME makes from the code.
"""

import argparse
import posixpath
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from method_figures import FIGURES
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import TextLexer, get_lexer_for_filename
from pygments.util import ClassNotFound
from reference_commands import command_list, command_page
from reference_python import python_interface
from reference_settings import settings_reference

from fit.cli.main import COMMANDS
from fit.explorer.words import GLOSSARY

ROOT = Path(__file__).parents[2]
PROJECT = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
"""Pages outside docs/."""
ASSETS = ("style.css", "page.js", "iframe-worker.js")
LINK = re.compile(r"(\]\()([^)\s#:]+)((?:#[^)\s]*)?\))")
"""A link to a file of the repository: what is before its path, the path, and the heading after it."""
NESTED = re.compile(r"^ {2,3}(?=([-*]|\d+[.]) |\|)", re.M)
"""The indent of an item or a table in an item of a list; the builder's Markdown needs four spaces."""
CODE = re.compile(r"^( *)(```+).*?^\1\2 *$|(`+)(?!`).*?(?<!`)\3(?!`)", re.S | re.M)
"""A block or words of code, whose brackets are not links."""


def glossary() -> str:
    """The glossary, which the explorer and the datasheet show too, a heading for each word."""
    return "\n".join(f"## {term.term.capitalize()}\n\n{term.words}\n" for term in GLOSSARY)


def _linked(text: str) -> str:
    """Return a text in which names of pages of `docs` are links to them."""
    return re.sub(r"docs/([a-z]+\.md)", r"[\1](\1)", text)


def meaning() -> str:
    """What a threshold means for its readers, as reports and pages say it."""
    from fit.thresholds.meaning import READERS

    return "".join(f"- **{who}.** {_linked(words)}\n" for who, words in READERS)


def unsupported() -> str:
    """Uses that no threshold supports, as reports and pages say it."""
    from fit.thresholds.meaning import UNSUPPORTED

    return "".join(f"- {_linked(text)}\n" for text in UNSUPPORTED)


MAKERS: dict[str, Callable[[], str]] = {
    "commands": command_list,
    "settings": settings_reference,
    "python": python_interface,
    "glossary": glossary,
    "meaning": meaning,
    "unsupported": unsupported,
    **FIGURES,
}
"""Name in `<!-- site: NAME -->` -> what makes the Markdown that takes its place."""


def place_of(path: str) -> str:
    """Where the site has a file of the repository."""
    if path in PROJECT:
        return f"project/{path.lower()}"
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return f"repository/{path}.html"


def outside_code(text: str, change: Callable[[str], str]) -> str:
    """`text` with what is not code changed."""
    parts, at = [], 0
    for code in CODE.finditer(text):
        parts += [change(text[at : code.start()]), code[0]]
        at = code.end()
    return "".join([*parts, change(text[at:])])


def on_site(text: str, path: str) -> tuple[str, set[str]]:
    """The Markdown of the page `path` as the site has it, and the files of the repository that it links to."""
    linked = set()

    def link(found: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(path), found[2]))
        linked.add(target)
        there = posixpath.relpath(place_of(target), posixpath.dirname(place_of(path)) or ".")
        return f"{found[1]}{there}{found[3]}"

    return outside_code(text, lambda part: NESTED.sub("    ", LINK.sub(link, part))), linked


def shown_file(name: str) -> str:
    """A page of HTML with the text of a file of the repository, its lines numbered."""
    try:
        lexer = get_lexer_for_filename(name)
    except ClassNotFound:
        lexer = TextLexer()
    formatter = HtmlFormatter(full=True, linenos="inline", title=name, nobackground=True)
    return highlight((ROOT / name).read_text(encoding="utf-8"), lexer, formatter)


def filled(text: str) -> str:
    """The Markdown with what comes from the code.

    Raises:
        KeyError: a comment asks for what nothing makes.
    """
    return re.sub(r"^<!-- site: ([\w-]+) -->$", lambda found: MAKERS[found[1]](), text, flags=re.M)


def pages() -> Iterator[tuple[str, str]]:
    """Yield (path in the repository, Markdown) of each page; those of commands are only made."""
    for path in (*sorted((ROOT / "docs").rglob("*.md")), *(ROOT / name for name in PROJECT)):
        yield path.relative_to(ROOT).as_posix(), filled(path.read_text(encoding="utf-8"))
    for name in COMMANDS:
        yield f"docs/reference/commands/{name}.md", command_page(name)


def write_pages(folder: Path) -> None:
    """Write the pages, and what they show and link to, into `folder`.

    Raises:
        SystemExit: a link leads to no file of the repository.
    """
    made = dict(pages())
    wanted: set[str] = set()

    def write(place: str, text: str) -> None:
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    for path, markdown in made.items():
        text, linked = on_site(markdown, path)
        if missing := [target for target in sorted(linked - set(made)) if not (ROOT / target).is_file()]:
            sys.exit(f"{path} links to {', '.join(missing)}, which is not a file of this repository")
        write(place_of(path), text)
        wanted |= linked - set(made)
    for target in sorted(wanted):
        if target.startswith("docs/"):
            place = folder / place_of(target)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / target, place)
        else:
            write(place_of(target), shown_file(target))
    for name in ASSETS:
        write(f"site/{name}", (ROOT / "docs/site" / name).read_text(encoding="utf-8"))


def configuration() -> str:
    """The configuration of the builder: mkdocs.yml with a page for each command.

    Raises:
        ValueError: mkdocs.yml has no line with the page of all commands.
    """
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    line = re.search(r"^( *)- Commands: (\S+).*\n", text, flags=re.M)
    if not line:
        raise ValueError("mkdocs.yml: no line `- Commands: PAGE` in the navigation")
    indent = line[1]
    entries = [f"{indent}    - All commands: {line[2]}"]
    entries += [f"{indent}    - fit {name}: reference/commands/{name}.md" for name in COMMANDS]
    return text[: line.start()] + "\n".join([f"{indent}- Commands:", *entries, ""]) + text[line.end() :]


def main() -> None:
    """Write the pages and the configuration into the root of the repository, or the folder that is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", type=Path, default=ROOT, help="folder that gets .site/ and .site.yml")
    into = parser.parse_args().into
    shutil.rmtree(into / ".site", ignore_errors=True)
    write_pages(into / ".site")
    (into / ".site.yml").write_text(configuration(), encoding="utf-8")


if __name__ == "__main__":
    main()
