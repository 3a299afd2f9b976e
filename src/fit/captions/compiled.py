"""The compiled loops of the prefilter: they find the runs of names in UTF-8, and tell sure mentions from the rest."""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.extending import intrinsic

BREAK = 0
"""The symbol that ends a run; every other symbol is a letter, as its code point."""


# Without `_nrt=False` numba counts references to arrays inside the loops, with atomic instructions: half of the time.
# The option is private, but its condition is simple: the functions make no arrays.
_compiled = numba.njit(nogil=True, cache=True, _nrt=False)
# Inlined by numba: as a call from the innermost loop, a function of that size costs a third of the time.
_inlined = numba.njit(nogil=True, cache=True, _nrt=False, inline="always")

_EACH = np.uint64(0x0101010101010101)
_EACH_HIGH = np.uint64(0x8080808080808080)
# By a table rather than by comparison: no processor can predict the length of words.
_FIRST_BYTES = np.array([(1 << 8 * length) - 1 for length in range(9)], np.uint64)


@_compiled
def _appended(run: np.uint64, length: np.uint64, letter: np.uint64) -> np.uint64:
    """Return the value of a run of `length` letters with one more: a byte for each of the first eight.

    An ASCII letter's byte is itself with bit 0x20 set, so that a run of such letters is read at once; that of another
    mixes its code. No byte is 0, so no run's value is.
    """
    if length >= np.uint64(8):
        return run
    letter = np.uint64(letter)
    if letter < np.uint64(128):
        byte = letter | np.uint64(0x20)
    else:
        byte = ((letter ^ (letter >> np.uint64(7))) & np.uint64(0x7F)) | np.uint64(0x80)
    return run | byte << (length * np.uint64(8))


@_compiled
def _key(previous: np.uint64, run: np.uint64) -> np.uint64:
    """Return the key of two neighbouring runs, or of one, where `previous` is 0."""
    key = previous * np.uint64(0xD6E8FEB86659FD93) + run
    key = (key ^ (key >> np.uint64(32))) * np.uint64(0x9E3779B97F4A7C15)
    return (key ^ (key >> np.uint64(29))) | np.uint64(1)


@_compiled
def _place_in(bitmap: np.ndarray, key: np.uint64) -> tuple[np.uint64, np.uint64, np.uint64]:
    """Return which number of the bitmap, [a power of two] uint64, is about a key, and its two bits there."""
    return (
        key >> np.uint64(32) & np.uint64(len(bitmap) - 1),
        key >> np.uint64(20) & np.uint64(63),
        key >> np.uint64(26) & np.uint64(63),
    )


@_compiled
def _slot_of(key: np.uint64, bitmap: np.ndarray, table: np.ndarray) -> np.int64:
    """Return where `table` has `key`, or -1. The bitmap fits a processor's cache and answers most questions."""
    at, first, second = _place_in(bitmap, key)
    if not (bitmap[at] >> first) & np.uint64(1):
        return np.int64(-1)
    if not (bitmap[at] >> second) & np.uint64(1):
        return np.int64(-1)
    slot = key & np.uint64(len(table) - 1)
    while table[slot]:
        if table[slot] == key:
            return np.int64(slot)
        slot = (slot + np.uint64(1)) & np.uint64(len(table) - 1)
    return np.int64(-1)


@_compiled
def insert(
    previous: np.ndarray,
    runs: np.ndarray,
    bitmap: np.ndarray,
    table: np.ndarray,
    heads: np.ndarray,
    following: np.ndarray,
) -> None:
    """Enter the key of each name.

    Args:
        previous: [names] as `choose` writes it.
        runs: [names] as `choose` writes `last`.
        bitmap: [a power of two] uint64, 0.
        table: [a power of two] uint64, 0, to write the keys into.
        heads: as long as `table`, -1, to write the last name with the key into.
        following: [names] to write into, for each name, the one before it with the same key, or -1.
    """
    for name in range(len(runs)):
        if runs[name] == 0:
            continue
        key = _key(previous[name], runs[name])
        at, first, second = _place_in(bitmap, key)
        bitmap[at] |= np.uint64(1) << first | np.uint64(1) << second
        slot = key & np.uint64(len(table) - 1)
        while table[slot] and table[slot] != key:
            slot = (slot + np.uint64(1)) & np.uint64(len(table) - 1)
        following[name], heads[slot] = heads[slot], name
        table[slot] = key


@_compiled
def _decode(data: np.ndarray, at: np.int64, stop: np.int64) -> tuple[np.int64, np.int64]:
    """Return the code point at `at` of UTF-8 bytes, or -1 where there is none, and where the next begins."""
    lead = np.int64(data[at])
    if lead < 0x80:
        return lead, at + 1
    length = 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
    if lead < 0xC2 or lead > 0xF4 or at + length > stop:
        return np.int64(-1), at + 1
    code = lead & (0x7F >> length)
    for i in range(at + 1, at + length):
        if data[i] & 0xC0 != 0x80:
            return np.int64(-1), at + 1
        code = code << 6 | np.int64(data[i] & 0x3F)
    too_long = (length == 3 and code < 0x800) or (length == 4 and code < 0x10000)
    if too_long or 0xD800 <= code < 0xE000 or code > 0x10FFFF:
        return np.int64(-1), at + 1
    return code, at + length


@intrinsic
def _trailing_zeros(typing_context: Any, bits: Any) -> tuple[Any, Callable[..., Any]]:
    """Count how many of the lowest bits of a number other than 0 are 0, in one instruction."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return bits(bits), generate


@_compiled
def _eight(data: np.ndarray, at: np.uint64) -> np.uint64:
    """Return eight bytes as one number, the first lowest."""
    found = np.uint64(0)
    for i in range(8):
        found |= np.uint64(data[at + np.uint64(i)]) << np.uint64(8 * i)
    return found


@_compiled
def _flags(high_bits: np.uint64) -> np.uint64:
    """Return the highest bit of each of eight bytes, the others 0, as eight bits."""
    return ((high_bits >> np.uint64(7)) * np.uint64(0x0102040810204080)) >> np.uint64(56)


@_compiled
def mark(data: np.ndarray, in_word: np.ndarray, beyond_ascii: np.ndarray) -> None:
    """Mark, a bit each, the bytes of *words* (ASCII letters and digits, and whatever is not ASCII), and the latter.

    It takes eight bytes at a time. Adding 0x80 - c to a byte below 0x80 sets its highest bit where it is c or more, and
    touches no other byte.
    """
    for eighth in range(len(data) // 8):
        found = _eight(data, np.uint64(8 * eighth))
        high = found & _EACH_HIGH
        low = found & ~_EACH_HIGH
        lowered = low | (_EACH * np.uint64(0x20))
        letter = (lowered + _EACH * np.uint64(0x80 - 0x61)) & ~(lowered + _EACH * np.uint64(0x80 - 0x7B))
        digit = (low + _EACH * np.uint64(0x80 - 0x30)) & ~(low + _EACH * np.uint64(0x80 - 0x3A))
        in_word[eighth] = _flags(((letter | digit) & _EACH_HIGH) | high)
        beyond_ascii[eighth] = _flags(high)


@_compiled
def _noted(found: np.ndarray, count: int, row: int, slot: np.int64, begin: np.int64) -> int:
    """Note a find, if there is room, and return how many there are."""
    if count < len(found):
        found[count, 0], found[count, 1], found[count, 2] = row, slot, begin
    return count + 1


@_inlined
def _looked_up(
    found: np.ndarray,
    count: int,
    row: int,
    previous: np.uint64,
    run: np.uint64,
    bitmap: np.ndarray,
    table: np.ndarray,
    any_single: bool,
    place: np.int64,
) -> int:
    """Note the names that end with a run, alone or after the previous run, and return how many finds there are."""
    if previous:
        slot = _slot_of(_key(previous, run), bitmap, table)
        if slot >= 0:
            count = _noted(found, count, row, slot, place)
    if any_single:
        slot = _slot_of(_key(np.uint64(0), run), bitmap, table)
        if slot >= 0:
            count = _noted(found, count, row, slot, place)
    return count


@_compiled
def _any_in(bits: np.ndarray, at: np.uint64, stop: np.uint64) -> bool:
    """Whether one of the bits from `at` to `stop` is set."""
    while at < stop:
        shift = at & np.uint64(63)
        found = bits[at >> np.uint64(6)] >> shift
        if found:
            return at + _trailing_zeros(found) < stop
        at += np.uint64(64) - shift
    return False


@_compiled
def scan(
    data: np.ndarray,
    ends: np.ndarray,
    in_word: np.ndarray,
    beyond_ascii: np.ndarray,
    start: np.ndarray,
    symbols: np.ndarray,
    bitmap: np.ndarray,
    table: np.ndarray,
    any_single: bool,
    any_without_run: bool,
    found: np.ndarray,
) -> tuple[int, int]:
    """Find the runs that names have.

    Args:
        data: UTF-8, with 8 bytes of 0 or more after it.
        ends: [rows] where each row ends; the first begins at 0.
        in_word: bits as `mark` makes them, 64 a number.
        beyond_ascii: bits as `mark` makes them, 64 a number.
        start: as fit.captions.prefilter.symbols makes it.
        symbols: as fit.captions.prefilter.symbols makes them.
        bitmap: as `insert` fills it.
        table: as `insert` fills it.
        any_single: whether a name has one run only.
        any_without_run: whether a name has none.
        found: [room, 3] to write row, slot of the table, and where the last of the runs begins; the latter two are -1
            if unknown.

    Returns:
        How many finds there are, whether there is room for them or not, and how many rows are not UTF-8.
    """
    count, malformed, row = 0, 0, 0
    inside, intact, carry = False, True, np.uint64(0)
    begin, previous = np.uint64(0), np.uint64(0)
    row_end = np.uint64(ends[0])
    for group in range(len(in_word)):
        bits = in_word[group]
        any_beyond = beyond_ascii[group] != 0
        # A bit where a word begins, and one where it has ended.
        edges = bits ^ (bits << np.uint64(1) | carry)
        carry = bits >> np.uint64(63)
        while edges:
            at = np.uint64(group * 64) + _trailing_zeros(edges)
            edges &= edges - np.uint64(1)
            inside = not inside
            if inside:
                begin = at
                continue
            # Rows of an Arrow array touch: what looks like one word may be the last of a row and the first of the next.
            while begin < at:
                while begin >= row_end:
                    malformed += not intact
                    intact, previous = True, np.uint64(0)
                    row += 1
                    row_end = np.uint64(ends[row])
                stop, place = min(at, row_end), np.int64(begin)
                length = min(stop - begin, np.uint64(8))
                run = (_eight(data, begin) | (_EACH * np.uint64(0x20))) & _FIRST_BYTES[length]
                if (any_beyond or begin < np.uint64(group * 64)) and _any_in(beyond_ascii, begin, stop):
                    if any_without_run:
                        count = _noted(found, count, row, -1, -1)
                    run, length = np.uint64(0), np.uint64(0)
                    byte = place
                    while byte < np.int64(stop):
                        code, byte = _decode(data, byte, np.int64(stop))
                        if code < 0:
                            intact, code = False, np.int64(0xFFFD)
                        for i in range(start[code], start[code + 1]):
                            if symbols[i] != BREAK:
                                run, length = _appended(run, length, symbols[i]), length + np.uint64(1)
                            elif length:
                                count = _looked_up(found, count, row, previous, run, bitmap, table, any_single, -1)
                                run, previous, length, place = np.uint64(0), run, np.uint64(0), np.int64(-1)
                if length:
                    count = _looked_up(found, count, row, previous, run, bitmap, table, any_single, place)
                    previous = run
                begin = stop
    return count, malformed + (not intact)


NO, DOUBT, SURE = 0, 1, 2
"""Whether a find is a mention of a name."""


@_compiled
def _verdict(
    data: np.ndarray,
    row_start: np.int64,
    row_end: np.int64,
    place: np.int64,
    plain: np.ndarray,
    shift: np.int64,
    parts: np.ndarray,
) -> int:
    """Tell whether a row mentions a name whose last run begins at `place`; arguments as `settle` has them."""
    size = len(plain)
    first = place - shift
    # The whole name as it is written, between spaces or the like, is a mention.
    if first >= row_start and first + size <= row_end and (first == row_start or parts[data[first - 1]]):
        after = first + size
        behind = row_end - after
        ends_well = behind == 0 or parts[data[after]]
        # A full stop, comma or colon joins nothing where a space or nothing follows.
        stops = behind > 0 and (data[after] == 44 or data[after] == 46 or data[after] == 58)
        same = ends_well or (stops and (behind == 1 or data[after + 1] == 32))
        i = 0
        while same and i < size:
            byte = data[first + i]
            same = byte == plain[i] or (byte | 0x20 == plain[i] and 97 <= plain[i] <= 122)
            i += 1
        if same:
            return SURE
    # Another word in place of the name's, of which the filter knows no more than eight letters, is none.
    for i in range(shift, size):
        if plain[i] == 32:
            break
        if plain[i] >= 128 or (place < row_end and data[place] >= 128):
            return DOUBT
        if place == row_end or data[place] | 0x20 != plain[i]:
            return NO
        place += 1
    if place < row_end and (48 <= data[place] <= 57 or 97 <= data[place] | 0x20 <= 122):
        return NO
    return DOUBT


@_compiled
def settle(
    found: np.ndarray,
    data: np.ndarray,
    ends: np.ndarray,
    heads: np.ndarray,
    following: np.ndarray,
    name_of: np.ndarray,
    plain: np.ndarray,
    plain_start: np.ndarray,
    plain_shift: np.ndarray,
    parts: np.ndarray,
    mentions: np.ndarray,
    doubtful: np.ndarray,
) -> int:
    """Tell which finds are mentions beyond doubt, and which are none.

    Args:
        found: as scan has it.
        data: as scan has it.
        ends: as scan has them.
        heads: as `insert` fills it.
        following: as `insert` fills it.
        name_of: whose form each of the names is; the forms of one name follow one another.
        plain: bytes of name n, its ASCII in lower case, are plain[plain_start[n]:plain_start[n + 1]]; none where a name
            is more than words, each a run, with single spaces.
        plain_start: see `plain`.
        plain_shift: where in the bytes of each name the last of its two runs begins.
        parts: [256] bool, whether a byte parts tokens whatever is on its other side.
        mentions: [room, 2] to write row and name of the mentions into, the name as in `name_of`.
        doubtful: [found] bool, to write whether a find may be another mention.

    Returns:
        How many mentions there are, whether there is room for them or not.
    """
    count = 0
    for find in range(len(found)):
        row, slot, place = found[find]
        doubtful[find] = slot < 0
        form = heads[slot] if slot >= 0 else np.int64(-1)
        row_start = ends[row - 1] if row else np.int64(0)
        while form >= 0:
            name, best = name_of[form], NO
            while form >= 0 and name_of[form] == name:
                own = plain[plain_start[form] : plain_start[form + 1]]
                is_known = place >= 0 and len(own) > 0
                verdict = (
                    _verdict(data, row_start, ends[row], place, own, plain_shift[form], parts) if is_known else DOUBT
                )
                best = max(best, verdict)
                form = following[form]
            if best == SURE:
                if count < len(mentions):
                    mentions[count, 0], mentions[count, 1] = row, name
                count += 1
            doubtful[find] |= best == DOUBT
    return count


@_compiled
def choose(
    codes: np.ndarray,
    ends: np.ndarray,
    start: np.ndarray,
    symbols: np.ndarray,
    previous: np.ndarray,
    last: np.ndarray,
    places: np.ndarray,
    plain: np.ndarray,
) -> None:
    """Choose two neighbouring runs of each name: the longest, which the fewest captions have that do not mention it.

    Args:
        codes: code points of all names, each with a line end after it.
        ends: [names] where each ends.
        start: as fit.captions.prefilter.symbols makes it.
        symbols: as fit.captions.prefilter.symbols makes them.
        previous: [names] uint64, 0, to write the first of the two runs; 0 stays where a name has one.
        last: [names] uint64, 0, to write the last of the runs.
        places: [names] to write where `last` begins, in characters of the name.
        plain: [names] bool, to write whether a name is words with single spaces, each of nothing but letters that make
            one run, so one token.
    """
    at = 0
    for name in range(len(ends)):
        first = at
        run, length, begin = np.uint64(0), np.uint64(0), at
        before, length_before, longest = np.uint64(0), np.uint64(0), np.uint64(0)
        was_space, plain[name] = True, True
        while at < ends[name]:
            # A line end after the name is, as a space, behind a word.
            is_space = codes[at] == 32 or at == ends[name] - 1
            is_letter = start[codes[at] + 1] - start[codes[at]] == 1 and symbols[start[codes[at]]] != BREAK
            plain[name] &= not was_space if is_space else is_letter
            was_space = is_space
            for i in range(start[codes[at]], start[codes[at] + 1]):
                if symbols[i] != BREAK:
                    if length == 0:
                        begin = at
                    run, length = _appended(run, length, symbols[i]), length + np.uint64(1)
                elif length:
                    if last[name] == 0 or (before and length + length_before > longest):
                        previous[name], last[name], places[name] = before, run, begin - first
                        longest = length + length_before if before else np.uint64(0)
                    before, length_before = run, length
                    run, length = np.uint64(0), np.uint64(0)
            at += 1
