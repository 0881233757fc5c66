"""A checkpoint on its device, ready to be run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import HrmTextConfig, HrmTextForCausalLM
from transformers.utils import logging

from schemas.errors import CheckpointError, ConfigurationError, DeviceError
from workers.engine.identity import identify, parse_cycles, read_config, resolve, weights
from workers.engine.protocol import Checkpoint, Cycles
from workers.engine.tokenizer import PlainTokenizer

DTYPES = {"bfloat16": torch.bfloat16, "float32": torch.float32}


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A model, its tokenizer and who they are."""

    checkpoint: Checkpoint
    model: HrmTextForCausalLM
    tokenizer: PlainTokenizer


def load(path: str | Path, device: str = "auto", dtype: str = "auto", cycles: str | None = None) -> Loaded:
    """Load a checkpoint; `auto` is bfloat16 on a GPU if there is one, else float32 on the CPU.

    `cycles`, as 2x3, is how often its stacks are run instead of how its config says.

    Raises:
        CheckpointError: it is not a whole HRM-Text checkpoint in safetensors.
        ConfigurationError: device or dtype does not exist here, or `cycles` is no depth.
        DeviceError: the device's memory is full.
    """
    place = choose_device(device)
    number = choose_dtype(dtype, place)
    depth = parse_cycles(cycles) if cycles else None
    directory = resolve(path)
    read_config(directory)
    weights(directory)
    tokenizer = PlainTokenizer(directory / "tokenizer.json")
    model = _load_model(directory, place, number, depth)
    if model.config.vocab_size < tokenizer.size:
        raise CheckpointError(
            f"{directory} has {model.config.vocab_size} embeddings for a vocabulary of {tokenizer.size} tokens."
        )
    return Loaded(checkpoint=identify(path, cycles), model=model, tokenizer=tokenizer)


def choose_device(name: str) -> torch.device:
    """`auto`, `cpu`, `cuda` or `cuda:1` as a device."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as exc:
        raise ConfigurationError(
            f"{name!r} is not a device.", hint="Set GLEANER_DEVICE to auto, cpu, cuda or cuda:1."
        ) from exc
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigurationError(
            f"Device {name} is not there: torch sees {torch.cuda.device_count()} GPUs.",
            hint="Set GLEANER_DEVICE=cpu, or install a torch build for the GPU.",
        )
    return device


def choose_dtype(name: str, device: torch.device) -> torch.dtype:
    """`auto`, `bfloat16` or `float32` as a dtype."""
    if name == "auto":
        return torch.float32 if device.type == "cpu" else torch.bfloat16
    if name not in DTYPES:
        raise ConfigurationError(
            f"{name!r} is not a dtype; there are auto, {', '.join(DTYPES)}.", hint="Correct GLEANER_DTYPE."
        )
    return DTYPES[name]


def _load_model(
    directory: Path, device: torch.device, dtype: torch.dtype, depth: Cycles | None
) -> HrmTextForCausalLM:
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        config = HrmTextConfig.from_pretrained(directory, trust_remote_code=False)
        if depth:
            _deepen(config, *depth)
        loaded: Any = HrmTextForCausalLM.from_pretrained(
            directory,
            config=config,
            dtype=dtype,
            attn_implementation="sdpa",
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except Exception as exc:
        raise CheckpointError(f"{directory} cannot be loaded: {exc}") from exc
    if not config.prefix_lm:
        raise CheckpointError(
            f"{directory} has prefix_lm=false: its attention is causal, and Gleaner's prompts are read both ways."
        )
    model, report = loaded
    # transformers fills these with random numbers and goes on
    missing = sorted([*report["missing_keys"], *report["mismatched_keys"]])
    if missing:
        raise CheckpointError(
            f"{directory} lacks {len(missing)} of its weights: {', '.join(map(str, missing[:3]))}."
        )
    try:
        ready: HrmTextForCausalLM = model.eval().to(device)
    except torch.OutOfMemoryError as exc:
        raise DeviceError(
            f"{directory} does not fit the memory of {device}.", hint="Free it, or set GLEANER_DEVICE=cpu."
        ) from exc
    return ready


def _deepen(config: HrmTextConfig, high: int, low: int) -> None:
    config.H_cycles, config.L_cycles = high, low
    # what transformers calls layers here are slots of the cache
    config.num_hidden_layers = (config.num_layers_per_stack or 0) * high * (low + 1)
