import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from schemas.errors import CheckpointError, ConfigurationError
from workers.engine import checkpoint, placeholder
from workers.engine.identity import digest


@pytest.fixture
def copy(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_checkpoint, tmp_path / "copy"))


def rewrite(path: Path, drop: tuple[str, ...] = (), **facts: Any) -> None:
    config = json.loads((path / "config.json").read_text()) | facts
    (path / "config.json").write_text(json.dumps({k: v for k, v in config.items() if k not in drop}))


def logits(path: Path) -> torch.Tensor:
    model = checkpoint.load(path, "cpu").model
    ids = torch.arange(20, 60)[None]
    with torch.inference_mode():
        return model(ids, token_type_ids=torch.ones_like(ids)).logits


def test_the_defaults_of_a_cpu(tiny_checkpoint: Path) -> None:
    loaded = checkpoint.load(tiny_checkpoint, "cpu")
    assert loaded.model.dtype == torch.float32
    assert not loaded.model.training
    assert loaded.checkpoint.digest == digest(tiny_checkpoint)


def test_bfloat16(tiny_checkpoint: Path) -> None:
    assert checkpoint.load(tiny_checkpoint, "cpu", "bfloat16").model.dtype == torch.bfloat16


def test_a_config_that_counts_the_layers_of_a_stack_loads_the_same(tiny_checkpoint: Path, copy: Path) -> None:
    """Older files write the layers of one stack where newer ones write the cache slots."""
    assert json.loads((copy / "config.json").read_text())["num_hidden_layers"] == 8
    rewrite(copy, drop=("num_layers_per_stack",), num_hidden_layers=1)
    assert torch.equal(logits(copy), logits(tiny_checkpoint))
    assert checkpoint.load(copy, "cpu").model.config.num_hidden_layers == 8


def test_missing_weights_are_not_filled_with_random_ones(copy: Path) -> None:
    weights = load_file(copy / "model.safetensors")
    name = next(name for name in weights if "H_module" in name)
    save_file({k: v for k, v in weights.items() if k != name}, copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(CheckpointError, match="lacks"):
        checkpoint.load(copy, "cpu")


def test_broken_weights_are_refused(copy: Path) -> None:
    (copy / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        checkpoint.load(copy, "cpu")


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"model_type": "qwen3"}, "only 'hrm_text'"),
        ({"prefix_lm": False}, "prefix_lm=false"),
        ({"hidden_size": 64}, "cannot be loaded|lacks"),
        ({"num_attention_heads": 3}, "cannot be loaded"),
    ],
)
def test_other_models_are_refused(copy: Path, facts: dict[str, Any], message: str) -> None:
    rewrite(copy, **facts)
    with pytest.raises(CheckpointError, match=message):
        checkpoint.load(copy, "cpu")


def test_pickled_weights_are_refused(copy: Path) -> None:
    (copy / "model.safetensors").rename(copy / "model.bin")
    with pytest.raises(CheckpointError, match=r"only as model\.bin"):
        checkpoint.load(copy, "cpu")


def test_a_vocabulary_larger_than_the_head_is_refused(copy: Path) -> None:
    data = json.loads((copy / "tokenizer.json").read_text())
    data["added_tokens"].append({**data["added_tokens"][0], "id": 99_999, "content": "<|late|>"})
    (copy / "tokenizer.json").write_text(json.dumps(data))
    with pytest.raises(CheckpointError, match="vocabulary of 100000 tokens"):
        checkpoint.load(copy, "cpu")


@pytest.mark.parametrize("device", ["gpu", "cuda:99"])
def test_a_device_that_is_not_there_is_refused(tiny_checkpoint: Path, device: str) -> None:
    with pytest.raises(ConfigurationError, match=device):
        checkpoint.load(tiny_checkpoint, device)


def test_an_unknown_dtype_is_refused(tiny_checkpoint: Path) -> None:
    with pytest.raises(ConfigurationError, match="bfloat16, float32"):
        checkpoint.load(tiny_checkpoint, "cpu", "int8")


def test_plain_transformers_loads_a_placeholder(tiny_checkpoint: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_checkpoint)
    tokenizer = AutoTokenizer.from_pretrained(tiny_checkpoint)
    assert model.config.vocab_size == len(tokenizer)
    assert (tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id) == (5, 6, 11)
    assert tokenizer.decode(tokenizer.encode("Total: RM 12.50")) == "Total: RM 12.50"


def test_a_seed_makes_one_placeholder(tmp_path: Path) -> None:
    before = torch.random.get_rng_state()
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        placeholder.make(tmp_path / name, ["a few words, 12 of them"] * 3, seed=seed)
    assert digest(tmp_path / "a") == digest(tmp_path / "b") != digest(tmp_path / "c")
    assert torch.equal(torch.random.get_rng_state(), before)
