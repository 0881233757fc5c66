"""The state of a run on disk: weights, average, optimizer, random numbers and the place in the data.

Each state is a directory that is written aside and renamed, so there is a whole one at any moment.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from pipelines.train.batches import Position
from pipelines.train.trainer import Trainer
from schemas.errors import CheckpointError

_TENSORS = "tensors.safetensors"
_COUNTS = "state.json"
# of AdamW, and of Muon
_MOMENTS = ("exp_avg", "exp_avg_sq", "step", "momentum_buffer")


@dataclass(frozen=True, kw_only=True)
class Best:
    """The evaluation with the least held-out loss."""

    step: int
    loss: float
    accuracy: float
    # of the documents that were also extracted, the share whose answer was exactly right
    exact: float | None = None
    num_extracted: int = 0


@dataclass(kw_only=True)
class Counts:
    """How far a run is."""

    step: int = 0
    position: Position = field(default_factory=Position)
    num_samples: int = 0
    num_tokens: int = 0
    num_answer_tokens: int = 0
    num_dropped: int = 0
    # of training alone, over all its processes
    seconds: float = 0.0
    best: Best | None = None


def save_state(directory: Path, trainer: Trainer, counts: Counts) -> None:
    """Write the state of a step and remove what it makes superfluous."""
    place = _place(directory, "state", counts.step)
    # there is one if the run was stopped before its first step since
    if not place.exists():
        with _aside(place) as aside:
            save_file(_tensors(trainer), aside / _TENSORS)
            (aside / _COUNTS).write_text(json.dumps(asdict(counts), indent=2) + "\n")
    kept = {place, _place(directory, "best", counts.best.step if counts.best else 0)}
    for each in {*_all(directory, "state"), *_all(directory, "best")} - kept:
        shutil.rmtree(each)


def load_state(directory: Path, trainer: Trainer) -> Counts:
    """Put a trainer where the newest state left it; counts of zero if there is none.

    Raises:
        CheckpointError: the state is of another model.
    """
    states = _all(directory, "state")
    if not states:
        return Counts()
    file = states[-1] / _TENSORS
    tensors = load_file(file)
    if missing := sorted(_tensors(trainer).keys() - tensors.keys()):
        raise CheckpointError(f"{file} lacks {missing[0]}.", hint="Train into another --out.")
    _restore(trainer, tensors)
    data = json.loads((states[-1] / _COUNTS).read_text())
    position, best = Position(**data.pop("position")), data.pop("best")
    counts = Counts(**data, position=position, best=Best(**best) if best else None)
    trainer.num_steps = counts.step
    return counts


def save_best(directory: Path, trainer: Trainer) -> None:
    """Keep the averaged weights of this step."""
    with _aside(_place(directory, "best", trainer.num_steps)) as aside:
        save_file({name: tensor.contiguous() for name, tensor in trainer.average.items()}, aside / _TENSORS)


def load_best(directory: Path, best: Best) -> dict[str, torch.Tensor]:
    """The averaged weights of the best step."""
    return load_file(_place(directory, "best", best.step) / _TENSORS)


def states(directory: Path) -> list[Path]:
    """All that only an unfinished run needs."""
    return [*_all(directory, "state"), *_all(directory, "best"), *directory.glob("*.new")]


def remove_states(directory: Path) -> None:
    """Remove all that only an unfinished run needs."""
    for each in states(directory):
        shutil.rmtree(each)


def _place(directory: Path, kind: str, step: int) -> Path:
    return directory / f"{kind}-{step:08}"


def _all(directory: Path, kind: str) -> list[Path]:
    """Whole ones, the oldest first."""
    return sorted(directory.glob(f"{kind}-" + "[0-9]" * 8))


@contextmanager
def _aside(place: Path) -> Iterator[Path]:
    """A new directory that becomes `place` when it is whole."""
    aside = place.with_name(f"{place.name}.new")
    for each in (aside, place):
        shutil.rmtree(each, ignore_errors=True)
    aside.mkdir(parents=True)
    yield aside
    for file in aside.iterdir():
        with file.open("rb") as opened:
            os.fsync(opened.fileno())
    aside.rename(place)


def _tensors(trainer: Trainer) -> dict[str, torch.Tensor]:
    """All tensors of a run by name."""
    tensors = {"random.cpu": torch.get_rng_state()}
    for name, weight in trainer.weights.items():
        tensors[f"weight.{name}"] = weight.detach().contiguous()
        tensors[f"average.{name}"] = trainer.average[name].contiguous()
        moments = trainer.optimizers.moments(weight)
        tensors |= {f"{moment}.{name}": moments[moment] for moment in _MOMENTS if moment in moments}
    return tensors


def _restore(trainer: Trainer, tensors: dict[str, torch.Tensor]) -> None:
    torch.set_rng_state(tensors["random.cpu"])
    with torch.no_grad():
        for name, weight in trainer.weights.items():
            weight.copy_(tensors[f"weight.{name}"])
            trainer.average[name].copy_(tensors[f"average.{name}"])
            moments = trainer.optimizers.moments(weight)
            for moment in _MOMENTS:
                if (tensor := tensors.get(f"{moment}.{name}")) is not None:
                    # AdamW counts steps on the host if it is not fused
                    is_here = moment == "step" and not trainer.optimizers.is_fused
                    moments[moment] = tensor if is_here else tensor.to(weight.device)
