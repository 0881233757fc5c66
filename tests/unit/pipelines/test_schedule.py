"""When runs are due."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.schedule import Cron, Every, Schedule
from schemas.errors import PipelineError

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "America/Santiago",
]
MOMENTS = st.datetimes(datetime(2024, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC))


def times(schedule: Schedule, start: datetime, num: int) -> list[datetime]:
    found = [start]
    for _ in range(num):
        found.append(schedule.after(found[-1]))
    return found[1:]


def local(*texts: str) -> list[datetime]:
    """Times of Berlin; those with `+` say which of two they are."""
    read = [datetime.fromisoformat(text) for text in texts]
    return [(one if one.tzinfo else one.replace(tzinfo=BERLIN)).astimezone(UTC) for one in read]


@pytest.mark.parametrize(
    ("expression", "start", "expected"),
    [
        ("30 6 * * 1-5", "2026-06-05T07:00", ["2026-06-08T06:30", "2026-06-09T06:30"]),
        # 02:30 is left out on 29 March
        ("30 2 * * *", "2026-03-28T12:00", ["2026-03-29T03:00", "2026-03-30T02:30"]),
        # 02:30 comes twice on 25 October
        ("30 2 * * *", "2026-10-24T12:00", ["2026-10-25T02:30+02:00", "2026-10-26T02:30"]),
        (
            "0 * * * *",
            "2026-10-25T01:30",
            ["2026-10-25T02:00+02:00", "2026-10-25T02:00+01:00", "2026-10-25T03:00"],
        ),
        ("0 * * * *", "2026-03-29T01:30", ["2026-03-29T03:00", "2026-03-29T04:00"]),
        ("0 8 29 2 *", "2026-01-01T00:00", ["2028-02-29T08:00", "2032-02-29T08:00"]),
    ],
)
def test_cron_goes_by_the_clock_of_its_zone(expression: str, start: str, expected: list[str]) -> None:
    (begin,) = local(start)
    assert times(Cron(expression, "Europe/Berlin"), begin, len(expected)) == local(*expected)


@settings(max_examples=60)
@given(moment=MOMENTS, zone=st.sampled_from(ZONES), minute=st.integers(0, 59), hour=st.integers(0, 23))
def test_a_daily_time_comes_once_a_day_on_every_clock(
    moment: datetime, zone: str, minute: int, hour: int
) -> None:
    schedule = Cron(f"{minute} {hour} * * *", zone)
    found = times(schedule, moment, 400)
    days = [one.astimezone(ZoneInfo(zone)).date() for one in found]
    assert all((after - before).days == 1 for before, after in pairwise(days))
    shifted = [
        one
        for one in found
        if (at := one.astimezone(ZoneInfo(zone))) and (at.hour, at.minute) != (hour, minute)
    ]
    # only where clocks are set forward
    assert len(shifted) <= 2


@settings(max_examples=100)
@given(
    schedule=st.one_of(
        st.builds(
            Cron,
            st.sampled_from(["*/7 * * * *", "5 */2 * * *", "0 0 * * 0", "15 3 1 * *"]),
            st.sampled_from(ZONES),
        ),
        st.builds(lambda seconds: Every(seconds=seconds), st.integers(1, 10**6)),
    ),
    moment=MOMENTS,
    share=st.floats(0, 1, exclude_max=True),
)
def test_the_next_time_is_later_and_no_time_is_left_out(
    schedule: Schedule, moment: datetime, share: float
) -> None:
    due = schedule.after(moment)
    assert due > moment and due.tzinfo is UTC
    between = moment + (due - moment) * share
    assert between >= due or schedule.after(between) == due


def test_intervals_are_counted_from_1970() -> None:
    moment = datetime(2026, 6, 5, 7, 44, 59, tzinfo=UTC)
    assert Every(minutes=15).after(moment) == datetime(2026, 6, 5, 7, 45, tzinfo=UTC)
    assert Every(minutes=15).after(moment + timedelta(seconds=1)) == datetime(2026, 6, 5, 8, 0, tzinfo=UTC)
    assert Every(days=1).after(moment) == datetime(2026, 6, 6, tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "zone", "said"),
    [
        ("61 * * * *", "UTC", "'61 * * * *' is no cron expression"),
        ("* * * *", "UTC", "is no cron expression"),
        ("0 6 * * *", "Europe/Bonn", "'Europe/Bonn' is no time zone"),
        ("0 6 * * *", "../etc/passwd", "is no time zone"),
        ("0 0 30 2 *", "UTC", "Bad day-of-month"),
    ],
)
def test_what_cannot_be_is_refused(expression: str, zone: str, said: str) -> None:
    with pytest.raises(PipelineError, match=said.replace("*", r"\*")) as caught:
        Cron(expression, zone)
    assert caught.value.hint


@pytest.mark.parametrize("given", [{}, {"seconds": 0.5}, {"minutes": -5}])
def test_an_interval_is_a_second_or_more(given: dict[str, float]) -> None:
    with pytest.raises(PipelineError, match="a second is the shortest"):
        Every(**given)
