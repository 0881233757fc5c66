"""Where every value of a wire record stands in its document, and in which state it is."""

from bisect import bisect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple

from rapidfuzz import fuzz

from schemas import forms
from schemas.forms import Form, Kind, Leaf, ObjectForm, Path
from schemas.locate import Span, exact, normalised

# Of 100: how alike a text must be to be taken for what was copied.
FUZZY_CUTOFF = 90.0
# Characters that a line break counts for when places are compared.
_LINE = 200


class State(StrEnum):
    """How a value is backed by the document."""

    VERBATIM = "verbatim"
    # but for white space and case
    NORMALISED = "normalised"
    FUZZY = "fuzzy"
    CHOICE = "choice"
    INFERRED = "inferred"
    ABSENT = "absent"
    # written, but so unsurely that the record does without it; the evidence has value and place
    DOUBTED = "doubted"
    UNGROUNDED = "ungrounded"


class Evidence(NamedTuple):
    """What backs one leaf, or one nested object or list that is absent."""

    path: Path
    # as written on the wire
    value: str | bool | None
    state: State
    # probability of the value under the grammar, uncalibrated, 0..1
    confidence: float
    # both or neither, in code points of the stored document
    start: int | None = None
    end: int | None = None
    # the document's text there
    text: str | None = None

    @property
    def path_text(self) -> str:
        """The path as people write it: `line_items[2].amount`."""
        return forms.path_text(self.path)


def ground(
    form: ObjectForm,
    record: dict[str, Any],
    document: str,
    *,
    offset: int = 0,
    confidence: Callable[[Path], float],
    cutoff: float = FUZZY_CUTOFF,
) -> list[Evidence]:
    """The evidence of every leaf of a wire record, in field order.

    `offset` is where `document`, a window perhaps, starts in the stored text.
    """
    grounder = _Grounder(document=document, offset=offset, confidence=confidence, cutoff=cutoff)
    return list(grounder.ground_object(form, record, (), ()))


@dataclass(frozen=True, kw_only=True)
class _Found:
    """All places where a value stands, and how it was found there."""

    state: State
    spans: Sequence[Span]


@dataclass(kw_only=True)
class _Grounder:
    document: str
    offset: int
    confidence: Callable[[Path], float]
    cutoff: float
    # where the same field of the items before it ended, by path without positions
    floors: dict[Path, int] = field(default_factory=dict)
    line_ends: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self.line_ends = [line_end for line_end, _ in exact(self.document, "\n")]

    def ground_object(
        self, form: ObjectForm, record: dict[str, Any], path: Path, near: Sequence[Span]
    ) -> Iterator[Evidence]:
        """`near` are places of the object around this one."""
        found = {
            (*path, name): self.find(leaf, record[name])
            for name, leaf in form.wire_fields
            if isinstance(leaf, Leaf) and _is_searched(leaf, record.get(name))
        }
        placed = self.place(found, near)
        around = sorted(placed.values()) or near
        for name, item in form.wire_fields:
            at = (*path, name)
            if isinstance(item, Leaf):
                yield self.evidence(item, record.get(name), at, found.get(at), placed.get(at))
            else:
                yield from self.ground(item, record.get(name), at, around)

    def ground(self, form: Form, value: Any, path: Path, near: Sequence[Span]) -> Iterator[Evidence]:
        if isinstance(form, Leaf):
            found = {path: self.find(form, value)} if _is_searched(form, value) else {}
            yield self.evidence(form, value, path, found.get(path), self.place(found, near).get(path))
        elif value is None:
            yield Evidence(path=path, value=None, state=State.ABSENT, confidence=self.confidence(path))
        elif isinstance(form, ObjectForm):
            yield from self.ground_object(form, value, path, near)
        else:
            for index, item in enumerate(value):
                # the first free place, not the nearest to what is around the list
                yield from self.ground(form.item, item, (*path, index), ())

    def find(self, leaf: Leaf, value: str) -> _Found:
        spans = exact(self.document, value)
        if spans or not leaf.is_verbatim:
            return _Found(state=State.VERBATIM, spans=_prefer_whole(spans, self.document))
        spans = normalised(self.document, value)
        if spans:
            return _Found(state=State.NORMALISED, spans=_prefer_whole(spans, self.document))
        spans = _alike(self.document, value, self.cutoff)
        return _Found(state=State.FUZZY if spans else State.UNGROUNDED, spans=spans)

    def place(self, found: dict[Path, _Found], near: Sequence[Span]) -> dict[Path, Span]:
        """One place for each leaf of one object: the sure ones first, then the others near to them."""
        choices = {path: self.after_floor(path, item.spans) for path, item in found.items() if item.spans}
        placed = {path: spans[0] for path, spans in choices.items() if len(spans) == 1}
        if choices and not placed:
            placed = dict([self.seed(choices, near)])
        anchors = list(placed.values())
        for path, spans in choices.items():
            if path not in placed:
                free = [span for span in spans if span not in placed.values()] or spans
                placed[path] = min(free, key=lambda span: min(self.gap(span, anchor) for anchor in anchors))
        for path, span in placed.items():
            self.floors[_field_of(path)] = span[1]
        return placed

    def seed(self, choices: dict[Path, Sequence[Span]], near: Sequence[Span]) -> tuple[Path, Span]:
        """Where nothing is sure: the place of the rarest, longest leaf that is closest to all else."""
        path = min(choices, key=lambda path: (len(choices[path]), choices[path][0][0] - choices[path][0][1]))
        others = [spans for other, spans in choices.items() if other != path] + ([near] if near else [])
        return path, min(choices[path], key=lambda span: sum(self.nearest(span, spans) for spans in others))

    def nearest(self, span: Span, spans: Sequence[Span]) -> int:
        """The gap to the nearest of many spans in order."""
        index = bisect(spans, span)
        return min(self.gap(span, other) for other in spans[max(0, index - 1) : index + 1])

    def gap(self, one: Span, other: Span) -> int:
        """How far apart two places are: a line is further than anything on it."""
        lines = abs(bisect(self.line_ends, one[0]) - bisect(self.line_ends, other[0]))
        return max(one[0] - other[1], other[0] - one[1], 0) + _LINE * lines

    def after_floor(self, path: Path, spans: Sequence[Span]) -> Sequence[Span]:
        floor = self.floors.get(_field_of(path), 0)
        return [span for span in spans if span[0] >= floor] or spans

    def evidence(
        self, leaf: Leaf, value: str | bool | None, path: Path, found: _Found | None, span: Span | None
    ) -> Evidence:
        state, confidence = _state(leaf, value, found), self.confidence(path)
        if span is None:
            return Evidence(path=path, value=value, state=state, confidence=confidence)
        start, end = span
        return Evidence(
            path=path,
            value=value,
            state=state,
            confidence=confidence,
            start=start + self.offset,
            end=end + self.offset,
            text=self.document[start:end],
        )


def _is_searched(leaf: Leaf, value: object) -> bool:
    return isinstance(value, str) and (leaf.is_verbatim or leaf.kind is Kind.INFERRED)


def _state(leaf: Leaf, value: object, found: _Found | None) -> State:
    if value is None:
        return State.ABSENT
    if found is None:
        return State.CHOICE
    return found.state if leaf.is_verbatim else State.INFERRED


@lru_cache(maxsize=10_000)
def _field_of(path: Path) -> Path:
    return tuple(part for part in path if isinstance(part, str))


def _alike(document: str, value: str, cutoff: float) -> list[Span]:
    best = fuzz.partial_ratio_alignment(value, document, score_cutoff=cutoff) if value.strip() else None
    if best is None or best.dest_start == best.dest_end:
        return []
    span = (best.dest_start, best.dest_end)
    # another letter is a slip, another digit another value
    return [span] if _digits(document[slice(*span)]) == _digits(value) else []


def _digits(text: str) -> list[str]:
    return [char for char in text if char.isdigit()]


def _prefer_whole(spans: Sequence[Span], text: str) -> Sequence[Span]:
    """Those that are no part of a longer word or number, if there are any: not the 5 of 2015."""
    if len(spans) < 2:
        return spans
    return [span for span in spans if not _is_part(text, *span)] or spans


def _is_part(text: str, start: int, end: int) -> bool:
    return _continues(text[start], text[start - 1 : start], text[start - 2 : start - 1]) or _continues(
        text[end - 1], text[end : end + 1], text[end + 1 : end + 2]
    )


def _continues(edge: str, outside: str, further: str) -> bool:
    """Whether the word or number that `edge` belongs to goes on outwards: "5" in "15" and in "5.20"."""
    if outside in (".", ","):
        return edge.isdigit() and further.isdigit()
    if not outside.isalnum():
        return False
    return outside.isdigit() if edge.isdigit() else edge.isalnum()
