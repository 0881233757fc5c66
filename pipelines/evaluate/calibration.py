"""Whether confidence is what it says: of values with confidence 0.8, eight in ten should be right."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.evaluate.match import Judgement, Verdict
from schemas.errors import ConfigurationError

NUM_BINS = 10


@dataclass(frozen=True, kw_only=True)
class Bin:
    """The values whose confidence is at least `low` and less than `high`."""

    low: float
    high: float
    count: int
    # means over the values; 0 if there are none
    confidence: float
    accuracy: float


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Confidence against correctness of the extracted values; None where there are none."""

    # expected calibration error
    error: float | None
    # mean confidence of the values that are right, and of the others
    if_right: float | None
    if_wrong: float | None
    bins: Sequence[Bin]

    @classmethod
    def of(cls, judged: Iterable[tuple[Judgement, float]]) -> "Calibration":
        """Of the verdicts on extracted values, with the model's confidence in each."""
        pairs = [(confidence, judgement.verdict is Verdict.RIGHT) for judgement, confidence in judged]
        filled = bins(pairs)
        return cls(
            error=expected_error(filled),
            if_right=_mean_or_none([confidence for confidence, is_right in pairs if is_right]),
            if_wrong=_mean_or_none([confidence for confidence, is_right in pairs if not is_right]),
            bins=filled,
        )


def bins(pairs: Iterable[tuple[float, bool]]) -> list[Bin]:
    """Bins of equal width over pairs of confidence and whether the value is right."""
    held: list[list[tuple[float, bool]]] = [[] for _ in range(NUM_BINS)]
    for confidence, is_right in pairs:
        held[min(int(confidence * NUM_BINS), NUM_BINS - 1)].append((confidence, is_right))
    return [
        Bin(
            low=number / NUM_BINS,
            high=(number + 1) / NUM_BINS,
            count=len(values),
            confidence=_mean([confidence for confidence, _ in values]),
            accuracy=_mean([is_right for _, is_right in values]),
        )
        for number, values in enumerate(held)
    ]


def expected_error(filled: Sequence[Bin]) -> float | None:
    """Expected calibration error (Naeini et al. 2015), 0 to 1: the mean gap of confidence and accuracy."""
    total = sum(each.count for each in filled)
    gaps = (each.count * abs(each.confidence - each.accuracy) for each in filled if each.count)
    return sum(gaps) / total if total else None


def _mean_or_none(values: Sequence[float]) -> float | None:
    return _mean(values) if values else None


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def require_plots() -> Any:
    """Matplotlib's figure class.

    Raises:
        ConfigurationError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as exc:
        raise ConfigurationError(
            "Plots need matplotlib.", hint="Install it with `pip install 'gleaner[plots]'`."
        ) from exc
    return Figure


def plot(filled: Sequence[Bin], title: str, path: Path) -> None:
    """A reliability diagram as PNG: accuracy over confidence, and how many values each bin holds."""
    figure = require_plots()(figsize=(5, 6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    middles = [(each.low + each.high) / 2 for each in filled]
    width = 0.9 / NUM_BINS
    above.bar(middles, [each.accuracy for each in filled], width=width)
    # as it should be
    above.plot([0, 1], [0, 1], color="black", linestyle="--")
    above.set(title=title, ylabel="share right", xlim=(0, 1), ylim=(0, 1))
    below.bar(middles, [each.count for each in filled], width=width)
    below.set(xlabel="confidence", ylabel="values")
    figure.savefig(path, format="png", dpi=120)
