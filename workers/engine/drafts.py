"""Drafts: how an answer may go on, copied from the document, for the model to check in the same step.

The rest of the record is guessed as text, across the ends of values and the keys between them, and cut into the
tokens that would write it. As long as the model agrees, the next draft is the next part of the same guess.
"""

from collections.abc import Callable, Sequence

from schemas.forms import Leaf, ObjectForm
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
# bytes of text guessed for each token of a draft
_BYTES_PER_TOKEN = 5
# tokens of the answer that are cut again together with the guess: how text is cut depends on what is before it
_CONTEXT = 4


def no_drafts(row: Row) -> Drafter:
    """Let every token that is not forced be asked for by itself."""
    return tuple


def copying(tokenizer: PlainTokenizer) -> Drafting:
    """Draft by copying from the document."""
    return lambda row: CopyDrafter(row, tokenizer)


class CopyDrafter:
    """Guesses at the rest of one row's answer."""

    def __init__(self, row: Row, tokenizer: PlainTokenizer) -> None:
        request = row.request
        self._row = row
        self._tokenizer = tokenizer
        self._guesser = Guesser(request.document, Hints.of(request.examples), row.chooser.printed)
        self._outline = Outline(request.form)
        self._trail = Trail()
        self._answer = b""
        self._num_read = 0
        # tokens guessed, the first of them behind so many of the answer
        self._plan: list[int] = []
        self._base = 0
        self._is_cut_off = False
        self._length = _FIRST_LENGTH
        self._last: Sequence[int] = ()

    def __call__(self) -> Sequence[int]:
        """The next draft; not longer than what was right of the last ones lets hope for."""
        new = self._row.answer[self._num_read :]
        self._num_read += len(new)
        self._answer += b"".join(map(self._tokenizer.token_bytes, new))
        self._adapt(new)
        passed = self._num_read - self._base
        is_wrong = self._plan[passed - len(new) : passed] != new
        is_short = len(self._plan) - passed < (self._length if self._is_cut_off else 1)
        if is_wrong or is_short:
            self._plan, self._base, passed = self._guess(), self._num_read, 0
        draft = self._plan[passed : passed + self._length]
        self._last = draft[: self._row.chooser.num_valid(draft)]
        return self._last

    def _adapt(self, new: Sequence[int]) -> None:
        if not self._last:
            return
        right = num_equal(self._last, new)
        if right == len(self._last):
            self._length = min(2 * self._length, _MOST_LENGTH)
        else:
            wanted = (self._length + 2 * right) // 2
            self._length = min(max(wanted, _LEAST_LENGTH), _MOST_LENGTH)

    def _guess(self) -> list[int]:
        outline, guesser, trail = self._outline, self._guesser, self._trail
        for slot, value in outline.read(self._answer):
            guesser.note(slot, value, trail)
        begun = self._answer[outline.position :]
        enough = 2 * self._length * _BYTES_PER_TOKEN
        text = _Writer(guesser, trail.fork(), begun, enough).write(outline.todo)
        self._is_cut_off = len(text) >= enough
        return self._cut(text)

    def _cut(self, text: bytes) -> list[int]:
        """The tokens behind the answer that would write a text."""
        for number in (_CONTEXT, 0):
            tail = self._row.answer[len(self._row.answer) - number :] if number else []
            before = b"".join(map(self._tokenizer.token_bytes, tail))
            # what begins or ends in the middle of a character is no text
            tokens = self._tokenizer.encode((before + text).decode("utf-8", "ignore"))
            if tokens[: len(tail)] == tail:
                return tokens[len(tail) :]
        return []


class _Writer:
    """Writes what is to be written, as guessed."""

    def __init__(self, guesser: Guesser, trail: Trail, begun: bytes, enough: int) -> None:
        self._guesser = guesser
        self._trail = trail
        # of the part that is open
        self._begun = begun
        self._enough = enough

    def write(self, todo: Todo) -> bytes:
        """So many bytes behind what is begun, fewer where there is no telling."""
        text = b""
        while todo and len(text) < self._enough:
            part, rest = todo
            if isinstance(part, More):
                todo = self._more(part, rest)
                continue
            if isinstance(part, Slot) and not isinstance(part.form, Leaf):
                todo = self._opened(part, rest)
                continue
            written = part if isinstance(part, bytes) else self._leaf(part)
            if written is None or not written.startswith(self._begun):
                break
            text += written[len(self._begun) :]
            self._begun = b""
            todo = rest
        return text

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
