"""A page in a real browser.

Every test also fails where its page makes an error, or asks for what is not on this machine.
"""

import chromium
import pytest
from playwright.sync_api import sync_playwright


@pytest.fixture(scope="module")
def browser():
    """Chromium, closed after a file of tests: until then, nothing else in the process may start an event loop."""
    reason = chromium.why_not()
    if reason:
        pytest.skip(reason)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium.find(), args=list(chromium.OPTIONS))
        yield started
        started.close()


@pytest.fixture
def noticed():
    """What `page` did: its errors, and its requests for what is not on this machine. Both are empty after a test."""
    return chromium.Noticed()


@pytest.fixture
def page(browser, noticed):
    """An empty page of 1280 by 800, as of a new visitor. A test that expects an error or a request clears `noticed`."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    noticed.listen(context)
    yield context.new_page()
    context.close()
    assert not noticed.errors, "errors of the page"
    assert not noticed.requests, "requests that leave the page"
