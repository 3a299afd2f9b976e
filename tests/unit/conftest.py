"""Fixtures of several files of tests. Rooms are imported when a fixture is asked for: some take seconds."""

import pytest


@pytest.fixture
def sheet(tmp_path):
    """A function that writes a concept sheet and returns its path."""

    def write(name, *rows):
        path = tmp_path / name
        path.write_text("\n".join(["concept\tname\taliases\tgroup", *rows]) + "\n", encoding="utf-8")
        return str(path)

    return write


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub of models that has none."""
    from embedding_backends import empty_hub

    return empty_hub(tmp_path, monkeypatch)


@pytest.fixture(scope="module")
def pictures():
    """Pictures of several sizes, of noise."""
    from embedding_backends import random_pictures

    return random_pictures()
