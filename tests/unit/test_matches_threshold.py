"""Match thresholds, and what they are found from, against plain computations of the same."""

import json

import numpy as np
import pytest
from concept_files import unit, write_plain_vectors, write_rows, write_vectors
from hypothesis import given, settings
from hypothesis import strategies as st

from fit.cli.main import main
from fit.errors import DataError
from fit.images.table import REFERENCES
from fit.io.concept_tables import ConceptTables
from fit.matches.settings import METHODS as METHOD_NAMES
from fit.matches.similarity import highest_similarity
from fit.matches.threshold import (
    METHODS,
    concept_means,
    find_match_threshold,
    no_match_threshold,
    reference_means,
    roc_auc,
)


def test_concept_means_are_means_over_pairs_of_images():
    rng = np.random.default_rng(0)
    concepts = [unit(rng.normal(size=(n, 5))) for n in (4, 2, 3, 1)]
    within, between = concept_means(concepts)
    expected = [np.mean([a @ b for i, a in enumerate(c) for j, b in enumerate(c) if i != j]) for c in concepts[:3]]
    assert within == pytest.approx(expected, abs=1e-6)
    pairs = [(i, j) for i in range(4) for j in range(i + 1, 4)]
    assert between == pytest.approx([np.mean(concepts[i] @ concepts[j].T) for i, j in pairs], abs=1e-6)


def test_both_methods_and_how_well_they_tell_apart():
    positive, negative = np.array([0.6, 0.7, 0.8, 0.9]), np.array([-0.1, 0.0, 0.1, 0.2])
    found = find_match_threshold(positive, negative, "midpoint")
    assert found["match_threshold"] == pytest.approx(0.4)
    assert (found["tpr"], found["fpr"], found["roc_auc"]) == (1, 0, 1)
    assert found["best_f1"] == pytest.approx(0.4)
    assert find_match_threshold(positive, negative, 0.65)["tpr"] == 0.75
    with pytest.raises(DataError, match="two concepts"):
        find_match_threshold(positive, np.array([]), "midpoint")


def test_a_given_threshold_needs_nothing_to_compare_with():
    found = find_match_threshold(np.array([0.3, 0.1]), np.array([]), 0.2)
    assert (found["match_threshold"], found["method"], found["tpr"]) == (0.2, "given", 0.5)
    assert found["fpr"] is None and found["roc_auc"] is None and found["best_f1"] is None


@pytest.mark.slow
def test_best_f1_against_every_threshold():
    rng = np.random.default_rng(1)
    positive, negative = rng.normal(1, 1, 60), rng.normal(0, 1, 90)

    def f1(match_threshold):
        tpr, tnr = (positive > match_threshold).mean(), (negative <= match_threshold).mean()
        return 2 * tpr * tnr / (tpr + tnr) if tpr + tnr else 0

    best = max(f1(match_threshold) for match_threshold in np.linspace(-4, 5, 20_000))
    assert f1(find_match_threshold(positive, negative, "best_f1")["match_threshold"]) == pytest.approx(best)


def test_equal_error_rate_is_where_both_errors_are_as_large():
    rng = np.random.default_rng(5)
    positive, negative = rng.normal(2, 1, 4000), rng.normal(0, 1, 4000)
    found = find_match_threshold(positive, negative, "midpoint")
    # Two normals, two standard deviations apart, cross half-way: Phi(-1) = 0.1587 on either side.
    assert found["equal_error_rate"] == pytest.approx(0.1587, abs=0.015)
    assert found["equal_error_threshold"] == pytest.approx(1, abs=0.1)
    match_threshold = found["equal_error_threshold"]
    assert (positive <= match_threshold).mean() == pytest.approx((negative > match_threshold).mean(), abs=1e-3)
    apart = find_match_threshold(positive + 20, negative, "midpoint")
    assert apart["equal_error_rate"] == 0 and negative.max() < apart["equal_error_threshold"] < positive.min() + 20


def test_roc_auc_counts_ties_half():
    assert roc_auc(np.array([1.0, 2.0]), np.array([1.0, 0.0])) == 0.875


def test_highest_similarity():
    rng = np.random.default_rng(2)
    vectors, references = unit(rng.normal(size=(9000, 4))), unit(rng.normal(size=(7, 4)))
    assert highest_similarity(vectors, references) == pytest.approx((vectors @ references.T).max(axis=1))
    assert (highest_similarity(vectors, references[:0]) == -1).all()
    assert len(highest_similarity(np.zeros((0, 0), np.float32), references)) == 0


COSINES = st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=30).map(lambda values: np.array(values, float))


@pytest.mark.slow
@settings(deadline=None)
@given(positive=COSINES, negative=COSINES, seed=st.integers(0, 99))
def test_a_threshold_does_not_depend_on_the_order_of_similarities(positive, negative, seed):
    rng = np.random.default_rng(seed)
    for method in METHODS:
        found = find_match_threshold(positive, negative, method)
        again = find_match_threshold(rng.permutation(positive), rng.permutation(negative), method)
        assert again == pytest.approx(found)
        assert -1.1 <= found["match_threshold"] <= 1
        assert 0 <= found["equal_error_rate"] <= 1 and 0 <= found["roc_auc"] <= 1


@pytest.mark.slow
@settings(deadline=None)
@given(positive=COSINES, negative=COSINES)
def test_sides_that_do_not_overlap_are_told_apart_by_each_method(positive, negative):
    positive = positive + 3
    for method in METHODS:
        found = find_match_threshold(positive, negative, method)
        assert (found["tpr"], found["fpr"], found["roc_auc"], found["equal_error_rate"]) == (1, 0, 1, 0)


@pytest.fixture
def references(tmp_path):
    """Folders of references and their embeddings, in which three concepts are in two tables; the last of each is not
    kept."""
    rng = np.random.default_rng(0)
    vectors = {slug: unit(np.eye(8)[i] + rng.normal(0, 0.1, (5, 8))) for i, slug in enumerate(("ada", "bea", "cyd"))}
    # Names are of one concept each: another may have the same.
    names = [f"{i}" for i in range(5)]
    for part, slugs in (("0", ("ada", "cyd")), ("1", ("bea",))):
        rows = [{"image_id": name, "kept": name != "4", "decision": "", "bytes": b""} for name in names]
        write_rows(tmp_path / f"references/{part}.parquet", dict.fromkeys(slugs, rows), REFERENCES)
        of_part = {slug: (names, vectors[slug]) for slug in slugs}
        write_vectors(tmp_path / f"embeddings/{part}.parquet", of_part, 8)
    return tmp_path, vectors


def test_references_are_read_by_concept_from_tables_of_several(references):
    folder, vectors = references
    found = reference_means(ConceptTables([folder / "references"]), ConceptTables([folder / "embeddings"]))
    expected = concept_means([vectors[slug][:4] for slug in ("ada", "cyd", "bea")])
    assert [part.tolist() for part in found] == [part.tolist() for part in expected]


def test_the_commands_write_a_threshold_or_that_none_was_found(references, capsys):
    folder, _ = references
    given_ = ["--references", str(folder / "references"), "--embeddings", str(folder / "embeddings")]
    out, figure = folder / "people.threshold.json", folder / "people.png"
    words = ["matches", "threshold", *given_, "--method", "best_f1", "--out", str(out), "--figure", str(figure)]
    assert main(words) == 0
    assert json.loads(out.read_text())["method"] == "best_f1" and figure.exists()
    texts = write_plain_vectors(folder / "texts.parquet", ["an artwork"], unit(np.ones((1, 8))), 8)
    photographs = write_plain_vectors(folder / "photographs.parquet", ["p"], unit(-np.ones((1, 8))), 8)
    art = ["matches", "art-threshold", "--artworks", str(folder / "embeddings"), "--texts", str(texts)]
    art += ["--method", "midpoint", "--out", str(out)]
    assert main([*art, "--photographs", str(photographs)]) == 0
    found = json.loads(out.read_text())
    assert (found["positives"], found["negatives"], found["tpr"], found["fpr"]) == (15, 1, 1, 0)
    assert main(art) == 1 and "no match threshold can be found" in capsys.readouterr().err
    assert main([*art, "--no-needed"]) == 0
    assert json.loads(out.read_text())["match_threshold"] is None
    assert main([*art[:-4], "--method", "0.4", "--out", str(out)]) == 0
    assert json.loads(out.read_text())["match_threshold"] == 0.4


def write_references(folder, kept_of):
    """Write references of concepts, slug -> how many are kept, and return the options that name them."""
    rows, vectors = {}, {}
    for number, (slug, kept) in enumerate(kept_of.items()):
        names = [f"{slug}-{i}" for i in range(3)]
        rows[slug] = [{"image_id": name, "kept": i < kept, "bytes": b""} for i, name in enumerate(names)]
        vectors[slug] = names, np.eye(8)[[number] * 3]
    references = write_rows(folder / "references.parquet", rows, REFERENCES)
    embeddings = write_vectors(folder / "embeddings.parquet", vectors, 8)
    return ["--references", str(references)], str(embeddings)


@pytest.mark.parametrize("kept", [{"a": 0, "b": 0}, {"a": 3, "b": 0}])
def test_too_few_concepts_for_a_threshold_are_an_error_that_names_the_key(tmp_path, capsys, kept):
    references, embeddings = write_references(tmp_path, kept)
    out, figure = tmp_path / "people.threshold.json", tmp_path / "people.threshold.png"
    words = ["matches", "threshold", *references, "--embeddings", embeddings, "--method", "midpoint"]
    words += ["--out", str(out), "--figure", str(figure)]
    assert main(words) == 1
    said = capsys.readouterr().err
    assert "domains.NAME.references.least" in said and "Traceback" not in said
    # Where no count or score needs it, the study goes on and the file says why there is none.
    assert main([*words, "--no-needed"]) == 0
    found = json.loads(out.read_text())
    assert found["match_threshold"] is None and "two concepts" in found["reason"]
    assert figure.stat().st_size > 1000
    report = ["reports", "write", "mine", "--match-thresholds", str(out), "--out", str(tmp_path / "report")]
    assert main(report) == 0
    assert "none: too few references" in (tmp_path / "report/report.md").read_text()


def test_two_concepts_are_enough_for_a_threshold(tmp_path):
    references, embeddings = write_references(tmp_path, {"a": 3, "b": 3, "c": 0})
    out = ["--method", "midpoint", "--out", str(tmp_path / "t.json")]
    assert main(["matches", "threshold", *references, "--embeddings", embeddings, *out]) == 0
    assert json.loads((tmp_path / "t.json").read_text())["match_threshold"] == pytest.approx(0.5)


def test_a_command_that_needs_a_threshold_says_that_none_was_found(tmp_path, capsys):
    references, embeddings = write_references(tmp_path, {"a": 3})
    none = no_match_threshold(np.zeros(0), np.zeros(0), "too few")
    (tmp_path / "t.json").write_text(json.dumps(none))
    words = ["matches", "find", "--concepts", "a", "--images", embeddings, *references]
    words += ["--reference-embeddings", embeddings, "--match-threshold", str(tmp_path / "t.json")]
    assert main([*words, "--out", str(tmp_path / "m.parquet")]) == 1
    assert f"{tmp_path / 't.json'}: no match threshold was found: too few" in capsys.readouterr().err


def test_no_concept_has_no_means():
    within, between = concept_means([])
    assert len(within) == len(between) == 0
    assert find_match_threshold(within, between, 0.4)["match_threshold"] == 0.4
    with pytest.raises(DataError, match="no match threshold can be found"):
        find_match_threshold(within, between, "best_f1")


def test_a_mean_with_itself_is_drawn_towards_one_the_fewer_images_there_are():
    rng = np.random.default_rng(0)
    concepts = [unit(rng.normal(size=(n, 5))) for n in (4, 2, 3, 1)]
    within, between = concept_means(concepts, with_itself=True)
    assert within == pytest.approx([np.mean(concept @ concept.T) for concept in concepts[:3]], abs=1e-6)
    pairs, without = (concept_means(concepts)[part] for part in (1, 0))
    assert between.tolist() == pairs.tolist()
    assert within == pytest.approx([(1 + (n - 1) * mean) / n for n, mean in zip((4, 2, 3), without, strict=True)])


def test_the_published_best_f1_is_the_lowest_positive_that_is_still_accepted():
    positive, negative = np.array([0.6, 0.7, 0.8, 0.9]), np.array([-0.1, 0.0, 0.1, 0.2])
    found = find_match_threshold(positive, negative, "best_f1_published")
    assert found["match_threshold"] == pytest.approx(0.6) and found["tpr"] == 1
    assert found["best_f1"] == pytest.approx(0.4)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-9, 9), min_size=1, max_size=8), st.lists(st.integers(-9, 9), min_size=1, max_size=8))
def test_the_published_best_f1_against_a_walk_down_the_similarities(positive, negative):
    positive, negative = np.array(positive) / 10, np.array(negative) / 10
    best = -1.0, 0.0
    for tried in sorted({*positive, *negative}, reverse=True):
        tpr, fpr = (positive >= tried).mean(), (negative >= tried).mean()
        f1 = 2 * tpr * (1 - fpr) / (tpr + (1 - fpr)) if tpr + (1 - fpr) else 0
        if f1 > best[0]:
            best = f1, tried
    assert METHODS["best_f1_published"](positive, negative) == pytest.approx(best[1], abs=1e-12)


def test_the_file_of_a_match_threshold_has_it_by_every_method_and_either_mean(references):
    folder, vectors = references
    given_ = ["--references", str(folder / "references"), "--embeddings", str(folder / "embeddings")]
    found = {}
    for flag in ("--mean-with-itself", "--no-mean-with-itself"):
        out = folder / f"people{flag}.json"
        words = ["matches", "threshold", *given_, flag, "--method", "best_f1_published", "--out", str(out)]
        assert main(words) == 0
        found[flag] = json.loads(out.read_text())
        assert found[flag]["mean_with_itself"] is (flag == "--mean-with-itself")
    of_both = found["--mean-with-itself"]["by_mean"]
    assert of_both == found["--no-mean-with-itself"]["by_mean"]
    assert found["--mean-with-itself"]["match_threshold"] == of_both["with_itself"]["best_f1_published"]
    assert found["--no-mean-with-itself"]["match_threshold"] == of_both["without_itself"]["best_f1_published"]
    for mean, itself in (("with_itself", True), ("without_itself", False)):
        within, between = concept_means([vectors[slug][:4] for slug in ("ada", "bea", "cyd")], with_itself=itself)
        assert set(of_both[mean]) == set(METHODS)
        assert of_both[mean]["midpoint"] == pytest.approx((within.min() + between.max()) / 2)


def test_methods_in_settings_are_those_there_are():
    assert set(METHOD_NAMES) == set(METHODS)
