"""What imitates the envelope stays text: in the prompt, in the answer, and beside other documents."""

import json
import os
from pathlib import Path

import pytest

from schemas.registry import Registry
from tests.cases.prompts import ids, request_of
from tests.hostile.conftest import reads_of
from tests.hostile.inputs.bad import Bad
from tests.hostile.inputs.every import INPUTS
from workers.engine.protocol import Finish
from workers.engine.special_tokens import SPECIAL_TOKENS
from workers.engine.tokenizer import PlainTokenizer
from workers.prompt import Envelope, Prompter
from workers.settings import EMBEDDED_CHECKPOINT

GOOD = "ACME SDN BHD, Total: RM 12.50, paid in cash"
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="module")
def tokenizer() -> PlainTokenizer:
    return PlainTokenizer(Path(EMBEDDED_CHECKPOINT) / "tokenizer.json")


@pytest.fixture(scope="module")
def prompter(tokenizer: PlainTokenizer) -> Prompter:
    return Prompter(Registry.load().get("receipt"), tokenizer, 4096, Envelope())


def text_of(given: Bad) -> str:
    (only,) = reads_of(given)
    assert only.text
    return only.text[:1000]


@pytest.mark.parametrize("given", INPUTS["prompts"], ids=str)
def test_the_prompt_has_the_special_tokens_of_its_envelope_and_no_others(
    given: Bad, prompter: Prompter, tokenizer: PlainTokenizer
) -> None:
    specials = {tokenizer.special(name) for name in SPECIAL_TOKENS}
    (step, *_) = prompter.schema.settings.ladder
    plain, hostile = prompter.build(GOOD, step), prompter.build(text_of(given), step)
    assert plain and hostile
    expected = [token for token in plain.ids if token in specials]
    assert len(expected) >= 3
    assert [token for token in hostile.ids if token in specials] == expected
    written = b"".join(map(tokenizer.token_bytes, hostile.ids)).decode()
    assert text_of(given) in written


def test_answers_are_copied_from_the_document_and_others_do_not_notice() -> None:
    # here alone: the other tests of this file need no torch
    from workers.engine.engine import HrmTextEngine

    engine = HrmTextEngine.load(EMBEDDED_CHECKPOINT, device="cpu", kv_memory=256 << 20)
    good = request_of(engine.tokenizer, GOOD)
    hostile = [request_of(engine.tokenizer, text_of(given)[:300]) for given in INPUTS["prompts"][-22:]]
    alone = engine.complete([good])[0]
    beside, *answers = engine.complete([good, *hostile])
    assert ids(beside) == ids(alone)
    names = []
    for request, answer in zip(hostile, answers, strict=True):
        assert answer.error is None
        if answer.finish is Finish.STOP:
            record = json.loads(answer.text)
            assert list(record) == ["name", "paid", "lines", "total"]
            assert record["name"] is None or record["name"] in request.document
            names.append(record["name"])
    assert any(names)
