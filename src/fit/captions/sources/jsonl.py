"""Captions in JSON lines."""

from collections.abc import Sequence

import pyarrow as pa
from pyarrow import json

from fit.captions.sources.text import BLOCK, TextCaptions


class JsonlCaptions(TextCaptions):
    """An object a line. Its columns are the keys that the first megabytes have."""

    def _first_schema(self, stream: pa.NativeFile) -> pa.Schema:
        return json.open_json(stream, json.ReadOptions(use_threads=False, block_size=BLOCK)).schema

    def check(self, columns: Sequence[str], text: Sequence[str]) -> None:
        """Check as CaptionFile.check; a key that the first megabytes lack may come later."""
        # What the first megabytes lack, or have as null only, may come later, and is text then.
        missing = [name for name in columns if name not in self._schema.names]
        if len(missing) < len(columns) and self.size > BLOCK:
            for name in missing:
                self._schema = self._schema.append(pa.field(name, pa.string()))
        for name in columns:
            index = self._schema.get_field_index(name)
            if index >= 0 and pa.types.is_null(self._schema.field(index).type):
                self._schema = self._schema.set(index, pa.field(name, pa.string()))
        super().check(columns, text)

    def _read(self, stream: pa.NativeFile, columns: Sequence[str]) -> pa.RecordBatchReader:
        return json.open_json(
            stream,
            json.ReadOptions(use_threads=False, block_size=BLOCK),
            json.ParseOptions(
                explicit_schema=pa.schema([self._schema.field(name) for name in columns]),
                newlines_in_values=False,
                unexpected_field_behavior="ignore",
            ),
        )
