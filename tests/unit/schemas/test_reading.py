import pickle
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.candidates import find_value
from schemas.errors import ConversionError
from schemas.forms import VERBATIM, Kind, Leaf
from schemas.reading import read, unit_of

DECIMAL = Leaf(kind=Kind.DECIMAL)
EUROPEAN = Leaf(kind=Kind.DECIMAL, decimal_comma=True)
INTEGER = Leaf(kind=Kind.INTEGER)
FLOAT = Leaf(kind=Kind.FLOAT)
CURRENCY = Leaf(kind=Kind.CURRENCY)
DAY_FIRST = Leaf(kind=Kind.DATE, day_first=True)
MONTH_FIRST = Leaf(kind=Kind.DATE)
MOMENT = Leaf(kind=Kind.DATETIME, day_first=True)


def test_text_is_collapsed_and_inferred_text_stripped():
    assert read(Leaf(kind=Kind.TEXT), " Acme\r\n  Ltd ") == "Acme Ltd"
    assert read(Leaf(kind=Kind.INFERRED), " two\nlines ") == "two\nlines"
    with pytest.raises(ConversionError, match="only white space"):
        read(Leaf(kind=Kind.TEXT), " \n")


@pytest.mark.parametrize(
    ("printed", "value"),
    [
        ("RM 1,234.50", "1234.50"),
        ("1.234,50 EUR", "1234.50"),
        ("1 234,50", "1234.50"),
        ("1\u202f234\u00a0567,50", "1234567.50"),
        ("1'234.50", "1234.50"),
        ("1’234.50", "1234.50"),
        ("$12", "12"),
        ("RM12.00", "12.00"),
        ("Rs.500", "500"),
        (".5", "0.5"),
        ("45,-", "45"),
        ("4 pcs", "4"),
        ("12%", "12"),
        ("50,000 per year", "50000"),
        ("1,234,567", "1234567"),
        ("1.234.567", "1234567"),
        ("1,23,456.00", "123456.00"),
        ("1,234", "1234"),
        ("1.234", "1.234"),
        ("1234,567", "1234.567"),
        ("0,500", "0.500"),
        ("85k", "85000"),
        ("$1.2M", "1200000"),
        ("85K per year", "85000"),
        ("1.2 million", "1200000"),
        ("5 lakhs", "500000"),
        ("10km", "10"),
        ("-12.5", "-12.5"),
        ("−12.5", "-12.5"),
        ("- 5", "-5"),
        ("12.5-", "-12.5"),
        ("-RM 12.00", "-12.00"),
        ("RM -12.00", "-12.00"),
        ("1,234.00-", "-1234.00"),
        ("2 150.00", "2150.00"),
        ("(1,234.00)", "-1234.00"),
        ("($5.00)", "-5.00"),
        ("RM (12.00)", "-12.00"),
        ("thirty (30) days", "30"),
        ("four (4)", "4"),
        ("INV-12", "12"),
        ("Discount - 5.00", "5.00"),
        ("١٬٢٣٤٫٥", "1234.5"),
        ("１２．５", "12.5"),
    ],
)
def test_numbers(printed, value):
    assert str(read(DECIMAL, printed)) == value


@pytest.mark.parametrize(
    ("printed", "value"),
    [
        ("€ 45.000", "45000"),
        ("45.000,00", "45000.00"),
        ("1,234", "1.234"),
        ("1.234.567,5", "1234567.5"),
        ("12.5", "12.5"),
    ],
)
def test_a_decimal_comma_swaps_the_roles(printed, value):
    assert str(read(EUROPEAN, printed)) == value


@pytest.mark.parametrize(
    ("printed", "reason"),
    [
        ("", "0 numbers"),
        ("free", "0 numbers"),
        ("1.00 x 3.00", "2 numbers"),
        ("40 - 50", "2 numbers"),
        ("40-50", "2 numbers"),
        ("$24,000-$36,000", "2 numbers"),
        ("0 150.00", "2 numbers"),
        ("85k–95k", "2 numbers"),
        ("1/2", "2 numbers"),
        ("5'10", "2 numbers"),
        ("12.05.18", "do not group"),
        ("1,23,45", "do not group"),
        ("1,234.567,89", "do not group"),
    ],
)
def test_what_is_no_single_number_is_refused(printed, reason):
    with pytest.raises(ConversionError, match=reason):
        read(DECIMAL, printed)


def test_integers_and_floats_keep_their_range():
    assert read(INTEGER, "1,200.00 pcs") == 1200
    assert read(FLOAT, "12.5 kg") == 12.5
    with pytest.raises(ConversionError, match="fraction"):
        read(INTEGER, "12.5")
    with pytest.raises(ConversionError, match="64 bits"):
        read(INTEGER, "9" * 5000)
    with pytest.raises(ConversionError, match="too large"):
        read(FLOAT, "9" * 400)


def grouped(number: Decimal, thousands: str, mark: str) -> str:
    return f"{number:,f}".translate(str.maketrans({",": thousands, ".": mark}))


NUMBERS = st.decimals(min_value=0, max_value=10**12, places=2)


@given(NUMBERS, st.sampled_from([",.", " .", "'.", ".,", " ,", "\u00a0,", "\u202f,"]), st.booleans())
def test_any_number_in_any_style_reads_back(number, style, comma):
    leaf = EUROPEAN if comma else DECIMAL
    printed = grouped(number, *style)
    assert read(leaf, printed) == number
    assert read(leaf, f"RM {printed}") == number
    assert read(leaf, f"{printed} EUR per year") == number
    for negative in (f"-{printed}", f"−€{printed}", f"{printed}-", f"({printed})"):
        assert read(leaf, negative) == -number


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30, places=4))
def test_a_plain_decimal_reads_back(number):
    assert read(DECIMAL, f"{number:f}") == number


@given(st.integers(0, 2**63 - 1))
def test_any_integer_reads_back(number):
    assert read(INTEGER, f"{number:,}") == read(INTEGER, str(number)) == number
    assert read(Leaf(kind=Kind.INTEGER, decimal_comma=True), f"{number:,}".replace(",", ".")) == number


@pytest.mark.parametrize(
    ("printed", "unit"),
    [
        ("RM 1,234.50", "RM"),
        ("1.234,50 EUR", "EUR"),
        ("12 kg", "kg"),
        ("10km", "km"),
        ("45", None),
        ("(1,234.00)", None),
        ("-$85k per year", "$"),
        ("$ 12.00 CAD", "CAD"),
        ("Qty: 3", None),
        ("no number", None),
        ("2 x 3 kg", None),
        ("", None),
    ],
)
def test_units(printed, unit):
    assert unit_of(printed) == unit


@pytest.mark.parametrize(
    ("printed", "code"),
    [
        ("EUR", "EUR"),
        ("usd", "USD"),
        ("RM", "MYR"),
        ("€", "EUR"),
        ("$", "USD"),
        ("US$", "USD"),
        ("S$12.00", "SGD"),
        ("12,50€", "EUR"),
        ("RM12.00", "MYR"),
        ("$ 12 CAD", "CAD"),
        ("US Dollars", "USD"),
        ("all amounts in Malaysian Ringgit (RM)", "MYR"),
        ("100 euros", "EUR"),
        ("in dollars", "USD"),
        ("19k pounds", "GBP"),
        ("Jamaican Dollars", "JMD"),
        ("Hong Kong\ndollars", "HKD"),
        ("Yen", "JPY"),
        ("zł", "PLN"),
    ],
)
def test_currencies(printed, code):
    assert read(CURRENCY, printed) == code


@pytest.mark.parametrize("printed", ["", "kr", "Rhodesian dollars", "Q$", "QTY", "EUR or USD", "12"])
def test_what_is_no_single_currency_is_refused(printed):
    with pytest.raises(ConversionError, match="a currency"):
        read(CURRENCY, printed)


@pytest.mark.parametrize("leaf", [DAY_FIRST, MONTH_FIRST])
@pytest.mark.parametrize(
    ("printed", "day"),
    [
        ("2018-12-05", date(2018, 12, 5)),
        ("2018/12/5", date(2018, 12, 5)),
        ("20181225", date(2018, 12, 25)),
        ("December 11,2014", date(2014, 12, 11)),
        ("22 June 28th, 2019", date(2019, 6, 28)),
        ("20th day\nof September,\n2001", date(2001, 9, 20)),
        ("06 JUN\n00", date(2000, 6, 6)),
        ("2018-12-05T10:00:00Z", date(2018, 12, 5)),
        ("3rd of March 2024", date(2024, 3, 3)),
        ("this 1st day of June, 2015", date(2015, 6, 1)),
        ("2 January, 2019", date(2019, 1, 2)),
        ("25. December 2018", date(2018, 12, 25)),
        ("25-DEC-2018", date(2018, 12, 25)),
        ("05MAR18", date(2018, 3, 5)),
        ("Dec. 25, 2018", date(2018, 12, 25)),
        ("Sept 5th, 2018", date(2018, 9, 5)),
        ("Item 5 March 12, 2018", date(2018, 3, 12)),
        ("Dec 25 '68", date(2068, 12, 25)),
        ("25 Dec 69", date(1969, 12, 25)),
        ("25.12.18", date(2018, 12, 25)),
        ("25 / 12 / 2018", date(2018, 12, 25)),
        ("Sat 25/12/2018 14:33", date(2018, 12, 25)),
        ("13/12/2018", date(2018, 12, 13)),
        ("12/13/2018", date(2018, 12, 13)),
        ("25‑12‑2018", date(2018, 12, 25)),
        ("٢٥/١٢/٢٠١٨", date(2018, 12, 25)),
        ("2024-02-29 (29 Feb 2024)", date(2024, 2, 29)),
    ],
)
def test_dates_with_one_reading(leaf, printed, day):
    assert read(leaf, printed) == day


def test_day_first_decides_between_two_readings():
    assert read(DAY_FIRST, "03/04/2024") == date(2024, 4, 3)
    assert read(MONTH_FIRST, "03/04/2024") == date(2024, 3, 4)


@pytest.mark.parametrize(
    "printed",
    [
        *(
            "",
            "soon",
            "Sat 14:33",
            "March 2024",
            "5 May",
            "May",
            "12/2018",
            "2018",
            "Dec 20 18:33",
            "1.2.3.4",
        ),
        *(
            "31/02/2020",
            "29 Feb 2023",
            "00/00/2018",
            "99999999",
            "18991225",
            "7.84. 20",
            "1,234.50",
            "1 March 2024 to 3 April 2024",
        ),
    ],
)
@pytest.mark.parametrize("leaf", [DAY_FIRST, MONTH_FIRST, MOMENT])
def test_what_is_no_single_whole_date_is_refused(leaf, printed):
    with pytest.raises(ConversionError, match="does not read as a date"):
        read(leaf, printed)


DATES = st.dates(date(1000, 1, 1), date(9999, 12, 31))
STYLES = [
    "%Y-%m-%d",
    "%d %B %Y",
    "%B %d, %Y",
    "%B %d,%Y",
    "%d-%b-%Y",
    "%b. %d, %Y",
    "%A, %d %b %Y",
    "%dth day of %B, %Y",
]


@given(DATES, st.sampled_from(STYLES), st.booleans())
def test_any_date_in_any_style_reads_back(day, style, day_first):
    assert read(Leaf(kind=Kind.DATE, day_first=day_first), day.strftime(style)) == day


@given(DATES, st.sampled_from("/-. "), st.sampled_from(["", " 14:33", " noon"]))
def test_any_numeric_date_reads_back_as_its_field_says(day, mark, rest):
    assert read(DAY_FIRST, day.strftime(f"%d{mark}%m{mark}%Y") + rest) == day
    assert read(MONTH_FIRST, day.strftime(f"%m{mark}%d{mark}%Y") + rest) == day


@given(st.dates(date(1969, 1, 1), date(2068, 12, 31)))
def test_two_digits_of_a_year_do_not_depend_on_today(day):
    assert read(DAY_FIRST, day.strftime("%d/%m/%y")) == day
    assert read(DAY_FIRST, day.strftime("%d %b '%y")) == day


@pytest.mark.parametrize(
    ("printed", "moment"),
    [
        ("25/12/2018", datetime(2018, 12, 25)),
        ("25/12/2018 14:33", datetime(2018, 12, 25, 14, 33)),
        ("14:33 25/12/2018", datetime(2018, 12, 25, 14, 33)),
        ("25/Dec/2018:14:33:05", datetime(2018, 12, 25, 14, 33, 5)),
        ("25/12/2018 2:33 PM", datetime(2018, 12, 25, 14, 33)),
        ("25 Dec 2018 at 2 p.m.", datetime(2018, 12, 25, 14)),
        ("2018-12-25T14:33:05.5", datetime(2018, 12, 25, 14, 33, 5, 500_000)),
        ("2018-12-25T14:33:00Z", datetime(2018, 12, 25, 14, 33, tzinfo=UTC)),
        ("25/12/2018 2:33 pm UTC", datetime(2018, 12, 25, 14, 33, tzinfo=UTC)),
        (
            "Tue, 25 Dec 2018 14:33:00 +0800",
            datetime(2018, 12, 25, 14, 33, tzinfo=timezone(timedelta(hours=8))),
        ),
    ],
)
def test_moments(printed, moment):
    found = read(MOMENT, printed)
    assert found == moment
    assert found.utcoffset() == moment.utcoffset()


@pytest.mark.parametrize(
    "printed", ["25/12/2018 25:00", "25/12/2018 13:00-14:00", "25/12/2018 14:33:00 +99:99"]
)
def test_impossible_and_several_times_are_refused(printed):
    with pytest.raises(ConversionError):
        read(MOMENT, printed)


@given(st.datetimes(datetime(1000, 1, 1)))
def test_any_moment_reads_back(moment):
    assert read(MOMENT, moment.isoformat()) == moment
    minute = moment.replace(second=0, microsecond=0)
    assert read(MOMENT, minute.strftime("%d/%m/%Y %H:%M")) == minute
    assert read(MOMENT, minute.strftime("%I:%M %p, %d %b %Y")) == minute


def test_the_error_says_what_was_printed_and_what_reads():
    with pytest.raises(ConversionError) as caught:
        read(MONTH_FIRST, "next week")
    error = pickle.loads(pickle.dumps(caught.value))
    assert error.message == "'next week' does not read as a date: there is none in it."
    assert "25/12/2018" in error.hint
    assert error.facts["printed"] == "next week"


LEAVES = st.builds(
    Leaf, kind=st.sampled_from(sorted(VERBATIM)), day_first=st.booleans(), decimal_comma=st.booleans()
)
WORDS = st.sampled_from(
    [
        *(
            "12",
            "1,234.50",
            "25",
            "0",
            "2018",
            "99999999",
            "٣",
            "½",
            "²",
            "12:30",
            "+99:99",
            "am",
            "Z",
            "T",
            "EST",
        ),
        *(
            "Dec",
            "March",
            "ſept",
            "Fri",
            "st",
            "day of",
            "RM",
            "$",
            "k",
            "/",
            "-",
            "−",
            ".",
            ":",
            "(",
            ")",
            " ",
            "\n",
        ),
    ]
)
TEXTS = (
    st.text(max_size=40)
    | st.lists(WORDS, max_size=12).map("".join)
    | st.lists(WORDS, max_size=12).map(" ".join)
)


@given(LEAVES, TEXTS)
def test_no_text_raises_anything_but_a_conversion_error(leaf, printed):
    unit_of(printed)
    find_value(leaf, printed, printed)
    try:
        value = read(leaf, printed)
    except ConversionError as error:
        assert repr(printed) in error.message
    else:
        assert value is not None


@pytest.mark.parametrize(
    ("leaf", "value", "text", "found"),
    [
        (DECIMAL, "1234.5", "Subtotal 1,134.50 Total RM 1,234.50", ["1,234.50"]),
        (DECIMAL, "1234.50", "a -1,234.50 b (1,234.50) c 1 234,50", ["1,234.50", "1 234,50"]),
        (DECIMAL, "-1234.50", "a -1,234.50 b (RM 1,234.50) c 1 234,50", ["-1,234.50", "(RM 1,234.50)"]),
        (EUROPEAN, "1234", "Summe 1.234 €", ["1.234"]),
        (INTEGER, "85000", "85k to 95k", ["85k"]),
        (FLOAT, "0.5", "half: .50 kg", [".50"]),
        (CURRENCY, "EUR", "EUR 12, 13 €, 14 $", ["EUR", "€"]),
        (
            DAY_FIRST,
            "2024-03-03",
            "on the 3rd of March 2024 (03/03/24) at 10:00",
            ["3rd of March 2024", "03/03/24"],
        ),
        (DAY_FIRST, "2024-04-03", "03/04/2024, 04/03/2024", ["03/04/2024"]),
        (MOMENT, "2024-03-03T14:33:00", "Printed 03/03/24 at 2:33 pm.", ["03/03/24 at 2:33 pm"]),
        (DECIMAL, "7", "nothing", []),
        (DECIMAL, "seven", "7", []),
        (Leaf(kind=Kind.TEXT), "7", "7", []),
    ],
)
def test_find_value(leaf, value, text, found):
    assert [text[start:end] for start, end in find_value(leaf, value, text)] == found


@given(NUMBERS, DATES, st.text(alphabet="ab\r\n 東👍é\u0301", max_size=20))
def test_a_printed_value_is_found_where_it_stands(number, day, noise):
    text = f"{noise} {day:%d %B %Y}; {noise} RM {number:,} only\n"
    [money] = find_value(DECIMAL, str(number), text.replace(f"{day:%d %B %Y}", "x" * len(f"{day:%d %B %Y}")))
    assert text[slice(*money)] == f"{number:,}"
    [printed] = find_value(DAY_FIRST, day.isoformat(), text)
    assert text[slice(*printed)] == f"{day:%d %B %Y}"
