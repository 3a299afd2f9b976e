"""Parts: which concepts of a domain one job takes.

A part is a concept's slug, or `part_000` and so on where several share a job. A slug is always a part too, so that one
concept can be asked for by its file.
"""

from collections.abc import Iterable, Sequence
from functools import cached_property
from hashlib import sha256

CHEAP_CONCEPTS = 64
"""Concepts of a job in stages that take seconds a concept."""
MOST_JOBS = 2000
"""Jobs of a stage that takes minutes a concept, at most, unless configured otherwise. Planning takes seconds
for a thousand jobs; a concept more in a job costs little, since what a job has finished survives a stop."""


class Partition:
    """The concepts of a domain, shared out among parts."""

    def __init__(self, slugs: Sequence[str], size: int):
        """Share `slugs` out among parts of about `size`.

        A concept's part follows from its slug and the number of parts, so one concept more or less leaves most parts as
        they are.
        """
        self.slugs = tuple(slugs)
        if size == 1:
            self.parts: dict[str, tuple[str, ...]] = {slug: (slug,) for slug in self.slugs}
            return
        count = max(1, -(-len(self.slugs) // size))
        shared: list[list[str]] = [[] for _ in range(count)]
        for slug in self.slugs:
            shared[int.from_bytes(sha256(slug.encode()).digest()[:8], "big") % count].append(slug)
        self.parts = {f"part_{number:03d}": tuple(of_part) for number, of_part in enumerate(shared) if of_part}

    @cached_property
    def _part_of(self) -> dict[str, str]:
        return {slug: part for part, slugs in self.parts.items() for slug in slugs}

    def concepts(self, part: str) -> tuple[str, ...]:
        """The concepts of a part, in the order of the sheet; of a slug, itself.

        Raises:
            KeyError: there is no such part.
        """
        if part in self.parts:
            return self.parts[part]
        if part in self._part_of:
            return (part,)
        raise KeyError(part)

    def holding(self, concepts: Iterable[str]) -> list[str]:
        """The parts that hold `concepts`, each once."""
        return list(dict.fromkeys(self._part_of[concept] for concept in concepts))


def size_of_parts(concepts: int, concepts_per_job: int | str, is_cheap: bool) -> int:
    """How many concepts a job takes.

    Args:
        concepts: how many the domain has.
        concepts_per_job: of the domain's section; "auto" or a number.
        is_cheap: whether a concept takes seconds in this stage, not minutes.
    """
    if concepts_per_job != "auto":
        return int(concepts_per_job)
    return CHEAP_CONCEPTS if is_cheap else max(1, -(-concepts // MOST_JOBS))
