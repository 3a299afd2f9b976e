"""What a small study does again, and what not: after a copy, a new picture deep in a folder, another timeout."""

import shutil
import subprocess

import numpy as np
import pytest

from fit.images.table import encode_png

SLUGS = ["ann", "bo"]
GENERATED = [f"results/generated/counted/people/{slug}.parquet" for slug in SLUGS]
REFERENCES = [f"results/references/people/candidates/{slug}.parquet" for slug in SLUGS]
SHEETS = [f"results/generated/counted/people/{slug}.png" for slug in SLUGS]
ASKED = [*REFERENCES, *SHEETS]


def picture(shade):
    return encode_png(np.full((16, 16, 3), shade, np.float32))


@pytest.fixture
def study(workplace):
    for kind in ("references", "generated"):
        for number, slug in enumerate(SLUGS):
            folder = workplace.folder / kind / slug / "deep" / "down"
            folder.mkdir(parents=True)
            (folder / "0.png").write_bytes(picture(number / 2))
    (workplace.folder / "people.tsv").write_text("concept\tname\nann\tAnn\nbo\tBo\n")
    (workplace.folder / "counts.csv").write_text("concept,effective_count\nann,1\nbo,2\n")
    config = workplace.config
    config["studies"]["mine"] = {"models": ["counted"], "domains": ["people"]}
    config["default_study"] = "mine"
    config["embedders"]["tiny"] = {"backend": "openclip", "model": "ViT-B-32", "gpus": 0}
    config["domains"]["people"] = {
        "concepts": "people.tsv",
        "embedder": "tiny",
        "references": {"folder": "references"},
        "match_threshold": 0.2,
        "targets": "matches_and_references",
        "prompts": ["a picture of {name}"],
        "concepts_per_job": 1,
    }
    config["corpora"]["known"] = {"provided_counts": "counts.csv"}
    config["models"]["counted"] = {"corpus": "known", "provided_images": "generated"}
    return workplace


def copy_of(study, folder, without=()):
    """A plain copy, which gives every file the time of the copy; those made first get the latest, the worst order."""
    subprocess.run(["cp", "-r", str(study.folder), str(folder)], check=True)
    for name in without:
        shutil.rmtree(folder / name)
    for path in [*(folder / "results/generated").rglob("*.png"), *folder.rglob("*.parquet"), *folder.glob("*.tsv")]:
        path.touch()
    (folder / "concepts").unlink()
    copied = type(study)(folder)
    copied.config = study.config
    return copied


def test_only_a_change_of_what_is_computed_redoes_anything(study):
    study.run(*ASKED)
    assert study.planned(*ASKED) == {}
    # A picture deep in one folder: that concept alone.
    (study.folder / "references/ann/deep/down/1.png").write_bytes(picture(0.3))
    assert study.planned(*ASKED) == {"collect_references": 1, "total": 1}
    (study.folder / "references/ann/deep/down/1.png").unlink()
    (study.folder / "generated/bo/deep/down/1.png").write_bytes(picture(0.3))
    assert study.planned(*ASKED) == {"import_generated": 1, "draw_generated": 1, "total": 2}
    study.run(*ASKED)
    assert study.planned(*ASKED) == {}
    # How pictures are brought is none of the results' business; which of them are left out is.
    slow = {"connections": 3, "connections_per_host": 1, "connect_timeout_s": 2.5, "total_timeout_s": 7.5}
    study.config["collection"] |= slow | {"retries": 9, "decode_timeout_s": 3.5}
    assert study.planned(*ASKED) == {}
    study.config["collection"]["min_side"] = 4
    assert study.planned(*ASKED)["total"] == 6


def test_a_plain_copy_is_taken_as_it_is_and_its_settings_are_still_compared(study, tmp_path_factory):
    study.config["atelier"]["encoder_steps"] = 2
    asked = [*ASKED, "results/embeddings/atelier-style/references/people/candidates/ann.parquet"]
    study.run(*asked)  # in it a model is trained, a folder that no checksum is made of
    copied = copy_of(study, tmp_path_factory.mktemp("colleague") / "study")
    for path in (copied.folder / "results/atelier").rglob("*"):
        path.touch()
    with_said = copied.run("-n", *asked)
    assert "copied without their times; 8 are taken as they are" in with_said
    assert "Nothing to be done" in with_said
    output = copied.run(*asked)
    assert "copied without their times" not in output and "Nothing to be done" in output
    # What the results were made with is known as ever.
    copied.config["collection"]["min_side"] = 4
    assert copied.planned(*asked)["total"] == 7
    copied.config["atelier"]["encoder_steps"] = 3
    assert copied.planned(*asked)["train_style_encoder"] == 1


def test_a_plain_copy_without_what_snakemake_wrote_down_is_taken_by_touch(study, tmp_path_factory):
    study.run(*ASKED)
    copied = copy_of(study, tmp_path_factory.mktemp("colleague") / "study", without=[".snakemake"])
    before = {path: (copied.folder / path).read_bytes() for path in ASKED}
    assert "copy that folder too, or take them as they are by `snakemake --touch`" in copied.run("-n", *ASKED)
    copied.run("--touch", *ASKED)
    assert copied.planned(*ASKED) == {}
    assert {path: (copied.folder / path).read_bytes() for path in ASKED} == before


def test_another_name_redoes_its_concept_whatever_batches_there_are(study):
    (study.folder / "others.tsv").write_text("concept\tname\ncy\tCy\ndan\tDan\n")
    others = study.config["domains"]["people"] | {"concepts": "others.tsv", "concepts_per_job": 2}
    study.config["domains"]["others"] = others
    study.run(*REFERENCES)
    (study.folder / "people.tsv").write_text("concept\tname\nann\tAnne\nbo\tBo\n")
    assert study.planned(*REFERENCES) == {"collect_references": 1, "total": 1}


def test_more_pictures_in_other_folders_are_noticed_too(study):
    """Photographs, and a corpus that is a folder with captions beside its pictures."""
    for name in ("crawl/deep/0.png", "photographs/deep/0.png"):
        (study.folder / name).parent.mkdir(parents=True)
        (study.folder / name).write_bytes(picture(0.5))
    (study.folder / "crawl/deep/0.txt").write_text("a picture by Ann")
    study.config["corpora"]["crawl"] = {"captions": {"files": ["crawl"]}, "images": "embedded"}
    study.config["domains"]["people"]["art_filter"] = {"embedder": "tiny", "photographs": "photographs"}
    asked = ["results/images/crawl/people/ann.parquet", "results/photographs/people/all.parquet"]
    study.run(*asked)
    assert study.planned(*asked) == {}
    (study.folder / "photographs/deep/1.png").write_bytes(picture(0.6))
    assert study.planned(*asked) == {"import_photographs": 1, "total": 1}
    study.run(*asked)
    (study.folder / "crawl/deep/1.png").write_bytes(picture(0.6))
    assert study.planned(*asked) == {"collect_images": 1, "count_captions": 1, "merge_captions": 1, "total": 3}
