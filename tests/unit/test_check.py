"""What is missing or wrong is said before anything runs."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from fit.check import examine, models
from fit.check.findings import ABSENT, WRONG, Finding, screen
from fit.check.models import pipeline_problems
from fit.cli.main import main
from fit.config.read import load
from fit.images.table import encode_png

ROOT = Path(__file__).parents[2]
PIXEL = encode_png(Image.new("RGB", (2, 2)))
HEADER = b'{"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}'
WEIGHTS = len(HEADER).to_bytes(8, "little") + HEADER + bytes(8)
"""A file of safetensors."""
SLUGS = [f"van-{letter}" for letter in "abcdefghijkl"]


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Half-way: folders of references and generated pictures, counts; returns the configuration, to be changed."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text((ROOT / "config.yaml").read_text())
    (tmp_path / "concepts").symlink_to(ROOT / "concepts")
    (tmp_path / "people.tsv").write_text("concept\tname\n" + "".join(f"{s}\tVincent {s}\n" for s in SLUGS))
    (tmp_path / "counts.csv").write_text(
        "concept,effective_count\n" + "".join(f"{s},{i}\n" for i, s in enumerate(SLUGS))
    )
    for kind, number in (("references", 10), ("generated", 1)):
        for slug in SLUGS:
            (tmp_path / kind / slug).mkdir(parents=True)
            for i in range(number):
                (tmp_path / kind / slug / f"{i}.png").write_bytes(PIXEL)
    (tmp_path / "style").mkdir()
    (tmp_path / "style/open_clip_config.json").write_text("{}")
    (tmp_path / "style/open_clip_model.safetensors").write_bytes(WEIGHTS)
    return {
        "default_study": "mine",
        "studies": {"mine": {"models": ["my-model"], "domains": ["people"]}},
        "embedders": {"tiny": {"backend": "openclip", "model": "local-dir:style", "gpus": 0}},
        "domains": {
            "people": {
                "concepts": "people.tsv",
                "embedder": "tiny",
                "references": {"folder": "references"},
                "match_threshold": "midpoint",
                "targets": "matches_and_references",
                "prompts": ["a photograph of {name}"],
            }
        },
        "corpora": {"my-corpus": {"provided_counts": "counts.csv"}},
        "models": {"my-model": {"corpus": "my-corpus", "provided_images": "generated"}},
    }


def look(data, quick=True, **options):
    Path("mine.yaml").write_text(yaml.safe_dump(data))
    return examine(load("config.yaml", "mine.yaml"), "mine", quick=quick, **options)


def said(data):
    return "\n".join(map(str, look(data)))


def test_a_study_in_order_says_so(study, capsys):
    assert look(study) == []
    assert main(["check", "--config", "config.yaml", "mine.yaml"]) == 0
    assert "in order: 12 concepts, 1 domain, 1 model, 1 corpus" in capsys.readouterr().out


def test_dlib_and_its_weights_are_looked_for(study, monkeypatch):
    study["embedders"]["tiny"] = {"backend": "dlib", "model": "face_recognition_models", "gpus": 0}
    assert look(study) == []
    study["embedders"]["tiny"]["model"] = "weights"
    assert "weights: no such folder; `embedders.tiny.model` is face_recognition_models, or a folder" in said(study)
    study["embedders"]["tiny"]["model"] = "face_recognition_models"
    monkeypatch.setattr(models, "find_spec", lambda name: None if name == "face_recognition_models" else name)
    assert "package face_recognition_models (`embedders.tiny.model`); pip install 'fit[faces]'" in said(study)
    monkeypatch.setattr(models, "find_spec", lambda name: None)
    assert "Python package dlib, which `embedders.tiny.backend: dlib` uses; pip install 'fit[faces]'" in said(study)


def test_a_wrong_header_stops_before_the_first_job(study, capsys):
    Path("counts.csv").write_text("slug,count\nvan-a,1\n")
    assert "counts.csv, line 1: no column 'concept'" in said(study)
    assert main(["check", "--config", "config.yaml", "mine.yaml"]) == 1


@pytest.mark.parametrize("name", ["Van-A", "van_a", "Vincent van-a", "van-aa"])
def test_a_folder_that_is_named_otherwise_is_pointed_out(study, name):
    Path("references/van-a").rename(Path("references", name))
    assert f"{name} (did you mean van-a?)" in said(study)


def test_too_few_references_name_the_key(study):
    for slug in SLUGS:
        Path("references", slug, "0.png").unlink()
    found = look(study)
    assert [finding.kind for finding in found] == [WRONG]
    assert "12 of 12 concepts have fewer than 10" in found[0].text
    assert "`domains.people.references.least`" in found[0].text


@pytest.mark.parametrize("quick", [True, False])
def test_files_that_are_no_pictures_are_not_counted(study, quick):
    Path("references/van-b/3.png").write_text("not a picture")
    Path("references/van-b/more.jpg").write_bytes(b"")
    Path("references/van-c/7.png").write_bytes(PIXEL[:20])
    Path("references/van-c/more.png").write_bytes(PIXEL)
    Path("generated/van-d/0.png").write_text("not a picture")
    told = {finding.kind: finding.text for finding in look(study, quick=quick, only=["domains", "models"])}
    assert "1 of 12 concepts has fewer than 10 reference images" in told["remark"]
    assert "van-b (9, 2 files are no readable pictures)" in told["remark"]
    assert "no generated images of 1 of 12 concepts: van-d (1 file is no readable picture)" in told[WRONG]


def test_a_published_match_threshold_is_said_to_be_comparable_only_with_its_like(study):
    study["domains"]["people"]["match_threshold"] = "paper-faces"
    (finding,) = look(study)
    assert not finding.stops and finding.key == "domains.people.match_threshold"
    assert "paper-faces (0.457)" in finding.text and "`mean_with_itself: true`" in finding.text


def test_generated_pictures_of_each_concept_are_needed(study):
    Path("generated/van-b/0.png").unlink()
    assert "no generated images of 1 of 12 concepts: van-b" in said(study)


def test_what_is_not_there_is_missing_and_nearly_found(study):
    Path("references").rename("References")
    (finding,) = look(study)
    assert finding.kind == ABSENT
    assert "did you mean References?" in finding.text


def test_a_count_that_no_table_can_hold_is_said(study):
    rows = "".join(f"{slug},{5 + 2**63 * (slug == SLUGS[3])}\n" for slug in SLUGS)
    Path("counts.csv").write_text(f"concept,effective_count\n{rows}")
    study["corpora"]["my-corpus"] = {"provided_counts": "counts.csv"}
    assert f"counts.csv, line 5, concept {SLUGS[3]!r}: effective_count is '9223372036854775813', more than" in said(
        study
    )


def test_tables_of_pictures_are_checked_by_type(study):
    pq.write_table(pa.table({"concept": SLUGS, "bytes": ["aGVsbG8="] * 12}), "refs.parquet")
    study["domains"]["people"]["references"] = {"table": "refs.parquet"}
    assert "column 'bytes' holds text, not pictures" in said(study)


def test_tables_of_pictures_are_checked_as_they_are_read(study):
    concepts = [f"{slug} " for slug in SLUGS[:10]] + [SLUGS[10].upper(), None]
    column = pa.array(concepts).cast(pa.string_view())
    pq.write_table(pa.table({"concept": column, "image": [{"bytes": b"x", "path": ""}] * 12}), "refs.parquet")
    study["domains"]["people"]["references"] = {"table": "refs.parquet", "least": 1}
    text = said(study)
    assert "refs.parquet: 1 row without a concept (the first is row 12)" in text
    assert f"concepts that are on no sheet: {SLUGS[10].upper()} (did you mean {SLUGS[10]}?)" in text
    assert f"2 of 12 concepts have fewer than 1 reference images and are left out: {SLUGS[10]} (0" in text


def test_captions_are_looked_at(study):
    Path("c.csv").write_text("text,url\nx,u\n")
    study["corpora"]["my-corpus"] = {"captions": {"files": ["c.csv"]}, "images": "http"}
    assert "c.csv: no column 'caption'" in said(study)


def test_an_unknown_backend_and_a_hub_id_that_is_none(study):
    study["embedders"]["tiny"]["backend"] = "openclipp"
    study["models"]["my-model"] = {"corpus": "my-corpus", "pipeline": "data/models/sd"}
    text = said(study)
    assert "no embedder is called 'openclipp'; did you mean 'openclip'?" in text
    assert "data/models/sd: there is no such folder, and a hub id is OWNER/NAME" in text


def test_a_pipeline_lacks_what_its_index_names(tmp_path):
    index = {"_class_name": "X", "unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"]}
    (tmp_path / "model_index.json").write_text(json.dumps(index | {"scheduler": ["diffusers", "DDIMScheduler"]}))
    (tmp_path / "scheduler").mkdir()
    (tmp_path / "unet").mkdir()
    (tmp_path / "unet/config.json").write_text("{}")
    (tmp_path / "unet/diffusion_pytorch_model.safetensors").write_bytes(b"version https://git-lfs.github.com/spec/v1")
    problems = list(pipeline_problems(tmp_path))
    assert len(problems) == 2
    assert "a pointer of Git LFS" in problems[0] and "vae: there is no such folder" in problems[1]


@pytest.fixture
def sharded(tmp_path):
    """A pipeline's folder with shards of one component, and their index."""
    unet = tmp_path / "unet"
    unet.mkdir()
    (tmp_path / "model_index.json").write_text(json.dumps({"unet": ["diffusers", "UNet2DConditionModel"]}))
    (unet / "config.json").write_text("{}")
    shards = [f"diffusion_pytorch_model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    for name in shards:
        (unet / name).write_bytes(WEIGHTS)
    index = unet / "diffusion_pytorch_model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {name: name for name in shards}}))
    return unet


def test_a_shard_that_is_missing_is_named(sharded):
    assert list(pipeline_problems(sharded.parent)) == []
    (sharded / "diffusion_pytorch_model-00002-of-00002.safetensors").unlink()
    (problem,) = pipeline_problems(sharded.parent)
    assert "diffusion_pytorch_model-00002-of-00002.safetensors of 2 shards" in problem


def test_weights_that_are_not_loaded_do_not_matter(sharded):
    (sharded / "diffusion_pytorch_model.fp16.safetensors").write_bytes(b"version https://git-lfs.github.com/spec/v1")
    assert list(pipeline_problems(sharded.parent)) == []
    (problem,) = pipeline_problems(sharded.parent, "fp16")
    assert "a pointer of Git LFS" in problem


def test_the_variant_of_a_model_is_looked_at(study, sharded):
    study["models"]["my-model"] = {"corpus": "my-corpus", "pipeline": str(sharded.parent), "variant": "fp32"}
    assert "no weights of the variant `fp32`" in said(study)


def test_a_scheduler_that_is_none_is_named_with_a_suggestion(study, sharded):
    for name, words in (("logging", "no scheduler 'logging'"), ("DDIMSheduler", "did you mean 'DDIMScheduler'?")):
        study["models"]["my-model"] = {"corpus": "my-corpus", "pipeline": str(sharded.parent), "scheduler": name}
        assert words in said(study)
    study["models"]["my-model"]["scheduler"] = "DPMSolverMultistepScheduler"
    assert "scheduler" not in said(study)


def test_only_what_a_milestone_needs_is_looked_at(study):
    Path("counts.csv").unlink()
    assert look(study, only=("models",)) == []
    assert len(look(study, only=("corpora",))) == 1


def test_hints_repeat_the_files_and_the_folder_that_were_given(study, capsys, monkeypatch):
    monkeypatch.setattr("fit.plan.estimate.estimate", lambda config, study: [SimpleNamespace(disk=1e18)])
    with Path("people.tsv").open("a") as sheet:
        sheet.write("one-word\tVan\n")
    Path("mine.yaml").write_text(yaml.safe_dump(study))
    files = ["--config", "config.yaml", "mine.yaml"]
    main(["check", *files])
    said = capsys.readouterr().err
    assert "`fit plan mine --config config.yaml mine.yaml` says" in said
    assert "`fit concepts check people.tsv` lists" in said
    here = Path.cwd()
    monkeypatch.chdir(here.parent)
    main(["check", here.name, *files])
    said = capsys.readouterr().err
    assert f"`fit plan {here.name} --config config.yaml mine.yaml` says" in said
    assert f"`fit concepts check {here.name}/people.tsv` lists" in said


def test_weights_that_end_too_early_are_said(study):
    path = Path("style/open_clip_model.safetensors")
    for wrong, words in (
        (WEIGHTS[:-1], f"it ends too early ({len(WEIGHTS) - 1} of {len(WEIGHTS)} bytes)"),
        (WEIGHTS[:20], "it ends too early (20 of"),
        (WEIGHTS[:3], "it ends too early (3 of"),
        (b"\x02" + bytes(7) + b"xx", "not a file of safetensors"),
        (b"<!DOCTYPE html>", "not a file of safetensors"),
    ):
        path.write_bytes(wrong)
        (finding,) = look(study)
        assert finding.stops and f"{path}: {words}" in finding.text
    path.write_bytes(WEIGHTS)
    assert look(study) == []


def test_files_of_captions_without_a_caption_are_said(study):
    captions = {"files": ["captions/*.csv"], "caption_column": "caption", "url_column": "url"}
    study["corpora"]["my-corpus"] = {"captions": captions, "images": "http"}
    Path("captions").mkdir()
    Path("captions/b.csv").write_text("caption,url\n")
    (finding,) = look(study)
    assert finding.stops and "captions/b.csv: no caption in it" in finding.text
    Path("captions/a.csv").write_text("caption,url\nby Van A,https://h/1\n")
    (finding,) = look(study, quick=False, only=("corpora",))
    assert not finding.stops and "caption files without a caption: captions/b.csv" in finding.text
    pq.write_table(pa.table({"caption": pa.array([], pa.string()), "url": pa.array([], pa.string())}), "c.parquet")
    captions["files"] = ["c.parquet"]
    assert "c.parquet: no caption in it" in said(study)


def test_captions_without_their_pictures_have_a_remedy(study):
    study["corpora"]["my-corpus"] = {"captions": {"files": ["c.csv"]}, "images": "embedded"}
    Path("c.csv").write_text("caption,url\nby Van A,https://h/1\n")
    text = said(study)
    assert "c.csv: no column of pictures, image or bytes or picture; it has caption, url" in text
    assert "`images: http`" in text


def test_an_id_that_a_run_would_download_is_said(study, monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("HF_HOME", "empty")
    study["models"]["my-model"] = {"corpus": "my-corpus", "pipeline": "nowhere/sd", "download": True, "device": "cpu"}
    (finding,) = look(study)
    assert not finding.stops and "nowhere/sd: no folder here, so it is taken for an id" in finding.text
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (finding,) = look(study)
    assert finding.stops and "leave HF_HUB_OFFLINE unset" in finding.text


def test_a_screen_is_no_longer_than_a_screen():
    text = screen([Finding(WRONG, "k", f"fault {i}") for i in range(400)], "paper")
    assert len(text.splitlines()) == 13
    assert "and 388 more; `fit check paper` lists all" in text


@pytest.mark.slow
def test_a_look_imports_no_torch(study):
    code = "import sys; from fit.cli.main import main; main(['check']); sys.exit('torch' in sys.modules)"
    import subprocess

    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True).returncode == 0


def test_pictures_that_are_lost_behind_links_are_named(study):
    for i in range(5):
        Path("generated/van-a", f"lost-{i}.png").symlink_to("gone")
    (finding,) = look(study)
    assert "generated/van-a: links that lead to nothing are left out: lost-0.png, lost-1.png" in finding.text
    assert "2 more, 5 in all" in finding.text
    assert not finding.stops


def test_a_link_beside_its_picture_is_not_another_reference(study):
    Path("references/van-a/9.png").unlink()
    Path("references/van-a/9.png").symlink_to("8.png")
    assert any("van-a (9)" in finding.text for finding in look(study))


@pytest.mark.parametrize("how", ["name", "link", "slugs"])
@pytest.mark.parametrize("quick", [True, False])
def test_generated_pictures_that_are_the_references_are_an_error(study, how, quick):
    if how == "name":
        study["models"]["my-model"]["provided_images"] = "./references/"
    elif how == "link":
        Path("others").symlink_to("references")
        study["models"]["my-model"]["provided_images"] = "others"
    else:
        Path("others").mkdir()
        for slug in SLUGS:
            Path("others", slug).symlink_to(f"../references/{slug}")
        study["models"]["my-model"]["provided_images"] = "others"
    wrong = [finding for finding in look(study, quick=quick) if finding.kind == WRONG]
    assert len(wrong) == 1
    assert "for `models.my-model.provided_images` and" in wrong[0].text or "is the same as" in wrong[0].text
    assert "pictures would be compared with themselves" in wrong[0].text


def test_a_veto_of_no_picture_is_named(study):
    study["domains"]["people"]["references"]["vetoes"] = "vetoes.tsv"
    Path("vetoes.tsv").write_text("concept\timage_id\nvan-a\t0.png\nvan-b\t0.pgn\n")
    (finding,) = look(study)
    assert "van-b: the veto of '0.pgn' matches no candidate image; did you mean '0.png'?" in finding.text


def test_captions_that_are_not_read_or_lost_are_told(study):
    study["corpora"]["my-corpus"] = {"captions": {"files": ["crawl"], "max_matched_captions": 0}, "images": "http"}
    Path("crawl").mkdir()
    Path("crawl/a.csv").write_text("caption,url\nx,u\n")
    Path("crawl/b.json").write_text("{}")
    Path("crawl/latest.csv").symlink_to("a.csv")
    texts = [finding.text for finding in look(study)]
    assert any("crawl: files that are not read as captions: b.json" in text for text in texts)
    assert any("crawl/latest.csv: reached twice" in text for text in texts)
    Path("crawl/z.csv").symlink_to("gone")
    assert any("crawl/z.csv: a link that leads to nothing" in f.text and f.stops for f in look(study, quick=True))
    study["corpora"]["my-corpus"]["captions"]["on_bad_shard"] = "skip"
    assert any("crawl/z.csv: a link that" in f.text and not f.stops for f in look(study, quick=True))
    Path("crawl/a.csv.gz").write_bytes(b"")
    assert any("a.csv.gz: it seems to be" in f.text and f.stops for f in look(study))


def test_captions_in_a_txt_name_it(study):
    study["corpora"]["my-corpus"] = {"captions": {"files": ["x.txt"], "max_matched_captions": 0}, "images": "http"}
    Path("x.txt").write_text("caption,url\nx,u\n")
    assert any("x.txt, line 1: 'caption,url' is not" in f.text and f.stops for f in look(study))


def test_another_study_to_compare_with_has_to_be_there(study, tmp_path):
    study["explorer"] = {"beside": ["elsewhere"]}
    (finding,) = [one for one in look(study) if one.key == "explorer.beside"]
    assert finding.kind == WRONG and "elsewhere: no scores/MODEL/DOMAIN.parquet in it" in finding.text
    (tmp_path / "elsewhere/results/scores/sd").mkdir(parents=True)
    (tmp_path / "elsewhere/results/scores/sd/people.parquet").touch()
    assert not [one for one in look(study) if one.key == "explorer.beside"]
