"""Work on several processor cores. How many is a resource: results do not depend on it."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")
_threads = 1


def use_threads(number: int) -> None:
    """Let `in_order` use so many threads from now on; 0: one for each core that this process may use."""
    global _threads
    _threads = number or len(os.sched_getaffinity(0))


def in_order(function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Yield `function` of each item, in order, while threads work on the next ones.

    The items are drawn one after the other, in this thread, and few of them are in memory at once.

    Args:
        function: spends its time in code that lets other threads run: numpy's, or compiled with nogil.
        items: its arguments.
    """
    if _threads == 1:
        yield from map(function, items)
        return
    waiting: deque[Future[R]] = deque()
    with ThreadPoolExecutor(_threads) as pool:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > _threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
