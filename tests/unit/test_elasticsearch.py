import json
import random
import re
import socket
import threading
from hashlib import blake2b
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from captions_reference import mentions, tokens

from fit.captions import elasticsearch as module
from fit.captions.analyzer import Analyzer
from fit.captions.elasticsearch import connect, count_index
from fit.captions.phrases import Phrases
from fit.concepts.sheet import Concept
from fit.errors import ConfigError, CorpusError

CONCEPTS = [
    Concept("okeeffe", "Georgia O'Keeffe", ("O'Keeffe",)),
    Concept("ann-lee", "Ann Lee", ("A. Lee", "Lee, Ann")),
    Concept("ernst", "Émile Ernst"),
    Concept("nobody", "Nobody Whatsoever"),
    Concept("mary-ann-lee", "Mary Ann Lee"),
]
MANY = "ann-lee"  # the concept that most documents mention
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
    """Answers those requests that `count_index` makes, as Elasticsearch does, and refuses whatever it does not know.

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


@pytest.fixture
def server(monkeypatch):
    for name in ("ELASTICSEARCH_URL", "ELASTIC_CLOUD_ID", "ELASTIC_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    stand_in = StandIn()
    threading.Thread(target=stand_in.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    monkeypatch.setenv("ELASTICSEARCH_URL", f"http://127.0.0.1:{stand_in.server_port}")
    yield stand_in
    stand_in.shutdown()
    stand_in.server_close()


def count(index="captions", max_matched_captions=1_000, seed=7, **changed):
    asked = {"caption_field": "text", "url_field": "address", "other_fields": ["meta.pwatermark", "license"]} | changed
    phrases = Phrases.of(CONCEPTS, Analyzer())
    with connect() as client:
        of_names, of_concepts, total, hits = count_index(
            phrases, index, **asked, max_matched_captions=max_matched_captions, seed=seed, client=client
        )
        tables = {table["concept"][0].as_py(): table for table in hits}
    return phrases, of_names, of_concepts, total, tables


def sample(**asked):
    """The documents sampled for MANY, a list of shards."""
    return count(**asked)[-1][MANY]["shard"].to_pylist()


def mentioning(concept):
    """What the reference says: documents that mention the concept."""
    names = {concept.slug: concept.names}
    return [document for document in documents() if mentions(document["_source"]["text"], names)]


@pytest.mark.parametrize("in_a_request", [200, 2])
def test_counts_are_those_of_the_reference_and_aliases_are_united(server, monkeypatch, in_a_request):
    monkeypatch.setattr(module, "_SEARCHES", in_a_request)
    phrases, of_names, of_concepts, total, _ = count(max_matched_captions=0)
    expected = [len(mentioning(Concept("one", name))) for name in phrases.names]
    assert of_names.tolist() == expected and len(expected) == 8
    assert of_concepts.tolist() == [len(mentioning(concept)) for concept in CONCEPTS]
    assert total == 400
    assert of_concepts[0] == of_names[1] > of_names[0] > 0  # a caption that has both names counts once
    assert of_concepts[3] == 0


def test_without_hits_nothing_is_sampled(server):
    assert count(max_matched_captions=0)[-1] == {}
    assert not any("_pit" in path or "_search" in path.split("/") for path, _ in server.requested)


@pytest.mark.parametrize("page", [5_000, 7])
def test_all_documents_are_hits_where_they_are_few(server, monkeypatch, page):
    monkeypatch.setattr(module, "_PAGE", page)
    tables = count()[-1]
    assert list(tables) == ["ann-lee", "ernst", "mary-ann-lee", "okeeffe"]
    for concept in CONCEPTS:
        expected = sorted(mentioning(concept), key=lambda document: f"captions/{document['_id']}")
        rows = tables[concept.slug].to_pylist() if expected else []
        assert rows == [
            {
                "concept": concept.slug,
                "shard": f"captions/{document['_id']}",
                "row": 0,
                "url": document["_source"]["address"],
                "caption": document["_source"]["text"],
                "meta.pwatermark": str(document["_source"]["meta"]["pwatermark"]),
                "license": document["_source"].get("license"),
            }
            for document in expected
        ]
    assert max(server.sizes) <= page
    assert {str(kind) for table in tables.values() for kind in table.schema.types} == {"string", "int64"}


def test_a_concept_with_just_as_many_documents_as_hits_has_them_all(server):
    many = len(mentioning(CONCEPTS[1]))
    assert len(sample(max_matched_captions=many)) == many
    assert len(sample(max_matched_captions=many - 1)) == many - 1


def test_a_sample_is_the_same_every_time_and_differs_between_seeds(server):
    expected = sample(max_matched_captions=60)
    assert sample(max_matched_captions=60) == expected == sorted(expected)
    assert len(set(expected)) == 60
    assert set(expected) < {f"captions/{document['_id']}" for document in mentioning(CONCEPTS[1])}
    assert sample(max_matched_captions=60, seed=8) != expected
    assert not server.views


@pytest.mark.parametrize("most", [58, 60, 61])
def test_a_sample_is_the_same_where_a_page_ends_amid_documents_of_the_same_score(server, monkeypatch, most):
    # Each point in time has those documents in another order.
    expected = sample(max_matched_captions=most)
    monkeypatch.setattr(module, "_PAGE", most)
    assert sample(max_matched_captions=most) == expected


def test_a_sample_is_not_the_first_documents(server):
    places = [f"captions/{document['_id']}" for document in mentioning(CONCEPTS[1])]
    chosen = [places.index(shard) for shard in sample(max_matched_captions=60)]
    assert len(places) > 120
    assert min(chosen) < len(places) // 4 and max(chosen) >= len(places) * 3 // 4


def test_a_smaller_sample_is_part_of_a_larger_one(server):
    assert set(sample(max_matched_captions=20)) < set(sample(max_matched_captions=60))


@pytest.mark.parametrize("version", [8, 9])
def test_servers_of_both_versions_are_spoken_to(server, version):
    server.versions = (7, 8) if version == 8 else (8, 9)
    assert count(max_matched_captions=0)[3] == 400


def test_the_point_in_time_is_closed_at_the_end(server):
    count()
    assert server.views == {}
    assert server.requested[-1][0] == "DELETE /_pit"


def test_the_point_in_time_is_closed_after_an_error_mid_way(server, monkeypatch):
    monkeypatch.setattr(module, "_PAGE", 7)
    server.searches_before_failure = 3
    with pytest.raises(CorpusError, match=r"'captions'.*500, the node fell over.*run again"):
        count()
    assert server.searches == 4
    assert server.views == {}


def test_the_point_in_time_is_closed_where_the_hits_are_given_up(server):
    with connect() as client:
        *_, hits = count_index(
            Phrases.of(CONCEPTS, Analyzer()),
            "captions",
            caption_field="text",
            url_field="address",
            other_fields=[],
            max_matched_captions=9,
            seed=1,
            client=client,
        )
        assert next(hits).num_rows == 9
        assert len(server.views) == 1
        hits.close()
    assert server.views == {}


def test_half_of_a_surrogate_pair_is_replaced(server):
    first = next(d for d in server.documents if mentions(d["_source"]["text"], {MANY: CONCEPTS[1].names}))
    first["_source"]["license"] = "a\ud83d"
    assert "a?" in count()[-1][MANY]["license"].to_pylist()


def test_an_index_that_is_missing_is_named(server):
    with pytest.raises(CorpusError, match=r"'laion'.*no such index.*`captions\.elasticsearch`"):
        count(index="laion")


def test_a_key_that_the_server_refuses_is_named(server, monkeypatch):
    server.key = "right"
    monkeypatch.setenv("ELASTIC_API_KEY", "right")
    assert count(max_matched_captions=0)[3] == 400
    monkeypatch.setenv("ELASTIC_API_KEY", "wrong")
    with pytest.raises(ConfigError, match=r"unable to authenticate.*ELASTIC_API_KEY") as caught:
        count()
    assert "wrong" not in str(caught.value)


def test_a_server_that_is_down_is_said_to_be(server, monkeypatch):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("ELASTICSEARCH_URL", f"http://127.0.0.1:{unused.getsockname()[1]}")
        with pytest.raises(CorpusError, match=r"can't be reached.*ELASTICSEARCH_URL"):
            count()


def test_a_caption_field_that_is_missing_is_told_with_those_there_are(server):
    fields = r"'caption'; it has address, license, meta\.pwatermark, text; say which .* `captions`"
    with pytest.raises(CorpusError, match=fields):
        count(caption_field="caption")


def test_a_caption_field_that_is_no_text_is_refused(server):
    with pytest.raises(CorpusError, match=r"'license' is keyword.*text is in text;"):
        count(caption_field="license")


def test_an_address_field_that_no_document_has_is_told(server):
    with pytest.raises(CorpusError, match=r"'ann-lee' come without 'url', with license, meta, text"):
        count(url_field="url")


def test_a_search_that_the_server_refuses_is_named(server):
    server.unsearchable = "Émile Ernst"
    with pytest.raises(CorpusError, match=r"'captions', 'Émile Ernst'.*400, the phrase is odd"):
        count()


def test_a_count_of_part_of_the_index_is_refused(server):
    server.shards_failed = 1
    with pytest.raises(CorpusError, match=r"'captions'.*part of the index did not answer \(a disk is gone\)"):
        count()


def test_an_environment_that_names_no_server_is_told_what_to_set(server, monkeypatch):
    monkeypatch.setenv("ELASTICSEARCH_URL", "")
    with pytest.raises(ConfigError, match=r"ELASTICSEARCH_URL.*ELASTIC_CLOUD_ID.*ELASTIC_API_KEY"):
        connect()
    monkeypatch.setenv("ELASTIC_CLOUD_ID", "not-an-id")
    with pytest.raises(ConfigError, match=r"ELASTIC_CLOUD_ID is set.*ELASTIC_API_KEY"):
        connect()
    monkeypatch.setenv("ELASTIC_API_KEY", "key")
    with pytest.raises(ConfigError, match=r"ELASTIC_CLOUD_ID can't be used"):
        connect()


def test_an_address_that_is_none_is_told_without_its_password(server, monkeypatch):
    monkeypatch.setenv("ELASTICSEARCH_URL", "me:secret@localhost")
    with pytest.raises(ConfigError, match=r"ELASTICSEARCH_URL can't be used.*scheme") as caught:
        connect()
    assert "secret" not in str(caught.value)
