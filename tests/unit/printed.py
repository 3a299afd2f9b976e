"""What a command prints as text and as JSON: both say the same numbers."""

import json
import re

from fit.cli.main import main

NUMBER = re.compile(
    r"(?<![\w./:-])(-?\d+(?:,\d{3})*(?:\.\d+)?(?:e[-+]?\d+)?)(?: ?(%|[nµm]s\b|[kMGT]B\b))?(?![\w/:-]|\.\w)"
)
"""A number of a text that is not part of a word, a path, a date or an address."""
UNITS = {"%": 100, "ms": 1e3, "µs": 1e6, "ns": 1e9, "kB": 1e-3, "MB": 1e-6, "GB": 1e-9, "TB": 1e-12}
"""What a text writes after a number -> by what the number of the JSON, in seconds or bytes, is multiplied there."""
OF_WORDS = {"95", "10", "90"}
"""Numbers of set phrases: a 95 % interval, 10 to 90 % of the rise."""
SAID = {"sentence", "remarks", "expected", "statement", "refusal", "label"}
"""Keys of JSON whose values are sentences: a number there is not one that a program can take."""


def numbers_in(data):
    """Return the numbers of a JSON document, the lengths of its lists, and the numbers in its cells of text."""
    if isinstance(data, dict):
        return [number for key, value in data.items() if key not in SAID for number in numbers_in(value)]
    if isinstance(data, list):
        return [len(data), *(number for value in data for number in numbers_in(value))]
    if isinstance(data, str):
        return [float(found[1].replace(",", "")) for found in NUMBER.finditer(data)]
    return [] if data is None or isinstance(data, bool) else [data]


def is_shown(text, unit, known):
    """Whether `text` is one of the numbers `known`, in `unit` if that is given, rounded to the digits that it has."""
    value = float(text.replace(",", ""))
    mantissa, _, exponent = text.replace(",", "").partition("e")
    step = 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))
    scales = {1, UNITS.get(unit, 1)}
    return any(abs(number * scale - value) <= step * 0.5001 + 1e-9 for number in known for scale in scales)


def agree(capsys, *words, status=0, besides=()):
    """Run a command twice, as text and as JSON, and check that every number of the text is in the JSON.

    Args:
        capsys: of pytest.
        words: of the command line.
        status: that it ends with.
        besides: numbers of the text, as text, that the JSON does not hold, such as a ratio of two that it does.

    Returns:
        (the text, what the JSON holds).
    """
    words = list(map(str, words))
    capsys.readouterr()
    assert main(words) == status
    text = capsys.readouterr().out
    assert main([*words, "--json"]) == status
    data = json.loads(capsys.readouterr().out)
    known = numbers_in(data)
    shown = [found.groups() for found in NUMBER.finditer(text) if found[1] not in OF_WORDS | set(besides)]
    lost = [number for number, unit in shown if not is_shown(number, unit, known)]
    assert lost == [], f"{lost} of {text!r} are not in {data!r}"
    return text, data
