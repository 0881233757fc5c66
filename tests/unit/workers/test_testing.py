import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import CheckpointError, DeviceError, GrammarError, PromptError
from schemas.forms import Kind, Leaf, ObjectForm
from workers.engine.protocol import Checkpoint, Engine, Finish, Request
from workers.engine.special_tokens import SPECIAL_TOKENS
from workers.testing import ByteTokenizer, Scripted, ScriptedEngine

FORM = ObjectForm(fields=(("a", Leaf(kind=Kind.TEXT)),))


def request_of(document: str, max_new_tokens: int = 100) -> Request:
    tokenizer = ByteTokenizer()
    prompt = [tokenizer.special("<|im_start|>"), *tokenizer.encode(document), tokenizer.special("<|im_end|>")]
    return Request(prompt=prompt, document=document, form=FORM, max_new_tokens=max_new_tokens)


def test_it_is_an_engine() -> None:
    engine: Engine = ScriptedEngine([])
    assert engine.complete([]) == []
    assert engine.max_positions == 4096
    assert engine.checkpoint.name == "scripted"


def test_answers_from_a_mapping() -> None:
    engine = ScriptedEngine({"x": '{"a": "x"}', "y": '{"a": "é"}'})
    texts = [c.text for c in engine.complete([request_of("y"), request_of("x")])]
    assert texts == ['{"a": "é"}', '{"a": "x"}']
    with pytest.raises(KeyError, match="z"):
        engine.complete([request_of("z")])


def test_answers_in_order() -> None:
    engine = ScriptedEngine(["1", "2", "3"])
    assert [c.text for c in engine.complete([request_of("x"), request_of("y")])] == ["1", "2"]
    assert [c.text for c in engine.complete([request_of("z")])] == ["3"]
    with pytest.raises(LookupError, match="'late'"):
        engine.complete([request_of("late")])


def test_answers_from_a_function_and_what_was_asked() -> None:
    engine = ScriptedEngine(lambda request: request.document.upper())
    assert [c.text for c in engine.complete([request_of("x"), request_of("y")])] == ["X", "Y"]
    assert [r.document for r in engine.requests] == ["x", "y"]
    assert engine.prompt_text(engine.requests[0]) == "<|im_start|>x<|im_end|>"


def test_tokens_and_usage() -> None:
    engine = ScriptedEngine([Scripted("ab", logprobs=[-0.5, -0.1]), Scripted("cd", logprobs=-2), "é"])
    one, two, three = engine.complete([request_of("x")] * 3)
    assert [(t.text, t.logprob) for t in one.tokens] == [(b"a", -0.5), (b"b", -0.1)]
    assert [t.logprob for t in two.tokens] == [-2, -2]
    assert [(t.text, t.logprob) for t in three.tokens] == [(b"\xc3", 0.0), (b"\xa9", 0.0)]
    assert (one.usage.prompt_tokens, one.usage.output_tokens) == (3, 2)


def test_an_answer_over_its_limit_is_cut() -> None:
    engine = ScriptedEngine(["12345", "12345"])
    exact, cut = engine.complete([request_of("x", 5), request_of("x", 4)])
    assert (exact.finish, exact.text) == (Finish.STOP, "12345")
    assert (cut.finish, cut.text) == (Finish.LENGTH, "1234")


def test_a_prompt_over_the_positions_is_refused_and_takes_no_answer() -> None:
    engine = ScriptedEngine(["only"], max_positions=20)
    refused, answered = engine.complete([request_of("x" * 20, 10), request_of("x", 10)])
    assert (refused.finish, type(refused.error)) == (Finish.ERROR, PromptError)
    assert answered.text == "only"


def test_failures() -> None:
    engine = ScriptedEngine(
        {"bad": GrammarError("refused"), "lost": DeviceError("gone"), "bug": ValueError("oops")}
    )
    completion = engine.complete([request_of("bad")])[0]
    assert completion.finish is Finish.ERROR
    assert isinstance(completion.error, GrammarError)
    with pytest.raises(DeviceError):
        engine.complete([request_of("bad"), request_of("lost")])
    with pytest.raises(ValueError, match="oops"):
        engine.complete([request_of("bug")])


def test_time_and_checkpoint_can_be_set() -> None:
    checkpoint = Checkpoint(name="mine", digest="d", is_placeholder=True)
    engine = ScriptedEngine(["x", "y"], checkpoint=checkpoint, seconds_per_document=0.02)
    start = time.monotonic()
    completions = engine.complete([request_of("x"), request_of("y")])
    assert time.monotonic() - start >= 0.04
    assert completions[0].usage.seconds == 0.02
    assert engine.checkpoint == checkpoint


def test_threads_do_not_mix_answers_up() -> None:
    engine = ScriptedEngine(lambda request: request.document)
    seen: list[bool] = []

    def work(name: str) -> None:
        requests = [request_of(f"{name}{n}") for n in range(50)]
        seen.append([c.text for c in engine.complete(requests)] == [r.document for r in requests])

    threads = [threading.Thread(target=work, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [True] * 3
    assert len(engine.requests) == 150


@given(st.text())
def test_text_is_bytes(text: str) -> None:
    tokenizer = ByteTokenizer()
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert all(token < 256 for token in tokenizer.encode(text + "".join(SPECIAL_TOKENS)))


def test_special_tokens_stand_behind_the_bytes() -> None:
    tokenizer = ByteTokenizer()
    ids = [tokenizer.special(name) for name in SPECIAL_TOKENS]
    assert sorted(ids) == list(range(256, 256 + len(SPECIAL_TOKENS)))
    assert tokenizer.decode(ids) == "".join(SPECIAL_TOKENS)
    with pytest.raises(CheckpointError, match=r"<\|nothing\|>"):
        tokenizer.special("<|nothing|>")
    with pytest.raises(CheckpointError):
        ByteTokenizer(["<|im_start|>"]).special("<|im_end|>")
