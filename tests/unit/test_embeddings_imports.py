"""An embedder imports what it needs, and not what others need, which takes seconds of processor time."""

import subprocess
import sys

import pytest

LIBRARIES = ("dlib", "facenet_pytorch", "onnxruntime", "open_clip", "polars", "scipy", "timm", "torch", "transformers")
NEEDED = {
    "arcface": {"facenet_pytorch", "onnxruntime", "torch"},
    "dlib": {"dlib"},
    "facenet": {"facenet_pytorch", "torch"},
    "timm": {"timm", "torch"},
}
"""Embedder -> which of LIBRARIES it imports. The others' libraries import one another: open_clip imports timm and
transformers."""


@pytest.mark.slow
@pytest.mark.parametrize("embedder", NEEDED)
def test_an_embedder_imports_only_what_it_needs(embedder):
    for name in NEEDED[embedder]:
        pytest.importorskip(name)
    code = f"import sys, fit.embeddings.{embedder}; print(*sys.modules.keys() & {set(LIBRARIES)})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == NEEDED[embedder]
