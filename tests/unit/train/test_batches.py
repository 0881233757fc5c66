import os
from collections import Counter
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import HrmTextForCausalLM

from pipelines.train.attention import Row, use_row_attention
from pipelines.train.batches import Batch, Fed, Position, batches, collate, group, num_tokens
from pipelines.train.data import CHUNK_SIZE, Maker, Sample
from pipelines.train.feed import Feed
from pipelines.train.model import make_model
from pipelines.train.objective import score
from schemas.errors import ConfigurationError, TransientError
from tests.cases.reference_forward import Batch as EngineBatch
from tests.cases.slips import ARCHITECTURE
from workers.engine.tokenizer import PlainTokenizer

BUDGET = 2048


@pytest.fixture(scope="session")
def model(tokenizer: PlainTokenizer) -> HrmTextForCausalLM:
    model = make_model(ARCHITECTURE, tokenizer, "cpu")
    with torch.no_grad():
        # so that attention counts for something in a model that has learned nothing
        for layer in (*model.model.L_module.layers, *model.model.H_module.layers):
            layer.self_attn.q_proj.weight *= 4
            layer.self_attn.o_proj.weight *= 2
    return model


@pytest.fixture(scope="session")
def samples(maker: Maker) -> list[Sample]:
    return [sample for sample in maker.chunk(0) if sample]


@pytest.fixture(scope="session")
def families(maker: Maker) -> list[Sample]:
    """Samples with siblings behind the same block."""
    made = replace(maker, examples_block=True).chunk(0)
    return [sample for sample in made if sample and sample.siblings]


def ids(fed: list[Fed]) -> list[list[int]]:
    return [each.batch.ids.tolist() for each in fed]


@given(st.lists(st.tuples(st.integers(1, 300), st.integers(1, 60)), min_size=1, max_size=60))
def test_groups_hold_every_sample_once_within_the_budget(lengths: list[tuple[int, int]]) -> None:
    made = [
        Sample(ids=np.full(prompt + answer, number, dtype=np.int32), num_prompt=prompt)
        for number, (prompt, answer) in enumerate(lengths)
    ]
    groups = group(made, 512)
    assert sorted(int(sample.ids[0]) for each in groups for sample in each) == list(range(len(made)))
    for each in groups:
        assert len(each) == 1 or collate(each).num_tokens <= 512
        assert collate(each).num_tokens == sum(map(num_tokens, each))


def test_only_the_answer_and_its_end_are_predicted(samples: list[Sample], families: list[Sample]) -> None:
    chosen = [samples[0], families[0], samples[1]]
    batch = collate(chosen)
    start = num_wanted = 0
    for sample in chosen:
        assert (
            batch.ids[start : start + sample.num_shared].tolist() == sample.ids[: sample.num_shared].tolist()
        )
        start += sample.num_shared
        for each in (sample, *sample.siblings):
            num_fed = len(each) - each.num_shared - 1
            assert batch.ids[start : start + num_fed].tolist() == each.ids[each.num_shared : -1].tolist()
            assert batch.positions[start : start + num_fed].tolist() == list(
                range(each.num_shared, len(each) - 1)
            )
            wanted = slice(num_wanted, num_wanted + each.num_answer)
            assert batch.wanted[wanted].tolist() == each.ids[each.num_prompt :].tolist()
            # predicted where the token before it is fed
            first = start + each.num_prompt - each.num_shared - 1
            assert batch.places[wanted].tolist() == list(range(first, first + each.num_answer))
            start, num_wanted = start + num_fed, wanted.stop
    assert batch.num_answer_tokens == num_wanted
    assert batch.num_tokens == start
    assert batch.num_samples == 3 + len(families[0].siblings)


def test_neighbours_change_nothing(
    model: HrmTextForCausalLM, samples: list[Sample], families: list[Sample]
) -> None:
    chosen = [min(samples, key=len), families[0], max(samples, key=len), samples[0], families[1]]
    with torch.no_grad():
        together = score(model, collate(chosen), torch.float32)
        alone = [score(model, collate([each]), torch.float32) for each in chosen]
    torch.testing.assert_close(together.loss, torch.stack([each.loss for each in alone]).sum())
    assert together.num_right == sum(each.num_right for each in alone)


def test_siblings_change_nothing(model: HrmTextForCausalLM, families: list[Sample]) -> None:
    whole = families[0]
    apart = [replace(each, siblings=()) for each in (whole, *whole.siblings)]
    with torch.no_grad():
        together = score(model, collate([whole]), torch.float32)
        alone = [score(model, collate([each]), torch.float32) for each in apart]
    torch.testing.assert_close(together.loss, torch.stack([each.loss for each in alone]).sum())


def test_the_loss_is_that_of_the_engines_own_forwards(
    model: HrmTextForCausalLM, samples: list[Sample]
) -> None:
    """Prefill of the whole prompt and a token at a time: what extraction computes."""
    chosen = samples[:3]
    expected = 0.0
    model.set_attn_implementation("sdpa")
    with torch.inference_mode():
        for sample in chosen:
            engine = EngineBatch(model)
            logits = engine.prefill([sample.ids[: sample.num_prompt].tolist()])
            for token in sample.ids[sample.num_prompt :].tolist():
                expected -= logits.log_softmax(dim=1)[0, token].item()
                logits = engine.step([token])
        use_row_attention(model)
        found = score(model, collate(chosen), torch.float32).loss.item()
        causal = score(model, read_one_way(collate(chosen)), torch.float32).loss.item()
        assert causal != pytest.approx(expected, rel=1e-3)
    assert found == pytest.approx(expected, rel=1e-5)


def read_one_way(batch: Batch) -> Batch:
    """The same predictions, from prompts that are not read both ways."""
    rows = [tuple(Row(num_prompt=0, num_answer=len(row)) for row in family.rows) for family in batch.families]
    families = [replace(family, rows=own) for family, own in zip(batch.families, rows, strict=True)]
    return replace(batch, families=tuple(families))


def test_batches_go_on_from_any_position(maker: Maker) -> None:
    feed = Feed(maker, 0)
    whole = list(islice(batches(feed, Position(), tokens_per_batch=BUDGET, seed=0), 100))
    assert whole[0].after == Position(chunk=0, batch=1)
    assert len({each.after.chunk for each in whole}) > 1, "the first pool does not end"
    for place in (0, 17, 60, 98):
        rest = batches(feed, whole[place].after, tokens_per_batch=BUDGET, seed=0)
        assert ids(list(islice(rest, 99 - place))) == ids(whole[place + 1 :])


def test_a_pool_is_shuffled_by_the_seed(maker: Maker) -> None:
    def drawn(seed: int) -> list[list[int]]:
        return ids(list(islice(batches(Feed(maker, 0), Position(), tokens_per_batch=BUDGET, seed=seed), 20)))

    assert drawn(0) == drawn(0) != drawn(1)
    sizes = [len(batch) for batch in drawn(0)]
    assert sizes != sorted(sizes)


def test_worker_processes_change_nothing(maker: Maker) -> None:
    feed = Feed(maker, 2)
    try:
        made = list(islice(feed.chunks(3), 4))
    finally:
        feed.close()
    for number, chunk in enumerate(made, start=3):
        expected = maker.chunk(number)
        assert [s.ids.tolist() for s in chunk if s] == [s.ids.tolist() for s in expected if s]
        assert len(chunk) == CHUNK_SIZE


class Dying(Maker):
    """Ends the process it is in."""

    def chunk(self, number: int) -> list[Sample | None]:
        os._exit(9)


def test_a_worker_process_that_dies_is_an_error_with_a_next_step(maker: Maker) -> None:
    feed = Feed(Dying(**vars_of(maker)), 1)
    try:
        with pytest.raises(TransientError, match=r"ended\. Go on with --resume"):
            next(feed.chunks(0))
    finally:
        feed.close()


def test_what_does_not_fit_is_counted_and_nothing_fitting_is_an_error(maker: Maker) -> None:
    class Some(Maker):
        def chunk(self, number: int) -> list[Sample | None]:
            return [None, *maker.chunk(number)] if number < 8 else []

    class Nothing(Maker):
        def chunk(self, number: int) -> list[Sample | None]:
            return [None] * 4

    some, nothing = Some(**vars_of(maker)), Nothing(**vars_of(maker))
    dropped = Counter(
        each.num_dropped for each in batches(Feed(some, 0), Position(), tokens_per_batch=BUDGET, seed=0)
    )
    assert sum(number * times for number, times in dropped.items()) == 8
    with pytest.raises(ConfigurationError, match="None of 16 samples fits"):
        next(batches(Feed(nothing, 0), Position(), tokens_per_batch=BUDGET, seed=0))


def vars_of(maker: Maker) -> dict[str, object]:
    return {name: getattr(maker, name) for name in maker.__dataclass_fields__}
