"""The table of counts and scores of all concepts."""

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from concept_files import write_rows, write_vectors
from hypothesis import given, settings
from hypothesis import strategies as st

from fit.cli.main import main
from fit.errors import DataError
from fit.images.table import REFERENCES
from fit.io.concept_tables import ConceptTables
from fit.io.parquet import write
from fit.scores.imitation import OF_PROMPT
from fit.scores.tabulate import tabulate_scores
from fit.thresholds.scores import read_table


def write_sheet(folder, *slugs):
    text = "concept\tname\n" + "".join(f"{slug}\t{slug.upper()}\n" for slug in slugs)
    (folder / "sheet.tsv").write_text(text)
    return folder / "sheet.tsv"


def rows_of(prompts):
    """Rows of a concept: prompt -> scores of its images, None where it has none."""
    return [
        {"prompt": name, "score": None if scores is None else float(np.mean(scores)), "image_scores": scores}
        for name, scores in prompts.items()
    ]


def test_prompts_that_concepts_share_by_name_are_in_one_order(tmp_path):
    # Imported pictures: b has no folder of the first prompt, and its second is not taken for it.
    pq.write_table(pa.table({"concept": ["a", "b", "c"], "effective_count": [1, 2, 3]}), tmp_path / "counts.parquet")
    of_concepts = {
        "a": {"oil": [0.1], "ink": [0.2]},
        "b": {"ink": [0.3]},
        "c": {"oil": [0.4], "ink": [0.5]},
        "left-out": {"oil": [0.6]},
    }
    rows = {concept: rows_of(prompts) for concept, prompts in of_concepts.items()}
    scores = ConceptTables([write_rows(tmp_path / "scores.parquet", rows, OF_PROMPT)])
    found, _ = tabulate_scores(tmp_path / "counts.parquet", scores, write_sheet(tmp_path, *"abcd"))
    assert found.column("concept").to_pylist() == ["a", "b", "c"]
    assert found.column("image_scores").to_pylist() == [[[0.1], [0.2]], [[], [0.3]], [[0.4], [0.5]]]
    assert found.column("score").to_pylist()[1] == 0.3


def test_a_prompt_that_counts_as_zero_is_in_the_mean_and_in_what_a_bootstrap_draws(tmp_path):
    pq.write_table(pa.table({"concept": ["a"], "effective_count": [9]}), tmp_path / "counts.parquet")
    scores = ConceptTables(
        [write_rows(tmp_path / "scores.parquet", {"a": rows_of({"oil": [0.4], "ink": [0.0]})}, OF_PROMPT)]
    )
    found, _ = tabulate_scores(tmp_path / "counts.parquet", scores, write_sheet(tmp_path, "a"))
    write(found, tmp_path / "table.parquet")
    table = read_table(tmp_path / "table.parquet")
    assert table.scores.tolist() == [0.2] and [images.tolist() for images in table.images[0]] == [[0.4], [0.0]]


def test_prompts_of_templates_are_carried_by_template_where_a_concept_lacks_one(tmp_path):
    # The first concept lacks the first prompt; Art's name is a word of every template too.
    names = {"bob": "Bob", "ann": "Ann", "art": "Art", "cy": "Cy", "dee": "Dee"}
    templates = ("Art by {name}", "{name} in ink", "{name} in oil")
    rows = {}
    for number, (slug, name) in enumerate(names.items()):
        prompts = {t.replace("{name}", name): [number + k / 10] for k, t in enumerate(templates)}
        if slug == "bob":
            del prompts["Art by Bob"]
        if slug == "art":
            del prompts["Art in ink"]
        rows[slug] = rows_of(prompts)
    counts = {"concept": list(names), "effective_count": [0, 1, 2, 3, 4]}
    pq.write_table(pa.table(counts), tmp_path / "counts.parquet")
    sheet = tmp_path / "sheet.tsv"
    sheet.write_text("concept\tname\n" + "".join(f"{slug}\t{name}\n" for slug, name in names.items()))
    scores = ConceptTables([write_rows(tmp_path / "scores.parquet", rows, OF_PROMPT)])
    found, _ = tabulate_scores(tmp_path / "counts.parquet", scores, sheet)
    assert found.column("image_scores").to_pylist() == [
        [[], [0.1], [0.2]],
        [[1.0], [1.1], [1.2]],
        [[2.0], [], [2.2]],
        [[3.0], [3.1], [3.2]],
        [[4.0], [4.1], [4.2]],
    ]


def test_tabulated_scores_carry_images_groups_and_the_counts_evidence(tmp_path):
    counts = {"concept": ["a", "b"], "effective_count": [9, 4], "captions": [10, 8], "matches": [8, 3]}
    pq.write_table(pa.table(counts), tmp_path / "counts.parquet")
    for name, scores in (("a", [[0.1, 0.3], [0.4]]), ("b", [[0.6], None])):
        rows = rows_of(dict(zip((f"{name}, oil", f"{name}, ink"), scores, strict=True)))
        write_rows(tmp_path / f"scores/{name}.parquet", {name: rows}, OF_PROMPT)
    (tmp_path / "sheet.tsv").write_text("concept\tname\tgroup\na\tAnn\teast\nb\tBob\t\n")
    scores = ConceptTables([tmp_path / "scores"])
    found, unscored = tabulate_scores(tmp_path / "counts.parquet", scores, tmp_path / "sheet.tsv")
    assert unscored == {}
    assert found.column("concept").to_pylist() == ["b", "a"]
    assert found.column("group").to_pylist() == [None, "east"]
    assert found.column("captions").to_pylist() == [8, 10]
    assert found.column("downloaded").to_pylist() == [None, None]
    assert found.column("image_scores").to_pylist() == [[[0.6], []], [[0.1, 0.3], [0.4]]]
    assert found.column("score").to_pylist() == [0.6, pytest.approx(0.3)]


def test_the_base_models_score_and_the_spread_of_references_are_beside_the_score(tmp_path, capsys):
    """Of "a", the references are 60 degrees apart, and one was not kept; "b" has only one; "c" has no score before."""
    slugs = ("a", "b", "c")
    pq.write_table(pa.table({"concept": slugs, "effective_count": [1, 2, 3]}), tmp_path / "counts.parquet")
    table = write_rows(tmp_path / "scores.parquet", {slug: rows_of({"oil": [0.5]}) for slug in slugs}, OF_PROMPT)
    kept = {"a": [True, True, False], "b": [True, False, False], "c": [True, True, True]}
    rows = {c: [{"image_id": f"{i}", "kept": k} for i, k in enumerate(its)] for c, its in kept.items()}
    references = write_rows(tmp_path / "references.parquet", rows, REFERENCES)
    corner = [[1, 0], [0.5, 3**0.5 / 2], [-1, 0]]
    vectors = {"a": ("012", corner), "b": ("012", corner), "c": ("012", [[1, 0]] * 3)}
    embeddings = write_vectors(tmp_path / "embeddings.parquet", vectors, 2)
    before = tmp_path / "before.csv"
    before.write_text("concept,effective_count,score\na,1,0.25\nb,2,0.125\nother,3,0.9\n")
    given = ["--counts", tmp_path / "counts.parquet", "--scores", table, "--sheet", write_sheet(tmp_path, *slugs)]
    given += ["--before", before, "--references", references]
    words = [*map(str, ["scores", "tabulate", *given, "--out", tmp_path / "table.parquet"])]
    assert main(words) != 0 and "give both or neither" in capsys.readouterr().err
    assert main([*words, "--reference-embeddings", str(embeddings)]) == 0
    found = pq.read_table(tmp_path / "table.parquet")
    assert found.column("before_score").to_pylist() == [0.25, 0.125, None]
    assert found.column("reference_spread").to_pylist() == [pytest.approx(0.5), None, pytest.approx(0.0, abs=1e-6)]


def test_a_concept_without_a_score_is_said_and_one_without_a_count_is_an_error(tmp_path, capsys):
    pq.write_table(pa.table({"concept": ["a"], "effective_count": [1]}), tmp_path / "counts.parquet")
    rows = {"a": rows_of({"oil": [0.5]}), "b": rows_of({"oil": None}), "c": []}
    table = write_rows(tmp_path / "scores.parquet", rows, OF_PROMPT)
    given = ["--counts", tmp_path / "counts.parquet", "--scores", table, "--sheet", write_sheet(tmp_path, *"abc")]
    out = tmp_path / "table.parquet"
    assert main([*map(str, ["scores", "tabulate", *given, "--out", out])]) == 0
    assert capsys.readouterr().err.count("no usable picture, or too few targets") == 2
    assert pq.read_table(out).column("concept").to_pylist() == ["a"]
    table = write_rows(tmp_path / "scores.parquet", rows | {"b": rows_of({"oil": [0.1]})}, OF_PROMPT)
    with pytest.raises(DataError, match=r"no count of 'b', which .*scores\.parquet has"):
        tabulate_scores(tmp_path / "counts.parquet", ConceptTables([table]), tmp_path / "sheet.tsv")


@pytest.mark.slow
@settings(deadline=None, max_examples=30)
@given(data=st.data())
def test_the_table_does_not_depend_on_how_concepts_share_files(data):
    slugs = data.draw(st.permutations("abcdef"))
    ends = sorted(data.draw(st.sets(st.integers(1, 5))))
    rows = {slug: rows_of({f"{slug}, oil": [ord(slug) / 200], f"{slug}, ink": None}) for slug in "abcdef"}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        counts = {"concept": list("abcdef"), "effective_count": [5, 3, 3, 8, 0, 1]}
        pq.write_table(pa.table(counts), folder / "counts.parquet")
        sheet = write_sheet(folder, *"abcdef")
        for start, end in zip([0, *ends], [*ends, 6], strict=True):
            part = {slug: rows[slug] for slug in slugs[start:end]}
            write_rows(folder / f"parts/{start}.parquet", part, OF_PROMPT)
        whole = write_rows(folder / "whole.parquet", rows, OF_PROMPT)
        found, _ = tabulate_scores(folder / "counts.parquet", ConceptTables([folder / "parts"]), sheet)
        expected, _ = tabulate_scores(folder / "counts.parquet", ConceptTables([whole]), sheet)
    assert found.equals(expected)
