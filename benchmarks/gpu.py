"""The 1 B shape on a GPU: documents/s against what the memory's and the multipliers' measured rates allow.

python benchmarks/gpu.py [--prompts 1500 3500] [--answer 150] [--batches 1 16 64 0] [--count 128]

A batch of 0 is as many as the memory holds. Weights are random and answers are replayed: the likeliest token is
replaced by the one of a given answer, with all of the work done. So documents/s are real, and what is written says
nothing of a model. transformers' continuous batching is no rival: it runs this architecture causally and with one
cache for all passes. `--device cpu --tiny` tries the script where there is no GPU; its figures mean nothing.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import cycle, islice
from statistics import median
from typing import NamedTuple

import torch
from asks import Ask, alike
from engine import replayed, run
from rival import generate
from transformers import HrmTextConfig, HrmTextForCausalLM

from workers.engine import checkpoint, memory
from workers.engine import engine as loop
from workers.engine.cache import Arena, bytes_per_token
from workers.engine.checkpoint import Loaded
from workers.engine.drafts import Drafting, no_drafts
from workers.engine.engine import HrmTextEngine
from workers.engine.identity import identify
from workers.engine.line import Ticket
from workers.engine.network import Network
from workers.engine.protocol import Request
from workers.engine.row import Row
from workers.engine.step import Step
from workers.engine.tokenizer import PlainTokenizer
from workers.settings import EMBEDDED_CHECKPOINT


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Of the model; a layer has gate, query, key, value and output of hidden x hidden, and three of hidden x inner."""

    hidden: int = 1536
    inner: int = 4096
    # of a stack
    layers: int = 16
    heads: int = 12
    vocabulary: int = 65_536

    @property
    def kv(self) -> tuple[int, int, int]:
        """Layer passes at 2x3 cycles, heads and their dimension."""
        return 8 * self.layers, self.heads, self.hidden // self.heads

    @property
    def weights(self) -> int:
        """Of one layer pass."""
        return 5 * self.hidden**2 + 3 * self.hidden * self.inner


TINY = Shape(hidden=96, inner=64, layers=1, heads=12, vocabulary=8_192)


@dataclass(frozen=True, kw_only=True)
class Rates:
    """What the device was measured to do in a second: bytes read or written, and multiplications and additions."""

    memory: float
    products: float


@dataclass
class Trace:
    """What the steps of a run did, and the seconds of each phase on the host."""

    least_s: float = 0.0
    num_steps: int = 0
    num_tokens: int = 0
    phases: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PHASES, 0.0))

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        start_s = time.perf_counter()
        try:
            yield
        finally:
            self.phases[name] += time.perf_counter() - start_s


# drafting, giving the device its work, waiting for it, choosing tokens
PHASES = ("draft", "begin", "wait", "choose")


def load(device: torch.device, shape: Shape) -> Loaded:
    """A model of that shape with random weights, and the embedded checkpoint's tokenizer."""
    config = HrmTextConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        intermediate_size=shape.inner,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        head_dim=shape.hidden // shape.heads,
        max_position_embeddings=4096,
        H_cycles=2,
        L_cycles=3,
        pad_token_id=5,
        bos_token_id=6,
        eos_token_id=11,
    )
    with torch.device(device):
        torch.set_default_dtype(checkpoint.choose_dtype("auto", device))
        model = HrmTextForCausalLM(config).eval()
        torch.set_default_dtype(torch.float32)
    tokenizer = PlainTokenizer(EMBEDDED_CHECKPOINT / "tokenizer.json")
    return Loaded(checkpoint=identify(EMBEDDED_CHECKPOINT), model=model, tokenizer=tokenizer)


def resized(asks: Sequence[Ask], prompt: int, answer: int) -> list[Ask]:
    """With one block of examples for all, made so long that prompts have about so many tokens."""
    own = median(len(ask.request.prompt) - ask.num_shared for ask in asks)
    first = asks[0]
    block = list(islice(cycle(first.request.prompt[: first.num_shared]), max(1, prompt - int(own))))
    return [
        replace(
            ask,
            request=replace(
                ask.request, prompt=[*block, *ask.request.prompt[ask.num_shared :]], max_new_tokens=answer
            ),
            num_shared=len(block),
        )
        for ask in asks
    ]


def rates(device: torch.device, *, is_tiny: bool) -> Rates:
    """Measured by copies of a GiB and products of large matrices."""
    one = torch.empty(1 << (20 if is_tiny else 30), dtype=torch.uint8, device=device)
    other = torch.empty_like(one)
    size = 256 if is_tiny else 8192
    matrix = torch.randn(size, size, dtype=checkpoint.choose_dtype("auto", device), device=device)
    return Rates(
        memory=2 * one.numel() / _seconds(lambda: other.copy_(one), device),
        products=2 * size**3 / _seconds(lambda: matrix @ matrix, device),
    )


def _seconds(call: Callable[[], object], device: torch.device, repeat: int = 20) -> float:
    for _ in range(3):
        call()
    _wait(device)
    start_s = time.perf_counter()
    for _ in range(repeat):
        call()
    _wait(device)
    return (time.perf_counter() - start_s) / repeat


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class Work(NamedTuple):
    """Tokens that a row feeds, reads of the cache, sees with what it shares, and is scored behind."""

    fed: int
    read: int
    seen: int
    scored: int


def least_s(shape: Shape, dtype: torch.dtype, rows: Sequence[Work], of: Rates) -> float:
    """Seconds of one step, were nothing lost.

    Every layer pass reads its weights once and of every row the keys and values that it sees, and multiplies every
    token with the weights and with what it sees; the head does so with the tokens that are scored.
    """
    passes = shape.kv[0]
    fed, scored = sum(row.fed for row in rows), sum(row.scored for row in rows)
    head = shape.vocabulary * shape.hidden
    cached = sum(row.read for row in rows) * bytes_per_token(shape.kv, dtype)
    moved = (passes * shape.weights + head) * dtype.itemsize + cached
    attended = passes * 2 * shape.hidden * sum(row.fed * row.seen for row in rows)
    multiplied = passes * shape.weights * fed + head * scored + attended
    return max(moved / of.memory, 2 * multiplied / of.products)


@contextmanager
def traced(trace: Trace, shape: Shape, of: Rates) -> Iterator[None]:
    """Take note of every step of the engines that run meanwhile."""
    draft = Ticket.draft

    class Traced(Step):
        def __init__(self, network: Network, arena: Arena, rows: Sequence[Row], vocabulary: int) -> None:
            blocks = {id(row.block): row.block for row in rows if row.block}
            # a block is read once for all of its rows, and what it is computed for the first is among that one's
            works = [Work(0, len(block.tokens), 0, 0) for block in blocks.values() if block.is_ready]
            with trace.phase("begin"):
                super().__init__(network, arena, rows, vocabulary)
            for row, num_fed in zip(rows, self._num_fed, strict=True):
                own = row.num_cached + num_fed
                shared = len(row.block.tokens) if row.block else 0
                works.append(Work(num_fed, own, own + shared, len(row.draft) + 1))
            trace.least_s += least_s(shape, network.like.dtype, works, of)

        def read(self) -> int:
            with trace.phase("wait"):
                self._scores.wait()
            with trace.phase("choose"):
                num_tokens = super().read()
            trace.num_steps += 1
            trace.num_tokens += num_tokens
            return num_tokens

    def timed(ticket: Ticket) -> None:
        with trace.phase("draft"):
            draft(ticket)

    loop.Step, Ticket.draft = Traced, timed  # type: ignore[attr-defined, assignment, method-assign]
    try:
        yield
    finally:
        loop.Step, Ticket.draft = Step, draft  # type: ignore[attr-defined, method-assign]


def lines(
    loaded: Loaded, shape: Shape, asks: Sequence[Ask], batch_size: int, count: int, of: Rates
) -> Iterator[str]:
    """A line a variant; the documents behind the first `count` are those that nothing is measured of."""
    dtype = loaded.model.dtype
    # what the variant before has left
    memory.give_back()
    longest = max(len(ask.request.prompt) + ask.request.max_new_tokens for ask in asks)
    token_bytes = bytes_per_token(shape.kv, dtype)
    held = batch_size or max(1, memory.free_for_cache(loaded.model.device) // (longest * token_bytes) - 1)
    plain, sharing = [ask.request for ask in asks], [ask.sharing for ask in asks]
    variants: dict[str, tuple[Drafting | None, bool, list[Request]]] = {
        "forced": (no_drafts, True, plain),
        "forced + drafts, a step at a time": (None, False, plain),
        "forced + drafts": (None, True, plain),
        "forced + drafts + shared examples": (None, True, sharing),
    }
    for name, (drafting, overlap, requests) in variants.items():
        # the block of examples has room beside those in hand
        engine = HrmTextEngine(
            loaded, kv_memory=(held + 1) * longest * token_bytes, drafting=drafting, overlap=overlap
        )
        # kernels are chosen and memory is taken before the clock runs
        run(engine, requests[count:][:held], held)
        trace = Trace()
        with traced(trace, shape, of):
            start_s = time.perf_counter()
            completions = run(engine, requests[:count], held)
            seconds = time.perf_counter() - start_s
        written = sum(len(c.tokens) for c in completions)
        forwards = sum(c.usage.forwards for c in completions)
        phases = " | ".join(f"{trace.phases[phase] / seconds:.0%}" for phase in PHASES)
        yield (
            f"| {len(plain[0].prompt)} | {held} | {name} | {count / seconds:.2f} | {written / forwards:.2f} "
            f"| {trace.num_steps} | {trace.num_tokens} | {trace.least_s / seconds:.0%} | {phases} "
            f"| {held * longest * token_bytes / 2**30:.1f} |"
        )
        engine.close()
        del engine
        memory.give_back()
    dashes = " | ".join("-" * (3 + len(PHASES)))
    try:
        made = generate(loaded, plain[:count], held, [ask.gold or [] for ask in asks[:count]])
    except torch.OutOfMemoryError:
        yield f"| {len(plain[0].prompt)} | {held} | generate() + llguidance, out of memory | - | - | {dashes} | - |"
        return
    yield (
        f"| {len(plain[0].prompt)} | {held} | generate() + llguidance | {count / made.seconds:.2f} | 1.00 "
        f"| {dashes} | - |"
    )


COLUMNS = (
    "prompt",
    "batch",
    "variant",
    "documents/s",
    "tokens/forward",
    "steps",
    "tokens fed",
    "of the roofline",
    *PHASES,
    "GiB of cache",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, nargs="+", default=[1500, 3500])
    parser.add_argument("--answer", type=int, default=150)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 16, 64, 0])
    parser.add_argument("--count", type=int, default=128)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="a shape that means nothing, to try the script")
    options = parser.parse_args()
    device = checkpoint.choose_device(options.device)
    shape = TINY if options.tiny else Shape()
    loaded = load(device, shape)
    of = rates(device, is_tiny=options.tiny)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device
    print(f"{name}: {of.memory / 1e12:.2f} TB/s read and written, {of.products / 1e12:.1f} T operations/s")
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}", flush=True)
    num_warm = max(2, max(options.batches))
    made = alike(loaded.tokenizer, options.count + num_warm)
    for prompt in options.prompts:
        asks = resized(made, prompt, options.answer)
        with replayed(asks):
            for batch_size in options.batches:
                for line in lines(loaded, shape, asks, batch_size, options.count, of):
                    print(line, flush=True)


if __name__ == "__main__":
    main()
