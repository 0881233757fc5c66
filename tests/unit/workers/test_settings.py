import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.errors import ConfigurationError
from workers.prompt import CONDITION_TOKENS
from workers.settings import EMBEDDED_CHECKPOINT, Settings, get_settings

SECRET = "hunter2"


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No variable of the caller's, no `.env`, and nothing kept from another test."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"GLEANER_{name.upper()}", raising=False)
    monkeypatch.chdir(tmp_path)
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


def test_without_variables_one_machine_suffices(tmp_path: Path) -> None:
    settings = get_settings()
    assert settings.database == f"sqlite:///{tmp_path}/.gleaner/gleaner.db"
    assert settings.broker is None
    assert settings.schemas == ()
    assert settings.model == str(EMBEDDED_CHECKPOINT)
    assert settings.condition_tokens == CONDITION_TOKENS


def test_every_setting_is_described() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_variables_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {
        "database_url": f"postgresql+psycopg://gleaner:{SECRET}@db/gleaner",
        "broker_url": f"redis://:{SECRET}@queue:6379/0",
        "batch_size": "16",
        "lease_s": "2.5",
        "dtype": "bfloat16",
        "condition_tokens": '{"direct": "<|direct|>"}',
        "data_dir": "/var/lib/gleaner",
    }
    for name, value in values.items():
        monkeypatch.setenv(f"GLEANER_{name.upper()}", value)
    settings = get_settings()
    assert (settings.database, settings.broker) == (values["database_url"], values["broker_url"])
    assert (settings.batch_size, settings.lease_s, settings.dtype) == (16, 2.5, "bfloat16")
    assert settings.condition_tokens == {"direct": "<|direct|>"}
    assert settings.data_dir == Path("/var/lib/gleaner")


def test_settings_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first = get_settings()
    monkeypatch.setenv("GLEANER_BATCH_SIZE", "3")
    assert get_settings() is first


@pytest.mark.parametrize(
    ("value", "schemas"),
    [("", ()), ("mine", ("mine",)), (" /a b , own.module ,", ("/a b", "own.module")), (",,", ())],
)
def test_schemas_are_separated_by_commas(
    monkeypatch: pytest.MonkeyPatch, value: str, schemas: tuple[str, ...]
) -> None:
    monkeypatch.setenv("GLEANER_SCHEMAS", value)
    assert get_settings().schemas == schemas


@pytest.mark.parametrize("name", ["DATABASE_URL", "BROKER_URL"])
def test_an_empty_url_is_none(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(f"GLEANER_{name}", "")
    assert get_settings().database.startswith("sqlite:///")
    assert get_settings().broker is None


def test_the_home_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.setenv("GLEANER_DATA_DIR", "~/rows")
    assert get_settings().database == "sqlite:////home/ada/rows/gleaner.db"


def test_a_file_is_read_and_variables_go_before_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "GLEANER_BATCH_SIZE=4\nGLEANER_CHUNK_SIZE=5\nGLEANER_SCHEMAS=a,b\nOTHER=1\nGLEANER_UNKNOWN=1\n"
    )
    monkeypatch.setenv("GLEANER_CHUNK_SIZE", "6")
    settings = get_settings()
    assert (settings.batch_size, settings.chunk_size, settings.schemas) == (4, 6, ("a", "b"))


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("BATCH_SIZE", "many", "integer"),
        ("BATCH_SIZE", "0", "greater than or equal to 1"),
        ("LEASE_S", "0", "greater than 0"),
        ("DTYPE", "float64", "'auto', 'bfloat16' or 'float32'"),
        ("LOG_LEVEL", "loud", "'debug', 'info', 'warning' or 'error'"),
        ("CONDITION_TOKENS", "direct=<|direct|>", "Expecting value"),
        ("CONDITION_TOKENS", '["direct"]', "dictionary"),
        ("CONDITION_TOKENS", '{"direct": 8}', "string"),
    ],
)
@pytest.mark.parametrize("place", ["variable", "file"])
def test_an_error_names_the_variable_and_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, place: str, name: str, value: str, allowed: str
) -> None:
    if place == "variable":
        monkeypatch.setenv(f"GLEANER_{name}", value)
    else:
        (tmp_path / ".env").write_text(f"GLEANER_{name}={value}\n")
    with pytest.raises(ConfigurationError) as caught:
        get_settings()
    assert caught.value.message.startswith(f"GLEANER_{name}: ")
    assert allowed in caught.value.message
    assert "README" in caught.value.hint


def test_secrets_are_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLEANER_DATABASE_URL", f"postgresql://gleaner:{SECRET}@db/gleaner")
    monkeypatch.setenv("GLEANER_BROKER_URL", f"redis://:{SECRET}@queue")
    settings = get_settings()
    shown = [repr(settings), str(settings), str(settings.model_dump()), settings.model_dump_json()]
    assert not any(SECRET in text for text in shown)


def test_an_error_shows_no_value_even_in_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLEANER_DATABASE_URL", f"postgresql://gleaner:{SECRET}@db/gleaner")
    monkeypatch.setenv("GLEANER_BATCH_SIZE", SECRET)
    monkeypatch.setenv("GLEANER_CONDITION_TOKENS", SECRET)
    with pytest.raises(ConfigurationError) as caught:
        get_settings()
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        get_settings().batch_size = 2  # type: ignore[misc]
