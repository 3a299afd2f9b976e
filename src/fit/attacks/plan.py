"""The table of all that a model is asked for by attacks on some concepts."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from fit.attacks import REGISTRY
from fit.attacks.base import Attack, Subject
from fit.attacks.settings import PromptingSettings
from fit.attacks.words import Telltale, read_words
from fit.concepts.sheet import Concept
from fit.errors import DataError
from fit.generated.conditioning import as_rows
from fit.io.concept_tables import CONCEPT, write_concepts
from fit.io.digest import sha256_of
from fit.io.shown import plain, shown
from fit.io.user_tables import read_user_table
from fit.registry import find

TRIALS = pa.schema(
    [
        CONCEPT,
        ("attack", pa.string()),
        ("setting", pa.string()),
        ("label", pa.string()),
        ("prompt", pa.string()),
        ("negative_prompt", pa.string()),
        ("composition", pa.string()),
        ("prefix", pa.string()),
    ]
)
"""A table of prompts (fit.generated.conditioning) with two columns more: which attack and setting a row is of. label is
what stands in the column `prompt` of the pictures."""


def read_descriptions(path: str | Path, concepts: Sequence[Concept]) -> dict[str, tuple[str, ...]]:
    """Read a user's descriptions of concepts: a table with the columns concept and description.

    Returns:
        Slug -> its descriptions.

    Raises:
        DataError: it can't be read, lacks a concept, or a description has a part of the concept's name.
    """
    table = read_user_table(path, ["concept", "description"])
    of = {concept.slug: Telltale(concept.names) for concept in concepts}
    found: dict[str, list[str]] = {slug: [] for slug in of}
    for index, row in enumerate(table.rows):
        slug, text = (str(row[name] or "").strip() for name in ("concept", "description"))
        if slug not in of:
            continue
        if not text:
            raise DataError(f"{table.where(index)}: the description of {slug} is empty; write it, or drop the row")
        if betraying := of[slug].names_in(text):
            raise DataError(
                f"{table.where(index)}: the description of {slug} names it ({plain(betraying, 3)}); describe it in "
                "other words: with its name it is not an indirect prompt"
            )
        if text in found[slug]:
            raise DataError(f"{table.where(index)}: the description {shown(text)} of {slug} is there twice; keep one")
        found[slug].append(text)
    if lacking := [slug for slug, texts in found.items() if not texts]:
        raise DataError(
            f"{path}: no description of {plain(lacking, 5)}; add a row for each, or take `described` off the attacks"
        )
    return {slug: tuple(texts) for slug, texts in found.items()}


def read_subjects(
    concepts: Sequence[Concept],
    prompts: Sequence[str],
    words: str | Path | None = None,
    descriptions: str | Path | None = None,
    prefixes: Mapping[str, str] | None = None,
) -> list[Subject]:
    """Bring together what an attacker knows of each concept.

    Args:
        concepts: to attack.
        prompts: of the domain, templates with {name}.
        words: table of `fit attacks words`.
        descriptions: a user's table.
        prefixes: slug -> file of `fit attacks prefix`.

    Raises:
        DataError: a table lacks a concept, or a description names it.
    """
    described = read_descriptions(descriptions, concepts) if descriptions else {}
    files = prefixes or {}
    return [
        Subject(
            concept=concept,
            prompts=tuple(prompt.format(name=concept.name) for prompt in prompts),
            words=tuple(read_words(words, concept.slug)) if words else (),
            descriptions=described.get(concept.slug, ()),
            prefix=files.get(concept.slug, ""),
            digest=sha256_of(files[concept.slug]) if concept.slug in files else "",
        )
        for concept in concepts
    ]


def plan_attacks(
    subjects: Sequence[Subject], attacks: Sequence[str], settings: PromptingSettings, out: str | Path
) -> list[str]:
    """Write the table TRIALS: what a model is asked for by each attack on each concept.

    Args:
        subjects: the concepts.
        attacks: names in the registry.
        settings: of the prompts.
        out: table to write.

    Returns:
        Sentences on attacks that could not be tried.

    Raises:
        ConfigError: there is no such attack.
        DataError: nothing could be tried on a concept.
    """
    remarks, tables = [], []
    for subject in subjects:
        rows: dict[str, dict[str, str]] = {}
        for name in attacks:
            attack: Attack = find(REGISTRY, name, "attack")()
            trials = attack.trials(subject, settings)
            if not trials:
                remarks.append(f"{subject.concept.slug}: {name}: not tried, {attack.lacks}")
            for trial in trials:
                (row,) = as_rows(subject.concept.slug, [trial.asked])
                del row["concept"]
                told = {"attack": name, "setting": trial.setting, "label": trial.asked.label}
                # Two attacks may ask for the same, whose pictures are those of the first.
                rows.setdefault(trial.asked.label, told | row)
        if not rows:
            raise DataError(
                f"{subject.concept.slug}: none of the attacks {', '.join(attacks)} can be tried ({remarks[-1]}); "
                "choose other attacks, or take the concept off"
            )
        tables.append((subject.concept.slug, pa.Table.from_pylist(list(rows.values()), schema=TRIALS.remove(0))))
    write_concepts(tables, out, TRIALS)
    return remarks
