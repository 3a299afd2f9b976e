"""Batches as large as the memory of the device allows."""

import torch

from fit.errors import ModelError


class Halving:
    """A function of a batch, called with smaller ones where memory does not suffice for it.

    halving = Halving(embed, 64)
    results = halving(items)  # as [result of item for item in items], however large the batches were

    Attributes:
        size: the largest batch from now on: what was asked for, halved as often as memory ran out.
    """

    def __init__(self, function, size):
        """`function` takes a list of items and returns a list of as many results; `size` is the first largest batch."""
        self._function = function
        self.size = size

    def __call__(self, items):
        """The results of `items`, in their order.

        Raises:
            ModelError: the memory does not suffice for a single item.
        """
        results = []
        at = 0
        while at < len(items):
            batch = items[at : at + self.size]
            found = self._attempt(batch)
            if found is not None:
                results += found
                at += len(batch)
            elif len(batch) == 1:
                raise ModelError(
                    "the device's memory does not suffice for a batch of one; free it of other programs, choose a "
                    "smaller number format (`dtype`), or run where there is more"
                )
            else:
                # Calls from several threads may fail at once: each halves what it tried, not what another left.
                self.size = min(self.size, len(batch) // 2)
                torch.cuda.empty_cache()
        return results

    def _attempt(self, batch):
        """The results of a batch, or None where memory ran out. What the exception held is free once this returns."""
        try:
            return self._function(batch)
        except torch.OutOfMemoryError:
            return None
