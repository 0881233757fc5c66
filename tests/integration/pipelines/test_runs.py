"""What else may happen to runs: refused latecomers, sources that break, limits, pauses, backfills, options."""

import os
import threading
import time
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from pipelines.clock import enter, fire_due, work_off_all
from pipelines.etl import Pipeline
from pipelines.readers import Read
from pipelines.runs import take
from pipelines.schedule import Every
from pipelines.sources.feed import Asked, Part
from pipelines.sources.folder import Files
from schemas.errors import ConfigurationError
from tests.cases import parcels
from tests.cases.worlds import rows, states
from tests.integration.pipelines.conftest import NAME, Folder, Mail, Site
from workers.store import outcomes, pipelines
from workers.store.session import transaction


class Breaking:
    """Gives parcels, and does something before the one of this number."""

    forgets = False

    def __init__(self, at: int, do: Any) -> None:
        self.at, self.do = at, do

    def read(self, asked: Asked) -> Iterator[Part]:
        first = asked.known(["last"]).get("last", {"number": 0})["number"]
        for number in range(first, 6):
            if number == self.at:
                self.at = -1
                self.do()
            text = parcels.text(f"P{number}", "1 cup")
            yield Part(
                reads=[Read.done(f"x/{number}", "text/plain", text)], cursor={"last": {"number": number + 1}}
            )


def fail() -> None:
    raise OSError("the line is dead")


def go(site: Site, pipeline: Pipeline) -> None:
    """What `gleaner pipelines run` does without a broker."""
    enter(site.runtime, pipeline)
    with transaction(site.runtime.store) as conn:
        pipelines.request(conn, pipeline.name)
    take(site.runtime, pipeline)
    work_off_all(site.runtime, pipeline.name)


def test_a_source_that_breaks_fails_its_run_and_the_next_goes_on(site: Site) -> None:
    pipeline = Pipeline(NAME, source=Breaking(4, fail), schema="parcel")
    go(site, pipeline)
    assert site.runs("state, new, done, reason") == [
        ("failed", 4, 4, "The source raised OSError: the line is dead.")
    ]
    go(site, pipeline)
    assert site.runs() == [("failed", 4), ("done", 2)]
    assert site.receivers() == [f"P{number}" for number in range(6)]


def test_who_lost_the_run_is_refused(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that hung for longer than its lease, while another took over."""
    monkeypatch.setattr("pipelines.runs.COMMIT_SIZE", 1)
    # the one that hangs does not renew its lease either
    monkeypatch.setattr("workers.store.runs.renew", lambda *_: True)
    hanging, others = threading.Event(), Pipeline(NAME, source=Breaking(-1, None), schema="parcel")

    def take_over() -> None:
        time.sleep(site.runtime.settings.lease_s + 0.5)
        assert take(site.runtime, others) is not None
        hanging.set()

    go(site, Pipeline(NAME, source=Breaking(3, take_over), schema="parcel"))
    assert hanging.is_set()
    taken = site.runs()
    assert [state for state, _ in taken] == ["interrupted", "done"]
    assert sum(new for _, new in taken) == 6
    assert sorted(site.receivers()) == [f"P{number}" for number in range(6)]


def test_too_many_failures_stop_the_pipeline(site: Site, folder: Folder) -> None:
    pipeline = Pipeline(
        NAME, source=Files(folder.directory), schema="parcel", schedule=Every(hours=1), max_failures=0.5
    )
    folder.add("Ann")
    (folder.directory / "a.png").write_bytes(b"\x89PNG1")
    go(site, pipeline)
    assert site.runs("state, done, failed, reason") == [("done", 1, 1, None)]
    (folder.directory / "b.png").write_bytes(b"\x89PNG2")
    go(site, pipeline)
    ((reason,),) = rows(site.runtime, "SELECT paused_why FROM pipelines")
    assert "In run 2 1 of 1 documents failed, more than the limit of 50%" in reason
    assert site.runs("reason")[-1] == (reason,)
    site.make_due()
    assert fire_due(site.runtime, [pipeline]) == []  # type: ignore[arg-type]
    with transaction(site.runtime.store) as conn, pytest.raises(ConfigurationError, match="is paused since"):
        pipelines.request(conn, NAME)
    with transaction(site.runtime.store) as conn:
        pipelines.resume(conn, NAME, None)
    folder.add("Bo")
    go(site, pipeline)
    assert site.runs()[-1] == ("done", 1)


def test_a_pause_stops_the_reading_and_nothing_is_lost(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.runs.COMMIT_SIZE", 1)

    def pause() -> None:
        with transaction(site.runtime.store) as conn:
            pipelines.pause(conn, NAME, "by hand.")

    pipeline = Pipeline(NAME, source=Breaking(2, pause), schema="parcel")
    go(site, pipeline)
    assert site.runs("state, new, reason") == [("stopped", 2, "It was paused: by hand.")]
    with transaction(site.runtime.store) as conn:
        pipelines.resume(conn, NAME, None)
    go(site, pipeline)
    assert site.receivers() == [f"P{number}" for number in range(6)]


def test_a_backfill_has_a_cursor_of_its_own(site: Site, folder: Folder) -> None:
    pipeline = Pipeline(NAME, source=Files(folder.directory), schema="parcel")
    folder.add("Ann", "Bo")
    go(site, pipeline)
    old = time.mktime((2024, 1, 1, 12, 0, 0, 0, 0, -1))
    os.utime(folder.directory / "Ann.txt", (old, old))
    folder.add("Cy")
    os.utime(folder.directory / "Cy.txt", (old, old))
    with transaction(site.runtime.store) as conn:
        pipelines.request_backfill(conn, NAME, "2023-12-01", "2024-02-01")
    take(site.runtime, pipeline)
    work_off_all(site.runtime, NAME)
    # Ann's text was extracted before, Bo's file is younger
    assert site.runs("cause, state, seen, new, unchanged")[-1] == ("backfill", "done", 2, 1, 1)
    assert rows(site.runtime, "SELECT DISTINCT scope FROM cursors") == [(0,)]
    assert rows(site.runtime, "SELECT max(priority) FROM jobs") == [(100,)]
    # the pipeline itself has not seen Cy's yet
    go(site, pipeline)
    assert site.runs("seen, new, unchanged")[-1] == (3, 0, 3)


def test_options_reach_the_jobs(site: Site, folder: Folder) -> None:
    """Fewer examples are another schema version, which workers know; unsure records are reviewed."""
    pipeline = Pipeline(
        NAME,
        source=Files(folder.directory),
        schema="parcel",
        shots=2,
        settings={"overlap_tokens": 7},
        priority=5,
        review_below=1.0,
    )
    folder.add("Ann")
    go(site, pipeline)
    assert states(site.runtime) == ["done"]
    assert rows(site.runtime, "SELECT priority FROM jobs") == [(5,)]
    engine: Any = site.runtime.engine
    assert engine.prompt_text(engine.requests[-1]).count("Parcel for") == 3
    engine._answer = lambda request: _unsure(request)
    folder.add("Bo")
    go(site, pipeline)
    ((code, said),) = rows(site.runtime, "SELECT error_code, error FROM jobs WHERE state = 'review'")
    assert code == "low_confidence" and "records below 1 are to be reviewed" in said
    assert rows(site.runtime, "SELECT receiver FROM parcel") == [("Ann",)]


def _unsure(request: Any) -> Any:
    from workers.testing import Scripted

    return Scripted(str(parcels.answer(request)), logprobs=-0.7)


def test_attachments_keep_their_relation_and_messages_stay_unread(site: Site, mail: Mail) -> None:
    message = EmailMessage()
    message["Subject"] = "Two parcels"
    message.set_content(parcels.text("Body", "1 cup"))
    message.add_attachment(parcels.text("Attached", "2 cups"), filename="parcel.txt")
    message.add_attachment(b"\x89PNG", "image", "png", filename="photo.png")
    mail.append(message.as_bytes())
    site.run_scheduled(site.declare(mail.code))
    assert site.runs("new, done, failed") == [(3, 2, 1)]
    found = rows(site.runtime, "SELECT origin, parent_origin FROM batch_entries ORDER BY position")
    body = found[0][0]
    assert body.startswith("imap://ann@127.0.0.1/Bills%20%26%20more;UIDVALIDITY=")
    assert found == [
        (body, None),
        (f"{body}#attachment=1/parcel.txt", body),
        (f"{body}#attachment=2/photo.png", body),
    ]
    with mail.connected() as server:
        server.select('"Bills &- more"', readonly=True)
        _, (unseen,) = server.uid("SEARCH", "UNSEEN")
    assert unseen


def test_a_mailbox_that_cannot_be_opened_says_why(
    site: Site, mail: Mail, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAIL_SECRET", "wrong")
    site.run_scheduled(site.declare(mail.code))
    ((state, reason),) = site.runs("state, reason")
    assert state == "failed" and "imap://ann@127.0.0.1" in reason and "wrong" not in reason


def test_a_folder_that_went_away_is_told(site: Site, tmp_path: Path) -> None:
    go(site, Pipeline(NAME, source=Files(tmp_path / "gone"), schema="parcel"))
    ((state, new, reason),) = site.runs("state, new, reason")
    assert (state, new) == ("failed", 0)
    assert "There is no file or directory" in reason


def test_a_run_is_looked_at_by_its_number(site: Site) -> None:
    pipeline = Pipeline(NAME, source=Breaking(-2, fail), schema="parcel")
    go(site, pipeline)
    go(site, pipeline)
    with outcomes.one_moment(site.runtime.store) as conn:
        scope = outcomes.find(conn, "run:1")
        assert (scope.title, scope.schema) == (f"run 1 of {NAME}", "parcel")
        assert sum(count.num for count in outcomes.counts(conn, scope)) == 6
        with pytest.raises(ConfigurationError, match="Run 2 of a pipeline took no documents"):
            outcomes.find(conn, "run:2")
        for wrong in ("99", "x", ""):
            with pytest.raises(ConfigurationError, match=rf"Run {wrong} of a pipeline does not exist"):
                outcomes.find(conn, f"run:{wrong}")
