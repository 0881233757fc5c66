"""Drafts: how an answer may go on, copied from the document, for the model to check in the same step.

The rest of the record is guessed as text, across the ends of values and the keys between them, and cut into the
tokens that would write it: no more of it than a draft needs. As long as the model agrees, the same guess goes on.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from schemas.forms import Leaf, ObjectForm
from workers.engine.cut import Cutter
from workers.engine.guess import Guesser, Trail
from workers.engine.hints import Hints
from workers.engine.outline import More, Outline, Slot, Todo, fields_of, items_of, then
from workers.engine.row import Row, num_equal
from workers.engine.tokenizer import PlainTokenizer

# what is fed behind a row's answer as a guess of how it goes on
Drafter = Callable[[], Sequence[int]]
# makes the drafter of a row, when its request comes in
Drafting = Callable[[Row], Drafter]

_FIRST_LENGTH = 8
_MOST_LENGTH = 32
_LEAST_LENGTH = 3


def no_drafts(row: Row) -> Drafter:
    """Let every token that is not forced be asked for by itself."""
    return tuple


def copying(tokenizer: PlainTokenizer) -> Drafting:
    """Draft by copying from the document."""
    cutter = Cutter(tokenizer)
    return lambda row: CopyDrafter(row, cutter)


class CopyDrafter:
    """Guesses at the rest of one row's answer."""

    def __init__(self, row: Row, cutter: Cutter) -> None:
        request = row.request
        self._row = row
        self._cutter = cutter
        self._guesser = Guesser(request.document, Hints.of(request.examples), row.chooser.printed)
        self._outline = Outline(request.form)
        self._trail = Trail()
        self._answer = b""
        self._num_read = 0
        # tokens guessed, the first of them behind so many of the answer, and those that follow
        self._plan: list[int] = []
        self._base = 0
        self._more: Iterator[int] = iter(())
        self._length = _FIRST_LENGTH
        self._last: Sequence[int] = ()

    def __call__(self) -> Sequence[int]:
        """The next draft; not longer than what was right of the last ones lets hope for."""
        new = self._row.answer[self._num_read :]
        passed = self._num_read - self._base
        self._adapt(new)
        self._read(new)
        draft = self._go_on(passed + len(new)) if self._agrees(passed, new) else []
        if not draft:
            self._plan, self._base, self._more = [], self._num_read, self._guess()
            draft = self._go_on(0)
        # a whole draft is not asked about: that costs more than the few wrong tokens that it would save
        self._last = draft if draft and self._row.chooser.takes(draft[0]) else []
        return self._last

    def _agrees(self, passed: int, new: Sequence[int]) -> bool:
        """Whether the plan has said, behind so many tokens of it, what was written."""
        missing = passed + len(new) - len(self._plan)
        if missing > 0:
            self._plan += islice(self._more, missing)
        return self._plan[passed : passed + len(new)] == new

    def _go_on(self, passed: int) -> list[int]:
        """What the plan says behind so many tokens of it, and no more than is wanted."""
        end = passed + self._length
        if len(self._plan) < end:
            self._plan += islice(self._more, end - len(self._plan))
        return self._plan[passed:end]

    def _adapt(self, new: Sequence[int]) -> None:
        if not self._last:
            return
        right = num_equal(self._last, new)
        if right == len(self._last):
            self._length = min(2 * self._length, _MOST_LENGTH)
        else:
            wanted = (self._length + 2 * right) // 2
            self._length = min(max(wanted, _LEAST_LENGTH), _MOST_LENGTH)

    def _read(self, new: Sequence[int]) -> None:
        self._num_read += len(new)
        self._answer += b"".join(map(self._cutter.token_bytes, new))

    def _guess(self) -> Iterator[int]:
        """The tokens behind the answer, as guessed: looked for when they are asked for."""
        outline, guesser, trail = self._outline, self._guesser, self._trail
        for slot, value in outline.read(self._answer):
            guesser.note(slot, value, trail)
        begun = self._answer[outline.position :]
        parts = _Writer(guesser, trail.fork(), begun).write(outline.todo)
        return self._cutter.behind(self._row.answer, parts)


class _Writer:
    """Writes what is to be written, as guessed."""

    def __init__(self, guesser: Guesser, trail: Trail, begun: bytes) -> None:
        self._guesser = guesser
        self._trail = trail
        # of the part that is open
        self._begun = begun

    def write(self, todo: Todo) -> Iterator[bytes]:
        """The parts behind what is begun, as long as there is telling."""
        while todo:
            part, rest = todo
            if isinstance(part, More):
                todo = self._more(part, rest)
                continue
            if isinstance(part, Slot) and not isinstance(part.form, Leaf):
                todo = self._opened(part, rest)
                continue
            written = part if isinstance(part, bytes) else self._leaf(part)
            if written is None or not written.startswith(self._begun):
                return
            yield written[len(self._begun) :]
            self._begun = b""
            todo = rest

    def _more(self, more: More, rest: Todo) -> Todo:
        if self._begun or self._guesser.has_more(more, self._trail):
            return then(more.another, rest)
        return b"]", rest

    def _opened(self, slot: Slot, rest: Todo) -> Todo:
        form = slot.form
        if self._begun.startswith(b"n") or isinstance(form, Leaf):
            return b"null", rest
        if isinstance(form, ObjectForm):
            return then(fields_of(slot, form), rest)
        self._guesser.note(slot, b"", self._trail)
        if self._begun == b"[" or self._guesser.has_items(slot, form, self._trail):
            return then(items_of(slot, form), rest)
        return b"[]", rest

    def _leaf(self, slot: Slot) -> bytes | None:
        value = self._guesser.value(slot, self._begun, self._trail)
        if value is not None:
            self._guesser.note(slot, value, self._trail)
        return value
