"""Which tokens a text has.

Two ways to cut a text into tokens, either with or without folding of accents:

`standard` follows Elasticsearch's standard analyzer, which the paper's counts come from: the word boundaries of
Unicode (UAX #29), a token for each Han or Hiragana character, for each emoji and flag, in lower case. An apostrophe, a
full stop or an underscore between letters joins them, so "Picasso's" is one token, and no mention of Picasso.

`words` takes each run of letters, marks and digits, in lower case: "Picasso's" is two tokens, the first a mention.

The grammar of tokens is a regular expression, not over a text itself but over what its characters are: each is
replaced by one that stands for its class (see `_PROPERTIES`).
"""

import functools
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import regex

_PROPERTIES = {
    "letter": r"\p{WB=ALetter}",
    "hebrew": r"\p{WB=Hebrew_Letter}",
    "digit": r"[\p{WB=Numeric}\uFF10-\uFF19]",
    "katakana": r"\p{WB=Katakana}",
    "connector": r"\p{WB=ExtendNumLet}",
    "extend": r"\p{WB=Extend}",
    "format": r"\p{WB=Format}",
    "joiner": r"\p{WB=ZWJ}",
    "joins_letters": r"[\p{WB=MidLetter}\p{WB=MidNumLet}\p{WB=Single_Quote}:]",
    "joins_digits": r"[\p{WB=MidNum}\p{WB=MidNumLet}\p{WB=Single_Quote}]",
    "quote": "'",
    "double_quote": '"',
    "southeast_asian": r"\p{LB=SA}",
    "han": r"\p{Script=Han}",
    "hiragana": r"\p{Script=Hiragana}",
    "regional": r"\p{WB=Regional_Indicator}",
    "emoji": r"[\p{Emoji}--[0-9#*]]",
    "emoji_modifier": r"\p{Emoji_Modifier}",
    "text_or_emoji": "[©®™〰〽]",  # an emoji only where U+FE0F says so
    "keycap_base": "[0-9#*]",
    "emoji_style": r"\uFE0F",
    "keycap": r"\u20E3",
    "word": r"[\p{Alphabetic}\p{M}\p{Nd}\p{No}\p{Cf}--[\u200b]]",
    "mark": r"[\p{M}\p{Cf}]",
}
"""Name -> characters, in the notation of the package regex. WB and LB are Unicode's Word_Break and Line_Break."""

# Beyond plane 3 nothing but tags, variation selectors and private characters is assigned.
_CHARACTERS = "".join(map(chr, (*range(0xD800), *range(0xE000, 0x40000), *range(0xE0000, 0xE1000))))
_CODES = np.array([ord(character) for character in _CHARACTERS])


@functools.cache
def classes() -> tuple[np.ndarray, dict[str, set[int]]]:
    """Classify every character.

    Returns:
        (class_of, members): [0x110000] uint8, the class of each code point, and property -> set of the classes that
        have it. Characters with the same properties are of one class.
    """
    bits = np.zeros(0x110000, np.uint32)
    for bit, pattern in enumerate(_PROPERTIES.values()):
        for run in regex.finditer(f"(?V1){pattern}+", _CHARACTERS):
            bits[_CODES[run.start() : run.end()]] |= 1 << bit
    combinations, class_of = np.unique(bits, return_inverse=True)
    members = {
        name: {index for index, combination in enumerate(combinations.tolist()) if combination >> bit & 1}
        for bit, name in enumerate(_PROPERTIES)
    }
    return class_of.astype(np.uint8), members


def _characters_with(names: Iterable[str], but: Iterable[str]) -> str:
    """Return a pattern of one character among those that replace classes: chr(class)."""
    members = classes()[1]
    of_names = {index for name in names for index in members[name]}
    found = of_names.difference(*(members[name] for name in but))
    return "[" + "".join(f"\\x{index:02x}" for index in sorted(found)) + "]"


def _ascii_characters_with(names: Iterable[str], but: Iterable[str]) -> str:
    """Return a pattern of one ASCII character, as it is."""
    class_of, members = classes()
    of_names = {index for name in names for index in members[name]}
    wanted = of_names.difference(*(members[name] for name in but))
    found = [f"\\x{code:02x}" for code in range(128) if class_of[code] in wanted]
    return "[" + "".join(found) + "]" if found else r"[^\s\S]"


_CharactersWith = Callable[[Iterable[str], Iterable[str]], str]


def _standard(characters_with: _CharactersWith) -> str:
    """Return the pattern of a token by UAX #29, with what Lucene's StandardTokenizer adds.

    A mark after a character belongs to it.
    """

    def one_of(*names: str, but: Sequence[str] = ()) -> str:
        return characters_with(names, but)

    def marked(*names: str) -> str:
        return f"(?:{one_of(*names)}{marks}*)" if characters_with is _characters_with else one_of(*names)

    marks = one_of("extend", "format", "joiner")
    letter, hebrew, digit, katakana = marked("letter", "hebrew"), marked("hebrew"), marked("digit"), marked("katakana")
    connector = marked("connector")
    letters = f"{letter}+(?:(?:{connector}+|{marked('joins_letters')}){letter}+)*"
    digits = f"{digit}+(?:(?:{connector}+|{marked('joins_digits')}){digit}+)*"
    abbreviation = f"{hebrew}(?:{marked('quote')}|{marked('double_quote')}{hebrew})"
    core = f"(?:{katakana}(?:{connector}*{katakana})*|(?:{abbreviation}|{digits}|{letters})+)"
    emoji_marks = one_of("extend", "format", "joiner", "emoji_modifier") + "*"
    # Two things that change only the speed: most tokens are letters and digits that nothing joins to others; and where
    # no token begins, the other alternatives need not be tried.
    joined = one_of("hebrew", "connector", "extend", "format", "joiner")
    joined += f"|{one_of('joins_letters', 'joins_digits')}{marks}*{one_of('letter', 'hebrew', 'digit', 'connector')}"
    plain = f"{one_of('letter', 'digit')}++(?!{joined})"
    beginnings = ("letter", "hebrew", "digit", "katakana", "connector", "southeast_asian", "han", "hiragana")
    anything = f"(?={one_of(*beginnings, 'regional', 'emoji', 'keycap_base', 'text_or_emoji')})"
    joined_emoji = f"(?<={one_of('joiner')}){one_of('emoji')}{one_of('extend', 'joiner')}*"
    rest = [
        f"{connector}*{core}(?:{connector}+{core})*{connector}*",
        f"{connector}*{digits}{connector}*",
        f"{marked('southeast_asian')}+",
        marked("han"),
        marked("hiragana"),
        marked("regional") * 2,
        f"{one_of('emoji', but=('text_or_emoji', 'regional'))}{emoji_marks}(?:{joined_emoji})*",
        f"{one_of('keycap_base')}{one_of('emoji_style')}?{one_of('keycap')}",
        f"{one_of('text_or_emoji')}{one_of('emoji_style')}",
    ]
    return f"{plain}|{anything}(?:{'|'.join(rest)})"


def _words(characters_with: _CharactersWith) -> str:
    return characters_with(["word"], ()) + "+"


_GRAMMARS = {"standard": _standard, "words": _words}
TOKENS = tuple(_GRAMMARS)
"""Ways to cut a text into tokens."""


END = "\0"
"""Follows the tokens of each of many texts; no token is equal to it."""


@functools.cache
def _patterns(tokens: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Return the pattern of a token over characters that replace classes, and a much faster one over ASCII text."""
    grammar = _GRAMMARS[tokens]
    return re.compile(grammar(_characters_with), re.DOTALL), re.compile(f"{grammar(_ascii_characters_with)}|{END}")


# As Java lower-cases, character by character: İ becomes one character, and a Σ that ends a word is like any other.
_LOWER = {0x130: "i", 0x3A3: "σ"}
# Letters that NFKD leaves whole, and the curly apostrophe.
_UNACCENTED = {0xF8: "o", 0x142: "l", 0xDF: "ss", 0x131: "i", 0xE6: "ae", 0x111: "d", 0x2019: "'"}


def lower(text: str) -> str:
    """Return `text` in lower case, character by character: as long as `text`."""
    return (text.translate(_LOWER) if "\u0130" in text or "\u03a3" in text else text).lower()


def fold(token: str) -> str:
    """Return a lower-case token without accents: NFKD, less marks and format characters, in lower case."""
    if token.isascii():
        return token
    decomposed = unicodedata.normalize("NFKD", token.translate(_UNACCENTED))
    return "".join(c for c in decomposed if unicodedata.category(c) not in ("Mn", "Me", "Cf")).lower()


class Analyzer:
    """Cuts texts into tokens."""

    def __init__(self, tokens: str = "standard", fold_accents: bool = False):
        """Choose how: `tokens` is one of TOKENS; `fold_accents` removes accents from each token, once it is cut."""
        self.cut, self.fold_accents = tokens, fold_accents
        self._pattern, self._ascii_pattern = _patterns(tokens)
        self._class_of = classes()[0]

    def tokens(self, text: str) -> list[str]:
        """Return the tokens of `text`."""
        lowered = lower(text)
        if lowered.isascii():
            return self._ascii_pattern.findall(lowered.replace(END, " "))
        codes = np.frombuffer(lowered.encode("utf-32-le", "surrogatepass"), np.uint32)
        as_classes = self._class_of[codes].tobytes().decode("latin-1")
        found = [lowered[slice(*token.span())] for token in self._pattern.finditer(as_classes)]
        return [fold(token) for token in found] if self.fold_accents else found

    def tokens_of_ascii(self, texts: Sequence[str]) -> list[str]:
        """Return the tokens of many ASCII texts, with END after each text. This is faster than one text at a time."""
        together = END.join([*texts, ""])
        if together.count(END) > len(texts):
            together = END.join([*(text.replace(END, " ") for text in texts), ""])
        return self._ascii_pattern.findall(together.lower())
