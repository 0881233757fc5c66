import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from schemas.base import ExtractionSchema, schema_form
from schemas.repeats import without_repeats
from schemas.wire import dump
from tests.cases.prompts import request_of
from workers.engine.choice import Chooser, Scores
from workers.engine.grammar import printed_in
from workers.engine.protocol import Request
from workers.engine.repeats import Repeats
from workers.engine.tokenizer import PlainTokenizer


class Line(ExtractionSchema):
    number: int | None
    name: str
    colours: list[str]


class Order(ExtractionSchema):
    lines: list[Line]
    tags: list[str]
    sizes: list[int]


FORM = schema_form(Order)
DOCUMENT = "4 oak table\n5 pine chair\n6 oak bench\nsturdy, new"


def line(number: str, name: str, *colours: str) -> dict[str, Any]:
    return {"number": number, "name": name, "colours": list(colours)}


def order(*lines: dict[str, Any], tags: Sequence[str] = (), sizes: Sequence[str] = ()) -> dict[str, Any]:
    return {"lines": list(lines), "tags": list(tags), "sizes": list(sizes)}


OAK, PINE = line("4", "oak table"), line("5", "pine chair")


def written(tokenizer: PlainTokenizer, document: str, record: dict[str, Any]) -> Any:
    """What is written if a record is what the model would like to write."""
    request = request_of(tokenizer, document, form=FORM, max_new_tokens=400)
    wanted, answer = dump(record).encode(), b""
    chooser = Chooser(request, tokenizer)
    noise = torch.Generator().manual_seed(1)
    for _ in range(request.max_new_tokens):
        logits = torch.rand(1, tokenizer.size, generator=noise)
        # it would like best to end what it cannot go on with
        for token in range(tokenizer.size):
            part = tokenizer.token_bytes(token)
            logits[0, token] += 10 * (part.startswith(b"]"))
            if part and wanted.startswith(answer) and wanted.startswith(part, len(answer)):
                logits[0, token] += 20 + len(part)
        tokens = chooser.forced() or [chooser.choose(Scores(logits), 0)[0]]
        for token in tokens:
            answer += tokenizer.token_bytes(token)
            if chooser.take(token):
                return json.loads(answer)
    raise AssertionError(answer)


@pytest.mark.parametrize(
    ("document", "record", "lines"),
    [
        pytest.param(DOCUMENT, order(OAK, OAK, PINE), [OAK, OAK], id="again at once"),
        pytest.param(DOCUMENT, order(OAK, PINE, OAK, PINE), [OAK, PINE, OAK], id="round and round"),
        pytest.param(
            DOCUMENT,
            order(line("4", "oak table", "new"), line("4", "oak table", "new"), PINE),
            [line("4", "oak table", "new")] * 2,
            id="with a list in it",
        ),
    ],
)
def test_a_list_ends_behind_an_item_that_is_one_too_many(
    tiny_tokenizer: PlainTokenizer, document: str, record: dict[str, Any], lines: list[dict[str, Any]]
) -> None:
    assert written(tiny_tokenizer, document, record)["lines"] == lines


@pytest.mark.parametrize(
    ("document", "record"),
    [
        pytest.param("4 oak table\n4 oak table\n5 pine chair", order(OAK, OAK, PINE), id="printed twice"),
        pytest.param(DOCUMENT, order(OAK, line("5", "oak table"), PINE), id="another number"),
        pytest.param("4 4 5", order(sizes=["4", "4", "5"]), id="a number printed twice"),
        pytest.param(DOCUMENT, order(tags=["new", "sturdy"]), id="all different"),
        pytest.param(
            DOCUMENT, order(line("4", "oak table", "new"), line("5", "pine chair", "new")), id="of two items"
        ),
    ],
)
def test_it_goes_on(tiny_tokenizer: PlainTokenizer, document: str, record: dict[str, Any]) -> None:
    assert written(tiny_tokenizer, document, record) == record
    assert without_repeats(FORM, record, document)[:2] == (record, [])


@pytest.mark.parametrize(
    ("document", "wanted", "sizes"),
    [
        pytest.param("4 5", ["4", "4", "5"], ["4", "5"], id="another one"),
        pytest.param("44 45", ["44", "44"], ["44", "45"], id="another one that begins the same"),
        pytest.param("4 4 5", ["4", "4", "4"], ["4", "4", "5"], id="as often as printed"),
        pytest.param("5 4", ["4", "5", "4"], ["4", "5"], id="none is left"),
    ],
)
def test_an_item_that_was_written_as_often_as_it_may_is_offered_no_more(
    tiny_tokenizer: PlainTokenizer, document: str, wanted: list[str], sizes: list[str]
) -> None:
    found = written(tiny_tokenizer, document, order(sizes=wanted))["sizes"]
    assert found[: len(sizes)] == sizes
    assert without_repeats(FORM, order(sizes=found), document).ended == []


def test_the_last_one_is_left_out_and_its_list_is_named() -> None:
    found = order(
        line("4", "oak table", "new", "new"), PINE, line("4", "oak table", "new", "new"), tags=["new"]
    )
    assert without_repeats(FORM, found, DOCUMENT)[:2] == (
        order(line("4", "oak table", "new"), PINE, tags=["new"]),
        [("lines",), ("lines", 0, "colours")],
    )


def test_the_probability_says_what_the_model_would_rather_have_written(
    tiny_tokenizer: PlainTokenizer,
) -> None:
    request = request_of(tiny_tokenizer, "old new", form=FORM)
    chooser = Chooser(request, tiny_tokenizer)
    for token in tiny_tokenizer.encode('{"lines": [], "tags": ["old", "old"'):
        assert not chooser.take(token)
    comma, end = (tiny_tokenizer.encode(mark)[0] for mark in (",", "]"))
    logits = torch.zeros(1, tiny_tokenizer.size)
    logits[0, comma], logits[0, end] = 30, 20
    choice = chooser.choose(Scores(logits), 0)
    assert tiny_tokenizer.token_bytes(choice.token).startswith(b"]")
    assert choice.logprob == pytest.approx(-10, abs=0.1)


def pieces(answer: bytes, sizes: Sequence[int]) -> Iterator[bytes]:
    position = 0
    for number in range(len(answer)):
        size = sizes[number % len(sizes)]
        yield answer[position : position + size]
        position += size
        if position >= len(answer):
            return


def is_refused(document: str, record: dict[str, Any], sizes: Sequence[int]) -> bool:
    request = Request(prompt=[1], document=document, form=FORM, max_new_tokens=9)
    repeats = Repeats(request, printed_in(document))
    refused = False
    for piece in pieces(dump(record).encode(), sizes):
        refused |= repeats.refuses(piece)
        repeats.write(piece)
    return refused


NUMBERS = st.lists(st.sampled_from(["1", "23", "-4"]), min_size=1, max_size=8)
TAGS = st.lists(st.sampled_from(["oak", "a, b", '"', "é", "]"]), max_size=6)


@given(NUMBERS, TAGS, st.lists(st.integers(1, 9), min_size=1, max_size=4))
def test_however_the_answer_comes_it_is_refused_where_an_item_too_many_is_gone_on_from(
    sizes: list[str], tags: list[str], pieces_of: list[int]
) -> None:
    document = " ".join((*sizes, *tags))
    record = order(tags=tags, sizes=sizes)
    has_too_many = any(count > 1 for count in Counter(tags[:-1]).values())
    assert is_refused(document, record, pieces_of) == has_too_many
    ended = without_repeats(FORM, record, document).ended
    assert (("tags",) in ended) == (len(set(tags)) < len(tags))


@given(NUMBERS, st.lists(st.integers(1, 9), min_size=1, max_size=4))
def test_however_the_answer_comes_an_offered_item_too_many_is_refused(
    sizes: list[str], pieces_of: list[int]
) -> None:
    document = "1 23 -4"
    assert is_refused(document, order(sizes=sizes), pieces_of) == (len(set(sizes)) < len(sizes))


@given(TAGS, st.integers(1, 5), st.data())
def test_what_is_left_is_written_no_more_than_once(tags: list[str], more: int, data: st.DataObject) -> None:
    again = data.draw(st.lists(st.sampled_from(tags), max_size=more)) if tags else []
    all_tags = [*tags, *again]
    kept = without_repeats(FORM, order(tags=all_tags), "")
    assert kept.value["tags"] == list(dict.fromkeys(tags))
    first = [kept.origins["tags", number] for number in range(len(kept.value["tags"]))]
    assert first == [("tags", all_tags.index(tag)) for tag in kept.value["tags"]]


def test_a_value_behind_an_item_left_out_of_the_middle_knows_where_it_stood() -> None:
    found = order(PINE, PINE, line("4", "oak table", "new", "new", "old"))
    kept = without_repeats(FORM, found, DOCUMENT)
    assert kept.value["lines"] == [PINE, line("4", "oak table", "new", "old")]
    assert kept.origins["lines", 1, "name"] == ("lines", 2, "name")
    assert kept.origins["lines", 1, "colours", 1] == ("lines", 2, "colours", 2)
