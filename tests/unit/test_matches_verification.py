"""Error rates of embedders against counting pair by pair, and on embedders whose bias is known."""

from itertools import combinations, product

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from concept_files import write_rows, write_vectors
from printed import agree

from fit.cli.main import main
from fit.concepts.sheet import read_sheet
from fit.errors import DataError
from fit.images.table import REFERENCES
from fit.io.concept_tables import ConceptTables
from fit.matches.verification import count_pairs, error_rates, verify


def people(rng, count, images, spread, shared=0.0):
    """Unit vectors [images, 16] of `count` people: `spread` within one, `shared` of what all of them have in common."""
    common = rng.normal(size=16) * shared
    faces = [rng.normal(size=16) + common + spread * rng.normal(size=(images, 16)) for _ in range(count)]
    return [face / np.linalg.norm(face, axis=1, keepdims=True) for face in faces]


def test_pairs_are_counted_as_one_by_one():
    rng = np.random.default_rng(0)
    vectors = people(rng, 3, 4, 1.0) + people(rng, 1, 1, 1.0)
    above, pairs = count_pairs(vectors, 0.2)
    for i, one in enumerate(vectors):
        assert above[i, i] == sum(float(a @ b) > 0.2 for a, b in combinations(one, 2))
        assert pairs[i, i] == len(one) * (len(one) - 1) / 2
        for j, other in enumerate(vectors):
            if i != j:
                assert above[i, j] == sum(float(a @ b) > 0.2 for a, b in product(one, other))


def test_an_embedder_that_confuses_one_group_is_found_out():
    rng = np.random.default_rng(1)
    vectors = people(rng, 20, 8, 0.5) + people(rng, 20, 8, 0.5, shared=2.0)
    found = error_rates(vectors, ["fair"] * 20 + ["confused"] * 20, 0.5, seed=0)
    by_name = {row["group"]: row for row in found}
    assert list(by_name) == ["all", "confused", "fair"]
    assert by_name["confused"]["fmr_low"] > by_name["fair"]["fmr_high"]
    assert by_name["fair"]["genuine_pairs"] == 20 * 28 and by_name["fair"]["impostor_pairs"] == 190 * 64


@pytest.mark.slow
def test_intervals_cover_the_truth_more_often_than_pairs_counted_as_independent_would():
    """The rates of many drawn sheets lie in the interval of about 95 % of them."""
    rng = np.random.default_rng(2)
    truth = error_rates(people(rng, 600, 6, 1.0), [""] * 600, 0.4, seed=0)[0]
    covered = 0
    for trial in range(60):
        row = error_rates(people(rng, 40, 6, 1.0), [""] * 40, 0.4, seed=trial)[0]
        covered += row["fnmr_low"] <= truth["fnmr"] <= row["fnmr_high"]
    assert covered >= 50


def test_a_group_of_one_person_has_no_false_matches_to_count():
    rng = np.random.default_rng(3)
    _, alone = error_rates(people(rng, 3, 4, 0.5), ["one", "", ""], 0.5, seed=0)
    assert alone["group"] == "one" and alone["fmr"] is None and alone["impostor_pairs"] == 0
    assert alone["fnmr"] is not None


@pytest.fixture
def sheet_and_folders(tmp_path):
    """A sheet of six people, and their references in two tables."""
    rng = np.random.default_rng(4)
    lines, tables, vectors_of = ["concept\tname\tgroup"], {}, {}
    for i, vectors in enumerate(people(rng, 6, 5, 0.3)):
        slug = f"person-{i}"
        lines.append(f"{slug}\tPerson {i}\t{'ab'[i % 2]}")
        names = [f"{slug}-{k}" for k in range(5)]
        tables[slug] = [{"image_id": name, "kept": k > 0, "decision": "", "bytes": b""} for k, name in enumerate(names)]
        vectors_of[slug] = names, vectors
    for part, slugs in (("0", list(tables)[:4]), ("1", list(tables)[4:])):
        write_rows(tmp_path / f"references/{part}.parquet", {slug: tables[slug] for slug in slugs}, REFERENCES)
        write_vectors(tmp_path / f"embeddings/{part}.parquet", {slug: vectors_of[slug] for slug in slugs}, 16)
    (tmp_path / "sheet.tsv").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_the_command_prints_and_writes_a_row_per_group(sheet_and_folders, capsys):
    folder = sheet_and_folders
    out = folder / "verification.tsv"
    arguments = ["--sheet", folder / "sheet.tsv", "--references", folder / "references", "--out", out]
    arguments += ["--embeddings", folder / "embeddings", "--method", "best_f1"]
    assert main(["matches", "verify", *map(str, arguments)]) == 0
    lines = [line.split("\t") for line in out.read_text().splitlines()]
    assert [line[1] for line in lines] == ["group", "all", "a", "b"]
    assert [line[2] for line in lines[1:]] == ["6", "3", "3"]
    assert "FMR" in capsys.readouterr().out
    _, rows = agree(capsys, "matches", "verify", *arguments)
    assert [(row["group"], row["concepts"]) for row in rows] == [("all", 6), ("a", 3), ("b", 3)]


def test_a_missing_concept_is_named(sheet_and_folders):
    folder = sheet_and_folders
    (folder / "embeddings/1.parquet").unlink()
    tables = ConceptTables([folder / "references"]), ConceptTables([folder / "embeddings"])
    with pytest.raises(DataError, match="embeddings: no table of the concept 'person-4'"):
        verify(read_sheet(folder / "sheet.tsv"), *tables, "midpoint", 0)


def test_a_given_threshold_needs_no_two_references_of_a_concept(sheet_and_folders, capsys):
    folder = sheet_and_folders
    for path in (folder / "references").iterdir():
        table = pq.read_table(path)
        kept = [name.as_py().endswith("-0") for name in table.column("image_id")]
        pq.write_table(table.set_column(table.schema.get_field_index("kept"), "kept", pa.array(kept)), path)
    arguments = ["--sheet", folder / "sheet.tsv", "--references", folder / "references"]
    arguments += ["--embeddings", folder / "embeddings", "--method", "0.457"]
    assert main(["matches", "verify", *map(str, arguments)]) == 0
    assert "0.4570" in capsys.readouterr().out
