"""The support ticket schema."""

from typing import Annotated, Literal

from pydantic import Field

from schemas import ExtractionSchema

Category = Literal["billing", "bug", "how_to", "account", "shipping", "other"]
Priority = Literal["low", "normal", "high", "urgent"]


class SupportTicket(ExtractionSchema):
    """A customer's message to a help desk."""

    customer_name: str | None = Field(description="who writes, or for whom it is written")
    customer_email: str | None = Field(
        description="the customer's e-mail address", pattern=r"^[\w.+-]+@[\w-]+(\.[\w-]+)+$"
    )
    product: str | None = Field(description="the product it is about")
    category: Category = Field(description="what kind of help is wanted")
    priority: Priority = Field(description="how soon it needs an answer, by what the customer says")
    order_numbers: list[Annotated[str, Field(pattern=r"^[\w#/.-]*\d[\w/-]*$")]] = Field(
        description="every order number named"
    )
