"""Field types and markers for schema classes, besides Python's own `str`, `date`, `Decimal`, `Literal`, ...

All are `typing.Annotated`, so type checkers and pydantic see the plain type.
"""

from dataclasses import dataclass
from typing import Annotated, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class DayFirst:
    """`Annotated[date, DayFirst()]`: 03/04/2024 is the third of April, with `DayFirst(False)` March 4."""

    value: bool = True


@dataclass(frozen=True)
class DecimalComma:
    """`Annotated[Decimal, DecimalComma()]`: 1.234 is one thousand two hundred and thirty-four."""

    value: bool = True


@dataclass(frozen=True)
class UnitOf:
    """`unit: Annotated[str | None, UnitOf("quantity")]`: the unit printed with a sibling, "kg" of "12 kg".

    The model is not asked for it: code reads it from what was copied for the sibling.
    """

    field: str


@dataclass(frozen=True, kw_only=True)
class Renamed:
    """`Annotated[str, Renamed(previously="vendor")]`: the field had this name, or these, in earlier versions."""

    previously: str | tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return (self.previously,) if isinstance(self.previously, str) else self.previously


@dataclass(frozen=True)
class InferredText:
    """Marks free text."""


@dataclass(frozen=True)
class CurrencyCode:
    """Marks a currency."""


# `Inferred[str]`: free text that need not stand in the document, as a summary.
Inferred = Annotated[T, InferredText()]

# A printed currency ("RM", "€", "US$", "EUR") stored as its ISO 4217 code.
Currency = Annotated[str, CurrencyCode()]
