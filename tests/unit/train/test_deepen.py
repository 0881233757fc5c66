from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import HrmTextForCausalLM

from pipelines.train.batches import collate
from pipelines.train.data import Maker
from pipelines.train.deepen import deepen
from pipelines.train.model import load_base
from pipelines.train.trainer import Trainer
from schemas.errors import ConfigurationError
from tests.cases.slips import recipe
from workers.engine.engine import HrmTextEngine


@pytest.fixture
def shallow(write_checkpoint: Callable[[str, int], Path]) -> Path:
    return write_checkpoint("shallow", 1)


def logits_of(directory: Path) -> torch.Tensor:
    model = HrmTextForCausalLM.from_pretrained(directory, dtype=torch.float32)
    ids = torch.arange(20, 60)[None]
    with torch.no_grad():
        logits: torch.Tensor = model(ids, token_type_ids=torch.ones_like(ids)).logits
    return logits


def test_a_deeper_checkpoint_computes_the_same(shallow: Path, tmp_path: Path) -> None:
    deeper = tmp_path / "deeper"
    deepen(str(shallow), 3, deeper)
    assert torch.equal(logits_of(deeper), logits_of(shallow))
    loaded = HrmTextEngine.load(deeper)
    assert loaded.checkpoint.name == "deeper"
    assert loaded.checkpoint.digest in (deeper / "README.md").read_text()


def test_its_new_layers_learn(shallow: Path, tmp_path: Path, maker: Maker) -> None:
    deepen(str(shallow), 2, tmp_path / "deeper")
    model = load_base(str(tmp_path / "deeper"), "cpu")
    trainer = Trainer(model, recipe(), torch.float32)
    before = {name: weight.detach().clone() for name, weight in trainer.weights.items()}
    new = [name for name in before if ".layers.1." in name]
    assert len(new) == len([name for name in before if ".layers.0." in name])
    # what stands before a matrix of zeros has a gradient once that has moved
    for _ in range(2):
        trainer.step([collate([sample for sample in maker.chunk(0)[:8] if sample])], 0.5)
    assert [name for name in new if torch.equal(trainer.weights[name], before[name])] == []


def test_what_is_not_deeper_is_refused(shallow: Path, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigurationError, match="has 1 layers a stack, and --layers-per-stack 1 is not more"
    ):
        deepen(str(shallow), 1, tmp_path / "deeper")
    with pytest.raises(ConfigurationError, match="holds a checkpoint already"):
        deepen(str(shallow), 2, shallow)
