"""Pipelines: a source, a schema and a schedule, declared in a few lines of Python."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from pipelines.ingest import IngestOptions
from pipelines.schedule import Schedule
from pipelines.sources.feed import Feed
from schemas.base import Schema, SchemaSettings
from schemas.errors import PipelineError
from schemas.modules import modules
from schemas.registry import Registry
from workers.store.batches import LIVE

CATALOG = "pipelines.catalog"
# what a pipeline may set otherwise; the rest says how values are read, and the examples are written by it
_SETTINGS = (
    "ladder",
    "shots",
    "max_answer_tokens",
    "window_tokens",
    "overlap_tokens",
    "empty_below",
    "describe_fields",
)
_MIN_SHOTS, _MAX_SHOTS = 2, 8


@dataclass(frozen=True)
class Pipeline:
    """Takes what is new in a source through a schema, whenever its schedule says so.

    Raises:
        PipelineError: it cannot be as it is declared; says what is wrong and what is allowed.
    """

    name: str
    _: KW_ONLY
    source: Feed
    # the name of a schema
    schema: str
    # None: only when somebody runs it
    schedule: Schedule | None = None
    # the most examples in a prompt
    shots: int | None = None
    # of the schema, but for this pipeline: overlap_tokens of windows, shots, ladder, ...
    settings: Mapping[str, Any] = field(default_factory=dict)
    # of its jobs: the lower, the sooner
    priority: int = LIVE
    # the confidence below which a record goes to review
    review_below: float | None = None
    # the share of failed documents of a run above which the pipeline stops itself
    max_failures: float | None = None

    def __post_init__(self) -> None:
        self._require(
            isinstance(self.name, str) and re.fullmatch(r"[a-z][a-z0-9_]{0,62}", self.name) is not None,
            f"is named {self.name!r}.",
            "Use small letters, digits and underscores, a letter first, at most 63.",
        )
        self._require(
            hasattr(self.source, "read") and hasattr(self.source, "forgets"),
            f"has {self.source!r} as its source.",
            "Use Files, Rows, Query or Mailbox of pipelines.sources, or a class with their methods.",
        )
        self._require(
            self.schedule is None or hasattr(self.schedule, "after"),
            f"has {self.schedule!r} as its schedule.",
            "Use Cron('30 6 * * *', 'Europe/Berlin') or Every(minutes=15), or leave it out.",
        )
        self._require(isinstance(self.schema, str), f"has {self.schema!r} as its schema.", "Give its name.")
        self._check_options()

    def _check_options(self) -> None:
        shots, unknown = self.shots, sorted(set(self.settings) - set(_SETTINGS))
        self._require(
            shots is None or (isinstance(shots, int) and _MIN_SHOTS <= shots <= _MAX_SHOTS),
            f"has shots={shots!r}.",
            f"A prompt shows {_MIN_SHOTS} to {_MAX_SHOTS} examples.",
        )
        self._require(not unknown, f"sets {', '.join(unknown)}.", f"It may set {', '.join(_SETTINGS)}.")
        self._require(
            isinstance(self.priority, int), f"has priority={self.priority!r}.", "Use a whole number."
        )
        for name in ("review_below", "max_failures"):
            share = getattr(self, name)
            is_share = share is None or (isinstance(share, int | float) and 0 <= share <= 1)
            self._require(is_share, f"has {name}={share!r}.", "It is a share from 0 to 1, or None.")

    def _require(self, holds: bool, said: str, hint: str) -> None:
        if not holds:
            raise PipelineError(f"The pipeline {self.name} {said}", hint=hint)

    @property
    def when(self) -> str | None:
        """Its schedule for people, and for the database to notice that it is another one."""
        return None if self.schedule is None else str(self.schedule)

    def due_after(self, moment: datetime) -> datetime | None:
        """When its next run is due."""
        return None if self.schedule is None else self.schedule.after(moment)

    @property
    def options(self) -> IngestOptions:
        """How its jobs are to be treated."""
        return {
            "priority": self.priority,
            "max_failures": self.max_failures,
            "review_below": self.review_below,
        }

    def schema_of(self, registry: Registry) -> Schema:
        """Its schema, under the settings that it sets.

        Raises:
            UnknownSchemaError: there is no such schema.
            PipelineError: a setting cannot be.
        """
        schema = registry.get(self.schema)
        try:
            settings = SchemaSettings.model_validate(schema.settings.model_dump() | dict(self.settings))
        except ValidationError as exc:
            first = exc.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"]))
            said = f"The pipeline {self.name} sets {where}: {first['msg']}."
            raise PipelineError(said, hint="See SchemaSettings.") from exc
        if self.shots is not None:
            steps = [
                step.model_copy(update={"max_shots": min(self.shots, step.max_shots)})
                for step in settings.ladder
            ]
            settings = settings.model_copy(update={"ladder": tuple(steps)})
        return schema if settings == schema.settings else schema.with_settings(settings)


class Pipelines:
    """The declared pipelines by their names."""

    def __init__(self, declared: Iterable[Pipeline]) -> None:
        self._declared: dict[str, Pipeline] = {}
        for pipeline in declared:
            if self._declared.setdefault(pipeline.name, pipeline) is not pipeline:
                raise PipelineError(
                    f"Two pipelines are named {pipeline.name}.",
                    hint="Rename one: the cursor is kept by the name.",
                )

    @classmethod
    def load(cls, sources: Iterable[str] = ()) -> "Pipelines":
        """Those of `pipelines/catalog/` and of `sources`: directories of .py files, or importable module names."""
        found = (modules(source, "GLEANER_PIPELINES", PipelineError) for source in (CATALOG, *sources))
        values = (value for each in found for module in each for value in vars(module).values())
        # one that a module imports from another is the same one
        return cls({id(value): value for value in values if isinstance(value, Pipeline)}.values())

    def __iter__(self) -> Iterator[Pipeline]:
        return iter(sorted(self._declared.values(), key=lambda pipeline: pipeline.name))

    def get(self, name: str) -> Pipeline:
        """The pipeline of this name.

        Raises:
            PipelineError: there is none.
        """
        if name not in self._declared:
            raise PipelineError(
                f"There is no pipeline {name!r}; there are {', '.join(sorted(self._declared)) or 'none'}.",
                hint="Declare it in a Python file whose directory or module GLEANER_PIPELINES names.",
            )
        return self._declared[name]
