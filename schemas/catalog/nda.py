"""The non-disclosure agreement schema."""

from datetime import date
from typing import ClassVar

from pydantic import Field

from schemas import ExtractionSchema, SchemaSettings


class Nda(ExtractionSchema):
    """A non-disclosure agreement: who keeps secrets from when, for how long and under which law."""

    # a small model overlooks the parties in a longer text, and where there are none takes others for them, unsurely
    settings: ClassVar[SchemaSettings] = SchemaSettings(shots="nearest", window_tokens=1200, empty_below=0.4)

    effective_date: date | None = Field(description="the day the agreement takes effect")
    jurisdiction: str | None = Field(description="the state or country whose law governs it")
    # two (2) years, eighteen months
    term: str | None = Field(
        description="how long the duty of confidence lasts",
        max_length=60,
        pattern=r"^[\w.-]+( \([\w-]+\))?[ -](years?|Years?|YEARS?|months?|Months?|MONTHS?|weeks?|days?)$",
    )
    parties: list[str] = Field(description="the full name of every party to the agreement")
