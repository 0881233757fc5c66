"""Runtimes for what is tested without services."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from tests.cases import parcels
from tests.cases.worlds import make_runtime
from workers.runtime import Runtime

Make = Callable[..., Runtime]


@pytest.fixture
def make(sqlite_store: Engine, tmp_path: Path) -> Iterator[Make]:
    """Runtimes over one SQLite file."""
    schemas = parcels.write_schema(tmp_path / "schemas")
    made: list[Runtime] = []

    def one(*args: Any, **kwargs: Any) -> Runtime:
        made.append(make_runtime(str(sqlite_store.url), schemas, *args, **kwargs))
        return made[-1]

    yield one
    for runtime in made:
        runtime.store.dispose()
