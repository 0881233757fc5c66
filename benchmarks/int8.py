"""Whether int8 weights would pay on this CPU: the embedded checkpoint's products in float32 and dynamic int8, in turn.

python benchmarks/int8.py [--threads 1]
"""

import argparse
import statistics
import time
import warnings
from collections.abc import Callable

import torch

# rows and columns of the weights: gate, queries, keys and values; gate and up; down; head
SHAPES = ((256, 1024), (256, 1408), (704, 256), (256, 6144))
# tokens of a step, of several rows with drafts, of a prompt
TOKENS = (8, 64, 2000)
REPEATS = 40


def seconds(do: Callable[[torch.Tensor], torch.Tensor], given: torch.Tensor) -> float:
    begun = time.thread_time()
    do(given)
    return time.thread_time() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    torch.set_num_threads(parser.parse_args().threads)
    # torch.ao moves to a package of its own
    warnings.simplefilter("ignore")
    print("| weights | tokens | float32 us | int8 us | ratio |\n|---|---|---|---|---|")
    for columns, rows in SHAPES:
        plain = torch.nn.Linear(columns, rows, bias=False).eval()
        small = torch.ao.quantization.quantize_dynamic(
            torch.nn.Sequential(plain), {torch.nn.Linear}, dtype=torch.qint8
        )
        for tokens in TOKENS:
            given = torch.randn(tokens, columns)
            with torch.inference_mode():
                pairs = [(seconds(plain, given), seconds(small, given)) for _ in range(REPEATS)]
            took = [1e6 * statistics.median(each) for each in zip(*pairs, strict=True)]
            print(
                f"| {columns} x {rows} | {tokens} | {took[0]:.0f} | {took[1]:.0f} | {took[0] / took[1]:.2f} |"
            )


if __name__ == "__main__":
    main()
