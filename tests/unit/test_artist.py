"""`fit artist`: one name, from captions and pictures to a verdict on a page."""

import json
import re

import numpy as np
import pipelines
import polars as pl
import pytest
from PIL import Image
from printed import agree

from fit import embeddings
from fit.artist.answer import published
from fit.cli.main import main
from fit.embeddings.base import Embedder, Embedding
from fit.images.table import encode_png

CAPTIONS = [
    "a harbour by Ann Bell, oil on canvas",
    "ANN BELL: moonrise",
    'Ann Bell <script>alert("x")</script> & sons',
    "A. Bell, sketch",
    "the bell by the sea",
    "Bell rings",
    "nothing",
]


class Colours(Embedder):
    """Embeds a picture by its mean colour."""

    @property
    def prepare(self):
        return np.asarray

    def embed(self, prepared):
        means = [np.asarray(picture, np.float32).mean(axis=(0, 1)) - 127 for picture in prepared]
        return [[Embedding((mean / np.linalg.norm(mean)).astype(np.float32))] for mean in means]


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(embeddings.REGISTRY, "colours", f"{__name__}:Colours")
    return tmp_path


def picture(colour, seed=0):
    noise = np.random.default_rng(seed).integers(-9, 10, (24, 24, 3))
    return encode_png(Image.fromarray((np.array(colour) + noise).clip(0, 255).astype(np.uint8)))


RED, BLUE = (200, 40, 40), (40, 40, 200)


def fill(folder, *colours):
    folder.mkdir(parents=True, exist_ok=True)
    for index, colour in enumerate(colours):
        (folder / f"{index}.png").write_bytes(picture(colour, index))


def corpus(captions=CAPTIONS, colours=()):
    rows = [{"caption": text, "url": f"https://host/{index}"} for index, text in enumerate(captions)]
    for row, colour in zip(rows, colours, strict=False):
        row["image"] = picture(colour, len(row["url"]))
    pl.DataFrame(rows).write_parquet("captions.parquet")
    return ["--captions", "captions.parquet"]


def artist(*words, status=0):
    assert main(["artist", *map(str, words), "--out", "out"]) == status
    if status:
        return None
    with open("out/answer.json") as file:  # noqa: PTH123
        return json.load(file)


def page():
    with open("out/index.html", encoding="utf-8") as file:  # noqa: PTH123
        return file.read()


@pytest.mark.slow  # numba compiles in whichever test is the first
def test_captions_alone_are_counted_and_compared(capsys):
    found = artist("Ann Bell", "--alias", "A. Bell", *corpus(), "--threshold", 3)
    assert found["names"] == {"Ann Bell": 3, "A. Bell": 1}
    assert (found["captions"], found["rows"], found["count"]) == (4, 7, 4)
    assert found["verdict"] == "above" and found["is_of_captions"]
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "Ann Bell is above: 4 captions, compared with a threshold of 3 images, as given."
    assert "  4 of 7 captions mention Ann Bell, 1 in 2." in said and said[-1] == "page: out/index.html"
    assert any("not images that show the concept" in line for line in said)


@pytest.mark.slow  # numba compiles in whichever test is the first
def test_a_program_is_told_the_same(capsys):
    text, told = agree(capsys, "artist", "Ann Bell", *corpus(), "--threshold", 3, "--out", "out", besides={"1", "2"})
    assert told["page"] == "out/index.html" and text.startswith(told["headline"])


def test_captions_of_others_are_text_on_a_page_that_loads_nothing():
    artist("Ann Bell", *corpus())
    text = page()
    assert "<script" not in text and "&lt;script&gt;" in text and "&lt;/script&gt; &amp; sons" in text
    assert "default-src 'none'" in text
    assert text.count("<dt>") == 5  # each term that the page explains is in the glossary
    assert not re.search(r'src="(?!data:)', text)
    artist('<b onclick="x">Ann Bell</b> {{ 7 * 7 }}', *corpus())
    assert "<b onclick" not in page() and "{{ 7 * 7 }}" in page()


def test_captions_have_their_address_as_a_link_only_to_the_web():
    captions = corpus(["by Ann Bell"] * 3)
    table = pl.read_parquet("captions.parquet").with_columns(
        url=pl.Series(['https://host/0?a=1&b="2', "javascript:alert(1)", "//host"])
    )
    table.write_parquet("captions.parquet")
    artist("Ann Bell", *captions)
    text = page()
    assert re.findall(r'<a class="soft" href="([^"]*)" rel="noreferrer', text) == ["https://host/0?a=1&amp;b=&#34;2"]
    assert text.count("<a ") == 1 and '<span class="soft">javascript:alert(1)</span>' in text


def test_backticks_are_code_and_published_thresholds_are_not_called_one_measured_threshold():
    found = artist("Ann Bell", *corpus())
    assert "<code>fit run</code>" in page() and "`" not in page()
    assert found["caveats"][-1].startswith("This compares one count with a range of published thresholds.")
    given = artist("Ann Bell", *corpus(), "--threshold", 3)["caveats"][-1]
    assert given.startswith("This compares one count with a number. That a concept is below does not show")


def test_tables_of_an_earlier_name_do_not_stay(place):
    fill(place / "references", *[RED] * 4)
    fill(place / "made", RED)
    tables = place / "out/tables"
    artist("Ann Bell", *corpus(), "--references", "references", "--generated", "made")
    assert (tables / "references.parquet").exists() and (tables / "captions/counts.parquet").exists()
    (tables / "mine.txt").write_text("kept")
    artist("Bo Bell", "--generated", "made")
    left = {path.name for path in tables.rglob("*.*") if not path.name.startswith(".") and path.is_file()}
    assert left == {"generated.parquet", "generated.nameless.parquet", "mine.txt"}


def test_a_name_that_is_not_there_is_an_answer(capsys):
    found = artist("Bo Bell", *corpus())
    assert (found["count"], found["verdict"]) == (0, "below")
    assert found["headline"].startswith("Bo Bell was not found: 0 captions, compared with published thresholds of")
    assert found["reasons"][1] == "6 captions have the last word, 'Bell'. Give other spellings with --alias."
    assert "(112 to 241 images)." in found["headline"]
    assert found["threshold_images"] == {"images": 112, "low": 111, "high": 241}
    assert found["caveats"][0].startswith("This counts captions, not images")
    found = artist("Bo Nobody", *corpus(), "--images", "embedded")  # no image to look for
    assert "So the name is not in them" in found["reasons"][1]


def test_a_common_word_is_doubtful():
    found = artist("Bell", *corpus([*CAPTIONS, *["Ring the bell again"] * 30]))
    assert found["doubtful"] == 30 and any("these mentions are doubtful" in text for text in found["reasons"])
    assert any("looks like a common word" in text for text in found["caveats"])


def test_published_thresholds_are_an_interval_with_a_caveat():
    people = published("people")
    assert (people.threshold.low, people.threshold.high) == (233, 527)
    assert "Stable Diffusion" in people.caveats[0]
    found = artist("Ann Bell", *corpus(["Ann Bell"] * 300), "--of", "people")
    assert found["verdict"] == "within" and "no verdict" in found["headline"]
    assert artist("Ann Bell", *corpus(["Ann Bell"] * 300), "--of", "styles")["verdict"] == "above"


@pytest.mark.slow
def test_images_behind_captions_give_an_effective_count(place):
    fill(place / "references", *[RED] * 4)
    fill(place / "made", RED, BLUE, BLUE)
    captions = corpus(["by Ann Bell"] * 6 + ["none"], [RED, RED, RED, BLUE, RED, BLUE, BLUE])
    options = ["--references", "references", "--embedder", "colours", "any", "--match-threshold", "0.9"]
    found = artist("Ann Bell", *captions, "--images", "embedded", *options, "--generated", "made", "--threshold", 3)
    assert found["counts"]["matches"] == found["count"] == 4 and found["counts"]["downloaded"] == 6
    assert (found["verdict"], found["is_of_captions"]) == ("above", False)
    assert any(text.startswith("Of 3 pictures by the model, 1 are as close") for text in found["reasons"])
    assert any("only 4 references" in text for text in found["caveats"])
    text = page()
    assert text.count('<img src="data:image/webp') == 6 + 4 + 3 and text.count('class="match"') == 4 + 1
    # The sample is smaller than the captions: its matches are scaled up.
    found = artist("Ann Bell", *captions, "--images", "embedded", *options, "--collected", 3)
    counts = found["counts"]
    assert (counts["downloaded"], counts["captions"]) == (3, 6) and counts["effective_count"] == 2 * counts["matches"]
    assert counts["low"] <= counts["effective_count"] <= counts["high"]


def test_folders_of_others_are_not_of_this_name(place):
    for slug in ("ann-bell", "bo-bell"):
        fill(place / "made" / slug, RED, BLUE)
    found = artist("Nobody", *corpus(), "--generated", "made", "--references", "made")
    assert sum("made: it has no nobody" in text for text in found["caveats"]) == 2 and "<img" not in page()
    artist("Ann Bell", *corpus(), "--generated", "made")
    assert page().count("<img") == 2
    pl.DataFrame({"concept": ["bo-bell", "ann-bell"], "bytes": [picture(RED), picture(BLUE)]}).write_parquet(
        "t.parquet"
    )
    assert any(
        "t.parquet: it has no nobody" in t for t in artist("Nobody", *corpus(), "--generated", "t.parquet")["caveats"]
    )
    artist("Ann Bell", *corpus(), "--generated", "t.parquet")
    assert page().count("<img") == 1
    fill(place / "mine" / "deep", RED)  # pictures beside a folder: all of one name
    fill(place / "mine", BLUE)
    artist("Ann Bell", *corpus(), "--generated", "mine")
    assert page().count("<img") == 2


@pytest.mark.slow
def test_the_model_itself_makes_pictures(place):
    pipelines.save("sd", place / "model")
    fill(place / "references", *[RED] * 3)
    options = ["--references", "references", "--embedder", "colours", "any", "--match-threshold", "0.9"]
    model = ["--model", "model", "--steps", 1, "--generated-per-prompt", 2, "--prompts", "by {name}", "{name}, oil"]
    found = artist("Ann Bell", *corpus(), *model, *options)
    assert any(text.startswith("Of 4 pictures by the model, ") for text in found["reasons"])
    assert page().count('<img src="data:image/webp') == 4 + 3


@pytest.mark.slow
def test_training_images_of_a_folder_count_as_they_are(place):
    fill(place / "training" / "ann-bell", RED, RED, BLUE)
    fill(place / "references", *[RED] * 10)
    options = ["--references", "references", "--embedder", "colours", "any", "--match-threshold", "0.9"]
    found = artist("Ann Bell", "--images", "training", *options, "--threshold", 5)
    assert (found["count"], found["captions"], found["verdict"]) == (2, None, "below")
    assert found["counts"]["captions"] is None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "say where to look"),
        (["--images", "http"], "name their files with --captions"),
        (["--captions", "nowhere.parquet"], "nowhere.parquet"),
        (["--captions", "nothing*.parquet"], "correct it where it was given"),
        (["--images", "nowhere"], "nowhere: there is no such folder or file of training images"),
        (["--images", "empty"], "empty: no photographs"),
        (["--images", "red", "--embedder", "facenet"], "name a folder of them with --references"),
        (["--images", "red", "--references", "red", "--embedder", "facenet"], "give --match-threshold too"),
        (["--images", "red", "--references", "red", "--embedder", "any"], "give one of arcface"),
        (["--generated", "red", "--model", "x"], "give one of them"),
        (["--captions", "broken.parquet"], "broken.parquet"),
        (["--images", "red", "--threshold", "nothing.json"], "nothing.json: not a threshold"),
        (
            ["--images", "red", "--references", "few", "--embedder", "colours", "x", "--match-threshold", "0.5"],
            "few: 1 usable picture of 1, at least 3 are needed",
        ),
    ],
)
def test_what_is_missing_is_named_with_a_remedy(place, options, said, capsys):
    fill(place / "red", *[RED] * 3)
    fill(place / "few", RED)
    (place / "empty").mkdir()
    (place / "broken.parquet").write_bytes(b"PAR1 nothing")
    artist("Ann Bell", *options, status=1)
    assert said in capsys.readouterr().err
    assert not (place / "out" / "index.html").exists()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("\udcff\udcfeBell", "this name is not UTF-8"),
        ("", "'': no letter or digit in this name"),
        ("x" * 5000, "5,000 characters are too many for a name"),
    ],
)
def test_a_name_that_nobody_has_is_refused_before_captions_are_read(place, capsys, name, said):
    for words in ([name], ["Ann Bell", "--alias", name]):
        artist(*words, *corpus(), status=1)
        error = capsys.readouterr().err
        assert said in error and "captions:" not in error and len(error) < 500


def test_a_name_without_a_letter_and_a_folder_of_something_else_are_refused(place, capsys):
    artist("!?", *corpus(), status=1)
    assert "no letter or digit" in capsys.readouterr().err
    artist("Ann Bell", "--images", "nowhere", status=1)  # a run that failed does not stand in the way
    artist("Ann Bell", *corpus())
    (place / "out" / "answer.json").unlink()
    (place / "out" / "mine.txt").write_text("mine")
    artist("Ann Bell", *corpus(), status=1)
    assert "not empty, and not of an earlier `fit artist`" in capsys.readouterr().err
