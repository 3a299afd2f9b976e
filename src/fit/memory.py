"""Batches as large as memory allows."""

import sys
from collections.abc import Callable
from typing import Any

import torch

_SIGNS = ("out of memory", "not enough memory", "can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that the memory of a GPU or of this machine is not enough."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _SIGNS)


class AdaptiveBatch:
    """A function of a batch, called with smaller batches where memory is not enough.

    adaptive = AdaptiveBatch(embed, 64)
    results = adaptive(items)  # equal to [result of item for item in items], whatever the size of the batches

    Attributes:
        size: the largest batch from now on: what was asked for, halved as often as memory ran out.
    """

    def __init__(self, function: Callable[..., list], size: int = sys.maxsize):
        """`function` takes lists of one length and returns a list as long; `size` is the first largest batch."""
        self._function = function
        self.size = size

    def __call__(self, *lists: list) -> list[Any]:
        """Return the results of `lists`, which are of one length, in their order.

        Raises:
            MemoryError: memory is not enough for a single item.
            ValueError: the function does not return a result for each item.
        """
        results: list = []
        while len(results) < len(lists[0]):
            batch = [items[len(results) : len(results) + self.size] for items in lists]
            count = len(batch[0])
            try:
                found = self._function(*batch)
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                if count == 1:
                    raise MemoryError(str(error)) from error
            else:
                if len(found) != count:
                    raise ValueError(f"{len(found)} results for {count} items")
                results += found
                continue
            # Here the error and all that its frames held is gone. Calls from several threads may fail at once: each
            # halves what it tried, not what another left.
            self.size = min(self.size, count // 2)
            print(f"fit: not enough memory for a batch of {count}; trying {self.size}", file=sys.stderr)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        return results
