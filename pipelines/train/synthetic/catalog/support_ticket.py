"""What customers write to a help desk: mails, forms, chats, notes of calls."""

from random import Random
from typing import Any

from pipelines.train.synthetic import pools
from pipelines.train.synthetic.printing import clock, draw_date, draw_moment
from pipelines.train.synthetic.sheet import Draft, Sheet
from pipelines.train.synthetic.things import said
from pipelines.train.synthetic.values import digits, letters
from pipelines.train.synthetic.words import WORDS

_CATEGORIES = ("billing", "bug", "how_to", "account", "shipping", "other")
_PRIORITIES = ("low", "normal", "normal", "high", "urgent")
# what stands for a product that is not named
_UNNAMED = {
    "billing": ("my subscription", "the last order", "my plan"),
    "bug": ("your app", "the program", "the site"),
    "how_to": ("the app", "your program"),
    "account": ("your site", "the portal"),
    "shipping": ("my order", "the boots", "the lamps"),
    "other": ("your work", "your firm"),
}


class _Ticket:
    """One customer's matter as slots and sentences."""

    def __init__(self, sheet: Sheet) -> None:
        self.sheet, self.rng = sheet, sheet.rng
        rng = self.rng
        plain_name = pools.person(rng)
        self.plain_name = plain_name
        self.name = sheet.put(plain_name) if rng.random() < 0.85 else ""
        self.email = sheet.put(pools.email(rng, plain_name)) if rng.random() < 0.75 else ""
        self.category, self.priority = rng.choice(_CATEGORIES), rng.choice(_PRIORITIES)
        self.product = (
            sheet.put(self._product())
            if rng.random() < (0.3 if self.category == "shipping" else 0.75)
            else ""
        )
        share = 0.75 if self.category in ("shipping", "billing") else 0.12
        self.orders = (
            [sheet.put(self._order()) for _ in range(rng.choice((1, 1, 1, 2, 2, 3)))]
            if rng.random() < share
            else []
        )

    def _product(self) -> str:
        rng = self.rng
        form = rng.random()
        if form < 0.25:
            return pools.any_words(rng, 3).title()
        name = (
            pools.coined(rng) if form < 0.7 else rng.choice(WORDS["noun"]).title() + rng.choice(WORDS["noun"])
        )
        return f"{name} {rng.choice(WORDS['product kind'])}" if rng.random() < 0.8 else name

    def _order(self) -> str:
        rng = self.rng
        return rng.choice(
            (
                f"{letters(rng, 2)}-{digits(rng, 5)}",
                digits(rng, 7),
                f"{letters(rng, 1)}{digits(rng, 6)}",
                f"{digits(rng, 2)}-{digits(rng, 4)}",
                f"{letters(rng, 3)}/{digits(rng, 4)}",
            )
        )

    def message(self) -> list[str]:
        """The sentences of the matter, with what product and orders it is about."""
        rng = self.rng
        problems = WORDS[f"ticket {self.category}"]
        if self.product:
            problems = tuple(each for each in problems if "{it}" in each)
        text = said(rng, problems).format(it=self.product or rng.choice(_UNNAMED[self.category]))
        out = [text[0].upper() + text[1:]]
        if self.orders:
            joint = rng.choice((", ", " and "))
            said_so = [joint.join(self.orders)] if rng.random() < 0.6 else self.orders
            out += [rng.choice(WORDS["ticket orders"]).format(each) for each in said_so]
        out += [self._aside() for _ in range(rng.choice((0, 0, 0, 1, 1, 2)))]
        # what says nothing of its urgency is as urgent as most
        if self.priority != "normal" or rng.random() < 0.75:
            out.append(said(rng, WORDS[f"priority {self.priority}"]))
        return out[::-1] if rng.random() < 0.25 else out

    def _aside(self) -> str:
        rng = self.rng
        if rng.random() < 0.6:
            return said(rng, WORDS["ticket prose"])
        day, version = self.sheet.style.date(draw_date(rng)), f"{rng.randint(1, 12)}.{rng.randint(0, 9)}"
        return rng.choice(WORDS["ticket aside"]).format(day=day, number=version, code=digits(rng, 5))

    def record(self) -> dict[str, Any]:
        return {
            "customer_name": self.name or None,
            "customer_email": self.email or None,
            "product": self.product or None,
            "category": self.category,
            "priority": self.priority,
            "order_numbers": self.orders,
        }


def _desk(rng: Random) -> str:
    return f"{rng.choice(('support', 'help', 'service', 'hello'))}@{pools.coined(rng).lower()}.example"


_SUBJECTS = {
    "billing": ("Wrong invoice", "Refund", "charged twice", "Question about my bill"),
    "bug": ("It does not work", "small glitch", "Error", "crash"),
    "how_to": ("A question", "How to?", "manual", "quick question"),
    "account": ("Login", "locked out", "my account", "Password"),
    "shipping": ("where is my parcel?", "Delivery", "missing parcel", "Re: shipment"),
    "other": ("partnership", "Hello", "Request", "An idea"),
}


def mail(sheet: Sheet, dice: Random) -> Draft:
    """An e-mail; the desk's own address is not the customer's."""
    ticket = _Ticket(sheet)
    rng, sheet.width = ticket.rng, dice.choice((None, 72, 90))
    has_to, subject_first, quotes, signs = (dice.random() < share for share in (0.6, 0.6, 0.25, 0.7))
    name = ticket.name if dice.random() < 0.7 else f'"{ticket.name}"'
    joint = dice.choice((" ", "\n", "\n\n"))
    sender = f"{name} <{ticket.email}>" if ticket.name and ticket.email else ticket.name or ticket.email
    head = [f"Subject: {rng.choice(_SUBJECTS[ticket.category])}", *([f"From: {sender}"] if sender else [])]
    head = head if subject_first else head[::-1]
    head += [f"To: {_desk(rng)}"] if has_to else []
    sent = draw_moment(rng).strftime("%a, %d %b %Y %H:%M:%S +0000")
    head += [f"Date: {rng.choice((sent, sheet.style.date(draw_date(rng))))}"] if rng.random() < 0.6 else []
    signed = ticket.name if signs else ticket.plain_name.split()[0]
    end = [rng.choice(WORDS["closing"]), signed] if ticket.name else []
    quoted = (
        ["", f"> {rng.choice(('', f'On {sent}, '))}{_desk(rng)} wrote:", f"> {rng.choice(WORDS['filler'])}"]
        if quotes
        else []
    )
    body = joint.join(ticket.message())
    return "\n".join([*head, "", rng.choice(WORDS["greeting"]), "", body, "", *end, *quoted]), ticket.record()


_FRAMES = (
    *("{label}: {value}", "| {label} | {value} |", "{label}\n{value}"),
    *("**{label}:** {value}", "{label}\t{value}", "{label} = {value}"),
)
_LABELS = (
    ("Name", "Your name", "Customer", "From"),
    ("E-mail", "Mail", "Email address", "Contact"),
    ("Product", "Concerns", "Item", "About"),
    ("Order number", "Order", "Order no.", "Reference"),
)
_MESSAGES = ("Message: ", "Your message\n", "Details: ", "**Message**\n\n", "What happened?\n")


def form(sheet: Sheet, dice: Random) -> Draft:
    """A contact form: labels and a message."""
    ticket = _Ticket(sheet)
    frame, labels, message = (
        dice.choice(_FRAMES),
        [dice.choice(each) for each in _LABELS],
        dice.choice(_MESSAGES),
    )
    title = dice.choice(("Web form", "## Contact form", "New request", "", "Support request"))
    prints_absent, absent = dice.random() < 0.5, dice.choice(("-", "n/a", "none", ""))
    has_orders = dice.random() < 0.6
    values = (ticket.name, ticket.email, ticket.product, ", ".join(ticket.orders) if has_orders else "")
    lines = [
        frame.format(label=label, value=value or absent)
        for label, value in zip(labels, values, strict=True)
        if value or prints_absent
    ]
    return "\n".join(
        [*([title] if title else []), *lines, message + " ".join(ticket.message())]
    ), ticket.record()


_TURNS = (
    "{who}: {text}",
    "[{time}] {who}: {text}",
    "<{who}> {text}",
    "[chat {time}] {who}: {text}",
    "{time} {who}\n{text}",
)


def chat(sheet: Sheet, dice: Random) -> Draft:
    """A chat with an agent who asks for what is missing."""
    ticket = _Ticket(sheet)
    rng = ticket.rng
    frame = dice.choice(_TURNS)
    customer, agent = dice.choice(
        (("visitor", "agent"), ("Visitor", ""), ("Customer", "Support"), ("user", "bot"), ("Guest", ""))
    )
    agent = agent or rng.choice(pools.pools().first)
    hellos = [each for each in WORDS["ticket hello"] if ticket.product or "{it}" not in each]
    hello = rng.choice(hellos).format(it=ticket.product)
    opened = dice.choice(WORDS["ticket joined"]).format(agent)
    greeted = [("System", opened)] if dice.random() < 0.4 else []
    turns = [*greeted, (agent, hello), *((customer, each) for each in ticket.message())]
    if ticket.name or ticket.email:
        turns += [(agent, rng.choice(WORDS["ticket ask"])), (customer, _introduced(ticket))]
        if ticket.name and rng.random() < 0.3:
            turns.append((agent, f"Thank you, {ticket.plain_name.split()[0]}."))
    for _ in range(rng.choice((0, 0, 1, 2, 3))):
        turns += [(agent, rng.choice(WORDS["ticket more"])), (customer, said(rng, WORDS["ticket prose"]))]
    turns.append((agent, rng.choice(WORDS["ticket answer"])))
    second, has_seconds = rng.randint(28_800, 60_000), dice.random() < 0.4
    title, day = dice.choice(WORDS["ticket chat"]), sheet.style.date(draw_date(rng))
    lines = [title.format(day=day, n=rng.randint(100, 99_999))] if dice.random() < 0.5 else []
    for who, text in turns:
        second += rng.randint(5, 150)
        time = clock(second)
        lines.append(frame.format(who=who, time=time if has_seconds else time[:5], text=text))
    return "\n".join(lines), ticket.record()


def _introduced(ticket: _Ticket) -> str:
    """Who the customer is, as one answers in a chat."""
    rng = ticket.rng
    known = [each for each in (ticket.name, ticket.email) if each]
    if rng.random() < 0.6:
        return rng.choice((", ", " - ", " ", " / ", "\n")).join(known)
    name = rng.choice(WORDS["ticket caller"]).format(ticket.name) if ticket.name else ""
    mail = rng.choice(WORDS["ticket reach"]).format(ticket.email) if ticket.email else ""
    return f"{name} {mail}".strip()


def note(sheet: Sheet, dice: Random) -> Draft:
    """A note of a call, a voicemail, or a message that starts at once."""
    ticket = _Ticket(sheet)
    rng, sheet.width = ticket.rng, dice.choice((None, None, 80))
    head, caller, reach = (dice.choice(WORDS[f"ticket {kind}"]) for kind in ("head", "caller", "reach"))
    has_head, name_last, in_lines = (dice.random() < share for share in (0.6, 0.4, 0.35))
    who = [caller.format(ticket.name)] if ticket.name else []
    parts = [head.format(n=rng.randint(100, 99_999))] if has_head else []
    parts += [*([] if name_last else who), *ticket.message()]
    mail = [reach.format(ticket.email)] if ticket.email else []
    if in_lines:
        # as a mail without its head: signed below, with the address under the name
        parts += [rng.choice(WORDS["closing"])] if rng.random() < 0.5 else []
        signed = [each for each in (ticket.name if name_last else "", ticket.email) if each]
        return "\n".join([" ".join(parts), *signed]), ticket.record()
    return " ".join([*parts, *mail, *(who if name_last else [])]), ticket.record()


GENRES = {"ticket_mail": mail, "ticket_form": form, "ticket_chat": chat, "ticket_note": note}
