"""The form of a schema: a small tree that every stage reads.

A pydantic class is turned into this tree once (`schemas.translate`). From it come the wire JSON Schema, the
grammar, the conversion of printed text, the places in the document and the typed tables.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property, lru_cache
from typing import Any

# A wire record is what the model writes: dicts, lists, printed strings, choices, booleans and None.
WireValue = None | str | bool | list[Any] | dict[str, Any]


class Kind(StrEnum):
    """What a leaf holds in the record."""

    TEXT = "text"
    DATE = "date"
    DATETIME = "datetime"
    DECIMAL = "decimal"
    INTEGER = "integer"
    FLOAT = "float"
    CURRENCY = "currency"
    CHOICE = "choice"
    BOOLEAN = "boolean"
    INFERRED = "inferred"


# Kinds of which the model writes what is printed in the document, and nothing else.
VERBATIM = frozenset(
    {Kind.TEXT, Kind.DATE, Kind.DATETIME, Kind.DECIMAL, Kind.INTEGER, Kind.FLOAT, Kind.CURRENCY}
)
# kinds of which equal values at two places are two
MEASURES = frozenset({Kind.DECIMAL, Kind.INTEGER, Kind.FLOAT, Kind.DATE, Kind.DATETIME})
_OF_TEXT = VERBATIM | {Kind.INFERRED}


@dataclass(frozen=True, kw_only=True)
class Leaf:
    """One value."""

    kind: Kind
    # the record may hold None; the wire form of a verbatim leaf always may (see `wire_nullable`)
    nullable: bool = False
    description: str = ""
    # the most code points the model may write
    max_length: int = 200
    # what a TEXT has to match, as pydantic has it; in a version as a part of the record's schema
    pattern: str = field(default="", repr=False)
    # what a CHOICE is chosen among
    choices: tuple[str, ...] = ()
    # 03/04/2024 is the third of April
    day_first: bool = False
    # 1.234 is one thousand two hundred and thirty-four
    decimal_comma: bool = False
    # the sibling field whose printed text holds this unit; such a leaf is not in the wire form
    unit_of: str | None = None
    # an item of a list is there or is not, so the model never writes null for one; set by ListForm
    is_item: bool = False
    # names that the field had in earlier versions; not part of a version itself
    previously: tuple[str, ...] = field(default=(), repr=False)

    @cached_property
    def is_verbatim(self) -> bool:
        return self.kind in VERBATIM

    @property
    def wire_nullable(self) -> bool:
        """A document or window may lack any copied value, so the model may say null for one outside a list.

        Whether a record may lack it is decided when the record is validated.
        """
        return self.nullable or (not self.is_item and self.kind in _OF_TEXT)


@dataclass(frozen=True, kw_only=True)
class ListForm:
    """Values of one form, in the order of the document."""

    item: "Form"
    nullable: bool = False
    description: str = ""
    # the most items the model may write for one window
    max_items: int = 64
    previously: tuple[str, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if isinstance(self.item, Leaf) and not self.item.is_item:
            object.__setattr__(self, "item", replace(self.item, is_item=True))


@dataclass(frozen=True, kw_only=True)
class ObjectForm:
    """Named fields, in the order they are written."""

    fields: tuple[tuple[str, "Form"], ...]
    nullable: bool = False
    description: str = ""
    previously: tuple[str, ...] = field(default=(), repr=False)

    @cached_property
    def wire_fields(self) -> tuple[tuple[str, "Form"], ...]:
        """The fields the model writes: all but units, which are read from a sibling's printed text."""
        return tuple(
            (name, form) for name, form in self.fields if not (isinstance(form, Leaf) and form.unit_of)
        )


Form = Leaf | ListForm | ObjectForm
Path = tuple[str | int, ...]


def leaves(form: Form, value: Any, path: Path = ()) -> Iterator[tuple[Path, Leaf, Any]]:
    """The leaves of a wire value in field order: path, form and value of each; none of what is null above them."""
    if isinstance(form, Leaf):
        yield path, form, value
    elif isinstance(form, ListForm):
        for index, item in enumerate(value or ()):
            yield from leaves(form.item, item, (*path, index))
    elif value is not None:
        for name, field in form.wire_fields:
            yield from leaves(field, value[name], (*path, name))


@lru_cache(maxsize=10_000)
def path_text(path: Path) -> str:
    """`("line_items", 2, "amount")` as `line_items[2].amount`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")
