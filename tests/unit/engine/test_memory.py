"""What becomes of requests when the device has no memory for all of them."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import DeviceError
from tests.cases.prompts import ids, request_of, requests_of
from workers.engine import engine as loop
from workers.engine import memory, room
from workers.engine.cache import Arena
from workers.engine.choice import Choice, Scores
from workers.engine.engine import HrmTextEngine
from workers.engine.network import Network
from workers.engine.protocol import Finish
from workers.engine.room import CALM_STEPS, Room
from workers.engine.row import Row
from workers.engine.step import Step

# of the placeholder in float32
PLACE = 8192


class Device:
    """Says when there is no memory, and remembers the rows and the places of every step that was tried."""

    def __init__(self, is_full: Callable[["Device", int, int], bool]) -> None:
        self._is_full = is_full
        self.tries: list[tuple[int, int]] = []

    def __call__(self, network: Network, arena: Arena, rows: Sequence[Row], vocabulary: int) -> Step:
        self.tries.append((len(rows), arena.num_places))
        if self._is_full(self, len(rows), arena.num_places):
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return Step(network, arena, rows, vocabulary)


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Device, int, int], bool]], Device]:
    def made(is_full: Callable[[Device, int, int], bool]) -> Device:
        device = Device(is_full)
        monkeypatch.setattr(loop, "Step", device)
        return device

    return made


Made = Callable[[Callable[[Device, int, int], bool]], Device]


def engine_of(path: Path, num_places: int, **how: bool) -> HrmTextEngine:
    loaded = loop.checkpoint.load(path, "cpu", "float32")
    return HrmTextEngine(loaded, kv_memory=num_places * PLACE, **how)


@pytest.mark.parametrize("overlap", [False, True])
def test_it_goes_on_with_half_of_what_is_in_hand(tiny_checkpoint: Path, device: Made, overlap: bool) -> None:
    engine = engine_of(tiny_checkpoint, 8192, overlap=overlap)
    requests = requests_of(engine.tokenizer)
    expected = [ids(c) for c in engine.complete(requests)]
    # in the middle of answers too
    made = device(lambda device, rows, _: rows > 3 and len(device.tries) > 5)
    assert [ids(c) for c in engine.complete(requests)] == expected
    sizes = [rows for rows, _ in made.tries]
    assert max(sizes[:6]) > 4
    # halved until it fits, and again where smaller ones followed
    assert 1 <= sum(size > 3 for size in sizes[5:]) <= 4
    # what filled the memory may be gone by the next time
    while engine._thread:
        threading.Event().wait(0.01)
    assert engine.occupancy().num_places == 8192


def test_a_shared_block_is_counted_once(tiny_checkpoint: Path, device: Made) -> None:
    engine = engine_of(tiny_checkpoint, 3000)
    block = [6, 8, *engine.tokenizer.encode("Text:\nTotal: RM 12.50\nJSON: {}\n\n" * 40)]
    requests = [
        replace(request, prompt=[*block, *request.prompt[1:]], num_shared=len(block), max_new_tokens=60)
        for request in requests_of(engine.tokenizer, 8)
    ]
    expected = [ids(c) for c in engine.complete(requests)]
    made = device(lambda device, rows, _: rows > 3)
    assert [ids(c) for c in engine.complete(requests)] == expected
    places = [places for _, places in made.tries]
    assert places[0] == max(places) == 3000 > places[-1]


def test_a_large_one_that_waits_has_its_turn(tiny_checkpoint: Path, device: Made) -> None:
    engine = engine_of(tiny_checkpoint, 700)
    small = [request_of(engine.tokenizer, "ACME 12", max_new_tokens=80) for _ in range(6)]
    large = request_of(engine.tokenizer, "ACME " * 50, max_new_tokens=400)
    made = device(lambda device, rows, _: len(device.tries) == 2)
    futures = [engine.submit(request) for request in [*small, large]]
    assert {future.result().finish for future in futures} <= {Finish.STOP, Finish.LENGTH}
    assert min(places for _, places in made.tries) < len(large.prompt) + 400


def test_under_load_without_end_it_has_all_its_room_again(
    tiny_checkpoint: Path, device: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "CALM_STEPS", 20)
    # not because there was nothing left to do for a moment
    monkeypatch.setattr(Room, "reset", lambda room: False)
    engine = engine_of(tiny_checkpoint, 4000)
    request = request_of(engine.tokenizer, "ACME 12", max_new_tokens=80)
    made = device(lambda device, rows, _: len(device.tries) == 2)
    futures = [engine.submit(request) for _ in range(3)]
    while made.tries[-1:] == [] or made.tries[-1][1] < 4000 or len(made.tries) < 3:
        # new ones come before the last have gone
        futures.append(engine.submit(request))
        futures.pop(0).result()
        assert len(made.tries) < 2000
    assert len({tuple(ids(future.result())) for future in futures}) == 1


def test_one_alone_has_a_cache_of_its_own_size_before_it_fails(tiny_checkpoint: Path, device: Made) -> None:
    engine = engine_of(tiny_checkpoint, 4000)
    request = request_of(engine.tokenizer, "ACME 12", max_new_tokens=80)
    device(lambda device, rows, places: places > 2000)
    assert engine.complete([request])[0].finish in (Finish.STOP, Finish.LENGTH)
    device(lambda device, rows, places: True)
    with pytest.raises(DeviceError, match="not enough memory for one request"):
        engine.complete([request])


def test_a_cache_that_cannot_be_had_is_asked_for_smaller(
    tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = engine_of(tiny_checkpoint, 4000)
    request = request_of(engine.tokenizer, "ACME 12", max_new_tokens=80)
    asked: list[int] = []
    limit = 600

    def arena(shape: object, places: int, *given: torch.Tensor) -> Arena:
        asked.append(places)
        if places > limit:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return Arena(engine._network.kv_shape, places, *given)

    monkeypatch.setattr(loop, "Arena", arena)
    assert engine.complete([request])[0].finish in (Finish.STOP, Finish.LENGTH)
    assert asked == [4000, 2000, 1000, 500]
    limit = 0
    while engine._thread:
        threading.Event().wait(0.01)
    with pytest.raises(DeviceError, match="not enough memory for one request"):
        engine.complete([request])
    assert asked[-1] == len(request.prompt) + 80


def test_probabilities_that_do_not_fit_at_once_are_told_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    logits = torch.randn(5, 24)
    mask = bytes([0b10101010, 0b11110000, 0b00000001])
    allowed = [place for place in range(24) if mask[place // 8] >> place % 8 & 1]
    scores, told = Scores(logits), dict.fromkeys(range(5), 0.0)
    among = Scores._among

    def limited(scores: Scores, indexes: Sequence[int], masks: Sequence[bytes]) -> torch.Tensor:
        if len(indexes) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return among(scores, indexes, masks)

    monkeypatch.setattr(Scores, "_among", limited)
    for index in told:
        scores.ask(index, Choice(allowed[index], -99.0, mask), partial(told.__setitem__, index))
    scores.answer()
    expected = logits[:, allowed].log_softmax(dim=1)
    assert list(told.values()) == pytest.approx([float(expected[n, n]) for n in range(5)], abs=1e-5)


def test_one_that_has_ended_is_answered_although_the_step_failed(
    tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = engine_of(tiny_checkpoint, 4000)
    request = request_of(engine.tokenizer, "ACME 12", max_new_tokens=80)
    expected = ids(engine.complete([request])[0])
    answer = Scores.answer
    rows: list[Row] = []
    read = Row.read

    def noted(row: Row, *given: Scores | int) -> None:
        rows.append(row)
        read(row, *given)  # type: ignore[arg-type]

    def full_at_the_end(scores: Scores) -> None:
        answer(scores)
        if rows[-1].finish:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(Row, "read", noted)
    monkeypatch.setattr(Scores, "answer", full_at_the_end)
    assert ids(engine.complete([request])[0]) == expected


ACTS = st.one_of(
    st.tuples(st.just("shrink"), st.integers(0, 900), st.integers(1, 900)),
    st.tuples(st.just("fit"), st.integers(1, 900)),
    st.tuples(st.just("steps"), st.integers(1, 2 * CALM_STEPS)),
    st.tuples(st.just("reset")),
)


@given(st.integers(1, 800), st.lists(ACTS, max_size=20))
def test_it_is_never_larger_than_it_may_be_and_only_ever_shrinks_when_told(
    most: int, acts: list[tuple[str, int]]
) -> None:
    made = Room(most)
    for act, *numbers in acts:
        before = made.places
        if act == "shrink":
            has_shrunk = made.shrink(*numbers)
            assert made.places < before if has_shrunk else made.places == before
        elif act == "fit":
            assert made.fit(*numbers) == (made.places != before)
            assert made.places >= min(numbers[0], most)
        elif act == "reset":
            made.reset()
            assert made.places == most
        else:
            for _ in range(numbers[0]):
                made.count_step()
        assert 0 <= made.places <= most
        assert act == "shrink" or made.places >= before


@pytest.mark.parametrize(
    ("limit", "current", "left"),
    [("max", "100", float("inf")), ("1000", "400", 600), ("1000", "1200", 0), (None, None, float("inf"))],
)
def test_what_the_container_leaves(
    tmp_path: Path, limit: str | None, current: str | None, left: float
) -> None:
    for name, text in (("memory.max", limit), ("memory.current", current)):
        if text:
            (tmp_path / name).write_text(f"{text}\n")
    assert memory._left_to_container(tmp_path) == left
