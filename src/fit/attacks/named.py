"""The concept's name in the domain's prompts: no attack, but what every attack is compared with."""

from fit.attacks.base import Attack, Subject, Trial
from fit.attacks.settings import PromptingSettings
from fit.generated.conditioning import Conditioning


class Named(Attack):
    """The domain's own prompts."""

    def trials(self, subject: Subject, settings: PromptingSettings) -> list[Trial]:
        return [Trial("the domain's prompts", Conditioning(prompt)) for prompt in subject.prompts]
