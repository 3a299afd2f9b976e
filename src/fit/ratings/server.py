"""The web page on which people rate pictures, served from this machine."""

import asyncio
import json
import random
import signal
import socket
import sys
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from io import BytesIO
from ipaddress import ip_address
from pathlib import Path

import regex
from aiohttp import web
from PIL import Image
from yarl import URL

from fit.errors import DataError, FitError, ImageTableError
from fit.images.table import bytes_of, decode
from fit.io.parquet import read
from fit.ratings.pairs import Pair
from fit.ratings.store import SCALE, Answers, Rating

PAGE = {"/": "index.html", "/page.css": "page.css", "/page.js": "page.js"}
"""Path -> file of the page, in the folder `page` beside this module. Nothing else on disk is served as a file."""

RATER = regex.compile(r"[\p{L}\p{N}][\p{L}\p{M}\p{N} .@_'-]{0,59}")

NAME = regex.compile(r"(?=.{1,253}$)[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")

SKIP = "skip"
"""What a rater answers in place of a rating who can't tell."""

LARGEST_SIDE = 1024
"""Larger pictures are made smaller before they are sent: no page shows more of them."""

SHOWN_BY_BROWSERS = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp", "GIF": "image/gif"}

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def for_browser(data, where):
    """(bytes, media type) of a picture, given as `data` (bytes), that every browser shows. `where` names it in errors.

    Raises:
        ImageTableError: the bytes are no picture that can be decoded.
    """
    picture = decode(data, where)
    with Image.open(BytesIO(data)) as original:
        media_type = SHOWN_BY_BROWSERS.get(original.format or "")
    if media_type and max(picture.size) <= LARGEST_SIDE:
        return data, media_type
    picture.thumbnail((LARGEST_SIDE, LARGEST_SIDE))
    file = BytesIO()
    picture.save(file, "PNG")
    return file.getvalue(), "image/png"


@lru_cache(maxsize=512)
def _load(picture):
    rows, _ = bytes_of(read(picture.table, ["bytes"], only={"image_id": [picture.image_id]}).column("bytes"))
    if not rows or not rows[0]:
        raise ImageTableError(f"{picture.table}: image {picture.image_id!r} is gone; start the server anew")
    return for_browser(rows[0], f"{picture.table}, image {picture.image_id}")


def is_address(host):
    """Whether `host` is an IP address, not a name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(host):
    """Whether only this machine reaches `host`, an address or name."""
    return ip_address(host).is_loopback if is_address(host) else host == "localhost"


def url_for_others(host, port):
    """The address to open, of a server that listens at `host`: the machine's name where that is all its addresses."""
    everywhere = is_address(host) and ip_address(host).is_unspecified
    return URL.build(scheme="http", host=socket.gethostname() if everywhere else host, port=port, path="/")


def _key(picture):
    """What a picture is called on the page: its file and id would say the concept, and a number might mean another
    picture after a restart."""
    return sha256(f"{picture.table}\n{picture.image_id}".encode()).hexdigest()[:20]


class Study:
    """What is asked, of whom, and what they answered. A rater sees of a concept its pictures, and nothing else."""

    def __init__(self, pairs: list[Pair], answers: Answers, *, seed: int, question: str, names: dict[str, str]):
        """names: concept (slug) -> name to show beside its pictures; empty for raters who are not to know."""
        self.pairs, self.answers, self.seed, self.question, self.names = pairs, answers, seed, question, names
        self.pictures = {_key(picture): picture for pair in pairs for picture in (pair.generated, *pair.references)}
        self.by_key = {_key(pair.generated): pair for pair in pairs}
        self._given = {rating.about: rating.rating for rating in answers.ratings}

    def _answer(self, rater, pair):
        about = (rater, pair.concept, pair.generated.image_id)
        return (self._given[about] or SKIP) if about in self._given else None

    def session(self, rater):
        """What the page needs for `rater`: every pair in the rater's own order, with the answer that it has so far."""
        shown = [
            {
                "picture": _key(pair.generated),
                "references": [_key(picture) for picture in pair.references],
                "answer": self._answer(rater, pair),
                "name": self.names.get(pair.concept, ""),
            }
            for pair in random.Random(f"{self.seed} {rater}").sample(self.pairs, len(self.pairs))
        ]
        return {"rater": rater, "question": self.question, "pairs": shown}

    def rate(self, rater, key, answer):
        """Store what `rater` answers, one of SCALE or SKIP, about the pair with the generated picture of that key."""
        pair = self.by_key[key]
        rating = Rating(
            rater,
            pair.concept,
            pair.prompt,
            pair.generated.image_id,
            None if answer == SKIP else answer,
            datetime.now(UTC).isoformat(timespec="seconds"),
            str(self.seed),
        )
        self.answers.add([rating])
        self._given[rating.about] = rating.rating


def _refusal(status: type[web.HTTPError], message: str):
    return status(text=json.dumps({"error": message}), content_type="application/json")


def _rater(name):
    name = unicodedata.normalize("NFC", " ".join(name.split())) if isinstance(name, str) else ""
    if not RATER.fullmatch(name):
        raise _refusal(
            web.HTTPBadRequest,
            "a rater's name is 1 to 60 letters, digits, spaces or . @ _ ' -, a letter or digit first",
        )
    return name


@dataclass(frozen=True)
class Hosts:
    """What a request may call this machine, so that no other site's page can have a browser ask under its own name.

    A site's name may be made to lead to this machine (DNS rebinding); an IP address is nobody's name.
    """

    names: frozenset[str]
    """In lower case; addresses too, where not any is accepted."""
    any_address: bool
    """Whether any IP address is accepted."""

    def accept(self, request):
        """Whether the Host header of an aiohttp request is one of these."""
        try:
            host = (request.url.host or "").lower().rstrip(".")
        except ValueError:  # a Host header that is none
            return False
        return host in self.names or (self.any_address and is_address(host))

    def __str__(self):
        """The names in words."""
        named = ", ".join(sorted(name for name in self.names if not is_address(name)))
        return f"{named}, or any IP address of it" if self.any_address else named


def hosts_of(host, names=()):
    """The Hosts of a server that listens at `host`; `names`: others by which it may be asked for.

    Raises:
        DataError: one of `names` is not a host's name.
    """
    for name in names:
        if not NAME.fullmatch(name):
            raise DataError(f"--hostname {name!r}: this is not the name of a host; leave out http://, port and path")
    known = {"localhost", host, *names}
    if is_loopback(host):
        return Hosts(frozenset(name.lower() for name in (*known, "127.0.0.1", "::1")), any_address=False)
    known |= {socket.gethostname(), socket.getfqdn()}
    if is_address(host):
        known.discard(host)  # 0.0.0.0 is all of them
    return Hosts(frozenset(name.lower().rstrip(".") for name in known), any_address=True)


def make_app(study, *, hosts):
    """The web application of a Study, for requests that ask for it by one of `hosts` (Hosts)."""

    @web.middleware
    async def guard(request, handler):
        if not hosts.accept(request):
            raise _refusal(
                web.HTTPForbidden, "ask for this page by the address that the server printed, or see its --hostname"
            )
        try:
            response = await handler(request)
        except FitError as error:
            print(f"fit: {error}", file=sys.stderr)
            response = web.json_response({"error": "this could not be stored or shown; see the server"}, status=500)
        return response

    async def headers(_, response):
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)

    def page(name):
        path = Path(__file__).with_name("page") / name

        async def show(_):
            return web.FileResponse(path)

        return show

    async def session(request):
        return web.json_response(study.session(_rater(request.query.get("rater"))))

    async def picture(request):
        found = study.pictures.get(request.match_info["key"])
        if found is None:
            raise _refusal(web.HTTPNotFound, "there is no such picture")
        data, media_type = await asyncio.to_thread(_load, found)
        return web.Response(body=data, content_type=media_type)

    async def answer(request):
        # A form of another site's page can't send this type unasked.
        if request.content_type != "application/json":
            raise _refusal(web.HTTPUnsupportedMediaType, "an answer is JSON")
        try:
            said = json.loads(await request.read())
        except (ValueError, RecursionError):
            raise _refusal(web.HTTPBadRequest, "this is not JSON") from None
        if not isinstance(said, dict):
            raise _refusal(web.HTTPBadRequest, "an answer has rater, picture and answer")
        rater, key, value = _rater(said.get("rater")), said.get("picture"), said.get("answer")
        if not isinstance(key, str) or key not in study.by_key:
            raise _refusal(web.HTTPBadRequest, "this picture is not asked about any more; load the page anew")
        if value != SKIP and (type(value) is not int or value not in SCALE):
            raise _refusal(web.HTTPBadRequest, f"answer is one of 1, 2, 3, 4, 5 or {SKIP!r}")
        # Not in a thread: rows are written one after the other, and a row takes some milliseconds.
        study.rate(rater, key, value)
        return web.json_response({"stored": value})

    app = web.Application(middlewares=[guard], client_max_size=4096)
    app.on_response_prepare.append(headers)
    for path, name in PAGE.items():
        app.router.add_get(path, page(name))
    app.router.add_get("/session", session)
    app.router.add_get("/pictures/{key}", picture)
    app.router.add_post("/answers", answer)
    return app


async def _serve(app, host, port, started):
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise DataError(f"can't listen at {host}, port {port} ({error.strerror}); name another --port") from None
        started(url_for_others(host, runner.addresses[0][1]))
        await stop.wait()
    finally:
        await runner.cleanup()


def serve(study: Study, host: str, port: int, started: Callable[[URL], None], hosts: Hosts):
    """Serve a Study until Ctrl-C, or a polite kill.

    Args:
        host: address or name to listen at; port: 0 for any that is free.
        started: called with the page's URL as soon as it can be opened.
        hosts: what a request may call this machine, as hosts_of has it.

    Raises:
        DataError: it can't listen there.
    """
    asyncio.run(_serve(make_app(study, hosts=hosts), host, port, started))
