import math
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.evaluate.calibration import bins, expected_error, plot, require_plots
from pipelines.evaluate.match import Judgement, Verdict
from pipelines.evaluate.metrics import field_figures, figures
from schemas.errors import ConfigurationError

pairs = st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=60)


def judgements(field: str, **numbers: int) -> list[Judgement]:
    return [
        Judgement(verdict=Verdict(name), path=(field,))
        for name, number in numbers.items()
        for _ in range(number)
    ]


def test_figures_computed_by_hand() -> None:
    """3 right of 3 + 1 + 2 in gold and of 3 + 1 + 1 found; 4 of 5 nulls."""
    made = figures(judgements("a", right=3, wrong=1, missing=2, spurious=1, right_null=4, lost_null=1))
    assert (made.precision, made.recall, made.null_rate) == (3 / 5, 3 / 6, 4 / 5)
    assert made.f1 == pytest.approx(2 * (3 / 5) * (3 / 6) / (3 / 5 + 3 / 6))
    assert (made.num_right, made.num_gold, made.num_found, made.num_nulls) == (3, 6, 5, 5)


def test_a_right_null_earns_nothing() -> None:
    few = figures(judgements("a", right=1, missing=1))
    many = figures(judgements("a", right=1, missing=1, right_null=1000))
    assert few.f1 == many.f1 and many.null_rate == 1.0


def test_nothing_to_divide_by_is_none() -> None:
    made = figures(judgements("a", right_null=2))
    assert (made.precision, made.recall, made.f1, made.null_rate) == (None, None, None, 1.0)
    assert figures([]).null_rate is None
    assert figures(judgements("a", missing=2)).f1 == 0.0


def test_fields_have_their_own_figures_and_the_order_they_are_met_in() -> None:
    made = field_figures([*judgements("b", right=1), *judgements("a", wrong=1), *judgements("b", missing=1)])
    assert list(made) == ["b", "a"]
    assert (made["b"].recall, made["a"].recall) == (0.5, 0.0)


def test_the_calibration_error_computed_by_hand() -> None:
    # 0.9 to 1: two values, mean confidence 0.95, one right; 0.2 to 0.3: one value, wrong
    filled = bins([(0.9, True), (1.0, False), (0.25, False)])
    assert [(each.low, each.count) for each in filled if each.count] == [(0.2, 1), (0.9, 2)]
    assert expected_error(filled) == pytest.approx((2 * abs(0.95 - 0.5) + 1 * 0.25) / 3)


def test_no_values_have_no_calibration_error() -> None:
    assert expected_error(bins([])) is None


def test_sure_and_right_is_calibrated() -> None:
    assert expected_error(bins([(1.0, True)] * 3 + [(0.0, False)] * 2)) == 0.0


@given(pairs)
def test_every_value_is_in_one_bin_and_the_error_is_a_share(given_pairs: list[tuple[float, bool]]) -> None:
    filled = bins(given_pairs)
    assert len(filled) == 10 and sum(each.count for each in filled) == len(given_pairs)
    for each in filled:
        assert not each.count or each.low - 1e-9 <= each.confidence <= each.high + 1e-9
    error = expected_error(filled)
    assert (error is None) == (not given_pairs)
    assert error is None or (0 <= error <= 1 and math.isfinite(error))


def test_a_plot_is_a_png(tmp_path: Path) -> None:
    plot(bins([(0.9, True), (0.4, False)]), "receipt", tmp_path / "receipt.png")
    assert (tmp_path / "receipt.png").read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_the_next_step_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'gleaner\[plots\]'"):
        require_plots()
