"""Tables on a terminal: they fit it, and lose nothing."""

import pytest

from fit.reports.tables import aligned

WIDE = [f"column {i}" for i in range(14)]


@pytest.mark.parametrize("rows", [1, 2, 5])
@pytest.mark.parametrize(
    "cell", ["0.123", "a long reason that goes on and on, beyond any width that a terminal has " * 3]
)
def test_a_wide_table_fits_the_terminal_and_loses_nothing(rows, cell):
    text = "\n".join(["\t".join(WIDE), *("\t".join([f"row{n}", *[cell] * 13]) for n in range(rows))])
    shown = aligned(text, 100)
    assert max(map(len, shown.splitlines())) <= 100
    for word in (*WIDE, *(f"row{n}" for n in range(rows))):
        assert word in shown
    assert shown.count(cell.split()[-1]) >= 13 * rows


def test_a_table_that_fits_stays_a_table():
    assert aligned("a\tb\n1\t22\n", 100) == "a  b\n-  --\n1  22"


def test_one_row_is_turned_without_its_empty_cells():
    text = "\t".join(WIDE) + "\n" + "\t".join(["x"] * 13 + [""])
    lines = aligned(text, 60).splitlines()
    assert len(lines) == 13 and lines[0].split() == ["column", "0", "x"]
