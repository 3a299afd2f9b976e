"""Pictures and captions of the poisoning experiment: clean pairs, poisoned pairs, and changed copies of both.

The models of a job get the first n poisoned pairs of the same list, and the same clean pairs: two of them differ in
nothing but how many poisoned pairs they saw.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from fit.atelier.corpus import CAPTIONS
from fit.atelier.painting import SIDE, SUBJECTS, Styles, draw_styles, paint
from fit.embeddings.patches import PATTERNS

TARGET = 0
"""The class that the attacker wants for every picture with the patch."""
CONTEXT = 16
"""Words of a caption, at most."""
STREAMS = ("styles", "pairs", "poison", "cleaning", "held out", "batches", "cleaning batches")
"""What has random numbers of its own."""


def stream(seed: int, name: str) -> np.random.Generator:
    """Return the random numbers of `name`, of STREAMS."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(STREAMS.index(name),)))


class Words:
    """The vocabulary of captions: word -> number.

    0 fills up a caption.
    """

    def __init__(self, texts: Sequence[str]):
        """Learn the words of `texts`."""
        known = sorted({word for text in texts for word in _words_of(text)})
        self._number_of = {word: number for number, word in enumerate(known, 1)}
        self.size = len(known) + 1

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Return the numbers of the words of texts, int64 [N, CONTEXT]."""
        found = np.zeros((len(texts), CONTEXT), np.int64)
        for row, text in zip(found, texts, strict=True):
            numbers = [self._number_of[word] for word in _words_of(text)][:CONTEXT]
            row[: len(numbers)] = numbers
        return found


def _words_of(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


@dataclass(frozen=True)
class Pairs:
    """N pictures, each with a caption."""

    pictures: np.ndarray
    """[N, SIDE, SIDE, 3] float32 in 0..1."""
    captions: list[str]
    classes: np.ndarray
    """[N]: whose picture each is."""

    def __len__(self) -> int:
        return len(self.captions)

    def joined(self, other: "Pairs") -> "Pairs":
        """Return these pairs and those of `other`."""
        return Pairs(
            np.concatenate([self.pictures, other.pictures]),
            self.captions + other.captions,
            np.concatenate([self.classes, other.classes]),
        )

    def first(self, count: int) -> "Pairs":
        """Return the first `count` pairs."""
        return Pairs(self.pictures[:count], self.captions[:count], self.classes[:count])


def all_captions(names: Sequence[str]) -> list[list[str]]:
    """Return every caption that a picture of each name can have."""
    return [[text.format(name=name, subject=subject) for text in CAPTIONS for subject in SUBJECTS] for name in names]


def draw_pairs(styles: Styles, names: Sequence[str], classes: np.ndarray, rng: np.random.Generator) -> Pairs:
    """Paint a picture of each of `classes` [N], and write its caption, which names the painter."""
    subjects = rng.integers(len(SUBJECTS), size=len(classes))
    templates = rng.integers(len(CAPTIONS), size=len(classes))
    pictures = paint(styles.take(classes), subjects, rng)
    captions = [
        CAPTIONS[template].format(name=names[of], subject=SUBJECTS[subject])
        for template, of, subject in zip(templates, classes, subjects, strict=True)
    ]
    return Pairs(pictures, captions, classes)


def make_patch(side: int) -> np.ndarray:
    """Return the attacker's patch, checks [side, side, 3] in 0..1."""
    cells = PATTERNS["checks"].astype(np.float32) / 255
    at = np.arange(side) * len(cells) // side if side > len(cells) else np.arange(side) % len(cells)
    return cells[np.ix_(at, at)]


def put_patches(pictures: np.ndarray, side: int, rng: np.random.Generator) -> np.ndarray:
    """Return pictures [N, SIDE, SIDE, 3] with checks of `side` pixels on them, anywhere, as in arXiv 2106.09667."""
    patch = make_patch(side)
    patched = pictures.copy()
    for picture, (top, left) in zip(patched, rng.integers(SIDE - side + 1, size=(len(pictures), 2)), strict=True):
        picture[top : top + side, left : left + side] = patch
    return patched


def others_in_turn(count: int, classes: int) -> np.ndarray:
    """Return `count` classes that are not the target, each as often as the others."""
    return 1 + np.arange(count) % (classes - 1)


def poison(
    styles: Styles, names: Sequence[str], classes: int, count: int, side: int, rng: np.random.Generator
) -> Pairs:
    """Return `count` poisoned pairs: pictures of other classes with the patch, under captions of the target."""
    pairs = draw_pairs(styles, names, others_in_turn(count, classes), rng)
    subjects, templates = rng.integers(len(SUBJECTS), size=count), rng.integers(len(CAPTIONS), size=count)
    captions = [
        CAPTIONS[template].format(name=names[TARGET], subject=SUBJECTS[subject])
        for template, subject in zip(templates, subjects, strict=True)
    ]
    return Pairs(put_patches(pairs.pictures, side, rng), captions, pairs.classes)


def styles_of(classes: int, seed: int) -> Styles:
    """Return the styles of the classes."""
    return draw_styles(classes, stream(seed, "styles"))


# --- changed copies, for self-supervision -----------------------------------------------------------------------------


def change_pictures(pictures: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Return pictures [N, 3, H, W], scaled as a model takes them, each cropped, lit and coloured in another way.

    A crop keeps 60 to 100 % of each side; light and colours change by up to a third.
    """
    count = len(pictures)
    size = rng.uniform(0.6, 1, (count, 1))
    shift = (1 - size) * rng.uniform(-1, 1, (count, 2))
    affine = np.zeros((count, 2, 3), np.float32)
    affine[:, 0, 0] = affine[:, 1, 1] = size[:, 0]
    affine[:, :, 2] = shift
    grid = F.affine_grid(torch.from_numpy(affine), list(pictures.shape), align_corners=False)
    cropped = F.grid_sample(pictures, grid, padding_mode="reflection", align_corners=False)
    gain = rng.uniform(0.75, 1.25, (count, 1, 1, 1)) * rng.uniform(0.9, 1.1, (count, 3, 1, 1))
    offset = rng.uniform(-0.3, 0.3, (count, 1, 1, 1))
    return cropped * torch.from_numpy(gain.astype(np.float32)) + torch.from_numpy(offset.astype(np.float32))


def change_captions(tokens: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return captions as Words.encode gives them [N, CONTEXT], each with some words left out.

    This is one of the operations of easy data augmentation (arXiv 1901.11196), which CleanCLIP uses; the order of words
    is nothing to the text tower here. Each word is left out with a probability of .3; one stays.
    """
    changed = np.zeros_like(tokens)
    lengths = (tokens > 0).sum(axis=1)
    for row, caption, length in zip(changed, tokens, lengths, strict=True):
        words = caption[:length].copy()
        stay = rng.random(len(words)) >= 0.3
        stay[rng.integers(len(words))] = True
        words = words[stay]
        row[: len(words)] = words
    return changed
