"""What everything around the model costs: invoices with 5 line items through queue and store, with a null engine.

python benchmarks/orchestration.py rate DATABASE_URL [--broker REDIS_URL] [--workers 1] [--documents 20000]
python benchmarks/orchestration.py profile [--documents 2000]
python benchmarks/orchestration.py depth DATABASE_URL [--queued 10000,100000,1000000]

Without a broker `rate` is the embedded default, in this process. The database must be empty or of an earlier run.
"""

import argparse
import cProfile
import functools
import os
import pstats
import re
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path

import sqlalchemy as sa

from pipelines.ingest import ingest
from pipelines.readers import Read
from schemas.wire import dump
from workers.app import app, configure
from workers.embedded import work_off
from workers.engine.protocol import Checkpoint, Completion, Finish, Occupancy, Request, Token, Usage
from workers.logs import configure_logs
from workers.messages import send
from workers.runtime import Runtime, set_runtime
from workers.serve import serve
from workers.settings import Settings
from workers.store import jobs, results, sweep, versions
from workers.store.migrate import upgrade
from workers.store.progress import progress
from workers.store.session import open_store, reading, transaction
from workers.testing import ByteTokenizer
from workers.work import work

CHUNK = 64
TOKEN_BYTES = 4


class NullEngine:
    """Answers at once, in tokens of four bytes, what stands in an invoice of `text`."""

    def __init__(self) -> None:
        self.tokenizer = ByteTokenizer()
        self.max_positions = 1 << 20
        self.checkpoint = Checkpoint(name="null", digest="0" * 64)
        self._num_steps = 0

    def __str__(self) -> str:
        return "null"

    def complete(self, requests: Sequence[Request]) -> list[Completion]:
        """The records of these documents."""
        self._num_steps += 1
        return [self._completion(request) for request in requests]

    def occupancy(self) -> Occupancy:
        return Occupancy(num_steps=self._num_steps)

    def _completion(self, request: Request) -> Completion:
        found = re.search(r"Invoice INV-(\d+)", request.document)
        if not found:
            raise LookupError("no invoice of this benchmark")
        answer = dump(record(int(found[1]))).encode()
        parts = [answer[start : start + TOKEN_BYTES] for start in range(0, len(answer), TOKEN_BYTES)]
        usage = Usage(prompt_tokens=len(request.prompt), output_tokens=len(parts), forwards=1, seconds=0.0)
        return Completion(tokens=tuple(map(token, parts)), finish=Finish.STOP, usage=usage)


@functools.lru_cache(maxsize=100_000)
def token(text: bytes) -> Token:
    return Token(id=text[0], text=text, logprob=-0.01)


def record(number: int) -> dict[str, object]:
    """The wire record of an invoice: ten values and five lines of four."""
    items = [
        {
            "description": f"part {line}{number}",
            "quantity": str(line),
            "unit_price": f"{line}.50",
            "amount": f"{line * line}.75",
        }
        for line in range(1, 6)
    ]
    return {
        "invoice_number": f"INV-{number}",
        "supplier_name": "Northgate Print Works",
        "customer_name": f"Customer {number} Ltd",
        "issue_date": day(number),
        "due_date": day(number + 30),
        "currency": "GBP",
        "line_items": items,
        "subtotal": "328.50",
        "tax": "65.70",
        "total": "394.20",
    }


def day(number: int) -> str:
    """One of the days of five years."""
    found = date(2020, 1, 1) + timedelta(days=number % 1826)
    return f"{found.day} {found:%B %Y}"


def text(number: int) -> str:
    """About 2 KB of an invoice."""
    lines = [f"part {n}{number}   {n}   {n}.50   {n * n}.75" for n in range(1, 6)]
    head = f"Northgate Print Works\nInvoice INV-{number}\nDate: {day(number)}   Due: {day(number + 30)}\n"
    sums = "Subtotal 328.50\nVAT 20% 65.70\nTotal GBP 394.20\n"
    small = "Goods remain ours until they are paid for. Interest is charged on what is late. " * 20
    return head + f"Bill to: Customer {number} Ltd\n\n" + "\n".join(lines) + f"\n\n{sums}\n{small}"


def make_runtime(url: str, broker: str | None) -> Runtime:
    settings = Settings(
        _env_file=None,
        database_url=url,
        broker_url=broker,
        chunk_size=CHUNK,
        batch_size=CHUNK,
        concurrency=2,
        max_messages=100_000,
        log_level="warning",
    )
    configure_logs(settings)
    return Runtime(settings, engine=NullEngine())


def put(runtime: Runtime, first: int, count: int) -> int:
    reads = (Read.done(f"/inbox/{n}.txt", "text/plain", text(n)) for n in range(first, first + count))
    schema = runtime.registry.get("invoice")
    on_commit: Callable[[Sequence[int]], None] = lambda ids: None  # noqa: E731
    if runtime.settings.broker:
        configure(app, runtime.settings)
        on_commit = functools.partial(send, runtime)
    return ingest(runtime.store, reads, schema, runtime.checkpoint, on_commit=on_commit)


def next_number(store: sa.Engine) -> int:
    with reading(store) as conn:
        return (conn.exec_driver_sql("SELECT max(id) FROM documents").scalar() or 0) + 1


def rate(given: argparse.Namespace) -> None:
    """Documents a second, from the end of the first chunk to the end of the last."""
    prepare(given.url)
    runtime = make_runtime(given.url, given.broker)
    begun = time.perf_counter()
    batch_id = put(runtime, next_number(runtime.store), given.documents)
    print(f"ingested {given.documents} in {time.perf_counter() - begun:.1f} s")
    before = children_s()
    if given.broker:
        peak_mb = drain(runtime, batch_id, given)
    else:
        set_runtime(runtime)
        work_off(runtime, batch_id)
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    seconds, num = span(runtime, batch_id)
    cpu = children_s() - before if given.broker else time.process_time()
    print(
        f"{runtime.store.dialect.name}, {given.workers if given.broker else 'embedded'}: {num} documents in "
        f"{seconds:.1f} s: {num / seconds:.0f}/s; {1e6 * cpu / given.documents:.0f} us of the workers' CPU a document; "
        f"peak {peak_mb:.0f} MB; load {os.getloadavg()[0]:.1f}"
    )


def drain(runtime: Runtime, batch_id: int, given: argparse.Namespace) -> float:
    """Start workers, wait for the last document; the peak of a worker's memory in MB."""
    command = [sys.executable, __file__, "worker", given.url, "--broker", given.broker]
    workers = [subprocess.Popen(command) for _ in range(given.workers)]
    while True:
        with reading(runtime.store) as conn:
            now = progress(conn, batch_id)
        if not now.queued and not now.leased:
            break
        time.sleep(1.0)
    for worker in workers:
        worker.send_signal(signal.SIGTERM)
    for worker in workers:
        worker.wait()
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def span(runtime: Runtime, batch_id: int) -> tuple[float, int]:
    """Seconds from the first end of a batch's documents to the last, and how many ended after the first."""
    query = sa.text(
        "SELECT finished_at, count(*) FROM jobs JOIN batch_entries ON batch_entries.job_id = jobs.id "
        "WHERE batch_id = :batch_id AND state = 'done' GROUP BY finished_at ORDER BY finished_at"
    ).columns(finished_at=sa.DateTime)
    with reading(runtime.store) as conn:
        ends = [(row[0], row[1]) for row in conn.execute(query, {"batch_id": batch_id})]
    return (ends[-1][0] - ends[0][0]).total_seconds(), sum(count for _, count in ends[1:])


def prepare(url: str) -> None:
    store = open_store(url)
    upgrade(store)
    store.dispose()


def profile(given: argparse.Namespace) -> None:
    """Where the time goes, on SQLite in this process."""
    with tempfile.TemporaryDirectory() as name:
        runtime = make_runtime(f"sqlite:///{name}/g.db", None)
        put(runtime, 1, given.documents)
        ids = list(range(1, given.documents + 1))
        work(runtime, ids[:CHUNK])
        profiler = cProfile.Profile(time.process_time)
        begun = time.process_time()
        for start in range(CHUNK, given.documents // 2, CHUNK):
            work(runtime, ids[start : start + CHUNK])
        plain = 1e6 * (time.process_time() - begun) / (given.documents // 2 - CHUNK)
        profiler.enable()
        for start in range(given.documents // 2, given.documents, CHUNK):
            work(runtime, ids[start : start + CHUNK])
        profiler.disable()
        print(f"{plain:.0f} us of CPU a document without the profiler")
        pstats.Stats(profiler).sort_stats("cumulative").print_stats(45)


def depth(given: argparse.Namespace) -> None:
    """Seconds of the store's statements at different numbers of queued jobs, with PostgreSQL's plans."""
    prepare(given.url)
    runtime = make_runtime(given.url, None)
    for queued in map(int, given.queued.split(",")):
        fill(runtime, queued)
        times = {name: statistics.median(timed(do)) for name, do in statements(runtime)}
        shown = ", ".join(f"{name} {1e3 * seconds:.2f} ms" for name, seconds in times.items())
        print(f"{queued} queued: {shown}; load {os.getloadavg()[0]:.1f}")
    if runtime.store.dialect.name == "postgresql":
        plans(runtime)


def fill(runtime: Runtime, queued: int) -> None:
    """Bring the queue to this length with small documents, by SQL alone."""
    if not next_number(runtime.store) > 1:
        put(runtime, 1, 1)
    numbers = {
        "postgresql": "SELECT n FROM generate_series(CAST(:a AS bigint), CAST(:b AS bigint)) AS s(n)",
        "sqlite": "WITH RECURSIVE s(n) AS (SELECT :a UNION ALL SELECT n + 1 FROM s WHERE n < :b) SELECT n FROM s",
    }[runtime.store.dialect.name]
    with transaction(runtime.store) as conn:
        have = conn.exec_driver_sql("SELECT count(*) FROM jobs WHERE state = 'queued'").scalar_one()
        first = conn.exec_driver_sql("SELECT max(id) FROM documents").scalar_one() + 1
        if have < queued:
            between = {"a": first, "b": first + queued - have - 1}
            for statement in FILL:
                conn.execute(sa.text(statement.format(numbers=numbers)), between)
    with runtime.store.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.exec_driver_sql("ANALYZE")


FILL = (
    "INSERT INTO documents (id, content_hash, origin, media_type, text, num_chars, created_at) "
    "SELECT n, 'h' || n, 'o' || n, 'text/plain', 'Invoice INV-' || n, 12, CURRENT_TIMESTAMP FROM ({numbers}) AS x",
    "INSERT INTO jobs (id, document_id, schema_version_id, checkpoint_id, state, priority, fence, attempts, failures, "
    "losses, created_at) SELECT n, n, 1, 1, 'queued', 0, 0, 0, 0, 0, CURRENT_TIMESTAMP FROM ({numbers}) AS x",
    "INSERT INTO batch_entries (batch_id, position, origin, job_id, already_done) "
    "SELECT 1, n, 'o' || n, n, false FROM ({numbers}) AS x",
)


def timed(do: Callable[[], object], times: int = 9) -> Iterator[float]:
    for _ in range(times):
        begun = time.perf_counter()
        do()
        yield time.perf_counter() - begun


def statements(runtime: Runtime) -> Iterator[tuple[str, Callable[[], object]]]:
    """What workers and sweepers do, by name; each leaves the queue nearly as it was."""
    store = runtime.store
    with transaction(store) as conn:
        version_ids = [version.id for version in versions.list_versions(conn)]
    with reading(store) as conn:
        middle = conn.exec_driver_sql(
            "SELECT id FROM jobs WHERE state = 'queued' ORDER BY id DESC LIMIT 64"
        ).scalars()
        named = list(middle)

    def claim(ids: list[int] | None) -> list[jobs.Claimed]:
        options = {"checkpoint_id": 1, "lease_s": 600.0, "limit": CHUNK, "is_suspect": False}
        with transaction(store) as conn:
            taken = jobs.claim(conn, ids, owner="me", version_ids=version_ids, **options)
        with transaction(store) as conn:
            jobs.release(conn, "me", [job.lease for job in taken])
        return taken

    def sweep_once() -> None:
        with transaction(store) as conn:
            sweep.mark_unsent(conn, sweep.sweep(conn, resend_after_s=600.0, room=CHUNK, checkpoint_id=1))

    def expire() -> None:
        with transaction(store) as conn:
            sweep.expire(conn)

    def finish() -> None:
        with transaction(store) as conn:
            taken = jobs.claim(
                conn, None, owner="me", checkpoint_id=1, lease_s=600.0, limit=CHUNK, version_ids=version_ids
            )
        done = [
            results.Result(
                job=job,
                state=jobs.JobState.REVIEW,
                error_code="x",
                error="x",
                wire_record={},
                record=None,
                finish="stop",
            )
            for job in taken
        ]
        results.save(store, "me", done)

    yield "claim 64 by id and release", lambda: claim(named)
    yield "claim the next 64 and release", lambda: claim(None)
    yield "claim and finish 64", finish
    yield "sweep 64", sweep_once
    yield "expire", expire


def plans(runtime: Runtime) -> None:
    """The plans of the claim and the sweep."""
    explained = []

    def explain(conn: sa.Connection, cursor: object, statement: str, parameters: object, *_: object) -> None:
        if statement.startswith("WITH") and statement not in explained:
            explained.append(statement)
            with runtime.store.connect() as other:
                lines = other.exec_driver_sql(f"EXPLAIN {statement}", parameters).scalars()
                print(statement.split("\n", 1)[0], *lines, "", sep="\n")

    sa.event.listen(runtime.store, "before_cursor_execute", explain)
    for name, do in statements(runtime):
        if name.startswith(("claim 64", "claim the", "sweep")):
            print(f"-- {name}")
            do()


def run_worker(given: argparse.Namespace) -> None:
    sys.exit(serve(make_runtime(given.url, given.broker)))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = {"rate": rate, "profile": profile, "depth": depth, "worker": run_worker}
    parser.add_argument("command", choices=commands)
    parser.add_argument("url", nargs="?", default=f"sqlite:///{Path.cwd()}/orchestration.db")
    parser.add_argument("--broker")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--documents", type=int, default=20_000)
    parser.add_argument("--queued", default="10000,100000,1000000")
    given = parser.parse_args()
    commands[given.command](given)


if __name__ == "__main__":
    main()
