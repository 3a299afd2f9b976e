"""Parts: which concepts of a domain one job takes.

A part is a concept's slug, or `part_000` and so on where several share a job. A slug is always a part too, so that one
concept can be asked for by its file.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from hashlib import sha256

CHEAP_CONCEPTS = 64
"""Concepts of a job in stages that take seconds a concept; more never share a job because there is little to do."""
MOST_JOBS = 200
"""Jobs of a stage that takes minutes a concept, for a domain, unless a job would take too long. This is how many jobs
slurm/config.yaml keeps in the queue: more would not end earlier, and take longer to plan."""
COUNTING_JOBS = 32
"""Jobs that count a corpus's captions, at most, unless configured otherwise. Two billion captions take a quarter of an
hour of one core."""
FEW_PICTURES = 1_000
"""Pictures that one job generates at least: loading a model is a small part of the time then."""
MANY_PICTURES = 5_000
"""Pictures that one job generates at most, about: it asks for some 14 hours then."""
EMBEDDED_PICTURES = 10_000
"""Generated pictures that one job embeds, about: minutes."""
FEW_LINKS = 10_000
"""Links that one job tries at least: minutes."""


def _bucket(name: str, count: int) -> int:
    """Return the number, below `count`, of the part of `name`: a jump consistent hash (Lamping and Veach, "A Fast,
    Minimal Memory, Consistent Hash Algorithm", arXiv 1406.2294). Of n names, a part more moves n / (count + 1), about,
    into the new part, and no other."""
    state = int.from_bytes(sha256(name.encode()).digest()[:8], "big")
    found, candidate = 0, 0
    while candidate < count:
        found = candidate
        state = (state * 2_862_933_555_777_941_757 + 1) % 2**64
        candidate = int((found + 1) * (2**31 / ((state >> 33) + 1)))
    return found


def _parts_needed(concepts: int, size: int) -> int:
    return max(1, -(-concepts // size))


class Partition:
    """The concepts of a domain, shared out among parts."""

    def __init__(self, parts: Mapping[str, Sequence[str]]):
        """`parts`: name of a part -> its concepts, in the order of the sheet."""
        self.parts = {name: tuple(slugs) for name, slugs in parts.items()}

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


def shared_out(slugs: Sequence[str], size: int) -> Partition:
    """Share the concepts of a sheet out among parts of about `size`.

    A concept's part follows from its slug and the number of parts, and another number moves few concepts. So one
    concept more or less leaves most parts as they are.
    """
    if size == 1:
        return Partition({slug: (slug,) for slug in slugs})
    return _numbered({slug: slug for slug in slugs}, size)


def joined(partition: Partition, slugs: Sequence[str], size: int) -> Partition:
    """Join the parts of a partition of `slugs` to parts of about `size` concepts; as many as they are where they have
    so many already."""
    if _parts_needed(len(slugs), size) >= len(partition.parts):
        return partition
    return _numbered({slug: partition.holding([slug])[0] for slug in slugs}, size)


def _numbered(name_of: Mapping[str, str], size: int) -> Partition:
    """Return a partition in which concepts (keys) of one name (value) share a part."""
    count = _parts_needed(len(name_of), size)
    shared: list[list[str]] = [[] for _ in range(count)]
    number_of = {name: _bucket(name, count) for name in set(name_of.values())}
    for slug, name in name_of.items():
        shared[number_of[name]].append(slug)
    return Partition({f"part_{number:03d}": of_part for number, of_part in enumerate(shared) if of_part})


def concepts_to_generate(concepts: int, pictures: int) -> int:
    """How many concepts a job takes that generates pictures of them.

    Args:
        concepts: how many the domain has.
        pictures: of each concept.
    """
    few, many = min(CHEAP_CONCEPTS, FEW_PICTURES // pictures), MANY_PICTURES // pictures
    return max(1, few, min(many, _parts_needed(concepts, MOST_JOBS)))


def concepts_to_collect(concepts: int, links: int) -> int:
    """How many concepts a job takes that collects their training images.

    Args:
        concepts: how many the domain has.
        links: of a concept, at most; 0 if there is no limit.
    """
    few = min(CHEAP_CONCEPTS, FEW_LINKS // links) if links else 1
    return max(1, few, _parts_needed(concepts, MOST_JOBS))


def concepts_to_embed(pictures: int) -> int:
    """How many concepts a job takes that embeds generated pictures, `pictures` of each concept."""
    return max(1, EMBEDDED_PICTURES // pictures)


def files_to_count(files: int) -> int:
    """How many of a corpus's files of captions a job counts."""
    return _parts_needed(files, COUNTING_JOBS)
