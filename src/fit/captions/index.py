"""Counts mentions in an index of an Elasticsearch server, with the tables that counting files writes."""

from collections.abc import Sequence

import numpy as np
import pyarrow.parquet as pq

from fit.captions import elasticsearch
from fit.captions.matched_captions import ROW_GROUP
from fit.captions.phrases import Phrases
from fit.captions.settings import SamplingSettings
from fit.captions.tables import SHARDS, CountFiles, counts_table, matched_schema, names_table, shards_table
from fit.concepts.analyzer import Analyzer
from fit.concepts.sheet import Concept
from fit.io.files import atomic_write


def count_index(
    concepts: Sequence[Concept], index: str, outputs: CountFiles, sampling: SamplingSettings, seed: int = 0
) -> None:
    """Count as fit.captions.count.count_captions, in an index, whose own analyzer decides what a mention is.

    Its one shard is the index. Raises as fit.captions.elasticsearch.count_documents.
    """
    phrases = Phrases.of(concepts, Analyzer(sampling.tokens))
    found = elasticsearch.count_documents(phrases, index, sampling, seed, elasticsearch.connect())
    schema = matched_schema(sampling.columns, phrases.concepts)
    with (
        atomic_write(outputs.matched_captions) as part,
        pq.ParquetWriter(part, schema, compression="zstd") as writer,
    ):
        for table in found.samples:
            writer.write_table(table.cast(matched_schema(sampling.columns)), row_group_size=ROW_GROUP)
    shards = shards_table([dict(zip(SHARDS.names, (index, "ok", found.documents, None, None, None), strict=True))])
    unknown = np.zeros(len(found.of_names), np.int64)
    outputs.write(
        counts_table(phrases.concepts, found.of_concepts, shards),
        names_table(phrases, found.of_names, unknown, unknown),
        shards,
    )
