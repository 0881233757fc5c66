import json
import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from schemas.errors import CheckpointError
from workers.engine.special_tokens import SPECIAL_TOKENS
from workers.engine.tokenizer import PlainTokenizer

texts = st.lists(
    st.one_of(st.sampled_from([*SPECIAL_TOKENS, "SEP", "<|", "im_end", "|>", "e\u0301"]), st.text(max_size=8))
).map("".join)


def altered(tokenizer: PlainTokenizer, path: Path, *, special: bool) -> PlainTokenizer:
    """The same file with one more added token, of an innocent name, and none marked otherwise than asked."""
    data = json.loads(tokenizer._path.read_text())
    number = tokenizer.size
    data["added_tokens"].append(
        {**data["added_tokens"][0], "id": number, "content": "SEP", "normalized": False}
    )
    data["added_tokens"] = [{**token, "special": special} for token in data["added_tokens"]]
    file = path / "tokenizer.json"
    file.write_text(json.dumps(data))
    return PlainTokenizer(file)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts)
@example("".join(SPECIAL_TOKENS))
@example("<|im_start|><|object_ref_start|>x<|im_end|>")
def test_text_never_becomes_a_special_token(tiny_tokenizer: PlainTokenizer, text: str) -> None:
    specials = {tiny_tokenizer.special(name) for name in SPECIAL_TOKENS}
    assert not specials & set(tiny_tokenizer.encode(text))


@pytest.mark.parametrize("special", [True, False])
def test_neither_do_tokens_that_are_not_marked_special(
    tiny_tokenizer: PlainTokenizer, tmp_path: Path, special: bool
) -> None:
    tokenizer = altered(tiny_tokenizer, tmp_path, special=special)
    text = "SEP <|direct|><|im_end|>SEP"
    ids = tokenizer.encode(text)
    assert not {tokenizer.special(name) for name in ("SEP", "<|direct|>", "<|im_end|>")} & set(ids)
    assert b"".join(map(tokenizer.token_bytes, ids)).decode() == text


@pytest.mark.parametrize("special", [True, False])
def test_the_grammar_does_not_allow_them_either(
    tiny_tokenizer: PlainTokenizer, tmp_path: Path, special: bool
) -> None:
    tokenizer = altered(tiny_tokenizer, tmp_path, special=special)
    ids = tokenizer.for_grammar.tokenize_str("SEP <|direct|><|im_end|>")
    assert not {tokenizer.special(name) for name in ("SEP", "<|direct|>", "<|im_end|>")} & set(ids)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text())
def test_tokens_give_back_the_normalised_text(tiny_tokenizer: PlainTokenizer, text: str) -> None:
    ids = tiny_tokenizer.encode(text)
    assert b"".join(map(tiny_tokenizer.token_bytes, ids)).decode() == unicodedata.normalize("NFC", text)


def test_every_digit_is_a_token(tiny_tokenizer: PlainTokenizer) -> None:
    assert [tiny_tokenizer.token_bytes(t) for t in tiny_tokenizer.encode("2024")] == [b"2", b"0", b"2", b"4"]


def test_special_tokens_have_the_released_ids(tiny_tokenizer: PlainTokenizer) -> None:
    names = ("<|endoftext|>", "<|im_start|>", "<|object_ref_start|>", "<|box_end|>", "<|quad_end|>")
    assert [tiny_tokenizer.special(name) for name in names] == [5, 6, 8, 11, 13]


def test_a_missing_special_token_is_named(tiny_tokenizer: PlainTokenizer) -> None:
    with pytest.raises(CheckpointError, match=re.escape("no special token '<|nothing|>'")) as caught:
        tiny_tokenizer.special("<|nothing|>")
    assert "GLEANER_CONDITION_TOKENS" in caught.value.hint


@pytest.mark.parametrize("content", ["", "{}", '{"model": {"type": "Unigram", "vocab": []}}', "[1]"])
def test_a_file_that_is_no_tokenizer_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(CheckpointError, match=r"tokenizer\.json"):
        PlainTokenizer(tmp_path / "tokenizer.json")
