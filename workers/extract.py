"""Read this first: window -> prompt -> complete -> validate -> ground -> merge, for documents of one schema.

A record that does not hold is asked for again one step up the schema's ladder, and goes to review with its
reasons if no step helps. A fault of one document never touches another.
"""

import json
import threading
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, NamedTuple

from schemas.base import Schema, Step
from schemas.errors import GleanerError, PromptError, TerminalError
from schemas.forms import path_text
from schemas.repeats import without_repeats
from schemas.validate import Fault, Validated, to_record, wire_faults
from schemas.wire import dump
from workers.confidence import field_confidences
from workers.doubt import leave_empty
from workers.engine.identity import parse_cycles
from workers.engine.protocol import Completion, Cycles, Engine, Finish, Request
from workers.ground import Evidence, State, ground
from workers.merge import Part, join, merge
from workers.metrics import count_completions, stage
from workers.prompt import Envelope, Prompt, Prompter
from workers.window import Window, cut

_ENDED = "the model began to write items again, and the list was ended there: see whether it is whole"


class Outcome(StrEnum):
    """Where a document ends."""

    DONE = "done"
    REVIEW = "review"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What an extraction took, over its windows and steps; seconds are the engine's."""

    prompt_tokens: int = 0
    output_tokens: int = 0
    forwards: int = 0
    seconds: float = 0.0
    # of these, its share of the device
    device_seconds: float = 0.0
    num_windows: int = 0
    num_steps: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(**{name: value + getattr(other, name) for name, value in self.__dict__.items()})


@dataclass(frozen=True, kw_only=True)
class Extraction:
    """What came of one document."""

    outcome: Outcome
    # as the model wrote it, windows merged and doubted values left out; None if nothing could be read
    wire_record: dict[str, Any] | None = None
    validated: Validated | None = None
    evidence: tuple[Evidence, ...] = ()
    faults: tuple[Fault, ...] = ()
    # the answers as written, where they could not be read
    answer: str | None = None
    finish: Finish = Finish.STOP
    # the least of the fields', uncalibrated
    confidence: float | None = None
    cost: Cost = Cost()
    # numbers of the schema's examples that any of the prompts showed
    shots: tuple[int, ...] = ()
    error: GleanerError | None = None


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """A document's windows and the request of each, and the examples shown in any."""

    windows: list[Window]
    requests: list[Request]
    shots: tuple[int, ...]


class _Order(NamedTuple):
    """A document, the part of its record that is not asked for, and what ends the work on it."""

    document: str
    kept: Part
    stop: threading.Event


class Extractor:
    """Extracts one schema's records with one engine."""

    def __init__(
        self,
        schema: Schema,
        engine: Engine,
        *,
        envelope: Envelope | None = None,
        time_limit_s: float | None = None,
        fields: Collection[str] | None = None,
    ) -> None:
        self.schema = schema
        # what the model is asked for: the whole schema, or these fields of it
        self.asked = schema if fields is None else schema.only(fields)
        self.engine = engine
        self.time_limit_s = time_limit_s
        self.prompter = Prompter(self.asked, engine.tokenizer, engine.max_positions, envelope or Envelope())

    def extract(
        self,
        documents: Sequence[str],
        *,
        kept: Sequence[Part] = (),
        stops: Sequence[threading.Event] = (),
    ) -> list[Extraction]:
        """One extraction for every document, in their order.

        `kept` are the parts of their records that are not asked for; of `stops`, each ends the work on one of them.

        Raises:
            TransientError: the device failed; nothing was extracted.
        """
        kept = kept or [Part(record={}, evidence=[])] * len(documents)
        if not self.asked.form.fields:
            return [self._judge(part, [], Extraction(outcome=Outcome.DONE)) for part in kept]
        stops = stops or [threading.Event() for _ in documents]
        orders = [_Order(*each) for each in zip(documents, kept, stops, strict=True)]
        results: dict[int, Extraction] = {}
        open_ids: Sequence[int] = range(len(orders))
        for step in self.schema.settings.ladder:
            attempts = self._attempt([orders[i] for i in open_ids], step)
            for i, attempt in zip(open_ids, attempts, strict=True):
                results[i] = _better(results[i], attempt) if i in results else attempt
            open_ids = [
                i for i in open_ids if results[i].outcome is Outcome.REVIEW and not orders[i].stop.is_set()
            ]
            if not open_ids:
                break
        return [results[i] for i in range(len(orders))]

    def _attempt(self, orders: Sequence[_Order], step: Step) -> list[Extraction]:
        with stage("prompt"):
            plans = [self._plan(order.document, step) for order in orders]
        requests = [
            replace(request, stop=order.stop)
            for plan, order in zip(plans, orders, strict=True)
            if isinstance(plan, _Plan)
            for request in plan.requests
        ]
        with stage("complete"):
            completions = self.engine.complete(requests)
        count_completions(completions)
        with stage("conclude"):
            return list(self._conclude_all(orders, plans, iter(completions)))

    def _conclude_all(
        self,
        orders: Sequence[_Order],
        plans: Sequence[_Plan | TerminalError],
        completions: Iterator[Completion],
    ) -> Iterator[Extraction]:
        for order, plan in zip(orders, plans, strict=True):
            if isinstance(plan, TerminalError):
                yield Extraction(outcome=Outcome.FAILED, error=plan, finish=Finish.ERROR)
            else:
                yield self._conclude(order.kept, plan, [next(completions) for _ in plan.requests])

    def _plan(self, document: str, step: Step) -> _Plan | TerminalError:
        try:
            whole = self.prompter.build(document, step)
            if whole:
                window = Window(start=0, end=len(document), text=document)
                return self._planned([window], [whole], step)
            return self._plan_windows(document, step)
        except TerminalError as exc:
            return exc

    def _plan_windows(self, document: str, step: Step) -> _Plan:
        room = self.prompter.room(step)
        overlap = min(self.schema.settings.overlap_tokens, room // 4)
        windows = cut(document, budget=room, count=self.prompter.count, overlap=overlap)
        prompts = [self.prompter.build(window.text, step) for window in windows]
        fitting = [prompt for prompt in prompts if prompt]
        if len(fitting) < len(windows):
            raise PromptError(
                f"a window of {room} tokens does not fit its prompt.",
                hint="Shorten the examples or lower max_answer_tokens in the schema's settings.",
            )
        return self._planned(windows, fitting, step)

    def _planned(self, windows: list[Window], prompts: list[Prompt], step: Step) -> _Plan:
        shots = {number for prompt in prompts for number in prompt.shots}
        cycles = parse_cycles(step.cycles) if step.cycles else None
        requests = [self._request(*each, cycles) for each in zip(windows, prompts, strict=True)]
        return _Plan(windows=windows, requests=requests, shots=tuple(sorted(shots)))

    def _request(self, window: Window, prompt: Prompt, cycles: Cycles | None) -> Request:
        return Request(
            prompt=prompt.ids,
            document=window.text,
            form=self.asked.form,
            max_new_tokens=self.prompter.max_new_tokens,
            time_limit_s=self.time_limit_s,
            examples=[self.asked.examples[number] for number in prompt.shots],
            num_shared=prompt.num_shared if self.schema.settings.examples_cache == "on" else 0,
            cycles=cycles,
        )

    def _conclude(self, kept: Part, plan: _Plan, completions: Sequence[Completion]) -> Extraction:
        cost = sum((_cost(completion) for completion in completions), Cost(num_steps=1))
        for completion in completions:
            if completion.error:
                return Extraction(
                    outcome=Outcome.FAILED, error=completion.error, finish=Finish.ERROR, cost=cost
                )
        parts: list[Part] = []
        faults: list[Fault] = []
        for number, (window, completion) in enumerate(zip(plan.windows, completions, strict=True), start=1):
            part, found = self._part(window, completion)
            parts += [part] if part else []
            where = f"window {number} of {len(completions)}: " if len(completions) > 1 else ""
            faults += [replace(fault, message=where + fault.message) for fault in found]
        finish = next((c.finish for c in completions if c.finish is not Finish.STOP), Finish.STOP)
        answer = "\n".join(c.text for c in completions) if faults else None
        merged = join(self.schema.form, kept, merge(self.asked.form, parts)) if parts else None
        draft = Extraction(outcome=Outcome.DONE, finish=finish, answer=answer, cost=cost, shots=plan.shots)
        return self._judge(merged, faults, draft)

    def _part(self, window: Window, completion: Completion) -> tuple[Part | None, list[Fault]]:
        if completion.finish is not Finish.STOP:
            return None, [
                Fault(path="", message=f"the answer was truncated by its {completion.finish} limit")
            ]
        try:
            record = json.loads(completion.text)
            # half a surrogate pair is JSON, but no text that can be stored
            dump(record).encode()
        except ValueError as exc:
            return None, [Fault(path="", message=f"the answer is not JSON: {exc}")]
        faults = wire_faults(self.asked, record)
        if faults:
            return None, faults
        confidences = field_confidences(record, completion.tokens)
        kept = without_repeats(self.asked.form, record, window.text)
        evidence = ground(
            self.asked.form,
            kept.value,
            window.text,
            offset=window.start,
            confidence=lambda path: confidences[kept.origins[path]],
        )
        part = leave_empty(
            self.asked.form, Part(record=kept.value, evidence=evidence), self.asked.settings.empty_below
        )
        return part, [Fault(path=path_text(path), message=_ENDED) for path in kept.ended]

    def _judge(self, merged: Part | None, faults: list[Fault], draft: Extraction) -> Extraction:
        if merged is None:
            return replace(draft, outcome=Outcome.REVIEW, faults=tuple(faults))
        validated = to_record(self.schema, merged.record)
        faults = [*faults, *validated.faults, *_ungrounded(merged.evidence)]
        return replace(
            draft,
            outcome=Outcome.REVIEW if faults else Outcome.DONE,
            wire_record=merged.record,
            validated=validated,
            evidence=tuple(merged.evidence),
            faults=tuple(faults),
            confidence=min((e.confidence for e in merged.evidence), default=1.0),
        )


def _ungrounded(evidence: Sequence[Evidence]) -> Iterator[Fault]:
    for item in evidence:
        if item.state is State.UNGROUNDED:
            yield Fault(path=item.path_text, message=f"{item.value!r} does not stand in the document")


def _better(first: Extraction, second: Extraction) -> Extraction:
    """The one with a record, of two the one with fewer faults, the first if equal; the cost is both's."""
    best = min(first, second, key=lambda e: (bool(e.error), e.wire_record is None, len(e.faults)))
    return replace(best, cost=first.cost + second.cost)


def _cost(completion: Completion) -> Cost:
    usage = completion.usage
    return Cost(
        prompt_tokens=usage.prompt_tokens,
        output_tokens=usage.output_tokens,
        forwards=usage.forwards,
        seconds=usage.seconds,
        device_seconds=usage.device_seconds,
        num_windows=1,
    )
