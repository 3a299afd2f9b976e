"""Asks an Elasticsearch index of captions, such as the ones that AI2's WIMBD hosts, for mentions and documents.

A caption mentions a name where the query `match_phrase` finds it. How captions and names are cut into tokens is decided
by the analyzer of the index, not by `fit.concepts.analyzer`.
"""

import os
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from elastic_transport import Transport
from elasticsearch import ApiError, Elasticsearch, TransportError
from tqdm import tqdm

from fit.captions.phrases import Phrases, normal_forms
from fit.captions.settings import SamplingSettings
from fit.captions.tables import matched_schema
from fit.errors import ConfigError, CorpusError, FitError

URL, CLOUD_ID, API_KEY = "ELASTICSEARCH_URL", "ELASTIC_CLOUD_ID", "ELASTIC_API_KEY"  # environment variables

_TIMEOUT = 120  # seconds
_SEARCHES = 200  # in a request
_PAGE = 5_000  # documents in a response; a server gives at most 10,000 unless told otherwise
_TIES = 100  # documents beyond a sample that are fetched along with it, see _Index.sample
_KEEP_ALIVE = "5m"
_TEXT = ("text", "match_only_text", "annotated_text", "search_as_you_type")
"""Types of field that are cut into tokens. In a keyword, say, `match_phrase` finds nothing but whole captions."""


class _Transport(Transport):
    """Speaks the format of Elasticsearch 8, which servers of versions 8 and 9 know; 8 refuses the client's own, 9's."""

    def perform_request(self, method: str, target: str, *, headers: Any = None, **rest: Any) -> Any:  # type: ignore[override]
        """Send a request, as the client does, in the format of version 8."""
        headers = {
            name: value.replace("compatible-with=9", "compatible-with=8") for name, value in (headers or {}).items()
        }
        return super().perform_request(method, target, headers=headers, **rest)


def connect() -> Elasticsearch:
    """Return a client of the server that the environment names; nothing is asked of the server yet.

    ELASTICSEARCH_URL is its address, or else ELASTIC_CLOUD_ID its deployment in Elastic's cloud. ELASTIC_API_KEY is the
    key (the encoded one, a single word); a server behind a plain address may need none.

    Raises:
        ConfigError: a variable is not set, or not usable.
    """
    url, cloud_id, key = (os.environ.get(name, "").strip() for name in (URL, CLOUD_ID, API_KEY))
    if not url and not cloud_id:
        raise ConfigError(
            f"captions.elasticsearch: no server is named; set the environment variable {URL} (such as "
            f"https://localhost:9200) or {CLOUD_ID}, and {API_KEY} to the key that came with it"
        )
    if not url and not key:
        raise ConfigError(f"captions.elasticsearch: {CLOUD_ID} is set, but no key; set {API_KEY} too")
    try:
        return Elasticsearch(
            hosts=url or None,
            cloud_id=None if url else cloud_id,
            api_key=key or None,
            request_timeout=_TIMEOUT,
            retry_on_timeout=True,
            transport_class=_Transport,
        )
    except ValueError:  # its text may hold the address, which may hold a password
        if url:
            remedy = "give it a scheme, a host and a port, such as https://localhost:9200"
        else:
            remedy = "copy it again from the deployment's page"
        raise ConfigError(
            f"captions.elasticsearch: the environment variable {URL if url else CLOUD_ID} can't be used; {remedy}"
        ) from None


@dataclass(frozen=True)
class IndexCounts:
    """What an index says of some names and concepts."""

    of_names: np.ndarray
    """[names] int64, captions that mention each name."""
    of_concepts: np.ndarray
    """[concepts] int64, captions that mention any name of each concept."""
    documents: int
    """How many the index has."""
    samples: Generator[pa.Table, None, None]
    """Tables of matched captions (fit.captions.tables.matched_schema), one per concept that has some, in order of slug.
    The shard is the index and the document's id, with a slash between them; the row is 0, since an id names one
    document; a missing value is null. Rows are sorted by shard. The generator asks the server as it goes, and so may
    raise what count_documents raises; close it where it is given up."""


def count_documents(
    phrases: Phrases, index: str, sampling: SamplingSettings, seed: int, client: Elasticsearch
) -> IndexCounts:
    """Count the documents whose captions mention each name and each concept, and sample such documents.

    A document's place in a sample depends only on the seed and on where the index keeps the document, so the sample is
    uniform, and the same until documents are written again.

    Args:
        phrases: of the concepts.
        index: name of the index.
        sampling: names the fields, and the largest sample per concept (0: none). The caption's field is a text field; a
            dot leads into an object: `meta.caption`.
        seed: of the samples.
        client: what `connect` returns.

    Raises:
        ConfigError: the server refuses the key.
        CorpusError: the index or a field is missing, or the server can't be reached, or fails.
    """
    asked = _Index(client, index, (sampling.url_column, sampling.caption_column, *sampling.columns))
    with _explained(index):
        types = asked.types_of_fields()
        _check_captions(index, sampling.caption_column, types)
        answer = client.count(index=index)
        _check_whole(index, answer)
        documents = answer["count"]
        of_names, of_concepts = asked.count(phrases)
    is_url_known = sampling.url_column in types
    samples = _samples(asked, phrases, of_concepts, sampling.max_matched_captions, seed, is_url_known)
    return IndexCounts(of_names, of_concepts, documents, samples)


def _reason(error: Any) -> str:
    """Return what the server says is wrong: `error` is its account, mostly a dict."""
    if not isinstance(error, dict):
        return str(error)
    root = (error.get("root_cause") or [error])[0]
    reasons = [account.get("reason") for account in (root, error.get("caused_by") or {})]
    return "; ".join(dict.fromkeys(reason for reason in reasons if reason)) or str(error.get("type"))


def _refusal(index: str, status: int | None, error: Any, about: str = "") -> FitError:
    """Return the error for a request that the server refuses: HTTP status, its account of the error, what was asked."""
    reason = _reason(error)
    if status in (401, 403):
        return ConfigError(
            f"Elasticsearch index {index!r}: the server refuses the key ({reason}); set the environment variable "
            f"{API_KEY} to the encoded form of one that may read this index"
        )
    if isinstance(error, dict) and error.get("type") == "index_not_found_exception":
        return CorpusError(
            f"Elasticsearch index {index!r}: there is no such index; correct `captions.elasticsearch` in config.yaml"
        )
    return CorpusError(
        f"Elasticsearch index {index!r}{about}: the server answers {status}, {reason}; fix what it names, or run again"
    )


@contextmanager
def _explained(index: str) -> Iterator[None]:
    """Turn the client's errors into errors that say what to fix."""
    try:
        yield
    except ApiError as error:
        account = error.body.get("error", error.body) if isinstance(error.body, dict) else error.body
        raise _refusal(index, error.meta.status, account or error.message) from None
    except TransportError as error:
        raise CorpusError(
            f"Elasticsearch index {index!r}: the server can't be reached ({error}); check that it runs, and correct "
            f"the environment variable {URL} or {CLOUD_ID}"
        ) from None


def _check_whole(index: str, answer: Any, about: str = "") -> None:
    """Raise CorpusError where part of the index did not answer; the server counts what did, as if that were all."""
    shards = answer.get("_shards", {})
    if answer.get("timed_out") or shards.get("failed"):
        failures = shards.get("failures")
        reason = _reason(failures[0].get("reason")) if failures else "out of time"
        raise CorpusError(
            f"Elasticsearch index {index!r}{about}: part of the index did not answer ({reason}); run again, or ask "
            "whoever keeps the server"
        )


def _check_captions(index: str, caption_field: str, types: dict[str, list[str]]) -> None:
    """Raise CorpusError where the field is missing or is not text."""
    remedy = "say which one holds the captions under `captions` in config.yaml"
    if caption_field not in types:
        raise CorpusError(
            f"Elasticsearch index {index!r}: no field {caption_field!r}; it has {', '.join(sorted(types)) or 'none'}; "
            f"{remedy}"
        )
    for kind in types[caption_field]:
        if kind not in _TEXT:
            texts = [name for name, kinds in types.items() if set(kinds) <= set(_TEXT)]
            raise CorpusError(
                f"Elasticsearch index {index!r}: field {caption_field!r} is {kind}, not text, so no phrase is found "
                f"inside it; text is in {', '.join(sorted(texts)) or 'no field'}; {remedy}"
            )


def _mention(field: str, names: Iterable[str]) -> dict[str, Any]:
    """Return the query for documents whose `field` mentions any of `names`, composed or decomposed."""
    forms = dict.fromkeys(form for name in names for form in normal_forms(name))
    queries: list[dict[str, Any]] = [{"match_phrase": {field: {"query": form}}} for form in forms]
    return queries[0] if len(queries) == 1 else {"bool": {"should": queries, "minimum_should_match": 1}}


def _names_of(phrases: Phrases) -> list[tuple[int, ...]]:
    """Return each concept's names, as indices."""
    return [tuple(np.flatnonzero(phrases.concept_of == index).tolist()) for index in range(len(phrases.concepts))]


@dataclass(frozen=True)
class _Index:
    """An index that is asked."""

    client: Elasticsearch
    name: str
    fields: Sequence[str]
    """Of addresses, of captions, and the others that are carried along."""

    def types_of_fields(self) -> dict[str, list[str]]:
        """Return name -> types of the fields of documents: several types where several indices have the name."""
        # The mapping says the same, but a key that may only read does not get to see it.
        found = self.client.field_caps(index=self.name, fields="*", allow_no_indices=False)["fields"]
        return {
            name: list(types)
            for name, types in found.items()
            if not any(about.get("metadata_field") or kind in ("object", "nested") for kind, about in types.items())
        }

    def count(self, phrases: Phrases) -> tuple[np.ndarray, np.ndarray]:
        """Return of_names and of_concepts, see IndexCounts."""
        names_of = _names_of(phrases)
        # Of a concept with a single name, what is asked for the name and for the concept is the same.
        asked = list(dict.fromkeys(names for all_of in names_of for names in [*((name,) for name in all_of), all_of]))
        counts: dict[tuple[int, ...], int] = {}
        concepts = set(names_of)
        with tqdm(total=len(names_of), desc="counting", unit="concept", mininterval=2) as progress:
            for start in range(0, len(asked), _SEARCHES):
                chunk = asked[start : start + _SEARCHES]
                searches: list[dict[str, Any]] = []
                for names in chunk:
                    query = _mention(self.fields[1], [phrases.names[name] for name in names])
                    searches += [{}, {"query": query, "size": 0, "track_total_hits": True}]
                answers = self.client.msearch(index=self.name, searches=searches)["responses"]
                for names, answer in zip(chunk, answers, strict=True):
                    about = f", {' or '.join(repr(phrases.names[name]) for name in names)}"
                    if "error" in answer:
                        raise _refusal(self.name, answer.get("status"), answer["error"], about)
                    _check_whole(self.name, answer, about)
                    counts[names] = answer["hits"]["total"]["value"]
                progress.update(len(concepts.intersection(chunk)))
        of_names = np.array([counts[(name,)] for name in range(len(phrases.names))], np.int64)
        return of_names, np.array([counts[names] for names in names_of], np.int64)

    @contextmanager
    def view(self) -> Iterator[dict[str, str]]:
        """Yield a point in time: all pages are read from the index as it is now, whatever is written to it meanwhile.

        Its id is replaced by the newest one as it is used.
        """
        with _explained(self.name):
            opened = self.client.open_point_in_time(index=self.name, keep_alive=_KEEP_ALIVE)
        view = {"id": opened["id"], "keep_alive": _KEEP_ALIVE}
        try:
            yield view
        finally:
            with suppress(ApiError, TransportError):  # it would end by itself, and another error says more
                self.client.close_point_in_time(id=view["id"])

    def pages(
        self, view: dict[str, str], query: dict[str, Any], sort: list[dict[str, str]], size: int
    ) -> Iterator[list[dict[str, Any]]]:
        """Yield the documents that `query` finds, in the order of `sort`: up to `size` at a time."""
        after = None
        while True:
            answer = self.client.search(
                pit=view,
                query=query,
                sort=sort,
                size=size,
                search_after=after,
                source=list(self.fields),  # type: ignore[arg-type]
                track_total_hits=False,
            )
            _check_whole(self.name, answer)
            view["id"] = answer.get("pit_id", view["id"])
            page = answer["hits"]["hits"]
            if page:
                yield page
            if len(page) < size:
                return
            after = page[-1]["sort"]

    def all_of(self, view: dict[str, str], query: dict[str, Any], largest: int) -> list[dict[str, Any]]:
        """Return the documents that `query` finds; more than `largest` only if some came after they were counted."""
        found = [document for page in self.pages(view, query, [{"_shard_doc": "asc"}], _PAGE) for document in page]
        return found[:largest]

    def sample(self, view: dict[str, str], query: dict[str, Any], size: int, seed: int) -> list[dict[str, Any]]:
        """Return `size` of the documents that `query` finds: the ones with the largest random scores."""
        # The field is what makes a document's score depend on nothing but the document and the seed.
        score = {"seed": seed, "field": "_seq_no"}
        scored = {"function_score": {"query": query, "random_score": score, "boost_mode": "replace"}}
        sort = [{"_score": "desc"}, {"_shard_doc": "asc"}]
        found: list[dict[str, Any]] = []
        # Scores have 24 bits, so documents may have the same, and which of them comes first differs between copies of a
        # shard. All that have the smallest score of the sample are looked at, and their ids decide.
        for page in self.pages(view, scored, sort, min(_PAGE, size + _TIES)):
            found += page
            if len(found) > size and found[-1]["sort"][0] < found[size - 1]["sort"][0]:
                break
        return sorted(found, key=lambda document: (-document["sort"][0], document["_id"]))[:size]


def _samples(
    index: _Index, phrases: Phrases, of_concepts: np.ndarray, largest: int, seed: int, is_url_known: bool
) -> Generator[pa.Table, None, None]:
    """Yield the samples of IndexCounts, of up to `largest` documents each."""
    names_of = _names_of(phrases)
    found = [concept for concept in np.argsort(phrases.concepts).tolist() if of_concepts[concept]]
    if not found or largest <= 0:
        return
    with index.view() as view:
        for concept in tqdm(found, desc="sampling", unit="concept", mininterval=2):
            query = _mention(index.fields[1], [phrases.names[name] for name in names_of[concept]])
            with _explained(index.name):
                if of_concepts[concept] > largest:
                    documents = index.sample(view, query, largest, seed)
                else:
                    documents = index.all_of(view, query, largest)
            if documents:
                yield _table(phrases.concepts[concept], index, documents, is_url_known)


def _value(document: dict[str, Any], field: str) -> str | None:
    """Return the text of a field, if any; a document has a field a.b as {"a.b": ...} or {"a": {"b": ...}}."""
    if field not in document:
        outer, _, inner = field.partition(".")
        within = document.get(outer)
        return _value(within, inner) if inner and isinstance(within, dict) else None
    value = document[field]
    # JSON may hold half a surrogate pair, which is not valid text.
    return None if value is None else str(value).encode(errors="replace").decode()


def _table(slug: str, index: _Index, documents: list[dict[str, Any]], is_url_known: bool) -> pa.Table:
    """Return the matched captions of a concept.

    Raises:
        CorpusError: no document has a caption, or none has an address and the index does not know the field.
    """
    rows = sorted((f"{index.name}/{document['_id']}", document.get("_source") or {}) for document in documents)
    columns = [[_value(document, field) for _, document in rows] for field in index.fields]
    for field, column, is_known in zip(index.fields, columns, (is_url_known, False), strict=False):
        if not is_known and not any(value is not None for value in column):
            had = sorted({key for _, document in rows for key in document})
            raise CorpusError(
                f"Elasticsearch index {index.name!r}: the documents that mention {slug!r} come without {field!r}, with "
                f"{', '.join(had) or 'nothing'}; say which field holds what under `captions` in config.yaml, a field "
                "itself rather than a part or an alias of it"
            )
    schema = matched_schema(index.fields[2:])
    places = [[slug] * len(rows), [shard for shard, _ in rows], [0] * len(rows)]
    arrays = [pa.array(column, kind) for column, kind in zip([*places, *columns], schema.types, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)
