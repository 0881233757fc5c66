"""How fast and in how much memory small files become documents and jobs.

python benchmarks/ingest.py [DATABASE_URL] [NUM_FILES]
"""

import resource
import sys
import tempfile
import time
from pathlib import Path

from pipelines.ingest import ingest
from pipelines.readers import read
from pipelines.sources.files import FileSource
from schemas.registry import Registry
from workers.engine.protocol import Checkpoint
from workers.store.migrate import upgrade
from workers.store.progress import progress
from workers.store.session import open_store, reading

FILES_PER_DIRECTORY = 1000


def write_files(root: Path, count: int) -> None:
    for number in range(count):
        directory = root / f"{number // FILES_PER_DIRECTORY:04d}"
        directory.mkdir(exist_ok=True)
        text = f"Receipt {number}\nACME Ltd\n2024-01-15\nTotal ${number}.50\n"
        (directory / f"{number:07d}.txt").write_text(text)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "in").mkdir()
        url = sys.argv[1] if len(sys.argv) > 1 else f"sqlite:///{root / 'store.db'}"
        count = int(sys.argv[2]) if len(sys.argv) > 2 else 100_000
        write_files(root / "in", count)
        store = open_store(url)
        upgrade(store)
        reads = (each for file in FileSource([str(root / "in")]) for each in read(file))
        checkpoint = Checkpoint(name="none", digest="0" * 64)
        start_s = time.perf_counter()
        batch_id = ingest(store, reads, Registry.load().get("receipt"), checkpoint)
        seconds = time.perf_counter() - start_s
        with reading(store) as conn:
            queued = progress(conn, batch_id).queued
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"{store.dialect.name}: {queued} jobs of {count} files in {seconds:.1f} s, peak {peak_mb:.0f} MB"
        )


if __name__ == "__main__":
    main()
