from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, create_engine, inspect

from schemas.errors import TableError
from schemas.forms import Form, Kind, Leaf, ListForm, ObjectForm
from workers.store.records import tables
from workers.store.reshape import Plan, apply, plan

TEXT, WHOLE, NUMBER = Leaf(kind=Kind.TEXT), Leaf(kind=Kind.INTEGER), Leaf(kind=Kind.DECIMAL)


def obj(**fields: Form) -> ObjectForm:
    return ObjectForm(fields=tuple(fields.items()))


def reshaped(conn: Connection, form: ObjectForm, mark: str = "") -> Plan:
    made = plan(conn, tables("bill", form), mark)
    apply(conn, made)
    return made


def back(conn: Connection, made: Plan) -> None:
    apply(conn, Plan(mark="", ups=made.downs))


leaf_forms = st.builds(
    Leaf, kind=st.sampled_from([Kind.TEXT, Kind.INTEGER, Kind.DECIMAL, Kind.DATE]), nullable=st.booleans()
)
names = st.sampled_from("abcd")


def objects(inner: st.SearchStrategy[Form]) -> st.SearchStrategy[ObjectForm]:
    """Objects whose fields may have had another name."""
    named = st.tuples(inner, st.lists(names, max_size=1)).map(
        lambda pair: replace(pair[0], previously=tuple(pair[1]))
    )
    return st.dictionaries(names, named, min_size=1, max_size=3).map(
        lambda made: ObjectForm(fields=tuple(made.items()))
    )


forms = st.recursive(
    leaf_forms,
    lambda inner: st.one_of(objects(inner), inner.map(lambda form: ListForm(item=form))),
    max_leaves=6,
)


def has_tables(form: ObjectForm) -> bool:
    """Not a list in a list in a list of the same name."""
    try:
        return bool(tables("bill", form).all)
    except TableError:
        return False


wanted = objects(forms).filter(has_tables)


@settings(max_examples=50)
@given(wanted, wanted)
def test_any_form_becomes_any_other_and_back(one: ObjectForm, other: ObjectForm) -> None:
    with create_engine("sqlite://").connect() as conn:
        tables("bill", one).main.metadata.create_all(conn)
        assert plan(conn, tables("bill", one)).notes == []
        made = reshaped(conn, other, "mark")
        assert plan(conn, tables("bill", other)).notes == []
        back(conn, made)
        assert plan(conn, tables("bill", one)).notes == []
        assert not [name for name in inspect(conn).get_table_names() if name.endswith("_mark")]


def test_numbers_are_converted_where_nothing_is_lost() -> None:
    with create_engine("sqlite://").connect() as conn:
        tables("bill", obj(a=WHOLE, b=WHOLE, c=TEXT)).main.metadata.create_all(conn)
        conn.exec_driver_sql("INSERT INTO bill VALUES (1, 1, 0.5, 7, 8, 'nine')")
        made = reshaped(conn, obj(a=NUMBER, b=TEXT, c=WHOLE), "mark")
        assert conn.exec_driver_sql("SELECT a, b, c FROM bill").one() == (7, "8", None)
        assert any("converted" in note for note in made.notes) and not made.is_additive
        back(conn, made)
        assert conn.exec_driver_sql("SELECT a, b, c FROM bill").one() == (7, 8, "nine")


def test_a_column_that_may_be_null_keeps_its_values() -> None:
    with create_engine("sqlite://").connect() as conn:
        conn.exec_driver_sql("PRAGMA foreign_keys = ON")
        form = obj(total=NUMBER, items=ListForm(item=obj(name=TEXT)))
        tables("bill", form).main.metadata.create_all(conn)
        conn.exec_driver_sql("PRAGMA foreign_keys = OFF")
        conn.exec_driver_sql("INSERT INTO bill VALUES (1, 1, 0.5, 12.5)")
        conn.exec_driver_sql("INSERT INTO bill_items VALUES (1, 0, 'cup')")
        loose = obj(total=replace(NUMBER, nullable=True), items=ListForm(item=obj(name=TEXT)))
        made = reshaped(conn, loose)
        assert made.is_additive and "may be NULL now" in made.notes[0]
        assert conn.exec_driver_sql("SELECT total, name FROM bill JOIN bill_items").one() == (12.5, "cup")
        assert plan(conn, tables("bill", form)).notes == []


def test_a_list_in_a_renamed_list_goes_with_it() -> None:
    inner = ListForm(item=obj(code=TEXT))
    form = obj(items=ListForm(item=obj(name=TEXT, taxes=inner)))
    lines = replace(
        ListForm(item=obj(name=TEXT, dues=replace(inner, previously=("taxes",)))), previously=("items",)
    )
    with create_engine("sqlite://").connect() as conn:
        tables("bill", form).main.metadata.create_all(conn)
        conn.exec_driver_sql("INSERT INTO bill VALUES (1, 1, 0.5)")
        conn.exec_driver_sql("INSERT INTO bill_items VALUES (1, 4, 'cup')")
        conn.exec_driver_sql("INSERT INTO bill_items_taxes VALUES (1, 4, 0, 'x')")
        made = reshaped(conn, obj(lines=lines))
        assert conn.exec_driver_sql("SELECT lines_position, code FROM bill_lines_dues").one() == (4, "x")
        back(conn, made)
        assert conn.exec_driver_sql("SELECT items_position, code FROM bill_items_taxes").one() == (4, "x")
