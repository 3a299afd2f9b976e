"""A stand-in for an Elasticsearch server with an index of captions."""

import json
import random
import re
from hashlib import blake2b
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

from captions_reference import tokens

ERRORS = {400: "parsing_exception", 401: "security_exception", 403: "security_exception", 500: "some_exception"}


def documents():
    """A few hundred, as the index keeps them: {"_id", "_source"}."""
    choose = random.Random(0)
    mentioned = [
        "Ann Lee",
        "ann  lee",
        "A. LEE",
        "Lee, Ann",
        "Mary Ann Lee",
        "georgia o'keeffe",
        "O'Keeffe",
        "ÉMILE ERNST",
    ]
    others = ["Ann Lee's", "ann_lee", "Joann Lee", "Georgia O'Keeffe's", "Emile Ernst", "Lee Ann", "", "a Lee"]
    found = []
    for number in range(400):
        name = choose.choice(mentioned if number % 3 else others)
        source = {"text": f"{choose.choice(['a harbour', 'Bäume', '静物'])} by {name}; {number}"}
        source |= {"address": f"https://example.org/{number}.jpg", "meta": {"pwatermark": number / 400}}
        if number % 2:
            source["license"] = "cc"
        found.append({"_id": f"doc-{number}", "_source": source})
    return found


class StandIn(ThreadingHTTPServer):
    """Answers the requests that `count_documents` makes, as Elasticsearch does, and refuses whatever it does not know.

    Points in time get a new id with every response, and older ids no longer work. Each keeps documents in an order of
    its own, as copies of a shard may. Random scores have 6 bits, so that many documents have the same.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.documents = documents()
        self.tokens = [tokens(document["_source"]["text"]) for document in self.documents]
        self.found: dict[str, set[int]] = {}  # phrase -> places of documents
        self.types = {"text": "text", "address": "keyword", "license": "keyword", "meta": "object"}
        self.types |= {"meta.pwatermark": "float", "_id": "_id"}
        self.versions = (8, 9)
        self.key = None
        self.views: dict[str, list[int]] = {}
        self.views_opened = 0
        self.searches = 0
        self.searches_before_failure = None
        self.unsearchable = None  # a phrase
        self.shards_failed = 0
        self.requested: list[tuple[str, dict]] = []
        self.sizes: list[int] = []  # of pages

    @property
    def shards(self):
        failures = [{"shard": 1, "reason": {"type": "some_exception", "reason": "a disk is gone"}}] * self.shards_failed
        return {
            "total": 2,
            "successful": 2 - len(failures),
            "skipped": 0,
            "failed": len(failures),
            "failures": failures,
        }

    def scores(self, query, number):
        """The document's score, or None where the query does not find it."""
        ((kind, body),) = query.items()
        if kind == "bool":
            assert set(body) == {"should", "minimum_should_match"} and body["minimum_should_match"] == 1
            found = [self.scores(each, number) for each in body["should"]]
            return max((score for score in found if score), default=None)
        if kind == "function_score":
            assert set(body) == {"query", "random_score", "boost_mode"} and body["boost_mode"] == "replace"
            assert body["random_score"]["field"] == "_seq_no"
            key = f"{body['random_score']['seed']} {number}".encode()
            return self.scores(body["query"], number) and blake2b(key, digest_size=1).digest()[0] % 64 / 64
        ((field, phrase),) = query["match_phrase"].items()
        assert field == "text"
        if phrase["query"] == self.unsearchable:
            raise RefusedError(400, "the phrase is odd")
        if phrase["query"] not in self.found:
            wanted = tokens(phrase["query"])
            self.found[phrase["query"]] = {
                document
                for document, caption in enumerate(self.tokens)
                if any(caption[start : start + len(wanted)] == wanted for start in range(len(caption)))
            }
        return 1.5 if number in self.found[phrase["query"]] else None


class RefusedError(Exception):
    def __init__(self, status, reason, kind=None):
        super().__init__(reason)
        account = {"type": kind or ERRORS[status], "reason": reason}
        self.status, self.body = status, {"error": {"root_cause": [account], **account}, "status": status}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body in one packet: no waiting for an acknowledgement in between

    def log_message(self, *_):
        pass

    def answer(self):
        address = urlsplit(self.path)
        lines = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode().splitlines()
        bodies = [json.loads(line) for line in lines]
        self.server.requested.append((f"{self.command} {address.path}", parse_qs(address.query)))
        version = re.search(r"vnd.elasticsearch\+json; ?compatible-with=(\d+)", self.headers["Accept"])
        version = int(version[1]) if version else None
        try:
            if version not in self.server.versions:
                raise RefusedError(400, "Invalid media-type value on headers", "media_type_header_exception")
            if self.server.key and self.headers.get("Authorization") != f"ApiKey {self.server.key}":
                raise RefusedError(401, "unable to authenticate")
            status, body = 200, self.dispatch(unquote(address.path), bodies, parse_qs(address.query))
        except RefusedError as refused:
            status, body = refused.status, refused.body
        except Exception as error:  # a bug of the tests or of what they test: say it, rather than hang up
            status, body = 500, RefusedError(500, f"stand-in: {error!r}").body
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("X-Elastic-Product", "Elasticsearch")
        self.send_header("Content-Type", f"application/vnd.elasticsearch+json;compatible-with={version or 9}")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_DELETE = answer  # noqa: N815

    def dispatch(self, path, bodies, parameters):
        *index, endpoint = path.strip("/").split("/")
        if index and index != ["captions"]:
            raise RefusedError(404, f"no such index [{index[0]}]", "index_not_found_exception")
        ask = {
            "POST _field_caps": self.field_caps,
            "POST _count": self.count,
            "POST _msearch": self.msearch,
            "POST _pit": self.open_view,
            "POST _search": self.search,
            "DELETE _pit": self.close_view,
        }[f"{self.command} {endpoint}"]
        assert bool(index) == (endpoint != "_search" and self.command == "POST")
        return ask(bodies, parameters)

    def field_caps(self, bodies, _):
        assert bodies == [{"fields": "*"}] or not bodies
        fields = {
            name: {kind: {"type": kind, "metadata_field": name.startswith("_"), "searchable": True}}
            for name, kind in self.server.types.items()
        }
        return {"indices": ["captions"], "fields": fields}

    def count(self, bodies, _):
        return {"count": len(self.server.documents), "_shards": self.server.shards}

    def msearch(self, lines, _):
        responses = []
        for header, body in zip(lines[::2], lines[1::2], strict=True):
            assert header == {} and set(body) == {"query", "size", "track_total_hits"}
            assert body["size"] == 0 and body["track_total_hits"] is True
            try:
                found = [self.server.scores(body["query"], n) for n in range(len(self.server.documents))]
            except RefusedError as refused:
                responses.append(refused.body)
                continue
            total = {"value": sum(score is not None for score in found), "relation": "eq"}
            hits = {"total": total, "max_score": None, "hits": []}
            responses.append({"timed_out": False, "_shards": self.server.shards, "hits": hits, "status": 200})
        return {"took": 1, "responses": responses}

    def new_id(self, order):
        self.server.views_opened += 1
        self.server.views[f"view-{self.server.views_opened}"] = order
        return f"view-{self.server.views_opened}"

    def open_view(self, _, parameters):
        assert parameters["keep_alive"] == ["5m"]
        order = list(range(len(self.server.documents)))
        random.Random(self.server.views_opened).shuffle(order)
        return {"id": self.new_id(order), "_shards": self.server.shards}

    def close_view(self, bodies, _):
        return {"succeeded": self.server.views.pop(bodies[0]["id"], None) is not None, "num_freed": 1}

    def search(self, bodies, _):
        server, (body,) = self.server, bodies
        known = {"query", "pit", "sort", "size", "search_after", "_source", "track_total_hits"}
        assert set(body) <= known and body["size"] <= 10_000 and body["pit"]["keep_alive"] == "5m"
        server.searches += 1
        if server.searches_before_failure is not None and server.searches > server.searches_before_failure:
            raise RefusedError(500, "the node fell over")
        if body["pit"]["id"] not in server.views:
            raise RefusedError(404, f"no search context [{body['pit']['id']}]", "search_context_missing_exception")
        order = server.views.pop(body["pit"]["id"])
        by_score = [next(iter(key.items())) for key in body["sort"]] == [("_score", "desc"), ("_shard_doc", "asc")]
        assert by_score or body["sort"] == [{"_shard_doc": "asc"}]
        hits = []
        for place, number in enumerate(order):
            if (score := server.scores(body["query"], number)) is not None:
                document = server.documents[number]
                source = {
                    k: v
                    for k, v in document["_source"].items()
                    if any(k == f.partition(".")[0] for f in body["_source"])
                }
                sort = [score, place] if by_score else [place]
                hits.append({"_index": "captions", "_id": document["_id"], "_source": source, "sort": sort})

        def place_of(sort):
            return (-sort[0], sort[1]) if by_score else (sort[0],)

        hits.sort(key=lambda hit: place_of(hit["sort"]))
        if "search_after" in body:
            hits = [hit for hit in hits if place_of(hit["sort"]) > place_of(body["search_after"])]
        page = hits[: body["size"]]
        server.sizes.append(len(page))
        return {"pit_id": self.new_id(order), "timed_out": False, "_shards": server.shards, "hits": {"hits": page}}
