"""`gleaner doctor`: is everything that is set usable?"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated

import typer
from kombu.exceptions import OperationalError
from rich.text import Text

from pipelines.cli.console import out, table
from schemas.errors import BrokerAwayError, GleanerError
from workers.app import app as celery_app
from workers.prompt import Envelope
from workers.runtime import Runtime, get_runtime
from workers.settings import Settings
from workers.store import migrate
from workers.store.session import open_store

STYLES = {"ok": "green", "note": "yellow", "failed": "red"}


@dataclass(frozen=True)
class Finding:
    """What one check found."""

    name: str
    mark: str
    detail: str


def doctor(
    fast: Annotated[bool, typer.Option("--fast", help="Leave out loading the model.")] = False,
) -> None:
    """Check settings, database, broker, schemas, checkpoint, device and the prompt.

    Example: gleaner doctor
    """
    runtime = get_runtime()
    checks: list[tuple[str, Callable[[Runtime], str]]] = [
        ("settings", _settings),
        ("database", _database),
        ("broker", _broker),
        ("schemas", _schemas),
        ("checkpoint", _checkpoint),
    ]
    checks += [] if fast else [("device", _device), ("prompt", _prompt)]
    findings = list(_examine(runtime, checks))
    rows = [(f.name, Text(f.mark, style=STYLES[f.mark]), f.detail) for f in findings]
    out.print(table(("check", "", "what was found"), rows))
    if any(finding.mark == "failed" for finding in findings):
        raise typer.Exit(1)


def _examine(runtime: Runtime, checks: list[tuple[str, Callable[[Runtime], str]]]) -> Iterator[Finding]:
    for name, check in checks:
        try:
            detail = check(runtime)
        except GleanerError as exc:
            yield Finding(name, "failed", str(exc))
        else:
            yield Finding(
                name, "note" if detail.startswith("note: ") else "ok", detail.removeprefix("note: ")
            )


def _settings(runtime: Runtime) -> str:
    known = {f"GLEANER_{name.upper()}" for name in Settings.model_fields}
    unknown = sorted(name for name in os.environ if name.startswith("GLEANER_") and name not in known)
    if unknown:
        return f"note: nothing reads {', '.join(unknown)}; see the table of settings in the README"
    given = sorted(runtime.settings.model_fields_set)
    return f"set: {', '.join(given) or 'none, all defaults'}"


def _database(runtime: Runtime) -> str:
    store = open_store(runtime.settings.database)
    where = store.url.render_as_string(hide_password=True)
    revision = migrate.current(store)
    if store.dialect.name == "sqlite" and revision is None:
        return f"{where}, empty; it is filled on first use"
    migrate.require_current(store)
    return f"{where}, at revision {revision}"


def _broker(runtime: Runtime) -> str:
    if not runtime.settings.broker:
        return "none set: `gleaner run` works in its own process"
    with celery_app.connection_for_write() as connection:
        try:
            connection.ensure_connection(max_retries=1, timeout=5)
        except (OperationalError, OSError) as exc:
            raise BrokerAwayError(
                f"{connection.as_uri()} does not answer: {str(exc).rstrip('.')}.",
                hint="Start Redis or correct GLEANER_BROKER_URL.",
            ) from exc
        return str(connection.as_uri())


def _schemas(runtime: Runtime) -> str:
    registry = runtime.registry
    faults = {name: len(found) for name in registry.names() if (found := registry.check(name))}
    if faults:
        return f"note: faults in {', '.join(faults)}; see `gleaner schemas check`"
    return ", ".join(registry.names())


def _checkpoint(runtime: Runtime) -> str:
    checkpoint = runtime.checkpoint
    said = f"{checkpoint.name}, digest {checkpoint.digest[:12]}"
    return f"note: {said}: a placeholder with random weights" if checkpoint.is_placeholder else said


def _device(runtime: Runtime) -> str:
    return str(runtime.engine)


def _prompt(runtime: Runtime) -> str:
    """The envelope's tokens exist, a document cannot forge them, and an answer parses."""
    tokenizer = runtime.engine.tokenizer
    envelope = Envelope(conditions=runtime.settings.condition_tokens)
    names = [envelope.start, envelope.end, *envelope.conditions.values()]
    ids = {tokenizer.special(name) for name in names}
    if ids & set(tokenizer.encode("".join(names))):
        raise GleanerError("text becomes special tokens.", hint="Use the checkpoint's own tokenizer.json.")
    schema = runtime.registry.get(runtime.registry.names()[0])
    extraction = runtime.extractor(schema).extract([schema.examples[0].text])[0]
    if extraction.error:
        raise extraction.error
    return f"{schema.name}: {extraction.outcome}, {extraction.cost.output_tokens} tokens written"
