"""What every result says that it does not show, with what the truth experiment measured."""

import importlib.util
import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fit.measured import measured_errors
from fit.thresholds.limits import limits
from fit.thresholds.meaning import MORE, READERS, UNSUPPORTED

ROOT = Path(__file__).parents[2]


def benchmark():
    """The module benchmarks/truth.py."""
    spec = importlib.util.spec_from_file_location("benchmark_truth", ROOT / "benchmarks/truth.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_limits_say_what_is_not_shown_and_nothing_of_what_is_allowed():
    text = " ".join(limits())
    for of in ("association", "another model", "exchangeable", "rights", "other prompts", "docs/truth.md"):
        assert of in text
    for claim in ("infring", "lawful", "legal to", "proves", "copyright"):
        assert claim not in text


def test_the_measured_errors_are_those_of_the_experiment_in_the_docs():
    answer = json.loads((ROOT / "docs/truth/truth.json").read_text(encoding="utf-8"))
    told = json.loads((ROOT / "src/fit/measured.json").read_text(encoding="utf-8"))
    thresholds = pl.read_parquet(ROOT / "docs/truth/thresholds.parquet")
    assert benchmark().measured(answer, thresholds) == told
    ratios = [ratio for of_world in told["ratios"].values() for ratio in of_world]
    assert len(ratios) == told["answers"]
    assert np.exp(np.mean(np.log(ratios))) == pytest.approx(told["told_over_true"], abs=0.005)


def test_the_limits_say_the_measured_numbers():
    text = " ".join(
        limits(
            replace(
                measured_errors(),
                models=24,
                answers=20,
                told_over_true=0.61,
                told_over_true_interval=(0.5, 0.7),
                within_a_factor_of_2=13,
                intervals=19,
                held=11,
                another_training=1.7,
                pairs=8,
                concepts_apart=5.5,
                rise=49,
            )
        )
    )
    for said in (
        "In 24 small models",
        "0.61 times",
        "0.50 to 0.70",
        "13 of 20",
        "11 of 19",
        "factor of 1.7",
        "8 pairs",
        "factor of 5.5",
        "factor of 49",
    ):
        assert said in text


def test_what_was_not_measured_is_said():
    text = " ".join(limits(replace(measured_errors(), another_training=None, pairs=0)))
    assert "trained again on the same images was not measured" in text
    assert "one standard deviation" not in text


def test_each_reader_is_told_what_a_result_means_and_nobody_what_is_allowed():
    for (who, words), of in zip(READERS, ("Researchers", "Teams that train", "rights"), strict=True):
        assert of in who and words
    text = " ".join([*(words for _, words in READERS), *UNSUPPORTED])
    for of in ("permission", "identification", "copies one", "safe", "private persons", "far fewer"):
        assert of in text
    for claim in ("infring", "lawful", "legal to", "proves", "copyright"):
        assert claim not in text


def test_the_pages_that_the_texts_send_readers_to_are_there():
    text = " ".join([*limits(), *(words for _, words in READERS), *UNSUPPORTED, MORE])
    pages = set(re.findall(r"docs/[a-z]+\.md", text))
    assert {"docs/limits.md", "docs/truth.md", "docs/attacks.md", "docs/copies.md"} <= pages
    assert [page for page in sorted(pages) if not (ROOT / page).is_file()] == []
