"""A schema goes through four versions, with documents in its tables, on both databases."""

import datetime
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, inspect, text

from pipelines.ingest import ingest
from pipelines.reextract import choose, enqueue, estimate
from schemas.errors import ConfigurationError, TableError
from schemas.wire import dump
from tests.cases import parcels
from workers.embedded import work_off
from workers.engine.protocol import Request
from workers.runtime import Runtime
from workers.settings import Settings
from workers.store import records, revisions
from workers.store.session import open_store, reading
from workers.testing import ScriptedEngine

HEAD = """
import datetime
from decimal import Decimal
from typing import Annotated, ClassVar

from pydantic import BaseModel

from schemas import ExtractionSchema, Renamed, SchemaSettings, Step
"""
ORDER = '''
class Purchase(ExtractionSchema):
    """An order."""

    settings: ClassVar[SchemaSettings] = SchemaSettings(ladder=(Step(),), max_answer_tokens=512)

'''
# added: due, in a new list the notes; removed: colour; renamed: customer, the list and a field of its items;
# retyped: code from text to a number, and the count from a number to text
VERSIONS = [
    """
class Item(BaseModel):
    name: str
    count: int | None
"""
    + ORDER
    + """
    buyer: str
    colour: str | None
    code: str
    items: list[Item]
""",
    """
class Item(BaseModel):
    name: str
    count: int | None
"""
    + ORDER
    + """
    buyer: str
    colour: str | None
    due: datetime.date
    code: str
    items: list[Item]
    notes: list[str]
""",
    """
class Item(BaseModel):
    name: str
    count: int | None
"""
    + ORDER
    + """
    buyer: str
    due: datetime.date
    code: str
    items: list[Item]
""",
    """
class Line(BaseModel):
    label: Annotated[str, Renamed(previously="name")]
    count: int | None

"""
    + ORDER
    + """
    customer: Annotated[str, Renamed(previously="buyer")]
    due: datetime.date
    code: str
    lines: Annotated[list[Line], Renamed(previously="items")]
""",
    """
class Line(BaseModel):
    label: Annotated[str, Renamed(previously="name")]
    count: int | None

"""
    + ORDER
    + """
    customer: Annotated[str, Renamed(previously="buyer")]
    due: datetime.date
    code: int
    lines: Annotated[list[Line], Renamed(previously="items")]
""",
]
TEXTS = [
    "Ann ordered 3 cups, 2 forks in red. Code 17. Due 2024-05-01. Note: fragile.",
    "Bo ordered 1 rug in blue. Code 23. Due 2024-06-30. Note: stairs.",
    "Cy ordered 9 pans in green. Code 31. Due 2023-12-24. Note: gift.",
]


def known(document: str) -> dict[str, Any]:
    """All that any version asks of a document, as it is printed there."""
    found = re.fullmatch(r"(\w+) ordered (.*) in (\w+)\. Code (\d+)\. Due (\S+)\. Note: (\w+)\.", document)
    assert found
    buyer, items, colour, code, due, note = found.groups()
    pairs = [item.split(" ") for item in items.split(", ")]
    return {
        "buyer": buyer,
        "customer": buyer,
        "colour": colour,
        "code": code,
        "due": due,
        "items": [{"name": name, "count": count} for count, name in pairs],
        "lines": [{"label": name, "count": count} for count, name in pairs],
        "notes": [note],
    }


def answer(request: Request) -> str:
    """What a good model writes: of what it knows, what it is asked for."""
    facts = known(request.document)
    return dump({name: facts[name] for name, _ in request.form.wire_fields})


class Site:
    """A database and the schema as it is now."""

    def __init__(self, url: str, directory: Path) -> None:
        self.url, self.directory = url, directory
        self.revisions = directory / "revisions of ours"
        self.engine = ScriptedEngine(answer, max_positions=20_000)

    def become(self, number: int) -> Runtime:
        """The schema as version `number`, in a process of its own."""
        schemas = self.directory / f"v{number}"
        schemas.mkdir(exist_ok=True)
        (schemas / "purchase.py").write_text(HEAD + VERSIONS[number])
        names = re.findall(
            r"^    (\w+): (?!ClassVar)", VERSIONS[number].partition("class Purchase")[2], re.MULTILINE
        )
        lines = [
            dump({"text": each, "record": {name: known(each)[name] for name in names}}) for each in EXAMPLES
        ]
        (schemas / "purchase.jsonl").write_text("\n".join(lines) + "\n")
        settings = Settings(
            _env_file=None,
            database_url=self.url,
            schemas=(str(schemas),),
            data_dir=self.directory,
            migrations=self.revisions,
        )
        self.runtime = Runtime(settings, engine=self.engine)
        return self.runtime

    @property
    def schema(self) -> Any:
        return self.runtime.registry.get("purchase")

    def run(self, texts: list[str]) -> None:
        reads = parcels.reads(texts)
        batch_id = ingest(self.runtime.store, reads, self.schema, self.runtime.checkpoint)
        work_off(self.runtime, batch_id)

    def migrate(self) -> str:
        """The revision that was written and applied."""
        made = records.tables("purchase", self.schema.form)
        written = revisions.write(self.runtime.store, self.revisions, made)
        assert written is not None
        revisions.upgrade(self.runtime.store, self.revisions)
        return written.read_text()

    def reextract(self, **which: Any) -> None:
        work = choose(self.runtime.store, self.schema, self.runtime.checkpoint, **which)
        work_off(self.runtime, enqueue(self.runtime.store, work))

    def asked(self, do: Callable[[], object]) -> list[tuple[str, ...]]:
        """The fields that the engine was asked for meanwhile, a completion each."""
        before = len(self.engine.requests)
        do()
        return [tuple(name for name, _ in each.form.wire_fields) for each in self.engine.requests[before:]]

    def day(self, printed: str) -> Any:
        """A date as the database gives it where nobody says that it is one."""
        is_text = self.runtime.store.dialect.name == "sqlite"
        return printed if is_text else datetime.date.fromisoformat(printed)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with reading(self.runtime.store) as conn:
            return [tuple(row) for row in conn.execute(text(sql))]


EXAMPLES = [
    "Di ordered 4 bowls in grey. Code 5. Due 2022-01-02. Note: none.",
    "Ed ordered 6 jars, 7 lids in pink. Code 6. Due 2022-03-04. Note: rush.",
]


@pytest.fixture
def site(store: Engine, tmp_path: Path) -> Iterator[Site]:
    made = Site(store.url.render_as_string(hide_password=False), tmp_path)
    made.become(0)
    made.run(TEXTS)
    yield made
    made.runtime.store.dispose()


def become(site: Site, number: int) -> None:
    site.runtime.store.dispose()
    site.become(number)


def columns(site: Site, table: str) -> set[str]:
    return {column["name"] for column in inspect(site.runtime.store).get_columns(table)}


def add(site: Site) -> None:
    become(site, 1)
    if site.runtime.store.dialect.name == "postgresql":
        with pytest.raises(TableError, match="gleaner schemas migrate purchase"):
            site.run(TEXTS)
        site.migrate()


def change(site: Site, number: int) -> str:
    """A change that neither database makes by itself."""
    become(site, number)
    with pytest.raises(TableError, match="gleaner schemas migrate purchase"):
        site.run(TEXTS)
    return site.migrate()


def test_a_field_is_added(site: Site) -> None:
    add(site)
    assert site.asked(site.reextract) == [("due", "notes")] * 3
    prompt = site.engine.prompt_text(site.engine.requests[-1])
    assert '{"due": "2022-01-02", "notes": ["none"]}' in prompt and '"buyer"' not in prompt
    assert site.rows("SELECT buyer, code, due FROM purchase ORDER BY document_id") == [
        ("Ann", "17", site.day("2024-05-01")),
        ("Bo", "23", site.day("2024-06-30")),
        ("Cy", "31", site.day("2023-12-24")),
    ]
    assert site.rows("SELECT value FROM purchase_notes ORDER BY document_id") == [
        ("fragile",),
        ("stairs",),
        ("gift",),
    ]
    # the old records and their evidence stay, and the new ones prove their old values too
    proof = "SELECT count(*) FROM evidence WHERE path = 'buyer' AND state = 'verbatim'"
    assert site.rows(proof) == [(6,)]
    assert site.rows(
        "SELECT path, span_text FROM purchase_fields WHERE document_id = 1 AND field = 'items.name'"
    ) == [
        ("items[0].name", "cups"),
        ("items[1].name", "forks"),
    ]
    assert site.rows("SELECT count(*) FROM stale_records") == [(0,)]
    assert site.asked(site.reextract) == []


def test_a_field_and_a_list_are_removed_and_their_values_kept(site: Site) -> None:
    add(site)
    site.reextract()
    revision = change(site, 2)
    assert site.asked(site.reextract) == []
    mark = re.search(r"^revision = '(\w+)'", revision, re.MULTILINE)
    assert mark and "no longer in the schema" in revision
    assert columns(site, "purchase") >= {"buyer", "due"} and "colour" not in columns(site, "purchase")
    kept = f"SELECT colour FROM purchase_{mark[1]} ORDER BY document_id"
    assert site.rows(kept) == [("red",), ("blue",), ("green",)]
    assert site.rows(f"SELECT value FROM purchase_notes_{mark[1]} WHERE document_id = 3") == [("gift",)]
    revisions.downgrade(site.runtime.store, site.revisions)
    become(site, 1)
    assert site.rows("SELECT colour FROM purchase ORDER BY document_id") == [("red",), ("blue",), ("green",)]
    assert site.rows("SELECT count(*) FROM purchase_notes") == [(3,)]
    site.run(TEXTS)


def test_fields_lists_and_fields_of_items_are_renamed(site: Site) -> None:
    add(site)
    site.reextract()
    change(site, 2)
    site.reextract()
    change(site, 3)
    ann = [("Ann", "cups", 3), ("Ann", "forks", 2)]
    asked = (
        "SELECT customer, label, count FROM purchase JOIN purchase_lines USING (document_id) "
        "WHERE document_id = 1 ORDER BY position"
    )
    assert site.rows(asked) == ann
    # even who knows nothing of re-extraction pays nothing for a new name
    assert site.asked(lambda: site.run(TEXTS)) == []
    assert site.rows(asked) == ann
    fields = "SELECT DISTINCT field FROM purchase_fields WHERE state = 'verbatim' ORDER BY field"
    assert site.rows(fields) == [("code",), ("customer",), ("due",), ("lines.count",), ("lines.label",)]
    # the names of the old list and its constraints are free again
    revisions.downgrade(site.runtime.store, site.revisions)
    become(site, 2)
    assert (
        site.rows("SELECT buyer, name, count FROM purchase JOIN purchase_items USING (document_id)")[:2]
        == ann
    )
    site.run(TEXTS)


def test_a_field_is_retyped_and_all_are_taken_back(site: Site) -> None:
    add(site)
    site.reextract()
    shape = {table: columns(site, table) for table in ("purchase", "purchase_items", "purchase_notes")}
    for number in (2, 3):
        change(site, number)
        site.reextract()
    change(site, 4)
    assert site.rows("SELECT code FROM purchase") == [(None,)] * 3
    assert site.asked(lambda: site.reextract(where="customer = 'Bo'")) == [("code",)]
    assert site.asked(site.reextract) == [("code",)] * 2
    assert site.rows("SELECT sum(code) FROM purchase") == [(71,)]
    for _ in range(3):
        revisions.downgrade(site.runtime.store, site.revisions)
    become(site, 1)
    assert {table: columns(site, table) for table in shape} == shape
    found = "SELECT buyer, colour, code, value FROM purchase JOIN purchase_notes USING (document_id)"
    assert site.rows(f"{found} ORDER BY document_id") == [
        ("Ann", "red", "17", "fragile"),
        ("Bo", "blue", "23", "stairs"),
        ("Cy", "green", "31", "gift"),
    ]
    assert site.asked(lambda: site.run(TEXTS)) == []
    revisions.upgrade(site.runtime.store, site.revisions)
    become(site, 4)
    assert site.asked(lambda: site.run(["Flo ordered 2 cans in tan. Code 8. Due 2025-01-01. Note: ok."])) == [
        ("customer", "due", "code", "lines")
    ]


def test_the_dry_run_estimates_from_what_was_measured(site: Site) -> None:
    add(site)
    work = choose(site.runtime.store, site.schema, site.runtime.checkpoint)
    (made,) = estimate(site.runtime.store, site.schema, work)
    assert (made.fields, made.num_documents) == (("due", "notes"), 3)
    (whole,) = site.rows("SELECT prompt_tokens, output_tokens, documents FROM usage_daily")
    assert made.prompt_tokens and made.output_tokens and made.seconds == 0.0
    assert 0 < made.prompt_tokens < whole[0] and 0 < made.output_tokens < whole[1]
    assert whole[2] == 3


def test_fields_are_chosen_by_name(site: Site) -> None:
    add(site)
    with pytest.raises(ConfigurationError, match="lack notes too"):
        choose(site.runtime.store, site.schema, site.runtime.checkpoint, fields=["due"])
    with pytest.raises(ConfigurationError, match="no field 'price'"):
        choose(site.runtime.store, site.schema, site.runtime.checkpoint, fields=["price"])
    asked = site.asked(lambda: site.reextract(fields=["notes", "due", "buyer"], where="code <> '17'"))
    assert asked == [("buyer", "due", "notes")] * 2


def test_other_examples_alone_are_for_stale(site: Site) -> None:
    EXAMPLES.append(TEXTS[0])
    try:
        become(site, 0)
    finally:
        EXAMPLES.pop()
    work = choose(site.runtime.store, site.schema, site.runtime.checkpoint)
    assert (work.choices, work.num_stale) == ([], 3)
    whole = ("buyer", "colour", "code", "items")
    assert site.asked(lambda: site.reextract(is_stale=True, where="buyer = 'Ann'")) == [whole]
    stale = "SELECT document_id, other_fields, other_examples, other_settings, other_checkpoint FROM stale_records"
    assert site.rows(f"{stale} ORDER BY document_id") == [
        (2, False, True, False, False),
        (3, False, True, False, False),
    ]


def test_pending_revisions_come_first(site: Site) -> None:
    become(site, 2)
    made = records.tables("purchase", site.schema.form)
    assert revisions.write(site.runtime.store, site.revisions, made)
    with pytest.raises(ConfigurationError, match="gleaner db upgrade"):
        revisions.write(site.runtime.store, site.revisions, made)


def test_revisions_pass_over_tables_that_are_not_made_yet(site: Site, database_url: str) -> None:
    become(site, 2)
    site.migrate()
    fresh = open_store(database_url)
    revisions.upgrade(fresh, site.revisions)
    assert revisions.current(fresh) == revisions.head(site.revisions)
    fresh.dispose()
