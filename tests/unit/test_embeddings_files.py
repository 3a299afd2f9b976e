"""Files of embeddings: written, and read as a whole or a concept at a time."""

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fit.embeddings import files
from fit.embeddings.base import Embedding
from fit.embeddings.files import read_embeddings
from fit.errors import ImageTableError
from fit.io import parquet
from fit.io.concept_tables import with_concepts


def embeddings(ids, concept=None, seed=0):
    """A table of embeddings with a random vector per id."""
    vectors = np.random.default_rng(seed).normal(size=(len(ids), 3))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return files.rows(ids, [[Embedding(vector)] for vector in np.float32(vectors)], 3, concept)


ANN, BOB = embeddings(["a", "b", "b", "c"], "ann"), embeddings(["c", "d", "a"], "bob", seed=1)


@pytest.fixture(params=["row groups of one concept", "concepts mixed in a row group", "no statistics"])
def several(tmp_path, request):
    """A file of embeddings of the concepts ann, bob and cy; the last has no row."""
    path = tmp_path / "e.parquet"
    if request.param == "row groups of one concept":
        with files.writer(path, 3, ["ann", "bob", "cy"]) as writer:
            for rows in (ANN.slice(0, 3), ANN.slice(3), BOB):
                writer.write_table(rows)
        return path
    found = pa.concat_tables([BOB.slice(0, 1), ANN, BOB.slice(1)])
    found = found.replace_schema_metadata(with_concepts(found.schema, ["ann", "bob", "cy"]).metadata)
    pq.write_table(found, path, row_group_size=4, write_statistics=request.param != "no statistics")
    return path


def matrix(table):
    return np.stack(table.column("embedding").to_pylist()).astype(np.float32)


def test_the_rows_of_one_concept_are_read(several):
    for concept, rows in (("ann", ANN), ("bob", BOB)):
        names, vectors = read_embeddings(several, concept)
        assert names.tolist() == rows.column("image_id").to_pylist()
        assert np.array_equal(vectors, matrix(rows))
        wanted = np.arange(len(rows)) % 2 == 0
        assert np.array_equal(files.read_rows(several, wanted, concept), matrix(rows)[wanted])
    assert read_embeddings(several, "cy")[1].shape == (0, 0)
    assert read_embeddings(several, "nobody")[1].shape == (0, 0)
    assert len(read_embeddings(several)[0]) == 7
    with pytest.raises(ImageTableError, match="4 rows of ann, where 3 were matched"):
        files.read_rows(several, np.ones(3, bool), "ann")


def test_a_single_face_is_single_within_its_concept(several):
    assert files.read_single_faces(several, "ann")[0].tolist() == ["a", "c"]
    assert files.read_single_faces(several, "bob")[0].tolist() == ["c", "d", "a"]
    assert sorted(files.read_single_faces(several)[0].tolist()) == ["a", "a", "c", "c", "d"]
    found = files.read_single_faces_by_concept(several)
    assert {concept: names.tolist() for concept, (names, _) in found.items()} == {
        "ann": ["a", "c"],
        "bob": ["c", "d", "a"],
        "cy": [],
    }


def test_a_small_file_is_read_once_into_its_concepts(several):
    found = files.read_embeddings_by_concept(several)
    assert list(found) == ["ann", "bob", "cy"]
    for concept, rows in (("ann", ANN), ("bob", BOB)):
        assert found[concept][0].tolist() == rows.column("image_id").to_pylist()
        assert np.array_equal(found[concept][1], matrix(rows))
    assert found["cy"][1].shape == (0, 0)


def test_row_groups_of_other_concepts_are_not_read(tmp_path, monkeypatch):
    path = tmp_path / "e.parquet"
    with files.writer(path, 3, [f"c{i}" for i in range(50)]) as writer:
        for i in range(50):
            writer.write_table(embeddings(["a", "b"], f"c{i}"))
    asked = []
    iterate = pq.ParquetFile.iter_batches
    monkeypatch.setattr(
        pq.ParquetFile,
        "iter_batches",
        lambda self, *a, row_groups, columns, **o: (
            asked.append((row_groups, columns)) or iterate(self, *a, row_groups=row_groups, columns=columns, **o)
        ),
    )
    assert read_embeddings(path, "c7")[0].tolist() == ["a", "b"]
    assert asked == [([7], ["image_id", "embedding"])]


def test_a_concept_of_a_file_that_does_not_name_them_is_an_error(tmp_path):
    kind = pa.array([[0.6, 0.8]], pa.list_(pa.float32(), 2))
    parquet.write(pa.table({"image_id": ["a"], "embedding": kind}), tmp_path / "e.parquet")
    assert files.read_single_faces(tmp_path / "e.parquet")[0].tolist() == ["a"]
    with pytest.raises(ImageTableError, match=r"e\.parquet: no column 'concept'"):
        read_embeddings(tmp_path / "e.parquet", "ann")
    with pytest.raises(ImageTableError, match=r"e\.parquet: no column 'concept'"):
        files.read_embeddings_by_concept(tmp_path / "e.parquet")


@pytest.mark.parametrize(
    ("vector", "said"),
    [
        ([np.nan, 0], "is not finite"),
        ([np.inf, 0], "is not finite"),
        ([1, None], "is not finite"),
        ([0, 0], "has length 0, not 1"),
        ([3, 4], "has length 5, not 1"),
        (None, "is missing"),
    ],
)
@pytest.mark.parametrize("kind", [pa.float32(), pa.float64()])
def test_a_vector_that_is_not_a_unit_vector_is_not_read(tmp_path, vector, said, kind):
    path = tmp_path / "ann.parquet"
    columns = {"image_id": ["a", "b"], "embedding": pa.array([[0.6, 0.8], vector], pa.list_(kind, 2))}
    parquet.write(pa.table(columns), path)
    for read in (read_embeddings, files.read_single_faces, lambda path: files.read_rows(path, np.array([True, False]))):
        with pytest.raises(ImageTableError, match=f"ann.parquet: the vector of image 'b' {said}.*; remove the file"):
            read(path)


def test_vectors_in_half_precision_are_unit_vectors(tmp_path):
    vectors = np.random.default_rng(0).normal(size=(500, 512))
    halves = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)
    kind = pa.FixedSizeListArray.from_arrays(pa.array(halves.ravel()), 512)
    parquet.write(pa.table({"image_id": [f"i{i}" for i in range(500)], "embedding": kind}), tmp_path / "e.parquet")
    found = read_embeddings(tmp_path / "e.parquet")[1]
    assert found.dtype == np.float32
    assert np.array_equal(found, halves.astype(np.float32))


def test_only_one_module_reads_embeddings():
    source = Path(files.__file__).parents[1]
    by_name = re.compile(r"""['"]embedding['"]""")
    others = [path.name for path in source.rglob("*.py") if by_name.search(path.read_text(encoding="utf-8"))]
    assert sorted(others) == ["files.py", "run.py"]  # run.py calls its progress so
