"""What the grammar and the drafts cost on the CPU at each step of a batch of 64, with a vocabulary of 65,536 entries.

python benchmarks/grammar.py [--batch 64] [--vocabulary 65536]

Rows write the right answers to synthetic invoices, so nothing needs a model. Times are of one thread.
"""

import argparse
import statistics
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from asks import Ask, invoices

from pipelines.train.synthetic import RECIPES, samples
from workers.engine import grammar
from workers.engine.cache import Span
from workers.engine.choice import Scores
from workers.engine.drafts import Drafting, copying
from workers.engine.row import Row
from workers.engine.tokenizer import PlainTokenizer
from workers.engine.tokenizer_training import save_tokenizer, train_tokenizer


def texts() -> Iterator[str]:
    """Enough text for many merges: synthetic documents, and the source of Python's library."""
    for sample in islice(samples(1, split="train", recipe=RECIPES["default"]), 1000):
        yield sample.document
    for file in sorted(Path(sysconfig.get_paths()["stdlib"]).rglob("*.py")):
        yield file.read_text(encoding="utf-8", errors="ignore")


def make_tokenizer(size: int) -> PlainTokenizer:
    with tempfile.TemporaryDirectory() as scratch:
        save_tokenizer(train_tokenizer(texts(), size), Path(scratch), 4096)
        tokenizer = PlainTokenizer(Path(scratch) / "tokenizer.json")
        _ = tokenizer.for_grammar
        return tokenizer


@dataclass
class Times:
    """Microseconds of calls, by what was called."""

    us: dict[str, list[float]] = field(default_factory=dict)

    def take(self, name: str, call: Callable[[], Any]) -> Any:
        start_s = time.thread_time_ns()
        result = call()
        self.us.setdefault(name, []).append((time.thread_time_ns() - start_s) / 1000)
        return result

    def lines(self, batch: int) -> Iterator[str]:
        for name, us in self.us.items():
            mean, p99 = statistics.fmean(us), sorted(us)[int(len(us) * 0.99)]
            yield f"| {name} | {len(us)} | {mean:.1f} | {p99:.1f} | {mean * batch / 1000:.2f} |"


def write_masked(tokenizer: PlainTokenizer, ask: Ask, times: Times) -> None:
    """A mask for every token."""
    request = ask.request
    text = times.take("grammar of a document", lambda: grammar.build(request.form, request.document))
    matcher = times.take("its matcher", lambda: grammar.matcher(text, tokenizer.for_grammar))
    for token in ask.gold or ():
        times.take("mask", matcher.compute_bitmask)
        times.take("check of one token", lambda token=token: matcher.validate_tokens([token]))
        times.take("forced tokens", matcher.compute_ff_tokens)
        if not matcher.consume_token(token):
            raise RuntimeError(f"The grammar refuses the right answer: {matcher.get_error()}")


class Sure(Scores):
    """The scores of a model that is sure of these tokens."""

    def __init__(self, tokens: list[int]) -> None:
        self.tokens, self.logprobs = tokens, [0.0] * len(tokens)


def write_drafted(tokenizer: PlainTokenizer, drafting: Drafting, ask: Ask, times: Times) -> tuple[int, int]:
    """As the engine writes; tokens and steps."""
    row = Row(ask.request, tokenizer, 4096)
    draft = times.take("drafter of a document", lambda: drafting(row))
    row.span = Span(0, 4096)
    row.start()
    while not row.finish:
        row.draft = times.take("draft", draft)
        row.feed()
        count = len(row.draft) + 1
        scores = Sure(([*(ask.gold or ())][len(row.answer) :] + [0] * count)[:count])
        times.take("choice of a step's tokens", lambda scores=scores: row.read(scores))
    usage = row.completion().usage
    return usage.output_tokens, usage.forwards


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--vocabulary", type=int, default=65_536)
    options = parser.parse_args()
    tokenizer = make_tokenizer(options.vocabulary)
    drafting = copying(tokenizer)
    times = Times()
    num_tokens = num_steps = 0
    for ask in invoices(tokenizer, options.batch):
        write_masked(tokenizer, ask, times)
        tokens, steps = write_drafted(tokenizer, drafting, ask, times)
        num_tokens, num_steps = num_tokens + tokens, num_steps + steps
    print(
        f"vocabulary of {tokenizer.size} entries, {options.batch} invoices, {num_tokens / num_steps:.2f} tokens a step"
    )
    print(f"| what | calls | mean us | p99 us | ms for {options.batch} rows |\n|---|---|---|---|---|")
    print("\n".join(times.lines(options.batch)))


if __name__ == "__main__":
    main()
