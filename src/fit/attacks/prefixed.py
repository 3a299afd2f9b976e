"""The domain's prompts after a prefix of token embeddings that was found for the concept (fit.attacks.prefix)."""

from fit.attacks.base import Attack, Subject, Trial
from fit.attacks.settings import PromptingSettings
from fit.generated.conditioning import Conditioning


class Prefixed(Attack):
    """The prefix before each prompt."""

    lacks = "no prefix was found for it"

    def trials(self, subject: Subject, settings: PromptingSettings) -> list[Trial]:
        if not subject.prefix:
            return []
        return [
            Trial(
                "the prefix before the domain's prompts",
                Conditioning(prompt, prefix=subject.prefix, digest=subject.digest),
            )
            for prompt in subject.prompts
        ]
