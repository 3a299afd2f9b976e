"""The datasheet in a browser: it opens from disk, asks for nothing, and can be read on a phone."""

import io
import sys
from pathlib import Path

import chromium
import pypdf
import pytest

sys.path.append(str(Path(__file__).parents[1] / "unit"))
from datasheet_study import MARKUP, make_part, make_study, write_pictures, write_study

from fit.cli.main import main

pytestmark = pytest.mark.slow


@pytest.fixture
def sheet(tmp_path):
    """The HTML of a study with pictures, a name with markup among its concepts."""
    part = make_part(names={3: MARKUP, 39: MARKUP})
    write_pictures(part, tmp_path)
    path = write_study(make_study(part), tmp_path)
    assert main(["report", str(path), "--html", str(tmp_path / "a.html"), "--date", "2026-02-01"]) == 0
    return (tmp_path / "a.html").as_uri()


@pytest.mark.parametrize("width", [390, 1280])
def test_a_datasheet_opens_from_disk_at_both_widths(page, sheet, width):
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(sheet)
    assert page.title() == "Imitation threshold: the study made-up"
    assert page.get_by_role("heading", name="What this does not show").count() == 1
    broken = "images => images.filter(image => !image.complete || !image.naturalWidth).length"
    pictures = page.locator("img")
    assert pictures.count() == 1 + 6 * 5, "the figure, and five pictures of six concepts"
    assert pictures.evaluate_all(broken) == 0
    assert page.get_by_text(MARKUP, exact=True).count() >= 2
    assert page.evaluate("document.documentElement.scrollWidth") <= width, "nothing is wider than the screen"
    assert chromium.barriers(page) == []


def test_a_datasheet_prints_on_a4(page, sheet):
    page.goto(sheet)
    printed = pypdf.PdfReader(io.BytesIO(page.pdf(prefer_css_page_size=True)))
    assert {(round(one.mediabox.width), round(one.mediabox.height)) for one in printed.pages} == {(595, 842)}
    assert f"1 / {len(printed.pages)}" in printed.pages[0].extract_text()
