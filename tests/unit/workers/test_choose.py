from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import SchemaSettings, Step
from workers.choose import First, Nearest, chooser
from workers.rank import Ranking

ANY = 10_000
# nearest to `a b c` first
TEXTS = ("a b c", "a b", "a", "x", "y")


def nearest(*sizes: int, texts: Sequence[str] = TEXTS) -> Nearest:
    return Nearest(texts[: len(sizes)], sizes)


def test_the_setting_names_the_chooser() -> None:
    assert isinstance(chooser(SchemaSettings(), TEXTS, [1] * 5), First)
    assert isinstance(chooser(SchemaSettings(shots="nearest"), TEXTS, [1] * 5), Nearest)


def test_the_nearest_stands_last() -> None:
    made = nearest(1, 1, 1, 1, 1, texts=("x", "a b", "y", "a b c", "a"))
    assert made.choose("a b c", Step(), ANY) == [2, 0, 4, 1, 3]
    assert made.choose("a b c", Step(max_shots=3), ANY) == [4, 1, 3]


def test_the_least_near_is_dropped_first() -> None:
    made = nearest(10, 10, 10, 10, 10)
    chosen = [made.choose("a b c", Step(), room) for room in (50, 49, 39, 29, 20)]
    assert chosen == [[4, 3, 2, 1, 0], [3, 2, 1, 0], [2, 1, 0], [1, 0], [1, 0]]


def test_one_that_is_too_long_makes_place_for_the_next() -> None:
    assert nearest(10, 80, 10, 10, 10).choose("a b c", Step(), 40) == [4, 3, 2, 0]


def test_the_nearest_is_left_out_if_no_other_fits_beside_it() -> None:
    assert nearest(95, 30, 90, 10, 50).choose("a b c", Step(), 100) == [4, 3, 1]
    # exactly one other does
    assert nearest(90, 30, 90, 10, 50).choose("a b c", Step(), 100) == [3, 0]
    # the shortest of all needs another one too
    assert nearest(1, 60, 50).choose("a b c", Step(), 51) == [2, 0]


def test_later_steps_skip_the_nearest() -> None:
    made = nearest(1, 1, 1, 1, 1)
    assert made.choose("a b c", Step(skip_shots=2), ANY) == [4, 3, 2]
    assert made.choose("a b c", Step(skip_shots=1, max_shots=2), ANY) == [2, 1]
    assert made.choose("a b c", Step(skip_shots=9), ANY) == [4, 3]


def test_least_holds_whichever_examples_are_skipped() -> None:
    made = nearest(5, 1, 4, 2, 3)
    assert [made.least(Step(skip_shots=skip)) for skip in (0, 1, 2, 3, 9)] == [3, 5, 7, 9, 9]


@pytest.mark.parametrize(
    ("free", "reserved"),
    [(300, 110), (220, 110), (200, 100), (100, 50), (60, 30), (40, 25)],
)
def test_windows_leave_room_for_any_two_or_half_and_never_less_than_the_shortest_take(
    free: int, reserved: int
) -> None:
    assert nearest(60, 10, 50, 15, 20).reserve(Step(), free) == reserved


def test_first_takes_them_as_they_stand_in_the_file() -> None:
    made = First((10, 80, 10, 10))
    assert [made.choose("", Step(), room) for room in (110, 109, 90)] == [[0, 1, 2, 3], [0, 1, 2], [0, 1]]
    assert (made.least(Step()), made.least(Step(skip_shots=1))) == (90, 90)
    assert made.least(Step(skip_shots=2)) == made.reserve(Step(skip_shots=2), 1000) == 20


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[str], list[int], str, Step]:
    """Example texts with their sizes, a text and a step."""
    text = st.text(alphabet="abc ", max_size=8)
    pairs = draw(st.lists(st.tuples(text, st.integers(1, 60)), min_size=2, max_size=14))
    step = draw(st.builds(Step, max_shots=st.integers(2, 8), skip_shots=st.integers(0, 15)))
    return [each for each, _ in pairs], [size for _, size in pairs], draw(text), step


@given(cases(), st.integers(0, 200), st.sampled_from(["first", "nearest"]))
def test_what_is_chosen_fits_and_is_as_much_as_fits(
    case: tuple[list[str], list[int], str, Step], extra: int, shots: str
) -> None:
    texts, sizes, text, step = case
    made = chooser(SchemaSettings(shots=shots), texts, sizes)
    room = made.least(step) + extra
    chosen = made.choose(text, step, room)
    assert len(set(chosen)) == len(chosen) and 2 <= len(chosen) <= step.max_shots
    assert sum(sizes[number] for number in chosen) <= room
    skip = min(step.skip_shots, len(texts) - 2)
    if shots == "nearest":
        order = Ranking(texts).order(text)
        assert chosen[::-1] == [number for number in order[skip:] if number in chosen]
        left = room - sum(sizes[number] for number in chosen)
        others = set(order[skip:]) - set(chosen)
        # of those left out, none would fit at the end
        assert len(chosen) == step.max_shots or all(sizes[number] > left for number in others)
        # nor in place of a less near one, unless it leaves no room for a second
        if (best := order[skip]) not in chosen:
            assert sizes[best] + min(sizes[number] for number in order[skip:] if number != best) > room
    else:
        assert chosen == list(range(skip, skip + len(chosen)))


@given(cases(), st.integers(64, 400))
def test_a_window_that_takes_its_room_leaves_enough_for_two(
    case: tuple[list[str], list[int], str, Step], free: int
) -> None:
    texts, sizes, _, step = case
    made = Nearest(texts, sizes)
    assert made.least(step) <= made.reserve(step, free) <= max(made.least(step), free // 2)
