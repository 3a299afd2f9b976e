"""Colours and settings that all figures share."""

import os
import sys

import matplotlib

if not os.environ.get("MPLBACKEND") and "matplotlib.pyplot" not in sys.modules:
    matplotlib.use("Agg")  # a window is never opened; a notebook, or a program that draws itself, keeps its own backend
matplotlib.rcParams["text.parse_math"] = False  # a dollar sign in a name is a dollar sign

INK, ACCENT, SOFT, LEAF = "#1f2933", "#d55e00", "#0072b2", "#66c2a5"
"""Text and lines; the threshold; dots and bars; a second curve. After Okabe and Ito (Color Universal Design, 2008),
with a lighter green. tests/unit/test_reports_figures.py checks that they also differ for colour-blind readers. What is
drawn together differs in its line or marker too."""
