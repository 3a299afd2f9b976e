"""Embedders and generators of other packages, which entry points name, beside the built-in ones."""

import sys
import types
from importlib import metadata

import numpy as np
import pytest
from generating import ADA, Scripted

from fit import embeddings, generated
from fit.cli.main import main
from fit.embeddings.base import Embedder, Embedding
from fit.embeddings.files import read_embeddings
from fit.embeddings.settings import EmbedderSettings, FaceSettings
from fit.errors import ConfigError
from fit.generated.settings import PipelineSettings
from fit.images import table
from fit.io import parquet
from fit.registry import known_names


class MeanColour(Embedder):
    """The mean colour of a picture."""

    @property
    def prepare(self):
        return np.asarray

    def embed(self, prepared):
        means = [picture.reshape(-1, 3).mean(0) for picture in prepared]
        return [[Embedding((mean / np.linalg.norm(mean)).astype(np.float32))] for mean in means]


class Half(Embedder):
    """An embedder without `embed`."""

    prepare = MeanColour.prepare


class OtherModel(Scripted):
    """A generator that notes its settings."""

    def __init__(self, settings):
        super().__init__()
        self.settings = settings


@pytest.fixture
def other_package(monkeypatch, tmp_path):
    """An installed package that brings an embedder, a generator and one of each that can't be imported."""
    module = types.ModuleType("other_package")
    module.MeanColour, module.OtherModel, module.Half = MeanColour, OtherModel, Half
    monkeypatch.setitem(sys.modules, "other_package", module)
    (tmp_path / "raising_package.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    points = [
        metadata.EntryPoint("mean-colour", "other_package:MeanColour", embeddings.ENTRY_POINTS),
        metadata.EntryPoint("broken", "nowhere:Embedder", embeddings.ENTRY_POINTS),
        metadata.EntryPoint("half", "other_package:Half", embeddings.ENTRY_POINTS),
        metadata.EntryPoint("module", "other_package", embeddings.ENTRY_POINTS),
        metadata.EntryPoint("raising", "raising_package:Embedder", embeddings.ENTRY_POINTS),
        metadata.EntryPoint("facenet", "other_package:MeanColour", embeddings.ENTRY_POINTS),
        metadata.EntryPoint("other-model", "other_package:OtherModel", generated.ENTRY_POINTS),
    ]
    monkeypatch.setattr(metadata, "entry_points", lambda *, group: [point for point in points if point.group == group])


def test_an_embedder_of_another_package_embeds_a_table(other_package, tmp_path):
    picture = np.full((4, 5, 3), (0.0, 0.6, 0.8))
    rows = [{"concept": "ann", "image_id": "i", "bytes": table.encode_png(picture)}]
    parquet.write(table.pa.Table.from_pylist(rows), tmp_path / "t.parquet")
    command = ["embeddings", "images", "--backend", "mean-colour", "--model", "any", "--decoders", "0"]
    assert main([*command, "--images", str(tmp_path / "t.parquet"), "--out", str(tmp_path / "e.parquet")]) == 0
    names, vectors = read_embeddings(tmp_path / "e.parquet", "ann")
    assert names.tolist() == ["i"]
    assert vectors[0] == pytest.approx([0, 0.6, 0.8], abs=1e-3)


def test_a_generator_of_another_package_gets_its_settings(other_package):
    generator = generated.load(PipelineSettings(pipeline="somewhere", backend="other-model", steps=7))
    assert isinstance(generator, OtherModel)
    assert (generator.settings.pipeline, generator.settings.steps, generator.loads) == ("somewhere", 7, 1)
    assert generator.generate([ADA.name], [1])[0].status == "ok"


def test_a_built_in_name_is_not_replaced(other_package, monkeypatch):
    monkeypatch.setitem(sys.modules, "fit.embeddings.facenet", types.SimpleNamespace(FaceNet=lambda *_: "built in"))
    assert embeddings.load("facenet", EmbedderSettings(model="vggface2"), FaceSettings()) == "built in"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("mean-color", "did you mean 'mean-colour'"),
        ("facent", "did you mean 'facenet'"),
        ("zzz", "there are: arcface, broken, csd, dlib, facenet, half, mean-colour, module, openclip"),
        ("half", r"'half' is other_package:Half of an installed package, which lacks embed; install a version"),
        ("module", "other_package of an installed package, which is not a class"),
        ("raising", r"can't be imported \(ZeroDivisionError: division by zero\)"),
        ("broken", r"the embedder 'broken' is nowhere:Embedder of an installed package, which can't be imported"),
    ],
)
def test_a_name_that_cannot_be_found_is_an_error_with_a_remedy(other_package, name, said):
    with pytest.raises(ConfigError, match=said):
        embeddings.load(name, EmbedderSettings(model="any"), FaceSettings())


def test_names_are_known_without_an_import(other_package):
    brought = known_names(embeddings.REGISTRY, embeddings.ENTRY_POINTS)[len(embeddings.REGISTRY) :]
    assert brought == ["mean-colour", "broken", "half", "module", "raising"]
    assert known_names(generated.REGISTRY, generated.ENTRY_POINTS) == ["diffusers", "other-model"]
    assert known_names(embeddings.REGISTRY) == list(embeddings.REGISTRY)
