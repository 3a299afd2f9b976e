"""The choices in which the paper's code differs: each setting against a study that is made so from the start."""

from dataclasses import replace

import numpy as np
import pytest
from defying_study import SETTINGS, TARGETS, Study
from PIL import Image

from fit.counts.estimate import scaled_matches
from fit.io.concept_tables import ConceptTables, write_concepts
from fit.reports.figures import sensitivity_figure
from fit.scores.imitation import score_concept
from fit.scores.settings import TargetSettings
from fit.scores.targets import RULES
from fit.sensitivity.measure import CHOICES, describe, measure, say
from fit.sensitivity.rescore import RESCORED, rescore_concept
from fit.sensitivity.ways import OURS, PUBLISHED, over_ways, settings_to_try
from fit.thresholds.report import measure as measure_threshold
from fit.thresholds.scores import sort_scores


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return Study(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def answers(study):
    found = over_ways(study.table, study.tables("rescored"), study.folder / "counts.parquet", study.found, 100, 0)
    return {choice: {one["setting"]: one for one in of_choice} for choice, of_choice in found.items()}


def made_so(study, targets, match_threshold):
    """The threshold of the study, all of it made with other targets and another match threshold."""
    rows = []
    for concept in study.count_of:
        match = study.matches(concept, match_threshold)["match"].to_numpy()
        evidence = study.evidence(concept)
        evidence = replace(evidence, training=replace(evidence.training, match=match))
        scores = [
            score for score in score_concept(evidence, targets, SETTINGS)["score"].to_pylist() if score is not None
        ]
        if scores:
            rows.append((concept, scaled_matches(int(match.sum()), 2 * len(match), len(match)), np.mean(scores)))
    return measure_threshold(sort_scores(*zip(*rows, strict=True)), penalty=0.9, resamples=1, seed=0)["threshold"]


def test_the_settings_in_use_lead_to_the_study_s_own_threshold_and_interval(study, answers):
    for choice in ("targets", "mean", "method", "fewest_targets", "empty_prompt"):
        (in_use,) = [one for one in answers[choice].values() if one["in_use"]]
        assert (in_use["threshold"], in_use["interval"]) == (study.found["threshold"], study.found["interval"]), choice
        assert in_use["concepts"] == len(study.table)


@pytest.mark.slow
def test_every_setting_leads_to_the_threshold_of_a_study_that_is_made_so(study, answers):
    by_mean = study.match_threshold["by_mean"]
    in_use = study.match_threshold["match_threshold"]
    for rule in RULES:
        assert answers["targets"][rule]["threshold"] == made_so(study, TargetSettings(targets=rule), in_use)
    expected = made_so(study, TARGETS, by_mean["with_itself"]["midpoint"])
    assert answers["mean"]["with_itself"]["threshold"] == expected
    expected = made_so(study, TARGETS, by_mean["without_itself"]["best_f1_published"])
    assert answers["method"]["best_f1_published"]["threshold"] == expected
    both = answers["published"]
    expected = made_so(study, TARGETS, by_mean["with_itself"]["best_f1_published"])
    assert both["as in the paper's code"]["threshold"] == expected
    assert both["usual here"]["threshold"] == made_so(study, TARGETS, by_mean["without_itself"]["best_f1"])
    # At least one of the choices moves the threshold, so that the comparison is one.
    assert len({one["threshold"] for of_choice in answers.values() for one in of_choice.values()}) > 1


def test_the_paper_s_way_is_marked_by_kind_of_domain(study):
    def published(targets):
        tried = settings_to_try(TargetSettings(targets=targets), study.match_threshold)
        return {one.choice: one.name for one in tried if one.published}

    of_faces = published("matches_and_references")
    assert of_faces == published("ten_matches_or_references")
    assert of_faces == {
        "targets": "ten_matches_or_references",
        "mean": "with_itself",
        "method": "midpoint",
        "fewest_targets": "5",
        "empty_prompt": "zero",
        "published": "as in the paper's code",
    }
    of_styles = published("matches_or_references")
    assert (of_styles["method"], of_styles["fewest_targets"]) == ("best_f1_published", "1")
    assert PUBLISHED["styles"] != OURS["styles"] and PUBLISHED["faces"] != OURS["faces"]


def test_a_given_match_threshold_does_not_depend_on_the_mean(study):
    given = study.match_threshold | {"match_threshold": 0.3, "method": "given"}
    tried = settings_to_try(TARGETS, given)
    assert not [one for one in tried if one.choice == "mean"]
    (in_use,) = [one for one in tried if one.choice == "method" and one.in_use]
    assert (in_use.name, in_use.match_threshold) == ("given", 0.3)
    # Nothing says what would have been found: only targets and prompts can be chosen otherwise.
    bare = {key: value for key, value in given.items() if key != "by_mean"}
    for found in (bare, None):
        tried = settings_to_try(TARGETS, found)
        assert {one.choice for one in tried} == {"targets", "fewest_targets", "empty_prompt"}
        assert {one.match_threshold for one in tried} == {found and 0.3}


def test_a_concept_without_a_picture_gets_a_score_of_zero_where_its_count_is_known(study, tmp_path):
    def rescored(concept):
        evidence = study.evidence(concept)
        if concept == "late":
            evidence = replace(evidence, pictures={name: images[:0] for name, images in evidence.pictures.items()})
        return rescore_concept(evidence, TARGETS, SETTINGS, study.match_threshold)

    write_concepts([(concept, rescored(concept)) for concept in study.count_of], tmp_path / "r.parquet", RESCORED)
    tables = ConceptTables([tmp_path / "r.parquet"])
    table = study.table.take(study.table.concepts != "late")

    def concepts(counts):
        found = over_ways(table, tables, counts, study.found, 10, 0)["empty_prompt"]
        return {one["setting"]: one["concepts"] for one in found}

    number = len(study.table)
    assert concepts(study.folder / "counts.parquet") == {"left_out": number - 1, "zero": number}
    assert concepts(None) == {"left_out": number - 1, "zero": number - 1}


def test_figure_and_text_say_what_the_paper_s_way_leads_to(study, tmp_path):
    found = measure(
        study.table,
        study.found,
        rescored=study.tables("rescored"),
        match_threshold=study.match_threshold,
        resamples=20,
    )
    lines = describe(found)
    (of_published,) = [line for line in lines if line.startswith("all as in the paper's code: ")]
    assert "the paper's" in of_published
    assert any(line.startswith("  with_itself (the paper's): ") and "concepts" in line for line in lines)
    names = {key: (CHOICES[key], say(key, choice)) for key, choice in found["choices"].items()}
    sensitivity_figure(found, names, "a study", tmp_path / "f.png")
    assert Image.open(tmp_path / "f.png").height > 1000
