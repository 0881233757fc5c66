"""Typed tables: one for a schema, one for each of its lists, made from the form tree.

A nested object becomes columns of the table it stands in, `parent_child`. A list becomes a child table with a
row for each item; scalars have the column `value`. A child row is named by its document, its position and one
`<list>_position` for each list around its own. TIMESTAMP columns have no zone: a moment with one is stored as
UTC, one without as it is printed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

from sqlalchemy import (
    BIGINT,
    BOOLEAN,
    DATE,
    TEXT,
    TIMESTAMP,
    Column,
    Double,
    ForeignKeyConstraint,
    Index,
    MetaData,
    PrimaryKeyConstraint,
    Table,
)
from sqlalchemy.types import TypeEngine

from schemas.errors import TableError
from schemas.forms import Form, Kind, Leaf, ListForm, ObjectForm
from workers.store.models import Document, Extraction
from workers.store.names import VIEW_KINDS, check_column, check_table
from workers.store.types import ExactDecimal

_TYPES: dict[Kind, TypeEngine[Any]] = {
    Kind.DATE: DATE(),
    Kind.DATETIME: TIMESTAMP(),
    Kind.DECIMAL: ExactDecimal(),
    Kind.INTEGER: BIGINT(),
    Kind.FLOAT: Double(),
    Kind.BOOLEAN: BOOLEAN(),
}


@dataclass(frozen=True, kw_only=True)
class ListTable:
    """The table of a list and how its rows are read from a record."""

    table: Table
    # where the list stands in the object around it
    path: tuple[str, ...]
    item: ObjectForm
    lists: tuple["ListTable", ...]
    # what a table below calls this list's position
    position_name: str

    @cached_property
    def leaves(self) -> tuple[tuple[str, ...], ...]:
        """Where the values of its last columns stand in an item."""
        return tuple(path for path, _, _ in leaves(self.item))


@dataclass(frozen=True, kw_only=True)
class RecordTables:
    """The tables of one schema."""

    main: Table
    form: ObjectForm
    lists: tuple[ListTable, ...]

    @cached_property
    def all(self) -> list[Table]:
        """Parents before children."""
        return self.main.metadata.sorted_tables

    @cached_property
    def leaves(self) -> tuple[tuple[str, ...], ...]:
        """Where the values of the main table's last columns stand in a record."""
        return tuple(path for path, _, _ in leaves(self.form))


@dataclass(frozen=True)
class _Parent:
    table: Table
    # names of its primary key as the child calls them
    key: tuple[str, ...]


@dataclass(frozen=True)
class _Columns:
    """Columns of one table, each with the field it comes from."""

    owner: str
    columns: list[Column[Any]] = field(default_factory=list)
    sources: dict[str, str] = field(default_factory=dict)

    def add(
        self, name: str, source: str, type_: TypeEngine[Any], *, nullable: bool = False, comment: str = ""
    ) -> None:
        check_column(name, source)
        if name in self.sources:
            taken = (
                f"would get the column {name} of {self.owner}, which is taken by {self.sources[name].lower()}"
            )
            raise TableError(f"{source} {taken}.", hint="Rename the field.", name=name)
        self.sources[name] = source
        self.columns.append(
            Column(name, type_, nullable=nullable, autoincrement=False, comment=comment or None)
        )


@lru_cache(maxsize=100)
def tables(name: str, form: ObjectForm) -> RecordTables:
    """The typed tables of a schema; nothing is made in a database.

    Raises:
        TableError: a name is reserved, too long or taken twice.
    """
    metadata = MetaData()
    check_table(name, f"The schema {name}")
    columns = _Columns(name)
    columns.add("document_id", "The document", BIGINT(), comment="of documents")
    columns.add("extraction_id", "The extraction", BIGINT(), comment="of extractions: how it came about")
    columns.add(
        "confidence",
        "The confidence of the record",
        Double(),
        nullable=True,
        comment="the least of its fields', uncalibrated",
    )
    _add_leaves(columns, form)
    main = Table(
        name,
        metadata,
        *columns.columns,
        PrimaryKeyConstraint("document_id", name=f"pk_{name}"),
        _foreign_key(name, "document", ["document_id"], [Document.__table__.c.id]),
        _foreign_key(name, "extraction", ["extraction_id"], [Extraction.__table__.c.id]),
        Index(f"ix_{name}_extraction", "extraction_id"),
        comment=form.description or None,
    )
    lists = _list_tables(_Parent(main, ("document_id",)), form)
    return RecordTables(main=main, form=form, lists=lists)


def leaves(
    form: ObjectForm, path: tuple[str, ...] = (), *, nullable: bool = False
) -> Iterator[tuple[tuple[str, ...], Leaf, bool]]:
    """The leaves that are columns of the table of `form`: path, leaf, and whether it may be NULL."""
    for name, child in form.fields:
        below, lacking = (*path, name), nullable or child.nullable
        if isinstance(child, Leaf):
            yield below, child, lacking
        elif isinstance(child, ObjectForm):
            yield from leaves(child, below, nullable=lacking)


def _lists(form: ObjectForm, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], ListForm]]:
    for name, child in form.fields:
        if isinstance(child, ListForm):
            yield (*path, name), child
        elif isinstance(child, ObjectForm):
            yield from _lists(child, (*path, name))


def _add_leaves(columns: _Columns, form: ObjectForm) -> None:
    for path, leaf, nullable in leaves(form):
        type_ = _TYPES.get(leaf.kind, TEXT())
        columns.add(
            "_".join(path),
            f"The field {'.'.join(path)}",
            type_,
            nullable=nullable,
            comment=leaf.description,
        )


def _list_tables(parent: _Parent, form: ObjectForm) -> tuple[ListTable, ...]:
    return tuple(_list_table(parent, path, child) for path, child in _lists(form))


def _list_table(parent: _Parent, path: tuple[str, ...], form: ListForm) -> ListTable:
    flat = "_".join(path)
    name, source = f"{parent.table.name}_{flat}", f"The list {'.'.join(path)} of {parent.table.name}"
    check_table(name, source)
    root = next(iter(parent.table.metadata.tables))
    if name in {f"{root}_{kind}" for kind in VIEW_KINDS}:
        hint = "Rename the list."
        raise TableError(f"{source} would get the name of the view {name}.", hint=hint, name=name)
    if name in parent.table.metadata.tables:
        hint = "Rename one of the two."
        raise TableError(f"{source} would get the table {name}, as another list does.", hint=hint, name=name)
    item = _as_object(form.item)
    columns = _Columns(name)
    for key in (*parent.key, "position"):
        columns.add(key, "The key of the list", BIGINT())
    _add_leaves(columns, item)
    table = Table(
        name,
        parent.table.metadata,
        *columns.columns,
        PrimaryKeyConstraint(*parent.key, "position", name=f"pk_{name}"),
        _foreign_key(name, "parent", parent.key, parent.table.primary_key.columns),
        comment=form.description or item.description or None,
    )
    below = _Parent(table, (*parent.key, f"{flat}_position"))
    return ListTable(
        table=table, path=path, item=item, lists=_list_tables(below, item), position_name=f"{flat}_position"
    )


def _as_object(item: Form) -> ObjectForm:
    """An item that is not an object is one with the single field `value`."""
    return item if isinstance(item, ObjectForm) else ObjectForm(fields=(("value", item),))


def _foreign_key(table: str, to: str, columns: Sequence[str], targets: Any) -> ForeignKeyConstraint:
    return ForeignKeyConstraint(columns, list(targets), name=f"fk_{table}_{to}", ondelete="CASCADE")
