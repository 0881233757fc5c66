"""Attention for many rows at once gives what attention row by row gives, whatever rows there are."""

import random
from itertools import accumulate

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import scaled_dot_product_attention

from workers.engine.attention import Attention, Part
from workers.engine.cache import FP8, Arena, Span, bytes_per_token
from workers.engine.padded import PaddedAttention
from workers.engine.partial import Partial

PASSES, HEADS, DIMENSION = 2, 2, 8

# what a row has in the cache, its tokens that see each other, those behind, and which block it reads
Row = tuple[int, int, int, int | None]

rows = st.tuples(
    st.integers(0, 90), st.integers(0, 40), st.integers(0, 20), st.sampled_from([None, None, 0, 1])
).map(lambda row: row if row[1] + row[2] else (*row[:2], 1, row[3]))


def parts_of(steps: list[Row], arena: Arena, rng: random.Random) -> list[Part]:
    """Rows in places of any order, with gaps, and two blocks before them."""
    blocks = [arena.take(size) for size in (11, 40)]
    offsets = accumulate((block + causal for _, block, causal, _ in steps), initial=0)
    made = [
        Part(
            offset=offset,
            place=0,
            num_cached=cached,
            num_block=block,
            num_causal=causal,
            shared=None if shared is None else blocks[shared],
        )
        for offset, (cached, block, causal, shared) in zip(offsets, steps, strict=False)
    ]
    for number in rng.sample(range(len(made)), len(made)):
        part = made[number]
        span = arena.take(part.num_cached + part.num_tokens + rng.randrange(5))
        assert span
        object.__setattr__(part, "place", span.start)
    return made


def holding(parts: list[Part], dtype: torch.dtype) -> Arena:
    """An arena with numbers where there are keys and values of these rows, and none elsewhere."""
    arena = Arena((PASSES, HEADS, DIMENSION), 4000, torch.empty(0, dtype=dtype))
    arena.values.fill_(torch.nan)
    live = [Span(part.place, part.place + part.num_cached) for part in parts]
    for span in [*live, *(part.shared for part in parts if part.shared)]:
        arena.values[:, span.start : span.end] = torch.randn(
            PASSES, span.num_places, 2, HEADS, DIMENSION, dtype=dtype
        )
    return arena


def check(steps: list[Row], seed: int, dtype: torch.dtype, tolerance: float) -> None:
    torch.manual_seed(seed)
    layout = Arena((1, 1, 1), 4000, torch.empty(0))
    parts = parts_of(steps, layout, random.Random(seed))
    arena = holding(parts, dtype)
    other = Arena((PASSES, HEADS, DIMENSION), 4000, torch.empty(0, dtype=dtype))
    other.values.copy_(arena.values)
    one, many = Attention(parts, arena), PaddedAttention(parts, other)
    assert torch.equal(one.positions, many.positions)
    for index in range(PASSES):
        num_tokens = len(one.positions)
        query = 3 * torch.randn(num_tokens, HEADS, DIMENSION, dtype=dtype)
        key_value = torch.randn(num_tokens, 2, HEADS, DIMENSION, dtype=dtype)
        expected, seen = one(index, query, key_value), many(index, query, key_value)
        torch.testing.assert_close(seen, expected, atol=tolerance, rtol=0)
    torch.testing.assert_close(other.values, arena.values, equal_nan=True, atol=0, rtol=0)


@settings(max_examples=60)
@given(steps=st.lists(rows, min_size=1, max_size=12), seed=st.integers(0, 99))
def test_any_rows(steps: list[Row], seed: int) -> None:
    check(steps, seed, torch.float64, 1e-12)


@pytest.mark.parametrize("shared", [None, 0])
def test_single_precision(shared: int | None) -> None:
    steps: list[Row] = [(n * 7 % 90, n % 3 * 20, n % 5 + 1, shared) for n in range(40)]
    check(steps, 1, torch.float32, 1e-5)


@pytest.mark.parametrize("shared", [None, 1])
def test_fp8_takes_a_quarter_of_float32_and_gives_nearly_the_same(shared: int | None) -> None:
    shape, like = (1, HEADS, DIMENSION), torch.empty(0)
    assert bytes_per_token(shape, FP8) * 4 == bytes_per_token(shape, torch.float32)
    torch.manual_seed(0)
    wide, narrow = Arena(shape, 4000, like), Arena(shape, 4000, like, FP8)
    steps: list[Row] = [(n * 7 % 90, n % 3 * 20, n % 5 + 1, shared) for n in range(40)]
    parts = parts_of(steps, wide, random.Random(0))
    # what stands in the cache already; some of it larger than fp8 has numbers for
    before = 3 * torch.randn(4000, 2, HEADS, DIMENSION)
    before[7, 1] = 1e4
    for arena in (wide, narrow):
        arena.layer(0).write(torch.arange(4000), before)
    assert narrow.layer(0)[slice(0, 4000)].isfinite().all()
    assert narrow.layer(0)[slice(7, 8)].max() == 448
    num_tokens = sum(part.num_tokens for part in parts)
    query = torch.randn(num_tokens, HEADS, DIMENSION)
    key_value = torch.randn(num_tokens, 2, HEADS, DIMENSION)
    one, many = (kind(parts, narrow)(0, query, key_value) for kind in (Attention, PaddedAttention))
    torch.testing.assert_close(many, one, atol=1e-5, rtol=0)
    # three bits of mantissa
    exact = Attention(parts, wide)(0, query, key_value)
    near = torch.nn.functional.cosine_similarity(one, exact)
    assert near.median() > 0.995
    assert near.median() < 1


def test_a_part_in_bfloat16_is_as_exact_as_the_whole_where_scores_are_large() -> None:
    """Scores of some tens, as long keys have, may not be rounded to bfloat16 before they are compared."""
    torch.manual_seed(0)
    query, key_value = 6 * torch.randn(8, HEADS, 64), torch.randn(200, 2, HEADS, 64)
    key_value[:, 0] *= 6
    query, key_value = query.bfloat16(), key_value.bfloat16()
    own, shared = Partial.of(query, key_value[:90]), Partial.of(query, key_value[90:])
    keys, values = key_value.float().transpose(0, 1).transpose(1, 2)
    exact = scaled_dot_product_attention(query.float().transpose(0, 1), keys, values).transpose(0, 1)
    torch.testing.assert_close(own.merged(shared), exact, atol=0.02, rtol=0.02)


def test_few_calls_for_many_rows() -> None:
    steps: list[Row] = [(1300 + 10 * n, 0, 1 + n % 16, None) for n in range(64)]
    layout = Arena((1, 1, 1), 200_000, torch.empty(0))
    many = PaddedAttention(parts_of(steps, layout, random.Random(0)), layout)
    assert len(many._buckets) <= 4
    assert sum(bucket.places.numel() for bucket in many._buckets) <= 1.5 * sum(n[0] for n in steps)
