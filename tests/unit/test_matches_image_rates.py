"""How often single images match, by the rule that counts them."""

import json

import numpy as np
import pytest
from concept_files import unit, write_rows, write_vectors

from fit.cli.main import main
from fit.images.table import REFERENCES
from fit.matches.image_rates import count_accepted, measure_image_rates, rates_of_concepts
from fit.matches.similarity import highest_similarity


def people(rng, count, references=12, noise=0.25, size=32):
    """Concept -> vectors around a direction of its own."""
    return {
        f"c{i:02d}": unit(unit(rng.normal(size=size)) + noise * rng.normal(size=(references, size)))
        for i in range(count)
    }


def assert_same(found, expected):
    """Compare rates up to rounding."""
    assert found["image_rates"].keys() == expected["image_rates"].keys()
    pairs = [(found["image_rates"][name], rates) for name, rates in expected["image_rates"].items()]
    for rates, others in [*pairs, (found["image_rates_of_others"], expected["image_rates_of_others"])]:
        assert all(rates[name] == pytest.approx(others[name]) for name in ("tpr", "fpr"))
    for name, value in expected.items():
        if name.startswith("image_rates"):
            continue
        assert found[name] == (value if name == "worst_pair" else pytest.approx(value)), name


def test_rates_are_those_of_the_highest_cosine_with_an_image_left_out_of_its_own():
    rng = np.random.default_rng(0)
    vectors = [*people(rng, 5, references=4).values(), unit(rng.normal(size=(1, 32)))]
    accepted = count_accepted(vectors, 0.4)
    for i, own in enumerate(vectors):
        for j, images in enumerate(vectors):
            for_each = [
                highest_similarity(image[None], np.delete(own, k, axis=0) if i == j else own)[0] > 0.4
                for k, image in enumerate(images)
            ]
            assert accepted[i, j] == sum(for_each), (i, j)


def test_two_concepts_that_look_alike_are_named():
    rng = np.random.default_rng(1)
    references = people(rng, 6)
    references["twin"] = unit(references["c03"][:5] + 0.01 * rng.normal(size=(5, 32)))
    found = measure_image_rates(references, 0.6)
    assert found["worst_pair"] == {"images_of": "c03", "taken_for": "twin", "rate": 1.0, "images": 12} or (
        found["worst_pair"] == {"images_of": "twin", "taken_for": "c03", "rate": 1.0, "images": 5}
    )
    assert found["image_negatives"] == 6 * (6 * 12 + 5)
    assert found["image_positives"] == 6 * 12 + 5
    shuffled = dict(sorted(references.items(), reverse=True))
    assert_same(measure_image_rates(shuffled, 0.6), found)


def test_a_rate_of_none_among_many_has_an_interval_above_none():
    found = measure_image_rates(people(np.random.default_rng(2), 10), 0.99)
    assert found["image_tpr"] == found["image_fpr"] == 0 and found["worst_pair"] is None
    low, high = found["image_fpr_interval"]
    assert low == 0 and 0 < high < 0.05
    assert found["image_fpr_trials"] == 120  # not 1,080: an image is compared with nine concepts, but is one image


def test_references_that_do_not_suffice_give_no_rate():
    vector = unit(np.ones((1, 4)))
    assert measure_image_rates({}, 0.5)["image_tpr"] is None
    one = measure_image_rates({"a": vector}, 0.5)
    assert (one["image_tpr"], one["image_fpr"], one["worst_pair"]) == (None, None, None)
    two = measure_image_rates({"a": vector, "b": -vector}, 0.5)
    assert (two["image_tpr"], two["image_fpr"]) == (None, 0)


@pytest.mark.slow
def test_intervals_cover_the_rates_of_a_population_of_concepts():
    # Concepts differ in how alike their pictures are, so their images are not independent.
    def drawn(rng, concepts):
        noise = rng.uniform(0.1, 0.5, concepts)
        directions = unit(rng.normal(size=(concepts, 8)))
        return {
            f"c{i:04d}": unit(directions[i] + noise[i] * rng.normal(size=(10, 8))).astype(np.float32)
            for i in range(concepts)
        }

    rng = np.random.default_rng(3)
    truth = measure_image_rates(drawn(rng, 500), 0.8)
    inside = {"image_tpr": [], "image_fpr": []}
    for _ in range(100):
        found = measure_image_rates(drawn(rng, 40), 0.8)
        for name, covered in inside.items():
            low, high = found[f"{name}_interval"]
            covered.append(low <= truth[name] <= high)
    for name, covered in inside.items():
        assert np.mean(covered) >= 0.9, (name, np.mean(covered))


def test_the_match_threshold_says_how_often_images_match(tmp_path):
    references = people(np.random.default_rng(4), 5)
    rows = {c: [{"image_id": f"{i}", "kept": True} for i in range(len(v))] for c, v in references.items()}
    write_rows(tmp_path / "references.parquet", rows, REFERENCES)
    write_vectors(
        tmp_path / "vectors.parquet",
        {c: ([f"{i}" for i in range(len(v))], v.astype(np.float32)) for c, v in references.items()},
        32,
    )
    places = ["--references", tmp_path / "references.parquet", "--embeddings", tmp_path / "vectors.parquet"]
    command = ["matches", "threshold", *places, "--method", "midpoint", "--out", tmp_path / "out.json"]
    assert main(list(map(str, command))) == 0
    found = json.loads((tmp_path / "out.json").read_text())
    expected = measure_image_rates(references, found["match_threshold"])
    assert_same(found, expected)


# --- each concept's own rates -----------------------------------------------------------------------------------------


def means(rates, name):
    return np.array([rate[name][0] for rate in rates])


def confused(rng, concepts=30, references=20, confusing=3, rate=0.2):
    """Accepted references, where the first few concepts accept many images of every other concept, the rest none."""
    accepted = np.zeros((concepts, concepts), int)
    accepted[:confusing] = rng.binomial(references, rate, (confusing, concepts))
    accepted[np.diag_indices(concepts)] = rng.binomial(references, 0.95, concepts)
    return accepted, np.full(concepts, references)


def test_a_concept_that_is_confused_with_many_has_a_high_rate_of_its_own():
    accepted, sizes = confused(np.random.default_rng(0))
    each, others = rates_of_concepts(accepted, sizes, 600, 600)
    fpr = means(each, "fpr")
    assert fpr[:3] == pytest.approx(0.2, abs=0.03) and fpr[3:].max() < 0.002
    assert means([others], "fpr")[0] == pytest.approx(0.02, abs=0.003)
    # What is known of a concept without references is how the others are spread: some have 0.2.
    rate, worth = others["fpr"]
    assert (rate * (1 - rate) / (worth + 1)) ** 0.5 > 0.05
    assert means(each, "tpr").std() < 0.03  # concepts do not differ in it


def test_concepts_that_are_alike_have_nearly_the_mean_of_all():
    rng = np.random.default_rng(1)
    accepted = rng.binomial(20, 0.02, (40, 40))
    accepted[np.diag_indices(40)] = rng.binomial(20, 0.9, 40)
    each, _ = rates_of_concepts(accepted, np.full(40, 20), 800, 800)
    raw = np.diag(accepted) / 20
    assert means(each, "tpr").std() < raw.std() / 2
    assert means(each, "tpr").mean() == pytest.approx(raw.mean(), abs=0.01)


def test_images_that_are_taken_for_others_together_are_worth_less():
    """All references of two concepts are taken for the first one: two events, not forty."""
    rng = np.random.default_rng(2)
    accepted, sizes = confused(rng, confusing=0)
    accepted[0, [5, 6]] = 20
    together, _ = rates_of_concepts(accepted, sizes, 600, 600)
    accepted[0, 1:] = 0
    accepted[0, rng.choice(np.arange(1, 30), 20, replace=False)] = 2
    apart, _ = rates_of_concepts(accepted, sizes, 600, 600)
    assert together[0]["fpr"][1] < apart[0]["fpr"][1] / 3


def test_rates_of_few_concepts_are_between_0_and_1_and_unknown_ones_are_not_made_up():
    for number in (2, 3):
        found = measure_image_rates(people(np.random.default_rng(number), number), 0.5)
        for rates in [*found["image_rates"].values(), found["image_rates_of_others"]]:
            assert all(0 <= rate <= 1 and worth >= 1 for rate, worth in rates.values())
    alone = measure_image_rates(people(np.random.default_rng(4), 1), 0.5)
    assert alone["image_rates"] == {} and alone["image_rates_of_others"] is None
