"""A photograph of a face, which scikit-image holds, for the tests of faces."""

import numpy as np
from PIL import Image
from skimage import data

ASTRONAUT = Image.fromarray(data.astronaut())
"""RGB, 512 x 512."""
FACE = (165, 45, 285, 190)
"""A box, drawn by hand, in which her face lies, from chin to hairline."""
PARTS = {"eye on the left": (206, 106), "eye on the right": (248, 106), "nose": (228, 130)}
"""Points marked by hand."""


def contains(box, inner):
    """Whether `inner` lies in `box` (left, top, right, bottom)."""
    return box[0] <= inner[0] and box[1] <= inner[1] and inner[2] <= box[2] and inner[3] <= box[3]


def cosine(one, other):
    return float(np.dot(one, other) / np.linalg.norm(one) / np.linalg.norm(other))
