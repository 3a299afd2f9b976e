"""Which concepts lie above a threshold, and which rows of the corpus would have to go."""

import csv
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fit.audits.counts import ConceptCount, read_counted
from fit.audits.plan import choose_rows
from fit.audits.threshold import read_threshold
from fit.audits.verdicts import STATEMENT, audit
from fit.cli.main import main
from fit.errors import DataError
from fit.io.concept_tables import CONCEPT, write_concepts


@pytest.fixture
def threshold_file(tmp_path):
    def write(**found):
        path = tmp_path / "threshold.json"
        path.write_text(json.dumps(found))
        return str(path)

    return write


@pytest.fixture
def threshold(threshold_file):
    return threshold_file(threshold=50, interval=[39.5, 60.5])


def rows_of(counted, given):
    return {row["concept"]: row for row in audit(counted, read_threshold(given)).rows}


def test_counts_lie_below_within_or_above_the_whole_counts_of_the_interval(threshold):
    rows = rows_of([ConceptCount(str(count), count) for count in (0, 39, 40, 50, 60, 61, 900)], threshold)
    assert {name: (row["verdict"], row["by"]) for name, row in rows.items()} == {
        "0": ("below", 40),
        "39": ("below", 1),
        "40": ("within", 0),
        "50": ("within", 0),
        "60": ("within", 0),
        "61": ("above", 1),
        "900": ("above", 840),
    }


def test_the_threshold_is_above_the_first_number_and_at_most_the_second(threshold_file):
    path = threshold_file(threshold=50, interval=[40, 60])
    rows = rows_of([ConceptCount(str(count), count) for count in (39, 40, 41, 59, 60, 61)], path)
    assert {name: (row["verdict"], row["by"]) for name, row in rows.items()} == {
        "39": ("below", 2),
        "40": ("below", 1),
        "41": ("within", 0),
        "59": ("within", 0),
        "60": ("above", 1),
        "61": ("above", 2),
    }


def test_a_count_of_0_is_below_a_threshold_that_is_above_0(threshold_file):
    found = audit([ConceptCount("a", 0, 0, 5)], read_threshold(threshold_file(threshold=150, interval=[0, 163])))
    row = found.rows[0]
    assert (row["verdict"], row["to_remove"]) == ("below", 5)
    assert "only a concept without any image is below it" in found.note()


def test_nothing_is_below_a_threshold_of_0():
    found = audit([ConceptCount("a", 0, 0, 5)], read_threshold("0"))
    assert found.rows[0]["verdict"] == "above"
    assert "to_remove" not in found.rows[0]
    assert "nothing can be pruned" in found.note()


def test_without_an_interval_the_threshold_itself_is_above_and_no_probability_is_given():
    found = audit([ConceptCount("under", 49, 40, 49), ConceptCount("at", 50, 50, 60)], read_threshold("50"))
    rows = {row["concept"]: (row["verdict"], row["by"], row.get("p_above"), row["to_remove"]) for row in found.rows}
    assert rows == {"at": ("above", 1, None, 11), "under": ("below", 1, None, 0)}
    assert "no interval" in found.note()
    assert "expected to be wrong" not in found.note()


def test_what_must_go_is_computed_from_the_high_end_of_the_count(threshold):
    rows = rows_of(
        [
            ConceptCount("a", 80, 61, 100),
            ConceptCount("b", 20, 10, 40),
            ConceptCount("c", 20, 10, 39),
            ConceptCount("d", 45),
        ],
        threshold,
    )
    assert {name: row["to_remove"] for name, row in rows.items()} == {"a": 61, "b": 1, "c": 0, "d": 6}


def test_an_interval_that_leaves_its_threshold_out_is_widened(threshold_file):
    assert read_threshold(threshold_file(threshold=30, interval=[35.2, 60])).low == 29
    narrow = read_threshold(threshold_file(threshold=41, interval=[41.3, 41.6]))
    assert (narrow.low, narrow.high) == (40, 42)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"interval": [1, 2]}, "not JSON with `threshold`"),
        ({"threshold": "many", "interval": None}, "not a threshold"),
        ({"threshold": 5, "interval": [9, 2]}, "not a threshold"),
        ({"threshold": 5, "interval": [float("nan"), 9]}, "not a threshold"),
        ({"threshold": 5, "interval": [1]}, "not a threshold"),
        ({"threshold": 5, "interval": [-3, 9]}, "not a threshold"),
        ({"threshold": 5, "permutation_test": {"p_value": "small"}}, "not a threshold"),
        ({"threshold": 5, "resamples_with_a_change": float("nan")}, "not a threshold"),
        ({"threshold": 5, "estimator": "pelt", "estimators": {"pelt": {"quantiles": ["a"]}}}, "not a threshold"),
        ({"threshold": 5, "estimator": "pelt", "estimators": {"pelt": {"quantiles": [float("inf")]}}}, "not a thresho"),
    ],
)
def test_a_file_that_is_not_a_threshold(threshold_file, found, said):
    with pytest.raises(DataError, match=said):
        read_threshold(threshold_file(**found))


@pytest.mark.parametrize("given", ["missing.json", "-3", "nan", "inf", ""])
def test_neither_a_number_nor_a_file(given):
    with pytest.raises(DataError, match="give a number of images"):
        read_threshold(given)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("concept,count\na,1", "no column 'effective_count'"),
        ("concept,effective_count\na,many", "concept 'a': effective_count is 'many'"),
        ("concept,effective_count\na,-1", "not a count"),
        ("concept,effective_count,low,high\na,3,nan,9", "low is 'nan'"),
        ("concept,effective_count\na,1\na,2", "line 3: concept 'a' is in line 2 too"),
        ("concept,effective_count\n", "no row"),
        ("", "the file is empty"),
    ],
)
def test_a_table_without_counts(tmp_path, text, said):
    path = tmp_path / "counts.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=said):
        read_counted(path)


def test_counts_of_any_kind(tmp_path):
    (tmp_path / "c.csv").write_text(
        "concept,effective_count,low,high,matches,downloaded\na,8,7.2,8.9,,\nb,,1,2,,\nc,9,2,8,9,8\nd,3,,,,\n"
    )
    counted, skipped, of_captions = read_counted(tmp_path / "c.csv")
    # Where several faces of an image match, a count may exceed its interval: c.
    assert counted == [
        ConceptCount("a", 8, 7, 9),
        ConceptCount("b", None),
        ConceptCount("c", 9, 2, 9),
        ConceptCount("d", 3),
    ]
    assert (skipped, of_captions) == (0, False)
    columns = {"concept": ["a"], "captions": [90], "effective_count": [7], "low": [5], "high": [9], "skipped_rows": [4]}
    pq.write_table(pa.table(columns), tmp_path / "c.parquet")
    assert read_counted(tmp_path / "c.parquet") == ([ConceptCount("a", 7, 5, 9, 90)], 4, False)


def images_left(seen, image_ids, mentions, most, gone):
    """What `choose_rows` promises, computed from what remains."""
    remaining = [name for i, name in enumerate(image_ids) if i not in gone]
    unseen = mentions - len(image_ids) + sum(name not in seen for name in remaining)
    return sum(seen[name][0] for name in remaining if name in seen) + most / mentions * unseen


def test_chosen_rows_are_enough_and_no_more_or_all_that_help():
    rng = np.random.default_rng(0)
    enough = short = 0
    for _ in range(300):
        image_ids = [f"i{i}" for i in range(rng.integers(1, 12))]
        mentions = len(image_ids) + int(rng.integers(0, 20)) * int(rng.integers(0, 2))
        seen = {n: (int(rng.integers(0, 3)), float(rng.random())) for n in image_ids if rng.random() < 0.6}
        most, target = float(rng.integers(1, 2 * mentions + 1)), int(rng.integers(0, 8))
        chosen, left = choose_rows(seen, image_ids, mentions, most, target)
        assert left == pytest.approx(images_left(seen, image_ids, mentions, most, set(chosen)), abs=1e-6)
        assert all(seen.get(image_ids[i], (1, 0))[0] for i in chosen)
        ranks = [(image_ids[i] not in seen, -seen.get(image_ids[i], (0, 0.0))[1]) for i in chosen]
        assert ranks == sorted(ranks)
        if left > target + 1e-6:
            short += 1
            assert mentions > len(image_ids)
            assert len(chosen) == sum(seen.get(name, (1, 0))[0] > 0 for name in image_ids)
        elif chosen:
            enough += 1
            assert images_left(seen, image_ids, mentions, most, set(chosen[:-1])) > target
    assert enough > 50
    assert short > 20


def write_images(folder, **of_concepts):
    """Write a table of images: concept -> (ids, statuses)."""
    schema = pa.schema([CONCEPT, ("image_id", pa.string()), ("status", pa.string())])
    tables = [(name, pa.table({"image_id": ids, "status": status})) for name, (ids, status) in of_concepts.items()]
    write_concepts(tables, folder / "images/0.parquet", schema)


def write_matches(folder, **of_concepts):
    """Write a table of matches: concept -> (ids, similarities, whether they match)."""
    schema = pa.schema([CONCEPT, ("image_id", pa.string()), ("similarity", pa.float32()), ("match", pa.bool_())])
    names = ("image_id", "similarity", "match")
    tables = [(concept, pa.table(dict(zip(names, of, strict=True)))) for concept, of in of_concepts.items()]
    write_concepts(tables, folder / "matches/0.parquet", schema)


@pytest.fixture
def corpus(tmp_path):
    """Of ann 8 of 10 mentions are sampled: 6 pictures, 4 of them matching, a dead link, a row not collected. The tables
    are of two concepts; the other one has images of the same ids."""
    matched_captions = [("ann", "s.parquet", row, f"http://h/{row}", f'ann, "{row}"\n') for row in range(8)]
    matched_captions += [("bob", "s.parquet", 20, "http://h/20", "bob")]
    columns = ("concept", "shard", "row", "url", "caption")
    pq.write_table(
        pa.table(dict(zip(columns, map(list, zip(*matched_captions, strict=True)), strict=True))),
        tmp_path / "matched_captions.parquet",
    )
    names = [f"s-{row}" for row in range(7)]
    write_images(tmp_path, dan=(names, ["ok"] * 7), ann=(names, ["ok"] * 6 + ["http_404"]))
    ann = [0.5, 0.9, 0.1, 0.7, 0.8, 0.2], [True, True, False, True, True, False]
    write_matches(tmp_path, dan=(names, [0.99] * 7, [True] * 7), ann=(names[:6], *ann))
    counts = {"concept": ["bob", "ann"], "captions": [1, 10], "effective_count": [1, 7], "low": [0, 3], "high": [1, 9]}
    pq.write_table(pa.table(counts), tmp_path / "counts.parquet")
    return tmp_path


def run(folder, *options, threshold="5", counts="counts.parquet"):
    paths = ("matched_captions.parquet", "images", "matches", "plan", "plan.csv", "audit.tsv")
    options = [str(folder / option) if option in paths else option for option in options]
    return main(["audit", "--threshold", str(threshold), "--counts", str(folder / counts), *options])


EVERYTHING = (
    "--matched-captions",
    "matched_captions.parquet",
    "--images",
    "images",
    "--matches",
    "matches",
    "--plan",
    "plan",
    "--out",
    "audit.tsv",
)


def test_a_plan_takes_the_most_similar_matches_then_pictures_that_were_not_seen(corpus, capsys):
    assert run(corpus, *EVERYTHING) == 0
    planned = pq.read_table(corpus / "plan.parquet").to_pylist()
    # 4 match, and of 4 mentions that were not seen 9/10 each may: 7.6 images, of which 4 may stay.
    assert [(row["row"], row["image"]) for row in planned] == [
        (1, "matches"),
        (4, "matches"),
        (3, "matches"),
        (0, "matches"),
    ]
    assert {row["concept"] for row in planned} == {"ann"}
    assert [row["similarity"] for row in planned] == pytest.approx([0.9, 0.8, 0.7, 0.5])
    with (corpus / "plan.csv").open(newline="") as file:
        as_csv = list(csv.DictReader(file))
    assert [(row["shard"], row["row"], row["url"], row["caption"]) for row in as_csv] == [
        (row["shard"], str(row["row"]), row["url"], row["caption"]) for row in planned
    ]
    with (corpus / "audit.tsv").open(newline="") as file:
        table = {row["concept"]: row for row in csv.DictReader(file, delimiter="\t")}
    assert {key: table["ann"][key] for key in ("verdict", "by", "to_remove", "planned", "matching", "left")} == {
        "verdict": "above",
        "by": "3",
        "to_remove": "5",
        "planned": "4",
        "matching": "4",
        "left": "4",
    }
    assert table["bob"]["planned"] == ""
    printed = capsys.readouterr().out
    for text in (printed, (corpus / "plan.txt").read_text(), (corpus / "audit.tsv.txt").read_text()):
        assert STATEMENT in text
        assert "2 concepts: 1 above, 0 within, 1 below, 0 unknown" in text


def test_a_plan_is_only_as_good_as_its_sample(corpus, capsys):
    assert run(corpus, *EVERYTHING, threshold=2) == 0
    planned = pq.read_table(corpus / "plan.parquet").column("row").to_pylist()
    # All that match or may; never the rows 2 and 5, which were seen not to. The two mentions beyond the sample remain.
    assert planned == [1, 4, 3, 0, 6, 7]
    assert "ann (8 of 10 mentions sampled, 2 images left)" in capsys.readouterr().out


def test_without_pictures_every_mention_counts_its_share(corpus, capsys):
    assert run(corpus, "--matched-captions", "matched_captions.parquet", "--plan", "plan.csv") == 0
    planned = pq.read_table(corpus / "plan.parquet")
    # 9 images in 10 mentions: 4 mentions may stay.
    assert planned.column("row").to_pylist() == [0, 1, 2, 3, 4, 5]
    assert set(planned.column("image").to_pylist()) == {"not seen"}
    assert planned.column("similarity").null_count == 6
    write_matches(corpus, dan=(["s-0"], [0.9], [True]))
    assert run(corpus, *EVERYTHING) == 0
    assert pq.read_table(corpus / "plan.parquet").equals(planned)
    assert "every row is taken as not seen: ann" in capsys.readouterr().out


def test_matched_captions_that_lack_a_concept_or_counts_that_lack_captions(corpus, capsys):
    (corpus / "few.csv").write_text("concept,effective_count\nann,7\ncat,30\n")
    assert run(corpus, *EVERYTHING, counts="few.csv") == 0
    said = capsys.readouterr().out
    assert "cat (0 mentions sampled, 30 images left)" in said
    assert "all mentions: cat, ann" in said
    assert "A count without an interval, taken as exact: cat, ann" in said


def test_an_empty_plan_is_written_too(corpus):
    assert run(corpus, *EVERYTHING, threshold=1000) == 0
    assert pq.read_table(corpus / "plan.parquet").num_rows == 0
    assert "concept" in (corpus / "plan.csv").read_text()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--matched-captions", "matched_captions.parquet"), "--plan (the files to write) together"),
        (("--plan", "plan"), "--matched-captions (the rows to choose from)"),
        (
            ("--matched-captions", "matched_captions.parquet", "--plan", "plan", "--images", "images"),
            "--images and --matches go together",
        ),
        (("--images", "images", "--matches", "matches"), "with --matched-captions and --plan"),
    ],
)
def test_options_that_go_together(corpus, capsys, options, said):
    assert run(corpus, *options) == 1
    assert said in capsys.readouterr().err
    assert not (corpus / "plan.parquet").exists()


def test_files_of_different_runs_are_refused(corpus, capsys):
    (corpus / "other.csv").write_text("concept,effective_count,captions\nann,7,7\n")
    assert run(corpus, *EVERYTHING, counts="other.csv") == 1
    assert "8 rows mention 'ann', but its count is of 7 captions" in capsys.readouterr().err
    write_images(corpus, ann=(["t-0"], ["ok"]))
    assert run(corpus, *EVERYTHING) == 1
    assert "images of other rows than the matched captions" in capsys.readouterr().err
    write_images(corpus, ann=(["s-0"], ["gone"]))
    assert run(corpus, *EVERYTHING) == 1
    assert "s-0 is not a picture" in capsys.readouterr().err
    assert not list(corpus.glob("*plan*"))


def test_the_largest_counts_come_first_and_skipped_rows_are_told(tmp_path, capsys):
    (tmp_path / "c.csv").write_text("concept,effective_count,skipped_rows\nb,3,1000\na,70,1000\nc,,1000\n")
    assert main(["audit", "--threshold", "50", "--counts", str(tmp_path / "c.csv")]) == 0
    said = capsys.readouterr().out
    assert [line.split()[0] for line in said.splitlines()[2:5]] == ["a", "b", "c"]
    assert "1,000 rows of the corpus that could not be read" in said
    assert "No count, so no verdict: c." in said


def test_a_place_that_is_missing_is_named(corpus, capsys):
    options = list(EVERYTHING)
    options[options.index("matches")] = str(corpus / "nowhere")
    assert run(corpus, *options) == 1
    assert f"{corpus / 'nowhere'}: there is no such file" in capsys.readouterr().err
    assert not list(corpus.glob("*plan*"))
