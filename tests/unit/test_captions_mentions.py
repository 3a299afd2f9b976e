"""What a mention is, against an independent reference."""

import random

import pyarrow as pa
import pytest
from captions_reference import mentions
from counting import CONCEPTS
from hostile_captions import HOSTILE, MODES, WORDS, hostile_caption, hostile_names, reference_tokens
from hypothesis import given, settings
from hypothesis import strategies as st

from fit.captions.explain import explain
from fit.captions.matcher import Matcher
from fit.captions.phrases import Phrases, normal_forms
from fit.concepts.analyzer import END, Analyzer
from fit.concepts.sheet import Concept
from fit.errors import SheetError

text_parts = st.one_of(
    st.sampled_from(WORDS), st.text(st.sampled_from(HOSTILE), max_size=4), st.text(max_size=3), st.sampled_from(" -,.")
)
texts = st.lists(text_parts, max_size=8).map("".join)


@pytest.mark.slow
@pytest.mark.parametrize(("cut", "folding"), MODES)
@given(text=texts)
@settings(max_examples=300, deadline=None)
def test_tokens_are_those_of_the_reference(cut, folding, text):
    assert Analyzer(cut, folding).tokens(text) == reference_tokens(text, cut, folding)


@pytest.mark.slow
@pytest.mark.parametrize(("cut", "folding"), MODES)
def test_every_character_is_classified_like_the_reference(cut, folding):
    analyzer = Analyzer(cut, folding)
    every = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    text = " a".join(every)
    assert analyzer.tokens(text) == reference_tokens(text, cut, folding)


@pytest.mark.slow
@pytest.mark.parametrize(("cut", "folding"), MODES)
def test_no_mention_is_missing_and_none_is_made_up(cut, folding):
    """20,000 hostile captions per mode; benchmarks/captions.py --hostile does a million."""
    rng, analyzer = random.Random(f"{cut}{folding}"), Analyzer(cut, folding)
    found = 0
    for _ in range(200):
        names = hostile_names(rng, analyzer)
        captions = [hostile_caption(names, rng) for _ in range(100)]
        matcher = Matcher([Concept(str(i), name) for i, name in enumerate(names)], cut, folding)
        _, rows, of_rows, malformed = matcher.mentions(pa.array(captions))
        # A name counts as it is written, composed and decomposed.
        phrases = [[reference_tokens(form, cut, folding) for form in normal_forms(name)] for name in names]
        expected = []
        for row, caption in enumerate(captions):
            inside = reference_tokens(caption, cut, folding)
            for concept, forms in enumerate(phrases):
                if any(inside[at : at + len(p)] == p for p in forms for at in range(len(inside) - len(p) + 1)):
                    expected.append((row, concept))
        concepts = matcher.phrases.concept_of[of_rows]
        assert list(zip(rows.tolist(), concepts.tolist(), strict=True)) == expected
        assert malformed == 0
        found += len(expected)
    assert found > 10_000


@pytest.mark.slow
@pytest.mark.parametrize(("cut", "folding"), MODES)
def test_a_name_of_any_letter_is_found(cut, folding):
    analyzer = Analyzer(cut, folding)
    letters = [chr(code) for code in range(0x30000) if chr(code).isalnum()]
    names = [f"{letter} ann" for letter in letters if len(analyzer.tokens(letter)) == 1]
    assert len(names) > 100_000
    names = random.Random(0).sample(names, 10_000)
    matcher = Matcher([Concept(str(i), name) for i, name in enumerate(names)], cut, folding)
    _, rows, of_rows, _ = matcher.mentions(pa.array(names))
    found = set(zip(rows.tolist(), matcher.phrases.concept_of[of_rows].tolist(), strict=True))
    assert {(i, i) for i in range(len(names))} <= found


def mentioned(captions, cut="standard", folding=False):
    matcher = Matcher(CONCEPTS, cut, folding)
    _, rows, names, _ = matcher.mentions(pa.array(captions, pa.string()))
    found = [set() for _ in captions]
    for row, name in zip(rows.tolist(), names.tolist(), strict=True):
        found[row].add(CONCEPTS[matcher.phrases.concept_of[name]].slug)
    return found


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("a harbour by Ann Lee", {"ann-lee"}),
        ("ANN  LEE", {"ann-lee"}),
        ("Lee, Ann", set()),
        ("Ann-Lee; (detail)", {"ann-lee"}),
        ("Joann Lee", set()),
        ("Ann Leeds", set()),
        ("ann_lee", set()),
        ("Ann Lee's house", set()),
        ("Mary Ann Lee", {"ann-lee", "mary-ann-lee"}),
        ("A. Lee and a lee shore", {"ann-lee"}),
        ("Ann\u00a0Lee\n", {"ann-lee"}),
        ("Ann\u200bLee", {"ann-lee"}),
        ("georgia o'keeffe", {"okeeffe"}),
        ("ALBRECHT DÜRER", {"durer"}),
        ("Durer", set()),
        ("作品 草間彌生", {"kusama"}),
        ("", set()),
        (None, set()),
    ],
)
def test_a_mention_is_a_phrase_of_whole_tokens(caption, expected):
    # Rows touch in an Arrow array: nothing may be found across them.
    assert mentioned(["by Mary", caption, "Ann", "Lee"])[1] == expected
    names = {concept.slug: concept.names for concept in CONCEPTS}
    assert mentions(caption or "", names) == expected


@pytest.mark.slow
def test_the_analyzer_decides():
    assert mentioned(["Ann Lee's house"], cut="words") == [{"ann-lee"}]
    assert mentioned(["Albrecht Durer", "Du\u0308rer"], folding=True) == [{"durer"}, {"durer"}]


def test_nulls_and_invalid_utf8():
    column = pa.StringArray.from_buffers(
        4,
        pa.py_buffer(b"\0\0\0\0\x07\0\0\0\x0f\0\0\0\x16\0\0\0\x1d\0\0\0"),
        pa.py_buffer(b"Ann LeeAnn\xffLee\xe9Ann LeeAnn Lee"),
        pa.py_buffer(b"\x07"),
    )
    captions, rows, _, malformed = Matcher(CONCEPTS).mentions(column)
    # The second has an invalid byte between its tokens; the fourth is null, whatever its bytes say.
    assert rows.tolist() == [0, 1, 2]
    assert malformed == 1
    assert captions.to_pylist() == ["Ann Lee", "Ann\ufffdLee\ufffd", "Ann Lee", None]


def test_a_slice_of_an_array_is_its_own_rows():
    matcher = Matcher(CONCEPTS)
    captions = pa.array(["Ann Lee", "x", "é Ann Lee", None, "Mary Ann Lee"])
    _, rows, _, _ = matcher.mentions(captions[2:])
    assert rows.tolist() == [0, 2, 2]
    assert matcher.mentions(captions[:0])[1].tolist() == []


def test_a_name_without_letters_is_refused():
    with pytest.raises(SheetError, match=r"'bang'.*'!!!'"):
        Matcher([Concept("bang", "!!!")])


@pytest.mark.parametrize(("cut", "folding"), MODES)
def test_names_that_the_filter_cannot_tell_apart_are_told_apart(cut, folding):
    """It knows eight letters of a word, and one key for every normal form."""
    names = ["Ann Christopher", "Ann Christophersen", "ann CHRISTOPHER", "Anné Christophé", "Christophers", "Ann Durér"]
    joined = [
        "{}",
        "x {} y",
        "{}s",
        "{}en",
        "{}é",
        "{}\u0301",
        "x{}",
        "{}-b",
        "{}'s",
        "{}, b",
        "a.{}",
        "{}8",
        "\u200b{}",
    ]
    written = [
        name for n in names for form in normal_forms(n) for name in (form, form.upper(), form.replace(" ", " - "))
    ]
    captions = [join.format(name) for join in joined for name in written]
    matcher = Matcher([Concept(str(index), name) for index, name in enumerate(names)], cut, folding)
    _, rows, of_rows, _ = matcher.mentions(pa.array(captions))
    phrases = [[reference_tokens(form, cut, folding) for form in normal_forms(name)] for name in names]
    expected = []
    for row, caption in enumerate(captions):
        inside = reference_tokens(caption, cut, folding)
        for concept, forms in enumerate(phrases):
            if any(inside[at : at + len(phrase)] == phrase for phrase in forms for at in range(len(inside))):
                expected.append((row, concept))
    assert list(zip(rows.tolist(), matcher.phrases.concept_of[of_rows].tolist(), strict=True)) == expected
    assert len(expected) > 100 and {concept for _, concept in expected} == set(range(len(names)))


def test_overlapping_names_are_known():
    concepts = [*CONCEPTS[:2], Concept("other-ann", "ann lee")]
    phrases = Phrases.of(concepts, Analyzer())
    same_as, contains = phrases.overlaps()
    assert phrases.names == ["Ann Lee", "A. Lee", "Mary Ann Lee", "ann lee"]
    assert same_as == {0: [3], 3: [0]}
    assert contains == {2: [0, 3]}


def test_an_end_inside_a_text_ends_nothing():
    assert Analyzer().tokens_of_ascii([f"ann{END}lee", "b"]) == ["ann", "lee", END, "b", END]


def test_explain_says_why():
    said = explain("Vincent van Gogh", "a van Gogh-style sunflower")
    assert "name     vincent | van | gogh" in said
    assert "no: no token 'vincent'" in said
    said = explain("Picasso", "Picasso's blue period")
    assert said.startswith("standard, accents kept (this one counts") and said.count("this one counts") == 1
    assert "no: 'picasso' is only a part of the token \"picasso's\"" in said
    assert "yes: token 1" in said
    assert "do not follow one another in this order" in explain("Ann Lee", "Lee, Ann")
