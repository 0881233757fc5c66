import pytest

from schemas.errors import ConfigurationError
from workers.store.questions import ask
from workers.store.session import open_store


@pytest.mark.parametrize("sql", ["DELETE FROM jobs", "DROP TABLE jobs", "PRAGMA user_version = 7"])
def test_a_query_only_reads(sqlite_store, sql):
    with pytest.raises(ConfigurationError, match="Queries only read"):
        ask(sqlite_store, sql)
    assert ask(sqlite_store, "SELECT count(*) AS num FROM jobs") == (("num",), [(0,)])


@pytest.mark.parametrize("sql", ["ATTACH 'other.db' AS other", "VACUUM INTO 'copy.db'"])
def test_a_query_makes_no_other_files(sqlite_store, tmp_path, monkeypatch, sql):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match="cannot run"):
        ask(sqlite_store, sql)
    assert [path.name for path in tmp_path.iterdir() if "gleaner" not in path.name] == []


@pytest.mark.parametrize(
    "url", ["mysql://root:hunter2@host/db", "oracle://x", "postgresql+asyncpg://x", "no url: hunter2"]
)
def test_urls_of_other_databases_are_refused_without_their_password(url):
    with pytest.raises(ConfigurationError, match=r"sqlite:///path") as caught:
        open_store(url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["postgres://host/db", "postgresql://host/db", "postgresql+psycopg://host/db"]
)
def test_every_spelling_of_postgresql_means_psycopg(url):
    assert open_store(url).url.drivername == "postgresql+psycopg"
