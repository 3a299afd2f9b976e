"""Finds what is wrong with concept sheets, and what a person should look at."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rapidfuzz.distance import Indel
from rapidfuzz.process import cdist
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from fit.concepts.analyzer import Analyzer
from fit.concepts.sheet import COLUMNS, Concept, notes_of, read_sheet
from fit.concepts.spelling import spelling
from fit.errors import SheetError
from fit.io.shown import number_of, shown

ALIKE = 0.9
"""Names with this ratio or more may be two spellings of one: 2 M / T, M the characters of their longest common
subsequence, T the characters of both."""
MOST = 20
"""Concepts of a group that are named."""
BLOCK = 256
"""Names that are compared with all others at once."""


@dataclass
class Findings:
    """What was found in some sheets."""

    errors: list[str] = field(default_factory=list)
    """What must be fixed: a sheet that can't be read, a concept or name that is there twice, a name without a token."""
    warnings: list[str] = field(default_factory=list)
    """What a person should look at: names of one word, names that are nearly alike."""
    summary: list[dict[str, str | int]] = field(default_factory=list)
    """A row for each sheet that could be read: sheet, rows, aliases, one word, groups, without group."""


def _summary(path: str, concepts: list[Concept], of_one_word: list[str]) -> dict[str, str | int]:
    groups = Counter(concept.group for concept in concepts if concept.group)
    return {
        "sheet": path,
        "rows": len(concepts),
        "aliases": sum(len(concept.aliases) for concept in concepts),
        "one word": len(of_one_word),
        "groups": ", ".join(f"{group} {rows}" for group, rows in sorted(groups.items())),
        "without group": sum(not concept.group for concept in concepts),
    }


def nearly_alike(names: Sequence[str]) -> list[tuple[int, int, float]]:
    """Return the pairs of `names`, different strings, whose ratio is ALIKE or more.

    Returns:
        (i, j, ratio) of each, i < j, in order.
    """
    pairs = []
    for start in range(0, len(names), BLOCK):
        block = names[start : start + BLOCK]
        ratios = cdist(block, names, scorer=Indel.normalized_similarity, score_cutoff=ALIKE, dtype=np.float64)
        for row, column in np.argwhere(ratios).tolist():
            if start + row < column:
                pairs.append((start + row, column, float(ratios[row, column])))
    return pairs


def check(paths: Iterable[str | Path]) -> Findings:
    """Look for concepts and names that are there twice, in one sheet or in several, and for names that may mislead.

    Names are compared as captions are (`standard` tokens of fit.concepts.analyzer), without accents.
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
                f"{path}: columns that are not read, such as notes: {', '.join(map(shown, notes))}; the columns that "
                f"are read are {', '.join(COLUMNS)}"
            )
        of_one_word = []
        for concept in concepts:
            slug = concept.slug
            if slug in sheet_of:
                found.errors.append(
                    f"{path}: concept {slug!r} is in {sheet_of[slug]} too; remove it from one of them, or give one "
                    "another slug"
                )
            sheet_of.setdefault(slug, path)
            for name in concept.names:
                tokens = analyzer.tokens(name)
                if not tokens:
                    found.errors.append(
                        f"{path}: concept {slug!r}: the name {name!r} has no letter or digit, so no caption can "
                        "mention it; fix it"
                    )
                    continue
                found.warnings += [f"{path}: concept {slug!r}: {name!r} {said}" for said in spelling(name)]
                if len(tokens) == 1:
                    of_one_word.append(name)
                sheet, other, written = owner_of.setdefault(" ".join(tokens), (path, slug, name))
                if other != slug:
                    found.errors.append(
                        f"{path}: concept {slug!r}: {name!r} is also a name of {other!r} ({written!r} in {sheet}), so "
                        "its captions would count for both; remove it from one of them"
                    )
        if of_one_word:
            found.warnings.append(
                f"{path}: names of one word, which captions may use for something else: {', '.join(of_one_word)}"
            )
        found.summary.append(_summary(path, concepts, of_one_word))
    names, owners = list(owner_of), list(owner_of.values())
    found.warnings += _alike(names, owners)
    return found


def _alike(names: Sequence[str], owners: Sequence[tuple[str, str, str]]) -> Iterator[str]:
    """Yield a sentence for each group of concepts that are joined by names which are nearly alike.

    Args:
        names: folded, each once.
        owners: of each, (sheet, slug, the name as it is written).
    """
    pairs = [(i, j, ratio) for i, j, ratio in nearly_alike(names) if owners[i][1] != owners[j][1]]
    slugs = list(dict.fromkeys(owners[row][1] for i, j, _ in pairs for row in (i, j)))
    place = {slug: number for number, slug in enumerate(slugs)}
    joined = coo_array(
        (np.ones(len(pairs)), ([place[owners[i][1]] for i, _, _ in pairs], [place[owners[j][1]] for _, j, _ in pairs])),
        shape=(len(slugs), len(slugs)),
    )
    _, group_of = connected_components(joined, directed=False)
    for group in dict.fromkeys(group_of.tolist()):
        inside = [pair for pair in pairs if group_of[place[owners[pair[0]][1]]] == group]
        rows = dict.fromkeys(row for i, j, _ in inside for row in (i, j))
        of_slug = {owners[row][1]: owners[row] for row in reversed(rows)}  # the first name of each concept
        said = [f"{written!r} ({slug} in {sheet})" for sheet, slug, written in reversed(of_slug.values())]
        ratios = sorted({f"{ratio:.2f}" for _, _, ratio in inside})
        between = ratios[0] if len(ratios) == 1 else f"{ratios[0]} to {ratios[-1]}"
        if len(said) == 2:
            yield f"{said[0]} and {said[1]} are nearly alike ({between}); are they the same concept?"
        else:
            more = f" and {len(said) - MOST} more" if len(said) > MOST else ""
            yield (
                f"{number_of(len(said), 'concept', 'has')} names that are nearly alike ({between}): "
                f"{', '.join(said[:MOST])}{more}; are some of them the same concept?"
            )
