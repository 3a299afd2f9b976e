"""What a generator does."""

from abc import ABC, abstractmethod


class Generator(ABC):
    """Turns prompts and seeds into pictures."""

    @abstractmethod
    def generate(self, prompts, seeds):
        """One picture per prompt and seed.

        Args:
            prompts, seeds: lists of N strings and N integers. A picture depends on its own prompt and seed only,
                not on the batch that it is made in, beyond rounding.

        Returns:
            A list of N RGB PIL images.
        """

    @property
    @abstractmethod
    def provenance(self):
        """What made the pictures: a dict of model, revision, scheduler, number format, versions and device."""
