"""Whatever owners, sweeps and people do to jobs, in any order: the store is what a model of one page says."""

import itertools
from dataclasses import dataclass, replace

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule
from hypothesis.stateful import run_state_machine_as_test as run
from sqlalchemy import Engine, delete, select, update

from tests.integration.store.conftest import World
from workers.store import jobs, steer, sweep
from workers.store.jobs import MAX_LOSSES, Claimed, Failure, Finished
from workers.store.models import BatchEntry, Document, Job, JobState
from workers.store.session import reading, transaction
from workers.store.steer import Filter
from workers.store.types import db_time

MAX_FAILURES = 2
OWNERS = st.sampled_from(["ann", "bo"])
ENDS = frozenset({"done", "review", "failed", "cancelled"})


@dataclass(frozen=True)
class Model:
    """What a job should be."""

    state: str = "queued"
    owner: str | None = None
    fence: int = 0
    failures: int = 0
    losses: int = 0
    is_sent: bool = False


class Jobs(RuleBasedStateMachine):
    """Rules are what happens; each says what must have become of the jobs."""

    engine: Engine
    numbers = itertools.count()
    claims = Bundle("claims")

    @initialize()
    def begin(self) -> None:
        with transaction(self.engine) as conn:
            for table in (BatchEntry, Job, Document):
                conn.execute(delete(table))
        self.world = World(self.engine)
        self.model: dict[int, Model] = {}
        self.finished: dict[int, int] = {}
        # few, so that much happens to each
        self.enqueue(2)

    def change(self, job_id: int, **changes: object) -> None:
        self.model[job_id] = replace(self.model[job_id], **changes)

    def ids(self, **wanted: object) -> set[int]:
        return {
            job_id
            for job_id, job in self.model.items()
            if all(getattr(job, name) == value for name, value in wanted.items())
        }

    def holds(self, owner: str, job: Claimed) -> bool:
        now = self.model[job.job_id]
        return (now.state, now.owner, now.fence) == ("leased", owner, job.fence)

    @rule(num=st.integers(1, 2))
    def enqueue(self, num: int) -> None:
        added = self.world.add(*(f"text {next(self.numbers)}" for _ in range(num)))
        self.model |= {one.job_id: Model() for one in added}

    @rule(target=claims, owner=OWNERS, limit=st.integers(1, 3), suspects=st.none() | st.booleans())
    def claim(self, owner: str, limit: int, suspects: bool | None) -> object:
        able = self.ids(state="queued")
        if suspects is not None:
            able = {job_id for job_id in able if (self.model[job_id].losses > 0) == suspects}
        more = {"checkpoint_id": self.world.checkpoint_id, "lease_s": 600, "limit": limit}
        with transaction(self.engine) as conn:
            taken = jobs.claim(conn, None, owner=owner, is_suspect=suspects, **more)
        assert [job.job_id for job in taken] == sorted(able)[:limit]
        for job in taken:
            self.change(job.job_id, state="leased", owner=owner, fence=self.model[job.job_id].fence + 1)
            assert job.fence == self.model[job.job_id].fence
        return multiple(*((owner, job) for job in taken))

    @rule(claim=claims, thief=st.booleans(), state=st.sampled_from([JobState.DONE, JobState.REVIEW]))
    def finish(self, claim: tuple[str, Claimed], thief: bool, state: JobState) -> None:
        """By who claimed it, however late, or by somebody else."""
        (owner, job), who = claim, claim[0] if not thief else "cy"
        is_ours = self.holds(owner, job) and not thief
        with transaction(self.engine) as conn:
            done = jobs.finish(conn, who, [Finished(job_id=job.job_id, fence=job.fence, state=state)])
        assert done == ({job.job_id} if is_ours else set())
        if is_ours:
            self.change(job.job_id, state=state.value, owner=None)
            self.finished[job.job_id] = self.finished.get(job.job_id, 0) + 1

    @rule(claim=claims, retryable=st.booleans())
    def fail(self, claim: tuple[str, Claimed], retryable: bool) -> None:
        (owner, job), is_ours = claim, self.holds(*claim)
        failure = Failure(
            job_id=job.job_id, fence=job.fence, error_code="device", error="It failed.", retryable=retryable
        )
        with transaction(self.engine) as conn:
            ours = jobs.fail_or_retry(conn, owner, [failure], max_failures=MAX_FAILURES)
        assert ours == ({job.job_id} if is_ours else set())
        if is_ours:
            failures = self.model[job.job_id].failures + 1
            again = retryable and failures < MAX_FAILURES
            state = "queued" if again else "failed"
            self.change(job.job_id, state=state, owner=None, failures=failures, is_sent=False)

    @rule(claim=consumes(claims))
    def release(self, claim: tuple[str, Claimed]) -> None:
        (owner, job), is_ours = claim, self.holds(*claim)
        with transaction(self.engine) as conn:
            assert jobs.still_held(conn, owner, [job.lease]) == ({job.job_id} if is_ours else set())
            assert jobs.release(conn, owner, [job.lease]) == ({job.job_id} if is_ours else set())
        if is_ours:
            self.change(job.job_id, state="queued", owner=None, is_sent=False)

    @rule(owner=OWNERS)
    def stop_at_once(self, owner: str) -> None:
        held = self.ids(state="leased", owner=owner)
        with transaction(self.engine) as conn:
            assert jobs.release_all(conn, [owner]) == len(held)
        for job_id in held:
            self.change(job_id, state="queued", owner=None, is_sent=False)

    @rule(owner=OWNERS)
    def claim_all_and_die(self, owner: str) -> None:
        self.claim(owner, 99, None)
        self.die(owner)

    @rule(owner=OWNERS)
    def die(self, owner: str) -> None:
        """Silent until the lease has ended; two sweeps at once find it."""
        held = self.ids(state="leased", owner=owner)
        with transaction(self.engine) as conn:
            conn.execute(update(Job).where(Job.lease_owner == owner).values(lease_until=db_time(-1)))
        with transaction(self.engine) as conn:
            expired, nothing = sweep.expire(conn), sweep.expire(conn)
        assert (sum(expired), sum(nothing)) == (len(held), 0)
        for job_id in held:
            self._lose(job_id)

    @rule(owner=OWNERS)
    def beat(self, owner: str) -> None:
        with transaction(self.engine) as conn:
            assert jobs.heartbeat(conn, owner, 600) == len(self.ids(state="leased", owner=owner))

    @rule()
    def restart_alone(self) -> None:
        held = self.ids(state="leased")
        with transaction(self.engine) as conn:
            assert sweep.reset(conn) == len(held)
        for job_id in held:
            self._lose(job_id)

    def _lose(self, job_id: int) -> None:
        losses = self.model[job_id].losses + 1
        state = "queued" if losses < MAX_LOSSES else "failed"
        self.change(job_id, state=state, owner=None, losses=losses, is_sent=False)

    @rule(room=st.integers(0, 5))
    def send(self, room: int) -> None:
        unsent = sorted(self.ids(state="queued", is_sent=False))[:room]
        with transaction(self.engine) as conn:
            assert sweep.sweep(conn, resend_after_s=600, room=room) == unsent
        for job_id in unsent:
            self.change(job_id, is_sent=True)

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        if self.model:
            job_id = data.draw(st.sampled_from(sorted(self.model)))
            is_open = self.model[job_id].state in {"queued", "leased"}
            with transaction(self.engine) as conn:
                assert steer.cancel(conn, Filter(ids=[job_id])) == ([job_id] if is_open else [])
            if is_open:
                self.change(job_id, state="cancelled", owner=None)

    @rule()
    def retry(self) -> None:
        again = self.ids(state="failed") | self.ids(state="cancelled")
        with transaction(self.engine) as conn:
            assert set(steer.retry(conn, Filter(batch_id=self.world.batch_id))) == again
        for job_id in again:
            self.change(job_id, state="queued", failures=0, losses=0, is_sent=False)

    @invariant()
    def the_store_is_as_the_model_says(self) -> None:
        if not hasattr(self, "model"):
            return
        with reading(self.engine) as conn:
            found = {job.id: job for job in conn.execute(select(Job.__table__))}
        assert found.keys() == self.model.keys()
        for job_id, job in self.model.items():
            row = found[job_id]
            assert (row.state, row.lease_owner, row.fence) == (job.state, job.owner, job.fence)
            assert (row.failures, row.losses) == (job.failures, job.losses)
            assert (row.lease_until is not None) == (job.state == "leased")
            assert (row.finished_at is not None) == (job.state in ENDS)
            if job.state == "queued":
                assert (row.enqueued_at is not None) == job.is_sent
        # nothing is done twice, and what is done stays so
        assert all(num == 1 for num in self.finished.values())


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_jobs_behave_as_the_model_says(kind: str, request: pytest.FixtureRequest) -> None:
    class Machine(Jobs):
        engine = request.getfixturevalue(f"{kind}_store")

    run(
        Machine,
        settings=settings(
            # a server takes longer to say the same
            max_examples=40 if kind == "sqlite" else 15,
            stateful_step_count=40,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
