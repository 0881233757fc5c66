"""parquet: the texts of its rows, some rows at a time."""

from collections.abc import Iterator
from typing import Any, BinaryIO

from pipelines.readers.base import TEXT_COLUMN_HINT, lines_of, no_column
from schemas.errors import DocumentError, UnreadableDocumentError

_ROWS_AT_A_TIME = 256


def texts(stream: BinaryIO, text_column: str | None) -> Iterator[str | DocumentError]:
    """The text of each row, or why it has none: one column, or `column: value` lines of those that hold something.

    Raises:
        UnreadableDocumentError: pyarrow is missing, or there is no such column.
    """
    try:
        import pyarrow.parquet
    except ImportError as exc:
        raise UnreadableDocumentError(
            "Parquet files need pyarrow.", hint="Install it with `pip install 'gleaner[parquet]'`."
        ) from exc
    file = pyarrow.parquet.ParquetFile(stream)
    names = file.schema_arrow.names
    if text_column is not None and text_column not in names:
        raise no_column(text_column, names)
    columns = None if text_column is None else [text_column]
    for batch in file.iter_batches(batch_size=_ROWS_AT_A_TIME, columns=columns):
        for row in batch.to_pylist():
            yield _text(row, text_column)


def _text(row: dict[str, Any], text_column: str | None) -> str | DocumentError:
    if text_column is None:
        return lines_of((name, str(value)) for name, value in row.items() if value is not None)
    value = row[text_column]
    if isinstance(value, str | None):
        return value or ""
    said = f"The column {text_column!r} holds no text but {type(value).__name__}."
    return UnreadableDocumentError(said, hint=TEXT_COLUMN_HINT)
