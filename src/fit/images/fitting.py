"""Strangers' numbers and texts at the boundary of the image table: what does not fit becomes a status."""

from typing import Any

import pyarrow as pa

from fit.images.table import COLLECTED

MAX_BYTES = 2**31 - 1  # of one value of a binary column


def fitting(row: dict[str, Any], schema: pa.Schema = COLLECTED) -> dict[str, Any]:
    """Return `row`, or, where a value does not fit its column, the row as a failure with the status "does_not_fit".

    Args:
        row: dict of the columns of `schema`. `concept` and `image_id` are ours, not looked at.
        schema: Arrow schema of an image table with the columns image_id, status and bytes.

    Returns:
        A dict of the same columns; of a row that did not fit, the values that do not fit, and the bytes, are None.
    """
    checked = [field for field in schema if field.name not in ("concept", "image_id")]
    unfit = [field.name for field in checked if not _fits(row[field.name], field.type)]
    if not unfit:
        return row
    return row | dict.fromkeys([*unfit, "bytes", "sha256", "perceptual_hash"]) | {"status": "does_not_fit"}


def _fits(value: Any, kind: pa.DataType) -> bool:
    if value is None:
        return True
    if pa.types.is_binary(kind):
        return isinstance(value, bytes) and len(value) <= MAX_BYTES
    try:
        pa.scalar(value, kind)
    except (pa.ArrowException, ValueError, TypeError, OverflowError):  # lone surrogates are a ValueError
        return False
    return True
