"""Samples to look at before training on them."""

from collections.abc import Iterator
from itertools import islice

from pipelines.train.data import Sample, Task, encoded
from pipelines.train.prepare import Data
from workers.engine.special_tokens import END_OF_ANSWER
from workers.engine.tokenizer import PlainTokenizer


def preview(data: Data, count: int) -> Iterator[str]:
    """The first samples as the model sees them."""
    maker = data.maker
    pairs = encoded(maker.tasks(0), data.tokenizer, maker.max_tokens, data.envelope)
    for number, (task, sample) in enumerate(islice(pairs, count), start=1):
        yield f"=== sample {number}: {_described(task, sample)}\n{_shown(sample, data.tokenizer)}{END_OF_ANSWER}"


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
