"""Measures the explorer's page of a made-up study in Chromium: its size, how soon it is there, how smoothly one drags.

python benchmarks/explorer.py --docs docs/explorer.md
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "browser"))

import chromium
import explorer_study
from pages import write_between
from playwright.sync_api import sync_playwright

from fit.explorer.page import MEGABYTE, build

WIDTHS = {"desktop": (1280, 800), "phone": (390, 844)}
BARS = {"size": "below 40 MB", "paint": "below 2,000 ms", "frames": "30 frames a second: at most 33.3 ms"}
COUNT_FRAMES = """() => {
  window.frames_ms = [];
  let last = performance.now();
  const each = (now) => {
    window.frames_ms.push(now - last);
    last = now;
    if (window.frames_ms) requestAnimationFrame(each);
  };
  requestAnimationFrame((now) => { last = now; requestAnimationFrame(each); });
}"""


def first_view(page, url):
    """Open a page; return the milliseconds until its first contentful paint, and until its curve is drawn."""
    page.goto(url, wait_until="commit")
    page.wait_for_function("performance.getEntriesByName('curve-drawn').length > 0", timeout=120_000)
    page.wait_for_function("performance.getEntriesByName('first-contentful-paint').length > 0", timeout=120_000)
    paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    drawn = page.evaluate("performance.getEntriesByName('curve-drawn')[0].startTime")
    return paint, drawn


def drag(page, steps):
    """Drag the slider along the counts and back; return the milliseconds between frames meanwhile."""
    page.wait_for_function("document.readyState === 'complete'", timeout=120_000)
    page.locator("#track").scroll_into_view_if_needed()
    page.wait_for_timeout(500)
    box = page.locator("#track").bounding_box()
    y = box["y"] + box["height"] / 2
    left, right = box["x"] + 60, box["x"] + box["width"] - 12
    page.mouse.move(left, y)
    page.mouse.down()
    page.evaluate(COUNT_FRAMES)
    for x in [*np.linspace(left, right, steps), *np.linspace(right, left, steps)]:
        page.mouse.move(float(x), y)
    found = page.evaluate("() => { const found = window.frames_ms; window.frames_ms = null; return found; }")
    page.mouse.up()
    return np.array(found)


def measure(path, rounds, steps):
    """Return the rows of the table: a line per quantity, with its bar and its value at each width."""
    url = path.as_uri()
    paints, drawns, frames = ({width: [] for width in WIDTHS} for _ in range(3))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium.find(), args=list(chromium.OPTIONS))
        for name, (width, height) in WIDTHS.items():
            for _ in range(rounds):
                page = browser.new_page(viewport={"width": width, "height": height})
                paint, drawn = first_view(page, url)
                paints[name].append(paint)
                drawns[name].append(drawn)
                frames[name].append(drag(page, steps))
                page.close()
        browser.close()

    def row(label, bar, of):
        return f"| {label} | {bar} | " + " | ".join(of(name) for name in WIDTHS) + " |"

    size = f"{path.stat().st_size / MEGABYTE:.1f} MB"
    gaps = {name: np.concatenate(frames[name]) for name in WIDTHS}
    return [
        row("size of the file", BARS["size"], lambda name: size),
        row("first contentful paint, median", BARS["paint"], lambda name: f"{np.median(paints[name]):,.0f} ms"),
        row("first contentful paint, slowest", BARS["paint"], lambda name: f"{max(paints[name]):,.0f} ms"),
        row("curve drawn, median", BARS["paint"], lambda name: f"{np.median(drawns[name]):,.0f} ms"),
        row("curve drawn, slowest", BARS["paint"], lambda name: f"{max(drawns[name]):,.0f} ms"),
        row("a frame while dragging, median", BARS["frames"], lambda name: f"{np.median(gaps[name]):.1f} ms"),
        row("95 % of frames", BARS["frames"], lambda name: f"{np.percentile(gaps[name], 95):.1f} ms"),
        row("frames measured", "", lambda name: f"{len(gaps[name]):,}"),
    ]


def main():
    """Make the study and its page, measure, print the table; write it into a page of the docs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--concepts", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=5, help="loads of the page at each width")
    parser.add_argument("--steps", type=int, default=200, help="moves of the mouse from one end to the other")
    parser.add_argument("--docs", type=Path, help="page of the docs to write the table into")
    args = parser.parse_args()
    if reason := chromium.why_not():
        sys.exit(f"benchmarks/explorer.py: {reason}")
    with tempfile.TemporaryDirectory() as folder:
        part = explorer_study.part("model", "painters", args.concepts, 300)
        study, places = explorer_study.write(folder, explorer_study.study([part]))
        out = Path(folder) / "index.html"
        made = build(study, places, out)
        rows = measure(out, args.rounds, args.steps)
    lines = [
        f"| {args.concepts} concepts, {made.pictures:,} pictures | bar | "
        + " | ".join(f"{name}, {width} x {height}" for name, (width, height) in WIDTHS.items())
        + " |",
        "| --- | --- | " + " | ".join("--:" for _ in WIDTHS) + " |",
        *rows,
    ]
    print("\n".join(lines))
    if args.docs:
        write_between(args.docs, "explorer", lines)


if __name__ == "__main__":
    main()
