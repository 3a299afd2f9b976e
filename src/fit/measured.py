"""What was measured of the method itself, on models whose truth is known (docs/truth.md).

The numbers are in measured.json, which benchmarks/truth.py writes from the results of `snakemake truth`.
"""

import json
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def known() -> dict[str, Any]:
    """Return the measured numbers: models, worlds, answers, ratio, within_factor, coverage and training_factor."""
    return json.loads(files("fit").joinpath("measured.json").read_text(encoding="utf-8"))


def in_words() -> str:
    """Return what a reader of any threshold is told of how far such thresholds are from the truth."""
    found = known()
    worlds = "one world" if found["worlds"] == 1 else f"{found['worlds']} worlds"
    return (
        "How far it may be off was measured where the truth is known, in the built-in world: on "
        f"{found['models']} models of {worlds}, in which the same concepts had other counts. Of {found['answers']} "
        f"thresholds that were told, {found['near']} lay within a factor of 2 of the real one, and {found['inside']} of "
        f"{found['intervals']} intervals held it. Training again on the same images moved the threshold by a factor of "
        f"{found['training_factor']:.1f} (one standard deviation): no interval of one model contains that."
    )
