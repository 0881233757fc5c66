"""Held-out samples that do not fit are found before anything is learned."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.train.labels import Labels
from pipelines.train.prepare import make_data
from pipelines.train.run import Run
from schemas.errors import ConfigurationError
from tests.cases.slips import recipe
from workers.prompt import Envelope


def test_synthetic_documents_that_do_not_fit_are_not_looked_for_without_end(
    fake_synthetic: None, tokenizer_file: Path
) -> None:
    short = recipe(data=(), synthetic=1, max_tokens=64)
    data = make_data(short, [], tokenizer_file, Envelope())
    with pytest.raises(
        ConfigurationError, match=r"held-out synthetic documents fits 64 tokens.*--max-tokens"
    ):
        data.held_out(2)


def test_labels_that_do_not_fit_are_refused_before_the_first_step(
    tmp_path: Path, make_run: Callable[..., Run], labels: Labels
) -> None:
    settings = labels.schema.settings.model_copy(update={"max_answer_tokens": 16})
    terse = replace(labels, schema=labels.schema.with_settings(settings))
    run = replace(make_run(tmp_path / "out"), labels=[terse])
    with pytest.raises(ConfigurationError, match="None of the held-out labels of slip fits 512 tokens"):
        run.train(resume=False)
    assert not (run.states / "log.jsonl").exists()
