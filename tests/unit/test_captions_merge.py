"""Counts of parts of a corpus, merged, are what one pass over the whole gives."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from counting import CONCEPTS, corpus_of, count, shard, tables
from hypothesis import given, settings
from hypothesis import strategies as st

from fit.captions import matched_captions
from fit.captions.merge import merge_counts, unite_concepts
from fit.captions.phrases import Phrases
from fit.captions.settings import SamplingSettings
from fit.captions.tables import CountFiles
from fit.concepts.analyzer import Analyzer
from fit.errors import CorpusError, DataError
from fit.io.concept_tables import concepts_in


@pytest.fixture
def corpus(tmp_path):
    return corpus_of(tmp_path)


@pytest.mark.slow
def test_the_sample_is_the_same_in_any_order_and_in_any_parts(corpus, tmp_path, monkeypatch):
    whole = count(tmp_path / "whole", corpus, max_matched_captions=40)
    expected = tables(whole)
    per_concept = [sum(row["concept"] == c.slug for row in expected["matched_captions"]) for c in CONCEPTS[:3]]
    assert per_concept == [40, 40, 40]
    assert len({row["shard"] for row in expected["matched_captions"]}) == 5
    assert tables(count(tmp_path / "reversed", corpus[::-1], max_matched_captions=40, threads=3)) == expected
    # Written down after every batch, and read back in small pieces, it is still the same.
    monkeypatch.setattr(matched_captions, "_SPILL", 0)
    monkeypatch.setattr(matched_captions, "ROW_GROUP", 7)
    assert tables(count(tmp_path / "spilt", corpus, max_matched_captions=40)) == expected
    parts = [
        count(tmp_path / f"part{i}", files, max_matched_captions=40)
        for i, files in enumerate((corpus[:2], corpus[2:3], corpus[3:]))
    ]
    merged = CountFiles.in_folder(tmp_path / "merged")
    merge_counts(parts, merged, SamplingSettings(max_matched_captions=40), seed=7)
    assert tables(merged) == expected
    assert (
        tables(count(tmp_path / "seed", corpus, max_matched_captions=40, seed=8))["matched_captions"]
        != expected["matched_captions"]
    )


def test_parts_of_other_sheets_are_refused(corpus, tmp_path):
    parts = [count(tmp_path / "a", corpus[:1]), count(tmp_path / "b", corpus[1:], CONCEPTS[:2])]
    with pytest.raises(DataError, match=r"b/counts\.parquet: its concepts or names are not those of .*a/counts"):
        merge_counts(parts, CountFiles.in_folder(tmp_path), SamplingSettings())
    parts = [parts[0], count(tmp_path / "c", corpus[1:], columns=["width"])]
    with pytest.raises(DataError, match=r"c/matched_captions\.parquet: its columns are .*width"):
        merge_counts(parts, CountFiles.in_folder(tmp_path), SamplingSettings())


# --- properties -------------------------------------------------------------------------------------------------------

captions = st.one_of(
    st.sampled_from(["Ann Lee", "ann lee, painter", "Mary Ann Lee", "Georgia O'Keeffe and A. Lee", "nobody", "", None]),
    st.text(max_size=5),
)
shards = st.lists(st.lists(captions, max_size=12), min_size=1, max_size=5).filter(any)
samples = st.integers(0, 8)


def merged(parts, folder, largest, seed):
    outputs = CountFiles.in_folder(folder)
    merge_counts(parts, outputs, SamplingSettings(max_matched_captions=largest), seed)
    return outputs


@pytest.mark.slow
@given(shards=shards, largest=samples, seed=st.integers(0, 3), data=st.data())
@settings(max_examples=40, deadline=None)
def test_merging_any_partition_of_shards_equals_counting_the_whole(shards, largest, seed, data):
    """Counts, names, matched captions and shards are the same to the row, whatever the parts and their order."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = [shard(folder / f"{number}.parquet", texts) for number, texts in enumerate(shards)]
        asked = {"max_matched_captions": largest, "seed": seed}
        whole = count(folder / "whole", files, **asked)
        part_of = data.draw(st.lists(st.integers(0, 3), min_size=len(files), max_size=len(files)), label="part_of")
        groups = [[file for file, part in zip(files, part_of, strict=True) if part == one] for one in set(part_of)]
        parts = [
            count(folder / f"part{number}", data.draw(st.permutations(group)), is_part=True, **asked)
            for number, group in enumerate(data.draw(st.permutations(groups), label="groups"))
        ]
        found = merged(parts, folder / "merged", largest, seed)
        assert tables(found) == tables(whole)
        assert concepts_in(found.matched_captions) == [concept.slug for concept in CONCEPTS[:3]]
        # Parts of parts: the first two, merged, are a part like any other.
        if len(parts) > 2:
            try:
                first = merged(parts[:2], folder / "first", largest, seed)
            except CorpusError:
                return  # these two have no row
            assert tables(merged([*parts[2:], first], folder / "again", largest, seed)) == tables(whole)


@pytest.mark.slow
@given(shards=shards, largest=samples, split=st.integers(1, 2), seed=st.integers(0, 3))
@settings(max_examples=20, deadline=None)
def test_uniting_concepts_that_were_counted_apart_equals_counting_them_together(shards, largest, split, seed):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = [shard(folder / f"{number}.parquet", texts) for number, texts in enumerate(shards)]
        asked = {"max_matched_captions": largest, "seed": seed}
        together = count(folder / "together", files, **asked)
        apart = [
            count(folder / f"apart{number}", files, concepts, **asked)
            for number, concepts in enumerate((CONCEPTS[:split], CONCEPTS[split:3]))
        ]
        outputs = CountFiles.in_folder(folder / "united")
        phrases = Phrases.of(CONCEPTS[:3], Analyzer())
        sampling = SamplingSettings(max_matched_captions=largest)
        unite_concepts([(part, None) for part in apart], outputs, sampling, seed, phrases)
        assert tables(outputs) == tables(together)


@pytest.mark.slow
@given(
    keys=st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=60),
    largest=st.integers(1, 10),
    cuts=st.lists(st.integers(0, 60), max_size=3),
)
@settings(deadline=None)
def test_bounds_never_drop_a_key_of_a_sample(keys, largest, cuts):
    bounds = matched_captions.Bounds(1, largest)
    found = np.array(keys, np.uint64)
    for some in np.split(found, sorted(cut for cut in cuts if cut < len(keys))):
        bounds.add(np.zeros(len(some), np.int64), some)
    kept = found[bounds.may_be_in(np.zeros(len(found), np.int64), found)]
    assert np.sort(kept)[:largest].tolist() == np.sort(found)[:largest].tolist()
