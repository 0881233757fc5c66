"""What this process counts and times for Prometheus: `exporter` shows it, `gauges` adds what can be asked for."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from prometheus_client import Counter, Histogram, disable_created_metrics

from workers.engine.protocol import Completion
from workers.traces import span

# else a second series beside every counter, which nobody asks for
disable_created_metrics()  # type: ignore[no-untyped-call]

# from a claim in a small database to a chunk of long documents on a CPU
_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)

DOCUMENTS = Counter(
    "gleaner_documents",
    "What came of documents here: done, review, failed, retried (queued again) or lost (the device died over it).",
    ["outcome", "reason"],
)
FENCED = Counter(
    "gleaner_fenced_writes",
    "Results that came after their lease had ended or was cancelled, and were dropped.",
)
EXPIRED = Counter(
    "gleaner_leases_expired", "Leases that this process found expired, by what the job became.", ["state"]
)
STOPPED = Counter(
    "gleaner_batches_stopped", "Batches that were stopped as too many of their documents failed."
)
SENT = Counter("gleaner_messages_sent", "Messages to the queue.", ["task"])
TOKENS = Counter(
    "gleaner_tokens",
    "Tokens of prompts and answers; of the prompts those cached, of the answers those forced, drafted, accepted.",
    ["kind"],
)
FORWARDS = Counter(
    "gleaner_forwards", "Steps of the model, each counted once for every prompt that took part in it."
)
PROMPT_SECONDS = Histogram(
    "gleaner_prompt_seconds", "From the first step of a prompt to its end.", buckets=_BUCKETS_S
)
STAGE_SECONDS = Histogram(
    "gleaner_stage_seconds",
    "Of a batch of documents: claim, prompt, complete, conclude, persist.",
    ["stage"],
    buckets=_BUCKETS_S,
)

# there from the start, so that the first one is seen as a rise
for _state in ("queued", "failed"):
    EXPIRED.labels(_state)
DOCUMENTS.labels("done", "")


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Time a stage of the work, and make it a span of the trace."""
    with span(name), STAGE_SECONDS.labels(name).time():
        yield


def count_completions(completions: Sequence[Completion]) -> None:
    """Count what prompts took, whatever comes of their documents."""
    for completion in completions:
        usage = completion.usage
        TOKENS.labels("prompt").inc(usage.prompt_tokens)
        TOKENS.labels("output").inc(usage.output_tokens)
        TOKENS.labels("cached").inc(usage.cached_tokens)
        TOKENS.labels("forced").inc(usage.forced_tokens)
        TOKENS.labels("drafted").inc(usage.drafted_tokens)
        TOKENS.labels("accepted").inc(usage.accepted_tokens)
        FORWARDS.inc(usage.forwards)
        PROMPT_SECONDS.observe(usage.seconds)
