"""Concept arithmetic: guidance that is composed of the concept, the concept in a context, and the context.

It is composable diffusion (Liu et al. 2022, arXiv 2206.01714). Where a defence changed what the concept's name alone
leads to, the concept in a context less the context may still lead to it.
"""

from itertools import product

from fit.attacks.base import Attack, Subject, Trial
from fit.attacks.settings import PromptingSettings
from fit.generated.conditioning import Conditioning


class Arithmetic(Attack):
    """Every combination of the settings' weights in which one is positive; terms without weight are left out."""

    def trials(self, subject: Subject, settings: PromptingSettings) -> list[Trial]:
        name = subject.concept.name
        texts = (subject.prompts[0], settings.in_context.format(name=name), settings.context)
        found = []
        for weights in product(dict.fromkeys(settings.weights), repeat=len(texts)):
            if max(weights) <= 0:  # nothing to go towards
                continue
            terms = tuple((weight, text) for weight, text in zip(weights, texts, strict=True) if weight)
            setting = "concept {:+g}, in context {:+g}, context {:+g}".format(*weights)
            found.append(Trial(setting, Conditioning(terms=terms)))
        return found
