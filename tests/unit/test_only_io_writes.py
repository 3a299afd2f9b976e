"""Only fit.io opens files for writing, renames and deletes; elsewhere only the temporary path of an atomic write is."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "fit"
METHODS = {
    *("write_text", "write_bytes", "unlink", "rename", "rmdir", "mkdir", "touch", "symlink_to", "hardlink_to", "chmod"),
    *("write_parquet", "write_csv", "write_ipc", "write_ndjson", "savefig", "save_pretrained"),
}
"""Methods of a path that change the disk, and of other objects that write to the path of their first argument."""
OF_OBJECTS = {"write_parquet", "write_csv", "write_ipc", "write_ndjson", "savefig", "save_pretrained"}
FUNCTIONS = {"ParquetWriter": 0, "write_table": 1, "save_file": 1, "mkdtemp": None, "mkstemp": None}
FUNCTIONS |= {"TemporaryDirectory": None, "NamedTemporaryFile": None, "memmap": 0, "open_memmap": 0}
"""Functions that write -> which of their arguments is the path."""
OF_MODULE = {
    "os": {
        *("remove", "unlink", "rename", "renames", "replace", "rmdir", "removedirs", "mkdir", "makedirs", "truncate"),
        *("symlink", "link", "utime", "chmod", "open"),
    },
    "shutil": {"rmtree", "move", "copy", "copy2", "copyfile", "copytree", "copymode"},
}

EXCEPTIONS: dict[tuple[str, str], str] = {
    ("cli/parser.py", "guarded"): "opens os.devnull in place of an output that nobody reads any more",
}
"""(file, function) -> why it may."""


def root_of(node: ast.expr) -> str:
    """Return the variable that a path is made of: `part` of `part`, `part / "x"`, `Path(part, "x")`, `str(part)`."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.BinOp(left=left, op=ast.Div()):
            return root_of(left)
        case ast.Attribute(value=value):
            return root_of(value)
        case ast.Call(func=ast.Name(id="Path" | "str"), args=[first, *_]):
            return root_of(first)
        case ast.Call(func=ast.Attribute(value=value, attr="with_name" | "with_suffix" | "joinpath")):
            return root_of(value)
    return ""


def parts_of(function: ast.AST) -> set[str]:
    """Return the names of temporary paths: what an atomic write in a function is called, and its argument `part`.

    A function that takes `part` fills the temporary path of an atomic write of its caller.
    """
    arguments = function.args if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) else None
    found = {one.arg for one in (*arguments.args, *arguments.kwonlyargs) if one.arg == "part"} if arguments else set()
    found.add("buffer")  # in memory
    for node in ast.walk(function):
        for item in node.items if isinstance(node, ast.With | ast.AsyncWith) else ():
            match item:
                case ast.withitem(
                    context_expr=ast.Call(func=ast.Name(id="atomic_write") | ast.Attribute(attr="atomic_write")),
                    optional_vars=ast.Name(id=name),
                ):
                    found.add(name)
    return found


def is_writing_mode(call: ast.Call, place: int) -> bool:
    """Whether a call of open has a mode that writes; the mode is the argument at `place`."""
    modes = [keyword.value for keyword in call.keywords if keyword.arg == "mode"] + call.args[place : place + 1]
    return any(not isinstance(mode, ast.Constant) or bool(set("wax+") & set(str(mode.value))) for mode in modes)


def target_of(call: ast.Call) -> ast.expr | None:
    """Return the path that a call writes, renames or deletes; None where it does none of these."""
    unknown = ast.Constant(value=None)
    match call.func:
        case ast.Name(id="open"):
            return (call.args or [unknown])[0] if is_writing_mode(call, 1) else None
        case ast.Attribute(value=ast.Name(id=module), attr=name) if module in OF_MODULE:
            return unknown if name in OF_MODULE[module] else None
        case ast.Name(id=name) | ast.Attribute(attr=name) if name in FUNCTIONS:
            place = FUNCTIONS[name]
            if name == "write_table" and len(call.args) < 2:  # of a ParquetWriter, which has the path
                return None
            return call.args[place] if place is not None and place < len(call.args) else unknown
        case ast.Attribute(attr=name) if name in OF_OBJECTS:
            return (call.args or [unknown])[0]
        case ast.Attribute(value=value, attr=name) if name in METHODS:
            return value
        case ast.Attribute(value=ast.Name(id="Image"), attr="open"):
            return None
        case ast.Attribute(value=ast.Name(id="fsspec" | "tarfile" | "gzip" | "io"), attr="open"):
            return (call.args or [unknown])[0] if is_writing_mode(call, 1) else None
        case ast.Attribute(value=value, attr="open") if is_writing_mode(call, 0):
            return value
        # A text's replace takes two arguments, a date's keywords.
        case ast.Attribute(value=value, attr="replace") if len(call.args) == 1 and not call.keywords:
            return value
    return None


def writes_of(source: str) -> Iterator[tuple[str, int]]:
    """Yield (outermost function or method, line) of each call that writes past an atomic write."""
    tree = ast.parse(source)
    outer = [
        (f"{top.name}.{node.name}" if isinstance(top, ast.ClassDef) else node.name, node)
        for top in tree.body
        for node in (top.body if isinstance(top, ast.ClassDef) else [top])
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    inside = {id(call) for _, function in outer for call in ast.walk(function)}
    outer.append(("", ast.Module(body=[node for node in tree.body if id(node) not in inside], type_ignores=[])))
    for name, function in outer:
        parts = parts_of(function)
        for node in ast.walk(function):
            if not isinstance(node, ast.Call) or (name == "" and id(node) in inside):
                continue
            target = target_of(node)
            if target is not None and root_of(target) not in parts:
                yield name, node.lineno


def files() -> list[str]:
    """Return the source files outside fit/io."""
    paths = (path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py"))
    return sorted(path for path in paths if not path.startswith("io/"))


@pytest.mark.slow
def test_only_io_writes_renames_and_deletes():
    found = [
        f"src/fit/{file}:{line} in {function or 'the module'}"
        for file in files()
        for function, line in writes_of((SOURCE / file).read_text(encoding="utf-8"))
        if (file, function) not in EXCEPTIONS
    ]
    assert not found, "use fit.io (atomic_write, write_text, WorkFolder):\n" + "\n".join(found)


@pytest.mark.slow
def test_every_exception_is_needed():
    needed = {
        (file, function) for file in files() for function, _ in writes_of((SOURCE / file).read_text(encoding="utf-8"))
    }
    assert set(EXCEPTIONS) <= needed


@pytest.mark.parametrize(
    "line",
    [
        'open(path, "w")',
        'open(path, mode="ab")',
        "open(path, mode)",
        'Path(path).open("r+")',
        'path.write_text("x")',
        "path.unlink(missing_ok=True)",
        "path.replace(other)",
        "path.rename(other)",
        "os.replace(path, other)",
        "shutil.rmtree(path)",
        "Path(path).parent.mkdir(parents=True)",
        "tempfile.TemporaryDirectory()",
        "frame.write_parquet(path)",
        "pq.write_table(table, path)",
    ],
)
def test_what_writes_is_found(line):
    assert [name for name, _ in writes_of(f"def f(path):\n    {line}\n")] == ["f"]


@pytest.mark.parametrize(
    "line",
    [
        "open(path)",
        'Path(path).open("rb")',
        'text.replace("a", "b")',
        "date.replace(tzinfo=UTC)",
        "replace(work, units=1)",
        'shutil.which("nvidia-smi")',
        "writer.write_table(table)",
        'with atomic_write(path) as part:\n        part.write_text("x")',
        'with atomic_write(path) as part:\n        (part / "x").open("w")',
        'with work.atomic_write("x") as part:\n        pq.write_table(table, Path(part, "x"))',
        "Image.open(BytesIO(data))",
    ],
)
def test_what_reads_or_writes_a_temporary_path_is_not(line):
    assert list(writes_of(f"def f(path):\n    {line}\n")) == []
