"""A small HRM-Text with random weights, to try the way of a document without a model.

What it writes is valid and grounded, because the grammar sees to that, and means nothing.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from transformers import HrmTextConfig, HrmTextForCausalLM
from transformers.models.hrm_text.modeling_hrm_text import HrmTextDecoderLayer
from transformers.utils import logging

from workers.engine.identity import PLACEHOLDER_FIELD
from workers.engine.special_tokens import END_OF_ANSWER, PADDING, START
from workers.engine.tokenizer import PlainTokenizer
from workers.engine.tokenizer_training import save_tokenizer, train_tokenizer

MAX_VOCABULARY = 4096
MAX_POSITIONS = 4096

# How much likelier than by chance tokens with such text are; the first that fits counts. Left to itself a random
# model fills every string and list to its limit, and leaves half of the required fields out.
LEANINGS = (
    (rb"\{", 2.0),
    (rb'\["', 1.5),
    (rb'[\]"]', 0.3),
    (rb"^ ?n(?:u|ul|ull)?$", -2.0),
)


def make(path: Path, texts: Iterable[str], seed: int = 0) -> None:
    """Write a checkpoint directory: random weights, and a tokenizer trained on `texts`."""
    path.mkdir(parents=True, exist_ok=True)
    save_tokenizer(train_tokenizer(texts, MAX_VOCABULARY), path, MAX_POSITIONS)
    tokenizer = PlainTokenizer(path / "tokenizer.json")
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    _random_model(tokenizer, seed).save_pretrained(path)


def _random_model(tokenizer: PlainTokenizer, seed: int) -> HrmTextForCausalLM:
    config: dict[str, Any] = {
        "vocab_size": tokenizer.size,
        "hidden_size": 128,
        "intermediate_size": 256,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "head_dim": 64,
        "max_position_embeddings": MAX_POSITIONS,
        "H_cycles": 2,
        "L_cycles": 3,
        "initializer_range": 0.1,
        "pad_token_id": tokenizer.special(PADDING),
        "bos_token_id": tokenizer.special(START),
        "eos_token_id": tokenizer.special(END_OF_ANSWER),
        PLACEHOLDER_FIELD: True,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = HrmTextForCausalLM(HrmTextConfig(**config))
    with torch.no_grad():
        _look_around(model)
        _lean(model, tokenizer)
    return model


def _look_around(model: HrmTextForCausalLM) -> None:
    """Strengthen attention, so that the next token depends on more than the last one."""
    for layer in _layers(model):
        layer.self_attn.q_proj.weight *= 4.0
        layer.self_attn.o_proj.weight *= 2.0


def _lean(model: HrmTextForCausalLM, tokenizer: PlainTokenizer) -> None:
    """Make channel 0 a constant of the hidden state, so that this column of the head is a bias; set it."""
    model.model.embed_tokens.weight[:, 0] = 0.3
    for layer in _layers(model):
        layer.self_attn.o_proj.weight[0] = 0.0
        layer.mlp.down_proj.weight[0] = 0.0
    for token in range(tokenizer.size):
        text = tokenizer.token_bytes(token)
        lean = next((lean for pattern, lean in LEANINGS if re.search(pattern, text)), 0.0)
        model.lm_head.weight[token, 0] = lean


def _layers(model: HrmTextForCausalLM) -> list[HrmTextDecoderLayer]:
    return [*model.model.L_module.layers, *model.model.H_module.layers]
