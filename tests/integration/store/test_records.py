import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum

import pytest
from sqlalchemy import inspect, select

from schemas.errors import TableError
from schemas.forms import Kind, Leaf, ListForm, ObjectForm
from workers.store import rows as typed
from workers.store.models import Document, Extraction
from workers.store.names import RESERVED_WORDS
from workers.store.records import tables
from workers.store.results import save
from workers.store.session import reading, transaction
from workers.store.tables import drop, ensure


def leaf(kind, **more):
    return Leaf(kind=kind, **more)


TEXT = leaf(Kind.TEXT)
TAX = ObjectForm(fields=(("rate", leaf(Kind.FLOAT)), ("codes", ListForm(item=leaf(Kind.TEXT)))))
ITEM = ObjectForm(
    fields=(
        ("description", TEXT),
        ("amount", leaf(Kind.DECIMAL, nullable=True)),
        ("taxes", ListForm(item=TAX)),
    )
)
ADDRESS = ObjectForm(fields=(("city", TEXT), ("lines", ListForm(item=TEXT))), nullable=True)
EVERYTHING = ObjectForm(
    fields=(
        ("number", TEXT),
        ("issued", leaf(Kind.DATE)),
        ("sent", leaf(Kind.DATETIME, nullable=True)),
        ("total", leaf(Kind.DECIMAL)),
        ("copies", leaf(Kind.INTEGER)),
        ("weight", leaf(Kind.FLOAT)),
        ("paid", leaf(Kind.BOOLEAN)),
        ("currency", leaf(Kind.CURRENCY)),
        ("category", leaf(Kind.CHOICE, choices=("a", "b"))),
        ("summary", leaf(Kind.INFERRED)),
        ("buyer", ObjectForm(fields=(("name", TEXT), ("address", ADDRESS)))),
        ("items", ListForm(item=ITEM)),
        ("grid", ListForm(item=ListForm(item=leaf(Kind.INTEGER)), nullable=True)),
    )
)


class Category(Enum):
    A = "a"


RECORD = {
    "number": "№ 7",
    "issued": date(2024, 3, 3),
    "sent": datetime(2024, 3, 3, 12, 30, 1, 5, tzinfo=timezone(timedelta(hours=2))),
    "total": Decimal("123456789.012345"),
    "copies": 2**63 - 1,
    "weight": 0.1,
    "paid": True,
    "currency": "EUR",
    "category": Category.A,
    "summary": "100 % :paid",
    "buyer": {"name": "Ada", "address": {"city": "Łódź", "lines": ["one", "two"]}},
    "items": [
        {"description": "x", "amount": Decimal("-0.10"), "taxes": []},
        {
            "description": "y",
            "amount": None,
            "taxes": [{"rate": 0.07, "codes": []}, {"rate": 0.19, "codes": ["n", "m"]}],
        },
    ],
    "grid": [[1, 2], [], [3]],
}


@pytest.fixture
def two(world):
    """Two documents with extractions: the ids of both."""
    world.add("a", "b")
    jobs = world.claim("me")
    save(world.engine, "me", [world.result(job) for job in jobs])
    with reading(world.engine) as conn:
        found = conn.execute(select(Extraction.document_id, Extraction.id).order_by(Extraction.id)).all()
    return [tuple(row) for row in found]


def put(world, made, ids, record):
    with transaction(world.engine) as conn:
        document_id, extraction_id = ids
        typed.replace(conn, made, {extraction_id: typed.rows(made, document_id, 0.5, record)})


def read(world, table):
    with reading(world.engine) as conn:
        return [tuple(row) for row in conn.execute(select(table).order_by(*table.primary_key.columns))]


def made_tables(world, form=EVERYTHING):
    made = tables("invoice", form)
    with transaction(world.engine) as conn:
        ensure(conn, made)
        # what is there is left as it is
        ensure(conn, made)
    return made


def test_every_type_nested_objects_and_lists_in_lists_round_trip(world, two):
    made = made_tables(world)
    (document_id, extraction_id), _ = two
    put(world, made, two[0], RECORD)
    by_name = {table.name: table for table in made.all}
    assert read(world, made.main) == [
        (
            document_id,
            extraction_id,
            0.5,
            "№ 7",
            date(2024, 3, 3),
            datetime(2024, 3, 3, 10, 30, 1, 5),
            Decimal("123456789.012345"),
            2**63 - 1,
            0.1,
            True,
            "EUR",
            "a",
            "100 % :paid",
            "Ada",
            "Łódź",
        )
    ]
    assert read(world, by_name["invoice_buyer_address_lines"]) == [
        (document_id, 0, "one"),
        (document_id, 1, "two"),
    ]
    assert read(world, by_name["invoice_items"]) == [
        (document_id, 0, "x", Decimal("-0.1")),
        (document_id, 1, "y", None),
    ]
    taxes = by_name["invoice_items_taxes"]
    assert [column.name for column in taxes.columns] == ["document_id", "items_position", "position", "rate"]
    assert read(world, taxes) == [(document_id, 1, 0, 0.07), (document_id, 1, 1, 0.19)]
    assert read(world, by_name["invoice_items_taxes_codes"]) == [
        (document_id, 1, 1, 0, "n"),
        (document_id, 1, 1, 1, "m"),
    ]
    assert read(world, by_name["invoice_grid_value"]) == [
        (document_id, 0, 0, 1),
        (document_id, 0, 1, 2),
        (document_id, 2, 0, 3),
    ]


def test_replaced_rows_leave_no_orphan(world, two):
    made = made_tables(world)
    for ids in two:
        put(world, made, ids, RECORD)
    empty = RECORD | {"buyer": {"name": "Bo", "address": None}, "items": [], "grid": None}
    put(world, made, two[0], empty)
    left = {table.name: {row[0] for row in read(world, table)} for table in made.all}
    assert left.pop("invoice") == {two[0][0], two[1][0]}
    assert set(map(frozenset, left.values())) == {frozenset({two[1][0]})}


def test_rows_go_with_their_document_row(world, two):
    made = made_tables(world)
    put(world, made, two[0], RECORD)
    with transaction(world.engine) as conn:
        conn.execute(made.main.delete())
    assert [read(world, table) for table in made.all] == [[]] * len(made.all)


def test_columns_have_the_types_and_nullability_of_the_form(world):
    made = made_tables(world)
    double = "DOUBLE" if world.engine.dialect.name == "sqlite" else "DOUBLE PRECISION"
    columns = inspect(world.engine).get_columns("invoice")
    found = {
        column["name"]: (str(column["type"]).removesuffix("()"), column["nullable"]) for column in columns
    }
    assert found == {
        "document_id": ("BIGINT", False),
        "extraction_id": ("BIGINT", False),
        "confidence": (double, True),
        "number": ("TEXT", False),
        "issued": ("DATE", False),
        "sent": ("TIMESTAMP", True),
        "total": ("NUMERIC", False),
        "copies": ("BIGINT", False),
        "weight": (double, False),
        "paid": ("BOOLEAN", False),
        "currency": ("TEXT", False),
        "category": ("TEXT", False),
        "summary": ("TEXT", False),
        "buyer_name": ("TEXT", False),
        # its address may be missing
        "buyer_address_city": ("TEXT", True),
    }
    assert made.main.name == "invoice"


def test_a_row_needs_its_document_and_its_extraction(world, two):
    made = made_tables(world, ObjectForm(fields=(("number", TEXT),)))
    (document_id, extraction_id), _ = two
    for ids in ((document_id + 99, extraction_id), (document_id, extraction_id + 99)):
        with pytest.raises(Exception, match=r"(?i)foreign key"):
            put(world, made, ids, {"number": "1"})


def test_a_table_with_other_columns_is_refused_with_the_differences(world):
    made_tables(world, ObjectForm(fields=(("total", leaf(Kind.DECIMAL)), ("note", TEXT), ("old", TEXT))))
    changed = ObjectForm(
        fields=(("total", TEXT), ("note", leaf(Kind.TEXT, nullable=True)), ("new_one", TEXT))
    )
    with pytest.raises(TableError) as caught, transaction(world.engine) as conn:
        ensure(conn, tables("invoice", changed))
    assert "gleaner schemas migrate invoice" in caught.value.hint
    said = " ".join(caught.value.facts["differences"])
    assert all(f"invoice.{name}:" in said for name in ("old", "total", "new_one", "note"))


def test_dropped_tables_are_gone_and_the_documents_stay(world, two):
    made = made_tables(world)
    put(world, made, two[0], RECORD)
    with transaction(world.engine) as conn:
        drop(conn, made)
    names = set(inspect(world.engine).get_table_names())
    assert not names & {table.name for table in made.all}
    assert world.count(Document) == 2


def test_words_that_are_not_refused_need_no_quotes(store):
    free = sorted(set(SQL_WORDS) - RESERVED_WORDS)
    assert len(free) > 100
    columns = ", ".join(f"{word} TEXT" for word in free)
    with transaction(store) as conn:
        conn.exec_driver_sql(f"CREATE TABLE words ({columns})")
        conn.exec_driver_sql(f"SELECT {', '.join(free)} FROM words")
        for word in free:
            conn.exec_driver_sql(f"CREATE TABLE {word} (a TEXT)")
            conn.exec_driver_sql(f"SELECT {word}.a FROM {word}")


# what one of the two databases calls a keyword and people could name a field
SQL_WORDS = re.findall(
    r"\w+",
    """
    action after always before begin bigint boolean by char character coalesce comment content current
    data date day decimal desc description document domain each exclude explain first float following
    function generated groups hour index indexed int integer interval key language last level location
    match method minute month name names national nchar new no none nulls numeric object of off old
    option others over owner parameter partition path plan position precision priority query range real
    recursive reference release rename replace role row rows schema second sequence session share show
    start statement status storage system temp text time title transaction trim type unit value values
    varchar version view views volatile work year zone
    """,
)


def test_every_word_that_postgresql_reserves_is_refused(postgres_store):
    with reading(postgres_store) as conn:
        query = "SELECT word FROM pg_get_keywords() WHERE catcode IN ('R', 'T')"
        assert set(conn.exec_driver_sql(query).scalars()) <= RESERVED_WORDS


def test_naive_moments_stay_as_printed(world, two):
    made = made_tables(world, ObjectForm(fields=(("sent", leaf(Kind.DATETIME)),)))
    put(world, made, two[0], {"sent": datetime(2024, 1, 2, 3, 4)})
    put(world, made, two[1], {"sent": datetime(2024, 1, 2, 3, 4, tzinfo=UTC)})
    assert {row[3] for row in read(world, made.main)} == {datetime(2024, 1, 2, 3, 4)}


def test_tables_can_be_made_by_several_at_once(world):
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: made_tables(world), range(4)))
    assert world.count(made_tables(world).main) == 0
