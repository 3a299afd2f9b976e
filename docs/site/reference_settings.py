"""The keys of config.yaml, from the declarations of the settings."""

import json
from collections.abc import Iterator
from typing import Any

from reference_commands import as_code, as_prose, as_text

from fit.config.schema import config_schema

Schema = dict[str, Any]


def _section_of(schema: Schema) -> str | None:
    """The name of the section that a value is, or holds; None for a plain value."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    inner = [*schema.get("anyOf", ()), *schema.get("patternProperties", {}).values()]
    inner += [one for key in ("additionalProperties", "items") if isinstance(one := schema.get(key), dict)]
    return next(filter(None, map(_section_of, inner)), None)


def _is_named(schema: Schema) -> bool:
    """Whether a value holds sections by name."""
    return "patternProperties" in schema or isinstance(schema.get("additionalProperties"), dict)


def sections(schema: Schema) -> Iterator[tuple[str, str, Schema]]:
    """Yield (key, name, schema) of each section in the order of the keys that lead to it; the top has the key ""."""
    yield "", "", schema

    def below(prefix: str, its: Schema) -> Iterator[tuple[str, str, Schema]]:
        for key, value in its["properties"].items():
            if name := _section_of(value):
                many = _is_named(value)
                path = f"{prefix}{key}" + (f".{{{SINGULAR.get(key, key)}}}" if many else "")
                yield path, name, schema["$defs"][name]
                yield from below(f"{path}.", schema["$defs"][name])

    yield from below("", schema)


SINGULAR = {
    "studies": "study",
    "domains": "domain",
    "corpora": "corpus",
    "models": "model",
    "embedders": "embedder",
    "components": "component",
}
"""Key of config.yaml that holds named sections -> what a name in it is of."""
KINDS = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false", "null": "nothing"}


def kind_of(value: Schema) -> str:
    """What a value may be, in words, as Markdown of a cell."""
    if (section := _section_of(value)) and value.get("type") != "array":
        if _is_named(value):
            return f"named sections: {as_text(section)}"
        return f"section: {as_text(section)}"
    if "anyOf" in value:
        return " or ".join(dict.fromkeys(kind_of(one) for one in value["anyOf"] if one.get("type") != "null"))
    if "const" in value:
        return as_code(str(value["const"]))
    if "enum" in value:
        return ", ".join(as_code(str(one)) for one in value["enum"])
    kind = value.get("type")
    if kind == "array":
        least = " (at least one)" if value.get("minItems") else ""
        return f"list of: {kind_of(value.get('items', {}))}{least}"
    if kind == "object":
        return "a mapping"
    bounds = [
        f"{words} {value[key]:,}"
        for key, words in (
            ("minimum", "from"),
            ("exclusiveMinimum", "above"),
            ("maximum", "up to"),
            ("exclusiveMaximum", "below"),
        )
        if key in value
    ]
    return " ".join([KINDS.get(str(kind), "any value"), *bounds])


def _default(key: str, value: Schema, its: Schema) -> str:
    if key in its.get("required", ()):
        return "must be given"
    default = value.get("default")
    if default is None or default in ("", [], {}) or isinstance(default, dict):
        return ""
    return as_code(json.dumps(default, ensure_ascii=False) if not isinstance(default, str) else default)


def settings_reference() -> str:
    """A section of the page for each section of config.yaml: its keys, kinds, defaults and meanings."""
    lines: list[str] = []
    for path, _, its in sections(config_schema()):
        title = f"`{path}`" if path else "The top of the file"
        lines += [f"## {title}", "", as_prose(its.get("description", "")), ""]
        lines += ["| key | value | default | meaning |", "| --- | --- | --- | --- |"]
        lines += [
            f"| {as_code(key)} | {kind_of(value)} | {_default(key, value, its)} | {as_prose(value['description'])} |"
            for key, value in its["properties"].items()
        ]
        lines += [""]
    return "\n".join(lines)
