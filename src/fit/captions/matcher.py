"""Which concepts captions mention: a fast filter that may err only by passing too much, then an exact look at the rest.

A caption mentions a concept when the tokens of its name, or of an alias, occur in it one after another.
"""

from collections.abc import Sequence
from operator import itemgetter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fit.captions.phrases import Phrases
from fit.captions.prefilter import Prefilter
from fit.concepts.analyzer import END, Analyzer
from fit.concepts.sheet import Concept


def as_text(column: pa.Array) -> pa.Array | None:
    """Return an array of text in the layout of `string` or `large_string`; None where it holds no text."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return as_text(column.cast(kind.value_type))
    if pa.types.is_null(kind):
        return column.cast(pa.string())
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return column
    return column.cast(pa.large_string()) if pa.types.is_string_view(kind) else None


def repaired(column: pa.Array) -> pa.Array:
    """Return a text array in which every byte that is not UTF-8 is replaced by U+FFFD."""
    texts = [
        None if data is None else data.decode("utf-8", "replace") for data in column.cast(pa.large_binary()).to_pylist()
    ]
    return pa.array(texts, pa.large_string())


def carried(column: pa.Array) -> pa.Array:
    """Return a column of any plain type as valid text."""
    text = as_text(column)
    if text is None:
        return column.cast(pa.string())
    try:
        text.validate(full=True)
    except pa.ArrowInvalid:
        text = repaired(text)
    return text.cast(pa.string())


class Matcher:
    """Finds the names that captions mention."""

    def __init__(self, concepts: Sequence[Concept], tokens: str = "standard", fold_accents: bool = False):
        """Prepare for the names of concepts.

        Args:
            concepts: of the sheet.
            tokens: as fit.concepts.analyzer.Analyzer takes it.
            fold_accents: as fit.concepts.analyzer.Analyzer takes it.

        Raises:
            SheetError: a name or alias has no token.
        """
        self._analyzer = Analyzer(tokens, fold_accents)
        self.phrases = Phrases.of(concepts, self._analyzer)
        forms = [(name, index) for index, name in enumerate(self.phrases.names)] + self.phrases.other_forms
        forms.sort(key=itemgetter(1))
        self._prefilter = Prefilter([form for form, _ in forms], [name for _, name in forms], self._analyzer)

    def mentions(self, captions: pa.Array) -> tuple[pa.Array, np.ndarray, np.ndarray, int]:
        """Find the names that captions mention.

        Args:
            captions: Arrow array as `as_text` makes it.

        Returns:
            (captions, rows, names, malformed): the captions, repaired where needed; row and name of each mention,
            int64 arrays of equal length, in order, a name once per row; how many captions are not UTF-8.
        """
        _, offsets, data = captions.buffers()
        width = np.int32 if pa.types.is_string(captions.type) else np.int64
        offsets = np.frombuffer(offsets, width, len(captions) + 1, captions.offset * np.dtype(width).itemsize)
        data = np.frombuffer(data, np.uint8) if data else np.zeros(0, np.uint8)
        sure_rows, sure_names, doubtful, malformed = self._prefilter.scan(data, offsets)
        if malformed:
            captions = repaired(captions)
        texts = list(zip(doubtful.tolist(), pc.take(captions, pa.array(doubtful)).to_pylist(), strict=True))
        ascii_texts = [(row, text) for row, text in texts if text and text.isascii()]
        other_texts = [(row, text) for row, text in texts if text and not text.isascii()]
        tokens = self._analyzer.tokens_of_ascii([text for _, text in ascii_texts])
        for _, text in other_texts:
            tokens += self._analyzer.tokens(text)
            tokens.append(END)
        places, names = self.phrases.named_in(tokens)
        row_of = np.array([row for row, _ in ascii_texts + other_texts], np.int64)
        rows = np.concatenate([sure_rows, row_of[np.array(places, np.int64)]])
        all_names = np.concatenate([sure_names, np.array(names, np.int64)])
        if captions.null_count:
            filled = captions.is_valid().to_numpy(zero_copy_only=False)[rows]
            rows, all_names = rows[filled], all_names[filled]
        once = np.unique(rows * len(self.phrases.names) + all_names)
        rows, all_names = np.divmod(once, len(self.phrases.names))
        return captions, rows, all_names, malformed
