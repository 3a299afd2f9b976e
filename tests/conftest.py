import os
import sys
from pathlib import Path

# tests/captions_reference.py is what tests compare tokens and mentions with.
sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent / "unit"))

# Models of tests are tiny, and tests run side by side: more threads only wait for each other, and burn a processor while
# they do (20 times the processor time, on two busy cores). PyTorch reads this when it is imported; commands inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")
