import json
import sys
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console
from sqlalchemy import Engine

from pipelines.cli import console, follow, look, main, schema_commands, work
from pipelines.sources.files import FileSource
from schemas.errors import BrokerAwayError, ConfigurationError
from tests.cases import parcels
from tests.cases.worlds import enqueue, entries, job_ids, make_runtime, states
from workers import runtime as runtimes
from workers import work as workers_work
from workers.runtime import Runtime, set_runtime
from workers.settings import get_settings


@pytest.fixture
def runtime(sqlite_store: Engine, tmp_path: Path) -> Iterator[Runtime]:
    made = make_runtime(str(sqlite_store.url), parcels.write_schema(tmp_path / "schemas"))
    yield made
    made.store.dispose()
    set_runtime(None)


def printed(*args: Any, **kwargs: Any) -> str:
    made = Console(width=200, markup=False, highlight=False)
    with made.capture() as capture:
        made.print(console.table(*args, **kwargs))
    return capture.get()


def test_tables_show_values_as_they_are() -> None:
    shown = printed(
        ("text", "amount", "rate", "nothing"),
        [("line_items[0] [red]x[/red]", Decimal("1234.50"), 1234567.891, None)],
    )
    assert "line_items[0] [red]x[/red]" in shown
    assert "1234.50" in shown and "1234567.891" in shown
    assert "│ -       │" in shown


def test_tables_keep_terminal_commands_of_documents_from_the_terminal() -> None:
    shown = printed(("text",), [("a\x1b]0;title\x07b\x1b[31mred\nnext 🦊",)])
    assert "\x1b" not in shown and "\x07" not in shown
    assert "next 🦊" in shown


def test_a_table_of_one_line_rows_cuts() -> None:
    assert "…" in printed(("text",), [("x" * 400,)], one_line=True)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Decimal("1234.50"), 1234.5),
        (Decimal("0.1"), 0.1),
        (Decimal("12345678901234567890.12"), "12345678901234567890.12"),
    ],
)
def test_json_holds_numbers_where_no_digit_is_lost(value: Decimal, expected: Any) -> None:
    assert json.loads(json.dumps(value, default=look._as_json)) == expected


def run_main(monkeypatch: pytest.MonkeyPatch, error: Exception, *flags: str) -> int:
    def fail() -> None:
        raise error

    monkeypatch.setattr(main, "app", fail)
    monkeypatch.setattr(sys, "argv", ["gleaner", *flags])
    with pytest.raises(SystemExit) as caught:
        main.main()
    assert isinstance(caught.value.code, int)
    return caught.value.code


def test_errors_are_one_sentence_with_the_next_step(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    error = ConfigurationError("The field items[0] [bold] is wrong.", hint="Correct it.")
    assert run_main(monkeypatch, error) == 1
    assert capsys.readouterr() == ("", "error: The field items[0] [bold] is wrong. Correct it.\n")


def test_unexpected_errors_are_one_sentence_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main(monkeypatch, KeyError("boom\nand more")) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: Unexpected KeyError: ") and "--debug" in said
    assert len(said.splitlines()) == 1


def test_debug_lets_the_traceback_through(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeyError):
        run_main(monkeypatch, KeyError("boom"), "--debug")


def test_a_broker_that_is_away_is_one_warning_and_everything_is_stored(
    runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sent: list[list[int]] = []

    def away(_: Runtime, ids: list[int]) -> None:
        sent.append(ids)
        raise BrokerAwayError("The broker does not answer.", hint="Nothing is lost.")

    monkeypatch.setattr(work, "send", away)
    monkeypatch.setattr("pipelines.ingest.COMMIT_SIZE", 1)
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    for number in range(3):
        (inbox / f"{number}.txt").write_text(parcels.text(f"P{number}", "1 cup"))
    schema = runtime.registry.get("parcel")
    batch_id = work.ingest_paths(runtime, schema, [str(inbox)], None, is_sent=True)
    assert len(entries(runtime, batch_id)) == 3
    # it is not asked again for each chunk: every try takes seconds
    assert len(sent) == 1
    assert capsys.readouterr().err.count("warning: The broker does not answer. Nothing is lost.") == 1


def test_limits_come_from_the_settings(runtime: Runtime, tmp_path: Path) -> None:
    (tmp_path / "long.txt").write_text("x" * 50)
    settings = runtime.settings.model_copy(update={"max_bytes": 10})
    (only,) = work.read_all(FileSource([str(tmp_path / "long.txt")]), settings, None)
    assert only.error is not None and only.error.code == "document_too_large"


def test_work_in_this_process_ends_in_a_summary(runtime: Runtime, capsys: pytest.CaptureFixture[str]) -> None:
    texts = [parcels.text("Ann", "1 cup"), parcels.text("GRAMMAR", "1 cup"), parcels.text("GARBLED", "1 cup")]
    batch_id = enqueue(runtime, texts)
    work.work_with_progress(runtime, batch_id)
    follow.summarize(runtime, batch_id)
    said = capsys.readouterr()
    assert "3 documents: 1 done, 1 review, 1 failed" in said.out
    assert "The decoder refuses the grammar." in said.out
    # where it is no terminal too
    assert said.err.endswith("1 failed\n")


def interrupted(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_ctrl_c_finishes_what_is_in_hand_and_the_rest_stays_open(
    sqlite_store: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    schemas = parcels.write_schema(tmp_path / "schemas")
    runtime = make_runtime(str(sqlite_store.url), schemas, batch_size=1, seconds_per_document=0.2)
    batch_id = enqueue(runtime, [parcels.text(f"P{n}", "1 cup") for n in range(30)])
    monkeypatch.setattr(work, "follow", interrupted)
    monkeypatch.setattr(work.signal, "signal", lambda *_: None)
    with pytest.raises(work.typer.Exit) as caught:
        work.work_with_progress(runtime, batch_id)
    assert caught.value.exit_code == 130
    assert "the same command goes on" in capsys.readouterr().err
    assert set(states(runtime)) <= {"done", "queued"}
    assert "queued" in states(runtime)
    # and it does
    again = make_runtime(str(sqlite_store.url), schemas)
    monkeypatch.undo()
    work.work_with_progress(again, batch_id)
    assert set(states(again)) == {"done"}
    set_runtime(None)
    for each in (runtime, again):
        each.store.dispose()


def test_an_engine_that_cannot_be_loaded_is_an_error_and_fails_no_document(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch_id = enqueue(runtime, [parcels.text("Ann", "1 cup")])

    def unusable(_: Runtime) -> None:
        raise ConfigurationError("Device cuda is not there.")

    monkeypatch.setattr(runtimes.Runtime, "engine", property(unusable))
    with pytest.raises(ConfigurationError, match="Device cuda"):
        work.work_with_progress(runtime, batch_id)
    assert states(runtime) == ["queued"]


def test_a_job_that_ends_elsewhere_is_waited_for(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    batch_id = enqueue(runtime, [parcels.text("Ann", "1 cup")])
    looks = []

    def look_again(seconds: float) -> None:
        looks.append(seconds)
        workers_work.work(runtime, job_ids(runtime))

    monkeypatch.setattr(follow, "time", SimpleNamespace(sleep=look_again, monotonic=time.monotonic))
    follow.follow(runtime, batch_id)
    assert len(looks) == 1


def types(runtime: Runtime) -> dict[str, str]:
    rows = schema_commands._fields(runtime.registry.get("parcel").form, "")
    return {name: type_ for name, type_, _ in rows}


def test_fields_are_shown_with_their_types(runtime: Runtime) -> None:
    assert types(runtime) == {
        "receiver": "text",
        "weight": "decimal?",
        "speed": "normal | express",
        "box": "object",
        "box.colour": "text?",
        "box.sealed": "boolean",
        "items": "list of object",
        "items[].name": "text",
        "items[].count": "integer?",
    }


def test_a_runtime_with_flags_has_the_settings_of_the_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    get: Callable[[], Any] = work._runtime
    monkeypatch.setattr(work, "warn_of_placeholder", lambda runtime: None)
    try:
        made = work._runtime(model="elsewhere", device=None)
        assert made.settings.model == "elsewhere"
        assert made.settings.device == get_settings().device
        assert get() is made
    finally:
        set_runtime(None)
