"""Values of a cursor column: as JSON, and a while before them."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from schemas.errors import SourceError

_READ: dict[str, Callable[[Any], Any]] = {
    "int": int,
    "float": float,
    "str": str,
    "Decimal": Decimal,
    "date": date.fromisoformat,
    "datetime": datetime.fromisoformat,
}
_DATE_CHARS = len("2024-05-31")


def encoded(value: Any) -> dict[str, Any]:
    """A value with its type, as JSON.

    Raises:
        SourceError: it is nothing that grows.
    """
    kind = type(value).__name__
    if kind not in _READ:
        raise SourceError(
            f"The cursor column holds {value!r}, of type {kind}; it may hold {', '.join(_READ)}.",
            hint="Name a column that grows, as an id or the time of the last change, and cast it in the query.",
        )
    return {"type": kind, "value": value if kind in {"int", "float"} else str(value)}


def decoded(stored: dict[str, Any]) -> Any:
    """The value again."""
    return _READ[stored["type"]](stored["value"])


def before(value: Any, lag: float | timedelta) -> Any:
    """The value less the lag: seconds for times, days for dates, else as many.

    Raises:
        SourceError: it is no value from which this lag can be taken.
    """
    if not lag:
        return value
    if isinstance(value, str):
        return _text_before(value, lag)
    if isinstance(value, datetime):
        return value - (lag if isinstance(lag, timedelta) else timedelta(seconds=lag))
    if isinstance(value, date):
        return value - (lag if isinstance(lag, timedelta) else timedelta(days=lag))
    if isinstance(lag, timedelta):
        raise _unfit(value, lag)
    return value - type(value)(lag)


def _text_before(value: str, lag: float | timedelta) -> str:
    """A time as text, as SQLite has them: cut after the seconds, it stands before all that share them."""
    try:
        earlier: datetime = before(datetime.fromisoformat(value), lag)
    except ValueError as exc:
        raise _unfit(value, lag) from exc
    separator = value[_DATE_CHARS : _DATE_CHARS + 1]
    return earlier.strftime(f"%Y-%m-%d{separator}%H:%M:%S") if separator else earlier.strftime("%Y-%m-%d")


def _unfit(value: Any, lag: float | timedelta) -> SourceError:
    return SourceError(
        f"A lag of {lag} cannot be taken from {value!r}, which the cursor column holds.",
        hint="Give a lag only for numbers, dates and times; a timedelta only for dates and times.",
    )


def typed(text: str) -> Any:
    """A bound that a person wrote: a number, a date, a time, or text."""
    for kind in ("int", "float", "date", "datetime"):
        try:
            return _READ[kind](text)
        except ValueError:
            continue
    return text
