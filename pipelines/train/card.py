"""The model card: what a checkpoint was trained on, how, and how good it came out."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import torch
import transformers

from pipelines.train.labels import Labels
from pipelines.train.prepare import synthetic_version
from pipelines.train.recipe import Recipe
from pipelines.train.state import Counts
from workers.engine.identity import digest

# what is said elsewhere on the card
_SAID = frozenset({"base", "architecture", "data", "from_db", "synthetic", "synthetic_recipe"})


def write_card(
    directory: Path,
    name: str,
    recipe: Recipe,
    labels: Sequence[Labels],
    counts: Counts,
    *,
    num_parameters: int,
    device: str,
) -> None:
    """Write README.md beside the weights of a checkpoint that will have a name."""
    sections = (
        _front(recipe.base),
        _opening(directory, name, recipe, labels, num_parameters),
        _data(recipe, labels, counts),
        _figures(counts, device),
        _recipe(recipe),
    )
    text = "\n\n".join("\n".join(section) for section in sections)
    (directory / "README.md").write_text(text + "\n", encoding="utf-8")


def write_derived_card(directory: Path, name: str, body: Iterable[str]) -> None:
    """Write README.md beside weights that were made of others without training; `body` says of which."""
    lines = (*_front(), "", f"# {name}", "", *body, "", _digest(directory))
    (directory / "README.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _digest(directory: Path) -> str:
    return f"Digest of config, tokenizer and weights (SHA-256): `{digest(directory)}`."


def _front(base: str | None = None) -> Iterator[str]:
    # a base that is no directory is one of the hub
    yield "---"
    yield "library_name: transformers"
    yield "pipeline_tag: text-generation"
    if base and not Path(base).exists():
        yield f"base_model: {base}"
    yield "tags: [hrm_text, information-extraction]"
    yield "---"


def _opening(
    directory: Path, name: str, recipe: Recipe, labels: Sequence[Labels], num_parameters: int
) -> Iterator[str]:
    if recipe.base:
        origin = f"fine-tuned from `{Path(recipe.base).name if Path(recipe.base).exists() else recipe.base}`"
    else:
        shape = recipe.architecture.model_dump(exclude_none=True) if recipe.architecture else {}
        origin = f"trained from scratch ({', '.join(f'{field} {value}' for field, value in shape.items())})"
    yield f"# {name}"
    yield ""
    yield f"HRM-Text with {num_parameters:,} parameters for extraction with Gleaner, {origin}."
    yield _digest(directory)
    yield ""
    yield "```"
    schema = labels[0].schema.name if labels else "receipt"
    yield f"gleaner run {schema} scans/*.pdf --model {name}"
    yield "```"
    yield ""
    yield "It is a PrefixLM: with transformers alone, pass `token_type_ids` of 1 for every token of the prompt."


def _data(recipe: Recipe, labels: Sequence[Labels], counts: Counts) -> Iterator[str]:
    yield "## Data"
    yield ""
    if recipe.synthetic:
        yield (
            f"- Synthetic documents of Gleaner's generator, version {synthetic_version()}, recipe "
            f"`{recipe.synthetic_recipe}`: {recipe.synthetic:.0%} of the samples."
        )
    for each in labels:
        yield f"- {each}; digest `{each.digest[:16]}`."
        for reason, count in each.reasons().most_common(5):
            yield f"  - left out for `{reason}`: {count}"
    yield (
        f"- {counts.num_samples:,} samples of {counts.num_tokens:,} tokens, of which {counts.num_answer_tokens:,} "
        f"of answers. They were taken from pools of samples in which {counts.num_dropped:,} others were too long."
    )


def _figures(counts: Counts, device: str) -> Iterator[str]:
    yield "## Figures"
    yield ""
    if best := counts.best:
        yield f"On held-out samples, with the averaged weights of step {best.step:,}, which these are:"
        yield ""
        yield "| loss per answer token | answer tokens right, teacher-forced | answers exactly right |"
        yield "|---|---|---|"
        exact = "not measured" if best.exact is None else f"{best.exact:.1%} of {best.num_extracted}"
        yield f"| {best.loss:.4f} | {best.accuracy:.2%} | {exact} |"
        yield ""
    yield (
        f"{counts.step:,} steps in {counts.seconds / 60:,.1f} minutes of training on {device} "
        f"with torch {torch.__version__} and transformers {transformers.__version__}."
    )


def _recipe(recipe: Recipe) -> Iterator[str]:
    yield "## Recipe"
    yield ""
    yield "Full parameters, cosine schedule, moving average of the weights; loss on the answer alone."
    yield ""
    yield "| | |"
    yield "|---|---|"
    for name, value in recipe.model_dump().items():
        if name not in _SAID and value is not None:
            yield f"| {name} | {value} |"
