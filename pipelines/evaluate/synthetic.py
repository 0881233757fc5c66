"""Synthetic documents of templates and schemas that training never shows, each with examples of its own."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

from pipelines.evaluate.calibration import Calibration
from pipelines.evaluate.match import Judgement, judge
from pipelines.evaluate.metrics import Figures, figures, is_exact, share
from pipelines.evaluate.values import converted_object
from pipelines.train.data import Synthetic, Task
from schemas.errors import PromptError
from schemas.forms import Path, leaves
from workers.confidence import field_confidences
from workers.doubt import doubted, emptied
from workers.engine.protocol import Completion, Engine, Finish, Request
from workers.prompt import Envelope, Prompter


@dataclass(frozen=True, kw_only=True)
class Answered:
    """A document, the answer to it, and the verdicts on its values."""

    task: Task
    completion: Completion
    judgements: tuple[Judgement, ...]
    # of every value, by path
    confidences: Mapping[Path, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class SyntheticReport:
    """The figures of synthetic documents; `num_unfinished` answers were cut off or failed."""

    num_documents: int
    num_unfinished: int
    overall: Figures
    exact_records: float | None
    calibration: Calibration


def answer(
    engine: Engine,
    envelope: Envelope,
    *,
    recipe: str,
    number: int,
    seed: int = 0,
    is_shared: bool = False,
    empty_below: float = 0.0,
    batch_size: int = 16,
    on_answered: Callable[[int], None] = lambda count: None,
) -> Iterator[Answered]:
    """Extract the first documents of a recipe's evaluation split, and judge the answers.

    With `is_shared` the examples are a block that does not see the document; `empty_below` is as in settings.

    Raises:
        ConfigurationError: there is no such recipe.
        TransientError: the device failed.
    """
    tasks = islice(Synthetic(recipe=recipe, seed=seed).tasks("eval"), number)
    while batch := list(islice(tasks, batch_size)):
        completions = engine.complete(
            [_request(task, engine, envelope, is_shared=is_shared) for task in batch]
        )
        for task, completion in zip(batch, completions, strict=True):
            yield _judged(task, completion, empty_below)
        on_answered(len(batch))


def synthetic_report(answered: Iterable[Answered]) -> SyntheticReport:
    """The figures of answers."""
    every = list(answered)
    return SyntheticReport(
        num_documents=len(every),
        num_unfinished=sum(each.completion.finish is not Finish.STOP for each in every),
        overall=figures(judgement for each in every for judgement in each.judgements),
        exact_records=share(sum(is_exact(each.judgements) for each in every), len(every)),
        calibration=Calibration.of(
            (judgement, each.confidences[judgement.path])
            for each in every
            for judgement in each.judgements
            if judgement.found is not None and judgement.path in each.confidences
        ),
    )


def _request(task: Task, engine: Engine, envelope: Envelope, *, is_shared: bool) -> Request:
    prompter = Prompter(task.schema, engine.tokenizer, engine.max_positions, envelope)
    prompt = prompter.build(task.example.text, task.step)
    if prompt is None:
        raise PromptError(
            f"A synthetic document does not fit {engine.max_positions} positions with two examples.",
            hint="Use a checkpoint with more positions.",
        )
    return Request(
        prompt=prompt.ids,
        document=task.example.text,
        form=task.schema.form,
        max_new_tokens=prompter.max_new_tokens,
        examples=[task.schema.examples[number] for number in prompt.shots],
        num_shared=prompt.num_shared if is_shared else 0,
    )


def _judged(task: Task, completion: Completion, empty_below: float) -> Answered:
    form, found, confidences = task.schema.form, None, {}
    if completion.finish is Finish.STOP:
        record = json.loads(completion.text)
        sure = field_confidences(record, completion.tokens)
        unsure = doubted(form, record, sure.__getitem__, empty_below)
        left = emptied(form, record, unsure)
        # those of a list are numbered anew
        kept = [path for path, leaf, _ in leaves(form, record) if not (leaf.is_item and path in unsure)]
        confidences = {
            path: sure[written] for (path, *_), written in zip(leaves(form, left), kept, strict=True)
        }
        found = converted_object(form, left)
    judgements = judge(form, converted_object(form, task.example.record), found)
    return Answered(task=task, completion=completion, judgements=tuple(judgements), confidences=confidences)
