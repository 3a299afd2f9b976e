"""The notebook of the docs runs, and prints what it is stored with."""

import copy
import importlib.util
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "docs" / "notebook.ipynb"


@pytest.fixture(scope="module")
def script():
    """The module benchmarks/notebook.py."""
    spec = importlib.util.spec_from_file_location("notebook", ROOT / "benchmarks" / "notebook.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def stored():
    """The notebook as it is stored."""
    return nbformat.read(NOTEBOOK, as_version=4)


@pytest.mark.slow
def test_the_notebook_runs_and_prints_what_is_stored(script, stored, monkeypatch):
    monkeypatch.delenv("MPLBACKEND", raising=False)
    new = script.executed(NOTEBOOK)
    assert script.differences(stored, new) == [], "run `make notebook` and look at what changed"
    pictures = [sum("image/png" in output.get("data", {}) for output in cell.get("outputs", [])) for cell in new.cells]
    assert sum(pictures) == sum(".plot()" in cell.source for cell in new.cells if cell.cell_type == "code") > 1


def test_a_cell_that_prints_something_else_is_found(script, stored):
    assert script.differences(stored, stored) == []
    changed = copy.deepcopy(stored)
    cell = next(cell for cell in changed.cells if cell.cell_type == "code" and cell.outputs)
    kind = "text/plain"
    cell.outputs[0]["data"][kind] = cell.outputs[0]["data"][kind].replace("3", "4")
    assert len(script.differences(stored, changed)) == 1
    cell.outputs = []
    assert len(script.differences(stored, changed)) == 1


@pytest.mark.slow
def test_an_error_in_a_cell_is_an_error(script, tmp_path):
    from nbclient.exceptions import CellExecutionError

    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 / 0")])
    nbformat.write(notebook, tmp_path / "n.ipynb")
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        script.executed(tmp_path / "n.ipynb")


def test_the_notebook_uses_every_function_and_stores_no_machine(stored):
    import fit

    source = "\n".join(cell.source for cell in stored.cells if cell.cell_type == "code")
    functions = [name for name in fit.__all__ if name.islower()]
    assert [name for name in functions if f"fit.{name}(" not in source] == []
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert not any(place in text for place in ("/home/", "/root/", "/tmp/", "/work/", "Traceback"))
