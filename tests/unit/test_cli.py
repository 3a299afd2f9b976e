import json
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from fit.cli.main import main
from fit.errors import FitError
from fit.images import table
from fit.images.table import FLAT
from fit.io import parquet


def test_help_imports_nothing_heavy():
    heavy = "{'torch', 'diffusers', 'open_clip', 'polars', 'pyarrow', 'numpy', 'scipy', 'pydantic', 'matplotlib'}"
    code = "import sys; from fit.cli.main import make_parser; make_parser().format_help(); "
    code += f"print({heavy} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "set()"


@pytest.fixture
def scores(tmp_path):
    counts = np.round(10 ** np.linspace(0, 3, 60)).astype(int)
    lines = [f"c{i},{c},{0.6 if c >= 50 else 0.1}" for i, c in enumerate(counts)]
    path = tmp_path / "scores.csv"
    path.write_text("\n".join(["concept,effective_count,score", *lines]))
    return path


def test_threshold_of_a_csv(scores, tmp_path, capsys):
    assert main(["thresholds", "detect", str(scores), "--out", str(tmp_path / "t.json"), "--resamples", "50"]) == 0
    found = json.loads((tmp_path / "t.json").read_text())
    assert f"imitation threshold: {found['threshold']} images" in capsys.readouterr().out
    assert 50 <= found["threshold"] < 60


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("concept,score\na,1", "no column 'effective_count'"),
        ("concept,effective_count,score\na,x,1\nb,2,1", "effective_count is 'x', not a number"),
        ("", "the file is empty"),
    ],
)
def test_a_bad_table_is_an_error_without_a_traceback(tmp_path, capsys, text, said):
    path = tmp_path / "bad.csv"
    path.write_text(text)
    assert main(["thresholds", "detect", str(path), "--out", str(tmp_path / "t.json")]) == 1
    message = capsys.readouterr().err
    assert said in message
    assert "Traceback" not in message
    assert not (tmp_path / "t.json").exists()


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("t.csv", 'concept,effective_count,score\na,1,"0,1"\n', "is it 0.1 (a decimal comma)?"),
        ("t.csv", None, "there is no such file"),
        ("t.csv", "concept,effective_count,score\na,x,1\n", "concept 'a': effective_count is 'x', not a number"),
    ],
)
def test_what_is_wrong_with_a_table_is_one_line_that_names_it_once(tmp_path, capsys, name, text, said):
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    assert main(["thresholds", "detect", str(path)]) == 1
    message = capsys.readouterr().err
    assert message.startswith((f"fit: {path}: ", f"fit: {path}, line "))
    assert message.count("\n") == 1
    assert message.count(str(path)) == 1
    assert said in message


def test_a_table_may_be_separated_by_tabs(scores, tmp_path, capsys):
    (tmp_path / "scores.tsv").write_text(scores.read_text().replace(",", "\t"))
    said = []
    for path in (scores, tmp_path / "scores.tsv"):
        assert main(["thresholds", "detect", str(path), "--resamples", "20"]) == 0
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]


@pytest.mark.parametrize("wrong", [{"penalty": 0}, {"penalty": float("nan")}, {"resamples": 0}])
def test_settings_that_cannot_be_are_errors(scores, wrong):
    from fit.thresholds.report import measure
    from fit.thresholds.scores import read_table

    with pytest.raises(FitError, match="; give "):
        measure(read_table(str(scores)), **({"penalty": 0.9, "resamples": 20, "seed": 0} | wrong))


@pytest.mark.parametrize("text", [None, "no json", "[]", '{"match_threshold": 1}'])
@pytest.mark.parametrize(
    "command", [["sensitivity", "measure"], ["thresholds", "plot", "--out", "p.png"]], ids=["sensitivity", "plot"]
)
def test_a_threshold_that_is_none_is_one_line(scores, tmp_path, capsys, command, text):
    path = tmp_path / "t.json"
    if text is not None:
        path.write_text(text)
    assert main([*command, str(scores), "--threshold", str(path)]) == 1
    message = capsys.readouterr().err
    assert message.startswith(f"fit: {path}: ")
    assert "`fit thresholds detect --out`" in message
    assert message.count("\n") == 1


def test_files_that_are_missing_or_empty_are_one_line(tmp_path, capsys):
    (tmp_path / "empty.tsv").write_text("")
    for name, said in (("nowhere.tsv", "No such file"), ("empty.tsv", "nothing in it")):
        assert main(["reports", "show", str(tmp_path / name)]) == 1
        message = capsys.readouterr().err
        assert message.startswith(f"fit: {tmp_path / name}: ")
        assert said in message
        assert message.count("\n") == 1


def embeddings(path, vectors, prefix="i"):
    vectors = np.asarray(vectors, np.float32)
    columns = {
        "concept": ["ann"] * len(vectors),
        "image_id": [f"{prefix}{i}" for i in range(len(vectors))],
        "embedding": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1]),
    }
    parquet.write(pa.table(columns), path)


@pytest.fixture
def concept(tmp_path):
    """Three references and four training images of a concept: two match, one is a photograph, one another's."""
    embeddings(tmp_path / "refs.parquet", [[1, 0, 0]] * 3, "r")
    references = {
        "concept": ["ann"] * 3,
        "image_id": ["r0", "r1", "r2"],
        "kept": [True, True, False],
        "bytes": [b"", b"", b""],
    }
    parquet.write(pa.table(references), tmp_path / "references.parquet")
    embeddings(tmp_path / "images.parquet", [[1, 0, 0], [0.9, 0.436, 0], [1, 0, 0], [0, 1, 0]])
    embeddings(tmp_path / "art.parquet", [[1, 0], [1, 0], [0, 1], [1, 0]])
    embeddings(tmp_path / "texts.parquet", [[1, 0]], "t")
    (tmp_path / "match_threshold.json").write_text('{"match_threshold": 0.8}')
    (tmp_path / "art.json").write_text('{"match_threshold": 0.5}')
    (tmp_path / "sheet.tsv").write_text("concept\tname\nann\tAnn\n")
    return tmp_path


def matched(folder, *options):
    files = ["--images", folder / "images.parquet", "--references", folder / "references.parquet"]
    files += ["--reference-embeddings", folder / "refs.parquet", "--match-threshold", folder / "match_threshold.json"]
    assert (
        main(
            [
                "matches",
                "find",
                "--concepts",
                "ann",
                *map(str, [*files, *options]),
                "--out",
                str(folder / "ann.parquet"),
            ]
        )
        == 0
    )
    return pq.read_table(folder / "ann.parquet").column("match").to_pylist()


def test_a_match_is_similar_and_an_artwork(concept):
    assert matched(concept) == [True, True, True, False]
    art = ["--art-embeddings", concept / "art.parquet", "--art-texts", concept / "texts.parquet"]
    assert matched(concept, *art, "--art-threshold", concept / "art.json") == [True, True, False, False]
    assert matched(concept, "--art-embeddings", "--art-texts", "--art-threshold") == [True, True, True, False]


def test_art_embeddings_of_other_images_are_refused(concept, capsys):
    embeddings(concept / "art.parquet", [[1, 0]] * 4, "other")
    files = {"images": "images", "references": "references", "reference-embeddings": "refs", "art-embeddings": "art"}
    files |= {"art-texts": "texts", "out": "m"}
    words = [word for key, name in files.items() for word in (f"--{key}", str(concept / f"{name}.parquet"))]
    words += ["--match-threshold", str(concept / "match_threshold.json"), "--art-threshold", str(concept / "art.json")]
    assert main(["matches", "find", "--concepts", "ann", *words]) == 1
    assert "not of the same images" in capsys.readouterr().err


def test_local_images_are_counted_and_not_sampled(concept):
    matched(concept)
    (concept / "status").mkdir()
    columns = {"concept": ["ann"] * 4, "status": ["ok"] * 4, "perceptual_hash": list("abcd"), "sha256": list("pqrs")}
    pq.write_table(pa.table(columns), concept / "status" / "ann.parquet")
    files = ["--images", str(concept / "status/ann.parquet"), "--matches", str(concept / "ann.parquet")]
    files += ["--sheet", str(concept / "sheet.tsv")]
    assert main(["counts", "estimate", "--captions", *files, "--out", str(concept / "counts.parquet")]) == 0
    row = pq.read_table(concept / "counts.parquet").to_pylist()[0]
    expected = {"captions": None, "downloaded": 4, "matches": 3, "effective_count": 3, "low": 3, "high": 3}
    assert {key: row[key] for key in expected} == expected


def test_counts_are_estimated_and_scaled(concept):
    matched(concept)
    pq.write_table(pa.table({"concept": ["ann"], "captions": [8]}), concept / "captions.parquet")
    status = pa.table(
        {
            "concept": ["ann"] * 5,
            "status": ["ok", "ok", "gone", "ok", "ok"],
            "perceptual_hash": ["a", "a", None, FLAT, FLAT],
            "sha256": list("pqrst"),
        }
    )
    (concept / "status").mkdir()
    pq.write_table(status, concept / "status" / "ann.parquet")
    arguments = ["--captions", "captions.parquet", "--images", "status/ann.parquet", "--matches", "ann.parquet"]
    arguments += ["--sheet", "sheet.tsv"]
    arguments = [a if a.startswith("--") else str(concept / a) for a in arguments]
    assert main(["counts", "estimate", *arguments, "--out", str(concept / "counts.parquet")]) == 0
    row = pq.read_table(concept / "counts.parquet").to_pylist()[0]
    expected = {"captions": 8, "requested": 5, "downloaded": 4, "unique_images": 3, "matches": 3, "effective_count": 6}
    assert {key: row[key] for key in expected} == expected
    assert row["low"] < 6 <= row["high"]
    pq.write_table(pa.table({"concept": ["ann"], "captions": [24]}), concept / "more.parquet")
    arguments = ["--captions", str(concept / "more.parquet"), "--counts", str(concept / "counts.parquet")]
    assert main(["counts", "scale", *arguments, "--out", str(concept / "scaled.parquet")]) == 0
    assert pq.read_table(concept / "scaled.parquet").to_pylist()[0]["effective_count"] == 18


def test_scores_are_by_prompt(concept):
    matched(concept)
    embeddings(concept / "g.parquet", [[1, 0, 0], [1, 0, 0], [0, 0, 1], [0, 0, 1]], "g")
    generated = {
        "concept": ["ann"] * 5,
        "image_id": ["g0", "g1", "g2", "g3", "g4"],
        "prompt": ["x", "x", "y", "y", "z"],
    }
    pq.write_table(pa.table(generated), concept / "generated.parquet")
    files = {"generated": "generated", "generated-embeddings": "g", "images": "images", "matches": "ann"}
    files |= {"references": "references", "reference-embeddings": "refs"}
    arguments = [part for key, name in files.items() for part in (f"--{key}", str(concept / f"{name}.parquet"))]
    arguments += ["--concepts", "ann", "--targets", "matches_or_references", "--out", str(concept / "s.parquet")]
    assert main(["scores", "imitation", *arguments]) == 0
    rows = pq.read_table(concept / "s.parquet").to_pylist()
    # Three matches are too few to be a style's targets: the two kept references are.
    names = ("prompt", "score", "images", "targets", "image_scores", "fixed_sizes", "fixed_scores")
    assert [tuple(row[name] for name in names) for row in rows] == [
        ("x", 1.0, 2, 2, [1.0, 1.0], [2], [1.0]),
        ("y", 0.0, 2, 2, [0.0, 0.0], [2], [0.0]),
        ("z", None, 0, 2, [], [], []),
    ]
    assert {row["concept"] for row in rows} == {"ann"}


def test_show_draws_and_unpacks(tmp_path, capsys):
    pictures = [table.encode_png(np.full((8, 8, 3), i / 9)) for i in range(9)]
    parquet.write(pa.table({"image_id": [str(i) for i in range(9)], "bytes": pictures}), tmp_path / "t.parquet")
    assert (
        main(["images", "show", str(tmp_path / "t.parquet"), "--out", str(tmp_path / "s.png"), "--columns", "3"]) == 0
    )
    assert table.decode((tmp_path / "s.png").read_bytes(), "").size == (200, 200)
    assert main(["images", "show", str(tmp_path / "t.parquet"), "--unpack", str(tmp_path / "out")]) == 0
    assert len(list((tmp_path / "out").glob("*.png"))) == 9
    assert "9 pictures" in capsys.readouterr().out


@pytest.mark.slow
def test_photographs_may_lie_in_a_folder(tmp_path):
    folder = tmp_path / "my photographs"
    (folder / "of streets").mkdir(parents=True)
    for i, place in enumerate((folder, folder / "of streets")):
        Image.new("RGB", (40, 30), (10 * i, 0, 0)).save(place / f"{i}.png")
    out = tmp_path / "photographs.parquet"
    work = ["--work", str(tmp_path / "work")]
    assert main(["images", "import-photographs", "--place", str(folder), "--out", str(out), *work]) == 0
    rows = parquet.read(out).to_pylist()
    assert [(row["image_id"], row["status"]) for row in rows] == [("0.png", "ok"), ("of streets/1.png", "ok")]
    assert main(["images", "import-photographs", "--place", str(tmp_path / "none"), "--out", str(out)]) == 1


def test_an_art_threshold_that_is_given_needs_no_photographs(concept):
    texts, art, out = (concept / name for name in ("texts.parquet", "art.parquet", "art.json"))
    figure = out.with_suffix(".png")
    given = ["--method", "0.18", "--out", str(out), "--figure", str(figure)]
    assert (
        main(["matches", "art-threshold", "--artworks", str(art), "--photographs", "--texts", str(texts), *given]) == 0
    )
    found = json.loads(out.read_text())
    assert found["match_threshold"] == 0.18 and found["fpr"] is None and figure.stat().st_size > 1000


@pytest.mark.parametrize("match_threshold", ["NaN", "Infinity", "1.5", '"0.5"', "[0.5]"])
def test_a_match_threshold_that_is_not_a_cosine_is_an_error(concept, capsys, match_threshold):
    (concept / "match_threshold.json").write_text(f'{{"match_threshold": {match_threshold}}}')
    files = ["--images", concept / "images.parquet", "--references", concept / "references.parquet"]
    files += ["--reference-embeddings", concept / "refs.parquet", "--match-threshold", concept / "match_threshold.json"]
    out = ["--concepts", "ann", "--out", str(concept / "ann.parquet")]
    assert main(["matches", "find", *map(str, files), *out]) == 1
    assert "match_threshold.json: its match threshold is" in capsys.readouterr().err
    assert not (concept / "ann.parquet").exists()
