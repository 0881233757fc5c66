"""The histogram of confidences: where its bars stand."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from workers.store.models import JobState
from workers.store.outcomes import NUM_BINS

# units of the drawing in index.html; counts stand above the bars, figures below the axis
WIDTH, HEIGHT, TOP, BOTTOM = 360, 170, 18, 24
_GAP = 4
_STACKED = (JobState.DONE, JobState.REVIEW)


@dataclass(frozen=True, kw_only=True)
class Bar:
    """The records of one state in one bin."""

    state: JobState
    y: float
    height: float


@dataclass(frozen=True, kw_only=True)
class Column:
    """One bin, its bars one upon the other."""

    x: float
    width: float
    start: float
    end: float
    num: int
    # where its count is written
    y: float
    bars: Sequence[Bar]


def histogram(bins: Mapping[JobState, Sequence[int]]) -> list[Column]:
    """The columns of a histogram."""
    totals = [sum(counts[index] for counts in bins.values()) for index in range(NUM_BINS)]
    unit = (HEIGHT - TOP - BOTTOM) / max(*totals, 1)
    step = WIDTH / NUM_BINS
    return [
        Column(
            x=index * step + _GAP / 2,
            width=step - _GAP,
            start=index / NUM_BINS,
            end=(index + 1) / NUM_BINS,
            num=totals[index],
            y=HEIGHT - BOTTOM - totals[index] * unit,
            bars=list(_bars({state: counts[index] for state, counts in bins.items()}, unit)),
        )
        for index in range(NUM_BINS)
    ]


def _bars(counts: Mapping[JobState, int], unit: float) -> Iterator[Bar]:
    y = float(HEIGHT - BOTTOM)
    for state in _STACKED:
        height = counts.get(state, 0) * unit
        if height:
            y -= height
            yield Bar(state=state, y=y, height=height)
