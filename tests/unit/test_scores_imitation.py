"""The imitation score against plain computations of the same, and the evidence that it is computed from."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from concept_files import unit, write_rows, write_vectors
from hypothesis import given, settings
from hypothesis import strategies as st

from fit.cli.main import main
from fit.errors import DataError, ImageTableError
from fit.images.table import GENERATED, REFERENCES
from fit.io.concept_tables import ConceptTables, concepts_in
from fit.matches.match import MATCHES
from fit.scores.evidence import Evidence, EvidencePlaces, TrainingImages, read_evidence
from fit.scores.imitation import image_scores, imitation_score, score_concept
from fit.scores.settings import ScoreSettings, TargetSettings
from fit.scores.targets import choose_targets


def test_targets_of_styles_and_faces():
    matched, references = np.ones((11, 2)), np.zeros((5, 2))
    assert choose_targets(matched, references, "matches_or_references") is matched
    assert choose_targets(matched[:10], references, "matches_or_references") is references
    assert len(choose_targets(matched, references, "matches_and_references")) == 16
    assert len(choose_targets(np.zeros((0, 0)), references, "matches_and_references")) == 5


def test_imitation_score_is_the_mean_over_the_most_similar_targets():
    rng = np.random.default_rng(4)
    generated, targets = unit(rng.normal(size=(6, 8))), unit(rng.normal(size=(30, 8)))
    cosines = targets @ generated.T
    best = np.argsort(cosines.mean(axis=1))[::-1][:10]
    assert imitation_score(generated, targets, 10) == pytest.approx(cosines[best].mean(), abs=1e-6)
    assert imitation_score(generated, targets[:3], 10) == pytest.approx(cosines[:3].mean(), abs=1e-6)
    with pytest.raises(DataError):
        imitation_score(generated[:0], targets, 10)


def test_a_prompts_score_is_the_mean_of_its_images():
    rng = np.random.default_rng(8)
    generated, targets = unit(rng.normal(size=(7, 8))), unit(rng.normal(size=(30, 8)))
    cosines = generated.astype(float) @ targets.T.astype(float)
    chosen = np.argsort(cosines.mean(axis=0))[-10:]
    assert image_scores(generated, targets, 10) == pytest.approx(cosines[:, chosen].mean(axis=1))
    assert imitation_score(generated, targets, 10) == image_scores(generated, targets, 10).mean()


SEEDS = st.integers(0, 10_000)


@settings(deadline=None)
@given(seed=SEEDS, pictures=st.integers(1, 8), targets=st.integers(1, 25), top_k=st.integers(1, 30))
def test_a_score_does_not_depend_on_row_order(seed, pictures, targets, top_k):
    rng = np.random.default_rng(seed)
    generated, vectors = unit(rng.normal(size=(pictures, 6))), unit(rng.normal(size=(targets, 6)))
    score = imitation_score(generated, vectors, top_k)
    assert -1.001 <= score <= 1.001
    assert imitation_score(rng.permutation(generated), rng.permutation(vectors), top_k) == pytest.approx(score)


@settings(deadline=None)
@given(seed=SEEDS, sizes=st.lists(st.integers(0, 9), max_size=5), chunk=st.integers(1, 20))
def test_matched_vectors_do_not_depend_on_how_they_are_streamed(seed, sizes, chunk):
    rng = np.random.default_rng(seed)
    number = sum(sizes)
    vectors, match = unit(rng.normal(size=(number, 4))), rng.random(number) < 0.5

    def training(parts):
        return TrainingImages(match=match, similarity=np.zeros(number), read=lambda: iter(parts))

    found = training(np.split(vectors, np.cumsum(sizes))).matched
    again = training([vectors[start : start + chunk] for start in range(0, number, chunk)]).matched
    assert np.array_equal(found.reshape(-1, 4), vectors[match]) and np.array_equal(again.reshape(-1, 4), vectors[match])


def test_a_score_is_a_function_of_the_evidence():
    rng = np.random.default_rng(0)
    vectors, references = unit(rng.normal(size=(40, 5))), unit(rng.normal(size=(12, 5)))
    pictures = {"oil": unit(rng.normal(size=(3, 5))), "ink": np.zeros((0, 5), np.float32)}
    match = np.arange(40) % 2 == 0
    training = TrainingImages(match=match, similarity=np.ones(40), read=lambda: iter([vectors]))
    evidence = Evidence(concept="ada", pictures=pictures, references=references, training=training)
    found = score_concept(evidence, TargetSettings(targets="matches_or_references"), ScoreSettings(top_k=4)).to_pylist()
    assert [(row["prompt"], row["images"], row["targets"]) for row in found] == [("oil", 3, 20), ("ink", 0, 20)]
    assert found[0]["score"] == imitation_score(pictures["oil"], vectors[match], 4)
    assert found[1]["score"] is None and found[1]["image_scores"] == []
    alone = Evidence(concept="ada", pictures=pictures, references=references)
    assert alone.targets("matches_or_references") is references and len(alone.matched) == 0


def test_matches_alone_are_targets_from_ten_or_from_eleven_on():
    matched, references = np.ones((11, 2)), np.zeros((5, 2))
    for number, rules in ((9, ()), (10, ("ten",)), (11, ("ten", ""))):
        for rule in ("ten", ""):
            name = f"{rule}_matches_or_references".removeprefix("_")
            expected = matched[:number] if rule in rules else references
            assert np.array_equal(choose_targets(matched[:number], references, name), expected)


def test_an_empty_prompt_may_count_as_zero_and_too_few_targets_give_no_score():
    rng = np.random.default_rng(0)
    pictures = {"oil": unit(rng.normal(size=(3, 5))), "ink": np.zeros((0, 5), np.float32)}
    evidence = Evidence(concept="ada", pictures=pictures, references=unit(rng.normal(size=(5, 5))))

    def score(**said):
        return score_concept(evidence, TargetSettings(targets="matches_or_references", **said), ScoreSettings())

    zero, left_out = score(empty_prompt="zero").to_pylist(), score().to_pylist()
    assert zero[0] == left_out[0] and left_out[1]["score"] is None
    assert (zero[1]["score"], zero[1]["images"], zero[1]["image_scores"]) == (0, 0, [0])
    assert score(fewest_targets=5).equals(score())
    few = score(fewest_targets=6, empty_prompt="zero").to_pylist()
    assert [(row["score"], row["image_scores"], row["targets"]) for row in few] == [(None, [], 5)] * 2


@pytest.fixture
def study(tmp_path):
    """Tables of three concepts that share image_ids, in parts that differ from stage to stage."""
    rng = np.random.default_rng(1)
    slugs = ("ada", "bea", "cyd")
    parts = {"generated": ("ac", "b"), "of_generated": ("abc",), "images": ("b", "ca"), "matches": ("abc",)}
    parts |= {"references": ("a", "b", "c"), "of_references": ("cba",)}
    sizes = {"of_generated": 6, "images": 30, "of_references": 12}

    def rows_of(kind, number):
        if kind == "generated":
            return [
                {"image_id": f"{i}", "prompt": f"{'oil' if i < 3 else 'ink'} {number}", "status": "ok", "bytes": b"x"}
                for i in range(6)
            ]
        if kind == "references":
            return [{"image_id": f"{i}", "kept": i > 0, "decision": "kept", "bytes": b"x"} for i in range(12)]
        return [{"image_id": f"{i}", "similarity": 0.5, "match": i % (number + 2) == 0} for i in range(30)]

    schemas = {"generated": GENERATED, "references": REFERENCES, "matches": MATCHES}
    vectors = {(kind, slug): unit(rng.normal(size=(size, 8))) for kind, size in sizes.items() for slug in slugs}
    for kind, of_kind in parts.items():
        for letters in of_kind:
            chosen = [next(slug for slug in slugs if slug[0] == letter) for letter in letters]
            path = tmp_path / kind / f"{letters}.parquet"
            if kind in schemas:
                write_rows(path, {slug: rows_of(kind, slugs.index(slug)) for slug in chosen}, schemas[kind])
                continue
            names = [f"{i}" for i in range(sizes[kind])]
            write_vectors(path, {slug: (names, vectors[kind, slug]) for slug in chosen}, 8)
    return tmp_path, vectors


def command_of(folder, slugs, out):
    kinds = {"generated": "generated", "generated-embeddings": "of_generated", "images": "images"}
    kinds |= {"matches": "matches", "references": "references", "reference-embeddings": "of_references"}
    places = [word for flag, kind in kinds.items() for word in (f"--{flag}", str(folder / kind))]
    return ["scores", "imitation", "--concepts", *slugs, *places, "--targets", "matches_or_references", "--out", out]


def test_a_table_of_several_concepts_has_the_rows_of_tables_of_one(study):
    folder, vectors = study
    together = str(folder / "together.parquet")
    assert main(command_of(folder, ["cyd", "ada", "bea"], together)) == 0
    assert concepts_in(together) == ["cyd", "ada", "bea"]
    every = pq.ParquetFile(together)
    assert every.num_row_groups == 3  # a row group is of one concept
    alone = []
    for slug in ("cyd", "ada", "bea"):
        assert main(command_of(folder, [slug], str(folder / f"{slug}.parquet"))) == 0
        alone.append(pq.read_table(folder / f"{slug}.parquet"))
    assert every.read().to_pylist() == pa.concat_tables(alone).to_pylist()
    rows = [row for row in alone[1].to_pylist() if row["prompt"] == "oil 0"]
    matched = vectors["images", "ada"][::2]
    assert rows[0]["score"] == imitation_score(vectors["of_generated", "ada"][:3], matched, 10)
    assert rows[0]["targets"] == 15


def test_a_concept_that_is_in_no_table_and_half_a_pair_of_options_are_refused(study, capsys):
    folder, _ = study
    out = str(folder / "o.parquet")
    assert main(command_of(folder, ["ada", "dan"], out)) == 1
    assert "no table of the concept 'dan'" in capsys.readouterr().err and not (folder / "o.parquet").exists()
    words = command_of(folder, ["ada"], out)
    del words[words.index("--matches") : words.index("--matches") + 2]
    assert main(words) == 1 and "--images and --matches" in capsys.readouterr().err


def test_evidence_of_other_images_and_pictures_is_refused(study):
    folder, _ = study

    def places(**instead):
        kinds = {"generated_embeddings": "of_generated", "reference_embeddings": "of_references"}
        names = ("generated", "generated_embeddings", "images", "matches", "references", "reference_embeddings")
        tables = {name: ConceptTables([folder / kinds.get(name, name)]) for name in names}
        return EvidencePlaces(**tables | instead)

    rows = [{"image_id": f"{i}", "similarity": 0.5, "match": True} for i in range(29)]
    other = write_rows(folder / "other.parquet", {"ada": rows}, MATCHES)
    evidence = read_evidence(places(matches=ConceptTables([other])), "ada")
    with pytest.raises(ImageTableError, match=r"ca\.parquet, concept 'ada': 30 rows, where 29 were matched"):
        score_concept(evidence, TargetSettings(targets="matches_or_references"), ScoreSettings())
    with pytest.raises(DataError, match="concept 'ada': not of the pictures in"):
        read_evidence(places(generated_embeddings=ConceptTables([folder / "images"])), "ada")
