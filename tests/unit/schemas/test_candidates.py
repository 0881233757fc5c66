from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.candidates import candidates, find_value, is_offered
from schemas.forms import Kind, Leaf
from schemas.reading import read

TYPED = [Kind.DECIMAL, Kind.INTEGER, Kind.FLOAT, Kind.DATE, Kind.DATETIME, Kind.CURRENCY]
WORDS = [
    "Total",
    "RM",
    "€",
    "12.50",
    "1,234.50",
    "25/12/2018",
    "8:13 PM",
    "3rd of March 2024",
    "(5.00)",
    "12kg",
    "\n",
    "x",
    "-",
    "15%",
]


def leaf(kind: Kind) -> Leaf:
    return Leaf(kind=kind, day_first=True, max_length=64)


@pytest.mark.parametrize(
    ("kind", "text", "found"),
    [
        (Kind.DECIMAL, "TOTAL RM 1,234.50", ["RM 1,234.50", "1,234.50"]),
        (Kind.DECIMAL, "12 kg at 3.00 EUR", ["12", "12 kg", "3.00", "3.00 EUR"]),
        (Kind.DECIMAL, "refund (12.00)", ["(12.00)", "12.00"]),
        (Kind.DECIMAL, "€85k per year", ["€85k", "85k", "85k per year"]),
        (Kind.INTEGER, "1.5 or 2", ["2"]),
        (Kind.DATE, "Issued 25/12/2018, due 3rd of March 2024", ["25/12/2018", "3rd of March 2024"]),
        (Kind.DATE, "no such day: 31/02/2020", []),
        (Kind.DATETIME, "on 25/12/2018 8:13 PM", ["25/12/2018 8:13 PM"]),
        (Kind.CURRENCY, "in EUR or €, never XQZ", ["EUR", "€"]),
        # a range, and a ledger's minus
        (Kind.DECIMAL, "pays $24,000-$36,000", ["$24,000", "24,000", "$36,000", "36,000"]),
        (Kind.DECIMAL, "€60k–€75k", ["€60k", "60k", "€75k", "75k"]),
        (Kind.DECIMAL, "30%-40%", ["30", "30%", "40", "40%"]),
        (Kind.DECIMAL, "24,000--36,000", ["24,000", "36,000"]),
        (Kind.DECIMAL, "balance 1,234.00-\nnext", ["1,234.00-"]),
        (Kind.DECIMAL, "1,234.00- 500.00", ["1,234.00", "1,234.00-", "500.00"]),
        (Kind.DECIMAL, "10.00 -5.59", ["10.00", "-5.59", "5.59"]),
        # columns, or thousands
        (Kind.DECIMAL, "2 150.00", ["2", "2 150.00", "150.00"]),
        (Kind.DECIMAL, "2 150 300.00", ["2", "2 150", "2 150 300.00", "150", "150 300.00", "300.00"]),
        (Kind.DECIMAL, "1 050.00 €", ["1 050.00", "1 050.00 €"]),
        (Kind.DECIMAL, "0 150.00", ["0", "150.00"]),
        # what is part of something else
        (Kind.DECIMAL, "25/12/2018 8:13 PM 12/05/18 150.00", ["150.00"]),
        (Kind.DECIMAL, "Tel: 03-7781 8333, Fax 03-7781.8334", ["03", "7781.8334"]),
        (Kind.DECIMAL, "at 8:58 or 8:13:39 or 9:15 pm", ["8", "58", "58 or"]),
        (Kind.DECIMAL, "(a) 5 (b) (x6)", ["5", "(x6)", "6"]),
        (Kind.DECIMAL, "5 Mar 20 pcs", ["5", "5 Mar", "20", "20 pcs"]),
        (Kind.DECIMAL, "7.84. 20th day of September", ["7.84", "20", "20th"]),
        (Kind.INTEGER, "made on 25/12/2018", ["25", "12", "2018"]),
        # the lines and numbers around a date
        (Kind.DATE, "by 1824\nJan 30, 2017", ["Jan 30, 2017"]),
        (Kind.DATE, "1824\nJanuary\n30, 2017", ["January\n30, 2017"]),
        (Kind.DATE, "Attachment D\n1\nMarch 2014", []),
        (Kind.DATE, "due on 30\nJanuary 2017", ["30\nJanuary 2017"]),
        (Kind.DATE, "this 6th\nday of February,\n2012", ["6th\nday of February,\n2012"]),
        (Kind.DATE, "the 2\nnd day of March, 2009", ["2\nnd day of March, 2009"]),
        (Kind.DATE, "April 6th\n, 2005", ["April 6th\n, 2005"]),
        (Kind.DATE, "25/12/\n2018", ["25/12/\n2018"]),
        (Kind.DATE, "22 June 28th, 2019", ["June 28th, 2019"]),
        (Kind.DATE, "57 of September 22nd, 2005", ["September 22nd, 2005"]),
        (Kind.DATE, "12-Dec-07\n35599", ["12-Dec-07"]),
        (Kind.DATE, "12 Dec 07\n2017", ["12 Dec 07", "Dec 07\n2017"]),
        (Kind.DATE, "7.84. 20th day of September, 2001", ["20th day of September, 2001"]),
        (Kind.DATE, "7.84. 20th day of September", []),
        (Kind.DATE, "December 11,2014", ["December 11,2014"]),
        (Kind.DATE, "01/02/2018-05/02/2018", ["01/02/2018", "05/02/2018"]),
        (Kind.DATE, "3-5 March 2018", ["5 March 2018"]),
        (Kind.DATE, "no 25032018, item 25140821", ["25032018"]),
        (Kind.DATETIME, "14:33 25/12/2018", ["14:33 25/12/2018", "25/12/2018"]),
        (Kind.DATETIME, "[25/Dec/2018:14:33:05]", ["25/Dec/2018:14:33:05"]),
        (
            Kind.CURRENCY,
            "19k pounds, in dollars, Egyptian\npounds",
            ["pounds", "dollars", "Egyptian\npounds"],
        ),
        (Kind.CURRENCY, "ALL of the TOP: TRY A PEN, R Smith", []),
        (Kind.CURRENCY, "12 PEN, R 5, (TRY), prices in MAD", ["PEN", "R", "TRY", "MAD"]),
        (Kind.DECIMAL, "", []),
    ],
)
def test_what_a_text_prints(kind, text, found):
    assert candidates(leaf(kind), text) == found


def test_what_is_longer_than_the_leaf_takes_is_left_out():
    short = Leaf(kind=Kind.DECIMAL, max_length=5)
    assert candidates(short, "123456 and 1.50") == ["1.50"]


def test_each_spelling_is_listed_once():
    assert candidates(leaf(Kind.DECIMAL), "5.00\n5.00\n5.00") == ["5.00"]


@given(st.sampled_from(TYPED), st.one_of(st.text(), st.lists(st.sampled_from(WORDS)).map(" ".join)))
def test_every_candidate_reads_and_stands_in_the_text(kind, text):
    for printed in candidates(leaf(kind), text):
        assert printed in text
        read(leaf(kind), printed)


@given(st.decimals(min_value=0, max_value=10**9, places=2), st.sampled_from(["", "RM ", "$", "EUR "]))
def test_an_amount_is_among_the_candidates_with_and_without_its_currency(amount, sign):
    found = candidates(leaf(Kind.DECIMAL), f"Subtotal 1.00\nTotal: {sign}{amount:,}\n25/12/2018")
    assert f"{amount:,}" in found
    assert f"{sign}{amount:,}" in found
    assert read(leaf(Kind.DECIMAL), f"{sign}{amount:,}") == Decimal(amount)


AMOUNTS = st.decimals(min_value=1, max_value=10**7, places=2)
SIGNS = st.sampled_from(["", "RM", "$", "€", "US$", "EUR "])


@given(AMOUNTS, AMOUNTS, SIGNS, st.sampled_from(["-", "–", " - ", "--", " to "]))
def test_both_ends_of_a_range_are_offered_without_its_hyphen(low, high, sign, hyphen):
    found = candidates(leaf(Kind.DECIMAL), f"Pay: {sign}{low:,}{hyphen}{sign}{high:,}")
    assert {f"{low:,}", f"{sign}{low:,}", f"{high:,}", f"{sign}{high:,}"} <= set(found)
    assert not any(printed.endswith("-") for printed in found)


@given(AMOUNTS, SIGNS, st.sampled_from(["", "\n", " ", "\tbalance", ", paid", "\n500.00", "  500.00", ")"]))
def test_a_minus_after_a_number_is_offered(amount, sign, rest):
    printed = f"{amount:,}-"
    assert printed in candidates(leaf(Kind.DECIMAL), f"Balance {sign}{printed}{rest}")
    assert read(leaf(Kind.DECIMAL), printed) == -amount


@given(st.integers(1, 999), st.decimals(min_value=100, max_value=999, places=2), SIGNS)
def test_two_columns_and_a_number_with_grouped_digits_are_offered(quantity, price, sign):
    found = candidates(leaf(Kind.DECIMAL), f"bolts {quantity} {price} {sign}")
    assert {f"{quantity}", f"{price}", f"{quantity} {price}"} <= set(found)
    assert read(leaf(Kind.DECIMAL), f"{quantity} {price}") == quantity * 1000 + price


DAYS = st.dates(date(1969, 1, 1), date(2068, 12, 31))
STYLES = st.sampled_from(
    [
        *("%d/%m/%Y", "%d.%m.%y", "%d - %m - %Y", "%Y-%m-%d", "%d-%b-%y", "%d %b %y", "%d%b%Y"),
        *("%d %B %Y", "%dth day of %B, %Y", "%B %d, %Y", "%b. %dth %Y", "%B %d,%Y"),
    ]
)


@given(DAYS, STYLES, st.integers(0, 99_999), st.integers(0, 99_999))
def test_a_date_is_offered_whatever_numbers_stand_on_the_lines_around_it(day, style, above, below):
    printed = day.strftime(style)
    found = candidates(leaf(Kind.DATE), f"{above}\n{printed}\n{below}")
    assert printed in found
    assert not any(each.startswith(f"{above}\n") for each in found)


@given(DAYS, st.sampled_from(["%B\n%d, %Y", "%B %d,\n%Y", "%dth\nday of %B, %Y", "%dth day of %B,\n%Y"]))
def test_a_date_broken_over_two_lines_is_offered(day, style):
    printed = day.strftime(style)
    assert printed in candidates(leaf(Kind.DATE), f"made as of {printed} between")
    assert read(leaf(Kind.DATE), printed) == day


@given(st.integers(0, 99_999_999), st.booleans())
def test_eight_digits_are_one_date_or_none(number, day_first):
    digits = f"{number:08}"
    taking = Leaf(kind=Kind.DATE, day_first=day_first)
    for printed in candidates(taking, f"no. {digits} of"):
        assert printed == digits
        day = read(taking, digits)
        assert digits in {day.strftime("%Y%m%d"), day.strftime("%d%m%Y" if day_first else "%m%d%Y")}


@given(st.dates(date(1950, 1, 1), date(2049, 12, 31)))
def test_eight_digits_are_read_in_the_order_of_their_field(day):
    for day_first, style in ((True, "%d%m%Y"), (False, "%m%d%Y"), (True, "%Y%m%d"), (False, "%Y%m%d")):
        assert read(Leaf(kind=Kind.DATE, day_first=day_first), day.strftime(style)) == day


@given(DAYS, st.sampled_from(["%d/%m/%Y", "%Y-%m-%d", "%d %B %Y", "%d.%m.%Y 10:20"]), AMOUNTS)
def test_amounts_are_no_parts_of_dates_and_whole_numbers_may_be(day, style, amount):
    text = f"{day.strftime(style)} {amount}"
    assert candidates(leaf(Kind.DECIMAL), text) == [f"{amount}"]
    # the dots of a date join a number
    assert "." in style or f"{day:%Y}" in candidates(leaf(Kind.INTEGER), text)


@given(AMOUNTS, st.text(alphabet="12-/: ,.RM$\n", max_size=12))
def test_a_number_is_found_in_a_spelling_that_is_offered(amount, noise):
    text = f"{noise} {amount} {noise}"
    spans = find_value(leaf(Kind.DECIMAL), str(amount), text)
    assert {text[start:end] for start, end in spans} <= set(candidates(leaf(Kind.DECIMAL), text))


@pytest.mark.parametrize("kind", [Kind.DECIMAL, Kind.DATETIME, Kind.CURRENCY])
@pytest.mark.parametrize(
    "unit",
    [
        *("1", "1 ", "1\n", "123 ", "1,234", "12-", "12/", "1:", "(1", "- ", "24,000-$", "20181225 "),
        *("Jan ", "1 Jan\n", "May 1, ", "1st\n", "day of ", "tel 12 34 ", "R ", "RM-", "US  ", "TRY "),
    ],
)
def test_time_grows_no_faster_than_the_text(kind, unit):
    # what is tried at every place and runs to the end would take half a minute
    text = unit * (30_000 // len(unit))
    assert all(printed in text for printed in candidates(leaf(kind), text)[:50])


@pytest.mark.parametrize(
    "pattern", [r"^[\w.+-]+@[\w-]+(\.[\w-]+)+$", r"^[\w#/.-]*\d[\w/-]*$", r"^\w+ (1|a)+$"]
)
@pytest.mark.parametrize("unit", ["a", "1", "a-", "1-", "a1", "-", ".a@", "a@", "a.", "1 ", "#/"])
def test_time_of_matching_grows_no_faster_than_the_text(pattern, unit):
    text = unit * (60_000 // len(unit))
    offered = Leaf(kind=Kind.TEXT, pattern=pattern)
    assert all(printed in text for printed in candidates(offered, text)[:50])


def test_a_match_longer_than_a_value_may_be_is_no_value():
    offered = Leaf(kind=Kind.TEXT, pattern=r"^[A-Z]+$", max_length=5)
    assert candidates(offered, "ABCDE ABCDEF ABC") == ["ABCDE", "ABC"]


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        (
            r"^[\w.+-]+@[\w-]+(\.[\w-]+)+$",
            "<a.b@c.example>, (d-e@f.example).",
            ["a.b@c.example", "d-e@f.example"],
        ),
        (r"^[\w.+-]+@[\w-]+(\.[\w-]+)+$", "write to a@b", []),
        (r"^[A-Z]{2}-\d+(\.\d)?$", "AB-12.5 and CD-7, AB-12.5", ["AB-12.5", "CD-7"]),
        # no part of a word
        (r"^\d{4}$", "2024 and 20245", ["2024"]),
        (r"^[a-z]{3}$", "cat catch", ["cat"]),
        # the longest of the choices, wherever it stands in the pattern
        (r"^(cat|catalog)$", "catalog, cat, cats", ["catalog", "cat"]),
        # a blank is any white space
        (
            r"^[\w-]+( \(\d+\))?[ -](years?|days?)$",
            "two\n  (2) years; two-year; 3 days",
            ["two\n  (2) years", "two-year", "3 days"],
        ),
        (r"^\d+ ?kg( net)*$", "5kg, 6 kg  net", ["5kg", "6 kg  net"]),
        (r"^[a|b]\|$", "a| |", ["a|"]),
    ],
)
def test_a_text_with_a_whole_pattern_is_offered_its_matches(
    pattern: str, text: str, found: list[str]
) -> None:
    offered = Leaf(kind=Kind.TEXT, pattern=pattern)
    assert is_offered(offered)
    assert candidates(offered, text) == found
    assert candidates(Leaf(kind=Kind.TEXT, pattern=pattern, max_length=4), text) == [
        each for each in found if len(each) <= 4
    ]


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        r"\d",
        r"^\d",
        r"\d$",
        r"^a\$",
        "^a\tb$",
        r"^a\ b$",
        r"^.+$",
        r"^\S+$",
        r"^[^@]+$",
        r"^\[a.b]$",
        r"^[\s\w]+$",
        r"^a|b$",
        r"^(a)|(b)$",
        r"^a+?$",
        r"^(?=a)\w$",
        r"^[$",
    ],
)
def test_where_a_pattern_ends_is_not_always_told(pattern: str) -> None:
    assert not is_offered(Leaf(kind=Kind.TEXT, pattern=pattern))
