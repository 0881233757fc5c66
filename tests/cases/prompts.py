"""Prompts for the engine, and what comes of them."""

import random
from typing import Any

from schemas.forms import Kind, Leaf, ListForm, ObjectForm
from workers.engine.protocol import Completion, Request, Tokenizer

FORM = ObjectForm(
    fields=(
        ("name", Leaf(kind=Kind.TEXT, max_length=30)),
        ("paid", Leaf(kind=Kind.BOOLEAN)),
        ("lines", ListForm(item=Leaf(kind=Kind.TEXT, max_length=30), max_items=4)),
        ("total", Leaf(kind=Kind.DECIMAL, max_length=30)),
    )
)
WORDS = [
    "ACME",
    "SDN",
    "BHD",
    "Total:",
    "RM",
    "1,234.50",
    "Müller",
    "漢字",
    "🧾",
    'say "x"',
    "due",
    "3rd",
    "March\n",
]


def request_of(tokenizer: Tokenizer, document: str, **facts: Any) -> Request:
    """A prompt without examples."""
    text = tokenizer.encode(f"Text:\n{document}\nJSON:")
    prompt = [tokenizer.special("<|im_start|>"), *text, tokenizer.special("<|im_end|>")]
    return Request(**({"prompt": prompt, "document": document, "form": FORM, "max_new_tokens": 120} | facts))


def requests_of(tokenizer: Tokenizer, count: int = 10) -> list[Request]:
    """Prompts of about 15 to 250 tokens."""
    rng = random.Random(3)
    lengths = [5 + 9 * i for i in range(count)]
    rng.shuffle(lengths)
    return [request_of(tokenizer, " ".join(rng.choice(WORDS) for _ in range(n))) for n in lengths]


def ids(completion: Completion) -> list[int]:
    return [token.id for token in completion.tokens]


def logprobs(completion: Completion) -> list[float]:
    return [token.logprob for token in completion.tokens]
