"""Batches as large as memory allows."""

import sys

import torch

_SIGNS = ("out of memory", "not enough memory", "can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED")


def is_out_of_memory(error):
    """Whether `error` says that memory, of a GPU or of this machine, does not suffice."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _SIGNS)


class Halving:
    """Does work in pieces that fit into memory, and remembers the size that did."""

    def __init__(self):
        self.most = None
        """How many items a piece has at most; None until memory has run out once."""

    def __call__(self, work, *lists):
        """The list that `work(*pieces)` returns for `lists` of one length, made in as few pieces as memory allows.

        Raises:
            MemoryError: one item alone is too much.
        """
        done: list = []
        count = len(lists[0])
        while len(done) < count:
            size = min(self.most or count, count - len(done))
            try:
                done += work(*(items[len(done) : len(done) + size] for items in lists))
                continue
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                if size == 1:
                    raise MemoryError(str(error)) from error
            # Here the error and all that its frames held is gone.
            self.most = size // 2
            print(f"fit: not enough memory for a batch of {size}; trying {self.most}", file=sys.stderr)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        return done
