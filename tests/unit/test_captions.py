import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fit.captions.count import count_captions
from fit.captions.matcher import Matcher, tokens
from fit.concepts import Concept
from fit.errors import CorpusError, SheetError

CONCEPTS = [
    Concept("ann-lee", "Ann Lee", ("A. Lee",)),
    Concept("mary-ann-lee", "Mary Ann Lee"),
    Concept("okeeffe", "Georgia O'Keeffe"),
    Concept("ernst", "Émile Ernst"),
]


@pytest.mark.parametrize(
    ("caption", "mentioned"),
    [
        ("a harbour by Ann Lee", {"ann-lee"}),
        ("ANN  LEE", {"ann-lee"}),
        ("Lee, Ann", set()),
        ("Ann-Lee; (detail)", {"ann-lee"}),
        ("Joann Lee", set()),
        ("Ann Leeds", set()),
        ("Mary Ann Lee", {"ann-lee", "mary-ann-lee"}),
        ("A. Lee and a lee shore", {"ann-lee"}),
        ("Ann\u00a0Lee\n", {"ann-lee"}),
        ("georgia o'keeffe's flowers", {"okeeffe"}),
        ("ÉMILE ERNST", {"ernst"}),
        ("", set()),
    ],
)
def test_a_mention_is_a_phrase_of_whole_tokens(caption, mentioned):
    assert Matcher(CONCEPTS).mentioned(caption) == mentioned


@given(st.lists(st.sampled_from(["ann", "lee", "mary", "Ann", "LEE", "joann", ",", "-", " ", "a", "."]), max_size=12))
def test_mentions_are_those_that_looking_everywhere_finds(parts):
    caption = " ".join(parts)
    found = tokens(caption)
    expected = {
        concept.concept
        for concept in CONCEPTS
        for name in concept.names
        for start in range(len(found))
        if found[start : start + len(tokens(name))] == tokens(name)
    }
    assert Matcher(CONCEPTS).mentioned(caption) == expected


def test_a_name_without_letters_is_refused():
    with pytest.raises(SheetError, match=r"'bang'.*'!!!'"):
        Matcher([Concept("bang", "!!!")])


def shard(path, captions, **columns):
    table = pa.table(
        {"url": [f"u{i}" for i in range(len(captions))], "caption": pa.array(captions, pa.string()), **columns}
    )
    pq.write_table(table, path)
    return str(path)


def count(files, max_hits=100, **options):
    settings = {"caption_column": "caption", "url_column": "url", "max_hits": max_hits, "seed": 7} | options
    return count_captions(CONCEPTS, files, **settings)


def test_counts_and_hits(tmp_path):
    one = shard(tmp_path / "1.parquet", ["Ann Lee, Ann Lee", None, "Mary Ann Lee"])
    two = shard(tmp_path / "2.parquet", ["nobody", "Ann Lee"])
    counts, hits = count([one, two])
    assert counts.to_pydict() == {
        "concept": ["ann-lee", "mary-ann-lee", "okeeffe", "ernst"],
        "captions": [3, 1, 0, 0],
    }
    rows = list(zip(*(hits.column(c).to_pylist() for c in ("concept", "shard", "row", "url")), strict=True))
    assert rows == [
        ("ann-lee", "1.parquet", 0, "u0"),
        ("ann-lee", "1.parquet", 2, "u2"),
        ("ann-lee", "2.parquet", 1, "u1"),
        ("mary-ann-lee", "1.parquet", 2, "u2"),
    ]


def test_the_sample_is_the_same_whatever_the_order_of_shards(tmp_path):
    files = [shard(tmp_path / f"{i}.parquet", ["Ann Lee"] * 50) for i in range(4)]
    counts, hits = count(files, max_hits=20)
    _, again = count(files[::-1], max_hits=20)
    assert counts.column("captions")[0].as_py() == 200
    assert len(hits) == 20
    assert hits.equals(again)
    assert len(set(hits.column("shard").to_pylist())) > 1


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda p: p.write_text("not parquet"), ["bad.parquet", "not a readable Parquet file"]),
        (lambda p: pq.write_table(pa.table({"url": ["u"], "text": ["x"]}), p), ["no column 'caption'", "url, text"]),
        (lambda p: pq.write_table(pa.table({"url": ["u"], "caption": [1]}), p), ["'caption' is int64, not text"]),
        (lambda p: None, ["no such file"]),
    ],
)
def test_a_bad_shard_is_named_with_a_remedy(tmp_path, make, said):
    make(tmp_path / "bad.parquet")
    good = shard(tmp_path / "good.parquet", ["Ann Lee"])
    with pytest.raises(CorpusError) as error:
        count([good, str(tmp_path / "bad.parquet")])
    for words in said:
        assert words in str(error.value)


def test_two_shards_of_one_name_are_refused(tmp_path):
    (tmp_path / "a").mkdir()
    files = [shard(tmp_path / "x.parquet", ["a"]), shard(tmp_path / "a" / "x.parquet", ["b"])]
    with pytest.raises(CorpusError, match="two files"):
        count(files)
