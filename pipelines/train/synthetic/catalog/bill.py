"""The facts of one invoice, and the parts that invoices are put together from."""

from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Any

from pipelines.train.synthetic import pools
from pipelines.train.synthetic.catalog.basket import Line, draw_lines, quantity
from pipelines.train.synthetic.genres.grids import grid
from pipelines.train.synthetic.printing import draw_date
from pipelines.train.synthetic.sheet import Sheet
from pipelines.train.synthetic.values import code
from pipelines.train.synthetic.words import WORDS

HEADERS = tuple(tuple(header.split(";")) for header in WORDS["invoice header"])


@dataclass(frozen=True, kw_only=True)
class Row:
    """A line as slots; quantity and price are empty if they are not printed."""

    line: Line
    name: str
    quantity: str
    price: str
    amount: str

    @property
    def record(self) -> dict[str, str | None]:
        return {
            "description": self.name,
            "quantity": self.quantity or None,
            "unit_price": self.price or None,
            "amount": self.amount,
        }


class Bill:
    """The facts of one invoice as slots, and how its template words them."""

    def __init__(self, sheet: Sheet, dice: Random) -> None:
        self.sheet, self.rng, self.dice = sheet, sheet.rng, dice
        self.marks_rows, self.marks_sums = dice.random() < 0.35, dice.random() < 0.75
        self.in_capitals, self.is_capitalised = dice.random() < 0.3, dice.random() < 0.6
        has_net, has_tax, has_due = (dice.random() < share for share in (0.75, 0.75, 0.6))
        self.number = sheet.put(code(self.rng))
        supplier = self._supplier()
        self.supplier = sheet.put(supplier)
        self.page_title = [pools.page_title(self.rng, "invoice", supplier)] if self.rng.random() < 0.1 else []
        self.customer = sheet.put(self._customer()) if self.rng.random() < 0.93 else ""
        self.day = draw_date(self.rng)
        self.issued = sheet.put(sheet.style.date(self.day))
        self.due = sheet.put(self.other_day(self.rng.choice((7, 10, 14, 30, 45, 60)))) if has_due else ""
        self.rows = [self._row(line) for line in self._lines()]
        net = sum(row.line.amount for row in self.rows)
        tax = net * self.rng.choice((5, 7, 8, 10, 19, 20, 21)) // 100 if has_tax else 0
        self.net = sheet.put_money(net) if has_net else ""
        self.tax = sheet.put_money(tax) if has_tax else ""
        self.total = sheet.put_money(net + tax)

    def other_day(self, days: int) -> str:
        """A day so many days after the invoice, as plain text."""
        return self.sheet.style.date(self.day + timedelta(days=days))

    def _supplier(self) -> str:
        name = pools.company(self.rng)
        return name.upper() if self.in_capitals else name

    def _customer(self) -> str:
        name = (pools.company if self.rng.random() < 0.65 else pools.person)(self.rng)
        return f"{self.rng.choice(WORDS['title'])} {name}" if self.rng.random() < 0.1 else name

    def _lines(self) -> list[Line]:
        names = WORDS[self.rng.choice(("service", "product", "service"))]
        count = self.rng.choice((1, 1, 2, 2, 3, 3, 4, 5, 7))
        return draw_lines(self.rng, names, count, low=300, high=250_000, flat=0.3)

    def _row(self, line: Line) -> Row:
        sheet = self.sheet
        name = line.name[0].upper() + line.name[1:] if self.is_capitalised else line.name
        count = quantity(line, sheet.style.point)
        return Row(
            line=line,
            name=sheet.put(name),
            quantity=sheet.put(count, solid=True) if count else "",
            price=sheet.put_money(line.unit_price) if line.unit_price is not None else "",
            amount=sheet.put_money(line.amount),
        )

    def in_row(self, amount: str) -> str:
        """An amount of a row, with its currency if rows print it."""
        return self._marked(amount, is_marked=self.marks_rows)

    def in_sum(self, amount: str) -> str:
        return self._marked(amount, is_marked=self.marks_sums)

    def _marked(self, amount: str, *, is_marked: bool) -> str:
        return self.sheet.style.beside(amount, self.sheet.sign()) if amount and is_marked else amount

    def table(self, style: str, header: tuple[str, ...]) -> list[str]:
        """The rows under a header of four columns."""
        rows = [
            [row.name, row.quantity, self.in_row(row.price), self.in_row(row.amount)] for row in self.rows
        ]
        return grid(self.sheet, list(header), rows, style, with_header=bool(header[0]))

    def sums(self) -> list[tuple[str, str]]:
        """(label, amount) of what is printed below the rows."""
        dice = self.dice
        net, tax, total = (dice.choice(WORDS[name]) for name in ("net label", "tax label", "total label"))
        code_at_total = dice.random() < 0.2
        out = [(net, self.in_sum(self.net))] if self.net else []
        out += [(tax, self.in_sum(self.tax))] if self.tax else []
        if code_at_total and not self.marks_sums and len(self.sheet.style.sign) < 4:
            return [*out, (f"{total} {self.sheet.sign()}", self.total)]
        return [*out, (total, self.in_sum(self.total))]

    def about(self) -> list[tuple[str, str]]:
        """(label, value) of number and dates, with other dates and numbers between."""
        dice, rng = self.dice, self.rng
        kinds = ("invoice number", "issue date", "due date", "other date", "other number")
        number, issued, due, other_day, other_number = (dice.choice(WORDS[f"{kind} label"]) for kind in kinds)
        terms, order = dice.choice(("Terms", "Payment", "Payment terms")), dice.random()
        pairs = [(number, self.number), (issued, self.issued)]
        pairs += [(other_day, self.other_day(-rng.randint(1, 60)))] if rng.random() < 0.45 else []
        pairs += [(due, self.due)] if self.due else [(terms, rng.choice(WORDS["payment terms"]))]
        pairs += [(other_number, code(rng))] if rng.random() < 0.4 else []
        if order < 0.3:
            Random(order).shuffle(pairs)
        return pairs

    def end(self) -> list[str]:
        """What follows the sums: how to pay, fees and dates that are not asked for."""
        rng = self.rng
        ends = (
            "Please quote the number above with your payment.",
            f"A late fee of {self.sheet.money(rng.randrange(500, 9000))} applies after that.",
            f"Our prices change on {self.other_day(200)}.",
            f"Account {rng.randrange(10**9)}, {pools.company(rng)}",
            f"According to our contract of {self.other_day(-300)}.",
            rng.choice(WORDS["filler"]),
        )
        return rng.sample(ends, rng.choice((0, 1, 1, 2)))

    def record(self) -> dict[str, Any]:
        return {
            "invoice_number": self.number,
            "supplier_name": self.supplier,
            "customer_name": self.customer or None,
            "issue_date": self.issued,
            "due_date": self.due or None,
            "currency": self.sheet.sign(),
            "line_items": [row.record for row in self.rows],
            "subtotal": self.net or None,
            "tax": self.tax or None,
            "total": self.total,
        }
