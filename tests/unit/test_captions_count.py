"""Counts, names and samples of captions, and counts that are kept."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from counting import CONCEPTS, corpus_of, count, shard, tables

from fit.captions import VERSIONS, matched_captions
from fit.captions.remarks import remarks
from fit.captions.settings import MATCHED_COLUMNS
from fit.captions.tables import MATCHED
from fit.cli.main import main
from fit.concepts.sheet import Concept
from fit.io.concept_tables import concepts_in
from fit.io.files import MARK
from fit.io.parquet import read


@pytest.fixture
def corpus(tmp_path):
    return corpus_of(tmp_path)


@pytest.mark.slow
def test_counts_names_matched_captions_and_shards(tmp_path):
    one = shard(tmp_path / "1.parquet", ["Ann Lee, Ann Lee", None, "Mary Ann Lee", "A. Lee"])
    two = shard(tmp_path / "2.parquet", ["nobody", "Ann Lee"])
    found = tables(count(tmp_path / "out", [one, two]))
    counts = [(row["concept"], row["captions"]) for row in found["counts"]]
    assert counts == [("ann-lee", 4), ("mary-ann-lee", 1), ("okeeffe", 0)]
    assert {row["corpus_rows"] for row in found["counts"]} == {6}
    assert [(row["name"], row["captions"]) for row in found["names"][:3]] == [
        ("Ann Lee", 3),
        ("A. Lee", 1),
        ("Mary Ann Lee", 1),
    ]
    assert [tuple(row.values())[:4] for row in found["matched_captions"]] == [
        ("ann-lee", "1.parquet", 0, "u0"),
        ("ann-lee", "1.parquet", 2, "u2"),
        ("ann-lee", "1.parquet", 3, "u3"),
        ("ann-lee", "2.parquet", 1, "u1"),
        ("mary-ann-lee", "1.parquet", 2, "u2"),
    ]
    assert found["matched_captions"][0]["caption"] == "Ann Lee, Ann Lee"
    assert [(row["shard"], row["rows"], row["null_captions"]) for row in found["shards"]] == [
        ("1.parquet", 4, 1),
        ("2.parquet", 2, 0),
    ]


def test_bounds_keep_every_matched_caption_of_a_sample():
    keys = np.random.default_rng(0).integers(0, 2**64, 5000, np.uint64, endpoint=False)
    keys[:2] = 0, 2**64 - 1
    concepts = np.arange(5000) % 2
    bounds = matched_captions.Bounds(2, 100)
    for start in range(0, 5000, 500):
        bounds.add(concepts[start : start + 500], keys[start : start + 500])
    kept = bounds.may_be_in(concepts, keys)
    for concept in (0, 1):
        mine = np.sort(keys[concepts == concept])
        assert np.isin(mine[:100], keys[kept]).all()
        assert (kept & (concepts == concept)).sum() < 250


@pytest.mark.slow
def test_the_sample_is_uniform(tmp_path):
    """Draw 1,000 of 3,000 matched captions with each of 40 seeds: the first third has its share, within five sigma."""
    file = shard(tmp_path / "1.parquet", ["Ann Lee"] * 3000)
    early = 0
    for seed in range(40):
        found = read(
            count(tmp_path / "out", [file], CONCEPTS[:1], max_matched_captions=1000, seed=seed).matched_captions
        )
        assert len(found) == 1000
        early += sum(row < 1000 for row in found.column("row").to_pylist())
    expected, deviation = 40 * 1000 / 3, (40 * 1000 * (1 / 3) * (2 / 3) * (2 / 3)) ** 0.5
    assert abs(early - expected) < 5 * deviation


@pytest.mark.slow
def test_one_concept_reads_without_the_rest(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(matched_captions, "ROW_GROUP", 50)
    outputs = count(tmp_path / "out", corpus, max_matched_captions=200)
    file = pq.ParquetFile(outputs.matched_captions)
    groups = [file.metadata.row_group(i).column(0).statistics for i in range(file.num_row_groups)]
    having = [g for g in groups if g.min <= "mary-ann-lee" <= g.max]
    assert 0 < len(having) < len(groups)
    found = read(outputs.matched_captions, ["concept", "row"], only={"concept": ["mary-ann-lee"]})
    assert set(found.column("concept").to_pylist()) == {"mary-ann-lee"}


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (["caption"], "the column 'caption' is kept anyway"),
        (["width", "width"], "the column 'width' is named twice"),
        (["shard"], "matched captions have a column 'shard' of their own"),
    ],
)
def test_a_column_that_would_be_there_twice_is_refused_before_anything_is_read(tmp_path, capsys, columns, said):
    sheet = tmp_path / "sheet.tsv"
    sheet.write_text("concept\tname\nann\tAnn Lee\n", encoding="utf-8")
    command = ["captions", "count", "--concepts", str(sheet), "--captions", "none.csv", "--columns", *columns]
    assert main([*command, "--counts", str(tmp_path / "counts.parquet")]) == 1
    assert said in capsys.readouterr().err


def test_the_columns_that_matched_captions_have_anyway_are_those_of_their_schema():
    assert list(MATCHED_COLUMNS) == MATCHED.names


def test_other_columns_are_carried_and_without_a_sample_only_captions_are_read(corpus, tmp_path):
    found = tables(count(tmp_path / "out", corpus, columns=["width"]))["matched_captions"]
    assert all(row["width"] == str(row["row"]) for row in found)
    without = tables(count(tmp_path / "none", corpus, max_matched_captions=0, url_column="no such column"))
    assert without["matched_captions"] == []
    assert without["counts"][0]["captions"] > 0


@pytest.mark.slow
def test_one_more_concept_does_not_recount_the_others(corpus, tmp_path, capsys):
    kept = tmp_path / "kept"
    count(tmp_path / "out", corpus, CONCEPTS[:2], max_matched_captions=40, reuse=kept)
    again = count(tmp_path / "out", corpus, CONCEPTS[:3], max_matched_captions=40, reuse=kept)
    assert "2 concepts were counted before; counting 1 more" in capsys.readouterr().out
    assert tables(again) == tables(count(tmp_path / "fresh", corpus, CONCEPTS[:3], max_matched_captions=40))
    fewer = count(tmp_path / "out", corpus, CONCEPTS[1:3], max_matched_captions=40, reuse=kept)
    assert "every concept was counted before" in capsys.readouterr().out
    assert tables(fewer) == tables(count(tmp_path / "fresh", corpus, CONCEPTS[1:3], max_matched_captions=40))
    # Another alias, or another file, is another matter.
    changed = [Concept("ann-lee", "Ann Lee"), CONCEPTS[1]]
    count(tmp_path / "out", corpus, changed, max_matched_captions=40, reuse=kept)
    assert "1 concept was counted before; counting 1 more" in capsys.readouterr().out
    count(tmp_path / "out", corpus[:2], changed, max_matched_captions=40, reuse=kept)
    assert "before" not in capsys.readouterr().out
    assert len(list(kept.glob("*/"))) == 1
    # What a kill left of counts that were not kept yet is removed.
    (kept / ".new-dead/.matched-dead").mkdir(parents=True)
    (kept / ".new-dead/.matched-dead/0-0-0.parquet").write_bytes(b"PAR1")
    count(tmp_path / "out", corpus[:2], changed, max_matched_captions=40, reuse=kept)
    assert sorted(path.name for path in kept.iterdir() if path.name.startswith(".")) == [MARK]


def test_common_words_and_shared_names_are_remarked(tmp_path):
    concepts = [Concept("seal", "Seal", ("Seal Samuel",)), Concept("prince", "Prince"), *CONCEPTS[:2]]
    concepts.append(Concept("ann-lee-2", "ANN LEE"))
    captions = ["A seal on a beach in Norway"] * 30 + ["Seal sings in Oslo"] * 30 + ["Prince in Paris", "seal"] * 30
    names = read(count(tmp_path / "out", [shard(tmp_path / "1.parquet", captions)], concepts).names)
    said = remarks(names)
    assert said[0] == "seal: 'Seal' looks like a common word: 50% of the captions with capitals write it without"
    assert "ann-lee: 'Ann Lee' is also a name of ann-lee-2; its captions count for each" in said
    assert "mary-ann-lee: 'Mary Ann Lee' contains a name of ann-lee, ann-lee-2; its captions count for them too" in said
    assert not any(remark.startswith("prince") for remark in said)


def test_a_name_that_every_caption_has_is_counted(tmp_path):
    file = shard(tmp_path / "1.parquet", ["the end", "The The", "them", "of the sea"] * 500)
    found = tables(count(tmp_path / "out", [file], [Concept("the", "the")], max_matched_captions=10))
    assert (found["counts"][0]["captions"], len(found["matched_captions"])) == (1500, 10)


def test_a_command_without_captions_says_what_is_missing(tmp_path, capsys):
    (tmp_path / "c.tsv").write_text("concept\tname\nann-lee\tAnn Lee\n")
    assert main(["captions", "count", "--concepts", str(tmp_path / "c.tsv"), "--counts", "n.parquet"]) == 1
    assert "either --captions FILE ... or --elasticsearch INDEX" in capsys.readouterr().err


def test_counts_that_an_earlier_version_kept_are_never_read(corpus, tmp_path, capsys, monkeypatch):
    """An earlier version called the matched captions hits; a later one may count in another way."""
    kept = tmp_path / "kept"
    expected = tables(count(tmp_path / "out", corpus, reuse=kept))
    (now,) = kept.glob("*/")
    earlier = now.rename(kept / "0123456789abcdef")
    (earlier / "matched_captions.parquet").rename(earlier / "hits.parquet")
    (kept / ".new-dead/.hits-dead").mkdir(parents=True)
    (kept / ".new-dead/.hits-dead/0-0-0.parquet").write_bytes(b"PAR1")
    (kept / MARK).unlink()
    capsys.readouterr()
    assert tables(count(tmp_path / "out", corpus, reuse=kept)) == expected
    said = capsys.readouterr()
    assert "before" not in said.out and "left there" not in said.err
    assert list(kept.glob("*/")) == [now]
    monkeypatch.setitem(VERSIONS, "count_captions", VERSIONS["count_captions"] + 1)
    assert tables(count(tmp_path / "out", corpus, reuse=kept)) == expected
    assert "before" not in capsys.readouterr().out
    assert len(list(kept.glob("*/"))) == 1 and not now.exists()


def test_matched_captions_name_the_concepts_without_any_too(corpus, tmp_path):
    kept = tmp_path / "kept"
    concepts = [*CONCEPTS[1:3], Concept("nobody", "Nobody Whatsoever")]
    assert concepts_in(count(tmp_path / "out", corpus, concepts, reuse=kept).matched_captions) == [
        "mary-ann-lee", "okeeffe", "nobody",
    ]  # fmt: skip
    assert concepts_in(count(tmp_path / "out", corpus, concepts[1:], reuse=kept).matched_captions) == [
        "okeeffe", "nobody",
    ]  # fmt: skip
