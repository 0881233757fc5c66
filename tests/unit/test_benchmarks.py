"""Benchmarks of a GPU run on a CPU, too, with figures that mean nothing; their arithmetic is that of the model."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest
import torch

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_every_variant_is_measured() -> None:
    options = "--device cpu --tiny --prompts 700 --answer 20 --count 2 --batches 2 0"
    ran = subprocess.run(
        [sys.executable, BENCHMARKS / "gpu.py", *options.split()], capture_output=True, text=True, check=True
    )
    _, head, _, *lines = ran.stdout.splitlines()
    assert len(lines) == 2 * 5
    assert {line.count("|") for line in lines} == {head.count("|")}
    tokens = {
        name.strip(): int(fed) for _, _, _, name, _, _, _, fed, *_ in (line.split("|") for line in lines[:4])
    }
    # the examples that all share are read before the clock runs
    assert tokens["forced + drafts + shared examples"] < 0.7 * tokens["forced + drafts"]


def test_the_least_time_of_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    gpu = importlib.import_module("gpu")
    shape = gpu.Shape()
    of = gpu.Rates(memory=4e12, products=600e12)
    # one row reads all weights of all passes, the head, and 786,432 bytes a token of its cache
    alone = gpu.least_s(shape, torch.bfloat16, [gpu.Work(1, 1500, 1500, 1)], of)
    assert alone == pytest.approx((128 * shape.weights * 2 + 65_536 * 1536 * 2 + 1500 * 786_432) / 4e12)
    # of many rows the weights are read once, and of a block that they share the cache
    many = gpu.least_s(
        shape, torch.bfloat16, [gpu.Work(1, 500, 1500, 1)] * 64 + [gpu.Work(0, 1000, 0, 0)], of
    )
    assert many - alone == pytest.approx((64 * 500 + 1000 - 1500) * 786_432 / 4e12)
    # a prompt is products: of each token with the weights, and with all tokens of the prompt
    prompt = gpu.least_s(shape, torch.bfloat16, [gpu.Work(1500, 1500, 1500, 1)], of)
    weights = 128 * shape.weights * 1500 + 65_536 * 1536
    assert prompt == pytest.approx(2 * (weights + 128 * 2 * 1536 * 1500**2) / 600e12)
