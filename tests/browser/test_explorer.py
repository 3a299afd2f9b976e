"""The explorer's page in a browser: what it shows, how it is operated, and that nothing leaves it."""

import csv
import re
import subprocess

import chromium
import explorer_study
import pytest
import screenshots
from explorer_study import MARKUP
from PIL import Image

from fit.explorer.page import build
from fit.explorer.settings import PageSettings, ShownSettings

pytestmark = pytest.mark.slow
WIDTHS = {"desktop": (1280, 800), "phone": (390, 844)}
BARS = "[data-trust]:not([hidden])"


def make_page(folder, study, **how):
    """Write a study and its page into `folder`; return the address of the page."""
    path, places = explorer_study.write(folder, study, **how)
    out = folder / "index.html"
    build(path, places, out)
    return out.as_uri()


@pytest.fixture(scope="module")
def two_parts(tmp_path_factory):
    """The address of a page of two models with 24 concepts each."""
    first = explorer_study.part("model-a", "painters", 24, 300)
    second = explorer_study.part("model-b", "painters", 24, 900, seed=1)
    study = explorer_study.study([first, second], comparisons=[explorer_study.comparison(first, second)])
    return make_page(tmp_path_factory.mktemp("two"), study, px=48)


@pytest.fixture(scope="module")
def marked_up(tmp_path_factory):
    """The address of a page whose every text is markup that would run a script."""
    bad = {"name": MARKUP, "aliases": [f"alias {MARKUP}"], "group": MARKUP}
    part = explorer_study.part("model-a", "painters", 12, 300)
    for number, one in enumerate(part["concepts"]):
        one |= bad | {"name": f"{number} {MARKUP}", "names": [{"name": MARKUP, "captions": 3}]}
        one["excluded"] = [{"step": "prompts", "number": 1, "why": MARKUP}]
        one["outlier"] = {"side": "below", "causes": [MARKUP]}
        one["verdict"] |= {"words": MARKUP}
        for prompt in one["prompts"]:
            prompt["prompt"] = f"a picture of {MARKUP}"
    part["answer"] |= {
        "sentence": MARKUP,
        "warnings": [MARKUP, "</script><script>alert(1)</script>"],
        "rests_on": [MARKUP],
    }
    part["scores"][0] |= {"label": MARKUP, "words": MARKUP}
    part["score_label"] = MARKUP
    part["calibration"] = [{"label": MARKUP, "value": MARKUP, "words": MARKUP}]
    part["sensitivity"][0]["choice"] = MARKUP
    part["assumptions"][0]["words"] = MARKUP
    study = explorer_study.study([part], missing=[MARKUP], limits=[MARKUP], study=MARKUP, pictures_left_out=MARKUP)
    study["tables"][0] |= {"title": MARKUP, "note": MARKUP, "columns": [MARKUP, "count", "score"]}
    study["sources"][0] |= {"says": MARKUP, "settings": {MARKUP: MARKUP, "list": [MARKUP]}}
    study["glossary"][0] |= {"words": MARKUP}
    return make_page(tmp_path_factory.mktemp("marked"), study, px=32)


def is_drawn(page):
    """Wait until the curve is drawn and all of the page is read."""
    page.wait_for_function("performance.getEntriesByName('curve-drawn').length > 0")
    page.wait_for_load_state("load")
    page.evaluate("document.documentElement.classList.remove('moving')")


@pytest.fixture
def opened(page):
    """A function that opens an address at a width and waits for the curve."""

    def open_at(url, width="desktop", hash=""):
        page.set_viewport_size(dict(zip(("width", "height"), WIDTHS[width], strict=True)))
        page.goto(url + hash)
        if hash:
            page.locator("#concept-title").wait_for()
        else:
            is_drawn(page)
        return page

    return open_at


def strip(page):
    """What the strip of pictures says, after the frames in which it follows the slider."""
    page.evaluate(
        """() => new Promise((done) => {
          const wait = (frames) => requestAnimationFrame(() => (frames ? wait(frames - 1) : done()));
          wait(3);
        })"""
    )
    return page.locator("#strip").inner_text()


def followed(page):
    """Wait until the page shows what its address says."""
    page.wait_for_function("shownAddress === location.hash")


def at_slider(page):
    """What the slider says of its place."""
    return page.locator("#slider").get_attribute("aria-valuetext")


def shown_concepts(page):
    """How many concepts the curve shows, as the page says."""
    return int(re.match(r"([\d,]+) of", page.locator("#curve-said").inner_text())[1].replace(",", ""))


def drawn_points(page):
    return page.locator("#curve-chart .mark-symbol path").count()


def until_drawn(page, action):
    """Do something that draws the curve again, and wait until it is drawn."""
    page.evaluate("performance.clearMarks('curve-drawn')")
    action()
    page.wait_for_function("performance.getEntriesByName('curve-drawn').length > 0")


@pytest.mark.parametrize("width", WIDTHS)
def test_the_answer_is_first_and_nothing_is_wider_than_the_screen(opened, two_parts, width):
    page = opened(two_parts, width)
    card = page.locator(".card").first
    assert "model-a imitates painters from 300 training images on" in card.inner_text()
    assert "364" in card.inner_text() and "210 to 450" in card.inner_text()
    assert card.bounding_box()["y"] < WIDTHS[width][1]
    assert drawn_points(page) == shown_concepts(page) == 24
    for hash in ("", "#concept=model-a/painters/painter-010"):
        page.evaluate("hash => { location.hash = hash }", hash)
        followed(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= WIDTHS[width][0]


def test_answers_can_be_read_without_scripts(browser, two_parts):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(two_parts)
    assert "from 300 training images on" in page.locator(".card").first.inner_text()
    assert page.locator("noscript p").is_visible()
    assert not page.locator("#part").is_visible()
    assert page.locator("[data-trust]").last.is_visible()
    context.close()


def test_a_search_finds_names_and_aliases_and_opens_by_keyboard(opened, two_parts):
    page = opened(two_parts)
    search = page.get_by_role("combobox", name="Find a concept")
    search.fill("MASTER 12")
    options = page.locator("#found [role=option]")
    assert options.count() == 1 and "Painter Nr. 012" in options.inner_text()
    search.fill("painter nr. 01")
    first = page.locator("#found-0")
    assert first.get_attribute("aria-selected") == "true"
    search.press("ArrowDown")
    assert search.get_attribute("aria-activedescendant") == "found-1"
    chosen = page.locator("#found-1 span").first.inner_text()
    search.press("Enter")
    followed(page)
    assert page.get_by_role("heading", level=1).inner_text() == chosen
    page.go_back()
    followed(page)
    search.fill("nobody")
    assert page.get_by_text("No concept has such a name.").is_visible()
    search.press("Escape")
    assert search.get_attribute("aria-expanded") == "false"
    search.press("Escape")
    assert search.input_value() == ""


def test_groups_filter_the_curve(opened, two_parts):
    page = opened(two_parts)
    until_drawn(page, lambda: page.get_by_label("north").uncheck())
    assert shown_concepts(page) == drawn_points(page) == 16
    assert "the threshold is that of all groups" in page.locator("#curve-said").inner_text()
    for name in ("south", "no group"):
        until_drawn(page, lambda name=name: page.get_by_label(name).uncheck())
    assert shown_concepts(page) == drawn_points(page) == 0
    assert "No concept is shown." in strip(page)
    until_drawn(page, lambda: page.get_by_label("north").check())
    assert shown_concepts(page) == 8


def test_switches_of_score_estimator_and_penalty(opened, two_parts):
    page = opened(two_parts)
    line = page.locator("#line-words")
    assert "300 (210 to 450)" in line.inner_text()
    until_drawn(page, lambda: page.get_by_label("Threshold by").select_option("logistic"))
    assert "logistic: 390" in line.inner_text()
    until_drawn(page, lambda: page.get_by_label("Score", exact=True).select_option("null_score"))
    assert "no threshold" in line.inner_text() and "the scores do not change" in line.inner_text()
    assert "null score" in page.locator("#y-title").inner_text()
    assert not page.locator("#penalty-field").is_visible()
    until_drawn(page, lambda: page.get_by_label("Score", exact=True).select_option("minus_null"))
    slider = page.get_by_label("Penalty of PELT")
    slider.focus()
    assert slider.get_attribute("aria-valuetext") == "0.9: 294"
    until_drawn(page, lambda: page.keyboard.press("ArrowLeft"))
    assert page.locator("#penalty-words").inner_text() == "PELT at penalty 0.7: 282"
    dashed = page.locator("#curve-chart .mark-rule line[stroke-dasharray='5,4']")
    assert dashed.count() == 1
    until_drawn(page, lambda: page.keyboard.press("End"))
    assert "no threshold" in page.locator("#penalty-words").inner_text()
    assert dashed.count() == 0


def test_the_other_part_is_chosen_everywhere(opened, two_parts):
    page = opened(two_parts)
    until_drawn(page, lambda: page.get_by_label("Model and domain").first.select_option("1"))
    assert "900 (630 to 1,350)" in page.locator("#line-words").inner_text()
    assert "model-b" in page.locator(BARS).inner_text()
    until_drawn(page, lambda: page.get_by_role("button", name="See its curve of model-a").click())
    assert "300 (210 to 450)" in page.locator("#line-words").inner_text()
    assert page.evaluate("document.activeElement.id") == "curve-title"


@pytest.mark.parametrize("width", WIDTHS)
def test_the_slider_follows_keys_and_the_mouse(opened, two_parts, width):
    page = opened(two_parts, width)
    slider = page.get_by_role("slider", name="Along the counts")
    slider.focus()
    page.keyboard.press("Home")
    assert at_slider(page).startswith("Painter Nr. 000, 0 images")
    page.keyboard.press("ArrowRight")
    assert at_slider(page).startswith("Painter Nr. 001")
    page.keyboard.press("End")
    assert at_slider(page).startswith("Painter Nr. 023")
    assert "Painter Nr. 023" in strip(page)
    here = page.locator(".beside.here")
    assert "Painter Nr. 023" in here.inner_text()
    assert here.locator("img").count() == 6
    assert here.locator("img").first.evaluate("image => image.decode().then(() => image.naturalWidth)") == 48
    box = page.locator("#track").bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] - 20, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + 2, middle, steps=4)
    page.wait_for_function("document.getElementById('slider').getAttribute('aria-valuenow') === '0'")
    page.mouse.up()
    assert at_slider(page).startswith("Painter Nr. 000")
    page.keyboard.press("Enter")
    followed(page)
    assert page.get_by_role("heading", level=1).inner_text() == "Painter Nr. 000"


def test_the_marker_is_where_its_concept_is_drawn(opened, two_parts):
    page = opened(two_parts)
    page.get_by_role("slider", name="Along the counts").focus()
    page.keyboard.press("End")
    marker, point = page.evaluate(
        """() => {
          const paths = [...document.querySelectorAll('#curve-chart .mark-symbol path')];
          const points = paths.map((path) => path.getBoundingClientRect());
          const last = Math.max(...points.map((box) => box.left + box.width / 2));
          return [document.querySelector('#over .marker').getBoundingClientRect().left, last];
        }"""
    )
    assert marker == pytest.approx(point, abs=1.5)


def test_a_mark_says_its_name_and_a_click_opens_it(opened, two_parts):
    page = opened(two_parts)
    page.locator("#curve-chart").scroll_into_view_if_needed()
    x, y = page.evaluate(
        """() => {
          const box = document.getElementById('curve-chart').getBoundingClientRect();
          return [box.left + places[23][0], box.top + places[23][1]];
        }"""
    )
    page.mouse.move(x, y)
    tip = page.locator("#tip")
    assert "Painter Nr. 023" in tip.inner_text() and "images, score 0." in tip.inner_text()
    page.mouse.click(x, y)
    followed(page)
    assert page.get_by_role("heading", level=1).inner_text() == "Painter Nr. 023"
    assert page.url.endswith("#concept=model-a/painters/painter-023")


def test_a_link_opens_a_concept_and_back_goes_back(opened, two_parts):
    page = opened(two_parts, hash="#concept=model-b/painters/painter-015")
    text = page.locator("#concept").inner_text()
    assert page.title() == "Painter Nr. 015"
    for said in (
        "model-b / painters",
        "also: Master 15",
        "Verdict:",
        "no face was found",
        "Captions by name",
        "Score per prompt",
    ):
        assert said in text
    assert page.locator("#concept .generated figure").count() == 4
    assert "0.600" in page.locator("#concept .targets").first.inner_text()
    assert page.get_by_label("Link to this concept").input_value() == page.url
    page.get_by_role("link", name="More images: Painter Nr. 016").click()
    followed(page)
    assert page.get_by_role("heading", level=1).inner_text() == "Painter Nr. 016"
    page.go_back()
    followed(page)
    assert page.get_by_role("heading", level=1).inner_text() == "Painter Nr. 015"
    page.get_by_role("link", name="The curve").click()
    followed(page)
    page.locator("#overview").wait_for()
    is_drawn(page)
    assert page.get_by_label("Model and domain").first.input_value() == "1"


def test_back_returns_to_where_the_page_was_read(opened, two_parts):
    page = opened(two_parts)
    page.get_by_text("All concepts as a list").click()
    link = page.locator("#all-rows").get_by_role("link", name="Painter Nr. 003")
    link.scroll_into_view_if_needed()
    at = page.evaluate("window.scrollY")
    link.click()
    followed(page)
    assert page.evaluate("window.scrollY") == 0
    page.go_back()
    followed(page)
    page.wait_for_function("at => Math.abs(window.scrollY - at) < 3", arg=at)


def test_pictures_that_do_not_fit_are_said_of_each_concept_too(opened, tmp_path):
    part = explorer_study.part("model-a", "painters", 6, 300)
    path, places = explorer_study.write(tmp_path, explorer_study.study([part]), px=48)
    made = build(path, places, tmp_path / "index.html", PageSettings(page_mb=0.05))
    page = opened((tmp_path / "index.html").as_uri())
    said = f"{made.left_out} of 60 pictures are left out evenly"
    assert made.left_out > 0 and said in page.locator("#pictures-thinned").inner_text()
    page.evaluate("location.hash = '#concept=model-a/painters/painter-003'")
    followed(page)
    assert said in page.locator("#concept").inner_text()
    assert 0 < page.locator("#concept img").count() < 10


def test_a_concept_that_is_not_there_is_said(opened, two_parts):
    page = opened(two_parts, hash="#concept=model-a/painters/nobody")
    assert "No such concept" in page.locator("#concept").inner_text()
    page.get_by_role("link", name="The curve").click()
    followed(page)
    assert page.locator("#answer").is_visible()


def test_words_open_by_keyboard_and_close_with_escape(opened, two_parts):
    page = opened(two_parts)
    button = page.locator(".card .term", has_text="imitation score").first
    assert page.locator("#overview .term", has_text=re.compile("^imitation score$", re.I)).count() == 1
    button.focus()
    page.keyboard.press("Enter")
    word = page.locator("#word")
    assert word.is_visible() and "It is not a judgement by people." in word.inner_text()
    page.keyboard.press("Escape")
    assert not word.is_visible()
    assert page.evaluate("document.activeElement.textContent") == "imitation score"


def test_tables_and_figures_can_be_taken_away(opened, two_parts, tmp_path):
    page = opened(two_parts)

    def taken(locator):
        with page.expect_download() as waited:
            locator.click()
        path = tmp_path / waited.value.suggested_filename
        waited.value.save_as(path)
        return path

    table = taken(page.get_by_role("button", name="Concepts, CSV"))
    rows = list(csv.reader(table.read_text(encoding="utf-8").splitlines()))
    assert table.name == "concepts.csv" and rows[0] == ["name", "count", "score"] and len(rows) == 49
    page.get_by_label("Score", exact=True).select_option("minus_null")
    for name in ("The curve", "The sensitivity", "This comparison"):
        svg = taken(page.get_by_role("button", name=f"{name} as SVG").first)
        assert svg.read_text(encoding="utf-8").startswith("<svg")
        pdf = taken(page.get_by_role("button", name=f"{name} as PDF").first)
        assert pdf.read_bytes().startswith(b"%PDF")
    assert (tmp_path / "curve-model-a-painters-minus_null.svg").exists()


def test_two_parts_side_by_side(opened, two_parts):
    page = opened(two_parts)
    beside = page.locator("#beside")
    assert "1.4 times that of the first" in beside.inner_text() and "0.012" in beside.inner_text()
    beside.scroll_into_view_if_needed()
    page.locator("[data-pairs] .mark-symbol path").nth(23).wait_for(state="attached")
    page.locator("#two-chart").scroll_into_view_if_needed()
    page.locator("#two-chart .mark-symbol path").nth(47).wait_for(state="attached")
    assert "threshold 900" in page.locator("#second-words").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_keeps_people_from_using_it(opened, two_parts, scheme, width):
    """Axe, on the overview with everything drawn, on the open search, and on a concept's page."""
    page = opened(two_parts, width)
    page.emulate_media(color_scheme=scheme)
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", ground))) > 384) == (scheme == "light")
    for place in ("[data-pairs]", "#two-chart", f"{BARS} [data-strips]"):
        page.locator(place).scroll_into_view_if_needed()
        page.locator(f"{place} .mark-symbol path").first.wait_for(state="attached")
    for details in page.locator("#overview details:not([open]) > summary").all():
        if details.is_visible():
            details.click()
    assert chromium.barriers(page) == []
    page.get_by_label("Find a concept").fill("painter")
    assert chromium.barriers(page) == []
    page.evaluate("location.hash = '#concept=model-a/painters/painter-007'")
    followed(page)
    assert chromium.barriers(page) == []


def test_the_switch_of_colours_is_kept(opened, two_parts):
    page = opened(two_parts)
    page.emulate_media(color_scheme="light")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    label = page.locator("#curve-chart .role-axis-label text").first
    of_light = label.get_attribute("fill")
    switch = page.locator("#theme")
    until_drawn(page, lambda: [switch.click(), switch.click()])
    assert switch.inner_text() == "Dark" and page.evaluate(ground) != light
    assert label.get_attribute("fill") != of_light
    page.reload()
    is_drawn(page)
    assert switch.inner_text() == "Dark" and page.evaluate(ground) != light
    switch.click()
    assert switch.inner_text() == "Auto" and page.evaluate(ground) == light


def test_everything_is_reached_with_the_tabulator_and_focus_shows(opened, two_parts):
    page = opened(two_parts)
    reached = set()
    for _ in range(90):
        page.keyboard.press("Tab")
        name, outline = page.evaluate(
            "() => [document.activeElement.id || document.activeElement.textContent.trim().slice(0, 40), "
            "document.activeElement === document.body || getComputedStyle(document.activeElement).outlineStyle]"
        )
        assert outline != "none", f"focus does not show at {name}"
        reached.add(name)
    wanted = {"theme", "part", "kind", "estimator", "penalty", "search", "slider", "curve-svg", "curve-pdf"}
    assert wanted <= reached
    assert "Skip to the answer" in reached


def test_reduced_motion_does_not_glide(opened, two_parts, page):
    page.emulate_media(reduced_motion="reduce")
    opened(two_parts)
    page.evaluate("document.documentElement.classList.add('moving')")
    assert page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"


def test_markup_in_any_text_is_text(opened, marked_up, noticed):
    page = opened(marked_up)
    said = []
    page.on("dialog", lambda dialog: [said.append(dialog.message), dialog.dismiss()])
    page.get_by_label("Find a concept").fill("alias")
    assert MARKUP in page.locator("#found-0").inner_text()
    page.locator("#found-0").hover()
    page.get_by_label("Find a concept").press("Escape")
    page.get_by_text("All concepts as a list").click()
    page.locator(".term").first.click()
    assert MARKUP in page.locator("#word").inner_text()
    page.keyboard.press("Escape")
    x, y = page.evaluate(
        "() => { const box = document.getElementById('curve-chart').getBoundingClientRect(); "
        "window.scrollTo(0, box.top); const now = document.getElementById('curve-chart').getBoundingClientRect(); "
        "return [now.left + places[5][0], now.top + places[5][1]]; }"
    )
    page.mouse.move(x, y)
    assert MARKUP in page.locator("#tip").inner_text()
    overview = page.locator("#overview").inner_text()
    assert overview.count(MARKUP) > 20 and "<script>alert(1)</script>" in overview
    page.evaluate("location.hash = '#concept=model-a/painters/painter-004'")
    followed(page)
    text = page.locator("#concept").inner_text()
    assert text.count(MARKUP) > 10
    assert page.locator("img[src='x'], img[onerror]").count() == 0
    assert (
        page.locator("script:not([type])").count()
        == page.evaluate("document.scripts.length") - page.locator("script[type='application/json']").count()
    )
    assert said == [] and noticed.errors == []


def test_a_script_that_the_page_does_not_name_is_refused(opened, two_parts, noticed):
    page = opened(two_parts)
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=\"data:,\" onerror=\"window.ran = true\">')")
    page.evaluate("fetch('https://example.com/').catch(() => 0)")
    page.wait_for_timeout(200)
    assert page.evaluate("window.ran") is None
    assert len(noticed.errors) >= 2 and all("Content Security Policy" in error for error in noticed.errors)
    noticed.errors.clear()


@pytest.fixture(scope="module")
def lacking(tmp_path_factory):
    """The address of a page of a study that lacks almost everything."""
    nothing = {"sensitivity": [], "assumptions": [], "calibration": []}
    none = {
        "kind": "none",
        "sentence": "no threshold was found: the scores do not change",
        "threshold": None,
        "interval": None,
        "estimator": "pelt",
        "rests_on": [],
        "warnings": [],
    }
    one = explorer_study.part("model-a", "one", 1, 300, answer=none, **nothing)
    one["concepts"][0] |= {"prompts": [], "verdict": None, "names": [], "group": "", "aliases": [], "excluded": []}
    one["concepts"][0] |= {
        "count_interval": None,
        "captions": None,
        "corrected_count": None,
        "corrected_interval": None,
    }
    for kind in one["scores"]:
        kind |= {"estimates": [], "penalties": []}
    unscored = explorer_study.part("model-a", "unscored", 3, 300, answer=none, **nothing)
    for concept in unscored["concepts"]:
        concept |= {"scores": {"score": None}, "count": None, "count_interval": None, "prompts": [], "outlier": None}
    no_scores = explorer_study.part("model-a", "no-scores", 2, 300, answer=none, **nothing) | {"scores": []}
    empty = explorer_study.part("model-a", "empty", 2, 300, answer=none, **nothing) | {"concepts": []}
    study = explorer_study.study(
        [one, unscored, no_scores, empty],
        glossary=[],
        limits=[],
        tables=[],
        sources=[],
        missing=["The sensitivity was not measured."],
        pictures_left_out="Pictures of people are left out.",
    )
    return make_page(tmp_path_factory.mktemp("lacking"), study, pictures=False)


def test_what_is_lacking_is_said(opened, lacking):
    page = opened(lacking)
    strip(page)
    text = page.locator("#overview").inner_text()
    for said in ("no threshold", "The sensitivity was not measured.", "Pictures of people are left out."):
        assert said in text
    assert "1 of 1 concept is shown" in text and "This page has no pictures of it." in text
    for place in (1, 2, 3):
        until_drawn(page, lambda place=place: page.get_by_label("Model and domain").first.select_option(str(place)))
        assert shown_concepts(page) == 0
        assert "No concept is shown." in strip(page)
    said = {
        "one/painter-000": "The study was not audited.",
        "unscored/painter-001": "It was not scored at any prompt.",
        "no-scores/painter-000": "Score per prompt",
    }
    for slug, words in said.items():
        page.evaluate("slug => { location.hash = `#concept=model-a/${slug}` }", slug)
        followed(page)
        concept = page.locator("#concept").inner_text()
        assert words in concept and "This page has no pictures of it." in concept
    assert chromium.barriers(page) == []


def test_many_parts_have_a_switch(opened, tmp_path):
    parts = [explorer_study.part(f"model-{i:02d}", "painters", 12, 100 * (i + 1), seed=i) for i in range(12)]
    for one in parts:
        one["scores"] = one["scores"][:1]
    page = opened(make_page(tmp_path, explorer_study.study(parts), pictures=False), "phone")
    assert page.locator(".card").count() == 12
    until_drawn(page, lambda: page.get_by_label("Model and domain").first.select_option("11"))
    assert "1,200" in page.locator("#line-words").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """The path of a page of 400 concepts with 10 thumbnails each."""
    folder = tmp_path_factory.mktemp("many")
    rng = explorer_study.np.random.default_rng(0)
    pool = [explorer_study.thumbnail(rng, level) for level in rng.random(60)]
    part = explorer_study.part("model-a", "painters", 400, 300)
    make_page(folder, explorer_study.study([part]), pool=pool)
    return folder / "index.html"


@pytest.mark.parametrize("width", WIDTHS)
def test_four_hundred_concepts_with_their_pictures(opened, many, width):
    """The page is below 40 MB and behaves as a small one does; benchmarks/explorer.py measures how fast."""
    assert many.stat().st_size < 40_000_000
    page = opened(many.as_uri(), width)
    assert shown_concepts(page) == drawn_points(page) == 400
    assert page.locator("#pictures-thinned").count() == 0
    slider = page.get_by_role("slider", name="Along the counts")
    slider.press("Home")
    box = page.locator("#track").bounding_box()
    middle = box["y"] + box["height"] / 2
    seen = set()
    page.mouse.move(box["x"] + 60, middle)
    page.mouse.down()
    for step in range(1, 21):
        page.mouse.move(box["x"] + 60 + (box["width"] - 70) * step / 20, middle)
        strip(page)
        seen.add(at_slider(page))
    page.mouse.up()
    assert len(seen) > 15 and at_slider(page).split(",")[0] in strip(page)
    assert page.locator(".beside.here a").inner_text() == at_slider(page).split(",")[0]
    slider.press("End")
    slider.press("Enter")
    followed(page)
    assert page.get_by_role("heading", level=1).inner_text() == "Painter Nr. 399"
    assert page.locator("#concept img").count() == 10
    decoded = "images => Promise.all(images.map((image) => image.decode().then(() => image.naturalWidth)))"
    assert page.locator("#concept img").evaluate_all(decoded) == [112] * 10


def test_what_was_gathered_of_a_study_is_shown(opened, tmp_path):
    """From the files of a study to the page: every concept opens, nothing keeps people from using it."""
    from explored_study import DOMAIN, MODEL, ExploredStudy

    from fit.explorer.gather import gather, write_gathered
    from fit.scores.settings import ScoreSettings
    from fit.thresholds.settings import ThresholdSettings

    study = ExploredStudy(tmp_path)
    study.write_pictures()
    found = gather(
        "mine",
        [study.part()],
        study.results,
        missing={},
        thresholds=ThresholdSettings(resamples=20, estimators=["pelt", "one_change", "logistic"]),
        scores=ScoreSettings(),
        shown=ShownSettings(),
        seed=3,
    )
    write_gathered(found, tmp_path / "study.json")
    build(tmp_path / "study.json", [study.results / "explorer/pictures" / MODEL / DOMAIN], tmp_path / "index.html")
    page = opened((tmp_path / "index.html").as_uri())
    assert page.locator(".card .says").inner_text().lower().startswith(found.parts[0].answer.sentence.lower())
    assert drawn_points(page) == len(found.parts[0].concepts)
    for kind in found.parts[0].scores:
        page.get_by_label("Score", exact=True).select_option(kind.name)
        assert page.locator("#kind-words").inner_text() == kind.words
    assert chromium.barriers(page) == []
    for concept in found.parts[0].concepts:
        page.evaluate("hash => { location.hash = hash }", f"#concept={MODEL}/{DOMAIN}/{concept.slug}")
        followed(page)
        assert page.get_by_role("heading", level=1).inner_text() == concept.name
        assert page.locator("#concept .generated img").count() >= 2
    assert chromium.barriers(page) == []


def test_pictures_for_the_readme_are_small(opened, two_parts, tmp_path):
    written = screenshots.save(opened(two_parts), tmp_path)
    assert [path.name for path in written] == ["explorer.png", "explorer-concept.png"]
    for path in written:
        assert path.stat().st_size <= screenshots.MOST_BYTES
        with Image.open(path) as picture:
            assert picture.width >= 900 and len(picture.convert("RGB").getcolors(1 << 24)) > 30


def test_a_large_picture_is_made_small(tmp_path):
    rng = explorer_study.np.random.default_rng(0)
    large = tmp_path / "large.png"
    Image.fromarray(rng.integers(0, 256, (400, 400, 3), dtype="uint8")).save(large)
    small = screenshots.within(large.read_bytes(), 100_000)
    assert len(small) <= 100_000 and small.startswith(b"\x89PNG")


def test_scripts_are_valid_without_the_page(tmp_path):
    """Each script parses, where Node is there to tell."""
    import shutil

    node = shutil.which("node")
    if not node:
        pytest.skip("no node, which parses scripts")
    from fit.explorer.page import SCRIPTS, _asset

    for name in SCRIPTS:
        path = tmp_path / f"{name}.js"
        path.write_text(_asset(f"{name}.js"), encoding="utf-8")
        subprocess.run([node, "--check", str(path)], check=True)
