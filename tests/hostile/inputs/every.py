"""All of them."""

from tests.hostile.inputs import mails, names, pages, pdfs, prompts, tables, texts, words
from tests.hostile.inputs.bad import Bad

FAMILIES = {
    "texts": texts,
    "pages": pages,
    "mails": mails,
    "pdfs": pdfs,
    "words": words,
    "tables": tables,
    "prompts": prompts,
    "names": names,
}
INPUTS: dict[str, list[Bad]] = {name: list(family.inputs()) for name, family in FAMILIES.items()}
