"""`gleaner eval --synthetic`: what a checkpoint is worth on documents made by code."""

import json
from dataclasses import asdict

from pipelines.cli.console import counting, number_of, out, percent, rounded, table
from pipelines.evaluate.synthetic import answer, synthetic_report
from workers.prompt import Envelope
from workers.runtime import Runtime


def measure_synthetic(
    runtime: Runtime, kind: str, number: int, *, is_shared: bool, empty_below: float, as_json: bool
) -> None:
    """Extract synthetic documents of a kind, and print what is right."""
    with counting(f"eval {kind}", number) as advance:
        made = synthetic_report(
            answer(
                runtime.engine,
                Envelope(conditions=runtime.settings.condition_tokens),
                recipe=kind,
                number=number,
                is_shared=is_shared,
                empty_below=empty_below,
                batch_size=runtime.settings.batch_size,
                on_answered=advance,
            )
        )
    if as_json:
        print(json.dumps(asdict(made), indent=2))  # noqa: T201
        return
    figures = made.overall
    rates = (figures.precision, figures.recall, figures.f1, figures.null_rate)
    counts = (figures.num_gold, figures.num_found, figures.num_right)
    columns = ("precision", "recall", "F1", "nulls right", "gold", "found", "right")
    out.print(f"synthetic documents: {kind}, checkpoint {runtime.checkpoint.name}")
    out.print(table(columns, [(*map(rounded, rates), *counts)]))
    sure = made.calibration
    out.print(f"mean confidence {rounded(sure.if_right)} if right, {rounded(sure.if_wrong)} if wrong")
    out.print(
        f"{number_of(made.num_documents, 'document')}, exact records {percent(made.exact_records)}, "
        f"{made.num_unfinished} answers without an end"
    )
