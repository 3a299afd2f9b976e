"""Passes over captions at the speed at which they decode, and picks those that may mention a concept.

A caption is a sequence of *runs*: letters and digits next to each other, in lower case (and without accents,
where the analyzer folds them). A character that may be a token by itself, as a Han character, is a run by itself.
Wherever a text has the tokens of a name one after another, it has the runs of the name one after another: no token
boundary falls inside a run, and whatever separates tokens breaks runs. So two neighbouring runs of each name are looked
for (one, where it has only one). What passes may still mention nothing; what does not pass mentions nothing.
"""

import functools
import threading
from collections.abc import Callable, Sequence

import numpy as np

from fit.captions.compiled import BREAK, choose, insert, mark, scan, settle
from fit.concepts.analyzer import Analyzer, classes, fold, lower

_SLOTS_PER_KEY, _BITS_PER_KEY = 4, 64
_LARGEST_BITMAP = 1 << 16  # numbers of 64 bits: half of a processor's own cache


def _symbols_of(character: str, has: Callable[..., bool], standard: bool) -> list[int]:
    """Return the symbols of a character of an analyzer's lower-case, and maybe folded, text.

    Marks are ignored, since none begins or ends a token between letters; both small sigmas are one letter, since lower
    case makes either.
    """
    letter = ord("σ" if character == "ς" else character)
    if not standard:
        return [] if has("word") and has("mark") else [letter] if has("word") else [BREAK]
    if has("letter", "hebrew", "digit"):
        return [letter]
    if has("extend", "format", "joiner"):
        return []
    if has("text_or_emoji", "regional"):
        return [BREAK]
    alone = has("katakana", "southeast_asian", "han", "hiragana", "emoji")
    return [BREAK, letter, BREAK] if alone else [BREAK]


@functools.cache
def symbols(tokens: str, fold_accents: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return what each character of a text adds to its runs, for the analyzer of these settings.

    Returns:
        (start, symbols): code point c adds symbols[start[c]:start[c + 1]], uint32.
    """
    class_of, members = classes()

    properties = [{name for name, found in members.items() if index in found} for index in range(256)]

    def of(character: str) -> list[int]:
        names = properties[class_of[ord(character)]]
        return _symbols_of(character, lambda *wanted: not names.isdisjoint(wanted), tokens == "standard")

    # The largest code point has no property at all, and most others are like it.
    special = np.flatnonzero(class_of != class_of[-1]).tolist()
    of_code = []
    for code in special:
        character = lower(chr(code))
        found = of(character)
        if fold_accents and not character.isascii() and found != [BREAK]:
            found = [symbol for part in fold(character) for symbol in of(part)]
        of_code.append(found)
    lengths = np.ones(0x110000, np.int64)
    lengths[special] = [len(found) for found in of_code]
    start = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    every = np.full(start[-1], BREAK, np.uint32)
    for code, found in zip(special, of_code, strict=True):
        every[start[code] : start[code] + len(found)] = found
    return start, every


def _power_of_two(count: int) -> int:
    """Return the smallest power of two that is at least `count`."""
    return 1 << max(0, int(count) - 1).bit_length()


# ASCII that neither is part of a token nor can join two.
_PARTS = np.array([code < 128 and not chr(code).isalnum() and chr(code) not in "_'\".:,;" for code in range(256)])


class Prefilter:
    """Picks the captions that may mention one of some names."""

    def __init__(self, forms: Sequence[str], name_of: Sequence[int], analyzer: Analyzer):
        """Prepare for names as `analyzer` sees them.

        Args:
            forms: names as they may be written.
            name_of: the name that each form is of, in ascending order.
            analyzer: of names and captions.
        """
        self._kept = threading.local()
        self._start, self._symbols = symbols(analyzer.cut, analyzer.fold_accents)
        count = len(forms)
        previous, last, places = np.zeros(count, np.uint64), np.zeros(count, np.uint64), np.zeros(count, int)
        codes = np.frombuffer("".join([f"{form}\n" for form in forms]).encode("utf-32-le"), np.uint32)
        ends = np.cumsum([len(form) + 1 for form in forms])
        is_plain = np.zeros(count, bool)
        choose(codes, ends, self._start, self._symbols, previous, last, places, is_plain)
        self._any_without_run = bool((last == 0).any())
        self._name_of = np.array(name_of, np.int64)
        plain = [form.encode().lower() if is_one else b"" for form, is_one in zip(forms, is_plain, strict=True)]
        self._plain = np.frombuffer(b"".join(plain), np.uint8)
        self._plain_start = np.cumsum([0, *map(len, plain)])
        self._plain_shift = np.array([len(f[:s].encode()) for f, s in zip(forms, places.tolist(), strict=True)], int)
        self._any_single = bool(((previous == 0) & (last != 0)).any())
        numbers = _power_of_two(max(64, _BITS_PER_KEY * count // 64))
        self._bitmap = np.zeros(min(numbers, _LARGEST_BITMAP), np.uint64)
        self._table = np.zeros(_power_of_two(max(64, _SLOTS_PER_KEY * count)), np.uint64)
        self._heads, self._following = np.full(len(self._table), -1), np.empty(count, np.int64)
        insert(previous, last, self._bitmap, self._table, self._heads, self._following)

    def _buffers(self, size: int) -> tuple[np.ndarray, ...]:
        """Return room for `size` bytes and more after them, and for their marks; kept, since new memory costs time."""
        size = size // 64 * 64 + 128
        kept = getattr(self._kept, "buffers", None)
        if kept is None or len(kept[0]) < size:
            kept = self._kept.buffers = tuple(np.empty(2 * size // part, np.uint8) for part in (1, 8, 8))
        return tuple(buffer[: size // part] for buffer, part in zip(kept, (1, 8, 8), strict=True))

    def scan(self, data: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
        """Look at the rows data[offsets[r]:offsets[r + 1]].

        Args:
            data: uint8 array of UTF-8; offsets: [N + 1] int32 or int64.

        Returns:
            (rows, names, doubtful, malformed): the row and the name of mentions beyond doubt, int64 arrays; the rows
            that may mention more, int64 without repetition; how many rows are not UTF-8.
        """
        first, last = int(offsets[0]), int(offsets[-1])
        padded, in_word, beyond_ascii = self._buffers(last - first)
        padded[: last - first] = data[first:last]
        padded[last - first :] = 0
        mark(padded, in_word, beyond_ascii)
        ends = offsets[1:] - first
        marks = in_word.view(np.uint64), beyond_ascii.view(np.uint64)
        keys = self._bitmap, self._table, self._any_single, self._any_without_run
        malformed = 0

        def find(found: np.ndarray) -> int:
            nonlocal malformed
            count, malformed = scan(padded, ends, *marks, self._start, self._symbols, *keys, found)
            return count

        found = _filled(find, len(ends), 3)
        doubtful = np.empty(len(found), bool)
        names = self._heads, self._following, self._name_of, self._plain, self._plain_start, self._plain_shift
        mentions = _filled(lambda room: settle(found, padded, ends, *names, _PARTS, room, doubtful), len(found), 2)
        return mentions[:, 0], mentions[:, 1], np.unique(found[doubtful, 0]), malformed


def _filled(fill: Callable[[np.ndarray], int], rows: int, columns: int) -> np.ndarray:
    """Return what `fill` writes into the beginning of an array, and counts, whether there is room for it or not."""
    while rows:
        found = np.empty((rows, columns), np.int64)
        if (count := fill(found)) <= rows:
            return found[:count]
        rows = count
    return np.empty((0, columns), np.int64)
