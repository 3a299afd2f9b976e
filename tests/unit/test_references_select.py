"""Candidates of references come from tables, folders and searches; the most similar ones are kept."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from misbehaving_server import MisbehavingServer
from PIL import Image

from fit.cli.main import main
from fit.concepts.sheet import Concept
from fit.errors import ConfigError, DataError, ImageTableError
from fit.images import table
from fit.images.settings import DecodeSettings, FetchSettings
from fit.io import parquet
from fit.references.collect import collect_references
from fit.references.search.base import ReferenceSearch
from fit.references.select import most_similar_subset, select
from fit.references.settings import SearchSettings, SelectionSettings
from fit.references.vetoes import read_vetoes

ANN = Concept("ann", "Ann Lee")


def png(shade, side=8):
    return table.encode_png(np.full((side, side, 3), shade, np.float32))


def collected(folder, kind, place, concepts=(ANN,)):
    out = folder / "out.parquet"
    collect_references(
        kind,
        str(place),
        list(concepts),
        out,
        search=SearchSettings(candidates=5),
        cache=folder / "cache",
        work=folder / "work",
        fetching=FetchSettings(allow_loopback=True, total_timeout_s=2, retries=0),
        decoding=DecodeSettings(),
        decoders=1,
    )
    return {one.slug: parquet.read(out, only={"concept": [one.slug]}).to_pylist() for one in concepts}


def test_candidates_come_from_a_table(tmp_path):
    rows = {"concept": ["ann", "bo", "ann"], "bytes": [png(0.1), png(0.2), png(0.3)]}
    pq.write_table(pa.table(rows), tmp_path / "r.parquet")
    found = collected(tmp_path, "table", tmp_path / "r.parquet", [ANN, Concept("cy", "Cy")])
    assert [row["bytes"] for row in found["ann"]] == [png(0.1), png(0.3)]
    assert found["cy"] == []
    pq.write_table(pa.table({"name": ["ann"], "bytes": [png(0.1)]}), tmp_path / "r.parquet")
    with pytest.raises(ImageTableError, match="no column 'concept'; it has name, bytes"):
        collected(tmp_path, "table", tmp_path / "r.parquet")


def test_candidates_come_from_a_folder_and_what_is_not_a_picture_is_left_out(tmp_path):
    (tmp_path / "refs/ann").mkdir(parents=True)
    Image.new("RGB", (4, 4)).save(tmp_path / "refs/ann/one.jpg")
    (tmp_path / "refs/ann/half.jpg").write_bytes((tmp_path / "refs/ann/one.jpg").read_bytes()[:100])
    (tmp_path / "refs/ann/notes.txt").write_text("hello")
    (tmp_path / "refs/ann/.hidden").write_text("x")
    found = collected(tmp_path, "folder", tmp_path / "refs")["ann"]
    assert [(row["image_id"], row["status"]) for row in found] == [("half.jpg", "truncated"), ("one.jpg", "ok")]
    with pytest.raises(DataError, match="no such folder of reference images"):
        collected(tmp_path, "folder", tmp_path / "nowhere")


def test_candidates_come_from_a_search(tmp_path, monkeypatch):
    asked = []

    class Search(ReferenceSearch):
        def __init__(self, cache, settings, images, refresh=False, query=""):
            super().__init__(cache, settings, images)
            asked.append((images, query))

        @classmethod
        def make(cls, options):
            return cls(options.cache, options.fetching, options.search.candidates, query=options.place)

        def links(self, concept):
            return [server.url("/image"), server.url("/status/404")]

    monkeypatch.setattr("fit.references.search.serpapi.Serpapi", Search)
    with MisbehavingServer() as server:
        found = collected(tmp_path, "serpapi", "{name} face")["ann"]
    assert asked == [(5, "{name} face")]
    assert [(row["image_id"], row["status"]) for row in found] == [("ann-000", "ok"), ("ann-001", "http_404")]


def test_the_least_similar_references_are_dropped():
    rng = np.random.default_rng(0)
    alike = rng.normal(size=8) + 0.1 * rng.normal(size=(12, 8))
    vectors = np.concatenate([alike, rng.normal(size=(3, 8))])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assert most_similar_subset(vectors, 12).tolist() == [True] * 12 + [False] * 3
    assert most_similar_subset(vectors[:5], 12).all()


CANDIDATES = pa.table(
    {
        "concept": ["ann"] * 5,
        "image_id": ["a", "b", "c", "d", "e"],
        "status": ["ok", "ok", "ok", "ok", "http_404"],
        "bytes": pa.array([png(0)] * 4 + [None], pa.binary()),
    }
)
VECTORS = np.array([[1, 0], [0.995, 0.0999], [0, 1]], np.float32)


def decided(vetoed=frozenset(), **rules):
    settings = SelectionSettings(**({"keep": 5, "least": 1} | rules))
    return select(CANDIDATES, ["a", "b", "c"], VECTORS, settings, vetoed)


def decisions(**rules):
    return decided(**rules).column("decision").to_pylist()


def test_each_reference_has_a_decision():
    assert decisions() == ["kept", "kept", "kept", "no single face", "http_404"]
    assert decisions(keep=2) == ["kept", "kept", "less alike", "no single face", "http_404"]
    assert decisions(keep=2, vetoed={"a"}) == ["vetoed", "kept", "kept", "no single face", "http_404"]
    assert decisions(least=4)[:3] == ["too few references"] * 3
    assert decided(keep=2, least=4).column("kept").to_pylist() == [False] * 5


def test_too_few_references_are_reported_and_the_rest_goes_on(tmp_path, capsys):
    pq.write_table(CANDIDATES, tmp_path / "candidates.parquet")
    kind = pa.list_(pa.float32(), 2)
    vectors = {"concept": ["ann"] * 3, "image_id": ["a", "b", "c"], "embedding": pa.array(VECTORS.tolist(), kind)}
    pq.write_table(pa.table(vectors), tmp_path / "embeddings.parquet")
    (tmp_path / "vetoes.tsv").write_text("concept\timage_id\treason\nann\ta\tanother person\n")
    files = ["--candidates", tmp_path / "candidates.parquet", "--embeddings", tmp_path / "embeddings.parquet"]
    files += ["--out", tmp_path / "ann.parquet", "--vetoes", tmp_path / "vetoes.tsv"]
    select_command = ["references", "select", *map(str, files), "--concepts", "ann", "--keep", "5"]
    assert main([*select_command, "--least", "3"]) == 0
    said = capsys.readouterr().err
    assert (
        "ann: 2 usable references of 5 (1 vetoed, 1 without exactly one face, 1 not collected (http_404)), at" in said
    )
    assert "at least 3 are needed; add 1 or more, or lower" in said
    (tmp_path / "mine" / "ann").mkdir(parents=True)
    assert main([*select_command, "--least", "3", "--place", str(tmp_path / "mine")]) == 0
    assert f"add 1 or more to {tmp_path / 'mine' / 'ann'}, or lower" in capsys.readouterr().err
    assert main([*select_command, "--least", "2"]) == 0
    assert parquet.read(tmp_path / "ann.parquet").column("kept").to_pylist() == [False, True, True, False, False]
    sheet = tmp_path / "ann.png"
    assert main(["references", "draw", str(tmp_path / "ann.parquet"), "--out", str(sheet)]) == 0
    assert table.decode(sheet.read_bytes(), "").width > 500


def test_vetoes_that_cannot_be_read(tmp_path):
    with pytest.raises(ConfigError, match="no such file of vetoes"):
        read_vetoes(tmp_path / "v.tsv")
    (tmp_path / "v.tsv").write_text("slug\timage_id\nann\ta\n")
    with pytest.raises(ConfigError, match="line 1: no column 'concept'"):
        read_vetoes(tmp_path / "v.tsv")
