"""The site of the documents in a browser, read from a disk: its pages fit, its search finds, and nothing leaves it."""

import built_site
import chromium
import pytest

pytestmark = pytest.mark.slow
PAGES = (
    "index",
    "method",
    "limits",
    "thresholds",
    "reference/commands/captions",
    "reference/settings",
    "project/readme",
)
SIZES = {"desktop": {"width": 1280, "height": 800}, "phone": {"width": 390, "height": 844}}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the built site."""
    return built_site.build(tmp_path_factory.mktemp("documents"))


@pytest.mark.parametrize("size", SIZES)
def test_a_page_fits_its_window_and_shows_its_pictures(site, page, size):
    page.set_viewport_size(SIZES[size])
    for name in PAGES:
        page.goto((site / f"{name}.html").as_uri())
        assert page.locator("article h1").first.is_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[size]["width"], name
        assert page.evaluate("[...document.images].every((image) => image.naturalWidth > 0)"), name


def test_the_search_finds_what_is_on_another_page(site, page):
    page.goto((site / "index.html").as_uri())
    page.click(".md-search__input")
    page.keyboard.type("beta-binomial")
    found = page.locator(".md-search-result__link[href*='counts.html']").first
    found.wait_for(state="attached")
    found.click()
    page.wait_for_url("**/counts.html*")
    assert "Effective counts" in page.inner_text("article h1")


@pytest.mark.parametrize("name", ["index", "method", "reference/settings"])
def test_nothing_keeps_people_from_using_a_page(site, page, name):
    page.goto((site / f"{name}.html").as_uri())
    # Not preloaded: axe would read the theme's styles by a request, which a page from a disk may not make.
    assert chromium.barriers(page, preload=False) == []
