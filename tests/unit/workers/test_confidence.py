import json
import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.forms import Path
from schemas.wire import dump
from workers.confidence import field_confidences
from workers.engine.protocol import Token


def tokens(*pieces: tuple[str | bytes, float]) -> list[Token]:
    """Tokens of texts and probabilities."""
    return [
        Token(id=0, text=text.encode() if isinstance(text, str) else text, logprob=math.log(probability))
        for text, probability in pieces
    ]


def test_a_value_has_the_product_of_its_tokens() -> None:
    record = {"a": "xy", "b": None}
    found = field_confidences(
        record, tokens(('{"a": ', 0.9), ('"x', 0.5), ('y"', 0.4), (', "b": ', 0.8), ("null", 0.7), ("}", 0.6))
    )
    assert found == {
        (): pytest.approx(0.9 * 0.5 * 0.4 * 0.8 * 0.7 * 0.6),
        ("a",): pytest.approx(0.5 * 0.4),
        ("b",): pytest.approx(0.7),
    }


def test_a_token_that_reaches_into_two_values_counts_for_both() -> None:
    found = field_confidences({"a": "x", "b": "y"}, tokens(('{"a": "', 1), ('x", "b": "y', 0.5), ('"}', 1)))
    assert found[("a",)] == found[("b",)] == pytest.approx(0.5)


def test_a_token_that_only_touches_a_value_does_not_count() -> None:
    found = field_confidences(
        {"a": True, "b": "y"}, tokens(('{"a": ', 0.1), ("true", 0.5), (', "b": "y"}', 0.2))
    )
    assert found[("a",)] == pytest.approx(0.5)


def test_characters_may_be_split_over_tokens() -> None:
    receipt = "🧾".encode()
    found = field_confidences(
        {"é": "🧾", "b": "é"},
        tokens(
            ('{"é": "', 1), (receipt[:2], 0.5), (receipt[2:], 0.4), ('", "b": ', 1), ('"é"', 0.3), ("}", 1)
        ),
    )
    assert found[("é",)] == pytest.approx(0.2)
    assert found[("b",)] == pytest.approx(0.3)


def test_lists_and_objects_hold_their_items() -> None:
    record = {"lines": [{"n": "a"}, {"n": "b"}], "tags": []}
    found = field_confidences(
        record,
        tokens(
            ('{"lines": [{"n": ', 1),
            ('"a"', 0.5), ('}, {"n": ', 1), ('"b"', 0.4), ('}], "tags": ', 1), ("[]", 0.9), ("}", 1)
        ),
    )  # fmt: skip
    assert found[("lines", 0, "n")] == found[("lines", 0)] == pytest.approx(0.5)
    assert found[("lines", 1, "n")] == pytest.approx(0.4)
    assert found[("lines",)] == pytest.approx(0.2)
    assert found[("tags",)] == pytest.approx(0.9)


def test_escapes_and_empty_tokens_keep_their_places() -> None:
    found = field_confidences(
        {"a": 'say "hi"\n', "b": "c"},
        tokens(('{"a": ', 1), ("", 0.1), ('"say \\"hi\\"\\n"', 0.5), (', "b": ', 1), ('"c"', 0.4), ("}", 1)),
    )
    assert found[("a",)] == pytest.approx(0.5)
    assert found[("b",)] == pytest.approx(0.4)


def test_an_answer_in_another_style_has_the_probability_of_the_whole() -> None:
    found = field_confidences({"a": "x", "b": ["y"]}, tokens(('{"a":"x",', 0.5), ('"b":["y"]}', 0.4)))
    assert set(found) == {(), ("a",), ("b",), ("b", 0)}
    assert list(found.values()) == pytest.approx([0.2] * 4)


def test_rounding_never_passes_one() -> None:
    above = [Token(id=0, text=b'{"a": null}', logprob=1e-9)]
    assert set(field_confidences({"a": None}, above).values()) == {1.0}
    assert set(field_confidences({"a": "b"}, above).values()) == {1.0}


def test_an_impossible_token_is_nought() -> None:
    impossible = [Token(id=0, text=b'{"a": null}', logprob=-math.inf)]
    assert set(field_confidences({"a": None}, impossible).values()) == {0.0}


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
RECORDS = st.dictionaries(TEXTS, VALUES, min_size=1, max_size=4)


def split(data: st.DataObject, content: bytes) -> list[Token]:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(content)), max_size=12)) | {0, len(content)})
    logprobs = st.floats(min_value=-3, max_value=0)
    return [
        Token(id=0, text=content[start:end], logprob=data.draw(logprobs)) for start, end in pairwise(cuts)
    ]


def value_at(record: Any, path: Path) -> Any:
    for key in path:
        record = record[key]
    return record


def touching(answer: Sequence[Token], start: int, end: int) -> float:
    total, at = 0.0, 0
    for token in answer:
        if at < end and at + len(token.text) > start:
            total += token.logprob
        at += len(token.text)
    return math.exp(total)


@given(st.data(), RECORDS)
def test_every_path_has_the_product_of_the_tokens_that_touch_it(
    data: st.DataObject, record: dict[str, Any]
) -> None:
    content = dump(record).encode()
    answer = split(data, content)
    found = field_confidences(record, answer)
    assert found[()] == pytest.approx(math.exp(sum(token.logprob for token in answer)))
    for path, probability in found.items():
        assert 0 <= probability <= 1
        # what is around a value has its tokens too, so it is at most as probable
        if path:
            assert found[path[:-1]] <= probability * (1 + 1e-9)
    flat = {path: value for path in found if (value := value_at(record, path)) is not None and len(path) == 1}
    start = 1
    for name, value in record.items():
        start += len(dump(name).encode()) + 2
        size = len(dump(value).encode())
        if (name,) in flat:
            assert found[(name,)] == pytest.approx(touching(answer, start, start + size))
        assert json.loads(content[start : start + size]) == value
        start += size + 2
