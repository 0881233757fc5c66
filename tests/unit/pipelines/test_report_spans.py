from hypothesis import given
from hypothesis import strategies as st

from pipelines.report.spans import Segment, segments

TEXTS = st.text(st.sampled_from("ab<&\n\0é🦊\u202e"), max_size=30)
# also backwards, empty, and outside of the text
PLACES = st.integers(-3, 35)
SPANS = st.dictionaries(st.integers(0, 9), st.tuples(PLACES, PLACES))


@given(TEXTS, SPANS)
def test_the_text_is_whole_whatever_the_spans(text: str, spans: dict[int, tuple[int, int]]) -> None:
    assert "".join(part.text for part in segments(text, spans)) == text


@given(TEXTS, SPANS)
def test_every_character_is_in_exactly_the_spans_that_cover_it(
    text: str, spans: dict[int, tuple[int, int]]
) -> None:
    covering = [set(part.spans) for part in segments(text, spans) for _ in part.text]
    assert covering == [
        {number for number, (start, end) in spans.items() if start <= place < end}
        for place in range(len(text))
    ]


@given(TEXTS, SPANS)
def test_every_span_that_covers_anything_begins_once(text: str, spans: dict[int, tuple[int, int]]) -> None:
    parts = list(segments(text, spans))
    begun = [number for part in parts for number in part.begins]
    assert sorted(begun) == sorted({number for part in parts for number in part.spans})


def test_of_overlapping_spans_the_shortest_comes_first() -> None:
    spans = {0: (0, 9), 1: (4, 9), 2: (4, 7), 3: (6, 8)}
    assert list(segments("on 1.50 kg", spans)) == [
        Segment("on 1", (0,), (0,)),
        Segment(".5", (2, 1, 0), (2, 1)),
        Segment("0", (3, 2, 1, 0), (3,)),
        Segment(" ", (3, 1, 0)),
        Segment("k", (1, 0)),
        Segment("g"),
    ]


def test_offsets_are_code_points() -> None:
    assert [part.text for part in segments("🦊é fox", {0: (1, 2)})] == ["🦊", "é", " fox"]
