"""`python -m pipelines.train.deepen`: a checkpoint with more layers in its stacks, to be trained further.

It computes what the checkpoint did: a new layer stands behind the old ones and adds nothing to what passes through it
until training makes it ("Net2Net", Chen et al., 2016).
"""

from functools import partial
from pathlib import Path
from typing import Annotated

import torch
import typer
from transformers import HrmTextConfig, HrmTextForCausalLM

from pipelines.cli.console import out, run_alone
from pipelines.train.card import write_derived_card
from pipelines.train.finish import require_free, save_checkpoint
from schemas.errors import ConfigurationError
from workers.engine import checkpoint
from workers.engine.identity import digest, resolve

app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
# the last matrices of the two halves of a layer
_OUTPUTS = ("o_proj.weight", "down_proj.weight")


def deepen(base: str, layers_per_stack: int, directory: Path) -> None:
    """Write a checkpoint of so many layers a stack that computes what `base` does, with a card, into a directory.

    Raises:
        ConfigurationError: it has as many layers already, or the directory holds a checkpoint.
        CheckpointError: it cannot be loaded.
    """
    require_free(directory)
    model = checkpoint.load(base, "cpu", "float32").model
    before = model.config.num_layers_per_stack or 0
    if layers_per_stack <= before:
        raise ConfigurationError(
            f"{base} has {before} layers a stack, and --layers-per-stack {layers_per_stack} is not more.",
            hint=f"Ask for {before + 1} or more.",
        )
    deeper = _deeper(model.config, layers_per_stack)
    weights = dict(model.state_dict())
    for name, weight in deeper.state_dict().items():
        if name not in weights:
            weights[name] = torch.zeros_like(weight) if name.endswith(_OUTPUTS) else weight
    body = (
        f"HRM-Text for extraction with Gleaner: `{Path(base).name}` with {layers_per_stack} layers a stack instead of",
        f"{before}. The new ones do nothing yet. Digest of what it was made from: `{digest(base)}`.",
    )
    card = partial(write_derived_card, name=directory.resolve().name, body=body)
    save_checkpoint(deeper, weights, resolve(base), directory, card)


def _deeper(config: HrmTextConfig, layers_per_stack: int) -> HrmTextForCausalLM:
    """A model with random weights of the same shape otherwise."""
    fields = config.to_dict() | {"num_hidden_layers": layers_per_stack}
    # worked out by the config: layers of a stack, and layer passes of a token
    del fields["num_layers_per_stack"]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return HrmTextForCausalLM(HrmTextConfig(**fields))


@app.command()
def command(
    base: Annotated[str, typer.Argument(help="Checkpoint: a directory or hub name.")],
    layers_per_stack: Annotated[int, typer.Option(help="Layers of each of the two stacks.", min=1)],
    directory: Annotated[Path, typer.Option("--out", help="Directory of the new checkpoint.")],
) -> None:
    """Make a checkpoint deeper without changing what it computes.

    Example: python -m pipelines.train.deepen hrm-text-small --layers-per-stack 3 --out deeper
    """
    deepen(base, layers_per_stack, directory)
    out.print(
        f"{directory} has {layers_per_stack} layers a stack: train it with `gleaner train --base {directory}`"
    )


if __name__ == "__main__":
    run_alone(app)
