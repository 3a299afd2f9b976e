"""FaceNet with random weights: what loads, what is found, what is embedded; not how well."""

import numpy as np
import pytest
import torch
from facenet_pytorch import InceptionResnetV1
from PIL import Image

from fit import embedders
from fit.embedders.base import Weights
from fit.errors import ModelError


@pytest.fixture(scope="module")
def facenet(tmp_path_factory):
    weights = tmp_path_factory.mktemp("weights") / "random.pt"
    torch.manual_seed(0)
    torch.save(InceptionResnetV1().state_dict(), weights)
    return embedders.load("facenet", Weights(str(weights)))


def test_a_picture_without_a_face_has_no_vector(facenet):
    assert facenet.embed([Image.new("RGB", (64, 64), "grey")]) == [[]]


def test_every_face_has_a_unit_vector_and_its_box(facenet, monkeypatch):
    boxes = np.array([[4.0, 4.0, 60.0, 60.0], [50.0, 20.0, 110.0, 90.0]])
    monkeypatch.setattr(facenet._detector, "detect", lambda picture: (boxes, np.array([0.9, 0.8])))
    noise = Image.fromarray(np.random.default_rng(0).integers(255, size=(100, 120, 3), dtype=np.uint8))
    found = facenet.embed([noise])
    assert [face.box for face in found[0]] == [(4, 4, 60, 60), (50, 20, 110, 90)]
    assert [face.vector.shape for face in found[0]] == [(512,), (512,)]
    assert [np.linalg.norm(face.vector) for face in found[0]] == pytest.approx([1, 1], abs=1e-5)
    assert not np.allclose(found[0][0].vector, found[0][1].vector)


def test_faces_are_no_readers(facenet):
    with pytest.raises(ModelError, match="no text tower"):
        facenet.embed_texts(["an artwork"])
