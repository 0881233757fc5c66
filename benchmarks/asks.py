"""What the engine is asked in its benchmarks: requests, and the answers to replay where they are known."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from pipelines.train.data import Synthetic, Task
from schemas.base import Step
from schemas.registry import Registry
from schemas.text import clean
from schemas.wire import dump
from workers.engine.protocol import Request
from workers.engine.tokenizer import PlainTokenizer
from workers.prompt import Envelope, Prompter

MAX_POSITIONS = 4096
# an invoice is long from so many lines on
_MANY_LINES = 4


@dataclass(frozen=True, kw_only=True)
class Ask:
    """A request, and the right answer where there is one in the wire form."""

    request: Request
    # so many tokens of the prompt may be shared
    num_shared: int
    gold: list[int] | None = None

    @property
    def sharing(self) -> Request:
        return replace(self.request, num_shared=self.num_shared)


def catalog(tokenizer: PlainTokenizer, count: int) -> list[Ask]:
    """The bundled samples: every schema's first ones, in turn."""
    registry = Registry.load()
    files = [
        (name, file)
        for name in registry.names()
        for file in sorted(registry.entry(name).samples_dir.glob("*.txt"))
    ]
    # the first of every schema, then the second, ...
    ranked = sorted(files, key=lambda each: ([n for n in files if n[0] == each[0]].index(each), each[0]))
    prompters = {
        name: Prompter(registry.get(name), tokenizer, MAX_POSITIONS, Envelope()) for name, _ in files
    }
    made = (_ask(prompters[name], clean(file.read_text(encoding="utf-8"))) for name, file in ranked)
    return list(islice((ask for ask in made if ask), count))


def sroie(tokenizer: PlainTokenizer, directory: Path, count: int) -> list[Ask]:
    """Receipts of SROIE's development set, with the examples of the bundled schema."""
    prompter = Prompter(Registry.load().get("receipt"), tokenizer, MAX_POSITIONS, Envelope())
    with (directory / "dev.jsonl").open(encoding="utf-8") as lines:
        made = (_ask(prompter, clean(json.loads(line)["text"])) for line in lines)
        return list(islice((ask for ask in made if ask), count))


def invoices(tokenizer: PlainTokenizer, count: int) -> list[Ask]:
    """Synthetic invoices of many lines, with the right answers, each behind examples of its own."""
    return _invoices(lambda task: Prompter(task.schema, tokenizer, MAX_POSITIONS, Envelope()), count)


def alike(tokenizer: PlainTokenizer, count: int) -> list[Ask]:
    """The same, all behind the examples of the bundled schema."""
    prompter = Prompter(Registry.load().get("invoice"), tokenizer, MAX_POSITIONS, Envelope())
    return _invoices(lambda task: prompter, count)


def _invoices(prompter_of: Callable[[Task], Prompter], count: int) -> list[Ask]:
    made = (
        _ask(prompter_of(task), task.example.text, dump(task.example.record))
        for task in Synthetic(recipe="invoice", seed=0).tasks("eval")
        if len(task.example.record["line_items"]) >= _MANY_LINES
    )
    return list(islice((ask for ask in made if ask), count))


def _ask(prompter: Prompter, text: str, answer: str | None = None) -> Ask | None:
    prompt = prompter.build(text, Step())
    if prompt is None:
        return None
    request = Request(
        prompt=prompt.ids,
        document=text,
        form=prompter.schema.form,
        # answers that never end, of lines that repeat, would be most of what is measured
        max_new_tokens=min(prompter.max_new_tokens, 400),
        examples=[prompter.schema.examples[number] for number in prompt.shots],
    )
    gold = prompter.tokenizer.encode(answer) if answer else None
    return Ask(request=request, num_shared=prompt.num_shared, gold=gold)
