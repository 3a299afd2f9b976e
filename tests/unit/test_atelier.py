import os
import subprocess
import sys

import numpy as np
import open_clip
import polars as pl
import pytest
import torch
from diffusers import StableDiffusionPipeline
from embedding_backends import load_embedder
from generating import load_generator

from fit.atelier import build
from fit.atelier.corpus import Noise, Painter, make_crawl
from fit.atelier.painting import PALETTES, SIDE, draw_styles, paint
from fit.atelier.settings import GeneratorSettings, StyleEncoderSettings
from fit.concepts.sheet import Concept
from fit.embeddings.files import read_embeddings, read_single_faces
from fit.embeddings.run import embed_table, embed_texts
from fit.embeddings.settings import EmbedderSettings, FaceSettings
from fit.errors import ConfigError, ImageTableError, ModelError
from fit.generated.run import generate_table, image_seed
from fit.generated.settings import GenerationSettings
from fit.images import table
from fit.io import parquet

pytestmark = pytest.mark.slow  # its fixtures train models

NAMES = ["Ada Morvek", "Bruno Morvek", "Celia Kaldani", "Dario Vesmara", "Elin Vestisch", "Fausto Tanlund"]


@pytest.fixture(scope="module")
def crawl():
    painters = [Painter(name.lower().replace(" ", "-"), name, (f"{name[0]}. M.",)) for name in NAMES]
    styles = draw_styles(6, np.random.default_rng(0))
    return make_crawl(painters, styles, np.array([0, 2, 5, 10, 20, 40]), Noise(anonymous=30, namesakes=4), 0)


@pytest.fixture(scope="module")
def pipeline(crawl, tmp_path_factory):
    folder = tmp_path_factory.mktemp("generator")
    crawl.write_parquet(folder / "training-set.parquet")
    settings = GeneratorSettings(autoencoder_steps=6, generator_steps=6, generator_batch=4)
    build.build_generator(folder / "training-set.parquet", folder / "pipeline", settings, seed=0)
    return folder / "pipeline"


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoder") / "style"
    build.build_style_encoder(folder, StyleEncoderSettings(encoder_steps=2), seed=0)
    return folder


def test_a_seed_paints_the_same_world_in_every_process(tmp_path):
    sheet = tmp_path / "painters.tsv"
    sheet.write_text("concept\tname\n" + "".join(f"{n.lower().replace(' ', '-')}\t{n}\n" for n in NAMES))
    settings = "--painters-without-pictures 1 --largest-count 9 --references-per-painter 2 --photographs 2 "
    settings += "--anonymous 5 --seed 3"
    for seed in "12":  # of Python's hashes, which the order of a set hangs on
        out = tmp_path / seed
        places = (
            f"--shards {out}/0.parquet {out}/1.parquet --training-set {out}/training.parquet --truth {out}/t.parquet"
        )
        places += f" --references-file {out}/r.parquet --photographs-file {out}/p.parquet"
        command = ["fit", "atelier", "paint", "--sheet", str(sheet), *settings.split(), *places.split()]
        subprocess.run(command, check=True, env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True)
    for name in ("0", "1", "training", "t", "r", "p"):
        one, other = (pl.read_parquet(tmp_path / seed / f"{name}.parquet") for seed in "12")
        assert one.equals(other), name


@pytest.mark.parametrize("first", ["Ann", "José Ängström", "雪"])
def test_a_tokenizer_is_the_same_in_every_process(first):
    """Its parts' numbers once followed the order of a hash table, and with them every weight of the generator."""
    script = (
        "import sys\n"
        "from fit.atelier.generator import train_tokenizer\n"
        "captions = [f'harbour by {sys.argv[1]}{i % 7} Lee{i % 11}, (detail) {i}' for i in range(300)]\n"
        "print(sorted(train_tokenizer(captions).get_vocab().items()))"
    )
    said = [
        subprocess.run([sys.executable, "-c", script, first], check=True, capture_output=True).stdout for _ in range(2)
    ]
    assert len(said[0]) > 1000
    assert said[0] == said[1]


def test_pictures_depend_on_style_and_draw():
    rng = np.random.default_rng(1)
    styles = draw_styles(3, rng)
    pictures = paint(styles.take([0, 0, 1]), [0, 0, 0], np.random.default_rng(2))
    assert pictures.shape == (3, SIDE, SIDE, 3)
    assert pictures.dtype == np.float32
    assert 0 <= pictures.min() <= pictures.max() <= 1
    assert not np.allclose(pictures[0], pictures[1])
    assert np.array_equal(pictures, paint(styles.take([0, 0, 1]), [0, 0, 0], np.random.default_rng(2)))


def test_palettes_are_shared_among_painters():
    assert len(np.unique(draw_styles(100, np.random.default_rng(3)).palette)) == len(PALETTES)


def test_the_pipeline_loads_like_any_other(pipeline):
    pipe = StableDiffusionPipeline.from_pretrained(pipeline, safety_checker=None)
    pipe.set_progress_bar_config(disable=True)
    image = pipe("a harbour by Ada Morvek", num_inference_steps=1).images[0]
    assert image.size == (SIDE, SIDE)
    # Names are made of pieces that other names share.
    assert len(pipe.tokenizer.tokenize("Zora Kalmara")) > 2


SAMPLING = {
    "revision": None,
    "scheduler": "DPMSolverMultistepScheduler",
    "dtype": "float32",
    "steps": 2,
    "guidance": 3.0,
}


def test_pictures_do_not_depend_on_the_batch(pipeline, tmp_path):
    generator = load_generator(str(pipeline), **SAMPLING)
    concepts = [Concept("ada-morvek", "Ada Morvek")]
    options = {"prompts": ["a painting by {name}", "{name}"], "study_seed": 1}
    for size in (1, 4):
        settings = GenerationSettings(images_per_prompt=3, batch_size=size)
        generate_table(generator, concepts, tmp_path / f"{size}.parquet", settings=settings, **options)
    one, four = (parquet.read(tmp_path / f"{size}.parquet") for size in (1, 4))
    assert one.drop(["bytes"]).equals(four.drop(["bytes"]))
    assert one.column("prompt").to_pylist() == ["a painting by Ada Morvek"] * 3 + ["Ada Morvek"] * 3
    assert len(set(one.column("seed").to_pylist())) == 6
    pictures = [
        np.stack([np.asarray(p, int) for _, b in table.stream(tmp_path / f"{s}.parquet") for p in b]) for s in (1, 4)
    ]
    assert np.abs(pictures[0] - pictures[1]).max() <= 1
    assert b"DPMSolverMultistepScheduler" in four.schema.metadata[b"provenance"]


def test_a_seed_depends_on_each_of_its_parts():
    seeds = {image_seed(s, c, p, i) for s in (1, 2) for c in "ab" for p in ("x", "y") for i in (0, 1)}
    assert len(seeds) == 16
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_what_is_no_pipeline_says_so(tmp_path, pipeline):
    with pytest.raises(ModelError, match=r"not a diffusers pipeline.*save_pretrained"):
        load_generator(str(tmp_path), **SAMPLING)
    (tmp_path / "model_index.json").write_text("{}")
    with pytest.raises(ModelError, match="can't load"):
        load_generator(str(tmp_path), **SAMPLING)
    with pytest.raises(ModelError, match="no scheduler of this name"):
        load_generator(str(pipeline), **SAMPLING | {"scheduler": "NoScheduler"})
    with pytest.raises(ConfigError, match="did you mean 'diffusers'"):
        load_generator("any", backend="difusers")


def test_an_encoder_embeds_as_open_clip_does(encoder, tmp_path):
    rng = np.random.default_rng(6)
    pictures = paint(draw_styles(5, rng), [0] * 5, rng)
    rows = [{"image_id": str(i), "bytes": table.encode_png(picture)} for i, picture in enumerate(pictures)]
    parquet.write(table.pa.Table.from_pylist(rows), tmp_path / "t.parquet")
    targets = [tmp_path / f"e{size}.parquet" for size in (2, 64)]
    settings = EmbedderSettings(model=f"local-dir:{encoder}")
    for size, target in zip((2, 64), targets, strict=True):
        embed_table("openclip", settings, FaceSettings(), [tmp_path / "t.parquet"], target, size)
    (names, two), (_, all_at_once) = (read_embeddings(target) for target in targets)
    assert names.tolist() == list("01234")
    assert np.linalg.norm(two, axis=1) == pytest.approx(np.ones(5), abs=1e-5)
    assert two == pytest.approx(all_at_once, abs=1e-5)
    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{encoder}")
    images = torch.stack([preprocess(p) for _, batch in table.stream(tmp_path / "t.parquet") for p in batch])
    with torch.no_grad():
        assert two == pytest.approx(model.eval().encode_image(images, normalize=True).numpy(), abs=1e-5)


def test_texts_embed_and_empty_tables_stay_empty(encoder, tmp_path):
    settings, faces = EmbedderSettings(model=f"local-dir:{encoder}"), FaceSettings()
    embed_texts("openclip", settings, faces, ["an artwork", "a dog"], tmp_path / "texts.parquet")
    names, vectors = read_embeddings(tmp_path / "texts.parquet")
    assert names.tolist() == ["an artwork", "a dog"]
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(2), abs=1e-5)
    parquet.write(
        table.pa.table({"image_id": ["gone"], "bytes": table.pa.array([None], table.pa.binary())}),
        tmp_path / "t.parquet",
    )
    embed_table("openclip", settings, faces, [tmp_path / "t.parquet"], tmp_path / "e.parquet", 8)
    assert len(read_embeddings(tmp_path / "e.parquet")[0]) == 0


def test_only_images_with_one_face_are_single(tmp_path):
    rows = [("a", 0), ("b", 0), ("b", 1), ("c", 0)]
    embedding = table.pa.array([[1.0, 0.0]] * 4, table.pa.list_(table.pa.float32(), 2))
    faces = {"image_id": [n for n, _ in rows], "face": [f for _, f in rows], "embedding": embedding}
    parquet.write(table.pa.table(faces), tmp_path / "e.parquet")
    assert read_single_faces(tmp_path / "e.parquet")[0].tolist() == ["a", "c"]
    assert read_embeddings(tmp_path / "e.parquet")[1].shape == (4, 2)


def test_what_is_no_encoder_says_so(tmp_path):
    with pytest.raises(ModelError, match="open_clip can't load"):
        load_embedder("openclip", f"local-dir:{tmp_path}")
    with pytest.raises(ConfigError, match="did you mean 'openclip'"):
        load_embedder("opencilp", "x")
    with pytest.raises(ModelError, match="neither a file nor one of"):
        load_embedder("facenet", str(tmp_path / "none.pt"))


def test_a_training_set_that_is_no_parquet_is_named_with_the_remedy(tmp_path):
    broken = tmp_path / "training-set.parquet"
    broken.write_text("no pictures here")
    with pytest.raises(ImageTableError, match=r"training-set\.parquet: not a readable Parquet.*make this one again"):
        settings = GeneratorSettings(autoencoder_steps=1, generator_steps=1, generator_batch=2)
        build.build_generator(broken, tmp_path / "out", settings, seed=1)
    assert [path.name for path in tmp_path.iterdir()] == ["training-set.parquet"]
