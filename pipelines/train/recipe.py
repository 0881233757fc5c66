"""What determines a training run: the same recipe and data give the same weights."""

import tomllib
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from schemas.errors import ConfigurationError

# what a model without any knowledge needs otherwise than a trained one
FROM_SCRATCH = {"lr": 1e-3, "warmup": 0.02}
# of labels, if neither steps nor epochs are given
_EPOCHS = 3


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Architecture(_Strict):
    """The shape of a model made from scratch; the names are those of HRM-Text's config where it has them."""

    hidden_size: int = Field(ge=16)
    # None: 8/3 of the hidden size, as SwiGLU has it, in steps of 64
    intermediate_size: int | None = Field(default=None, ge=16)
    layers_per_stack: int = Field(default=2, ge=1)
    num_heads: int = Field(default=4, ge=1)
    # the tokenizer may come out smaller if the data is small
    vocab_size: int = Field(default=6144, ge=270)
    max_positions: int = Field(default=4096, ge=128)
    H_cycles: int = Field(default=2, ge=1)
    L_cycles: int = Field(default=3, ge=1)
    L_bp_cycles: tuple[int, ...] = (0, 3)
    seed: int = 0

    @model_validator(mode="after")
    def _heads_share_the_hidden_size(self) -> Self:
        if self.hidden_size % self.num_heads or self.hidden_size // self.num_heads % 2:
            raise ValueError(f"hidden_size {self.hidden_size} is no even multiple of {self.num_heads} heads")
        return self


class Recipe(_Strict):
    """Base, data and hyperparameters of a run; the defaults are for fine-tuning."""

    # exactly one of the two
    base: str | None = None
    architecture: Architecture | None = None

    # (schema, file) of labelled JSON Lines
    data: tuple[tuple[str, str], ...] = ()
    # schemas whose stored records are learned from
    from_db: tuple[str, ...] = ()
    # the share of samples that are synthetic
    synthetic: float = Field(default=0.0, ge=0, le=1)
    # which mixture of them
    synthetic_recipe: str = "default"

    # most samples are several documents behind one block of examples, which sees none of them
    examples_block: bool = False

    # exactly one of the two; an epoch asks once for each of the labelled documents, siblings not counted
    steps: int | None = Field(default=None, ge=1)
    epochs: float | None = Field(default=None, gt=0)

    # positions of a batch, padding included, and batches of a step
    tokens_per_batch: int = Field(default=8192, ge=64)
    accumulate: int = Field(default=1, ge=1)
    # the longest prompt and answer; None: the positions of the model
    max_tokens: int | None = Field(default=None, ge=64)

    lr: float = Field(default=3e-5, gt=0)
    # the cosine ends at this share of lr
    lr_floor: float = Field(default=0.1, ge=0, le=1)
    # the share of the run in which lr rises from nothing
    warmup: float = Field(default=0.0, ge=0, lt=1)
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = Field(default=0.1, ge=0)
    # muon: for the matrices within the stacks; the rest, and all of adamw, by AdamW
    optimizer: Literal["adamw", "muon"] = "adamw"
    # the longest gradient
    clip: float = Field(default=1.0, gt=0)
    # reached slowly, so that a short run's average is not its first weights
    ema: float = Field(default=0.999, ge=0, lt=1)

    seed: int = 0
    dtype: Literal["auto", "bfloat16", "float32"] = "auto"
    # compute activations anew in the backward pass: less memory, more time
    recompute: bool = False

    # held-out samples, of labelled and synthetic data each
    held_out: int = Field(default=128, ge=1)
    # of them, how many are also extracted with the engine
    extract: int = Field(default=0, ge=0)
    evaluate_every: int = Field(default=250, ge=1)
    save_every: int = Field(default=250, ge=1)

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if (self.base is None) == (self.architecture is None):
            raise ValueError("give --base or --from-scratch, one of them")
        if not (self.data or self.from_db or self.synthetic):
            raise ValueError("give --data, --from-db or --synthetic")
        if self.synthetic < 1 and not (self.data or self.from_db):
            raise ValueError("with --synthetic below 1 give --data or --from-db for the rest")
        if self.synthetic_recipe != "default" and not self.synthetic:
            raise ValueError("with --synthetic-recipe give --synthetic, the share of synthetic samples")
        if self.steps is None and self.epochs is None:
            raise ValueError("synthetic data has no end: give --steps")
        if self.steps and self.epochs:
            raise ValueError("give --steps or --epochs, one of them")
        if self.epochs and self.synthetic == 1:
            raise ValueError("synthetic data has no end: give --steps instead of --epochs")
        return self


def make_recipe(**given: Any) -> Recipe:
    """A recipe of what was given.

    Raises:
        ConfigurationError: something cannot be, or contradicts something else.
    """
    defaults: dict[str, Any] = FROM_SCRATCH if given.get("architecture") else {}
    has_labels = (given.get("data") or given.get("from_db")) and given.get("synthetic", 0) != 1
    if has_labels and given.get("steps") is None and given.get("epochs") is None:
        given["epochs"] = _EPOCHS
    try:
        return Recipe(**{**defaults, **given})
    except ValidationError as exc:
        raise ConfigurationError(
            f"This training cannot be: {_first(exc)}.", hint="See `gleaner train --help`."
        ) from exc


def read_architecture(path: Path) -> Architecture:
    """The architecture of a TOML file.

    Raises:
        ConfigurationError: it cannot be read or holds something else.
    """
    try:
        return Architecture(**tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as exc:
        reason: object = exc.strerror if isinstance(exc, OSError) else exc
        if isinstance(exc, ValidationError):
            reason = _first(exc)
        raise ConfigurationError(
            f"{path} cannot be used as an architecture: {reason}.",
            hint="See pipelines/train/configs/small.toml.",
        ) from exc


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    place = ".".join(map(str, first["loc"]))
    message = first["msg"].removeprefix("Value error, ")
    return f"{place}: {message}" if place else message
