"""What is kept of an earlier record keeps its evidence."""

from types import SimpleNamespace
from typing import Any

from schemas import Example, ExtractionSchema
from schemas.base import Schema
from workers.ground import State
from workers.keep import keep
from workers.store.reuses import Reused


class Parcel(ExtractionSchema):
    """A parcel."""

    sender: str
    receiver: str | None
    weight: str | None


def row(state: State, value: str | None) -> Any:
    return SimpleNamespace(
        state=state.value, value=value, start_char=3, end_char=6, text=value, confidence=0.3
    )


def test_a_doubted_value_stays_in_the_evidence_of_an_empty_field() -> None:
    record: dict[str, Any] = {"sender": "Ann", "receiver": None, "weight": "5 kg"}
    examples = [Example(text="Ann, 5 kg", record=record)] * 2
    evidence = {"sender": row(State.VERBATIM, "Ann"), "receiver": row(State.DOUBTED, "Ned")}
    reused = Reused(fields=("weight",), wire_record=record, evidence=evidence)
    part = keep(Schema(Parcel, examples), reused)
    assert part.record == {"sender": "Ann", "receiver": None}
    assert [(item.path_text, item.state, item.value) for item in part.evidence] == [
        ("sender", State.VERBATIM, "Ann"),
        ("receiver", State.DOUBTED, "Ned"),
    ]
