"""What data a study rests on, from the configuration and the tables of images to report, page and datasheet."""

import copy
import csv
from pathlib import Path

import explorer_study
import pyarrow as pa
import pytest
import yaml
from datasheet_study import make_part, make_study
from places import fails, png

from fit.cli.main import main
from fit.config.data import data_of, written_data
from fit.config.read import check
from fit.errors import DataError
from fit.explorer.contents import Data, Reader
from fit.explorer.datasheet import make_datasheet
from fit.explorer.gather import with_opt_outs
from fit.explorer.page import build
from fit.explorer.sources import Sources
from fit.images.settings import FetchSettings
from fit.images.statuses import OPTED_OUT, count_collected, read_statuses, write_statuses
from fit.images.table import COLLECTED
from fit.io.concept_tables import ConceptTables, write_concepts
from fit.reports.data import NOT_STATED, DataSource, opt_outs
from fit.reports.report import data_table
from fit.thresholds.limits import limits
from fit.thresholds.meaning import READERS, UNSUPPORTED

ROOT = Path(__file__).parents[2]
CONTENTS = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
LINKS = DataSource(kind="corpus", name="web", places=("a.parquet",), fetched=("people", "styles"))
LOCAL = DataSource(kind="references", name="people", places=("folder",), origin="the museum", licence="CC0")
MODEL = DataSource(kind="model", name="m", places=("owner/m@abc",))
PEOPLE, STYLES = LINKS.statuses


def write_images(path, statuses):
    """Write an image table: concept -> the statuses of its rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    without = COLLECTED.remove(0)
    tables = [
        (
            concept,
            pa.Table.from_pylist(
                [{"image_id": str(i), "status": one, "bytes": png(0) if one == "ok" else None} for i, one in found],
                schema=without,
            ),
        )
        for concept, of_concept in statuses.items()
        for found in [list(enumerate(of_concept))]
    ]
    write_concepts(tables, path, COLLECTED)


@pytest.fixture
def results(tmp_path):
    """A folder of results in which two domains of a corpus were fetched, and how that ended was counted."""
    folder = tmp_path / "results"
    write_images(folder / "images/web/people/part_000.parquet", {"ann": ["ok", "opted_out"], "bo": ["opted_out"] * 2})
    write_images(folder / "images/web/people/part_001.parquet", {"cy": ["http_404", "ok"], "gone": ["opted_out"] * 5})
    write_images(folder / "images/web/styles/part_000.parquet", {"dot": ["ok"] * 1200})
    (tmp_path / "people.tsv").write_text("concept\tname\nann\tAnn\nbo\tBo\ncy\tCy\n")
    (tmp_path / "styles.tsv").write_text("concept\tname\ndot\tDot\n")
    for domain in ("people", "styles"):
        command = ["images", "count-statuses", folder / "images/web" / domain, "--sheet", tmp_path / f"{domain}.tsv"]
        assert main(list(map(str, [*command, "--out", folder / "images/web" / domain / "statuses.tsv"]))) == 0
    return folder


def found_in(results):
    return {place: results / place for place in LINKS.statuses}


# --- the count --------------------------------------------------------------------------------------------------------


def test_the_statuses_are_those_of_the_sheets_concepts_in_all_tables(results):
    assert read_statuses(results / PEOPLE) == {"opted_out": 3, "ok": 2, "http_404": 1}
    assert list(read_statuses(results / PEOPLE)) == ["opted_out", "ok", "http_404"]


def test_a_concept_without_a_table_is_named(results):
    with pytest.raises(DataError, match="no table of the concept 'eve'"):
        count_collected(ConceptTables([results / "images/web/people"]), ["ann", "eve"])


def test_the_status_that_is_counted_is_the_one_that_a_refusal_gets():
    source = (ROOT / "src/fit/images/fetch.py").read_text(encoding="utf-8")
    assert f'Answer("{OPTED_OUT}"' in source


@pytest.mark.parametrize(("text", "said"), [("status\timages\nok\tmany\n", "'many' images"), ("a\tb\n", "status")])
def test_a_table_of_statuses_that_is_none_is_named(tmp_path, text, said):
    (tmp_path / "statuses.tsv").write_text(text)
    with pytest.raises(DataError, match=rf"statuses\.tsv.*{said}"):
        read_statuses(tmp_path / "statuses.tsv")


# --- opt-outs in words ------------------------------------------------------------------------------------------------


def test_refused_images_are_added_up_over_the_domains(results):
    found = opt_outs(LINKS, True, found_in(results))
    assert (found.refused, found.links) == (3, 6 + 1200)
    assert found.words == "honoured: 3 of 1,206 links were refused, and left out"


def test_a_corpus_of_one_link_is_said_so(tmp_path):
    write_statuses({"ok": 1}, tmp_path / "s.tsv")
    one = DataSource(kind="references", name="people", places=("x",), fetched=("people",))
    assert opt_outs(one, True, {one.statuses[0]: tmp_path / "s.tsv"}).words == (
        "honoured: 0 of 1 link was refused, and left out"
    )


def test_what_was_not_asked_is_not_a_count_of_zero(results):
    assert opt_outs(MODEL, True, {}).words == ""
    assert opt_outs(LOCAL, True, {}).words == "no image was fetched from a link"
    not_honoured = opt_outs(LINKS, False, found_in(results))
    assert "`honour_opt_out: false`" in not_honoured.words and not_honoured.refused is None
    half = opt_outs(LINKS, True, {PEOPLE: results / PEOPLE})
    assert "was not counted" in half.words and half.refused is None


# --- the report -------------------------------------------------------------------------------------------------------


def test_the_table_says_what_is_stated_and_what_is_not():
    table = data_table((one, opt_outs(one, True, {})) for one in (MODEL, LOCAL))
    model, local = table.rows
    assert model == ("model", "m", "owner/m@abc", NOT_STATED, NOT_STATED, "")
    assert local[3:5] == ("the museum", "CC0")
    assert "does not check them" in table.note


DATA = [
    *("--data", "corpus/web=a.parquet", "corpus/web=b.parquet", "model/m=owner/m@abc"),
    *("--origins", "corpus/web=a crawl = of the web", "--licences", "corpus/web=cc-by-4.0", "--fetched"),
    *("corpus/web=people", "corpus/web=styles"),
]


def report(tmp_path, *more):
    assert main(["reports", "write", "mine", *map(str, more), "--out", str(tmp_path / "report")]) == 0
    return (tmp_path / "report/report.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("honoured", [True, False])
def test_the_report_says_what_it_rests_on_what_it_means_and_what_it_is_not_for(results, tmp_path, honoured):
    flag = "--honour-opt-out" if honoured else "--no-honour-opt-out"
    text = report(tmp_path, *DATA, "--statuses", *found_in(results).values(), flag)
    rows = list(csv.DictReader((tmp_path / "report/data.tsv").open(encoding="utf-8"), delimiter="\t"))
    assert [(row["what"], row["name"], row["from"]) for row in rows] == [
        ("corpus", "web", "a.parquet, b.parquet"),
        ("model", "m", "owner/m@abc"),
    ]
    assert [row["licence, as stated"] for row in rows] == ["cc-by-4.0", NOT_STATED]
    assert rows[0]["made or published by"] == "a crawl = of the web"
    assert ("3 of 1,206" in text) == honoured and ("honour_opt_out: false" in text) != honoured
    assert "## Data" in text and NOT_STATED in text
    titles = [line[3:] for line in text.splitlines() if line.startswith("## ")]
    assert titles[-3:] == ["What this means, and for whom", "What this does not show", "Uses that it does not support"]
    for said in (*(words for _, words in READERS), *UNSUPPORTED, limits()[0], "docs/limits.md"):
        assert said in text


def test_a_report_without_data_has_no_empty_table(tmp_path):
    assert "## Data" not in report(tmp_path)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--data", "corpus=a"], "--data 'corpus=a': write KIND/NAME=VALUE"),
        (["--data", "picture/a=b"], "a kind is one of model, corpus"),
        (["--data", "corpus/a="], "--data 'corpus/a=': write"),
        (["--data", "corpus/a=b", "--licences", "corpus/c=MIT"], "--licences: corpus/c is not in --data"),
    ],
)
def test_options_that_are_not_of_the_form_are_named(tmp_path, capsys, options, said):
    assert said in fails(capsys, "reports", "write", "mine", *options, "--out", tmp_path / "report")


# --- the configuration ------------------------------------------------------------------------------------------------


def config(**changed):
    """The project's configuration; `changed`: section -> entries, laid over its own."""
    data = copy.deepcopy(CONTENTS)
    for section, entries in changed.items():
        for name, keys in entries.items():
            data[section][name] = data[section].get(name, {}) | keys
    return check(data)


@pytest.fixture
def _complete(monkeypatch):
    monkeypatch.setattr("fit.config.config.Config.lacks", lambda self, model, domain: [])


def of(sources, key):
    return next(one for one in sources if one.key == key)


def test_the_built_in_study_rests_on_nothing_of_anybody_else():
    sources = data_of(config(), "atelier")
    assert [one.key for one in sources] == [
        *("model/atelier", "corpus/atelier", "references/painters", "photographs/painters"),
        *("embedder/atelier-style", "embedder/atelier-art"),
    ]
    assert all("docs/atelier.md" in one.origin and "nobody else" in one.licence for one in sources)
    assert not any(one.fetched for one in sources)


@pytest.mark.usefixtures("_complete")
def test_what_is_not_stated_is_not_guessed():
    sources = data_of(config(), "paper")
    assert of(sources, "model/sd1.1").licence == "creativeml-openrail-m"
    assert of(sources, "model/sd1.5").licence == "" and of(sources, "model/sd1.5").places == (
        *("stable-diffusion-v1-5/stable-diffusion-v1-5", "commit 451f4fe16113bff5a5d2269ed5ad43b0592e9a14"),
    )
    assert (of(sources, "corpus/laion2b_en").origin, of(sources, "corpus/laion2b_en").licence) == ("", "")


@pytest.mark.usefixtures("_complete")
def test_a_corpus_of_links_and_searched_references_are_fetched_and_others_are_not():
    found = config(domains={"politicians": {"references": {"serpapi": "{name} face"}}})
    sources = data_of(found, "paper")
    assert of(sources, "corpus/laion2b_en").fetched == tuple(found.studies["paper"].domains)
    assert of(sources, "corpus/laion5b").fetched == ()  # it is only counted
    assert "counts scaled from the corpus laion2b_en" in of(sources, "corpus/laion5b").places
    assert of(sources, "references/politicians").places == ("Google's image search, by serpapi.com: {name} face",)
    assert of(sources, "references/politicians").statuses == ["references/politicians/candidates/statuses.tsv"]
    assert of(sources, "references/celebrities").fetched == ()


@pytest.mark.usefixtures("_complete")
def test_a_derived_model_has_its_own_terms_and_its_base_is_listed_too():
    erased = {"base": "atelier", "components": {"unet": {"place": "someone/unet"}}}
    found = config(models={"mine": erased, "later": {"base": "mine", "licence": "MIT"}})
    found = found.model_copy(update={"studies": {"s": copy.copy(found.studies["atelier"])}})
    object.__setattr__(found.studies["s"], "models", ["later"])
    sources = data_of(found, "s")
    assert [one.key for one in sources][:3] == ["model/later", "model/mine", "model/atelier"]
    assert [one.licence for one in sources[:3]] == ["MIT", "", of(sources, "model/atelier").licence]
    assert "components.unet.place: someone/unet" in of(sources, "model/mine").places
    assert "derived from the model atelier" in of(sources, "model/mine").places


def test_of_many_files_of_captions_the_first_are_named():
    files = data_of(config(), "atelier")[1].places
    assert files == ("results/atelier/corpus/000.parquet", "results/atelier/corpus/001.parquet", "2 more files")


def test_what_a_study_lacks_is_not_data_that_it_rests_on():
    assert data_of(config(), "paper") == []


@pytest.mark.usefixtures("_complete")
def test_the_words_of_a_rule_say_what_the_configuration_has():
    from argparse import ArgumentParser

    from fit.cli.data import add_data, read_data

    found = config(collection={}, corpora={"laion2b_en": {"origin": "LAION, with = and spaces", "licence": "a  b"}})
    parser = ArgumentParser()
    add_data(parser.add_argument)
    args = parser.parse_args(written_data(found, "paper"))
    read = read_data(args)
    assert [one.key for one in read] == [one.key for one in data_of(found, "paper")]
    assert read == data_of(found, "paper")
    assert args.honour_opt_out is FetchSettings().honour_opt_out is True
    off = check(copy.deepcopy(CONTENTS) | {"collection": {"honour_opt_out": False}})
    assert parser.parse_args(written_data(off, "paper")).honour_opt_out is False


# --- the page and the datasheet ---------------------------------------------------------------------------------------


def test_gathering_notes_the_files_that_refusals_were_counted_in(results):
    sources = Sources(results)
    (links, refused), (_, none) = with_opt_outs([LINKS, MODEL], True, sources)
    assert links == LINKS and (refused.refused, none.refused) == (3, None)
    assert [(one.file, one.rule) for one in sources.noted()] == [
        (f"results/{PEOPLE}", "count_statuses"),
        (f"results/{STYLES}", "count_statuses"),
    ]
    sources = Sources(results)
    assert with_opt_outs([LINKS], False, sources)[0][1].refused is None and sources.noted() == []


SHOWN = [
    Data(
        kind="corpus", name="web", places=["a.parquet"], origin="a <b>crawl</b>", licence="cc-by-4.0", opt_outs="3 of"
    ),
    Data(kind="model", name="m", places=["owner/m"], origin="", licence="", opt_outs=""),
]


def sheet_texts(study, tmp_path):
    made = make_datasheet(study, sha256="f" * 64, place="study.json", folder=tmp_path, date="2026-02-01")
    return {section.title: section for section in made.sections}


def test_the_datasheet_says_it_too(tmp_path, monkeypatch):
    monkeypatch.setattr("fit.explorer.datasheet_study.curve", lambda part, marked=None: "<svg/>")
    readers = [Reader(who=who, words=words) for who, words in READERS]
    study = make_study(make_part(concepts=3), data=SHOWN, readers=readers, unsupported=list(UNSUPPORTED))
    sections = sheet_texts(study, tmp_path)
    rows = sections["What data it rests on"].blocks[0].rows
    assert rows[0] == ("corpus web", "a.parquet", "a <b>crawl</b>", "cc-by-4.0", "3 of")
    assert rows[1][2:] == (NOT_STATED, NOT_STATED, "-")
    assert sections["Uses that it does not support"].blocks[0].items == UNSUPPORTED
    assert sections["What it means, and for whom"].blocks[0].rows == READERS


def test_the_datasheet_of_a_study_of_an_earlier_version_says_what_it_lacks(tmp_path, monkeypatch):
    monkeypatch.setattr("fit.explorer.datasheet_study.curve", lambda part, marked=None: "<svg/>")
    sections = sheet_texts(make_study(make_part(concepts=3)), tmp_path)
    assert "does not say what data" in sections["What data it rests on"].blocks[0].text
    assert not sections.keys() & {"Uses that it does not support", "What it means, and for whom"}


@pytest.mark.slow
def test_the_page_says_it_too(tmp_path):
    data = [
        {"kind": one.kind, "name": one.name, "places": one.places, "origin": one.origin, "licence": one.licence}
        | {"opt_outs": one.opt_outs}
        for one in SHOWN
    ]
    readers = [{"who": who, "words": words} for who, words in READERS]
    more = {"data": data, "readers": readers, "unsupported": list(UNSUPPORTED)}
    path, _ = explorer_study.write(tmp_path, explorer_study.study([], **more), pictures=False)
    build(path, [], tmp_path / "index.html")
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "a &lt;b&gt;crawl&lt;/b&gt;" in text and "cc-by-4.0" in text and text.count(NOT_STATED) >= 2
    for said in ("What it means, and for whom", "Uses that it does not support", READERS[2][0], "docs/limits.md"):
        assert said in text
    path, _ = explorer_study.write(
        tmp_path, explorer_study.study([], data=[], readers=[], unsupported=[]), pictures=False
    )
    build(path, [], tmp_path / "old.html")
    assert "The study does not say." in (tmp_path / "old.html").read_text(encoding="utf-8")


def test_a_licence_of_strangers_is_no_markup(tmp_path):
    text = report(tmp_path, "--data", "corpus/a=x", "--licences", "corpus/a=<img src=x> | `b`\n# c")
    assert "<img" not in text and "\n# c" not in text
    assert text.count("| corpus") == 1
