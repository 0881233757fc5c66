"""Till receipts of shops, bills of restaurants, receipts by e-mail."""

from random import Random

from pipelines.train.synthetic import pools
from pipelines.train.synthetic.catalog.basket import Line, draw_lines, quantity
from pipelines.train.synthetic.catalog.malaysia import malaysian
from pipelines.train.synthetic.genres.grids import grid
from pipelines.train.synthetic.printing import draw_date, draw_moment
from pipelines.train.synthetic.sheet import Draft, Sheet
from pipelines.train.synthetic.words import WORDS

_TOTALS = WORDS["receipt total"]
_BEFORE = WORDS["receipt discount"]
_TAX = WORDS["receipt tax"]
_PAID = WORDS["receipt paid"]


def _goods(rng: Random) -> list[Line]:
    names = WORDS[rng.choice(("product", "product", "dish", "service"))]
    return draw_lines(rng, names, rng.choice((1, 2, 2, 3, 4, 6)), low=120, high=9_000, flat=0.3)


class _Till:
    """What the receipts of one till have in common, and the figures of one of them."""

    def __init__(self, sheet: Sheet, dice: Random) -> None:
        self.sheet, self.rng = sheet, sheet.rng
        self.total_label = dice.choice(_TOTALS)
        self.has_tax, self.has_subtotal, self.tax_on_top = (
            dice.random() < share for share in (0.7, 0.5, 0.5)
        )
        self.tax_label, self.paid_label = dice.choice(_TAX), dice.choice(_PAID)
        self.marks_all = dice.random() < 0.5
        self.item_frame = dice.choice(
            (
                "{q} {name}  {amount}",
                "{name}  {amount}",
                "{name} x{q}  {amount}",
                "{q} x {name}  {amount}",
                "{name}\t{q}\t{amount}",
                "{name}\n  {q} @ {price}  {amount}",
            )
        )
        self.lines = _goods(self.rng)

    def money(self, cents: int) -> str:
        """A plain amount, with the currency if this till prints it everywhere."""
        amount = self.sheet.money(cents)
        return self.sheet.style.beside(amount, self.sheet.sign()) if self.marks_all else amount

    def items(self) -> list[str]:
        return [
            self.item_frame.format(
                q=quantity(line) or "1",
                name=line.name,
                price=self.money(line.unit_price or line.amount),
                amount=self.money(line.amount),
            )
            for line in self.lines
        ]

    def sums(self) -> tuple[list[tuple[str, str]], str, int]:
        """(label, amount) down to what was paid, the slot of the total, and its cents."""
        rng = self.rng
        subtotal = sum(line.amount for line in self.lines)
        label = rng.choice(("Subtotal", "Sub total", "SUBTOTAL"))
        out = [(label, self.money(subtotal))] if self.has_subtotal else []
        off = rng.randrange(50, max(51, subtotal // 3)) if rng.random() < 0.2 else 0
        if off:
            out.append(
                (rng.choice(_BEFORE), f"-{self.money(off)}" if not self.marks_all else f"- {self.money(off)}")
            )
        tax = (subtotal - off) * rng.choice((5, 6, 10, 20)) // 100
        if self.has_tax:
            out.append((self.tax_label, self.money(tax)))
        total = subtotal - off + (tax if self.has_tax and self.tax_on_top else 0)
        slot = self.sheet.put_money(total)
        out.append((self.total_label, self.sheet.style.beside(slot, self.sheet.sign())))
        return out, slot, total

    def payment(self, total: int) -> list[tuple[str, str]]:
        rng = self.rng
        if self.paid_label not in ("Cash", "Tendered"):
            return [(self.paid_label, self.money(total))] if rng.random() < 0.7 else []
        given = (total // 1000 + rng.randint(1, 3)) * 1000
        return [(self.paid_label, self.money(given)), ("Change", self.money(given - total))]


def _other_date(sheet: Sheet) -> str:
    """A day that is not that of the purchase."""
    return sheet.rng.choice(WORDS["receipt other date"]).format(sheet.style.date(draw_date(sheet.rng)))


def _head(sheet: Sheet, dice: Random) -> tuple[list[str], str, str | None]:
    """The lines that name the shop, its slot and the slot of its address, which may be missing."""
    rng = sheet.rng
    has_address, joint = dice.random() < 0.75, dice.choice((",\n", "\n", ", ", ",\n"))
    name = (
        pools.company(rng)
        if rng.random() < 0.7
        else f"The {pools.coined(rng)} {rng.choice(('Cafe', 'Inn', 'Shop', 'Store', 'Deli'))}"
    )
    name = name.upper() if dice.random() < 0.45 else name
    company = sheet.put(name)
    page = [pools.page_title(rng, "receipt", name)] if rng.random() < 0.15 else []
    if not has_address:
        return [*page, company], company, None
    printed = pools.address(rng).replace(", ", joint)
    address = sheet.put(printed.upper() if name.isupper() else printed)
    return [*page, company, address], company, address


def _record(
    company: str, date: str | None, address: str | None, total: str, sheet: Sheet
) -> dict[str, str | None]:
    return {"company": company, "date": date, "address": address, "total": total, "currency": sheet.sign()}


def shop(sheet: Sheet, dice: Random) -> Draft:
    """A till receipt: head, items, sums, payment."""
    till = _Till(sheet, dice)
    rng = sheet.rng
    head, company, address = _head(sheet, dice)
    joint = dice.choice(("  ", "\t", ": ", "      ", " ", " | "))
    date_first, has_time, to_right = dice.random() < 0.5, dice.random() < 0.7, dice.random() < 0.3
    date, when = _day(sheet, dice, has_time=has_time)
    kind = dice.choice(("Receipt", "Trans", "Bill", "Order", "Tax invoice", "Ticket", "Check"))
    number = f"{kind} {rng.randint(1, 99_999)}"
    sums, total, cents = till.sums()
    rows = [*sums, *till.payment(cents)]
    lines = [f"{label}{joint}{amount}" for label, amount in rows]
    if to_right:
        width = max(len(sheet.show(label) + sheet.show(amount)) for label, amount in rows) + 4
        lines = [sheet.pad(label, width - len(sheet.show(amount))) + amount for label, amount in rows]
    top = [number, when] if date_first else [number]
    below = [] if date_first else [when]
    if rng.random() < 0.45:
        below.append(_other_date(sheet))
    phone = [f"Tel {pools.phone(rng)}"] if rng.random() < 0.5 else []
    body = [*phone, *top, *till.items(), *lines, *below]
    # a few tills print the name of the shop at the end
    parts = [*body, *head] if rng.random() < 0.06 else [*head, *body, rng.choice(WORDS["filler"])]
    return "\n".join(parts), _record(company, date, address, total, sheet)


def _day(sheet: Sheet, dice: Random, *, has_time: bool) -> tuple[str | None, str]:
    """The slot of the date and its line; some tills print none."""
    label = dice.choice(("", "", "Date: ", "Date/Time ", "DATE ", "Issued ", "on ", "Date"))
    if sheet.rng.random() < 0.07:
        return None, sheet.rng.choice(WORDS["filler"])
    moment = draw_moment(sheet.rng)
    slot = sheet.put(sheet.style.date(moment))
    day = sheet.rng.choice(WORDS["weekday"]) + " " if sheet.rng.random() < 0.06 else ""
    return slot, f"{label}{day}{slot}{' ' + sheet.style.time(moment) if has_time else ''}"


def mail(sheet: Sheet, dice: Random) -> Draft:
    """A receipt sent by e-mail: the firm is named in words, amounts follow."""
    till = _Till(sheet, dice)
    rng = sheet.rng
    greeting, opening, said = (
        dice.choice(WORDS[f"receipt {kind}"]) for kind in ("greeting", "opening", "said")
    )
    joint, has_header, has_address = (
        dice.choice((": ", "   ", "\t", " ")),
        dice.random() < 0.5,
        dice.random() < 0.35,
    )
    company = sheet.put(pools.company(rng))
    date = sheet.put(sheet.style.date(draw_date(rng)))
    address = sheet.put(pools.address(rng)) if has_address else ""
    sums, total, _ = till.sums()
    head = (
        [f"Subject: Receipt {rng.randint(1000, 99_999)}", f"From: {pools.email(rng)}", ""]
        if has_header
        else []
    )
    head += [
        opening.format(company=company),
        greeting.format(rng.choice(pools.pools().first)),
        said.format(date),
    ]
    paid = [f"{label}{joint}{amount}" for label, amount in sums]
    after = [_other_date(sheet)] if rng.random() < 0.5 else []
    after += [address] if address else []
    lines = [*head, "", *till.items(), "", *paid, "", *after, rng.choice(WORDS["filler"])]
    return "\n".join(lines), _record(company, date, address or None, total, sheet)


def bill(sheet: Sheet, dice: Random) -> Draft:
    """A bill with a table: hotel, garage, car park, shop on the web."""
    till = _Till(sheet, dice)
    rng = sheet.rng
    head, company, address = _head(sheet, dice)
    style = dice.choice(("aligned", "markdown", "tabs", "pipes", "cells"))
    has_dates = dice.random() < 0.4
    date, when = _day(sheet, dice, has_time=False)
    came = (
        [f"Arrival {sheet.style.date(draw_date(rng))}", f"Nights {rng.randint(1, 9)}"]
        if has_dates and date
        else []
    )
    header = list(
        dice.choice(
            (("Item", "Qty", "Amount"), ("Description", "No.", "Price"), ("Article", "Quantity", "Sum"))
        )
    )
    rows = [[line.name, quantity(line), till.money(line.amount)] for line in till.lines]
    sums, total, cents = till.sums()
    lines = grid(sheet, header, rows, style)
    tail = [f"{label}: {amount}" for label, amount in [*sums, *till.payment(cents)]]
    text = "\n".join([*head, "", *came, when, "", *lines, "", *tail, "", rng.choice(WORDS["filler"])])
    return text, _record(company, date, address, total, sheet)


GENRES = {
    "receipt_my": malaysian,
    "receipt_my2": malaysian,
    "receipt_shop": shop,
    "receipt_mail": mail,
    "receipt_bill": bill,
}
