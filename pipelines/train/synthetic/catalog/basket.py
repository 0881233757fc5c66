"""What is bought: lines with quantities and prices that add up."""

from dataclasses import dataclass
from random import Random

from pipelines.train.synthetic.things import thing


@dataclass(frozen=True, kw_only=True)
class Line:
    """One thing bought or done; amounts in cents."""

    name: str
    # in tenths; None if only the amount is printed
    tenths: int | None
    unit_price: int | None
    amount: int


def draw_lines(
    rng: Random, names: tuple[str, ...], count: int, *, low: int, high: int, flat: float = 0.0
) -> list[Line]:
    """Lines of different things like `names` at `low` to `high` cents each; the share `flat` has an amount alone."""
    once = dict.fromkeys(thing(rng, names) for _ in range(count))
    return [_line(rng, name, low, high, is_flat=rng.random() < flat) for name in once]


def _line(rng: Random, name: str, low: int, high: int, *, is_flat: bool) -> Line:
    price = int(low * (high / low) ** rng.random())
    price = price // 50 * 50 or 50 if rng.random() < 0.5 else price
    if is_flat:
        return Line(name=name, tenths=None, unit_price=None, amount=price)
    tenths = rng.choice((10, 10, 10, 20, 20, 30, 40, 60, 120, 15, 25, 85))
    tenths = tenths if tenths % 10 == 0 or rng.random() < 0.3 else 10
    amount = price * tenths // 10
    return Line(name=name, tenths=tenths, unit_price=price, amount=amount)


def quantity(line: Line, point: str = ".") -> str:
    """The printed quantity: 2, 2.5."""
    if line.tenths is None:
        return ""
    whole, rest = divmod(line.tenths, 10)
    return f"{whole}{point}{rest}" if rest else str(whole)
