"""Making concept sheets: finding what is wrong with them, drawing one from a longer list, bringing a list here."""

import difflib
import hashlib
import html
import re
import unicodedata
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from html.entities import html5

import fsspec
import numpy as np
from aiohttp import ClientError

from fit.captions.analyzer import Analyzer
from fit.concepts.sheet import COLUMNS, notes_of, read_sheet
from fit.errors import SheetError
from fit.images.local import read_counts
from fit.io.escaping import delimited
from fit.io.files import atomic_write
from fit.io.user_tables import shown

ALIKE = 0.9
"""Names whose difflib ratio is this or more may be two spellings of one."""

CHUNK = 1 << 20  # bytes


# --- checking ---------------------------------------------------------------------------------------------------------


@dataclass
class Findings:
    """What there is to say of some sheets."""

    errors: list[str] = field(default_factory=list)
    """What must be mended: a sheet that can't be read, a concept or name that stands twice, a name without a token."""
    warnings: list[str] = field(default_factory=list)
    """What a person should look at: names of one word, names that are nearly alike."""
    summary: list[dict] = field(default_factory=list)
    """A row a sheet that could be read: sheet, rows, aliases, one word, groups, without group."""


def _summary(path, concepts, of_one_word):
    groups = Counter(concept.group for concept in concepts if concept.group)
    return {
        "sheet": path,
        "rows": len(concepts),
        "aliases": sum(len(concept.aliases) for concept in concepts),
        "one word": len(of_one_word),
        "groups": ", ".join(f"{group} {rows}" for group, rows in sorted(groups.items())),
        "without group": sum(not concept.group for concept in concepts),
    }


def nearly_alike(names):
    """Pairs of `names` whose difflib ratio is ALIKE or more.

    The ratio is 2 M / T, with M the characters that match in order and T those of both names. No more can match than
    both names have of each character, which is quickly found, and rules out nearly all pairs.

    Args:
        names: a list of different strings.

    Returns:
        List of (i, j, ratio), i < j, in order; ratio is that of names[j] to names[i].
    """
    alphabet = {character: index for index, character in enumerate(sorted(set("".join(names))))}
    have = np.zeros((len(names), len(alphabet)), np.int16)
    for row, name in zip(have, names, strict=True):
        np.add.at(row, [alphabet[character] for character in name], 1)
    lengths = have.sum(axis=1, dtype=np.int64)
    matcher, pairs = difflib.SequenceMatcher(autojunk=False), []
    for i, name in enumerate(names):
        most = np.minimum(have[i], have[i + 1 :]).sum(axis=1)
        candidates = i + 1 + np.flatnonzero(2 * most / (lengths[i] + lengths[i + 1 :]) >= ALIKE)
        matcher.set_seq2(name)  # the second is the one that the matcher remembers
        for j in candidates.tolist():
            matcher.set_seq1(names[j])
            if (ratio := matcher.ratio()) >= ALIKE:
                pairs.append((i, j, ratio))
    return pairs


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


def spelling(name):
    """What an analyzer of captions makes of a name's spelling that its writer may not expect: a list of clauses."""
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
            "is in a script without spaces: `standard` cuts Han and Hiragana into single characters, so it also "
            "matches inside a longer word, and keeps a run of Thai, Lao, Burmese or Khmer whole, so it may match "
            "nothing; see `fit captions explain`"
        )
    if name != unicodedata.normalize("NFC", name):
        said.append("is in decomposed Unicode; captions are compared with it in both forms")
    if found := _INVISIBLE.search(name):
        code = f"U+{ord(found.group()):04X}"
        said.append(f"has the invisible character {code}; take it out")
    return said


def check(paths):
    """Look for concepts and names that stand twice, in one sheet or in several, and for names that may mislead.

    Names are compared as captions are (`standard` tokens of fit.captions.analyzer), without accents.

    Args:
        paths: of concept sheets, as fit.concepts.sheet.read_sheet takes them.

    Returns:
        Findings.
    """
    found, analyzer = Findings(), Analyzer(fold_accents=True)
    sheet_of: dict[str, str] = {}
    owner_of: dict[str, tuple[str, str, str]] = {}  # folded name -> (sheet, slug, the name as it is written)
    for path in map(str, paths):
        try:
            concepts = read_sheet(path)
        except SheetError as error:
            found.errors.append(str(error))
            continue
        if notes := notes_of(path):
            found.warnings.append(
                f"{path}: columns that are not read, as notes are not: {', '.join(map(shown, notes))}; those that are "
                f"read are {', '.join(COLUMNS)}"
            )
        of_one_word = []
        for concept in concepts:
            slug = concept.slug
            if slug in sheet_of:
                found.errors.append(
                    f"{path}: concept {slug!r} stands in {sheet_of[slug]} too; take it off one of them, or give one "
                    "another slug"
                )
            sheet_of.setdefault(slug, path)
            for name in concept.names:
                tokens = analyzer.tokens(name)
                if not tokens:
                    found.errors.append(
                        f"{path}: concept {slug!r}: the name {name!r} has no letter or digit, so no caption can "
                        "mention it; mend it"
                    )
                    continue
                found.warnings += [f"{path}: concept {slug!r}: {name!r} {said}" for said in spelling(name)]
                if len(tokens) == 1:
                    of_one_word.append(name)
                sheet, other, written = owner_of.setdefault(" ".join(tokens), (path, slug, name))
                if other != slug:
                    found.errors.append(
                        f"{path}: concept {slug!r}: {name!r} is also a name of {other!r} ({written!r} in {sheet}), so "
                        "its captions would count for both; take it off one of them"
                    )
        if of_one_word:
            found.warnings.append(
                f"{path}: names of one word, which captions may use for something else: {', '.join(of_one_word)}"
            )
        found.summary.append(_summary(path, concepts, of_one_word))
    names, owners = list(owner_of), list(owner_of.values())
    told = set()
    for i, j, ratio in nearly_alike(names):
        pair = owners[i][1], owners[j][1]
        if pair[0] != pair[1] and pair not in told:
            told.add(pair)
            one, two = (f"{written!r} ({slug} in {sheet})" for sheet, slug, written in (owners[i], owners[j]))
            found.warnings.append(f"{one} and {two} are nearly alike ({ratio:.2f}); are they one?")
    return found


# --- drawing ----------------------------------------------------------------------------------------------------------


def equal_shares(available, size):
    """Share `size` out as evenly as what is available allows; what some lack is spread over the others.

    Args:
        available: how many each has; their sum is `size` or more.

    Returns:
        How many to take of each, in the same order.
    """
    shares = [0] * len(available)
    ascending = sorted(range(len(available)), key=available.__getitem__)
    for position, index in enumerate(ascending):
        shares[index] = min(available[index], size // (len(ascending) - position))
        size -= shares[index]
    return shares


def _bin(captions):
    """The lowest count of the bin of a count: 0, 1, 10, 100 ..."""
    return 10 ** (len(str(captions)) - 1) if captions else 0


def _draw_number(concept, seed):
    return hashlib.blake2b(f"{seed} {concept.slug}".encode(), digest_size=16).digest()


def sample(candidates, counts, size, seed=0):
    """Draw a sheet from a longer one, evenly over the logarithm of how many captions mention each concept.

    Each power of ten of captions is a bin, and so is none; each bin gives an equal share as far as it has candidates.
    Within a bin the candidates with the smallest keyed hashes are drawn, so that one candidate more changes little.

    Args:
        candidates: path of a concept sheet.
        counts: path of CSV or Parquet with the columns concept and captions, as `fit captions count` writes it.
        size: how many concepts to draw.
        seed: another one draws others.

    Returns:
        (concepts, bins): a list of fit.concepts.sheet.Concept in order of slugs, and a list of dicts with the keys captions
        (the bin's counts, as text), candidates and drawn, from no captions upwards.

    Raises:
        SheetError: there is no such sheet, or it has fewer candidates than `size`.
        DataError: the counts can't be read, or lack a candidate.
    """
    concepts = read_sheet(candidates)
    if not 1 <= size <= len(concepts):
        raise SheetError(
            f"{candidates}: {size} concepts can't be drawn from {len(concepts)}; ask for 1 to {len(concepts)}, or add "
            "candidates"
        )
    captions = read_counts(counts, [concept.slug for concept in concepts], "captions")
    members = defaultdict(list)
    for concept in concepts:
        members[_bin(captions[concept.slug])].append(concept)
    lowest = sorted(members)
    shares = equal_shares([len(members[low]) for low in lowest], size)
    drawn, bins = [], []
    for low, share in zip(lowest, shares, strict=True):
        drawn += sorted(members[low], key=lambda concept: _draw_number(concept, seed))[:share]
        label = f"{low:,} to {10 * low - 1:,}" if low else "0"
        bins.append({"captions": label, "candidates": len(members[low]), "drawn": share})
    return sorted(drawn, key=lambda concept: concept.slug), bins


def write_sheet(concepts, path):
    """Write a list of fit.concepts.sheet.Concept as a sheet, which fit.concepts.sheet.read_sheet reads."""
    rows = [(concept.slug, concept.name, "|".join(concept.aliases), concept.group) for concept in concepts]
    with atomic_write(path) as part:
        text = delimited([("concept", "name", "aliases", "group"), *rows])
        part.write_text(text, encoding="utf-8", newline="")


# --- bringing ---------------------------------------------------------------------------------------------------------


def fetch(url, sha256, out):
    """Bring a file from `url` to `out`, where it only comes to lie if it is the one that was asked for.

    Args:
        url: file://, http:// or https://.
        sha256: 64 hexadecimal digits.
        out: path to write.

    Returns:
        The file's size in bytes.

    Raises:
        SheetError: `url` is of another kind or can't be read, `sha256` is none, or it is that of another file.
    """
    if not re.fullmatch(r"[0-9a-f]{64}", sha256.lower()):
        raise SheetError(f"{url}: {sha256!r} is no SHA-256 checksum; give its 64 hexadecimal digits")
    if not url.lower().startswith(("file://", "http://", "https://")):
        raise SheetError(f"{url}: not an address of a list; it begins with file://, http:// or https://")
    digest, size = hashlib.sha256(), 0
    with atomic_write(out) as part:
        try:
            with fsspec.open(url, "rb") as source, part.open("wb") as file:
                while block := source.read(CHUNK):
                    digest.update(block)
                    size += file.write(block)
        except (OSError, ValueError, ClientError) as error:
            raise SheetError(f"{url}: can't be read ({error or type(error).__name__}); check the address") from None
        if digest.hexdigest() != sha256.lower():
            raise SheetError(
                f"{url}: its SHA-256 is {digest.hexdigest()}, not {sha256.lower()}; it is another file than the one "
                f"asked for, so {out} was not written; look at it before you ask for that checksum"
            )
    return size
