"""What `fit explorer build` writes: one file within its budget, escaped; what it refuses, it names."""

import base64
import gzip
import html
import json
import re

import explorer_study
import pyarrow as pa
import pytest
from explorer_study import MARKUP

from fit.cli.main import main
from fit.errors import DataError, FitError, ImageTableError
from fit.explorer import charts, page
from fit.explorer.contents import PICTURES
from fit.explorer.page import build, code, date, number, sentence, thin
from fit.explorer.settings import PageSettings
from fit.io.concept_tables import write_concepts

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def no_runtime(monkeypatch):
    """A short script in place of Vega, which takes seconds to bundle; tests/browser runs the real one."""
    monkeypatch.setattr(charts, "runtime", lambda: "window.vegaEmbed = null;")


@pytest.fixture(scope="module")
def small():
    """A study of one part with 6 concepts and one kind of score."""
    part = explorer_study.part("model-a", "painters", 6, 300)
    part["scores"] = part["scores"][:1]
    return explorer_study.study([part])


def made(folder, study, settings=None, **how):
    """Return what was made of a study, and the page's text."""
    path, places = explorer_study.write(folder, study, px=16, **how)
    out = folder / "index.html"
    summary = build(path, places, out, settings)
    return summary, out.read_text(encoding="utf-8")


def data_of(text, name):
    """Return what a JSON element of a page holds."""
    found = re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', text, re.S)
    return json.loads(found[1]) if found else None


def test_thresholds_whose_truth_is_known_are_drawn_a_dot_each(small, tmp_path):
    known = [{"world": "101", "ratios": [0.5, 1.0, 1000.0]}, {"world": "102", "ratios": [0.0]}]
    _, text = made(tmp_path, {**small, "known_truth": known})
    assert "Where the truth is known" in text
    places = [float(place) for place in re.findall(r'<circle cx="([^"]+)"', text)]
    assert places == [258 - 46, 258, 258 + 3 * 46, 258 - 3 * 46]  # at most a factor of 8 each way
    assert "0.50, 1.00, 1,000.00" in text
    _, without = made(tmp_path / "without", small)
    assert "Where the truth is known" not in without and "<circle" not in without


def test_the_page_is_one_file_with_its_pictures(small, tmp_path):
    summary, text = made(tmp_path, small)
    assert (summary.pictures, summary.left_out) == (60, 0)
    assert summary.size == len(text.encode())
    found = data_of(text, "pictures-0-2")
    roles = [one["role"] for one in found["pictures"]]
    assert roles[:3] == ["reference", "generated", "target"] and roles.count("generated") == 4
    assert base64.b64decode(found["data"][0])[:4] == b"RIFF"
    assert not re.search(r'(src|href)="(?!#|data:,)', text)


def test_the_same_study_makes_the_same_page(small, tmp_path):
    """But for PDF, in which vl-convert writes the same objects in an order of chance."""
    _, first = made(tmp_path / "a", small)
    _, second = made(tmp_path / "b", small)
    first, second = (re.sub(r'"pdf": "[^"]*"', "", text) for text in (first, second))
    assert first == second


def test_a_picture_that_occurs_twice_is_there_once(small, tmp_path):
    path, (place,) = explorer_study.write(tmp_path, small, px=16)
    table = pa.parquet.read_table(place / "part_000.parquet").to_pylist()
    same = next(row["bytes"] for row in table if row["role"] == "target")
    rows = [row | {"bytes": same} if row["role"] == "target" else row for row in table]
    rewrite(place, rows)
    build(path, [place], tmp_path / "index.html")
    found = data_of((tmp_path / "index.html").read_text(encoding="utf-8"), "pictures-0-1")
    assert len(found["pictures"]) == 10 and len(found["data"]) == 7


def rewrite(place, rows):
    """Write rows of PICTURES as the only table of a folder."""
    columns = pa.schema([field for field in PICTURES if field.name != "concept"])
    tables = [
        (slug, pa.Table.from_pylist([row for row in rows if row["concept"] == slug], columns))
        for slug in dict.fromkeys(row["concept"] for row in rows)
    ]
    write_concepts(tables, place / "part_000.parquet", PICTURES)


def test_pictures_are_thinned_evenly_to_the_budget(small, tmp_path):
    whole, _ = made(tmp_path / "all", small)
    empty, _ = made(tmp_path / "none", small, pictures=False)
    budget = (whole.size - empty.size) * 0.4
    summary, text = made(tmp_path / "few", small, PageSettings(page_mb=budget / page.MEGABYTE))
    assert summary.pictures + summary.left_out == 60 and summary.left_out > 0
    assert summary.size - empty.size <= budget + 300  # the note that says so
    each = [len(data_of(text, f"pictures-0-{place}")["pictures"]) for place in range(6)]
    assert max(each) - min(each) <= 1 and sum(each) == summary.pictures
    assert f"{summary.left_out} of 60 pictures are left out evenly" in text


def test_a_budget_for_nothing_leaves_all_pictures_out(small, tmp_path):
    summary, text = made(tmp_path, small, PageSettings(page_mb=0.0001))
    assert summary.pictures == 0 and summary.left_out == 60
    assert "60 of 60 pictures are left out evenly" in text
    assert data_of(text, "pictures-0-0") is None


@pytest.mark.parametrize(
    ("costs", "budget", "kept"),
    [
        ([[1, 1], [1, 1], [1, 1]], 6, [2, 2, 2]),
        ([[1, 1], [1, 1], [1, 1]], 5, [2, 1, 2]),
        ([[1, 1], [1, 1], [1, 1]], 4, [1, 2, 1]),
        ([[1], [1], [1], [1]], 2, [0, 1, 0, 1]),
        ([[1, 5], [1], [1, 1]], 8, [1, 1, 2]),
        ([[], [3]], 2, [0, 0]),
        ([], 5, []),
    ],
)
def test_thinning(costs, budget, kept):
    found = thin(costs, budget)
    assert sum(sum(of_one[:few]) for of_one, few in zip(costs, found, strict=True)) <= budget
    assert found == kept


def test_text_of_strangers_is_escaped_wherever_it_is(tmp_path):
    part = explorer_study.part("model-a", "painters", 3, 300)
    part["scores"] = part["scores"][:1]
    dangerous = f"{MARKUP}</script><script>alert(1)</script><!-- \u2028 &amp; {{{{ 7 * 7 }}}}"
    for one in part["concepts"]:
        one |= {"name": dangerous, "aliases": [dangerous], "group": dangerous}
        one["outlier"] = {"side": "below", "causes": [dangerous]}
    part["answer"] |= {"sentence": dangerous, "warnings": [dangerous], "rests_on": [dangerous]}
    said = {"places": [dangerous], **dict.fromkeys(("name", "origin", "licence", "opt_outs"), dangerous)}
    more = {
        "data": [{"kind": "corpus"} | said],
        "readers": [{"who": dangerous, "words": dangerous}],
        "unsupported": [dangerous],
    }
    study = explorer_study.study([part], study=dangerous, missing=[dangerous], limits=[dangerous], **more)
    _, text = made(tmp_path, study)
    assert (
        MARKUP not in text
        and "alert(1)</script>" not in text
        and "<!-- " not in text
        and "\u2028" not in data_text(text)
    )
    assert data_of(text, "part-0")["concepts"][0]["name"] == dangerous
    assert html.escape(MARKUP, quote=False) in text and "49" not in re.findall(r"<title>(.*?)</title>", text)[0]
    shown = gzip.decompress(base64.b64decode(data_of(text, "figure-curve-0-score")["svg"])).decode()
    assert MARKUP not in shown


def data_text(text):
    return "".join(re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', text, re.S))


def test_tables_are_csv_that_a_spreadsheet_does_not_compute(small, tmp_path):
    table = {"name": "t", "title": "T", "columns": ["name", "count"], "rows": [["=1+1", 2], ["a, b", None]], "note": ""}
    _, text = made(tmp_path, small | {"tables": [table]}, pictures=False)
    assert data_of(text, "table-0") == 'name,count\n\'=1+1,2\n"a, b",\n'


def test_the_policy_names_every_script_and_forbids_the_rest(small, tmp_path):
    _, text = made(tmp_path, small, pictures=False)
    policy = html.unescape(re.search(r'http-equiv="Content-Security-Policy" content="(.*?)"', text)[1])
    scripts = re.findall(r"<script>(.*?)</script>", text, re.S)
    assert len(scripts) == len(page.SCRIPTS) + 1
    assert page._policy(scripts) == policy
    assert "default-src 'none'" in policy and "script-src 'sha256-" in policy
    assert "'unsafe-inline'" not in policy.split("style-src")[0] and "http" not in policy


def test_every_figure_is_there_as_svg_and_pdf(small, tmp_path):
    _, text = made(tmp_path, small, pictures=False)
    for name in ("figure-curve-0-score", "figure-strips-0"):
        found = {kind: gzip.decompress(base64.b64decode(data)) for kind, data in data_of(text, name).items()}
        assert found["svg"].startswith(b"<svg") and found["pdf"].startswith(b"%PDF")
        assert b'fill="#ffffff"' in found["svg"] or b'fill="white"' in found["svg"]
        assert b"model-a, painters" in found["svg"]


def broken(study, field, value):
    """Return a copy of a study, with a field, such as parts.0.answer, set."""
    copy = json.loads(json.dumps(study))
    *path, last = [int(step) if step.isdigit() else step for step in field.split(".")]
    place = copy
    for step in path:
        place = place[step]
    place[last] = value
    return copy


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("parts.0.answer.threshold", "many", r"parts\[0\]\.answer\.threshold"),
        ("parts.0.concepts.2.scores", None, r"parts\[0\]\.concepts\[2\]\.scores"),
        ("parts.0.answer.kind", "leap", r"parts\[0\]\.answer\.kind"),
        ("parts.0.surprise", 1, r"parts\[0\]\.surprise"),
        ("version", 99, "of version 99"),
    ],
)
def test_a_field_that_is_not_valid_is_named(small, tmp_path, field, value, said):
    path, _ = explorer_study.write(tmp_path, broken(small, field, value), pictures=False)
    with pytest.raises(DataError, match=rf"study\.json: .*{said}.*fit run explorer"):
        build(path, [], tmp_path / "index.html")
    assert not (tmp_path / "index.html").exists()


def test_a_file_that_is_not_a_study_is_named(tmp_path):
    out = tmp_path / "index.html"
    with pytest.raises(FitError, match="no such file"):
        build(tmp_path / "study.json", [], out)
    (tmp_path / "study.json").write_text("{", encoding="utf-8")
    with pytest.raises(FitError, match=r"study\.json: not JSON"):
        build(tmp_path / "study.json", [], out)


def test_pictures_of_no_part_are_an_error(small, tmp_path):
    path, _ = explorer_study.write(tmp_path, small, pictures=False)
    other = tmp_path / "model-z" / "painters"
    other.mkdir(parents=True)
    with pytest.raises(DataError, match=r"model-z/painters: pictures of no part of the study \(model-a/painters\)"):
        build(path, [other], tmp_path / "index.html")
    with pytest.raises(DataError, match="nowhere: no such file or folder"):
        build(path, [tmp_path / "nowhere"], tmp_path / "index.html")
    assert not (tmp_path / "index.html").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"bytes": b"GIF89a"}, "not a whole WebP picture"),
        ({"bytes": None}, "not a whole WebP picture"),
        ({"bytes": b'RIFF\x10\0\0\0WEBP"onerror="'}, "not a whole WebP picture"),
        ({"role": "photo"}, "its role is 'photo'"),
    ],
)
def test_a_picture_that_can_not_be_shown_is_named(small, tmp_path, change, said):
    path, (place,) = explorer_study.write(tmp_path, small, px=16)
    rows = pa.parquet.read_table(place / "part_000.parquet").to_pylist()
    rows[12] |= change
    rewrite(place, rows)
    with pytest.raises(ImageTableError, match=rf"part_000\.parquet: concept 'painter-001', image '.*{said}"):
        build(path, [place], tmp_path / "index.html")


def test_a_folder_without_tables_is_a_page_without_pictures(small, tmp_path):
    path, _ = explorer_study.write(tmp_path, small, pictures=False)
    place = tmp_path / "model-a" / "painters"
    place.mkdir(parents=True)
    assert build(path, [place], tmp_path / "index.html").pictures == 0
    assert "This page has no pictures." in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_a_study_without_parts_has_a_page(tmp_path):
    _, text = made(tmp_path, explorer_study.study([], missing=["no threshold was made"]))
    assert "This study has no answer yet." in text and "No threshold was made." in text


def test_the_command_says_what_it_made(small, tmp_path, capsys):
    path, (place,) = explorer_study.write(tmp_path, small, px=16)
    out = tmp_path / "index.html"
    words = ["explorer", "build", str(path), "--pictures", str(place), "--page-mb=0.01", "--out", str(out)]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert re.fullmatch(rf"{re.escape(str(out))}: \d+\.\d MB, \d+ pictures, \d+ left out \(page_mb\)\n", said)
    assert main(["explorer", "build", str(path), "--out", str(path)]) == 1
    assert "study.json" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("value", "said"),
    [(None, "none"), (0, "0"), (3, "3"), (3.25, "3.2"), (1234.6, "1,235"), (10_000_000, "10,000,000")],
)
def test_numbers(value, said):
    assert number(value) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no threshold was found", "No threshold was found."),
        ("sd1.4 imitates them", "sd1.4 imitates them."),
        ("Is it so?", "Is it so?"),
        ("", ""),
    ],
)
def test_sentences(text, said):
    assert sentence(text) == said


def test_backticks_are_code_and_the_rest_is_escaped():
    assert code("a `b < c` & `<i>` d`e") == "a <code>b &lt; c</code> &amp; <code>&lt;i&gt;</code> d`e"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2026-11-27T20:38:16+00:00", "2026-11-27 20:38 UTC"),
        ("2026-11-27T20:38:16+02:00", "2026-11-27 18:38 UTC"),
        ("2026-01-02 03:04 UTC", "2026-01-02 03:04 UTC"),
        ("unknown", "unknown"),
    ],
)
def test_dates(text, said):
    assert date(text) == said


@pytest.mark.parametrize(("largest", "said"), [(0, [0, 1]), (9, [0, 1]), (1200, [0, 1, 10, 100, 1000])])
def test_ticks_have_a_place_for_zero(largest, said):
    assert charts.ticks(largest) == said


def test_ticks_of_thresholds_are_within_the_axis():
    domain = charts.threshold_domain([294.0, 420.0])
    found = charts.ticks_between(domain)
    assert len(found) >= 3 and domain[0] <= found[0] and found[-1] <= domain[1]
    assert charts.ticks_between(charts.threshold_domain([0.0, 5.0]))[0] == 0
