from dataclasses import replace

from workers.engine.protocol import Checkpoint
from workers.store.evaluations import NewEvaluation, list_evaluations, put_evaluation
from workers.store.session import reading, transaction
from workers.store.versions import put_checkpoint, put_schema_version

FIGURES = {"overall": {"f1": 0.5, "precision": None}, "fields": {"größe": {"f1": 1.0}}, "bins": [1, 2]}


def new(world, version_id: int, checkpoint_id: int, **fields) -> NewEvaluation:
    given = {"labels": "dev.jsonl", "labels_digest": "ab", "num_documents": 3, "figures": FIGURES}
    return NewEvaluation(schema_version_id=version_id, checkpoint_id=checkpoint_id, **(given | fields))


def test_evaluations_of_all_versions_of_a_schema_are_listed_in_their_order(world):
    with transaction(world.engine) as conn:
        second = put_schema_version(conn, world.version("v2"))
        other = put_checkpoint(conn, Checkpoint(name="large", digest="c2"))
        first_id = put_evaluation(conn, new(world, world.version_id, world.checkpoint_id))
        second_id = put_evaluation(conn, new(world, second, other, labels="x.jsonl", num_documents=5))
    with reading(world.engine) as conn:
        stored = list_evaluations(conn, "invoice")
    assert [(each.id, each.schema_digest, each.checkpoint) for each in stored] == [
        (first_id, "v1", "small"),
        (second_id, "v2", "large"),
    ]
    assert [(each.labels, each.num_documents) for each in stored] == [("dev.jsonl", 3), ("x.jsonl", 5)]
    assert stored[0].figures == FIGURES
    assert stored[0].created_at.tzinfo is not None and stored[0].created_at <= stored[1].created_at


def test_an_evaluation_says_how_its_schema_version_chooses_examples(world):
    """A version from before there was a choice showed the first."""
    chosen = replace(world.version("v2"), settings={"shots": "nearest"})
    with transaction(world.engine) as conn:
        for version_id in (world.version_id, put_schema_version(conn, chosen)):
            put_evaluation(conn, new(world, version_id, world.checkpoint_id))
    with reading(world.engine) as conn:
        assert [each.shots for each in list_evaluations(conn, "invoice")] == ["first", "nearest"]


def test_the_same_measurement_is_stored_each_time(world):
    for _ in range(2):
        with transaction(world.engine) as conn:
            put_evaluation(conn, new(world, world.version_id, world.checkpoint_id))
    with reading(world.engine) as conn:
        assert len(list_evaluations(conn, "invoice")) == 2
        assert list_evaluations(conn, "receipt") == []
