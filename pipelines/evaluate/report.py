"""What an evaluation measured, as it is printed and stored."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

from pipelines.evaluate.calibration import Calibration
from pipelines.evaluate.match import Judgement, Verdict
from pipelines.evaluate.metrics import Figures, field_figures, figures, is_exact, share
from pipelines.evaluate.run import Evaluated, Scored
from schemas.base import Schema
from schemas.forms import path_text
from schemas.locate import normalised
from schemas.wire import dump
from workers.extract import Cost
from workers.ground import State

_STANDING = frozenset({State.VERBATIM, State.NORMALISED, State.FUZZY})
_COPIED = _STANDING | {State.UNGROUNDED}


@dataclass(frozen=True, kw_only=True)
class States:
    """How many documents ended where; truncated and invalid ones are in review."""

    done: int = 0
    truncated: int = 0
    invalid: int = 0
    failed: int = 0


@dataclass(frozen=True, kw_only=True)
class Backing:
    """Where values come from; None where there are none."""

    # of the copied values, the share that stands in its document
    grounded: float | None
    # of the copied and inferred values, the share that stands in an example of the prompt and not in its document
    leaked: float | None


@dataclass(frozen=True, kw_only=True)
class Speed:
    """What the extraction took, without loading the model."""

    seconds: float
    documents_per_s: float
    prompt_tokens: int
    output_tokens: int
    forwards: int


@dataclass(frozen=True, kw_only=True)
class Report:
    """All figures; `loose` ones take texts without their case and punctuation."""

    num_documents: int
    overall: Figures
    loose: Figures
    fields: dict[str, Figures]
    loose_fields: dict[str, Figures]
    # shares of the documents of which every value and every null is right
    exact_records: float | None
    loose_exact_records: float | None
    states: States
    backing: Backing
    calibration: Calibration
    speed: Speed


def report(evaluated: Evaluated) -> Report:
    """The figures of an evaluation."""
    scored = evaluated.scored
    strict = list(chain.from_iterable(each.strict for each in scored))
    loose = list(chain.from_iterable(each.loose for each in scored))
    return Report(
        num_documents=len(scored),
        overall=figures(strict),
        loose=figures(loose),
        fields=field_figures(strict),
        loose_fields=field_figures(loose),
        exact_records=share(sum(is_exact(each.strict) for each in scored), len(scored)),
        loose_exact_records=share(sum(is_exact(each.loose) for each in scored), len(scored)),
        states=States(**Counter(each.state for each in scored)),
        backing=_backing(evaluated.schema, scored),
        calibration=Calibration.of(pair for each in scored for pair in confidences(each)),
        speed=_speed(evaluated),
    )


def confidences(scored: Scored) -> Iterator[tuple[Judgement, float]]:
    """The verdict on every extracted value with the model's confidence in it."""
    evidence = scored.extraction.evidence if scored.extraction else ()
    by_path = {item.path: item.confidence for item in evidence}
    for judgement in scored.strict:
        # units are read from a sibling and have no confidence of their own
        if judgement.found is not None and judgement.path in by_path:
            yield judgement, by_path[judgement.path]


def _backing(schema: Schema, scored: Iterable[Scored]) -> Backing:
    examples = [f"{example.text}\n{dump(example.record)}" for example in schema.examples]
    standing: list[bool] = []
    leaking: list[bool] = []
    for each in scored:
        extraction, text = each.extraction, each.label.text or ""
        shown = [examples[number] for number in extraction.shots] if extraction else []
        for item in extraction.evidence if extraction else ():
            if item.state in _COPIED:
                standing.append(item.state in _STANDING)
            if item.state in _COPIED or item.state is State.INFERRED:
                leaking.append(_is_leaked(str(item.value), text, shown))
    return Backing(grounded=share(sum(standing), len(standing)), leaked=share(sum(leaking), len(leaking)))


def _is_leaked(value: str, document: str, examples: Iterable[str]) -> bool:
    return not normalised(document, value) and any(normalised(example, value) for example in examples)


def _speed(evaluated: Evaluated) -> Speed:
    cost = sum((each.extraction.cost for each in evaluated.scored if each.extraction), Cost())
    return Speed(
        seconds=evaluated.seconds,
        documents_per_s=len(evaluated.scored) / evaluated.seconds if evaluated.seconds else 0.0,
        prompt_tokens=cost.prompt_tokens,
        output_tokens=cost.output_tokens,
        forwards=cost.forwards,
    )


def details(scored: Scored) -> dict[str, Any]:
    """One document for people who look at errors: its state, faults and every value that is not right."""
    extraction = scored.extraction
    by_path = {judgement.path: confidence for judgement, confidence in confidences(scored)}
    error = scored.label.error or (extraction.error if extraction else None)
    faults = extraction.faults if extraction else ()
    errors = [
        {
            "field": path_text(judgement.path),
            "verdict": judgement.verdict.value,
            "gold": _as_json(judgement.gold),
            "found": _as_json(judgement.found),
            "confidence": by_path.get(judgement.path) if judgement.found is not None else None,
        }
        for judgement in scored.strict
        if judgement.verdict in (Verdict.WRONG, Verdict.MISSING, Verdict.SPURIOUS)
    ]
    return {
        "label": scored.label.name,
        "state": scored.state,
        "error": str(error) if error else None,
        "faults": [": ".join(filter(None, (fault.path, fault.message))) for fault in faults],
        "answer": extraction.answer if extraction else None,
        "wire_record": extraction.wire_record if extraction else None,
        "shots": list(extraction.shots) if extraction else [],
        "errors": errors,
    }


def _as_json(value: Any) -> Any:
    return value if value is None or isinstance(value, bool) else str(value)
