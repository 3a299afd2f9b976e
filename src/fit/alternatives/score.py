"""All alternative scores of a concept."""

import pyarrow as pa

from fit.alternatives import REGISTRY, load
from fit.io.concept_tables import CONCEPT
from fit.scores.evidence import Evidence
from fit.scores.settings import TargetSettings

SCHEMA = pa.schema(
    [
        CONCEPT,
        ("kind", pa.string()),
        ("prompt", pa.string()),
        ("value", pa.float64()),
        ("images", pa.int32()),
    ]
)
"""kind: a name of fit.alternatives.REGISTRY; prompt, value, images: fit.alternatives.base.Value."""


def score_concept(evidence: Evidence, targets: TargetSettings) -> pa.Table:
    """Score one concept in every other way.

    Returns:
        Arrow table of SCHEMA without the column `concept`: the values of each score, in the order of the registry.
    """
    rows = [
        {"kind": name, "prompt": found.prompt, "value": found.value, "images": found.images}
        for name in REGISTRY
        for found in load(name).values(evidence, targets)
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMA.remove(0))
