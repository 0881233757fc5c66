import json
import math
import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from schemas import Example, ExtractionSchema, Inferred, SchemaSettings, Step
from schemas.base import Schema
from schemas.errors import ConfigurationError, DeviceError, GrammarError, PromptError
from schemas.wire import dump
from workers.engine.protocol import Completion, Finish, Request
from workers.extract import Extraction, Extractor, Outcome
from workers.ground import State
from workers.prompt import Envelope
from workers.testing import Answer, Scripted, ScriptedEngine

RECORD: dict[str, Any] = {"title": None, "total": None, "mood": "good", "summary": None, "names": []}
EXAMPLES = [Example(text=f"Text {n}.", record=RECORD) for n in range(3)]

ONE_STEP = (Step(),)
TWO_STEPS = (Step(), Step(condition="synth,cot"))


class Note(ExtractionSchema):
    """A note."""

    title: str | None = Field(max_length=40)
    total: Decimal | None = Field(ge=0)
    mood: Literal["good", "bad"]
    summary: Inferred[str] | None
    names: list[str]


class Strict(ExtractionSchema):
    """With a value that must be there."""

    title: str


def extractor(
    answers: Any,
    *,
    model: type[ExtractionSchema] = Note,
    examples: Sequence[Example] = EXAMPLES,
    max_positions: int = 4096,
    **settings: Any,
) -> tuple[Extractor, ScriptedEngine]:
    settings = {"ladder": ONE_STEP} | settings
    own = type(model.__name__, (model,), {"settings": SchemaSettings(**settings)})
    engine = ScriptedEngine(answers, max_positions=max_positions)
    return Extractor(Schema(own, examples), engine), engine


def note(**fields: Any) -> str:
    return dump(RECORD | fields)


def one(answers: Any, document: str, **kwargs: Any) -> Extraction:
    (extraction,) = extractor(answers, **kwargs)[0].extract([document])
    return extraction


def faults(extraction: Extraction) -> list[tuple[str, str]]:
    return [(fault.path, fault.message) for fault in extraction.faults]


def test_a_record_that_holds_is_done_with_its_evidence() -> None:
    document = "🧾 Offer to ACME: RM 1,234.50"
    answer = note(title="Offer", total="RM 1,234.50", summary="An offer.", names=["ACME"])
    extraction = one([Scripted(answer, logprobs=-0.001)], document)
    assert (extraction.outcome, extraction.faults, extraction.finish) == (Outcome.DONE, (), Finish.STOP)
    assert extraction.error is None and extraction.answer is None
    assert extraction.wire_record == json.loads(answer)
    assert extraction.validated is not None
    assert extraction.validated.record == {
        "title": "Offer",
        "total": Decimal("1234.50"),
        "mood": "good",
        "summary": "An offer.",
        "names": ["ACME"],
    }
    found = {item.path_text: item for item in extraction.evidence}
    assert {path: item.state for path, item in found.items()} == {
        "title": State.VERBATIM,
        "total": State.VERBATIM,
        "mood": State.CHOICE,
        "summary": State.INFERRED,
        "names[0]": State.VERBATIM,
    }
    for path in ("title", "total", "names[0]"):
        assert document[found[path].start : found[path].end] == found[path].text == found[path].value
    assert extraction.confidence == min(item.confidence for item in extraction.evidence)
    assert 0.9 < extraction.confidence < 1


def test_an_optional_value_that_is_unsure_is_left_empty_and_its_evidence_keeps_it() -> None:
    answer = note(title="Offer", total="RM 5.00")
    unsure = answer.index("Offer")
    logprobs = [-2.0 if place == unsure else 0.0 for place in range(len(answer))]
    scripted = Scripted(answer, logprobs=logprobs)
    empty = one([scripted], "Offer: RM 5.00", empty_below=0.2)
    assert (empty.outcome, empty.faults) == (Outcome.DONE, ())
    assert empty.wire_record == json.loads(answer) | {"title": None}
    assert empty.validated is not None and empty.validated.record["title"] is None
    title, total, *_ = empty.evidence
    assert (title.state, title.value, title.text) == (State.DOUBTED, "Offer", "Offer")
    assert (total.state, total.value) == (State.VERBATIM, "RM 5.00")
    # so the document is among the least sure
    assert empty.confidence == title.confidence < 0.2
    full = one([scripted], "Offer: RM 5.00", empty_below=0.1)
    assert full.wire_record == json.loads(answer)


def test_what_one_window_doubts_another_may_be_sure_of() -> None:
    def answer(request: Request) -> Scripted:
        found = json.loads(read_window(request))
        looks_like_one = re.search(r"Party-00\d", request.document)
        if found["title"] or not looks_like_one:
            return Scripted(dump(found))
        return Scripted(dump(found | {"title": looks_like_one[0]}), logprobs=-0.1)

    made, engine = extractor(answer, max_positions=1400, max_answer_tokens=600, empty_below=0.9)
    (extraction,) = made.extract([contract(20)])
    assert len(engine.requests) > 2 and extraction.wire_record is not None
    assert extraction.wire_record["title"] == "The Long Title"
    assert extraction.evidence[0].state is State.VERBATIM
    # where no window is sure, what one wrote is not forgotten
    (extraction,) = made.extract([contract(20).replace("The Long Title", "")])
    assert extraction.wire_record is not None and extraction.wire_record["title"] is None
    assert extraction.evidence[0].state is State.DOUBTED
    assert str(extraction.evidence[0].value).startswith("Party-00")


def test_what_windows_leave_out_of_a_list_is_behind_what_they_have() -> None:
    def answer(request: Request) -> Scripted:
        text = read_window(request)
        unsure = text.find('"Party-007"')
        return Scripted(text, logprobs=[-2.0 if place == unsure else 0.0 for place in range(len(text))])

    made, engine = extractor(
        answer, max_positions=1400, max_answer_tokens=600, overlap_tokens=0, empty_below=0.2
    )
    (extraction,) = made.extract([contract(20)])
    assert len(engine.requests) > 2 and extraction.wire_record is not None
    names = [f"Party-{n:03d}" for n in range(20) if n != 7]
    assert extraction.wire_record["names"] == names
    proofs = [item for item in extraction.evidence if item.path[0] == "names"]
    assert [(item.path, item.value) for item in proofs] == [
        (("names", index), name) for index, name in enumerate([*names, "Party-007"])
    ]
    assert [item.value for item in proofs if item.state is State.DOUBTED] == ["Party-007"]


def test_the_request_has_the_document_the_form_and_the_limits() -> None:
    engine = ScriptedEngine([note()])
    schema = Schema(Note, EXAMPLES)
    Extractor(schema, engine, time_limit_s=7.5).extract(["a <|im_end|> b"])
    (request,) = engine.requests
    assert (request.document, request.form) == ("a <|im_end|> b", schema.form)
    assert (request.max_new_tokens, request.time_limit_s) == (768, 7.5)
    assert engine.prompt_text(request).endswith("Text:\na <|im_end|> b\nJSON:<|im_end|>")


def test_tokens_of_conditions_come_from_the_envelope() -> None:
    engine = ScriptedEngine([note()])
    conditions = {"direct": "<|direct|>", "synth": "<|synth|>", "cot": "<|cot|>"}
    Extractor(Schema(Note, EXAMPLES), engine, envelope=Envelope(conditions=conditions)).extract(["a"])
    assert engine.prompt_text(engine.requests[0]).startswith("<|im_start|><|direct|>Text:")


@pytest.mark.parametrize(
    ("answer", "path", "message"),
    [
        (note(title="Other"), "title", "'Other' does not stand in the document"),
        (note(total="many"), "total", "does not read as a number"),
        (note(total="-5"), "total", "greater than or equal to 0"),
        (note(mood="fine"), "mood", "'fine' is not one of"),
        (note(names="a"), "names", "not of type 'array'"),
        ("[]", "", "not of type 'object'"),
        ("", "", "the answer is not JSON: Expecting value"),
        ('{"title": ', "", "the answer is not JSON: Expecting value"),
        (note(summary="half").replace("half", "\\ud83e"), "", "the answer is not JSON"),
    ],
)
def test_what_does_not_hold_goes_to_review_with_its_reasons(answer: str, path: str, message: str) -> None:
    extraction = one([answer], "many -5 a")
    assert extraction.outcome is Outcome.REVIEW
    assert [fault[0] for fault in faults(extraction)] == [path]
    assert message in faults(extraction)[0][1]
    assert extraction.error is None


def test_an_answer_that_cannot_be_read_is_kept_as_written() -> None:
    assert one(['{"title": '], "a").answer == '{"title": '
    assert one([note(mood="fine")], "a").answer == note(mood="fine")


def test_a_missing_value_goes_to_review_at_its_path() -> None:
    examples = [Example(text="a", record={"title": "a"})] * 2
    extraction = one(['{"title": null}'], "a", model=Strict, examples=examples)
    assert (extraction.outcome, faults(extraction)) == (Outcome.REVIEW, [("title", "Field required")])
    assert extraction.wire_record == {"title": None}
    assert [item.state for item in extraction.evidence] == [State.ABSENT]


def test_a_list_that_was_ended_is_to_be_looked_at_and_keeps_what_was_read() -> None:
    extraction = one([note(names=["Ann", "Bob", "Ann"])], "Ann and Bob")
    assert extraction.outcome is Outcome.REVIEW
    assert extraction.wire_record and extraction.wire_record["names"] == ["Ann", "Bob"]
    assert extraction.validated and extraction.validated.record
    ((path, message),) = faults(extraction)
    assert path == "names" and "ended there" in message


def test_behind_an_item_left_out_each_keeps_its_own_confidence() -> None:
    answer = note(names=["Ann", "Ann", "Bob"])
    logprobs = [-2.0 if place == answer.index("Bob") else 0.0 for place in range(len(answer))]
    extraction = one([Scripted(answer, logprobs=logprobs)], "Ann and Bob")
    names = [(item.value, item.confidence) for item in extraction.evidence if item.path[0] == "names"]
    assert names == [("Ann", 1.0), ("Bob", pytest.approx(math.exp(-2)))]


def test_an_answer_that_was_cut_off_is_truncated_and_nothing_is_guessed() -> None:
    answer = note(title="Offer", names=["Offer"] * 20)
    extraction = one([answer], "Offer", max_answer_tokens=100)
    assert (extraction.outcome, extraction.finish) == (Outcome.REVIEW, Finish.LENGTH)
    assert faults(extraction) == [("", "the answer was truncated by its length limit")]
    assert (extraction.wire_record, extraction.validated, extraction.evidence) == (None, None, ())
    assert extraction.confidence is None
    assert extraction.answer == answer[:100]


def test_even_a_cut_off_answer_that_parses_is_truncated() -> None:
    class Slow(ScriptedEngine):
        def complete(self, requests: Sequence[Request]) -> list[Completion]:
            return [
                Completion(tokens=done.tokens, finish=Finish.TIME, usage=done.usage)
                for done in super().complete(requests)
            ]

    (extraction,) = Extractor(Schema(Note, EXAMPLES), Slow(lambda request: note())).extract(["a"])
    assert (extraction.outcome, extraction.finish) == (Outcome.REVIEW, Finish.TIME)
    assert faults(extraction) == [("", "the answer was truncated by its time limit")]
    assert extraction.wire_record is None


def by_step(engine_of: list[ScriptedEngine], first: Answer, second: Answer) -> Callable[[Request], Answer]:
    def answer(request: Request) -> Answer:
        is_second = "<|quad_end|>" in engine_of[0].prompt_text(request)
        return second if is_second else first

    return answer


def climb(first: Answer, second: Answer, document: str = "Offer 5") -> tuple[Extraction, ScriptedEngine]:
    engines: list[ScriptedEngine] = []
    made, engine = extractor(by_step(engines, first, second), ladder=TWO_STEPS)
    engines.append(engine)
    return made.extract([document])[0], engine


def test_a_step_may_ask_at_a_depth_of_its_own() -> None:
    asked: list[tuple[int, int] | None] = []

    def answer(request: Request) -> str:
        asked.append(request.cycles)
        return note(title="bad")

    made, _ = extractor(answer, ladder=(Step(), Step(cycles="3x4")))
    made.extract(["one"])
    assert asked == [None, (3, 4)]
    with pytest.raises(ValidationError, match="cycles"):
        Step(cycles="deep")


def test_the_next_step_is_asked_only_for_what_does_not_hold() -> None:
    asked: list[tuple[str, bool]] = []

    def answer(request: Request) -> str:
        is_second = "<|quad_end|><|object_ref_end|>" in engine.prompt_text(request)
        asked.append((request.document, is_second))
        return note(title="bad" if request.document == "two" and not is_second else request.document)

    made, engine = extractor(answer, ladder=TWO_STEPS)
    extractions = made.extract(["one", "two", "three"])
    assert [extraction.outcome for extraction in extractions] == [Outcome.DONE] * 3
    assert [e.wire_record["title"] for e in extractions if e.wire_record] == ["one", "two", "three"]
    assert asked == [("one", False), ("two", False), ("three", False), ("two", True)]
    assert [extraction.cost.num_steps for extraction in extractions] == [1, 2, 1]


def test_the_cost_is_that_of_all_steps() -> None:
    extraction, engine = climb(note(title="bad"), note(title="Offer"))
    assert extraction.outcome is Outcome.DONE
    cost = extraction.cost
    assert (cost.num_steps, cost.num_windows) == (2, 2)
    assert cost.prompt_tokens == sum(len(request.prompt) for request in engine.requests)
    assert cost.output_tokens == len(note(title="bad")) + len(note(title="Offer")) == cost.forwards


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [
        (note(title="bad", total="many"), note(title="worse"), note(title="worse")),
        (note(title="bad"), note(title="bad", total="many"), note(title="bad")),
        (note(title="bad"), note(title="worse"), note(title="bad")),
        ("{", note(title="bad", total="many"), note(title="bad", total="many")),
        (note(title="bad"), "{", note(title="bad")),
        (note(title="bad"), GrammarError("no."), note(title="bad")),
    ],
)
def test_if_no_step_holds_the_better_one_is_kept(first: Answer, second: Answer, kept: str) -> None:
    extraction, _ = climb(first, second, "Offer")
    assert extraction.outcome is Outcome.REVIEW and extraction.error is None
    assert extraction.wire_record == json.loads(kept)
    assert extraction.cost.num_steps == 2


def test_a_step_without_a_token_is_an_error_before_the_first_document() -> None:
    with pytest.raises(ConfigurationError, match="'loud' is not known"):
        extractor([], ladder=(Step(), Step(condition="loud")))


def test_a_failed_request_touches_no_other_document() -> None:
    error = GrammarError("the grammar of b is refused.")
    made, _ = extractor({"a": note(title="a"), "b": error, "c": note(title="c")})
    first, second, third = made.extract(["a", "b", "c"])
    assert (first.outcome, third.outcome) == (Outcome.DONE, Outcome.DONE)
    assert (second.outcome, second.finish, second.error) == (Outcome.FAILED, Finish.ERROR, error)
    assert (second.wire_record, second.validated, second.confidence) == (None, None, None)


def test_a_failed_document_is_not_asked_for_again() -> None:
    made, engine = extractor([GrammarError("no.")], ladder=TWO_STEPS)
    assert made.extract(["a"])[0].outcome is Outcome.FAILED
    assert len(engine.requests) == 1


def test_a_document_for_which_there_is_no_room_fails_alone() -> None:
    long = [Example(text="x" * 140, record=RECORD)] * 2
    made, engine = extractor(lambda request: note(), max_positions=600, max_answer_tokens=100, examples=long)
    short, too_long, again = made.extract(["a", "word " * 100, "b"])
    assert (short.outcome, again.outcome) == (Outcome.DONE, Outcome.DONE)
    assert too_long.outcome is Outcome.FAILED and isinstance(too_long.error, PromptError)
    assert len(engine.requests) == 2


def test_an_error_that_is_nobodys_fault_is_raised() -> None:
    made, _ = extractor({"a": note(), "b": DeviceError("out of memory.")})
    with pytest.raises(DeviceError, match="out of memory"):
        made.extract(["a", "b"])


def test_no_documents_give_no_extractions() -> None:
    made, engine = extractor([])
    assert made.extract([]) == []
    assert engine.requests == []


@pytest.mark.parametrize("document", ["", " ", "\n\n"])
def test_an_empty_document_has_an_empty_record(document: str) -> None:
    extraction = one([note()], document)
    assert extraction.outcome is Outcome.DONE
    assert extraction.wire_record == RECORD


def test_many_documents_keep_their_order() -> None:
    documents = [f"Note {n}" for n in range(40)]
    made, _ = extractor(lambda request: note(title=request.document))
    titles = [e.wire_record["title"] for e in made.extract(documents) if e.wire_record]
    assert titles == documents


def contract(num_parties: int) -> str:
    paragraphs = [
        f"{n}. Clause {n} of the 🧾 agreement.\nIt binds Party-{n:03d} from the first day on, as the law has it."
        for n in range(num_parties)
    ]
    return "The Long Title\n\n" + "\n\n".join(paragraphs) + "\n\nIn all 1,234.50 is due."


def read_window(request: Request) -> str:
    """What a perfect model would write for a window."""
    text = request.document
    return note(
        title="The Long Title" if "The Long Title" in text else None,
        total="1,234.50" if "1,234.50 is due" in text else None,
        names=re.findall(r"Party-\d{3}\b", text),
    )


@pytest.mark.parametrize("overlap_tokens", [0, 96, 5000])
def test_windows_of_a_long_document_are_merged_with_their_places(overlap_tokens: int) -> None:
    document = contract(30)
    made, engine = extractor(
        read_window, max_positions=1400, max_answer_tokens=600, overlap_tokens=overlap_tokens
    )
    (extraction,) = made.extract([document])
    assert (extraction.outcome, faults(extraction)) == (Outcome.DONE, [])
    assert len(engine.requests) > 3
    assert all(len(request.prompt) + request.max_new_tokens <= 1400 for request in engine.requests)
    assert extraction.cost.num_windows == len(engine.requests) and extraction.cost.num_steps == 1
    assert extraction.wire_record is not None
    assert extraction.wire_record["names"] == [f"Party-{n:03d}" for n in range(30)]
    assert (extraction.wire_record["title"], extraction.wire_record["total"]) == (
        "The Long Title",
        "1,234.50",
    )
    placed = [item for item in extraction.evidence if item.start is not None]
    assert len(placed) == 32
    assert all(document[item.start : item.end] == item.text for item in placed)


def test_no_window_is_longer_than_the_schema_wants() -> None:
    made, engine = extractor(read_window, window_tokens=64, overlap_tokens=0)
    extractions = made.extract([contract(30), "Party-001"])
    assert [each.outcome for each in extractions] == [Outcome.DONE, Outcome.DONE]
    counts = [made.prompter.count(request.document) for request in engine.requests]
    assert len(counts) > 2 and max(counts) <= 64
    assert [each.cost.num_windows for each in extractions] == [len(counts) - 1, 1]
    assert extractions[0].wire_record is not None
    assert extractions[0].wire_record["names"] == [f"Party-{n:03d}" for n in range(30)]


def test_every_window_is_shown_the_examples_nearest_to_it() -> None:
    kinds = ("rent", "deposit", "repairs", "notice")
    examples = [Example(text=f"Of the {kind}: {kind}.", record=RECORD) for kind in kinds]
    document = "\n\n".join(f"Of the {kind}. " + f"The {kind} is such. " * 20 for kind in kinds)
    made, engine = extractor(
        lambda request: note(),
        examples=[*examples, Example(text="x" * 3000, record=RECORD)],
        max_positions=1400,
        max_answer_tokens=400,
        overlap_tokens=0,
        shots="nearest",
        ladder=(Step(max_shots=2),),
    )
    (extraction,) = made.extract([document])
    assert extraction.outcome is Outcome.DONE
    nearest = [engine.prompt_text(request).split("Text:\n")[2] for request in engine.requests]
    assert len(nearest) == len(kinds)
    assert all(
        text.startswith(f"Of the {kind}: {kind}.\n") for text, kind in zip(nearest, kinds, strict=True)
    )
    # the examples of all its prompts
    assert set(extraction.shots) >= {0, 1, 2, 3} and 4 not in extraction.shots


def test_a_document_may_be_its_own_example() -> None:
    made, engine = extractor([note()], shots="nearest")
    (extraction,) = made.extract([EXAMPLES[1].text])
    assert extraction.outcome is Outcome.DONE and 1 in extraction.shots
    assert engine.prompt_text(engine.requests[0]).count(EXAMPLES[1].text) == 2


def test_the_examples_are_those_of_the_answer_that_is_kept() -> None:
    ladder = (Step(max_shots=2), Step(max_shots=2, skip_shots=1))
    kept = one([note(title="nowhere"), note()], "a", ladder=ladder)
    assert (kept.outcome, kept.shots) == (Outcome.DONE, (1, 2))
    kept = one([note(title="nowhere"), "{"], "a", ladder=ladder)
    assert (kept.outcome, kept.shots) == (Outcome.REVIEW, (0, 1))


def test_long_and_short_documents_share_a_batch() -> None:
    made, engine = extractor(read_window, max_positions=1400, max_answer_tokens=600)
    documents = ["Party-001", contract(20), "Party-002", contract(12), "none"]
    counts = [len(e.wire_record["names"]) for e in made.extract(documents) if e.wire_record]
    assert counts == [1, 20, 1, 12, 0]
    assert len(engine.requests) > 7


def test_one_truncated_window_leaves_the_others_and_says_which() -> None:
    def answer(request: Request) -> str:
        return note(names=["x" * 1000]) if "Party-005" in request.document else read_window(request)

    made, engine = extractor(answer, max_positions=1400, max_answer_tokens=600, overlap_tokens=0)
    (extraction,) = made.extract([contract(20)])
    assert (extraction.outcome, extraction.finish) == (Outcome.REVIEW, Finish.LENGTH)
    number = next(n for n, request in enumerate(engine.requests, start=1) if "Party-005" in request.document)
    assert faults(extraction) == [
        ("", f"window {number} of {len(engine.requests)}: the answer was truncated by its length limit")
    ]
    assert extraction.wire_record is not None and extraction.wire_record["title"] == "The Long Title"
    assert "Party-005" not in extraction.wire_record["names"]


def test_one_failed_window_fails_its_document_alone() -> None:
    def answer(request: Request) -> Answer:
        return GrammarError("no.") if "Party-019" in request.document else read_window(request)

    made, _ = extractor(answer, max_positions=1400, max_answer_tokens=600)
    failed, done = made.extract([contract(20), "Party-001"])
    assert (failed.outcome, done.outcome) == (Outcome.FAILED, Outcome.DONE)
    assert failed.cost.num_windows > 1


def test_joined_lists_that_pass_the_bound_of_the_record_go_to_review() -> None:
    class Short(Note):
        names: list[str] = Field(max_length=20)

    made, _ = extractor(read_window, model=Short, max_positions=1400, max_answer_tokens=600)
    (extraction,) = made.extract([contract(30)])
    assert (extraction.outcome, [path for path, _ in faults(extraction)]) == (Outcome.REVIEW, ["names"])
    assert extraction.wire_record is not None and len(extraction.wire_record["names"]) == 30


WORDS = st.text('abXY é🧾漢\r\n\t"\\{}', max_size=30)


@settings(max_examples=60)
@given(st.lists(WORDS, max_size=4), st.data())
def test_any_answer_ends_in_a_state_with_its_reason(documents: list[str], data: st.DataObject) -> None:
    def answer(request: Request) -> Answer:
        words = request.document.split() or [""]
        word = st.sampled_from(words) | WORDS | st.none()
        record = data.draw(
            st.fixed_dictionaries(
                {
                    "title": word,
                    "total": word,
                    "mood": st.sampled_from(["good", "bad", "odd"]),
                    "summary": WORDS | st.none(),
                    "names": st.lists(word, max_size=3),
                }
            )
        )
        broken: st.SearchStrategy[Answer] = st.sampled_from(
            ["", "null", dump(record)[:-1], GrammarError("no.")]
        )
        return data.draw(st.just(dump(record)) | broken)

    made, _ = extractor(answer, ladder=TWO_STEPS)
    extractions = made.extract(documents)
    assert len(extractions) == len(documents)
    for document, extraction in zip(documents, extractions, strict=True):
        is_done = extraction.outcome is Outcome.DONE
        assert is_done == (not extraction.faults and not extraction.error)
        if is_done:
            assert extraction.validated is not None and extraction.validated.record is not None
        for item in extraction.evidence:
            assert item.start is None or document[item.start : item.end] == item.text
