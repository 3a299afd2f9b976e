"""Every stage from references to ratings, by its command, on a study in which none, one or two of three concepts can be
used: each stage gives an answer, or says in words what is missing; never a traceback, never a number out of nothing."""

import json
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from fit.cli.main import main
from fit.embeddings.base import Embedding
from fit.embeddings.files import rows
from fit.images.table import COLLECTED, GENERATED, REFERENCES, encode_png
from fit.io.parquet import write

CONCEPTS = ("ada", "bea", "cyd")
SIZE = 8
PNG = encode_png(Image.new("RGB", (8, 8), "red"))


class Study:
    """Files as the stages leave them; concepts from the `usable`-th on have files without a row."""

    def __init__(self, folder, usable):
        self.folder = folder
        folder.joinpath("sheet.tsv").write_text(
            "concept\tname\n" + "".join(f"{c}\t{c.title()} Lee\n" for c in CONCEPTS)
        )
        rng = np.random.default_rng(0)
        for number, concept in enumerate(CONCEPTS):
            some = number < usable
            near = np.eye(SIZE)[number] + rng.normal(0, 0.05, (12, SIZE))
            vectors = (near / np.linalg.norm(near, axis=1, keepdims=True)).astype(np.float32) if some else []
            names = [f"{concept}-{i}" for i in range(len(vectors))]
            found = [[Embedding(vector)] for vector in vectors]
            for kind in ("of_candidates", "of_references", "of_generated", "images", "art", "prompt_images"):
                write(rows(names, found, SIZE), self.path(kind, concept))
            candidates = [
                {
                    "image_id": name,
                    "status": "ok",
                    "width": 8,
                    "height": 8,
                    "perceptual_hash": f"{i:016x}",
                    "bytes": PNG,
                }
                for i, name in enumerate(names)
            ]
            write(pa.Table.from_pylist(candidates, schema=COLLECTED), self.path("collected", concept))
            kept = [{"image_id": name, "kept": True, "decision": "kept", "bytes": PNG} for name in names]
            write(pa.Table.from_pylist(kept, schema=REFERENCES), self.path("references", concept))
            made = [
                {"image_id": name, "prompt": f"by {concept}", "index": i, "seed": i, "status": "ok", "bytes": PNG}
                for i, name in enumerate(names)
            ]
            write(pa.Table.from_pylist(made, schema=GENERATED), self.path("generated", concept))
        write(rows(["text"], [[Embedding(np.ones(SIZE, np.float32) / SIZE**0.5)]], SIZE), self.file("texts.parquet"))
        write(rows(["photo"], [[Embedding(-np.ones(SIZE, np.float32) / SIZE**0.5)]], SIZE), self.file("photos.parquet"))
        captions = {"concept": list(CONCEPTS), "captions": [40 if i < usable else 0 for i in range(len(CONCEPTS))]}
        write(pa.table(captions), self.file("captions.parquet"))

    def file(self, name):
        return str(self.folder / name)

    def path(self, kind, concept):
        return str(self.folder / kind / f"{concept}.parquet")

    def paths(self, kind):
        return [self.path(kind, concept) for concept in CONCEPTS]

    def compared(self):
        kinds = {"generated": "generated", "generated-embeddings": "of_generated", "images": "images"}
        kinds |= {"matches": "matches", "references": "references", "reference-embeddings": "of_references"}
        return [word for flag, kind in kinds.items() for word in (f"--{flag}", *self.paths(kind))]

    def folders(self):
        kinds = {"references": "references", "reference-embeddings": "of_references"}
        kinds |= {"generated": "generated", "generated-embeddings": "of_generated"}
        return [word for flag, kind in kinds.items() for word in (f"--{flag}", self.file(kind))]


@pytest.fixture(params=[0, 1, 2], ids=["none", "one", "two"])
def study(request, tmp_path):
    made = Study(tmp_path, request.param)
    made.usable = request.param
    return made


def run(capsys, *words):
    """(status, what was said) of a command, which must not have said a traceback or a number that is none."""
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


def test_references_and_cuts(study, capsys):
    kept = study.paths("kept")
    flags = ["--candidates", *study.paths("collected"), "--embeddings", *study.paths("of_candidates"), "--keep", 10]
    status, said = run(capsys, "references", "select", *flags, "--domain", "people", "--out", *kept)
    assert status == 0
    assert said.count("domains.people.references.least") >= (1 if study.usable < 3 else 0)
    pictures = [study.file(f"{concept}.png") for concept in CONCEPTS]
    assert run(capsys, "references", "draw", "--files", *kept, "--out", *pictures)[0] == 0
    flags = ["--method", "midpoint", "--out", study.file("match threshold.json")]
    flags += ["--references", *study.paths("references"), "--embeddings", *study.paths("of_references")]
    needs(study, 2, run(capsys, "matches", "threshold", *flags), "domains.NAME.references.least")
    for photographs in (["--photographs", study.file("photos.parquet")], []):
        flags = ["--artworks", *study.paths("of_references"), *photographs, "--texts", study.file("texts.parquet")]
        flags += ["--method", "midpoint", "--out", study.file("art.json")]
        outcome = run(capsys, "matches", "art-threshold", *flags)
        needs(study, 1 if photographs else 9, outcome, "references and photographs")
    for method in ("midpoint", 0.4):
        flags = ["--sheet", study.file("sheet.tsv"), "--references", study.file("references"), "--method", method]
        outcome = run(capsys, "recognisers", *flags, "--embeddings", study.file("of_references"))
        needs(study, 2 if method == "midpoint" else 1, outcome, "usable reference", "references.least")


def through_scores(study, capsys):
    """Run the stages from matches to scores, all of which have an answer for any number of concepts."""
    match_threshold = study.file("given.json")
    flags = ["--references", *study.paths("references"), "--embeddings", *study.paths("of_references")]
    assert run(capsys, "matches", "threshold", *flags, "--method", 0.4, "--out", match_threshold)[0] == 0
    flags = [
        "--images",
        *study.paths("images"),
        "--references",
        *study.paths("references"),
        "--match-threshold",
        match_threshold,
    ]
    flags += ["--reference-embeddings", *study.paths("of_references"), "--out", *study.paths("matches")]
    art = [
        "--art-embeddings",
        *study.paths("art"),
        "--art-texts",
        study.file("texts.parquet"),
        "--art-threshold",
        match_threshold,
    ]
    assert run(capsys, "match", *flags, *art)[0] == 0
    assert run(capsys, "match", *flags)[0] == 0
    flags = ["--images", *study.paths("collected"), "--matches", *study.paths("matches")]
    assert run(capsys, "counts", "estimate", *flags, "--out", study.file("matched.parquet"))[0] == 0
    captions = study.file("captions.parquet")
    flags += ["--captions", captions, "--out", study.file("counts.parquet")]
    assert run(capsys, "counts", "estimate", *flags)[0] == 0
    flags = ["--captions", captions, "--counts", study.file("counts.parquet"), "--out", study.file("scaled.parquet")]
    assert run(capsys, "counts", "scale", *flags)[0] == 0
    for name in ("matched", "counts", "scaled"):
        counted = pq.read_table(study.file(f"{name}.parquet"))["effective_count"].to_pylist()
        assert [count > 0 for count in counted] == [i < study.usable for i in range(3)]
    for targets in ("matches_or_references", "matches_and_references"):
        flags = [*study.compared(), "--targets", targets]
        assert run(capsys, "score", *flags, "--out", *study.paths("scores"))[0] == 0
        others = ["--prompt-images", *study.paths("prompt_images"), "--prompts", study.file("texts.parquet")]
        assert run(capsys, "alternatives", "score", *flags, *others, "--out", *study.paths("others"))[0] == 0
        out = ["--match-threshold", match_threshold, "--out", *study.paths("rescored")]
        assert run(capsys, "sensitivity", "rescore", *flags, *out)[0] == 0
    for kind in ("scores", "others", "rescored"):
        assert all(finite(path) for path in study.paths(kind))
    flags = ["--counts", study.file("counts.parquet"), "--sheet", study.file("sheet.tsv")]
    flags += ["--scores", *study.paths("scores"), "--out", study.file("scores.parquet")]
    return run(capsys, "scores", *flags)


def test_matches_counts_and_scores(study, capsys):
    status, said = through_scores(study, capsys)
    assert status == 0
    assert said.count("no usable picture or target") == 3 - study.usable
    assert len(pq.read_table(study.file("scores.parquet"))) == study.usable
    for kind in ("frechet", "top5", "clip"):
        flags = ["--imitation", study.file("scores.parquet"), "--kind", kind, "--out", study.file(f"{kind}.parquet")]
        outcome = run(capsys, "alternatives", "tabulate", *flags, "--scores", *study.paths("others"))
        # The one text that was embedded is no prompt of these pictures.
        needs(study, 1 if kind != "clip" else 9, outcome, "no concept has a score of the kind")
        if not outcome[0]:
            assert finite(study.file(f"{kind}.parquet"))


def test_threshold_and_all_that_reads_it(study, capsys):
    through_scores(study, capsys)
    table, threshold = study.file("scores.parquet"), study.file("threshold.json")
    status, said = run(capsys, "threshold", table, "--resamples", 20, "--out", threshold)
    assert status == 0 and f"too few concepts: {study.usable}" in said
    assert finite(threshold) and json.loads((study.folder / "threshold.json").read_text())["threshold"] is None
    given = [table, "--threshold", threshold]
    out = ["--title", "t", "--out", study.file("figure.png")]
    folders = ["--references", study.file("references"), "--generated", study.file("generated")]
    for command in (
        ["thresholds", "plot", *given, *out],
        ["captions", "plot", study.file("captions.parquet"), *out],
        ["thresholds", "pictures", *given, *folders, *out],
        *(["generated", "draw", path, *out] for path in study.paths("generated")),
    ):
        assert run(capsys, *command)[0] == 0
    measured = ["--rescored", *study.paths("rescored"), "--match-threshold", study.file("given.json")]
    measured += ["--figure", study.file("s.png"), "--out", study.file("s.json")]
    assert run(capsys, "sensitivity", "measure", *given, *measured)[0] == 0 and finite(study.file("s.json"))
    flags = ["--counts", study.file("counts.parquet"), *study.folders(), "--out", study.file("o.tsv")]
    flags += ["--images", study.file("images"), "--rescored", study.file("rescored"), "--sheet", study.file("o.png")]
    status, said = run(capsys, "sensitivity", "outliers", *given, *flags)
    assert status == 0 and "no threshold" in said
    status, said = run(capsys, "audit", "--threshold", threshold, "--counts", study.file("counts.parquet"))
    assert status == 1 and "no threshold" in said
    status, said = run(capsys, "audit", "--threshold", 5, "--counts", study.file("counts.parquet"))
    assert status == 0 and said.count("above") >= study.usable
    report = ["--thresholds", threshold, "--counts", study.file("counts.parquet"), "--out", study.file("report")]
    assert run(capsys, "report", "mine", *report)[0] == 0
    assert "too few concepts" in (study.folder / "report/report.md").read_text()


def test_ratings(study, capsys):
    from fit.errors import DataError
    from fit.ratings.pairs import sample_pairs

    through_scores(study, capsys)
    table, folders = study.file("scores.parquet"), [study.file("references"), study.file("generated")]
    if study.usable:
        pairs, _ = sample_pairs(table, *folders, wanted=5, seed=0)
        assert {pair.concept for pair in pairs} <= set(CONCEPTS[: study.usable]) and len(pairs) == 5
    else:
        with pytest.raises(DataError, match="no concept"):
            sample_pairs(table, *folders, wanted=5, seed=0)
    ratings = study.folder / "ratings.csv"
    ratings.write_text(
        "rater,concept,image_id,rating,time\n" + "".join(f"r,{concept},{concept}-0,4,\n" for concept in CONCEPTS)
    )
    flags = ["--ratings", ratings, "--table", table, "--resamples", 20, "--out", study.file("report.json")]
    needs(study, 1, run(capsys, "ratings", "report", *flags), "no rating of a concept")
    if study.usable:
        assert finite(study.file("report.json"))
