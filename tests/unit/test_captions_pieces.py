"""A Parquet file that several threads read, piece by piece, counts as it does in one thread."""

import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from counting import CONCEPTS, count, shard, tables

from fit.captions import matched_captions
from fit.captions.scan import CountJob
from fit.captions.settings import ReadingSettings, SamplingSettings
from fit.captions.shard import Shard, Tally
from fit.captions.sources import open_captions
from fit.errors import CorpusError

ROWS = 600
GROUP = 20


def captions(rows=ROWS):
    rng = random.Random(0)
    some = ["Ann Lee", "A. Lee in Rome", "Mary Ann Lee", "x", None, "georgia o'keeffe", "草間彌生"]
    return [rng.choice(some) for _ in range(rows)]


def huge(folder, group=GROUP, texts=None):
    """Write huge.parquet in row groups of `group` rows, and return its path. `width` is the number of the row."""
    folder.mkdir(exist_ok=True)
    texts = captions() if texts is None else texts
    urls = [f"u{row}" for row in range(len(texts))]
    table = pa.table({"url": urls, "caption": pa.array(texts, pa.string()), "width": range(len(texts))})
    pq.write_table(table, folder / "huge.parquet", row_group_size=group)
    return str(folder / "huge.parquet")


def break_groups(path, *groups):
    """Overwrite the captions of some row groups."""
    metadata = pq.read_metadata(path)
    with Path(path).open("r+b") as file:
        for group in groups:
            chunk = metadata.row_group(group).column(1)
            file.seek(chunk.dictionary_page_offset or chunk.data_page_offset)
            file.write(b"\xff" * chunk.total_compressed_size)


@pytest.mark.slow
@pytest.mark.parametrize("spill", [32 << 20, 0])
def test_a_file_counts_the_same_in_any_row_groups_and_threads(tmp_path, monkeypatch, spill):
    monkeypatch.setattr(matched_captions, "_SPILL", spill)
    asked = {"max_matched_captions": 40, "columns": ["width"]}
    expected = tables(count(tmp_path / "out", [huge(tmp_path / "one", ROWS)], **asked))
    assert len(expected["matched_captions"]) == 120
    for group in (1, GROUP, 256, ROWS):
        file = huge(tmp_path / str(group), group)
        for threads in (1, 2, 4):
            found = tables(count(tmp_path / "out", [file], threads=threads, **asked))
            assert found == expected
            assert all(int(row["width"]) == row["row"] for row in found["matched_captions"])


@pytest.mark.slow
@pytest.mark.parametrize("broken", [(15,), (0,), (29,), (11, 25)])
def test_a_broken_row_group_breaks_the_whole_file_in_any_number_of_threads(tmp_path, monkeypatch, broken):
    monkeypatch.setattr(matched_captions, "_SPILL", 0)  # what was found before is in files, too
    bad = huge(tmp_path / "bad")
    break_groups(bad, *broken)
    good = shard(tmp_path / "good.parquet", ["Ann Lee", "x"])
    messages, found = set(), []
    for threads in (1, 2, 4):
        with pytest.raises(CorpusError, match=r"huge\.parquet: not a readable file of captions") as error:
            count(tmp_path / "out", [bad, good], threads=threads)
        messages.add(str(error.value))
        assert not (tmp_path / "out/counts.parquet").exists()
        found.append(tables(count(tmp_path / f"skip-{threads}", [bad, good], threads=threads, on_bad_shard="skip")))
    assert len(messages) == 1
    assert found[1] == found[0] and found[2] == found[0]
    assert [row["shard"] for row in found[0]["matched_captions"]] == ["good.parquet"]
    row = found[0]["counts"][0]
    assert (row["captions"], row["corpus_rows"], row["skipped_rows"], row["skipped_shards"]) == (1, 2, ROWS, 1)
    assert found[0]["shards"][1]["reason"] in messages


def test_the_first_broken_piece_says_what_is_wrong_with_a_file():
    broken = Shard("a.parquet", 3)
    broken.fail(2, CorpusError("the last"))
    assert not broken.is_broken_before(1)
    broken.fail(1, CorpusError("the second"))
    broken.fail(2, CorpusError("the last"))
    assert broken.is_broken_before(2) and not broken.is_broken_before(1)
    assert (broken.row()["status"], broken.row()["reason"]) == ("skipped", "the second")


@pytest.mark.parametrize("most", [1, 3, 7, 100])
def test_pieces_follow_one_another_and_are_the_whole_file(tmp_path, most):
    source = open_captions(huge(tmp_path / "a", 50))
    at, texts = 0, []
    pieces = source.pieces(["caption"], most)
    assert len(pieces) == min(most, 12)
    for first_row, batches in pieces:
        assert first_row == at
        for batch in batches:
            texts += batch.column(0).to_pylist()
        at = len(texts)
    assert texts == captions()


@pytest.mark.slow
def test_files_of_other_formats_are_one_piece(tmp_path):
    (tmp_path / "a.csv").write_text("url,caption\n" + "".join(f"u{i},Ann Lee {i}\n" for i in range(300)))
    ((first_row, batches),) = open_captions(str(tmp_path / "a.csv")).pieces(["caption"], 8)
    assert first_row == 0 and sum(len(batch) for batch in batches) == 300
    asked = {"max_matched_captions": 40}
    one, four = (tables(count(tmp_path / "out", [str(tmp_path / "a.csv")], threads=t, **asked)) for t in (1, 4))
    assert one == four and one["counts"][0]["captions"] == 300


def test_a_file_without_a_row_has_no_piece(tmp_path):
    files = [huge(tmp_path / "none", texts=[]), shard(tmp_path / "one.parquet", ["Ann Lee"])]
    found = [tables(count(tmp_path / "out", files, threads=threads)) for threads in (1, 2)]
    assert found[0] == found[1]
    assert [(row["shard"], row["status"], row["rows"]) for row in found[0]["shards"]] == [
        ("huge.parquet", "ok", 0),
        ("one.parquet", "ok", 1),
    ]


def test_only_files_that_are_large_beside_the_others_are_split():
    def pieces(rows, threads):
        files = [f"{number}.parquet" for number in range(len(rows))]
        return CountJob(files, SamplingSettings(), ReadingSettings(), threads=threads).pieces(rows)

    assert pieces([3_000_000], 1) == [1]
    assert pieces([3_000_000], 2) == [8]
    assert pieces([1000] * 8, 2) == [1] * 8
    assert pieces([1000, 980, 1020] * 30, 4) == [1] * 90
    assert pieces([90_000, 1000, 0, 9000], 2) == [7, 1, 1, 1]
    assert pieces([0, 0], 2) == [1, 1]


def test_a_file_with_other_rows_than_it_says_is_broken(tmp_path):
    source = open_captions(huge(tmp_path / "a"))
    source.check_captions(ROWS, 0)
    with pytest.raises(CorpusError, match=r"says that it has 600 rows, and has 599; .*on_bad_shard: skip"):
        source.check_captions(ROWS - 1, 0)


def test_a_whole_file_adds_up_once_all_of_its_pieces_have_ended():
    from fit.captions.matcher import Matcher

    phrases = Matcher(CONCEPTS[:1]).phrases
    whole = Shard("a.parquet", 2)
    tallies = [Tally.of(phrases), Tally.of(phrases)]
    for number, tally in enumerate(tallies):
        tally.rows, tally.of_concepts[0] = 10, number + 1
        assert whole.end_piece(tally) == (number == 1)
    assert whole.tally.of_concepts.tolist() == [3]
    assert (whole.row()["status"], whole.row()["rows"]) == ("ok", 20)
