"""Malaysian till receipts as scanners read them: capitals, GST, rounding to five sen, invented shops."""

from random import Random

from pipelines.train.synthetic import pools
from pipelines.train.synthetic.catalog.basket import Line, draw_lines, quantity
from pipelines.train.synthetic.printing import draw_date, draw_moment
from pipelines.train.synthetic.sheet import Draft, Sheet
from pipelines.train.synthetic.values import digits, letters
from pipelines.train.synthetic.words import WORDS

_NAMES = WORDS["my name"]
_GOODS = (*(word.upper() for word in (*WORDS["product"], *WORDS["dish"])), *WORDS["my goods"])


def _company(rng: Random) -> str:
    legal, shop = rng.choice(WORDS["my legal"]), rng.choice(WORDS["my shop"])
    form = rng.random()
    if form < 0.3:
        name = f"{rng.choice(WORDS['my front'])} {rng.choice(_NAMES)} {rng.choice(_NAMES)}"
        return f"{name} {legal}" if rng.random() < 0.6 else name
    if form < 0.75:
        second = rng.choice((*_NAMES, pools.coined(rng).upper()))
        return f"{rng.choice(_NAMES)} {second} {shop} {legal}"
    first = pools.coined(rng).upper() if form < 0.9 else letters(rng, rng.randint(2, 3))
    return f"{first} {shop} {legal}" if rng.random() < 0.85 else f"{first} {shop}"


def _street_number(rng: Random) -> str:
    number = rng.randint(1, 290)
    return rng.choice(
        (
            *(
                f"NO.{number}",
                f"NO {number}",
                f"NO. {number}",
                str(number),
                f"LOT {number * 11}",
                f"{number}-G",
            ),
            *(
                f"NO.{number} & {number + 2}",
                f"{number}{letters(rng, 1)}",
                f"G-{number}",
                f"{number}, {number + 2}",
            ),
        )
    )


def _address(rng: Random, dice: Random) -> str:
    """Two to four lines; commas and full stops at their ends as the shop prints them."""
    comma, stop = dice.choice((",", ",", ",", "", ".")), dice.choice(("", "", "", "."))
    number = rng.randint(1, 30)
    road = rng.choice((f"{number}/{rng.randint(1, 60)}", str(number), "", f"{number}{letters(rng, 1)}"))
    street = f"{_street_number(rng)}{rng.choice((',', ',', ''))} {rng.choice(WORDS['my road'])}"
    street = f"{street} {rng.choice(WORDS['my street'])} {road}".rstrip()
    area = f"{rng.choice(WORDS['my area'])} {rng.choice((*WORDS['my street'], *_NAMES))}"
    town = f"{digits(rng, 5)}{rng.choice((' ', ' ', ', '))}{rng.choice(WORDS['my town'])}"
    lines = [street, area, town] if rng.random() < 0.75 else [street, town]
    if rng.random() < 0.25 and ", " in town:
        lines[-1:] = town.rsplit(", ", 1)
    if rng.random() < 0.15:
        lines[:2] = [f"{lines[0]}, {lines[1]}"]
    return f"{comma}\n".join(lines) + stop


def _items(sheet: Sheet, dice: Random, lines: list[Line]) -> list[str]:
    """The goods in one of the ways that tills print them."""
    frame = dice.choice(
        (
            *("{name}  {count}  {price}  {amount}{tax}", "{count}  {name}  {amount}{tax}"),
            *(
                "{long}  {name}\n{count} PC @ {price}  {amount}{tax}",
                "{name}\n{count} X  {price}  {amount}{tax}",
            ),
            *(
                "{number}. {name}  {count}  {price}  {amount}",
                "{short}  {count}  {price}  {amount}{tax}\n{name}",
            ),
        )
    )
    tax, header = dice.choice(("", " SR", " S", "")), dice.choice(("", *WORDS["my item header"]))
    out = [header.replace("RM", sheet.sign())] if header else []
    for number, line in enumerate(lines, start=1):
        out.append(
            frame.format(
                name=line.name,
                count=quantity(line) or "1",
                price=sheet.money(line.unit_price or line.amount),
                amount=sheet.money(line.amount),
                tax=tax,
                number=number,
                long=digits(sheet.rng, 8),
                short=digits(sheet.rng, 4),
            )
        )
    return out


def _head(sheet: Sheet, dice: Random) -> tuple[list[str], str, str | None]:
    """The lines above the bill, the slot of the shop and that of its address."""
    rng = sheet.rng
    has_number, has_address, has_phone, has_gst = (dice.random() < share for share in (0.75, 0.93, 0.7, 0.65))
    joint, gst = dice.choice((": ", " : ", " ")), dice.choice(("GST ID", "GST REG NO", "GST NO."))
    name = _company(rng)
    # a long name is at times broken over two lines
    is_broken = name.endswith("SDN BHD") and rng.random() < 0.06
    company = sheet.put(name.replace(" SDN", "\nSDN") if is_broken else name)
    address = sheet.put(_address(rng, dice)) if has_address else None
    lines = [company]
    if has_number:
        number = _company_number(rng)
        lines = [f"{company} {number}"] if rng.random() < 0.2 else [company, number]
    lines += [address] if address else []
    lines += [f"TEL{joint}0{digits(rng, 1)}-{digits(rng, 8)}"] if has_phone else []
    lines += [f"{gst}: {digits(rng, 12)}"] if has_gst else []
    return [*_scribbled(rng), *lines], company, address


def _company_number(rng: Random) -> str:
    return rng.choice(
        (
            f"({digits(rng, 6)}-{letters(rng, 1)})",
            f"CO. REG. NO. {digits(rng, 7)}{letters(rng, 1)}",
            f"{letters(rng, 2)}{digits(rng, 7)}-{letters(rng, 1)}",
        )
    )


def _scribbled(rng: Random) -> list[str]:
    """What stands above the shop's name without being it: a name, a number, a brand."""
    fate = rng.random()
    if fate < 0.15:
        return [rng.choice((pools.person(rng).upper(), digits(rng, 7), " ".join(rng.sample(_NAMES, 3))))]
    return [rng.choice(_NAMES) + rng.choice(("", "'S", " CAFE", " @ MALL"))] if fate < 0.25 else []


class _Sums:
    """The lines from subtotal to change."""

    def __init__(self, sheet: Sheet, dice: Random) -> None:
        self._sheet = sheet
        self._has = {
            name: dice.random() < share
            for name, share in (
                ("subtotal", 0.6),
                ("service", 0.2),
                ("tax", 0.6),
                ("rounding", 0.5),
                ("summary", 0.35),
            )
        }
        self._joint, self._gap = dice.choice(("  ", " : ", ": ", " :  ", "  ", ":")), dice.choice(("", " "))
        self._labels = {name: dice.choice(WORDS[f"my {name}"]) for name in ("total", "rounded", "paid")}
        self._sign_at = dice.choice(("nowhere", "total", "all", "label"))

    def _line(self, label: str, amount: str, *, is_total: bool = False) -> str:
        is_marked = self._sign_at == "all" or (self._sign_at == "total" and is_total)
        return f"{label}{self._joint}{self._sheet.sign() + self._gap if is_marked else ''}{amount}"

    def lines(self, goods: list[Line]) -> tuple[list[str], str]:
        """The lines, and the slot of what had to be paid."""
        rng, money = self._sheet.rng, self._sheet.money
        subtotal = sum(line.amount for line in goods)
        service = subtotal // 10 if self._has["service"] else 0
        off = subtotal // rng.randint(8, 30) if rng.random() < 0.12 else 0
        tax = (subtotal + service - off) * 6 // 100 if self._has["tax"] else 0
        out = [self._line(rng.choice(WORDS["my subtotal"]), money(subtotal))] if self._has["subtotal"] else []
        out += [self._line("SVC CHG 10%", money(service))] if service else []
        out += [self._line("DISCOUNT", money(off))] if off or rng.random() < 0.15 else []
        out += [self._line(rng.choice(WORDS["my tax"]), money(tax))] if tax else []
        exact = subtotal + service - off + tax
        total = (exact + 2) // 5 * 5 if self._has["rounding"] else exact
        slot = self._sheet.put_money(total)
        if self._has["rounding"]:
            out.append(self._line(self._labels["total"], money(exact)))
            out.append(f"{rng.choice(WORDS['my rounding'])}{self._joint}{money(total - exact)}")
        label = self._labels["rounded" if self._has["rounding"] else "total"]
        if self._sign_at == "label":
            label += f" ({self._sheet.sign()})"
        return [*out, self._line(label, slot, is_total=True), *self._paid(total)], slot

    def _paid(self, total: int) -> list[str]:
        """How it was paid, and the summary of tax below."""
        rng, money, label = self._sheet.rng, self._sheet.money, self._labels["paid"]
        by_card = label in ("VISA", "MASTERCARD")
        given = total if by_card else (total // 500 + rng.randint(1, 8)) * 500
        out = [f"{label}{self._joint}{money(given)}"]
        out += [f"CHANGE{self._joint}{money(given - total)}"] if given != total or rng.random() < 0.5 else []
        if self._has["summary"]:
            tax = total * 6 // 106
            unit = f"({self._sheet.sign()})" if self._sign_at in ("all", "label") else ""
            out += [f"GST SUMMARY  AMOUNT{unit}  TAX{unit}", f"SR @ 6%  {money(total - tax)}  {money(tax)}"]
        return out


def _about(sheet: Sheet, dice: Random) -> tuple[list[str], list[str], str]:
    """Number, date and cashier above the goods, what stands below the sums, and the slot of the date."""
    rng = sheet.rng
    frame = dice.choice(
        ("DATE: {}", "DATE : {}", "{}", "DATE {}", "DATE:{}", "DATE  :  {}", "TRX: {}", "INV DATE {}")
    )
    has_time, label = dice.random() < 0.7, dice.choice(WORDS["my number"])
    num_letters, num_digits = dice.randint(0, 2), dice.randint(4, 9)
    staff, order = dice.choice(("CASHIER", "STAFF", "SERVED BY", "USER")), dice.random()
    moment = draw_moment(rng)
    date = sheet.put(sheet.style.date(moment).upper())
    when = f"{frame.format(date)} {sheet.style.time(moment).upper() if has_time else ''}".rstrip()
    number = f"{label}: {letters(rng, num_letters)}{digits(rng, num_digits)}"
    cashier = f"{staff}: {rng.choice((*_NAMES, 'ADMIN', '01', 'USER'))}"
    if order < 0.3:
        return [number, when, cashier], [], date
    if order < 0.5:
        return [f"{number}  {when}", cashier], [], date
    if order < 0.7:
        return [when, number], [], date
    return ([cashier, when], [], date) if order < 0.82 else ([number, cashier], [when], date)


def malaysian(sheet: Sheet, dice: Random) -> Draft:
    """A receipt of a shop, workshop or restaurant."""
    rng = sheet.rng
    sheet.prints(
        sign="RM" if rng.random() < 0.92 else "$", point=".", group="," if rng.random() < 0.8 else "", gap=""
    )
    goods = draw_lines(rng, _GOODS, rng.choice((1, 1, 2, 2, 3, 4, 6, 9)), low=90, high=6_000)
    head, company, address = _head(sheet, dice)
    title = [dice.choice(WORDS["my title"])] if dice.random() < 0.7 else []
    about, below, date = _about(sheet, dice)
    items = _items(sheet, dice, goods)
    sums, total = _Sums(sheet, dice).lines(goods)
    if rng.random() < 0.15:
        below.append(f"{rng.choice(WORDS['my other date'])} {sheet.style.date(draw_date(rng))}")
    feet = rng.sample(WORDS["my foot"], rng.randint(0, 3))
    text = "\n".join([*head, *title, *about, *items, *sums, *below, *feet])
    record = {"company": company, "date": date, "address": address, "total": total, "currency": sheet.sign()}
    return text, record
