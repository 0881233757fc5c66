"""Pipelines as they are declared."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines.etl import Pipeline, Pipelines
from pipelines.schedule import Every
from pipelines.sources.folder import Files
from pipelines.sources.mailbox import Mailbox
from pipelines.sources.query import Query
from schemas.errors import PipelineError, UnknownSchemaError
from schemas.registry import Registry

MODULE = """
from pipelines.etl import Pipeline
from pipelines.schedule import Cron
from pipelines.sources.folder import Files

bills = Pipeline("bills", source=Files("inbox"), schema="receipt", schedule=Cron("0 6 * * *", "Europe/Berlin"))
"""


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("gleaner_pipelines_"):
            del sys.modules[name]


def declared(**given: Any) -> Pipeline:
    return Pipeline(given.pop("name", "bills"), **({"source": Files("inbox"), "schema": "receipt"} | given))


def test_pipelines_of_a_directory_are_found(directory: Path) -> None:
    (directory / "daily.py").write_text(MODULE)
    (directory / "others.py").write_text("from .daily import bills\n")
    found = Pipelines.load([str(directory)])
    assert [(one.name, one.when) for one in found] == [("bills", "0 6 * * * Europe/Berlin")]
    with pytest.raises(PipelineError, match=r"no pipeline 'bils'; there are bills\. .*GLEANER_PIPELINES"):
        found.get("bils")


def test_two_of_one_name_are_refused(directory: Path) -> None:
    for name in ("one.py", "two.py"):
        (directory / name).write_text(MODULE)
    with pytest.raises(PipelineError, match="Two pipelines are named bills"):
        Pipelines.load([str(directory)])


def test_a_module_that_cannot_be_imported_is_named(directory: Path) -> None:
    (directory / "broken.py").write_text("import nothing_of_this_name\n")
    with pytest.raises(
        PipelineError, match=r"broken\.py cannot be imported: ModuleNotFoundError.*GLEANER_PIPELINES"
    ):
        Pipelines.load([str(directory)])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"name": "Bills 2024"}, r"named 'Bills 2024'\. Use small letters"),
        ({"source": "inbox"}, r"'inbox' as its source\. Use Files"),
        ({"schedule": "0 6 * * *"}, r"'0 6 \* \* \*' as its schedule\. Use Cron"),
        ({"schema": None}, "None as its schema"),
        ({"shots": 1}, r"shots=1\. A prompt shows 2 to 8"),
        ({"settings": {"day_first": True}}, r"sets day_first\. It may set ladder, shots"),
        ({"priority": "high"}, "priority='high'"),
        ({"review_below": 70}, r"review_below=70\. It is a share from 0 to 1"),
        ({"max_failures": "20%"}, "max_failures='20%'"),
    ],
)
def test_a_bad_declaration_says_what_is_allowed(given: dict[str, Any], said: str) -> None:
    with pytest.raises(PipelineError, match=said):
        declared(**given)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Files(), "Files has no path"),
        (lambda: Query("sqlite:///a.db", "SELECT 1", key="", text="b", cursor="c"), "key, text and cursor"),
        (
            lambda: Query("no url", "SELECT 1", key="a", text="b", cursor="c"),
            "database URL of a query cannot be read",
        ),
        (
            lambda: Query("sqlite:///a.db", "SELECT 1", key="a", text="b", cursor="c", lag=-1),
            "lag -1 is negative",
        ),
        (lambda: Mailbox("", "ann", "secret"), "needs a host, a user and a folder"),
        (lambda: Mailbox("host", "ann", "secret", tls="maybe"), "tls='maybe' is not known"),
    ],
)
def test_a_bad_source_says_what_is_allowed(make: Any, said: str) -> None:
    with pytest.raises(PipelineError, match=said) as caught:
        make()
    assert caught.value.hint


def test_no_password_is_shown() -> None:
    sources = [
        Query(
            "postgresql+psycopg://ann:secret@db/shop?password=secret",
            "SELECT 1",
            key="a",
            text="b",
            cursor="c",
        ),
        Mailbox("host", "ann", "secret"),
        Files("ftp://ann:secret@host/inbox"),
    ]
    assert not [str(source) for source in sources if "secret" in str(source)]


def test_options_make_another_version_of_the_schema() -> None:
    registry = Registry.load()
    plain = registry.get("receipt")
    assert declared().schema_of(registry) is plain
    few = declared(shots=3, settings={"overlap_tokens": 50}).schema_of(registry)
    assert [step.max_shots for step in few.settings.ladder] == [3] * len(plain.settings.ladder)
    assert few.settings.overlap_tokens == 50
    assert few.digest != plain.digest and few.examples == plain.examples
    with pytest.raises(PipelineError, match="pipeline bills sets overlap_tokens: Input should be greater"):
        declared(settings={"overlap_tokens": -1}).schema_of(registry)
    with pytest.raises(UnknownSchemaError, match="no schema 'recipe'"):
        declared(schema="recipe", schedule=Every(hours=1)).schema_of(registry)
