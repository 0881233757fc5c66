"""`gleaner schemas`: what can be extracted."""

import json
from typing import Annotated

import typer

from pipelines.cli.console import err, out, say, table
from schemas.base import schema_form
from schemas.errors import TableError
from schemas.forms import Form, Leaf, ListForm, ObjectForm
from schemas.registry import Registry
from workers.runtime import get_runtime
from workers.store import records

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
