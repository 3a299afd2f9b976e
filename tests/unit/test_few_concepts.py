"""Every stage from references to ratings, by its command, on a study of three concepts of which none, one or two can be
used: each stage gives an answer, or says in words what is missing; never a traceback, never a number without data."""

import json
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from concept_files import unit, write_plain_vectors, write_rows, write_vectors
from PIL import Image

from fit.cli.main import main
from fit.images.table import COLLECTED, GENERATED, REFERENCES, encode_png

CONCEPTS = ("ada", "bea", "cyd")
SIZE = 8
PNG = encode_png(Image.new("RGB", (8, 8), "red"))


class Study:
    """Files as the stages leave them, a table a kind; concepts from the `usable`-th on have no row."""

    def __init__(self, folder, usable):
        self.folder, self.usable = folder, usable
        sheet = "concept\tname\n" + "".join(f"{concept}\t{concept.title()} Lee\n" for concept in CONCEPTS)
        folder.joinpath("sheet.tsv").write_text(sheet)
        rng = np.random.default_rng(0)
        names = {c: [f"{c}-{i}" for i in range(12 if number < usable else 0)] for number, c in enumerate(CONCEPTS)}
        vectors = {
            concept: (names[concept], unit(np.eye(SIZE)[number] + rng.normal(0, 0.05, (len(names[concept]), SIZE))))
            for number, concept in enumerate(CONCEPTS)
        }
        for kind in ("of_candidates", "of_references", "of_generated", "images", "art", "prompt_images"):
            write_vectors(self.path(kind), vectors, SIZE)
        candidate = {"status": "ok", "width": 8, "height": 8, "bytes": PNG}
        reference = {"kept": True, "decision": "kept", "bytes": PNG}
        picture = {"status": "ok", "bytes": PNG}
        self._write("collected", names, COLLECTED, lambda c, i: candidate | {"perceptual_hash": f"{i:016x}"})
        self._write("references", names, REFERENCES, lambda c, i: reference)
        self._write("generated", names, GENERATED, lambda c, i: picture | {"prompt": f"by {c}", "index": i, "seed": i})
        write_plain_vectors(self.path("texts"), ["text"], unit(np.ones((1, SIZE))), SIZE)
        write_plain_vectors(self.path("photos"), ["photo"], unit(-np.ones((1, SIZE))), SIZE)
        captions = {"concept": list(CONCEPTS), "captions": [40 if i < usable else 0 for i in range(len(CONCEPTS))]}
        pq.write_table(pa.table(captions), self.path("captions"))

    def _write(self, kind, names, schema, make):
        rows = {c: [{"image_id": name} | make(c, i) for i, name in enumerate(names[c])] for c in CONCEPTS}
        write_rows(self.path(kind), rows, schema)

    def file(self, name):
        return str(self.folder / name)

    def path(self, kind):
        return self.file(f"{kind}.parquet")

    def references(self):
        return ["--references", self.path("references"), "--reference-embeddings", self.path("of_references")]

    def pictures(self):
        return ["--generated", self.path("generated"), "--generated-embeddings", self.path("of_generated")]

    def evidence(self):
        training = ["--images", self.path("images"), "--matches", self.path("matches")]
        return ["--concepts", *CONCEPTS, *self.pictures(), *self.references(), *training]


@pytest.fixture(params=[0, 1, 2], ids=["none", "one", "two"])
def study(request, tmp_path):
    return Study(tmp_path, request.param)


def run(capsys, *words):
    """(status, what was said) of a command, which must not print a traceback or NaN."""
    status = main([str(word) for word in words])
    printed = capsys.readouterr()
    said = printed.out + printed.err
    for bad in ("Traceback", "nan", "inf ", "Error:", "array"):
        assert bad not in said, said
    assert status == 0 or (status == 1 and printed.err.startswith("fit: ")), said
    return status, said


def finite(path):
    """Whether no number in a Parquet or JSON file is NaN or infinite (null is how a missing one is written)."""
    if path.endswith(".json"):
        bad: list[str] = []
        json.loads(Path(path).read_text(encoding="utf-8"), parse_constant=bad.append)
        return not bad
    table = pq.read_table(path)
    numbers = [column for column in table.columns if pa.types.is_floating(column.type)]
    return all(math.isfinite(value) for column in numbers for value in column.to_pylist() if value is not None)


def needs(study, number, outcome, *words):
    """Check that a stage which takes `number` usable concepts worked with as many, and with fewer said `words`."""
    status, said = outcome
    assert status == (0 if study.usable >= number else 1), said
    if status:
        assert any(word in said for word in words), said


@pytest.mark.slow
def test_references(study, capsys):
    flags = ["--candidates", study.path("collected"), "--embeddings", study.path("of_candidates"), "--keep", 10]
    flags += ["--concepts", *CONCEPTS, "--domain", "people", "--out", study.path("kept")]
    status, said = run(capsys, "references", "select", *flags)
    assert status == 0
    assert said.count("domains.people.references.least") >= (1 if study.usable < 3 else 0)
    assert run(capsys, "references", "draw", study.path("kept"), "--out", study.file("kept.png"))[0] == 0


def test_match_thresholds(study, capsys):
    flags = ["--method", "midpoint", "--out", study.file("threshold.json")]
    flags += ["--references", study.path("references"), "--embeddings", study.path("of_references")]
    needs(study, 2, run(capsys, "matches", "threshold", *flags), "domains.NAME.references.least")
    for photographs in (["--photographs", study.path("photos")], []):
        flags = ["--artworks", study.path("of_references"), *photographs, "--texts", study.path("texts")]
        flags += ["--method", "midpoint", "--out", study.file("art.json")]
        outcome = run(capsys, "matches", "art-threshold", *flags)
        needs(study, 1 if photographs else 9, outcome, "references and photographs")
    for method in ("midpoint", 0.4):
        flags = ["--sheet", study.file("sheet.tsv"), "--references", study.path("references"), "--method", method]
        outcome = run(capsys, "matches", "verify", *flags, "--embeddings", study.path("of_references"))
        needs(study, 2 if method == "midpoint" else 1, outcome, "usable reference", "references.least")


def through_scores(study, capsys):
    """Run the stages from matches to scores, all of which have an answer for any number of concepts."""
    threshold = study.file("given.json")
    flags = ["--references", study.path("references"), "--embeddings", study.path("of_references")]
    assert run(capsys, "matches", "threshold", *flags, "--method", 0.4, "--out", threshold)[0] == 0
    flags = ["--concepts", *CONCEPTS, "--images", study.path("images"), *study.references()]
    flags += ["--match-threshold", threshold, "--out", study.path("matches")]
    art = ["--art-embeddings", study.path("art"), "--art-texts", study.path("texts"), "--art-threshold", threshold]
    assert run(capsys, "matches", "find", *flags, *art)[0] == 0
    assert run(capsys, "matches", "find", *flags)[0] == 0
    flags = ["--sheet", study.file("sheet.tsv"), "--images", study.path("collected")]
    flags += ["--matches", study.path("matches")]
    assert run(capsys, "counts", "estimate", *flags, "--out", study.path("matched"))[0] == 0
    flags += ["--captions", study.path("captions"), "--out", study.path("counts")]
    assert run(capsys, "counts", "estimate", *flags)[0] == 0
    flags = ["--captions", study.path("captions"), "--counts", study.path("counts"), "--out", study.path("scaled")]
    assert run(capsys, "counts", "scale", *flags)[0] == 0
    for name in ("matched", "counts", "scaled"):
        counted = pq.read_table(study.path(name))["effective_count"].to_pylist()
        assert [count > 0 for count in counted] == [i < study.usable for i in range(3)]
    for targets in ("matches_or_references", "matches_and_references"):
        flags = [*study.evidence(), "--targets", targets]
        assert run(capsys, "scores", "imitation", *flags, "--out", study.path("imitation"))[0] == 0
        others = ["--prompt-images", study.path("prompt_images"), "--prompts", study.path("texts")]
        assert run(capsys, "alternatives", "score", *flags, *others, "--out", study.path("others"))[0] == 0
        out = ["--match-threshold", threshold, "--out", study.path("rescored")]
        assert run(capsys, "sensitivity", "rescore", *flags, *out)[0] == 0
    assert all(finite(study.path(kind)) for kind in ("imitation", "others", "rescored"))
    flags = ["--counts", study.path("counts"), "--sheet", study.file("sheet.tsv")]
    flags += ["--scores", study.path("imitation"), "--out", study.path("scores")]
    return run(capsys, "scores", "tabulate", *flags)


@pytest.mark.slow
def test_matches_counts_and_scores(study, capsys):
    status, said = through_scores(study, capsys)
    assert status == 0
    assert said.count("no usable picture, or too few targets") == 3 - study.usable
    assert len(pq.read_table(study.path("scores"))) == study.usable
    for kind in ("frechet", "top5", "clip"):
        flags = ["--imitation", study.path("scores"), "--kind", kind, "--out", study.path(kind)]
        outcome = run(capsys, "alternatives", "tabulate", *flags, "--scores", study.path("others"))
        # The one text that was embedded is not a prompt of these pictures.
        needs(study, 1 if kind != "clip" else 9, outcome, "no concept has a score of the kind")
        if not outcome[0]:
            assert finite(study.path(kind))


@pytest.mark.slow
def test_a_threshold_and_all_that_reads_it(study, capsys):
    through_scores(study, capsys)
    table, threshold = study.path("scores"), study.file("threshold.json")
    status, said = run(capsys, "thresholds", "detect", table, "--resamples", 20, "--seed", 0, "--out", threshold)
    assert status == 0 and f"too few concepts: {study.usable}" in said
    assert finite(threshold) and json.loads((study.folder / "threshold.json").read_text())["threshold"] is None
    given = [table, "--threshold", threshold]
    measured = ["--rescored", study.path("rescored"), "--match-threshold", study.file("given.json")]
    measured += ["--figure", study.file("s.png"), "--out", study.file("s.json")]
    assert run(capsys, "sensitivity", "measure", *given, *measured)[0] == 0 and finite(study.file("s.json"))
    flags = ["--counts", study.path("counts"), *study.references(), *study.pictures(), "--out", study.file("o.tsv")]
    flags += ["--images", study.path("images"), "--rescored", study.path("rescored"), "--figure", study.file("o.png")]
    status, said = run(capsys, "sensitivity", "outliers", *given, *flags)
    assert status == 0 and "no threshold" in said
    status, said = run(capsys, "audit", "--threshold", threshold, "--counts", study.path("counts"))
    assert status == 1 and "no threshold" in said
    status, said = run(capsys, "audit", "--threshold", 5, "--counts", study.path("counts"))
    assert status == 0 and said.count("above") >= study.usable
    report = ["--thresholds", threshold, "--counts", study.path("counts"), "--out", study.file("report")]
    assert run(capsys, "reports", "write", "mine", *report)[0] == 0
    assert "too few concepts" in (study.folder / "report/report.md").read_text()


@pytest.mark.slow
def test_figures(study, capsys):
    through_scores(study, capsys)
    table, threshold = study.path("scores"), study.file("threshold.json")
    assert run(capsys, "thresholds", "detect", table, "--resamples", 20, "--seed", 0, "--out", threshold)[0] == 0
    given, out = [table, "--threshold", threshold], ["--title", "t", "--out", study.file("figure.png")]
    pictures = ["--references", study.path("references"), "--generated", study.path("generated")]
    for command in (
        ["thresholds", "plot", *given, *out],
        ["captions", "plot", study.path("captions"), *out],
        ["thresholds", "pictures", *given, *pictures, *out],
        ["generated", "draw", study.path("generated"), *out],
    ):
        assert run(capsys, *command)[0] == 0


@pytest.mark.slow
def test_ratings(study, capsys):
    from fit.errors import DataError
    from fit.ratings.pairs import sample_pairs

    through_scores(study, capsys)
    table, tables = study.path("scores"), [[study.path("references")], [study.path("generated")]]
    if study.usable:
        pairs, _ = sample_pairs(table, *tables, wanted=5, seed=0)
        assert {pair.concept for pair in pairs} <= set(CONCEPTS[: study.usable]) and len(pairs) == 5
    else:
        with pytest.raises(DataError, match="no concept"):
            sample_pairs(table, *tables, wanted=5, seed=0)
    ratings = study.folder / "ratings.csv"
    ratings.write_text(
        "rater,concept,image_id,rating,time\n" + "".join(f"r,{concept},{concept}-0,4,\n" for concept in CONCEPTS)
    )
    flags = ["--ratings", ratings, "--table", table, "--resamples", 20, "--out", study.file("report.json")]
    needs(study, 1, run(capsys, "ratings", "report", *flags), "no rating of a concept")
    if study.usable:
        assert finite(study.file("report.json"))
