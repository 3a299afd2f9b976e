"""The rooms of the package import downwards only, in the order that CONTRIBUTING.md gives."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src/fit"


def ranks():
    """Room -> where it stands, the higher the smaller: (layer,), or (layer of its package, layer within)."""
    (cell,) = re.findall(r"importing downwards only: (.*) \|", (ROOT / "CONTRIBUTING.md").read_text())
    found, layers, package, last = {}, [0], "", ""
    for name, sign in re.findall(r"`([\w.]+)`|([;()])", cell):
        if name:
            last = package + name
            found[last] = tuple(layers)
        elif sign == ";":
            layers[-1] += 1
        else:
            package = f"{last}." if sign == "(" else ""
            layers = [layers[0], 0] if sign == "(" else layers[:1]
    return found


def room_of(module, rooms):
    """The smallest room that `module` (without "fit.") is in, or None."""
    parts = module.split(".")
    names = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((name for name in names if name in rooms), None)


def imports(path):
    """Modules of the package that a file imports, without "fit."."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "fit":
            for name in node.names:
                yield f"{node.module}.{name.name}".removeprefix("fit.")


def test_every_import_goes_down():
    rooms, upwards = ranks(), []
    for path in sorted(PACKAGE.rglob("*.py")):
        module = ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")
        if module == "__init__":
            continue
        room = room_of(module, rooms)
        assert room, f"{path.relative_to(ROOT)}: name it in CONTRIBUTING.md"
        for imported in imports(path):
            other = room_of(imported, rooms)
            at, to = rooms[room], rooms[other]
            within = room.split(".")[0] == other.split(".")[0] and at[: len(to)] == to[: len(at)]
            # Within one room, and between a package and its rooms, files are free.
            if not (at < to or (within and (room == other or len(at) != len(to)))):
                upwards.append(f"{module} imports {imported}")
    assert not upwards


def test_the_list_names_no_room_that_is_gone():
    gone = [room for room in ranks() if not list(PACKAGE.glob(f"{room.replace('.', '/')}*"))]
    assert not gone
