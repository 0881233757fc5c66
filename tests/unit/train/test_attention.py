from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM, HrmTextForCausalLM

from pipelines.train import objective
from pipelines.train.attention import SHAPE_STEP, use_row_attention
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


@pytest.fixture(params=[False, True], ids=["alone", "behind blocks"])
def batch(maker: Maker, request: pytest.FixtureRequest) -> Batch:
    """Samples of unequal lengths, each by itself or most of them behind blocks of examples."""
    made = replace(maker, examples_block=request.param).chunk(0)
    batch = collate([sample for sample in made[:4] if sample])
    assert any(family.num_shared for family in batch.families) == request.param
    return batch


def loss_of_transformers(model: HrmTextForCausalLM, batch: Batch) -> torch.Tensor:
    """With attention of transformers' own and one mask over the whole batch."""
    model.set_attn_implementation("sdpa")
    seen = torch.zeros(batch.num_tokens, batch.num_tokens, dtype=torch.bool)
    start = 0
    for family in batch.families:
        block = slice(start, start := start + family.num_shared)
        seen[block, block] = True
        for row in family.rows:
            prompt, own = slice(start, start + row.num_prompt), slice(start, start := start + len(row))
            seen[own, block] = True
            seen[own, own] = torch.ones(len(row), len(row)).tril().bool()
            seen[prompt, prompt] = True
    hidden = model.model(
        batch.ids[None],
        attention_mask=torch.zeros(seen.shape).masked_fill_(~seen, -torch.inf)[None, None],
        position_ids=batch.positions[None],
        use_cache=False,
    ).last_hidden_state[0, batch.places]
    return cross_entropy(model.lm_head(hidden), batch.wanted, reduction="sum")


def gradients(model: HrmTextForCausalLM, loss: torch.Tensor) -> dict[str, torch.Tensor]:
    model.zero_grad()
    loss.backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.requires_grad}


def test_it_is_the_attention_of_transformers(model: HrmTextForCausalLM, batch: Batch) -> None:
    loss = loss_of_transformers(model, batch)
    expected = gradients(model, loss)
    use_row_attention(model)
    assert model.config._attn_implementation != "sdpa"
    found = score(model, batch, torch.float32).loss
    torch.testing.assert_close(found, loss)
    torch.testing.assert_close(gradients(model, found), expected, rtol=1e-3, atol=1e-4)


def test_three_products_are_the_same_in_bfloat16(model: HrmTextForCausalLM, batch: Batch) -> None:
    use_row_attention(model)
    exact, rounded = (score(model, batch, dtype).loss for dtype in (torch.float32, torch.bfloat16))
    torch.testing.assert_close(rounded, exact, rtol=1e-2, atol=0)
    directions = [
        torch.cat([each.flatten() for each in gradients(model, loss).values()]) for loss in (exact, rounded)
    ]
    assert torch.cosine_similarity(*directions, dim=0) > 0.99


def test_what_is_behind_a_batch_changes_nothing(
    model: HrmTextForCausalLM, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_row_attention(model)
    alone = score(model, batch, torch.float32)
    expected = gradients(model, alone.loss)
    assert batch.num_tokens % SHAPE_STEP and batch.num_answer_tokens % SHAPE_STEP
    monkeypatch.setattr(objective, "is_plain", lambda device, dtype: True)
    found = score(model, batch, torch.float32)
    assert (found.num_right, found.num_tokens) == (alone.num_right, alone.num_tokens)
    torch.testing.assert_close(found.loss, alone.loss)
    torch.testing.assert_close(gradients(model, found.loss), expected, rtol=1e-3, atol=1e-4)


def test_nothing_of_it_is_saved(
    model: HrmTextForCausalLM, batch: Batch, tokenizer_file: Path, tmp_path: Path
) -> None:
    """Else transformers alone could not load the checkpoint."""
    use_row_attention(model)
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(weight.bfloat16())
    expected = score(model, batch, torch.float32).loss
    save_checkpoint(model, {}, tokenizer_file.parent, tmp_path, write_card=lambda _: None)
    assert not [file for file in tmp_path.glob("*.json") if "attn_implementation" in file.read_text()]
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert loaded.config._attn_implementation == "sdpa"
    torch.testing.assert_close(loss_of_transformers(loaded.float(), batch), expected)
