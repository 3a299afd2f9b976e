"""Published lists that become sheets; the real one is not in this repository, so the tests make one of its form."""

import hashlib
import re

import pytest

from fit.cli.main import main
from fit.concepts import public
from fit.concepts.public import LISTS, PublicList, concepts_of, fetch_list
from fit.concepts.sheet import Concept, read_sheet
from fit.errors import SheetError

HEADER = "artist_name,count_wikiart_artworks,counts_in_laion2b-en,count_range\n"
TABLE = HEADER + "ann lee,,184662,above 10000\nn.c. wyeth,767.0,2,1-100\njoaquín sorolla,374.0,0,0\n"
NAME = "paper-classical-artists"


@pytest.fixture
def lists(tmp_path):
    """A published list at a file's address, and its name."""
    path = tmp_path / "published.csv"
    path.write_text(TABLE, encoding="utf-8")
    known = PublicList("artists", path.as_uri(), hashlib.sha256(TABLE.encode()).hexdigest(), "artist_name")
    return {"artists": known}


def test_a_published_list_becomes_a_sheet_with_the_names_as_they_are(lists, tmp_path):
    out = tmp_path / "new" / "sheet.tsv"
    assert fetch_list("artists", out, lists=lists) == 3
    names = [("ann-lee", "ann lee"), ("n-c-wyeth", "n.c. wyeth"), ("joaquin-sorolla", "joaquín sorolla")]
    assert read_sheet(out) == [Concept(*one) for one in names]
    assert [path.name for path in out.parent.iterdir()] == ["sheet.tsv"]


def test_a_list_that_changed_is_refused_with_the_file_and_a_remedy(lists, tmp_path):
    out = tmp_path / "sheet.tsv"
    out.write_text("before")
    (tmp_path / "published.csv").write_text(TABLE + "new name,1,1,1-100\n", encoding="utf-8")
    with pytest.raises(SheetError, match=r"published\.csv: its SHA-256 is .*/sheet\.tsv was not written.* --copy"):
        fetch_list("artists", out, lists=lists)
    assert out.read_text() == "before"


def test_a_copy_is_taken_where_the_list_can_not_be_reached(lists, tmp_path):
    copy = (tmp_path / "published.csv").rename(tmp_path / "copy.csv")
    with pytest.raises(SheetError, match=r"can't be read .* give an unchanged copy of the list with --copy"):
        fetch_list("artists", tmp_path / "sheet.tsv", lists=lists)
    assert fetch_list("artists", tmp_path / "sheet.tsv", copy.as_uri(), lists) == 3


def test_an_unknown_list_is_answered_with_those_that_are_known(lists, tmp_path):
    with pytest.raises(SheetError, match="the lists are: artists"):
        fetch_list("painters", tmp_path / "sheet.tsv", lists=lists)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("ann lee,,1,\nAnn Lée,,2,\n", r"line 3: 'Ann Lée' has the same slug as line 2, 'ann-lee'"),
        ("ann lee,,1,\n ,,2,\n", "line 3: artist_name is .*, not a name"),
        ("ann lee,,1,\n?,,2,\n", r"line 3: artist_name is '\?', not a name"),
    ],
)
def test_a_row_that_can_not_be_a_concept_is_named(tmp_path, rows, said):
    (tmp_path / "list.csv").write_text(HEADER + rows, encoding="utf-8")
    with pytest.raises(SheetError, match=said):
        concepts_of(tmp_path / "list.csv", "artist_name")


def test_the_papers_list_is_asked_for_at_one_version_of_its_repository():
    known = LISTS[NAME]
    assert re.fullmatch(r"https://raw\.githubusercontent\.com/vsahil/MIMETIC-2/[0-9a-f]{40}/\S+\.csv", known.url)
    assert re.fullmatch("[0-9a-f]{64}", known.sha256)


def test_the_command_takes_a_name_with_the_checksum_that_is_known_here(lists, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(public.LISTS, NAME, lists["artists"])
    out = tmp_path / "sheet.tsv"
    assert main(["concepts", "fetch", NAME, "--out", str(out)]) == 0
    assert "3 concepts in" in capsys.readouterr().out
    assert main(["concepts", "fetch", NAME, "--sha256", "0" * 64, "--out", str(out)]) == 1
    assert "leave out --sha256" in capsys.readouterr().err
    assert main(["concepts", "fetch", "file:///x", "--sha256", "0" * 64, "--copy", "file:///y", "--out", str(out)]) == 1
    assert "--copy is for a published list" in capsys.readouterr().err
