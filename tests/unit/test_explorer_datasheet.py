"""The datasheet: what it says, and `fit report`."""

import base64
import hashlib
import html as html_module
import io
import json
import re
import sys
import time
from dataclasses import replace
from html.parser import HTMLParser

import pyarrow.parquet as pq
import pypdf
import pytest
from datasheet_study import CHINESE, COMPARISON, MARKUP, make_part, make_study, write_pictures, write_study, written
from PIL import Image
from printed import agree

from fit.cli.main import main
from fit.explorer.contents import Answer, Prompt, Strip, StripValue, Verdict
from fit.explorer.datasheet import make_datasheet
from fit.explorer.datasheet_blocks import Grid, visible
from fit.explorer.datasheet_concept import find_concept
from fit.explorer.datasheet_html import lay_out as lay_out_html
from fit.explorer.datasheet_pdf import lay_out as lay_out_pdf
from fit.explorer.datasheet_settings import DatasheetSettings
from fit.explorer.markup import code
from fit.thresholds.limits import limits

DATE = "2026-02-01"
FIGURE = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 69 35"><path d="M0 0L69 35" stroke="#000"/></svg>'
NONE = Answer(
    kind="none",
    sentence="no imitation threshold was found for my-model in painters: no change point was found",
    threshold=None,
    interval=None,
    estimator="pelt",
    rests_on=[],
    warnings=[],
)
GRADUAL = replace(
    NONE, kind="gradual", threshold=200.0, interval=[150.0, 260.0], sentence="my-model imitates painters gradually more"
)


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path, monkeypatch, request):
    """Run in a folder of its own; only slow tests draw the figure, which takes longer than all else."""
    monkeypatch.chdir(tmp_path)
    if not request.node.get_closest_marker("slow"):
        monkeypatch.setattr("fit.explorer.datasheet_study.curve", lambda part, marked=None: FIGURE)


def sheet_of(study, tmp_path, **more):
    more = {"sha256": "f" * 64, "place": "results/explorer/made-up/study.json", "date": DATE} | more
    return make_datasheet(study, folder=tmp_path / "results" / "explorer" / "pictures", **more)


def grids(section):
    """Yield the tables of a section, however deep."""
    yield from (block for block in section.blocks if isinstance(block, Grid))
    for inside in section.inside:
        yield from grids(inside)


@pytest.mark.parametrize("of_concept", [False, True])
def test_no_heading_breaks_inside_a_word(tmp_path, of_concept):
    labels = ("published score", "score at a fixed number of targets", "score minus null", "fixed minus null", "null")
    labels = (*labels, "score adjusted for difficulty")
    names = ["score", *(f"kind{at}" for at in range(1, len(labels)))]
    part = make_part()
    kinds = [replace(part.scores[0], name=name, label=label) for name, label in zip(names, labels, strict=True)]
    prompt = Prompt(prompt="", scores=dict.fromkeys(names, 0.5), images=4, targets=11)
    part = replace(part, scores=kinds, concepts=[replace(one, prompts=[prompt]) for one in part.concepts])
    study = replace(make_study(part), comparisons=[COMPARISON])
    sheet = sheet_of(study, tmp_path, concept=part.concepts[3].slug if of_concept else None)
    tables = [grid for section in sheet.sections for grid in grids(section) if any(grid.columns)]
    for grid in tables:
        for column, width in zip(grid.columns, grid.widths, strict=True):
            room = 100 * width / sum(grid.widths)  # percent of the line: a bold sign takes 1.2, the padding 1.7
            assert max(map(len, column.split())) * 1.2 + 1.7 <= room, (grid.columns, column)
    by_prompt = [grid for grid in tables if grid.columns[0] == "prompt"]
    assert [name for grid in by_prompt for name in grid.columns if name in labels] == list(labels) * of_concept
    assert {row[0] for grid in by_prompt for row in grid.rows} == {"unknown"} if of_concept else not by_prompt


def test_no_line_ends_before_a_percent_sign():
    assert visible("89 % of\n the resamples") == "89\N{NO-BREAK SPACE}% of the resamples"
    assert str(code("89 % of `95 %`")) == "89\N{NO-BREAK SPACE}% of <code>95 %</code>"


def test_a_folder_of_a_study_is_its_default_study(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    assert main(["new", "mine"]) == 0
    assert main(["report", "mine", "--html", "a.html"]) == 1
    assert "mine/results/explorer/mine/study.json: there is no such file" in capsys.readouterr().err
    write_study(replace(make_study(make_part(concepts=3)), study="mine"), tmp_path / "mine")
    assert main(["report", "mine", "--html", "a.html"]) == 0
    assert "fit report results/explorer/mine/study.json" in text_of_html((tmp_path / "a.html").read_text())


def text_of_html(html):
    """What a reader sees of a page, in one line."""
    body = re.sub(r"<style>.*?</style>", " ", html, flags=re.S)
    return " ".join(html_module.unescape(re.sub(r"<[^>]*>", " ", body)).split())


def read_pdf(data):
    return pypdf.PdfReader(io.BytesIO(data))


def text_of_pdf(data):
    return " ".join(" ".join(page.extract_text() for page in read_pdf(data).pages).split())


class Tags(HTMLParser):
    """The names of a page's tags and of their attributes."""

    def __init__(self):
        super().__init__()
        self.tags, self.attributes = set(), set()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


def squeezed(text):
    """Without spaces: a line of a PDF may break anywhere."""
    return re.sub(r"\s+", "", text)


@pytest.mark.slow
def test_html_and_pdf_say_all_that_the_datasheet_has(tmp_path):
    study = make_study(make_part(), comparisons=[COMPARISON])
    write_pictures(study.parts[0], tmp_path)
    sheet = sheet_of(study, tmp_path, author="Ada O'Neill")
    html, pdf = text_of_html(lay_out_html(sheet)), text_of_pdf(lay_out_pdf(sheet)[0])
    said = [text for text in sheet.texts() if text.strip()]
    assert len(said) > 300
    # Texts for those who do not see a picture are not in the text of a page.
    alts = {text for text in said if text.startswith(("Scatter plot", "Reference of", "Generated picture of"))}
    assert alts
    for text in set(said) - alts:
        assert squeezed(text) in squeezed(html), text
        assert squeezed(text) in squeezed(pdf), text


def test_the_parts_of_a_datasheet(tmp_path):
    text = text_of_html(lay_out_html(sheet_of(make_study(make_part()), tmp_path)))
    for of in (
        "How many training images of a concept does my-model need",
        "my-model begins to imitate painters at about 100 training images (95 %: 70 to 140).",
        "above 70, at most 140",
        "the paper has 112, this study 100.",
        "Few concepts lie near the threshold.",
        "the fit has no rise",
        "No ratings of people were given.",
        *limits(),
        f"sha256sum results/explorer/made-up/study.json fit report results/explorer/made-up/study.json --verify fit "
        f"report results/explorer/made-up/study.json --date {DATE}",
        "numpy 2.0.0, torch 2.9.0",
        "f" * 64,
        "0" * 64,
        "2026-01-30 12:00:00 UTC",
        "The seed of the study is 7.",
    ):
        assert of in text


@pytest.mark.parametrize(
    ("answer", "said", "not_said"),
    [
        (NONE, "No imitation threshold was found for my-model in painters", "95 % interval above"),
        (NONE, "so no number of an estimator is one", "the vertical line"),
        (GRADUAL, "gradual rise: this is its middle, not a line", "jump: scores rise"),
    ],
)
def test_no_threshold_and_a_gradual_rise_are_said_as_such(tmp_path, answer, said, not_said):
    sheet = sheet_of(make_study(make_part(answer=answer)), tmp_path)
    text = text_of_html(lay_out_html(sheet))
    assert said in text
    assert not_said not in text
    assert ("the vertical line is at" in " ".join(sheet.texts()).casefold()) == (answer.threshold is not None)


@pytest.mark.parametrize("word", ["infring", "lawful", "illegal", "copyright", "proves", "proven", "guilty"])
def test_no_word_claims_a_right_or_a_proof(tmp_path, word):
    study = make_study(make_part())
    for concept in (None, "painter-030"):
        assert word not in " ".join(sheet_of(study, tmp_path, concept=concept).texts()).casefold()


def test_many_values_of_a_choice_are_told_as_a_range(tmp_path):
    def values(*thresholds):
        return [StripValue(label=f"top {at}", threshold=value, is_used=at == 1) for at, value in enumerate(thresholds)]

    few = Strip(choice="few", values=values(90.0, 100.0, None))
    many = Strip(choice="many", values=values(50.0, 100.0, None, *range(60, 70)))
    text = text_of_html(lay_out_html(sheet_of(make_study(make_part(sensitivity=[few, many])), tmp_path)))
    assert "few top 0: 90; top 2: - top 1: 100" in text
    assert "many 12 other values, from top 0 to top 12: 50 to 69; none at 1 top 1: 100" in text


def test_times_are_written_as_one_reads_them(tmp_path):
    study = make_study(make_part(), made="2026-01-30T12:00:00+00:00")
    assert "gathered on 2026-01-30 12:00:00 UTC" in text_of_html(lay_out_html(sheet_of(study, tmp_path)))


def test_a_refused_verdict_and_none_at_all(tmp_path):
    part = make_part()
    refused = Verdict(verdict="refused", words="No verdict: chance alone often makes such a jump.")
    first = (
        replace(part.concepts[5], verdict=refused, score=None) if False else replace(part.concepts[5], verdict=refused)
    )
    bare = replace(
        part.concepts[6], verdict=None, count=None, count_interval=None, scores={"score": None}, prompts=[], names=[]
    )
    study = make_study(replace(part, concepts=[*part.concepts[:5], first, bare, *part.concepts[7:]]))
    text = text_of_html(lay_out_html(sheet_of(study, tmp_path, concept=first.slug)))
    assert "No verdict: chance alone often makes such a jump." in text
    assert "verdict refused" in text
    text = text_of_html(lay_out_html(sheet_of(study, tmp_path, concept=bare.slug)))
    assert "There is no verdict on this concept" in text
    assert "it has no count and no score" in text
    assert "is the larger mark" not in text
    assert "beside others" not in text


def test_one_concept_has_its_own_evidence(tmp_path):
    part = make_part()
    study = make_study(part)
    write_pictures(part, tmp_path)
    sheet = sheet_of(study, tmp_path, concept="painter-030")
    text = text_of_html(lay_out_html(sheet))
    concept = part.concepts[30]
    lower = sum(one.scores["score"] < concept.scores["score"] for one in part.concepts)
    assert f"its score is higher than that of {lower} of 39 other concepts" in text
    assert "Also counted under: P. 030." in text
    assert concept.verdict.words in text
    assert "a portrait in the style of Painter 030" in text
    assert "the link is dead" in text
    for cosine in ("0.500", "0.600", "0.700"):
        assert f"target, cosine {cosine}" in text
    assert "Painter 031" not in text, "other concepts have no place in it"
    assert "--concept painter-030" in text


def test_each_generated_picture_is_beside_its_own_target(tmp_path):
    part = make_part()
    folder = write_pictures(part, tmp_path)
    rows = pq.read_table(folder / "part_000.parquet").to_pylist()
    (path,) = folder.glob("*.parquet")
    assert path.name == "part_000.parquet"
    sheet = sheet_of(make_study(part), tmp_path, concept="painter-030")
    html = lay_out_html(sheet)
    of = {row["image_id"]: row["bytes"] for row in rows if row["concept"] == "painter-030"}
    shown = [base64.b64decode(data) for data in re.findall(r"data:image/webp;base64,([^\"]+)", html)]
    assert shown == [of[name] for name in ("r0", "r1", "g0", "t0", "g1", "t1", "g2", "t2")]


def test_examples_are_chosen_by_count_alone(tmp_path):
    part = make_part()
    write_pictures(part, tmp_path)
    sheet = sheet_of(make_study(part), tmp_path, settings=DatasheetSettings(examples=4))
    titles = re.findall(r'<p class="of">(Painter \d+):', lay_out_html(sheet))
    assert titles == ["Painter 000", "Painter 013", "Painter 026", "Painter 039"]
    assert "4 concepts, evenly spaced in the order of their counts" in " ".join(sheet.texts())


PEOPLE = "Pictures of people are left out of this datasheet."


@pytest.mark.parametrize(
    ("pictures", "of_people", "hidden", "why"),
    [
        ("all", False, "", ""),
        ("all", True, "", ""),
        ("without_people", False, "", ""),
        ("without_people", True, "", PEOPLE),
        ("none", False, "", "Pictures are left out of this datasheet."),
        ("all", True, "The study leaves out people.", "The study leaves out people."),
        ("all", False, "The study shows no picture.", "The study shows no picture."),
    ],
)
def test_pictures_that_are_left_out_are_not_in_the_file(tmp_path, pictures, of_people, hidden, why):
    part = make_part(is_of_people=of_people)
    study = make_study(part, pictures_left_out=hidden)
    write_pictures(part, tmp_path)
    for concept in (None, "painter-030"):
        sheet = sheet_of(study, tmp_path, concept=concept, settings=DatasheetSettings(pictures=pictures))
        html = lay_out_html(sheet)
        assert ("data:image/webp" in html) == (not why)
        if why:
            assert why in text_of_html(html)


def test_people_are_left_out_where_only_the_study_leaves_them_out_and_others_stay(tmp_path):
    people, others = make_part(is_of_people=True, domain="people"), make_part()
    for part in (people, others):
        write_pictures(part, tmp_path)
    study = make_study(people, others, pictures_left_out="No people.")
    of = study.sources[0]
    tables = [of, replace(of, file="results/explorer/pictures/my-model/painters/part_000.parquet")]
    sheet = sheet_of(replace(study, sources=tables), tmp_path)
    assert "No people." in " ".join(sheet.texts())
    assert len(re.findall(r'<p class="of">', lay_out_html(sheet))) == 6


def test_pictures_of_another_run_are_told(tmp_path):
    part = make_part()
    study = make_study(part)
    (table,) = write_pictures(part, tmp_path).glob("*.parquet")
    said = "Not the tables of pictures that the study was made with"
    for sha256, is_other in ((hashlib.sha256(table.read_bytes()).hexdigest(), False), ("0" * 64, True)):
        source = replace(study.sources[0], file=table.relative_to(tmp_path).as_posix(), sha256=sha256)
        sheet = sheet_of(replace(study, sources=[source]), tmp_path)
        assert (said in " ".join(sheet.texts())) == is_other


def test_no_tables_of_pictures_is_said(tmp_path):
    sheet = sheet_of(make_study(make_part()), tmp_path)
    assert "The tables of pictures were not found in pictures/my-model/painters." in " ".join(sheet.texts())


def test_a_broken_thumbnail_names_its_table_and_concept(tmp_path, capsys):
    part = make_part()
    path = write_study(make_study(part), tmp_path)
    folder = write_pictures(part, tmp_path)
    (table,) = folder.glob("*.parquet")
    rows = pq.read_table(table)
    broken = rows.set_column(rows.schema.get_field_index("bytes"), "bytes", [[b"no picture"] * len(rows)])
    pq.write_table(broken, table)
    assert main(["report", str(path), "--html", "a.html"]) == 1
    message = capsys.readouterr().err
    assert str(table.relative_to(tmp_path)) in message and "'painter-000'" in message
    assert not (tmp_path / "a.html").exists()


def test_markup_in_a_name_shows_as_text(tmp_path):
    part = make_part(names={3: MARKUP, 39: MARKUP})
    write_pictures(part, tmp_path)
    for concept in (None, "painter-039"):
        sheet = sheet_of(make_study(part, study=MARKUP), tmp_path, concept=concept, author=MARKUP)
        html = lay_out_html(sheet)
        assert MARKUP not in html
        assert MARKUP in text_of_html(html)
        seen = Tags()
        seen.feed(html)
        assert "script" not in seen.tags
        assert not [name for name in seen.attributes if name.startswith("on")]
        assert set(re.findall(r'src="([a-z]+:[a-z+/]+)', html)) <= {"data:image/webp", "data:image/svg+xml"}


@pytest.mark.slow
def test_the_page_asks_nothing_of_a_network(tmp_path):
    html = lay_out_html(sheet_of(make_study(make_part()), tmp_path))
    assert "default-src 'none'" in html
    assert not re.search(r"(?:href|src|url)\s*[=(]\s*[\"']?(?!data:)\w", html)
    for svg in re.findall(r"data:image/svg\+xml;base64,([^\"]+)", html):
        drawn = base64.b64decode(svg).decode()
        assert not re.search(r"href=\"(?!#)", drawn)
        assert "<script" not in drawn


def test_invisible_characters_are_shown_and_long_texts_shortened():
    assert visible("Ada\u202egnp.exe\n b") == "Ada[U+202E]gnp.exe b"
    assert visible("x" * 10_000).endswith("... (10,000 characters)")
    assert len(visible("x" * 10_000)) < 700
    assert visible("Dürer 張 عمر") == "Dürer 張 عمر"


@pytest.mark.slow
def test_characters_that_no_font_has_are_written_as_numbers_and_listed(tmp_path):
    part = make_part(names={30: f"{CHINESE} Dürer"})
    sheet = sheet_of(make_study(part), tmp_path, concept="painter-030")
    data, lacks = lay_out_pdf(sheet)
    text = squeezed(text_of_pdf(data))
    assert sorted(CHINESE) == lacks
    assert "[U+5F35][U+5927][U+5343]Dürer" in text
    assert "U+5F35(CJKUNIFIEDIDEOGRAPH-5F35)" in text
    assert "[U+5F35]" in read_pdf(data).metadata.title
    assert CHINESE in text_of_html(lay_out_html(sheet)), "the HTML has them as they are"


@pytest.mark.slow
def test_a_font_that_is_given_is_used_for_what_the_others_lack(tmp_path):
    from fontTools.fontBuilder import FontBuilder
    from fontTools.pens.ttGlyphPen import TTGlyphPen

    font = FontBuilder(1000, isTTF=True)
    pen = TTGlyphPen(None)
    for at, point in enumerate(((0, 0), (0, 700), (700, 700), (700, 0))):
        (pen.lineTo if at else pen.moveTo)(point)
    pen.closePath()
    font.setupGlyphOrder([".notdef", "square"])
    font.setupCharacterMap({ord(sign): "square" for sign in CHINESE[:2]})
    font.setupGlyf({".notdef": TTGlyphPen(None).glyph(), "square": pen.glyph()})
    font.setupHorizontalMetrics({".notdef": (700, 0), "square": (800, 0)})
    font.setupHorizontalHeader(ascent=800, descent=-200)
    font.setupNameTable({"familyName": "Square", "styleName": "Regular"})
    font.setupOS2()
    font.setupPost()
    font.save(tmp_path / "square.ttf")
    part = make_part(names={30: CHINESE})
    data, lacks = lay_out_pdf(sheet_of(make_study(part), tmp_path, concept="painter-030"), [tmp_path / "square.ttf"])
    assert lacks == [CHINESE[2]]
    assert "[U+5343]" in text_of_pdf(data)
    assert "[U+5F35]" not in text_of_pdf(data)
    fonts = {font["/BaseFont"] for page in read_pdf(data).pages for font in _fonts_of(page)}
    assert any("Square" in name for name in fonts)


def _fonts_of(page):
    return [font.get_object() for font in page["/Resources"]["/Font"].values()]


@pytest.mark.slow
def test_a_file_that_is_no_font_is_an_error(tmp_path, capsys):
    path = write_study(make_study(make_part(concepts=3)), tmp_path)
    (tmp_path / "no.ttf").write_text("no font")
    assert main(["report", str(path), "--pdf", "a.pdf", "--font", "no.ttf"]) == 1
    assert "no.ttf: not a font that a PDF can carry" in capsys.readouterr().err
    assert main(["report", str(path), "--pdf", "a.pdf", "--font", "absent.ttf"]) == 1
    assert "absent.ttf: there is no such file" in capsys.readouterr().err


@pytest.mark.slow
def test_400_concepts_make_a_file_and_pages_of_a_sane_size(tmp_path):
    part = make_part(concepts=400)
    write_pictures(part, tmp_path)
    sheet = sheet_of(make_study(part), tmp_path)
    html, data = lay_out_html(sheet), lay_out_pdf(sheet)[0]
    assert len(html) < 1_500_000
    assert len(data) < 1_500_000
    pages = [page.extract_text() for page in read_pdf(data).pages]
    assert 8 < len(pages) < 25
    in_annex = [page for page in pages if len(re.findall(r"Painter \d+", page)) > 20]
    assert len(in_annex) >= 8
    for page in in_annex:
        assert re.search(r"concept\s+group\s+images", page), "the heading is repeated on each page"
    for number, page in enumerate(pages, 1):
        assert f"{number} / {len(pages)}" in page
    assert len(set(re.findall(r"Painter \d+", " ".join(pages)))) == 400


def test_more_concepts_than_the_annex_takes_are_left_out_and_said(tmp_path):
    study = make_study(make_part(concepts=400))
    sheet = sheet_of(study, tmp_path, settings=DatasheetSettings(annex_rows=399, examples=0))
    text = text_of_html(lay_out_html(sheet))
    assert "The 400 concepts are more than the 399 that this annex lists at most" in text
    assert "Painter 200" not in text
    assert "--annex-rows 399" in text and "--examples 0" in text


@pytest.mark.slow
def test_the_same_input_and_date_give_the_same_bytes(tmp_path):
    part = make_part(concepts=12, names={11: CHINESE})
    study = make_study(part)
    write_pictures(part, tmp_path)

    def made(date):
        sheet = sheet_of(study, tmp_path, date=date)
        return lay_out_html(sheet).encode(), lay_out_pdf(sheet)[0]

    first, other = made(DATE), made("2026-02-02")

    time.sleep(1.1)  # dates within a file are in seconds
    assert made(DATE) == first
    assert other[0] != first[0] and other[1] != first[1]


@pytest.mark.slow
def test_a_pdf_says_its_title_author_language_and_sections(tmp_path):
    part = make_part(concepts=12)
    write_pictures(part, tmp_path)
    reader = read_pdf(lay_out_pdf(sheet_of(make_study(part), tmp_path, author="Ada"))[0])
    assert reader.metadata.title == "Imitation threshold: the study made-up"
    assert reader.metadata.author == "Ada"
    assert reader.metadata.creation_date.date().isoformat() == DATE
    assert reader.trailer["/Root"]["/Lang"] == "en"
    titles = [item.title for item in reader.outline if not isinstance(item, list)]
    assert titles[:3] == ["1. Question", "2. Answer", "3. Evidence"]
    assert {round(float(page.mediabox.width)) for page in reader.pages} == {595}
    images = [image for page in reader.pages for image in page.images]
    assert len(images) >= 5, "thumbnails are pictures; the figure is of lines"
    assert all(Image.open(io.BytesIO(image.data)).size[0] <= 112 for image in images)


@pytest.mark.slow
def test_a_study_without_threshold_scores_or_pictures_gets_a_datasheet(tmp_path):
    bare = make_part(concepts=0, answer=NONE, scores=[], calibration=[], sensitivity=[], assumptions=[])
    sheet = sheet_of(make_study(bare, sources=[], versions={}, missing=[], seed=None), tmp_path)
    assert "The study does not say which files its numbers come from." in text_of_html(lay_out_html(sheet))
    assert text_of_pdf(lay_out_pdf(sheet)[0])


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_command_takes_a_name_a_file_and_a_folder(tmp_path, capsys):
    path = write_study(make_study(make_part(concepts=5)), tmp_path)
    pages = []
    for study in ("made-up", str(path), str(path.parent)):
        assert main(["report", study, "--html", "a.html", "--date", DATE]) == 0
        pages.append((tmp_path / "a.html").read_text())
    assert len(set(pages)) == 1
    assert "a.html" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["made_up", "--html", "a.html"],
            "`fit run explorer` makes it for a study of config.yaml (there are made-up; is",
        ),
        (["nothing", "--html", "a.html"], "results/explorer/nothing/study.json: there is no such file"),
        (["no/study.json", "--html", "a.html"], "no/study.json: there is no such file"),
        (["made-up"], "name a file to write, with --html FILE or --pdf FILE; or --verify"),
        (["made-up", "--html", "a.html", "--concept", "painter-03"], "it has no concept 'painter-03'; is 'painter-0"),
        (["made-up", "--html", "a.html", "--concept", "painter 003"], "is 'painter-003' meant?"),
        (["made-up", "--html", "a.html", "--concept", "PAINTER 003"], "is 'painter-003' meant?"),
        (["made-up", "--html", "a.html", "--concept", "003"], "is 'painter-003' meant?"),
        (["made-up", "--html", "a.html", "--concept", "Painter"], "is one of these meant: painter-000, painter-001"),
        (["made-up", "--html", "a.html", "--concept", "zzz"], "name one of its 5 by its slug"),
        (["made-up", "--html", "folder"], "folder: "),
        (["made-up", "--html", "file/a.html"], "file"),
        (["made-up", "--pdf", "results/explorer/made-up/study.json"], "study.json"),
    ],
)
def test_errors_say_the_remedy(tmp_path, capsys, words, said):
    path = write_study(make_study(make_part(concepts=5)), tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "mine.txt").touch()
    (tmp_path / "file").touch()
    before = path.read_bytes()
    if words[-1].endswith("study.json") and "--pdf" in words:
        words = [str(path.relative_to(tmp_path)), *words[1:]]
    assert main(["report", *words]) == 1
    message = capsys.readouterr().err
    assert said in message
    assert "Traceback" not in message
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": 99}, "of version 99, and this version of fit reads 1; run `fit run explorer` again"),
        ({"parts": "none"}, "parts is 'none': "),
        ({"extra": 1}, "extra is 1: "),
        ({"parts": []}, "it has no model and domain"),
        ({"sources": [{"file": "x"}]}, "sources[0]."),
    ],
)
def test_a_study_json_that_is_not_one_names_the_field(tmp_path, capsys, change, said):
    path = write_study(make_study(make_part(concepts=3)), tmp_path)
    path.write_text(json.dumps(written(path) | change))
    assert main(["report", "made-up", "--html", "a.html"]) == 1
    assert said in capsys.readouterr().err


IMPOSSIBLE = [
    ("parts.0.answer.threshold", 1e300, "parts[0].answer.threshold is 1e+300: Input should be less than or equal to"),
    ("parts.0.answer.threshold", -1, "parts[0].answer.threshold is -1: Input should be greater than or equal to 0"),
    ("parts.0.answer.threshold", float("nan"), "parts[0].answer.threshold is nan: Input should be a finite number"),
    ("parts.0.answer.threshold", "100", "parts[0].answer.threshold is '100': Input should be a valid number"),
    ("parts.0.answer.threshold", True, "parts[0].answer.threshold is True: Input should be a valid number"),
    (
        "parts.0.answer.interval",
        [140, 70],
        "parts[0].answer.interval is [140, 70]: Value error, the low end should not",
    ),
    ("parts.0.answer.interval", [140], "parts[0].answer.interval is [140]: List should have at least 2 items"),
    ("parts.0.answer.interval", [-1, 140], "parts[0].answer.interval[0] is -1"),
    ("parts.0.answer.published.threshold", float("inf"), "parts[0].answer.published.threshold is inf"),
    ("parts.0.scores.0.estimates.0.threshold", 1e30, "parts[0].scores[0].estimates[0].threshold is 1e+30"),
    ("parts.0.scores.0.penalties.0.penalty", -0.9, "parts[0].scores[0].penalties[0].penalty is -0.9"),
    ("parts.0.sensitivity.0.values.0.threshold", -5, "parts[0].sensitivity[0].values[0].threshold is -5"),
    ("parts.0.concepts.0.count", 2.0**70, "parts[0].concepts[0].count is 1.18"),
    ("parts.0.concepts.0.captions", -3, "parts[0].concepts[0].captions is -3"),
    ("parts.0.concepts.0.captions", 2**70, "parts[0].concepts[0].captions is 1180591620717411303424"),
    ("parts.0.concepts.0.scores.score", -1e300, "parts[0].concepts[0].scores.score is -1e+300"),
    ("parts.0.concepts.0.verdict.p_above", 1.01, "parts[0].concepts[0].verdict.p_above is 1.01"),
    ("parts.0.concepts.0.prompts.0.images", 1.5, "parts[0].concepts[0].prompts[0].images is 1.5"),
    (
        "parts.0.model",
        "../../elsewhere",
        "parts[0].model is '../../elsewhere': Value error, it should be the name of a",
    ),
    ("parts.0.domain", "d" * 300, "parts[0].domain is 'ddd"),
    ("comparisons.0.interval", [2.4, 0.9], "comparisons[0].interval is [2.4, 0.9]: Value error, the low end"),
    ("comparisons.0.p_value", 7, "comparisons[0].p_value is 7"),
    ("comparisons.0.ratio", -1, "comparisons[0].ratio is -1"),
    ("seed", -1, "seed is -1"),
]


@pytest.mark.parametrize(
    ("place", "value", "said"), IMPOSSIBLE, ids=[f"{place}={value}" for place, value, _ in IMPOSSIBLE]
)
def test_an_impossible_number_in_a_study_json_is_named(tmp_path, capsys, place, value, said):
    path = write_study(make_study(make_part(concepts=3), comparisons=[COMPARISON]), tmp_path)
    told = inside = written(path)
    *steps, last = (int(step) if step.isdigit() else step for step in place.split("."))
    for step in steps:
        inside = inside[step]
    assert last in (range(len(inside)) if isinstance(inside, list) else inside)
    inside[last] = value
    path.write_text(json.dumps(told))
    for command in (["report", str(path), "--pdf", "a.pdf"], ["explorer", "build", str(path), "--out", "a.html"]):
        assert main(command) == 1
        message = capsys.readouterr().err
        assert f"{path}: {said}" in message
        assert "run `fit run explorer` again" in message
    assert main(["report", str(path), "--verify"]) == 1
    assert not list(tmp_path.glob("a.*"))


def test_the_largest_numbers_that_are_possible_are_laid_out(tmp_path, capsys):
    largest = float(2**63 - 1)
    part = make_part(concepts=3)
    concept = replace(part.concepts[0], count=largest, count_interval=[0.0, largest], scores={"score": 1e30})
    answer = replace(part.answer, threshold=largest, interval=[0.0, largest])
    path = write_study(make_study(replace(part, concepts=[concept, *part.concepts], answer=answer)), tmp_path)
    pdf = tmp_path / "a.pdf"
    assert main(["report", str(path), "--pdf", str(pdf)]) == 0, capsys.readouterr().err
    assert "9,223,372,036,854,775,807" in text_of_pdf(pdf.read_bytes()).replace("808", "807")


@pytest.mark.parametrize(
    ("data", "said"), [(b"", "not JSON"), (b"[1]", "no key `version`"), (b"\xff\xfe{", "not JSON")]
)
def test_a_file_that_is_not_json_is_an_error(tmp_path, capsys, data, said):
    path = tmp_path / "study.json"
    path.write_bytes(data)
    assert main(["report", str(path), "--html", "a.html"]) == 1
    assert said in capsys.readouterr().err


def test_verify_says_which_files_differ_or_are_missing(tmp_path, capsys):
    study = make_study(make_part(concepts=3))
    files = {name: tmp_path / "results" / name for name in ("same.tsv", "differs.tsv", "missing.tsv")}
    (tmp_path / "results").mkdir()
    for name, file in files.items():
        file.write_text(name)
    of = study.sources[0]
    sources = [
        replace(of, file=f"results/{name}", sha256=hashlib.sha256(name.encode()).hexdigest()) for name in sorted(files)
    ]
    path = write_study(replace(study, sources=sources), tmp_path)
    assert main(["report", str(path), "--verify"]) == 0
    assert "of 3 files, 3 are the same" in capsys.readouterr().out
    files["differs.tsv"].write_text("other")
    files["missing.tsv"].unlink()
    assert main(["report", "made-up", "--verify"]) == 1
    said = capsys.readouterr().out.splitlines()
    assert said[:2] == ["differs: results/differs.tsv", "missing: results/missing.tsv"]
    assert "of 3 files, 1 is the same" in said[2]
    _, found = agree(capsys, "report", path, "--verify", status=1, besides=["1"])
    assert [one["found"] for one in found["files"]] == ["differs", "missing", "same"]


def test_verify_names_a_file_that_cannot_be_read(tmp_path, capsys):
    study = make_study(make_part(concepts=3))
    path = write_study(replace(study, sources=[replace(study.sources[0], file="x" * 300)]), tmp_path)
    assert main(["report", str(path), "--verify"]) == 1
    assert "a file that the study names, can't be read: File name too long" in capsys.readouterr().err


def test_verify_of_nothing_is_no_success(tmp_path):
    path = write_study(make_study(make_part(concepts=3), sources=[]), tmp_path)
    assert main(["report", str(path), "--verify"]) == 1


def test_a_concept_of_several_parts_is_found_in_each():
    study = make_study(make_part(), make_part(model="other"), make_part(concepts=3, model="third"))
    assert [part.model for part, _ in find_concept(study, "painter-030")] == ["my-model", "other"]


def test_a_date_that_is_none_is_refused(tmp_path, capsys):
    write_study(make_study(make_part(concepts=3)), tmp_path)
    with pytest.raises(SystemExit):
        main(["report", "made-up", "--html", "a.html", "--date", "yesterday"])
    assert "'yesterday' is not a date; write it as 2026-01-31" in capsys.readouterr().err
