import dataclasses
import itertools
import json
import math
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from llguidance import LLParserLimits

from schemas import wire
from schemas.errors import DeviceError, GrammarError, PromptError
from schemas.forms import Kind, Leaf, ObjectForm
from tests.cases.prompts import ids, logprobs, request_of, requests_of
from workers.engine import checkpoint, grammar
from workers.engine import engine as loop
from workers.engine.cache import Arena, bytes_per_token
from workers.engine.choice import Chooser
from workers.engine.drafts import no_drafts
from workers.engine.engine import HrmTextEngine
from workers.engine.line import Ticket
from workers.engine.network import Network
from workers.engine.protocol import Finish, Occupancy, Request
from workers.engine.row import Row, num_equal
from workers.engine.step import Step


@pytest.fixture(scope="module")
def engine(tiny_checkpoint: Path) -> HrmTextEngine:
    return HrmTextEngine.load(tiny_checkpoint, device="cpu", kv_memory=64 << 20)


def test_answers_are_wire_records(engine: HrmTextEngine) -> None:
    for completion in engine.complete(requests_of(engine.tokenizer)):
        assert completion.finish is Finish.STOP
        assert completion.error is None
        record = json.loads(completion.text)
        assert wire.dump(record) == completion.text
        assert list(record) == ["name", "paid", "lines", "total"]


def test_logprobs_are_among_what_the_grammar_allows(engine: HrmTextEngine) -> None:
    form = ObjectForm(fields=(("a", Leaf(kind=Kind.CHOICE, choices=("yes", "no"))),))
    completion = engine.complete([request_of(engine.tokenizer, "x", form=form)])[0]
    assert all(logprob <= 0 for logprob in logprobs(completion))
    # all but the choice is forced
    assert sum(logprob < -1e-6 for logprob in logprobs(completion)) <= 2
    assert completion.tokens[0].logprob == 0


def test_usage(engine: HrmTextEngine) -> None:
    request = request_of(engine.tokenizer, "ACME 12")
    completion = engine.complete([request])[0]
    usage = completion.usage
    assert usage.prompt_tokens == len(request.prompt)
    assert usage.output_tokens == len(completion.tokens)
    # a token is chosen from each row of scores: those behind a step's last token, and those behind right drafts
    assert usage.output_tokens <= usage.forwards + usage.forced_tokens + usage.accepted_tokens
    assert usage.accepted_tokens <= usage.drafted_tokens
    assert usage.forced_tokens > 10
    assert 0 < usage.device_seconds < usage.seconds
    assert usage.cached_tokens == 0


def test_limits_and_faults_are_each_requests_own(engine: HrmTextEngine) -> None:
    whole = requests_of(engine.tokenizer, 3)
    choiceless = ObjectForm(fields=(("a", Leaf(kind=Kind.CHOICE)),))

    def ask(document: str = "ACME", **facts: Any) -> Any:
        return request_of(engine.tokenizer, document, **facts)

    requests = [
        ask("ACME " * 9, max_new_tokens=5),
        whole[0],
        ask(time_limit_s=0.0),
        ask(max_new_tokens=4090),
        whole[1],
        ask(form=choiceless),
        ask(prompt=[]),
        whole[2],
        ask(max_new_tokens=0),
    ]
    done = engine.complete(requests)
    stop, error, length = Finish.STOP, Finish.ERROR, Finish.LENGTH
    assert [c.finish for c in done] == [length, stop, Finish.TIME, error, stop, error, error, stop, length]
    assert [len(done[i].tokens) for i in (0, 8)] == [5, 0]
    assert [type(c.error) for c in done if c.error] == [PromptError, GrammarError, PromptError]
    assert [ids(done[i]) for i in (1, 4, 7)] == [ids(c) for c in engine.complete(whole)]


def test_an_answer_may_fill_the_positions_exactly(engine: HrmTextEngine) -> None:
    request = request_of(engine.tokenizer, "ACME")
    room = engine.max_positions - len(request.prompt)
    assert engine.complete([dataclasses.replace(request, max_new_tokens=room)])[0].finish is Finish.STOP
    refused = engine.complete([dataclasses.replace(request, max_new_tokens=room + 1)])[0]
    assert "4096 positions" in str(refused.error)


def test_no_requests(engine: HrmTextEngine) -> None:
    assert engine.complete([]) == []


Begin = Callable[[Network, Arena, Sequence[Row], int], Step]


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[list[Row]]:
    """The rows of every step, as they are taken."""
    seen: list[list[Row]] = []
    instead(monkeypatch, lambda *given: (seen.append(list(given[2])), Step(*given))[1])
    return seen


def instead(monkeypatch: pytest.MonkeyPatch, begun: Begin) -> None:
    monkeypatch.setattr(loop, "Step", begun)


def until_idle(engine: HrmTextEngine) -> None:
    """It answers before it looks whether there is more to do."""
    while engine._thread:
        threading.Event().wait(0.01)


def test_rows_join_and_leave_between_steps(tiny_checkpoint: Path, steps: list[list[Row]]) -> None:
    room = 1000 * 8192
    engine = HrmTextEngine.load(tiny_checkpoint, device="cpu", kv_memory=room)
    requests = requests_of(engine.tokenizer)
    engine.complete(requests)
    # as many as the cache has places for, and never more
    assert max(sum(row.num_places for row in rows) for rows in steps) <= 1000
    assert len({len(rows) for rows in steps}) > 2
    # someone came in while another was in the middle of its answer
    taken = [
        [i for i, rows in enumerate(steps) if row in rows]
        for row in {id(r): r for s in steps for r in s}.values()
    ]
    assert any(one[0] < other[0] <= one[-1] for one in taken for other in taken)


def test_how_full_it_is(tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = HrmTextEngine.load(tiny_checkpoint, device="cpu", kv_memory=1000 * 8192)
    requests = requests_of(engine.tokenizer)
    seen: list[Occupancy] = []

    def watched(network: Network, arena: Arena, rows: Sequence[Row], vocabulary: int) -> Step:
        now = engine.occupancy()
        assert now.num_running == len(rows)
        assert now.num_places_taken == sum(row.num_places for row in rows)
        seen.append(now)
        return Step(network, arena, rows, vocabulary)

    instead(monkeypatch, watched)
    empty = engine.occupancy()
    assert (empty.num_running, empty.num_waiting, empty.num_places_taken, empty.num_places) == (0, 0, 0, 1000)
    completions = engine.complete(requests)
    assert max(now.num_waiting for now in seen) > 0
    after = engine.occupancy()
    assert after.num_places_taken == 0
    assert after.num_steps == len(seen)
    usages = [completion.usage for completion in completions]
    # prompts, drafts and answers; the last tokens of an answer are not fed, for nothing is asked behind them
    fed = sum(u.prompt_tokens + u.drafted_tokens - u.accepted_tokens + u.output_tokens for u in usages)
    assert 0.8 * fed < after.num_tokens < fed


def test_one_that_the_cache_cannot_hold(tiny_checkpoint: Path) -> None:
    engine = HrmTextEngine.load(tiny_checkpoint, device="cpu", kv_memory=200 * 8192)
    small, large = (request_of(engine.tokenizer, "ACME " * n) for n in (2, 200))
    first, refused, last = engine.complete([small, large, small])
    assert (first.finish, last.finish) == (Finish.STOP, Finish.STOP)
    assert isinstance(refused.error, DeviceError)
    assert re.search(r"room for 200 tokens.*GLEANER_KV_MEMORY", str(refused.error))


@pytest.mark.parametrize(
    ("error", "raised", "message"),
    [
        (torch.OutOfMemoryError("CUDA out of memory."), DeviceError, "one request"),
        (RuntimeError("CUDA error: unspecified launch failure"), DeviceError, "The device failed"),
        (RuntimeError("a fault of our own"), RuntimeError, "a fault of our own"),
        (ValueError("another"), ValueError, "another"),
    ],
)
def test_a_failing_device(
    engine: HrmTextEngine,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    raised: type[Exception],
    message: str,
) -> None:
    requests = requests_of(engine.tokenizer, 2)
    with monkeypatch.context() as patch:

        def fail(*given: object) -> None:
            raise error

        instead(patch, fail)
        with pytest.raises(raised, match=message):
            engine.complete(requests)
    assert [c.finish for c in engine.complete(requests)] == [Finish.STOP] * 2


def test_threads_share_the_steps(engine: HrmTextEngine, steps: list[list[Row]]) -> None:
    requests = requests_of(engine.tokenizer, 4)
    expected = [ids(c) for c in engine.complete(requests)]
    alone = len(steps)
    results: dict[int, list[list[int]]] = {}

    def work(number: int) -> None:
        results[number] = [ids(c) for c in engine.complete(requests)]

    threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(results.values()) == [expected] * 3
    assert len(steps) - alone < 3 * alone


def test_who_gives_up_waiting_is_not_served(engine: HrmTextEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    started, go = threading.Event(), threading.Event()

    def slow(*given: Any) -> Step:
        started.set()
        go.wait(10)
        return Step(*given)

    instead(monkeypatch, slow)
    first = engine.submit(request_of(engine.tokenizer, "ACME"))
    assert started.wait(10)
    second, third = (engine.submit(request_of(engine.tokenizer, "ACME")) for _ in range(2))
    assert second.cancel()
    assert not first.cancel()
    go.set()
    assert ids(first.result()) == ids(third.result())


def test_who_gives_up_on_one_gives_up_on_all(
    engine: HrmTextEngine, steps: list[list[Row]], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = engine.complete([request_of(engine.tokenizer, "ACME " * 20)])[0]
    until_idle(engine)
    steps.clear()
    enter = engine._enter

    def interrupted(request: Request) -> Ticket:
        if request.document == "ACME":
            while not steps:
                threading.Event().wait(0.001)
            raise KeyboardInterrupt
        return enter(request)

    monkeypatch.setattr(engine, "_enter", interrupted)
    requests = [request_of(engine.tokenizer, document) for document in ("ACME " * 20, "ACME " * 20, "ACME")]
    with pytest.raises(KeyboardInterrupt):
        engine.complete(requests)
    until_idle(engine)
    # those in hand end at their next step
    assert len(steps) < whole.usage.forwards


def test_one_that_is_closed_takes_no_more(tiny_checkpoint: Path) -> None:
    engine = HrmTextEngine.load(tiny_checkpoint, device="cpu", kv_memory=64 << 20)
    engine.close()
    with pytest.raises(DeviceError, match="closed"):
        engine.submit(request_of(engine.tokenizer, "ACME"))


def test_one_that_is_given_up_holds_up_nobody(tiny_checkpoint: Path, steps: list[list[Row]]) -> None:
    engine = HrmTextEngine.load(tiny_checkpoint, device="cpu", kv_memory=400 * 8192)
    first = engine.submit(request_of(engine.tokenizer, "ACME 12 " * 9))
    while not steps:
        threading.Event().wait(0.001)
    large, small = (engine.submit(request_of(engine.tokenizer, "ACME " * n)) for n in (120, 2))
    large.cancel()
    assert small.result().finish is first.result().finish is Finish.STOP
    assert max(map(len, steps)) == 2


def test_a_thread_that_cannot_be_had_is_asked_for_again(
    engine: HrmTextEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    until_idle(engine)
    request = request_of(engine.tokenizer, "ACME")

    def fail(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        with pytest.raises(RuntimeError, match="new thread"):
            engine.complete([request])
    assert engine.complete([request])[0].finish is Finish.STOP


def test_one_that_is_closed_ends_after_the_step_in_hand(
    tiny_checkpoint: Path, steps: list[list[Row]]
) -> None:
    engine = HrmTextEngine.load(tiny_checkpoint, device="cpu", kv_memory=64 << 20)
    future = engine.submit(request_of(engine.tokenizer, "ACME " * 50))
    while not steps:
        threading.Event().wait(0.001)
    engine.close()
    assert engine._thread is None
    assert not future.done()


def test_a_process_that_ends_in_the_middle_of_an_answer_ends_in_peace(tiny_checkpoint: Path) -> None:
    script = f"""
from tests.cases.prompts import request_of
from workers.engine.engine import HrmTextEngine
engine = HrmTextEngine.load({str(tiny_checkpoint)!r}, device="cpu", kv_memory=64 << 20)
for _ in range(20):
    engine.submit(request_of(engine.tokenizer, "ACME 12 " * 20))
while not engine.occupancy().num_steps:
    pass
"""
    root = Path(__file__).parents[3]
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=root
    )
    assert (ran.returncode, ran.stderr) == (0, "")


class _Panic(BaseException):
    """What a library in Rust raises is no Exception."""


@pytest.mark.parametrize("fault", [KeyError("no such key: CUDA cores"), _Panic("a fault of one row")])
@pytest.mark.parametrize("method", ["choose", "forced"])
def test_a_fault_of_one_row_ends_it_alone(
    engine: HrmTextEngine, monkeypatch: pytest.MonkeyPatch, fault: BaseException, method: str
) -> None:
    good, bad = request_of(engine.tokenizer, "ACME 12"), request_of(engine.tokenizer, "POISON")
    expected = ids(engine.complete([good])[0])
    plain = getattr(Chooser, method)

    def fail(chooser: Chooser, *given: Any) -> Any:
        if chooser._repeats._document == "POISON":
            raise fault
        return plain(chooser, *given)

    monkeypatch.setattr(Chooser, method, fail)
    whole, broken, other = engine.complete([good, bad, good])
    assert ids(whole) == ids(other) == expected
    assert broken.finish is Finish.ERROR
    assert type(fault).__name__ in str(broken.error)


def test_who_is_interrupted_is_interrupted(engine: HrmTextEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(chooser: Chooser) -> list[int]:
        raise KeyboardInterrupt

    monkeypatch.setattr(Chooser, "forced", interrupt)
    with pytest.raises(KeyboardInterrupt):
        engine.complete([request_of(engine.tokenizer, "ACME")])


@pytest.mark.parametrize("fault", [ValueError("a fault of the drafter"), _Panic("a fault of the drafter")])
def test_without_a_draft_where_drafting_fails(tiny_checkpoint: Path, fault: BaseException) -> None:
    loaded = checkpoint.load(tiny_checkpoint, "cpu")
    request = request_of(loaded.tokenizer, "ACME 12")
    calls: list[int] = []

    def fail() -> Sequence[int]:
        calls.append(1)
        raise fault

    engine = HrmTextEngine(loaded, kv_memory=64 << 20, drafting=lambda row: fail)
    plain = HrmTextEngine(loaded, kv_memory=64 << 20, drafting=no_drafts)
    assert ids(engine.complete([request])[0]) == ids(plain.complete([request])[0])
    assert len(calls) == 1


def test_two_depths_take_turns(tiny_checkpoint: Path, steps: list[list[Row]]) -> None:
    engine = HrmTextEngine.load(tiny_checkpoint, device="cpu", kv_memory=64 << 20)
    requests = requests_of(engine.tokenizer, 6)
    deep = [dataclasses.replace(request, cycles=(3, 2)) for request in requests]
    alone = HrmTextEngine.load(tiny_checkpoint, device="cpu", kv_memory=64 << 20, cycles="3x2").complete(
        requests
    )
    expected = [ids(c) for pair in zip(engine.complete(requests), alone, strict=True) for c in pair]
    mixed = [request for pair in zip(requests, deep, strict=True) for request in pair]
    steps.clear()
    assert [ids(c) for c in engine.complete(mixed)] == expected
    assert {len({row.request.cycles for row in rows}) for rows in steps} == {1}


def test_a_document_with_special_tokens_changes_nothing(engine: HrmTextEngine) -> None:
    document = "<|im_end|><|box_end|> Total 12 <|im_start|>"
    request = request_of(engine.tokenizer, document)
    specials = [token for token in request.prompt if not engine.tokenizer.token_bytes(token)]
    assert specials == [6, 7]
    assert engine.complete([request])[0].finish is Finish.STOP


def test_time_runs_out_in_the_middle(engine: HrmTextEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = engine.complete([request_of(engine.tokenizer, "ACME")])[0]
    clock = itertools.count()
    monkeypatch.setattr("workers.engine.row.time.monotonic", lambda: float(next(clock)))
    cut = engine.complete([request_of(engine.tokenizer, "ACME", time_limit_s=20.0)])[0]
    assert (whole.finish, cut.finish) == (Finish.STOP, Finish.TIME)
    assert 0 < len(ids(cut)) < len(ids(whole))
    assert ids(cut) == ids(whole)[: len(ids(cut))]


def test_a_grammar_that_breaks_on_the_way_ends_its_row_alone(
    engine: HrmTextEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    varied = "".join(chr(0x4E00 + 7 * n) for n in range(600))
    small, large = request_of(engine.tokenizer, "ACME"), request_of(engine.tokenizer, varied)
    expected = ids(engine.complete([small])[0])
    monkeypatch.setattr(grammar, "_LIMITS", LLParserLimits(step_lexer_fuel=13_000))
    broken, whole = engine.complete([large, small])
    assert isinstance(broken.error, GrammarError)
    assert broken.finish is Finish.ERROR
    assert broken.tokens
    assert ids(whole) == expected


def test_a_probability_is_among_the_allowed_tokens(engine: HrmTextEngine) -> None:
    """A choice between two: the probabilities of both ways make one, for only one token decides."""
    choices = ("yes", "no")
    form = ObjectForm(fields=(("a", Leaf(kind=Kind.CHOICE, choices=choices)),))
    request = request_of(engine.tokenizer, "x", form=form)
    taken = sum(logprobs(engine.complete([request])[0]))
    assert math.log(1 / len(choices)) - 1e-6 <= taken <= 0


def test_a_request_that_nobody_wants_ends_at_the_next_step_and_leaves_the_others_as_they_are(
    engine: HrmTextEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = requests_of(engine.tokenizer, 3)
    alone = [ids(completion) for completion in engine.complete(wanted)]
    stop, steps_before = threading.Event(), engine.occupancy().num_steps
    # set in the middle: at its fourth step at the latest
    lengths: list[int] = []

    def third(network: Network, arena: Arena, rows: Sequence[Row], vocabulary: int) -> Step:
        lengths.append(len(rows))
        if len(lengths) == 3:
            stop.set()
        return Step(network, arena, rows, vocabulary)

    instead(monkeypatch, third)
    unwanted = request_of(engine.tokenizer, "ACME " * 30, stop=stop)
    *others, stopped = engine.complete([*wanted, unwanted])
    assert stopped.finish is Finish.STOPPED
    assert stopped.usage.forwards <= 4
    assert [ids(completion) for completion in others] == alone
    assert engine.occupancy().num_steps == steps_before + len(lengths)


def test_a_request_that_nobody_wants_any_more_is_not_begun(engine: HrmTextEngine) -> None:
    stop = threading.Event()
    stop.set()
    (completion,) = engine.complete([request_of(engine.tokenizer, "ACME", stop=stop)])
    assert (completion.finish, completion.usage.forwards) == (Finish.STOPPED, 0)


def test_fp8_has_room_for_four_times_as_many_as_float32(tiny_checkpoint: Path) -> None:
    loaded = checkpoint.load(tiny_checkpoint, "cpu", "float32")
    requests = requests_of(loaded.tokenizer, 4)
    wide = HrmTextEngine(loaded, kv_memory=64 << 20)
    narrow = HrmTextEngine(loaded, kv_memory=64 << 20, kv_dtype="fp8")
    assert narrow.occupancy().num_places == 4 * wide.occupancy().num_places
    others = [ids(completion) for completion in wide.complete(requests)]
    completions = narrow.complete(requests)
    assert all(completion.error is None for completion in completions)
    # of a model that means nothing, so that little decides: most tokens until the first other one
    same = [num_equal(ids(c), other) for c, other in zip(completions, others, strict=True)]
    assert sum(same) > 0.2 * sum(map(len, others))


def test_occupancy_says_who_runs_who_waits_and_how_full_the_cache_is(tiny_checkpoint: Path) -> None:
    seen, is_asked = [], threading.Event()

    def look() -> Sequence[int]:
        is_asked.wait()
        seen.append(dataclasses.replace(engine.occupancy(), num_steps=0, num_tokens=0))
        return ()

    loaded = checkpoint.load(tiny_checkpoint, "cpu", "auto")
    request = request_of(loaded.tokenizer, "ACME 12")
    places = len(request.prompt) + request.max_new_tokens
    shape, dtype = Network(loaded.model).kv_shape, next(loaded.model.parameters()).dtype
    room = 2 * places * bytes_per_token(shape, dtype)
    engine = HrmTextEngine(loaded, kv_memory=room, drafting=lambda row: look)
    futures = [engine.submit(request) for _ in range(3)]
    is_asked.set()
    for future in futures:
        future.result()
    until_idle(engine)
    # two have room; no GPU
    full = Occupancy(num_running=2, num_waiting=1, num_places_taken=2 * places, num_places=2 * places)
    assert full in seen
    assert {(each.num_running, each.num_places_taken) for each in seen} == {(1, places), (2, 2 * places)}
    after = engine.occupancy()
    assert dataclasses.replace(after, num_steps=0, num_tokens=0) == Occupancy(num_places=2 * places)
    assert 0 < after.num_steps < after.num_tokens
