"""A checkpoint's tokenizer in which text is only ever characters."""

import json
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tokenizers

from schemas.errors import CheckpointError
from workers.engine.special_tokens import END_OF_ANSWER

if TYPE_CHECKING:
    from llguidance import LLTokenizer


class PlainTokenizer:
    """Byte-level BPE from a `tokenizer.json`, without its special tokens except by name."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._data = _read(path)
        self._specials = {token["content"]: token["id"] for token in self._data["added_tokens"]}
        self._ordinary = {
            text: number
            for text, number in self._data["model"]["vocab"].items()
            if text not in self._specials
        }
        # without their entries in the vocabulary no text can become a special token, whatever it holds
        model = {**self._data["model"], "vocab": self._ordinary}
        self._plain = _load(path, {**self._data, "model": model, "added_tokens": []})
        self.size = 1 + max([*self._ordinary.values(), *self._specials.values()])

    def encode(self, text: str) -> list[int]:
        """Token ids of ordinary characters; `<|im_end|>` in the text is characters too."""
        ids: list[int] = self._plain.encode(text, add_special_tokens=False).ids
        return ids

    def special(self, token: str) -> int:
        """The id of a special token.

        Raises:
            CheckpointError: the vocabulary has no such token.
        """
        if token not in self._specials:
            known = ", ".join(list(self._specials)[:32]) or "none"
            raise CheckpointError(
                f"{self._path} has no special token {token!r}; it has: {known}.",
                hint="Name one of these in GLEANER_CONDITION_TOKENS, or use another checkpoint.",
                token=token,
            )
        number: int = self._specials[token]
        return number

    def token_bytes(self, token: int) -> bytes:
        """What a token adds to a text: UTF-8, perhaps part of a character; nothing for a special token."""
        return self._bytes.get(token, b"")

    @cached_property
    def for_grammar(self) -> "LLTokenizer":
        """The same vocabulary for llguidance, which tokenizes what the grammar forces: bytes of the document.

        So it must not normalise, and the special tokens have names that no text holds.
        """
        # imported here, so that a tokenizer can be had for training where there is no llguidance
        from llguidance import LLTokenizer

        names = {name: f"<|\0{number}|>" for name, number in self._specials.items()}
        model = {
            **self._data["model"],
            "vocab": self._ordinary | {names[k]: v for k, v in self._specials.items()},
        }
        added = [
            {**token, "content": names[token["content"]], "special": True}
            for token in self._data["added_tokens"]
        ]
        data = {**self._data, "model": model, "added_tokens": added, "normalizer": None}
        return LLTokenizer(json.dumps(data), eos_token=self.special(END_OF_ANSWER))

    @cached_property
    def _bytes(self) -> dict[int, bytes]:
        table = _byte_of_character()
        try:
            return {number: bytes(table[c] for c in text) for text, number in self._ordinary.items()}
        except KeyError as exc:
            raise CheckpointError(f"{self._path} is not a byte-level vocabulary: it has {exc}.") from exc


def _read(path: Path) -> dict[str, Any]:
    try:
        data: dict[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError) as exc:
        raise CheckpointError(f"The tokenizer {path} cannot be read: {exc}.") from exc
    if not isinstance(data, dict) or not isinstance(data.get("model", {}).get("vocab"), dict):
        raise CheckpointError(
            f"{path} is not a byte-level BPE tokenizer.",
            hint="Use an HRM-Text checkpoint with its tokenizer.json.",
        )
    return data


def _load(path: Path, data: dict[str, Any]) -> tokenizers.Tokenizer:
    try:
        return tokenizers.Tokenizer.from_str(json.dumps(data))
    except Exception as exc:
        raise CheckpointError(f"The tokenizer {path} cannot be read: {exc}.") from exc


def _byte_of_character() -> dict[str, int]:
    """The inverse of GPT-2's table, which writes each byte as a visible character."""
    visible = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in visible]
    return {chr(byte): byte for byte in visible} | {chr(256 + n): byte for n, byte in enumerate(hidden)}
