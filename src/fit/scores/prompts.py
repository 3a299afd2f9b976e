"""The prompts of concepts in one order."""

from collections import Counter
from collections.abc import Iterable, Mapping


def prompt_places(prompts_of: Mapping[str, Iterable[str]]) -> dict[str, dict[str, int]]:
    """Return concept -> {prompt: its place}, so that the same place is the same prompt for every concept.

    Prompts of templates differ between concepts by the name in them, and every concept has all of them, in one order.
    Imported pictures may have prompts that most concepts share, and lack some: these are matched by their text.
    """
    of_concepts = {concept: list(prompts) for concept, prompts in prompts_of.items()}
    occurrences = Counter(prompt for prompts in of_concepts.values() for prompt in prompts)
    if 2 * max(occurrences.values(), default=0) <= len(of_concepts):
        return {concept: {name: place for place, name in enumerate(names)} for concept, names in of_concepts.items()}
    place_of = {name: place for place, name in enumerate(occurrences)}
    return {concept: {name: place_of[name] for name in names} for concept, names in of_concepts.items()}
