"""Numbers in messages."""

import pytest

from fit.io.shown import ratio


@pytest.mark.parametrize(
    ("value", "said"), [(0.84, "0.84"), (1.0, "1"), (3.44, "3.4"), (9.96, "10"), (23.4, "23"), (10391.0, "10,000")]
)
def test_a_ratio_has_two_digits_and_no_exponent(value, said):
    assert ratio(value) == said
