"""Attention row by row against attention for all rows at once, on a CPU, at the shape of the embedded checkpoint.

python benchmarks/attention.py [--repeat 20]

Both in turn in one run; microseconds of CPU time for one layer pass, the least of all repeats.
"""

import argparse
import time
from collections.abc import Iterator

import torch

from workers.engine import checkpoint
from workers.engine.attention import Attention, Part
from workers.engine.cache import Arena
from workers.engine.network import Network
from workers.engine.padded import PaddedAttention
from workers.settings import EMBEDDED_CHECKPOINT

# rows, tokens of each in the cache, tokens that it feeds
STEPS = [(1, 200, 8), (16, 60, 1), (64, 60, 1), (16, 200, 8), (64, 200, 8), (16, 1500, 8), (64, 1500, 8)]


def parts(num_rows: int, num_cached: int, num_tokens: int) -> Iterator[Part]:
    """Rows of lengths about that."""
    place = 0
    for number in range(num_rows):
        cached = num_cached + number * num_cached // (4 * num_rows)
        yield Part(
            offset=number * num_tokens, place=place, num_cached=cached, num_block=0, num_causal=num_tokens
        )
        place += cached + num_tokens


@torch.inference_mode()
def measure(
    heads: int, dimension: int, num_rows: int, num_cached: int, num_tokens: int, repeat: int
) -> list[float]:
    """Row by row, and at once."""
    num_places = num_rows * (2 * num_cached + num_tokens)
    arena = Arena((1, heads, dimension), num_places, torch.empty(0))
    arena.values.normal_()
    made = list(parts(num_rows, num_cached, num_tokens))
    query = torch.randn(num_rows * num_tokens, heads, dimension)
    key_value = torch.randn(num_rows * num_tokens, 2, heads, dimension)
    ways = [Attention(made, arena), PaddedAttention(made, arena)]
    least = [float("inf")] * len(ways)
    for _ in range(repeat):
        for number, way in enumerate(ways):
            start_ns = time.process_time_ns()
            way(0, query, key_value)
            least[number] = min(least[number], (time.process_time_ns() - start_ns) / 1000)
    return least


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=20)
    options = parser.parse_args()
    torch.set_num_threads(1)
    _, heads, dimension = Network(checkpoint.load(EMBEDDED_CHECKPOINT, "cpu", "float32").model).kv_shape
    print(
        "| rows | in the cache | fed | row by row, us | at once, us | at once takes |\n|---|---|---|---|---|---|"
    )
    for step in STEPS:
        one, other = measure(heads, dimension, *step, options.repeat)
        print(f"| {' | '.join(map(str, step))} | {one:.0f} | {other:.0f} | {other / one:.2f}x |", flush=True)


if __name__ == "__main__":
    main()
