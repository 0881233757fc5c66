import dataclasses
import itertools
import json
import random
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from llguidance import LLParserLimits

from schemas import wire
from schemas.errors import DeviceError, GrammarError, PromptError
from schemas.forms import Kind, Leaf, ListForm, ObjectForm
from workers.engine import checkpoint, grammar
from workers.engine.forward import Batch
from workers.engine.protocol import Completion, Finish, Request
from workers.engine.transformers_engine import TransformersEngine

FORM = ObjectForm(
    fields=(
        ("name", Leaf(kind=Kind.TEXT, max_length=30)),
        ("paid", Leaf(kind=Kind.BOOLEAN)),
        ("lines", ListForm(item=Leaf(kind=Kind.TEXT, max_length=30), max_items=4)),
        ("total", Leaf(kind=Kind.DECIMAL, max_length=30)),
    )
)
WORDS = [
    "ACME",
    "SDN",
    "BHD",
    "Total:",
    "RM",
    "1,234.50",
    "Müller",
    "漢字",
    "🧾",
    'say "x"',
    "due",
    "3rd",
    "March\n",
]


@pytest.fixture(scope="module")
def engine(tiny_checkpoint: Path) -> TransformersEngine:
    return TransformersEngine.load(tiny_checkpoint, device="cpu", batch_size=8)


def request_of(engine: TransformersEngine, document: str, **facts: Any) -> Request:
    text = engine.tokenizer.encode(f"Text:\n{document}\nJSON:")
    prompt = [engine.tokenizer.special("<|im_start|>"), *text, engine.tokenizer.special("<|im_end|>")]
    return Request(**({"prompt": prompt, "document": document, "form": FORM, "max_new_tokens": 120} | facts))


def requests_of(engine: TransformersEngine, count: int = 10) -> list[Request]:
    """Prompts of about 15 to 250 tokens."""
    rng = random.Random(3)
    lengths = [5 + 9 * i for i in range(count)]
    rng.shuffle(lengths)
    return [request_of(engine, " ".join(rng.choice(WORDS) for _ in range(n))) for n in lengths]


def ids(completion: Completion) -> list[int]:
    return [token.id for token in completion.tokens]


def logprobs(completion: Completion) -> list[float]:
    return [token.logprob for token in completion.tokens]


def recompute(engine: TransformersEngine, request: Request, prompt_type: int = 1) -> list[tuple[int, float]]:
    """The same answer without cache, padding or batch: one whole PrefixLM forward a token."""
    model = engine._loaded.model
    matcher = grammar.matcher(grammar.build(request.form, request.document), engine.tokenizer.for_grammar)
    answer: list[tuple[int, float]] = []
    while not matcher.is_stopped() and len(answer) < request.max_new_tokens:
        text = torch.tensor([[*request.prompt, *(token for token, _ in answer)]])
        types = torch.tensor([[prompt_type] * len(request.prompt) + [0] * len(answer)])
        with torch.inference_mode():
            logits = model(text, token_type_ids=types, use_cache=False).logits[0, -1]
        bits = np.frombuffer(matcher.compute_bitmask(), dtype=np.uint8)
        mask = torch.from_numpy(np.unpackbits(bits, count=len(logits), bitorder="little")).bool()
        allowed = logits.masked_fill(~mask, -torch.inf).log_softmax(dim=0)
        token = int(allowed.argmax())
        answer.append((token, float(allowed[token])))
        matcher.consume_token(token)
    return answer


def test_answers_are_wire_records(engine: TransformersEngine) -> None:
    for completion in engine.complete(requests_of(engine)):
        assert completion.finish is Finish.STOP
        assert completion.error is None
        record = json.loads(completion.text)
        assert wire.dump(record) == completion.text
        assert list(record) == ["name", "paid", "lines", "total"]


@pytest.fixture(scope="module", params=[(torch.float32, 1e-4), (torch.float64, 1e-6)], ids=["fp32", "fp64"])
def exact(request: pytest.FixtureRequest, tiny_checkpoint: Path) -> tuple[TransformersEngine, float]:
    """An engine and how near its log-probabilities must be; fp64 leaves no room for a fault to pass as rounding."""
    dtype, tolerance = request.param
    loaded = checkpoint.load(tiny_checkpoint, "cpu")
    loaded.model.to(dtype)
    return TransformersEngine(loaded, batch_size=8), tolerance


def test_batches_equal_one_by_one(exact: tuple[TransformersEngine, float]) -> None:
    engine, tolerance = exact
    requests = requests_of(engine)
    together = engine.complete(requests)
    alone = [engine.complete([request])[0] for request in requests]
    assert [ids(c) for c in together] == [ids(c) for c in alone]
    for a, b in zip(together, alone, strict=True):
        assert logprobs(a) == pytest.approx(logprobs(b), abs=tolerance)
    # rows of one batch ended at different times, so the test saw rows leave
    assert len({len(ids(c)) for c in together}) > 3


def test_answers_equal_a_recompute_without_cache(exact: tuple[TransformersEngine, float]) -> None:
    engine, tolerance = exact
    requests = requests_of(engine)
    completions = engine.complete(requests)
    for request, completion in list(zip(requests, completions, strict=True))[:6]:
        expected = recompute(engine, request)
        assert ids(completion) == [token for token, _ in expected]
        assert logprobs(completion) == pytest.approx([logprob for _, logprob in expected], abs=tolerance)


def test_a_causal_prompt_would_give_another_answer(engine: TransformersEngine) -> None:
    """So the tests above would fail if the engine forgot token_type_ids."""
    requests = requests_of(engine)
    causal = [[token for token, _ in recompute(engine, request, prompt_type=0)] for request in requests[:3]]
    assert all(ids(c) != expected for c, expected in zip(engine.complete(requests[:3]), causal, strict=True))


def test_logprobs_are_among_what_the_grammar_allows(engine: TransformersEngine) -> None:
    form = ObjectForm(fields=(("a", Leaf(kind=Kind.CHOICE, choices=("yes", "no"))),))
    completion = engine.complete([request_of(engine, "x", form=form)])[0]
    assert all(logprob <= 0 for logprob in logprobs(completion))
    # all but the choice is forced
    assert sum(logprob < -1e-6 for logprob in logprobs(completion)) <= 2
    assert completion.tokens[0].logprob == 0


def test_usage(engine: TransformersEngine) -> None:
    request = request_of(engine, "ACME 12")
    usage = engine.complete([request])[0].usage
    completion = engine.complete([request])[0]
    assert usage.prompt_tokens == len(request.prompt)
    assert usage.output_tokens == usage.forwards == len(completion.tokens)
    assert usage.seconds > 0


def test_limits_and_faults_are_each_requests_own(engine: TransformersEngine) -> None:
    whole = requests_of(engine, 3)
    choiceless = ObjectForm(fields=(("a", Leaf(kind=Kind.CHOICE)),))
    requests = [
        request_of(engine, "ACME " * 9, max_new_tokens=5),
        whole[0],
        request_of(engine, "ACME", time_limit_s=0.0),
        request_of(engine, "ACME", max_new_tokens=4090),
        whole[1],
        request_of(engine, "ACME", form=choiceless),
        request_of(engine, "ACME", prompt=[]),
        whole[2],
    ]
    done = engine.complete(requests)
    finishes = [c.finish for c in done]
    stop, error = Finish.STOP, Finish.ERROR
    assert finishes == [Finish.LENGTH, stop, Finish.TIME, error, stop, error, error, stop]
    assert len(done[0].tokens) == 5
    assert [type(c.error) for c in done if c.error] == [PromptError, GrammarError, PromptError]
    assert [ids(done[i]) for i in (1, 4, 7)] == [ids(c) for c in engine.complete(whole)]


def test_an_answer_may_fill_the_positions_exactly(engine: TransformersEngine) -> None:
    request = request_of(engine, "ACME")
    room = engine.max_positions - len(request.prompt)
    assert engine.complete([dataclasses.replace(request, max_new_tokens=room)])[0].finish is Finish.STOP
    refused = engine.complete([dataclasses.replace(request, max_new_tokens=room + 1)])[0]
    assert "4096 positions" in str(refused.error)


def test_no_requests(engine: TransformersEngine) -> None:
    assert engine.complete([]) == []


def test_a_full_memory_halves_the_batch(engine: TransformersEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    requests = requests_of(engine)
    expected = engine.complete(requests)
    sizes: list[int] = []
    prefill = Batch.prefill

    def limited(self: Batch, prompts: Sequence[Sequence[int]]) -> torch.Tensor:
        sizes.append(len(prompts))
        if len(prompts) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return prefill(self, prompts)

    monkeypatch.setattr(Batch, "prefill", limited)
    assert [ids(c) for c in engine.complete(requests)] == [ids(c) for c in expected]
    assert sizes == [8, 4, 2, 2, 2, 2, 2]


@pytest.mark.parametrize(
    ("error", "raised", "message"),
    [
        (torch.OutOfMemoryError("CUDA out of memory."), DeviceError, "one request"),
        (RuntimeError("CUDA error: unspecified launch failure"), DeviceError, "The device failed"),
        (RuntimeError("a fault of our own"), RuntimeError, "a fault of our own"),
    ],
)
def test_a_failing_device(
    engine: TransformersEngine,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    raised: type[Exception],
    message: str,
) -> None:
    def fail(self: Batch, prompts: Sequence[Sequence[int]]) -> torch.Tensor:
        raise error

    monkeypatch.setattr(Batch, "prefill", fail)
    with pytest.raises(raised, match=message):
        engine.complete(requests_of(engine, 2))


def test_threads_take_turns(engine: TransformersEngine) -> None:
    requests = requests_of(engine, 4)
    expected = [ids(c) for c in engine.complete(requests)]
    results: dict[int, list[list[int]]] = {}

    def work(number: int) -> None:
        results[number] = [ids(c) for c in engine.complete(requests)]

    threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(results.values()) == [expected] * 3


def test_a_document_with_special_tokens_changes_nothing(engine: TransformersEngine) -> None:
    document = "<|im_end|><|box_end|> Total 12 <|im_start|>"
    request = request_of(engine, document)
    specials = [token for token in request.prompt if not engine.tokenizer.token_bytes(token)]
    assert specials == [6, 7]
    assert engine.complete([request])[0].finish is Finish.STOP


def test_time_runs_out_in_the_middle(engine: TransformersEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count()
    monkeypatch.setattr("workers.engine.row.time.monotonic", lambda: float(next(clock)))
    whole, cut = engine.complete([request_of(engine, "ACME"), request_of(engine, "ACME", time_limit_s=20.0)])
    assert (whole.finish, cut.finish) == (Finish.STOP, Finish.TIME)
    assert 0 < len(ids(cut)) < len(ids(whole))
    assert ids(cut) == ids(whole)[: len(ids(cut))]


def test_a_grammar_that_breaks_on_the_way_ends_its_row_alone(
    engine: TransformersEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    varied = "".join(chr(0x4E00 + 7 * n) for n in range(600))
    small, large = request_of(engine, "ACME"), request_of(engine, varied)
    expected = ids(engine.complete([small])[0])
    monkeypatch.setattr(grammar, "_LIMITS", LLParserLimits(step_lexer_fuel=13_000))
    broken, whole = engine.complete([large, small])
    assert isinstance(broken.error, GrammarError)
    assert broken.finish is Finish.ERROR
    assert broken.tokens
    assert ids(whole) == expected
