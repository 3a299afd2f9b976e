"""Small towers of pictures and captions, some 10^5 numbers: a training takes seconds on a processor core."""

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from fit.atelier.painting import SIDE

CHANNELS = (16, 32, 64, 128)
"""Of the convolutions, each of which halves the sides of the picture."""
WIDTH, DIMENSION = 64, 32
"""Numbers of a word, and of an embedding."""
FIRST_TEMPERATURE = 0.07
"""As in CLIP (arXiv 2103.00020, section 2.5)."""
HIGHEST_SCALE = 100.0
"""Of the logits, likewise."""


class Clip(nn.Module):
    """Two towers into one space: convolutions over a picture; a caption's words, whose mean passes two layers."""

    def __init__(self, words: int):
        """`words`: size of the vocabulary; 0 is no word."""
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in pairwise((3, *CHANNELS)):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
        self.visual = nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(DIMENSION))
        self.words = nn.Embedding(words, WIDTH, padding_idx=0)
        self.text = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, DIMENSION))
        self.log_scale = nn.Parameter(torch.tensor(-math.log(FIRST_TEMPERATURE)))
        # The last layer learns the size of what it gets; not in training, where it would count as a picture seen.
        self.eval()
        self.visual(torch.zeros(1, 3, SIDE, SIDE))
        self.train()

    def embed_pictures(self, pictures: torch.Tensor) -> torch.Tensor:
        """Return unit vectors [N, D] of pictures [N, 3, H, W]."""
        return F.normalize(self.visual(pictures), dim=-1)

    def embed_captions(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return unit vectors [N, D] of captions, numbers of words [N, L]."""
        count = (tokens > 0).sum(dim=1, keepdim=True).clamp(min=1)
        return F.normalize(self.text(self.words(tokens).sum(dim=1) / count), dim=-1)

    @property
    def scale(self) -> torch.Tensor:
        """1 / temperature."""
        return self.log_scale.exp().clamp(max=HIGHEST_SCALE)
