"""What tests of files share: a picture, files in a folder, a command that fails."""

import numpy as np

from fit.cli.main import main
from fit.images import table


def png(shade):
    return table.encode_png(np.full((8, 8, 3), shade, np.float32))


def put(folder, *names, data=b"x"):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def run(*command):
    return main([str(word) for word in command])


def fails(capsys, *command):
    assert run(*command) == 1
    return capsys.readouterr().err
