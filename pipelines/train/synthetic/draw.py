"""Schemas drawn at random from a domain, and the facts and record of one document for them."""

from dataclasses import dataclass, replace
from random import Random
from typing import Any

from pipelines.train.synthetic.domains import DOMAINS, HELD_BACK_NAMES, Concept, Domain
from pipelines.train.synthetic.made_up import MADE_UP, made_up, names_alone
from pipelines.train.synthetic.page import Fact, Page, Split, cased, listed
from pipelines.train.synthetic.printing import Region, draw_region
from pipelines.train.synthetic.sheet import Said, Sheet
from pipelines.train.synthetic.values import draw_value, kind_of
from schemas.forms import Form, Kind, Leaf, ListForm, ObjectForm

# the share of schemas that name what nobody has heard of; only in training
_MADE_UP = 0.3
# how labels are spelt; those of made-up matters as often as field names as in another way
_CASES = (52, 12, 12, 8, 8, 8)
_MADE_UP_CASES = (20, 10, 10, 5, 50, 5)
# the share of fields that a document lacks
_ABSENCES = (0.0, 0.08, 0.15, 0.25, 0.4)
_FEW_ABSENCES = (0.0, 0.0, 0.0, 0.15)
# the drill in which only names tell what is meant
NAMES = "names"
# the share of cells of a column that are blank
_BLANKS = (0.0, 0.0, 0.06, 0.2, 0.5)
# the share of rows with nothing between their first and last cells, as where a bill charges at a flat rate
_FLAT_ROWS = (0.0, 0.0, 0.2, 0.4)


@dataclass(frozen=True, kw_only=True)
class Field:
    """A field of a drawn schema and the concept behind it."""

    name: str
    concept: Concept
    form: Form
    with_unit: bool = False
    parts: tuple["Field", ...] = ()


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A drawn schema: its fields, and what its documents print besides."""

    domain: Domain
    region: Region
    form: ObjectForm
    fields: tuple[Field, ...]
    distractors: tuple[Field, ...]
    # the share of fields that a document lacks
    absence: float
    # names say nothing, so all documents are of one template
    is_opaque: bool


def draw_plan(rng: Random, split: Split, *, drill: str = "") -> Plan:
    """A schema of 1 to 12 fields; for a drill, of the shape that it is about."""
    domain = _domain(rng, split, drill)
    region = draw_region(rng)
    chosen, rest = _choose_few(rng, domain, drill) if drill else _choose(rng, domain)
    names = _Names(rng, split)
    fields = tuple(_field(rng, concept, region, names) for concept in chosen)
    distractors = tuple(_field(rng, concept, region, names) for concept in rest)
    summary = (
        (("summary", Leaf(kind=Kind.INFERRED, max_length=500)),) if rng.random() < 0.02 and not drill else ()
    )
    form = ObjectForm(
        fields=(*((field.name, field.form) for field in fields), *summary),
        description=f"A {domain.titles[0].lower()}.",
    )
    return Plan(
        domain=domain,
        region=region,
        form=form,
        fields=fields,
        distractors=distractors,
        absence=rng.choice(_ABSENCES if drill in ("", "one", NAMES) else _FEW_ABSENCES),
        is_opaque=names.style == "opaque",
    )


def _domain(rng: Random, split: Split, drill: str) -> Domain:
    """Of the eval split, a third is about what training never saw; a drill's domain has something of its shape."""
    if split == "train" and drill == NAMES:
        return names_alone(rng)
    shape = "one" if drill == NAMES else drill
    if split == "train" and rng.random() < _MADE_UP:
        domain = made_up(rng)
        if not shape or any(_is_of(each, shape) for each in domain.concepts):
            return domain
    is_new = split == "eval" and rng.random() < 0.33
    known = [
        domain for domain in DOMAINS if not shape or any(_is_of(each, shape) for each in domain.concepts)
    ]
    fitting = [domain for domain in known if domain.is_held_back == is_new] or known
    if shape != "choice":
        return rng.choice(fitting)
    # the more there is to choose from, the more there is to learn
    return rng.choices(fitting, [sum(len(each.choices) for each in domain.concepts) for domain in fitting])[0]


def _is_of(concept: Concept, shape: str) -> bool:
    return bool(concept.choices) if shape == "choice" else concept.shape == shape


def _choose(rng: Random, domain: Domain) -> tuple[list[Concept], list[Concept]]:
    """The concepts of the schema, and those that documents print besides."""
    concepts = list(domain.concepts)
    rng.shuffle(concepts)
    wanted = rng.choice((2, 3, 3, 4, 4, 5, 5, 6, 7, 8, 10))
    chosen = concepts[:wanted]
    many = [concept for concept in chosen if concept.shape in ("rows", "group")]
    # one table is enough, and often none
    for concept in many[0 if rng.random() < 0.4 else 1 :]:
        chosen.remove(concept)
    chosen = chosen or [concept for concept in concepts if concept.shape == "one"][:2]
    rest = [concept for concept in concepts if concept not in chosen]
    return chosen, rest[: rng.choice((0, 1, 2, 2, 3, 4, 6, 12))]


def _choose_few(rng: Random, domain: Domain, shape: str) -> tuple[list[Concept], list[Concept]]:
    """The concepts of a drill's schema, and those that its documents print besides."""
    ones = [concept for concept in domain.concepts if concept.shape == "one"]
    rng.shuffle(ones)
    if shape == NAMES:
        few = rng.choice((0, 0, 0, 1, 2))
        return ones[few:], ones[:few]
    if shape == "choice":
        choices = [concept for concept in ones if concept.choices]
        others = [concept for concept in ones if not concept.choices]
        wanted = rng.choice((0, 0, 1, 2))
        chosen = [*choices[: rng.choice((1, 2, 2, 3))], *others[:wanted]]
        return chosen, others[wanted : wanted + rng.choice((0, 1, 2))]
    many = [] if shape == "one" else [concept for concept in domain.concepts if concept.shape == shape]
    wanted = rng.choice((0, 0, 1, 2) if many else (1, 2, 3, 4, 5, 6))
    chosen = [rng.choice(many)] if many else []
    return [*chosen, *ones[:wanted]], ones[wanted : wanted + rng.choice((0, 0, 1, 2))]


class _Names:
    """Field names of one schema: each once, in one spelling."""

    def __init__(self, rng: Random, split: Split) -> None:
        self._rng = rng
        self._split = split
        self._taken: set[str] = set()
        self.style = rng.choices(("snake", "camel", "upper", "opaque"), (86, 7, 2, 5))[0]

    def draw(self, names: tuple[str, ...]) -> str:
        """A name not yet taken; in the eval split often one that training never saw."""
        held = [name for name in names if name in HELD_BACK_NAMES]
        seen = [name for name in names if name not in held]
        pool = held if self._split == "eval" and held and self._rng.random() < 0.5 else seen
        free = [name for name in pool if name not in self._taken] or [f"{names[0]}_{len(self._taken)}"]
        name = self._rng.choice(free)
        self._taken.add(name)
        return self._spelt(name)

    def _spelt(self, name: str) -> str:
        if self.style == "opaque":
            return f"field_{len(self._taken)}"
        if self.style == "camel":
            head, *tail = name.split("_")
            return head + "".join(map(str.capitalize, tail))
        return name.upper() if self.style == "upper" else name


def _field(rng: Random, concept: Concept, region: Region, names: _Names) -> Field:
    name = names.draw(concept.names)
    about = concept.labels[-1].lower()
    if concept.shape in ("rows", "group"):
        inner = (
            concept.parts
            if concept.shape == "group" or rng.random() < 0.6
            else concept.parts[: rng.randint(1, 3)]
        )
        parts = tuple(_field(rng, part, region, names) for part in inner)
        form: Form = ObjectForm(fields=tuple((part.name, part.form) for part in parts))
        if concept.shape == "rows":
            form = ListForm(item=form, description=about)
        return Field(name=name, concept=concept, form=form, parts=parts)
    concept = _narrowed(rng, concept)
    with_unit = concept.spec.split()[0] in ("money", "qty") and rng.random() < 0.15
    leaf = _leaf(rng, concept, region, about)
    leaf_or_list: Form = ListForm(item=leaf, description=about) if concept.shape == "list" else leaf
    return Field(name=name, concept=concept, form=leaf_or_list, with_unit=with_unit)


def _narrowed(rng: Random, concept: Concept) -> Concept:
    """A choice with the vocabulary of one schema: some of its values, in one spelling."""
    if concept.spec != "choice":
        return concept
    choices = list(concept.choices)
    if len(choices) > 2 and rng.random() < 0.25:
        choices = sorted(rng.sample(choices, len(choices) - 1))
    if rng.random() < 0.15:
        rng.shuffle(choices)
    spelling = rng.choices((str, str.upper, str.title, _hyphened), (70, 12, 10, 8))[0]
    otherwise = spelling(concept.otherwise) if concept.otherwise else None
    return replace(
        concept, choices=tuple((spelling(value), wording) for value, wording in choices), otherwise=otherwise
    )


def _hyphened(value: str) -> str:
    return value.replace("_", "-")


def _leaf(rng: Random, concept: Concept, region: Region, about: str) -> Leaf:
    kind = kind_of(concept.spec)
    if kind is Kind.CHOICE:
        values = tuple(value for value, _ in concept.choices)
        choices = (*values, concept.otherwise) if concept.otherwise else values
        nullable = not concept.otherwise and rng.random() < 0.4
        return Leaf(kind=kind, choices=choices, nullable=nullable, description=about)
    if kind in (Kind.DATE, Kind.DATETIME) and rng.random() < 0.06:
        kind = Kind.TEXT
    if kind is Kind.DECIMAL and rng.random() < 0.15:
        kind = Kind.FLOAT
    if kind is Kind.INTEGER and rng.random() < 0.2:
        kind = Kind.DECIMAL
    return Leaf(
        kind=kind,
        nullable=rng.random() < (0.3 if kind is Kind.BOOLEAN else 0.5),
        max_length=200 if kind is Kind.TEXT else 64,
        description=about,
        day_first=region.day_first,
        decimal_comma=region.decimal_comma,
    )


class Labels:
    """What one layout calls things: a label for each concept, none twice."""

    def __init__(self, plan: Plan, seed: str) -> None:
        rng = Random(seed)
        weights = _MADE_UP_CASES if plan.domain.name == MADE_UP else _CASES
        case = rng.choices(("as it is", "upper", "title", "lower", "snake", "short"), weights)[0]
        self.title = rng.choice(plan.domain.titles)
        self.order = [*plan.fields, *plan.distractors]
        if rng.random() < 0.7:
            rng.shuffle(self.order)
        self._labels: dict[str, str] = {}
        taken: set[str] = set()
        for field in (each for whole in self.order for each in (whole, *whole.parts)):
            free = [label for label in field.concept.labels if label.lower() not in taken]
            label = rng.choice(free or [f"{self.title} {field.concept.labels[0].lower()}"])
            taken.add(label.lower())
            self._labels[field.name] = cased(label, case)

    def of(self, field: Field) -> str:
        return self._labels[field.name]


def fill(plan: Plan, labels: Labels, template: str, rng: Random) -> tuple[Page, dict[str, Any]]:
    """A page of facts for one document, and the record that its text will hold."""
    sheet = Sheet(rng, plan.region)
    filler = _Filler(sheet, labels)
    facts: dict[str, Fact] = {}
    values: dict[str, Any] = {}
    wanted = {field.name for field in plan.fields}
    for field in labels.order:
        is_lost = rng.random() < plan.absence and field.name in wanted
        facts[field.name], values[field.name] = filler.fact(field, is_lost=is_lost)
    page = Page(
        template=template, title=labels.title, facts=[facts[f.name] for f in labels.order], sheet=sheet
    )
    record = {field.name: values[field.name] for field in plan.fields}
    if len(plan.form.fields) > len(plan.fields):
        first = next((fact.text for fact in page.facts if fact.slot), "")
        record["summary"] = f"{labels.title} with {first}" if first else None
    return page, record


class _Filler:
    """Draws the values of one document."""

    def __init__(self, sheet: Sheet, labels: Labels) -> None:
        self._sheet = sheet
        self._labels = labels
        self._rng = sheet.rng

    def fact(self, field: Field, *, is_lost: bool) -> tuple[Fact, Any]:
        """What is printed for a field, and what its record holds."""
        shape = field.concept.shape
        fact = Fact(concept=field.concept, label=self._labels.of(field))
        if shape == "one":
            return self._one(field, fact, is_lost=is_lost)
        if shape == "group":
            pairs = [self.fact(part, is_lost=is_lost) for part in field.parts]
            fact.parts = [] if is_lost else [part for part, _ in pairs]
            return fact, {part.name: value for part, (_, value) in zip(field.parts, pairs, strict=True)}
        count = 0 if is_lost else self._rng.choice((1, 1, 2, 2, 3, 3, 4, 5, 6, 7))
        if shape == "list":
            drawn = [draw_value(field.concept.spec, self._sheet) for _ in range(count)]
            once = {self._sheet.show(each.slot): each for each in drawn}
            # what parts the items does not stand in them
            once = {shown: each for shown, each in once.items() if "," not in shown and " and " not in shown}
            fact.items = [each.text for each in once.values()]
            return fact, [each.slot for each in once.values()]
        return self._rows(field, fact, count)

    def _rows(self, field: Field, fact: Fact, count: int) -> tuple[Fact, Any]:
        fact.header = [self._labels.of(part) for part in field.parts]
        # the first column names the row; the others are blank as the table has it
        blanks = [0.0, *(self._rng.choice(_BLANKS) for _ in field.parts[1:])]
        flat, last = self._rng.choice(_FLAT_ROWS), len(blanks) - 1
        records = []
        for _ in range(count):
            is_flat = self._rng.random() < flat
            lost = [
                (is_flat and 0 < number < last) or self._rng.random() < blank
                for number, blank in enumerate(blanks)
            ]
            pairs = [self.fact(part, is_lost=each) for part, each in zip(field.parts, lost, strict=True)]
            fact.rows.append([part.text for part, _ in pairs])
            records.append({part.name: value for part, (_, value) in zip(field.parts, pairs, strict=True)})
        return fact, records

    def _one(self, field: Field, fact: Fact, *, is_lost: bool) -> tuple[Fact, Any]:
        if field.concept.choices:
            return self._choice(field, fact, is_lost=is_lost)
        if is_lost:
            return fact, None
        drawn = draw_value(field.concept.spec, self._sheet, with_unit=field.with_unit)
        fact.text, fact.slot = drawn.text, drawn.slot
        phrases = field.concept.phrases
        phrase = (
            self._rng.choice(phrases) if phrases and self._rng.random() < 0.55 else self._said(fact.label)
        )
        fact.said = phrase.replace("{}", drawn.text)
        return fact, drawn.slot

    def _said(self, label: str) -> str:
        spoken = label if "." in label or label.isupper() else label.lower()
        return self._rng.choice(
            (f"the {spoken} is {{}}", f"{label}: {{}}", f"{{}} as {spoken}", f"{spoken} {{}}")
        )

    def _choice(self, field: Field, fact: Fact, *, is_lost: bool) -> tuple[Fact, Any]:
        concept = field.concept
        is_flag = concept.spec == "bool"
        value, wordings = self._rng.choice(concept.choices)
        otherwise = concept.otherwise if not is_flag else (None if field.form.nullable else False)
        if is_lost and (is_flag or otherwise or field.form.nullable):
            return fact, otherwise
        wording = self._rng.choice(wordings)
        slot = self._sheet.put(self._short(value, wording, is_flag=is_flag))
        # a flag, or what is a sentence, is said in words where there is no label
        spoken = self._sheet.put(wording)
        is_whole = is_flag or wording[-1] in ".!?"
        fact.text, fact.said = slot, spoken if is_whole else self._said(fact.label).replace("{}", spoken)
        return fact, Said(slot + spoken, value == "true" if is_flag else value, otherwise)

    def _short(self, value: str, wording: str, *, is_flag: bool) -> str:
        if is_flag:
            yes, no = self._rng.choice(
                (("Yes", "No"), ("yes", "no"), ("Y", "N"), ("TRUE", "FALSE"), ("✓", "✗"))
            )
            return (yes if value == "true" else no) if self._rng.random() < 0.7 else wording
        return wording if self._rng.random() < 0.5 else value.replace("_", " ")


def row_text(fact: Fact, row: list[str]) -> str:
    """A row in words: the first value, the others with their labels."""
    pairs = zip(fact.header[1:], row[1:], strict=True)
    rest = listed([f"{label.lower()} {text}" for label, text in pairs if text])
    return f"{row[0]} ({rest})" if rest else row[0]
