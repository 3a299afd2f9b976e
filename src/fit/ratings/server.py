"""The web page on which people rate pictures, served from this machine."""

import asyncio
import json
import random
import signal
import socket
import sys
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from io import BytesIO
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import regex
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from PIL import Image
from yarl import URL

from fit.errors import DataError, FitError, ImageTableError
from fit.images.table import bytes_of, decode
from fit.io.parquet import read
from fit.ratings.pairs import Pair, Picture
from fit.ratings.store import SCALE, Answers, Rating

PAGE = {"/": "index.html", "/page.css": "page.css", "/page.js": "page.js"}
"""Path -> file of the page, in the folder `page` beside this module. Nothing else on disk is served as a file."""

RATER = regex.compile(r"[\p{L}\p{N}][\p{L}\p{M}\p{N} .@_'-]{0,59}")

NAME = regex.compile(r"(?=.{1,253}$)[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")

SKIP = "skip"
"""The answer of a rater who can't tell."""

LARGEST_SIDE = 1024
"""Longest side of a picture, in pixels. Larger pictures are made smaller before they are sent."""

SHOWN_BY_BROWSERS = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp", "GIF": "image/gif"}

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def for_browser(data: bytes, where: str) -> tuple[bytes, str]:
    """Return (bytes, media type) of the picture `data` in a form that every browser shows. `where` names it in errors.

    Raises:
        ImageTableError: the bytes are not a picture that can be decoded.
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
def _load(picture: Picture) -> tuple[bytes, str]:
    only = {"concept": [picture.concept], "image_id": [picture.image_id]}
    rows, _ = bytes_of(read(picture.table, ["bytes"], only=only).column("bytes"))
    if not rows or not rows[0]:
        raise ImageTableError(f"{picture.table}: image {picture.image_id!r} is gone; start the server again")
    return for_browser(rows[0], f"{picture.table}, image {picture.image_id}")


def is_address(host: str) -> bool:
    """Whether `host` is an IP address, not a name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches `host`, an address or name."""
    return ip_address(host).is_loopback if is_address(host) else host == "localhost"


def url_for_others(host: str, port: int) -> URL:
    """Return the address to open of a server that listens at `host`: by the machine's name if it listens everywhere."""
    everywhere = is_address(host) and ip_address(host).is_unspecified
    return URL.build(scheme="http", host=socket.gethostname() if everywhere else host, port=port, path="/")


def _key(picture: Picture) -> str:
    """Return what a picture is called on the page.

    Its file and id would say the concept, and a number might mean another picture after a restart.
    """
    return sha256(f"{picture.table}\n{picture.concept}\n{picture.image_id}".encode()).hexdigest()[:20]


class Study:
    """What is asked of whom, and the answers. A rater sees the pictures of a concept, and nothing else."""

    def __init__(self, pairs: list[Pair], answers: Answers, *, seed: int, question: str, names: dict[str, str]):
        """`names`: concept (slug) -> name to show beside its pictures; empty if raters are not to know."""
        self.pairs, self.answers, self.seed, self.question, self.names = pairs, answers, seed, question, names
        self.pictures = {_key(picture): picture for pair in pairs for picture in (pair.generated, *pair.references)}
        self.by_key = {_key(pair.generated): pair for pair in pairs}
        self._given = {rating.about: rating.rating for rating in answers.ratings}

    def _answer(self, rater: str, pair: Pair) -> int | str | None:
        about = (rater, pair.concept, pair.generated.image_id)
        return (self._given[about] or SKIP) if about in self._given else None

    def session(self, rater: str) -> dict[str, Any]:
        """Return what the page needs for `rater`: every pair in the rater's own order, with the answer so far."""
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

    def rate(self, rater: str, key: str, answer: int | str) -> None:
        """Store what `rater` answers, one of SCALE or SKIP, about the pair with the generated picture of that key."""
        pair = self.by_key[key]
        rating = Rating(
            rater,
            pair.concept,
            pair.prompt,
            pair.generated.image_id,
            None if answer == SKIP else int(answer),
            datetime.now(UTC).isoformat(timespec="seconds"),
            str(self.seed),
        )
        self.answers.add([rating])
        self._given[rating.about] = rating.rating


def _refusal(status: type[web.HTTPError], message: str) -> web.HTTPError:
    return status(text=json.dumps({"error": message}), content_type="application/json")


def _rater(given: object) -> str:
    name = unicodedata.normalize("NFC", " ".join(given.split())) if isinstance(given, str) else ""
    if not RATER.fullmatch(name):
        raise _refusal(
            web.HTTPBadRequest,
            "a rater's name is 1 to 60 letters, digits, spaces or . @ _ ' -, a letter or digit first",
        )
    return name


@dataclass(frozen=True)
class Hosts:
    """Names by which a request may ask for this machine. The page of another site can't ask under the site's own name.

    A site may make its name lead to this machine (DNS rebinding). An IP address is not the name of a site.
    """

    names: frozenset[str]
    """In lower case; addresses too, unless any address is accepted."""
    any_address: bool
    """Whether any IP address is accepted."""

    def accept(self, request: web.BaseRequest) -> bool:
        """Whether the Host header of an aiohttp request is one of these."""
        try:
            host = (request.url.host or "").lower().rstrip(".")
        except ValueError:  # not a valid Host header
            return False
        return host in self.names or (self.any_address and is_address(host))

    def __str__(self) -> str:
        """Return the names in words."""
        named = ", ".join(sorted(name for name in self.names if not is_address(name)))
        return f"{named}, or any IP address of it" if self.any_address else named


def hosts_of(host: str, names: Sequence[str] = ()) -> Hosts:
    """Return the Hosts of a server that listens at `host`; `names`: others by which it may be asked for.

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


def _guard(hosts: Hosts) -> Middleware:
    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not hosts.accept(request):
            raise _refusal(
                web.HTTPForbidden, "ask for this page by the address that the server printed, or see its --hostname"
            )
        try:
            return await handler(request)
        except FitError as error:
            print(f"fit: {error}", file=sys.stderr)
            return web.json_response({"error": "this could not be stored or shown; see the server"}, status=500)

    return guard


async def _add_headers(_: web.Request, response: web.StreamResponse) -> None:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)


def _page(name: str) -> Handler:
    path = Path(__file__).with_name("page") / name

    async def show(_: web.Request) -> web.FileResponse:
        return web.FileResponse(path)

    return show


async def _checked_answer(request: web.Request, study: Study) -> tuple[str, str, int | str]:
    """Return (rater, key of the picture, answer) of a request that stores an answer; refuse what is not valid."""
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
        raise _refusal(web.HTTPBadRequest, "this picture is not asked about any more; load the page again")
    if value != SKIP and (type(value) is not int or value not in SCALE):
        raise _refusal(web.HTTPBadRequest, f"answer is one of 1, 2, 3, 4, 5 or {SKIP!r}")
    return rater, key, value


def make_app(study: Study, *, hosts: Hosts) -> web.Application:
    """Make the web application of a Study, for requests that ask for it by one of `hosts`."""

    async def session(request: web.Request) -> web.Response:
        return web.json_response(study.session(_rater(request.query.get("rater"))))

    async def picture(request: web.Request) -> web.Response:
        found = study.pictures.get(request.match_info["key"])
        if found is None:
            raise _refusal(web.HTTPNotFound, "there is no such picture")
        data, media_type = await asyncio.to_thread(_load, found)
        return web.Response(body=data, content_type=media_type)

    async def answer(request: web.Request) -> web.Response:
        rater, key, value = await _checked_answer(request, study)
        # Not in a thread: rows are written one after the other, and a row takes some milliseconds.
        study.rate(rater, key, value)
        return web.json_response({"stored": value})

    app = web.Application(middlewares=[_guard(hosts)], client_max_size=4096)
    app.on_response_prepare.append(_add_headers)
    for path, name in PAGE.items():
        app.router.add_get(path, _page(name))
    app.router.add_get("/session", session)
    app.router.add_get("/pictures/{key}", picture)
    app.router.add_post("/answers", answer)
    return app


async def _serve(app: web.Application, host: str, port: int, started: Callable[[URL], None]) -> None:
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


def serve(study: Study, host: str, port: int, started: Callable[[URL], None], hosts: Hosts) -> None:
    """Serve a Study until Ctrl-C or SIGTERM.

    Args:
        study: to serve.
        host: address or name to listen at.
        port: 0 for any free port.
        started: called with the page's URL as soon as it can be opened.
        hosts: as hosts_of returns them.

    Raises:
        DataError: it can't listen there.
    """
    asyncio.run(_serve(make_app(study, hosts=hosts), host, port, started))
