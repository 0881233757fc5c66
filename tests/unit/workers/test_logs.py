import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from tests.cases import parcels
from tests.cases.worlds import enqueue, job_ids
from tests.unit.workers.conftest import Make
from workers.logs import configure_logs
from workers.settings import Settings
from workers.store import jobs
from workers.work import work


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(log_format: str, capsys: pytest.CaptureFixture[str]) -> str:
    configure_logs(Settings(_env_file=None, log_format=log_format, log_level="info"))
    password = "hunter" + "2"
    try:
        raise ValueError("broken")
    except ValueError:
        structlog.get_logger("ours").exception("work_failed", job=7)
        logging.getLogger("theirs").exception("it failed: %s", "why")
    structlog.get_logger("ours").info("finish", jobs=3)
    logging.getLogger("theirs").debug("not shown")
    out, err = capsys.readouterr()
    assert out == ""
    assert password not in err
    return err


def test_json_lines_have_an_action_word_fields_and_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    ours, theirs, info = map(json.loads, lines("json", capsys).splitlines())
    assert (ours["event"], ours["job"], ours["level"], ours["logger"]) == ("work_failed", 7, "error", "ours")
    assert "ValueError: broken" in ours["exception"]
    assert theirs["event"] == "it failed: why"
    assert "ValueError: broken" in theirs["exception"]
    assert (info["event"], info["jobs"]) == ("finish", 3)
    assert info["timestamp"].endswith("Z")


def test_lines_for_people_show_tracebacks_without_local_variables(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = lines("console", capsys)
    assert said.count("ValueError: broken") == 2
    assert "finish" in said and "jobs=3" in said
    assert "not shown" not in said


def test_lines_of_the_work_say_of_which_worker_batch_job_and_document(make: Make) -> None:
    runtime = make(batch_size=2)
    batch_id = enqueue(runtime, [parcels.text(name, "1 cup") for name in ("Ann", "Bo", "GRAMMAR")])
    with structlog.testing.capture_logs([structlog.contextvars.merge_contextvars]) as said:
        work(runtime, job_ids(runtime))
    assert {line["worker"] for line in said} == {runtime.name}
    together, alone = (line for line in said if line["event"] == "begin")
    assert together["jobs"] == [1, 2] and together["batch"] == batch_id and "job" not in together
    assert (alone["job"], alone["document"], alone["batch"]) == (3, 3, batch_id)
    assert alone["claim"].startswith(runtime.name)
    ends = {line["job"]: line["event"] for line in said if line["event"] in {"end", "fail"}}
    assert ends == {1: "end", 2: "end", 3: "fail"}
    # nothing stays bound
    assert structlog.contextvars.get_contextvars() == {}


def test_threads_beside_the_work_say_of_which_worker_they_are(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = make(lease_s=0.03, seconds_per_document=0.3)
    enqueue(runtime, [parcels.text("Ann", "1 cup")])
    monkeypatch.setattr(jobs, "heartbeat", lambda *_: 1 / 0)
    with structlog.testing.capture_logs([structlog.contextvars.merge_contextvars]) as said:
        work(runtime, job_ids(runtime))
    failed = [line for line in said if line["event"] == "heartbeat_failed"]
    assert failed
    assert {line["worker"] for line in failed} == {runtime.name}
