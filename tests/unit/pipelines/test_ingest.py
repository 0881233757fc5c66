import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from pipelines import ingest as module
from pipelines.readers import Read
from schemas.errors import EmptyDocumentError
from tests.cases import parcels
from tests.cases.worlds import enqueue, entries, job_ids, job_rows, make_runtime, rows, states
from workers.runtime import Runtime
from workers.store.progress import Progress, failures_by_reason, progress
from workers.store.session import reading
from workers.work import work


@pytest.fixture
def runtime(sqlite_store: Engine, tmp_path: Path) -> Iterator[Runtime]:
    made = make_runtime(str(sqlite_store.url), parcels.write_schema(tmp_path / "schemas"))
    yield made
    made.store.dispose()


def unreadable(name: str) -> Read:
    error = EmptyDocumentError("There is no text in it.")
    return Read.failed(f"/inbox/{name}", "text/plain", error, name.encode())


def where(runtime: Runtime, batch_id: int) -> Progress:
    with reading(runtime.store) as conn:
        return progress(conn, batch_id)


def test_the_same_content_twice_is_one_document_and_two_entries(runtime: Runtime) -> None:
    same = parcels.text("Ann", "1 cup")
    sent: list[int] = []
    batch_id = enqueue(runtime, [same, parcels.text("Bo", "1 cup"), same], on_commit=sent.extend)
    found = entries(runtime, batch_id)
    assert [entry.origin for entry in found] == ["/inbox/0.txt", "/inbox/1.txt", "/inbox/2.txt"]
    assert found[0].job_id == found[2].job_id != found[1].job_id
    assert sent == job_ids(runtime) and len(sent) == 2
    assert where(runtime, batch_id).queued == 3


def test_an_unreadable_document_is_an_entry_that_failed_with_its_reason(runtime: Runtime) -> None:
    sent: list[int] = []
    given_ = [unreadable("a.txt"), *parcels.reads([parcels.text("Ann", "1 cup")])]
    batch_id = enqueue(runtime, reads=given_, on_commit=sent.extend)
    first, second = entries(runtime, batch_id)
    assert (first.state, first.error_code, first.error) == (
        "failed",
        "empty_document",
        "There is no text in it.",
    )
    assert second.state == "queued"
    assert sent == [second.job_id]


def test_a_second_run_is_already_done(runtime: Runtime) -> None:
    texts = [parcels.text("Ann", "1 cup"), parcels.text("GARBLED", "1 cup")]
    enqueue(runtime, texts)
    work(runtime, job_ids(runtime))
    sent: list[int] = []
    batch_id = enqueue(runtime, texts, on_commit=sent.extend)
    now = where(runtime, batch_id)
    assert (now.already_done, now.total, now.finished, sent) == (2, 2, True, [])
    assert len(runtime.engine.requests) == 2


def test_another_version_of_the_schema_is_another_job(runtime: Runtime, tmp_path: Path) -> None:
    texts = [parcels.text("Ann", "1 cup")]
    enqueue(runtime, texts)
    file = tmp_path / "schemas" / "parcel.jsonl"
    file.write_text(file.read_text().replace("Ann", "Ida"))
    # a process reads examples once; this stands for the next one
    del runtime.registry
    enqueue(runtime, texts)
    assert states(runtime) == ["queued", "queued"]
    assert len(rows(runtime, "SELECT id FROM documents")) == 1


def test_ids_are_given_after_the_commit_a_chunk_at_a_time_and_documents_are_streamed(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "COMMIT_SIZE", 3)
    pulled = 0
    seen: list[tuple[int, list[str]]] = []

    def source() -> Iterator[Read]:
        nonlocal pulled
        for read in parcels.reads(parcels.text(f"P{n}", "1 cup") for n in range(7)):
            pulled += 1
            yield read

    def on_commit(ids: Sequence[int]) -> None:
        # another connection sees them, so they are committed
        state_of = dict(rows(runtime, "SELECT id, state FROM jobs"))
        seen.append((pulled, [state_of[job_id] for job_id in ids]))

    enqueue(runtime, reads=source(), on_commit=on_commit)
    assert seen == [(3, ["queued"] * 3), (6, ["queued"] * 3), (7, ["queued"])]


def test_large_texts_are_committed_before_they_fill_the_memory(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "COMMIT_CHARS", 100)
    chunks: list[int] = []
    texts = [f"{n}" * 60 for n in range(5)]
    enqueue(runtime, texts, on_commit=lambda ids: chunks.append(len(ids)))
    assert chunks == [2, 2, 1]


def test_a_source_that_breaks_off_leaves_what_was_committed_and_an_open_batch(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "COMMIT_SIZE", 2)
    texts = [parcels.text(f"P{n}", "1 cup") for n in range(5)]

    def broken() -> Iterator[Read]:
        yield from parcels.reads(texts[:3])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        enqueue(runtime, reads=broken())
    assert (where(runtime, 1).total, where(runtime, 1).sealed) == (2, False)
    batch_id = enqueue(runtime, texts)
    work(runtime, job_ids(runtime))
    now = where(runtime, batch_id)
    assert (now.done, now.total, now.finished) == (5, 5, True)
    assert len(rows(runtime, "SELECT * FROM parcel")) == 5


def test_an_empty_source_is_a_batch_that_is_finished(runtime: Runtime) -> None:
    batch_id = enqueue(runtime, [])
    assert (where(runtime, batch_id).total, where(runtime, batch_id).finished) == (0, True)


ENDS = {"good": "done", "GARBLED": "review", "GRAMMAR": "failed", "unreadable": "failed"}
salts = itertools.count()


@given(
    batches=st.lists(
        st.tuples(
            st.lists(st.tuples(st.sampled_from(sorted(ENDS)), st.integers(0, 3)), max_size=12),
            st.booleans(),
        ),
        min_size=1,
        max_size=4,
    ),
    commit_size=st.integers(1, 5),
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_ledger_adds_up(
    runtime: Runtime, batches: list[tuple[list[tuple[str, int]], bool]], commit_size: int
) -> None:
    # the store stays from one example to the next, so each has documents of its own
    salt = next(salts)
    ended: dict[tuple[str, int], str] = {}
    made: list[tuple[int, list[tuple[str, int]], dict[tuple[str, int], str]]] = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "COMMIT_SIZE", commit_size)
        for documents, is_worked_off in batches:
            sent: list[int] = []
            reads = [document_of(salt, *document) for document in documents]
            batch_id = enqueue(runtime, reads=reads, on_commit=sent.extend)
            check(runtime, batch_id, documents, ended)
            assert len(sent) == len(set(sent))
            assert all(state == "queued" for state in states_of(runtime, sent))
            made.append((batch_id, documents, dict(ended)))
            if is_worked_off:
                work(runtime, job_ids(runtime))
                for _, earlier, _ in made:
                    ended |= {document: ENDS[document[0]] for document in earlier}
    work(runtime, job_ids(runtime))
    for batch_id, documents, before in made:
        now = check(runtime, batch_id, documents, before)
        assert now.finished
        for entry, (kind, _) in zip(entries(runtime, batch_id), documents, strict=True):
            assert entry.state == ENDS[kind]
            assert bool(entry.error) == (entry.state != "done")
        with reading(runtime.store) as conn:
            num_explained = sum(reason.count for reason in failures_by_reason(conn, batch_id))
        assert num_explained == sum(kind != "good" for kind, _ in documents)


def document_of(salt: int, kind: str, number: int) -> Read:
    if kind == "unreadable":
        return unreadable(f"{salt}-{number}")
    return parcels.reads([parcels.text(f"{kind} {salt}-{number}", "1 cup")])[0]


def check(
    runtime: Runtime,
    batch_id: int,
    documents: list[tuple[str, int]],
    before: dict[tuple[str, int], str],
) -> Progress:
    """Counts are those of the entries, and what was extracted before is counted as such."""
    now = where(runtime, batch_id)
    found = entries(runtime, batch_id)
    assert now.total == len(documents) == len(found)
    assert now.already_done == sum(before.get(document) in ("done", "review") for document in documents)
    counted = Counter("already_done" if entry.already_done else entry.state for entry in found)
    assert counted == {name: count for name in (*counted, "already_done") if (count := getattr(now, name))}
    return now


def states_of(runtime: Runtime, ids: Sequence[int]) -> list[str]:
    state_of = {job.id: job.state for job in job_rows(runtime)}
    return [state_of[job_id] for job_id in ids]
