"""`gleaner schemas`: what can be extracted."""

import json
from typing import Annotated

import typer

from pipelines.cli.console import err, out, say, table
from pipelines.compare import Difference
from schemas.base import schema_form
from schemas.errors import TableError
from schemas.forms import Form, Leaf, ListForm, ObjectForm
from schemas.registry import Registry
from workers.runtime import get_runtime
from workers.store import records, revisions, versions
from workers.store.session import reading

app = typer.Typer(no_args_is_help=True, help="What can be extracted.\n\nExample: gleaner schemas list")


@app.command("list")
def list_schemas() -> None:
    """List the schemas, bundled and your own.

    Example: gleaner schemas list
    """
    registry = get_runtime().registry
    rows = []
    for name in registry.names():
        entry = registry.entry(name)
        rows.append((name, _first_line(entry.model.__doc__), ", ".join(entry.model.model_fields), entry.file))
    out.print(table(("schema", "what", "fields", "file"), rows))


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="Schema name.")],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print both JSON Schemas and the examples.")
    ] = False,
) -> None:
    """Show a schema's fields, examples and version.

    Example: gleaner schemas show invoice --json
    """
    schema = get_runtime().registry.get(name)
    if as_json:
        examples = [{"text": example.text, "record": example.record} for example in schema.examples]
        shown = {
            "name": schema.name,
            "digest": schema.digest,
            "settings": schema.settings.model_dump(mode="json"),
            "wire_schema": schema.wire_schema,
            "record_schema": schema.record_schema,
            "examples": examples,
        }
        print(json.dumps(shown, ensure_ascii=False, indent=2))  # noqa: T201
        return
    shown_of = f"{len(schema.examples)} examples, of which a prompt shows the {schema.settings.shots}"
    out.print(f"{schema.name}: version {schema.digest[:12]}, {shown_of}")
    out.print(schema.form.description)
    out.print(table(("field", "type", "description"), _fields(schema.form, "")))


@app.command()
def check(
    name: Annotated[str | None, typer.Argument(help="Schema name; all if left out.")] = None,
) -> None:
    """Check names and examples: each satisfies its schema, and every verbatim value stands in its text.

    Example: gleaner schemas check receipt
    """
    registry = get_runtime().registry
    names = [name] if name else registry.names()
    faults = [fault for each in names for fault in (*_table_faults(registry, each), *registry.check(each))]
    for fault in faults:
        err.print(str(fault), soft_wrap=True)
    if faults:
        say(f"{len(faults)} faults;", "red", "correct these lines and check again.")
        raise typer.Exit(1)
    out.print(f"{', '.join(names)}: no faults")


@app.command()
def diff(name: Annotated[str, typer.Argument(help="Schema name.")]) -> None:
    """Say what changed since a schema was last used, and what of that is extracted again.

    Example: gleaner schemas diff invoice
    """
    runtime = get_runtime()
    schema = runtime.registry.get(name)
    with reading(runtime.store) as conn:
        stored = versions.in_use(conn, name)
    if stored is None:
        out.print(f"{name} was not used yet")
    elif stored.digest == schema.digest:
        out.print(f"{name} is version {schema.digest[:12]} still: nothing changed")
    else:
        out.print(f"{name}: version {stored.digest[:12]} -> {schema.digest[:12]}")
        _show_difference(Difference(stored, schema))


@app.command()
def migrate(name: Annotated[str, typer.Argument(help="Schema name.")]) -> None:
    """Write the revision that makes a schema's tables what it is now; `gleaner db upgrade` runs it.

    Example: gleaner schemas migrate invoice
    """
    runtime = get_runtime()
    schema = runtime.registry.get(name)
    tables = records.tables(schema.name, schema.form)
    written = revisions.write(runtime.store, runtime.settings.revisions, tables)
    if written is None:
        out.print(f"the tables of {name} are as they should be, or not made yet")
        return
    out.print(written.read_text(encoding="utf-8").partition('"""')[2].partition('"""')[0].strip())
    out.print(f"read {written}, then run `gleaner db upgrade`", soft_wrap=True)


def _show_difference(difference: Difference) -> None:
    rows = [
        (change.path, change.kind, change.was, "yes" if change.is_asked else "no")
        for change in difference.changes
    ]
    if rows:
        out.print(table(("field", "what happened", "was", "extracted again"), rows))
    if difference.other_examples:
        out.print("examples: other ones, also of fields that did not change")
    if difference.settings:
        out.print(f"settings: {', '.join(difference.settings)}")
    if difference.is_only_in_rules:
        out.print(
            "only descriptions, the order of fields, constraints or validators: records are checked anew"
        )


def _table_faults(registry: Registry, name: str) -> list[str]:
    """Why a schema cannot have its typed tables."""
    entry = registry.entry(name)
    try:
        records.tables(name, schema_form(entry.model))
    except TableError as exc:
        return [f"{entry.file}: {exc}"]
    return []


def _first_line(doc: str | None) -> str:
    return (doc or "").strip().split("\n")[0]


def _fields(form: ObjectForm, prefix: str) -> list[tuple[str, str, str]]:
    rows = []
    for name, field in form.fields:
        rows.append((prefix + name, type_name(field), field.description))
        inner = field.item if isinstance(field, ListForm) else field
        if isinstance(inner, ObjectForm):
            rows += _fields(inner, f"{prefix}{name}{'[]' if isinstance(field, ListForm) else ''}.")
    return rows


def type_name(form: Form) -> str:
    """A field's type in a word or two, with `?` where it may be absent."""
    if isinstance(form, ListForm):
        name = f"list of {type_name(form.item)}"
    elif isinstance(form, ObjectForm):
        name = "object"
    else:
        name = _leaf_name(form)
    return f"{name}?" if form.nullable else name


def _leaf_name(leaf: Leaf) -> str:
    if leaf.unit_of:
        return f"unit of {leaf.unit_of}"
    return " | ".join(leaf.choices) if leaf.choices else leaf.kind.value
