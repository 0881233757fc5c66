import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.rank import Ranking, words

TEXTS = st.text(alphabet="ab 01\n.:é", max_size=20)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("TOTAL (RM): 1,234.50", ["total", "rm", "0,0.0"]),
        ("Date: 25/12/2018 8:13:39 PM", ["date", "0/0/0", "0:0:0", "pm"]),
        ("2018-12-25, no. 7.", ["0-0-0", "no", "0"]),
        ("A4 x2b", ["a", "0", "x", "0", "b"]),
        ("GRÖSSE größe", ["grösse", "grösse"]),
        ("٣٤ ١٢", ["0", "0"]),
        (" -- \n", []),
    ],
)
def test_words_are_lower_case_and_digits_are_alike(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_the_same_layout_is_nearer_than_the_same_values() -> None:
    ranking = Ranking(
        [
            "Ship to Ann Bell before 12/05/2019, 77.40 kg.",
            "INVOICE 8812\nDue date: 03/01/2020\nAmount due: 12.00",
            "Minutes of the meeting",
        ]
    )
    assert ranking.order("INVOICE 9\nDue date: 12/05/2019\nAmount due: 77.40")[0] == 1


def test_rare_words_count_for_more_than_common_ones() -> None:
    common = [f"receipt total cash {filler}" for filler in ("x", "y", "z", "w")]
    assert Ranking([*common, "sunflower kiosk by night"]).order("receipt cash sunflower")[0] == 4


def test_a_word_repeated_in_the_question_counts_once() -> None:
    ranking = Ranking(["item item item", "lantern shop item", "other words here"])
    assert ranking.order("item " * 50 + "lantern shop")[0] == 1


def test_of_texts_with_the_same_words_the_shorter_one_is_nearer() -> None:
    assert Ranking(["fee due " + "and so on " * 20, "fee due"]).order("fee due") == [1, 0]


def test_equally_near_texts_stay_in_their_order() -> None:
    assert Ranking(["one", "two three", "x", "two three", "x"]).order("three") == [1, 3, 0, 2, 4]
    assert Ranking(["one", "two", "three"]).order("four") == [0, 1, 2]


@given(st.lists(TEXTS, max_size=8), TEXTS)
def test_the_order_is_of_all_texts_and_copies_stand_as_given(texts: list[str], text: str) -> None:
    order = Ranking(texts).order(text)
    assert sorted(order) == list(range(len(texts)))
    assert order == Ranking(texts).order(text)
    for other in set(texts):
        copies = [number for number in order if texts[number] == other]
        assert copies == sorted(copies)


@given(TEXTS.filter(lambda text: bool(words(text))))
def test_a_text_is_nearer_to_itself_than_one_without_its_words(text: str) -> None:
    assert Ranking(["zzz", text]).order(text) == [1, 0]
