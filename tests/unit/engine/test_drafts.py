"""Drafts: where they come from, that the grammar takes them, and that wrong ones leave no trace."""

import json
import random
from collections.abc import Sequence
from itertools import islice

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.train.synthetic import RECIPES, Sample, samples
from schemas.examples import Example
from schemas.forms import Kind, Leaf, ListForm, ObjectForm
from schemas.text import clean
from schemas.wire import dump
from tests.cases.prompts import FORM, WORDS, request_of
from workers.engine.cache import Span
from workers.engine.choice import Scores
from workers.engine.drafts import copying
from workers.engine.outline import Outline
from workers.engine.protocol import Finish, Request
from workers.engine.row import Row
from workers.engine.tokenizer import PlainTokenizer


class Sure(Scores):
    """The scores of a model that is sure of these tokens."""

    def __init__(self, tokens: Sequence[int]) -> None:
        self.tokens = list(tokens)
        self.logprobs = [0.0] * len(self.tokens)


class Desk:
    """A row, its drafter, and a model that wants to write one answer."""

    def __init__(self, tokenizer: PlainTokenizer, request: Request, answer: str) -> None:
        self.row = Row(request, tokenizer, 4096)
        self.draft = copying(tokenizer)(self.row)
        self.tokenizer = tokenizer
        self.answer = tokenizer.encode(answer)
        self.row.span = Span(0, 4096)
        self.row.start()
        self.drafts: list[list[int]] = []

    def step(self) -> None:
        self.row.draft = self.draft()
        self.drafts.append(list(self.row.draft))
        fed = self.row.feed()
        wanted = self.answer[len(self.row.answer) :]
        assert fed[len(fed) - len(self.row.draft) :] == list(self.row.draft)
        # behind the first wrong token the model would say anything
        self.row.read(Sure([*wanted, *[11] * len(self.row.draft)][: len(self.row.draft) + 1]))

    def finish(self) -> "Desk":
        while not self.row.finish:
            self.step()
        assert self.row.finish is Finish.STOP
        return self

    def text(self, tokens: Sequence[int]) -> str:
        return b"".join(map(self.tokenizer.token_bytes, tokens)).decode(errors="replace")


LINES = ObjectForm(
    fields=(
        ("shop", Leaf(kind=Kind.TEXT, max_length=60)),
        ("total", Leaf(kind=Kind.DECIMAL)),
        ("paid", Leaf(kind=Kind.BOOLEAN)),
        (
            "lines",
            ListForm(
                item=ObjectForm(fields=(("what", Leaf(kind=Kind.TEXT)), ("amount", Leaf(kind=Kind.DECIMAL))))
            ),
        ),
    )
)


def slip(shop: str, total: str, lines: Sequence[tuple[str, str]]) -> Example:
    printed = "".join(f"{what}  {amount}\n" for what, amount in lines)
    record = {
        "shop": shop,
        "total": total,
        "paid": True,
        "lines": [{"what": what, "amount": amount} for what, amount in lines],
    }
    return Example(text=f"{shop}\nRECEIPT\n{printed}Total due: {total}\nThank you\n", record=record)


EXAMPLES = [
    slip("Green Grocer", "12.50", [("apples", "4.00"), ("pears", "8.50")]),
    slip("Iron Works", "80.00", [("hammer", "30.00"), ("saw blade", "50.00")]),
]


def test_a_record_like_the_examples_takes_few_steps(tiny_tokenizer: PlainTokenizer) -> None:
    asked = slip('Blue "B" Books', "31.25", [("atlas", "20.00"), ("old map", "6.25"), ("pen", "5.00")])
    request = request_of(tiny_tokenizer, asked.text, form=LINES, examples=EXAMPLES, max_new_tokens=400)
    desk = Desk(tiny_tokenizer, request, dump(asked.record)).finish()
    assert json.loads(desk.text(desk.row.answer)) == asked.record
    usage = desk.row.completion().usage
    assert usage.output_tokens > 60
    assert usage.forwards <= 12
    assert usage.accepted_tokens > 0.6 * usage.drafted_tokens


def test_without_examples_what_is_begun_is_continued(tiny_tokenizer: PlainTokenizer) -> None:
    form = ObjectForm(fields=(("name", Leaf(kind=Kind.TEXT)), ("no", Leaf(kind=Kind.INTEGER))))
    request = request_of(tiny_tokenizer, "Invoice\nSheila Steacus & Sons\nNo. 8812345 due", form=form)
    answer = '{"name": "Sheila Steacus & Sons", "no": "8812345"}'
    desk = Desk(tiny_tokenizer, request, answer)
    while not desk.text(desk.row.answer).endswith('"S'):
        desk.step()
    desk.step()
    assert "heila Steacus & Sons".startswith(desk.text(desk.drafts[-1]))
    assert len(desk.drafts[-1]) >= 3
    desk.finish()
    assert len(desk.drafts) < 0.5 * len(desk.answer)


def test_the_length_follows_what_was_right(tiny_tokenizer: PlainTokenizer) -> None:
    asked = slip("Blue Books", "31.25", [(f"number {n}", f"{n}.25") for n in range(10, 30)])
    request = request_of(tiny_tokenizer, asked.text, form=LINES, examples=EXAMPLES, max_new_tokens=800)
    right = Desk(tiny_tokenizer, request, dump(asked.record)).finish()
    assert max(map(len, right.drafts)) == 32
    # a model that wants the lines in no order
    shuffled = list(asked.record["lines"])
    random.Random(1).shuffle(shuffled)
    wrong = Desk(tiny_tokenizer, request, dump(asked.record | {"lines": shuffled})).finish()
    assert sum(map(len, wrong.drafts)) / len(wrong.drafts) < sum(map(len, right.drafts)) / len(right.drafts)


def test_no_room_no_draft(tiny_tokenizer: PlainTokenizer) -> None:
    asked = EXAMPLES[0]
    request = request_of(tiny_tokenizer, asked.text, form=LINES, examples=EXAMPLES, max_new_tokens=20)
    desk = Desk(tiny_tokenizer, request, dump(asked.record))
    while not desk.row.finish:
        desk.step()
    assert desk.row.finish is Finish.LENGTH
    assert len(desk.row.answer) == 20


@pytest.fixture(scope="module")
def synthetic() -> list[Sample]:
    made = samples(11, split="eval", recipe=RECIPES["default"])
    return list(islice((sample for sample in made if len(sample.document) < 1500), 40))


def test_the_records_of_synthetic_documents(tiny_tokenizer: PlainTokenizer, synthetic: list[Sample]) -> None:
    """Whatever the drafts, what is written is what the model wants."""
    for sample in synthetic:
        request = request_of(
            tiny_tokenizer,
            sample.document,
            form=sample.form,
            max_new_tokens=1000,
            examples=sample.examples,
        )
        desk = Desk(tiny_tokenizer, request, dump(sample.record)).finish()
        assert desk.row.answer == desk.answer


def noise(seed: int, position: int, size: int) -> torch.Tensor:
    """What a model without sense scores at a position."""
    return torch.randn(size, generator=torch.Generator().manual_seed(1000 * seed + position))


def write(tokenizer: PlainTokenizer, request: Request, seed: int, *, drafted: bool) -> list[int]:
    row = Row(request, tokenizer, 4096)
    draft = copying(tokenizer)(row) if drafted else tuple
    row.span = Span(0, 4096)
    row.start()
    while not row.finish:
        base = len(row.answer)
        row.draft = draft()
        row.feed()
        row.read(
            Scores(torch.stack([noise(seed, base + n, tokenizer.size) for n in range(len(row.draft) + 1)]))
        )
        assert row.num_cached <= len(request.prompt) + len(row.answer)
    assert row.finish in (Finish.STOP, Finish.LENGTH)
    return row.answer


parts = st.one_of(st.sampled_from([*WORDS, "\\", "\t", "é", "12", "2024-01-05", '"']), st.text(max_size=6))


@settings(max_examples=25)
@given(
    document=st.lists(parts, max_size=12).map(lambda texts: clean(" ".join(texts))), seed=st.integers(0, 9)
)
def test_any_document_and_any_model(tiny_tokenizer: PlainTokenizer, document: str, seed: int) -> None:
    """The answer is the one without drafts."""
    shown = Example(text=f"x {document}", record={"name": document, "paid": True, "lines": [], "total": None})
    request = request_of(tiny_tokenizer, document, max_new_tokens=60, examples=[shown])
    plain, drafted = (write(tiny_tokenizer, request, seed, drafted=drafted) for drafted in (False, True))
    assert plain == drafted


def test_the_outline_of_an_answer_is_the_same_read_at_once_or_by_the_byte() -> None:
    record = {"name": 'a "b\\', "paid": False, "lines": ["x", "y]"], "total": None}
    text = dump(record).encode()
    at_once, slowly = Outline(FORM), Outline(FORM)
    values = [(slot.path, value) for end in range(len(text) + 1) for slot, value in slowly.read(text[:end])]
    assert [(slot.path, value) for slot, value in at_once.read(text)] == values
    assert [json.loads(value or b"null") for path, value in values] == [
        record["name"],
        False,
        None,
        "x",
        "y]",
        None,
    ]
    assert at_once.todo is slowly.todo is None
    assert slowly.position == len(text)
