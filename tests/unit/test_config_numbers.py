"""Numbers and names in config.yaml: their bounds."""

import re

import pytest

from fit.config.config import Config
from fit.config.read import check
from fit.config.read import load as load_config
from fit.config.stages import stage_settings
from fit.errors import ConfigError


def test_the_variant_is_a_setting_of_the_stage(tmp_path):
    config = load_config("config.yaml")
    model, domain = config.pairs(config.default_study)[0]
    assert "--variant" not in " ".join(stage_settings(config, "generate_images", model=model, domain=domain)["flags"])
    data = config.model_dump()
    data["models"] = {name: data["models"][name] | {"variant": "fp16"} for name in data["models"]}  # and those derived
    assert "--variant=fp16" in stage_settings(check(data), "generate_images", model=model, domain=domain)["flags"]
    data["models"] = {name: data["models"][name] | {"variant": "../fp16"} for name in data["models"]}
    with pytest.raises(ConfigError, match=rf"`models\.{model}\.variant`"):
        check(data)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seed", True),
        ("seed", -1),
        ("seed", 2**64),
        ("models.atelier.guidance", float("nan")),
        ("models.atelier.guidance", float("inf")),
        ("models.atelier.guidance", True),
        ("models.atelier.steps", True),
        ("models.atelier.steps", 10**6),
        ("models.atelier.height", False),
        ("models.atelier.batch_size", 10**12),
        ("collection.connections", 10**12),
        ("collection.connections", 1_000_000_000),
        ("collection.total_timeout_s", float("inf")),
        ("threshold.penalty", float("inf")),
        ("threshold.penalty", float("nan")),
        ("threshold.resamples", 10**12),
        ("domains.painters.match_threshold", True),
        ("domains.painters.match_threshold", float("nan")),
    ],
)
def test_numbers_are_finite_bounded_and_not_true_or_false(key, value):
    data = load_config("config.yaml").model_dump()
    *path, last = key.split(".")
    inside = data
    for part in path:
        inside = inside[part]
    inside[last] = value
    with pytest.raises(ConfigError, match=rf"config\.yaml: `{key}`: .*\(it is ") as error:
        check(data)
    bound = r"a finite number|not a number|(greater|less) than( or equal to)? -?\d+|'midpoint'"
    assert re.search(bound, str(error.value))


def test_every_whole_number_of_the_configuration_has_bounds():
    open_ended = []

    def walk(node, path):
        if isinstance(node, dict):
            if node.get("type") == "integer" and not {"maximum", "exclusiveMaximum", "enum", "const"} & set(node):
                open_ended.append(path)
            for key, value in node.items():
                walk(value, f"{path}/{key}")
        elif isinstance(node, list):
            for number, value in enumerate(node):
                walk(value, f"{path}/{number}")

    walk(Config.model_json_schema(), "")
    assert open_ended == []
