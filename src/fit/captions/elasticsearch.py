"""Counts mentions in an Elasticsearch index of captions, such as AI2's WIMBD hosts, and samples the documents behind.

A caption mentions a name where the query `match_phrase` finds it. How captions and names are cut into tokens is decided
by the analyzer of the index, not by `fit.captions.analyzer`.
"""

import os
from contextlib import contextmanager, suppress

import numpy as np
import pyarrow as pa
from elastic_transport import Transport
from elasticsearch import ApiError, Elasticsearch, TransportError
from tqdm import tqdm

from fit.captions.phrases import normal_forms
from fit.errors import ConfigError, CorpusError

URL, CLOUD_ID, API_KEY = "ELASTICSEARCH_URL", "ELASTIC_CLOUD_ID", "ELASTIC_API_KEY"  # environment variables

_TIMEOUT = 120  # seconds
_SEARCHES = 200  # in a request
_PAGE = 5_000  # documents in a response; a server gives at most 10,000 unless told otherwise
_TIES = 100  # documents beyond a sample that are fetched along with it, see _sample
_KEEP_ALIVE = "5m"
_TEXT = ("text", "match_only_text", "annotated_text", "search_as_you_type")
"""Types of field that are cut into tokens. In a keyword, say, `match_phrase` finds nothing but whole captions."""


class _Transport(Transport):
    """Speaks the format of Elasticsearch 8, which servers of versions 8 and 9 know; 8 refuses the client's own, 9's."""

    def perform_request(self, method, target, *, headers=None, **rest):
        headers = {
            name: value.replace("compatible-with=9", "compatible-with=8") for name, value in (headers or {}).items()
        }
        return super().perform_request(method, target, headers=headers, **rest)


def connect():
    """A client of the server that the environment names; nothing is asked of the server yet.

    ELASTICSEARCH_URL is its address, or else ELASTIC_CLOUD_ID its deployment in Elastic's cloud. ELASTIC_API_KEY is the
    key (the encoded one, a single word); a server behind a plain address may need none.

    Returns:
        elasticsearch.Elasticsearch.

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
            remedy = "copy it anew from the deployment's page"
        raise ConfigError(
            f"captions.elasticsearch: the environment variable {URL if url else CLOUD_ID} can't be used; {remedy}"
        ) from None


def count_index(phrases, index, *, caption_field, url_field, other_fields, max_matched_captions, seed, client):
    """Count the documents whose captions mention each name and each concept, and sample such documents.

    A document's place in a sample depends only on the seed and on where the index keeps the document, so the sample is
    uniform, and the same until documents are written anew.

    Args:
        phrases: fit.captions.phrases.Phrases.
        index: name of the index.
        caption_field: the text field that holds captions. A dot leads into an object: `meta.caption`.
        url_field: the field that holds addresses.
        other_fields: list of fields that are carried along.
        max_matched_captions: largest sample per concept, in documents; 0: none.
        seed: int.
        client: what `connect` returns.

    Returns:
        (of_names, of_concepts, documents, hits): [names] int64, captions that mention each name; [concepts] int64,
        captions that mention any name of each concept; int, documents in the index; a generator of Arrow tables, one
        per concept that has hits, in sorted order of slug. Their columns: concept, shard (the index and the document's
        id, between them a slash), row (int64; 0, since an id names one document), url, caption, and `other_fields`;
        strings, null where missing. Rows are sorted by shard. The generator asks the server as it goes and raises the
        same errors; close it where it is given up.

    Raises:
        ConfigError: the server refuses the key.
        CorpusError: the index or a field is missing, or the server can't be reached, or fails.
    """
    with _explained(index):
        fields = _fields(client, index)
        _check_captions(index, caption_field, fields)
        answer = client.count(index=index)
        _check_whole(index, answer)
        documents = answer["count"]
        of_names, of_concepts = _count(client, phrases, index, caption_field)
    columns = [url_field, caption_field, *other_fields]
    hits = _hits(client, phrases, index, columns, of_concepts, max_matched_captions, seed, url_field in fields)
    return of_names, of_concepts, documents, hits


def _reason(error):
    """What the server says is wrong: `error` is its account, mostly a dict."""
    if not isinstance(error, dict):
        return str(error)
    root = (error.get("root_cause") or [error])[0]
    reasons = [account.get("reason") for account in (root, error.get("caused_by") or {})]
    return "; ".join(dict.fromkeys(reason for reason in reasons if reason)) or str(error.get("type"))


def _refusal(index, status, error, about=""):
    """The FitError for a request that the server refuses: HTTP status, its account of the error, what was asked."""
    reason = _reason(error)
    if status in (401, 403):
        return ConfigError(
            f"Elasticsearch index {index!r}: the server refuses the key ({reason}); set the environment variable "
            f"{API_KEY} to the encoded form of one that may read this index"
        )
    if isinstance(error, dict) and error.get("type") == "index_not_found_exception":
        return CorpusError(
            f"Elasticsearch index {index!r}: there is no such index; mend `captions.elasticsearch` in config.yaml"
        )
    return CorpusError(
        f"Elasticsearch index {index!r}{about}: the server answers {status}, {reason}; mend what it names, or run again"
    )


@contextmanager
def _explained(index):
    """Turn the client's errors into those that say what to mend."""
    try:
        yield
    except ApiError as error:
        account = error.body.get("error", error.body) if isinstance(error.body, dict) else error.body
        raise _refusal(index, error.meta.status, account or error.message) from None
    except TransportError as error:
        raise CorpusError(
            f"Elasticsearch index {index!r}: the server can't be reached ({error}); see whether it runs, and mend the "
            f"environment variable {URL} or {CLOUD_ID}"
        ) from None


def _check_whole(index, answer, about=""):
    """Raise CorpusError where part of the index did not answer; the server counts what did, as if that were all."""
    shards = answer.get("_shards", {})
    if answer.get("timed_out") or shards.get("failed"):
        failures = shards.get("failures")
        reason = _reason(failures[0].get("reason")) if failures else "out of time"
        raise CorpusError(
            f"Elasticsearch index {index!r}{about}: part of the index did not answer ({reason}); run again, or ask "
            "whoever keeps the server"
        )


def _fields(client, index):
    """The fields of documents, name -> list of types: more than one where several indices go by the name `index`."""
    # The mapping says the same, but a key that may only read does not get to see it.
    found = client.field_caps(index=index, fields="*", allow_no_indices=False)["fields"]
    return {
        name: list(types)
        for name, types in found.items()
        if not any(about.get("metadata_field") or kind in ("object", "nested") for kind, about in types.items())
    }


def _check_captions(index, caption_field, fields):
    """Raise CorpusError where the field is missing or is no text."""
    remedy = "say which one holds the captions under `captions` in config.yaml"
    if caption_field not in fields:
        raise CorpusError(
            f"Elasticsearch index {index!r}: no field {caption_field!r}; it has {', '.join(sorted(fields)) or 'none'}; "
            f"{remedy}"
        )
    for kind in fields[caption_field]:
        if kind not in _TEXT:
            texts = [name for name, kinds in fields.items() if set(kinds) <= set(_TEXT)]
            raise CorpusError(
                f"Elasticsearch index {index!r}: field {caption_field!r} is {kind}, not text, so no phrase is found "
                f"inside it; text is in {', '.join(sorted(texts)) or 'no field'}; {remedy}"
            )


def _mention(field, names):
    """The query for documents whose `field` mentions any of `names`, composed or decomposed."""
    forms = dict.fromkeys(form for name in names for form in normal_forms(name))
    queries = [{"match_phrase": {field: {"query": form}}} for form in forms]
    return queries[0] if len(queries) == 1 else {"bool": {"should": queries, "minimum_should_match": 1}}


def _names_of(phrases):
    """Each concept's names, a list of tuples of indices."""
    return [tuple(np.flatnonzero(phrases.concept_of == index).tolist()) for index in range(len(phrases.concepts))]


def _count(client, phrases, index, caption_field):
    """Returns (of_names, of_concepts), see count_index."""
    names_of = _names_of(phrases)
    # Of a concept with a single name, what is asked for the name and for the concept is the same.
    asked = list(dict.fromkeys(names for all_of in names_of for names in [*((name,) for name in all_of), all_of]))
    counts: dict[tuple[int, ...], int] = {}
    concepts = set(names_of)
    with tqdm(total=len(names_of), desc="counting", unit="concept", mininterval=2) as progress:
        for start in range(0, len(asked), _SEARCHES):
            chunk = asked[start : start + _SEARCHES]
            searches: list[dict] = []
            for names in chunk:
                query = _mention(caption_field, [phrases.names[name] for name in names])
                searches += [{}, {"query": query, "size": 0, "track_total_hits": True}]
            answers = client.msearch(index=index, searches=searches)["responses"]
            for names, answer in zip(chunk, answers, strict=True):
                about = f", {' or '.join(repr(phrases.names[name]) for name in names)}"
                if "error" in answer:
                    raise _refusal(index, answer.get("status"), answer["error"], about)
                _check_whole(index, answer, about)
                counts[names] = answer["hits"]["total"]["value"]
            progress.update(len(concepts.intersection(chunk)))
    of_names = np.array([counts[(name,)] for name in range(len(phrases.names))], np.int64)
    return of_names, np.array([counts[names] for names in names_of], np.int64)


def _hits(client, phrases, index, fields, of_concepts, max_matched_captions, seed, url_is_known):
    """The generator of count_index; `fields` are those of addresses, of captions, and the others."""
    names_of = _names_of(phrases)
    found = [concept for concept in np.argsort(phrases.concepts).tolist() if of_concepts[concept]]
    if not found or max_matched_captions <= 0:
        return
    # All pages of all concepts are read from the index as it is now, whatever is written to it meanwhile.
    with _explained(index):
        view = {"id": client.open_point_in_time(index=index, keep_alive=_KEEP_ALIVE)["id"], "keep_alive": _KEEP_ALIVE}
    try:
        for concept in tqdm(found, desc="sampling", unit="concept", mininterval=2):
            query = _mention(fields[1], [phrases.names[name] for name in names_of[concept]])
            with _explained(index):
                if of_concepts[concept] > max_matched_captions:
                    hits = _sample(client, index, view, query, fields, max_matched_captions, seed)
                else:
                    pages = _pages(client, index, view, query, [{"_shard_doc": "asc"}], fields, _PAGE)
                    # More than max_matched_captions only where documents came between the count and now.
                    hits = [hit for page in pages for hit in page][:max_matched_captions]
            if hits:
                yield _table(phrases.concepts[concept], index, hits, fields, url_is_known)
    finally:
        with suppress(ApiError, TransportError):  # it would end by itself, and another error says more
            client.close_point_in_time(id=view["id"])


def _pages(client, index, view, query, sort, fields, size):
    """The documents that `query` finds, in the order of `sort`: lists of up to `size`, as the server tells them.

    `view` is the point in time, whose id is replaced by the newest.
    """
    after = None
    while True:
        answer = client.search(
            pit=view,
            query=query,
            sort=sort,
            size=size,
            search_after=after,
            source=fields,
            track_total_hits=False,
        )
        _check_whole(index, answer)
        view["id"] = answer.get("pit_id", view["id"])
        page = answer["hits"]["hits"]
        if page:
            yield page
        if len(page) < size:
            return
        after = page[-1]["sort"]


def _sample(client, index, view, query, fields, max_matched_captions, seed):
    """`max_matched_captions` of the documents that `query` finds: those with the largest random scores."""
    # The field is what makes a document's score depend on nothing but the document and the seed.
    score = {"seed": seed, "field": "_seq_no"}
    scored = {"function_score": {"query": query, "random_score": score, "boost_mode": "replace"}}
    sort = [{"_score": "desc"}, {"_shard_doc": "asc"}]
    hits: list[dict] = []
    # Scores have 24 bits, so documents may have the same, and which of them comes first differs between copies of a
    # shard. All that have the smallest score of the sample are looked at, and their ids decide.
    for page in _pages(client, index, view, scored, sort, fields, min(_PAGE, max_matched_captions + _TIES)):
        hits += page
        if len(hits) > max_matched_captions and hits[-1]["sort"][0] < hits[max_matched_captions - 1]["sort"][0]:
            break
    return sorted(hits, key=lambda hit: (-hit["sort"][0], hit["_id"]))[:max_matched_captions]


def _value(document, field):
    """The text of a field, or None; `document` is a dict, in which a field a.b is {"a.b": ...} or {"a": {"b": ...}}."""
    if field not in document:
        outer, _, inner = field.partition(".")
        within = document.get(outer)
        return _value(within, inner) if inner and isinstance(within, dict) else None
    value = document[field]
    # JSON may hold half a surrogate pair, which is no text.
    return None if value is None else str(value).encode(errors="replace").decode()


def _table(slug, index, hits, fields, url_is_known):
    """Arrow table of documents; `fields` are those of addresses, of captions, and the others.

    Raises:
        CorpusError: no document has a caption, or none an address and the index knows no such field.
    """
    rows = sorted((f"{index}/{hit['_id']}", hit.get("_source") or {}) for hit in hits)
    columns = [[_value(document, field) for _, document in rows] for field in fields]
    for field, column, is_known in zip(fields, columns, (url_is_known, False), strict=False):
        if not is_known and not any(value is not None for value in column):
            had = sorted({key for _, document in rows for key in document})
            raise CorpusError(
                f"Elasticsearch index {index!r}: the documents that mention {slug!r} come without {field!r}, with "
                f"{', '.join(had) or 'nothing'}; say which field holds what under `captions` in config.yaml, a field "
                "itself rather than a part or an alias of it"
            )
    schema = pa.schema(
        [(name, pa.int64() if name == "row" else pa.string()) for name in ("concept", "shard", "row", "url", "caption")]
        + [(field, pa.string()) for field in fields[2:]]
    )
    places = [[slug] * len(rows), [shard for shard, _ in rows], [0] * len(rows)]
    arrays = [pa.array(column, kind) for column, kind in zip([*places, *columns], schema.types, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)
