"""The non-disclosure agreement schema."""

from datetime import date
from typing import ClassVar

from pydantic import Field

from schemas import ExtractionSchema, SchemaSettings


class Nda(ExtractionSchema):
    """A non-disclosure agreement: who keeps secrets from when, for how long and under which law."""

    settings: ClassVar[SchemaSettings] = SchemaSettings(shots="nearest")

    effective_date: date | None = Field(description="the day the agreement takes effect")
    jurisdiction: str | None = Field(description="the state or country whose law governs it")
    term: str | None = Field(description="how long the duty of confidence lasts")
    parties: list[str] = Field(description="the full name of every party to the agreement")
