"""The types and actions of options."""

import argparse

import pytest

from fit.cli.parser import SEED, THREADS, Number, OptionalPath, Parser, Slugs


@pytest.fixture
def parser():
    parser = Parser(prog="fit")
    parser.add_argument("--images", action=OptionalPath)
    parser.add_argument("--vetoes", action=OptionalPath, default="none.tsv")
    parser.add_argument("--out", default="")
    return parser


@pytest.mark.parametrize(
    ("words", "images"),
    [
        ([], None),
        (["--images"], None),
        (["--images", "--out", "x"], None),
        (["--images", "a b"], "a b"),
    ],
)
def test_an_optional_file_without_a_name_is_as_if_it_were_left_out(parser, words, images):
    assert parser.parse_args(words).images == images


def test_an_optional_file_keeps_its_default_only_if_it_is_left_out(parser):
    assert parser.parse_args([]).vetoes == "none.tsv"
    assert parser.parse_args(["--vetoes"]).vetoes is None


def test_two_names_for_an_optional_file_are_an_error(parser, capsys):
    with pytest.raises(SystemExit) as ended:
        parser.parse_args(["--images", "a", "b"])
    assert ended.value.code == 2
    assert "argument --images: takes one file, not 2" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["-1", "1.5", "nan", "x", "", str(2**63)])
def test_a_number_outside_its_bounds_is_an_error_that_names_them(text):
    with pytest.raises(argparse.ArgumentTypeError, match="is not a whole number of at least 0 and at most"):
        SEED(text)


def test_other_texts_may_be_allowed():
    assert THREADS("0") == 0 and THREADS("7") == 7
    number = Number(float, 0, 1, beyond=True, also=("auto",))
    assert number("auto") is None and number("0.5") == 0.5
    assert str(number) == "a number above 0 and at most 1, or auto"
    with pytest.raises(argparse.ArgumentTypeError):
        number("0")


@pytest.mark.parametrize(
    ("slugs", "said"),
    [
        (["ada", "../x"], "'../x' is not a slug"),
        (["/etc/passwd"], "'/etc/passwd' is not a slug"),
        ([""], "'' is not a slug"),
        (["-"], "'-' is not a slug"),
        (["ada", "bo", "ada"], "'ada' is given 2 times"),
    ],
)
def test_concepts_are_slugs_each_once_as_they_become_names_of_files(slugs, said, capsys):
    parser = Parser(prog="x")
    parser.add_argument("--concepts", action=Slugs, required=True)
    assert parser.parse_args(["--concepts", "ada", "bo-2"]).concepts == ["ada", "bo-2"]
    with pytest.raises(SystemExit):
        parser.parse_args(["--concepts", *slugs])
    assert said in capsys.readouterr().err
