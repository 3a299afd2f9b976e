"""Models that are derived from another one."""

import copy
import json
from pathlib import Path

import pytest
import yaml

from fit.check import examine
from fit.config.bases import check_erased
from fit.config.read import check
from fit.config.stages import stage_settings
from fit.errors import ConfigError

ROOT = Path(__file__).parents[2]
CONTENTS = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
ERASE = {"method": "esd", "concepts": ["bruno-beldani"], "domain": "painters"}


def config(**models):
    data = copy.deepcopy(CONTENTS)
    data["models"] |= models
    return check(data)


def test_a_derived_model_has_what_it_leaves_out_from_its_base():
    changed = {"base": "atelier", "negative_prompt": "blue", "components": {"unet": {"place": "results/u"}}}
    models = config(a=changed, b={"base": "a", "steps": 5, "components": {"vae": {"place": "results/v"}}}).models
    assert (models["b"].corpus, models["b"].pipeline, models["b"].guidance) == (
        "atelier",
        "results/atelier/generator",
        5,
    )
    assert (models["b"].negative_prompt, models["b"].steps, models["a"].steps) == ("blue", 5, 12)
    assert models["b"].changes.components == ("unet=results/u", "vae=results/v")


def test_a_derived_model_is_compared_with_the_first_of_its_bases():
    found = config(a={"base": "atelier"}, b={"base": "a"}, c={"base": "sd1.1"})
    assert found.derived_from("b") == "atelier" and found.derived_from("atelier") is None
    compared = [model for model, domain in found.defended_pairs("atelier") if domain == "painters"]
    assert compared == [m for m in found.models if m.startswith("atelier-")] + ["a", "b"]


def test_a_concept_to_erase_that_no_sheet_has_is_named():
    found = config(a={"base": "atelier", "erases": ["pavel-drusovva", "tilda-belsova"]})
    slugs = {domain: [] for domain in found.domains} | {"painters": found.slugs("painters")}
    check_erased({name: model for name, model in found.models.items() if name != "a"}, slugs)
    with pytest.raises(ConfigError, match=r"`models.a.erases` names 'pavel-drusovva', .* did you mean 'pavel-drusova'"):
        check_erased(found.models, slugs)
    erase = {"method": "esd", "concepts": ["nobody-known"], "domain": "painters"}
    with pytest.raises(ConfigError, match=r"`models.b.erase.concepts` names 'nobody-known', which no sheet has"):
        check_erased(config(b={"base": "atelier", "erase": erase}).models, slugs)


def test_fit_check_looks_at_models_that_are_derived_from_a_study_s_own():
    found = config(a={"base": "atelier", "erases": ["pavel-drusovva"], "lora": {"place": "nowhere.safetensors"}})
    said = {finding.key: finding.text for finding in examine(found, "atelier")}
    assert "did you mean 'pavel-drusova'?" in said["models.a.erases"]
    assert "nowhere.safetensors" in said["models.a.lora.place"]
    assert not [finding for finding in examine(found, "atelier", quick=True) if finding.key.startswith("models.a.")]


def test_the_jobs_of_other_models_are_told_nothing_new():
    found = config(a={"base": "atelier", "rewrite": {"rules": [{"find": "{name}", "replace": "an artist"}]}})
    plain = stage_settings(found, "generate_images", model="atelier", domain="painters")
    assert plain == stage_settings(check(CONTENTS), "generate_images", model="atelier", domain="painters")
    flags = stage_settings(found, "generate_images", model="a", domain="painters")["flags"]
    assert flags[flags.index("--rewrite-find") : flags.index("--rewrite-find") + 4] == [
        *("--rewrite-find", "{name}"),
        *("--rewrite-with", "an artist"),
    ]


def test_what_is_erased_by_the_workflow_is_a_component_and_goes_on_to_models_that_are_derived():
    found = config(a={"base": "atelier", "erase": ERASE}, b={"base": "a", "negative_prompt": "blue"})
    for name in ("a", "b"):
        assert found.models[name].changes.components == ("unet=results/defences/erased/a",)
        assert found.models[name].erases == ["bruno-beldani"]
        assert list(found.local_changes(name).values()) == ["results/defences/erased/a"]
    assert found.models["b"].erase is None


@pytest.mark.parametrize(
    ("models", "says"),
    [
        ({"a": {"base": "atelir"}}, r"`models.a.base` names 'atelir', which `models` lacks; did you mean 'atelier'\?"),
        ({"a": {"base": "b"}, "b": {"base": "a"}}, r"leads back to 'a' \(a -> b -> a\); end the chain"),
        ({"a": {"base": "a"}}, r"leads back to 'a'"),
        (
            {"a": {"base": "atelier", "pipeline": "x"}},
            "a model with a `base` has its base's pipeline; take `pipeline` out",
        ),
        ({"a": {"base": "atelier", "corpus": "laion5b"}}, "has its base's corpus"),
        (
            {"a": {"corpus": "atelier", "pipeline": "x", "erases": ["y"]}},
            "`erases` changes another model; name it as `base`",
        ),
        (
            {"p": {"corpus": "atelier", "provided_images": "x"}, "a": {"base": "p"}},
            "leads to 'p', which has no `pipeline` that could be changed",
        ),
        ({"a": {"base": "atelier", "rewrite": {}}}, "give a `table` or `rules`"),
        ({"a": {"base": "atelier", "components": {"unet": {"plce": "x"}}}}, "did you mean `place`"),
        ({"a": {"base": "atelier", "erase": ERASE | {"method": "esx"}}}, "models.a.erase.method"),
        ({"a": {"base": "atelier", "erase": ERASE | {"domain": "paiters"}}}, r"did you mean 'painters'\?"),
        (
            {"a": {"base": "atelier", "erase": ERASE, "components": {"unet": {"place": "x"}}}},
            "makes the component 'unet', which `components` names too",
        ),
        (
            {"a": {"base": "atelier", "erase": ERASE}, "b": {"base": "a", "erase": ERASE}},
            "trains the pipeline without the changes of 'a'; name 'atelier' as `base`",
        ),
        (
            {"a": {"base": "atelier", "rewrite": {"rules": [{"find": "-x"}]}}},
            "begins with a dash",
        ),
    ],
)
def test_what_can_t_be_meant_is_named_with_the_remedy(models, says):
    with pytest.raises(ConfigError, match=says):
        config(**models)


def test_a_mistake_of_the_base_is_said_once():
    with pytest.raises(ConfigError) as error:
        config(a={"base": "atelier", "steps": 0}, b={"base": "a"})
    assert str(error.value).count("steps") == 1


def test_fit_check_looks_at_components_before_a_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "concepts").symlink_to(ROOT / "concepts")
    (tmp_path / "base").mkdir()
    index = {"unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"]}
    (tmp_path / "base/model_index.json").write_text(json.dumps(index))
    (tmp_path / "vae").mkdir()
    (tmp_path / "vae/config.json").write_text(json.dumps({"_class_name": "AutoencoderTiny"}))
    data = copy.deepcopy(CONTENTS)
    data["models"]["plain"] = {"corpus": "atelier", "pipeline": "base"}
    data["models"]["a"] = {
        "base": "plain",
        "components": {"vae": {"place": "vae"}, "unte": {"place": "vae"}, "unet": {"place": "./nowhere"}},
        "erases": ["bruno-beldany"],
    }
    data["studies"]["x"] = {"models": ["a"], "domains": ["painters"]}
    said = "\n".join(one.text for one in examine(check(data), "x"))
    assert "this is a AutoencoderTiny, and `vae` of base is a AutoencoderKL" in said
    assert "no component 'unte' to replace; it has unet, vae" in said
    assert "names 'bruno-beldany', which no sheet has; did you mean 'bruno-beldani'?" in said
    assert "nowhere: put it there, or correct `models.a.components.unet.place`" in said
