"""Counts and samples of an index, asked of a stand-in for a server."""

import socket
import threading

import pytest
from captions_reference import mentions
from elasticsearch_server import StandIn, documents

from fit.captions import elasticsearch as module
from fit.captions.elasticsearch import connect, count_documents
from fit.captions.index import count_index
from fit.captions.phrases import Phrases
from fit.captions.settings import SamplingSettings
from fit.captions.tables import CountFiles
from fit.concepts.analyzer import Analyzer
from fit.concepts.sheet import Concept
from fit.errors import ConfigError, CorpusError
from fit.io.concept_tables import concepts_in
from fit.io.parquet import read

CONCEPTS = [
    Concept("okeeffe", "Georgia O'Keeffe", ("O'Keeffe",)),
    Concept("ann-lee", "Ann Lee", ("A. Lee", "Lee, Ann")),
    Concept("ernst", "Émile Ernst"),
    Concept("nobody", "Nobody Whatsoever"),
    Concept("mary-ann-lee", "Mary Ann Lee"),
]
MANY = "ann-lee"  # the concept that most documents mention


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


def asked(**changed):
    columns = ["meta.pwatermark", "license"]
    settings = {"caption_column": "text", "url_column": "address", "columns": columns, "max_matched_captions": 1_000}
    return SamplingSettings(**settings | changed)


def count(index="captions", seed=7, **changed):
    """Return the phrases, the counts, and the tables of matched captions by concept."""
    phrases = Phrases.of(CONCEPTS, Analyzer())
    with connect() as client:
        counts = count_documents(phrases, index, asked(**changed), seed, client)
        return phrases, counts, {table["concept"][0].as_py(): table for table in counts.samples}


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
    phrases, counts, _ = count(max_matched_captions=0)
    expected = [len(mentioning(Concept("one", name))) for name in phrases.names]
    assert counts.of_names.tolist() == expected and len(expected) == 8
    assert counts.of_concepts.tolist() == [len(mentioning(concept)) for concept in CONCEPTS]
    assert counts.documents == 400
    # A caption that has both names counts once.
    assert counts.of_concepts[0] == counts.of_names[1] > counts.of_names[0] > 0
    assert counts.of_concepts[3] == 0


def test_without_a_sample_no_document_is_asked_for(server):
    assert count(max_matched_captions=0)[-1] == {}
    assert not any("_pit" in path or "_search" in path.split("/") for path, _ in server.requested)


@pytest.mark.slow
@pytest.mark.parametrize("page", [5_000, 7])
def test_all_documents_are_matched_captions_where_they_are_few(server, monkeypatch, page):
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


@pytest.mark.slow
def test_a_concept_with_just_as_many_documents_as_the_sample_has_them_all(server):
    many = len(mentioning(CONCEPTS[1]))
    assert len(sample(max_matched_captions=many)) == many
    assert len(sample(max_matched_captions=many - 1)) == many - 1


@pytest.mark.slow
def test_a_sample_is_the_same_every_time_and_differs_between_seeds(server):
    expected = sample(max_matched_captions=60)
    assert sample(max_matched_captions=60) == expected == sorted(expected)
    assert len(set(expected)) == 60
    assert set(expected) < {f"captions/{document['_id']}" for document in mentioning(CONCEPTS[1])}
    assert sample(max_matched_captions=60, seed=8) != expected
    assert not server.views


@pytest.mark.slow
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
    assert count(max_matched_captions=0)[1].documents == 400


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


def test_the_point_in_time_is_closed_where_the_samples_are_given_up(server):
    with connect() as client:
        phrases = Phrases.of(CONCEPTS, Analyzer())
        samples = count_documents(phrases, "captions", asked(max_matched_captions=9), 1, client).samples
        assert next(samples).num_rows == 9
        assert len(server.views) == 1
        samples.close()
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
    assert count(max_matched_captions=0)[1].documents == 400
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
        count(caption_column="caption")


def test_a_caption_field_that_is_not_text_is_refused(server):
    with pytest.raises(CorpusError, match=r"'license' is keyword.*text is in text;"):
        count(caption_column="license")


def test_an_address_field_that_no_document_has_is_told(server):
    with pytest.raises(CorpusError, match=r"'ann-lee' come without 'url', with license, meta, text"):
        count(url_column="url")


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


def test_an_address_that_is_not_valid_is_told_without_its_password(server, monkeypatch):
    monkeypatch.setenv("ELASTICSEARCH_URL", "me:secret@localhost")
    with pytest.raises(ConfigError, match=r"ELASTICSEARCH_URL can't be used.*scheme") as caught:
        connect()
    assert "secret" not in str(caught.value)


@pytest.mark.slow
def test_an_index_gives_the_tables_that_files_give(server, tmp_path):
    outputs = CountFiles.in_folder(tmp_path)
    count_index(CONCEPTS, "captions", outputs, asked(max_matched_captions=60), seed=7)
    _, counts, tables = count(max_matched_captions=60)
    rows = read(outputs.counts).to_pylist()
    assert [row["captions"] for row in rows] == counts.of_concepts.tolist()
    assert {row["corpus_rows"] for row in rows} == {400}
    assert read(outputs.names).column("captions").to_pylist() == counts.of_names.tolist()
    assert read(outputs.matched_captions).to_pylist() == [row for table in tables.values() for row in table.to_pylist()]
    assert concepts_in(outputs.matched_captions) == [concept.slug for concept in CONCEPTS]
    (shard,) = read(outputs.shards).to_pylist()
    assert (shard["shard"], shard["status"], shard["rows"]) == ("captions", "ok", 400)
