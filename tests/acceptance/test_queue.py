"""Documents enqueued here are worked off there: `gleaner enqueue`, Redis, `gleaner worker`, PostgreSQL, psql."""

import shutil
import signal
import subprocess

import psycopg
import pytest
from sqlalchemy import make_url

from tests.acceptance.conftest import Cli, write_notes


def ask(url: str, sql: str) -> list[str]:
    """Lines of columns, as psql prints them unaligned; by the driver where psql is not installed."""
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    if psql := shutil.which("psql"):
        ran = subprocess.run(
            [psql, "-X", "-A", "-t", "-c", sql, plain], capture_output=True, text=True, check=True
        )
        return ran.stdout.splitlines()
    with psycopg.connect(plain) as connection:
        return [
            "|".join("" if cell is None else str(cell) for cell in row) for row in connection.execute(sql)
        ]


@pytest.fixture
def cli(cli: Cli, migrated_url: str, redis_url: str) -> Cli:
    cli.settings |= {"database_url": migrated_url, "broker_url": redis_url, "sweep_s": "1"}
    write_notes(cli.directory / "inbox", 10)
    return cli


def test_jobs_go_through_redis_to_a_worker_and_into_postgresql(cli: Cli, migrated_url: str) -> None:
    # what is enqueued waits for a worker
    batch_id = cli("enqueue", "note", "inbox").ok.out.strip()
    assert "10 documents: 10 queued" in cli("status", batch_id).ok.out
    worker = cli.start("worker", "--concurrency", "1", log_level="info")
    assert "10 documents: 10 done" in cli("status", batch_id, "--watch").ok.out

    # a worker that waits takes what comes, and what comes twice is not sent
    write_notes(cli.directory / "inbox", 13)
    enqueued = cli("enqueue", "note", "inbox", "--wait").ok.out
    assert enqueued.splitlines()[0] == str(int(batch_id) + 1)
    assert "13 documents: 3 done, 10 already done" in enqueued

    rows = ask(migrated_url, "SELECT document_id, name, mood FROM note ORDER BY document_id")
    assert len(rows) == 13
    assert {row.split("|")[2] for row in rows} <= {"good", "bad"}
    assert ask(migrated_url, "SELECT DISTINCT state, fence FROM jobs") == ["done|1"]
    assert ask(
        migrated_url,
        "SELECT count(*) FROM evidence e JOIN extractions x ON x.id = e.extraction_id "
        "JOIN documents d ON d.id = x.document_id WHERE e.start_char IS NOT NULL "
        "AND substr(d.text, e.start_char + 1, e.end_char - e.start_char) <> e.text",
    ) == ["0"]

    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0
    assert "Traceback" not in cli.log
