"""What a checkpoint gets right: `gleaner eval` over synthetic, catalog and, where given, real documents, as one table.

python benchmarks/quality.py [--model DIR] [--synthetic N] [--sroie DIR] [--nda DIR] [--limit N]
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from schemas.registry import Registry

GLEANER = Path(sys.executable).parent / "gleaner"


def evaluations(options: argparse.Namespace, scratch: Path) -> Iterator[tuple[str, list[str]]]:
    """What is measured, and the arguments of `gleaner eval` for it."""
    names = Registry.load().names()
    for kind in ("random", *names) if options.synthetic else ():
        yield f"synthetic, {kind}", [kind, "--synthetic", str(options.synthetic)]
    for name in names:
        for shots in ("first", "nearest"):
            yield f"catalog samples, {name}, {shots} examples", [name, "--shots", shots]
    limit = ["--limit", str(options.limit)] if options.limit else []
    if options.sroie:
        dev, train = (str(options.sroie / f"{split}.jsonl") for split in ("dev", "train"))
        for shots in ("first", "nearest"):
            asked = ["--shots", shots, *limit]
            yield f"SROIE dev, {shots} of the schema's examples", ["receipt", dev, *asked]
            yield f"SROIE dev, {shots} of the train file", ["receipt", dev, "--examples", train, *asked]
    if options.nda:
        dev = str(_renamed(options.nda / "dev.jsonl", scratch))
        for shots in ("first", "nearest"):
            yield f"Kleister-NDA dev, {shots} examples", ["nda", dev, "--shots", shots, *limit]


def _renamed(file: Path, scratch: Path) -> Path:
    """Kleister's labels say `party` where the schema says `parties`."""
    renamed = scratch / f"nda_{file.name}"
    renamed.write_text(file.read_text(encoding="utf-8").replace('"party":', '"parties":'), encoding="utf-8")
    return renamed


def measure(arguments: list[str]) -> dict[str, Any]:
    ran = subprocess.run([GLEANER, "eval", *arguments, "--json"], check=True, capture_output=True, text=True)
    made: dict[str, Any] = json.loads(ran.stdout)
    return made


def line(what: str, made: dict[str, Any]) -> str:
    overall, calibration = made["overall"], made.get("calibration", {})
    figures = (
        overall["precision"],
        overall["recall"],
        overall["f1"],
        made.get("loose", {}).get("f1"),
        overall["null_rate"],
        made["exact_records"],
        calibration.get("if_right"),
        calibration.get("if_wrong"),
    )
    cells = ("-" if figure is None else f"{figure:.3f}" for figure in figures)
    return f"| {what} | {made['num_documents']} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="checkpoint; default: the embedded one")
    parser.add_argument("--synthetic", type=int, default=100, help="documents of each kind; 0 for none")
    parser.add_argument("--sroie", type=Path, help="directory with dev.jsonl and train.jsonl")
    parser.add_argument("--nda", type=Path, help="directory with dev.jsonl")
    parser.add_argument("--limit", type=int, help="only the first documents of SROIE and Kleister-NDA")
    options = parser.parse_args()
    model = ["--model", options.model] if options.model else []
    columns = ("documents", "P", "R", "F1", "F1 loose", "nulls", "exact", "conf. if right", "if wrong")
    print(f"| {' | '.join(('what', *columns))} |\n|{'---|' * (len(columns) + 1)}")
    with tempfile.TemporaryDirectory() as scratch:
        for what, arguments in evaluations(options, Path(scratch)):
            print(line(what, measure([*arguments, *model])), flush=True)


if __name__ == "__main__":
    main()
