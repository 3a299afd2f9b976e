"""A study of one's own: from `fit new` to its answer, in a folder outside the project."""

import os
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
import yaml

from fit.atelier.painting import draw_styles, paint
from fit.images.table import encode_png

SLUGS = [f"painter-{letter}" for letter in "abcdefghijklmn"]
COUNTS = [2 * 2**index for index in range(len(SLUGS))]
ANSWER = "my-model begins to imitate styles at about 256 training images"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoder") / "style"
    command = ["fit", "atelier", "train-style-encoder", "--encoder-steps", "24", "--seed", "0", "--out", str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    return folder


def fit(*words, cwd, status=0):
    """Run a command of fit, not at a terminal; return what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "fit", *map(str, words)],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    assert done.returncode == status, done.stdout[-6000:]
    return done.stdout


@pytest.fixture
def pictures():
    """Painter -> (16 pictures in one style, 4 by a model: in that style if it has seen the painter often)."""
    rng = np.random.default_rng(3)
    styles = draw_styles(len(SLUGS) + 1, rng)

    def of(index, number):
        return [encode_png(picture) for picture in paint(styles.take([index] * number), [0] * number, rng)]

    return {
        slug: (of(index, 16), of(index if COUNTS[index] > 200 else len(SLUGS), 4)) for index, slug in enumerate(SLUGS)
    }


def put(folder, slug, pictures):
    (folder / slug).mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(pictures):
        (folder / slug / f"{number}.png").write_bytes(data)


def test_two_folders_and_a_table_give_an_answer_in_three_commands(tmp_path, encoder, pictures):
    for slug, (references, generated) in pictures.items():
        put(tmp_path / "verified", slug, references[:11])
        put(tmp_path / "made", slug, generated)
    rows = "".join(f"{slug},{count}\n" for slug, count in zip(SLUGS, COUNTS, strict=True))
    (tmp_path / "known.csv").write_text("concept,effective_count\n" + rows)
    given = ["--references", "verified", "--generated", "made", "--counts", "known.csv", "--cpu"]
    said = fit("new", "mine", *given, "--embedder", "openclip", f"local-dir:{encoder}", cwd=tmp_path)
    assert "14 concepts" in said and "cd mine" in said
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == [
        ".config.schema.json",
        "concepts.tsv",
        "config.yaml",
    ]
    assert len((tmp_path / "mine" / "config.yaml").read_text().splitlines()) < 35
    assert "everything that can be checked is in order" in fit("check", cwd=tmp_path / "mine")
    said = fit("run", "mine", cwd=tmp_path)
    # Painters from 256 pictures on are imitated, as the pictures were made.
    assert ANSWER in said
    assert "results/explorer/mine/index.html" in said
    assert (tmp_path / "mine" / "results" / "explorer" / "mine" / "index.html").is_file()
    assert ANSWER in fit("answer", cwd=tmp_path / "mine")
    # Nothing is left to do, and a milestone is a word.
    assert "256" in fit("run", cwd=tmp_path / "mine")
    assert "thresholds:" in fit("run", "mine", "thresholds", cwd=tmp_path)
    assert "nothing is overwritten" in fit("new", "mine", *given, cwd=tmp_path, status=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["known.csv", "made", "mine", "verified"]


def test_captions_and_pictures_within_them(tmp_path, encoder, pictures):
    (tmp_path / "names.txt").write_text("".join(f"Painter {slug[-1].upper()}. Bell\n" for slug in SLUGS[:4]))
    given = ["--names", "names.txt", "--evidence", "captions", "--images", "embedded", "--cpu"]
    fit("new", "mine", *given, "--embedder", "openclip", f"local-dir:{encoder}", cwd=tmp_path)
    study, rows = tmp_path / "mine", []
    said = fit("check", cwd=study, status=1)
    assert "references: 4 of 4 concepts have fewer than 10" in said and "captions: " in said
    for slug, (references, generated) in list(pictures.items())[:4]:
        place = slug + "-bell"
        assert (study / "references" / place).is_dir()
        put(study / "references", place, references[:10])
        put(study / "generated", place, generated)
        name = f"Painter {slug[-1].upper()}. Bell"
        rows += [{"caption": f"by {name}, oil", "url": f"{slug}{i}", "image": d} for i, d in enumerate(references[10:])]
    pl.DataFrame(rows).write_parquet(study / "captions" / "crawl.parquet")
    fit("check", cwd=study)
    fit("run", "counts", "--cores", "2", cwd=study)
    counts = pl.read_parquet(study / "results/counts/my-corpus/styles.parquet")
    assert counts["captions"].to_list() == [6] * 4 == counts["downloaded"].to_list()
    assert 0 < counts["effective_count"].sum() <= 6 * 4


def test_training_images_and_a_model(tmp_path, encoder, pictures):
    fit("new", "mine", "--model", "models/sd", "--evidence", "pictures", "--cpu", "--of", "people", cwd=tmp_path)
    study = tmp_path / "mine"
    config = yaml.safe_load((study / "config.yaml").read_text())
    assert config["models"]["my-model"]["pipeline"] == "models/sd" and "download" in config["models"]["my-model"]
    assert len(config["domains"]["people"]["prompts"]) == 5
    # What it plans, from the first to the last stage.
    for slug in ("vincent-van-gogh", "rembrandt"):
        put(study / "references", slug, pictures["painter-a"][0][:10])
        put(study / "training", slug, pictures["painter-a"][0][10:])
    said = fit("run", "-n", cwd=study)
    for rule in ("import_training_images", "find_matches", "generate_images", "detect_threshold", "build_explorer"):
        assert rule in said


def test_a_file_of_configuration_elsewhere_has_paths_of_its_own(tmp_path, encoder, pictures):
    given = ["--counts", "known.csv", "--cpu", "--embedder", "openclip", f"local-dir:{encoder}"]
    (tmp_path / "known.csv").write_text("concept,effective_count\npainter-a,5\n")
    (tmp_path / "names.txt").write_text("Painter A\n")
    fit("new", "mine", *given, "--names", "names.txt", cwd=tmp_path)
    more = {"domains": {"styles": {"references": {"folder": "verified", "least": 5}}}}
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "more.yaml").write_text(yaml.safe_dump(more))
    put(tmp_path / "more" / "verified", "painter-a", pictures["painter-a"][0])
    target = "results/references/styles/candidates/part_000.parquet"
    fit("run", "mine", target, "--", "--configfile", tmp_path / "more" / "more.yaml", cwd=tmp_path)
    assert pl.read_parquet(tmp_path / "mine" / target).height == 16
