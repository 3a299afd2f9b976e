"""Numbers and names in config.yaml: their bounds."""

import re

import pytest

from fit.config.read import check
from fit.config.read import load as load_config
from fit.config.stages import stage_settings
from fit.errors import ConfigError


def test_the_variant_is_a_setting_of_the_stage(tmp_path):
    config = load_config("config.yaml")
    model, domain = config.pairs(config.default_study)[0]
    assert "--variant" not in " ".join(stage_settings(config, "generate_images", model=model, domain=domain)["flags"])
    data = config.model_dump()
    data["models"][model]["variant"] = "fp16"
    assert "--variant=fp16" in stage_settings(check(data), "generate_images", model=model, domain=domain)["flags"]
    data["models"][model]["variant"] = "../fp16"
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


def test_every_number_of_the_configuration_has_bounds():
    from fit.config import config as studies

    kinds = [one for one in vars(studies).values() if isinstance(one, type) and issubclass(one, studies._Strict)]
    open_ended = [
        f"{kind.__name__}.{name}"
        for kind in kinds
        for name, field in kind.model_fields.items()
        if int in studies._kinds(field.annotation)
        and not any(hasattr(one, "le") or hasattr(one, "lt") for one in _limits(field))
    ]
    assert open_ended == []


def _limits(field):
    return [*field.metadata, *(one for part in getattr(field.annotation, "__args__", ()) for one in _of(part))]


def _of(part):
    return [item for one in getattr(part, "__metadata__", ()) for item in getattr(one, "metadata", [])]
