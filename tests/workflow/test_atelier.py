"""The shrunken atelier from end to end; the tests build on each other, in the order that they stand in."""

import json
import os
import re
import signal
import subprocess
import time
from hashlib import sha256

import polars as pl
import pyarrow.compute as pc
import pydantic
import pytest
from workplace import HOSTILE_NAMES, ROOT

from fit.concepts.sheet import read_sheet
from fit.explorer.contents import Study
from fit.io.concept_tables import ConceptTables
from fit.io.parquet import read
from fit.thresholds.answer import sentence
from fit.thresholds.report import measure
from fit.thresholds.scores import read_table

SCORING = "score_imitation"
OF_THRESHOLD = {
    *("detect_threshold", "plot_threshold", "plot_by_score", "draw_contact_sheet", "report_study"),
    *("measure_sensitivity", "list_outliers", "gather_study", "build_explorer"),
}
"""Rules of a study that depend on its threshold."""


def newest(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_a_killed_run_resumes(shrunken):
    process = shrunken.start()
    truth = shrunken.folder / "results/atelier/truth.parquet"
    trained = shrunken.folder / "results/atelier/generator/model_index.json"
    # The first picture is being generated: the pipeline's own job is over.
    while not list((shrunken.folder / "results/logs/generate_images").rglob("*.log")):
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    process.wait()
    assert not (shrunken.folder / "results/reports").exists()
    before = truth.stat().st_mtime_ns, trained.stat().st_mtime_ns
    shrunken.run()
    assert before == (truth.stat().st_mtime_ns, trained.stat().st_mtime_ns)
    assert (shrunken.folder / "results/reports/atelier/thresholds.tsv").exists()
    assert not [path for path in shrunken.folder.rglob(".*.parquet")]


def test_a_second_run_has_nothing_to_do(shrunken):
    output = shrunken.run()
    assert "Nothing to be done" in output
    assert "for atelier in painters" in output or re.search("atelier (begins to imitate|imitates) painters", output)
    assert "results/thresholds/atelier/painters.scores.png\n" in output
    assert output.rstrip().endswith("explorer  results/explorer/atelier/index.html")


def test_hostile_names_do_no_harm(shrunken):
    assert not list(shrunken.folder.rglob("pwned"))
    assert not list(shrunken.folder.parent.glob("x*"))
    captions = pl.read_parquet(shrunken.folder / "results/captions/atelier/painters/counts.parquet")
    truth = pl.read_parquet(shrunken.folder / "results/atelier/truth.parquet").drop_nulls("painter")
    works = dict(truth.group_by("painter").len().iter_rows())
    with_pictures = [slug for slug in captions["concept"][: len(HOSTILE_NAMES)] if works.get(slug)]
    assert with_pictures
    for slug, count in captions.select("concept", "captions").iter_rows():
        assert count >= works.get(slug, 0)


def test_what_it_found(shrunken):
    results = shrunken.folder / "results"
    truth = pl.read_parquet(results / "atelier/truth.parquet")
    counts = pl.read_parquet(results / "counts/atelier/painters.parquet")
    assert counts["concept"].to_list() == [
        line.split("\t")[0] for line in (shrunken.folder / "painters.tsv").read_text().splitlines()[1:]
    ]
    works = dict(truth.filter(pl.col("painter").is_not_null()).group_by("painter").len().iter_rows())
    for row in counts.iter_rows(named=True):
        # Every work names its painter; captions also name painters under what is not theirs.
        assert row["captions"] >= works.get(row["concept"], 0)
        assert row["requested"] == row["captions"]
        assert row["matches"] <= row["downloaded"] <= row["requested"]
        assert row["low"] <= row["effective_count"] <= row["high"]
    names = pl.read_parquet(results / "captions/atelier/painters/names.parquet")
    of_names = names.group_by("concept").agg(pl.col("captions").sum())
    # No caption of the atelier has both a name and its alias.
    assert sorted(of_names.iter_rows()) == sorted(counts.select("concept", "captions").iter_rows())
    assert counts["skipped_shards"].sum() == 0
    assert (results / "captions/atelier/painters/counts.png").stat().st_size > 5_000
    assert counts["downloaded"].sum() < counts["requested"].sum()

    table = pl.read_parquet(results / "scores/atelier/painters.parquet")
    assert sorted(table["concept"]) == sorted(counts["concept"])
    assert table["effective_count"].is_sorted()
    found = json.loads((results / "thresholds/atelier/painters.json").read_text())
    assert {"fixed", "minus_null", "null"} <= set(found.pop("by_score")["scores"])
    settings = {"penalty": 0.05, "resamples": 50, "seed": 1, "estimators": list(found["estimators"])}
    assert found == measure(read_table(results / "scores/atelier/painters.parquet"), **settings)

    one = counts["concept"][0]

    def rows(tables):
        return ConceptTables([results / tables]).read(one)

    assert len(rows("generated/atelier/painters")) == 4
    scores = rows("scores/atelier/painters")
    assert scores.column("images").to_pylist() == [2, 2]
    of_images = scores.column("image_scores").to_pylist()
    assert scores.column("score").to_pylist() == pytest.approx([sum(of_prompt) / 2 for of_prompt in of_images])
    assert table.filter(pl.col("concept") == one)["image_scores"].to_list() == [of_images]
    assert sum(rows("references/painters").column("kept").to_pylist()) == 12
    assert (results / "thresholds/atelier/painters.scores.png").stat().st_size > 10_000
    assert (results / "thresholds/atelier/painters.pictures.png").stat().st_size > 10_000


def test_one_concept_is_made_again_by_naming_its_file(shrunken):
    folder = shrunken.folder / "results/scores/atelier/painters"
    one = sorted(ConceptTables([folder]))[3]
    target = folder / f"{one}.parquet"
    named = str(target.relative_to(shrunken.folder))
    planned = shrunken.planned("-f", named)
    assert planned.pop("total") == 1
    assert planned == {"score_imitation": 1}
    before, study = newest(folder), ConceptTables([folder]).read(one)
    shrunken.run("-f", named)
    # Alone, from the tables of its jobs; the numbers are the same, and the study's table is as it was.
    assert ConceptTables([target]).read(one).equals(study)
    assert {path: time for path, time in newest(folder).items() if path != target} == before
    assert "Nothing to be done" in shrunken.run()
    target.unlink()


def test_the_page_of_the_study(shrunken):
    results = shrunken.folder / "results"
    told = pydantic.TypeAdapter(Study).validate_json((results / "explorer/atelier/study.json").read_bytes())
    (part,) = told.parts
    sheet = read_sheet(shrunken.folder / "painters.tsv")
    assert {one.slug: one.name for one in part.concepts} == {one.slug: one.name for one in sheet}
    counts = pl.read_parquet(results / "counts/atelier/painters.parquet")
    assert {one.slug: one.count for one in part.concepts} == dict(
        counts.select("concept", "effective_count").iter_rows()
    )
    found = json.loads((results / "thresholds/atelier/painters.json").read_text())
    assert part.answer.sentence == sentence(found, "atelier", "painters")
    assert len(part.scores) == 5 and part.sensitivity and part.calibration and not part.is_of_people
    rules = (ROOT / "rules").glob("*.smk")
    known = {rule for path in rules for rule in re.findall(r"^rule (\w+)", path.read_text(), re.M)} | {"given"}
    assert {source.rule for source in told.sources} <= known
    for source in told.sources:
        assert sha256((shrunken.folder / source.file).read_bytes()).hexdigest() == source.sha256
    excluded = [source for source in told.sources if "excluded" in source.file]
    assert [source.settings["generated"]["steps"] for source in excluded] == [2]
    page = (results / "explorer/atelier/index.html").read_text()
    assert page.startswith("<!") and "https://cdn" not in page
    pictures = ConceptTables([results / "explorer/pictures/atelier/painters"])
    assert sorted(pictures) == sorted(one.slug for one in sheet)
    assert all(1 <= len(rows) <= 10 for _, rows in pictures.each(["role"]))


def test_one_name_alone_has_the_count_of_the_study(shrunken):
    """`fit artist` of a painter with many pictures, of one with few, and of one who is not there."""
    results = shrunken.folder / "results"
    counts = pl.read_parquet(results / "counts/atelier/painters.parquet").sort("effective_count")
    concepts = {concept.slug: concept for concept in read_sheet(shrunken.folder / "painters.tsv")}
    most, least = counts.row(-1, named=True), counts.row(0, named=True)
    limit = max(least["high"], 0) + 1
    assert most["low"] > limit
    place = ["--captions", f"{results}/atelier/corpus/*.parquet", "--images", "embedded", "--threshold", str(limit)]
    place += ["--references", str(results / "atelier/references.parquet"), "--out"]
    embedder = ["--embedder", "openclip", f"local-dir:{results}/atelier/style-encoder"]
    embedder += ["--match-threshold", str(results / "matches/painters.threshold.json")]
    for row, verdict in ((most, "above"), (least, "below")):
        out = shrunken.folder / "one" / row["concept"]
        concept = concepts[row["concept"]]
        aliases = [word for alias in concept.aliases for word in ("--alias", alias)]
        command = ["fit", "artist", concept.name, *aliases, *place, str(out), *embedder]
        subprocess.run(command, check=True, capture_output=True)
        found = json.loads((out / "answer.json").read_text())
        # The study's art filter drops some of the pictures that match.
        assert found["captions"] == row["captions"] and found["count"] >= row["effective_count"]
        assert found["verdict"] == verdict or found["count"] > row["effective_count"]
    out = shrunken.folder / "one" / "nobody"
    subprocess.run(["fit", "artist", "Nobody Belwhere", *place, str(out), *embedder], check=True, capture_output=True)
    found = json.loads((out / "answer.json").read_text())
    assert (found["count"], found["verdict"], found["counts"]) == (0, "below", None)


def test_the_pictures_of_one_concept_are_made_again_alone(shrunken):
    one = (
        "results/explorer/pictures/atelier/painters/"
        + sorted(ConceptTables([shrunken.folder / "results/explorer/pictures/atelier/painters"]))[2]
    )
    assert shrunken.planned("-f", f"{one}.parquet") == {"select_pictures": 1, "total": 1}
    shrunken.run("-f", f"{one}.parquet")
    alone = shrunken.folder / f"{one}.parquet"
    study = read(shrunken.folder / "results/explorer/pictures/atelier/painters/part_000.parquet")
    assert read(alone).equals(study.filter(pc.field("concept") == alone.stem))
    assert "Nothing to be done" in shrunken.run()
    for kind in ("pictures", "excluded"):
        (shrunken.folder / one.replace("pictures", kind, 1)).with_name(f"{alone.stem}.parquet").unlink()


def test_snakemakes_report_has_the_figures_and_the_page(shrunken):
    shrunken.environment = {"https_proxy": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}
    try:
        shrunken.run("--report", "report.html")
    finally:
        shrunken.environment = {}
    text = (shrunken.folder / "report.html").read_text()
    for name in ("painters.scores.png", "painters.pictures.png", "painters.outliers.tsv", "index.html"):
        assert f'"name": "{name}"' in text, name
    for category in ("Thresholds", "Sensitivity", "Calibration", "Counts", "Tables", "Explorer"):
        assert f'"{category}"' in text, category
    assert "Imitation score against effective count" in text


@pytest.mark.parametrize(
    ("keys", "value", "expected"),
    [
        (
            ("threshold", "penalty"),
            0.06,
            OF_THRESHOLD,
        ),
        (
            ("models", "atelier", "guidance"),
            2.0,
            {"generate_images", "embed_images", "rescore_imitation", "select_pictures", SCORING},
        ),
    ],
)
def test_a_changed_setting_makes_exactly_its_dependants_again(shrunken, keys, value, expected):
    inside = shrunken.config
    for key in keys[:-1]:
        inside = inside[key]
    old, inside[keys[-1]] = inside[keys[-1]], value
    try:
        planned = shrunken.planned()
    finally:
        inside[keys[-1]] = old
    after_scores = {"gather_pictures", "score_null", "tabulate_scores", *OF_THRESHOLD}
    assert set(planned) - {"all", "total"} == (expected | after_scores if SCORING in expected else expected)


def test_a_changed_penalty_is_carried_out(shrunken):
    shrunken.config["threshold"]["penalty"] = 0.06
    before = newest(shrunken.folder / "results/scores")
    shrunken.run()
    found = json.loads((shrunken.folder / "results/thresholds/atelier/painters.json").read_text())
    assert found["penalty"] == 0.06
    assert newest(shrunken.folder / "results/scores") == before


def test_alternatives_verification_and_sensitivity_are_found_too(shrunken):
    shrunken.config["domains"]["painters"]["prompt_embedder"] = "atelier-art"
    results = shrunken.folder / "results"
    # Milestones at once: `snakemake` takes several.
    output = shrunken.run("alternatives", "verification", "sensitivity", "references", "generated")
    assert "Error" not in output
    imitation = pl.read_parquet(results / "scores/atelier/painters.parquet")
    for kind in ("clip", "frechet", "top5"):
        table = pl.read_parquet(results / f"alternatives/atelier/painters.{kind}.parquet")
        assert table["concept"].to_list() == imitation["concept"].to_list()
        # Brought to the mean and the spread of the imitation scores, so that a penalty means the same.
        assert table["score"].mean() == pytest.approx(imitation["score"].mean())
        assert table["score"].std(ddof=0) == pytest.approx(imitation["score"].std(ddof=0))
        assert json.loads((results / f"alternatives/atelier/painters.{kind}.json").read_text())["concepts"] == len(
            table
        )
    verified = pl.read_csv(results / "matches/painters.verification.tsv", separator="\t")
    assert len(verified) and verified.columns[0] == "embedder"
    found = json.loads((results / "sensitivity/atelier/painters.json").read_text())
    assert {"penalty", "concepts", "prompts", "top_k", "match_threshold"} <= set(found["choices"])
    assert (results / "sensitivity/atelier/painters.outliers.tsv").read_text().startswith("concept\t")
    for sheet in ("references/painters/part_000.png", "generated/atelier/painters/part_000.png"):
        assert (results / sheet).read_bytes().startswith(b"\x89PNG")
