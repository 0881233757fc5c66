"""Databases and brokers for tests.

- `sqlite_url`, `postgres_url`: the URL of an empty database, new for each test
- `database_url`: both of them, one after the other
- `store`: an engine of a migrated database, on both of them
- `sqlite_store`: the same on SQLite alone, for tests that need no server
- `redis_url`: the URL of an empty Redis database, new for each test

Servers are those of GLEANER_TEST_DATABASE_URL and GLEANER_TEST_REDIS_URL, else private ones (`tests/servers.py`). The
named Redis database is emptied; on the named PostgreSQL server databases are made and dropped. A test whose server
cannot be had is skipped with the reason, and fails if CI=true.
"""

import itertools
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing
from pathlib import Path

import pytest
import redis
from hypothesis import settings
from sqlalchemy import Engine, create_engine, make_url

from tests import servers
from workers.store import migrate
from workers.store.session import open_store

_NUM_REDIS_DATABASES = 16

# machines are shared: how long an example took says nothing of the code
settings.register_profile("untimed", settings(), deadline=None)
settings.load_profile("untimed")


def _server(given: str, start: Callable[[], AbstractContextManager[str]]) -> Iterator[str]:
    url = os.environ.get(given)
    with ExitStack() as stack:
        try:
            url = url or stack.enter_context(start())
        except servers.ServerUnavailableError as exc:
            give_up = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
            give_up(f"{exc}; set {given} to use a server of yours")
        yield url


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a PostgreSQL database whose user may make others; tests take `postgres_url`."""
    yield from _server("GLEANER_TEST_DATABASE_URL", servers.postgres_server)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[str]:
    """The URL of a Redis server; tests take `redis_url`."""
    yield from _server("GLEANER_TEST_REDIS_URL", servers.redis_server)


def _new_database(server: str, template: str | None = None) -> Iterator[str]:
    """A database of its own on the server, dropped at the end with whoever is still connected."""
    name = f"gleaner_test_{uuid.uuid4().hex}"
    url = make_url(server).set(drivername="postgresql+psycopg")
    admin = create_engine(url, isolation_level="AUTOCOMMIT")
    copied = f" TEMPLATE {template}" if template else ""
    try:
        with admin.connect() as conn:
            conn.exec_driver_sql(f"CREATE DATABASE {name}{copied}")
        yield url.set(database=name).render_as_string(hide_password=False)
        with admin.connect() as conn:
            conn.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        admin.dispose()


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """The URL of an empty PostgreSQL database, this test's own."""
    yield from _new_database(postgres_server)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of a SQLite file that does not exist yet, this test's own."""
    return f"sqlite:///{tmp_path / 'gleaner.db'}"


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database, on SQLite and on PostgreSQL."""
    return request.getfixturevalue(f"{request.param}_url")


@pytest.fixture(scope="session")
def _postgres_template(postgres_server: str) -> Iterator[str]:
    """The name of a migrated database: copying it is faster than migrating."""
    for url in _new_database(postgres_server):
        _migrate(url)
        yield make_url(url).database


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store") / "template.db"
    _migrate(f"sqlite:///{path}")
    return path


def _migrate(url: str) -> None:
    engine = open_store(url)
    migrate.upgrade(engine)
    engine.dispose()


@pytest.fixture
def sqlite_store(sqlite_url: str, _sqlite_template: Path) -> Iterator[Engine]:
    """An engine of a migrated SQLite file; disposed at the end."""
    shutil.copy(_sqlite_template, make_url(sqlite_url).database)
    engine = open_store(sqlite_url)
    yield engine
    engine.dispose()


@pytest.fixture
def postgres_store(postgres_server: str, _postgres_template: str) -> Iterator[Engine]:
    """An engine of a migrated PostgreSQL database; disposed at the end."""
    for url in _new_database(postgres_server, _postgres_template):
        engine = open_store(url)
        yield engine
        engine.dispose()


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest) -> Engine:
    """An engine of a migrated database, on SQLite and on PostgreSQL; disposed at the end."""
    return request.getfixturevalue(f"{request.param}_store")


@pytest.fixture(scope="session")
def _redis_numbers() -> Iterator[int]:
    return itertools.cycle(range(1, _NUM_REDIS_DATABASES))


@pytest.fixture
def redis_url(redis_server: str, _redis_numbers: Iterator[int]) -> str:
    """The URL of an empty Redis database: of a private server another one for each test."""
    url = os.environ.get("GLEANER_TEST_REDIS_URL") or f"{redis_server}/{next(_redis_numbers)}"
    with closing(redis.Redis.from_url(url)) as client:
        client.flushdb()
    return url
