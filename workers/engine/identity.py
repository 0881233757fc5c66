"""Which checkpoint a path or hub name means, without loading it or importing torch."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from schemas.errors import CheckpointError, ConfigurationError
from workers.engine.protocol import Checkpoint, Cycles

MODEL_TYPE = "hrm_text"
# in the config of a checkpoint with random weights
PLACEHOLDER_FIELD = "gleaner_placeholder"

MOST_CYCLES = 9
_CYCLES = re.compile(f"([1-{MOST_CYCLES}])x([1-{MOST_CYCLES}])")

_DESCRIPTIONS = ("config.json", "tokenizer.json")
_UNSAFE_WEIGHTS = ("*.bin", "*.pt", "*.pth", "*.ckpt")


def identify(path: str | Path, cycles: str | None = None) -> Checkpoint:
    """Name and digest of a checkpoint; run at another depth than its own it is another one.

    Raises:
        CheckpointError: it is not an HRM-Text checkpoint with safetensors weights.
    """
    directory = resolve(path)
    config = read_config(directory)
    name = directory.resolve().name if Path(path).is_dir() else str(path)
    number = digest(directory)
    if cycles and parse_cycles(cycles) != (config.get("H_cycles", 2), config.get("L_cycles", 3)):
        name, number = f"{name}@{cycles}", hashlib.sha256(f"{number} {cycles}".encode()).hexdigest()
    return Checkpoint(name=name, digest=number, is_placeholder=bool(config.get(PLACEHOLDER_FIELD, False)))


def parse_cycles(text: str) -> Cycles:
    """`2x3` as twice (three passes of the L stack, one of the H stack).

    Raises:
        ConfigurationError: it is not of that kind.
    """
    found = _CYCLES.fullmatch(text)
    if not found:
        raise ConfigurationError(
            f"{text!r} is no depth; it is H_cycles x L_cycles, each 1 to {MOST_CYCLES}.",
            hint="Write it as 2x3.",
        )
    return int(found[1]), int(found[2])


def digest(path: str | Path) -> str:
    """SHA-256 over the names and contents of config, tokenizer and weights."""
    directory = resolve(path)
    total = hashlib.sha256()
    for file in (*(directory / name for name in _DESCRIPTIONS), *weights(directory)):
        try:
            with file.open("rb") as opened:
                content = hashlib.file_digest(opened, "sha256").hexdigest()
        except OSError as exc:
            raise CheckpointError(f"{file} cannot be read: {exc.strerror}.") from exc
        total.update(f"{file.name} {content}\n".encode())
    return total.hexdigest()


def resolve(path: str | Path) -> Path:
    """The directory of a checkpoint; `owner/name` that is no directory is fetched from the hub, or its cache.

    Raises:
        CheckpointError: there is no such directory and the hub has none.
    """
    directory = Path(path)
    if directory.is_dir():
        return directory
    name = str(path)
    if directory.is_absolute() or name.startswith(".") or name.count("/") != 1:
        raise CheckpointError(
            f"There is no checkpoint directory {name}.",
            hint="Set GLEANER_MODEL to a directory or a hub name as sapientinc/HRM-Text-1B.",
        )
    return _fetch(name)


def read_config(directory: Path) -> dict[str, Any]:
    """The checkpoint's config.json.

    Raises:
        CheckpointError: it is missing, broken or that of another kind of model.
    """
    file = directory / "config.json"
    try:
        config: dict[str, Any] = json.loads(file.read_bytes())
    except (OSError, ValueError) as exc:
        raise CheckpointError(f"{file} cannot be read: {exc}.") from exc
    if config.get("model_type") != MODEL_TYPE:
        raise CheckpointError(
            f"{directory} holds a model of type {config.get('model_type')!r}; only {MODEL_TYPE!r} is supported.",
            hint="Set GLEANER_MODEL to an HRM-Text checkpoint.",
        )
    return config


def weights(directory: Path) -> list[Path]:
    """The safetensors files of a checkpoint.

    Raises:
        CheckpointError: there are none.
    """
    found = sorted(directory.glob("*.safetensors"))
    if found:
        return found
    unsafe = sorted(file.name for pattern in _UNSAFE_WEIGHTS for file in directory.glob(pattern))
    if unsafe:
        raise CheckpointError(
            f"{directory} has weights only as {', '.join(unsafe)}, which may run code when loaded.",
            hint="Convert them to safetensors.",
        )
    raise CheckpointError(f"{directory} has no *.safetensors weights.")


def _fetch(name: str) -> Path:
    # slow to import, and not needed for a directory
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(
            snapshot_download(
                name,
                allow_patterns=["config.json", "generation_config.json", "tokenizer*.json", "*.safetensors*"],
            )
        )
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as exc:
        raise CheckpointError(
            f"There is no directory {name}, and the hub gave no model of that name: {exc}.",
            hint="Set GLEANER_MODEL to a directory with the checkpoint.",
        ) from exc
