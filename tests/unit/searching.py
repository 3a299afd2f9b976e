"""Searches for references in tests: a service on this machine, and what the real ones answer."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qsl, urlsplit

from fit.concepts.sheet import Concept
from fit.images.settings import FetchSettings

KEY = "0123456789abcdef0123456789abcdef"
SETTINGS = FetchSettings(connect_timeout_s=2.0, total_timeout_s=5.0, retries=1, allow_loopback=True)
PICASSO = Concept("pablo-picasso", "Pablo Picasso")

NO_RESULTS = {
    "search_metadata": {"status": "Success"},
    "search_information": {"images_results_state": "Fully empty"},
    "error": "Google hasn't returned any results for this query.",
}


class Service:
    """A web service on 127.0.0.1 within `with`.

    Attributes:
        answer: called with (path, query dict) for each request; returns what is sent: bytes, or something that becomes
            JSON, or (HTTP status, one of these).
        requests: (path, query dict) of each, as they came.
    """

    def __init__(self):
        self.answer = lambda path, query: (404, b"")
        self.requests = []

    def __enter__(self):
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                parts = urlsplit(self.path)
                pairs = parse_qsl(parts.query, keep_blank_values=True)
                service.requests.append((parts.path, dict(pairs)))
                assert len(pairs) == len(dict(pairs)), "a parameter came twice"
                answer = service.answer(*service.requests[-1])
                status, body = answer if isinstance(answer, tuple) else (200, answer)
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)


def results(*links):
    """A page of serpapi.com."""
    return {
        "search_metadata": {"status": "Success", "id": "1"},
        "images_results": [
            {"position": i, "thumbnail": "https://t/", "original": link} for i, link in enumerate(links)
        ],
    }


def pages(*of_links):
    """An `answer` of serpapi.com that has these pages and no more."""
    return lambda path, query: (
        results(*of_links[int(query["ijn"])]) if int(query["ijn"]) < len(of_links) else NO_RESULTS
    )


def work(image):
    """A work as wikiart.org lists it."""
    return {
        "title": "Picador",
        "contentId": 224238,
        "artistName": "Picasso Pablo",
        "completitionYear": 1900,
        "yearAsString": "1900",
        "width": 810,
        "image": image,
        "height": 1280,
    }


def always(answer):
    return lambda path, query: answer


def files(folder):
    return [path for path in folder.rglob("*") if path.is_file()]
