"""The invoice schema."""

from datetime import date
from decimal import Decimal
from typing import ClassVar

from pydantic import BaseModel, Field

from schemas import Currency, ExtractionSchema, SchemaSettings


class LineItem(BaseModel):
    """One line that is charged."""

    description: str = Field(description="what is charged")
    quantity: Decimal | None = Field(description="how many, how long or how much of it")
    unit_price: Decimal | None = Field(description="the price of one")
    amount: Decimal = Field(description="what the line comes to")


class Invoice(ExtractionSchema):
    """A bill from a supplier, with its lines and its sums."""

    settings: ClassVar[SchemaSettings] = SchemaSettings(day_first=True)

    invoice_number: str = Field(description="the number the supplier gave this invoice", pattern=r"\d")
    supplier_name: str = Field(description="who sends the bill")
    customer_name: str | None = Field(description="who has to pay")
    issue_date: date = Field(description="the day the invoice was written")
    due_date: date | None = Field(description="the last day to pay, if a day is named")
    currency: Currency | None = Field(description="the currency printed with the amounts")
    line_items: list[LineItem] = Field(description="the lines that are charged, in their order")
    subtotal: Decimal | None = Field(description="the sum of the lines before tax")
    tax: Decimal | None = Field(description="the amount of tax, VAT or GST")
    total: Decimal = Field(description="what has to be paid in the end")
