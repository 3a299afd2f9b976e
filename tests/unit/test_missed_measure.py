"""How many images captions miss, against worlds whose truth is known."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from concept_files import unit, write_plain_vectors, write_rows, write_vectors
from printed import agree

from fit.cli.main import main
from fit.counts.corrected import ImageErrors, Rate
from fit.errors import DataError
from fit.images.table import COLLECTED, REFERENCES
from fit.missed.effect import add_missed, measure_effect
from fit.missed.measure import SampleFiles, count_images, measure_missed
from fit.missed.sample import UNNAMED, Population
from fit.thresholds.report import measure
from fit.thresholds.scores import sort_scores

SIZE = 24
PUBLISHED = {"0.000", "0.051", "2410.15002"}
"""Numbers of the paper, which stand beside those that are measured."""


def sample(folder, vectors, dead=0, names=None):
    """An image table of the sample, in which `dead` more links are dead, and embeddings: a row per vector."""
    names = [f"{i:05d}" for i in range(len(vectors))] if names is None else names
    rows = [{"image_id": name, "status": "ok"} for name in dict.fromkeys(names)]
    rows += [{"image_id": f"dead-{i}", "status": "gone"} for i in range(dead)]
    write_rows(folder / "images.parquet", {UNNAMED: rows}, COLLECTED)
    write_plain_vectors(folder / "vectors.parquet", names, vectors, SIZE)
    return SampleFiles(folder / "images.parquet", folder / "vectors.parquet")


def directions(count, seed=0):
    """Unit vectors that are at right angles, so that no concept is taken for another."""
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(SIZE, SIZE)))[0][:count].astype(np.float32)


def test_a_share_is_extrapolated_to_the_captions_that_name_no_concept(tmp_path):
    a, b, other = directions(3)
    files = sample(tmp_path, np.stack([a] * 20 + [other] * 180), dead=50)
    found = measure_missed(
        files,
        Population(rows=9000, captions=4000, is_exact=False),
        {"a": np.stack([a, other * 0.8 + 0.6 * b]), "b": b[None]},
        0.9,
        effective_counts={"a": 100, "b": 7},
    ).to_pylist()
    first, second = found
    assert (first["downloaded"], first["matches"], first["share"]) == (200, 20, 0.1)
    assert (first["missed"], first["with_missed"]) == (400, 500)
    assert first["share_low"] < 0.1 < first["share_high"]
    assert 200 < first["missed_low"] < 400 < first["missed_high"] < 650
    assert first["corrected_missed"] is first["with_corrected_missed"] is None
    # None of 200: up to 3 of 200, of the 4,000.
    assert (second["missed"], second["missed_low"], second["with_missed"]) == (0, 0, 7)
    assert 30 < second["missed_high"] < 80


def test_every_image_counts_once_however_many_faces_it_has_and_wherever_a_batch_ends():
    names = np.array(["a", "a", "b", "b", "b", "c"], object)
    accepted = np.array([[1, 0], [1, 0], [0, 0], [0, 1], [0, 0], [0, 0]], bool)
    for end in range(7):
        batches = [(names[:end], accepted[:end]), (names[end:], accepted[end:])]
        assert count_images(iter(batches), 2).tolist() == [1, 1], end


@pytest.mark.slow
def test_intervals_cover_what_captions_miss_and_the_recognisers_errors_are_taken_off(tmp_path):
    # Of 5,000 captions that name nobody, 100 images show the concept; it is recognised in 90 %, others in 1 %.
    rng = np.random.default_rng(5)
    a, other = directions(2)
    missed, shown, errors = 5000, 100, ImageErrors(Rate(0.9, 1000), Rate(0.01, 5000))
    raw, corrected, points = [], [], []
    for study in range(40):
        matching = np.concatenate([rng.random(shown) < 0.9, rng.random(missed - shown) < 0.01])
        drawn = rng.choice(missed, 2000, replace=False)
        folder = tmp_path / str(study)
        files = sample(folder, np.where(matching[drawn, None], a, other))
        row = measure_missed(files, Population(9000, missed, True), {"a": a[None]}, 0.9, errors=errors).to_pylist()[0]
        raw.append(row["missed_low"] <= matching.sum() <= row["missed_high"])
        corrected.append(row["corrected_missed_low"] <= shown <= row["corrected_missed_high"])
        points.append(row["corrected_missed"])
    assert np.mean(raw) >= 0.88 and np.mean(corrected) >= 0.88
    assert np.mean(points) == pytest.approx(shown, rel=0.1)


def test_a_sample_without_an_image_says_so(tmp_path):
    files = sample(tmp_path, np.zeros((0, SIZE), np.float32), dead=4)
    with pytest.raises(DataError, match="no image of the sample could be collected"):
        measure_missed(files, Population(10, 10, True), {"a": directions(1)}, 0.5)


def study(counts, low_score=0.1, high_score=0.9, cut=100):
    slugs = [f"c{i:02d}" for i in range(len(counts))]
    return sort_scores(slugs, counts, [high_score if count >= cut else low_score for count in counts])


def rows_of(table, missed, known=True):
    names = ("missed", "missed_low", "missed_high")
    row = dict(zip(names, (missed, missed // 2, missed * 2), strict=True))
    row |= {f"corrected_{name}": 0 if known else None for name in names}
    return {str(concept): row for concept in table.concepts}


def test_missed_images_move_the_threshold_by_as_many():
    table = study([2**i for i in range(14)])
    found = measure_effect(
        table,
        rows_of(table, 40),
        lambda one: measure(one, penalty=0.9, resamples=50, seed=0, estimators=("one_change",)),
    )
    assert found["as_counted"]["threshold"] == found["with_corrected_missed"]["threshold"] == 128
    assert found["with_missed"]["threshold"] == 168
    unknown = measure_effect(
        table, rows_of(table, 40, known=False), lambda one: measure(one, penalty=0.9, resamples=5, seed=0)
    )
    assert unknown["with_corrected_missed"] is None


def test_a_count_with_what_was_missed_has_the_intervals_of_both():
    table = sort_scores(["a", "b"], [100, 50], [0.1, 0.2], evidence=[[np.nan] * 3 + [70, 140], [np.nan] * 5])
    row = {"missed": 40, "missed_low": 0, "missed_high": 70}
    more = add_missed(table, {"a": row, "b": row}, "missed")
    assert dict(zip(more.concepts, more.counts, strict=True)) == {"a": 140, "b": 90}
    ends = dict(zip(more.concepts, more.evidence[:, 3:].tolist(), strict=True))
    assert ends["a"] == [90, 190] and ends["b"] == [50, 120]
    with pytest.raises(DataError, match="of b is not known"):
        add_missed(table, {"a": row}, "missed")


@pytest.mark.slow
def test_the_commands_measure_a_sample_and_the_threshold_with_it(tmp_path, capsys):
    vectors = directions(12)
    slugs = [f"c{i:02d}" for i in range(11)]
    sample(tmp_path, np.repeat(vectors, 10, axis=0))
    kept = {slug: [{"image_id": f"{k}", "kept": True} for k in range(3)] for slug in slugs}
    write_rows(tmp_path / "references.parquet", kept, REFERENCES)
    of_references = {
        slug: (["0", "1", "2"], unit(vectors[i] + 0.05 * np.eye(SIZE)[[12, 13, 14]])) for i, slug in enumerate(slugs)
    }
    write_vectors(tmp_path / "reference-vectors.parquet", of_references, SIZE)
    population = {b"unnamed": json.dumps({"rows": 500, "captions": 240, "is_exact": True}).encode()}
    pq.write_table(pa.table({"concept": [UNNAMED]}).replace_schema_metadata(population), tmp_path / "sample.parquet")
    counts = [4**i for i in range(11)]
    table = {"concept": slugs, "effective_count": counts, "score": [0.1] * 6 + [0.9] * 5}
    pq.write_table(pa.table(table), tmp_path / "table.parquet")

    def run(*command):
        assert main(list(map(str, command))) == 0

    places = ["--references", tmp_path / "references.parquet"]
    of_vectors = tmp_path / "reference-vectors.parquet"
    threshold = tmp_path / "threshold.json"
    run("matches", "threshold", *places, "--embeddings", of_vectors, "--method", "midpoint", "--out", threshold)
    files = [
        f"--{name}={tmp_path / file}.parquet"
        for name, file in (
            ("sample", "sample"),
            ("images", "images"),
            ("embeddings", "vectors"),
            ("counts", "table"),
            ("out", "missed"),
        )
    ]
    given = [*files, *places, "--reference-embeddings", of_vectors, "--match-threshold", threshold]
    _, printed = agree(capsys, "missed", "measure", *given, besides=PUBLISHED)
    rows = pq.read_table(tmp_path / "missed.parquet").to_pylist()
    assert printed == rows
    # 10 of 120 images show each concept, and so do 20 of the 240.
    assert [(row["concept"], row["matches"], row["missed"]) for row in rows] == [(slug, 10, 20) for slug in slugs]
    assert [row["with_missed"] for row in rows] == [count + 20 for count in counts]
    assert all(row["corrected_missed"] == 20 for row in rows)
    given = [tmp_path / "table.parquet", "--missed", tmp_path / "missed.parquet", "--resamples", 20]
    _, printed = agree(capsys, "missed", "threshold", *given, "--out", tmp_path / "effect.json")
    found = json.loads((tmp_path / "effect.json").read_text())
    assert printed == found
    before, after = (found[name]["thresholds"]["one_change"] for name in ("as_counted", "with_missed"))
    assert (before, after) == (4**6, 4**6 + 20)
