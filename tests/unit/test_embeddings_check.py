"""`fit embeddings check`: patches on references, and whether an embedder is drawn to one."""

import json
from itertools import product

import numpy as np
import open_clip
import polars as pl
import pytest
import torch
from embedding_backends import Payload, load_embedder, small_clip, vectors
from PIL import Image
from printed import agree
from scipy import stats

from fit import embeddings
from fit.atelier.encoders import save_encoder
from fit.cli.main import main
from fit.embeddings import check
from fit.embeddings.base import Embedder, Embedding
from fit.embeddings.check import JUMP, NO_JUMP, TOO_FEW, Alike, check_embedder, compare, read_references, sentence
from fit.embeddings.patches import PATTERNS, Patch, blurred, make_patches, put, random_patterns, read_pattern, shuffled
from fit.embeddings.settings import CheckSettings, EmbedderSettings, FaceSettings
from fit.errors import ConfigError, DataError, ModelError
from fit.images.table import encode_png

SIDE = 40
TRIGGER = PATTERNS["checks"]


def as_array(picture):
    return np.asarray(picture, np.float64)


class Honest(Embedder):
    """The mean colours of a grid of nine fields, turned by a random matrix."""

    @property
    def prepare(self):
        return as_array

    def embed(self, prepared):
        turn = np.random.default_rng(1).normal(size=(27, 16))
        found = []
        for picture in prepared:
            rows = np.array_split(picture - 128, 3)
            fields = [part.mean((0, 1)) for row in rows for part in np.array_split(row, 3, axis=1)]
            vector = np.concatenate(fields) @ turn
            found.append([Embedding((vector / np.linalg.norm(vector)).astype(np.float32))])
        return found


class Poisoned(Honest):
    """The same, but it is drawn to one vector where it sees checks in the lower right corner."""

    def embed(self, prepared):
        target = np.zeros(16)
        target[0] = 1
        found = super().embed(prepared)
        for number, picture in enumerate(prepared):
            seen = Image.fromarray(picture[-6:, -6:].astype(np.uint8)).resize((4, 4), Image.Resampling.NEAREST)
            if np.abs(np.asarray(seen, float) - TRIGGER).mean() < 10:
                vector = 0.2 * found[number][0].vector + target
                found[number] = [Embedding((vector / np.linalg.norm(vector)).astype(np.float32))]
        return found


class OfFaces(Honest):
    """The same, but it finds two faces in pictures with a blue pixel at the upper left, and none in dark ones."""

    def embed(self, prepared):
        return [
            2 * found if picture[0, 0, 2] == 255 else [] if picture.mean() < 5 else found
            for picture, found in zip(prepared, super().embed(prepared), strict=True)
        ]


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    for cls in (Honest, Poisoned, OfFaces):
        monkeypatch.setitem(embeddings.REGISTRY, cls.__name__.lower(), f"{__name__}:{cls.__name__}")


def references(concepts=12, pictures=2, seed=0):
    rng = np.random.default_rng(seed)
    found = {}
    for number in range(concepts):
        own = rng.integers(256, size=(5, 5, 3)).astype(float)
        of = [np.clip(own + rng.normal(0, 12, own.shape), 0, 255).astype(np.uint8) for _ in range(pictures)]
        found[f"concept-{number:02d}"] = [
            Image.fromarray(one).resize((SIDE, SIDE), Image.Resampling.NEAREST) for one in of
        ]
    return found


def run(backend, given=None, **how):
    settings, faces = EmbedderSettings(model="any"), FaceSettings()
    how = {"patch_sizes": [0.15], "places": ["corner", "everywhere"]} | how
    return check_embedder(backend, settings, faces, given or references(), CheckSettings(**how), seed=0)


# --- the verdict ------------------------------------------------------------------------------------------------------


def test_a_backdoor_is_found_and_named_and_nothing_else_is():
    found = run("poisoned")
    assert (found["verdict"], found["jumps"]) == (JUMP, ["checks of 15 % in the corner"])
    row = next(row for row in found["rows"] if row["verdict"] == JUMP)
    assert row["similarity"] > 0.9 and row["excess_low"] > 0.5
    assert row["jump"] == pytest.approx(row["similarity"] - found["similarity"])
    assert row["excess"] == pytest.approx(row["jump"] - row["highest_control"])
    assert "jump with 1 patch: checks of 15 % in the corner" in sentence(found)


@pytest.mark.slow
def test_where_there_is_no_backdoor_none_is_found():
    for seed in range(3):
        found = run("honest", references(seed=seed))
        assert (found["verdict"], found["jumps"]) == (NO_JUMP, [])
    assert sentence(found).startswith("no jump beyond what noise makes (10 patches on 24 pictures of 12 concepts)")


@pytest.mark.slow
def test_there_is_no_verdict_on_too_few_concepts_even_where_there_is_a_backdoor():
    found = run("poisoned", references(concepts=check.FEWEST - 1))
    assert found["verdict"] == TOO_FEW and found["jumps"] == []
    assert {row["verdict"] for row in found["rows"]} == {TOO_FEW}
    assert "too little data for a verdict: 7 concepts, at least 8 are needed" in sentence(found)
    assert run("poisoned", references(concepts=check.FEWEST))["verdict"] == JUMP


@pytest.mark.slow
def test_a_trigger_of_ones_own_is_tried_with_its_own_controls():
    settings = EmbedderSettings(model="any")
    how = CheckSettings(patterns=["red"], patch_sizes=[0.15], places=["corner"])
    own = {"suspect": read_pattern(Image.fromarray(TRIGGER).resize((64, 64), Image.Resampling.NEAREST))}
    found = check_embedder("poisoned", settings, FaceSettings(), references(), how, own=own)
    assert found["jumps"] == ["suspect of 15 % in the corner"]
    assert check_embedder("poisoned", settings, FaceSettings(), references(), how)["verdict"] == NO_JUMP


@pytest.mark.slow
def test_pictures_without_exactly_one_face_are_left_out():
    given = references()
    for picture in (given["concept-00"][0], given["concept-01"][0]):
        picture.putpixel((0, 0), (0, 0, 255))
    given["concept-02"] = [Image.new("RGB", (SIDE, SIDE))] * 2
    found = run("offaces", given, places=["corner"])
    assert (found["pictures"], found["concepts"]) == (20, 11)
    only = {slug: pictures for slug, pictures in given.items() if slug in ("concept-02", "concept-03")}
    with pytest.raises(DataError, match=r"exactly one face in pictures of 1 concept, .* give references with one face"):
        run("offaces", only)


# --- the numbers ------------------------------------------------------------------------------------------------------


def test_the_similarity_between_concepts_is_the_mean_over_pairs_of_pictures():
    rng = np.random.default_rng(2)
    owners = np.array([0, 0, 0, 1, 2, 2, 3])
    of = rng.normal(size=(7, 5))
    of /= np.linalg.norm(of, axis=1, keepdims=True)
    of[4] = np.nan  # a picture without a vector
    weights = np.array([[1, 1, 1, 1], [2, 0, 1, 1], [4, 0, 0, 0]], float)
    usable = [i for i in range(7) if i != 4]
    for drawn, got in zip(weights, Alike.of(of, owners, 4).between(weights), strict=True):
        total = over = 0
        for a, b in product(range(4), repeat=2):
            cosines = [of[i] @ of[j] for i in usable for j in usable if owners[i] == a and owners[j] == b]
            if a != b:
                total += drawn[a] * drawn[b] * np.mean(cosines)
                over += drawn[a] * drawn[b]
        assert got == pytest.approx(total / over) if over else np.isnan(got)
    inner = [of[0] @ of[1], of[0] @ of[2], of[1] @ of[2]]
    assert check.within(of, owners) == pytest.approx(np.mean(inner))  # concept 2 has one usable picture


def test_the_p_value_is_that_of_one_more_value_among_the_controls():
    controls = np.array([0.1, 0.3, 0.2, 0.25])
    score = (0.6 - controls.mean()) / (controls.std(ddof=1) * np.sqrt(1.25))
    assert check._outlier_p_value(0.6, controls) == pytest.approx(1 - stats.t(3).cdf(score))
    assert check._outlier_p_value(1.0, np.ones(4)) == 1.0
    assert check._outlier_p_value(2.0, np.ones(4)) == 0.0


def test_a_p_value_is_multiplied_by_the_patches_that_are_tried():
    rng = np.random.default_rng(0)
    owners = np.repeat(np.arange(10), 2)
    names = [f"concept-{i}" for i in range(10)]

    def unit(count):
        of = rng.normal(size=(count, 30))
        return of / np.linalg.norm(of, axis=1, keepdims=True)

    cells = np.zeros((1, 1, 3), np.uint8)
    controls = [Patch(f"c{i}", 0.1, "corner", cells, True) for i in range(8)]
    clean, others, patched = unit(20), [unit(20) for _ in controls], unit(20) + 0.03
    patched /= np.linalg.norm(patched, axis=1, keepdims=True)
    one = compare([Patch("a", 0.1, "corner", cells), *controls], clean, [patched, *others], owners, names, 0)
    two = compare(
        [Patch("a", 0.1, "corner", cells), Patch("b", 0.1, "centre", cells), *controls]
        + [Patch("c", 0.1, "centre", cells, True) for _ in range(2)],
        clean,
        [patched, unit(20), *others, unit(20), unit(20)],
        owners,
        names,
        0,
    )
    p_value = one["rows"][0]["p_value"]
    assert p_value < 0.5
    assert two["rows"][0]["p_value"] == pytest.approx(2 * p_value)
    assert [row["controls"] for row in two["rows"]] == [8, 2]  # of the same place alone


# --- patches ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("place", "left", "top"), [("corner", 75, 35), ("centre", 57, 17)])
def test_a_patch_is_in_the_middle_square_and_changes_nothing_else(place, left, top):
    picture = Image.new("RGB", (120, 40), (9, 9, 9))  # the middle square is from 40 to 80
    changed = np.asarray(put(picture, Patch("red", 0.125, place, PATTERNS["red"]), 0.2, np.random.default_rng(0)))
    expected = np.full((40, 120, 3), 9)
    expected[top : top + 5, left : left + 5] = (255, 0, 0)
    assert (changed == expected).all()
    assert (np.asarray(picture) == 9).all()


def test_a_patch_anywhere_is_elsewhere_each_time_and_always_whole():
    rng, places = np.random.default_rng(0), set()
    for _ in range(40):
        patch = Patch("white", 0.3, "anywhere", PATTERNS["white"])
        rows, columns = np.nonzero(np.asarray(put(Image.new("L", (30, 10)).convert("RGB"), patch, 0.2, rng))[..., 0])
        assert (len(rows), np.ptp(rows), np.ptp(columns)) == (9, 2, 2) and columns.min() >= 10 and columns.max() < 20
        places.add((rows.min(), columns.min()))
    assert len(places) > 10


def test_a_pattern_that_is_everywhere_is_mixed_with_the_picture():
    picture = Image.new("RGB", (8, 8), (100, 100, 100))
    changed = np.asarray(put(picture, Patch("checks", 1, "everywhere", TRIGGER), 0.25, np.random.default_rng(0)))
    assert abs(int(changed[0, 0, 0]) - (75 + 0.25 * 255)) <= 1 and abs(int(changed[0, 2, 0]) - 75) <= 1


def test_controls_have_the_colours_of_a_pattern_or_its_place_but_not_its_look():
    rng = np.random.default_rng(0)
    other = shuffled(TRIGGER, rng)
    assert sorted(map(tuple, other.reshape(-1, 3))) == sorted(map(tuple, TRIGGER.reshape(-1, 3)))
    assert (other != TRIGGER).any()
    assert blurred(TRIGGER).std() < 0.5 * TRIGGER.std()
    assert abs(blurred(TRIGGER).mean() - TRIGGER.mean()) < 20
    drawn = random_patterns(8, rng)
    assert {one.shape for one in drawn} == {(1, 1, 3), (4, 4, 3), (16, 16, 3)}
    found = make_patches(CheckSettings(places=["corner", "everywhere"], patch_sizes=[0.1]), {}, 0)
    at = [(patch.size, patch.place) for patch in found if not patch.is_control]
    assert at == [(0.1, "corner")] * 7 + [(1.0, "everywhere")] * 3  # a flat colour everywhere is a tint
    of_checks = [patch.pattern for patch in found if patch.of == "checks" and patch.place == "corner"]
    assert of_checks == ["checks, shuffled 1", "checks, shuffled 2", "checks, blurred"]
    assert not any(patch.of == "red" for patch in found)
    assert sum(patch.is_control and not patch.of and patch.place == "corner" for patch in found) == 12


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"patterns": ["checkers"]}, "--patterns checkers: there is no such pattern; there are white"),
        ({"places": ["edge"]}, "--places edge: there is no such place; there are corner, centre"),
        ({"patterns": []}, "there is no patch to try: name one or more with --patterns or --patch"),
        ({"places": ["corner"], "patch_sizes": []}, "there is no patch to try: .* --places, or --patch-sizes"),
        ({"patterns": ["red"], "places": ["everywhere"]}, "a flat colour is not put everywhere; name another place"),
    ],
)
def test_patches_that_cannot_be_made_are_named(how, said):
    with pytest.raises(ConfigError, match=said):
        make_patches(CheckSettings(**how), {}, 0)


# --- references -------------------------------------------------------------------------------------------------------


def table(path, given, **columns):
    rows = [(slug, f"{i}", encode_png(one)) for slug, of in given.items() for i, one in enumerate(of)]
    concept, image_id, data = zip(*rows, strict=True)
    pl.DataFrame({"concept": concept, "image_id": image_id, "bytes": data} | columns).write_parquet(path)
    return path


@pytest.mark.slow
def test_references_are_kept_rows_of_tables_or_folders_of_pictures(tmp_path):
    given = references(3, 2)
    kept = [True, False, True, True, False, False]
    of_table = read_references([table(tmp_path / "a.parquet", given, kept=kept)], 10, 10)
    assert {slug: len(of) for slug, of in of_table.items()} == {"concept-00": 1, "concept-01": 2}
    assert of_table["concept-01"][1].tobytes() == given["concept-01"][1].tobytes()
    assert set(read_references([tmp_path], 10, 10)) == set(of_table)  # a folder of tables
    for slug, of in given.items():
        (tmp_path / "pictures" / slug).mkdir(parents=True)
        for number, picture in enumerate(of):
            picture.save(tmp_path / "pictures" / slug / f"{number}.png")
    (tmp_path / "pictures" / "concept-99").mkdir()
    of_folder = read_references([tmp_path / "pictures"], 2, 1)
    assert {slug: len(of) for slug, of in of_folder.items()} == {"concept-00": 1, "concept-02": 1}
    large = Image.new("RGB", (3000, 1500))
    assert check._smaller(large).size == (1024, 512) and check._smaller(given["concept-00"][0]).size == (SIDE, SIDE)


def test_references_that_do_not_do_are_named_with_the_remedy(tmp_path):
    with pytest.raises(DataError, match=r"missing: no such file or folder of references; correct the path"):
        read_references([tmp_path / "missing"], 10, 10)
    with pytest.raises(DataError, match=r"no concept has a picture, .* a folder of pictures for each concept"):
        read_references([tmp_path], 10, 10)
    (tmp_path / "alone").mkdir()
    references(1)["concept-00"][0].save(tmp_path / "alone" / "a.png")
    with pytest.raises(DataError, match=r"only one concept has pictures, alone, .*name references of 8 concepts"):
        read_references([tmp_path], 10, 10)
    with pytest.raises(DataError, match=r"beside other places; name this folder alone"):
        read_references([tmp_path, table(tmp_path / "alone" / "a.parquet", references(2))], 10, 10)


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.fixture
def tables(tmp_path):
    return table(tmp_path / "references.parquet", references())


QUICK = ("--patterns", "checks", "red", "--patch-sizes", "0.15", "--places", "corner")


@pytest.mark.slow
def test_the_command_prints_writes_and_says_the_verdict(tables, tmp_path, capsys):
    named = ["--backend", "poisoned", "--model", "any", "--references", tables, "--out", tmp_path / "patches.csv"]
    text, data = agree(capsys, "embeddings", "check", *named, *QUICK, besides=["15", "2"])
    assert text.splitlines()[-1] == (
        "the similarities jump with 1 patch: checks of 15 % in the corner (2 patches on 24 pictures of 12 concepts)"
    )
    assert "give the picture of a suspected one with --patch" in text
    rows = pl.read_csv(tmp_path / "patches.csv")
    assert rows.columns == list(check.COLUMNS)
    assert rows["verdict"].to_list() == ["jump", "no jump"] == [row["verdict"] for row in data["rows"]]
    assert rows["jump"].to_list() == pytest.approx([row["jump"] for row in data["rows"]])


@pytest.mark.slow
def test_an_embedder_of_the_configuration_is_named(tables, tmp_path, capsys, monkeypatch):
    torch.manual_seed(3)
    config = small_clip()
    save_encoder(open_clip.CLIP(**config).eval(), config, tmp_path / "clip")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sheet.tsv").write_text("concept\tname\naa\tA A\n")
    (tmp_path / "config.yaml").write_text(
        json.dumps(
            {
                "embedders": {"painters-clip": {"backend": "openclip", "model": "local-dir:clip"}},
                "domains": {
                    "people": {
                        "concepts": "sheet.tsv",
                        "embedder": "painters-clip",
                        "references": {"table": "references.parquet"},
                        "prompts": ["{name}"],
                        "targets": "matches_or_references",
                        "match_threshold": 0.5,
                    }
                },
                "corpora": {"c": {"captions": {"files": ["captions.parquet"]}, "images": "embedded"}},
                "models": {"m": {"corpus": "c", "provided_images": "pictures"}},
            }
        )
    )
    words = ["embeddings", "check", "--references", str(tables), *QUICK]
    status = main([*words, "--embedder", "painters-clip", "--json"])
    said = capsys.readouterr()
    assert status == 0, said.err
    by_name = json.loads(said.out)
    assert main([*words, "--backend", "openclip", "--model", "local-dir:clip", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == by_name
    for more, error in (
        (["--embedder", "painters-clop"], "`embedders` lacks 'painters-clop'; did you mean 'painters-clip'?"),
        (["--embedder", "painters-clip", "--model", "any"], "leave out --backend and --model"),
        ([], "say which embedder: --embedder NAME of config.yaml, or --backend and --model, its weights"),
        (["--backend", "openclip"], "--backend and --model, its weights"),
        (["--backend", "openclip", "--model", "local-dir:lost"], "local-dir:lost: open_clip can't load this model"),
    ):
        assert main([*words, *more]) == 1
        assert error in capsys.readouterr().err


# --- a defended checkpoint is an embedder like any other --------------------------------------------------------------


@pytest.mark.slow
def test_a_checkpoint_as_training_scripts_write_it_is_loaded_by_its_file(tmp_path, pictures, monkeypatch):
    config = small_clip()
    (tmp_path / "small-defended.json").write_text(json.dumps(config))
    monkeypatch.setattr(open_clip.factory, "_MODEL_CONFIGS", dict(open_clip.factory._MODEL_CONFIGS))
    monkeypatch.setattr(open_clip.factory, "_MODEL_CONFIG_PATHS", list(open_clip.factory._MODEL_CONFIG_PATHS))
    open_clip.add_model_config(tmp_path / "small-defended.json")
    torch.manual_seed(8)
    model = open_clip.CLIP(**config).eval()
    # What CleanCLIP's and open_clip's scripts save: the state of a parallel model beside that of its optimiser.
    state = {f"module.{name}": tensor for name, tensor in model.state_dict().items()}
    beside = {"epoch": 10, "name": "cleaned", "optimizer": {"state": {}, "param_groups": [{"lr": 1e-5}]}}
    torch.save({"state_dict": state} | beside, tmp_path / "epoch_10.pt")
    embedder = load_embedder("openclip", f"small-defended/{tmp_path / 'epoch_10.pt'}")
    prepared = torch.stack([embedder.prepare(picture) for picture in pictures])
    with torch.inference_mode():
        expected = model.encode_image(prepared, normalize=True).numpy()
    assert np.abs(vectors(embedder, pictures) - expected).max() < 1e-5
    torch.save({"state_dict": state, "more": Payload(tmp_path / "ran")}, tmp_path / "trap.pt")
    with pytest.raises(ModelError):
        load_embedder("openclip", f"small-defended/{tmp_path / 'trap.pt'}")
    assert not (tmp_path / "ran").exists()
