"""The CSV of ratings: what a crash leaves, and what is read from elsewhere."""

import pytest
from printed import agree

from fit.cli.main import main
from fit.errors import DataError
from fit.io import appended
from fit.ratings.store import COLUMNS, Answers, Rating, import_ratings, read_ratings


def some(count, rater="Ann"):
    return [Rating(rater, "ann-orr", "a harbour, by night", f"i{n}", 1 + n % 5, "t", "0") for n in range(count)]


def test_a_row_cut_short_by_a_crash_costs_only_itself(tmp_path):
    path = tmp_path / "r.csv"
    with Answers(path) as answers:
        answers.add(some(3, "Bö"))
    whole = path.read_bytes()
    for cut in range(1, len(whole) + 1):
        path.write_bytes(whole[:-cut])
        left = read_ratings(path) if b"\n" in whole[:-cut] else []
        # What stands behind the rating may be cut: it says nothing of what was thought.
        expected = [(one.about, one.rating) for one in some(3, "Bö")]
        assert [(one.about, one.rating) for one in left] == expected[: len(left)]
        assert len(left) >= 3 - len(whole[-cut:].splitlines())
        with Answers(path) as answers:
            assert answers.ratings == left
            answers.add(some(1, "Cy"))
        assert read_ratings(path) == [*left, *some(1, "Cy")]


def test_a_last_line_without_an_end_is_kept(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text(f"{','.join(COLUMNS)}\nAnn,a,,x,4,,")
    with Answers(path) as answers:
        answers.add(some(1))
    assert [rating.rating for rating in read_ratings(path)] == [4, 1]


def test_a_full_disk_leaves_whole_rows(tmp_path, monkeypatch):
    path = tmp_path / "r.csv"
    with Answers(path) as answers:
        answers.add(some(1))
        whole, write = path.read_bytes(), appended.os.write
        monkeypatch.setattr(appended.os, "write", lambda file, data: write(file, data[:9]))
        with pytest.raises(DataError, match="disk is full"):
            answers.add(some(2))
        assert path.read_bytes() == whole
        monkeypatch.undo()
        answers.add(some(2))
    assert len(read_ratings(path)) == 3


def test_a_file_of_something_else_is_not_added_to(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text("rater,concept,rating\nAnn,ann-orr,3\n")
    with pytest.raises(DataError, match="`fit ratings import`"):
        Answers(path)
    assert path.read_text() == "rater,concept,rating\nAnn,ann-orr,3\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file is empty"),
        ("rater|concept|rating\nAnn|a|3\n", r"line 1: no column 'rater'.*separated by commas"),
        ("rater,concept\nAnn,a\n", "no column 'rating'"),
        ("rater,concept,rating\nAnn,a,3\nAnn,b,6\n", "line 3: rating is '6'"),
        ("rater,concept,rating\nAnn,a,0\n", "line 2: rating is '0'"),
        ("rater,concept,rating\nAnn,a,3.5\n", "line 2: rating is '3.5'"),
        ("rater,concept,rating\nAnn,a,nan\n", "line 2: rating is 'nan'"),
        ("rater,concept,rating\nAnn,a,good\n", "line 2: rating is 'good'"),
        ("rater,concept,rating\nAnn,,3\n", "line 2: concept is empty"),
        ("rater,concept,rating\n ,a,3\n", "line 2: rater is empty"),
        ("rater,concept,rating\nAnn,a,3,4\n", "line 2: 4 cells.*more cells"),
        ("rater,concept,rating\nAnn,a,3\nBo,a,3\nAnn,a,4\n", "line 4: 'Ann' rates concept 'a'.* in line 2 too"),
        ('rater,concept,image_id,rating\nAnn,a,"x\ny",3\n', "line 2: image_id is .*line break"),
    ],
)
def test_ratings_from_elsewhere_are_checked(tmp_path, text, said):
    (tmp_path / "in.csv").write_text(text)
    with pytest.raises(DataError, match=said):
        import_ratings(tmp_path / "in.csv", tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()


def test_bytes_that_are_no_text_are_named(tmp_path):
    (tmp_path / "in.csv").write_bytes(b"rater,concept,rating\nB\xf6,a,3\n")
    with pytest.raises(DataError, match="byte 22 is not UTF-8"):
        import_ratings(tmp_path / "in.csv", tmp_path / "out.csv")
    with pytest.raises(DataError, match="no such file"):
        import_ratings(tmp_path / "nowhere.csv", tmp_path / "out.csv")


def test_ratings_from_elsewhere_join_those_that_are_there(tmp_path, capsys):
    with Answers(tmp_path / "out.csv") as answers:
        answers.add(some(1))
    (tmp_path / "in.csv").write_text("\ufeffconcept,mood,rater,rating\r\na,fine,Bo,4.0\r\nb,,Bo,\r\n")
    for added in (2, 0):
        assert main(["ratings", "import", str(tmp_path / "in.csv"), "--out", str(tmp_path / "out.csv")]) == 0
        assert f"{added} of 2 ratings added" in capsys.readouterr().out
    _, found = agree(capsys, "ratings", "import", tmp_path / "in.csv", "--out", tmp_path / "out.csv")
    assert (found["added"], found["ratings"]) == (0, 2)
    assert read_ratings(tmp_path / "out.csv") == [
        *some(1),
        Rating("Bo", "a", "", "", 4),
        Rating("Bo", "b", "", "", None),
    ]
