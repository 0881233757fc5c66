"""Examples as a block that sees no document: computed once, read by all rows that begin with it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from schemas.errors import PromptError
from tests.cases.prompts import ids, logprobs, requests_of
from tests.cases.reference_masked import is_greedy
from workers.engine import checkpoint, line, step
from workers.engine.cache import Arena, Span
from workers.engine.checkpoint import Loaded
from workers.engine.drafts import copying, no_drafts
from workers.engine.engine import HrmTextEngine
from workers.engine.network import Network
from workers.engine.padded import PaddedAttention
from workers.engine.protocol import Completion, Request
from workers.engine.seats import Block, Seats

SHOTS = ["Text:\nTotal: RM 12.50\nJSON: {}\n\n" * 3, "Text:\nACME due 3rd\nJSON: {}\n\n" * 2]


@pytest.fixture(scope="module")
def loaded(tiny_checkpoint: Path) -> Loaded:
    return checkpoint.load(tiny_checkpoint, "cpu")


def with_examples(loaded: Loaded, count: int = 10) -> list[Request]:
    """Prompts that begin with one of two blocks."""
    opening = [loaded.tokenizer.special("<|im_start|>"), loaded.tokenizer.special("<|object_ref_start|>")]
    blocks = [[*opening, *loaded.tokenizer.encode(shot)] for shot in SHOTS]
    return [
        replace(request, prompt=[*block, *request.prompt[1:]], num_shared=len(block))
        for number, request in enumerate(requests_of(loaded.tokenizer, count))
        for block in [blocks[number % 3 == 1]]
    ]


def complete(
    loaded: Loaded, requests: Sequence[Request], num_tokens: int = 8000, *, drafted: bool = True
) -> list[Completion]:
    drafting = copying(loaded.tokenizer) if drafted else no_drafts
    size = 8192 * loaded.model.dtype.itemsize // 4
    return HrmTextEngine(loaded, kv_memory=num_tokens * size, drafting=drafting).complete(requests)


@pytest.mark.parametrize("num_tokens", [800, 8000])
@pytest.mark.parametrize("drafted", [False, True])
def test_answers_are_those_of_one_masked_forward(loaded: Loaded, num_tokens: int, drafted: bool) -> None:
    requests = with_examples(loaded)
    for request, completion in zip(
        requests, complete(loaded, requests, num_tokens, drafted=drafted), strict=True
    ):
        assert is_greedy(loaded, request, ids(completion), tolerance=1e-4)


def test_rows_at_once(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step, "attending", lambda device: PaddedAttention)
    requests = with_examples(loaded)
    for request, completion in zip(requests, complete(loaded, requests), strict=True):
        assert is_greedy(loaded, request, ids(completion), tolerance=1e-4)


def test_in_double_precision(tiny_checkpoint: Path) -> None:
    loaded = checkpoint.load(tiny_checkpoint, "cpu")
    loaded.model.to(torch.float64)
    requests = with_examples(loaded, 4)
    for request, completion in zip(requests, complete(loaded, requests), strict=True):
        assert is_greedy(loaded, request, ids(completion), tolerance=1e-9)


def test_it_is_another_mask(loaded: Loaded) -> None:
    """So the tests above would fail if the block saw the document."""
    requests = with_examples(loaded, 4)
    whole = complete(loaded, [replace(request, num_shared=0) for request in requests])
    shared = complete(loaded, requests)
    assert any(
        logprobs(one) != pytest.approx(logprobs(other)) for one, other in zip(whole, shared, strict=True)
    )
    assert not all(
        is_greedy(loaded, request, ids(completion), tolerance=1e-4)
        for request, completion in zip(requests, whole, strict=True)
    )


def test_a_block_is_computed_once(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    requests = with_examples(loaded)
    fed: list[int] = []
    hidden = Network.hidden
    monkeypatch.setattr(
        Network, "hidden", lambda self, ids, *rest: (fed.append(len(ids)), hidden(self, ids, *rest))[1]
    )
    engine = HrmTextEngine(loaded, kv_memory=8000 * 8192, drafting=no_drafts)
    first = engine.complete(requests)
    again = engine.complete(requests)
    # of each answer all but the last token, which nothing follows, perhaps with what is forced before it
    blocks = {tuple(request.prompt[: request.num_shared]) for request in requests}
    prompts = sum(len(request.prompt) - request.num_shared for request in requests)
    answers = sum(len(completion.tokens) for completion in first)
    most = sum(map(len, blocks)) + 2 * (prompts + answers)
    assert most - 2 * len(requests) * 30 <= sum(fed) <= most
    # of those that came together, too, one pays for each block
    assert [c.usage.cached_tokens for c in first].count(0) == len(blocks)
    assert [c.usage.cached_tokens for c in again] == [request.num_shared for request in requests]
    assert [ids(c) for c in first] == [ids(c) for c in again]


def test_new_blocks_count_as_what_enters_together(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line, "MAX_PROMPT_TOKENS", 300)
    fed: list[int] = []
    hidden = Network.hidden
    monkeypatch.setattr(
        Network, "hidden", lambda self, ids, *rest: (fed.append(len(ids)), hidden(self, ids, *rest))[1]
    )
    opening = loaded.tokenizer.encode("Text:\nTotal: RM 12.50\nJSON: {}\n\n" * 8)
    requests = [
        replace(request, prompt=[6, 8, number, *opening, *request.prompt[1:]], num_shared=3 + len(opening))
        for number, request in enumerate(requests_of(loaded.tokenizer, 6))
    ]
    HrmTextEngine(loaded, kv_memory=20_000 * 8192).complete(requests)
    assert max(fed) < 300 + max(len(request.prompt) for request in requests) + 6 * 40


def test_a_prompt_is_more_than_its_block(loaded: Loaded) -> None:
    request = with_examples(loaded, 1)[0]
    broken = complete(loaded, [replace(request, num_shared=len(request.prompt))])[0]
    assert isinstance(broken.error, PromptError)


@dataclass(eq=False)
class Sitting:
    shared: tuple[int, ...]
    num_own_places: int
    span: Span | None = None
    block: Block | None = None
    spans: list[Span] = field(default_factory=list)


class Seating(RuleBasedStateMachine):
    """Rows come and go in any order."""

    PLACES = 40

    def __init__(self) -> None:
        super().__init__()
        self.seats = Seats(Arena((1, 1, 1), self.PLACES, torch.empty(0)))
        self.rows: list[Sitting] = []

    @rule(block=st.integers(0, 5), length=st.integers(1, 12), own=st.integers(1, 28))
    def come(self, block: int, length: int, own: int) -> None:
        row = Sitting((block,) * length if block else (), own)
        if self.seats.seat(row):
            self.rows.append(row)
            assert row.span
            assert row.span.num_places == own
            assert (row.block is not None) == bool(row.shared)
        else:
            # alone, everyone that fits is let in
            assert self.rows
            assert row.span is row.block is None

    @precondition(lambda self: self.rows)
    @rule(data=st.data(), is_ready=st.booleans())
    def go(self, data: st.DataObject, is_ready: bool) -> None:
        row = self.rows.pop(data.draw(st.integers(0, len(self.rows) - 1)))
        if row.block:
            row.block.is_ready |= is_ready
        self.seats.leave(row)
        assert row.span is row.block is None

    @invariant()
    def nobody_sits_on_another(self) -> None:
        blocks = {id(row.block): row.block for row in self.rows if row.block}.values()
        spans = [row.span for row in self.rows if row.span] + [block.span for block in blocks]
        places = [place for span in spans for place in range(span.start, span.end)]
        assert len(set(places)) == len(places) == self.seats.num_taken
        assert all(0 <= place < self.PLACES for place in places)

    @invariant()
    def readers_are_counted(self) -> None:
        for row in self.rows:
            if row.block:
                assert row.block.num_readers == sum(other.block is row.block for other in self.rows)
                assert row.block.tokens == row.shared


TestSeating = Seating.TestCase
TestSeating.settings = settings(max_examples=60, stateful_step_count=25)


def test_the_least_recently_used_block_leaves() -> None:
    seats = Seats(Arena((1, 1, 1), 40, torch.empty(0)))

    def pass_by(block: int) -> bool:
        """Whether the block was still there."""
        row = Sitting((block,) * 10, 10)
        assert seats.seat(row)
        assert row.block
        was_there = row.block.is_ready
        row.block.is_ready = True
        seats.leave(row)
        return was_there

    assert [pass_by(block) for block in (1, 2, 3, 1, 4, 1, 2)] == [False] * 3 + [True, False, True, False]
    assert seats.num_taken == 0
