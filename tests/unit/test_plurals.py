"""One concept, one image, one file: what is said of one is in the singular."""

import ast
import html
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from datasheet_study import make_concept, make_part, make_study, write_study

import fit
from fit.cli.main import main
from fit.explorer.page import noun, number
from fit.io.shown import as_images, noun_of, number_of

NOUNS = (
    "answers|bytes|captions|cells|changes|columns|concepts|corpora|days|faces|families|files|folders|hours|images|"
    "inputs|jobs|lines|mentions|minutes|pairs|permutations|pictures|prompts|raters|references|resamples|rows|seconds|"
    "stages|tables|targets|thresholds|warnings"
)
KINDS = "caption|different|downloaded|failed|generated|matched|more|other|such|training|usable"
PLURAL = rf" (?:(?:{KINDS}) )*(?:{NOUNS})\b"
OF_ONE = re.compile(rf"(?<![\w.,])(?<!to )(?<!and )1{PLURAL}")
"""What no reader shall see: "1 images". "0 to 1 images" is right."""
SOURCES = Path(fit.__file__).parents[1]
SEVERAL = {
    "', '.join(PICTURES[:4])": "no number",
    "WITHIN": "a constant",
    "WITHIN - 1": "the same",
    "LINES": "a constant",
    "PUBLISHED": "a constant",
    "times": "that something is there twice",
    "times.max()": "the same",
    "tie": "of concepts that have the same count",
    "of.prompts": "of 1 there is another text",
    "number": "the same; and a number of concepts that `fit plan` tries",
    "number['parts']": "the parts of the paper",
    "downloaded": "more than matches, or than unique pictures",
    "size": "bytes, more than a limit",
    "here": "the same",
    "seconds / 60": "from 90 seconds on",
}
"""Expressions before a noun in the plural that are never 1, and why."""


def numbers_before_plurals(code):
    """Return (line, expression) of each number in an f-string that stands before a noun in the plural.

    Not of the end of a range ("0 to 1 images") and not of numbers with decimals ("1.0 hours").
    """
    found = []
    for node in ast.walk(ast.parse(code)):
        values = node.values if isinstance(node, ast.JoinedStr) else []
        for before, value, after in zip([None, *values], values, values[1:], strict=False):
            if not isinstance(value, ast.FormattedValue) or not isinstance(after, ast.Constant):
                continue
            text = before.value if isinstance(before, ast.Constant) else ""
            has_decimals = value.format_spec is not None and ".1f" in ast.unparse(value.format_spec)
            if re.match(PLURAL, after.value) and not re.search(r"\b(to|and) $", text) and not has_decimals:
                found.append((node.lineno, ast.unparse(value.value)))
    return found


def test_no_text_of_the_code_has_a_number_before_a_plural():
    found = [
        f"{path.relative_to(SOURCES)}, line {line}: {expression}"
        for path in sorted(SOURCES.rglob("*.py"))
        for line, expression in numbers_before_plurals(path.read_text(encoding="utf-8"))
        if expression not in SEVERAL and not (path.name == "folders.py" and expression == "least")
    ]
    assert found == []


def test_the_search_for_plurals_finds_them():
    assert numbers_before_plurals('f"{n} images"') == [(1, "n")]
    assert numbers_before_plurals('f"at {n:,.0f} training images"') == [(1, "n")]
    assert numbers_before_plurals('f"{low} to {high} images, {hours:.1f} hours, {n} imagesets"') == []
    assert OF_ONE.search("it has 1 more files")
    assert not OF_ONE.search("21 files, 0.1 images, 1 file")


@pytest.mark.parametrize(
    ("value", "noun_", "said"),
    [
        (1, "concept", "1 concept"),
        (0, "concept", "0 concepts"),
        (1200, "person", "1,200 people"),
        (0.7, "image", "1 image"),
        (1.5, "family", "2 families"),
    ],
)
def test_a_noun_goes_with_its_number(value, noun_, said):
    assert number_of(value, noun_) == said
    assert said.endswith(noun_of(value, noun_))


def test_a_threshold_has_no_commas_as_its_interval_has_none():
    assert [as_images(value) for value in (0.2, 1, 12000.4)] == ["0 images", "1 image", "12000 images"]
    assert number_of(2, "image", "matches") == "2 images match"


def test_the_page_shows_a_decimal_and_then_several():
    shown = [f"{number(value)} {noun(value, 'image')}" for value in (1.0, 1.3, 0.0, 12.0)]
    assert shown == ["1 image", "1.3 images", "0 images", "12 images"]


def write_table(path, rows):
    lines = [f"c{at},{count},{score}" for at, (count, score) in enumerate(rows)]
    path.write_text("\n".join(["concept,effective_count,score", *lines]))
    return path


@pytest.mark.slow
def test_what_is_said_of_a_threshold_of_one_image(tmp_path, capsys):
    noise = np.random.default_rng(0).normal(0, 0.01, 40)
    jump = [(int(at >= 20), (0.1 if at < 20 else 0.6) + noise[at]) for at in range(40)]
    fall = [(count, 1 - score) for count, score in jump]
    for rows in (jump, fall, jump[:1], jump[20:], [(1, 0.5)]):
        table = write_table(tmp_path / "t.csv", rows)
        resamples = "200" if rows is jump else "1"
        main(["thresholds", "detect", str(table), "--resamples", resamples, "--out", str(tmp_path / "t.json")])
        main(["audit", "--counts", str(table), "--threshold", "1"])
        main(["audit", "--counts", str(table), "--threshold", str(tmp_path / "t.json")])
        main(["compare", str(table), str(table), "--resamples", "1"])
        said = capsys.readouterr()
        assert OF_ONE.findall(said.out + said.err) == []
        if rows is jump:
            assert "imitation threshold: 1 image (" in said.out


@pytest.mark.slow
def test_what_a_datasheet_and_a_page_say_of_one_concept_and_one_image(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    one = replace(make_concept(1, 2), count=1.0, count_interval=[1.0, 1.0], captions=1, downloaded=1, matches=1)
    part = make_part(concepts=3)
    estimates = [replace(kind, estimates=[replace(kind.estimates[0], threshold=1.0)]) for kind in part.scores]
    answer = replace(part.answer, threshold=1.0, interval=[1.0, 1.0], sentence="it begins at 1 image", rests_on=[])
    part = replace(part, concepts=[one], answer=answer, scores=estimates)
    path = write_study(make_study(part), tmp_path)
    assert main(["report", str(path), "--html", "a.html"]) == 0
    assert main(["report", str(path), "--concept", one.slug, "--html", "b.html"]) == 0
    assert main(["report", str(path), "--verify"]) == 1
    assert main(["explorer", "build", str(path), "--out", "c.html"]) == 0
    pages = [Path(f"{name}.html").read_text() for name in "abc"]
    pages[2] = pages[2].partition("<script")[0]
    for text in [*pages, capsys.readouterr().out]:
        said = " ".join(html.unescape(re.sub(r"<[^>]*>", " | ", text)).split())
        assert OF_ONE.findall(said) == []
