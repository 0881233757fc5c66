"""`gleaner train`: a checkpoint from labels and synthetic documents."""

import os
import tempfile
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from pipelines.cli.console import err, out
from pipelines.train.recipe import Recipe, make_recipe, read_architecture
from schemas.errors import ConfigurationError
from workers.prompt import Envelope

if TYPE_CHECKING:
    from pipelines.train.labels import Labels

INTERRUPTED = 130
SMALL = Path(__file__).parent.parent / "train" / "configs" / "small.toml"
# synthetic samples that the tokenizer of a preview is trained on
_PREVIEW_SAMPLES = 100


def train(
    out_dir: Annotated[
        Path | None, typer.Option("--out", help="Directory of the new checkpoint; not for --preview.")
    ] = None,
    base: Annotated[
        str | None, typer.Option(help="Checkpoint to fine-tune: a directory or hub name.")
    ] = None,
    from_scratch: Annotated[
        Path | None, typer.Option(help="Architecture (TOML) of a new model with a tokenizer of its own.")
    ] = None,
    data: Annotated[
        list[str] | None, typer.Option(help='SCHEMA=FILE with lines of {"text", "gold"}; repeatable.')
    ] = None,
    from_db: Annotated[
        list[str] | None,
        typer.Option(help="Schema whose records are labels, of documents that are done; repeatable."),
    ] = None,
    synthetic: Annotated[
        float | None, typer.Option(help="Share of samples that are synthetic, 0 to 1.")
    ] = None,
    synthetic_recipe: Annotated[
        str | None,
        typer.Option(
            help="Kinds of synthetic documents: default, beginner, finish, random, names, catalog, tiny, or a schema."
        ),
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Steps of the optimizer.")] = None,
    epochs: Annotated[
        float | None, typer.Option(help="Passes over the labels, instead of --steps; default 3.")
    ] = None,
    tokens_per_batch: Annotated[int | None, typer.Option(help="With padding; default 8192.")] = None,
    accumulate: Annotated[int | None, typer.Option(help="Batches per step; default 1.")] = None,
    max_tokens: Annotated[
        int | None, typer.Option(help="Longest prompt and answer; default: the model's positions.")
    ] = None,
    examples_block: Annotated[
        bool | None,
        typer.Option(
            "--examples-block", help="Ask for several documents behind one block of examples that sees none."
        ),
    ] = None,
    lr: Annotated[
        float | None, typer.Option(help="Highest learning rate; default 3e-5, from scratch 1e-3.")
    ] = None,
    warmup: Annotated[
        float | None, typer.Option(help="Share of the run with a rising rate; default 0, from scratch 0.02.")
    ] = None,
    optimizer: Annotated[
        str | None, typer.Option(help="adamw, or muon for the matrices within the stacks; default adamw.")
    ] = None,
    ema: Annotated[float | None, typer.Option(help="Decay of the weights' average; default 0.999.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of the data's order and drawing.")] = None,
    dtype: Annotated[
        str | None, typer.Option(help="Arithmetic: bfloat16 or float32; auto is bfloat16 on a GPU.")
    ] = None,
    recompute: Annotated[
        bool | None, typer.Option("--recompute", help="Save memory: compute activations twice.")
    ] = None,
    held_out: Annotated[int | None, typer.Option(help="Held-out samples of each kind; default 128.")] = None,
    extract: Annotated[
        int | None, typer.Option(help="Of the held-out samples, how many are also extracted; default 0.")
    ] = None,
    evaluate_every: Annotated[int | None, typer.Option(help="Steps; default 250.")] = None,
    save_every: Annotated[int | None, typer.Option(help="Steps; default 250.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1.")] = "auto",
    workers: Annotated[
        int | None,
        typer.Option(help="Processes that make samples; default: a core is left for training.", min=0),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in --out, with the recipe it has.")
    ] = False,
    preview: Annotated[int, typer.Option(help="Print so many samples and do not train.", min=0)] = 0,
) -> None:
    """Train a checkpoint: fine-tune one for your schemas, or make a small one from scratch.

    Example: gleaner train --base sapientinc/HRM-Text-1B --data receipt=labels.jsonl --out receipts-1b

    Ctrl-C and SIGTERM stop after the step in hand; `--resume` goes on as if nothing had been.
    """
    given = {
        "base": base,
        "architecture": read_architecture(from_scratch) if from_scratch else None,
        "data": tuple(map(_pair, data)) if data else None,
        "from_db": tuple(from_db) if from_db else None,
        "synthetic": synthetic,
        "synthetic_recipe": synthetic_recipe,
        "steps": steps,
        "epochs": epochs,
        "tokens_per_batch": tokens_per_batch,
        "accumulate": accumulate,
        "max_tokens": max_tokens,
        "examples_block": examples_block,
        "lr": lr,
        "warmup": warmup,
        "optimizer": optimizer,
        "ema": ema,
        "seed": seed,
        "dtype": dtype,
        "recompute": recompute,
        "held_out": held_out,
        "extract": extract,
        "evaluate_every": evaluate_every,
        "save_every": save_every,
    }
    given = {name: value for name, value in given.items() if value is not None}
    if preview:
        _preview(given, preview)
        return
    if out_dir is None:
        raise ConfigurationError("There is no --out.", hint="Name the directory of the new checkpoint.")
    recipe = _resumed(out_dir, given) if resume else make_recipe(**given)
    # imported here, so that --help and --preview start without torch
    from pipelines.train.prepare import STATES, require_sources
    from pipelines.train.ranks import rank_here, size_here
    from pipelines.train.run import Run

    require_sources(recipe)
    is_first = rank_here() == 0
    console = err if is_first else Console(quiet=True)
    run = Run(
        recipe=recipe,
        labels=list(_labels(recipe, out_dir / STATES if resume else None)),
        envelope=_envelope(recipe),
        out=out_dir,
        console=console,
        device=device,
        num_workers=max(1, (os.cpu_count() or 1) // size_here() - 1) if workers is None else workers,
    )
    if not run.train(resume=resume):
        console.print("stopped; the same command with --resume goes on here")
        raise typer.Exit(INTERRUPTED)
    if is_first:
        out.print(f"{out_dir} is ready: try `gleaner run SCHEMA PATH --model {out_dir}`", soft_wrap=True)


def _pair(text: str) -> tuple[str, str]:
    schema, _, file = text.partition("=")
    if not schema or not file:
        raise ConfigurationError(
            f"--data {text} is not SCHEMA=FILE.", hint="As in --data receipt=labels.jsonl."
        )
    return schema, file


def _resumed(out_dir: Path, given: dict[str, Any]) -> Recipe:
    """The recipe a run was begun with; what is given again must not differ."""
    from pipelines.train.prepare import STATES, read_recipe

    begun = make_recipe(**read_recipe(out_dir / STATES)["recipe"])
    for name, value in given.items():
        was = getattr(begun, name)
        if was != value:
            raise ConfigurationError(
                f"The run in {out_dir} was begun "
                + (f"without {name}." if was is None else f"with {name} {was}, not {value}."),
                hint="With --resume leave out what the recipe says.",
            )
    return begun


def _envelope(recipe: Recipe) -> Envelope:
    if recipe.architecture and not (recipe.data or recipe.from_db):
        return Envelope()
    # imported here: a model from scratch on synthetic documents needs no settings
    from workers.settings import get_settings

    return Envelope(conditions=get_settings().condition_tokens)


def _labels(recipe: Recipe, begun: Path | None = None) -> Iterator["Labels"]:
    """Those of each schema; a run that was begun in a directory has what the database held then."""
    if not (recipe.data or recipe.from_db):
        return
    from pipelines.train.labels import make_labels, read_file, read_stored
    from schemas.registry import Registry
    from workers.settings import get_settings

    registry = Registry.load(get_settings().schemas)
    for name in dict.fromkeys((*(name for name, _ in recipe.data), *recipe.from_db)):
        files = [Path(file) for each, file in recipe.data if each == name]
        stored: Iterable[tuple[str, Any]] = ()
        if name in recipe.from_db:
            stored = read_stored(begun, name) if begun else _read_store(name)
        with err.status(f"grounding labels of {name}"):
            yield make_labels(registry.get(name), chain.from_iterable(map(read_file, files)), stored)


def _read_store(name: str) -> Iterable[tuple[str, Any]]:
    # imported here: they need SQLAlchemy
    from pipelines.train.stored import read_store
    from workers.runtime import get_runtime

    return read_store(get_runtime().store, name)


def _preview(given: dict[str, Any], count: int) -> None:
    """Print samples; what is not given is a small model from scratch on synthetic documents."""
    from pipelines.train.model import copy_tokenizer, make_tokenizer
    from pipelines.train.prepare import make_data, require_sources, tokenizer_texts
    from pipelines.train.preview import preview

    if "base" not in given:
        given.setdefault("architecture", read_architecture(SMALL))
    if not given.keys() & {"data", "from_db"}:
        given.setdefault("synthetic", 1.0)
    if not given.keys() & {"steps", "epochs"}:
        given["steps"] = 1
    recipe = make_recipe(**given)
    require_sources(recipe)
    labels = list(_labels(recipe))
    with tempfile.TemporaryDirectory() as name:
        if recipe.architecture:
            make_tokenizer(tokenizer_texts(recipe, labels, _PREVIEW_SAMPLES), recipe.architecture, Path(name))
        else:
            copy_tokenizer(str(recipe.base), Path(name))
        data = make_data(recipe, labels, Path(name) / "tokenizer.json", _envelope(recipe))
        for text in preview(data, count):
            out.print(text, markup=False, soft_wrap=True)
