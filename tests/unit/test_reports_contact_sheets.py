"""Sheets of pictures by what they draw: which pictures, in which places, under which words."""

import json

import matplotlib.pyplot as plt
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from fit.cli.main import main
from fit.images.table import GENERATED, REFERENCES, encode_png
from fit.io.concept_tables import write_concepts
from fit.reports.contact_sheets import contact_sheet, generated_sheet, references_sheet, rows_around
from fit.thresholds.scores import sort_scores


@pytest.fixture
def drawn(monkeypatch):
    """The figures that were drawn: they are kept instead of closed."""
    kept = []
    monkeypatch.setattr(plt, "close", kept.append)
    yield kept
    monkeypatch.undo()
    plt.close("all")


def png(shade):
    return encode_png(Image.new("RGB", (8, 8), (shade, 0, 0)))


def references_of(shade, kept):
    """References of a concept, of shades from `shade` up: `kept` says which are kept."""
    columns = {"image_id": [f"r{i}" for i in range(len(kept))], "kept": kept}
    columns["decision"] = ["kept" if one else "less alike" for one in kept]
    return pa.table(columns | {"bytes": [png(shade + i) for i in range(len(kept))]})


def generated_of(shade, statuses, prompts=("oil", "ink")):
    """Generated pictures of a concept: as many of each prompt as there are statuses."""
    rows = [(prompt, i, status) for prompt in prompts for i, status in enumerate(statuses)]
    columns = {
        "image_id": [f"{prompt}-{i}" for prompt, i, _ in rows],
        "prompt": [prompt for prompt, _, _ in rows],
        "index": [i for _, i, _ in rows],
        "seed": range(len(rows)),
        "status": [status for _, _, status in rows],
        "bytes": [png(shade + n) if status == "ok" else None for n, (_, _, status) in enumerate(rows)],
    }
    return pa.table(columns)


@pytest.fixture
def tables(tmp_path):
    """(table of references, table of generated pictures), of the concepts ann and bob and, without any, cy."""
    references = [("ann", references_of(10, [False, True, True])), ("bob", references_of(40, [True]))]
    references.append(("cy", references_of(0, [])))
    write_concepts(references, tmp_path / "references/0.parquet", REFERENCES, 64)
    generated = [("ann", generated_of(100, ["ok", "nan", "ok"])), ("bob", generated_of(150, ["ok"]))]
    write_concepts(generated, tmp_path / "generated/0.parquet", GENERATED, 64)
    return tmp_path / "references/0.parquet", tmp_path / "generated/0.parquet"


def shades(figure):
    """[row, column] -> shade of the picture that is drawn there."""
    found = {}
    for axes in figure.axes:
        place = axes.get_subplotspec()
        for image in axes.images:
            found[place.rowspan.start, place.colspan.start] = int(np.asarray(image.get_array())[0, 0, 0])
    return found


def texts(figure):
    return [text.get_text() for text in figure.findobj(plt.Text) if text.get_text()]


@pytest.mark.slow
def test_references_are_a_section_per_concept_the_kept_ones_first_and_in_full(tables, tmp_path, drawn):
    references_sheet(tables[0], tmp_path / "sheet.png")
    assert [figure.get_suptitle() for figure in drawn] == ["ann: 2 of 3 kept", "bob: 1 of 1 kept", "cy: 0 of 0 kept"]
    assert shades(drawn[0]) == {(0, 0): 11, (0, 1): 12, (0, 2): 10}
    assert [axes.images[0].get_alpha() for axes in drawn[0].axes[:3]] == [1, 1, 0.35]
    assert [axes.get_title() for axes in drawn[0].axes[:3]] == ["r1\nkept", "r2\nkept", "r0\nless alike"]
    assert shades(drawn[1]) == {(0, 0): 40}
    assert shades(drawn[2]) == {}
    # One picture, a section below another.
    heights = [round(figure.get_figheight() * 110) for figure in drawn]
    assert Image.open(tmp_path / "sheet.png").height == pytest.approx(sum(heights), abs=3)


def test_generated_pictures_are_a_line_per_prompt_and_failures_are_words(tables, tmp_path, drawn):
    generated_sheet(tables[1], tmp_path / "sheet.png", "my-model")
    assert [figure.get_suptitle() for figure in drawn] == ["my-model, ann: 6 pictures", "my-model, bob: 2 pictures"]
    assert shades(drawn[0]) == {(0, 0): 100, (0, 2): 102, (1, 0): 103, (1, 2): 105}
    assert {"oil", "ink"} <= set(texts(drawn[0])) and texts(drawn[0]).count("nan") == 2
    assert shades(drawn[1]) == {(0, 0): 150, (1, 0): 151}


def test_a_table_without_concepts_is_one_section(tmp_path, drawn):
    schema = pa.schema([field for field in REFERENCES if field.name != "concept"])
    pq.write_table(references_of(7, [True]).cast(schema), tmp_path / "own.parquet")
    references_sheet(tmp_path / "own.parquet", tmp_path / "sheet.png")
    assert [figure.get_suptitle() for figure in drawn] == ["References: 1 of 1 kept"]


@pytest.mark.slow
def test_the_contact_sheet_has_pictures_of_the_concept_and_of_no_other_in_its_table(tables, tmp_path, drawn):
    rows = [(f"{concept} (above)", concept, *tables) for concept in ("bob", "ann")]
    contact_sheet(rows, tmp_path / "sheet.png", "a study", references=3, generated=2)
    (figure,) = drawn
    assert figure.get_suptitle() == "a study"
    # Kept references and pictures that are "ok", spread over the rows.
    assert shades(figure) == {(0, 0): 40, (0, 3): 150, (0, 4): 151, (1, 0): 11, (1, 1): 12, (1, 3): 100, (1, 4): 105}
    assert {"bob (above)", "ann (above)", "references", "generated"} <= set(texts(figure))


def test_as_many_concepts_are_shown_below_as_above():
    table = sort_scores([f"c{i:02d}" for i in range(30)], range(30), np.linspace(0, 1, 30))
    chosen = rows_around(table, {"threshold": 20, "below": {"concepts": 20}}, 6)
    assert [concept for _, concept in chosen] == ["c00", "c09", "c19", "c20", "c24", "c29"]
    assert chosen[2][0] == "c19\n19 images, score 0.66 (below)"
    assert chosen[3][0].endswith("(above)")
    assert [label[-1] for label, _ in rows_around(table, {"threshold": None, "below": None}, 2)] == ["0", "2"]


@pytest.mark.slow
def test_the_command_finds_concepts_in_tables_of_several(tables, tmp_path, drawn):
    (tmp_path / "scores.csv").write_text("concept,effective_count,score\nann,1,0.1\nbob,9,0.9\n")
    found = dict.fromkeys(("interval", "above", "changes", "concepts", "estimator", "penalty"))
    (tmp_path / "t.json").write_text(json.dumps(found | {"threshold": 9, "below": {"concepts": 1}}))
    places = ["--references", str(tables[0].parent), "--generated", str(tables[1])]
    arguments = [str(tmp_path / "scores.csv"), "--threshold", str(tmp_path / "t.json"), *places]
    assert main(["thresholds", "pictures", *arguments, "--out", str(tmp_path / "sheet.png")]) == 0
    assert shades(drawn[0])[0, 0] == 11 and shades(drawn[0])[1, 0] == 40
    assert (tmp_path / "sheet.png").exists()
