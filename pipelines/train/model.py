"""The model that is trained: from a checkpoint, or from scratch with a tokenizer of its own."""

import shutil
from collections.abc import Iterable
from pathlib import Path

import torch
from transformers import HrmTextConfig, HrmTextForCausalLM

from pipelines.train.attention import use_row_attention
from pipelines.train.recipe import Architecture
from workers.engine import checkpoint
from workers.engine.identity import resolve
from workers.engine.special_tokens import END_OF_ANSWER, PADDING, START
from workers.engine.tokenizer import PlainTokenizer
from workers.engine.tokenizer_training import save_tokenizer, train_tokenizer

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")


def copy_tokenizer(base: str, directory: Path) -> None:
    """The tokenizer files of a checkpoint, into another directory."""
    source = resolve(base)
    for name in TOKENIZER_FILES:
        if (source / name).exists():
            shutil.copyfile(source / name, directory / name)


def make_tokenizer(texts: Iterable[str], architecture: Architecture, directory: Path) -> None:
    """Train a tokenizer on texts and save it."""
    tokenizer = train_tokenizer(texts, architecture.vocab_size)
    save_tokenizer(tokenizer, directory, architecture.max_positions)


def load_base(base: str, device: str) -> HrmTextForCausalLM:
    """A checkpoint in float32, ready to be trained."""
    model: HrmTextForCausalLM = checkpoint.load(base, device, "float32").model.train()
    use_row_attention(model)
    return model


def make_model(architecture: Architecture, tokenizer: PlainTokenizer, device: str) -> HrmTextForCausalLM:
    """A model with random weights from the architecture's seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(architecture.seed)
        model = HrmTextForCausalLM(_config(architecture, tokenizer))
    use_row_attention(model)
    ready: HrmTextForCausalLM = model.train().to(checkpoint.choose_device(device))
    return ready


def _config(architecture: Architecture, tokenizer: PlainTokenizer) -> HrmTextConfig:
    hidden = architecture.hidden_size
    return HrmTextConfig(
        vocab_size=tokenizer.size,
        hidden_size=hidden,
        intermediate_size=architecture.intermediate_size or max(64, round(hidden * 8 / 3 / 64) * 64),
        num_hidden_layers=architecture.layers_per_stack,
        num_attention_heads=architecture.num_heads,
        head_dim=hidden // architecture.num_heads,
        max_position_embeddings=architecture.max_positions,
        H_cycles=architecture.H_cycles,
        L_cycles=architecture.L_cycles,
        L_bp_cycles=list(architecture.L_bp_cycles),
        # as in the released config: embeddings come to a variance of one, for their scale is the inverse
        initializer_range=hidden**-0.5,
        pad_token_id=tokenizer.special(PADDING),
        bos_token_id=tokenizer.special(START),
        eos_token_id=tokenizer.special(END_OF_ANSWER),
    )
