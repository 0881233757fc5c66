import pytest

from schemas.errors import ConfigurationError
from workers.store.models import Document
from workers.store.questions import ask
from workers.store.session import transaction


def test_an_answer_has_columns_and_rows(world):
    world.add("a", "b", "c")
    answer = ask(world.engine, "SELECT text, num_chars AS size FROM documents ORDER BY text", limit=2)
    assert answer == (("text", "size"), [("a", 1), ("b", 1)])
    assert ask(world.engine, "SELECT 1 WHERE 1 = 0").rows == []


def test_percent_colon_and_question_mark_are_plain_characters(world):
    world.add("100 % :paid ?")
    sql = "SELECT text FROM documents WHERE text LIKE '%\\% :paid ?' ESCAPE '\\' -- 50 %s :x ?"
    assert ask(world.engine, sql).rows == [("100 % :paid ?",)]


WRITES = [
    "DELETE FROM documents",
    "INSERT INTO checkpoints (digest, name, is_placeholder, created_at) VALUES ('d', 'n', true, '2024-01-01')",
    "UPDATE documents SET origin = ''",
    "DROP TABLE documents",
    "CREATE TABLE mine (id INTEGER)",
    "WITH old AS (SELECT 1) DELETE FROM documents",
]


@pytest.mark.parametrize("sql", WRITES)
def test_writing_is_refused_by_the_database(world, sql):
    world.add("a")
    with pytest.raises(ConfigurationError, match="this one writes"):
        ask(world.engine, sql)
    assert world.count(Document) == 1


@pytest.mark.parametrize("way_out", ["COMMIT", "ROLLBACK", "SELECT 1"])
def test_a_second_statement_is_refused(world, way_out):
    world.add("a")
    with pytest.raises(ConfigurationError, match="cannot run"):
        ask(world.engine, f"{way_out}; DELETE FROM evidence; DELETE FROM batch_entries; COMMIT")
    assert world.job(1).state == "queued"
    with transaction(world.engine) as conn:
        assert conn.exec_driver_sql("SELECT count(*) FROM batch_entries").scalar_one() == 1


def test_the_connection_can_write_after_a_question(world):
    ask(world.engine, "SELECT 1")
    with pytest.raises(ConfigurationError):
        ask(world.engine, "DELETE FROM documents")
    world.add("a")
    assert world.count(Document) == 1


@pytest.mark.parametrize("sql", ["SELECT nothing FROM nowhere", "SELEC 1", "SELECT 'open"])
def test_a_wrong_statement_is_one_sentence_with_the_databases_words(world, sql):
    with pytest.raises(ConfigurationError, match="cannot run the query") as caught:
        ask(world.engine, sql)
    assert "\n" not in str(caught.value)


def test_a_statement_without_an_answer_is_empty(world):
    assert ask(world.engine, "") == ((), [])


def test_a_transaction_cannot_be_made_writable_from_within(postgres_store):
    with pytest.raises(ConfigurationError, match="read-write mode"):
        ask(postgres_store, "SET TRANSACTION READ WRITE")
    block = "DO $$ BEGIN SET TRANSACTION READ WRITE; DELETE FROM documents; END $$"
    with pytest.raises(ConfigurationError):
        ask(postgres_store, block)
