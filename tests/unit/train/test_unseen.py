"""The catalog's samples and examples are not what the embedded checkpoint was trained on, by any recipe."""

import json
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from pipelines.readers import read
from pipelines.sources.files import FileSource
from pipelines.train.synthetic import RECIPES, samples
from schemas.registry import Registry
from schemas.text import clean

NUM_SAMPLES = 600
# any contract may be under the laws of England, for two years, from a day on
COMMON = ("jurisdiction", "term", "date", "issue_date", "due_date", "effective_date")


def texts(value: Any) -> list[str]:
    """The texts of a record, to any depth."""
    if isinstance(value, dict):
        return [text for name, item in value.items() if name not in COMMON for text in texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in texts(item)]
    return [value] if isinstance(value, str) else []


def catalog_texts() -> tuple[set[str], set[str]]:
    """Whole documents, and long values that name one thing: `Spokesong Cycles Ltd`, no mere `Credit card`."""
    registry, documents, values = Registry.load(), set(), set()
    for name in registry.names():
        for example in registry.get(name).examples:
            documents.add(example.text)
            values.update(texts(example.record))
        entry = registry.entry(name)
        for file in FileSource([entry.samples_dir]):
            documents.update(each.text for each in read(file, text_column="text") if each.text)
        labels = entry.file.parent / "labels" / f"{name}.jsonl"
        for line in Path(labels).read_text(encoding="utf-8").splitlines():
            values.update(texts(json.loads(line)["gold"]))
    return documents, {
        clean(value).casefold() for value in values if len(value.split()) > 2 and len(value) > 15
    }


@pytest.mark.parametrize("recipe", ["catalog", "finish", "beginner"])
def test_no_document_or_name_of_the_catalog_is_learned(recipe: str) -> None:
    documents, values = catalog_texts()
    # 27 samples among them
    assert len(documents) > 57 and len(values) > 80
    for sample in islice(samples(0, split="train", recipe=RECIPES[recipe]), NUM_SAMPLES):
        for text in (sample.document, *(example.text for example in sample.examples)):
            assert text not in documents
            known = " ".join(text.casefold().split())
            assert [value for value in values if value in known] == []
