"""The JSON schema of config.yaml, for editors: they complete keys and show what each means."""

import json
from pathlib import Path
from typing import Any

from fit.config.config import Config
from fit.config.corpus import Captions, Collection, Corpus
from fit.config.domain import ArtFilter, Domain, References
from fit.config.model import Embedder, Erase, Model
from fit.config.study import Atelier, Defences, Explorer, Study, Threshold, Truth
from fit.io.files import atomic_write
from fit.settings import docstrings_of

SECTIONS = (
    *(ArtFilter, Atelier, Captions, Collection, Corpus, Domain, Embedder, Explorer, Model, References, Study),
    *(Threshold, Truth, Defences, Erase),
)


def config_schema() -> dict[str, Any]:
    """The JSON schema, keys in the order of their declarations.

    A key that a section inherits from a room's settings is described by the docstring there, which pydantic does not
    see.
    """
    schema = Config.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "config.yaml of FIT"
    for section, its in ((Config, schema), *((one, schema["$defs"][one.__name__]) for one in SECTIONS)):
        texts = docstrings_of(section)
        for key, value in its["properties"].items():
            value["description"] = texts[key]
            value.pop("title", None)
    return schema


def schema_text() -> str:
    """The schema as the text of a file."""
    return json.dumps(config_schema(), indent=1, ensure_ascii=False) + "\n"


def write_schema(path: str | Path = "config.schema.json") -> None:
    """Write the schema to a file."""
    with atomic_write(path) as part:
        part.write_text(schema_text(), encoding="utf-8")


if __name__ == "__main__":
    write_schema()
