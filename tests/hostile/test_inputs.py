"""Each bad input ends with a clean text or a clear reason, and nothing else is touched."""

import unicodedata
from collections import Counter

import pytest

from pipelines.readers import Read
from tests.cases.files import pdf, read_of, word
from tests.hostile.conftest import LIMITS, Outside, reads_of
from tests.hostile.inputs.bad import DONE, SECRET, Bad
from tests.hostile.inputs.every import INPUTS

CASES = [
    pytest.param(each, id=f"{family}-{each}".encode("ascii", "replace").decode())
    for family, inputs in INPUTS.items()
    for each in inputs
]
GOOD = {"good.pdf": pdf("Total 12"), "good.docx": word(["Total 12"]), "good.html": b"<p>Total 12"}


def check_text(text: str) -> None:
    """As every stored text."""
    assert text.strip()
    assert len(text) <= LIMITS.max_chars
    assert not {"\0", "\r"} & set(text)
    assert unicodedata.is_normalized("NFC", text)
    text.encode()
    assert SECRET not in text


def check_reason(found: Read) -> None:
    """One printable sentence or two, which say what is wrong."""
    reason = str(found.error)
    assert reason.isprintable()
    assert 10 < len(reason) < 2000
    assert reason.endswith((".", "`"))
    assert SECRET not in reason


@pytest.mark.parametrize("given", CASES)
def test_it_ends_with_a_clean_text_or_a_clear_reason(given: Bad, outside: Outside) -> None:
    found = reads_of(given)
    assert found
    for each in found:
        assert (each.text is None) != (each.error is None)
        if each.text is None:
            check_reason(each)
        else:
            check_text(each.text)
    assert {each.error.code if each.error else DONE for each in found} <= given.ends, found[0].error
    texts = [each.text for each in found if each.text is not None]
    assert given.holds is None or any(given.holds in text for text in texts)
    assert not [word for word in given.lacks if any(word in text for text in texts)]
    outside.check()
    # and whoever comes next is read as ever
    assert {name: read_of(data, name).text for name, data in GOOD.items()} == {
        "good.pdf": "Total 12\n",
        "good.docx": "Total 12",
        "good.html": "Total 12",
    }


def test_there_are_as_many_as_promised() -> None:
    assert sum(map(len, INPUTS.values())) > 450
    assert max(Counter(each.name for inputs in INPUTS.values() for each in inputs).values()) == 1
