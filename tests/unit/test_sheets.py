import functools
import hashlib
import http.server
import re
import threading
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fit.cli.main import main
from fit.concepts.check import ALIKE, check, nearly_alike
from fit.concepts.fetch import fetch
from fit.concepts.sample import Bin, equal_shares, sample
from fit.concepts.sheet import Concept, read_sheet, write_sheet
from fit.errors import DataError, SheetError

SHEETS = sorted(Path(__file__).parents[2].glob("concepts/*.tsv"))


@pytest.fixture
def sheet(tmp_path):
    def write(name, *rows):
        path = tmp_path / name
        path.write_text("\n".join(["concept\tname\taliases\tgroup", *rows]) + "\n", encoding="utf-8")
        return str(path)

    return write


# --- checking ---------------------------------------------------------------------------------------------------------


def test_the_sheets_that_ship_have_no_errors():
    found = check(SHEETS)
    assert found.errors == []
    rows = {Path(row["sheet"]).stem: row["rows"] for row in found.summary}
    assert rows["celebrities"] == rows["politicians"] == 400
    assert len(rows) == len(SHEETS)


@pytest.mark.parametrize("domain", ["celebrities", "politicians"])
def test_the_sheets_of_people_are_in_order_and_in_two_groups(domain):
    (path,) = (path for path in SHEETS if path.stem == domain)
    concepts = read_sheet(path)
    slugs = [concept.slug for concept in concepts]
    assert slugs == sorted(slugs)
    groups = Counter(concept.group for concept in concepts)
    assert set(groups) <= {"woman", "man", ""}
    assert min(groups["woman"], groups["man"]) > 150


def test_a_summary_counts_rows_aliases_and_groups(sheet):
    path = sheet(
        "a.tsv", "ann-lee\tAnn Lee\tA. Lee|Annie Lee\twoman", "bo\tBo\t\tman", "cy-ng\tCy Ng\t\tman", "di-oh\tDi Oh"
    )
    (row,) = check([path]).summary
    assert row == {
        "sheet": path,
        "rows": 4,
        "aliases": 2,
        "one word": 1,
        "groups": "man 2, woman 1",
        "without group": 1,
    }


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("ann\tANN  LÉE", ["'ann'", "'ANN  LÉE'", "'ann-lee'", "'Ann Lee'"]),  # a name, but for case and accents
        ("bob-ray\tBob Ray\tAnn-Lee", ["'bob-ray'", "'Ann-Lee'", "'ann-lee'"]),  # an alias and a name
        ("annie\tAnnie Lee", ["'annie'", "'ann-lee'", "'Annie Lee'"]),  # a name and an alias
        ("bob-ray\tBob Ray\tAnnie Lee", ["'bob-ray'", "'ann-lee'"]),  # two aliases
        ("bob-ray\tBob Ray\t...", ["'bob-ray'", "'...'", "no letter or digit"]),
    ],
)
@pytest.mark.parametrize("sheets", [1, 2])
def test_names_that_stand_twice_are_errors_within_a_sheet_and_across_sheets(sheet, row, said, sheets):
    first = "ann-lee\tAnn Lee\tAnnie Lee"
    paths = [sheet("a.tsv", first, row)] if sheets == 1 else [sheet("a.tsv", first), sheet("b.tsv", row)]
    (error,) = check(paths).errors
    for words in [paths[-1], *said]:
        assert words in error


def test_spellings_of_one_concept_are_no_error(sheet):
    path = sheet("a.tsv", "ann-lee\tAnn Lée\tAnn Lee|Ann Lee Roy")
    assert check([path]).errors == []


def test_a_slug_in_two_sheets_is_one_error(sheet):
    paths = [sheet("a.tsv", "ann-lee\tAnn Lee"), sheet("b.tsv", "ann-lee\tAnn Lee")]
    (error,) = check(paths).errors
    assert all(words in error for words in [*paths, "'ann-lee'"])


def test_a_broken_sheet_is_an_error_and_the_others_are_looked_at(sheet, tmp_path):
    bad = sheet("bad.tsv", "ann\tAnn Lee", "ann\tAnn Ray")
    good = sheet("good.tsv", "bo\tBo\t...")
    found = check([str(tmp_path / "none.tsv"), bad, good])
    for error, words in zip(found.errors, ["no such concept sheet", "line 2", "no letter"], strict=True):
        assert words in error
    assert [row["sheet"] for row in found.summary] == [good]


def test_one_word_and_near_duplicates_are_warnings(sheet):
    path = sheet(
        "a.tsv", "drake\tDrake", "ann-leeson\tAnn Leeson\tAnn M. Leeson", "anne-leeson\tAnne Leeson", "bo\tBo Ng"
    )
    found = check([path])
    assert found.errors == []
    one_word, alike = found.warnings
    assert "one word" in one_word and "Drake" in one_word and "Leeson" not in one_word
    assert "'Ann Leeson'" in alike and "'Anne Leeson'" in alike and "0.95" in alike


def longest_common(one, other):
    """The length of the longest common subsequence, by the textbook."""
    lengths = [0] * (len(other) + 1)
    for character in one:
        diagonal = 0
        for place, of_other in enumerate(other, 1):
            diagonal, lengths[place] = (
                lengths[place],
                diagonal + 1 if character == of_other else max(lengths[place], lengths[place - 1]),
            )
    return lengths[-1]


@settings(deadline=None)
@given(st.lists(st.text("ab é", min_size=1, max_size=25), unique=True, max_size=12))
def test_nearly_alike_finds_what_comparing_all_pairs_finds(names):
    ratios = [
        (i, j, 2 * longest_common(names[i], names[j]) / len(names[i] + names[j]))
        for i in range(len(names))
        for j in range(i + 1, len(names))
    ]
    found = nearly_alike(names)
    expected = [pair for pair in ratios if pair[2] >= ALIKE]
    assert [pair[:2] for pair in found] == [pair[:2] for pair in expected]
    assert [pair[2] for pair in found] == pytest.approx([pair[2] for pair in expected])


def test_check_ends_with_1_on_errors_only(sheet, capsys):
    good = sheet("a.tsv", "drake\tDrake\t\tman")
    assert main(["concepts", "check", good]) == 0
    said = capsys.readouterr()
    assert "without group" in said.out and "man 1" in said.out
    assert "one word" in said.err
    assert main(["concepts", "check", good, sheet("b.tsv", "drake\tJohn Drake")]) == 1
    said = capsys.readouterr()
    assert "named above: 1" in said.err and "'drake'" in said.err and "Traceback" not in said.err
    assert "man 1" in said.out


# --- drawing ----------------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=9), st.data())
def test_shares_are_even_but_where_a_bin_has_no_more(available, data):
    size = data.draw(st.integers(0, sum(available)))
    shares = equal_shares(available, size)
    assert sum(shares) == size
    assert all(0 <= share <= most for share, most in zip(shares, available, strict=True))
    for share, most in zip(shares, available, strict=True):
        assert share == most or share >= max(shares) - 1


@pytest.fixture
def candidates(sheet, tmp_path):
    """A sheet of 5 concepts that no caption mentions, 60 mentioned 1 to 9 times, 40 10 to 99, and 30 1,000 to 9,999."""
    counts = [0] * 5 + [1, 9] * 30 + [10, 99] * 20 + [1000, 9999] * 15
    slugs = [f"c{index:03d}" for index in range(len(counts))]
    path = sheet("long.tsv", *(f'{slug}\tName {slug}\tAlias {slug}|“{slug}” "x"\tman' for slug in slugs))
    pq.write_table(pa.table({"concept": slugs, "captions": counts, "corpus_rows": counts}), tmp_path / "counts.parquet")
    lines = [f"{slug},{count}" for slug, count in zip(slugs, counts, strict=True)]
    (tmp_path / "counts.csv").write_text("\n".join(["concept,captions", *lines]))
    return path, dict(zip(slugs, counts, strict=True))


def test_a_sample_is_even_over_powers_of_ten(candidates, tmp_path):
    path, captions = candidates
    concepts, bins = sample(path, tmp_path / "counts.parquet", 80)
    # The 5 without captions all go in, the other 75 are shared equally: the rest of a bin makes no other bin smaller.
    assert bins == [
        Bin("0", candidates=5, drawn=5),
        Bin("1 to 9", candidates=60, drawn=25),
        Bin("10 to 99", candidates=40, drawn=25),
        Bin("1,000 to 9,999", candidates=30, drawn=25),
    ]
    digits = Counter(len(str(captions[concept.slug])) if captions[concept.slug] else 0 for concept in concepts)
    assert digits == {0: 5, 1: 25, 2: 25, 4: 25}
    slugs = [concept.slug for concept in concepts]
    assert slugs == sorted(set(slugs))
    assert set(concepts) <= set(read_sheet(path))


def test_a_sample_repeats_with_its_seed_whatever_the_order_and_the_format(candidates, sheet, tmp_path):
    path, _ = candidates
    rows = Path(path).read_text().splitlines()[1:]
    drawn = sample(path, tmp_path / "counts.parquet", 40, seed=3)
    assert sample(sheet("turned.tsv", *reversed(rows)), tmp_path / "counts.csv", 40, seed=3) == drawn
    assert sample(path, tmp_path / "counts.parquet", 40, seed=4)[0] != drawn[0]


def test_all_candidates_can_be_drawn_but_no_more(candidates, tmp_path):
    path, captions = candidates
    assert sample(path, tmp_path / "counts.csv", len(captions))[0] == read_sheet(path)
    for size in (len(captions) + 1, 0):
        with pytest.raises(SheetError, match=f"{size} concepts can't be drawn from 135"):
            sample(path, tmp_path / "counts.csv", size)


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ("concept,captions\nann,3\n", "no count of bo"),
        ("concept,captions\nann,3\nbo,many\n", "concept 'bo': captions is 'many'"),
        ("concept,number\nann,3\n", "no column 'captions'"),
        (None, "(?i)no such file"),
    ],
)
def test_counts_that_do_not_serve(sheet, tmp_path, counts, said):
    path = tmp_path / "counts.csv"
    if counts is not None:
        path.write_text(counts)
    with pytest.raises(DataError, match=said) as error:
        sample(sheet("a.tsv", "ann\tAnn", "bo\tBo"), path, 1)
    assert str(path) in str(error.value)


def test_a_missing_sheet_of_candidates(tmp_path):
    with pytest.raises(SheetError, match="no such concept sheet"):
        sample(tmp_path / "none.tsv", tmp_path / "counts.csv", 1)


def test_a_written_sheet_reads_as_it_was(tmp_path):
    concepts = [Concept("ann", 'Ann "A" Lée', ("'A' Lee", "x\\y"), "woman"), Concept("bo", "Bo, Jr.")]
    write_sheet(concepts, tmp_path / "new" / "a.tsv")
    assert read_sheet(tmp_path / "new" / "a.tsv") == concepts


def test_the_command_writes_the_sheet_and_prints_the_bins(candidates, tmp_path, capsys):
    path, _ = candidates
    counts, out = str(tmp_path / "counts.parquet"), tmp_path / "drawn.tsv"
    arguments = ["concepts", "sample", "--candidates", path, "--counts", counts, "--out", str(out), "--seed", "7"]
    assert main([*arguments, "--size", "80"]) == 0
    assert read_sheet(out) == sample(path, counts, 80, seed=7)[0]
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["captions", "candidates", "drawn"] in lines
    assert ["1,000", "to", "9,999", "30", "25"] in lines
    out.unlink()
    assert main([*arguments, "--size", "800"]) == 1
    assert "800" in capsys.readouterr().err
    assert not out.exists()


# --- bringing ---------------------------------------------------------------------------------------------------------

LIST = "concept\tname\nann-lee\tAnn Lée\n".encode()
SHA256 = hashlib.sha256(LIST).hexdigest()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def places(tmp_path):
    """Addresses of a list: by file:// and from a web server in a thread."""
    (tmp_path / "list.tsv").write_bytes(LIST)
    handler = functools.partial(_Quiet, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield {"file": (tmp_path / "list.tsv").as_uri(), "http": f"http://127.0.0.1:{server.server_port}/list.tsv"}
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("scheme", ["file", "http"])
def test_a_list_with_the_right_checksum_comes_whole(places, tmp_path, scheme):
    assert fetch(places[scheme], SHA256.upper(), tmp_path / "new" / "out.tsv") == len(LIST)
    assert (tmp_path / "new" / "out.tsv").read_bytes() == LIST
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["out.tsv"]


@pytest.mark.parametrize("scheme", ["file", "http"])
def test_another_checksum_is_named_and_leaves_what_was_there(places, tmp_path, scheme):
    (tmp_path / "new").mkdir()
    out = tmp_path / "new" / "out.tsv"
    out.write_text("before")
    with pytest.raises(SheetError) as error:
        fetch(places[scheme], "0" * 64, out)
    for words in (places[scheme], SHA256, "0" * 64, str(out)):
        assert words in str(error.value)
    assert out.read_text() == "before"
    assert [path.name for path in out.parent.iterdir()] == ["out.tsv"]


@pytest.mark.parametrize("scheme", ["file", "http"])
def test_an_address_with_nothing_there(places, tmp_path, scheme):
    with pytest.raises(SheetError, match=r"gone\.tsv: can't be read"):
        fetch(places[scheme].replace("list", "gone"), SHA256, tmp_path / "out.tsv")
    assert not (tmp_path / "out.tsv").exists()


def test_a_server_that_is_gone(places, tmp_path):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Quiet) as server:
        port = server.server_port
    with pytest.raises(SheetError, match="can't be read"):
        fetch(f"http://127.0.0.1:{port}/list.tsv", SHA256, tmp_path / "out.tsv")


@pytest.mark.parametrize(
    ("url", "sha256", "said"),
    [
        ("file:///list.tsv", "abc", "not a SHA-256"),
        ("file:///list.tsv", "g" * 64, "not a SHA-256"),
        ("list.tsv", SHA256, "begins with file://"),
        ("ftp://127.0.0.1/list.tsv", SHA256, "begins with file://"),
    ],
)
def test_what_can_not_be_asked_for(tmp_path, url, sha256, said):
    with pytest.raises(SheetError, match=said):
        fetch(url, sha256, tmp_path / "out.tsv")
    assert not (tmp_path / "out.tsv").exists()


def test_the_command_needs_a_checksum(places, tmp_path, capsys):
    out = tmp_path / "out.tsv"
    arguments = ["concepts", "fetch", places["http"], "--out", str(out)]
    with pytest.raises(SystemExit):
        main(arguments)
    assert "--sha256" in capsys.readouterr().err
    assert main([*arguments, "--sha256", SHA256]) == 0
    assert f"{len(LIST)} bytes" in capsys.readouterr().out
    assert out.read_bytes() == LIST


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ("Vincent van Gogh\tV. van Gogh, Van Gogh", "has ',': .* if these are several names, separate them by |"),
        ("Vincent van Gogh\tV. van Gogh; Van Gogh", "has ';'"),
        ("Vincent van Gogh\tV. van Gogh｜Van Gogh", "has '｜'"),
        ("Ｖincent van Gogh\t", "full-width letters or ligatures, 'Ｖ', which do not match 'V'"),
        ("Emil Waldmann\tE. Waldﬂuss", "ligatures, 'ﬂ', which do not match 'fl'"),
        (
            "Georgia Oʼkeeffe\t",
            'has U\\+02BC for an apostrophe, and does not match "Georgia O\'keeffe"',
        ),
        ("Georgia O`Keeffe\t", r"has U\+0060 for an apostrophe"),
        ("Georgia O´Keeffe\t", r"has U\+00B4 for an apostrophe"),
        ("Vincent \u202evan Gogh\t", r"invisible character U\+202E"),
        ("Vincent \u2067van Gogh\t", r"invisible character U\+2067"),
        ("Gilbert &amp George\t", "HTML entity '&amp'; write '&'"),
        ("Rene Magritt&eacute\t", "HTML entity '&eacute'; write 'é'"),
    ],
)
def test_a_spelling_that_captions_do_not_have_is_named(tmp_path, names, said):
    (tmp_path / "s.tsv").write_text(f"concept\tname\taliases\none\t{names}\n")
    assert any(re.search(said, warning) for warning in check([tmp_path / "s.tsv"]).warnings)


@pytest.mark.parametrize("name", ["Sammy Davis, Jr.", "Gilbert & George", "R&D Smith", "Vincent van Gogh"])
def test_an_ordinary_spelling_is_not_named(tmp_path, name):
    (tmp_path / "s.tsv").write_text(f"concept\tname\taliases\none\t{name}\t{name} the Elder\n")
    assert check([tmp_path / "s.tsv"]).warnings == []


def test_a_slug_that_no_file_can_have_is_an_error(tmp_path):
    (tmp_path / "s.tsv").write_text(f"concept\tname\n{'a' * 200}\tOne Name\n{'b' * 201}\tTwo Names\n")
    assert re.search("line 3: concept 'b+'... has 201 characters", check([tmp_path / "s.tsv"]).errors[0])
