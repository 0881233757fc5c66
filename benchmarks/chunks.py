"""How full a worker keeps its engine, with one chunk in hand and with two: what its metrics say at every step.

python benchmarks/chunks.py [--model DIR] [--documents 64] [--batch-size 8]

The cache is sized so that about one batch fits. Documents are synthetic receipts, asked for with the bundled
schema, and go the whole way into a SQLite file. A step is counted while documents wait anywhere.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from orchestration import prepare

from pipelines.ingest import ingest
from pipelines.readers import Read
from pipelines.train.data import Synthetic
from workers.engine import checkpoint
from workers.engine.cache import bytes_per_token
from workers.engine.engine import HrmTextEngine
from workers.engine.network import Network
from workers.engine.protocol import Occupancy
from workers.logs import configure_logs
from workers.runtime import Runtime
from workers.settings import EMBEDDED_CHECKPOINT, Settings
from workers.store import reads
from workers.store.session import reading
from workers.work import work

# prompt and answer of a receipt may reach so many tokens
_PLACES = 3000


@dataclass
class Seen:
    """The metrics at every step."""

    steps: list[Occupancy] = field(default_factory=list)
    seconds: float = 0.0

    def line(self, concurrency: int, batch_size: int) -> str:
        """A row of the table; the last steps, when nothing waits in the queue any more, do not count."""
        running = [step.num_running for step in self.steps]
        taken = sum(step.num_places_taken / step.num_places for step in self.steps) / len(self.steps)
        full = sum(step.num_waiting > 0 or step.num_running >= batch_size for step in self.steps)
        cells = (
            concurrency,
            len(running),
            f"{sum(running) / len(running):.2f}",
            f"{taken:.0%}",
            f"{full / len(running):.0%}",
            f"{self.seconds:.0f}",
        )
        return f"| {' | '.join(map(str, cells))} |"


COLUMNS = ("chunks in hand", "steps", "prompts running", "cache taken", "steps at the full", "seconds")


def texts(count: int) -> list[str]:
    """Receipts that no model was trained on."""
    tasks = Synthetic(recipe="receipt", seed=7).tasks("eval")
    return [next(tasks).example.text for _ in range(count)]


def watch(engine: HrmTextEngine, seen: Seen, is_open: Callable[[], bool]) -> None:
    """Note after every step what the metrics show, for as long as chunks wait."""
    turn = engine._turn

    def noted() -> None:
        turn()
        if is_open():
            seen.steps.append(engine.occupancy())

    engine._turn = noted  # type: ignore[method-assign]


def measure(model: Path, documents: Sequence[str], concurrency: int, batch_size: int) -> Seen:
    """Work off all documents, `concurrency` chunks of two batches at a time."""
    loaded = checkpoint.load(model, "cpu", "float32")
    network = Network(loaded.model)
    size = bytes_per_token(network.kv_shape, network.like.dtype)
    engine = HrmTextEngine(loaded, kv_memory=size * _PLACES * batch_size)
    with tempfile.TemporaryDirectory() as directory:
        url = f"sqlite:///{directory}/gleaner.db"
        prepare(url)
        settings = Settings(
            _env_file=None,
            database_url=url,
            batch_size=batch_size,
            chunk_size=2 * batch_size,
            concurrency=concurrency,
        )
        configure_logs(settings)
        runtime = Runtime(settings, engine=engine)
        files = (Read.done(f"{number}.txt", "text/plain", text) for number, text in enumerate(documents))
        batch_id = ingest(runtime.store, files, runtime.registry.get("receipt"), runtime.checkpoint)
        with reading(runtime.store) as conn:
            ids = reads.open_jobs(conn, batch_id, limit=len(documents))
        chunks = [ids[n : n + settings.chunk_size] for n in range(0, len(ids), settings.chunk_size)]
        seen = Seen()
        with ThreadPoolExecutor(concurrency) as pool:
            watch(engine, seen, lambda: pool._work_queue.qsize() > 0)
            begun = time.perf_counter()
            done = list(pool.map(lambda chunk: work(runtime, chunk), chunks))
            seen.seconds = time.perf_counter() - begun
        runtime.store.dispose()
    if sum(done) != len(ids):
        raise SystemExit(f"{sum(done)} of {len(ids)} jobs were worked off")
    return seen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=EMBEDDED_CHECKPOINT)
    parser.add_argument("--documents", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=8)
    given = parser.parse_args()
    documents = texts(given.documents)
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}", flush=True)
    for concurrency in (1, 2):
        seen = measure(given.model, documents, concurrency, given.batch_size)
        print(seen.line(concurrency, given.batch_size), flush=True)


if __name__ == "__main__":
    main()
