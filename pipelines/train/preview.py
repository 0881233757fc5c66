"""Samples to look at before training on them."""

from collections.abc import Iterator
from itertools import count, islice

from pipelines.train.data import CHUNK_SIZE, Sample, Task, encoded
from pipelines.train.prepare import Data
from schemas.errors import ConfigurationError
from workers.engine.special_tokens import END_OF_ANSWER
from workers.engine.tokenizer import PlainTokenizer


def preview(data: Data, num: int) -> Iterator[str]:
    """The first samples as the model sees them.

    Raises:
        ConfigurationError: none fits the prompt.
    """
    for number, (task, sample) in enumerate(islice(_fitting(data), num), start=1):
        yield f"=== sample {number}: {_described(task, sample)}\n{_shown(sample, data.tokenizer)}{END_OF_ANSWER}"


def _fitting(data: Data) -> Iterator[tuple[Task, Sample]]:
    """Chunk after chunk, until one holds none."""
    maker = data.maker
    for chunk in count():
        pairs = encoded(maker.tasks(chunk), data.tokenizer, maker.max_tokens, data.envelope)
        first = next(pairs, None)
        if first is None and chunk == 0:
            raise ConfigurationError(
                f"None of the first {CHUNK_SIZE} samples fits {maker.max_tokens} tokens.",
                hint="Raise --max-tokens, or use a model with more positions.",
            )
        if first is None:
            return
        yield first
        yield from pairs


def _described(task: Task, sample: Sample) -> str:
    kind = f", template {task.template}" if task.template else ""
    return (
        f"{task.schema.name}, condition {task.step.condition}, {sample.num_prompt} tokens of prompt, "
        f"{sample.num_answer} of answer{kind}"
    )


def _shown(sample: Sample, tokenizer: PlainTokenizer) -> str:
    """The text; the envelope's special tokens have none."""
    prompt, answer = sample.ids[: sample.num_prompt], sample.ids[sample.num_prompt :]
    parts = (b"".join(map(tokenizer.token_bytes, ids.tolist())).decode() for ids in (prompt, answer))
    return "\n--- answer\n".join(parts)
