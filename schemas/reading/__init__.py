"""The model copies, code converts: printed text to values.

What can be read in two ways is refused, never guessed, but for what a field declares (`day_first`,
`decimal_comma`) and the custom that a plain "$" is the US dollar.
"""

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Final

from schemas.forms import Kind, Leaf
from schemas.locate import collapse
from schemas.reading.common import refuse
from schemas.reading.currencies import read_currency
from schemas.reading.dates import read_date, read_datetime
from schemas.reading.numbers import read_decimal, read_float, read_integer, unit_of

__all__ = ["Value", "read", "unit_of"]

Value = str | date | datetime | Decimal | int | float


def read(leaf: Leaf, printed: str) -> Value:
    """The value of a verbatim or inferred leaf as the record holds it.

    Raises:
        ConversionError: the text does not read as the leaf's kind, or reads in two ways.
    """
    return _READERS[leaf.kind](leaf, printed)


def _text(leaf: Leaf, printed: str) -> str:
    if not printed.strip():
        raise refuse(leaf, printed, "there is only white space")
    return collapse(printed)


_READERS: Final[dict[Kind, Callable[[Leaf, str], Value]]] = {
    Kind.TEXT: _text,
    Kind.INFERRED: lambda _, printed: printed.strip(),
    Kind.CURRENCY: read_currency,
    Kind.DECIMAL: read_decimal,
    Kind.INTEGER: read_integer,
    Kind.FLOAT: read_float,
    Kind.DATE: read_date,
    Kind.DATETIME: read_datetime,
}
