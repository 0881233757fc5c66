import json
import os
from pathlib import Path

import pytest

from workers.engine import placeholder
from workers.engine.tokenizer import PlainTokenizer

os.environ.setdefault("OMP_NUM_THREADS", "1")

TEXTS = [
    "ACME SDN BHD\nTotal: RM 1,234.50\nDate: 25/12/2018 10:31\n",
    "Invoice INV-2024-017 from Müller & Söhne GmbH, due 3rd of March 2024. €1.234,50",
    'This Agreement is made on September 23, 2009 by "Kyivstar" and its affiliates (the “Parties”).',
    json.dumps(
        {"company": "ACME", "total": "12.50", "line_items": [{"description": None}], "tags": ["a", "b"]}
    ),
] * 4


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A placeholder checkpoint, made once."""
    path = tmp_path_factory.mktemp("checkpoints") / "tiny"
    placeholder.make(path, TEXTS)
    return path


@pytest.fixture(scope="session")
def tiny_tokenizer(tiny_checkpoint: Path) -> PlainTokenizer:
    return PlainTokenizer(tiny_checkpoint / "tokenizer.json")
