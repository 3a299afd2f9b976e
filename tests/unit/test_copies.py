"""Copies: distances, cliques, cuts, the detector and the search, each against a few lines of its own."""

import io
import itertools
import json

import networkx
import numpy as np
import polars as pl
import pyarrow as pa
import pytest
import torch
from diffusers import StableDiffusionPipeline
from generating import load_generator, save_small_pipeline
from PIL import Image
from scipy.stats import beta

from fit.cli.main import main
from fit.copies import conditional
from fit.copies.calibration import Rate, low_cut
from fit.copies.cliques import find_clique, tightest_clique
from fit.copies.distances import as_square, block_size, find_nearest, neighbour_distances, tile_distances, tiles_of
from fit.copies.prompts import PROMPTS, FrequentCaptions, choose_prompts, recombined
from fit.copies.settings import CopySettings, PromptSettings
from fit.errors import ConfigError, CorpusError, DataError, FitError
from fit.images.table import encode_png
from fit.io.parquet import write

SIDE = 16


def noise(count, seed=0):
    """`count` pictures [N, SIDE, SIDE, 3] of random pixels."""
    return np.random.default_rng(seed).integers(256, size=(count, SIDE, SIDE, 3), dtype=np.uint8)


def by_hand(one, other):
    """The distance of two pictures, tile by tile."""
    part = SIDE // 4
    return max(
        np.sqrt(np.mean(((one[y : y + part, x : x + part] / 255.0) - (other[y : y + part, x : x + part] / 255.0)) ** 2))
        for y in range(0, SIDE, part)
        for x in range(0, SIDE, part)
    )


# --- distances --------------------------------------------------------------------------------------------------------


def test_the_distance_is_the_largest_over_sixteen_tiles():
    one, other = noise(3), noise(5, seed=1)
    found = tile_distances(tiles_of(one), tiles_of(other))
    expected = [[by_hand(a, b) for b in other] for a in one]
    np.testing.assert_allclose(found, expected, atol=1e-4)
    # A difference in one tile alone is not diluted by the others.
    changed = one[:1].copy()
    changed[0, :4, :4] = 255 - changed[0, :4, :4]
    apart = tile_distances(tiles_of(one[:1]), tiles_of(changed))[0, 0]
    of_picture = np.sqrt(np.mean((one[0] / 255.0 - changed[0] / 255.0) ** 2))
    assert apart == pytest.approx(4 * of_picture, abs=1e-4)


def test_the_nearest_is_the_same_in_blocks_of_any_size():
    pictures, others = noise(4), noise(50, seed=1)
    others[33] = pictures[2]
    distances = tile_distances(tiles_of(pictures), tiles_of(others))
    pixels = SIDE * SIDE * 3
    for memory in (1, 16):
        assert (block_size(4, SIDE, memory) < 300) == (memory == 1)
        found = find_nearest(pictures, others, memory)
        assert found.rows.tolist() == distances.argmin(axis=1).tolist()
        np.testing.assert_allclose(found.distances, distances.min(axis=1), atol=1e-6)
        assert (found.pictures == others[found.rows]).all()
    assert found.rows[2] == 33
    with pytest.raises(DataError, match="memory_mb"):
        block_size(2**20 // (6 * pixels) + 1, SIDE, 1)


def test_blocks_do_not_take_more_memory_than_they_may(monkeypatch):
    seen = []
    real = tile_distances
    monkeypatch.setattr("fit.copies.distances.tile_distances", lambda a, b: seen.append(b.nbytes) or real(a, b))
    find_nearest(noise(4), noise(600, seed=1), 1)
    assert len(seen) > 2 and max(seen) <= 2**20
    with pytest.raises(DataError, match=r"copies\.training_images"):
        find_nearest(noise(1), [], 1)


def test_neighbours_are_the_nearest_that_are_another_picture():
    picture, others = noise(1), noise(30, seed=1)
    distances = np.sort(tile_distances(tiles_of(picture), tiles_of(others))[0])
    saved_again = np.clip(picture[0].astype(int) + 2, 0, 255).astype(np.uint8)
    with_copies = [*others, picture[0], saved_again, picture[0]]
    found = neighbour_distances(picture, with_copies, 5, 0.03, 1)
    assert found[0] == pytest.approx(distances[:5].mean(), abs=1e-4)
    assert neighbour_distances(picture, with_copies, 50, 0.03, 1)[0] == pytest.approx(distances.mean(), abs=1e-4)
    with pytest.raises(DataError, match="same_picture"):
        neighbour_distances(picture, [picture[0]], 5, 0.03, 1)


def test_pictures_are_cut_to_a_square_in_the_middle():
    wide = np.zeros((8, 24, 3), np.uint8)
    wide[:, 8:16] = 255
    assert (as_square(Image.fromarray(wide), 4) == 255).all()


# --- cliques ----------------------------------------------------------------------------------------------------------


def brute(distances, size):
    """The width of the tightest clique, all subsets tried."""
    return min(
        max(distances[a, b] for a, b in itertools.combinations(rows, 2))
        for rows in itertools.combinations(range(len(distances)), size)
    )


@pytest.mark.parametrize("seed", range(20))
def test_the_tightest_clique_is_that_of_all_subsets(seed):
    points = np.random.default_rng(seed).normal(size=(11, 2 + seed % 3))
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    for size in (2, 3, 5):
        width, rows, is_exact = tightest_clique(distances, size)
        assert is_exact and len(set(rows)) == size
        assert width == pytest.approx(brute(distances, size))
        assert distances[np.ix_(rows, rows)].max() == pytest.approx(width)


def test_a_search_that_is_given_up_says_so_and_still_names_a_clique():
    points = np.random.default_rng(3).normal(size=(40, 12))
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    exact, _, _ = tightest_clique(distances, 6)
    width, rows, is_exact = tightest_clique(distances, 6, most=1)
    assert not is_exact and width >= exact
    assert distances[np.ix_(rows, rows)].max() == pytest.approx(width)
    assert tightest_clique(distances, 41)[0] == np.inf


def test_a_clique_is_found_in_a_graph_where_degrees_alone_would_not_tell():
    ring = networkx.to_numpy_array(networkx.circulant_graph(30, [1, 2, 3])).astype(bool)
    assert find_clique(ring, 5) == (None, True)
    found, is_exact = find_clique(ring, 4)
    assert is_exact and all(ring[a, b] for a, b in itertools.combinations(found, 2))


# --- cuts -------------------------------------------------------------------------------------------------------------


def test_a_further_value_is_below_the_cut_as_seldom_as_asked():
    rng = np.random.default_rng(0)
    below = [rng.normal() < low_cut(rng.normal(size=39), 0.05) for _ in range(20_000)]
    assert np.mean(below) == pytest.approx(0.05, abs=0.006)  # 2 / 40
    with pytest.raises(DataError, match="raise `others` to 38"):
        low_cut(np.zeros(18), 0.05)
    assert low_cut(np.arange(19.0), 0.05) == 0


def test_a_rate_has_the_interval_of_clopper_and_pearson():
    low, high = Rate(3, 40).interval
    assert (low, high) == pytest.approx((beta.ppf(0.025, 3, 38), beta.ppf(0.975, 4, 37)))
    assert Rate(0, 40).interval == pytest.approx([0, 1 - 0.025 ** (1 / 40)])
    assert Rate(0, 0).as_dict() == {"hits": 0, "of": 0, "value": None, "interval": None}


# --- prompts ----------------------------------------------------------------------------------------------------------


def captions_file(path, counts, column="caption"):
    """A Parquet file that has each caption as often as `counts` says."""
    texts = [text for text, times in counts.items() for _ in range(times)]
    pl.DataFrame({column: np.random.default_rng(0).permutation(texts)}).write_parquet(path)
    return str(path)


def test_frequent_captions_are_found_in_little_memory():
    rng = np.random.default_rng(0)
    texts = [f"rare {number}" for number in range(5000)] + ["often"] * 300 + ["twice as often"] * 600
    frequent = FrequentCaptions(kept=50)
    for batch in np.array_split(rng.permutation(texts), 100):
        frequent.add(pl.Series("caption", batch))
        assert len(frequent.counts) <= 100
    found = dict(frequent.counts.iter_rows())
    assert 0 < frequent.missed <= len(texts) / 50
    for text, times in (("often", 300), ("twice as often", 600)):
        assert times - frequent.missed <= found[text] <= times


def test_prompts_are_the_most_duplicated_captions_and_others_that_the_corpus_lacks(tmp_path):
    counts = {f"a {thing} by {name}": n + 1 for n, (thing, name) in enumerate(itertools.product("abcdef", "uvwxyz"))}
    counts |= {" ": 90, "one": 40}
    path = captions_file(tmp_path / "c.parquet", counts)
    choose = {"files": [path], "column": "caption", "encoding": "utf-8", "seed": 1}
    settings = PromptSettings(captions=3, others=10)
    # Halves of these captions always make a caption that is there.
    with pytest.raises(CorpusError, match=r"copies\.other_prompts"):
        choose_prompts(**choose, settings=settings)
    more = captions_file(tmp_path / "d.parquet", {f"{n} and {2 * n}": 1 for n in range(200)})
    found = choose_prompts(**choose | {"files": [path, more]}, settings=settings)
    named, others = found.to_pylist()[:3], found.to_pylist()[3:]
    assert [(row["caption"], row["times"]) for row in named] == [("one", 40), ("a f by z", 36), ("a f by y", 35)]
    assert len(others) == 10 and all(row["is_other"] and row["times"] == 0 for row in others)
    assert not {row["caption"] for row in others} & set(counts)
    assert found.equals(choose_prompts(**choose | {"files": [path, more]}, settings=settings))


def test_halves_of_captions_are_put_together():
    assert recombined(["a b c", "d e", "alone", "f g h", "i j"], 5) == ["a b e", "f g j"]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("text\nx\n", "no column 'caption'"),
        ("caption,memorised\nx,perhaps\n", "line 2: `memorised` is 'perhaps'"),
        ("caption\nx\nx\n", "line 3: 'x' is there twice"),
    ],
)
def test_a_table_of_prompts_that_is_none_is_refused(tmp_path, table, said):
    (tmp_path / "mine.csv").write_text(table)
    path = captions_file(tmp_path / "c.parquet", {f"{n} and {2 * n}": 1 for n in range(200)})
    choose = {
        "files": [path],
        "column": "caption",
        "encoding": "utf-8",
        "seed": 1,
        "settings": PromptSettings(others=4),
    }
    with pytest.raises(DataError, match=said.replace("'", ".")):
        choose_prompts(**choose, table=str(tmp_path / "mine.csv"))


def test_bad_corpora_are_refused_with_the_remedy(tmp_path):
    settings = PromptSettings(captions=1, others=4)
    choose = {"column": "caption", "encoding": "utf-8", "seed": 1, "settings": settings}
    with pytest.raises(ConfigError, match=r"copies\.prompts"):
        choose_prompts(files=[], **choose)
    with pytest.raises(CorpusError, match=r"the corpus has no caption; .*copies\.prompts"):
        choose_prompts(files=[captions_file(tmp_path / "c.parquet", {" ": 3})], **choose)
    with pytest.raises(CorpusError, match="no column 'caption'; it has text"):
        choose_prompts(files=[captions_file(tmp_path / "d.parquet", {"x": 3}, "text")], **choose)
    (tmp_path / "mine.csv").write_text("caption\n1 and 2\n")
    corpus = captions_file(tmp_path / "e.parquet", {f"{n} and {2 * n}": 1 for n in range(200)})
    with pytest.raises(DataError, match="'1 and 2' is a caption of the corpus"):
        choose_prompts(files=[corpus], others=str(tmp_path / "mine.csv"), **choose)


# --- the detector -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    """A folder with a small pipeline of random weights."""
    folder = tmp_path_factory.mktemp("pipeline") / "small"
    save_small_pipeline(folder)
    return folder


def norms_by_hand(folder, prompt, seed, kind, steps, guidance):
    """The mean norm over the steps of DDIM, in a loop of its own."""
    pipe = StableDiffusionPipeline.from_pretrained(folder, safety_checker=None)
    from diffusers import DDIMScheduler

    scheduler = DDIMScheduler.from_config(pipe.scheduler.config, prediction_type=kind)
    scheduler.set_timesteps(steps)
    with_text, without = pipe.encode_prompt(prompt, "cpu", 1, True)
    side = pipe.unet.config.sample_size
    latents = torch.randn((1, 4, side, side), generator=torch.Generator("cpu").manual_seed(seed))
    norms = []
    with torch.inference_mode():
        for time in scheduler.timesteps:
            of_text = pipe.unet(latents, time, with_text).sample
            of_none = pipe.unet(latents, time, without).sample
            kept = float(scheduler.alphas_cumprod[int(time)])

            def noise_of(predicted, kept=kept, latents=latents):
                if kind == "v_prediction":
                    return kept**0.5 * predicted + (1 - kept) ** 0.5 * latents
                if kind == "sample":
                    return (latents - kept**0.5 * predicted) / (1 - kept) ** 0.5
                return predicted

            norms.append(float((noise_of(of_text) - noise_of(of_none)).norm()))
            latents = scheduler.step(of_none + guidance * (of_text - of_none), time, latents).prev_sample
    return np.mean(norms)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "sample"])
def test_the_norm_is_that_of_the_text_conditional_noise(pipeline, tmp_path, kind):
    folder = tmp_path / "changed"
    pipe = StableDiffusionPipeline.from_pretrained(pipeline, safety_checker=None)
    pipe.scheduler.register_to_config(prediction_type=kind)
    pipe.save_pretrained(folder)
    generator = load_generator(folder, steps=3, guidance=3.0, device="cpu", scheduler="DDIMScheduler")
    assert conditional.why_not(generator) is None
    found = conditional.conditional_norms(generator, "a painting by Ada Morvek", [5, 6])
    expected = [norms_by_hand(folder, "a painting by Ada Morvek", seed, kind, 3, 3.0) for seed in (5, 6)]
    np.testing.assert_allclose(found, expected, rtol=1e-3)
    # Without a text, there is nothing that is due to it.
    assert conditional.conditional_norms(generator, "", [5])[0] == pytest.approx(0, abs=1e-4)


@pytest.mark.slow
def test_a_batch_that_is_made_in_parts_has_the_same_norms(pipeline, monkeypatch):
    generator = load_generator(pipeline, steps=2, guidance=3.0, device="cpu")
    whole = conditional.conditional_norms(generator, "Bruno Morvek, harbour", [1, 2])
    make = generator.generate
    monkeypatch.setattr(
        generator, "generate", lambda prompts, seeds: [make([p], [s]) for p, s in zip(prompts, seeds, strict=True)]
    )
    np.testing.assert_allclose(
        conditional.conditional_norms(generator, "Bruno Morvek, harbour", [1, 2]), whole, rtol=1e-4
    )


def test_a_model_without_guidance_has_no_detector_and_says_so(pipeline, tmp_path, capsys):
    generator = load_generator(pipeline, steps=1, guidance=1.0, device="cpu")
    assert "guidance" in conditional.why_not(generator)
    from fit.concepts.sheet import Concept

    conditional.measure_norms(generator, [Concept("caption-00001", "x")], 2, 0, tmp_path / "n.parquet")
    assert "no detector" in capsys.readouterr().err
    assert pl.read_parquet(tmp_path / "n.parquet")["norm"].to_list() == [None]


# --- the search -------------------------------------------------------------------------------------------------------


def flat(rng, count):
    """Pictures that differ in large patches, as real ones do."""
    patches = rng.integers(30, 226, size=(count, 4, 4, 3))
    return patches.repeat(SIDE // 4, axis=1).repeat(SIDE // 4, axis=2).astype(np.uint8)


def jittered(rng, picture, count, most):
    """`count` pictures that are `picture`, with a little noise."""
    return np.clip(picture + rng.integers(-most, most + 1, size=(count, *picture.shape)), 0, 255).astype(np.uint8)


@pytest.fixture
def search(tmp_path):
    """Files of a search: one prompt that copies a training image (which is there ten times), one whose pictures are all
    alike and no training image's, one ordinary; and 40 others. And the words of the command."""
    rng = np.random.default_rng(0)
    training = flat(rng, 60)
    kinds = ["copy", "alike", "ordinary"] + ["other"] * 40
    pictures = {
        "copy": lambda: jittered(rng, training[7], 12, 6),
        "alike": lambda: jittered(rng, flat(rng, 1)[0], 12, 6),
        "ordinary": lambda: flat(rng, 12),
        "other": lambda: flat(rng, 12),
    }
    slugs = [f"prompt-{number:02d}" for number in range(len(kinds))]
    known = {"copy": True, "ordinary": False}
    rows = [
        {"concept": slug, "caption": slug, "is_other": kind == "other", "times": 1, "memorised": known.get(kind)}
        for slug, kind in zip(slugs, kinds, strict=True)
    ]
    write(pa.Table.from_pylist(rows, schema=PROMPTS), tmp_path / "prompts.parquet")
    made = [
        {"concept": slug, "image_id": f"{slug}-0-{index:04d}", "bytes": encode_png(Image.fromarray(picture))}
        for slug, kind in zip(slugs, kinds, strict=True)
        for index, picture in enumerate(pictures[kind]())
    ]
    write(pa.Table.from_pylist(made), tmp_path / "pictures.parquet")
    norms = [
        {"concept": slug, "norm": 9.0 if kind == "copy" else float(rng.random())}
        for slug, kind in zip(slugs, kinds, strict=True)
    ]
    write(pa.Table.from_pylist(norms), tmp_path / "norms.parquet")
    images = [encode_png(Image.fromarray(picture)) for picture in [*training, *[training[7]] * 9]]
    pl.DataFrame({"image": [*images, None, b"no picture"]}).write_parquet(tmp_path / "training.parquet")
    words = (
        f"copies find --prompts {tmp_path}/prompts.parquet --generated {tmp_path}/pictures.parquet --guidance "
        f"{tmp_path}/norms.parquet --training-images {tmp_path}/training.parquet --side {SIDE} --summary "
        f"{tmp_path}/found.json --out {tmp_path}/found.parquet"
    )
    return tmp_path, words.split()


def test_a_copy_is_a_suspect_that_is_near_a_training_image(search, capsys):
    folder, words = search
    assert main(words) == 0
    said = capsys.readouterr()
    found = {row["concept"]: row for row in pl.read_parquet(folder / "found.parquet").iter_rows(named=True)}
    copied, alike, ordinary = (found[f"prompt-{number:02d}"] for number in range(3))
    assert (copied["is_suspect"], copied["is_copy"], copied["copied_share"]) == (True, True, 1.0)
    assert copied["nearest_row"] == 7 and copied["ratio"] < 0.5 and copied["is_detected"]
    assert (alike["is_suspect"], alike["is_copy"], alike["copied_share"]) == (True, False, 0.0)
    assert (ordinary["is_suspect"], ordinary["is_copy"], ordinary["is_detected"]) == (False, False, False)
    summary = json.loads((folder / "found.json").read_text())
    assert (summary["prompts"], summary["others"], summary["training_images"]) == (3, 40, 69)
    assert summary["broken_training_images"] == 1 and "1 training image can't be decoded" in said.err
    # The cut of 20 values at a share of .05 is the smallest: the other half is tested.
    others = pl.read_parquet(folder / "found.parquet").filter("is_other")
    widths = others["width"].to_numpy()
    assert summary["epsilon"]["cut"] == pytest.approx(widths[::2].min())
    assert summary["epsilon"]["false_positives"]["hits"] == (widths[1::2] < widths[::2].min()).sum()
    assert summary["epsilon"]["false_positives"]["of"] == 20
    assert summary["detector"]["cut"] == pytest.approx(others["norm"].to_numpy()[::2].max())
    assert summary["known"]["copies"]["recall"]["value"] == summary["known"]["copies"]["precision"]["value"] == 1
    assert "epsilon" in said.err and "recall 1 of 1" in said.err


def test_the_ratio_is_the_distance_over_half_the_mean_distance_of_neighbours(search):
    folder, words = search
    main([*words, "--neighbours", "4", "--ratio", "0.5"])
    row = pl.read_parquet(folder / "found.parquet").row(0, named=True)
    pictures = [
        np.asarray(Image.open(io.BytesIO(data))) for data in pl.read_parquet(folder / "training.parquet")["image"][:69]
    ]
    to_others = sorted(by_hand(pictures[7], picture) for picture in pictures if (picture != pictures[7]).any())
    assert row["ratio"] == pytest.approx(row["distance"] / (0.5 * np.mean(to_others[:4])), rel=1e-3)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--clique", "13"], "prompt-00 has 12 pictures, and a clique has 13"),
        (["--side", "18"], "make it 16"),
        (["--false-positives", "0.01"], "raise `others` to 198"),
        (["--memory-mb", "16", "--side", "64", "--compared-pictures", "12"], "memory_mb: 16"),
    ],
)
def test_what_cannot_be_searched_is_refused_with_the_remedy(search, capsys, options, said):
    _, words = search
    assert main([*words, *options]) == 1
    assert said in capsys.readouterr().err


def test_a_prompt_without_pictures_and_a_table_without_pictures_are_named(search, capsys):
    folder, words = search
    rows = pl.read_parquet(folder / "pictures.parquet")
    rows.filter(pl.col("concept") != "prompt-05").write_parquet(folder / "pictures.parquet")
    assert main(words) == 1
    assert "prompt-05" in capsys.readouterr().err
    pl.DataFrame({"caption": ["x"]}).write_parquet(folder / "training.parquet")
    with pytest.raises(FitError):
        from fit.copies.tables import TrainingImages

        TrainingImages([str(folder / "training.parquet")], SIDE)


def test_without_a_detector_the_rest_is_found(search):
    folder, words = search
    norms = pl.read_parquet(folder / "norms.parquet").with_columns(norm=pl.lit(None, pl.Float64))
    norms.write_parquet(folder / "norms.parquet")
    assert main(words) == 0
    summary = json.loads((folder / "found.json").read_text())
    assert summary["detector"] is None and summary["copies"]["hits"] == 1
    assert pl.read_parquet(folder / "found.parquet")["is_detected"].null_count() == 43


def test_settings_have_the_papers_numbers():
    settings = CopySettings()
    assert (settings.clique, settings.neighbours, settings.ratio) == (10, 50, 0.5)
