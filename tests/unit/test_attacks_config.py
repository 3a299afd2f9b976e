"""The section `attacks` of config.yaml, and the models that it adds."""

from pathlib import Path

import pytest
import yaml

from fit.check.targets import unknown_target
from fit.cli.main import parse
from fit.config.attacks import with_attacks
from fit.config.read import check
from fit.config.stages import stage_settings
from fit.errors import ConfigError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def data(monkeypatch):
    monkeypatch.chdir(ROOT)
    found = yaml.safe_load((ROOT / "config.yaml").read_text())
    found["attacks"] = {"models": ["atelier"], "domain": "painters", "concepts": ["sander-belberg", "bruno-beldani"]}
    return found


def test_an_attacked_model_is_a_model_like_any_other_with_a_table_of_prompts(data):
    plain = check(data)
    config = with_attacks(plain)
    assert set(config.models) - set(plain.models) == {"atelier.attacked"}
    added, own = config.models["atelier.attacked"], config.models["atelier"]
    assert added.prompt_table == "results/attacks/atelier/painters/trials.parquet"
    assert (added.pipeline, added.guidance, added.images_per_prompt) == (own.pipeline, own.guidance, 10)
    flags = stage_settings(config, "generate_images", model="atelier.attacked", domain="painters")["flags"]
    assert "--prompt-table=results/attacks/atelier/painters/trials.parquet" in flags and "--prompts" not in flags
    assert config.studies == plain.studies
    # What was there before depends on nothing new.
    before = stage_settings(plain, "generate_images", model="atelier", domain="painters")
    assert before == stage_settings(config, "generate_images", model="atelier", domain="painters")
    assert not any("motif" in flag or "table" in flag for flag in before["flags"])


def test_an_attacked_model_is_not_a_defence(data):
    data["attacks"]["models"] = ["atelier", "atelier-esd"]
    plain = check(data)
    config = with_attacks(plain)
    assert config.models["atelier-esd.attacked"].components == plain.models["atelier-esd"].components != {}
    assert config.defended_pairs("atelier") == plain.defended_pairs("atelier")


def test_what_an_attack_achieves_is_read_on_the_curve_of_the_model_that_nobody_changed(data):
    data["attacks"]["models"] = ["atelier", "atelier-esd"]
    config = with_attacks(check(data))
    for model in ("atelier", "atelier-esd"):
        flags = stage_settings(config, "tabulate_attacks", model=model, domain="painters")["flags"]
        assert f"--model={model}" in flags and "--base=atelier" in flags


def test_the_milestone_beyond_names_the_sections_that_it_needs(data):
    del data["attacks"], data["poisoning"]
    said = unknown_target("beyond", check(data), ["counts", "beyond"], lambda target: False)
    assert said == "beyond: this milestone needs the sections attacks, poisoning of config.yaml, too; add them"


def test_without_the_section_nothing_is_added(data):
    del data["attacks"]
    config = check(data)
    assert with_attacks(config) is config
    said = unknown_target("attacks", config, ["counts", "attacks"], lambda target: False)
    assert said.startswith("attacks: this milestone needs the section `attacks` of config.yaml")


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("attacks", ["indirct"], "no such attack: 'indirct'; did you mean 'indirect'?"),
        ("attacks", ["named", "named"], "'named' occurs twice"),
        ("images_per_prompt", 1, "greater than or equal to 2"),
        ("attacks", ["described"], "give `descriptions`, a table"),
        ("negatives", ["nothing"], "'none', 'name', 'words' or 'both'"),
        ("in_context", "a harbour", "needs {name}"),
        ("context", "a harbour by {name}", "put {name} into `in_context`"),
        ("weights", [-1.0, 0.0], "needs one above 0"),
        ("top_words", [0], "greater than or equal to 1"),
        ("prefix_learning_rate", 0, "greater than 0"),
        ("model", ["atelier"], "did you mean `models`?"),
    ],
)
def test_errors_in_the_section_name_its_key(data, key, value, said):
    data["attacks"][key] = value
    with pytest.raises(ConfigError) as error:
        check(data)
    assert "config.yaml" in str(error.value) and "`attacks" in str(error.value) and said in str(error.value)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("models", ["atelier", "sd1.5"], "`attacks.models` has models of different bases (atelier, sd1.5)"),
        ("models", ["ateler"], "`attacks.models` names 'ateler', which `models` lacks; it has atelier"),
        ("domain", "painter", "`attacks.domain` names 'painter', which `domains` lacks; it has painters"),
        ("concepts", ["sander-belber"], "which concepts/painters.tsv lacks; did you mean 'sander-belberg'?"),
    ],
)
def test_names_that_are_not_there_are_told(data, key, value, said):
    data["attacks"][key] = value
    with pytest.raises(ConfigError) as error:
        with_attacks(check(data))
    assert said in str(error.value)


def test_words_need_files_of_captions(data):
    data["corpora"]["atelier"] = {"provided_counts": "counts.csv"}
    with pytest.raises(ConfigError, match=r"has no files of captions; give `captions\.files`, or take `indirect` off"):
        with_attacks(check(data))
    data["attacks"]["attacks"] = ["named", "arithmetic", "prefix"]
    assert "atelier.attacked" in with_attacks(check(data)).models


def test_a_model_that_rewrites_prompts_is_attacked_with_its_rewriting(data, tmp_path):
    table = tmp_path / "rewritten.tsv"
    table.write_text("prompt\trewritten\na painting by {name}\ta painting\n")
    rewrite = {"table": str(table), "rules": [{"find": "{name}", "replace": "an artist"}]}
    data["models"]["filtered"] = {"base": "atelier", "rewrite": rewrite}
    data["attacks"]["models"] = ["filtered", "atelier"]
    config = with_attacks(check(data))
    added = config.models["filtered.attacked"]
    assert added.rewrite == config.models["filtered"].rewrite and added.rewrite.table == str(table)
    # A change of the table redoes the pictures.
    assert added.changed_places == {"rewrite.table": str(table)}
    rules = ["--rewrite-find", "{name}", "--rewrite-with", "an artist", f"--rewrite-table={table}"]
    for stage, model in (("generate_images", "filtered.attacked"), ("find_prefix", "filtered")):
        flags = stage_settings(config, stage, model=model, domain="painters")["flags"]
        assert set(rules) <= set(flags)
        of_base = stage_settings(config, stage, model=model.replace("filtered", "atelier"), domain="painters")["flags"]
        assert not any("rewrit" in flag for flag in of_base)
    flags = stage_settings(config, "generate_images", model="filtered.attacked", domain="painters")["flags"]
    words = [*flags, "--sheet=s", "--concepts", "sander-belberg", "--out=o"]
    args = parse(["generated", "make", *words])
    assert args.prompt_table == "results/attacks/filtered/painters/trials.parquet" and args.prompts is None
    assert (args.rewrite_find, args.rewrite_with, args.rewrite_table) == (["{name}"], ["an artist"], str(table))


def test_a_model_with_a_table_of_prompts_generates_what_it_says(data, tmp_path):
    table = tmp_path / "prompts.tsv"
    table.write_text("concept\tprompt\n" + "".join(f"sander-belberg\tx{i}\n" for i in range(7)) + "bruno-beldani\ty\n")
    data["models"]["mine"] = data["models"]["atelier"] | {"prompt_table": str(table)}
    config = check(data)
    assert config.pictures_per_concept("mine", "painters") == 7 * config.models["mine"].images_per_prompt
    table.unlink()
    assert any("prompt_table" in text for text in check(data).lacks("mine", "painters"))
    del data["models"]["mine"]["pipeline"]
    data["models"]["mine"]["provided_images"] = "pictures"
    with pytest.raises(ConfigError, match="`prompt_table` says what to generate"):
        check(data)


def test_the_settings_of_the_rules_are_understood_by_their_commands(data):
    data["attacks"] |= {"weights": [-2.5, 5.0], "negatives": ["none", "both"], "top_words": [2], "prefix_steps": 7}
    config, job = with_attacks(check(data)), {"domain": "painters"}

    def args(words):
        return parse(["attacks", *words, "--sheet=s", "--concepts", "sander-belberg", "--out=o"])

    settings = stage_settings(config, "rank_words", corpus="atelier", **job)
    words = args(["words", "--counts=c", "--matched-captions=m", "--captions", *settings["files"], *settings["flags"]])
    assert words.captions == config.caption_files("atelier") and words.least_captions == 3
    prefix = args(["prefix", *stage_settings(config, "find_prefix", model="atelier", **job)["flags"], "--images", "i"])
    assert (prefix.prefix_steps, prefix.prompts) == (7, config.domains["painters"].prompts)
    settings = stage_settings(config, "plan_attacks", model="atelier", **job)
    plan = args(["plan", "--attacks", *settings["attacks"], *settings["flags"], "--words", "--prefixes", "a", "b"])
    assert (plan.weights, plan.negatives, plan.top_words) == ([-2.5, 5.0], ["none", "both"], [2])
    assert (plan.words, plan.descriptions, plan.prefixes) == (None, None, ["a", "b"])
    assert settings["names"] == [["Sander Belberg", "S. Belberg"], ["Bruno Beldani", "B. Beldani"]]
