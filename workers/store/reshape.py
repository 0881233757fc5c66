"""What turns the typed tables that a database has into those that a schema wants now, and back.

Every step is one of Alembic's operations, so it can be run at once or be written down in a revision. Both
databases know all of them: no table is rebuilt, for that would take the rows of its child tables along on SQLite.
A column that was NOT NULL may stay so to the schema alone: rows written before it have nothing to put there.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from alembic.operations import MigrateOperation, Operations, ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy import (
    Column,
    Connection,
    ForeignKeyConstraint,
    MetaData,
    Numeric,
    PrimaryKeyConstraint,
    Table,
    inspect,
)
from sqlalchemy.types import TypeEngine

from schemas.changes import names
from schemas.forms import ObjectForm
from workers.store.names import MAX_BYTES
from workers.store.records import ListTable, RecordTables, leaves
from workers.store.types import ExactDecimal

# what the database converts without losing anything, in the same words on both
_CASTS = {
    ("BIGINT", "NUMERIC"),
    ("BIGINT", "DOUBLE PRECISION"),
    ("BIGINT", "DOUBLE"),
    ("BIGINT", "TEXT"),
    ("NUMERIC", "TEXT"),
    ("DATE", "TEXT"),
}


@dataclass
class Plan:
    """The steps from the tables that there are to those that are wanted."""

    # names the tables in which dropped values are kept
    mark: str
    ups: list[MigrateOperation] = field(default_factory=list)
    downs: list[MigrateOperation] = field(default_factory=list)
    # a sentence each
    notes: list[str] = field(default_factory=list)
    # nothing that is there is renamed or dropped
    is_additive: bool = True

    def step(self, note: str, up: Sequence[MigrateOperation], down: Sequence[MigrateOperation]) -> None:
        """Steps and what takes them back, which is done in the opposite order of steps."""
        self.ups += up
        self.downs[:0] = down
        self.notes.append(note)


def plan(conn: Connection, wanted: RecordTables, mark: str = "") -> Plan:
    """What is to be done; nothing if the tables fit or there are none yet."""
    made = Plan(mark)
    present = set(inspect(conn).get_table_names())
    if wanted.main.name in present:
        _Planner(conn, made, present).plan(wanted)
    return made


def apply(conn: Connection, made: Plan) -> None:
    """Do the steps now."""
    operations = Operations(MigrationContext.configure(conn))
    for step in made.ups:
        operations.invoke(step)


@dataclass
class _Match:
    """A wanted table, and the one it is now."""

    table: Table
    form: ObjectForm
    was: str
    # key columns: what they are called now and are to be called
    keys: list[tuple[str, str]]


class _Planner:
    def __init__(self, conn: Connection, made: Plan, present: set[str]) -> None:
        self.conn, self.made, self.present = conn, made, present
        self.inspector = inspect(conn)

    def plan(self, wanted: RecordTables) -> None:
        main = _Match(wanted.main, wanted.form, wanted.main.name, [("document_id", "document_id")])
        matches, new = [main], list[Table]()
        self._match(main, wanted.lists, matches, new)
        for name in self._gone(main.was, {match.was for match in matches}):
            self._drop_table(name)
        for match in matches[1:]:
            self._rename_table(match)
        for match in matches:
            self._fit(match)
        for table in new:
            self.made.step(f"{table.name}: a new list.", [_create(table)], [ops.DropTableOp(table.name)])

    def _match(
        self, parent: _Match, lists: Sequence[ListTable], matches: list[_Match], new: list[Table]
    ) -> None:
        for below in lists:
            found = next(
                (
                    name
                    for name in _formers(parent.form, below.path)
                    if f"{parent.was}_{name}" in self.present
                ),
                None,
            )
            if found is None:
                new += [below.table, *(table for each in below.lists for table in _all(each))]
                continue
            keys = [*parent.keys, ("position", "position")]
            match = _Match(below.table, below.item, f"{parent.was}_{found}", keys)
            matches.append(match)
            inner = [*parent.keys, (f"{found}_position", below.position_name)]
            self._match(_Match(match.table, match.form, match.was, inner), below.lists, matches, new)

    def _gone(self, main: str, met: set[str]) -> list[str]:
        """Tables below those that are met and no longer wanted, children before parents."""
        gone: list[str] = []
        for name in sorted(self.present - met):
            # tables that keep dropped values are named alike, and are nobody's children
            keys = self.inspector.get_foreign_keys(name) if name.startswith(f"{main}_") else []
            if any(key["referred_table"] in met | set(gone) for key in keys):
                gone.insert(0, name)
        return gone

    def _drop_table(self, name: str) -> None:
        was = Table(name, MetaData(), autoload_with=self.conn, resolve_fks=False)
        kept = self._kept(name)
        parent = next(iter(was.foreign_key_constraints)).elements[0].target_fullname.partition(".")[0]
        back = (
            f"INSERT INTO {name} SELECT * FROM {kept} WHERE document_id IN (SELECT document_id FROM {parent})"
        )
        self.made.is_additive = False
        self.made.step(
            f"{name}: the list is no longer in the schema; its rows stay in {kept}, drop that when it is of no use.",
            [ops.ExecuteSQLOp(f"CREATE TABLE {kept} AS SELECT * FROM {name}"), ops.DropTableOp(name)],
            [_create(was), ops.ExecuteSQLOp(back), ops.DropTableOp(kept)],
        )

    def _rename_table(self, match: _Match) -> None:
        old, new = match.was, match.table.name
        if old == new:
            return
        self.made.is_additive = False
        ups: list[MigrateOperation] = [ops.ExecuteSQLOp(f"ALTER TABLE {old} RENAME TO {new}")]
        downs: list[MigrateOperation] = [ops.ExecuteSQLOp(f"ALTER TABLE {new} RENAME TO {old}")]
        if self.conn.dialect.name == "postgresql":
            # a later list of the old name needs the names of its constraints
            for kind in ("pk_{}", "fk_{}_parent"):
                ups.append(ops.ExecuteSQLOp(_rename_constraint(new, kind.format(old), kind.format(new))))
                downs.append(ops.ExecuteSQLOp(_rename_constraint(old, kind.format(new), kind.format(old))))
        self.made.step(f"{new}: was {old}.", ups, downs)

    def _fit(self, match: _Match) -> None:
        """Make the columns of a table, which has its new name by now, those that are wanted."""
        table = match.table.name
        present = {column["name"]: column for column in self.inspector.get_columns(match.was)}
        wanted = {column.name: column for column in match.table.columns}
        was = {new: old for old, new in match.keys} | _former_columns(match.form, set(wanted), set(present))
        met = {was.get(name, name) for name in wanted}
        dropped = {name: column["type"] for name, column in present.items() if name not in met}
        retyped = {
            name
            for name, column in wanted.items()
            if (old := present.get(was.get(name, name)))
            and self._spelled(old["type"]) != self._spelled(column.type)
        }
        for new, former in was.items():
            if new != former:
                self._rename_column(table, former, new)
        self._drop(table, match, dropped, {name: present[was.get(name, name)]["type"] for name in retyped})
        for name, column in wanted.items():
            old = present.get(was.get(name, name))
            if old is None:
                self._add(table, column)
            elif column.nullable and not old["nullable"] and name not in retyped:
                self._loosen(table, column)

    def _rename_column(self, table: str, old: str, new: str) -> None:
        self.made.is_additive = False
        self.made.step(
            f"{table}.{new}: was {old}.",
            [ops.AlterColumnOp(table, old, modify_name=new)],
            [ops.AlterColumnOp(table, new, modify_name=old)],
        )

    def _add(self, table: str, column: Column[Any]) -> None:
        self.made.step(
            f"{table}.{column.name}: new; NULL until its documents are extracted again.",
            [_add_column(table, column.name, column.type)],
            [ops.DropColumnOp(table, column.name)],
        )

    def _loosen(self, table: str, column: Column[Any]) -> None:
        spare = f"{column.name[: MAX_BYTES - 4]}_new"
        self.made.step(
            f"{table}.{column.name}: may be NULL now; it stays so on the way back, for rows may be by then.",
            [
                _add_column(table, spare, column.type),
                ops.ExecuteSQLOp(f"UPDATE {table} SET {spare} = {column.name}"),
                ops.DropColumnOp(table, column.name),
                ops.AlterColumnOp(table, spare, modify_name=column.name),
            ],
            [],
        )

    def _drop(
        self,
        table: str,
        match: _Match,
        dropped: dict[str, TypeEngine[Any]],
        retyped: dict[str, TypeEngine[Any]],
    ) -> None:
        """Take columns away, or give them another type, and keep their values in a table beside."""
        if not dropped and not retyped:
            return
        self.made.is_additive = False
        kept, keys = self._kept(table), [new for _, new in match.keys]
        columns = [*dropped, *retyped]
        copy = f"CREATE TABLE {kept} AS SELECT {', '.join([*keys, *columns])} FROM {table}"
        self.made.step(
            f"{kept}: the values of {', '.join(columns)} as they were; drop it when it is of no use.",
            [ops.ExecuteSQLOp(copy)],
            [ops.DropTableOp(kept)],
        )
        for name, type_ in dropped.items():
            self.made.step(
                f"{table}.{name}: no longer in the schema.",
                [ops.DropColumnOp(table, name)],
                [_add_column(table, name, type_), _restore(table, kept, name, name, keys)],
            )
        for name, type_ in retyped.items():
            self._retype(table, kept, name, type_, match.table.c[name].type, keys)

    def _retype(
        self,
        table: str,
        kept: str,
        name: str,
        old: TypeEngine[Any],
        new: TypeEngine[Any],
        keys: Sequence[str],
    ) -> None:
        spelled = self._spelled(old), self._spelled(new)
        is_cast = spelled in _CASTS
        ups: list[MigrateOperation] = [ops.DropColumnOp(table, name), _add_column(table, name, new)]
        if is_cast:
            ups.append(_restore(table, kept, name, f"CAST({name} AS {spelled[1]})", keys))
        then = "converted" if is_cast else "NULL until its documents are extracted again"
        self.made.step(
            f"{table}.{name}: {spelled[1]}, was {spelled[0]}; {then}.",
            ups,
            [
                ops.DropColumnOp(table, name),
                _add_column(table, name, old),
                _restore(table, kept, name, name, keys),
            ],
        )

    def _kept(self, table: str) -> str:
        return f"{table[: MAX_BYTES - len(self.made.mark) - 1]}_{self.made.mark}"

    def _spelled(self, type_: TypeEngine[Any]) -> str:
        return type_.compile(self.conn.dialect)


def _all(of: ListTable) -> Iterator[Table]:
    yield of.table
    for below in of.lists:
        yield from _all(below)


def _formers(form: ObjectForm, path: Sequence[str]) -> list[str]:
    """The names that a column or list of this path may have had, its own first."""
    parts: list[list[str]] = []
    around: Any = form
    for name in path:
        parts.append(names(around, name))
        around = dict(around.fields)[name]
    return ["_".join(each) for each in product(*parts)]


def _former_columns(form: ObjectForm, wanted: set[str], present: set[str]) -> dict[str, str]:
    """The columns that have another name now, by the one they are to have."""
    was: dict[str, str] = {}
    for path, _, _ in leaves(form):
        name, *formers = _formers(form, path)
        former = next((old for old in formers if old in present and old not in wanted), None)
        if name not in present and former:
            was[name] = former
    return was


def _add_column(table: str, name: str, type_: TypeEngine[Any]) -> ops.AddColumnOp:
    return ops.AddColumnOp(table, Column(name, _plain(type_), nullable=True))


def _restore(table: str, kept: str, name: str, value: str, keys: Sequence[str]) -> ops.ExecuteSQLOp:
    same = " AND ".join(f"kept.{key} = {table}.{key}" for key in keys)
    return ops.ExecuteSQLOp(f"UPDATE {table} SET {name} = (SELECT {value} FROM {kept} AS kept WHERE {same})")


def _rename_constraint(table: str, old: str, new: str) -> str:
    return f"ALTER TABLE {table} RENAME CONSTRAINT {old} TO {new}"


def _create(table: Table) -> ops.CreateTableOp:
    columns = [
        Column(column.name, _plain(column.type), nullable=column.nullable, autoincrement=False)
        for column in table.columns
    ]
    keys = [
        ForeignKeyConstraint(
            [column.name for column in key.columns],
            [element.target_fullname for element in key.elements],
            name=key.name,
            ondelete=key.ondelete,
        )
        for key in table.foreign_key_constraints
    ]
    primary = PrimaryKeyConstraint(
        *(column.name for column in table.primary_key), name=str(table.primary_key.name)
    )
    return ops.CreateTableOp(table.name, [*columns, primary, *keys])


def _plain(type_: TypeEngine[Any]) -> TypeEngine[Any]:
    """A type that a revision can name without importing the store."""
    return Numeric() if isinstance(type_, ExactDecimal) else type_
