import pickle
import sqlite3
import threading
import time

import pytest
from sqlalchemy import make_url

from schemas.errors import ConfigurationError, DatabaseAwayError
from tests.servers import free_port
from workers.store import session
from workers.store.questions import ask
from workers.store.session import open_store, reading, transaction


def attempt(url: str):
    engine = open_store(url)
    try:
        with transaction(engine) as conn:
            conn.exec_driver_sql("SELECT 1")
    finally:
        engine.dispose()


def test_a_server_that_is_not_there_is_away_and_no_password_is_told():
    with pytest.raises(DatabaseAwayError) as caught:
        attempt(f"postgresql://someone:hunter2@127.0.0.1:{free_port()}/gleaner")
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in str(caught.value.__cause__)
    assert "127.0.0.1" in caught.value.message
    assert caught.value.retryable
    assert pickle.loads(pickle.dumps(caught.value)).message == caught.value.message


def test_a_database_that_does_not_exist_is_a_configuration_error(postgres_url):
    missing = make_url(postgres_url).set(database="nowhere").render_as_string(hide_password=False)
    with pytest.raises(ConfigurationError, match='"nowhere" does not exist'):
        attempt(missing)


def test_a_connection_that_is_cut_is_away_and_the_next_one_works(postgres_store):
    kill = "SELECT pg_terminate_backend(pg_backend_pid())"
    with pytest.raises(DatabaseAwayError), transaction(postgres_store) as conn:
        conn.exec_driver_sql(kill)
    with pytest.raises(DatabaseAwayError):
        ask(postgres_store, kill)
    with reading(postgres_store) as conn:
        assert conn.exec_driver_sql("SELECT 1").scalar_one() == 1


def test_readers_do_not_wait_for_a_writer(store):
    answered = threading.Event()

    def read():
        with reading(store) as conn:
            conn.exec_driver_sql("SELECT count(*) FROM documents").scalar_one()
        answered.set()

    with transaction(store) as conn:
        conn.exec_driver_sql("DELETE FROM evidence")
        reader = threading.Thread(target=read)
        reader.start()
        assert answered.wait(10)
    reader.join()


def test_a_writer_that_waits_too_long_finds_the_database_away(sqlite_url, monkeypatch):
    monkeypatch.setattr(session, "BUSY_TIMEOUT_S", 0.1)
    first, second = open_store(sqlite_url), open_store(sqlite_url)
    with transaction(first):
        with pytest.raises(DatabaseAwayError, match="locked"), transaction(second):
            pytest.fail("two writers at once")
        with reading(second):
            pass
    with transaction(second):
        pass
    first.dispose()
    second.dispose()


def test_a_file_that_is_no_database_is_a_configuration_error(tmp_path):
    path = tmp_path / "notes.db"
    path.write_text("dear diary, " * 100)
    with pytest.raises(ConfigurationError, match="not a database"):
        attempt(f"sqlite:///{path}")


def test_sqlite_files_are_set_up_for_many_processes(tmp_path):
    engine = open_store(f"sqlite:///{tmp_path}/new/directory/gleaner.db")
    with reading(engine) as conn:
        for pragma, value in (
            ("journal_mode", "wal"),
            ("foreign_keys", 1),
            ("synchronous", 1),
            ("busy_timeout", 30000),
        ):
            assert conn.exec_driver_sql(f"PRAGMA {pragma}").scalar_one() == value
    engine.dispose()
    with sqlite3.connect(tmp_path / "new/directory/gleaner.db") as plain:
        assert plain.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    plain.close()


def test_many_may_open_a_new_sqlite_file_at_once(tmp_path):
    failed = []

    def write(engine, together):
        together.wait()
        try:
            with transaction(engine) as conn:
                conn.exec_driver_sql("CREATE TABLE IF NOT EXISTS t (a)")
        except DatabaseAwayError as exc:
            failed.append(exc)

    for number in range(60):
        together = threading.Barrier(8)
        engines = [open_store(f"sqlite:///{tmp_path}/{number}.db") for _ in range(together.parties)]
        threads = [threading.Thread(target=write, args=(engine, together)) for engine in engines]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for engine in engines:
            engine.dispose()
    assert failed == []


def test_a_copy_that_somebody_asks_for_is_theirs(store):
    with pytest.raises(ConfigurationError, match="cannot run"):
        ask(store, "COPY nothing FROM STDIN")


def test_a_process_that_freezes_within_a_transaction_does_not_keep_its_rows(postgres_store, monkeypatch):
    monkeypatch.setattr(session, "IDLE_IN_TRANSACTION_S", 1)
    frozen = open_store(postgres_store.url.render_as_string(hide_password=False))
    lock = "LOCK TABLE batches IN EXCLUSIVE MODE"
    with pytest.raises(DatabaseAwayError), transaction(frozen) as conn:
        conn.exec_driver_sql(lock)
        time.sleep(2.0)
        with transaction(postgres_store) as other:
            other.exec_driver_sql("SET LOCAL lock_timeout = '1s'")
            other.exec_driver_sql(lock)
        conn.exec_driver_sql(lock)
    frozen.dispose()
