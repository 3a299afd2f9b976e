"""Faces of a real photograph, found by MTCNN's own weights; FaceNet with random weights in the published layout."""

import pickle
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from embedding_backends import load_embedder
from facenet_pytorch import MTCNN, InceptionResnetV1, fixed_image_standardization
from faces import ASTRONAUT, FACE, PARTS, contains, cosine
from huggingface_hub import constants
from PIL import Image, ImageOps

from fit.cli.main import main
from fit.embeddings import facenet as module
from fit.embeddings import faces as of_faces
from fit.embeddings.detection import find_faces
from fit.embeddings.faces import Face, clip
from fit.embeddings.settings import EmbedderSettings
from fit.errors import ModelError
from fit.images import table
from fit.io import parquet

pytestmark = pytest.mark.slow


@cache
def found(width=512, mode="RGB"):
    """The faces of the photograph, scaled and converted."""
    return find_faces(ASTRONAUT.resize((width, width)).convert(mode).convert("RGB"))


@pytest.fixture(scope="module")
def network():
    """Random weights, but norms that have seen pictures: without these every picture had nearly the same vector."""
    torch.manual_seed(0)
    network = InceptionResnetV1(classify=True, num_classes=8631, dropout_prob=0)
    corners = np.random.default_rng(0).integers(0, 512 - 160, (16, 2))
    seen = [np.asarray(ASTRONAUT.crop((x, y, x + 160, y + 160)), np.float32) for x, y in corners.tolist()]
    for norm in network.modules():
        if isinstance(norm, (torch.nn.BatchNorm1d, torch.nn.BatchNorm2d)):
            norm.momentum = 1.0
    with torch.no_grad():
        network.train()(fixed_image_standardization(torch.from_numpy(np.stack(seen)).permute(0, 3, 1, 2)))
    return network.eval()


@pytest.fixture(scope="module")
def published(network, tmp_path_factory):
    """A file as facenet-pytorch publishes them: with the classifier of its 8,631 people."""
    path = tmp_path_factory.mktemp("weights") / "vggface2.pt"
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def facenet(published):
    return load_embedder("facenet", str(published))


def test_a_face_is_found_where_it_is():
    (face,) = found()
    assert contains(FACE, face.box)
    assert face.box[2] - face.box[0] > 70
    assert face.probability > 0.99
    left_eye, right_eye, nose, left_mouth, right_mouth = face.landmarks
    for point, at in zip((left_eye, right_eye, nose), PARTS.values(), strict=True):
        assert point == pytest.approx(at, abs=8)
    assert left_mouth[0] < nose[0] < right_mouth[0]
    assert min(left_mouth[1], right_mouth[1]) > nose[1]


def test_without_shrinking_boxes_are_those_of_the_library():
    boxes, probabilities, points = MTCNN(keep_all=True).detect(ASTRONAUT, landmarks=True)
    (face,) = found()
    assert face.box == pytest.approx(boxes[0], abs=1e-3)
    assert face.probability == pytest.approx(probabilities[0], abs=1e-5)
    assert face.landmarks == pytest.approx(points[0].astype(float), abs=1e-3)


def test_large_pictures_are_searched_small_and_boxes_are_of_the_whole():
    (face,) = found(4000)
    (small,) = found()
    scale = 4000 / 512
    assert np.divide(face.box, scale) == pytest.approx(small.box, abs=6)
    assert face.landmarks / scale == pytest.approx(small.landmarks, abs=5)
    # Searched too small, the face is not found, whatever the picture holds.
    assert find_faces(ASTRONAUT, side=48) == []


def test_the_smallest_face_is_a_setting():
    picture = ASTRONAUT.resize((256, 256))
    assert len(find_faces(picture, min_face_size=20)) == 1
    assert find_faces(picture, min_face_size=150) == []


def test_two_faces_are_two_and_the_larger_comes_first():
    both = Image.new("RGB", (900, 512))
    both.paste(ASTRONAUT.resize((300, 300)), (0, 0))
    both.paste(ImageOps.mirror(ASTRONAUT), (388, 0))
    first, second = find_faces(both)
    assert contains((388 + 512 - FACE[2], FACE[1], 388 + 512 - FACE[0], FACE[3]), first.box)
    assert contains(np.multiply(FACE, 300 / 512), second.box)


def test_a_grey_picture_shows_its_face():
    assert found(mode="L")[0].box == pytest.approx(found()[0].box, abs=4)


@pytest.mark.parametrize("mode", ["L", "CMYK", "RGBA"])
def test_pictures_of_any_mode_are_decoded_to_the_same_face(mode, tmp_path):
    path = tmp_path / f"a.{'png' if mode == 'RGBA' else 'jpg'}"
    ASTRONAUT.convert(mode).save(path)
    (face,) = find_faces(table.decode(path.read_bytes(), path))
    assert contains(FACE, face.box)


def test_a_turned_photograph_is_searched_upright(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    ASTRONAUT.rotate(90, expand=True).save(tmp_path / "a.jpg", exif=exif, quality=95)
    (face,) = find_faces(table.decode((tmp_path / "a.jpg").read_bytes(), "a.jpg"))
    assert contains(FACE, face.box)


@pytest.mark.parametrize("edge", ["left", "top", "right", "bottom"])
def test_a_face_at_the_border_is_cut_out_of_what_there_is(facenet, edge):
    left, top, right, bottom = found()[0].box
    cut = {
        "left": (left + 20, 0, 512, 512),
        "top": (0, top + 25, 512, 512),
        "right": (0, 0, right - 20, 512),
        "bottom": (0, 0, 512, bottom - 25),
    }
    picture = ASTRONAUT.crop(tuple(map(int, cut[edge])))
    prepared = facenet.prepare(picture)
    assert len(prepared) == 1
    assert not contains((0, 0, *picture.size), prepared[0].box)
    assert prepared[0].crop.shape == (160, 160, 3)
    assert np.linalg.norm(facenet.embed([prepared])[0][0].vector) == pytest.approx(1, abs=1e-5)


def test_boxes_are_clipped_to_whole_pixels_of_the_picture():
    assert clip((-3.2, 4.9, 50.7, 99.0), (40, 60)) == (0, 4, 40, 60)
    assert clip((41.0, 4.0, 50.0, 9.0), (40, 60)) is None
    assert clip((-9.0, 4.0, 0.4, 9.0), (40, 60)) is None


@pytest.mark.parametrize("size", [(1, 1), (19, 400), (20, 20), (64, 64)])
def test_a_picture_without_a_face_has_no_vector(facenet, size):
    prepared = facenet.prepare(Image.new("RGB", size, "grey"))
    assert facenet.embed([prepared]) == [[]]


def test_vectors_are_those_of_the_network_on_the_librarys_crops(facenet, network):
    (face,) = facenet.embed([facenet.prepare(ASTRONAUT)])[0]
    detector = MTCNN(keep_all=True, post_process=False)
    crops = detector.extract(ASTRONAUT, detector.detect(ASTRONAUT)[0], save_path=None)
    network.classify = False
    with torch.no_grad():
        plain = network(fixed_image_standardization(crops)).numpy()
    assert face.vector == pytest.approx(plain[0], abs=1e-4)
    assert face.vector.dtype == np.float32
    assert face.box == found()[0].box


def test_a_vector_does_not_depend_on_its_batch(facenet, monkeypatch):
    monkeypatch.setattr(of_faces, "CROPS_AT_ONCE", 4)
    mirrored = facenet.prepare(ImageOps.mirror(ASTRONAUT))
    prepared = [facenet.prepare(ASTRONAUT), [], mirrored * 5, mirrored]
    together = facenet.embed(prepared)
    assert [len(of_image) for of_image in together] == [1, 0, 5, 1]
    for of_image, alone in zip(together, prepared, strict=True):
        for face, expected in zip(of_image[-1:], facenet.embed([alone])[0][-1:], strict=True):
            assert face.vector == pytest.approx(expected.vector, abs=1e-4)


def test_the_same_face_is_similar_at_other_sizes(facenet):
    one, large = (facenet.prepare(picture)[0] for picture in (ASTRONAUT, ASTRONAUT.resize((2000, 2000))))
    elsewhere = np.asarray(ASTRONAUT.crop((330, 20, 490, 180)))  # a rocket
    rocket = Face(one.box, 1.0, one.landmarks, elsewhere)
    pixels = [face.crop.astype(int) for face in (one, large, rocket)]
    assert np.abs(pixels[0] - pixels[1]).mean() < 0.5 * np.abs(pixels[0] - pixels[2]).mean()
    vectors = [face.vector for (face,) in facenet.embed([[one], [large], [rocket]])]
    assert cosine(vectors[0], vectors[1]) > cosine(vectors[0], vectors[2]) + 0.1


def test_what_prepares_pictures_is_small_when_sent(facenet):
    sent = pickle.dumps(facenet.prepare)
    assert len(sent) < 1000
    assert pickle.loads(sent)(ASTRONAUT)[0].box == found()[0].box


def test_a_low_precision_is_close(published):
    (face,) = found()
    faces = [[Face(face.box, 1.0, face.landmarks, module.cut_out(ASTRONAUT, face))]]
    vectors = [
        load_embedder("facenet", str(published), dtype=dtype).embed(faces)[0][0].vector
        for dtype in ("float32", "bfloat16")
    ]
    assert 0.9 < cosine(*vectors) < 0.999999
    assert vectors[1].dtype == np.float32


def test_the_command_embeds_faces_with_all_that_is_known_of_them(published, tmp_path, capsys):
    rows = [
        {"image_id": "her", "bytes": table.encode_png(ASTRONAUT)},
        {"image_id": "nobody", "bytes": table.encode_png(Image.new("RGB", (64, 64)))},
    ]
    parquet.write(pa.Table.from_pylist(rows), tmp_path / "t.parquet")
    command = [
        "embeddings",
        "images",
        "--backend",
        "facenet",
        "--model",
        published,
        "--threads",
        "2",
        "--dtype",
        "float32",
    ]
    command += ["--detection-side", "300", "--images", tmp_path / "t.parquet", "--out", tmp_path / "e.parquet"]
    assert main([str(word) for word in command]) == 0, capsys.readouterr().err
    (row,) = parquet.read(tmp_path / "e.parquet").to_pylist()
    assert (row["image_id"], row["face"], len(row["embedding"]), len(row["landmarks"])) == ("her", 0, 512, 10)
    assert contains(FACE, row["box"])
    assert row["area"] == pytest.approx((row["box"][2] - row["box"][0]) * (row["box"][3] - row["box"][1]), rel=1e-3)
    assert row["box"] != pytest.approx(found()[0].box, abs=1e-3)  # searched at another side


def test_weights_load_with_and_without_a_classifier(network, facenet, tmp_path):
    state = {name: value for name, value in network.state_dict().items() if not name.startswith("logits.")}
    torch.save(state, tmp_path / "bare.pt")
    bare = load_embedder("facenet", str(tmp_path / "bare.pt"))
    crop = np.zeros((1, 160, 160, 3), np.uint8)
    assert np.array_equal(bare.recognise(crop), facenet.recognise(crop))


class Payload:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_weights_that_do_not_fit_say_what_was_expected(network, published, tmp_path):
    def load(content):
        path = tmp_path / "w.pt"
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            torch.save(content, path)
        return load_embedder("facenet", str(path))

    state = network.state_dict()
    missing = {name: value for name, value in state.items() if name != "last_linear.weight"}
    with pytest.raises(
        ModelError, match=r"w\.pt: not the weights of this .*missing: last_linear\.weight \(512, 1792\)\. Fix"
    ):
        load(missing)
    with pytest.raises(ModelError, match=r"last_bn\.weight \(3,\) instead of \(512,\)"):
        load(state | {"last_bn.weight": torch.ones(3)})
    with pytest.raises(ModelError, match=r"missing: .*not expected: conv1\.weight"):
        load({"conv1.weight": torch.ones(3)})
    with pytest.raises(ModelError, match=r"expected a state dict of InceptionResnetV1 .* found list"):
        load([torch.ones(3)])
    whole = published.read_bytes()
    with pytest.raises(ModelError, match=r"w\.pt: corrupt, or not a checkpoint"):
        load(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match=r"w\.pt: "):
        load(b"these are no weights")
    with pytest.raises(ModelError, match=r"w\.pt: "):
        load(b"")
    with pytest.raises(ModelError, match=r"nothing of it was run"):
        load({"conv1.weight": Payload(tmp_path / "ran")})
    assert not (tmp_path / "ran").exists()


def test_missing_weights_say_where_to_get_them(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    fetched = []
    monkeypatch.setattr(module, "InceptionResnetV1", lambda pretrained=None: fetched.append(pretrained))
    expected = (
        r"checkpoints/20180402-114759-vggface2\.pt: .*github\.com/timesler/.*embedders\.NAME\.model.*download: true"
    )
    with pytest.raises(ModelError, match=expected):
        module._locate(EmbedderSettings(model="vggface2"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match=expected):
        module._locate(EmbedderSettings(model="vggface2", download=True))
    assert fetched == []
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    assert module._locate(EmbedderSettings(model="vggface2", download=True)).parent == tmp_path / "checkpoints"
    assert fetched == ["vggface2"]

    def unreachable(pretrained):
        raise OSError("no route")

    monkeypatch.setattr(module, "InceptionResnetV1", unreachable)
    with pytest.raises(ModelError, match=r"can't be fetched \(no route\); get 20180408-102900-casia-webface\.pt from"):
        module._locate(EmbedderSettings(model="casia-webface", download=True))


def test_a_published_set_is_taken_from_the_cache(published, facenet, monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "20180402-114759-vggface2.pt").symlink_to(published)
    cached = load_embedder("facenet", "vggface2")
    crop = np.zeros((1, 160, 160, 3), np.uint8)
    assert np.array_equal(cached.recognise(crop), facenet.recognise(crop))


def test_an_embedder_of_faces_reads_no_text(facenet):
    with pytest.raises(ModelError, match="no text tower"):
        facenet.embed_texts(["an artwork"])
