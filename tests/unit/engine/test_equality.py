"""The engine writes token by token what transformers' model writes with a mask and a forward for each token."""

import random
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import pytest
import torch

from pipelines.train.synthetic import RECIPES, samples
from schemas.examples import Example
from tests.cases import reference_engine
from tests.cases.prompts import ids, logprobs, request_of, requests_of
from tests.cases.reference_engine import Answer
from tests.cases.reference_masked import is_greedy
from workers.engine import checkpoint, step
from workers.engine import engine as loop
from workers.engine.attention import Attention, Part
from workers.engine.cache import Arena, bytes_per_token
from workers.engine.checkpoint import Loaded
from workers.engine.choice import CERTAIN
from workers.engine.drafts import Drafter, Drafting, copying, no_drafts
from workers.engine.engine import HrmTextEngine
from workers.engine.network import Network
from workers.engine.padded import PaddedAttention
from workers.engine.protocol import Completion, Request, Tokenizer
from workers.engine.row import Row, num_equal
from workers.engine.step import Step
from workers.settings import EMBEDDED_CHECKPOINT

KV_MEMORY = 64 << 20


@pytest.fixture(scope="module")
def loaded(tiny_checkpoint: Path) -> Loaded:
    return checkpoint.load(tiny_checkpoint, "cpu")


def documents(tokenizer: Tokenizer, count: int) -> list[Request]:
    """Synthetic documents of the bundled schemas and of random ones, short enough to be many."""
    made = samples(7, split="eval", recipe=RECIPES["default"])
    short = (sample for sample in made if len(sample.document) < 500)
    return [
        request_of(
            tokenizer,
            sample.document,
            form=sample.form,
            max_new_tokens=200,
            # of every other one, where the values stand: drafts are long then
            examples=[Example(text=sample.document, record=sample.record)] * (number % 2),
        )
        for number, sample in enumerate(islice(short, count))
    ]


def check(completions: Sequence[Completion], answers: Sequence[Answer], tolerance: float = 1e-4) -> None:
    for completion, answer in zip(completions, answers, strict=True):
        assert ids(completion) == [token for token, _ in answer]
        assert logprobs(completion) == pytest.approx([p for _, p in answer], abs=tolerance - CERTAIN)


def test_prompts_of_all_lengths_in_double_precision(tiny_checkpoint: Path) -> None:
    """Which leaves no room for a fault to pass as rounding."""
    loaded = checkpoint.load(tiny_checkpoint, "cpu")
    loaded.model.to(torch.float64)
    requests = requests_of(loaded.tokenizer)
    check(
        HrmTextEngine(loaded, kv_memory=KV_MEMORY).complete(requests),
        reference_engine.answers(loaded, requests),
    )


@pytest.mark.parametrize("cycles", ["1x1", "1x3", "3x2"])
def test_at_another_depth(tiny_checkpoint: Path, loaded: Loaded, cycles: str) -> None:
    other = checkpoint.load(tiny_checkpoint, "cpu", cycles=cycles)
    requests = requests_of(other.tokenizer, 4)
    answers = reference_engine.answers(other, requests)
    completions = HrmTextEngine(other, kv_memory=KV_MEMORY).complete(requests)
    check(completions, answers)
    assert [ids(c) for c in completions] != [
        ids(c) for c in HrmTextEngine(loaded, kv_memory=KV_MEMORY).complete(requests)
    ]
    # a slot of the cache for every pass of a layer, of which a stack here has one
    high, low = map(int, cycles.split("x"))
    assert Network(other.model).kv_shape[0] == high * (low + 1)


@pytest.fixture(scope="module")
def many(loaded: Loaded) -> tuple[list[Request], list[Answer]]:
    requests = documents(loaded.tokenizer, 60)
    return requests, reference_engine.answers(loaded, requests, batch_size=16)


@pytest.mark.parametrize("num_tokens", [800, 20_000])
def test_synthetic_documents(
    loaded: Loaded, many: tuple[list[Request], list[Answer]], num_tokens: int
) -> None:
    requests, answers = many
    engine = HrmTextEngine(loaded, kv_memory=num_tokens * 8192, drafting=no_drafts)
    check(engine.complete(requests), answers)


@pytest.mark.parametrize("num_tokens", [800, 20_000])
def test_copying_changes_nothing(
    loaded: Loaded, many: tuple[list[Request], list[Answer]], num_tokens: int
) -> None:
    requests, answers = many
    completions = HrmTextEngine(loaded, kv_memory=num_tokens * 8192).complete(requests)
    check(completions, answers)
    assert sum(c.usage.accepted_tokens for c in completions) > 450


@pytest.mark.parametrize("drafted", [False, True])
def test_attention_for_many_rows_at_once_changes_nothing(
    loaded: Loaded,
    many: tuple[list[Request], list[Answer]],
    monkeypatch: pytest.MonkeyPatch,
    drafted: bool,
) -> None:
    """What a GPU would do, on a CPU."""
    requests, answers = (each[:12] for each in many)
    monkeypatch.setattr(step, "attending", lambda device: PaddedAttention)
    drafting = copying(loaded.tokenizer) if drafted else no_drafts
    check(HrmTextEngine(loaded, kv_memory=KV_MEMORY, drafting=drafting).complete(requests), answers)


@pytest.mark.parametrize("num_tokens", [800, 20_000])
def test_two_steps_at_once_change_nothing(
    loaded: Loaded,
    many: tuple[list[Request], list[Answer]],
    monkeypatch: pytest.MonkeyPatch,
    num_tokens: int,
) -> None:
    """What a GPU would do, on a CPU; the rows of one step draft and choose while the other is under way."""
    requests, answers = many
    under_way: list[Step] = []
    numbers: list[int] = []
    engine = HrmTextEngine(loaded, kv_memory=num_tokens * 8192, overlap=True)

    class Watched(Step):
        def __init__(self, network: Network, arena: Arena, rows: Sequence[Row], vocabulary: int) -> None:
            super().__init__(network, arena, rows, vocabulary)
            num_running = engine.occupancy().num_running
            assert len(rows) <= (num_running + 1) // 2
            assert not {id(row) for row in rows} & {id(row) for each in under_way for row in each._rows}
            under_way.append(self)
            if num_running > 1:
                numbers.append(len(under_way))

        def read(self) -> int:
            under_way.remove(self)
            return super().read()

    monkeypatch.setattr(loop, "Step", Watched)
    check(engine.complete(requests), answers)
    assert numbers.count(2) > 0.7 * len(numbers)
    assert max(numbers) == 2


def test_its_logits_are_those_of_transformers(loaded: Loaded) -> None:
    """Of a prompt, in one forward: within 1e-4 in float32."""
    requests = requests_of(loaded.tokenizer, 3)
    network = Network(loaded.model)
    for request in requests:
        tokens = torch.tensor([list(request.prompt)])
        arena = Arena(network.kv_shape, len(request.prompt), network.like)
        part = Part(offset=0, place=0, num_cached=0, num_block=len(request.prompt), num_causal=0)
        with torch.inference_mode():
            wanted = loaded.model(tokens, token_type_ids=torch.ones_like(tokens)).logits[0]
            for attention in (Attention([part], arena), PaddedAttention([part], arena)):
                found = network.logits(network.hidden(tokens[0], attention.positions, attention))
                torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)


def test_in_bfloat16_an_answer_is_the_same_or_a_near_tie(tiny_checkpoint: Path) -> None:
    """As transformers is to itself in other batches: where two tokens are all but as likely, either may be written."""
    loaded = checkpoint.load(tiny_checkpoint, "cpu", "bfloat16")
    requests = requests_of(loaded.tokenizer)
    completions = HrmTextEngine(loaded, kv_memory=KV_MEMORY).complete(requests)
    answers = reference_engine.answers(loaded, requests)
    for request, completion, answer in zip(requests, completions, answers, strict=True):
        first = num_equal(ids(completion), [token for token, _ in answer])
        if first < len(answer):
            assert is_greedy(loaded, request, ids(completion)[: first + 1], tolerance=0.1)


def test_no_weight_is_held_twice(loaded: Loaded) -> None:
    network = Network(loaded.model)
    fused = {
        part.weight.untyped_storage().data_ptr()
        for layer in (*network._low, *network._high)
        for part in (layer.attention_in, layer.attention_out, layer.mlp_in, layer.mlp_out)
    }
    own = {
        weight.untyped_storage().data_ptr()
        for name, weight in loaded.model.named_parameters()
        if "proj" in name
    }
    assert fused == own


def gold_with_errors(requests: Sequence[Request], answers: Sequence[Answer], seed: int) -> Drafting:
    """Drafts of any length that are right up to some token, and wrong or right behind it."""
    rng = random.Random(seed)
    answer_of = {
        request.document: [token for token, _ in answer]
        for request, answer in zip(requests, answers, strict=True)
    }

    def draft(row: Row) -> list[int]:
        guess = answer_of[row.request.document][len(row.answer) :][: rng.randrange(12)]
        if guess and rng.random() < 0.5:
            guess[rng.randrange(len(guess))] = rng.randrange(14, 400)
        return guess + [rng.randrange(14, 400) for _ in range(rng.randrange(3))]

    def drafting(row: Row) -> Drafter:
        return lambda: draft(row)

    return drafting


@pytest.mark.parametrize("num_tokens", [800, 20_000])
def test_drafts_change_nothing(
    loaded: Loaded, many: tuple[list[Request], list[Answer]], num_tokens: int
) -> None:
    requests, answers = many
    drafting = gold_with_errors(requests, answers, seed=num_tokens)
    completions = HrmTextEngine(loaded, kv_memory=num_tokens * 8192, drafting=drafting).complete(requests)
    check(completions, answers)
    usages = [completion.usage for completion in completions]
    drafted, accepted = (sum(getattr(u, f"{n}_tokens") for u in usages) for n in ("drafted", "accepted"))
    assert 0.2 * drafted < accepted < 0.8 * drafted
    assert sum(u.forwards for u in usages) < 0.6 * sum(u.output_tokens - u.forced_tokens for u in usages)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_thousand_documents(loaded: Loaded) -> None:
    requests = documents(loaded.tokenizer, 1000)
    answers = reference_engine.answers(loaded, requests, batch_size=16)
    for drafting in (no_drafts, copying(loaded.tokenizer), gold_with_errors(requests, answers, seed=1)):
        check(HrmTextEngine(loaded, kv_memory=KV_MEMORY, drafting=drafting).complete(requests), answers)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("num_tokens", [800, 4000, 20_000])
def test_a_thousand_documents_with_the_embedded_checkpoint(num_tokens: int) -> None:
    loaded = checkpoint.load(EMBEDDED_CHECKPOINT, "cpu")
    requests = documents(loaded.tokenizer, 1000)
    room = num_tokens * bytes_per_token(Network(loaded.model).kv_shape, torch.float32)
    plain, drafted = (
        HrmTextEngine(loaded, kv_memory=room, drafting=drafting).complete(requests)
        for drafting in (no_drafts, copying(loaded.tokenizer))
    )
    check(drafted, [list(zip(ids(c), logprobs(c), strict=True)) for c in plain], tolerance=1e-3)
    assert sum(c.usage.forwards for c in drafted) < 0.7 * sum(c.usage.forwards for c in plain)


def test_a_causal_prompt_would_give_another_answer(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    """So the tests above would fail if the prompt were not read both ways."""
    requests = requests_of(loaded.tokenizer, 3)
    answers = reference_engine.answers(loaded, requests)
    monkeypatch.setattr(Row, "num_block", 0)
    causal = HrmTextEngine(loaded, kv_memory=KV_MEMORY).complete(requests)
    assert all(ids(c) != [token for token, _ in answer] for c, answer in zip(causal, answers, strict=True))
