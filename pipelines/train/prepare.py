"""From a recipe to everything that a run works with."""

import fcntl
import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from math import ceil
from pathlib import Path
from typing import Any

from pipelines.train.data import Maker, Sample, Synthetic, Task, encoded, held_out_tasks, make_lesson
from pipelines.train.labels import Labels, keep_stored
from pipelines.train.recipe import Recipe
from schemas.errors import CheckpointError, ConfigurationError
from schemas.examples import Example
from schemas.wire import dump
from workers.engine.identity import read_config, resolve
from workers.engine.tokenizer import PlainTokenizer
from workers.prompt import Envelope

STATES = "training"
RECIPE = "recipe.json"
# the tokenizer
START = "start"
_LOCK = "lock"
# synthetic samples whose texts a tokenizer is trained on
_TOKENIZER_SAMPLES = 2000
# synthetic documents that are tried for each held-out one, for they have no end
_TRIES = 32


@dataclass(frozen=True, kw_only=True)
class Data:
    """What a run learns from, and what it is measured on."""

    maker: Maker
    labels: Sequence[Labels]
    tokenizer: PlainTokenizer
    envelope: Envelope

    def held_out(self, limit: int) -> list[tuple[Task, Sample]]:
        """The held-out samples: of each schema's labels, and of the synthetic documents, so many.

        Raises:
            ConfigurationError: of one of them none fits.
        """
        maker = self.maker
        found: list[tuple[Task, Sample]] = []
        for each in self.labels:
            tasks = held_out_tasks(each, self.tokenizer, maker.max_tokens, self.envelope)
            found += self._fitting(f"labels of {each.schema.name}", tasks, limit)
        if maker.share:
            tasks = islice(maker.synthetic.tasks("eval"), _TRIES * limit)
            found += self._fitting("synthetic documents", tasks, limit)
        return found

    def _fitting(self, of: str, tasks: Iterator[Task], limit: int) -> list[tuple[Task, Sample]]:
        max_tokens = self.maker.max_tokens
        found = list(islice(encoded(tasks, self.tokenizer, max_tokens, self.envelope), limit))
        if not found:
            raise ConfigurationError(
                f"None of the held-out {of} fits {max_tokens} tokens with its examples and its answer.",
                hint="Raise --max-tokens or the schema's max_answer_tokens, or use a model with more positions.",
            )
        return found


def make_data(recipe: Recipe, labels: Sequence[Labels], tokenizer_file: Path, envelope: Envelope) -> Data:
    """The data of a run."""
    tokenizer = PlainTokenizer(tokenizer_file)
    positions = max_positions(recipe)
    max_tokens = min(recipe.max_tokens or positions, positions)
    lessons = tuple(make_lesson(each, tokenizer, max_tokens, envelope) for each in labels)
    num_labelled = sum(len(lesson.examples) for lesson in lessons)
    maker = Maker(
        lessons=lessons,
        synthetic=synthetic_of(recipe),
        share=recipe.synthetic,
        seed=recipe.seed,
        num_samples=ceil(recipe.epochs * num_labelled / (1 - recipe.synthetic)) if recipe.epochs else None,
        tokenizer_file=tokenizer_file,
        max_tokens=max_tokens,
        examples_block=recipe.examples_block,
        envelope=envelope,
    )
    return Data(maker=maker, labels=labels, tokenizer=tokenizer, envelope=envelope)


def synthetic_of(recipe: Recipe) -> Synthetic:
    """The synthetic documents of a recipe."""
    return Synthetic(recipe=recipe.synthetic_recipe, seed=recipe.seed)


def max_positions(recipe: Recipe) -> int:
    """The positions of the model that is trained."""
    if recipe.architecture:
        return recipe.architecture.max_positions
    return int(read_config(resolve(str(recipe.base)))["max_position_embeddings"])


def tokenizer_texts(
    recipe: Recipe, labels: Sequence[Labels], num_synthetic: int = _TOKENIZER_SAMPLES
) -> Iterator[str]:
    """What a new tokenizer is trained on: texts and answers."""
    for each in labels:
        yield from _texts([*each.schema.examples, *each.train])
    if recipe.synthetic:
        # of all kinds, whatever the run's mixture is: the vocabulary is for good
        every_kind = Synthetic(recipe="default", seed=recipe.seed)
        for task in islice(every_kind.tasks("train"), num_synthetic):
            yield from _texts([*task.schema.examples, task.example])


def _texts(examples: Sequence[Example]) -> Iterator[str]:
    return chain.from_iterable((f"Text:\n{e.text}\nJSON:", f" {dump(e.record)}\n\n") for e in examples)


def require_sources(recipe: Recipe) -> None:
    """Refuse a recipe whose base or synthetic documents are not there.

    Raises:
        CheckpointError: the base is no HRM-Text checkpoint.
        ConfigurationError: there is no such synthetic recipe.
    """
    if recipe.synthetic:
        synthetic_of(recipe).require_recipe()
    if recipe.base:
        try:
            read_config(resolve(recipe.base))
        except CheckpointError as exc:
            raise CheckpointError(
                exc.message,
                hint="Give --base the directory or the hub name of an HRM-Text, as sapientinc/HRM-Text-1B.",
            ) from exc


@contextmanager
def alone(directory: Path) -> Iterator[None]:
    """Keep every other process out of the directory of a run.

    Raises:
        ConfigurationError: another one is there, or it cannot be written there.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        file = (directory / _LOCK).open("w")
    except OSError as exc:
        raise _unwritable(directory, exc) from exc
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise ConfigurationError(
                f"Another process is training in {directory.parent}.",
                hint="Let it end or stop it, or name another --out.",
            ) from exc
        yield


def begin(directory: Path, recipe: Recipe, labels: Sequence[Labels]) -> None:
    """Note what a run is made of, and which labels were left out; one that saved no state is begun anew.

    Raises:
        ConfigurationError: another run is there, or it cannot be written there.
    """
    if any(directory.glob("state-*")):
        raise ConfigurationError(
            f"{directory.parent} holds a training run.", hint="Go on with --resume, or name another --out."
        )
    try:
        _clear(directory)
        (directory / START).mkdir(parents=True)
    except OSError as exc:
        raise _unwritable(directory, exc) from exc
    left_out = (fault for each in labels for fault in each.left_out)
    lines = "".join(json.dumps(vars(fault), ensure_ascii=False) + "\n" for fault in left_out)
    (directory / "left_out.jsonl").write_text(lines, encoding="utf-8")
    for each in labels:
        if each.schema.name in recipe.from_db:
            keep_stored(directory, each)
    note = {"recipe": recipe.model_dump(mode="json"), "data": data_digest(recipe, labels)}
    (directory / RECIPE).write_text(json.dumps(note, indent=2) + "\n")


def _clear(directory: Path) -> None:
    """Remove what a run without a state left, but for the lock, which this one holds."""
    for each in directory.glob("*"):
        if each.is_dir():
            shutil.rmtree(each)
        elif each.name != _LOCK:
            each.unlink()


def _unwritable(directory: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"{directory.parent} cannot be written: {error.strerror}.", hint="Name another --out."
    )


def read_recipe(directory: Path) -> dict[str, Any]:
    """What a run was begun with.

    Raises:
        ConfigurationError: no run was begun there.
    """
    try:
        note: dict[str, Any] = json.loads((directory / RECIPE).read_text())
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else exc
        raise ConfigurationError(
            f"{directory.parent} holds no run to go on with: {reason}.",
            hint="Leave --resume out to begin one.",
        ) from exc
    return note


def require_same_data(directory: Path, recipe: Recipe, labels: Sequence[Labels]) -> None:
    """Refuse to go on with other data.

    Raises:
        ConfigurationError: it is not what the run was begun with.
    """
    if read_recipe(directory)["data"] != data_digest(recipe, labels):
        raise ConfigurationError(
            f"The data is not what the run in {directory.parent} was begun with.",
            hint="Give it the same files and the same version of Gleaner, or begin another run in another --out.",
        )


def data_digest(recipe: Recipe, labels: Sequence[Labels]) -> str:
    """SHA-256 over all labels and the version of the synthetic documents."""
    parts = [each.digest for each in labels]
    if recipe.synthetic:
        parts.append(f"synthetic {synthetic_version()}")
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()


def synthetic_version() -> int:
    """The version of the generator of synthetic documents."""
    from pipelines.train.synthetic.samples import VERSION

    return VERSION
