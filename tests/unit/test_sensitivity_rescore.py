"""New scores at every top-k and match threshold against the scores of the stages, and how they move the threshold."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from concept_files import write_vectors
from defying_study import SETTINGS, SIZE, TARGETS, Study
from PIL import Image
from printed import agree

from fit.cli.main import main
from fit.errors import DataError
from fit.io.concept_tables import ConceptTables
from fit.matches.threshold import find_match_threshold
from fit.scores.imitation import score_concept
from fit.scores.settings import ScoreSettings, TargetSettings
from fit.sensitivity.measure import CHOICES, counts_at_thresholds, describe, measure
from fit.sensitivity.rescore import rescore_concept, thresholds_around
from fit.thresholds.scores import sort_scores


def on_grid(rescored):
    """The rows of every top-k and match threshold, without those of settings."""
    return pl.DataFrame(rescored).filter(pl.col("choice").is_null())


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return Study(tmp_path_factory.mktemp("study"))


def test_thresholds_to_try_are_between_and_name_those_in_use():
    found = find_match_threshold(np.array([0.6, 0.9]), np.array([0.1, 0.4]), 0.55)
    match_thresholds = thresholds_around(found)
    assert match_thresholds[0] == pytest.approx(0.4) and match_thresholds[-1] == pytest.approx(0.6)
    assert 0.55 in match_thresholds and found["midpoint"] in match_thresholds
    assert len(match_thresholds) == 9  # 0.55 and the midpoint are among the nine


def test_a_given_threshold_without_pairs_to_find_others_with_is_the_only_one():
    alone = find_match_threshold(np.array([0.8]), np.zeros(0), 0.457)
    assert thresholds_around(alone) == [0.457]


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["matches_or_references", "matches_and_references"])
@pytest.mark.parametrize("concept", ["c03", "c12"])  # few and many matches
def test_new_scores_are_those_of_the_stages(study, concept, rule):
    targets, evidence = TargetSettings(targets=rule), study.evidence(concept)
    again = on_grid(rescore_concept(evidence, targets, ScoreSettings(top_k=70), study.match_threshold))
    thresholds = again["match_threshold"].unique().sort().to_list()
    assert again["top_k"].unique().sort().to_list() == [*range(1, 51), 70]
    for threshold in (thresholds[0], study.match_threshold["match_threshold"], thresholds[-1]):
        match = study.matches(concept, threshold)["match"].to_numpy()
        at_threshold = replace(evidence, training=replace(evidence.training, match=match))
        for top_k in (1, 10, 50, 70):
            scores = score_concept(at_threshold, targets, ScoreSettings(top_k=top_k))
            part = again.filter(pl.col("match_threshold") == threshold, pl.col("top_k") == top_k)
            assert part["prompt"].to_list() == scores["prompt"].to_pylist()
            assert part["score"].to_list() == pytest.approx(scores["score"].to_pylist(), abs=1e-9)
            assert part["matches"].to_list() == [match.sum()] * 2


def test_at_a_lower_threshold_more_images_match(study):
    of_threshold = counts_at_thresholds(study.table, 0, study.rescored(str(study.table.concepts[0])))
    assert list(of_threshold) == sorted(of_threshold) == thresholds_around(study.match_threshold)
    assert list(of_threshold.values()) == sorted(of_threshold.values(), reverse=True)
    assert of_threshold[study.match_threshold["match_threshold"]] == study.table.counts[0]


def test_art_counts_at_every_threshold(study):
    evidence = study.evidence("c12")
    is_art = np.arange(len(evidence.training.match)) % 2 == 0
    match = evidence.training.match & is_art
    training = replace(evidence.training, match=match, art_similarity=is_art.astype(np.float32))
    filtered = replace(evidence, training=training)
    again = on_grid(rescore_concept(filtered, TARGETS, SETTINGS, study.match_threshold, art_threshold=0.5))
    in_use = again.filter(pl.col("match_threshold") == study.match_threshold["match_threshold"])["matches"][0]
    assert in_use == match.sum()
    with pytest.raises(DataError, match=r"concept 'c12': the matches were found by other match thresholds"):
        rescore_concept(filtered, TARGETS, SETTINGS, study.match_threshold)
    with pytest.raises(DataError, match="no column 'art_similarity'"):
        rescore_concept(evidence, TARGETS, SETTINGS, study.match_threshold, art_threshold=0.5)


def test_without_training_images_there_are_only_references(study):
    evidence = study.evidence("c12", images=None, matches=None)
    again = on_grid(rescore_concept(evidence, TargetSettings(targets="matches_and_references"), SETTINGS))
    assert again["match_threshold"].is_null().all() and again["matches"].is_null().all()
    assert len(again) == 2 * 50 and again["score"].is_not_null().all()


def test_no_usable_picture(study):
    evidence = study.evidence("c12")
    none = replace(evidence, pictures={prompt: vectors[:0] for prompt, vectors in evidence.pictures.items()})
    again = on_grid(rescore_concept(none, TARGETS, SETTINGS, study.match_threshold))
    assert again["score"].null_count() == len(again) == 2 * 50 * 9
    zero = replace(TARGETS, empty_prompt="zero")
    assert on_grid(rescore_concept(none, zero, SETTINGS, study.match_threshold))["score"].unique().to_list() == [0]


def test_files_without_any_usable_picture(study, tmp_path):
    empty = write_vectors(tmp_path / "none.parquet", {"c12": ([], [])}, SIZE)
    evidence = study.evidence("c12", generated_embeddings=ConceptTables([empty]))
    again = on_grid(rescore_concept(evidence, TARGETS, SETTINGS, study.match_threshold))
    assert again["score"].null_count() == len(again) == 2 * 50 * 9


def test_every_choice_is_tried(study):
    found = measure(
        study.table,
        study.found,
        rescored=study.tables("rescored"),
        match_threshold=study.match_threshold,
        prompts=["a painting by {name}", "{name}, oil"],
        resamples=100,
    )
    # The score is a choice only where the study's threshold was found by others too; the images that are counted, only
    # where they can be counted in other ways.
    assert list(found["choices"]) == [name for name in CHOICES if name not in ("score", "counts")]
    assert found["threshold"] == study.found["threshold"]
    answers = {key: choice["answers"] for key, choice in found["choices"].items()}
    assert [answer["top_k"] for answer in answers["top_k"]] == list(range(1, 51))
    assert answers["top_k"][9]["threshold"] == study.found["threshold"]
    in_use = [answer for answer in answers["match_threshold"] if "in use" in answer["named"]]
    assert [answer["threshold"] for answer in in_use] == [study.found["threshold"]]
    assert in_use[0]["named"] == ["midpoint", "best_f1", "in use"]
    at_penalty = [a for a in answers["penalty"] if a["from"] < 0.9 < (a["to"] or np.inf)]
    assert [answer["threshold"] for answer in at_penalty] == [study.found["threshold"]]
    for choice in found["choices"].values():
        assert sum(answer["weight"] for answer in choice["answers"]) == pytest.approx(1)
    text = "\n".join(describe(found))
    assert "(midpoint, best_f1, in use)" in text and "'{name}, oil' left out" in text


def test_a_match_threshold_moves_counts_and_so_the_threshold(study):
    by_threshold = measure(
        study.table, study.found, rescored=study.tables("rescored"), match_threshold=study.match_threshold
    )["choices"]["match_threshold"]
    thresholds = [answer["threshold"] for answer in by_threshold["answers"]]
    # The higher the match threshold, the fewer images match, and at the highest ones many of a concept's own are lost.
    assert thresholds[0] > thresholds[-1]


def test_files_of_another_run_are_refused(study):
    other = sort_scores(study.table.concepts, study.table.counts, study.table.scores + 0.1)
    with pytest.raises(DataError, match="of different runs"):
        measure(other, study.found, rescored=study.tables("rescored"), match_threshold=study.match_threshold)


@pytest.mark.slow
def test_the_commands(study, tmp_path, capsys):
    kinds = {"generated": "generated", "generated-embeddings": "of_generated", "images": "images"}
    kinds |= {"matches": "matches", "references": "references", "reference-embeddings": "of_references"}
    arguments = [word for flag, kind in kinds.items() for word in (f"--{flag}", str(study.folder / kind))]
    match_threshold = ["--match-threshold", str(study.folder / "match threshold.json")]
    out = str(tmp_path / "rescored.parquet")
    rule = ["--targets", "matches_or_references", "--art-threshold", *match_threshold]
    assert main(["sensitivity", "rescore", "--concepts", "c12", "c03", *arguments, *rule, "--out", out]) == 0
    expected = [row for concept in ("c12", "c03") for row in study.rescored(concept).to_pylist()]
    assert pq.read_table(out).to_pylist() == expected
    scores, threshold = str(study.folder / "scores.parquet"), str(study.folder / "threshold.json")
    given = [scores, "--threshold", threshold, *match_threshold]
    out, figure = tmp_path / "s.json", tmp_path / "s.png"
    rescored = ["--rescored", str(study.folder / "rescored")]
    assert main(["sensitivity", "measure", *given, *rescored, "--out", str(out), "--figure", str(figure)]) == 0
    assert set(json.loads(out.read_text())["choices"]) == {*CHOICES} - {"score", "counts"}
    _, found = agree(capsys, "sensitivity", "measure", *given, *rescored)
    assert found == json.loads(out.read_text())
    assert Image.open(figure).width > 1000
    # A table alone will do for three of the five.
    assert main(["sensitivity", "measure", scores, "--threshold", threshold, "--out", str(out)]) == 0
    assert list(json.loads(out.read_text())["choices"]) == ["penalty", "concepts", "prompts"]
