"""The art filter, from a model with two towers to the matches."""

import json

import numpy as np
import pyarrow as pa
import pytest
from embedding_backends import load_embedder, publish_csd, save_dinov2
from PIL import Image

from fit.atelier import build
from fit.atelier.corpus import paint_photographs
from fit.atelier.painting import SUBJECTS, draw_styles, paint
from fit.atelier.settings import ArtFilterSettings
from fit.cli.main import main
from fit.embeddings.base import Embedding
from fit.embeddings.files import rows
from fit.io import parquet


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    return publish_csd(tmp_path_factory.mktemp("csd") / "pytorch_model.bin")


@pytest.fixture(scope="module")
def dinov2(tmp_path_factory):
    return save_dinov2(tmp_path_factory.mktemp("dinov2"))


def write_embeddings(path, names, found):
    parquet.write(rows(names, found, len(found[0][0].vector), "ann"), path)
    return str(path)


@pytest.mark.slow
def test_the_art_filter_tells_artworks_by_several_texts(tmp_path):
    """From a model with two towers to the matches: photographs of a painter's subject are not her works."""
    build.build_art_filter(tmp_path / "filter", ArtFilterSettings(art_filter_steps=40), seed=0)
    rng = np.random.default_rng(1)
    subjects = rng.integers(len(SUBJECTS), size=24)
    arrays = [*paint(draw_styles(24, rng), subjects, rng), *paint_photographs(24, rng)]
    pictures = [Image.fromarray(np.round(255 * np.clip(array, 0, 1)).astype(np.uint8)) for array in arrays]
    embedder = load_embedder("openclip", f"local-dir:{tmp_path / 'filter'}")
    texts = ["an artwork", "a painting"]
    of_texts = embedder.embed_texts(texts)
    found = embedder.embed([embedder.prepare(picture) for picture in pictures])
    names = [f"image-{i}" for i in range(48)]
    place = {
        "art": write_embeddings(tmp_path / "art.parquet", names[:24], found[:24]),
        "photographs": write_embeddings(tmp_path / "photographs.parquet", names[24:], found[24:]),
        "all": write_embeddings(tmp_path / "ann.parquet", names, found),
        "texts": write_embeddings(tmp_path / "texts.parquet", texts, [[Embedding(vector)] for vector in of_texts]),
    }
    command = ["matches", "art-threshold", "--artworks", place["art"], "--photographs", place["photographs"]]
    command += ["--texts", place["texts"], "--method", "best_f1", "--needed", "--out", str(tmp_path / "art.json")]
    assert main([*command, "--figure", str(tmp_path / "art.png")]) == 0
    threshold = json.loads((tmp_path / "art.json").read_text())
    assert threshold["roc_auc"] > 0.9

    # Every image is its own reference, so that the filter alone decides.
    kept = pa.table({"concept": ["ann"] * 48, "image_id": names, "kept": [True] * 48, "bytes": [b""] * 48})
    parquet.write(kept, tmp_path / "references.parquet")
    (tmp_path / "same.json").write_text('{"match_threshold": 0.5}')
    command = ["matches", "find", "--concepts", "ann", "--images", place["all"]]
    command += ["--references", str(tmp_path / "references.parquet"), "--reference-embeddings", place["all"]]
    command += ["--match-threshold", str(tmp_path / "same.json"), "--art-embeddings", place["all"]]
    command += ["--art-texts", place["texts"], "--art-threshold", str(tmp_path / "art.json")]
    assert main([*command, "--out", str(tmp_path / "matches.parquet")]) == 0
    matches = parquet.read(tmp_path / "matches.parquet").to_pylist()
    highest = (np.stack([face.vector for (face,) in found]) @ of_texts.T).max(axis=1)
    assert [row["art_similarity"] for row in matches] == pytest.approx(highest.tolist(), abs=1e-6)
    assert [row["match"] for row in matches] == (highest > threshold["match_threshold"]).tolist()
    assert sum(row["match"] for row in matches[:24]) > 20 > 4 > sum(row["match"] for row in matches[24:])


def test_an_art_filter_needs_a_text_tower(published, dinov2, tmp_path, capsys):
    for backend, model in (("csd", published), ("transformers", dinov2[1])):
        command = ["embeddings", "texts", "--backend", backend, "--model", str(model), "--texts", "an artwork"]
        assert main([*command, "--out", str(tmp_path / "texts.parquet")]) == 1
        assert "no text tower; name an openclip model as the art filter's embedder" in capsys.readouterr().err
