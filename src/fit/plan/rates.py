"""Rates that are assumed where no run has left measured ones."""

from collections.abc import Sequence
from typing import Any

ALIVE = 0.74
"""Share of links that still lead to an image: that of the paper (arXiv 2410.15002, section 3)."""
ANSWER_S = 1.5
"""Seconds that a link takes, dead ones and further attempts included. Assumed."""
COLLECT_S = 1 / 455
"""Seconds that a collected image takes at least, two processes decoding; measured (docs/images.md)."""
COUNT_S = 403e-9
"""Seconds of one thread per caption, with a sample of matched captions; measured (docs/captions.md)."""
CPU_FACTOR = 60
"""How many times longer than one GPU one processor core takes for a model. Assumed."""

TRAINING_IMAGE_BYTES, REFERENCE_BYTES, ATELIER_BYTES = 1e5, 2e5, 3e3
"""Mean bytes of an image from the web, of a reference, and of a small picture of the atelier. Assumed."""

GENERATORS = (
    # what an id contains, GPU seconds per step, bytes of a picture, source
    (("xl",), 0.10, 1.4e6, "1,024 x 1,024"),
    (("stable-diffusion-2-1-base", "stable-diffusion-2-base", "stable-diffusion-v1", "sd1"), 0.020, 4.5e5, "512 x 512"),
    (("stable-diffusion-2",), 0.055, 9e5, "768 x 768"),
    (("results/atelier/",), 0.00004, ATELIER_BYTES, "the atelier's pictures"),
    (("",), 0.10, 1.4e6, "an unknown model, taken for a large one"),
)
"""Seconds per denoising step and picture, in batches, at half precision, with guidance, on a GPU of the A100's class.
Assumed: no GPU has been timed."""

EMBEDDERS = (
    # what backend and model contain, GPU seconds per image, numbers in an embedding, vectors per image, source
    (("facenet", "arcface", "onnx"), 0.010, 512, 1.5, "detection and embedding of 1.5 faces an image"),
    (("dlib",), 0.015, 128, 1.5, "detection and embedding of 1.5 faces an image"),
    (("vit-h", "dfn5b"), 0.020, 1024, 1, "a ViT-H at 378 x 378"),
    (("vit-l", "csd"), 0.006, 768, 1, "a ViT-L at 224 x 224"),
    (("results/atelier/",), 0.0001, 128, 1, "the atelier's encoders"),
    (("",), 0.010, 1024, 1, "an unknown model, taken for a large one"),
)
"""Seconds per image, in batches, on a GPU of the A100's class. Assumed, as above."""

START_S = 5
"""Seconds that a command with little to do takes to start, to read and to write its tables. Assumed."""
ATELIER_S = {"paint_world": 60, "train_style_encoder": 90, "train_art_filter": 30, "train_generator": 600}
"""Seconds that building the atelier takes on two cores, with its own settings. Assumed."""


def pick(table: Sequence[tuple[Any, ...]], text: str) -> tuple[Any, ...]:
    """Return the first row, without its keys, of a table of assumptions of which a key occurs in `text`."""
    return next(row[1:] for row in table if any(key in text.lower() for key in row[0]))


def amount(number: float) -> str:
    """Return a number in a few characters: 12, 3.4 k, 560 M."""
    for factor, sign in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= factor:
            scaled = number / factor
            return f"{scaled:.0f} {sign}" if scaled >= 100 else f"{scaled:.3g} {sign}"
    return f"{number:.0f} "
