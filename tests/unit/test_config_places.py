"""What a small configuration may leave out, and what its paths are relative to."""

import dataclasses
import typing

import pytest
import yaml

from fit.config.config import Config
from fit.config.defaults import EMBEDDERS
from fit.config.places import keys_of, places_in, sections_in
from fit.config.read import check, load
from fit.errors import ConfigError
from fit.io.names import expand
from fit.settings import LOADED, PLACE

SMALL = """
domains:
  people:
    concepts: people.tsv
    embedder: facenet
    references: {folder: references}
    match_threshold: midpoint
    targets: matches_and_references
    prompts: ["a photograph of {name}"]
corpora: {my-corpus: {provided_counts: counts.csv}}
models: {my-model: {corpus: my-corpus, provided_images: ../generated}}
"""


def small(**changes):
    return yaml.safe_load(SMALL) | changes


def test_a_small_configuration_is_enough():
    config = check(small())
    assert config.default_study == "study" and config.pairs("study") == [("my-model", "people")]
    assert config.embedders["facenet"].model == "vggface2" and config.atelier is None
    assert config.seed == 0  # as commands and functions have


def test_a_study_with_a_name_is_the_default_study():
    one = {"mine": {"models": ["my-model"], "domains": ["people"]}}
    assert check(small(studies=one)).default_study == "mine"
    with pytest.raises(ConfigError, match="`default_study` is missing, and there are several studies"):
        check(small(studies=one | {"other": one["mine"]}))


def test_keys_of_a_known_embedder_can_be_changed_one_by_one():
    config = check(small(embedders={"facenet": {"threads": 2}, "csd": {"backend": "timm", "model": "x"}}))
    facenet, csd = config.embedders["facenet"], config.embedders["csd"]
    assert (facenet.backend, facenet.threads, facenet.download) == ("facenet", 2, True)
    assert (csd.backend, csd.model, csd.download) == ("timm", "x", False)  # nothing of the built-in one
    with pytest.raises(ConfigError, match=r"`embedders.facenet.thread` is not a known key; did you mean `threads`"):
        check(small(embedders={"facenet": {"thread": 2}}))


def test_every_embedder_that_is_known_is_valid_and_described():
    assert set(check(small()).embedders) == set(EMBEDDERS)
    from fit.settings import docstrings_of

    assert all(name in docstrings_of(Config)["embedders"] for name in EMBEDDERS)


def test_paths_are_relative_to_the_file_that_names_them(tmp_path, monkeypatch):
    study = tmp_path / "study"
    (study / "models").mkdir(parents=True)
    (study / "models" / "sd").mkdir()
    data = small(
        models={
            "a": {"corpus": "my-corpus", "pipeline": "models/sd"},
            "b": {"corpus": "my-corpus", "pipeline": "owner/name"},
            "c": {"corpus": "my-corpus", "pipeline": "results/atelier/generator"},
        },
        embedders={"mine": {"backend": "openclip", "model": "local-dir:encoder"}},
        explorer={"beside": ["../other"]},
        corpora={
            "my-corpus": {
                "captions": {"files": ["captions/*.parquet", "s3://bucket/x.parquet", "/data/y.parquet"]},
                "images": "http",
            }
        },
    )
    (study / "config.yaml").write_text(yaml.safe_dump(data))
    monkeypatch.chdir(tmp_path)
    config = load("study/config.yaml")
    assert config.domains["people"].concepts == "study/people.tsv"
    assert config.domains["people"].references.folder == "study/references"
    assert [config.models[name].pipeline for name in "abc"] == [
        "study/models/sd",
        "owner/name",
        "results/atelier/generator",
    ]
    assert config.embedders["mine"].model == "local-dir:study/encoder"
    assert config.embedders["facenet"].model == "vggface2" and config.explorer.beside == ("other",)
    assert config.corpora["my-corpus"].captions.files == [
        "study/captions/*.parquet",
        "s3://bucket/x.parquet",
        "/data/y.parquet",
    ]
    monkeypatch.chdir(study)
    assert load("config.yaml").domains["people"].concepts == "people.tsv"
    assert load(study / "config.yaml").domains["people"].concepts == "people.tsv"


def test_of_several_files_each_has_its_own_folder(tmp_path, monkeypatch):
    for name in ("low", "high"):
        (tmp_path / name).mkdir()
    (tmp_path / "low" / "config.yaml").write_text(yaml.safe_dump(small()))
    over = {"domains": {"people": {"references": {"folder": "pictures"}}}}
    (tmp_path / "high" / "more.yaml").write_text(yaml.safe_dump(over))
    monkeypatch.chdir(tmp_path)
    config = load("low/config.yaml", "high/more.yaml")
    assert config.domains["people"].references.folder == "high/pictures"
    assert config.domains["people"].concepts == "low/people.tsv"
    files = ["low/config.yaml", "high/more.yaml"]
    data = small() | {"models": {"my-model": {"corpus": "my-corpus", "provided_images": "mine"}}}
    said = {"models": {"my-model": {"provided_images": "mine"}}}
    assert check(data, files=files, command_line=said).models["my-model"].provided_images == "mine"


def test_every_key_that_looks_like_a_path_is_marked():
    """A key whose description speaks of a file, folder or sheet, and whose value is a text, has a mark."""
    from fit.settings import docstrings_of

    def sections(section):
        yield section
        for annotation in keys_of(section).values():
            for inner in sections_in(annotation):
                yield from sections(inner)

    speaks = ("file", "folder", "sheet", "parquet", "csv")
    not_paths = {
        "url_column",
        "encoding",
        "variant",
        "on_bad_shard",
        "revision",
        "backend",
        "image_format",
        "columns",
        "subfolder",
        "file",
    }
    for section in set(sections(Config)) - {Config}:
        annotations = typing.get_type_hints(section, include_extras=True)
        for field in dataclasses.fields(section):
            text, annotation = docstrings_of(section)[field.name].lower(), str(annotations[field.name])
            is_text = "str" in annotation and "Literal" not in annotation
            if is_text and field.name not in not_paths and any(word in text for word in speaks):
                assert PLACE in annotation or LOADED in annotation, (section, field.name)


def test_what_is_not_as_it_should_be_is_left_to_the_check():
    assert list(places_in({"domains": 3, "models": {"a": [1]}, "corpora": {"b": {"captions": {"files": 5}}}})) == []


def test_a_list_of_files_is_relative_to_itself(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_text("")
    (tmp_path / "data" / "list.txt").write_text("a.csv\nb.csv\nhttps://host/c.csv\n")
    monkeypatch.chdir(tmp_path)
    assert expand(["data/list.txt"]) == ["data/a.csv", "b.csv", "https://host/c.csv"]
