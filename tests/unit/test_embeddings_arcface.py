"""ArcFace: ONNX models made here, against computations of other libraries on crops that those aligned."""

import pickle

import numpy as np
import onnx
import pytest
import torch
from embedding_backends import load_embedder
from faces import ASTRONAUT, cosine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from skimage.transform import SimilarityTransform, warp

from fit.embeddings.alignment import TEMPLATE, align, similarity, template
from fit.embeddings.arcface import normalises_itself
from fit.embeddings.detection import find_faces
from fit.embeddings.faces import Face
from fit.errors import ModelError

PROJECTION = np.random.default_rng(0).normal(size=(3 * 7 * 7, 32)).astype(np.float32)


def network(path, shape=("N", 3, 112, 112), before=(), number=TensorProto.FLOAT, extra_input=False, vectors=True):
    """Write a model that averages blocks of pixels and projects these; `before`: nodes in front, with constants."""
    kind = helper.tensor_dtype_to_np_dtype(number)
    constants = {"half": 127.5, "scale": 1 / 127.5, "minus": -1}
    wide = shape[3] if isinstance(shape[3], int) else 112
    nodes, last = [], "data"
    for operator, constant in before:
        nodes.append(helper.make_node(operator, [last, constant], [f"after-{operator}"]))
        last = f"after-{operator}"
    block = [16, 16]
    nodes.append(helper.make_node("AveragePool", [last], ["blocks"], kernel_shape=block, strides=block))
    nodes.append(helper.make_node("Flatten", ["blocks"], ["flat"]))
    nodes.append(helper.make_node("MatMul", ["flat", "projection"], ["vector"]))
    initializers = [numpy_helper.from_array(np.asarray(v, kind), k) for k, v in constants.items()]
    initializers.append(numpy_helper.from_array(PROJECTION[: 3 * 7 * (wide // 16)].astype(kind), "projection"))
    inputs = [helper.make_tensor_value_info("data", number, shape)]
    if extra_input:
        inputs.append(helper.make_tensor_value_info("other", number, ["N"]))
        nodes.append(helper.make_node("Identity", ["other"], ["unused"]))
    outputs = [helper.make_tensor_value_info("vector" if vectors else "blocks", number, None)]
    graph = helper.make_graph(nodes, "faces", inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return str(path)


def plainly(crops, mean=127.5, std=127.5, order=(0, 1, 2)):
    """What `network` computes of crops [N, H, W, 3], in NumPy."""
    pixels = (np.asarray(crops, np.float64)[..., list(order)] - mean) / std
    n, height, width, _ = pixels.shape
    blocks = pixels.reshape(n, height // 16, 16, width // 16, 16, 3).mean((2, 4)).transpose(0, 3, 1, 2)
    vectors = blocks.reshape(n, -1) @ PROJECTION[: 3 * 7 * (width // 16)]
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def aligned_by_skimage(picture, landmarks, width=112):
    """The crop as scikit-image makes it: uint8 [112, width, 3]."""
    aim = TEMPLATE - [(112 - width) / 2, 0]
    transform = SimilarityTransform.from_estimate(np.asarray(landmarks, float), aim)
    crop = warp(np.asarray(picture), transform.inverse, output_shape=(112, width), order=1, preserve_range=True)
    return np.uint8(np.round(crop))


FOUND = find_faces(ASTRONAUT)[0]


def test_similarity_is_the_least_squares_fit():
    rng = np.random.default_rng(1)
    for _ in range(20):
        source, target = rng.normal(size=(2, 5, 2)) * 30
        by_skimage = SimilarityTransform.from_estimate(source, target).params[:2]
        assert similarity(source, target) == pytest.approx(by_skimage, abs=1e-6)


def test_similarity_never_mirrors():
    mirrored = TEMPLATE * [-1, 1]
    assert np.linalg.det(similarity(mirrored, TEMPLATE)[:, :2]) > 0
    with pytest.raises(ValueError, match="no direction"):
        similarity(np.ones((5, 2)), TEMPLATE)


@pytest.mark.parametrize("width", [112, 96])
@pytest.mark.parametrize("angle", [0, 35, 180])
def test_faces_are_aligned_as_scikit_image_does_it(width, angle):
    picture = ASTRONAUT.rotate(angle, Image.Resampling.BICUBIC)
    turn = np.deg2rad(angle)
    middle = np.array([255.5, 255.5])
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    landmarks = (FOUND.landmarks - middle) @ rotation.T + middle
    crop = align(picture, landmarks, (width, 112))
    assert crop.shape == (112, width, 3)
    expected = aligned_by_skimage(picture, landmarks, width)
    assert np.abs(crop.astype(int) - expected).max() <= 2
    # Upright, whichever way the picture is turned.
    upright = aligned_by_skimage(ASTRONAUT, FOUND.landmarks, width)
    assert np.abs(crop.astype(int) - upright).mean() < 4


def test_a_face_beyond_the_border_is_black_there():
    shift = np.array([FOUND.landmarks[0][0] - 5, 0])
    picture = ASTRONAUT.crop((int(shift[0]), 0, 512, 512))
    landmarks = FOUND.landmarks - [int(shift[0]), 0]
    crop = align(picture, landmarks, (112, 112))
    assert (crop[:, 0] == 0).all()
    # At the very border one library mixes black into the last pixels.
    inside = aligned_by_skimage(Image.new("RGB", picture.size, "white"), landmarks) == 255
    expected = aligned_by_skimage(picture, landmarks)
    assert 0.3 < inside.mean() < 0.9
    assert np.abs(crop.astype(int) - expected)[inside].max() <= 2


@pytest.mark.slow
def test_a_large_face_is_averaged_not_sampled():
    rng = np.random.default_rng(2)
    large = np.asarray(ASTRONAUT.resize((3072, 3072), Image.Resampling.BICUBIC)).astype(int)
    noisy = Image.fromarray(np.uint8(np.clip(large + rng.normal(0, 60, large.shape), 0, 255)))
    landmarks = (FOUND.landmarks + 0.5) * 6 - 0.5
    clean = align(ASTRONAUT, FOUND.landmarks, (112, 112)).astype(int)
    averaged = np.abs(align(noisy, landmarks, (112, 112)) - clean).mean()
    sampled = np.abs(aligned_by_skimage(noisy, landmarks) - clean).mean()
    assert averaged < 0.5 * sampled


def test_only_known_sizes_have_a_template():
    assert np.array_equal(template((96, 112)), TEMPLATE - [8, 0])
    with pytest.raises(ValueError, match="128 x 128"):
        template((128, 128))


@pytest.mark.slow
def test_a_photograph_becomes_a_vector(tmp_path):
    arcface = load_embedder("arcface", network(tmp_path / "a.onnx"))
    ((face,),) = arcface.embed([arcface.prepare(ASTRONAUT)])
    (expected,) = plainly([aligned_by_skimage(ASTRONAUT, FOUND.landmarks)])
    assert face.vector == pytest.approx(expected, abs=1e-2)
    assert (face.box, face.probability) == (FOUND.box, FOUND.probability)
    assert np.array_equal(face.landmarks, FOUND.landmarks)
    assert np.linalg.norm(face.vector) == pytest.approx(1, abs=1e-6)
    ((large,),) = arcface.embed([arcface.prepare(ASTRONAUT.resize((2000, 2000)))])
    assert cosine(face.vector, large.vector) > 0.99


def faces(count, width=112):
    crops = np.random.default_rng(3).integers(0, 256, (count, 112, width, 3), dtype=np.uint8)
    return crops, [Face((0.0, 0.0, 9.0, 9.0), 1.0, TEMPLATE, crop) for crop in crops]


@pytest.mark.parametrize("batch", ["N", 1, 4])
@pytest.mark.parametrize("number", [TensorProto.FLOAT, TensorProto.FLOAT16])
def test_a_fixed_batch_gives_what_a_free_one_does(tmp_path, batch, number):
    arcface = load_embedder("arcface", network(tmp_path / "a.onnx", (batch, 3, 112, 112), number=number))
    crops, of_image = faces(70)
    found = arcface.embed([of_image[:3], [], of_image[3:]])
    assert [len(part) for part in found] == [3, 0, 67]
    vectors = np.stack([face.vector for part in found for face in part])
    assert vectors.dtype == np.float32
    assert vectors == pytest.approx(plainly(crops), abs=1e-4 if number == TensorProto.FLOAT else 2e-2)


@pytest.mark.slow
def test_a_narrow_input_gets_a_narrow_crop(tmp_path):
    arcface = load_embedder("arcface", network(tmp_path / "a.onnx", ("N", 3, 112, 96)))
    (face,) = arcface.prepare(ASTRONAUT)
    expected = aligned_by_skimage(ASTRONAUT, FOUND.landmarks, 96)
    assert np.abs(face.crop.astype(int) - expected).max() <= 2
    assert arcface.embed([[face]])[0][0].vector == pytest.approx(plainly([face.crop])[0], abs=1e-4)


@pytest.mark.parametrize(
    ("before", "settings", "mean", "std"),
    [
        ((), {}, 127.5, 127.5),
        ((("Sub", "half"), ("Mul", "scale")), {}, 127.5, 127.5),  # in the model, so not before it
        ((("Sub", "half"), ("Div", "half")), {}, 127.5, 127.5),
        ((("Mul", "scale"),), {}, 127.5, 127.5**2),  # not a normalisation, so both
        ((), {"pixel_mean": 0.0, "pixel_std": 255.0}, 0, 255),
        ((("Sub", "half"), ("Mul", "scale")), {"pixel_mean": 0.0, "pixel_std": 1.0}, 127.5, 127.5),
        ((), {"pixel_mean": (123.7, 116.3, 103.5), "pixel_std": 58.4}, (123.7, 116.3, 103.5), 58.4),
        ((), {"pixel_mean": (127.5,), "pixel_std": (58.4, 57.1, 57.4)}, 127.5, (58.4, 57.1, 57.4)),
    ],
)
def test_pixels_are_scaled_once(tmp_path, before, settings, mean, std):
    arcface = load_embedder("arcface", network(tmp_path / "a.onnx", before=before), **settings)
    crops, of_image = faces(2)
    vectors = [face.vector for face in arcface.embed([of_image])[0]]
    assert np.stack(vectors) == pytest.approx(plainly(crops, mean, std), abs=1e-4)


def test_colours_come_in_the_order_that_is_set(tmp_path):
    arcface = load_embedder("arcface", network(tmp_path / "a.onnx"), channels="bgr")
    crops, of_image = faces(2)
    vectors = [face.vector for face in arcface.embed([of_image])[0]]
    assert np.stack(vectors) == pytest.approx(plainly(crops, order=(2, 1, 0)), abs=1e-4)


def test_a_mean_per_channel_is_in_the_order_that_the_network_gets(tmp_path):
    scaled = {"pixel_mean": (103.5, 116.3, 123.7), "pixel_std": (57.4, 57.1, 58.4), "channels": "bgr"}
    arcface = load_embedder("arcface", network(tmp_path / "a.onnx"), **scaled)
    crops, of_image = faces(2)
    vectors = [face.vector for face in arcface.embed([of_image])[0]]
    expected = plainly(crops, scaled["pixel_mean"], scaled["pixel_std"], order=(2, 1, 0))
    assert np.stack(vectors) == pytest.approx(expected, abs=1e-4)


def test_two_numbers_for_three_channels_are_an_error(tmp_path):
    with pytest.raises(ModelError, match="`pixel_std` has 2 numbers; give one, or three"):
        load_embedder("arcface", network(tmp_path / "a.onnx"), pixel_std=(57.0, 58.0))


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ((), False),
        ((("Sub", "half"), ("Mul", "scale")), True),
        ((("Sub", "half"), ("Div", "half")), True),
        ((("Mul", "scale"),), False),
        ((*[("Add", "half")] * 7, ("Sub", "half"), ("Mul", "scale")), False),  # not among the first eight nodes
    ],
)
def test_a_normalisation_is_looked_for_among_the_first_nodes(tmp_path, before, expected):
    assert normalises_itself(network(tmp_path / "a.onnx", before=before)) == expected


def test_a_network_that_torch_exports_loads(tmp_path):
    torch.manual_seed(0)
    layers = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, stride=4), torch.nn.PReLU(8), torch.nn.Flatten(), torch.nn.Linear(8 * 28 * 28, 16)
    ).eval()
    torch.onnx.export(layers, (torch.zeros(1, 3, 112, 112),), tmp_path / "t.onnx", dynamo=False)
    arcface = load_embedder("arcface", str(tmp_path / "t.onnx"))
    crops, of_image = faces(3)
    with torch.no_grad():
        plain = layers(torch.from_numpy((crops.astype(np.float32) - 127.5) / 127.5).permute(0, 3, 1, 2)).numpy()
    vectors = np.stack([face.vector for face in arcface.embed([of_image])[0]])
    assert vectors == pytest.approx(plain / np.linalg.norm(plain, axis=1, keepdims=True), abs=1e-4)


@pytest.mark.slow
def test_what_prepares_pictures_is_small_when_sent(tmp_path):
    arcface = load_embedder("arcface", network(tmp_path / "a.onnx"))
    sent = pickle.dumps(arcface.prepare)
    assert len(sent) < 1000
    assert np.array_equal(pickle.loads(sent)(ASTRONAUT)[0].crop, arcface.prepare(ASTRONAUT)[0].crop)


def test_a_file_that_is_not_a_recognition_model_is_named(tmp_path):
    def load(path, **settings):
        return load_embedder("arcface", str(path), **settings)

    path = tmp_path / "a.onnx"
    with pytest.raises(ModelError, match=r"a\.onnx: there is no such file; .*model zoo.*antelopev2.*buffalo_l"):
        load(path)
    path.write_bytes(b"this is no network" * 20)
    with pytest.raises(ModelError, match=r"a\.onnx: onnxruntime can't load this as an ONNX model"):
        load(path)
    path.write_bytes(b"")
    with pytest.raises(ModelError, match=r"a\.onnx: onnxruntime can't load"):
        load(path)
    for shape in (("N", 3, 224, 224), ("N", 112, 112, 3), ("N", 3, 112)):
        wrong = helper.make_graph(
            [helper.make_node("Identity", ["data"], ["out"])],
            "wrong",
            [helper.make_tensor_value_info("data", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)],
        )
        onnx.save(helper.make_model(wrong, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
        with pytest.raises(ModelError, match=r"expected one input of float \[N, 3, 112, 112\] .* found data: tensor"):
            load(path)
    with pytest.raises(ModelError, match=r"found data: .*; other: "):
        load(network(path, extra_input=True))
    with pytest.raises(ModelError, match=r"a vector per face, an output \[N, D\], found \[1, 3, 7, 7\]"):
        load(network(path, vectors=False))
    with pytest.raises(ModelError, match=r"leave out the embedder's `dtype` \('float16'"):
        load(network(path), dtype="float16")


def load(path):
    return load_embedder("arcface", path)


@pytest.mark.parametrize("batch", [0, 1025, 10**9, 2**62])
def test_a_batch_size_that_is_too_large_is_named(tmp_path, batch):
    with pytest.raises(ModelError, match=rf"a\.onnx: it takes {batch:,} faces at a time, and 1 to 1024"):
        load(network(tmp_path / "a.onnx", shape=(batch, 3, 112, 112)))


@pytest.mark.parametrize("shape", [("N", 3, 0, 112), ("N", 3, 111, 112), ("N", 3, 112, 10**9), ("N", 4, 112, 112)])
def test_a_side_that_no_face_is_aligned_to_is_named(tmp_path, shape):
    with pytest.raises(ModelError, match=r"a\.onnx: expected one input of float \[N, 3, 112, 112\]"):
        load(one_node(tmp_path / "a.onnx", "Flatten", ["data"], shape=shape))


def one_node(path, operator, inputs, constants=None, shape=("N", 3, 112, 112)):
    """Write a model of one operator on the faces."""
    node = helper.make_node(operator, inputs, ["vector"])
    faces = helper.make_tensor_value_info("data", TensorProto.FLOAT, shape)
    out = helper.make_tensor_value_info("vector", TensorProto.FLOAT, None)
    initializers = [numpy_helper.from_array(np.asarray(value), name) for name, value in (constants or {}).items()]
    graph = helper.make_graph([node], "faces", [faces], [out], initializers)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return str(path)


@pytest.mark.parametrize(
    ("operator", "to"), [("Reshape", [11, -1]), ("Expand", [10**9, 3, 112, 112]), ("Gather", [10**6])]
)
def test_a_first_operator_that_fails_is_an_error_in_words(tmp_path, operator, to):
    path = one_node(tmp_path / "a.onnx", operator, ["data", "to"], {"to": np.array(to, np.int64)})
    with pytest.raises(ModelError, match=r"a\.onnx: (onnxruntime can't run this model|the memory is not enough)"):
        load(path)


def test_vectors_without_numbers_are_an_error(tmp_path):
    constants = {"from": np.array([0], np.int64), "to": np.array([0], np.int64), "axis": np.array([1], np.int64)}
    path = one_node(tmp_path / "a.onnx", "Slice", ["data", *constants], constants)
    with pytest.raises(ModelError, match=r"found \[1, 0, 112, 112\]"):
        load(path)


def test_names_that_are_not_text_are_an_error_in_words(tmp_path):
    path = network(tmp_path / "a.onnx")
    data = (tmp_path / "a.onnx").read_bytes()
    (tmp_path / "a.onnx").write_bytes(data.replace(b"data", b"d\xff\xfea"))
    with pytest.raises(ModelError, match=r"a\.onnx: the names of its inputs are not text"):
        load(path)


@pytest.mark.parametrize(
    "damaged", [b"", b"\x3a", b"\x3a\xff", b"\x3a\x05\x0a", b"\xff" * 40, b"\x3a\x04\x0a\x02\x22\x09", b"\x3b\x00"]
)
def test_first_operators_that_cannot_be_read_are_an_error_in_words(tmp_path, damaged):
    (tmp_path / "a.onnx").write_bytes(damaged)
    try:
        assert not normalises_itself(tmp_path / "a.onnx")
    except ModelError as error:
        assert "a.onnx: the first operators" in str(error)


@given(st.binary(max_size=60))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_read_or_are_an_error_in_words(tmp_path, data):
    test_first_operators_that_cannot_be_read_are_an_error_in_words(tmp_path, b"\x3a" + data)


@given(
    angle=st.floats(-3, 3),
    scale=st.floats(0.1, 10),
    shift=st.tuples(st.floats(-100, 100), st.floats(-100, 100)),
)
def test_the_alignment_undoes_any_turn_scale_and_shift(angle, scale, shift):
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = TEMPLATE @ turn.T + shift
    found = similarity(moved, TEMPLATE)
    assert np.allclose(moved @ found[:, :2].T + found[:, 2], TEMPLATE, atol=1e-6)
