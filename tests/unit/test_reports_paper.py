"""The paper's tables and figures: which are made, and those that follow from a study's results."""

import json

import numpy as np
import polars as pl
import pytest
from printed import agree

from fit.cli.main import main
from fit.errors import DataError
from fit.published import CONCEPTS_IN_BINS
from fit.reports.paper import NOT_MADE, PARTS, list_table, read_list, said
from fit.reports.paper_tables import captions_table, changes_table, missed_table
from fit.thresholds.report import detect

PAIR = ("atelier", "painters")


@pytest.fixture
def results(tmp_path):
    """Results of a study of 30 concepts, with two jumps; return their folder."""
    counts = np.arange(30) * 5
    scores = np.repeat([0.0, 1.0, 2.0], 10)
    names = [f"c{i:02d}" for i in range(30)]
    folder = tmp_path / "results"
    for place in ("thresholds/atelier", "scores/atelier", "captions/crawl/painters"):
        (folder / place).mkdir(parents=True)
    found = detect(names, counts, scores, penalty=0.9, resamples=20, seed=0, estimators=["pelt"])
    (folder / "thresholds/atelier/painters.json").write_text(json.dumps(found))
    pl.DataFrame({"concept": names, "effective_count": counts, "score": scores}).write_parquet(
        folder / "scores/atelier/painters.parquet"
    )
    pl.DataFrame({"concept": names, "captions": [0, *[99] * 20, *[100] * 9]}).write_parquet(
        folder / "captions/crawl/painters/counts.parquet"
    )
    return folder


def row_of(table, what):
    return next(dict(zip(table.columns, row, strict=True)) for row in table.rows if row[0].startswith(what))


def test_every_change_point_has_a_row(results):
    table = changes_table({PAIR: results / "thresholds/atelier/painters.json"})
    assert table.rows == [
        ("atelier", "painters", "0.9", "1", "50", "c10"),
        ("atelier", "painters", "0.9", "2", "100", "c20"),
    ]


def test_a_study_without_a_change_point_says_none(results):
    path = results / "thresholds/atelier/painters.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"changes": []}))
    assert changes_table({PAIR: path}).rows == [("atelier", "painters", "0.9", "none", "", "")]


def test_concepts_are_in_the_papers_bins_of_captions(tmp_path):
    path = tmp_path / "counts.parquet"
    captions = [0, 0, 1, 99, 100, 499, 500, 999, 1000, 4999, 5000, 9999, 10_000, 200_000]
    pl.DataFrame({"captions": captions}).write_parquet(path)
    table = captions_table({("crawl", "people"): path})
    assert table.columns[4:] == (
        *("0", "1 to 99", "100 to 499", "500 to 999"),
        *("1,000 to 4,999", "5,000 to 9,999", "10,000 or more"),
    )
    assert table.rows == [("crawl", "people", "this study", "14", *["2"] * 7)]


def test_the_papers_own_list_is_beside_a_study_of_it(tmp_path):
    path = tmp_path / "counts.parquet"
    pl.DataFrame({"captions": [3]}).write_parquet(path)
    rows = captions_table({("laion2b_en", "classical_artists"): path}).rows
    assert [row[2:4] for row in rows] == [("this study", "1"), ("the paper's list", "418")]
    assert sum(CONCEPTS_IN_BINS["laion2b_en", "classical_artists"]) == 418


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (pl.DataFrame({"concept": ["a"]}), "not a table of caption counts"),
        (pl.DataFrame({"captions": pl.Series([None, 3], dtype=pl.Int64)}), "a concept has no caption count"),
    ],
)
def test_a_table_without_caption_counts_is_named(tmp_path, frame, said):
    frame.write_parquet(tmp_path / "counts.parquet")
    with pytest.raises(DataError, match=rf"counts\.parquet: {said}"):
        captions_table({("crawl", "people"): tmp_path / "counts.parquet"})


def test_every_part_is_listed_and_one_that_is_never_made_has_a_reason_instead_of_a_file():
    table = list_table("mine", [PAIR], [], [])
    assert [row[0] for row in table.rows] == [part.what for part in PARTS]
    assert all(bool(part.file) != bool(part.why_never) for part in PARTS)
    assert all(row[1] == NOT_MADE and row[3] for row in table.rows)


def test_what_is_made_in_part_names_what_is_lacking():
    pairs = [PAIR, ("atelier", "people"), ("other", "people")]
    made = ["elsewhere/results/thresholds/atelier/painters.scores.png"]
    row = row_of(list_table("mine", pairs, [("other", "people")], made), "scores against counts")
    assert row["state"] == "made for 1 of 3"
    assert row["where"] == "results/thresholds/{model}/{domain}.scores.png"
    assert row["why not"] == (
        "inputs are missing for other in people; `fit check mine` lists them; nobody has asked for it yet"
    )


def test_a_file_of_another_stage_with_the_same_end_is_not_taken_for_it():
    made = ["results/sensitivity/atelier/painters.json", "results/alternatives/atelier/painters.json"]
    assert row_of(list_table("mine", [PAIR], [], made), "imitation thresholds of models")["state"] == NOT_MADE


def test_models_that_the_study_lacks_are_named():
    pairs = [("sd1.1", "politicians"), ("sd1.5", "politicians")]
    made = [f"results/thresholds/{model}/{domain}.json" for model, domain in pairs]
    row = row_of(list_table("paper", pairs, [], made), "imitation thresholds of SD1.1 to SD1.5")
    assert row["state"] == "made for 2 of 5"
    assert row["why not"].startswith(
        "not in this study: sd1.2 in politicians, sd1.3 in politicians, sd1.4 in politicians"
    )


def test_commands_in_the_list_repeat_the_files_of_configuration():
    files = ["config.yaml", "my study.yaml"]
    table = list_table("mine", [PAIR], [PAIR], [], files)
    reasons = [row[3] for row in table.rows if "fit check" in row[3]]
    assert reasons and all("`fit check mine --config config.yaml 'my study.yaml'` lists them" in why for why in reasons)
    made_by = [row[4] for row in table.rows if row[4].startswith("snakemake")]
    assert made_by and all(command.endswith(" --configfile 'my study.yaml'") for command in made_by)
    assert not any("--configfile" in row[4] for row in list_table("mine", [PAIR], [PAIR], []).rows)


def test_many_pairs_that_lack_inputs_are_not_all_named():
    pairs = [(f"m{i}", "people") for i in range(6)]
    why = row_of(list_table("mine", pairs, pairs, []), "all change points")["why not"]
    assert why.startswith("inputs are missing for m0 in people, m1 in people, m2 in people and 3 more;")


def test_a_figure_of_a_domain_is_not_missing_for_the_model_that_lacks_inputs():
    pairs = [PAIR, ("other", "painters")]
    row = row_of(list_table("mine", pairs, [pairs[1]], []), "how often the recogniser errs")
    assert row["why not"] == "nobody has asked for it yet"
    assert row["command"] == "snakemake verification --config default_study=mine"


def test_what_captions_miss_is_beside_the_published_share(tmp_path):
    path = tmp_path / "painters.parquet"
    columns = {"share": [0.0, 0.001, 0.004], "downloaded": [2000] * 3, "unnamed_captions": [4000] * 3}
    pl.DataFrame(columns | {"corrected_missed": [0, None, 8]}).write_parquet(path)
    assert missed_table({("crawl", "painters"): path}).rows == [
        ("crawl", "painters", "this study", "3", "2,000", "0.000%", "0.100%", "0.400%"),
        (
            *("crawl", "painters", "this study, without the recogniser's errors", "2", "2,000"),
            *("0.000%", "0.100%", "0.200%"),
        ),
        ("", "faces", "published", "", "", "0.000%", "", "0.051%"),
    ]
    assert missed_table({}).rows == []
    pl.DataFrame({"share": [0.1]}).write_parquet(path)
    with pytest.raises(DataError, match=r"painters\.parquet: not a table of what captions miss"):
        missed_table({("crawl", "painters"): path})


@pytest.mark.slow
def test_the_command_makes_the_tables_and_lists_the_rest(results, tmp_path, capsys):
    out = results / "reports/mine/paper"
    figure = "results/thresholds/atelier/painters.scores.png"
    arguments = ["--thresholds", results / "thresholds/atelier/painters.json"]
    arguments += ["--scores", results / "scores/atelier/painters.parquet"]
    arguments += ["--captions", results / "captions/crawl/painters/counts.parquet", "--made", figure]
    columns = {"share": [0.1], "downloaded": [20], "unnamed_captions": [40], "corrected_missed": [None]}
    pl.DataFrame(columns, schema_overrides={"corrected_missed": pl.Int64}).write_parquet(tmp_path / "painters.parquet")
    arguments += ["--missed", tmp_path / "painters.parquet"]
    arguments += ["--missing", "atelier/people: no references", "--seed", 1, "--resamples", 50, "--out", out]
    assert main(["reports", "paper", "mine", *map(str, arguments)]) == 0
    printed = capsys.readouterr().out.splitlines()
    listed = read_list(out / "list.tsv")
    assert said(listed) == printed
    _, found = agree(capsys, "reports", "paper", "mine", *arguments, besides=["1", "2"])
    assert [tuple(row.values()) for row in found["rows"]] == listed.rows
    assert len(listed.rows) == len(PARTS)
    changes = row_of(listed, "all change points")
    assert changes["state"] == "made" and changes["where"] == "results/reports/mine/paper/changes.tsv"
    assert changes["why not"].startswith("without atelier in people, whose inputs are missing")
    page = (out / "paper.md").read_text()
    assert "Nothing was published about the models and domains of this study." in page
    assert "## What captions miss" in page and "0.051%" in page
    for name in ("list", "published", "changes", "captions", "invariance", "missed"):
        assert all((out / f"{name}.{suffix}").is_file() for suffix in ("tsv", "md", "tex"))
    captions = pl.read_csv(out / "captions.tsv", separator="\t").row(0)
    assert captions == ("crawl", "painters", "this study", 30, 1, 20, 9, 0, 0, 0, 0)
    invariance = pl.read_csv(out / "invariance.tsv", separator="\t").to_dicts()[0]
    # Neighbours are 5 images apart: 29 pairs, of which two span a jump of 1.
    assert (invariance["pairs"], invariance["mean difference"]) == (29, round(2 / 29, 4))


def test_a_study_that_has_nothing_yet_is_listed_too(tmp_path, capsys):
    out = tmp_path / "paper"
    assert main(["reports", "paper", "paper", "--missing", "sd1.1/celebrities: no captions", "--out", str(out)]) == 0
    assert f"Of {len(PARTS)} tables and figures, 0 are made." in capsys.readouterr().out
    page = (out / "paper.md").read_text()
    assert "read from a copy of its tables, not from the paper itself" in page
    assert "364 images, is not compared: inputs are missing" in page


def test_a_list_that_is_broken_is_named(tmp_path):
    (tmp_path / "list.tsv").write_bytes(b"\xff")
    with pytest.raises(DataError, match=r"list\.tsv: not a list that can be read"):
        read_list(tmp_path / "list.tsv")
