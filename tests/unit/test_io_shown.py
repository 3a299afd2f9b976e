"""Numbers in messages."""

import pytest

from fit.io.shown import number_of, ratio


@pytest.mark.parametrize(
    ("value", "said"), [(0.84, "0.84"), (1.0, "1"), (3.44, "3.4"), (9.96, "10"), (23.4, "23"), (10391.0, "10,000")]
)
def test_a_ratio_has_two_digits_and_no_exponent(value, said):
    assert ratio(value) == said


@pytest.mark.parametrize(
    ("number", "words", "said"),
    [
        (1, ("concept",), "1 concept"),
        (0, ("concept", "has"), "0 concepts have"),
        (1, ("picture", "has"), "1 picture has"),
        (1200, ("caption", "is"), "1,200 captions are"),
        (2, ("person",), "2 people"),
    ],
)
def test_a_noun_and_its_verb_agree_with_their_number(number, words, said):
    assert number_of(number, *words) == said
