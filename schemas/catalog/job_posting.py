"""The job posting schema."""

from decimal import Decimal
from typing import ClassVar, Literal

from pydantic import Field

from schemas import Currency, ExtractionSchema, SchemaSettings

WorkMode = Literal["onsite", "hybrid", "remote", "unspecified"]
EmploymentType = Literal["full_time", "part_time", "contract", "internship", "unspecified"]


class JobPosting(ExtractionSchema):
    """An advertisement for one open position."""

    settings: ClassVar[SchemaSettings] = SchemaSettings(shots="nearest")

    title: str = Field(description="the name of the position")
    company: str | None = Field(description="the employer")
    location: str | None = Field(description="the place of work")
    work_mode: WorkMode = Field(description="where the work is done")
    employment_type: EmploymentType = Field(description="the kind of contract")
    salary_min: Decimal | None = Field(description="the lowest pay named; a single figure is both")
    salary_max: Decimal | None = Field(description="the highest pay named; a single figure is both")
    salary_currency: Currency | None = Field(description="the currency printed with the pay")
    skills: list[str] = Field(description="every skill, tool or licence asked for")
