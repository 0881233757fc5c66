"""A labelled document that does not fit its prompt, as the windows that extraction would cut."""

from collections.abc import Iterator
from typing import Any

from schemas import locate
from schemas.candidates import candidates, is_offered
from schemas.examples import Example
from schemas.forms import Form, Leaf, ListForm, ObjectForm
from workers.prompt import Prompter
from workers.window import cut


def fitting(example: Example, prompter: Prompter) -> Iterator[Example]:
    """The example itself, or each of its windows with what stands in it."""
    settings = prompter.schema.settings
    step = settings.ladder[0]
    if prompter.build(example.text, step):
        yield example
        return
    room = prompter.room(step)
    overlap = min(settings.overlap_tokens, room // 4)
    for window in cut(example.text, budget=room, count=prompter.count, overlap=overlap):
        record = restrict(prompter.schema.form, example.record, window.text)
        yield Example(text=window.text, record=record)


def restrict(form: Form, value: Any, text: str) -> Any:
    """A wire record without the copied values that do not stand in `text`; what is not copied stays."""
    if isinstance(form, ObjectForm) and value is not None:
        return {name: restrict(field, value[name], text) for name, field in form.wire_fields}
    if isinstance(form, ListForm) and value is not None:
        items = ((item, restrict(form.item, item, text)) for item in value)
        return [left for item, left in items if _is_left(form.item, item, left)]
    if isinstance(form, Leaf) and form.is_verbatim and value is not None:
        return value if _stands(form, value, text) else None
    return value


def _stands(leaf: Leaf, printed: str, text: str) -> bool:
    return printed in candidates(leaf, text) if is_offered(leaf) else bool(locate.exact(text, printed))


def _is_left(form: Form, before: Any, after: Any) -> bool:
    """Whether an item still says something: a copied value, if it had one."""
    return not _copied(form, before) or bool(_copied(form, after))


def _copied(form: Form, value: Any) -> list[str]:
    if value is None:
        return []
    if isinstance(form, ObjectForm):
        return [each for name, field in form.wire_fields for each in _copied(field, value[name])]
    if isinstance(form, ListForm):
        return [each for item in value for each in _copied(form.item, item)]
    return [value] if form.is_verbatim else []
