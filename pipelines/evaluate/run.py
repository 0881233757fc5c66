"""Labels -> extraction by the ordinary path -> verdicts."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.evaluate.labels import Label
from pipelines.evaluate.match import Judgement, judge, loose, strict
from pipelines.evaluate.values import found_values
from schemas.base import Schema
from workers.extract import Extraction, Outcome
from workers.runtime import Runtime


@dataclass(frozen=True, kw_only=True)
class Scored:
    """A label, what came of its document, and the verdicts."""

    label: Label
    # None: the document could not be read
    extraction: Extraction | None
    # None: nothing was extracted
    found: dict[str, Any] | None
    strict: Sequence[Judgement]
    loose: Sequence[Judgement]

    @property
    def state(self) -> str:
        """Where the document ended: done, truncated, invalid (these two are in review) or failed."""
        if self.extraction is None or self.extraction.outcome is Outcome.FAILED:
            return "failed"
        if self.extraction.outcome is Outcome.DONE:
            return "done"
        return "truncated" if self.extraction.finish != "stop" else "invalid"


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """Every label scored, in order, and the seconds that the extraction took."""

    schema: Schema
    scored: Sequence[Scored]
    seconds: float


def evaluate(
    runtime: Runtime,
    schema: Schema,
    labels: Sequence[Label],
    *,
    on_scored: Callable[[int], None] = lambda count: None,
) -> Evaluated:
    """Extract the labels' documents, as many together as the engine takes, and judge what comes of them.

    A document that cannot be read counts as failed.

    Raises:
        TransientError: the device failed.
    """
    extractor = runtime.extractor(schema)
    size = runtime.settings.batch_size
    scored: list[Scored] = []
    seconds = 0.0
    for start in range(0, len(labels), size):
        batch = labels[start : start + size]
        began = time.perf_counter()
        extractions = iter(extractor.extract([label.text for label in batch if label.text is not None]))
        seconds += time.perf_counter() - began
        scored += [score(schema, label, None if label.text is None else next(extractions)) for label in batch]
        on_scored(len(batch))
    return Evaluated(schema=schema, scored=scored, seconds=seconds)


def score(schema: Schema, label: Label, extraction: Extraction | None) -> Scored:
    """Judge what came of one document."""
    found = found_values(schema, extraction) if extraction else None
    return Scored(
        label=label,
        extraction=extraction,
        found=found,
        strict=judge(schema.form, label.gold, found, strict),
        loose=judge(schema.form, label.gold, found, loose),
    )
