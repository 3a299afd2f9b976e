"""Alternative scores against plain computations of the same, and on pictures whose resemblance is known."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from concept_files import unit, write_rows
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm

from fit.alternatives import REGISTRY, load
from fit.alternatives.frechet import frechet_distance
from fit.alternatives.score import SCHEMA, score_concept
from fit.alternatives.tabulate import tabulate
from fit.alternatives.top5 import mean_of_top
from fit.errors import DataError
from fit.io.concept_tables import ConceptTables
from fit.scores.evidence import Evidence
from fit.scores.settings import TargetSettings

TARGETS = TargetSettings(targets="matches_or_references")


def test_frechet_distance_is_that_of_two_gaussians():
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(300, 6)) @ rng.normal(size=(6, 6)), rng.normal(size=(200, 6)) + 1
    c1, c2 = np.cov(one.T), np.cov(other.T)
    plain = ((one.mean(0) - other.mean(0)) ** 2).sum() + np.trace(c1 + c2 - 2 * sqrtm(c1 @ c2).real)
    assert frechet_distance(one, other) == pytest.approx(plain, rel=1e-6)
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-6)


def test_frechet_distance_of_fewer_vectors_than_numbers():
    rng = np.random.default_rng(1)
    one, other = rng.normal(size=(5, 64)), rng.normal(size=(7, 64)) + 2
    # Both lie in few of 64 dimensions: in a basis of those, their covariances are the same.
    basis = np.linalg.svd(np.concatenate([one, other]), full_matrices=False)[2]
    few = one @ basis.T, other @ basis.T
    c1, c2 = (np.cov(x.T) + 1e-9 * np.eye(12) for x in few)
    plain = ((few[0].mean(0) - few[1].mean(0)) ** 2).sum() + np.trace(c1 + c2 - 2 * sqrtm(c1 @ c2).real)
    assert frechet_distance(one, other) == pytest.approx(plain, rel=1e-3)
    many = rng.normal(size=(20_000, 4))
    c1, c2 = np.cov(few[0][:, :4].T), np.cov(many.T)
    plain = ((few[0][:, :4].mean(0) - many.mean(0)) ** 2).sum() + np.trace(c1 + c2 - 2 * sqrtm(c1 @ c2).real)
    assert frechet_distance(few[0][:, :4], many) == pytest.approx(plain, rel=1e-6)
    with pytest.raises(DataError, match="two vectors"):
        frechet_distance(one[:1], other)


def test_mean_of_top_takes_each_images_own_nearest():
    rng = np.random.default_rng(2)
    generated, targets = unit(rng.normal(size=(4, 8))), unit(rng.normal(size=(9, 8)))
    plain = np.mean([np.mean(sorted(g @ t for t in targets)[-5:]) for g in generated])
    assert mean_of_top(generated, targets) == pytest.approx(plain, abs=1e-6)
    assert mean_of_top(generated, targets[:2]) == pytest.approx((generated @ targets[:2].T).mean(), abs=1e-6)


@pytest.fixture
def evidence():
    """A concept with two prompts of three images; one prompt's images point where its text points."""
    rng = np.random.default_rng(3)
    texts = unit(np.eye(4)[:2])
    pictures, clip = (
        unit(rng.normal(size=(6, 4))),
        np.concatenate([np.repeat(texts[:1], 3, 0), unit(rng.normal(size=(3, 4)))]),
    )
    return Evidence(
        concept="c",
        pictures={"a portrait of C": pictures[:3], "C, oil": pictures[3:]},
        references=unit(rng.normal(size=(12, 4))),
        prompt_pictures={"a portrait of C": clip[:3], "C, oil": clip[3:]},
        prompts=dict(zip(("a portrait of C", "C, oil"), texts, strict=True)),
    )


def values_of(evidence):
    found = score_concept(evidence, TARGETS).to_pylist()
    return {(row["kind"], row["prompt"]): row["value"] for row in found}


def test_a_concept_has_a_row_per_kind_and_prompt(evidence):
    found, references = values_of(evidence), evidence.references
    pictures, clip = evidence.pictures["C, oil"], evidence.prompt_pictures["C, oil"]
    assert found["clip", "a portrait of C"] == pytest.approx(1)
    assert found["clip", "C, oil"] == pytest.approx(float((clip @ evidence.prompts["C, oil"]).mean()), abs=1e-6)
    every = np.concatenate(list(evidence.pictures.values()))
    assert found["frechet", None] == pytest.approx(frechet_distance(every, references))
    assert found["top5", "C, oil"] == pytest.approx(mean_of_top(pictures, references))
    without = values_of(replace(evidence, prompt_pictures=None, prompts={}))
    assert without == {key: value for key, value in found.items() if key[0] != "clip"}
    assert values_of(replace(evidence, prompts={}))["clip", "C, oil"] is None
    nothing = values_of(replace(evidence, references=references[:0]))
    assert {nothing["frechet", None], nothing["top5", "C, oil"]} == {None}


def test_each_score_is_an_object_with_a_name_and_a_label():
    for name in REGISTRY:
        score = load(name)
        assert score.name == name and score.label
    assert [name for name in REGISTRY if not load(name).is_more_alike_when_larger] == ["frechet"]


@settings(deadline=None)
@given(seed=st.integers(0, 10_000), pictures=st.integers(2, 9), targets=st.integers(2, 9))
def test_scores_do_not_depend_on_row_order(seed, pictures, targets):
    rng = np.random.default_rng(seed)
    generated, vectors = unit(rng.normal(size=(pictures, 4))), unit(rng.normal(size=(targets, 4)))
    one = Evidence(concept="c", pictures={"p": generated}, references=vectors, prompt_pictures={"p": generated})
    one = replace(one, prompts={"p": vectors[0]})
    other = replace(one, pictures={"p": rng.permutation(generated)}, references=rng.permutation(vectors))
    assert values_of(other) == pytest.approx(values_of(one), abs=1e-5)
    assert frechet_distance(generated, vectors) == pytest.approx(frechet_distance(vectors, generated), abs=1e-5)


def test_tables_are_on_the_scale_of_imitation_scores_and_a_distance_is_turned_round(tmp_path):
    slugs = [f"c{i:02d}" for i in range(12)]
    scores = np.linspace(0.1, 0.8, 12)
    imitation = tmp_path / "table.parquet"
    of_counts = {"low": range(12), "high": range(2, 14), "image_scores": [[[score]] for score in scores]}
    table = {"concept": slugs, "effective_count": range(12), "score": scores} | of_counts
    pl.DataFrame(table).write_parquet(imitation)
    distances = {
        slug: [{"kind": "frechet", "value": 5 - 3 * score}] for slug, score in zip(slugs[:-1], scores, strict=False)
    }
    parts = [list(distances)[:5], list(distances)[5:]]
    for number, part in enumerate(parts):
        write_rows(tmp_path / f"others/{number}.parquet", {slug: distances[slug] for slug in part}, SCHEMA)
    table = pl.from_arrow(tabulate(imitation, ConceptTables([tmp_path / "others"]), "frechet"))
    assert table["concept"].to_list() == slugs[:-1]
    assert table["score"].to_numpy() == pytest.approx(scores[:-1])
    assert table["high"].to_list() == list(range(2, 13)) and "image_scores" not in table.columns
    with pytest.raises(DataError, match="prompt_embedder"):
        tabulate(imitation, ConceptTables([tmp_path / "others"]), "clip")
    # Imported pictures, in folders that are not named by their prompts.
    rows = {slug: [{"kind": "clip", "prompt": "oil", "value": None}] for slug in slugs}
    unknown = write_rows(tmp_path / "unknown.parquet", rows, SCHEMA)
    with pytest.raises(DataError, match=r"such as 'oil', are not prompts of the domain; .*by its whole prompt"):
        tabulate(imitation, ConceptTables([unknown]), "clip")
