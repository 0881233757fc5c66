from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, HrmTextForCausalLM

from pipelines.train.attention import use_plain_attention
from pipelines.train.batches import Batch, collate
from pipelines.train.data import Maker
from pipelines.train.finish import save_checkpoint
from pipelines.train.model import make_model
from pipelines.train.objective import score
from tests.cases.slips import ARCHITECTURE
from workers.engine.tokenizer import PlainTokenizer


@pytest.fixture
def model(tokenizer: PlainTokenizer) -> HrmTextForCausalLM:
    return make_model(ARCHITECTURE, tokenizer, "cpu")


@pytest.fixture
def batch(maker: Maker) -> Batch:
    """Samples of unequal lengths, so that there is padding."""
    made = collate([sample for sample in maker.chunk(0)[:8] if sample])
    assert 0 < made.attention_mask.sum() < made.attention_mask.numel()
    return made


def gradients(model: HrmTextForCausalLM, batch: Batch) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    model.zero_grad()
    loss = score(model, batch, torch.float32).loss
    loss.backward()
    return loss, {name: p.grad.clone() for name, p in model.named_parameters() if p.requires_grad}


def test_it_is_the_attention_of_transformers(model: HrmTextForCausalLM, batch: Batch) -> None:
    assert model.config._attn_implementation == "sdpa"
    loss, expected = gradients(model, batch)
    use_plain_attention(model)
    assert model.config._attn_implementation != "sdpa"
    plain, found = gradients(model, batch)
    torch.testing.assert_close(plain, loss)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


def test_nothing_of_it_is_saved(
    model: HrmTextForCausalLM, batch: Batch, tokenizer_file: Path, tmp_path: Path
) -> None:
    """Else transformers alone could not load the checkpoint."""
    use_plain_attention(model)
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(weight.bfloat16())
    expected = score(model, batch, torch.float32).loss
    save_checkpoint(model, {}, tokenizer_file.parent, tmp_path)
    assert not [file for file in tmp_path.glob("*.json") if "attn_implementation" in file.read_text()]
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert loaded.config._attn_implementation == "sdpa"
    torch.testing.assert_close(score(loaded.float(), batch, torch.float32).loss, expected)
