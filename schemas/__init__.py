"""What may be said: schema classes, their forms, examples and errors. No I/O beyond reading schema files."""

from schemas.base import ExtractionSchema, Schema, SchemaSettings, Step
from schemas.examples import Example
from schemas.fields import Currency, DayFirst, DecimalComma, Inferred, Renamed, UnitOf
from schemas.registry import Registry

__all__ = [
    "Currency",
    "DayFirst",
    "DecimalComma",
    "Example",
    "ExtractionSchema",
    "Inferred",
    "Registry",
    "Renamed",
    "Schema",
    "SchemaSettings",
    "Step",
    "UnitOf",
]
