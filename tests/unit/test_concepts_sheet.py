import pytest

from fit.concepts.sheet import Concept, find_concepts, read_sheet
from fit.errors import SheetError


def sheet(tmp_path, text):
    path = tmp_path / "sheet.tsv"
    path.write_text(text, encoding="utf-8")
    return path


def test_reads_names_aliases_and_groups(tmp_path):
    path = sheet(tmp_path, "concept\tname\taliases\tgroup\nann-lee\tAnn Lee\tA. Lee|Annie Lee\tone\nbo\tBo\t\t\n\n")
    assert read_sheet(path) == [Concept("ann-lee", "Ann Lee", ("A. Lee", "Annie Lee"), "one"), Concept("bo", "Bo")]
    assert read_sheet(path)[0].names == ("Ann Lee", "A. Lee", "Annie Lee")


def test_a_byte_order_mark_is_no_part_of_the_header(tmp_path):
    assert read_sheet(sheet(tmp_path, "\ufeffconcept\tname\nbo\tBo\n"))[0].slug == "bo"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("concept\tname\nann\tAnn\nbo\tBo\nann\tAnna\n", ["line 4", "'ann'", "line 2", "another slug"]),
        ("concept\tname\nann\t \n", ["line 2", "'ann'", "empty name"]),
        ("concept\tname\nAnn_Lee\tAnn Lee\n", ["line 2", "'Ann_Lee'", "a-z, 0-9 and -"]),
        ("concept\tname\n\tAnn Lee\n", ["line 2", "not a slug"]),
        ("concept\tname\n--out\tAnn Lee\n", ["line 2", "'--out' is not a slug", "no - first"]),
        ("slug\tname\nann\tAnn\n", ["line 1", "'concept'", "slug, name"]),
        ("concept\tname\nann\tAnn\tA.\n", ["line 2", "extra tabs"]),
        ("concept\tname\n", ["no concept"]),
        ("", ["the file is empty", "concept, name"]),
    ],
)
def test_a_bad_sheet_names_its_line_and_the_remedy(tmp_path, text, said):
    path = sheet(tmp_path, text)
    with pytest.raises(SheetError) as error:
        read_sheet(path)
    for words in [str(path), *said]:
        assert words in str(error.value)


def test_a_missing_sheet_and_an_undecodable_one(tmp_path):
    with pytest.raises(SheetError, match="no such concept sheet"):
        read_sheet(tmp_path / "none.tsv")
    (tmp_path / "latin.tsv").write_bytes("concept\tname\nx\tDalí\n".encode("latin-1"))
    with pytest.raises(SheetError, match="not UTF-8"):
        read_sheet(tmp_path / "latin.tsv")


def test_find_concepts_keeps_the_asked_order(tmp_path):
    path = sheet(tmp_path, "concept\tname\na\tA\nb\tB\n")
    assert [c.slug for c in find_concepts(path, ["b", "a"])] == ["b", "a"]
    with pytest.raises(SheetError, match="no concept 'c'"):
        find_concepts(path, ["c"])
