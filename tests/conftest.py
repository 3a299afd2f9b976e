import os
import sys
from pathlib import Path

# tests/captions_reference.py is what tests compare tokens and mentions with.
sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent / "unit"))

# Models of tests are tiny, and tests run side by side. More threads only wait for each other, and keep a processor busy
# meanwhile: a test of 11 s of processor time took 0.6 s with one. PyTorch reads this when it is imported, and commands
# inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")
