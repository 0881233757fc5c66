"""All genres of random documents, by name."""

from collections.abc import Callable, Mapping

from pipelines.train.synthetic.genres import forms, grids, pages, prose, talk
from pipelines.train.synthetic.page import Page

GENRES: Mapping[str, Callable[[Page], str]] = {
    "form": forms.form,
    "form2": forms.form,
    "columns": forms.columns,
    "table": grids.table,
    "letter": prose.letter,
    "mail": prose.mail,
    "note": prose.note,
    "clauses": prose.clauses,
    "chat": talk.chat,
    "log": talk.log,
    "data": talk.data,
    "web": pages.web,
    "advert": pages.advert,
    "slip": pages.slip,
    "memo": pages.memo,
}
# only where all documents of a sample are of one template
BARE: Mapping[str, Callable[[Page], str]] = {"bare": talk.bare}
