"""Names that spreadsheets, Markdown, LaTeX or figures would not show as text."""

import csv
import io
import json
import re

import matplotlib.pyplot as plt
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from PIL import Image

from fit.audits.counts import ConceptCount
from fit.audits.threshold import read_threshold
from fit.audits.verdicts import audit
from fit.cli.main import main
from fit.concepts.sheet import Concept, read_sheet, write_sheet
from fit.images import table
from fit.io.concept_tables import CONCEPT, write_concepts
from fit.io.escaping import cell, delimited, latex, markdown, uncell
from fit.io.user_tables import read_user_table
from fit.matches import verification
from fit.ratings.store import Answers, Rating, import_ratings, read_ratings
from fit.reports import contact_sheets, figures, report, tables
from fit.reports.data import DataSource, OptOuts
from fit.sensitivity import outliers
from fit.thresholds.report import measure
from fit.thresholds.scores import sort_scores

HOSTILE = [
    "=cmd|'/c calc'!A1",
    "+cmd|'/c calc'!A1",
    "-2+3+cmd|' /C calc'!A0",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "'=1+1",
    "\N{FULLWIDTH EQUALS SIGN}1+1",
    "a|b",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[x](javascript:alert(1))",
    "![x](http://example.org/x.png)",
    r"\input{/etc/passwd}",
    r"\write18{id}",
    "$\\frac$",
    "$",
    "%",
    "&",
    "_",
    "#",
    "^^5cinput{x}",
    "*bold* _and_ `code`",
    "[2pt]",
    '"quoted"',
]
BROKEN = ["two\nlines", "two\r\nlines", "\t=1+1", "\r=1+1", "a\n\n# heading\n\n<b>"]
"""With line ends and tabs, which a concept sheet refuses."""
ANY = st.text(alphabet=st.characters(codec="utf-8"))


def is_live(text):
    """Whether a spreadsheet computes a cell, as OWASP's page on CSV injection says."""
    starts = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
    return text.startswith(starts) and not re.fullmatch(r"[+-]\d*\.?\d*(e[+-]?\d+)?\s*%?", text, re.IGNORECASE)


def check_cells(text, wanted, delimiter="\t"):
    rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    assert not [one for row in rows for one in row if is_live(one)]
    assert len({len(row) for row in rows}) == 1
    assert set(wanted) <= {uncell(one) for row in rows for one in row}


def check_markdown(text):
    """A reader sees text, headings, tables, and the report's own pictures: no HTML, link, or code of anybody else's."""
    shown = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(text)
    tokens = [token for block in shown for token in (block, *(block.children or []))]
    kinds = {token.type.removesuffix("_open").removesuffix("_close") for token in tokens}
    own = {"heading", "paragraph", "inline", "text", "softbreak", "strong", "bullet_list", "list_item", "image"}
    assert kinds <= own | {"table", "thead", "tbody", "tr", "th", "td", "text_special"}
    assert not re.search(r"(?<!\\)(?:\\\\)*\$", text)  # a formula, on some pages
    return tokens


def check_latex(text):
    """Only the commands and signs that the table itself is made of."""
    commands = set(re.findall(r"\\([a-zA-Z]+|.)", text))
    made = {"begin", "end", "toprule", "midrule", "bottomrule", "\\", *"{}$&#%_"}
    assert commands <= made | {"textbackslash", "textasciicircum", "textasciitilde", "textless", "textgreater"}
    assert not set(re.sub(r"\\.", "", text)) & set("$#%_^~<>")
    assert not re.search(r"(\\\\|rule)\s*[\[*]", text)
    widths = {len(re.findall(r"(?<!\\)&", line)) for line in text.splitlines() if line.endswith(r"\\")}
    assert len(widths) == 1


# --- the functions ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [*HOSTILE[:6], *BROKEN[2:4]])
def test_a_formula_gets_an_apostrophe(text):
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize(
    "value", ["-0.3", "+36", "-1e-05", "-5 %", "1.5", "", "Ann", "O'Hara", "'Ann'", "x=1", "'-0.3", -0.3, 4, None]
)
def test_numbers_and_names_stay_as_they_are(value):
    assert cell(value) == value
    if isinstance(value, str):
        assert uncell(value) == value


@given(ANY)
def test_a_cell_reads_as_it_was_and_is_no_formula(text):
    assert uncell(cell(text)) == text
    assert not is_live(cell(text))


@pytest.mark.slow
@given(st.lists(st.lists(ANY, min_size=2, max_size=2), min_size=1), st.sampled_from("\t,"))
def test_delimited_text_has_the_rows_that_it_was_made_of(rows, delimiter):
    read = csv.reader(io.StringIO(delimited(rows, delimiter), newline=""), delimiter=delimiter)
    assert [[uncell(one) for one in row] for row in read] == rows


@given(ANY)
def test_markdown_is_text_and_nothing_else(text):
    shown = MarkdownIt("commonmark", {"html": True}).parse(f"x{markdown(text)}x")
    assert [block.type for block in shown] == ["paragraph_open", "inline", "paragraph_close"]
    assert {token.type for token in shown[1].children} <= {"text", "text_special"}
    shown_text = "".join(token.content for token in shown[1].children)
    assert shown_text[1:-1].split() == re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", " ", text).split()


@given(ANY)
def test_latex_is_one_line_without_commands(text):
    check_latex(rf"{latex(text)} & \\")
    bare = re.sub(r"\\[{}]", "", latex(text))
    assert bare.count("{") == bare.count("}")


@pytest.mark.parametrize("name", ["sd1.1", "my_model-2", "Ann O'Hara", "0.457", "400 to 500"])
def test_plain_names_are_the_same_in_markdown(name):
    assert markdown(name) == name


# --- every report that can hold a name --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HOSTILE + BROKEN)
def test_the_report_of_a_study(tmp_path, name):
    found = {"match_threshold": 0.4, "method": name, "tpr": 1, "fpr": 0, "roc_auc": 1, "equal_error_rate": 0}
    (tmp_path / "people.threshold.json").write_text(json.dumps(found))
    counts = tmp_path / "counts.parquet"
    pl.DataFrame({"concept": [name], "effective_count": [3]}).write_parquet(counts)
    missing = {(name, "people"): [f"{name}: put it there", "`a.b` is missing"]}
    stated = DataSource(kind="corpus", name=name, places=(name,), origin=name, licence=name)
    made = [
        report.thresholds_table({}, missing, {}),
        report.counts_table({(name, "people"): counts}),
        report.calibration_table({(name, "same concept"): tmp_path / "people.threshold.json"}),
        report.data_table([(stated, OptOuts(words=""))]),
    ]
    out, pictures = tmp_path / "out", {name: f"figures/{name.replace('/', '')}.png"}
    report.write_report(name, [f"{name} begins to imitate"], made, missing, pictures, out)
    for one in made:
        check_cells((out / f"{one.name}.tsv").read_bytes().decode(), [name])
        check_latex((out / f"{one.name}.tex").read_bytes().decode())
        cells = [token.type for token in check_markdown((out / f"{one.name}.md").read_text())]
        assert cells.count("th_open") == len(one.columns)
        assert cells.count("td_open") == len(one.columns) * len(one.rows)
    tokens = check_markdown((out / "report.md").read_text())
    assert [token.type for token in tokens].count("heading_open") == 1 + len(
        made
    ) + 5  # missing, figures, readers, limits, uses
    (picture,) = [token for token in tokens if token.type == "image"]
    assert not set(picture.attrs["src"]) & set(" <>()[]|\"'\\$`")


def test_the_audit():
    found = audit([ConceptCount(name, 5) for name in HOSTILE + BROKEN], read_threshold("50"))
    check_cells(found.table(), HOSTILE + BROKEN)
    assert f"\n{HOSTILE[0]} " in tables.aligned(found.table(), 10_000)  # a terminal computes nothing


def test_the_rows_to_remove(tmp_path):
    names = HOSTILE + BROKEN
    columns = {"concept": ["ann"] * len(names), "shard": names, "row": range(len(names)), "url": names}
    pq.write_table(pa.table(columns | {"caption": names}), tmp_path / "matched_captions.parquet")
    (tmp_path / "counts.csv").write_text(f"concept,effective_count,captions\nann,{len(names)},{len(names)}\n")
    files = [
        "--counts",
        tmp_path / "counts.csv",
        "--matched-captions",
        tmp_path / "matched_captions.parquet",
        "--plan",
        tmp_path / "plan",
    ]
    assert main(["audit", "--threshold", "1", *map(str, files)]) == 0
    check_cells((tmp_path / "plan.csv").read_bytes().decode(), names, ",")
    exact = pq.read_table(tmp_path / "plan.parquet")
    assert [exact.column(name).to_pylist() for name in ("shard", "url", "caption")] == [names] * 3
    read = read_user_table(tmp_path / "plan.csv", ("caption",)).values("caption")
    assert read[: len(HOSTILE)] == HOSTILE


def test_outliers():
    names = HOSTILE + BROKEN
    scored = sort_scores(names, np.arange(len(names)), np.arange(len(names)) / 100)
    found = [outliers.Outlier(str(name), i, "below", 1.0, ((name, name),)) for i, name in enumerate(scored.concepts)]
    check_cells(outliers.tabulate(scored, found, (0.1, 0.9)), names)


def test_the_verification_of_embedders():
    rates = {"fnmr": 0.1, "fnmr_low": 0.0, "fnmr_high": 0.2, "concepts": 2}
    rates |= dict.fromkeys(("fmr", "fmr_low", "fmr_high"))
    quality = {"match_threshold": -0.3, "roc_auc": 1.0, "equal_error_rate": 0.0}
    text = verification.tabulate([(name, quality, [rates | {"group": name}]) for name in HOSTILE + BROKEN])
    check_cells(text, [*HOSTILE, *BROKEN, "-0.3000"])


def test_a_written_sheet_reads_as_it_was(tmp_path):
    concepts = [
        Concept(f"c{i}", name, tuple(alias for alias in (name, "-0.3", "'+1") if "|" not in alias), name)
        for i, name in enumerate(HOSTILE)
    ]
    write_sheet(concepts, tmp_path / "sheet.tsv")
    assert read_sheet(tmp_path / "sheet.tsv") == concepts
    check_cells((tmp_path / "sheet.tsv").read_text(), HOSTILE)


def test_ratings_are_read_as_they_were_given(tmp_path):
    ratings = [Rating("Ann", name, name, name, 3, "now", "0") for name in HOSTILE]
    with Answers(tmp_path / "ratings.csv") as answers:
        answers.add(ratings)
    check_cells((tmp_path / "ratings.csv").read_text(), HOSTILE, ",")
    assert read_ratings(tmp_path / "ratings.csv") == ratings
    with Answers(tmp_path / "ratings.csv") as answers:
        assert answers.ratings == ratings
    assert import_ratings(tmp_path / "ratings.csv", tmp_path / "others.csv") == (len(HOSTILE), len(HOSTILE))
    assert read_ratings(tmp_path / "others.csv") == ratings


@pytest.mark.slow
@pytest.mark.parametrize("name", ["$\\frac$", "$x", "$a_b$", "50 % $", "\\", "_^{"])
def test_figures_show_a_name_and_no_formula(tmp_path, monkeypatch, name):
    kept: list = []
    monkeypatch.setattr(plt, "close", kept.append)
    counts, scores = np.arange(20), np.array([0.1] * 10 + [0.9] * 10)
    found = measure(sort_scores([f"c{i}" for i in counts], counts, scores), penalty=0.9, resamples=20, seed=0)
    figures.threshold_figure(counts, scores, found, name, tmp_path / "a.png", name)
    figures.counts_figure(counts, name, tmp_path / "b.png")
    figures.match_threshold_figure(scores, scores, 0.5, (name, name, name), tmp_path / "c.png", name)
    choices = {"penalty": {"answers": [{"threshold": 5, "weight": 1.0}]}}
    sensitivity = {"threshold": 5, "interval": [0, 9], "choices": choices}
    figures.sensitivity_figure(sensitivity, {"penalty": (name, name)}, name, tmp_path / "d.png")
    data = table.encode_png(Image.new("RGB", (8, 8)))
    rows = {"image_id": [name], "kept": [True], "decision": [name], "prompt": [name], "status": ["ok"], "bytes": [data]}
    images = pa.table(rows)
    schema = pa.schema([CONCEPT, *images.schema])
    write_concepts([(name, images)], tmp_path / "t.parquet", schema)
    contact_sheets.references_sheet(tmp_path / "t.parquet", tmp_path / "e.png")
    contact_sheets.generated_sheet(tmp_path / "t.parquet", tmp_path / "f.png", name)
    contact_sheets.contact_sheet(
        [(name, name, tmp_path / "t.parquet", tmp_path / "t.parquet")], tmp_path / "g.png", name
    )
    monkeypatch.undo()
    assert len(kept) == 7
    for figure in kept:
        said = [text for text in figure.findobj(plt.Text) if name in text.get_text()]
        assert said
        assert not [text for text in said if text.get_parse_math()]
    plt.close("all")
