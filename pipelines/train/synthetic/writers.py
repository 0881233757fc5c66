"""Who writes documents: for one sample's schema, in any template of its family."""

from collections.abc import Callable, Hashable, Mapping
from functools import cache, partial
from random import Random
from typing import Protocol

from pipelines.train.synthetic.catalog import invoice, job_posting, nda, receipt, support_ticket
from pipelines.train.synthetic.draw import NAMES, Labels, draw_plan, fill
from pipelines.train.synthetic.genres.grids import rows_of
from pipelines.train.synthetic.genres.registry import BARE, GENRES
from pipelines.train.synthetic.noise import spoil
from pipelines.train.synthetic.page import Fact, Page, Split, templates_of
from pipelines.train.synthetic.printing import Region
from pipelines.train.synthetic.sheet import Draft, Sheet, Written
from schemas.base import ExtractionSchema, schema_form, schema_name
from schemas.catalog.invoice import Invoice
from schemas.catalog.job_posting import JobPosting
from schemas.catalog.nda import Nda
from schemas.catalog.receipt import Receipt
from schemas.catalog.support_ticket import SupportTicket
from schemas.forms import ObjectForm

# of each genre; a template is a genre and what its dice fix
VARIANTS = 40
# the documents that tell layouts apart
_NUM_PROBES = 6


class Writer(Protocol):
    """Writes the documents of one sample."""

    form: ObjectForm
    name: str
    # of the split, to choose among
    templates: tuple[str, ...]
    # all documents of the sample are of one template
    is_uniform: bool

    def write(self, template: str, rng: Random, *, room: int) -> Written | None:
        """One document of a template and its wire record; long ones are cut to about `room` characters.

        None if this one came out unreadable.
        """
        ...


def _layout_of(write: Callable[[str, Random], Written | None]) -> Callable[[str], Hashable]:
    """A template's layout: what the same documents look like in it."""

    def layout_of(template: str) -> Hashable:
        probes = [write(template, Random(seed)) for seed in range(_NUM_PROBES)]
        return tuple(written and written.text for written in probes)

    return layout_of


def _text(page: Page) -> str:
    genre = page.template.partition("/")[0]
    return (GENRES.get(genre) or BARE[genre])(page)


def _probe(template: str, rng: Random) -> Written | None:
    """A document of a random schema without tables: templates with a style for them may do all else alike."""
    plan = draw_plan(rng, "train")
    page, _ = fill(plan, Labels(plan, "probe"), template, rng)
    page.facts = [fact for fact in page.facts if not fact.rows]
    return page.sheet.finish(_text(page), {})


@cache
def _templates(split: Split, genres: tuple[str, ...]) -> tuple[str, ...]:
    return templates_of(split, genres, VARIANTS, _layout_of(_probe))


class RandomWriter:
    """A schema drawn at random, and documents in any genre."""

    def __init__(self, rng: Random, split: Split) -> None:
        self._plan = draw_plan(rng, split)
        self.form = self._plan.form
        self.name = self._plan.domain.name
        self.is_uniform = self._plan.is_opaque
        genres = (*GENRES, *BARE) if self.is_uniform else tuple(GENRES)
        self.templates = _templates(split, genres)
        if self.is_uniform and rng.random() < 0.5:
            self.templates = _templates(split, tuple(BARE))
        self._seed = rng.random()

    def write(self, template: str, rng: Random, *, room: int) -> Written | None:
        labels = Labels(self._plan, f"{template} {self._seed}")
        page, record = fill(self._plan, labels, template, rng)
        return page.sheet.finish(spoil(_text(page), rng), record, upper=rng.random() < 0.06)


class DrillWriter:
    """A small schema: a few lines, each a label and its value, and with it a list or the rows of a table.

    Lines often stand in another order in every document; what is chosen among a few values often has no label.
    Layouts are too few to hold one back: only schemas and values of the eval split are new.
    """

    def __init__(self, rng: Random, split: Split, shape: str) -> None:
        self._plan = draw_plan(rng, split, drill=shape)
        self.form = self._plan.form
        self.name = f"drill of {shape}"
        self._shape = shape
        self.is_uniform = self._plan.is_opaque or rng.random() < 0.6
        self.templates = templates_of(split, ("drill",), VARIANTS)
        self._seed = rng.random()

    def write(self, template: str, rng: Random, *, room: int) -> Written | None:
        labels = Labels(self._plan, f"{template} {self._seed}")
        page, record = fill(self._plan, labels, template, rng)
        dice = page.dice()
        mark, joint = dice.choice((": ", " ", " = ", ":\n")), dice.choice(("\n", "\n", "; ", ", "))
        facts = page.plain()
        said = [f"{fact.label}{mark}{fact.text}" for fact in facts]
        in_any_order = self._shape == NAMES or dice.random() < 0.5
        if self._shape == "choice" and dice.random() < 0.7:
            in_any_order = True
            joint = dice.choice((" · ", ", ", "\n", " ", " | ", "\n- ", " / "))
            in_words, is_bare = dice.random() < 0.4, dice.random() < 0.5
            said = [
                fact.said if in_words else fact.text if is_bare or fact.concept.choices else line
                for fact, line in zip(facts, said, strict=True)
            ]
        if in_any_order:
            rng.shuffle(said)
        text = joint.join(said)
        parts = [text, *(self._many(page, fact, dice) for fact in page.others())]
        return page.sheet.finish("\n".join(filter(None, parts)) or page.title, record)

    def _many(self, page: Page, fact: Fact, dice: Random) -> str:
        """A list or rows, with its own dice, so that all documents of a template look the same."""
        if fact.rows:
            return "\n".join(rows_of(page, fact, dice))
        joint = dice.choice((", ", "; ", "\n- ", "\n", " / ", " and "))
        first = joint if joint.startswith("\n") else " "
        return f"{fact.label}:{first}{joint.join(fact.items)}"


CatalogGenre = Callable[[Sheet, Random], Draft]


class CatalogWriter:
    """Documents for a schema of the catalog, whose form and meaning are fixed."""

    is_uniform = False

    def __init__(
        self, model: type[ExtractionSchema], genres: Mapping[str, CatalogGenre], split: Split
    ) -> None:
        self.form = schema_form(model)
        self.name = schema_name(model)
        self._genres = genres
        self.templates = templates_of(
            split, tuple(genres), VARIANTS, _layout_of(partial(self.write, room=4_000))
        )

    def write(self, template: str, rng: Random, *, room: int) -> Written | None:
        # how documents print is not what the schema expects at all times
        region = Region(day_first=rng.random() < 0.75, decimal_comma=rng.random() < 0.06)
        sheet = Sheet(rng, region, room=room)
        # the template's dice; the document's are those of the sheet
        dice = Random(template)
        text, record = self._genres[template.partition("/")[0]](sheet, dice)
        return sheet.finish(spoil(text, rng), record, upper=rng.random() < 0.05)


def _for_catalog(
    model: type[ExtractionSchema], genres: Mapping[str, CatalogGenre]
) -> Callable[[Random, Split], Writer]:
    # its templates take a while to tell apart
    writer = cache(partial(CatalogWriter, model, genres))
    return lambda rng, split: writer(split)


WRITERS: Mapping[str, Callable[[Random, Split], Writer]] = {
    "random": RandomWriter,
    "drill": lambda rng, split: DrillWriter(rng, split, "one"),
    "names": lambda rng, split: DrillWriter(rng, split, NAMES),
    "choices": lambda rng, split: DrillWriter(rng, split, "choice"),
    "rows": lambda rng, split: DrillWriter(rng, split, rng.choice(("rows", "rows", "list"))),
    "receipt": _for_catalog(Receipt, receipt.GENRES),
    "invoice": _for_catalog(Invoice, invoice.GENRES),
    "support_ticket": _for_catalog(SupportTicket, support_ticket.GENRES),
    "job_posting": _for_catalog(JobPosting, job_posting.GENRES),
    "nda": _for_catalog(Nda, nda.GENRES),
}
