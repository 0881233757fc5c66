import pytest

from schemas.errors import TableError
from schemas.forms import Kind, Leaf, ListForm, ObjectForm
from workers.store.records import tables

TEXT = Leaf(kind=Kind.TEXT)


def form(**fields):
    return ObjectForm(fields=tuple(fields.items()))


@pytest.mark.parametrize(
    "name", ["documents", "jobs", "evidence", "alembic_version", "pg_mine", "sqlite_mine"]
)
def test_names_that_are_taken_are_refused_for_tables(name):
    with pytest.raises(TableError, match=f"the table {name}, which is not free"):
        tables(name, form(total=TEXT))


@pytest.mark.parametrize("name", ["order", "user", "select", "index", "values", "table", "end"])
def test_reserved_words_are_refused_with_another_name(name):
    with pytest.raises(
        TableError, match=rf"The field {name} would be named {name}, a reserved word.*{name}_value"
    ):
        tables("receipt", form(**{name: TEXT}))
    with pytest.raises(TableError, match=f"The schema {name}"):
        tables(name, form(total=TEXT))


def test_a_reserved_word_within_an_object_is_free():
    made = tables("receipt", form(buyer=form(order=TEXT)))
    assert "buyer_order" in made.main.columns


@pytest.mark.parametrize("name", ["Total", "größe", "2nd", "a b", "a;b", "_x", "a'b", ""])
def test_names_that_need_quotes_are_refused(name):
    with pytest.raises(TableError, match="small letters"):
        tables("receipt", form(**{name: TEXT}))
    with pytest.raises(TableError, match="small letters"):
        tables(name, form(total=TEXT))


@pytest.mark.parametrize("name", ["document_id", "extraction_id", "confidence"])
def test_columns_of_the_store_are_refused(name):
    with pytest.raises(TableError, match=f"The field {name} would get the column {name} of receipt"):
        tables("receipt", form(**{name: TEXT}))


def test_the_key_of_a_list_is_refused_as_a_field_of_its_items():
    with pytest.raises(TableError, match="column position of receipt_items"):
        tables("receipt", form(items=ListForm(item=form(position=TEXT))))
    inner = ListForm(item=form(items_position=TEXT))
    with pytest.raises(TableError, match="column items_position of receipt_items_taxes"):
        tables("receipt", form(items=ListForm(item=form(taxes=inner))))


def test_two_fields_that_flatten_to_one_column_are_refused():
    with pytest.raises(TableError, match=r"The field buyer.name .* taken by the field buyer_name"):
        tables("receipt", form(buyer_name=TEXT, buyer=form(name=TEXT)))


def test_two_lists_that_flatten_to_one_table_are_refused():
    lines = ListForm(item=TEXT)
    with pytest.raises(TableError, match="the table receipt_a_b_c, as another list does"):
        tables("receipt", form(a=form(b_c=lines), a_b=form(c=lines)))


def test_long_names_are_refused_with_their_length():
    assert tables("r" * 49, form(**{"f" * 63: TEXT})).main.name == "r" * 49
    with pytest.raises(TableError, match="50 bytes where 49 are allowed"):
        tables("r" * 50, form(total=TEXT))
    with pytest.raises(TableError, match="64 bytes where 63 are allowed"):
        tables("receipt", form(**{"f" * 64: TEXT}))
    with pytest.raises(TableError, match="The list items of " + "r" * 49):
        tables("r" * 49, form(items=ListForm(item=TEXT)))


def test_every_name_in_the_database_fits_postgresql():
    made = tables("r" * 40, form(items=ListForm(item=TEXT)))
    names = [constraint.name for table in made.all for constraint in table.constraints]
    assert len(names) == 5
    assert all(len(name) <= 63 for name in names)
