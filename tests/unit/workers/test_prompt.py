import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from schemas import Example, ExtractionSchema, SchemaSettings, Step
from schemas.base import Schema
from schemas.errors import CheckpointError, ConfigurationError, PromptError
from workers.engine.special_tokens import SPECIAL_TOKENS
from workers.engine.tokenizer import PlainTokenizer
from workers.prompt import CONDITION_TOKENS, Envelope, Prompter, describe
from workers.testing import ByteTokenizer
from workers.window import cut

TOKENIZER = ByteTokenizer()
DIRECT = Step()


class Line(BaseModel):
    amount: str = Field(description="what it comes to")


class Note(ExtractionSchema):
    """A note.

    With two lines of docstring.
    """

    title: str = Field(description="what it is called")
    author: str | None
    lines: list[Line] = Field(description="what is charged")


EXAMPLES = [
    Example(text=f"Text {n}.", record={"title": f"{n}", "author": None, "lines": []}) for n in range(5)
]


def schema(examples: list[Example] = EXAMPLES, **settings: Any) -> Schema:
    model = type("Note", (Note,), {"settings": SchemaSettings(**settings), "__doc__": Note.__doc__})
    return Schema(model, examples)


def prompter(
    max_positions: int = 4096, conditions: Mapping[str, str] = CONDITION_TOKENS, **settings: Any
) -> Prompter:
    return Prompter(schema(**settings), TOKENIZER, max_positions, Envelope(conditions=conditions))


def shown(builder: Prompter, text: str = "Hello.", step: Step = DIRECT) -> str:
    prompt = builder.build(text, step)
    assert prompt is not None
    return TOKENIZER.decode(prompt.ids)


def shot(number: int) -> str:
    return f'Text:\nText {number}.\nJSON: {{"title": "{number}", "author": null, "lines": []}}\n\n'


def test_the_envelope_is_exact() -> None:
    assert shown(prompter()) == (
        "<|im_start|><|object_ref_start|>" + "".join(map(shot, range(5))) + "Text:\nHello.\nJSON:<|im_end|>"
    )


@pytest.mark.parametrize(
    ("condition", "tokens"),
    [
        ("direct", "<|object_ref_start|>"),
        ("cot", "<|object_ref_end|>"),
        ("noisy", "<|quad_start|>"),
        ("synth", "<|quad_end|>"),
        ("synth,cot", "<|quad_end|><|object_ref_end|>"),
        (" cot , synth ", "<|object_ref_end|><|quad_end|>"),
    ],
)
def test_conditions_are_special_tokens_in_order(condition: str, tokens: str) -> None:
    step = Step(condition=condition)
    assert shown(prompter(), step=step).startswith(f"<|im_start|>{tokens}Text:\n")
    prompt = prompter().build("Hello.", step)
    assert prompt is not None
    ids = [TOKENIZER.special(name) for name in Envelope().condition_tokens(condition)]
    assert list(prompt.ids[1 : 1 + len(ids)]) == ids
    assert prompt.ids[0] == TOKENIZER.special("<|im_start|>")
    assert prompt.ids[-1] == TOKENIZER.special("<|im_end|>")


def test_conditions_of_the_settings_are_used() -> None:
    builder = prompter(conditions={"direct": "<|direct|>"}, ladder=(DIRECT,))
    assert shown(builder).startswith("<|im_start|><|direct|>Text:")


@pytest.mark.parametrize("condition", ["loud", "", "direct,loud", "direct,"])
def test_an_unknown_condition_of_the_ladder_is_an_error_before_the_first_document(condition: str) -> None:
    with pytest.raises(
        ConfigurationError, match="is not known; there are direct, cot, noisy, synth"
    ) as caught:
        prompter(ladder=(DIRECT, Step(condition=condition)))
    assert "GLEANER_CONDITION_TOKENS" in caught.value.hint


def test_a_token_that_the_vocabulary_lacks_is_an_error_before_the_first_document() -> None:
    with pytest.raises(CheckpointError, match="nowhere"):
        prompter(conditions=CONDITION_TOKENS | {"synth": "<|nowhere|>"})
    with pytest.raises(CheckpointError, match="stop"):
        Prompter(schema(), TOKENIZER, 4096, Envelope(end="<|stop|>"))


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_examples_are_refused(count: int) -> None:
    with pytest.raises(PromptError, match=f"note has {count} examples"):
        prompter(examples=EXAMPLES[:count])


def test_as_many_examples_as_fit_and_never_fewer_than_two() -> None:
    builder = prompter(max_positions=600, max_answer_tokens=100)
    assert builder.max_prompt_tokens == 500
    numbers = set()
    for length in range(500):
        prompt = builder.build("x" * length, DIRECT)
        if prompt is None:
            break
        numbers.add(prompt.num_shots)
        assert len(prompt.ids) <= 500
        # another one would not have fitted
        assert prompt.num_shots == 5 or len(prompt.ids) + len(shot(0)) > 500
        assert TOKENIZER.decode(prompt.ids).count("JSON: ") == prompt.num_shots
    assert numbers == {2, 3, 4, 5}
    assert builder.build("x" * length, DIRECT) is None
    assert len(builder.build("x" * (length - 1), DIRECT).ids) == 500  # type: ignore[union-attr]


def test_a_step_bounds_and_skips_examples() -> None:
    builder = prompter()

    def numbers(**step: int) -> list[int]:
        text = shown(builder, step=Step(**step))  # type: ignore[arg-type]
        return [n for n in range(5) if shot(n) in text]

    assert numbers() == [0, 1, 2, 3, 4]
    assert numbers(max_shots=2) == [0, 1]
    assert numbers(skip_shots=2) == [2, 3, 4]
    assert numbers(skip_shots=1, max_shots=3) == [1, 2, 3]
    assert numbers(skip_shots=4) == numbers(skip_shots=100) == [3, 4]


def test_more_than_eight_examples_are_not_used() -> None:
    many = [Example(text=f"{n}", record=EXAMPLES[0].record) for n in range(12)]
    prompt = prompter(examples=many).build("Hello.", DIRECT)
    assert prompt is not None and prompt.num_shots == 8


def test_records_are_written_in_the_style_of_the_answer() -> None:
    record = {"title": 'é "q"\n', "author": None, "lines": [{"amount": "1"}]}
    text = shown(prompter(examples=[Example(text="t", record=record), EXAMPLES[0]]))
    assert 'JSON: {"title": "é \\"q\\"\\n", "author": null, "lines": [{"amount": "1"}]}\n\n' in text


def test_half_of_the_positions_at_most_are_for_the_answer() -> None:
    assert prompter(max_positions=4096).max_new_tokens == 768
    small = prompter(max_positions=1000, max_answer_tokens=900)
    assert (small.max_new_tokens, small.max_prompt_tokens) == (500, 500)


def test_descriptions_reach_the_prompt_only_if_asked_for() -> None:
    description = (
        "A note.\n\nWith two lines of docstring.\ntitle: what it is called\nlines: what is charged\n"
        "lines[].amount: what it comes to"
    )
    assert describe(schema().form) == description
    assert "what it is called" not in shown(prompter())
    assert shown(prompter(describe_fields=True)).startswith(
        f"<|im_start|><|object_ref_start|>{description}\n\nText:\nText 0."
    )


@pytest.mark.parametrize("settings", [{}, {"describe_fields": True}], ids=str)
@pytest.mark.parametrize("step", [DIRECT, Step(condition="synth,cot", skip_shots=1)], ids=str)
def test_room_is_what_a_text_may_take_beside_two_examples(settings: dict[str, Any], step: Step) -> None:
    builder = prompter(max_positions=700, max_answer_tokens=100, **settings)
    room = builder.room(step)
    prompt = builder.build("x" * room, step)
    assert prompt is not None and prompt.num_shots == 2
    # the slack is a few tokens
    assert builder.build("x" * (room + 9), step) is None


@pytest.mark.parametrize(("window_tokens", "room"), [(90, 90), (90_000, None)])
def test_a_text_is_no_longer_than_the_windows_of_the_schema(window_tokens: int, room: int | None) -> None:
    builder = prompter(window_tokens=window_tokens)
    assert builder.room(DIRECT) == (room or prompter().room(DIRECT))
    # a few tokens of slack here too
    assert (builder.build("x" * 99, DIRECT) is None) == (room == 90)
    assert builder.build("x" * 90, DIRECT) == prompter().build("x" * 90, DIRECT)


def test_no_room_is_an_error_that_names_the_schema() -> None:
    with pytest.raises(PromptError, match="two examples of note take 130 tokens") as caught:
        prompter(max_positions=280, max_answer_tokens=100).room(DIRECT)
    assert caught.value.facts["schema"] == "note"


LAYOUTS = [
    Example(text=text, record=EXAMPLES[0].record)
    for text in (
        "Dear Sir, no.",
        "SHOP 1\nTOTAL: 9.00",
        "SHOP 2\nCASH 10.00\nTOTAL: 3.50",
        "Dear Madam, yes.",
    )
]


def orders(builder: Prompter, text: str, **step: int) -> tuple[int, ...]:
    """The numbers of the layouts shown, as they stand in the prompt."""
    asked = Step(**step)  # type: ignore[arg-type]
    prompt = builder.build(text, asked)
    assert prompt is not None
    whole = shown(builder, text, asked)
    places = [whole.index(LAYOUTS[number].text) for number in prompt.shots]
    assert places == sorted(places) and prompt.num_shots == len(places)
    return prompt.shots


def test_the_nearest_examples_are_chosen_for_every_text_and_the_nearest_stands_last() -> None:
    builder = prompter(examples=LAYOUTS, shots="nearest")
    receipt = "SHOP 77\nCASH 5.00\nTOTAL: 4.25"
    assert orders(builder, receipt) == (3, 0, 1, 2)
    assert orders(builder, receipt, max_shots=2) == (1, 2)
    assert orders(builder, "Dear Madam, no.", max_shots=2)[-1] in (0, 3)
    # the nearest are skipped
    assert orders(builder, receipt, skip_shots=1, max_shots=2) == (0, 1)
    assert orders(builder, receipt, skip_shots=5) == (3, 0)
    # none is near: their order
    assert orders(builder, "漢", max_shots=3) == (2, 1, 0)


def test_the_first_examples_are_chosen_unless_the_schema_says_otherwise() -> None:
    assert orders(prompter(examples=LAYOUTS), "SHOP 2\nTOTAL: 3.50", max_shots=2) == (0, 1)


def test_examples_are_tokenized_once(monkeypatch: pytest.MonkeyPatch) -> None:
    builder = prompter(examples=LAYOUTS, shots="nearest")
    builder.build("SHOP", DIRECT)
    encoded: list[str] = []
    encode = TOKENIZER.encode
    monkeypatch.setattr(TOKENIZER, "encode", lambda text: encoded.append(text) or encode(text))
    builder.build("Dear", DIRECT)
    assert encoded == ["Text:\nDear\nJSON:"]


def test_a_text_that_fits_beside_the_shortest_two_is_not_cut() -> None:
    """The nearest, and the first two, are too long for it."""
    examples = [
        *(Example(text=f"fee {n} " + "x" * 200, record=EXAMPLES[0].record) for n in range(6)),
        *EXAMPLES,
    ]
    text = "fee " + "y" * 200
    builders = [
        prompter(max_positions=600, max_answer_tokens=100, examples=examples, shots=shots)
        for shots in ("first", "nearest")
    ]
    prompts = [builder.build(text, DIRECT) for builder in builders]
    assert prompts[0] is None and prompts[1] is not None
    assert prompts[1].num_shots >= 2 and len(prompts[1].ids) <= 500


def test_windows_leave_room_for_any_two_examples_or_half() -> None:
    long = Example(text="x" * 60, record=EXAMPLES[0].record)
    free = 700 - 100 - 3 - len("Text:\n\nJSON:") - 8

    def room(*examples: Example) -> int:
        builder = prompter(max_positions=700, max_answer_tokens=100, examples=list(examples), shots="nearest")
        return builder.room(DIRECT)

    assert room(*EXAMPLES) == free - 2 * len(shot(0))
    assert room(*EXAMPLES, long, long) == free - 2 * (len(shot(0)) + 60 - len("Text 0."))
    huge = Example(text="x" * 5000, record=EXAMPLES[0].record)
    assert room(*EXAMPLES, huge) == free - free // 2


@st.composite
def crowds(draw: st.DrawFn) -> tuple[list[Example], str, Step, int]:
    """Examples, a text that may be too long, a step and the positions of a checkpoint."""
    texts = st.text(alphabet="ab 01\né", max_size=60)
    examples = [
        Example(text=text, record=EXAMPLES[0].record)
        for text in draw(st.lists(texts, min_size=2, max_size=16))
    ]
    step = draw(st.builds(Step, max_shots=st.integers(2, 8), skip_shots=st.integers(0, 9)))
    return examples, draw(st.text(alphabet="ab 01\né.", max_size=500)), step, draw(st.integers(560, 1200))


@given(crowds(), st.sampled_from(["first", "nearest"]))
def test_no_prompt_exceeds_its_room_and_every_window_has_one(
    crowd: tuple[list[Example], str, Step, int], shots: str
) -> None:
    examples, text, step, max_positions = crowd
    builder = prompter(max_positions, examples=examples, shots=shots, max_answer_tokens=100)
    whole = builder.build(text, step)
    room = builder.room(step)
    assert whole is not None or builder.count(text) > room
    windows = cut(text, budget=room, count=builder.count, overlap=room // 4)
    for prompt in [
        *(builder.build(window.text, step) for window in windows),
        whole or builder.build("", step),
    ]:
        assert prompt is not None
        assert len(prompt.ids) <= builder.max_prompt_tokens
        assert 2 <= prompt.num_shots <= step.max_shots
        assert len(set(prompt.shots)) == prompt.num_shots


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> PlainTokenizer:
    """A byte-level tokenizer in whose vocabulary the special tokens are ordinary entries too."""
    trained = tokenizers.Tokenizer(tokenizers.models.BPE())
    trained.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    trained.decoder = tokenizers.decoders.ByteLevel()
    trained.train_from_iterator(
        ["Text:\nHello.\nJSON:", json.dumps(EXAMPLES[0].record)],
        tokenizers.trainers.BpeTrainer(
            special_tokens=list(SPECIAL_TOKENS),
            initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    path: Path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    trained.save(str(path))
    return PlainTokenizer(path)


def ordinary(tokenizer: PlainTokenizer, ids: tuple[int, ...]) -> str:
    return b"".join(map(tokenizer.token_bytes, ids)).decode()


@given(
    text=st.lists(st.sampled_from([*SPECIAL_TOKENS, "a", " ", "\n", "é", "<|", "|>", "🧾"]), max_size=8).map(
        "".join
    )
)
def test_special_tokens_typed_in_texts_are_characters(plain: PlainTokenizer, text: str) -> None:
    typed = Example(text=text, record={"title": text, "author": None, "lines": []})
    builder = Prompter(schema(examples=[typed, EXAMPLES[0]]), plain, 4096, Envelope())
    prompt = builder.build(text, DIRECT)
    assert prompt is not None
    special = {plain.special(name) for name in SPECIAL_TOKENS}
    first, condition, *inside, last = prompt.ids
    assert (first, condition, last) == tuple(
        map(plain.special, ("<|im_start|>", "<|object_ref_start|>", "<|im_end|>"))
    )
    assert special.isdisjoint(inside)
    record = json.dumps(typed.record, ensure_ascii=False)
    assert ordinary(plain, prompt.ids) == f"Text:\n{text}\nJSON: {record}\n\n{shot(0)}Text:\n{text}\nJSON:"
