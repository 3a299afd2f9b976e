"""One alternative score of all concepts, as a table in which a threshold can be found."""

from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from fit.alternatives import load
from fit.alternatives.score import SCHEMA
from fit.errors import DataError
from fit.io.concept_tables import ConceptTables
from fit.scores.tabulate import DIFFICULTY, OTHER_SCORES


def tabulate(imitation: str | Path, scores: ConceptTables, kind: str) -> pa.Table:
    """Return one score of all concepts as a table that `fit thresholds detect` reads.

    PELT's penalty of 0.9 is meant for imitation scores. So that it means the same here, the values are stretched and
    moved to the mean and the variance that the imitation scores of the same concepts have; a distance is turned round
    first.

    Args:
        imitation: path of the study's table of imitation scores.
        scores: tables of SCHEMA.
        kind: name of the score.

    Returns:
        Arrow table of the columns of `imitation`, but for the scores of images, with score (stretched) and value (as it
        was measured). Its rows are in the order of `imitation`, without the concepts that have no value. So counts have
        the same error, and concepts the same groups, as where the threshold of the imitation score is asked for.

    Raises:
        DataError: no concept has a value of this kind.
    """
    score, table = load(kind), pl.read_parquet(imitation)
    values, unknown = {}, []
    for concept, rows in scores.each(["kind", "prompt", "value"], schema=SCHEMA):
        of_kind = pl.DataFrame(rows).filter(pl.col("kind") == kind)
        of_concept = of_kind["value"].drop_nulls()
        if len(of_concept):
            values[concept] = of_concept.mean()
        else:
            unknown += of_kind["prompt"].drop_nulls().to_list()
    found = table.filter(pl.col("concept").is_in(list(values)))
    if not len(found):
        raise DataError(f"{imitation}: no concept has a score of the kind {kind!r}{score.remedy(unknown)}")
    value = np.array([values[concept] for concept in found["concept"]], float)
    alike = value if score.is_more_alike_when_larger else -value
    spread = alike.std() or 1.0
    stretched = found["score"].mean() + (alike - alike.mean()) / spread * found["score"].std(ddof=0)
    return (
        found.drop("score_variance", "image_scores", *OTHER_SCORES.names, *DIFFICULTY.names, strict=False)
        .with_columns(score=pl.Series(stretched), value=pl.Series(value))
        .to_arrow()
    )
