"""Looks for spellings of names that may not match the captions that their writer expects."""

import html
import re
import unicodedata
from html.entities import html5

from fit.concepts.analyzer import Analyzer

_ENTITY = re.compile(
    r"&(?:#\d+|#x[0-9a-fA-F]+|[a-zA-Z]+);|&(?:"
    + "|".join(name for name in html5 if not name.endswith(";"))  # browsers read these without one too
    + r")(?![a-zA-Z;])"
)
_INITIALS = re.compile(r"\b\w\.(?:\w\.)+")
_SPACELESS = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")
_INVISIBLE = re.compile("[\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]")
_COMPATIBLE = re.compile("[\ufb00-\ufb06\uff01-\uff5e]+")
_NO_APOSTROPHE = re.compile(r"(?<=\w)[\u02bc\u02b9`\u00b4\u2032](?=\w)")
_SEVERAL = re.compile(r"\w\s*([,;\u3001\uff0c\uff1b\uff5c])\s*(?!(?:jr|sr|ii|iii|iv|esq)\b)\w", re.IGNORECASE)


def spelling(name: str) -> list[str]:
    """Return what the writer of a name may not expect of its matches, as clauses that follow the name."""
    said = []
    if found := _ENTITY.search(name):
        said.append(f"has the HTML entity {found.group()!r}; write {html.unescape(found.group())!r}")
    if found := _INITIALS.search(name):
        tokens, spaced = Analyzer().tokens(found.group()), found.group().replace(".", ". ").strip()
        said.append(
            f"has the initials {found.group()!r}, which are {len(tokens)} token ({' | '.join(tokens)}) and do not "
            f"match {spaced!r} ({' | '.join(Analyzer().tokens(spaced))}); add that as an alias, and without points too"
        )
    elif re.search(r"\b\w\. \w\. ", name):
        joined = re.sub(r"\b(\w\.) (?=\w\. )", r"\1", name)
        said.append(f"has spaced initials, which do not match {joined!r}; add that as an alias")
    for curly, straight in (("\u2019", "'"), ("\u2018", "'"), ("'", "\u2019")):
        if re.search(rf"\w{curly}\w", name):
            other = name.replace(curly, straight)
            said.append(f"has the apostrophe {curly}, and does not match {other!r}; add that as an alias")
            break
    if found := _NO_APOSTROPHE.search(name):
        said.append(
            f"has U+{ord(found.group()):04X} for an apostrophe, and does not match "
            f"{_NO_APOSTROPHE.sub(chr(39), name)!r}; write that, and the curly one as an alias"
        )
    if found := _SEVERAL.search(name):
        said.append(
            f"has {found[1]!r}: captions have to name all of it in this order; if these are several names, separate "
            "them by |"
        )
    if found := _COMPATIBLE.search(name):
        plain = unicodedata.normalize("NFKC", found.group())
        said.append(f"has full-width letters or ligatures, {found.group()!r}, which do not match {plain!r}; write that")
    if _SPACELESS.search(name):
        said.append(
            "is in a script without spaces: `standard` splits Han and Hiragana into single characters, so it also "
            "matches inside a longer word, and keeps a run of Thai, Lao, Burmese or Khmer whole, so it may match "
            "nothing; see `fit captions explain`"
        )
    if name != unicodedata.normalize("NFC", name):
        said.append("is in decomposed Unicode; captions are compared with it in both forms")
    if found := _INVISIBLE.search(name):
        code = f"U+{ord(found.group()):04X}"
        said.append(f"has the invisible character {code}; take it out")
    return said
