"""Scores that are read as counts on a model's own curve, neighbours, and what a change costs elsewhere."""

import json

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from scipy.special import expit

from fit.alternatives.frechet import frechet_distance
from fit.cli.main import main
from fit.concepts.sheet import Concept
from fit.defences.measure import ROWS, jackknife
from fit.defences.roles import find_roles
from fit.embeddings.files import writer
from fit.errors import DataError
from fit.images.table import GENERATED, REFERENCES
from fit.io.concept_tables import write_concepts
from fit.io.parquet import read, write
from fit.scores.imitation import image_scores
from fit.scores.tabulate import OF_CONCEPT
from fit.thresholds.backwards import ABOVE, BELOW, ReadBackwards, Reading, fit_curve, in_words, resample_scores

# --- the curve --------------------------------------------------------------------------------------------------------


def true_curve(counts):
    return -0.1 + 0.9 * expit(1.5 * (np.log1p(counts) - np.log1p(60)))


def simulated(rng, concepts=48, spread=0.1, noise=0.15):
    """Counts, and the scores of 4 pictures of 5 prompts of each concept, around the true curve."""
    counts = np.rint(np.expm1(rng.uniform(0, np.log1p(1000), concepts)))
    means = true_curve(counts) + spread * rng.normal(size=concepts)
    return counts, [[mean + noise * rng.normal(size=4) for _ in range(5)] for mean in means]


def read_backwards(counts, images, rng, resamples=200):
    scores = np.array([np.mean([prompt.mean() for prompt in one]) for one in images])
    drawn = np.stack([resample_scores(one, resamples, rng) for one in images], axis=1)
    return ReadBackwards(counts, scores, drawn, rng.integers(len(counts), size=(resamples, len(counts))))


def test_a_curve_without_noise_is_read_back_exactly():
    counts = np.array([0, 3, 10, 40, 200, 900.0])
    curve = fit_curve(counts, true_curve(counts))
    assert curve.read(true_curve(counts)) == pytest.approx(counts, abs=1e-6)
    between = curve.read(np.array([true_curve(20.0)]))
    assert 10 < between < 40


def test_a_falling_pair_becomes_one_level_in_the_middle_of_its_log_counts():
    counts, scores = np.array([0, 9, 99, 999.0]), np.array([0.0, 0.4, 0.2, 1.0])
    curve = fit_curve(counts, scores)
    assert curve.levels == pytest.approx([0, 0.3, 1])
    assert curve.read(np.array(0.3)) == pytest.approx(np.expm1((np.log(10) + np.log(100)) / 2))


def test_scores_beyond_the_curve_are_below_and_above_all_counts():
    curve = fit_curve(np.array([1, 2, 3, 4, 5.0]), np.array([0.1, 0.2, 0.3, 0.4, 0.5]))
    assert curve.read(np.array([0.05, 0.55])).tolist() == [BELOW, ABOVE]
    assert in_words(Reading(BELOW, BELOW, 3), np.array([1, 5])).startswith("below the smallest count (1 image)")
    assert in_words(Reading(ABOVE, 3, ABOVE), np.array([1, 5])) == (
        "above the largest count (5 images); 95 %: 3 to above the largest"
    )


def test_concepts_of_one_count_weigh_as_many_as_they_are():
    counts, scores = np.array([1, 1, 1, 9.0]), np.array([0.0, 0.0, 0.9, 0.1])
    assert fit_curve(counts, scores).levels == pytest.approx([0.25])


@pytest.mark.slow
def test_the_interval_holds_the_true_count_in_about_95_percent():
    rng = np.random.default_rng(7)
    held = []
    for _ in range(60):
        back = read_backwards(*simulated(rng), rng)
        for count in (20, 60, 150):
            images = [true_curve(count) + 0.15 * rng.normal(size=4) for _ in range(5)]
            found = back.read(np.mean([one.mean() for one in images]), resample_scores(images, 200, rng))
            held.append(found.low <= count <= found.high)
    assert 0.87 <= np.mean(held) <= 0.99  # 180 readings, three to a curve


def test_pictures_are_drawn_within_their_prompts():
    drawn = resample_scores([np.array([0.0, 1.0]), np.array([]), np.array([5.0])], 4000, np.random.default_rng(0))
    assert set(np.round(drawn, 6)) == {2.5, 2.75, 3.0}
    assert drawn.mean() == pytest.approx(2.75, abs=0.02)


def test_too_few_counts_make_no_curve():
    with pytest.raises(DataError, match="2 different counts, and a curve takes 5 or more"):
        ReadBackwards(np.array([1.0, 1, 2]), np.zeros(3), None, np.zeros((1, 3), int))


# --- neighbours -------------------------------------------------------------------------------------------------------

CONCEPTS = [
    Concept("ada-morvek", "Ada Morvek", group="blue"),
    Concept("bea-morvek", "Bea Morvek"),
    Concept("xilo-quinz", "Xilo Quinz", group="blue"),
    Concept("yuri-uff", "Yuri Uff"),
    Concept("zoe-cobb", "Zoe Cobb"),
]


def test_neighbours_are_those_of_like_name_of_like_references_and_of_the_same_group():
    looks = {"ada-morvek": [1, 0], "bea-morvek": [0, 1], "xilo-quinz": [-1, 0], "yuri-uff": [0.8, 0.6]}
    roles = find_roles(CONCEPTS, ["ada-morvek"], {k: np.array([v], float) for k, v in looks.items()}, 1)
    named = {name: [c.slug for c, one in zip(CONCEPTS, mask, strict=True) if one] for name, mask in roles.of.items()}
    assert named == {
        "erased": ["ada-morvek"],
        "namesakes": ["bea-morvek"],
        "alike": ["yuri-uff"],
        "group": ["xilo-quinz"],
        "others": ["zoe-cobb"],
    }
    assert roles.look_similarity[3] == pytest.approx(0.8) and np.isnan(roles.look_similarity[[0, 4]]).all()
    assert roles.words(1) == "namesakes"


def test_an_erased_concept_that_the_domain_lacks_is_named():
    with pytest.raises(DataError, match=r"'ada-morvk': no scored concept.*did you mean 'ada-morvek'"):
        find_roles(CONCEPTS, ["ada-morvk"], {}, 1)


# --- pictures ---------------------------------------------------------------------------------------------------------


def test_the_jackknife_of_a_mean_is_its_standard_error():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(40, 1))
    blocks = [(one[None], one[None]) for one in values]
    value, low, high = jackknife(blocks, lambda one, other: float(10 + one.mean()))
    assert value == pytest.approx(10 + values.mean())
    assert (high - low) / 2 == pytest.approx(1.96 * values.std(ddof=1) / np.sqrt(40))


# --- all of it --------------------------------------------------------------------------------------------------------


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def embedded(path, vectors_of):
    """Write embeddings of concepts: slug -> (image_ids, vectors)."""
    with writer(path, 8, list(vectors_of)) as out:
        for slug, (ids, vectors) in vectors_of.items():
            columns = {"concept": [slug] * len(ids), "image_id": ids, "face": [0] * len(ids)}
            columns |= {name: [None] * len(ids) for name in ("box", "area", "probability", "landmarks")}
            columns["embedding"] = vectors.tolist()
            out.write_table(pa.table(columns).cast(out.schema))


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Two models of 12 concepts; the second has unlearned concept 11, and concept 10 has blocked pictures."""
    place, rng = tmp_path_factory.mktemp("study"), np.random.default_rng(0)
    slugs = [f"c-{number:02d}" for number in range(12)]
    counts = dict(zip(slugs, [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024], strict=True))
    styles = {slug: unit(rng.normal(size=8)) for slug in slugs}
    sheet = "concept\tname\taliases\n" + "".join(f"{slug}\tPainter {slug[2:]}\t\n" for slug in slugs)
    (place / "sheet.tsv").write_text(sheet)
    kept = {slug: unit(styles[slug] + 0.1 * rng.normal(size=(10, 8))).astype("f4") for slug in slugs}
    ids = [f"r{i}" for i in range(10)]
    embedded(place / "references-e.parquet", {slug: (ids, kept[slug]) for slug in slugs})
    reference = pa.Table.from_pylist([{"image_id": i, "kept": True} for i in ids], schema=REFERENCES.remove(0))
    write_concepts(((slug, reference) for slug in slugs), place / "references.parquet", REFERENCES)
    prompts = ["a", "b"]
    words = {prompt: unit(rng.normal(size=8)) for prompt in prompts}
    embedded(place / "prompts.parquet", {"": (prompts, np.stack(list(words.values())).astype("f4"))})
    for model in ("base", "defended"):
        tables, vectors, scored = [], {}, []
        for slug in slugs:
            known = np.clip(np.log1p(counts[slug]) / np.log1p(300), 0, 1)
            if (model, slug) == ("defended", "c-11"):
                known = 0.1
            noise = rng.normal(size=(20, 8))
            pictures = unit(known * styles[slug] + (1.05 - known) * unit(noise)).astype("f4")
            names = [f"{slug}-{number}" for number in range(20)]
            statuses = ["blocked" if (model, slug) == ("defended", "c-10") and n < 5 else "ok" for n in range(20)]
            good = [n for n in range(20) if statuses[n] == "ok"]
            rows = [
                {
                    "image_id": names[n],
                    "prompt": prompts[n % 2],
                    "index": n,
                    "seed": n,
                    "status": statuses[n],
                    "bytes": b"",
                }
                for n in range(20)
            ]
            tables.append((slug, pa.Table.from_pylist(rows, schema=GENERATED.remove(0))))
            vectors[slug] = ([names[n] for n in good], pictures[good])
            images = [image_scores(pictures[[n for n in good if n % 2 == p]], kept[slug], 10).tolist() for p in (0, 1)]
            score = float(np.mean([np.mean(one) for one in images]))
            scored.append({"concept": slug, "effective_count": counts[slug], "score": score, "image_scores": images})
        write_concepts(tables, place / f"{model}.parquet", GENERATED)
        embedded(place / f"{model}-e.parquet", vectors)
        write(pa.Table.from_pylist(scored, schema=OF_CONCEPT), place / f"{model}-scores.parquet")
    return place


def measured(study, out, *words):
    command = ["defences", "measure", f"--out={out}/t.parquet", f"--tsv={out}/t.tsv", f"--sheet={study}/sheet.tsv"]
    for side in ("base", "defended"):
        command += [f"--{side}-scores={study}/{side}-scores.parquet", f"--{side}-generated", f"{study}/{side}.parquet"]
        command += [
            f"--{side}-embeddings",
            f"{study}/{side}-e.parquet",
            f"--{side}-prompt-images",
            f"{study}/{side}-e.parquet",
        ]
    command += [
        "--references",
        f"{study}/references.parquet",
        "--reference-embeddings",
        f"{study}/references-e.parquet",
    ]
    return main([*command, f"--prompts={study}/prompts.parquet", "--resamples=100", "--neighbours=2", *words])


@pytest.fixture(scope="module")
def rows(study, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    assert measured(study, out, "--erased", "c-11") == 0
    return pl.DataFrame(pl.from_arrow(read(out / "t.parquet", ROWS.names, schema=ROWS))), out


def row_of(rows, quantity, of):
    return rows.filter((pl.col("quantity") == quantity) & (pl.col("of") == of)).row(0, named=True)


def test_every_value_has_its_interval(rows):
    found = rows[0].drop_nulls("value")
    assert (found["low"] <= found["value"]).all() and (found["value"] <= found["high"]).all()
    assert set(found["quantity"]) == {"score", "count", "base_count", "prompt_score", "frechet", "blocked"}


def test_the_erased_concept_corresponds_to_few_images_and_the_others_to_their_own(rows):
    erased, before = row_of(rows[0], "count", "c-11"), row_of(rows[0], "base_count", "c-11")
    assert erased["role"] == "erased" and erased["base"] == 1024
    assert erased["high"] < 16 and before["value"] > 200
    assert row_of(rows[0], "score", "c-11")["high"] < -0.3
    others = row_of(rows[0], "score", "others")
    assert abs(others["value"]) < 0.1 and others["low"] < 0 < others["high"]


def test_the_frechet_distance_of_the_erased_concept_is_beyond_what_chance_gives(rows, study):
    erased, others = (row_of(rows[0], "frechet", name) for name in ("erased", "others"))
    assert erased["low"] > erased["base"] > 0
    assert others["value"] < 3 * others["base"]
    vectors = [
        np.stack(
            read(study / f"{m}-e.parquet", ["concept", "embedding"]).to_pandas().query("concept == 'c-11'")["embedding"]
        )
        for m in ("base", "defended")
    ]
    assert erased["value"] == pytest.approx(frechet_distance(*vectors))


def test_the_share_of_blocked_pictures_is_said(rows):
    blocked = row_of(rows[0], "blocked", "c-10")
    assert blocked["value"] == 0.25 and blocked["said"] == "5 of 20 pictures"
    assert len(rows[0].filter(pl.col("quantity") == "blocked")) == 1


def test_prompt_scores_are_cosines_to_the_prompt(rows, study):
    vectors = (
        read(study / "base-e.parquet", ["concept", "embedding"]).to_pandas().query("concept == 'c-03'")["embedding"]
    )
    prompts = read(study / "prompts.parquet", ["image_id", "embedding"]).to_pydict()["embedding"]
    cosines = [np.mean([v @ np.array(p) for v in list(vectors)[place::2]]) for place, p in enumerate(prompts)]
    assert row_of(rows[0], "prompt_score", "c-03")["base"] == pytest.approx(np.mean(cosines), abs=1e-6)


def test_the_table_for_reading_and_the_figure(rows, tmp_path):
    text = (rows[1] / "t.tsv").read_text()
    assert "score\tc-00\t" in text and "inf" not in text.split("\t")
    assert main(["defences", "plot", f"--table={rows[1]}/t.parquet", "--title=x", f"--out={tmp_path}/f.png"]) == 0
    assert (tmp_path / "f.png").read_bytes().startswith(b"\x89PNG")


def test_the_same_seed_gives_the_same_table(rows, study, tmp_path):
    assert measured(study, tmp_path, "--erased", "c-11") == 0
    assert (tmp_path / "t.tsv").read_text() == (rows[1] / "t.tsv").read_text()


def test_without_erased_concepts_all_are_others(study, tmp_path, capsys):
    assert measured(study, tmp_path) == 0
    assert "names no concept" in capsys.readouterr().err
    assert set(pl.read_parquet(tmp_path / "t.parquet")["role"]) == {"others", ""}


def test_pictures_that_are_all_the_same_are_told(study, tmp_path, capsys):
    """As where embeddings of the base are named for the derived model: a Frechet distance of 0 would be silent."""
    assert measured(study, tmp_path, "--erased", "c-11") == 0
    assert "pictures of the two models are the same" not in capsys.readouterr().err
    same = ["--defended-embeddings", f"{study}/base-e.parquet", "--defended-generated", f"{study}/base.parquet"]
    assert measured(study, tmp_path, "--erased", "c-11", *same) == 0
    assert "to the embedder all pictures of the two models are the same" in capsys.readouterr().err


def test_the_curve_is_in_the_table_s_metadata(rows):
    import pyarrow.parquet as pq

    curve = json.loads(pq.read_schema(rows[1] / "t.parquet").metadata[b"curve"])
    assert curve["counts"] == sorted(curve["counts"]) and curve["levels"] == sorted(curve["levels"])
