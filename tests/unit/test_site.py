"""The documents as a site: it builds with every warning an error, its links hold, and it asks no other machine."""

import argparse
import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import built_site
import pytest
from markdown_it import MarkdownIt

from fit.cli.main import COMMANDS, make_parser
from fit.explorer.words import GLOSSARY

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
SITE = ROOT / "docs/site"
COUNTED = ("li", "ol", "ul", "tr", "pre", "h1", "h2", "h3")
LOADING = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "link": "href"}
"""Element -> the attribute by which a page loads something as it opens."""


class Reader(HTMLParser):
    """What a page links to, loads and holds."""

    def __init__(self, text):
        super().__init__()
        self.links, self.loads, self.ids, self.words = [], [], set(), []
        self.counts = dict.fromkeys(COUNTED, 0)
        self.inside = ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        of = dict(attributes)
        self.inside = tag
        self.ids |= {of[key] for key in ("id", "name") if of.get(key)}
        if tag == "a" and of.get("href"):
            self.links.append(of["href"])
        if of.get(LOADING.get(tag, "")) and of.get("rel") != "canonical":
            self.loads.append(of[LOADING[tag]])
        if tag in self.counts:
            self.counts[tag] += 1

    def handle_data(self, data):
        if self.inside not in ("script", "style"):
            self.words.append(data)

    @property
    def text(self):
        """The words of the page, as a reader sees them."""
        return " ".join("".join(self.words).split())


def read(path):
    """Return what a page of the site holds."""
    return Reader(path.read_text(encoding="utf-8"))


def article(path):
    """Return what the article of a page holds, without what the site has around it."""
    return Reader(re.search(r"<article.*?</article>", path.read_text(encoding="utf-8"), re.S)[0])


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the built site; pages' sources are in .site beside it."""
    return built_site.build(tmp_path_factory.mktemp("documents"))


@pytest.fixture(scope="module")
def prepare():
    """The module that writes the pages."""
    sys.path.insert(0, str(SITE))
    try:
        import prepare
    finally:
        sys.path.remove(str(SITE))
    return prepare


def parsers(words, parser):
    """Yield (words, parser) of each command below `parser`."""
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not groups:
        yield words, parser
    for group in groups:
        for word, below in group.choices.items():
            yield from parsers(f"{words} {word}", below)


# --- the built site ---------------------------------------------------------------------------------------------------


def test_a_link_leads_to_a_page_and_a_heading_that_exist(site):
    pages = {path: read(path) for path in site.rglob("*.html")}
    wrong, followed = [], 0
    for path, page in pages.items():
        if path.name == "404.html":  # its links begin at the root of a server
            continue
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme:
                continue
            to = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            to = to / "index.html" if to.is_dir() else to
            followed += 1
            if not to.is_file() or (parts.fragment and unquote(parts.fragment) not in pages[to].ids):
                wrong.append(f"{path.relative_to(site)}: {link}")
    assert followed > 1000
    assert not wrong


def test_no_page_and_no_style_loads_anything_from_another_machine(site):
    loaded = [(path, address) for path in site.rglob("*.html") for address in read(path).loads]
    styles = [(path, path.read_text(encoding="utf-8")) for path in site.rglob("*.css")]
    styled = [
        (path, found) for path, text in styles for found in re.findall(r"(?:url\(|@import )[\"']?([^\"')]+)", text)
    ]
    assert len(loaded) > 100 and styles
    outside = [(str(path), to) for path, to in loaded + styled if re.match(r"(?!data:)[a-z]+:|//", to)]
    assert not outside


def test_every_command_and_every_argument_has_an_entry(site):
    listed = read(site / "reference/commands.html").text
    for name in COMMANDS:
        page = read(site / f"reference/commands/{name}.html")
        whole = next(a for a in make_parser(name)._actions if isinstance(a, argparse._SubParsersAction))
        for words, parser in parsers(f"fit {name}", whole.choices[name]):
            assert f"{words} " in listed + " "
            assert words in page.text
            for action in parser._actions:
                for flag in action.option_strings or action.choices or [action.metavar or action.dest.upper()]:
                    assert flag in ("-h", "--help") or str(flag) in page.text, (words, flag)


def test_every_key_of_a_configuration_has_an_entry_with_its_meaning(site):
    text = (site / "reference/settings.html").read_text(encoding="utf-8")
    schema = json.loads((ROOT / "config.schema.json").read_text(encoding="utf-8"))
    tables = [Reader(table).text for table in re.findall(r"<table>.*?</table>", text, re.S)]
    for its in (schema, *schema["$defs"].values()):
        entries = [
            (key, " ".join(value["description"].replace("`", "").split())) for key, value in its["properties"].items()
        ]
        assert any(all(key in table and words in table for key, words in entries) for table in tables), its["title"]


def test_the_glossary_is_that_of_the_explorer(site):
    text = read(site / "glossary.html").text
    assert [term.term for term in GLOSSARY if term.words not in text] == []


def test_the_python_page_shows_signatures_and_descriptions(site):
    text = read(site / "reference/python.html").text
    assert "resamples" in text and "Returns:" in text and "FitError" in text


def test_the_figures_of_the_method_are_drawn(site):
    page = (site / "method.html").read_text(encoding="utf-8")
    assert page.count("<figure") == page.count("<svg role") == 4
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_a_page_has_the_lists_tables_and_headings_of_the_same_page_in_the_repository(site):
    markdown, differing, compared = MarkdownIt("commonmark").enable("table"), {}, 0
    for source in sorted((site.parent / ".site").rglob("*.md")):
        page = source.relative_to(site.parent / ".site").with_suffix(".html")
        if page.parts[0] != "reference":  # written for the site alone
            as_repository = Reader(markdown.render(source.read_text(encoding="utf-8"))).counts
            as_site, compared = article(site / page).counts, compared + 1
            differing |= {(str(page), key): (n, as_site[key]) for key, n in as_repository.items() if n != as_site[key]}
    assert compared > 20
    assert differing == {}


# --- pages as they are written ----------------------------------------------------------------------------------------


def test_a_link_to_a_file_of_the_repository_leads_to_its_text(prepare):
    text, linked = prepare.on_site("See [it](../config.yaml), [that](counts.md#the-interval).", "docs/atelier.md")
    assert text == "See [it](repository/config.yaml.html), [that](counts.md#the-interval)."
    assert linked == {"config.yaml", "docs/counts.md"}


def test_a_link_of_a_page_outside_docs_leads_to_the_page_of_the_site(prepare):
    text, linked = prepare.on_site("[a](docs/audit.md#how-likely), [b](CONTRIBUTING.md), [c](#here)", "README.md")
    assert text == "[a](../audit.md#how-likely), [b](contributing.md), [c](#here)"
    assert linked == {"docs/audit.md", "CONTRIBUTING.md"}


def test_brackets_in_code_and_addresses_are_not_links_of_the_repository(prepare):
    page = "`[a](b.md)` ``[`a`](b.md)``\n\n```\n[a](b.md)\n```\n\n[c](https://example.org/d.md)\n"
    assert prepare.on_site(page, "docs/atelier.md") == (page, set())


def test_an_item_in_an_item_is_indented_as_the_builder_needs_it(prepare):
    text, _ = prepare.on_site("- a\n  - b\n\n  | c | d |\n  continued\n", "docs/atelier.md")
    assert text == "- a\n    - b\n\n    | c | d |\n  continued\n"


def test_a_page_that_links_to_nothing_is_an_error(prepare, tmp_path, monkeypatch):
    monkeypatch.setattr(prepare, "pages", lambda: iter([("docs/a.md", "[b](../no-such-file.py)")]))
    with pytest.raises(SystemExit, match=r"docs/a\.md links to no-such-file\.py"):
        prepare.write_pages(tmp_path)


def test_a_comment_that_nothing_fills_is_an_error(prepare):
    assert "imitation threshold" in prepare.filled("<!-- site: glossary -->").lower()
    with pytest.raises(KeyError):
        prepare.filled("<!-- site: glosary -->")


def test_the_navigation_has_a_page_for_each_command(prepare):
    text = prepare.configuration()
    assert [name for name in COMMANDS if f"          - fit {name}: reference/commands/{name}.md\n" not in text] == []
    assert "nav:" in text and "markdown_extensions:" in text


def test_text_with_marks_of_markdown_is_shown_as_it_is(prepare):
    from reference_commands import as_text

    given = "a|b *c* [d](e) <f> `g` {h} _i_ \\"
    shown = Reader(MarkdownIt("commonmark").enable("table").render(f"| x |\n| --- |\n| {as_text(given)} |\n"))
    assert given in shown.text
