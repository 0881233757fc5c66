import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from pipelines.train.data import Maker, Synthetic, make_lesson
from pipelines.train.labels import Labels, make_labels
from pipelines.train.model import copy_tokenizer, make_model, make_tokenizer
from pipelines.train.prepare import tokenizer_texts
from pipelines.train.run import Run
from schemas.base import Schema
from tests.cases.slips import ARCHITECTURE, Slip, as_printed, places, recipe, slip
from workers.engine.tokenizer import PlainTokenizer
from workers.prompt import Envelope

os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def schema() -> Schema:
    return Schema(Slip, [as_printed(number) for number in range(1000, 1004)])


@pytest.fixture(scope="session")
def labels(schema: Schema) -> Labels:
    """40 slips: 36 to learn from, 4 held out."""
    return make_labels(schema, places([slip(number) for number in range(40)]))


@pytest.fixture(scope="session")
def tokenizer_file(labels: Labels, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("tokenizer")
    make_tokenizer(tokenizer_texts(recipe(), [labels]), ARCHITECTURE, directory)
    return directory / "tokenizer.json"


@pytest.fixture(scope="session")
def tokenizer(tokenizer_file: Path) -> PlainTokenizer:
    return PlainTokenizer(tokenizer_file)


@pytest.fixture(scope="session")
def maker(labels: Labels, tokenizer_file: Path, tokenizer: PlainTokenizer) -> Maker:
    """Labelled samples without end."""
    return Maker(
        lessons=(make_lesson(labels, tokenizer, 512, Envelope()),),
        synthetic=Synthetic(recipe="default", seed=0),
        share=0.0,
        seed=0,
        num_samples=None,
        tokenizer_file=tokenizer_file,
        max_tokens=512,
    )


@pytest.fixture
def fake_synthetic(monkeypatch: pytest.MonkeyPatch, schema: Schema) -> None:
    """Slips with numbers from 5000 on instead of the generator's documents."""

    def samples(
        seed: int, *, split: str, recipe: Any, start: int = 0, num_siblings: Any = None
    ) -> Iterator[Any]:
        number = start
        while True:
            written = as_printed(5000 + number + (100_000 if split == "eval" else 0))
            yield SimpleNamespace(
                name="fake",
                form=schema.form,
                examples=schema.examples[:2],
                document=written.text,
                record=written.record,
                siblings=(),
                template=f"fake/{number}",
            )
            number += 1

    fake = SimpleNamespace(samples=samples, RECIPES={"default": None})
    monkeypatch.setitem(sys.modules, "pipelines.train.synthetic", fake)


@pytest.fixture
def write_checkpoint(tokenizer_file: Path, tmp_path: Path) -> Callable[[str, int], Path]:
    """Writes a checkpoint with the random weights of a seed under a name."""

    def write(name: str, seed: int) -> Path:
        architecture = ARCHITECTURE.model_copy(update={"seed": seed})
        model = make_model(architecture, PlainTokenizer(tokenizer_file), "cpu")
        model.bfloat16().save_pretrained(tmp_path / name)
        copy_tokenizer(str(tokenizer_file.parent), tmp_path / name)
        return tmp_path / name

    return write


@pytest.fixture
def make_run(labels: Labels) -> Any:
    """A run into a directory, without worker processes."""

    def make(out: Path, **given: Any) -> Run:
        return Run(
            recipe=recipe(**given),
            labels=[labels],
            envelope=Envelope(),
            out=out,
            console=Console(quiet=True),
            device="cpu",
            num_workers=0,
        )

    return make
