from pathlib import Path

from sqlalchemy import Engine

from tests.cases import parcels
from tests.cases.worlds import enqueue, job_ids, job_rows, make_runtime
from workers.presence import present
from workers.runtime import Runtime
from workers.store import jobs, versions
from workers.store.session import transaction


def leased(store: Engine, directory: Path) -> Runtime:
    """A runtime with a job that somebody claimed."""
    runtime = make_runtime(str(store.url), parcels.write_schema(directory))
    enqueue(runtime, [parcels.text("Ann", "1 cup")])
    with transaction(runtime.store) as conn:
        checkpoint_id = versions.put_checkpoint(conn, runtime.checkpoint)
        jobs.claim(conn, None, owner="them", checkpoint_id=checkpoint_id, lease_s=600, limit=1)
    return runtime


def owner(runtime: Runtime) -> str | None:
    (job,) = job_rows(runtime)
    return job.lease_owner


def test_who_finds_nobody_there_gives_back_the_leases_of_the_dead(
    sqlite_store: Engine, tmp_path: Path
) -> None:
    runtime = leased(sqlite_store, tmp_path / "schemas")
    with present(runtime.store):
        assert owner(runtime) is None
    assert job_ids(runtime) == [1]
    runtime.store.dispose()


def test_leases_stay_while_others_are_there_whoever_came_first(sqlite_store: Engine, tmp_path: Path) -> None:
    runtime = make_runtime(str(sqlite_store.url), parcels.write_schema(tmp_path / "schemas"))
    first, second = present(runtime.store), present(runtime.store)
    first.__enter__()
    other = leased(sqlite_store, tmp_path / "schemas")
    with second:
        assert owner(other) == "them"
        first.__exit__(None, None, None)
        with present(runtime.store):
            assert owner(other) == "them"
    with present(runtime.store):
        assert owner(other) is None
    for each in (runtime, other):
        each.store.dispose()
