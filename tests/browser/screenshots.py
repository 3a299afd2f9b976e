"""Writes the README's pictures of the explorer: of the default study's page, as Chromium shows it.

python tests/browser/screenshots.py results/explorer/atelier/index.html docs
"""

import io
import sys
from pathlib import Path

import chromium
from PIL import Image
from playwright.sync_api import sync_playwright

from fit.io.files import atomic_write

MOST_BYTES = 300_000
"""Of a picture; one that is larger gets fewer colours, then fewer pixels."""
WIDTH, HEIGHT = 1280, 3000
"""Of the window, so high that nothing has to be scrolled."""


def within(png, most=MOST_BYTES):
    """Return a PNG of at most `most` bytes that shows the same."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    colours = 256
    while len(png) > most:
        buffer = io.BytesIO()
        picture.quantize(colours, dither=Image.Dither.NONE).save(buffer, "png", optimize=True)
        png = buffer.getvalue()
        if colours > 64:
            colours //= 2
        else:
            picture = picture.resize((picture.width * 9 // 10, picture.height * 9 // 10), Image.Resampling.LANCZOS)
    return png


def settle(page):
    """Wait until the curve is drawn and every picture that is shown is decoded."""
    page.wait_for_function("performance.getEntriesByName('curve-drawn').length > 0", timeout=60_000)
    page.wait_for_load_state("load")
    page.evaluate("Promise.all([...document.images].map((image) => image.decode().catch(() => 0)))")


def picture_of(page, selector, margin=24):
    """Return a PNG of an element and what is around it."""
    box = page.locator(selector).bounding_box()
    clip = {"x": box["x"] - margin, "y": box["y"], "width": box["width"] + 2 * margin, "height": box["height"]}
    return page.screenshot(clip=clip)


def of_page(page):
    """Yield (name, PNG) of the curve with pictures along the counts, and of a concept's page."""
    page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
    page.add_style_tag(content=".link { display: none; } html { scroll-behavior: auto !important; }")
    settle(page)
    yield "explorer", picture_of(page, "#curve")
    # Of all concepts, the most frequent shows best what imitation is.
    page.get_by_role("slider", name="Along the counts").press("End")
    page.get_by_role("slider", name="Along the counts").press("Enter")
    page.locator("#concept-title").wait_for()
    page.evaluate("document.activeElement.blur()")
    settle(page)
    yield "explorer-concept", picture_of(page, "#concept")


def write(html, folder):
    """Write the pictures of the page at `html` into `folder`; return their paths."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium.find(), args=list(chromium.OPTIONS))
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        page.goto(Path(html).resolve().as_uri())
        return save(page, folder)


def save(page, folder):
    """Write the pictures of an opened page into `folder`; return their paths."""
    paths = []
    for name, png in of_page(page):
        paths.append(Path(folder, f"{name}.png"))
        with atomic_write(paths[-1]) as part:
            part.write_bytes(within(png))
    return paths


if __name__ == "__main__":
    if reason := chromium.why_not():
        sys.exit(f"screenshots: {reason}")
    for written in write(*sys.argv[1:3]):
        print(f"{written}: {written.stat().st_size / 1000:.0f} kB")
