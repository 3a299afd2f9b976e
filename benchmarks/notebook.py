"""Runs the notebook of the docs and writes what its cells print into it; --check says which cells print otherwise.

Pictures are written, but not compared: their bytes depend on the versions of libraries.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client import AsyncKernelManager
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[1] / "docs" / "notebook.ipynb"
TIMEOUT = 600
"""Seconds that a cell may take."""


def executed(path: Path) -> Any:
    """Run a notebook in a folder of its own and return it; an error in a cell is raised as nbclient raises it."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    with tempfile.TemporaryDirectory() as folder:
        # Sockets in the folder, not ports that others could reach.
        kernel = AsyncKernelManager(kernel_name="python3", transport="ipc", ip=f"{folder}/kernel")
        client = NotebookClient(
            notebook,
            km=kernel,
            timeout=TIMEOUT,
            record_timing=False,
            resources={"metadata": {"path": folder}},
        )
        client.owns_km = True  # so that it ends the kernel, too
        client.execute()
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return notebook


def printed(cell: Any) -> list[tuple[str, str]]:
    """Return what a cell prints and shows: (kind, text) each, without pictures."""
    found: list[tuple[str, str]] = []
    for output in cell.get("outputs", []):
        if output.output_type == "stream":
            found.append((output.name, output.text))
        for kind, text in sorted(output.get("data", {}).items()):
            if not kind.startswith("image/"):
                found.append((kind, text))
    return found


def differences(stored: Any, new: Any) -> list[str]:
    """Return a line for each cell of code that prints something else than is stored, or less or more."""
    cells = [[cell for cell in notebook.cells if cell.cell_type == "code"] for notebook in (stored, new)]
    return [
        f"cell {number}, {one.source.splitlines()[-1]!r}: stored {printed(one)}, now {printed(other)}"
        for number, (one, other) in enumerate(zip(*cells, strict=True), 1)
        if printed(one) != printed(other)
    ]


def main() -> int:
    """Write the outputs, or compare them; return 1 if they differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare only")
    args = parser.parse_args()
    new = executed(NOTEBOOK)
    if not args.check:
        nbformat.write(new, NOTEBOOK)
        return 0
    found = differences(nbformat.read(NOTEBOOK, as_version=4), new)
    print(*found, sep="\n", file=sys.stderr)
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
