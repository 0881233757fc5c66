"""The 1 B shape on a GPU: documents/s against what the memory's and the multipliers' measured rates allow.

python benchmarks/gpu.py [--prompt 1500] [--answer 150] [--batches 1 16 64] [--count 64]

Weights are random and answers are replayed: the likeliest token is replaced by the one of a given answer, with all
of the work done. So documents/s are real, and what is written says nothing of a model.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import cycle, islice

import torch
from asks import Ask, invoices
from engine import replayed, run
from rival import generate
from transformers import HrmTextConfig, HrmTextForCausalLM

from workers.engine import checkpoint
from workers.engine.cache import bytes_per_token
from workers.engine.checkpoint import Loaded
from workers.engine.drafts import no_drafts
from workers.engine.engine import HrmTextEngine
from workers.engine.identity import identify
from workers.engine.network import Network
from workers.engine.tokenizer import PlainTokenizer
from workers.settings import EMBEDDED_CHECKPOINT

# of a layer: gate, query, key, value and output of hidden x hidden, three of hidden x intermediate
HIDDEN, INTERMEDIATE, LAYERS = 1536, 4096, 16


def load(device: torch.device) -> Loaded:
    """HRM-Text-1B's shape with random weights, and the embedded checkpoint's tokenizer."""
    config = HrmTextConfig(
        vocab_size=65_536,
        hidden_size=HIDDEN,
        intermediate_size=INTERMEDIATE,
        num_hidden_layers=LAYERS,
        num_attention_heads=12,
        head_dim=128,
        max_position_embeddings=4096,
        H_cycles=2,
        L_cycles=3,
        pad_token_id=5,
        bos_token_id=6,
        eos_token_id=11,
    )
    with torch.device(device):
        torch.set_default_dtype(torch.bfloat16)
        model = HrmTextForCausalLM(config).eval()
        torch.set_default_dtype(torch.float32)
    tokenizer = PlainTokenizer(EMBEDDED_CHECKPOINT / "tokenizer.json")
    return Loaded(checkpoint=identify(EMBEDDED_CHECKPOINT), model=model, tokenizer=tokenizer)


def asks(tokenizer: PlainTokenizer, count: int, prompt: int, answer: int) -> list[Ask]:
    """Long invoices with prompts of so many tokens, made so by more or less of their examples."""
    return [_resized(ask, prompt, answer) for ask in invoices(tokenizer, count)]


def _resized(ask: Ask, prompt: int, answer: int) -> Ask:
    ids, num_shared = list(ask.request.prompt), ask.num_shared
    own = ids[num_shared:]
    shared = list(islice(cycle(ids[:num_shared]), max(1, prompt - len(own))))
    request = replace(ask.request, prompt=[*shared, *own], max_new_tokens=answer)
    return replace(ask, request=request, num_shared=len(shared))


def copy_rate(device: torch.device) -> float:
    """Bytes read and written a second."""
    one = torch.empty(1 << 30, dtype=torch.uint8, device=device)
    other = torch.empty_like(one)
    return 2 * one.numel() / _seconds(lambda: other.copy_(one))


def product_rate(device: torch.device) -> float:
    """Multiplications and additions a second, of large matrices in bfloat16."""
    size = 8192
    one = torch.randn(size, size, dtype=torch.bfloat16, device=device)
    return 2 * size**3 / _seconds(lambda: one @ one)


def _seconds(call: Callable[[], object], repeat: int = 20) -> float:
    for _ in range(3):
        call()
    torch.cuda.synchronize()
    start_s = time.perf_counter()
    for _ in range(repeat):
        call()
    torch.cuda.synchronize()
    return (time.perf_counter() - start_s) / repeat


def roofline(
    network: Network, tokens: int, steps: int, prompt: int, answer: int, rates: tuple[float, float]
) -> float:
    """Seconds of a batch that feeds so many tokens in so many steps, were nothing lost; `rates` of bytes and products.

    A step reads each stack once a pass and the cache of all its rows; a token is multiplied with every weight of every
    pass. Attention's own products are left out, as they are few beside.
    """
    passes = network.kv_shape[0]
    weights = passes * (5 * HIDDEN**2 + 3 * HIDDEN * INTERMEDIATE)
    cached = bytes_per_token(network.kv_shape, network.like.dtype) * (prompt + answer / 2)
    rows = tokens / max(1, prompt + answer)
    memory_s = steps * (weights * network.like.itemsize) / rates[0] + steps * rows * cached / rates[0]
    return max(memory_s, 2 * weights * tokens / rates[1])


def lines(
    loaded: Loaded, chosen: Sequence[Ask], batch_size: int, rates: tuple[float, float]
) -> Iterator[str]:
    network = Network(loaded.model)
    requests = {
        "forced": (no_drafts, [ask.request for ask in chosen]),
        "forced + drafts": (None, [ask.request for ask in chosen]),
        "forced + drafts + shared examples": (None, [ask.sharing for ask in chosen]),
    }
    for name, (drafting, asked) in requests.items():
        engine = HrmTextEngine(loaded, drafting=drafting)
        # kernels are chosen and memory is taken before the clock runs
        run(engine, asked[:batch_size], batch_size)
        before = engine.occupancy()
        torch.cuda.reset_peak_memory_stats()
        start_s = time.perf_counter()
        completions = run(engine, asked, batch_size)
        seconds = time.perf_counter() - start_s
        after = engine.occupancy()
        steps, tokens = after.num_steps - before.num_steps, after.num_tokens - before.num_tokens
        least_s = roofline(
            network,
            tokens,
            steps,
            len(asked[0].prompt),
            sum(len(c.tokens) for c in completions) // len(completions),
            rates,
        )
        written = sum(len(c.tokens) for c in completions)
        forwards = sum(c.usage.forwards for c in completions)
        memory = torch.cuda.max_memory_allocated() / 2**30
        yield (
            f"| {batch_size} | {name} | {len(asked) / seconds:.2f} | {written / forwards:.2f} | {steps} | {tokens} "
            f"| {least_s / seconds:.2f} | {memory:.1f} |"
        )
        del engine
        torch.cuda.empty_cache()
    made = generate(loaded, requests["forced"][1], batch_size, [ask.gold or [] for ask in chosen])
    yield f"| {batch_size} | generate() + llguidance | {len(chosen) / made.seconds:.2f} | 1.00 | - | - | - | - |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompt", type=int, default=1500)
    parser.add_argument("--answer", type=int, default=150)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 16, 64])
    parser.add_argument("--count", type=int, default=64)
    options = parser.parse_args()
    device = checkpoint.choose_device("cuda")
    loaded = load(device)
    rates = copy_rate(device), product_rate(device)
    print(
        f"{torch.cuda.get_device_name(device)}: copies {rates[0] / 1e12:.2f} TB/s, products {rates[1] / 1e12:.0f} T/s"
    )
    print("| batch | variant | documents/s | tokens/forward | steps | tokens fed | of the roofline | GiB |")
    print("|---|---|---|---|---|---|---|---|")
    chosen = asks(loaded.tokenizer, options.count, options.prompt, options.answer)
    with replayed(chosen):
        for batch_size in options.batches:
            for each in lines(loaded, chosen, batch_size, rates):
                print(each, flush=True)


if __name__ == "__main__":
    main()
