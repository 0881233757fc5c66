"""The engine on a CPU against transformers' generate() with llguidance, and what each of its devices adds.

python benchmarks/engine.py [--quick] [--sroie DIR] [--model DIR] [--count N] [--batches 1 16] [--threads N]

Every variant completes the same documents, a few at a time and in turn, so that all see the same machine. Tokens per
forward are exact: a forward of a row is a step that it was in. Seconds are those of the process on its CPUs, as the
clock is no measure on a machine with other work; the ratio by the clock stands beside it.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
from asks import Ask, catalog, invoices, sroie
from rival import generate

from workers.engine import checkpoint, choice
from workers.engine.checkpoint import Loaded
from workers.engine.choice import Scores
from workers.engine.drafts import no_drafts
from workers.engine.engine import HrmTextEngine
from workers.engine.protocol import Completion, Request
from workers.engine.row import Row
from workers.settings import EMBEDDED_CHECKPOINT

KV_MEMORY = 2 << 30


@dataclass
class Tally:
    """What a variant took."""

    answers: list[list[int]] = field(default_factory=list)
    num_forwards: int = 0
    num_drafted: int = 0
    num_accepted: int = 0
    clock_s: float = 0.0
    cpu_s: float = 0.0

    @property
    def num_tokens(self) -> int:
        return sum(map(len, self.answers))


@contextmanager
def replayed(asks: Sequence[Ask]) -> Iterator[None]:
    """Let the engine write the right answers, with everything computed: the likeliest token is replaced."""
    gold = {ask.request.document: ask.gold or [] for ask in asks}
    read = Row.read

    def read_gold(row: Row, scores: Scores, start: int = 0) -> None:
        answer = gold[row.request.document]
        count = len(row.draft) + 1
        scores.tokens[start : start + count] = (answer[len(row.answer) :] + [0] * count)[:count]
        scores.logprobs[start : start + count] = [0.0] * count
        read(row, scores, start)

    Row.read = read_gold  # type: ignore[method-assign]
    try:
        yield
    finally:
        Row.read = read  # type: ignore[method-assign]


@contextmanager
def one_by_one() -> Iterator[None]:
    """Ask the model for every token, with a mask for each, forced or not."""
    append_forced, certain = Row._append_forced, choice.CERTAIN
    Row._append_forced = lambda row: None  # type: ignore[method-assign]
    choice.CERTAIN = 1.0
    try:
        yield
    finally:
        Row._append_forced = append_forced  # type: ignore[method-assign]
        choice.CERTAIN = certain


def run(engine: HrmTextEngine, requests: Sequence[Request], batch_size: int) -> list[Completion]:
    """Complete requests with at most so many in hand at once."""
    order = sorted(range(len(requests)), key=lambda i: -len(requests[i].prompt))
    futures: dict[int, Future[Completion]] = {}
    for i in order:
        open_ = [future for future in futures.values() if not future.done()]
        if len(open_) >= batch_size:
            wait(open_, return_when=FIRST_COMPLETED)
        futures[i] = engine.submit(requests[i])
    return [futures[i].result() for i in range(len(requests))]


Variant = Callable[[Sequence[Ask], int, Tally], None]


def variants(loaded: Loaded, *, is_replayed: bool) -> dict[str, Variant]:
    """What is compared, by name."""
    plain = HrmTextEngine(loaded, kv_memory=KV_MEMORY, drafting=no_drafts)
    drafting = HrmTextEngine(loaded, kv_memory=KV_MEMORY)

    def rival(asks: Sequence[Ask], batch_size: int, tally: Tally) -> None:
        given = [ask.gold or [] for ask in asks] if is_replayed else ()
        made = generate(loaded, [ask.request for ask in asks], batch_size, given)
        tally.answers += made.answers
        tally.num_forwards += made.num_forwards

    def ours(engine: HrmTextEngine, *, is_shared: bool = False) -> Variant:
        def variant(asks: Sequence[Ask], batch_size: int, tally: Tally) -> None:
            requests = [ask.sharing if is_shared else ask.request for ask in asks]
            completions = run(engine, requests, batch_size)
            tally.answers += [[token.id for token in completion.tokens] for completion in completions]
            for usage in (completion.usage for completion in completions):
                tally.num_forwards += usage.forwards
                tally.num_drafted += usage.drafted_tokens
                tally.num_accepted += usage.accepted_tokens

        return variant

    def without_forced(asks: Sequence[Ask], batch_size: int, tally: Tally) -> None:
        with one_by_one():
            ours(plain)(asks, batch_size, tally)

    # which asks the model for every token, so that there is nothing to replay
    asking = {} if is_replayed else {"ours, a token a step": without_forced}
    return {
        "generate() + llguidance": rival,
        **asking,
        "ours, forced": ours(plain),
        "ours, forced + drafts": ours(drafting),
        "ours, forced + drafts + shared examples": ours(drafting, is_shared=True),
    }


def measure(loaded: Loaded, asks: Sequence[Ask], batch_size: int, *, is_replayed: bool) -> dict[str, Tally]:
    """Every variant's tally over the same documents, a batch at a time."""
    chosen = variants(loaded, is_replayed=is_replayed)
    tallies = {name: Tally() for name in chosen}
    size = max(batch_size, 4)
    for start in range(0, len(asks), size):
        part = asks[start : start + size]
        for name, variant in chosen.items():
            clock_s, cpu_s = time.perf_counter(), time.process_time()
            variant(part, batch_size, tallies[name])
            tallies[name].clock_s += time.perf_counter() - clock_s
            tallies[name].cpu_s += time.process_time() - cpu_s
    return tallies


def lines(what: str, batch_size: int, tallies: dict[str, Tally]) -> Iterator[str]:
    rival, *_ = tallies.values()
    for name, tally in tallies.items():
        count = len(tally.answers)
        same = sum(one == other for one, other in zip(tally.answers, rival.answers, strict=True))
        accepted = f"{tally.num_accepted / tally.num_drafted:.2f}" if tally.num_drafted else "-"
        cells = (
            what,
            batch_size,
            name,
            count,
            f"{tally.num_tokens / count:.1f}",
            f"{tally.num_forwards / count:.1f}",
            f"{tally.num_tokens / tally.num_forwards:.2f}",
            accepted,
            f"{tally.cpu_s / count:.2f}",
            f"{rival.cpu_s / tally.cpu_s:.2f}x",
            f"{rival.clock_s / tally.clock_s:.2f}x",
            f"{same}/{count}",
        )
        yield f"| {' | '.join(map(str, cells))} |"


COLUMNS = (
    "documents",
    "batch",
    "variant",
    "number",
    "tokens",
    "forwards",
    "tokens/forward",
    "drafts right",
    "CPU s/document",
    "by CPU time",
    "by the clock",
    "answers as generate()'s",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=EMBEDDED_CHECKPOINT)
    parser.add_argument("--sroie", type=Path, help="directory with dev.jsonl")
    parser.add_argument("--count", type=int, default=32, help="documents of each kind")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--quick", action="store_true", help="8 documents of each kind, batches of 1 and 8")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    if options.quick:
        options.count, options.batches = 8, [1, 8]
    torch.set_num_threads(options.threads)
    loaded = checkpoint.load(options.model, "cpu", "float32")
    long = invoices(loaded.tokenizer, options.count)
    kinds = {"catalog samples": (catalog(loaded.tokenizer, options.count), False)}
    if options.sroie:
        kinds["SROIE receipts"] = sroie(loaded.tokenizer, options.sroie, options.count), False
    kinds |= {"long invoices": (long, False), "long invoices, replayed": (long, True)}
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}", flush=True)
    for what, (asks, is_replayed) in kinds.items():
        for batch_size in options.batches:
            if is_replayed:
                with replayed(asks):
                    tallies = measure(loaded, asks, batch_size, is_replayed=True)
            else:
                tallies = measure(loaded, asks, batch_size, is_replayed=False)
            print("\n".join(lines(what, batch_size, tallies)), flush=True)


if __name__ == "__main__":
    main()
