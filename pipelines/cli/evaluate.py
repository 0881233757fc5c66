"""`gleaner eval`: what a checkpoint is worth, field by field."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.cli.console import counting, err, number_of, out, percent, rounded, say, table
from pipelines.cli.evaluate_synthetic import measure_synthetic
from pipelines.cli.work import Model, SchemaName, read_all, warn_of_placeholder
from pipelines.evaluate.calibration import plot, require_plots
from pipelines.evaluate.labels import Labels, load_labels, load_shots
from pipelines.evaluate.metrics import Figures
from pipelines.evaluate.report import Report, details, report
from pipelines.evaluate.run import Evaluated, evaluate
from pipelines.ingest import new_version
from pipelines.readers import Read
from pipelines.sources.files import FileSource
from schemas.base import ExamplesCache, Schema, Shots
from schemas.errors import ConfigurationError
from workers.runtime import Runtime, get_runtime, set_runtime
from workers.settings import get_settings
from workers.store import evaluations, versions
from workers.store.evaluations import NewEvaluation
from workers.store.session import reading, transaction


def measure(
    schema: SchemaName,
    labels: Annotated[
        Path | None, typer.Argument(help="Labels as JSON Lines; default: those of a bundled schema.")
    ] = None,
    model: Model = None,
    limit: Annotated[int | None, typer.Option(help="Only the first labels.", min=1)] = None,
    samples: Annotated[
        Path | None, typer.Option(help="Where the documents are that labels name by origin.")
    ] = None,
    examples: Annotated[
        Path | None, typer.Option(help="Few-shot examples, or labels as such, instead of the schema's own.")
    ] = None,
    shots: Annotated[
        Shots | None, typer.Option(help="Which examples prompts show, instead of the schema's setting.")
    ] = None,
    examples_cache: Annotated[
        ExamplesCache | None,
        typer.Option(help="Whether prompts share their examples, instead of the schema's setting."),
    ] = None,
    window_tokens: Annotated[
        int | None,
        typer.Option(help="The longest text asked for at once, instead of the schema's setting.", min=32),
    ] = None,
    empty_below: Annotated[
        float | None,
        typer.Option(
            help="Leave out what is less sure and optional or of a list, instead of the schema's setting.",
            min=0.0,
            max=1.0,
        ),
    ] = None,
    cycles: Annotated[
        str | None,
        typer.Option(help="Depth of the model as 2x3, H_cycles x L_cycles; default: its config's."),
    ] = None,
    synthetic: Annotated[
        int | None,
        typer.Option(
            help="So many synthetic documents instead of labels; SCHEMA is a bundled one or `random`.", min=1
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print every figure as JSON.")] = False,
    plots: Annotated[Path | None, typer.Option(help="Directory for a reliability diagram as PNG.")] = None,
    out_file: Annotated[
        Path | None, typer.Option("--out", help="Also write the errors of every document: .jsonl.")
    ] = None,
    history: Annotated[
        bool, typer.Option("--history", help="List what earlier evaluations of the schema measured.")
    ] = False,
) -> None:
    """Extract labelled documents, measure what comes of them, and store the figures.

    A label is a line {"text", "gold"}, gold in clean values; fields that gold leaves out are not scored.

    Synthetic documents are of templates, and with `random` of schemas, that `gleaner train` never shows; each comes
    with examples of its own. Their figures are not stored.

    Example: gleaner eval receipt labels.jsonl --limit 100
    """
    of_labels = {
        "LABELS": labels,
        "--limit": limit,
        "--samples": samples,
        "--examples": examples,
        "--shots": shots,
        "--window-tokens": window_tokens,
        "--plots": plots,
        "--out": out_file,
    }
    of_models = {
        "--model": model,
        "--cycles": cycles,
        "--examples-cache": examples_cache,
        "--empty-below": empty_below,
    }
    if history:
        _refuse("--history", of_labels | of_models | {"--synthetic": synthetic}, allowed="--json is")
        _show_history(get_runtime(), schema, as_json=as_json)
        return
    runtime = _runtime(model, cycles)
    if synthetic:
        # they come with labels and examples, and each is one prompt
        _refuse("--synthetic", of_labels, allowed=f"{', '.join(of_models)} and --json are")
        measure_synthetic(
            runtime,
            schema,
            synthetic,
            is_shared=examples_cache == "on",
            empty_below=empty_below or 0.0,
            as_json=as_json,
        )
        return
    _prepare(plots, out_file)
    chosen, file, loaded = _load(runtime, schema, labels, samples, examples)
    chosen = _asked_with(
        chosen,
        shots=shots,
        examples_cache=examples_cache,
        window_tokens=window_tokens,
        empty_below=empty_below,
    )
    warn_of_placeholder(runtime)
    evaluated = _evaluate(runtime, chosen, loaded, limit)
    made = report(evaluated)
    evaluation_id = _store(runtime, chosen, file, loaded, made)
    if out_file:
        lines = (json.dumps(details(each), ensure_ascii=False) + "\n" for each in evaluated.scored)
        out_file.write_text("".join(lines), encoding="utf-8")
    if plots:
        plot(made.calibration.bins, f"{schema}, {runtime.checkpoint.name}", plots / f"{schema}.png")
    if as_json:
        print(json.dumps(asdict(made), ensure_ascii=False, indent=2))  # noqa: T201
    else:
        _show(made, _title(chosen, file, runtime))
        out.print(f"evaluation {evaluation_id} is stored; compare with `gleaner eval --history {schema}`")


def _refuse(option: str, options: Mapping[str, object], *, allowed: str) -> None:
    """Refuse what cannot be given with an option."""
    given = [f"{name} {value}" for name, value in options.items() if value is not None]
    if given:
        raise ConfigurationError(
            f"{option} does not go with {', '.join(given)}.",
            hint=f"Leave one of them out; {allowed} allowed.",
        )


def _load(
    runtime: Runtime, name: str, file: Path | None, samples: Path | None, examples: Path | None
) -> tuple[Schema, Path, Labels]:
    """The schema, perhaps with other examples, the file of labels and what is in it."""
    entry, schema = runtime.registry.entry(name), runtime.registry.get(name)
    file = file or entry.file.parent / "labels" / f"{name}.jsonl"

    def read_samples() -> Iterable[Read]:
        return read_all(FileSource([samples or entry.samples_dir]), runtime.settings, "text")

    loaded = load_labels(file, schema, read_samples)
    for each in loaded.unread:
        say("warning:", "yellow", each)
    if examples:
        schema, num_left_out = load_shots(examples, schema, loaded)
        err.print(f"{len(schema.examples)} examples of {examples}; {num_left_out} lines left out")
    return schema, file, loaded


def _runtime(model: str | None, cycles: str | None) -> Runtime:
    changed = {name: value for name, value in (("model", model), ("cycles", cycles)) if value}
    if changed:
        set_runtime(Runtime(get_settings().model_copy(update=changed)))
    return get_runtime()


def _asked_with(schema: Schema, **settings: str | float | None) -> Schema:
    """The schema asked for in another way, which is a version of its own."""
    changed = {name: value for name, value in settings.items() if value is not None}
    if not changed:
        return schema
    return schema.with_settings(schema.settings.model_copy(update=changed))


def _title(schema: Schema, file: Path, runtime: Runtime) -> str:
    examples = f"the {schema.settings.shots} of {len(schema.examples)} examples"
    if schema.settings.examples_cache == "on":
        examples += ", shared"
    return f"{schema.name}, {file.name}, checkpoint {runtime.checkpoint.name}, {examples}"


def _evaluate(runtime: Runtime, schema: Schema, loaded: Labels, limit: int | None) -> Evaluated:
    labels = loaded.labels[:limit]
    with counting(f"eval {schema.name}", len(labels)) as advance:
        return evaluate(runtime, schema, labels, on_scored=advance)


def _store(runtime: Runtime, schema: Schema, file: Path, loaded: Labels, made: Report) -> int:
    with transaction(runtime.store) as conn:
        evaluation = NewEvaluation(
            schema_version_id=versions.put_schema_version(conn, new_version(schema)),
            checkpoint_id=versions.put_checkpoint(conn, runtime.checkpoint),
            labels=file.name,
            labels_digest=loaded.digest,
            num_documents=made.num_documents,
            figures=asdict(made),
        )
        return evaluations.put_evaluation(conn, evaluation)


def _show(made: Report, title: str) -> None:
    columns = ("field", "precision", "recall", "F1", "F1 loose", "nulls right", "gold", "found", "right")
    rows = [_row(name, each, made.loose_fields.get(name)) for name, each in made.fields.items()]
    rows.append(_row("all", made.overall, made.loose))
    out.print(title)
    out.print(table(columns, rows))
    states = ", ".join(f"{count} {state}" for state, count in asdict(made.states).items())
    out.print(f"{number_of(made.num_documents, 'document')}: {states}")
    out.print(
        f"exact records {percent(made.exact_records)}, without case and punctuation "
        f"{percent(made.loose_exact_records)}"
    )
    backing, calibration, speed = made.backing, made.calibration, made.speed
    out.print(
        f"copies that stand in their document {percent(backing.grounded)}, "
        f"values from examples {percent(backing.leaked)}"
    )
    out.print(
        f"calibration error {rounded(calibration.error)}; mean confidence if right "
        f"{rounded(calibration.if_right)}, if wrong {rounded(calibration.if_wrong)}"
    )
    out.print(
        f"{speed.documents_per_s:.2f} documents/s; {speed.prompt_tokens:,} prompt tokens, "
        f"{speed.output_tokens:,} output tokens"
    )


def _row(name: str, strict: Figures, loose: Figures | None) -> tuple[Any, ...]:
    rates = (strict.precision, strict.recall, strict.f1, loose.f1 if loose else None, strict.null_rate)
    return name, *map(rounded, rates), strict.num_gold, strict.num_found, strict.num_right


def _show_history(runtime: Runtime, schema: str, *, as_json: bool) -> None:
    # refuses a name that is not known
    runtime.registry.entry(schema)
    with reading(runtime.store) as conn:
        stored = evaluations.list_evaluations(conn, schema)
    if as_json:
        print(json.dumps([asdict(each) for each in stored], default=str, ensure_ascii=False, indent=2))  # noqa: T201
        return
    rows = [
        (
            each.id,
            each.created_at.strftime("%Y-%m-%d %H:%M"),
            each.schema_digest[:12],
            each.shots,
            each.checkpoint,
            f"{each.labels} {each.labels_digest[:8]}",
            each.num_documents,
            rounded(each.figures["overall"]["f1"]),
            rounded(each.figures["loose"]["f1"]),
            percent(each.figures["exact_records"]),
            rounded(each.figures["calibration"]["error"]),
        )
        for each in stored
    ]
    columns = (
        "id",
        "created (UTC)",
        "version",
        "shots",
        "checkpoint",
        "labels",
        "documents",
        "F1",
        "F1 loose",
        "exact",
        "ECE",
    )
    out.print(table(columns, rows))


def _prepare(plots: Path | None, out_file: Path | None) -> None:
    """Find out before the first document what cannot be written after the last."""
    try:
        if plots:
            require_plots()
            plots.mkdir(parents=True, exist_ok=True)
        if out_file:
            out_file.parent.mkdir(parents=True, exist_ok=True)
            out_file.touch()
    except OSError as exc:
        raise ConfigurationError(
            f"{exc.filename} cannot be written: {exc.strerror}.", hint="Name another place."
        ) from exc
