"""Selective re-extraction: documents whose record is of an older version are asked for what changed, and no more."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import sqlalchemy as sa

from pipelines.compare import Difference
from pipelines.ingest import COMMIT_SIZE, new_version
from schemas.base import Schema
from schemas.errors import ConfigurationError
from schemas.forms import Leaf
from schemas.wire import dump
from workers.engine.protocol import Checkpoint
from workers.store import batches, records, reuses, tables, versions
from workers.store.bases import Base, Usage, bases, measured
from workers.store.batches import BACKFILL, NewEntry
from workers.store.questions import ask
from workers.store.session import reading, transaction


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A document and what of it is extracted again."""

    base: Base
    # None: everything; none: its answers are only read anew
    fields: tuple[str, ...] | None


@dataclass(frozen=True, kw_only=True)
class Work:
    """What is to be done, and what was left alone."""

    version_id: int
    checkpoint_id: int
    choices: list[Choice]
    # documents of which only examples, settings or the checkpoint differ
    num_stale: int


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What the documents of one choice of fields take, by what others took."""

    fields: tuple[str, ...] | None
    num_documents: int
    # None: nothing was measured yet
    prompt_tokens: int | None
    output_tokens: int | None
    seconds: float | None


def choose(
    store: sa.Engine,
    schema: Schema,
    checkpoint: Checkpoint,
    *,
    fields: Sequence[str] = (),
    is_stale: bool = False,
    where: str | None = None,
) -> Work:
    """Which documents have a record of another version or, if `is_stale`, other examples, settings or checkpoint.

    Raises:
        TableError: the typed tables are those of an older version.
        ConfigurationError: a field is unknown or a new one is left out, or `where` is no condition.
    """
    given = _known(schema, fields)
    made = records.tables(schema.name, schema.form)
    with transaction(store) as conn:
        tables.ensure(conn, made)
        version_id = versions.put_schema_version(conn, new_version(schema))
        checkpoint_id = versions.put_checkpoint(conn, checkpoint)
        stored = versions.versions_of(conn, schema.name)
        found = bases(conn, schema.name, version_id, checkpoint_id)
    if where:
        chosen = {row[0] for row in ask(store, f"SELECT document_id FROM {schema.name} WHERE {where}").rows}  # noqa: S608
        found = [base for base in found if base.document_id in chosen]
    differences = {each.id: Difference(each, schema) for each in stored}
    choices, num_stale = [], 0
    for base in found:
        difference = differences[base.version_id]
        is_other = base.checkpoint_id != checkpoint_id
        if given:
            choices.append(Choice(base=base, fields=_with_all_new(given, difference)))
        elif is_stale and (is_other or difference.is_stale):
            choices.append(Choice(base=base, fields=None))
        elif difference.changes or difference.is_only_in_rules:
            choices.append(Choice(base=base, fields=tuple(difference.asked_again)))
        else:
            num_stale += 1
    return Work(version_id=version_id, checkpoint_id=checkpoint_id, choices=choices, num_stale=num_stale)


def enqueue(
    store: sa.Engine, work: Work, on_commit: Callable[[Sequence[int]], None] = lambda job_ids: None
) -> int:
    """Make the jobs, which live ones precede, and return their batch's id."""
    with transaction(store) as conn:
        batch_id = batches.open_batch(conn, work.version_id, work.checkpoint_id)
    for start, chunk in _chunks(work.choices):
        entries = [
            NewEntry(position=start + i, origin=choice.base.origin, document_id=choice.base.document_id)
            for i, choice in enumerate(chunk)
        ]
        with transaction(store) as conn:
            added = batches.add_entries(conn, batch_id, entries, priority=BACKFILL)
            new = [
                (item.job_id, choice.base.job_id, choice.fields)
                for item, choice in zip(added, chunk, strict=True)
                if item.outcome.to_send and choice.fields is not None
            ]
            reuses.put_reuses(conn, new)
        on_commit([item.job_id for item in added if item.outcome.to_send])
    with transaction(store) as conn:
        batches.seal(conn, batch_id)
    return batch_id


def estimate(store: sa.Engine, schema: Schema, work: Work) -> list[Estimate]:
    """What it takes, by what this schema's documents took: a part takes its share of the examples' characters."""
    with reading(store) as conn:
        usage = measured(conn, schema.name, work.checkpoint_id)
    groups: dict[tuple[str, ...] | None, int] = {}
    for choice in work.choices:
        groups[choice.fields] = groups.get(choice.fields, 0) + 1
    return [_estimated(schema, fields, num, usage) for fields, num in groups.items()]


def _known(schema: Schema, fields: Iterable[str]) -> tuple[str, ...]:
    forms = dict(schema.form.fields)
    for name in fields:
        if name not in forms:
            raise ConfigurationError(
                f"{schema.name} has no field {name!r}; there are {', '.join(forms)}.",
                hint="Name fields of the schema, separated by commas.",
            )
    # a unit is read from what is copied for its sibling
    asked = (form.unit_of or name if isinstance(form := forms[name], Leaf) else name for name in fields)
    return tuple(dict.fromkeys(asked))


def _with_all_new(fields: tuple[str, ...], difference: Difference) -> tuple[str, ...]:
    lacking = [name for name in difference.asked_again if name not in fields]
    if lacking:
        raise ConfigurationError(
            f"Records of version {difference.stored.digest[:12]} lack {', '.join(lacking)} too.",
            hint=f"Add to --fields: {','.join(lacking)}; or leave --fields out.",
        )
    return fields


def _chunks(choices: Sequence[Choice]) -> Iterator[tuple[int, Sequence[Choice]]]:
    rest, start = iter(choices), 0
    while chunk := list(islice(rest, COMMIT_SIZE)):
        yield start, chunk
        start += len(chunk)


def _estimated(schema: Schema, fields: tuple[str, ...] | None, num: int, usage: Usage | None) -> Estimate:
    if fields == ():
        return Estimate(fields=fields, num_documents=num, prompt_tokens=0, output_tokens=0, seconds=0.0)
    if usage is None:
        return Estimate(
            fields=fields, num_documents=num, prompt_tokens=None, output_tokens=None, seconds=None
        )
    part = schema if fields is None else schema.only(fields)
    texts = sum(len(example.text) for example in schema.examples) + usage.num_chars
    whole, asked = _written(schema), _written(part)
    output = num * usage.output_tokens * asked / whole
    return Estimate(
        fields=fields,
        num_documents=num,
        prompt_tokens=round(num * usage.prompt_tokens * (texts + asked) / (texts + whole)),
        output_tokens=round(output),
        seconds=output * usage.seconds_per_token,
    )


def _written(schema: Schema) -> int:
    """Characters that the examples' records take."""
    return sum(len(dump(example.record)) for example in schema.examples)
