"""One document with all that came of it, as its page shows it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row

from pipelines.report.record import Node, nodes, ranks
from pipelines.report.spans import Segment, segments
from schemas.forms import ObjectForm
from workers.store.models import JobState


@dataclass(frozen=True, kw_only=True)
class Reason:
    """Why a document is in review or failed."""

    message: str
    path: str = ""
    # of the evidence of the field it is about; None if it is about none
    number: int | None = None


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What is known of a document; its evidence by number."""

    row: Row[Any]
    content: Row[Any]
    evidence: Mapping[int, Row[Any]]
    segments: Sequence[Segment]
    nodes: Sequence[Node]
    # the nodes are what the model wrote, for no record came of it
    is_wire: bool
    reasons: Sequence[Reason]


def shown(row: Row[Any], content: Row[Any], evidence: Sequence[Row[Any]], form: ObjectForm | None) -> Shown:
    """A listed document with its content and the evidence of its extraction."""
    numbers = {item.path: item.position for item in evidence}
    spans = {
        item.position: (item.start_char, item.end_char) for item in evidence if item.start_char is not None
    }
    is_wire = content.record is None
    record = (content.wire_record if is_wire else content.record) or {}
    return Shown(
        row=row,
        content=content,
        evidence={item.position: item for item in evidence},
        segments=list(segments(content.text or "", spans)),
        nodes=nodes(record, numbers, ranks(form, list(numbers))),
        is_wire=is_wire,
        reasons=list(_reasons(row, content, numbers)),
    )


def _reasons(row: Row[Any], content: Row[Any], numbers: Mapping[str, int]) -> Iterator[Reason]:
    if row.state == JobState.DONE:
        return
    for fault in content.errors or ():
        yield Reason(message=fault["message"], path=fault["path"], number=numbers.get(fault["path"]))
    if row.error and not content.errors:
        yield Reason(message=row.error)
