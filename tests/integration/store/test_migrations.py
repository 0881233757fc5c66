from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, inspect

from schemas.errors import DatabaseOutOfDateError
from workers.store import migrate
from workers.store.models import Base
from workers.store.session import open_store, transaction


@pytest.fixture
def empty(database_url):
    engine = open_store(database_url)
    yield engine
    engine.dispose()


def difference(engine: Engine) -> list[object]:
    with transaction(engine) as conn:
        context = MigrationContext.configure(conn, opts={"include_name": migrate.is_ours})
        return compare_metadata(context, Base.metadata)


def constraints(engine: Engine) -> dict[str, set[str | None]]:
    found = inspect(engine)
    return {
        table: {
            found.get_pk_constraint(table)["name"],
            *(key["name"] for key in found.get_foreign_keys(table)),
            *(key["name"] for key in found.get_unique_constraints(table)),
            *(check["name"] for check in found.get_check_constraints(table)),
            *(index["name"] for index in found.get_indexes(table)),
        }
        for table in Base.metadata.tables
    }


def test_empty_to_head_equals_the_models(empty):
    migrate.upgrade(empty)
    assert difference(empty) == []


def test_constraints_have_the_names_the_models_give(empty):
    with transaction(empty) as conn:
        Base.metadata.create_all(conn)
    of_models = constraints(empty)
    with transaction(empty) as conn:
        Base.metadata.drop_all(conn)
    migrate.upgrade(empty)
    assert constraints(empty) == of_models


def test_down_again_leaves_nothing(empty):
    migrate.upgrade(empty)
    migrate.downgrade(empty, "base")
    assert inspect(empty).get_table_names() == ["alembic_version"]
    migrate.upgrade(empty)
    assert migrate.current(empty) == migrate.head()


def test_tables_of_others_are_left_alone(empty):
    migrate.upgrade(empty)
    with transaction(empty) as conn:
        conn.exec_driver_sql("CREATE TABLE receipt (document_id INTEGER PRIMARY KEY)")
    assert difference(empty) == []


def test_two_upgrades_at_once_are_safe(database_url):
    engines = [open_store(database_url) for _ in range(4)]
    with ThreadPoolExecutor(len(engines)) as pool:
        list(pool.map(migrate.upgrade, engines))
    for engine in engines:
        migrate.require_current(engine)
        engine.dispose()


def test_an_old_database_is_refused_with_the_next_step(empty):
    with pytest.raises(DatabaseOutOfDateError, match=r"has no tables yet.*gleaner db upgrade"):
        migrate.require_current(empty)
    migrate.upgrade(empty)
    migrate.require_current(empty)
    with transaction(empty) as conn:
        conn.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(DatabaseOutOfDateError, match="does not know"):
        migrate.require_current(empty)
