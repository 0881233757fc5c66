"""`python -m pipelines.train.average`: a checkpoint between others, as of runs that went on from each other.

The weights in between are often better than those of any run alone, and keep what a later run forgot ("Model soups",
Wortsman et al., 2022). Which weight each gets is to be chosen by `gleaner eval` on documents that are not for testing.
"""

import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from transformers import HrmTextForCausalLM

from pipelines.cli.console import out, run_alone
from pipelines.train.card import write_derived_card
from pipelines.train.finish import require_free, save_checkpoint
from schemas.errors import ConfigurationError
from workers.engine import checkpoint
from workers.engine.identity import digest, resolve

app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)


def average(parts: Mapping[str, float], directory: Path) -> None:
    """Write the weighted mean of checkpoints, with the first one's tokenizer and a card, into a directory.

    The weights are positive and count by their share of the sum.

    Raises:
        ConfigurationError: they are not of one architecture and tokenizer, or the directory holds a checkpoint.
        CheckpointError: one of them cannot be loaded.
    """
    require_free(directory)
    total = sum(parts.values())
    first, *others = parts
    model = _load(first)
    mean = {name: weight * (parts[first] / total) for name, weight in model.state_dict().items()}
    for other in others:
        _require_alike(first, other)
        for name, weight in _load(other).state_dict().items():
            mean[name] += weight * (parts[other] / total)
    shares = {part: weight / total for part, weight in parts.items()}
    card = partial(write_derived_card, name=directory.resolve().name, body=_table(shares))
    save_checkpoint(model, mean, resolve(first), directory, card)


def _load(path: str) -> HrmTextForCausalLM:
    return checkpoint.load(path, "cpu", "float32").model


def _require_alike(one: str, other: str) -> None:
    for name in ("config.json", "tokenizer.json"):
        first, second = (json.loads((resolve(part) / name).read_bytes()) for part in (one, other))
        if {**first, "transformers_version": ""} != {**second, "transformers_version": ""}:
            raise ConfigurationError(
                f"{one} and {other} differ in {name}, so there is nothing between their weights.",
                hint="Average checkpoints that were trained from the same one.",
            )


def _table(shares: Mapping[str, float]) -> Iterator[str]:
    yield "HRM-Text for extraction with Gleaner, the weighted mean of these checkpoints:"
    yield ""
    yield from ("| checkpoint | share | digest |", "|---|---|---|")
    for part, share in shares.items():
        yield f"| {Path(part).name} | {share:.2f} | `{digest(part)}` |"


@app.command()
def command(
    checkpoints: Annotated[
        list[str], typer.Argument(help="CHECKPOINT=WEIGHT, two or more; without a weight it is 1.")
    ],
    directory: Annotated[Path, typer.Option("--out", help="Directory of the new checkpoint.")],
) -> None:
    """Average checkpoints that were trained from the same one.

    Example: python -m pipelines.train.average base=0.5 tuned=0.5 --out between
    """
    average(dict(map(_part, checkpoints)), directory)
    out.print(f"{directory} holds the mean of {len(checkpoints)} checkpoints")


def _part(text: str) -> tuple[str, float]:
    path, _, number = text.partition("=")
    try:
        weight = float(number or 1)
    except ValueError:
        weight = 0.0
    if not 0 < weight < float("inf"):
        raise ConfigurationError(
            f"{number!r} is no weight of {path}; it is a number above 0.", hint="Write it as DIR=0.5."
        )
    return path, weight


if __name__ == "__main__":
    run_alone(app)
