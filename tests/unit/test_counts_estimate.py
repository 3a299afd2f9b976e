"""The effective count, its interval, and the command that estimates it for several concepts."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from concept_files import write_rows
from hypothesis import given, settings
from hypothesis import strategies as st

from fit.cli.main import main
from fit.counts.estimate import captions_beyond, effective_count, estimate_counts
from fit.errors import DataError
from fit.images.table import COLLECTED
from fit.io.concept_tables import ConceptTables
from fit.matches.match import MATCHES
from fit.thresholds import unseen


def test_effective_count_corrects_for_dead_links():
    count, low, high = effective_count(matches=60, captions=1000, downloaded=80)
    assert count == 750
    assert low < 750 < high
    assert effective_count(0, 0, 0) == (0, 0, 0)
    assert effective_count(3, 50, 0)[0] == 3
    # More matching faces than images: the count may exceed the captions.
    assert effective_count(30, 20, 20)[0] == 30


def test_a_count_of_images_that_were_all_seen_is_exact():
    assert effective_count(1000, 1000, 1000) == (1000, 1000, 1000)
    assert effective_count(0, 1000, 1000) == (0, 0, 0)
    assert effective_count(7, 1000, 1000) == (7, 7, 7)


def test_an_interval_holds_only_what_is_possible():
    # 25 of 500 images were not seen, 75 of those seen do not match.
    count, low, high = effective_count(400, 500, 475)
    assert count == 421 and 400 <= low < count < high <= 425


@pytest.mark.slow
@pytest.mark.parametrize(("shown", "downloaded"), [(600, 150), (600, 1500), (1960, 1900), (3, 1500), (1000, 1990)])
def test_the_interval_of_the_effective_count_covers_the_truth(shown, downloaded):
    # Matches among a random part of 2,000 captions, of which `shown` have an image that matches.
    matches = np.random.default_rng(3).hypergeometric(shown, 2000 - shown, downloaded, 500)
    interval_of = {m: effective_count(int(m), 2000, downloaded)[1:] for m in np.unique(matches)}
    covered = np.mean([interval_of[m][0] <= shown <= interval_of[m][1] for m in matches])
    # Counts are whole, so that a short interval covers more than it promises.
    assert covered >= 0.93
    widths = [interval_of[m][1] - interval_of[m][0] for m in matches]
    spread = 2 * 1.96 * np.std(matches * 2000 / downloaded)
    assert np.mean(widths) <= 1.15 * spread + 3


def test_quantiles_of_many_captions_agree_with_exact_ones(monkeypatch):
    for captions, downloaded, matches in [(40_000, 30_000, 9_000), (9_000, 20, 1), (20_000, 300, 299)]:
        monkeypatch.setattr(unseen, "EXACT", 1 << 20)
        exact = unseen.interval_of_total(matches, captions, downloaded)
        monkeypatch.setattr(unseen, "EXACT", 1)
        width = exact[1] - exact[0]
        assert unseen.interval_of_total(matches, captions, downloaded) == pytest.approx(exact, abs=1 + width / 100)


def test_rows_that_were_skipped_widen_the_interval_upwards():
    beyond = captions_beyond(1000, read_rows=900_000, skipped_rows=100_000)
    assert 111 < beyond < 140
    count, low, high = effective_count(1000, 1000, 1000, beyond=beyond)
    assert (count, low) == (1000, 1000) and 1100 < high <= 1000 + beyond
    assert captions_beyond(1000, 0, 5) == captions_beyond(1000, 5, 0) == 0


@pytest.mark.slow
@settings(deadline=None, max_examples=200)
@given(data=st.data(), captions=st.integers(1, 10**7))
def test_the_interval_contains_the_count(data, captions):
    downloaded = data.draw(st.integers(0, captions))
    matches = data.draw(st.integers(0, downloaded))
    count, low, high = effective_count(matches, captions, downloaded)
    assert matches <= low <= count <= high <= captions
    if downloaded:
        assert high <= captions - (downloaded - matches)


@pytest.fixture
def study(tmp_path):
    """Three concepts of a sheet of four, whose matches are in two tables, and whose images are in another two."""
    (tmp_path / "sheet.tsv").write_text("concept\tname\nd\tD\na\tA\nb\tB\nc\tC\n")
    (tmp_path / "captions.csv").write_text("concept,captions\n" + "".join(f"{slug},40\n" for slug in "abcd"))

    def image(number):
        return {
            "image_id": f"{number}",
            "status": "ok",
            "perceptual_hash": f"{number // 2 + 1:016x}",
            "sha256": f"{number}",
        }

    def match(number):
        return {"image_id": f"{number}", "similarity": 0.5, "match": number % 2 == 0}

    sizes = {"a": 4, "b": 10, "c": 0}
    for kind, one, schema, parts in (
        ("images", image, COLLECTED, ("a", "bc")),
        ("matches", match, MATCHES, ("ba", "c")),
    ):
        for part in parts:
            rows_of = {slug: [one(number) for number in range(sizes[slug])] for slug in part}
            write_rows(tmp_path / kind / f"{part}.parquet", rows_of, schema)
    return tmp_path


def test_counts_are_in_the_order_of_the_sheet_and_of_the_concepts_that_have_matches(study):
    given_ = ["--sheet", study / "sheet.tsv", "--images", study / "images", "--matches", study / "matches"]
    out = study / "counts.parquet"
    assert (
        main(list(map(str, ["counts", "estimate", *given_, "--captions", study / "captions.csv", "--out", out]))) == 0
    )
    found = pq.read_table(out).to_pylist()
    of_all = ("concept", "captions", "requested", "downloaded", "unique_images", "matches", "effective_count")
    assert [tuple(row[name] for name in of_all) for row in found] == [
        ("a", 40, 4, 4, 2, 2, 20),
        ("b", 40, 10, 10, 5, 5, 20),
        ("c", 40, 0, 0, 0, 0, 0),
    ]
    # Without captions, the collected images are all there are.
    assert main(list(map(str, ["counts", "estimate", *given_, "--captions", "--out", out]))) == 0
    found = pq.read_table(out).to_pylist()
    assert [(row["captions"], row["effective_count"], row["low"], row["high"]) for row in found] == [
        (None, 2, 2, 2),
        (None, 5, 5, 5),
        (None, 0, 0, 0),
    ]


def test_counts_do_not_depend_on_how_concepts_share_tables(study):
    tables = ConceptTables([study / "matches"]), ConceptTables([study / "images"])
    found = estimate_counts(study / "captions.csv", *tables, study / "sheet.tsv")
    for kind, schema in (("matches", MATCHES), ("images", COLLECTED)):
        every = [pq.read_table(path) for path in sorted((study / kind).iterdir())]
        # Rows of a concept need not be together.
        mixed = pa.concat_tables([table.cast(schema) for table in every]).sort_by("image_id")
        pq.write_table(mixed, study / f"{kind}.parquet")
    mixed = ConceptTables([study / "matches.parquet"]), ConceptTables([study / "images.parquet"])
    again = estimate_counts(study / "captions.csv", *mixed, study / "sheet.tsv")
    assert again.to_pylist() == found.to_pylist()[:2]  # c has no row, and these tables do not say that it was looked at


def test_matches_of_a_concept_without_images_are_refused(study):
    tables = ConceptTables([study / "matches"]), ConceptTables([study / "images/a.parquet"])
    with pytest.raises(DataError, match="no table of the concept 'b'"):
        estimate_counts(study / "captions.csv", *tables, study / "sheet.tsv")


def test_an_estimate_checks_the_caption_counts_too(study):
    tables = ConceptTables([study / "matches"]), ConceptTables([study / "images"])
    captions = study / "captions.csv"
    captions.write_text("concept,captions\nb,10\nb,11\n")
    with pytest.raises(DataError, match="line 3: concept 'b' is in line 2 too"):
        estimate_counts(captions, *tables, study / "sheet.tsv")
    captions.write_text("concept,captions\nb,10\nc,10\n")
    with pytest.raises(DataError, match="no row of 'a'"):
        estimate_counts(captions, *tables, study / "sheet.tsv")
    captions.write_text("concept,captions\na,10\nb,10\nc,10\n")
    row, *_ = estimate_counts(captions, *tables, study / "sheet.tsv").to_pylist()
    assert (row["captions"], row["effective_count"], row["skipped_rows"]) == (10, 5, 0)


def test_matches_of_other_images_than_those_of_the_table_are_refused(tmp_path):
    sheet = tmp_path / "sheet.tsv"
    sheet.write_text("concept\tname\nann\tAnn\n", encoding="utf-8")
    images = [{"concept": "ann", "image_id": "1", "status": status} for status in ("ok", "timeout")]
    matches = [{"concept": "ann", "image_id": name, "match": True} for name in ("1", "1", "2")]

    def estimate(found):
        pq.write_table(pa.Table.from_pylist(images, schema=COLLECTED), tmp_path / "images.parquet")
        pq.write_table(pa.Table.from_pylist(found, schema=MATCHES), tmp_path / "matches.parquet")
        places = (ConceptTables([tmp_path / f"{kind}.parquet"]) for kind in ("matches", "images"))
        return estimate_counts(None, *places, sheet)

    assert estimate(matches[:2]).column("matches").to_pylist() == [2]  # two faces of one image
    with pytest.raises(
        DataError, match=r"matches\.parquet, concept 'ann': 2 images match, but .*images\.parquet has 1;"
    ):
        estimate(matches)


def test_more_downloads_than_captions_are_refused(study):
    tables = ConceptTables([study / "matches"]), ConceptTables([study / "images"])
    (study / "captions.csv").write_text("concept,captions\na,3\nb,10\nc,10\n")
    with pytest.raises(DataError, match="'a': 3 captions, but 4 of their images were downloaded"):
        estimate_counts(study / "captions.csv", *tables, study / "sheet.tsv")


def test_skipped_files_are_said_and_allowed_for(study, capsys):
    tables = ConceptTables([study / "matches"]), ConceptTables([study / "images"])
    rows = "".join(f"{slug},10,1000,500,1\n" for slug in "abc")
    (study / "captions.csv").write_text("concept,captions,corpus_rows,skipped_rows,skipped_shards\n" + rows)
    with_skipped = estimate_counts(study / "captions.csv", *tables, study / "sheet.tsv").to_pylist()
    assert "1 file of the corpus could not be read" in capsys.readouterr().err
    (study / "captions.csv").write_text("concept,captions\na,10\nb,10\nc,10\n")
    without = estimate_counts(study / "captions.csv", *tables, study / "sheet.tsv").to_pylist()
    assert capsys.readouterr().err == ""
    of_b, plain = with_skipped[1], without[1]
    assert (plain["low"], plain["high"]) == (5, 5)
    assert (of_b["effective_count"], of_b["low"]) == (5, 5) and of_b["high"] > 5
