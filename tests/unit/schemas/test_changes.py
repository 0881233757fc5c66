from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from schemas.changes import ChangeKind, asked_again, carry, changes, nodes
from schemas.forms import Form, Kind, Leaf, ListForm, ObjectForm

TEXT, NUMBER = Leaf(kind=Kind.TEXT), Leaf(kind=Kind.DECIMAL)


def obj(**fields: Form) -> ObjectForm:
    return ObjectForm(fields=tuple(fields.items()))


ITEM = obj(name=TEXT, amount=NUMBER, taxes=ListForm(item=obj(rate=NUMBER)))
BILL = obj(number=TEXT, total=NUMBER, unit=Leaf(kind=Kind.TEXT, nullable=True, unit_of="total"),
           buyer=obj(name=TEXT, city=TEXT), items=ListForm(item=ITEM))  # fmt: skip


def changed(**fields: Form) -> ObjectForm:
    return obj(**(dict(BILL.fields) | fields))


def said(form: ObjectForm) -> list[str]:
    return [str(change) for change in changes(nodes(BILL), form)]


def test_names_paths_and_order() -> None:
    assert list(nodes(BILL))[:4] == ["buyer", "buyer.city", "buyer.name", "items"]
    assert nodes(BILL)["items[].taxes[].rate"]["type"] == "decimal"
    assert said(BILL) == said(ObjectForm(fields=BILL.fields[::-1], description="x")) == []


def test_what_is_new_or_of_another_type_is_asked_again() -> None:
    item = obj(name=TEXT, amount=NUMBER, taxes=ListForm(item=obj(rate=NUMBER, code=TEXT)))
    form = changed(total=TEXT, place=TEXT, items=ListForm(item=item))
    assert said(form) == ["total retyped (was decimal)", "items[].taxes[].code added", "place added"]
    assert asked_again(changes(nodes(BILL), form)) == ["total", "items", "place"]


def test_a_unit_that_is_new_is_read_from_what_was_copied() -> None:
    old = nodes(obj(total=NUMBER))
    form = obj(total=NUMBER, unit=Leaf(kind=Kind.TEXT, nullable=True, unit_of="total"))
    assert [str(change) for change in changes(old, form)] == ["unit added"]
    assert asked_again(changes(old, form)) == []


def test_other_choices_are_asked_again_in_another_order_not() -> None:
    old = obj(kind=Leaf(kind=Kind.CHOICE, choices=("a", "b")))
    assert changes(nodes(old), obj(kind=Leaf(kind=Kind.CHOICE, choices=("b", "a")))) == []
    (change,) = changes(nodes(old), obj(kind=Leaf(kind=Kind.CHOICE, choices=("a", "c"))))
    assert (change.kind, change.was, change.is_asked) == (ChangeKind.RETYPED, "a, b", True)


def test_another_pattern_is_told_where_the_old_one_is_known() -> None:
    old = nodes(obj(code=Leaf(kind=Kind.TEXT, pattern=r"^\d$")))
    form = obj(code=Leaf(kind=Kind.TEXT, pattern=r"^\d\d$"))
    assert [str(change) for change in changes(old, form)] == [r"code read otherwise (was pattern ^\d$)"]
    del old["code"]["pattern"]
    assert changes(old, form) == []


def test_another_reading_of_what_was_copied_is_not_asked() -> None:
    form = changed(total=replace(NUMBER, decimal_comma=True, nullable=True))
    assert said(form) == ["total read otherwise (was nullable false, decimal_comma false)"]
    assert asked_again(changes(nodes(BILL), form)) == []


def test_what_goes_is_named_once() -> None:
    form = obj(number=TEXT, total=NUMBER, buyer=obj(name=TEXT))
    assert said(form) == ["buyer.city removed", "items removed", "unit removed"]


def test_declared_names_at_every_level_are_renames() -> None:
    tax = obj(share=replace(NUMBER, previously=("rate",)))
    item = obj(label=replace(TEXT, previously=("title", "name")), amount=NUMBER, taxes=ListForm(item=tax))
    form = obj(
        number=TEXT, total=NUMBER, unit=Leaf(kind=Kind.TEXT, nullable=True, unit_of="total"),
        client=replace(obj(name=TEXT, city=TEXT), previously=("buyer",)),
        lines=replace(ListForm(item=item), previously=("items",)),
    )  # fmt: skip
    assert said(form) == [
        "client renamed (was buyer)",
        "lines renamed (was items)",
        "lines[].label renamed (was items[].name)",
        "lines[].taxes[].share renamed (was items[].taxes[].rate)",
    ]
    record = {
        "number": "7", "total": None, "buyer": {"name": "Ann", "city": None},
        "items": [{"name": "cup", "amount": "1", "taxes": [{"rate": "7 %"}]}],
    }  # fmt: skip
    carried, places = carry(form, record)
    assert carried["client"] == record["buyer"]
    assert carried["lines"] == [{"label": "cup", "amount": "1", "taxes": [{"share": "7 %"}]}]
    assert places["lines", 0, "taxes", 0, "share"] == ("items", 0, "taxes", 0, "rate")


def test_a_former_name_that_another_field_has_is_no_rename() -> None:
    form = obj(number=TEXT, code=replace(TEXT, previously=("number",)))
    assert [str(each) for each in changes(nodes(obj(number=TEXT)), form)] == ["code added"]
    assert carry(form, {"number": "7"})[0] == {"number": "7"}


leaf_forms = st.sampled_from([TEXT, NUMBER, Leaf(kind=Kind.BOOLEAN), Leaf(kind=Kind.DATE, nullable=True)])
names = st.sampled_from("abcde")


def objects(inner: st.SearchStrategy[Form]) -> st.SearchStrategy[ObjectForm]:
    fields = st.dictionaries(names, inner, min_size=1, max_size=4)
    return fields.map(lambda made: ObjectForm(fields=tuple(made.items())))


forms = st.recursive(
    leaf_forms,
    lambda inner: st.one_of(
        objects(inner), inner.filter(lambda f: not isinstance(f, ListForm)).map(lambda f: ListForm(item=f))
    ),
    max_leaves=8,
)


@given(objects(forms), objects(forms))
def test_nothing_changes_to_itself_and_every_difference_is_said(one: ObjectForm, other: ObjectForm) -> None:
    assert changes(nodes(one), one) == []
    assert (changes(nodes(one), other) == []) == (nodes(one) == nodes(other))
    top = {name for name, _ in other.fields}
    assert set(asked_again(changes(nodes(one), other))) <= top
