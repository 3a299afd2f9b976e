"""Invented painters: styles drawn from a continuous family, and the pictures painted in them.

A style is a palette (one of a few that many painters share), a texture (a field of bent stripes, checks or rings of one
to four periods across the picture) and a stroke (how hard its edges are, how much of the ground it covers). Palettes
are shared, so colour alone does not tell painters apart. Textures come from a continuous family, so a style that was
never seen can't be guessed. Pictures are float32 arrays [N, SIDE, SIDE, 3] in 0..1.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

SIDE = 32
"""Side of a picture, in pixels."""

SUBJECTS = ("harbour", "meadow", "portrait", "mountain", "moonrise", "orchard")
"""What a painter paints: each lays light over the texture in its own way."""

PALETTES = (
    np.array(
        [  # ground, stroke and light, sRGB in 0..255; read off nothing, chosen to be far apart
            [(16, 42, 92), (242, 190, 62), (250, 244, 220)],
            [(120, 22, 30), (245, 214, 170), (255, 240, 200)],
            [(20, 84, 60), (226, 232, 150), (250, 250, 225)],
            [(70, 30, 100), (240, 140, 170), (255, 230, 235)],
            [(30, 30, 34), (214, 92, 40), (252, 220, 160)],
            [(10, 100, 120), (250, 230, 210), (255, 160, 110)],
            [(92, 64, 36), (150, 200, 190), (240, 240, 210)],
            [(40, 60, 50), (200, 60, 90), (245, 225, 200)],
        ],
        dtype=np.float32,
    )
    / 255.0
)
"""Palettes [P, 3 colours, RGB] in 0..1, each shared by many painters."""


@dataclass(frozen=True)
class Styles:
    """Styles of N painters, one array [N] a property."""

    palette: np.ndarray
    """Index into PALETTES."""
    angle: np.ndarray
    """Direction of the stripes, radians in 0..pi."""
    frequency: np.ndarray
    """Periods across the picture."""
    crossing: np.ndarray
    """0: stripes only; 1: as much of the crossing stripes, which makes checks."""
    aspect: np.ndarray
    """Frequency of the crossing stripes, over that of the stripes."""
    bend: np.ndarray
    """How far the stripes are bent, in widths of the picture."""
    bend_frequency: np.ndarray
    """Bends across the picture."""
    hardness: np.ndarray
    """Of the stroke's edges: low is a smooth gradient, high a hard edge."""
    cover: np.ndarray
    """Shifts the field, so that the stroke covers less (-) or more (+) of the ground."""

    def __len__(self) -> int:
        return len(self.palette)

    def take(self, rows: Sequence[int] | np.ndarray) -> "Styles":
        """Return the styles of `rows` (indices, may repeat)."""
        return Styles(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})


def draw_styles(count: int, rng: np.random.Generator) -> Styles:
    """Return `count` styles, drawn independently from the family with `rng`."""
    return Styles(
        palette=rng.integers(len(PALETTES), size=count),
        angle=rng.uniform(0, np.pi, count),
        frequency=np.exp(rng.uniform(np.log(1.0), np.log(2.6), count)),
        crossing=rng.uniform(0, 1, count) ** 2,
        aspect=np.exp(rng.uniform(np.log(0.5), np.log(1.5), count)),
        bend=rng.uniform(0, 0.16, count),
        bend_frequency=rng.uniform(0.6, 1.6, count),
        hardness=np.exp(rng.uniform(np.log(0.6), np.log(5.0), count)),
        cover=rng.uniform(-0.5, 0.5, count),
    )


def _grid() -> tuple[np.ndarray, np.ndarray]:
    axis = (np.arange(SIDE, dtype=np.float32) + 0.5) / SIDE
    y, x = np.meshgrid(axis, axis, indexing="ij")
    return x[None], y[None]


def _column(values: np.ndarray) -> np.ndarray:
    return np.asarray(values, dtype=np.float32)[:, None, None]


def _light(subjects: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return how much light falls on each pixel [N, SIDE, SIDE], by subject (indices into SUBJECTS)."""
    x, y = _grid()
    count = len(subjects)
    across, down = (_column(rng.uniform(-0.12, 0.12, count)) for _ in range(2))
    blob = np.exp(-(((x - 0.5 - across) / 0.16) ** 2 + ((y - 0.45 - down) / 0.24) ** 2))
    moon = np.exp(-((((x - 0.68 - across) ** 2 + (y - 0.3 - down) ** 2) / 0.14**2) ** 2))
    horizon = 1 / (1 + np.exp((y - 0.45 - down) / 0.05))
    slope = 1 / (1 + np.exp((y - 0.2 - down - 1.1 * np.abs(x - 0.5 - across)) / 0.06))
    rows = 0.5 + 0.5 * np.sin(2 * np.pi * (x + across) * 2)
    lights = np.stack(np.broadcast_arrays(horizon, 1 - horizon, blob, slope, moon, rows * (1 - horizon)))
    return lights[subjects, np.arange(count)]


def paint(styles: Styles, subjects: Sequence[int] | np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Paint one picture per style.

    Args:
        styles: Styles of length N, one a picture (repeat a painter with `Styles.take`).
        subjects: [N] indices into SUBJECTS.
        rng: for what differs between two pictures of one painter and subject.

    Returns:
        Pictures [N, SIDE, SIDE, 3], float32 in 0..1.
    """
    x, y = _grid()
    count = len(styles)
    angle = _column(styles.angle + rng.normal(0, 0.05, count))
    frequency = _column(styles.frequency * np.exp(rng.normal(0, 0.03, count)))
    phase, crossing_phase, bend_phase = (_column(rng.uniform(0, 2 * np.pi, count)) for _ in range(3))
    along = (x - 0.5) * np.cos(angle) + (y - 0.5) * np.sin(angle)
    beside = (y - 0.5) * np.cos(angle) - (x - 0.5) * np.sin(angle)
    along = along + _column(styles.bend) * np.sin(2 * np.pi * _column(styles.bend_frequency) * beside + bend_phase)
    stripes = np.sin(2 * np.pi * frequency * along + phase)
    crossed = np.sin(2 * np.pi * frequency * _column(styles.aspect) * beside + crossing_phase)
    crossing = _column(styles.crossing)
    field = (stripes + crossing * crossed) / np.sqrt(1 + crossing**2) + _column(styles.cover)
    stroke = (0.5 + 0.5 * np.tanh(_column(styles.hardness) * field))[..., None]
    light = 0.55 * _light(np.asarray(subjects), rng)[..., None]
    ground_colour, stroke_colour, light_colour = (PALETTES[styles.palette, i][:, None, None] for i in range(3))
    base = ground_colour + stroke * (stroke_colour - ground_colour)
    pictures = base + light * stroke * (light_colour - base)
    exposure = 1 + _column(rng.normal(0, 0.06, count))[..., None]
    return np.clip(pictures * exposure, 0, 1).astype(np.float32)
