"""The section `truth` of config.yaml, and the models that it adds."""

from pathlib import Path

import pytest
import yaml

from fit.check.targets import unknown_target
from fit.config.read import check
from fit.config.stages import stage_settings
from fit.config.truth import truth_runs, why_no_truth, with_truth
from fit.errors import ConfigError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def data():
    return yaml.safe_load((ROOT / "config.yaml").read_text())


def test_the_experiments_models_are_models_like_any_other(data):
    data["truth"] |= {
        "worlds": [3],
        "deals": 2,
        "trainings": 2,
        "changes": ["weak-encoder", "wider"],
        "pruned_painters": 3,
    }
    plain = check(data)
    config = with_truth(plain)
    added = list(config.models)[len(plain.models) :]
    assert added == [run.model for run in truth_runs(config)]
    assert len(added) == 9
    for run in truth_runs(config):
        model, domain, corpus = config.models[run.model], config.domains[run.domain], config.corpora[run.corpus]
        assert model.corpus == run.corpus and model.pipeline == run.generator
        # Those of the first deal: they are the same in all deals, and in worlds whose painters are the usual ones.
        own = run.changes if run.changes == "wider" else "usual"
        assert domain.references.table == f"results/truth/worlds/3/{own}/0/references.parquet"
        assert corpus.captions.files == [f"{run.painted}/corpus.parquet"]
        assert domain.art_filter is None
        assert model.images_per_prompt == plain.models["atelier"].images_per_prompt
        is_weak = run.changes == "weak-encoder"
        assert domain.embedder == ("truth-weak-encoder" if is_weak else plain.domains["painters"].embedder)
    assert config.embedders["truth-weak-encoder"].model == "local-dir:results/truth/encoders/weak-encoder"
    assert "truth-wider" not in config.embedders
    # The studies, and what was there, are as they were.
    assert config.studies == plain.studies
    assert {name: config.models[name] for name in plain.models} == plain.models
    assert not set(plain.models) & set(added)


def test_without_the_section_nothing_is_added(data):
    del data["truth"]
    config = check(data)
    assert with_truth(config) is config
    assert truth_runs(config) == []


@pytest.mark.parametrize(
    ("lacks", "said"),
    [
        ("atelier", "there is no section `atelier`"),
        ("domain", "no domain in `domains` has `concepts: concepts/painters.tsv`"),
        ("model", "no model in `models` has `pipeline: results/atelier/generator`"),
    ],
)
def test_it_repeats_the_built_in_study_which_has_to_be_there(data, lacks, said):
    if lacks == "atelier":
        del data["atelier"]
    elif lacks == "domain":
        data["domains"]["painters"]["concepts"] = "concepts/others.tsv"
    else:
        data["models"]["atelier"]["pipeline"] = "some/where"
    config = check(data)
    why = why_no_truth(config)
    assert said in why and "add it, or take `truth` out" in why
    # Other studies go on, and only the milestone says so.
    assert with_truth(config) is config and truth_runs(config) == []
    assert unknown_target("truth", config, ["truth"], lambda target: False) == f"truth: {why}"


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("worlds", [101, 101], "101 occurs twice; name each once"),
        ("worlds", [], "name one seed or more"),
        ("worlds", [3, -1], "greater than or equal to 0"),
        ("worlds", ["one"], "'one'"),
        ("changes", ["copies", "copies"], "'copies' occurs twice; name each once"),
        ("changes", ["copiess"], "no such change: 'copiess'; there are: simple-fame"),
        ("changes", ["usual"], "'usual' breaks nothing"),
        ("deals", 0, "greater than or equal to 1"),
        ("trainings", 0, "greater than or equal to 1"),
        ("world", [1], "did you mean `worlds`?"),
    ],
)
def test_errors_in_the_section_name_its_key(data, key, value, said):
    data["truth"][key] = value
    with pytest.raises(ConfigError) as error:
        check(data)
    assert "config.yaml" in str(error.value) and f"`truth.{key}" in str(error.value)
    assert said in str(error.value)


def flags(data, stage, **job):
    return stage_settings(with_truth(check(data)), stage, **job)["flags"]


JOB = {"world": "3", "deal": "1", "training": "2"}


def test_a_changed_world_changes_the_settings_of_its_jobs_alone(data):
    data["truth"] |= {"worlds": [3], "deals": 4, "generator_steps": 1000}
    changes = ["half-training", "double-training", "wider", "copies", "weak-encoder", "usual"]
    data["truth"]["changes"] = changes[:-1]
    of = {name: flags(data, "train_truth_generator", changes=name, **JOB) for name in changes}
    assert "--generator-steps=500" in of["half-training"]
    assert "--generator-steps=2000" in of["double-training"]
    assert "--generator-width=1.5" in of["wider"]
    assert of["copies"] == of["usual"] == of["weak-encoder"]
    assert "--seed=2" in of["usual"]  # the training, not the study's
    painted = {name: flags(data, "paint_truth_world", changes=name, **JOB) for name in changes}
    assert {"--seed=3", "--deal=1", "--deals=4", "--changes=copies"} <= set(painted["copies"])
    steps = data["atelier"]["encoder_steps"]
    assert f"--encoder-steps={round(steps / 10)}" in flags(data, "train_truth_encoder", changes="weak-encoder")


def test_the_number_of_deals_reaches_what_depends_on_it(data):
    before = {
        stage: flags(data, stage, changes="usual", **JOB) for stage in ("paint_truth_world", "train_truth_generator")
    }
    data["truth"]["deals"] += 1
    assert flags(data, "paint_truth_world", changes="usual", **JOB) != before["paint_truth_world"]
    assert flags(data, "train_truth_generator", changes="usual", **JOB) == before["train_truth_generator"]


def test_hints_name_what_config_yaml_has(data):
    config = with_truth(check(data))
    said = unknown_target("results/nothing/x.json", config, ["truth"], lambda path: False)
    assert "the models atelier, " in said and "truth-" not in said


def test_the_milestone_without_its_section_says_what_it_needs(data):
    del data["truth"]
    said = unknown_target("truth", check(data), ["counts", "truth"], lambda path: False)
    assert said.startswith("truth: this milestone needs the section `truth` of config.yaml")
