"""Passes over captions at the speed at which they decode, and picks those that may mention a concept.

A caption is seen as a sequence of *runs*: letters and digits next to each other, in lower case (and without accents,
where the analyzer folds them). A character that may be a token by itself, as a Han character, is a run by itself.
Wherever a text has the tokens of a name one after another, it has the runs of the name one after another: no token
boundary falls inside a run, and whatever separates tokens breaks runs. So of each name two neighbouring runs are looked
for (one, where it has only one). What passes may still be no mention; what does not pass is none.
"""

import functools
import threading

import numba
import numpy as np
from llvmlite import ir
from numba.extending import intrinsic

from fit.captions.analyzer import classes, fold, lower

BREAK = 0
"""The symbol that ends a run; every other symbol is a letter, as its code point."""

_SLOTS_PER_KEY, _BITS_PER_KEY = 4, 64


def _symbols_of(character, has, standard):
    """The symbols of a character that an analyzer has made, a list.

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
def symbols(tokens, fold_accents):
    """What each character of a text adds to its runs, for the analyzer of these settings.

    Returns:
        (start, symbols): code point c adds symbols[start[c]:start[c + 1]], uint32.
    """
    class_of, members = classes()

    properties = [{name for name, found in members.items() if index in found} for index in range(256)]

    def of(character):
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


# Without `_nrt=False` numba counts references to arrays inside the loops, with atomic instructions: half of the time.
# The option is private, but what it needs is plain: the functions make no arrays.
_compiled = numba.njit(nogil=True, cache=True, _nrt=False)

_EACH = np.uint64(0x0101010101010101)
_EACH_HIGH = np.uint64(0x8080808080808080)
# By a table rather than by comparison: no processor can foresee the length of words.
_FIRST_BYTES = np.array([(1 << 8 * length) - 1 for length in range(9)], np.uint64)


@_compiled
def _appended(run, length, letter):
    """The value of a run of `length` letters with one more: a byte for each of the first eight.

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
def _key(previous, run):
    """The key of two neighbouring runs, or of one, where `previous` is 0."""
    key = previous * np.uint64(0xD6E8FEB86659FD93) + run
    key = (key ^ (key >> np.uint64(32))) * np.uint64(0x9E3779B97F4A7C15)
    return (key ^ (key >> np.uint64(29))) | np.uint64(1)


@_compiled
def _slot_of(key, bitmap, table):
    """Where `table` has `key`, or -1. The bitmap, small enough for a processor's cache, answers most questions."""
    bit = (key >> np.uint64(20)) & np.uint64(len(bitmap) * 64 - 1)
    if not (bitmap[bit >> np.uint64(6)] >> (bit & np.uint64(63))) & np.uint64(1):
        return np.int64(-1)
    slot = key & np.uint64(len(table) - 1)
    while table[slot]:
        if table[slot] == key:
            return np.int64(slot)
        slot = (slot + np.uint64(1)) & np.uint64(len(table) - 1)
    return np.int64(-1)


@_compiled
def _insert(previous, runs, bitmap, table, names):
    """Enter the key of each name, and at its place in `names` which name it is, or -1 for a key of several names."""
    for name in range(len(runs)):
        if runs[name] == 0:
            continue
        key = _key(previous[name], runs[name])
        bit = (key >> np.uint64(20)) & np.uint64(len(bitmap) * 64 - 1)
        bitmap[bit >> np.uint64(6)] |= np.uint64(1) << (bit & np.uint64(63))
        slot = key & np.uint64(len(table) - 1)
        while table[slot] and table[slot] != key:
            slot = (slot + np.uint64(1)) & np.uint64(len(table) - 1)
        names[slot] = -1 if table[slot] else name
        table[slot] = key


@_compiled
def _decode(data, at, stop):
    """The code point at `at` of UTF-8 bytes, or -1 where there is none, and where the next begins."""
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
def _trailing_zeros(typing_context, bits):
    """How many of the lowest bits of a number other than 0 are 0, in one instruction."""

    def generate(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return bits(bits), generate


@_compiled
def _eight(data, at):
    """Eight bytes as one number, the first lowest."""
    found = np.uint64(0)
    for i in range(8):
        found |= np.uint64(data[at + np.uint64(i)]) << np.uint64(8 * i)
    return found


@_compiled
def _flags(high_bits):
    """The highest bit of each of eight bytes, the others 0, as eight bits."""
    return ((high_bits >> np.uint64(7)) * np.uint64(0x0102040810204080)) >> np.uint64(56)


@_compiled
def _mark(data, in_word, beyond_ascii):
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
def _noted(hits, count, row, slot, begin):
    """Note a hit, if there is room, and return how many there are."""
    if count < len(hits):
        hits[count, 0], hits[count, 1], hits[count, 2] = row, slot, begin
    return count + 1


@_compiled
def _any_in(bits, at, stop):
    """Whether one of the bits from `at` to `stop` is set."""
    while at < stop:
        shift = at & np.uint64(63)
        found = bits[at >> np.uint64(6)] >> shift
        if found:
            return at + _trailing_zeros(found) < stop
        at += np.uint64(64) - shift
    return False


@_compiled
def _scan(data, ends, in_word, beyond_ascii, start, symbols, bitmap, table, any_single, any_without_run, hits):
    """Find the runs that names have.

    Args:
        data: UTF-8, with 8 bytes of 0 or more behind it; ends: [rows] where each ends; they begin at 0.
        in_word, beyond_ascii: bits as `_mark` makes them, 64 a number.
        start, symbols: as `symbols` makes them; bitmap, table: as `_insert` fills them.
        any_single: whether a name has one run only; any_without_run: whether one has none.
        hits: [room, 3] to write row, slot of the table, and where the last of the runs begins; the latter two -1 where
            they are not known.

    Returns:
        How many hits there are, be there room for them or not, and how many rows are not UTF-8.
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
                        count = _noted(hits, count, row, -1, -1)
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
                                if previous and _slot_of(_key(previous, run), bitmap, table) >= 0:
                                    count = _noted(hits, count, row, -1, -1)
                                if any_single and _slot_of(_key(np.uint64(0), run), bitmap, table) >= 0:
                                    count = _noted(hits, count, row, -1, -1)
                                run, previous, length, place = np.uint64(0), run, np.uint64(0), np.int64(-1)
                if length:
                    if previous:
                        slot = _slot_of(_key(previous, run), bitmap, table)
                        if slot >= 0:
                            count = _noted(hits, count, row, slot, place)
                    if any_single:
                        slot = _slot_of(_key(np.uint64(0), run), bitmap, table)
                        if slot >= 0:
                            count = _noted(hits, count, row, slot, place)
                    previous = run
                begin = stop
    return count, malformed + (not intact)


@_compiled
def _settle(hits, data, ends, names, plain, plain_start, plain_shift, parts, settled):
    """Tell hits that are a mention beyond doubt: the name as it is written, between spaces or the like.

    Args:
        hits, data, ends: as _scan has them.
        names: name of each slot of the table, or -1.
        plain, plain_start: bytes of name n, its ASCII in lower case, plain[plain_start[n]:plain_start[n + 1]], none
            where a name is more than words, each a run, with single spaces; plain_shift: where in it the last of its
            two runs begins.
        parts: [256] bool, whether a byte parts tokens whatever is on its other side.
        settled: [hits] to write the name into, or -1 where there is doubt.
    """
    for hit in range(len(hits)):
        row, slot, place = hits[hit]
        settled[hit] = -1
        if slot < 0 or place < 0 or names[slot] < 0:
            continue
        name = names[slot]
        size = plain_start[name + 1] - plain_start[name]
        first = place - plain_shift[name]
        row_start = ends[row - 1] if row else 0
        if size == 0 or first < row_start or first + size > ends[row]:
            continue
        if first > row_start and not parts[data[first - 1]]:
            continue
        behind = ends[row] - first - size
        after = first + size
        ends_well = behind == 0 or parts[data[after]]
        # A full stop, comma or colon joins nothing where a space or nothing follows.
        stops = behind > 0 and (data[after] == 44 or data[after] == 46 or data[after] == 58)
        if not (ends_well or (stops and (behind == 1 or data[after + 1] == 32))):
            continue
        same = True
        for i in range(size):
            letter = plain[plain_start[name] + i]
            byte = data[first + i]
            same &= byte == letter or (byte | 0x20 == letter and 97 <= letter <= 122)
        if same:
            settled[hit] = name


@_compiled
def _choose(codes, ends, start, symbols, previous, last, places):
    """Choose two neighbouring runs of each name: the longest, which the fewest captions have that do not mention it.

    Args:
        codes: code points of all names, each with a line end behind it; ends: [names] where each ends.
        start, symbols: as `symbols` makes them.
        previous, last: [names] uint64, 0, to write the two runs; where a name has one, it is `last`.
        places: [names] to write where `last` begins, in characters of the name.
    """
    at = 0
    for name in range(len(ends)):
        first = at
        run, length, begin = np.uint64(0), np.uint64(0), at
        before, length_before, longest = np.uint64(0), np.uint64(0), np.uint64(0)
        while at < ends[name]:
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


def _power_of_two(count):
    """The smallest power of two that is no smaller than `count`."""
    return 1 << max(0, int(count) - 1).bit_length()


# ASCII that neither is part of a token nor can join two.
_PARTS = np.array([code < 128 and not chr(code).isalnum() and chr(code) not in "_'\".:,;" for code in range(256)])


class Prefilter:
    """Picks the captions that may mention one of some names."""

    def __init__(self, names, analyzer):
        """Prepare for `names`, a list of strings, as fit.captions.analyzer.Analyzer `analyzer` sees them."""
        self._kept = threading.local()
        self._start, self._symbols = symbols(analyzer.cut, analyzer.fold_accents)
        count = len(names)
        previous, last, places = np.zeros(count, np.uint64), np.zeros(count, np.uint64), np.zeros(count, int)
        codes = np.frombuffer("".join([f"{name}\n" for name in names]).encode("utf-32-le"), np.uint32)
        ends = np.cumsum([len(name) + 1 for name in names])
        _choose(codes, ends, self._start, self._symbols, previous, last, places)
        self._any_without_run = bool((last == 0).any())
        self._any_single = bool(((previous == 0) & (last != 0)).any())
        plain = [name.encode().lower() if self._is_plain(name) else b"" for name in names]
        self._plain = np.frombuffer(b"".join(plain), np.uint8)
        self._plain_start = np.cumsum([0, *map(len, plain)])
        self._plain_shift = np.array([len(n[:s].encode()) for n, s in zip(names, places.tolist(), strict=True)], int)
        self._bitmap = np.zeros(_power_of_two(max(64, _BITS_PER_KEY * count // 64)), np.uint64)
        self._table = np.zeros(_power_of_two(max(64, _SLOTS_PER_KEY * count)), np.uint64)
        self._names = np.full(len(self._table), -1)
        _insert(previous, last, self._bitmap, self._table, self._names)

    def _is_plain(self, name):
        """Whether `name` is words with single spaces, each of nothing but letters that make one run, so one token."""
        for word in name.split(" "):
            codes = [ord(character) for character in word]
            symbols = [self._symbols[self._start[code] : self._start[code + 1]].tolist() for code in codes]
            if not word or not all(len(of_one) == 1 and of_one[0] != BREAK for of_one in symbols):
                return False
        return True

    def _buffers(self, size):
        """Room for `size` bytes and more behind them, and for their marks; kept, since new memory costs time."""
        size = size // 64 * 64 + 128
        kept = getattr(self._kept, "buffers", None)
        if kept is None or len(kept[0]) < size:
            kept = self._kept.buffers = tuple(np.empty(2 * size // part, np.uint8) for part in (1, 8, 8))
        return tuple(buffer[: size // part] for buffer, part in zip(kept, (1, 8, 8), strict=True))

    def scan(self, data, offsets):
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
        _mark(padded, in_word, beyond_ascii)
        ends = offsets[1:] - first
        room, count = len(ends), 0
        while room:
            hits = np.empty((room, 3), np.int64)
            marks = in_word.view(np.uint64), beyond_ascii.view(np.uint64)
            names = self._bitmap, self._table, self._any_single, self._any_without_run
            count, malformed = _scan(padded, ends, *marks, self._start, self._symbols, *names, hits)
            if count <= room:
                break
            room = count
        if not count:
            return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64), malformed if room else 0
        hits, settled = hits[:count], np.empty(count, np.int64)
        plain = self._plain, self._plain_start, self._plain_shift
        _settle(hits, padded, ends, self._names, *plain, _PARTS, settled)
        sure = settled >= 0
        return hits[sure, 0], settled[sure], np.unique(hits[~sure, 0]), malformed
