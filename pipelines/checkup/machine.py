"""Settings, versions and disk of this machine."""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from sqlalchemy import Connection

from pipelines.checkup.database import ask
from pipelines.checkup.finding import Said, error, ok, warning
from workers.runtime import Runtime
from workers.settings import Settings
from workers.store import roster

# RETURNING, which every claim uses
OLDEST_SQLITE = (3, 35)
LITTLE_DISK, NO_DISK = 2 << 30, 200 << 20


def settings(runtime: Runtime) -> Iterator[Said]:
    """Variables that nothing reads, and times that do not go together."""
    known = {f"GLEANER_{name.upper()}" for name in Settings.model_fields}
    unknown = sorted(name for name in os.environ if name.startswith("GLEANER_") and name not in known)
    if unknown:
        yield warning(f"nothing reads {', '.join(unknown)}", "See the table of settings in the README.")
    own = runtime.settings
    if own.resend_after_s <= own.sweep_s:
        found = (
            f"a message is sent again after {own.resend_after_s:g} s, and looked for every {own.sweep_s:g} s"
        )
        yield warning(found, "Raise GLEANER_RESEND_AFTER_S: what waits in the queue is sent again and again.")
    yield ok(f"set: {', '.join(sorted(own.model_fields_set)) or 'none, all defaults'}")


def versions(runtime: Runtime) -> Iterator[Said]:
    """Libraries that this version of Gleaner was not made for, and workers of another version."""
    needed = (Requirement(line) for line in metadata.requires("gleaner") or ())
    wanting = [
        said for one in needed if not (one.marker and not one.marker.evaluate()) and (said := _misfit(one))
    ]
    if wanting:
        yield error(", ".join(wanting), "Install Gleaner anew into an environment of its own.")
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        yield error(f"SQLite {sqlite3.sqlite_version} is too old", "Use a Python with SQLite 3.35 or newer.")
    here = metadata.version("gleaner")
    others = sorted((ask(runtime, _versions_of_workers) or set()) - {here})
    if others:
        found = f"there are workers of version {', '.join(others)}, and this is {here}"
        yield warning(found, "Replace them one after another: `gleaner workers` lists them.")
    yield ok(
        ", ".join(
            f"{name} {metadata.version(name)}"
            for name in ("gleaner", "celery", "redis", "sqlalchemy", "torch")
        )
    )


def _misfit(needed: Requirement) -> str | None:
    try:
        has = metadata.version(needed.name)
    except metadata.PackageNotFoundError:
        return f"{needed.name} is not installed"
    return (
        None
        if needed.specifier.contains(has, prereleases=True)
        else f"{needed.name} {has} is not {needed.specifier}"
    )


def _versions_of_workers(conn: Connection) -> set[str]:
    return {worker.version for worker in roster.list_workers(conn) if not worker.is_silent}


def disk(runtime: Runtime) -> Iterator[Said]:
    """Room where this machine writes."""
    own = runtime.settings
    places = {own.data_dir.absolute()}
    if own.database.startswith("sqlite:///"):
        places.add(Path(own.database.removeprefix("sqlite:///")).absolute().parent)
    for place in sorted(places):
        existing = next(path for path in (place, *place.parents) if path.exists())
        free = shutil.disk_usage(existing).free
        found = f"{free / 1e9:.1f} GB are free for {place}"
        if free < LITTLE_DISK:
            made = error if free < NO_DISK else warning
            yield made(found, "Free some, or move GLEANER_DATA_DIR or the database.")
        else:
            yield ok(found)
