import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from pipelines.train.attention import Family, Row
from pipelines.train.batches import Batch
from pipelines.train.ranks import ALONE, Ranks, joined
from schemas.errors import ConfigurationError
from tests.cases.slips import read_log

SMALL = "hidden_size = 32\nnum_heads = 2\nlayers_per_stack = 1\nvocab_size = 400\nmax_positions = 512\n"
# samples are made in the processes themselves
TRAIN = """-m pipelines.train --from-scratch small.toml --synthetic 1 --synthetic-recipe tiny --steps 6
--tokens-per-batch 512 --accumulate 3 --held-out 4 --evaluate-every 3 --workers 0 --device cpu"""
TORCHRUN = "-m torch.distributed.run --standalone --nproc-per-node 2"


def batch_of(length: int) -> Batch:
    ids = torch.zeros(length, dtype=torch.long)
    family = Family(num_shared=0, rows=(Row(num_prompt=length, num_answer=0),))
    return Batch(ids=ids, positions=ids, families=(family,), places=ids, wanted=ids)


@given(st.lists(st.integers(1, 50), max_size=12), st.integers(1, 5))
def test_every_batch_is_one_ranks_and_loads_are_alike(lengths: list[int], size: int) -> None:
    batches = [batch_of(length) for length in lengths]
    shares = [Ranks(rank=rank, size=size).share(batches) for rank in range(size)]
    assert sorted(id(batch) for share in shares for batch in share) == sorted(map(id, batches))
    loads = [sum(batch.work for batch in share) for share in shares]
    assert max(loads) - min(loads) <= max((batch.work for batch in batches), default=0)


def test_a_batch_of_long_samples_is_more_work() -> None:
    ids = torch.zeros(2000, dtype=torch.long)
    rows = [Row(num_prompt=90, num_answer=10)] * 20, [Row(num_prompt=1900, num_answer=100)]
    short, long = (
        Batch(
            ids=ids, positions=ids, families=(Family(num_shared=0, rows=tuple(each)),), places=ids, wanted=ids
        )
        for each in rows
    )
    assert short.num_tokens == long.num_tokens
    assert long.work > 2 * short.work


def test_one_process_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with joined(torch.device("cpu"), 1) as ranks:
        assert ranks is ALONE
        assert (ranks.any(True, torch.device("cpu")), ranks.any(False, torch.device("cpu"))) == (True, False)


def test_a_step_of_too_few_batches_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(ConfigurationError, match="4 processes cannot share steps of --accumulate 3"):  # noqa: SIM117
        with joined(torch.device("cpu"), 3):
            pass


def test_two_processes_train_what_one_does(tmp_path: Path) -> None:
    """The same losses and weights but for rounding, one log, one checkpoint."""
    (tmp_path / "small.toml").write_text(SMALL)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path.cwd())}
    for launched, out in (("", "one"), (TORCHRUN, "two")):
        ran = subprocess.run(
            [sys.executable, *launched.split(), *TRAIN.split(), "--out", out],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert ran.returncode == 0, ran.stderr
        assert ran.stdout.count("is ready") == 1
    one, two = (read_log(tmp_path / out) for out in ("one", "two"))
    assert [line["step"] for line in two] == [1, 2, 3, 4, 5, 6]
    assert [line["tokens"] for line in two] == [line["tokens"] for line in one]
    assert [line["loss"] for line in two] == pytest.approx([line["loss"] for line in one], rel=1e-4)
    assert len(read_log(tmp_path / "two", "evaluation")) == 2
    weights, expected = (load_file(tmp_path / out / "model.safetensors") for out in ("two", "one"))
    for name, weight in expected.items():
        torch.testing.assert_close(weights[name], weight, rtol=2e-2, atol=1e-3, msg=name)
