"""The browser of the tests: Chromium as it is installed, driven by Playwright. No browser is downloaded."""

import re
import shutil
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe

PROGRAMS = ("chromium", "google-chrome")

INSTALL = Path(__file__).parent / "install.sh"

OPTIONS = (
    "--no-sandbox",  # tests run as root in containers, and open only pages that they made
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

INSIDE = ("file:", "data:", "blob:", "about:")
"""Beginnings of the addresses that a page may open and stay on this machine."""

OUTSIDE = re.compile(rf"^(?!{'|'.join(INSIDE)})")


def find():
    """The path of Chromium, or None."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


def why_not():
    """Why no browser can be started here; nothing where one can."""
    if find():
        return ""
    return f"none of {', '.join(PROGRAMS)} found; `tests/browser/install.sh`, as root, installs Debian's Chromium"


class Noticed:
    """What a browser's pages said and asked for.

    `errors` are the errors of the console and those that no script caught. `requests` are the addresses of everything
    that is not on this machine.
    """

    def __init__(self):
        self.errors, self.requests = [], []

    def listen(self, context):
        """Note what happens in all pages of `context`; what is not on this machine is refused."""
        context.on("console", self._hear)
        context.on("weberror", lambda error: self.errors.append(str(error.error)))
        context.route(OUTSIDE, lambda route: route.abort())
        context.route_web_socket(OUTSIDE, self._refuse)
        context.on("request", lambda request: self._ask(request.url))

    def _hear(self, message):
        if message.type == "error":
            self.errors.append(message.text)

    def _ask(self, url):
        if OUTSIDE.match(url):
            self.requests.append(url)

    def _refuse(self, socket):
        self.requests.append(socket.url)
        socket.close()


def barriers(page, impacts=("serious", "critical"), preload=True):
    """What axe finds on `page` that keeps people from using it: one line a kind and place.

    Without `preload`, axe does not ask for style sheets that are files of their own.
    """
    found = Axe().run(page, options={"preload": preload}).response["violations"]
    return [
        f"{one['id']} ({one['impact']}): {one['help']}: {' '.join(map(str, node['target']))}"
        for one in found
        if one["impact"] in impacts
        for node in one["nodes"]
    ]
