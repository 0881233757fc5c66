"""What `gleaner doctor` says of settings, this machine and the checkpoint; servers are in tests/integration."""

import shutil
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import Engine, update

from pipelines.checkup import broker, database, declared, machine, model
from pipelines.checkup.finding import Check, Mark, Said, error, examine, ok
from schemas.errors import ConfigurationError
from tests.cases import parcels
from tests.cases.worlds import enqueue, make_runtime
from workers.app import app
from workers.runtime import Runtime
from workers.settings import EMBEDDED_CHECKPOINT, Settings
from workers.store import roster, versions
from workers.store.models import CheckpointRow
from workers.store.pipelines import pause, put
from workers.store.session import transaction

SAFE = {
    "broker_transport_options": {"visibility_timeout": 3600},
    "worker_pool": "threads",
    "worker_prefetch_multiplier": 1,
    "task_acks_late": False,
    "accept_content": ["json"],
}


@pytest.fixture
def runtime(sqlite_store: Engine, tmp_path: Path) -> Runtime:
    return make_runtime(str(sqlite_store.url), parcels.write_schema(tmp_path / "schemas"))


def look(runtime: Runtime, check: Check) -> list[Said]:
    return [finding.said for finding in examine(runtime, [("it", check)])]


def marks(said: list[Said]) -> list[str]:
    return [one.mark.value for one in said]


def test_what_a_check_raises_is_a_finding_and_ends_no_other(runtime: Runtime) -> None:
    def raises(_: Runtime):  # type: ignore[no-untyped-def]
        yield ok("one")
        raise ConfigurationError("It is wrong.", hint="Mend it.")

    found = list(examine(runtime, [("a", raises), ("b", lambda _: iter([ok("three")]))]))
    assert [(f.check, f.said) for f in found] == [
        ("a", ok("one")),
        ("a", error("It is wrong.", "Mend it.")),
        ("b", ok("three")),
    ]


def test_a_pipeline_that_cannot_run_or_is_paused_is_noticed(runtime: Runtime, tmp_path: Path) -> None:
    assert look(runtime, declared.pipelines) == [ok("none are declared")]
    module = (
        "from pipelines.etl import Pipeline\nfrom pipelines.sources.folder import Files\n"
        "letters = Pipeline('letters', source=Files('inbox'), schema='parcel')\n"
    )
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "letters.py").write_text(module)
    runtime.settings = runtime.settings.model_copy(update={"pipelines": (str(mine),)})
    with transaction(runtime.store) as conn:
        put(conn, "letters", None, None)
        pause(conn, "letters", "by hand.")
    said = look(runtime, declared.pipelines)
    assert marks(said) == ["warning", "ok"]
    assert said[0].found == "letters is paused: by hand."
    (mine / "orders.py").write_text(module.replace("letters", "orders").replace("parcel", "order"))
    (wrong,) = look(runtime, declared.pipelines)
    assert wrong.mark.value == "error" and "no schema 'order'" in wrong.found


def test_our_settings_of_celery_are_safe() -> None:
    chunk_s = broker.longest_chunk_s(Runtime(Settings(_env_file=None)), 2)
    # four batches of the engine, two steps of the ladder, five minutes
    assert chunk_s == 2400
    assert list(broker.celery_faults(app.conf, chunk_s)) == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"broker_transport_options": {"visibility_timeout": 600}}, "after 600 s"),
        ({"worker_pool": "prefork"}, "CUDA"),
        ({"worker_pool": "gevent"}, "gevent"),
        ({"worker_prefetch_multiplier": 4}, "4 messages ahead"),
        ({"worker_prefetch_multiplier": 0}, "0 messages ahead"),
        ({"task_acks_late": True}, "late"),
        ({"accept_content": ["json", "pickle"]}, "pickle"),
    ],
)
def test_an_unsafe_setting_of_celery_is_refused(change: dict[str, object], says: str) -> None:
    (said,) = broker.celery_faults(SAFE | change, 1200.0)
    assert said.mark is Mark.ERROR
    assert says in said.found
    assert said.step


@pytest.mark.parametrize(("ahead", "num_faults"), [(2, 0), (8, 1), (0, 1)])
def test_a_worker_that_takes_more_than_it_works_on_is_refused(ahead: int, num_faults: int) -> None:
    pool = {"implementation": "celery.concurrency.thread:TaskPool", "max-concurrency": 2}
    found = list(broker.worker_faults("celery@host", {"pool": pool, "prefetch_count": ahead}))
    assert [said.mark for said in found] == [Mark.ERROR] * num_faults


def test_a_chunk_that_outlasts_the_visibility_timeout_is_refused(tmp_path: Path) -> None:
    slow = make_runtime(
        "sqlite://", parcels.write_schema(tmp_path), broker_url="redis://x/0", chunk_size=128, batch_size=1
    )
    (said,) = look(slow, broker.celery)
    assert said.mark is Mark.ERROR
    assert "GLEANER_CHUNK_SIZE" in said.step


@pytest.mark.parametrize(("free", "mark"), [(10**11, "ok"), (10**9, "warning"), (10**8, "error")])
def test_a_full_disk_is_noticed(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch, free: int, mark: str
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
    assert set(marks(look(runtime, machine.disk))) == {mark}


def test_a_library_of_the_wrong_version_is_an_error(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert marks(look(runtime, machine.versions)) == ["ok"]
    monkeypatch.setattr(metadata, "requires", lambda name: ["celery>=99", "no-such-library", "redis"])
    first, _ = look(runtime, machine.versions)
    assert first.mark is Mark.ERROR
    assert ">=99" in first.found and "no-such-library is not installed" in first.found
    assert "redis" not in first.found


def test_workers_of_another_version_are_named(runtime: Runtime) -> None:
    with transaction(runtime.store) as conn:
        checkpoint_id = versions.put_checkpoint(conn, runtime.checkpoint)
        roster.sign_on(conn, "a", checkpoint_id=checkpoint_id, device="cpu", version="0.0.9", concurrency=1)
    assert "0.0.9" in look(runtime, machine.versions)[0].found


def test_a_variable_that_nothing_reads_is_named(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLEANER_BATCHSIZE", "8")
    assert "GLEANER_BATCHSIZE" in look(runtime, machine.settings)[0].found


def test_doctor_makes_no_tables(tmp_path: Path) -> None:
    runtime = make_runtime(f"sqlite:///{tmp_path / 'new.db'}", parcels.write_schema(tmp_path / "schemas"))
    assert marks(look(runtime, database.database)) == ["ok"]
    for check in (machine.versions, database.clock):
        look(runtime, check)
    assert "empty" in look(runtime, database.database)[0].found


def test_the_embedded_checkpoint_is_whole(tmp_path: Path) -> None:
    runtime = Runtime(Settings(_env_file=None, data_dir=tmp_path, model=str(EMBEDDED_CHECKPOINT)))
    assert marks(look(runtime, model.checkpoint)) == ["ok"]


def test_a_checkpoint_that_was_half_copied_is_an_error(tmp_path: Path) -> None:
    copied = tmp_path / "model"
    shutil.copytree(EMBEDDED_CHECKPOINT, copied)
    (weights,) = copied.glob("*.safetensors")
    with weights.open("rb+") as file:
        file.truncate(weights.stat().st_size // 2)
    runtime = Runtime(Settings(_env_file=None, data_dir=tmp_path, model=str(copied)))
    first = look(runtime, model.checkpoint)[0]
    assert first.mark is Mark.ERROR
    assert weights.name in first.found


def test_jobs_for_a_checkpoint_that_no_worker_has_are_noticed(sqlite_store: Engine, tmp_path: Path) -> None:
    url, schemas = str(sqlite_store.url), parcels.write_schema(tmp_path / "schemas")
    enqueue(make_runtime(url, schemas), [parcels.text("Ann", "1 cup")])
    own = Runtime(
        Settings(_env_file=None, database_url=url, data_dir=tmp_path, model=str(EMBEDDED_CHECKPOINT))
    )
    said = look(own, model.checkpoint)[-1]
    assert said.mark is Mark.WARNING
    assert "1 jobs wait for scripted, digest 5c5c5c5c5c5c" in said.found
    with transaction(own.store) as conn:
        conn.execute(update(CheckpointRow).values(digest=own.checkpoint.digest))
    assert marks(look(own, model.checkpoint)) == ["ok"]
