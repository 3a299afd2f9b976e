"""Reads the numbers of tables that a user gives; a number that can be read in two ways is refused."""

import math
import re
from collections.abc import Mapping
from typing import Any

from fit.errors import DataError
from fit.io.shown import shown

_SPACES = "\u00a0\u202f\u2009 "
_POINTS = re.compile(r"[+-]?[1-9]\d{0,2}(\.\d{3})+")
_GROUPS = re.compile(rf"[+-]?[1-9]\d{{0,2}}(?:[{_SPACES}'’_]\d{{3}})+(?:[.,]\d+)?")
_COMMAS = re.compile(r"[+-]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?")
_DECIMAL_COMMA = re.compile(r"[+-]?\d*(?:\.\d{3})*,\d+")


def _readings(text: str) -> str | None:
    """Return what a cell that is not a plain number may mean, in words for an error; or None."""
    if _POINTS.fullmatch(text):
        plain = text.replace(".", "")
        decimal = f", or {float(text)} (a decimal point)" if text.count(".") == 1 else ""
        return f"is it {plain} (points between thousands){decimal}?"
    if _COMMAS.fullmatch(text):
        decimal = f", or {text.replace(',', '.')} (a decimal comma)" if text.count(",") == 1 and "." not in text else ""
        return f"is it {text.replace(',', '')} (commas between thousands){decimal}?"
    if _GROUPS.fullmatch(text):
        plain = re.sub(rf"[{_SPACES}'’_]", "", text).replace(",", ".")
        return f"is it {plain} (written with signs between thousands)?"
    if _DECIMAL_COMMA.fullmatch(text):
        return f"is it {text.replace('.', '').replace(',', '.')} (a decimal comma)?"
    return None


_WHOLE = re.compile(r"[+-]?\d{1,30}")
LARGEST_COUNT = 2**63 - 1
"""The largest number that the tables of results can hold."""
LARGEST_SCORE = 1e30
"""Powers of scores, and their sums, must be finite."""


def as_number(value: object, where: str, whole: bool = False, in_table: bool = True) -> float | None:
    """Return `value`, a number or its text, as a float; None for an empty cell.

    Args:
        value: the cell.
        where: file, line, concept and column, for errors.
        whole: whether it is a count, or an end of its interval, which may have points between thousands.
        in_table: whether it is a cell of a row, which a user may drop; an option is not.

    Raises:
        DataError: it is not a number, not finite, could be read as two numbers, or is larger than any count or score.
    """
    if value is None or (isinstance(value, str) and not value.strip(_SPACES)):
        return None
    it = "the row" if in_table else "it"
    text: Any = value
    if isinstance(value, str):
        text = value.strip(_SPACES)
        if (whole or not _POINTS.fullmatch(text) or text.count(".") > 1) and (readings := _readings(text)):
            raise DataError(f"{where} is {shown(text)}: {readings} Write digits, and a point only before decimals")
    try:
        number = math.nan if isinstance(text, str) and "_" in text else float(text)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if isinstance(value, bool) or not math.isfinite(number):
        raise DataError(
            f"{where} is {shown(value)}, not a number; write one with digits{', or drop the row' * in_table}"
        )
    if whole and abs(number) > LARGEST_COUNT:
        raise DataError(f"{where} is {shown(value)}, more than any count is ({LARGEST_COUNT:,}); correct {it}")
    if abs(number) > LARGEST_SCORE:
        raise DataError(f"{where} is {shown(value)}, beyond {LARGEST_SCORE:g}; correct {it}")
    return number


def as_count(value: object, where: str) -> int | None:
    """Return `value`, a number or its text, as a whole count of 0 to LARGEST_COUNT; None for an empty cell.

    12.0 and 1e3 are whole; 1.000 may mean a thousand, and is refused. All digits are kept, also more than a float has.

    Raises:
        DataError: it is not a number, not whole, negative, too large, or could be read as two numbers.
    """
    number: float | int | None
    if isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif isinstance(value, str) and _WHOLE.fullmatch(value.strip(_SPACES)):
        number = int(value.strip(_SPACES))
    else:
        number = as_number(value, where, whole=True)
    if number is None:
        return None
    if number < 0:
        raise DataError(f"{where} is {shown(value)}, not a count, since it is below 0; correct the row")
    if number > LARGEST_COUNT or int(number) > LARGEST_COUNT:
        raise DataError(f"{where} is {shown(value)}, more than any count is ({LARGEST_COUNT:,}); correct the row")
    if number != int(number):
        raise DataError(
            f"{where} is {shown(value)}, not a count, since it is not whole: is it {math.floor(number)} or "
            f"{math.ceil(number)}, or were points between thousands lost? Write a whole number"
        )
    return int(number)


def as_interval(row: Mapping[str, object], count: int | None, where: str) -> tuple[float | None, float | None]:
    """Return (low, high), the interval of a count, from the columns of these names; None each if both are empty.

    If a table says that more faces match than images were downloaded, the count may exceed its interval, which is of
    images (fit.counts.estimate.effective_count).

    Args:
        row: column -> cell.
        count: as as_count returns it, None if unknown.
        where: file, line and concept, for errors.

    Raises:
        DataError: an end is not a number or is below 0, one is missing, or they do not enclose the count.
    """
    low, high = (as_number(row.get(name), f"{where}: {name}", whole=True) for name in ("low", "high"))
    if low is None and high is None:
        return None, None
    if low is None or high is None:
        there, lacks = ("high", "low") if low is None else ("low", "high")
        raise DataError(f"{where}: it has {there} but no {lacks}; write both ends of the interval, or neither")
    if low < 0:
        raise DataError(f"{where}: low is {low:g} and high {high:g}; a count is not below 0; correct the row")
    if low > high:
        raise DataError(f"{where}: low, {low:g}, is above high, {high:g}; are they exchanged?")
    if count is None:
        return low, high
    matches, downloaded = (as_number(row.get(name), f"{where}: {name}") for name in ("matches", "downloaded"))
    several_faces = matches is not None and downloaded is not None and matches > downloaded
    if count < low or (count > high and not several_faces):
        raise DataError(
            f"{where}: the count {count:,} is not within its interval, low {low:g} to high {high:g}; correct the row, "
            "or take the interval out"
        )
    return low, high
