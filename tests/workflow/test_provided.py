"""A study that enters the road half-way: with pictures and counts that someone already has, and hostile names."""

import json
import subprocess

import numpy as np
import polars as pl
import pytest
from workplace import HOSTILE_NAMES

from fit.atelier.painting import draw_styles, paint
from fit.images.table import encode_png
from fit.io.concept_tables import ConceptTables
from fit.io.escaping import markdown
from fit.reports.paper import read_list

STUDIED = ["counted", "crawled"]
SLUGS = [f"person-{i}" for i in range(len(HOSTILE_NAMES))]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoder") / "style"
    command = ["fit", "atelier", "train-style-encoder", "--encoder-steps", "5", "--seed", "0", "--out", str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.fixture
def study(workplace, encoder):
    """References and generated pictures in folders, counts in a CSV; and a corpus with captions and pictures."""
    rng = np.random.default_rng(0)
    styles = draw_styles(len(SLUGS), rng)
    rows = []
    for index, (slug, name) in enumerate(zip(SLUGS, HOSTILE_NAMES, strict=True)):
        pictures = [encode_png(picture) for picture in paint(styles.take([index] * 20), [0] * 20, rng)]
        for kind, some in (("references", pictures[:11]), ("generated", pictures[11:15])):
            folder = workplace.folder / kind / slug
            folder.mkdir(parents=True)
            for number, data in enumerate(some):
                (folder / f"{number}.png").write_bytes(data)
        rows += [
            {"caption": f"by {name}, oil", "url": f"u{index}-{i}", "image": pictures[15 + i]} for i in range(index)
        ]
    sheet = "".join(f"{slug}\t{name}\n" for slug, name in zip(SLUGS, HOSTILE_NAMES, strict=True))
    (workplace.folder / "people.tsv").write_text("concept\tname\n" + sheet)
    (workplace.folder / "counts.csv").write_text(
        "concept,effective_count\n" + "".join(f"{s},{i * 10}\n" for i, s in enumerate(SLUGS))
    )
    pl.DataFrame(rows).write_parquet(workplace.folder / "crawl.parquet")
    config = workplace.config
    config["studies"]["mine"] = {"models": ["counted", "crawled"], "domains": ["people"]}
    config["default_study"] = "mine"
    config["embedders"]["tiny"] = {"backend": "openclip", "model": f"local-dir:{encoder}", "gpus": 0}
    config["domains"]["people"] = {
        "concepts": "people.tsv",
        "embedder": "tiny",
        "references": {"folder": "references"},
        "match_threshold": 0.2,
        "targets": "matches_and_references",
        "prompts": ["a picture of {name}"],
        "concepts_per_job": 10,
    }
    config["corpora"]["known"] = {"provided_counts": "counts.csv"}
    config["corpora"]["crawl"] = {"captions": {"files": ["crawl.parquet"]}, "images": "embedded"}
    config["models"]["counted"] = {"corpus": "known", "provided_images": "generated"}
    config["models"]["crawled"] = {"corpus": "crawl", "provided_images": "generated"}
    return workplace


def test_two_folders_and_a_table_of_counts_give_a_threshold(study):
    output = study.run()
    assert "Error" not in output
    # The screen is a page, and ends with the answer.
    few = f"too few concepts have a count and a score: {len(SLUGS)}, at least 10 are needed"
    answer = [f"no imitation threshold was found for {m} in people: {few} ({len(SLUGS)} people)" for m in STUDIED]
    lines = output.splitlines()
    assert len(lines) <= 50
    assert lines[-6:-4] == answer
    assert [line.split()[:2] for line in lines[-4:]] == [
        ["report", "results/reports/mine/report.md"],
        ["figures", "results/thresholds/{model}/{domain}.scores.png"],
        ["pictures", "results/thresholds/{model}/{domain}.pictures.png"],
        ["explorer", "results/explorer/mine/index.html"],
    ]
    # So it does where nothing is to be done, and on a milestone.
    assert study.run().splitlines()[-6:-4] == answer
    made = study.run("thresholds").splitlines()
    assert made[-5:] == [
        "thresholds:",
        *answer,
        *(f"  results/thresholds/{model}/people.json: threshold, by every estimator" for model in STUDIED),
    ]
    assert answer[0] in study.run("--logger-fit-plain")
    table = pl.read_parquet(study.folder / "results/scores/counted/people.parquet")
    assert dict(table.select("concept", "effective_count").iter_rows()) == {s: i * 10 for i, s in enumerate(SLUGS)}
    assert table["score"].is_between(-1, 1).all()
    thresholds = pl.read_csv(study.folder / "results/reports/mine/thresholds.tsv", separator="\t")
    assert thresholds["model"].to_list() == ["counted", "crawled"]
    assert (study.folder / "results/reports/mine/report.md").read_text().count("![") >= 3
    # The captions of the crawl name people whom a shell would take for commands.
    counts = pl.read_parquet(study.folder / "results/counts/crawl/people.parquet")
    assert counts["captions"].to_list() == list(range(len(SLUGS)))
    assert counts["downloaded"].to_list() == list(range(len(SLUGS)))
    assert not list(study.folder.rglob("pwned"))
    # Hostile names are only text; two models of one domain are compared; given counts are said to be given.
    told = json.loads((study.folder / "results/explorer/mine/study.json").read_text())
    assert [concept["name"] for concept in told["parts"][0]["concepts"]] == list(HOSTILE_NAMES)
    (compared,) = told["comparisons"]
    assert (compared["first"], compared["second"], compared["concepts"]) == (
        "counted/people",
        "crawled/people",
        len(SLUGS),
    )
    assert any("counts were given" in text for text in told["parts"][0]["answer"]["rests_on"])
    # One person's references are too few now: the study goes on without that person, and says so.
    for path in sorted((study.folder / "references/person-3").iterdir())[:5]:
        path.unlink()
    (study.folder / "references/person-3/note.txt").write_text("not a picture")
    output = study.run()
    assert "person-3: 6 usable references of 6, at least 10 are needed; add 4 or more" in output
    table = pl.read_parquet(study.folder / "results/scores/counted/people.parquet")
    assert sorted(table["concept"]) == [slug for slug in SLUGS if slug != "person-3"]
    kept = ConceptTables([study.folder / "results/references/people"]).read("person-3")
    assert set(kept.column("decision").to_pylist()) == {"too few references"}


def test_what_lacks_its_inputs_is_listed_and_the_rest_is_found(study):
    study.config["studies"]["paper"] = study.config["studies"]["mine"]
    study.config["corpora"]["crawl"]["captions"]["files"] = ["elsewhere.parquet"]
    output = study.run("paper")
    assert "Error" not in output
    rows = pl.read_csv(study.folder / "results/reports/paper/thresholds.tsv", separator="\t").to_dicts()
    assert [row["model"] for row in rows] == ["counted", "crawled"]
    assert "not found" not in rows[0]["threshold"] and "not found" in rows[1]["threshold"]
    report = (study.folder / "results/reports/paper/report.md").read_text()
    assert markdown("elsewhere.parquet: put it there, or correct `corpora.crawl.captions.files`") in report
    # The page has the part that could be made, and says what is missing of the other.
    told = json.loads((study.folder / "results/explorer/paper/study.json").read_text())
    assert [part["model"] for part in told["parts"]] == ["counted"]
    assert (
        "crawled in people: elsewhere.parquet: put it there, or correct `corpora.crawl.captions.files`."
        in told["missing"]
    )
    assert (study.folder / "results/explorer/paper/index.html").stat().st_size > 100_000
    # The paper's tables and figures, on the screen too.
    paper = study.folder / "results/reports/paper/paper"
    listed = {row[0]: row for row in read_list(paper / "list.tsv").rows}
    assert listed["scores against counts (figures)"][1] == "made for 1 of 2"
    assert listed["all change points"][3].startswith("without crawled in people, whose inputs are missing")
    assert "human study: what people say of the pictures: people have to rate pictures" in output
    assert pl.read_csv(paper / "changes.tsv", separator="\t")["model"].to_list()[0] == "counted"
    # What somebody asks for later is listed as made.
    study.run("verification", "--config", "default_study=paper")
    study.run("paper")
    listed = {row[0]: row for row in read_list(paper / "list.tsv").rows}
    assert listed["how often the recogniser errs, by group"][1] == "made"


def test_a_concept_without_pictures_is_named(study):
    for path in (study.folder / "generated/person-2").iterdir():
        path.unlink()
    output = study.fails("results/generated/counted/people/person-2.parquet")
    assert "no generated images of 'person-2'; put .jpg" in output
    assert "failed while generating pictures" in output
    assert len(output.splitlines()) <= 40
    assert not (study.folder / "results/generated/counted/people/person-1.parquet").exists()
