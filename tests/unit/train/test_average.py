import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from pipelines.train.average import average
from schemas.errors import ConfigurationError
from workers.engine.engine import HrmTextEngine


@pytest.fixture
def checkpoints(write_checkpoint: Callable[[str, int], Path]) -> list[Path]:
    """Two checkpoints of one architecture with other weights."""
    return [write_checkpoint(f"run{seed}", seed) for seed in (1, 2)]


def weights_of(directory: Path) -> dict[str, torch.Tensor]:
    return {
        name: weight.float()
        for name, weight in AutoModelForCausalLM.from_pretrained(directory).state_dict().items()
    }


def test_the_weights_are_the_weighted_mean(checkpoints: list[Path], tmp_path: Path) -> None:
    one, other = checkpoints
    between = tmp_path / "between"
    average({str(one): 3.0, str(other): 1.0}, between)
    first, second, mean = map(weights_of, (one, other, between))
    for name, weight in mean.items():
        torch.testing.assert_close(weight, 0.75 * first[name] + 0.25 * second[name], atol=2e-3, rtol=1e-2)
    assert not torch.equal(first["lm_head.weight"], second["lm_head.weight"])
    assert HrmTextEngine.load(between).checkpoint.name == "between"
    card = (between / "README.md").read_text()
    assert "| run1 | 0.75 |" in card
    assert "| run2 | 0.25 |" in card


def test_what_has_nothing_in_between_is_refused(checkpoints: list[Path], tmp_path: Path) -> None:
    one, other = map(str, checkpoints)
    config = json.loads((checkpoints[1] / "config.json").read_text())
    (checkpoints[1] / "config.json").write_text(json.dumps({**config, "L_cycles": 1}))
    with pytest.raises(ConfigurationError, match=r"differ in config\.json"):
        average({one: 1.0, other: 1.0}, tmp_path / "between")
    assert not (tmp_path / "between").exists()
    with pytest.raises(ConfigurationError, match="holds a checkpoint already"):
        average({one: 1.0}, checkpoints[1])


@pytest.mark.parametrize("weight", ["0", "-1", "x", "nan", "inf"])
def test_a_weight_is_above_zero(weight: str, checkpoints: list[Path], tmp_path: Path) -> None:
    ran = subprocess.run(
        [
            sys.executable,
            "-m",
            "pipelines.train.average",
            f"{checkpoints[0]}={weight}",
            "--out",
            tmp_path / "x",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert f"{weight!r} is no weight of" in " ".join(ran.stderr.split())
