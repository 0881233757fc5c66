import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from workers.logs import configure_logs
from workers.settings import Settings


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
