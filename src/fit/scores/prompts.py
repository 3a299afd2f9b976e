"""The prompts of concepts in one order."""

from collections import Counter
from collections.abc import Iterable, Mapping

ByPrompt = dict[str, list[float]]
"""Prompt -> scores of its images, or of other concepts; empty where it has none."""
Places = dict[str, dict[str, int]]
"""Concept -> {prompt: its place}."""


def prompt_places(prompts_of: Mapping[str, Iterable[str]], name_of: Mapping[str, str] | None = None) -> Places:
    """Return concept -> {prompt: its place}, so that the same place is the same prompt for every concept.

    A prompt is carried by its template, which is its text with {name} in place of the concept's name. Prompts that most
    concepts share neither by text nor by template, such as numbers of imported pictures, are carried by position.

    Args:
        prompts_of: concept -> its prompts, in order.
        name_of: concept -> its name; prompts of a concept without one are carried by their text or by position.
    """
    known = name_of or {}
    of_concepts = {concept: list(prompts) for concept, prompts in prompts_of.items()}
    templates_of = {
        concept: [prompt.replace(known[concept], "{name}") if concept in known else prompt for prompt in prompts]
        for concept, prompts in of_concepts.items()
    }
    occurrences = Counter(template for templates in templates_of.values() for template in set(templates))
    shared = {template for template, times in occurrences.items() if 2 * times > len(of_concepts)}
    # The concept that lacks the fewest has them in their order.
    fullest = max(templates_of.values(), key=lambda templates: len(shared.intersection(templates)), default=[])
    everywhere = (template for templates in (fullest, *templates_of.values()) for template in templates)
    common = [template for template in dict.fromkeys(everywhere) if template in shared]
    if not common:
        return {concept: {name: place for place, name in enumerate(names)} for concept, names in of_concepts.items()}
    carried: dict[str, dict[str, str]] = {}
    for concept, prompts in of_concepts.items():
        carried[concept] = {}
        for prompt, template in zip(prompts, templates_of[concept], strict=True):
            if template not in shared:
                # A name that is a word of the template too, such as Art in "art by Art", hides it.
                template = next((t for t in common if t.replace("{name}", known.get(concept, "")) == prompt), template)
            carried[concept][prompt] = template
    every = dict.fromkeys([*common, *(template for of_concept in carried.values() for template in of_concept.values())])
    place_of = {template: place for place, template in enumerate(every)}
    return {
        concept: {prompt: place_of[template] for prompt, template in of_concept.items()}
        for concept, of_concept in carried.items()
    }


def align_prompts(of_concepts: Mapping[str, ByPrompt], places: Places) -> dict[str, list[list[float]]]:
    """Bring lists of each prompt of concepts into one order of prompts: concept -> a list per prompt.

    Args:
        of_concepts: concept -> {prompt: list}; a prompt may be missing, and has an empty list.
        places: of all prompts of all concepts, as prompt_places returns them.
    """
    number = max((place + 1 for of_concept in places.values() for place in of_concept.values()), default=0)
    aligned: dict[str, list[list[float]]] = {}
    for concept, prompts in of_concepts.items():
        aligned[concept] = [[] for _ in range(number)]
        for prompt, values in prompts.items():
            aligned[concept][places[concept][prompt]] = values
    return aligned
