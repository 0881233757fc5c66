"""What a job keeps of an earlier record of its document: under the names of now, with its evidence."""

from typing import Any

from schemas.base import Schema
from schemas.changes import carry
from schemas.forms import Path, path_text
from workers.ground import Evidence, State
from workers.merge import Part
from workers.store.reuses import Reused


def keep(schema: Schema, reused: Reused) -> Part:
    """The fields of an earlier record that are in the schema and not asked for."""
    record, places = carry(schema.form, reused.wire_record)
    kept = {name: value for name, value in record.items() if name not in reused.fields}
    found = {path: reused.evidence.get(path_text(old)) for path, old in places.items() if path[0] in kept}
    evidence = [
        Evidence(
            path=path,
            # the record lacks what was doubted
            value=row.value if row.state == State.DOUBTED else _at(kept, path),
            state=State(row.state),
            start=row.start_char,
            end=row.end_char,
            text=row.text,
            confidence=row.confidence,
        )
        for path, row in found.items()
        if row is not None
    ]
    return Part(record=kept, evidence=evidence)


def _at(record: dict[str, Any], path: Path) -> Any:
    value: Any = record
    for key in path:
        value = value[key]
    return value
