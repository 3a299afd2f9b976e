"""CLIP score: the mean cosine of generated images to their own prompt, by an embedder that also reads text."""

import numpy as np

from fit.alternatives.base import Score, Value
from fit.scores.evidence import Evidence
from fit.scores.settings import TargetSettings


class Clip(Score):
    """Mean cosine of the generated images to their prompt."""

    name = "clip"
    label = "CLIP score"
    needs_prompts = True

    def values(self, evidence: Evidence, targets: TargetSettings) -> list[Value]:
        """Return a value for each prompt; nothing where no embedder that reads text was used."""
        found = []
        for prompt, pictures in (evidence.prompt_pictures or {}).items():
            value = None
            if len(pictures) and prompt in evidence.prompts:
                value = float((pictures @ evidence.prompts[prompt]).mean(dtype=np.float64))
            found.append(Value(prompt, value, len(pictures)))
        return found

    def remedy(self, unknown: list[str]) -> str:
        """Return how to get CLIP scores: an embedder of prompts, or pictures that are named by their prompts."""
        if not unknown:
            return "; give the domain a `prompt_embedder` in config.yaml"
        return (
            f", as the prompts of its pictures, such as {unknown[0]!r}, are not prompts of the domain; name a folder "
            "of imported pictures by its whole prompt, with the concept's name in it"
        )
