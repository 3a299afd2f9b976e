"""Tables of concepts: every row says whose it is, and a folder of them is searched by concept."""

import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fit.errors import DataError, ImageTableError
from fit.io.concept_tables import CONCEPT, ConceptTables, concepts_in, write_concepts

SCHEMA = pa.schema([CONCEPT, ("number", pa.int64())])


def table(*numbers):
    return pa.table({"number": pa.array(numbers, pa.int64())})


def test_a_table_names_its_concepts_also_one_without_a_row(tmp_path):
    write_concepts([("bo", table(1, 2)), ("cy", table()), ("ann", table(3))], tmp_path / "t.parquet", SCHEMA)
    assert concepts_in(tmp_path / "t.parquet") == ["bo", "cy", "ann"]
    tables = ConceptTables([tmp_path])
    assert list(tables) == ["bo", "cy", "ann"]
    assert tables.read("bo").to_pylist() == [{"concept": "bo", "number": 1}, {"concept": "bo", "number": 2}]
    assert len(tables.read("cy")) == 0


def test_of_two_tables_of_a_concept_the_later_one_is_read_and_the_order_does_not_depend_on_times(tmp_path):
    write_concepts([("bo", table(1)), ("ann", table(2))], tmp_path / "0.parquet", SCHEMA)
    write_concepts([("ann", table(3))], tmp_path / "ann.parquet", SCHEMA)
    for later, number in (("ann", 3), ("0", 2)):
        for name in ("0", "ann"):
            moment = 2_000_000_000 if name == later else 1_000_000_000
            os.utime(tmp_path / f"{name}.parquet", (moment, moment))
        tables = ConceptTables([tmp_path])
        assert list(tables) == ["bo", "ann"]
        assert tables.read("ann").column("number").to_pylist() == [number]


def test_a_concept_without_a_table_is_an_error_that_suggests_another(tmp_path):
    write_concepts([("ann-lee", table(1))], tmp_path / "t.parquet", SCHEMA)
    with pytest.raises(DataError, match=r"no table of the concept 'anne-lee' \(is 'ann-lee' meant\?\)"):
        ConceptTables([tmp_path]).path("anne-lee")


def test_rows_of_a_concept_that_the_metadata_do_not_name_are_an_error_not_left_out(tmp_path):
    write_concepts([("ann", table(1))], tmp_path / "ann.parquet", SCHEMA)
    write_concepts([("bo", table(2))], tmp_path / "bo.parquet", SCHEMA)
    both = pa.concat_tables([pq.read_table(tmp_path / f"{name}.parquet") for name in ("ann", "bo")])
    pq.write_table(both, tmp_path / "both.parquet")
    with pytest.raises(ImageTableError, match=r"both.parquet: it has rows of the concept 'bo', .* make it again"):
        list(ConceptTables([tmp_path / "both.parquet"]))
    pq.write_table(both.replace_schema_metadata(None), tmp_path / "both.parquet")
    assert list(ConceptTables([tmp_path / "both.parquet"])) == ["ann", "bo"]


@pytest.mark.parametrize("told", [b"ann", b"7"])
def test_metadata_that_name_no_concepts_are_an_error(tmp_path, told):
    found = pa.table({"concept": ["ann"]}).replace_schema_metadata({b"concepts": told})
    pq.write_table(found, tmp_path / "t.parquet")
    with pytest.raises(ImageTableError, match=r"t\.parquet: its metadata name no concepts"):
        concepts_in(tmp_path / "t.parquet")


def test_a_row_without_a_concept_is_an_error_that_says_so(tmp_path):
    pq.write_table(pa.table({"concept": ["ann", None]}), tmp_path / "t.parquet")
    with pytest.raises(ImageTableError, match=r"t\.parquet: a row has no concept"):
        list(ConceptTables([tmp_path]))
