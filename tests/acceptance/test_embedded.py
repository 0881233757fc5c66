"""The embedded checkpoint: what it is, and that it reads the sample documents."""

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from tests.acceptance.conftest import Cli
from workers.engine import identity
from workers.engine.special_tokens import SPECIAL_TOKENS
from workers.engine.tokenizer import PlainTokenizer
from workers.settings import EMBEDDED_CHECKPOINT

MOST_BYTES = 40_000_000
# a minute on two quiet cores
SLOW_S = 270


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Gleaner as it is installed, with no setting at all."""
    return Cli(tmp_path, {}, timeout_s=SLOW_S)


def test_it_is_a_small_hrm_text_for_plain_transformers() -> None:
    model = AutoModelForCausalLM.from_pretrained(EMBEDDED_CHECKPOINT)
    config = model.config
    assert config.model_type == "hrm_text" and (config.H_cycles, config.L_cycles) == (2, 3)
    assert config.max_position_embeddings >= 2048
    assert config.prefix_lm and config._attn_implementation == "sdpa"
    stored = sum(file.stat().st_size for file in EMBEDDED_CHECKPOINT.iterdir())
    assert stored <= MOST_BYTES
    tokenizer = PlainTokenizer(EMBEDDED_CHECKPOINT / "tokenizer.json")
    assert [tokenizer.special(token) for token in SPECIAL_TOKENS] == list(range(len(SPECIAL_TOKENS)))
    assert all(torch.isfinite(weight).all() for weight in model.parameters())
    assert identity.digest(EMBEDDED_CHECKPOINT) in (EMBEDDED_CHECKPOINT / "README.md").read_text()


def test_the_demo_shows_rows_of_every_sample(cli: Cli) -> None:
    ran = cli("demo").ok
    for name in ("invoice", "job_posting", "nda", "receipt", "support_ticket"):
        assert f"schema {name}, checkpoint hrm-text-small" in ran.out
    # counts of nothing are not printed
    assert "5 documents: " in ran.out
    assert " failed" not in ran.out and "placeholder" not in ran.err


def test_it_reads_the_samples(cli: Cli) -> None:
    made = json.loads(cli("eval", "receipt", "--json").ok.out)
    assert made["overall"]["f1"] >= 0.7
