import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from schemas.base import ExtractionSchema, schema_form
from schemas.examples import Example
from schemas.wire import dump
from tests.cases.prompts import request_of
from workers.engine.choice import Chooser, Scores
from workers.engine.once import Once
from workers.engine.protocol import Request
from workers.engine.tokenizer import PlainTokenizer


class Line(ExtractionSchema):
    number: int | None
    name: str | None
    group: str | None


class Order(ExtractionSchema):
    lines: list[Line]
    tags: list[str]


def line(number: str, name: str, group: str | None = None) -> dict[str, Any]:
    return {"number": number, "name": name, "group": group}


ONE_BY_ONE = Example(
    text="1 red pen\n2 blue pen", record={"lines": [line("1", "red pen"), line("2", "blue pen")], "tags": []}
)
SHARED = Example(
    text="pen: 1 and 2, old and new",
    record={"lines": [line("1", "pen"), line("2", "pen")], "tags": ["old", "new"]},
)
SINGLE = Example(text="1 red pen", record={"lines": [line("1", "red pen")], "tags": []})

DOCUMENT = "4 oak table\n5 pine chair\n6 oak bench\nsturdy, new"
TWICE = {"lines": [line("4", "oak table"), line("4", "oak table")], "tags": []}


def asked(tokenizer: PlainTokenizer, document: str, *examples: Example) -> Request:
    return request_of(
        tokenizer, document, form=schema_form(Order), examples=list(examples), max_new_tokens=400
    )


def written(request: Request, tokenizer: PlainTokenizer, record: dict[str, Any]) -> Any:
    """What is written if a record is what the model would like to write."""
    wanted, answer = dump(record).encode(), b""
    chooser = Chooser(request, tokenizer)
    noise = torch.Generator().manual_seed(1)
    for _ in range(request.max_new_tokens):
        logits = torch.rand(1, tokenizer.size, generator=noise)
        for token in range(tokenizer.size) if wanted.startswith(answer) else ():
            part = tokenizer.token_bytes(token)
            if part and wanted.startswith(part, len(answer)):
                logits[0, token] += 20 + len(part)
        tokens = chooser.forced() or [chooser.choose(Scores(logits), 0)[0]]
        for token in tokens:
            answer += tokenizer.token_bytes(token)
            if chooser.take(token):
                return json.loads(answer)
    raise AssertionError(answer)


def test_a_row_is_not_written_twice(tiny_tokenizer: PlainTokenizer) -> None:
    record = written(asked(tiny_tokenizer, DOCUMENT, ONE_BY_ONE), tiny_tokenizer, TWICE)
    first, second, *_ = (item["name"] for item in record["lines"])
    assert first == "oak table"
    assert "table" not in second


@pytest.mark.parametrize(
    ("document", "examples"),
    [
        pytest.param("4 oak table\n4 oak table\nnew", [ONE_BY_ONE], id="printed twice"),
        pytest.param(DOCUMENT, [SHARED], id="the examples share a place"),
        pytest.param(DOCUMENT, [ONE_BY_ONE, SHARED], id="one example shares a place"),
        pytest.param(DOCUMENT, [SINGLE], id="the examples do not say"),
    ],
)
def test_unless(tiny_tokenizer: PlainTokenizer, document: str, examples: list[Example]) -> None:
    assert written(asked(tiny_tokenizer, document, *examples), tiny_tokenizer, TWICE) == TWICE


def test_a_name_may_be_absent(tiny_tokenizer: PlainTokenizer) -> None:
    wanted = {"lines": [line("4", "oak table"), {"number": "5", "name": None, "group": None}], "tags": []}
    assert written(asked(tiny_tokenizer, DOCUMENT, ONE_BY_ONE), tiny_tokenizer, wanted) == wanted


def test_there_is_a_way_on_where_nothing_is_left(tiny_tokenizer: PlainTokenizer) -> None:
    wanted = {"lines": [], "tags": ["oak table", "oak table"]}
    assert written(asked(tiny_tokenizer, "oak table"), tiny_tokenizer, wanted) == wanted


def test_a_text_of_a_list_is_not_written_twice_without_examples(tiny_tokenizer: PlainTokenizer) -> None:
    wanted = {"lines": [], "tags": ["sturdy", "new", "sturdy"]}
    tags = written(asked(tiny_tokenizer, DOCUMENT), tiny_tokenizer, wanted)["tags"]
    assert tags[:2] == ["sturdy", "new"]
    assert "sturdy" not in tags[2:]


def test_a_text_may_begin_like_one_that_is_taken(tiny_tokenizer: PlainTokenizer) -> None:
    wanted = {"lines": [line("4", "oak table"), line("6", "oak bench"), line("5", "pine chair")], "tags": []}
    assert written(asked(tiny_tokenizer, DOCUMENT, ONE_BY_ONE), tiny_tokenizer, wanted) == wanted


def test_the_probability_says_that_something_else_was_likelier(tiny_tokenizer: PlainTokenizer) -> None:
    chooser = Chooser(asked(tiny_tokenizer, "old new"), tiny_tokenizer)
    for token in tiny_tokenizer.encode('{"lines": [], "tags": ["old", "'):
        assert not chooser.take(token)
    old, new = (tiny_tokenizer.encode(word)[0] for word in ("old", "new"))
    logits = torch.zeros(1, tiny_tokenizer.size)
    logits[0, old], logits[0, new] = 30, 20
    token, logprob = chooser.choose(Scores(logits), 0)
    assert token == new
    assert logprob == pytest.approx(-10, abs=0.1)


WORDS = st.lists(st.sampled_from(["oak", "pine", "red", '"', "é", "a\nb"]), min_size=1, max_size=8)


def pieces(answer: bytes, sizes: Sequence[int]) -> Iterator[bytes]:
    position = 0
    for number in range(len(answer)):
        size = sizes[number % len(sizes)]
        yield answer[position : position + size]
        position += size
        if position >= len(answer):
            return


def is_refused(document: str, tags: list[str], sizes: Sequence[int]) -> bool:
    request = Request(prompt=[1], document=document, form=schema_form(Order), max_new_tokens=9)
    once = Once(request)
    for piece in pieces(dump({"lines": [], "tags": tags}).encode(), sizes):
        if once.refuses(piece):
            return True
        once.write(piece)
    return False


@given(WORDS, st.lists(st.integers(1, 9), min_size=1, max_size=4), st.data())
def test_each_word_as_often_as_it_is_printed(words: list[str], sizes: list[int], data: st.DataObject) -> None:
    document = " ".join(words)
    tags = data.draw(st.permutations(words))
    assert not is_refused(document, tags, sizes)
    once_more = data.draw(st.sampled_from(words))
    at = data.draw(st.integers(0, len(tags)))
    assert is_refused(document, [*tags[:at], once_more, *tags[at:]], sizes)
