"""The receipt schema."""

import datetime
from decimal import Decimal
from typing import ClassVar

from pydantic import Field

from schemas import Currency, ExtractionSchema, SchemaSettings


class Receipt(ExtractionSchema):
    """A till or card receipt: who was paid, when, where and how much."""

    settings: ClassVar[SchemaSettings] = SchemaSettings(day_first=True)

    company: str = Field(description="the shop or firm that was paid")
    date: datetime.date | None = Field(description="the day of the purchase")
    address: str | None = Field(description="the whole postal address of the shop")
    total: Decimal = Field(description="what had to be paid, after tax, discount and rounding")
    currency: Currency | None = Field(description="the currency printed with the amounts")
