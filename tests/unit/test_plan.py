import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from fit.cli.main import main
from fit.config.read import check
from fit.errors import ConfigError
from fit.plan.estimate import estimate
from fit.plan.report import report

ROOT = Path(__file__).parents[2]


@pytest.fixture
def config(tmp_path, monkeypatch):
    """Two concepts, each with five prompts; the paper's models with ten pictures a prompt."""
    monkeypatch.chdir(tmp_path)
    data = yaml.safe_load((ROOT / "config.yaml").read_text())
    (tmp_path / "people.tsv").write_text("concept\tname\nada\tAda\nbob\tBob\n")
    data["domains"] = {"people": data["domains"]["celebrities"] | {"concepts": "people.tsv"}}
    data["models"] = {name: data["models"][name] | {"images_per_prompt": 10} for name in ("sd1.1", "sd1.5", "sd2.1")}
    data["studies"] = {"mine": {"models": ["sd1.1", "sd2.1"], "domains": ["people"]}}
    return data | {"default_study": "mine"}


def by_stage(works):
    return {(work.stage, work.subject): work for work in works}


def benchmark(path, seconds):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"s\th:m:s\tmax_rss\n{seconds}\t0:00:01\t1\n")


def table(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"concept": ["ada", "bob"][:rows] if rows == 2 else ["x"] * rows}), path)


def test_amounts_follow_from_the_configuration(config):
    works = by_stage(estimate(check(config)))
    assert works["generate_images", "sd1.1"].units == works["generate_images", "sd2.1"].units == 2 * 5 * 10
    assert works["embed_generated", "arcface"].units == 2 * 100
    assert works["collect_images", "laion2b_en"].units == 2 * 100_000
    assert works["collect_images", "laion2b_en"].bound
    # sd2.1 was trained on a corpus that is only counted: nothing is collected for it twice.
    assert ("collect_images", "laion5b") not in works
    assert works["count_captions", "laion5b"].units is None
    assert ("generate_images", "sd1.5") not in works


def test_provided_pictures_and_searches_are_not_counted_as_generated_and_given_ones(config):
    config["studies"]["mine"]["models"] = ["sd1.1"]
    config["models"]["sd1.1"] = {"corpus": "laion2b_en", "provided_images": "pictures"}
    config["domains"]["people"]["references"] = {"serpapi": "{name} face", "candidates": 7, "keep": 3}
    works = by_stage(estimate(check(config)))
    assert works["embed_generated", "arcface"].units is None
    assert ("generate_images", "sd1.1") not in works
    assert works["collect_references", "serpapi"].units == 2 * 7


def test_pictures_that_a_user_has_are_counted(config, tmp_path):
    for place, number in (("verified/ada", 3), ("verified/bob", 4), ("verified/other", 9), ("made/ada", 2)):
        (tmp_path / place).mkdir(parents=True)
        for index in range(number):
            (tmp_path / place / f"{index}.png").write_bytes(b"")
        (tmp_path / place / "notes.txt").write_bytes(b"")
    table(tmp_path / "training.parquet", 2)
    config["studies"]["mine"]["models"] = ["sd1.1"]
    config["models"]["sd1.1"] = {"corpus": "own", "provided_images": "made"}
    config["corpora"]["own"] = {"provided_images": "training.parquet"}
    config["domains"]["people"]["references"] = {"folder": "verified", "keep": 20}
    works = by_stage(estimate(check(config)))
    assert works["embed_references", "arcface"].units == works["collect_references", "folder"].units == 3 + 4
    assert works["embed_generated", "arcface"].units == 2
    assert works["embed_training_images", "arcface"].units == 2
    (tmp_path / "training.parquet").write_bytes(b"no table")
    assert by_stage(estimate(check(config)))["embed_training_images", "arcface"].units is None


def test_a_faster_sampler_and_no_gpu_change_the_hours(config):
    before = by_stage(estimate(check(config)))["generate_images", "sd1.1"]
    config["models"]["sd1.1"] |= {"steps": 25}
    assert by_stage(estimate(check(config)))["generate_images", "sd1.1"].gpu_hours == before.gpu_hours / 2
    config["models"]["sd1.1"] |= {"gpus": 0}
    without = by_stage(estimate(check(config)))["generate_images", "sd1.1"]
    assert without.gpu_hours == 0
    assert without.cpu_hours > before.cpu_hours


def test_what_a_run_left_is_measured(config, tmp_path):
    benchmark(tmp_path / "results/benchmarks/generate_images/sd1.1/people/ada.tsv", 100.0)
    table(tmp_path / "results/generated/sd1.1/people/ada.parquet", 50)
    # Seconds without the pictures that they went into say nothing.
    benchmark(tmp_path / "results/benchmarks/generate_images/sd1.1/people/bob.tsv", 9000.0)
    work = by_stage(estimate(check(config)))["generate_images", "sd1.1"]
    assert work.measured
    assert work.seconds == 2.0
    assert work.gpu_hours == pytest.approx(100 * 2 / 3600)
    assert work.size == (tmp_path / "results/generated/sd1.1/people/ada.parquet").stat().st_size / 50
    other = by_stage(estimate(check(config)))["generate_images", "sd2.1"]
    assert not other.measured


def test_a_job_of_several_concepts_is_measured_by_its_table(config, tmp_path):
    config["domains"]["people"]["concepts_per_job"] = 2
    benchmark(tmp_path / "results/benchmarks/generate_images/sd1.1/people/part_000.tsv", 30.0)
    table(tmp_path / "results/generated/sd1.1/people/part_000.parquet", 10)
    benchmark(tmp_path / "results/benchmarks/find_matches/laion2b_en/people/part_000.tsv", 30.0)
    table(tmp_path / "results/matches/laion2b_en/people/part_000.parquet", 2)  # a row each of two concepts
    works = by_stage(estimate(check(config)))
    assert (works["generate_images", "sd1.1"].seconds, works["generate_images", "sd1.1"].jobs) == (3.0, 1)
    assert works["find_matches", "laion2b_en"].seconds == 15.0


def test_a_job_that_embeds_several_tables_is_measured_by_all_their_rows(config, tmp_path):
    slugs = [f"person-{i}" for i in range(4)]
    (tmp_path / "people.tsv").write_text("concept\tname\n" + "".join(f"{slug}\t{slug}\n" for slug in slugs))
    config["models"]["sd1.1"]["images_per_prompt"] = 200
    tables = tmp_path / "results/generated/sd1.1/people"
    for slug in slugs[:3]:
        table(tables / f"{slug}.parquet", 50)
    benchmark(tmp_path / "results/benchmarks/embed_images/arcface/generated/sd1.1/people/part_000.tsv", 20.0)
    table(tmp_path / "results/embeddings/arcface/generated/sd1.1/people/part_000.parquet", 150)
    work = by_stage(estimate(check(config)))["embed_generated", "arcface"]
    assert not work.measured  # a table is missing
    table(tables / f"{slugs[3]}.parquet", 50)
    work = by_stage(estimate(check(config)))["embed_generated", "arcface"]
    assert work.measured and work.seconds == 20.0 / 200
    assert by_stage(estimate(check(config)))["generate_images", "sd1.1"].jobs == 4


def test_counted_captions_replace_the_bound(config, tmp_path):
    path = tmp_path / "results/captions/laion2b_en/people/counts.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(pa.table({"concept": ["ada", "bob"], "captions": [7, 250_000]}), path)
    work = by_stage(estimate(check(config)))["collect_images", "laion2b_en"]
    assert work.units == 7 + 100_000
    assert not work.bound


def test_the_report_says_what_is_assumed(config, tmp_path):
    benchmark(tmp_path / "results/benchmarks/generate_images/sd1.1/people/ada.tsv", 3600 * 50.0)
    table(tmp_path / "results/generated/sd1.1/people/ada.parquet", 50)
    text = report(estimate(check(config)), "mine", gpus=4)
    rows, _, assumed = text.partition("Rates that are assumed")
    (measured,) = [line for line in rows.splitlines() if line.startswith("generate_images") and "sd1.1" in line]
    assert measured.split()[-2:] == ["s", "measured"]
    assert "generate_images, sd1.1" not in assumed
    assert "generate_images, sd2.1" in assumed
    # An hour a picture, and what the rest takes in minutes.
    assert "GPU work: 25." in rows
    assert "on 4 GPUs" in rows
    assert "count_captions, laion5b: the number of captions" in assumed


@pytest.mark.slow
def test_the_default_study_is_planned_without_torch():
    code = "import sys; from fit.cli.main import main; main(['plan']); sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "study atelier" in done.stdout
    assert "train_generator" in done.stdout


def test_an_unknown_study_is_named(config, capsys, tmp_path):
    with pytest.raises(ConfigError, match=r"`studies` lacks 'yours'; it has: mine"):
        estimate(check(config), "yours")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    assert main(["plan", "yours"]) == 1
    assert "fit: config.yaml" in capsys.readouterr().err
