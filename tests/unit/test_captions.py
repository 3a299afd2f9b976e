"""What a mention is, against an independent reference, and what counting makes of files good and bad."""

import json
import random
import tarfile
import unicodedata

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from captions_reference import mentions, tokens
from hypothesis import given, settings
from hypothesis import strategies as st

from fit.captions import matched_captions
from fit.captions.analyzer import END, Analyzer, fold
from fit.captions.count import Columns, Outputs, Sampling, count_captions, merge_counts, remarks
from fit.captions.explain import explain
from fit.captions.matcher import Matcher
from fit.captions.phrases import Phrases, normal_forms
from fit.captions.sources import open_captions
from fit.cli.main import main
from fit.concepts.sheet import Concept
from fit.errors import CorpusError, DataError, SheetError
from fit.io.files import MARK
from fit.io.parquet import read

MODES = [("standard", False), ("standard", True), ("words", False), ("words", True)]


def reference_tokens(text, cut, folding):
    """The reference has `words` without folding only; folding is of tokens, so it comes after."""
    found = tokens(text, "fold" if folding and cut == "standard" else cut)
    return [fold(token) for token in found] if folding and cut == "words" else found


# --- tokens and mentions ----------------------------------------------------------------------------------------------

# Characters with which something goes wrong somewhere: joiners and separators, marks, scripts without spaces, letters
# whose lower case or folding is odd, emoji and what makes them.
HOSTILE = (
    "aAbBzZkKsSiI019 _'\"’.:,;-#*()/&\n\t\0\u00a0\u200b\u200c\u200d\u200e\u2028\ufe0f\u20e3\u0301\u0308\u00ad©®™"
    "〰🏻😀👩🇩🇪漢々ひカｶーกำאב״ıİſΣςσßæøłđÉéÅ\u212aﬁ½²①ⅧⓂ🅰ℹ㊗㌀가ᄀ\u1161\u3099\U00016ff0‿𝚺\ufffd"
)
WORDS = ["ann", "Lee", "O'Keeffe", "van", "Gogh", "Dürer", "Émile", "3D", "José", "MARY", "st.", "saint-saëns"]
text_parts = st.one_of(
    st.sampled_from(WORDS), st.text(st.sampled_from(HOSTILE), max_size=4), st.text(max_size=3), st.sampled_from(" -,.")
)
texts = st.lists(text_parts, max_size=8).map("".join)


@pytest.mark.parametrize(("cut", "folding"), MODES)
@given(text=texts)
@settings(max_examples=300, deadline=None)
def test_tokens_are_those_of_the_reference(cut, folding, text):
    assert Analyzer(cut, folding).tokens(text) == reference_tokens(text, cut, folding)


@pytest.mark.parametrize(("cut", "folding"), MODES)
def test_every_character_is_classified_like_the_reference(cut, folding):
    analyzer = Analyzer(cut, folding)
    every = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    text = " a".join(every)
    assert analyzer.tokens(text) == reference_tokens(text, cut, folding)


def hostile_caption(names, rng):
    """A caption made of names, in other letters and other company."""
    parts = []
    for _ in range(rng.randint(1, 5)):
        part = rng.choice(names) if rng.random() < 0.6 else "".join(rng.choices(HOSTILE, k=rng.randint(1, 4)))
        change = rng.choice([str.upper, str.lower, str.title, str, str, lambda t: unicodedata.normalize("NFD", t)])
        part = change(part)
        if rng.random() < 0.2:
            at = rng.randrange(len(part) + 1)
            part = part[:at] + rng.choice(HOSTILE) + part[at:]
        parts.append(part)
    return rng.choice(["", " ", " ", " - ", ", ", "\u200b", "_", "'s "]).join(parts)


def hostile_names(rng, analyzer):
    made = ["".join(rng.choices(HOSTILE, k=rng.randint(1, 3))) for _ in range(2)]
    made += [rng.choice([" ", "-", "'", ". ", ""]).join(rng.choices(WORDS, k=rng.randint(1, 3))) for _ in range(4)]
    return [name for name in made if analyzer.tokens(name)]


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


CONCEPTS = [
    Concept("ann-lee", "Ann Lee", ("A. Lee",)),
    Concept("mary-ann-lee", "Mary Ann Lee"),
    Concept("okeeffe", "Georgia O'Keeffe"),
    Concept("durer", "Albrecht Dürer", ("Dürer",)),
    Concept("kusama", "草間彌生"),
]


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


def test_the_analyzer_decides():
    assert mentioned(["Ann Lee's house"], cut="words") == [{"ann-lee"}]
    assert mentioned(["Albrecht Durer", "Du\u0308rer"], folding=True) == [{"durer"}, {"durer"}]


def test_nulls_and_what_is_no_utf8():
    column = pa.StringArray.from_buffers(
        4,
        pa.py_buffer(b"\0\0\0\0\x07\0\0\0\x0f\0\0\0\x16\0\0\0\x1d\0\0\0"),
        pa.py_buffer(b"Ann LeeAnn\xffLee\xe9Ann LeeAnn Lee"),
        pa.py_buffer(b"\x07"),
    )
    captions, rows, _, malformed = Matcher(CONCEPTS).mentions(column)
    # The second has a byte that is no character between its tokens; the fourth is null, whatever its bytes say.
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
    assert "no: 'picasso' is only a part of the token \"picasso's\"" in said
    assert "yes: token 1" in said
    assert "do not stand one after another" in explain("Ann Lee", "Lee, Ann")


# --- counting ---------------------------------------------------------------------------------------------------------


def shard(path, captions, kind=None, **columns):
    table = pa.table(
        {"url": [f"u{i}" for i in range(len(captions))], "caption": pa.array(captions, kind or pa.string()), **columns}
    )
    pq.write_table(table, path, row_group_size=64)
    return str(path)


def count(folder, files, concepts=CONCEPTS[:3], max_matched_captions=100, seed=7, columns=None, **options):
    outputs = Outputs.in_folder(folder)
    sampling = Sampling(max_matched_captions=max_matched_captions, seed=seed)
    count_captions(concepts, files, outputs, columns=columns or Columns(), sampling=sampling, **options)
    return outputs


def tables(outputs):
    return {
        kind: read(getattr(outputs, kind)).to_pylist() for kind in ("counts", "names", "matched_captions", "shards")
    }


def test_counts_hits_names_and_shards(tmp_path):
    one = shard(tmp_path / "1.parquet", ["Ann Lee, Ann Lee", None, "Mary Ann Lee", "A. Lee"])
    two = shard(tmp_path / "2.parquet", ["nobody", "Ann Lee"])
    found = tables(count(tmp_path / "out", [one, two]))
    counts = [(row["concept"], row["captions"]) for row in found["counts"]]
    assert counts == [("ann-lee", 4), ("mary-ann-lee", 1), ("okeeffe", 0)]
    assert {row["corpus_rows"] for row in found["counts"]} == {6}
    assert [(row["name"], row["captions"]) for row in found["names"][:3]] == [
        ("Ann Lee", 3),
        ("A. Lee", 1),
        ("Mary Ann Lee", 1),
    ]
    assert [tuple(row.values())[:4] for row in found["matched_captions"]] == [
        ("ann-lee", "1.parquet", 0, "u0"),
        ("ann-lee", "1.parquet", 2, "u2"),
        ("ann-lee", "1.parquet", 3, "u3"),
        ("ann-lee", "2.parquet", 1, "u1"),
        ("mary-ann-lee", "1.parquet", 2, "u2"),
    ]
    assert found["matched_captions"][0]["caption"] == "Ann Lee, Ann Lee"
    assert [(row["shard"], row["rows"], row["null_captions"]) for row in found["shards"]] == [
        ("1.parquet", 4, 1),
        ("2.parquet", 2, 0),
    ]


@pytest.fixture
def corpus(tmp_path):
    rng = random.Random(0)
    files = []
    for number in range(5):
        captions = [
            rng.choice(["Ann Lee", "Mary Ann Lee", "x", "O'Keeffe, Georgia", "georgia o'keeffe"]) for _ in range(300)
        ]
        files.append(shard(tmp_path / f"{number}.parquet", captions, width=list(range(300))))
    return files


def test_the_sample_is_the_same_in_any_order_and_in_any_parts(corpus, tmp_path, monkeypatch):
    whole = count(tmp_path / "whole", corpus, max_matched_captions=40)
    expected = tables(whole)
    per_concept = [sum(row["concept"] == c.slug for row in expected["matched_captions"]) for c in CONCEPTS[:3]]
    assert per_concept == [40, 40, 40]
    assert len({row["shard"] for row in expected["matched_captions"]}) == 5
    assert tables(count(tmp_path / "reversed", corpus[::-1], max_matched_captions=40, threads=3)) == expected
    # Written down after every batch, and read back in small pieces, it is still the same.
    monkeypatch.setattr(matched_captions, "_SPILL", 0)
    monkeypatch.setattr(matched_captions, "ROW_GROUP", 7)
    assert tables(count(tmp_path / "spilt", corpus, max_matched_captions=40)) == expected
    parts = [
        count(tmp_path / f"part{i}", files, max_matched_captions=40)
        for i, files in enumerate((corpus[:2], corpus[2:3], corpus[3:]))
    ]
    merged = Outputs.in_folder(tmp_path / "merged")
    (tmp_path / "merged").mkdir()
    merge_counts(parts, merged, sampling=Sampling(max_matched_captions=40, seed=7))
    assert tables(merged) == expected
    assert (
        tables(count(tmp_path / "seed", corpus, max_matched_captions=40, seed=8))["matched_captions"]
        != expected["matched_captions"]
    )


def test_bounds_keep_every_hit_of_a_sample():
    keys = np.random.default_rng(0).integers(0, 2**64, 5000, np.uint64, endpoint=False)
    keys[:2] = 0, 2**64 - 1
    concepts = np.arange(5000) % 2
    bounds = matched_captions.Bounds(2, 100)
    for start in range(0, 5000, 500):
        bounds.add(concepts[start : start + 500], keys[start : start + 500])
    kept = bounds.may_be_in(concepts, keys)
    for concept in (0, 1):
        mine = np.sort(keys[concepts == concept])
        assert np.isin(mine[:100], keys[kept]).all()
        assert (kept & (concepts == concept)).sum() < 250


def test_the_sample_is_uniform(tmp_path):
    """Of 3,000 matched captions, 1,000 are drawn with each of 40 seeds: the first third must have its share, within five sigma."""
    file = shard(tmp_path / "1.parquet", ["Ann Lee"] * 3000)
    early = 0
    for seed in range(40):
        found = read(
            count(tmp_path / "out", [file], CONCEPTS[:1], max_matched_captions=1000, seed=seed).matched_captions
        )
        assert len(found) == 1000
        early += sum(row < 1000 for row in found.column("row").to_pylist())
    expected, deviation = 40 * 1000 / 3, (40 * 1000 * (1 / 3) * (2 / 3) * (2 / 3)) ** 0.5
    assert abs(early - expected) < 5 * deviation


def test_one_concept_reads_without_the_rest(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(matched_captions, "ROW_GROUP", 50)
    outputs = count(tmp_path / "out", corpus, max_matched_captions=200)
    file = pq.ParquetFile(outputs.matched_captions)
    groups = [file.metadata.row_group(i).column(0).statistics for i in range(file.num_row_groups)]
    having = [g for g in groups if g.min <= "mary-ann-lee" <= g.max]
    assert 0 < len(having) < len(groups)
    found = read(outputs.matched_captions, ["concept", "row"], only={"concept": ["mary-ann-lee"]})
    assert set(found.column("concept").to_pylist()) == {"mary-ann-lee"}


def test_other_columns_are_carried_and_no_hits_reads_captions_only(corpus, tmp_path):
    found = tables(count(tmp_path / "out", corpus, columns=Columns(others=("width",))))["matched_captions"]
    assert all(row["width"] == str(row["row"]) for row in found)
    without = tables(count(tmp_path / "none", corpus, max_matched_captions=0, columns=Columns(url="no such column")))
    assert without["matched_captions"] == []
    assert without["counts"][0]["captions"] > 0


def test_one_more_concept_does_not_recount_the_others(corpus, tmp_path, capsys):
    kept = tmp_path / "kept"
    count(tmp_path / "out", corpus, CONCEPTS[:2], max_matched_captions=40, reuse=kept)
    again = count(tmp_path / "out", corpus, CONCEPTS[:3], max_matched_captions=40, reuse=kept)
    assert "2 concepts were counted before; counting 1 more" in capsys.readouterr().out
    assert tables(again) == tables(count(tmp_path / "fresh", corpus, CONCEPTS[:3], max_matched_captions=40))
    fewer = count(tmp_path / "out", corpus, CONCEPTS[1:3], max_matched_captions=40, reuse=kept)
    assert "every concept was counted before" in capsys.readouterr().out
    assert tables(fewer) == tables(count(tmp_path / "fresh", corpus, CONCEPTS[1:3], max_matched_captions=40))
    # Another alias, or another file, is another matter.
    changed = [Concept("ann-lee", "Ann Lee"), CONCEPTS[1]]
    count(tmp_path / "out", corpus, changed, max_matched_captions=40, reuse=kept)
    assert "1 concepts were counted before; counting 1 more" in capsys.readouterr().out
    count(tmp_path / "out", corpus[:2], changed, max_matched_captions=40, reuse=kept)
    assert "before" not in capsys.readouterr().out
    assert len(list(kept.glob("*/"))) == 1
    # What a kill left of counts that were not kept yet is removed.
    (kept / ".new-dead/.matched-dead").mkdir(parents=True)
    (kept / ".new-dead/.matched-dead/0-0-0.parquet").write_bytes(b"PAR1")
    count(tmp_path / "out", corpus[:2], changed, max_matched_captions=40, reuse=kept)
    assert sorted(path.name for path in kept.iterdir() if path.name.startswith(".")) == [MARK]


@pytest.mark.parametrize(
    "write",
    [
        lambda p, rows: (
            (p / "s.csv").write_text("url,caption\n" + "".join(f'{u},"{c}"\n' for u, c in rows)) and "s.csv"
        ),
        lambda p, rows: (
            (p / "s.tsv").write_text("url\tcaption\n" + "".join(f"{u}\t{c}\n" for u, c in rows)) and "s.tsv"
        ),
        lambda p, rows: (
            (p / "s.jsonl").write_text("".join(json.dumps({"n": 1, "caption": c, "url": u}) + "\n" for u, c in rows))
            and "s.jsonl"
        ),
        lambda p, rows: (
            pa.CompressedOutputStream(str(p / "s.csv.gz"), "gzip").write(
                ("caption,url\n" + "".join(f'"{c}",{u}\n' for u, c in rows)).encode()
            )
            and "s.csv.gz"
        ),
    ],
)
def test_text_files_count_like_parquet(tmp_path, write):
    rows = [(f"u{i}", text) for i, text in enumerate(["Ann Lee, painter", "NA", "Mary Ann Lee", "é"])]
    name = write(tmp_path, rows)
    parquet = shard(tmp_path / "p.parquet", [text for _, text in rows])
    found, expected = (tables(count(tmp_path / "out", [f], CONCEPTS[:3])) for f in (str(tmp_path / name), parquet))
    assert found["counts"] == expected["counts"]
    assert [{**row, "shard": ""} for row in found["matched_captions"]] == [
        {**row, "shard": ""} for row in expected["matched_captions"]
    ]


def test_files_are_read_through_fsspec(tmp_path):
    import fsspec

    local = shard(tmp_path / "1.parquet", ["Ann Lee"])
    with fsspec.open("memory://corpus/1.parquet", "wb") as target:
        target.write((tmp_path / "1.parquet").read_bytes())
    there, here = (tables(count(tmp_path / "out", [f])) for f in ("memory://corpus/1.parquet", local))
    assert there == here
    command = ["captions", "count", "--concepts", str(tmp_path / "c.tsv"), "--captions", "memory://corpus/*.parquet"]
    (tmp_path / "c.tsv").write_text("concept\tname\nann-lee\tAnn Lee\n")
    assert (
        main([*command, "--counts", str(tmp_path / "c.parquet"), "--matched-captions", str(tmp_path / "h.parquet")])
        == 0
    )
    assert read(tmp_path / "c.parquet").column("captions").to_pylist() == [1]


@pytest.mark.parametrize(
    "kind",
    [pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())],
)
def test_captions_in_any_layout(tmp_path, kind):
    file = shard(tmp_path / "1.parquet", ["Ann Lee", None, "Mary Ann Lee"], kind)
    assert [row["captions"] for row in tables(count(tmp_path / "out", [file]))["counts"]] == [2, 1, 0]


def truncated(path):
    shard(path, [f"Ann Lee {i} {random.random()}" for i in range(5000)])
    path.write_bytes(path.read_bytes()[:-100])


def damaged(path):
    """A file that opens and breaks off in the middle."""
    shard(path, [f"Ann Lee {i} {random.random()}" for i in range(5000)])
    data = bytearray(path.read_bytes())
    data[len(data) // 3 : len(data) // 2] = b"\xff" * (len(data) // 2 - len(data) // 3)
    path.write_bytes(data)


BAD = [
    (lambda p: p.write_text("not parquet"), ["bad.parquet", "not a readable file of captions"]),
    (lambda p: p.write_bytes(b""), ["bad.parquet", "not a readable file of captions"]),
    (truncated, ["bad.parquet", "not a readable file of captions", "on_bad_shard: skip"]),
    (damaged, ["bad.parquet", "not a readable file of captions"]),
    (lambda p: pq.write_table(pa.table({"url": ["u"], "text": ["x"]}), p), ["no column 'caption'", "url, text"]),
    (lambda p: pq.write_table(pa.table({"url": ["u"], "caption": [1]}), p), ["'caption' is int64, not text"]),
    (lambda p: None, ["no such file"]),
]


@pytest.mark.parametrize(("make", "said"), BAD)
def test_a_bad_shard_is_named_with_a_remedy_or_skipped_and_told(tmp_path, make, said):
    make(tmp_path / "bad.parquet")
    good = shard(tmp_path / "good.parquet", ["Ann Lee", "x"])
    with pytest.raises(CorpusError) as error:
        count(tmp_path / "out", [good, str(tmp_path / "bad.parquet")])
    for words in said:
        assert words in str(error.value)
    assert not (tmp_path / "out/counts.parquet").exists()
    found = tables(count(tmp_path / "out", [good, str(tmp_path / "bad.parquet")], on_bad_shard="skip"))
    row = found["counts"][0]
    assert (row["captions"], row["corpus_rows"], row["skipped_shards"]) == (1, 2, 1)
    assert [matched_caption["shard"] for matched_caption in found["matched_captions"]] == ["good.parquet"]
    bad = found["shards"][0]
    assert (bad["shard"], bad["status"]) == ("bad.parquet", "skipped")
    assert said[-1] in bad["reason"] or said[0] in bad["reason"]
    if make is damaged:
        assert row["skipped_rows"] == bad["rows"] == 5000


def test_skipped_captions_are_told_on_the_command_line(tmp_path, capsys):
    damaged(tmp_path / "bad.parquet")
    (tmp_path / "c.tsv").write_text("concept\tname\nann-lee\tAnn Lee\n")
    command = ["captions", "count", "--concepts", "c.tsv", "--captions", "bad.parquet", "--on-bad-shard", "skip"]
    command = [str(tmp_path / part) if "." in part else part for part in command]
    assert main([*command, "--counts", str(tmp_path / "n.parquet")]) == 0
    assert "fit: skipped 5000 captions: " in capsys.readouterr().err


def test_empty_shards_and_columns_of_nulls(tmp_path):
    files = [shard(tmp_path / "none.parquet", []), shard(tmp_path / "null.parquet", [None, None])]
    found = tables(count(tmp_path / "out", files))
    assert [row["captions"] for row in found["counts"]] == [0, 0, 0]
    assert [(row["rows"], row["null_captions"]) for row in found["shards"]] == [(0, 0), (2, 2)]


def test_invalid_utf8_is_counted_and_repaired(tmp_path):
    captions = pa.array([b"Ann\xff Lee", b"Ann Lee \xe9"], pa.binary())
    table = pa.table({"url": ["u", "v"], "caption": captions})
    pq.write_table(table, tmp_path / "raw.parquet")
    # Files of other writers say "text" of bytes that are none; here the word is changed in a file of bytes.
    text = pa.StringArray.from_buffers(2, captions.buffers()[1], captions.buffers()[2])
    pq.write_table(pa.table({"url": ["u", "v"], "caption": text}), tmp_path / "1.parquet")
    found = tables(count(tmp_path / "out", [str(tmp_path / "1.parquet")]))
    assert [matched_caption["caption"] for matched_caption in found["matched_captions"]] == [
        "Ann\ufffd Lee",
        "Ann Lee \ufffd",
    ]
    assert found["shards"][0]["malformed_captions"] == 2
    with pytest.raises(CorpusError, match="'caption' is binary, not text"):
        count(tmp_path / "out", [str(tmp_path / "raw.parquet")])


def test_common_words_and_shared_names_are_remarked(tmp_path):
    concepts = [Concept("seal", "Seal", ("Seal Samuel",)), Concept("prince", "Prince"), *CONCEPTS[:2]]
    concepts.append(Concept("ann-lee-2", "ANN LEE"))
    captions = ["A seal on a beach in Norway"] * 30 + ["Seal sings in Oslo"] * 30 + ["Prince in Paris", "seal"] * 30
    names = read(count(tmp_path / "out", [shard(tmp_path / "1.parquet", captions)], concepts).names)
    said = remarks(names)
    assert said[0] == "seal: 'Seal' looks like a common word: 50% of the captions with capitals write it without"
    assert "ann-lee: 'Ann Lee' is also a name of ann-lee-2; its captions count for each" in said
    assert "mary-ann-lee: 'Mary Ann Lee' contains a name of ann-lee, ann-lee-2; its captions count for them too" in said
    assert not any(remark.startswith("prince") for remark in said)


def test_a_name_that_every_caption_has_is_counted(tmp_path):
    file = shard(tmp_path / "1.parquet", ["the end", "The The", "them", "of the sea"] * 500)
    found = tables(count(tmp_path / "out", [file], [Concept("the", "the")], max_matched_captions=10))
    assert (found["counts"][0]["captions"], len(found["matched_captions"])) == (1500, 10)


def test_parts_of_other_sheets_are_refused(corpus, tmp_path):
    parts = [count(tmp_path / "a", corpus[:1]), count(tmp_path / "b", corpus[1:], CONCEPTS[:2])]
    with pytest.raises(DataError, match=r"b/counts\.parquet: its concepts or names are not those of .*a/counts"):
        merge_counts(parts, Outputs.in_folder(tmp_path))
    parts = [parts[0], count(tmp_path / "c", corpus[1:], columns=Columns(others=("width",)))]
    with pytest.raises(DataError, match=r"c/matched captions\.parquet: its columns are .*width"):
        merge_counts(parts, Outputs.in_folder(tmp_path))


def test_nested_columns_are_not_carried(tmp_path):
    file = shard(tmp_path / "1.parquet", ["Ann Lee"], tags=[["a"]])
    with pytest.raises(CorpusError, match=r"'tags' holds list<.*take it off `captions\.columns`"):
        count(tmp_path / "out", [file], columns=Columns(others=("tags",)))


def test_a_command_without_captions_says_what_is_missing(tmp_path, capsys):
    (tmp_path / "c.tsv").write_text("concept\tname\nann-lee\tAnn Lee\n")
    assert main(["captions", "count", "--concepts", str(tmp_path / "c.tsv"), "--counts", "n.parquet"]) == 1
    assert "either --captions FILE ... or --elasticsearch INDEX" in capsys.readouterr().err


def test_two_shards_of_one_name_are_refused(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
    files = [shard(tmp_path / name / "1.parquet", ["x"]) for name in "ab"]
    with pytest.raises(CorpusError, match=r"1\.parquet: two files"):
        count(tmp_path / "out", files)


def test_folders_of_key_and_value_tell_shards_of_one_name_apart(tmp_path):
    for name in ("lang=en", "lang=fr"):
        (tmp_path / "c" / name).mkdir(parents=True)
    files = [shard(tmp_path / "c" / name / "1.parquet", ["Ann Lee"]) for name in ("lang=en", "lang=fr")]
    found = tables(count(tmp_path / "out", files))
    assert [row["shard"] for row in found["shards"]] == ["lang=en/1.parquet", "lang=fr/1.parquet"]
    assert found["counts"][0]["captions"] == 2


def test_a_file_of_an_unknown_format(tmp_path):
    with pytest.raises(CorpusError, match=r"x\.xlsx: captions are read from files that end in \.parquet"):
        count(tmp_path / "out", [str(tmp_path / "x.xlsx")])
    with pytest.raises(CorpusError, match=r"\*\.parquet"):
        count(tmp_path / "out", [str(tmp_path / "*.parquet")])


@pytest.mark.parametrize("first", ["", "x"])
def test_a_value_that_repeats_is_not_unpacked_all_at_once(tmp_path, first):
    """Ten kilobytes whose one long value is meant forty thousand times: gigabytes, were it read as it is meant."""
    values = pa.DictionaryArray.from_arrays(pa.array([0] + [1] * 40_000, pa.int32()), [first, "ada lee " * 25_000])
    file = tmp_path / "bomb.parquet"
    pq.write_table(pa.table({"caption": values, "url": ["u"] * 40_001}), file, store_schema=False)
    assert file.stat().st_size < 100_000
    rows = 0
    for batch in open_captions(str(file)).batches(["caption", "url"]):
        rows += len(batch)
        assert batch.nbytes < 100 << 20
        if rows > 1000:
            break
    else:
        raise AssertionError("not read")


def test_a_value_that_is_too_large_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr("fit.captions.sources.parquet.LARGEST_FILE", 1000)
    monkeypatch.setattr("fit.captions.sources.parquet._BATCH_BYTES", 1000)
    pq.write_table(pa.table({"caption": ["x" * 1001] * 5, "url": ["u"] * 5}), tmp_path / "a.parquet")
    with pytest.raises(CorpusError, match="a value of column 'caption' has 1,001 bytes, more than 1,000"):
        list(open_captions(str(tmp_path / "a.parquet")).batches(["caption"]))


@pytest.mark.parametrize("kind", ["folder", "tar"])
def test_a_picture_or_a_text_that_is_too_large_is_not_read(tmp_path, monkeypatch, kind, capsys):
    monkeypatch.setattr("fit.captions.sources.pictures.LARGEST_FILE", 1000)
    monkeypatch.setattr("fit.captions.sources.pictures._SIDECAR_BYTES", 100)
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name, size in (("a", 1001), ("b", 10)):
        (folder / f"{name}.jpg").write_bytes(bytes(size))
        (folder / f"{name}.txt").write_text(name)

    def place():
        if kind == "folder":
            return str(folder)
        with tarfile.open(tmp_path / "pictures.tar", "w") as tar:
            for file in sorted(folder.iterdir()):
                tar.add(file, file.name)
        return str(tmp_path / "pictures.tar")

    found = pa.Table.from_batches(open_captions(place()).batches(["caption", "image"])).to_pydict()
    assert found == {"caption": ["a", "b"], "image": [None, bytes(10)]}
    assert "1,001 bytes, more than 1,000, so it is left out" in capsys.readouterr().err
    (folder / "b.txt").write_text("b" * 101)
    with pytest.raises(CorpusError, match=r"b\.txt has 101 bytes, more than a caption or its JSON has"):
        list(open_captions(place()).batches(["caption"]))
