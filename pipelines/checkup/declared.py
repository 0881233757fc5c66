"""Pipelines: they can run as they are declared, and none stands still."""

from collections.abc import Iterator

from pipelines.checkup.database import ask
from pipelines.checkup.finding import Said, ok, warning
from pipelines.etl import Pipelines
from workers.runtime import Runtime
from workers.store.pipelines import list_pipelines


def pipelines(runtime: Runtime) -> Iterator[Said]:
    """Their files can be imported and their schemas exist; which are paused."""
    names = []
    for pipeline in Pipelines.load(runtime.settings.pipelines):
        pipeline.schema_of(runtime.registry)
        names.append(pipeline.name)
    for row in ask(runtime, list_pipelines) or ():
        if row.paused_at is not None:
            yield warning(
                f"{row.name} is paused: {row.paused_why}", f"`gleaner pipelines resume {row.name}`."
            )
    yield ok(", ".join(names) or "none are declared")
