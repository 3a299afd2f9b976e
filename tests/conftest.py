import sys
from pathlib import Path

# tests/captions_reference.py is what tests compare tokens and mentions with.
sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent / "unit"))
