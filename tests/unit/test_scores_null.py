"""The null: the same scores of other concepts' pictures on a concept's targets, and the table that joins them."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from concept_files import unit, write_rows, write_vectors

from fit.cli.main import main
from fit.errors import DataError
from fit.images.table import GENERATED, REFERENCES
from fit.scores.fixed import fixed_image_scores, fixed_weights
from fit.scores.imitation import imitation_score
from fit.scores.null import Gathered, choose_others

SLUGS = ("ada", "bea", "cyd", "dan", "eve")
FEWEST = 13
"""References of "cyd"; the others have more."""


@pytest.fixture
def study(tmp_path):
    """Pictures and references of five concepts, with two prompts of three pictures."""
    rng = np.random.default_rng(2)
    pictures = {slug: unit(rng.normal(size=(6, 8))) for slug in SLUGS}
    references = {slug: unit(rng.normal(size=(FEWEST if slug == "cyd" else 30, 8))) for slug in SLUGS}
    names = [f"{i}" for i in range(30)]
    for slug in SLUGS:
        prompts = [f"{kind} {slug}" for kind in ("oil", "ink") for _ in range(3)]
        rows = [
            {"image_id": i, "prompt": p, "status": "ok", "bytes": b"x"} for i, p in zip(names, prompts, strict=False)
        ]
        write_rows(tmp_path / f"generated/{slug}.parquet", {slug: rows}, GENERATED)
        write_vectors(tmp_path / f"of_generated/{slug}.parquet", {slug: (names[:6], pictures[slug])}, 8)
        kept = [
            {"image_id": i, "kept": True, "decision": "kept", "bytes": b"x"} for i in names[: len(references[slug])]
        ]
        write_rows(tmp_path / f"references/{slug}.parquet", {slug: kept}, REFERENCES)
        found = (names[: len(references[slug])], references[slug])
        write_vectors(tmp_path / f"of_references/{slug}.parquet", {slug: found}, 8)
    pq.write_table(pa.table({"concept": SLUGS, "effective_count": [3, 50, 7, 900, 0]}), tmp_path / "counts.parquet")
    (tmp_path / "sheet.tsv").write_text("concept\tname\n" + "".join(f"{slug}\t{slug}\n" for slug in SLUGS))
    return tmp_path, pictures, references


def run(folder, *words):
    assert main([*map(str, words)]) == 0
    return folder


def run_all(folder, *null_words, scored=SLUGS, sheet="sheet.tsv"):
    """Run the commands of the stage, as the workflow does; return the table of concepts."""
    evidence = ["--references", folder / "references", "--reference-embeddings", folder / "of_references"]
    pictures = ["--generated", folder / "generated", "--generated-embeddings", folder / "of_generated"]
    rule = ["--targets", "matches_or_references"]
    counts = ["--counts", folder / "counts.parquet", "--sheet", folder / sheet]
    run(folder, "scores", "gather", *pictures, *counts, "--out", folder / "gathered.parquet")
    for name, words in (("imitation", pictures), ("null", ["--pictures", folder / "gathered.parquet", *null_words])):
        out = ["--concepts", *scored, "--out", folder / f"{name}.parquet"]
        run(folder, "scores", name, *evidence, *words, *rule, *out)
    tables = ["--scores", folder / "imitation.parquet", "--nulls", folder / "null.parquet"]
    run(folder, "scores", "tabulate", *counts, *tables, "--out", folder / "table.parquet")
    return {row["concept"]: row for row in pq.read_table(folder / "table.parquet").to_pylist()}


def test_the_table_has_the_score_of_other_pictures_on_a_concepts_targets(study, capsys):
    folder, pictures, references = study
    rows = run_all(folder)
    assert f"chooses from {FEWEST}, not 20: cyd has no more" in capsys.readouterr().err
    for slug, row in rows.items():
        targets, others = references[slug], [other for other in SLUGS if other != slug]
        weights = fixed_weights(len(targets), [FEWEST], 10)
        parts = [[pictures[other][part] for other in others] for part in (slice(3), slice(3, 6))]
        published = [[imitation_score(vectors, targets, 10) for vectors in part] for part in parts]
        fixed = [[fixed_image_scores(vectors, targets, weights).mean() for vectors in part] for part in parts]
        for name, plain in (("null", published), ("fixed_null", fixed)):
            for found, expected in zip(row[f"{name}_others"], plain, strict=True):
                assert sorted(found) == pytest.approx(sorted(expected), abs=1e-6)
            assert row[f"{name}_score"] == pytest.approx(np.mean(plain), abs=1e-6)
        own = [fixed_image_scores(pictures[slug][part], targets, weights)[0] for part in (slice(3), slice(3, 6))]
        assert row["fixed_score"] == pytest.approx(np.mean(own)) and row["fixed_targets"] == FEWEST
        assert np.array(row["fixed_images"]) == pytest.approx(np.array(own), abs=1e-6)
        assert row["targets"] == len(targets)
    assert rows["cyd"]["fixed_score"] == pytest.approx(rows["cyd"]["score"])  # all that it has


def test_without_the_concept_that_has_the_fewest_all_choose_from_more(study, capsys):
    folder, *_ = study
    (folder / "four.tsv").write_text("concept\tname\n" + "".join(f"{s}\t{s}\n" for s in SLUGS if s != "cyd"))
    rows = run_all(folder, sheet="four.tsv", scored=[s for s in SLUGS if s != "cyd"])
    assert {row["fixed_targets"] for row in rows.values()} == {20}
    assert "chooses from 20\n" in capsys.readouterr().err


def test_a_null_follows_from_the_concept_and_the_seed_alone(study):
    folder, *_ = study
    run_all(folder, "--null-concepts", "2", "--seed", "5")
    gathered = Gathered(folder / "gathered.parquet")
    together = {row["concept"]: [] for row in pq.read_table(folder / "null.parquet").to_pylist()}
    for row in pq.read_table(folder / "null.parquet").to_pylist():
        together[row["concept"]].append(row)
    run_all(folder, "--null-concepts", "2", "--seed", "5", scored=["dan"], sheet="sheet.tsv")
    assert pq.read_table(folder / "null.parquet").to_pylist() == together["dan"]
    backwards = dict(reversed(gathered.count_of.items()))
    assert choose_others("dan", backwards, 2, 5) == [row["other"] for row in together["dan"] if "oil" in row["prompt"]]


def test_others_are_drawn_from_every_stratum_of_counts_and_never_the_concept():
    counts = {f"c{number:03d}": number for number in range(101)}
    chosen = {concept: choose_others(concept, counts, 20, 1) for concept in counts}
    for concept, others in chosen.items():
        assert concept not in others and len(set(others)) == 20
        of_others = [counts[other] for other in others]
        assert of_others == sorted(of_others) and max(np.diff([-1, *of_others, 101])) <= 11
    assert len({tuple(others) for others in chosen.values()}) == len(counts)
    assert len(choose_others("c000", counts, 500, 1)) == 100


def test_a_concept_without_gathered_pictures_is_named(study, capsys):
    folder, *_ = study
    run_all(folder)
    table = pq.read_table(folder / "gathered.parquet")
    pq.write_table(table.filter(pa.compute.field("concept") != "dan"), folder / "gathered.parquet")
    words = ["--references", folder / "references", "--reference-embeddings", folder / "of_references"]
    words += ["--targets", "matches_or_references", "--pictures", folder / "gathered.parquet"]
    assert main([*map(str, ["scores", "null", "--concepts", "dan", *words, "--out", folder / "n.parquet"])]) == 1
    assert "no pictures of 'dan'" in capsys.readouterr().err


def test_a_prompt_that_no_other_concept_has_leaves_the_null_empty(study):
    folder, *_ = study
    rows = [{"image_id": f"{i}", "prompt": "p" if i else "alone", "status": "ok", "bytes": b"x"} for i in range(6)]
    for slug in SLUGS:
        named = rows if slug == "bea" else [row | {"prompt": "p"} for row in rows]
        write_rows(folder / f"generated/{slug}.parquet", {slug: named}, GENERATED)
    found = run_all(folder)
    assert found["bea"]["null_score"] is None and found["bea"]["fixed_score"] is not None
    assert found["ada"]["null_score"] is not None


def test_a_concept_whose_vectors_are_of_other_pictures_is_refused(study):
    folder, *_ = study
    write_vectors(folder / "of_generated/ada.parquet", {"ada": (["x"], unit(np.ones((1, 8))))}, 8)
    from fit.io.concept_tables import ConceptTables
    from fit.scores.null import gather_pictures

    with pytest.raises(DataError, match="concept 'ada': not of the pictures"):
        tables = ConceptTables([folder / "generated"]), ConceptTables([folder / "of_generated"])
        gather_pictures(list(SLUGS), *tables, folder / "counts.parquet")
