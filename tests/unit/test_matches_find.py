"""Matches of several concepts in one table: those of tables of one concept, in whatever parts the inputs come."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from concept_files import unit, write_plain_vectors, write_rows, write_vectors

from fit.cli.main import main
from fit.images.table import REFERENCES
from fit.io.concept_tables import concepts_in
from fit.matches.similarity import highest_similarity

SLUGS = ("ada", "bea", "cyd")
THRESHOLD, ART_THRESHOLD = 0.5, 0.1


@pytest.fixture
def study(tmp_path):
    """Three concepts whose images have the same image_ids; cyd has none."""
    rng = np.random.default_rng(0)
    vectors = {}
    for number, slug in enumerate(SLUGS):
        size = {"cyd": 0}.get(slug, 9000)  # more than are read at once
        vectors["images", slug] = unit(np.eye(8)[number] + rng.normal(0, 0.5, (size, 8)))
        vectors["art", slug] = unit(rng.normal(size=(size, 8)))
        vectors["references", slug] = unit(np.eye(8)[number] + rng.normal(0, 0.1, (4, 8)))
    for kind, parts in (("images", ("a", "bc")), ("art", ("cb", "a")), ("references", ("abc",))):
        for letters in parts:
            slugs = [next(slug for slug in SLUGS if slug[0] == letter) for letter in letters]
            of_part = {slug: ([f"{i}" for i in range(len(vectors[kind, slug]))], vectors[kind, slug]) for slug in slugs}
            write_vectors(tmp_path / f"of_{kind}/{letters}.parquet", of_part, 8)
    rows = [{"image_id": f"{i}", "kept": i < 3, "bytes": b""} for i in range(4)]
    write_rows(tmp_path / "references.parquet", dict.fromkeys(SLUGS, rows), REFERENCES)
    write_plain_vectors(tmp_path / "texts.parquet", ["an artwork"], np.eye(8)[:1], 8)
    for name, value in (("threshold", THRESHOLD), ("art", ART_THRESHOLD)):
        (tmp_path / f"{name}.json").write_text(json.dumps({"match_threshold": value}))
    return tmp_path, vectors


def find(folder, slugs, out, *options):
    words = ["matches", "find", "--concepts", *slugs, "--images", folder / "of_images"]
    words += ["--references", folder / "references.parquet", "--reference-embeddings", folder / "of_references"]
    words += ["--match-threshold", folder / "threshold.json", *options, "--out", folder / out]
    assert main(list(map(str, words))) == 0
    return pq.read_table(folder / out)


def test_matches_of_several_concepts_are_those_of_each_alone(study):
    folder, vectors = study
    together = find(folder, ["cyd", "bea", "ada"], "m.parquet")
    assert concepts_in(folder / "m.parquet") == ["cyd", "bea", "ada"]  # cyd was looked at, though it has no row
    assert together.column_names == ["concept", "image_id", "similarity", "match"]
    alone = [find(folder, [slug], f"{slug}.parquet") for slug in ("cyd", "bea", "ada")]
    assert together.to_pylist() == pa.concat_tables(alone).to_pylist()
    similarity = highest_similarity(vectors["images", "ada"], vectors["references", "ada"][:3])
    assert alone[2].column("similarity").to_numpy() == pytest.approx(similarity)
    assert alone[2].column("match").to_pylist() == (similarity > THRESHOLD).tolist()


def test_the_art_filter_is_of_the_same_images(study, capsys):
    folder, vectors = study
    given = ["--art-embeddings", folder / "of_art", "--art-texts", folder / "texts.parquet"]
    given += ["--art-threshold", folder / "art.json"]
    plain = find(folder, ["ada", "bea"], "m.parquet", "--art-embeddings", "--art-texts", "--art-threshold")
    found = find(folder, ["ada", "bea"], "a.parquet", *given)
    assert found.column_names == ["concept", "image_id", "similarity", "art_similarity", "match"]
    is_art = np.concatenate([vectors["art", slug][:, 0] for slug in ("ada", "bea")]) > ART_THRESHOLD
    assert found.column("match").to_pylist() == (plain.column("match").to_numpy() & is_art).tolist()
    words = ["matches", "find", "--concepts", "ada", "--images", folder / "of_images", "--references"]
    words += [folder / "references.parquet", "--reference-embeddings", folder / "of_references"]
    words += ["--match-threshold", folder / "threshold.json", "--out", folder / "o.parquet"]
    assert main(list(map(str, [*words, *given[:4]]))) == 1
    assert "give all three or none" in capsys.readouterr().err
    write_vectors(folder / "of_art/z.parquet", {"ada": (["0"], vectors["art", "ada"][:1])}, 8)
    assert main(list(map(str, [*words, *given]))) == 1
    assert "concept 'ada': not of the same images" in capsys.readouterr().err
