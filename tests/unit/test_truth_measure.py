"""What is known of the painters of one model, from small files."""

import json

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from concept_files import unit, write_rows, write_vectors

from fit.cli.main import main
from fit.images.table import GENERATED, REFERENCES
from fit.io.concept_tables import ConceptTables
from fit.io.parquet import write
from fit.scores.imitation import imitation_score
from fit.truth.design import Run, runs
from fit.truth.measure import PAINTERS, THRESHOLDS, answers, measure_run
from fit.truth.settings import DesignSettings

RUN = Run(101, "usual", 3, 2)
CONCEPTS = ["ada", "bruno"]
ANSWER = {"threshold": 30.0, "interval": [20.0, 50.0], "direction": "rise", "reason": None}
HEADLINE = ANSWER | {"kind": "jump", "estimator": "pelt", "width": None, "beside": None, "agree": []}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Files of a study of two painters: option -> path; vectors of references and pictures."""
    folder = tmp_path_factory.mktemp("study")
    rng = np.random.default_rng(0)
    vectors = {kind: {c: unit(rng.normal(size=(4, 6))) for c in CONCEPTS} for kind in ("generated", "references")}
    names = {c: [f"{c}-{i}" for i in range(4)] for c in CONCEPTS}
    generated = {
        c: [{"image_id": n, "prompt": "xy"[i // 2], "status": "ok"} for i, n in enumerate(names[c])] for c in CONCEPTS
    }
    references = {c: [{"image_id": n, "kept": i != 1} for i, n in enumerate(names[c])] for c in CONCEPTS}
    files = {
        "generated": write_rows(folder / "generated.parquet", generated, GENERATED),
        "references": write_rows(folder / "references.parquet", references, REFERENCES),
    }
    for kind, option in (("generated", "generated-embeddings"), ("references", "reference-embeddings")):
        of_concepts = {c: (names[c], vectors[kind][c]) for c in CONCEPTS}
        files[option] = write_vectors(folder / f"{option}.parquet", of_concepts, 6)
    kinds = ["work"] * 3 + ["nameless", "anonymous"]
    truth = {"url": list("abcde"), "painter": ["ada", "ada", "ada", "ada", None], "kind": kinds}
    write(pa.table(truth), folder / "truth.parquet")
    scores = {"concept": CONCEPTS, "effective_count": [5, 0]}
    for number, name in enumerate(("score", "fixed_score", "null_score", "fixed_null_score")):
        scores[name] = [0.5 + number, None if name == "fixed_score" else 0.1]
    write(pa.table(scores), folder / "scores.parquet")
    files |= {"truth": folder / "truth.parquet", "scores": folder / "scores.parquet"}
    found = {"estimators": {"pelt": ANSWER, "isotonic": ANSWER | {"threshold": None, "interval": None}}}
    by_score = {"scores": {"fixed": {"estimators": {"pelt": ANSWER | {"interval": None}}}}}
    found |= ANSWER | {"headline": HEADLINE, "by_score": by_score, "estimator": "pelt"}
    (folder / "threshold.json").write_text(json.dumps(found))
    files["threshold"] = folder / "threshold.json"
    return files, vectors


def measure(study, out, **other):
    files = {name: str(path) for name, path in (study[0] | other).items()}
    options = [word for name, path in files.items() for word in (f"--{name}", path)]
    of_run = ["--world", "101", "--changes", "usual", "--deal", "3", "--training", "2", "--top-k", "2"]
    written = ["--painters-file", str(out / "p.parquet"), "--thresholds-file", str(out / "t.parquet")]
    return main(["truth", "measure", *options, *of_run, *written])


def test_a_painters_own_count_and_scores_are_brought_together(study, tmp_path):
    assert not measure(study, tmp_path)
    found = pl.read_parquet(tmp_path / "p.parquet")
    assert dict(found.schema) == PAINTERS
    assert found["concept"].to_list() == CONCEPTS
    # Works with and without the name; none of the corpus is Bruno's.
    assert found["true_count"].to_list() == [4, 0]
    assert found["effective_count"].to_list() == [5, 0]
    assert found["score"].to_list() == [0.5, 0.1]
    assert found["fixed_score"].to_list() == [1.5, None]
    assert set(found.select("world", "changes", "deal", "training").rows()) == {(101, "usual", 3, 2)}
    for concept, score in found.select("concept", "reference_score").iter_rows():
        pictures, kept = study[1]["generated"][concept], study[1]["references"][concept][[0, 2, 3]]
        expected = np.mean([imitation_score(part, kept, 2) for part in (pictures[:2], pictures[2:])])
        assert score == pytest.approx(expected)


def test_answers_are_the_headline_and_those_of_each_estimator_and_score(study, tmp_path):
    assert not measure(study, tmp_path)
    found = pl.read_parquet(tmp_path / "t.parquet")
    assert dict(found.schema) == THRESHOLDS
    assert found.select("score", "estimator", "threshold", "low", "high", "claimed").rows() == [
        ("published", "headline", 30.0, 20.0, 50.0, True),
        ("published", "pelt", 30.0, 20.0, 50.0, True),
        ("published", "isotonic", None, None, None, False),
        ("fixed", "pelt", 30.0, None, None, True),
    ]


def test_a_result_without_a_headline_claims_nothing(study, tmp_path):
    found = json.loads(study[0]["threshold"].read_text())
    none = {"kind": "none", "threshold": None, "interval": None, "reason": "chance"}
    (tmp_path / "none.json").write_text(json.dumps(found | {"headline": HEADLINE | none, "by_score": None}))
    rows = answers(tmp_path / "none.json")
    assert [(row["estimator"], row["claimed"]) for row in rows] == [
        ("headline", False),
        ("pelt", True),
        ("isotonic", False),
    ]


def test_missing_and_broken_inputs_are_named_with_a_remedy(study, tmp_path, capsys):
    (tmp_path / "broken").write_text("neither JSON nor Parquet")
    for option in ("truth", "scores", "threshold", "generated", "reference-embeddings"):
        for place in ("broken", "missing"):
            assert measure(study, tmp_path, **{option: tmp_path / place}) == 1, (option, place)
            told = capsys.readouterr().err
            assert str(tmp_path / place) in told and "Traceback" not in told
            # A remedy: what writes it, or that it is to be made again.
            assert any(words in told for words in ("writes", "wrote", "again", "ask snakemake", "make", "name")), told
    assert not list(tmp_path.glob("*.parquet"))


def test_a_table_that_lacks_a_painter_is_an_error(study, tmp_path):
    files = {name: path for name, path in study[0].items() if name not in ("truth", "scores", "threshold")}
    tables = {
        name.replace("-", "_").replace("reference_", "reference_"): ConceptTables([p]) for name, p in files.items()
    }
    other = pl.read_parquet(study[0]["scores"]).with_columns(concept=pl.Series(["ada", "carla"]))
    other.write_parquet(tmp_path / "scores.parquet")
    with pytest.raises(Exception, match="carla"):
        measure_run(RUN, study[0]["truth"], tmp_path / "scores.parquet", top_k=2, **tables)


def test_one_training_of_each_deal_in_each_world_comes_first():
    settings = DesignSettings(worlds=[5, 6], deals=2, trainings=2, changes=["copies", "kin"], changed_deals=1)
    wanted = [(run.training, run.world, run.changes, run.deal) for run in runs(settings)]
    assert wanted == [
        *((1, world, "usual", deal) for world in (5, 6) for deal in (0, 1)),
        *((2, world, "usual", deal) for world in (5, 6) for deal in (0, 1)),
        (1, 5, "copies", 0),
        (1, 5, "kin", 0),
        (1, 5, "pruned", 0),
    ]
    assert len({run.model for run in runs(settings)}) == len(wanted)
    assert len({run.generator for run in runs(settings)}) == len(wanted)
    assert len({run.painted for run in runs(settings)}) == 7


def test_a_run_has_a_name_in_the_workflow():
    assert (RUN.domain, RUN.corpus, RUN.model) == ("truth-101-usual", "truth-101-usual-3", "truth-101-usual-3-2")
    assert RUN.painted == "results/truth/worlds/101/usual/3"
    assert RUN.generator == "results/truth/generators/101/usual/3/2"
