"""The end of a run: the best weights in bfloat16 as a checkpoint."""

import shutil
from collections.abc import Callable
from pathlib import Path

import torch
from transformers import HrmTextForCausalLM
from transformers.utils import logging

from pipelines.train.model import TOKENIZER_FILES
from schemas.errors import ConfigurationError


def is_checkpoint(directory: Path) -> bool:
    """Whether a directory holds a checkpoint, which is whole then and has its card."""
    return (directory / "config.json").exists()


def require_free(directory: Path) -> None:
    """Refuse a directory that holds a checkpoint.

    Raises:
        ConfigurationError: it holds one.
    """
    if is_checkpoint(directory):
        raise ConfigurationError(f"{directory} holds a checkpoint already.", hint="Name another --out.")


def save_checkpoint(
    model: HrmTextForCausalLM,
    weights: dict[str, torch.Tensor],
    start: Path,
    out: Path,
    write_card: Callable[[Path], None],
) -> None:
    """Write a checkpoint of these weights, with the tokenizer of the start and its card, into `out`."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in weights:
                parameter.copy_(weights[name])
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    aside = out / ".new"
    shutil.rmtree(aside, ignore_errors=True)
    model.bfloat16().save_pretrained(aside)
    for name in TOKENIZER_FILES:
        if (start / name).exists():
            shutil.copyfile(start / name, aside / name)
    write_card(aside)
    # the config last: a directory without one is no checkpoint
    for file in sorted(aside.iterdir(), key=lambda file: file.name == "config.json"):
        # weights are written for their owner alone
        shutil.copymode(aside / "config.json", file)
        file.replace(out / file.name)
    aside.rmdir()
