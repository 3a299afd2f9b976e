"""The browser notices what tests of pages rely on."""

import os
import subprocess

import chromium
import pytest

pytestmark = pytest.mark.slow


@pytest.fixture
def opened(page, tmp_path):
    """A function that opens a page with a body from disk, and waits until it is quiet."""

    def open_page(body):
        path = tmp_path / "page.html"
        path.write_text(f'<!doctype html><html lang="en"><title>A page</title><main>{body}</main></html>')
        page.goto(path.as_uri())
        page.wait_for_load_state("networkidle")
        return page

    return open_page


def test_a_page_opens_from_disk(opened, noticed):
    page = opened(
        "<h1>Painters</h1><p>Seen.</p><img alt='' src='data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA='>"
    )
    assert page.title() == "A page"
    assert page.get_by_role("heading").inner_text() == "Painters"
    assert (noticed.errors, noticed.requests) == ([], [])
    assert chromium.barriers(page) == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("<script>console.error('it broke')</script>", "it broke"),
        ("<script>null.length</script>", "null"),
        ("<script>Promise.reject(new Error('nobody caught it'))</script>", "nobody caught it"),
    ],
)
def test_errors_are_noticed(opened, noticed, body, said):
    opened(body)
    assert any(said in error for error in noticed.errors)
    noticed.errors.clear()


@pytest.mark.parametrize(
    "body",
    [
        "<img alt='' src='{url}'>",
        "<link rel='stylesheet' href='{url}'>",
        "<script src='{url}'></script>",
        "<script>fetch('{url}').catch(() => 0)</script>",
        "<script>navigator.sendBeacon('{url}')</script>",
        "<script>window.open('{url}')</script>",
    ],
)
def test_requests_that_leave_are_noticed_and_refused(opened, noticed, body):
    url = "http://127.0.0.1:9/x"
    opened(body.format(url=url))
    assert url in noticed.requests
    noticed.requests.clear()
    noticed.errors.clear()


def test_sockets_are_noticed(opened, noticed):
    opened("<script>new WebSocket('ws://127.0.0.1:9/x')</script>")
    assert noticed.requests == ["ws://127.0.0.1:9/x"]
    noticed.requests.clear()
    noticed.errors.clear()


def test_barriers_are_found(opened):
    page = opened(
        "<h1>Painters</h1><img src='data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA='><button></button>"
    )
    assert {line.split()[0] for line in chromium.barriers(page)} == {"image-alt", "button-name"}


def test_without_a_browser_the_reason_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "tests/browser/install.sh" in chromium.why_not()


def test_what_cannot_be_installed_is_said(tmp_path):
    """Where neither Chromium nor apt-get is found, the script fails with a reason, and changes nothing."""
    script = chromium.INSTALL
    done = subprocess.run(
        ["/bin/bash", script], env=os.environ | {"PATH": str(tmp_path)}, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr == (
        "tests/browser: no chromium found, and no apt-get to install Debian's chromium fonts-dejavu-core with\n"
    )
