"""The documents as a site, built for tests into a folder of their own."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PREPARE = ROOT / "docs/site/prepare.py"


def build(folder):
    """Build the site as `make site` does; return its folder. The sources of its pages are in .site beside it."""
    mkdocs = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--quiet",
        "--strict",
        "--config-file",
        str(folder / ".site.yml"),
    ]
    for command in ([sys.executable, str(PREPARE), "--into", str(folder)], mkdocs):
        quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=quiet)
        assert done.returncode == 0, done.stdout + done.stderr
    return folder / "site"
