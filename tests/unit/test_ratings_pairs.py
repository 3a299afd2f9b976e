"""Which generated pictures raters are asked about."""

from collections import Counter
from itertools import product

import pytest
from rated_study import CONCEPTS, generated_of, write_study

from fit.errors import DataError
from fit.images.table import GENERATED
from fit.io.concept_tables import write_concepts
from fit.ratings import pairs


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return write_study(tmp_path_factory.mktemp("study"))


def images_of(concepts, of_each=20, prompts=2):
    return {
        concept: [(f"{concept}-{p}-{i}", f"prompt {p}") for p in range(prompts) for i in range(of_each // prompts)]
        for concept in concepts
    }


def test_pictures_are_drawn_evenly_over_the_logarithm_of_the_count():
    # Nine tenths of the concepts are rare: drawn evenly over concepts, they would take nine tenths of the pictures.
    counts = {f"c{i:03d}": 2 if i < 90 else 1000 for i in range(100)}
    drawn = pairs.draw(counts, images_of(counts), 100, 0)
    assert sum(counts[concept] == 2 for concept, _, _ in drawn) == 50
    assert len({image_id for _, image_id, _ in drawn}) == len(drawn) == 100


def test_concepts_and_prompts_take_turns():
    counts = dict.fromkeys("abcd", 7)
    drawn = pairs.draw(counts, images_of(counts), 16, 0)
    turns = Counter((concept, prompt) for concept, _, prompt in drawn)
    assert turns == dict.fromkeys(product(counts, ("prompt 0", "prompt 1")), 2)


def test_a_small_part_of_the_range_gives_what_it_has_and_others_the_rest():
    counts = {"a": 0, "b": 1000}
    images = {"a": images_of("a", 4)["a"], "b": images_of("b", 40)["b"]}
    drawn = pairs.draw(counts, images, 30, 0)
    assert [sum(row[0] == concept for row in drawn) for concept in "ab"] == [4, 26]
    assert len(pairs.draw(counts, images, 100, 0)) == 44


def test_the_seed_decides_what_is_drawn():
    counts = {f"c{i}": 3**i for i in range(7)}
    first = pairs.draw(counts, images_of(counts), 40, 1)
    assert first == pairs.draw(dict(reversed(counts.items())), images_of(reversed(counts)), 40, 1)
    assert sorted(first) != sorted(pairs.draw(counts, images_of(counts), 40, 2))


def test_pictures_that_the_model_failed_at_are_not_asked_about(files, tmp_path):
    tables = [(concept, generated_of(i, concept, failed=4)) for i, concept in enumerate(CONCEPTS)]
    write_concepts(tables, tmp_path / "all.parquet", GENERATED)
    drawn, _ = pairs.sample_pairs(files / "scores.csv", [files / "references"], [tmp_path / "all.parquet"], 100, 0)
    assert {pair.generated.image_id for pair in drawn} == {f"{concept}-{n}" for concept in CONCEPTS for n in (4, 5)}


def test_a_study_without_pictures_says_why(files, tmp_path):
    with pytest.raises(DataError, match=rf"no concept with both .*there is no table of it in {tmp_path}"):
        pairs.sample_pairs(files / "scores.csv", [tmp_path], [files / "generated"], 4, 0)
    (tmp_path / "bad.csv").write_text("concept,effective_count,score\nann-orr,-1,0.5\n")
    with pytest.raises(DataError, match="concept 'ann-orr': effective_count is '-1'"):
        pairs.sample_pairs(tmp_path / "bad.csv", [files / "references"], [files / "generated"], 4, 0)


def test_references_of_another_concept_with_the_same_ids_are_not_shown(files):
    drawn, left_out = pairs.sample_pairs(files / "scores.csv", [files / "references"], [files / "generated"], 100, 0)
    assert len({pair.concept for pair in drawn}) == len(CONCEPTS)
    for pair in drawn:
        assert {picture.concept for picture in (pair.generated, *pair.references)} == {pair.concept}
    assert list(left_out) == ["eve-ash"]


def test_what_is_drawn_does_not_depend_on_how_concepts_are_spread_over_tables(files, tmp_path):
    for i, concept in enumerate(CONCEPTS):
        write_concepts([(concept, generated_of(i, concept))], tmp_path / f"{concept}.parquet", GENERATED)
    drawn = [
        pairs.sample_pairs(files / "scores.csv", [files / "references"], [place], 12, 3)[0]
        for place in (tmp_path, files / "generated")
    ]
    one, other = ([(pair.concept, pair.prompt, pair.generated.image_id, pair.references) for pair in d] for d in drawn)
    assert one == other
