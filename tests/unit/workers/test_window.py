import random
import re
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import PromptError
from workers.window import Window, cut


def words(text: str) -> int:
    return len(re.findall(r"\w+|[^\w\s]", text))


def two_bytes(text: str) -> int:
    # rounding: pieces count more than their text
    return (len(text.encode()) + 1) // 2


def grows(text: str) -> int:
    # pieces count less than their text
    return int(len(text) ** 1.2)


COUNTS = st.sampled_from([len, words, two_bytes, grows])
PIECES = st.sampled_from(
    [
        "\n",
        "\n\n",
        "\r\n",
        " ",
        "A sentence. ",
        "word",
        "東京。",
        "👩‍👩‍👧",
        "e\u0301",
        "x" * 40,
        "! ",
        "\u2028",
        "a b c d ",
    ]
)
DOCUMENTS = st.lists(PIECES | st.characters(exclude_categories=["Cs"]), max_size=60).map("".join)


def check(document: str, windows: list[Window], budget: int, count) -> None:
    assert windows[0].start == 0
    assert windows[-1].end == len(document)
    for window in windows:
        assert window.text == document[window.start : window.end]
        assert count(window.text) <= budget
    for one, other in pairwise(windows):
        assert one.start < other.start <= one.end < other.end


@given(DOCUMENTS, COUNTS, st.integers(4, 60), st.integers(0, 80))
def test_windows_cover_the_document_within_the_budget(document, count, budget, overlap):
    windows = cut(document, budget=budget, count=count, overlap=overlap)
    check(document, windows, budget, count)
    if count(document) <= budget:
        assert len(windows) == 1


@given(DOCUMENTS, st.integers(4, 60), st.integers(0, 80))
def test_windows_overlap_by_no_more_than_asked(document, budget, overlap):
    windows = cut(document, budget=budget, count=len, overlap=overlap)
    for one, other in pairwise(windows):
        assert one.end - other.start <= min(overlap, budget // 2)


def test_a_text_that_fits_is_one_window():
    assert cut("two words", budget=2, count=words, overlap=1) == [Window(0, 9, "two words")]
    assert cut("", budget=2, count=words, overlap=1) == [Window(0, 0, "")]


@pytest.mark.parametrize(
    ("document", "end"),
    [
        ("one two three four.\nfive six\n\nseven.\neight nine ten eleven", "\n\n"),
        ("one two three. four\nfive six\nseven. eight nine ten", "six\n"),
        ("one two three four five. six seven. eight nine ten", "seven. "),
        ("one two three four five six seven eight nine ten", "eight "),
        ("one two three\n\nfour five six seven eight nine ten", "seven "),
    ],
)
def test_the_best_boundary_near_the_end_is_taken(document, end):
    windows = cut(document, budget=40, count=len, overlap=0)
    assert windows[0].text.endswith(end)


def test_text_without_any_boundary_is_cut_anywhere():
    windows = cut("x" * 100, budget=32, count=len, overlap=0)
    check("x" * 100, windows, 32, len)
    assert len(windows) <= 5


def test_the_overlap_starts_at_a_line_or_sentence():
    document = "".join(f"Line {i} has a few words. And a second sentence.\n" for i in range(100))
    windows = cut(document, budget=400, count=len, overlap=100)
    assert all(one.end > other.start for one, other in pairwise(windows))
    assert all(re.match("Line|And", window.text) for window in windows)
    assert all(window.text.endswith("\n") for window in windows)


def test_an_overlap_that_leaves_no_room_is_given_up():
    document = "a b c d e f g h. " + "y" * 30 + " " + "z" * 30
    windows = cut(document, budget=32, count=len, overlap=31)
    check(document, windows, 32, len)


def test_a_budget_below_one_character_is_refused():
    with pytest.raises(PromptError, match="takes 4 tokens and a window has 3"):
        cut("ab👩", budget=3, count=lambda text: len(text.encode()), overlap=0)


@pytest.mark.parametrize(
    "document",
    [
        "x" * 1_000_000,
        "word " * 200_000,
        "\n" * 1_000_000,
        "東京。" * 300_000,
        "Short line here.\n" * 60_000,
        "." * 500_000 + " " * 500_000,
    ],
    ids=["letters", "words", "lines", "cjk", "short lines", "dots"],
)
def test_a_million_characters_take_seconds_and_few_counts(document):
    counted = 0

    def count(text: str) -> int:
        nonlocal counted
        counted += len(text)
        return (len(text) + 3) // 4

    start = time.perf_counter()
    windows = cut(document, budget=3000, count=count, overlap=200)
    assert time.perf_counter() - start < 20
    assert counted < 20 * len(document)
    check(document, windows, 3000, count)
    assert len(windows) < 2 * len(document) / (3000 * 4) + 2


def test_windows_are_filled_well_on_ordinary_prose():
    rng = random.Random(7)
    prose = "".join(
        " ".join("w" * rng.randint(2, 9) for _ in range(rng.randint(5, 25)))
        + rng.choice([". ", ".\n", ".\n\n"])
        for _ in range(3000)
    )
    windows = cut(prose, budget=500, count=words, overlap=0)
    sizes = [words(window.text) for window in windows[:-1]]
    assert sum(sizes) / len(sizes) > 350
    assert all(window.text.endswith("\n") for window in windows[:-1])
