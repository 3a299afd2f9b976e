"""Refuses to run code that comes with a model; no other module does.

Libraries run such code when a file of the model's folder asks for it (`auto_map` in a configuration, trust_remote_code
among the settings of a tokenizer) and an argument, or a "y" on the terminal, allows it; nested loads, such as those of
open_clip, pass no argument. So this module answers the question, and the functions that would run the code refuse.
"""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn
from unittest.mock import patch


def _refuse(*arguments: Any, **_: Any) -> NoReturn:
    raise ValueError(
        f"the model comes with code of its own ({arguments[-1] if arguments else '?'}), which is never run"
    )


@contextmanager
def no_strange_code() -> Iterator[None]:
    """In the block, no library runs code that comes with a model: it raises ValueError instead, and asks nobody."""
    # Here, as it takes a second, and embedders that read one file of weights never enter such a block. Not only where
    # transformers is loaded already: a library may load it within the block.
    import transformers.dynamic_module_utils as of_transformers

    places = [(of_transformers, "get_class_in_module")]
    of_diffusers = sys.modules.get("diffusers.utils.dynamic_modules_utils")
    if of_diffusers is not None:
        places.append((of_diffusers, "get_class_in_module"))
    refusals: list = [patch.object(module, name, _refuse) for module, name in places]
    # With 0 seconds to answer, the question is not asked. The input is empty in case another library asks one.
    refusals.append(patch.object(of_transformers, "TIME_OUT_REMOTE_CODE", 0))
    refusals.append(patch.object(sys, "stdin", io.StringIO()))
    for refusal in refusals:
        refusal.start()
    try:
        yield
    finally:
        for refusal in reversed(refusals):
            refusal.stop()
