"""Invoices: printed, side by side as on a typewriter, as letters, as short slips."""

from random import Random

from pipelines.train.synthetic import pools
from pipelines.train.synthetic.catalog.bill import HEADERS, Bill, Row
from pipelines.train.synthetic.sheet import Draft, Sheet
from pipelines.train.synthetic.values import code
from pipelines.train.synthetic.words import WORDS

_STYLES = ("aligned", "aligned", "tabs", "tabs", "markdown", "pipes", "cells", "cells", "slashes")
_TITLES = (
    "INVOICE",
    "Invoice",
    "# Invoice",
    "",
    "TAX INVOICE",
    "Bill",
    "Invoice {}",
    "# Invoice {}",
    "INVOICE {}",
)


def printed(sheet: Sheet, dice: Random) -> Draft:
    """Supplier on top, then number and dates, the customer, the table and its sums."""
    bill = Bill(sheet, dice)
    style, header, title = dice.choice(_STYLES), dice.choice(HEADERS), dice.choice(_TITLES)
    joint, sum_joint = dice.choice((": ", " ", ":  ", "\n", ": ")), dice.choice((": ", "  ", "\t", " ", "\n"))
    customer_first, title_first, has_rule = (dice.random() < share for share in (0.4, 0.5, 0.2))
    pairs = bill.about()
    if "{}" in title:
        pairs = [pair for pair in pairs if pair[1] != bill.number]
    named = [title.format(bill.number)] if title else []
    head, to = _head(bill, dice), _customer(bill, dice)
    about = [f"{name}{joint}{value}" for name, value in pairs]
    top = [*named, *head] if title_first else [*head, *named]
    middle = [*to, *about] if customer_first else [*about, *to]
    sums = [f"{name}{sum_joint}{amount}" for name, amount in bill.sums()]
    rule = ["-" * 40] if has_rule else [""]
    lines = [*top, "", *middle, "", *bill.table(style, header), *rule, *sums, "", *bill.end()]
    return "\n".join([*bill.page_title, *lines]), bill.record()


def _head(bill: Bill, dice: Random) -> list[str]:
    """The supplier and how to reach it."""
    rng = bill.rng
    address_joint, is_bold = dice.choice((", ", "\n", ",\n")), dice.random() < 0.1
    reach = (f"Tel {pools.phone(rng)}", f"VAT no. {code(rng)}", pools.email(rng))
    head = [f"**{bill.supplier}**" if is_bold else bill.supplier]
    head += [pools.address(rng).replace(", ", address_joint)] if rng.random() < 0.7 else []
    return [*head, rng.choice(reach)] if rng.random() < 0.4 else head


def _customer(bill: Bill, dice: Random) -> list[str]:
    label, joint, address_joint = (
        dice.choice(WORDS["customer label"]),
        dice.choice((" ", " ", "\n")),
        dice.choice((", ", "\n", ",\n")),
    )
    if not bill.customer:
        return []
    name = f"{label}{joint}{bill.customer}"
    place = pools.address(bill.rng)
    form = bill.rng.random()
    if form < 0.3:
        return [name, place.replace(", ", address_joint)]
    if form < 0.55:
        return [f"{name}, {place if form < 0.42 else pools.city(bill.rng)}"]
    return [name]


def side_by_side(sheet: Sheet, dice: Random) -> Draft:
    """A typewriter page: customer on the left, number and dates on the right, amounts in a column."""
    bill = Bill(sheet, dice)
    width, indent = dice.choice((44, 52, 60)), dice.choice((20, 20, 0))
    label = dice.choice(("INVOICE TO", "Bill to", "Customer", "Sold to:"))
    left = [label, *([bill.customer] if bill.customer else []), *pools.address(bill.rng).split(", ")]
    right = [f"{name + ':':<14} {value}" for name, value in bill.about()]
    size = max(len(left), len(right))
    left, right = left + [""] * (size - len(left)), right + [""] * (size - len(right))
    block = [(sheet.pad(a, width) + b).rstrip() for a, b in zip(left, right, strict=True)]
    rows = [_measured(bill, row, width) for row in bill.rows]
    sums = [
        sheet.pad(" " * 30 + name, width) + sheet.pad(amount, 16, right=True) for name, amount in bill.sums()
    ]
    lines = [" " * indent + bill.supplier, "", *block, "", *rows, "", *sums, "", *bill.end()]
    return "\n".join(lines), bill.record()


def _measured(bill: Bill, row: Row, width: int) -> str:
    unit = bill.rng.choice((" hours", " m", "", " days", " pcs", ""))
    middle = f"{row.quantity}{unit} at {row.price}" if row.quantity else ""
    name = bill.sheet.pad(row.name, width // 2 + 8)
    return f"{bill.sheet.pad(f'{name} {middle}', width)}{bill.sheet.pad(row.amount, 16, right=True)}"


def letter(sheet: Sheet, dice: Random) -> Draft:
    """A bill in words: what was done, what it costs, when to pay."""
    bill = Bill(sheet, dice)
    rng, sheet.width = bill.rng, dice.choice((None, 76, 90))
    kinds = ("row", "flat row", "opening", "total", "net", "tax", "due")
    row, flat, opening, total, net, tax, due = (dice.choice(WORDS[f"bill {kind}"]) for kind in kinds)
    start = opening.format(number=bill.number, issued=bill.issued, other=rng.choice(WORDS["bill matter"]))
    rows = [_in_words(bill, each, row if each.quantity else flat) for each in bill.rows]
    money = [net.format(bill.in_sum(bill.net))] if bill.net else []
    money += [tax.format(bill.in_sum(bill.tax))] if bill.tax else []
    money.append(total.format(sheet.style.beside(bill.total, sheet.sign())))
    terms = due.format(bill.due) if bill.due else rng.choice(WORDS["payment terms"])
    greeting = f"Dear {bill.customer or 'customer'},"
    lines = [greeting, start, *rows, " ".join(money), terms, rng.choice(WORDS["closing"])]
    return "\n".join([bill.supplier, pools.address(rng), "", *lines]), bill.record()


def _in_words(bill: Bill, row: Row, frame: str) -> str:
    count = f"{row.quantity} {bill.rng.choice(('hours', 'pieces', 'units', ''))}".rstrip()
    return frame.format(
        name=row.name, count=count, price=bill.in_row(row.price), amount=bill.in_row(row.amount)
    )


def slip(sheet: Sheet, dice: Random) -> Draft:
    """A few crowded lines, as from a carrier or a taxi firm."""
    bill = Bill(sheet, dice)
    joint = dice.choice((" | ", " / ", "  ", "; "))
    label = dice.choice(("CONSIGNEE:", "TO", "BILL TO:", "CUST.", "For"))
    first = dice.choice(("INVOICE {0}{1}{2}", "{2}{1}INV {0}", "NO. {0}{1}DATE {2}"))
    due, keeps_columns = dice.choice(("DUE {}", "PAY BY {}", "DUE DATE {}")), dice.random() < 0.5
    to = [f"{label} {bill.customer}"] if bill.customer else []
    rows = [
        joint.join(cell for cell in (row.name, row.quantity, row.price, row.amount) if cell or keeps_columns)
        for row in bill.rows
    ]
    sums = [f"{name} {amount}" for name, amount in bill.sums()]
    terms = due.format(bill.due) if bill.due else bill.rng.choice(WORDS["payment terms"])
    return "\n".join(
        [bill.supplier, first.format(bill.number, joint, bill.issued), *to, *rows, *sums, terms]
    ), bill.record()


GENRES = {
    "invoice_printed": printed,
    "invoice_printed2": printed,
    "invoice_side": side_by_side,
    "invoice_letter": letter,
    "invoice_slip": slip,
}
