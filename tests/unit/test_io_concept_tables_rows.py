"""Tables of concepts: a concept's rows are found whatever file they are in."""

import os
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from concept_files import write_rows
from hypothesis import given, settings
from hypothesis import strategies as st

from fit.errors import DataError
from fit.io.concept_tables import CONCEPT, ConceptTables, concepts_in

SCHEMA = pa.schema([CONCEPT, ("value", pa.int64())])


@pytest.mark.slow
@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_each_concept_has_its_rows_in_their_order_however_concepts_share_files(data):
    slugs = data.draw(st.permutations("abcde"))
    rows = {slug: [{"value": value} for value in data.draw(st.lists(st.integers(0, 9), max_size=4))] for slug in slugs}
    ends = sorted(data.draw(st.sets(st.integers(1, 4))))
    with tempfile.TemporaryDirectory() as folder:
        for start, end in zip([0, *ends], [*ends, 5], strict=True):
            write_rows(Path(folder, f"{start}.parquet"), {slug: rows[slug] for slug in slugs[start:end]}, SCHEMA)
        tables = ConceptTables([folder])
        each = {concept: part.to_pylist() for concept, part in tables.each(["value"], schema=SCHEMA)}
        assert list(tables) == list(slugs) == list(each)
        assert each == rows == {slug: tables.read(slug, ["value"]).to_pylist() for slug in slugs}


def test_rows_of_a_concept_need_not_be_together(tmp_path):
    table = pa.table({"concept": ["b", "a", "b", "a"], "value": [0, 1, 2, 3]})
    pq.write_table(table, tmp_path / "t.parquet")
    found = {concept: part.column("value").to_pylist() for concept, part in ConceptTables([tmp_path]).each(["value"])}
    assert found == {"b": [0, 2], "a": [1, 3]}


def test_the_later_of_two_tables_of_a_concept_is_read(tmp_path):
    for name, value, when in (("0", 1, 2_000), ("1", 2, 1_000)):
        path = write_rows(tmp_path / f"{name}.parquet", {"a": [{"value": value}], f"b{name}": []}, SCHEMA)
        os.utime(path, (when, when))
    tables = ConceptTables([tmp_path])
    assert tables.read("a", ["value"]).column("value").to_pylist() == [1]
    # Their order does not depend on the time.
    assert list(tables) == ["a", "b0", "b1"]
    assert concepts_in(tmp_path / "1.parquet") == ["a", "b1"]
    with pytest.raises(DataError, match="no table of the concept 'b2'"):
        tables.path("b2")
