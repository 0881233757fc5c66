"""The views of a schema: what analysts ask for beside the typed rows themselves.

`<schema>_documents` says where each record comes from, `<schema>_fields` where each of its values stands, and
`<schema>_review` what waits for a person. None of them names a column of a field, so they outlive its changes.
"""

from collections.abc import Iterator
from hashlib import sha256

from sqlalchemy import Connection, inspect, text

from schemas.errors import TableError
from schemas.forms import Form, ListForm, ObjectForm
from workers.store.records import RecordTables

_DOCUMENTS = """
SELECT record.document_id, documents.origin, documents.content_hash, documents.media_type,
    record.extraction_id, record.confidence, {created_at} AS extracted_at,
    schema_versions.digest AS schema_version, checkpoints.name AS checkpoint
FROM {schema} AS record
JOIN documents ON documents.id = record.document_id
JOIN extractions ON extractions.id = record.extraction_id
JOIN schema_versions ON schema_versions.id = extractions.schema_version_id
JOIN checkpoints ON checkpoints.id = extractions.checkpoint_id
"""

_FIELDS = """
SELECT record.document_id, record.extraction_id, {field} AS field, evidence.path, evidence.state, evidence.value,
    evidence.text AS span_text, evidence.start_char, evidence.end_char, evidence.confidence
FROM {schema} AS record
JOIN evidence ON evidence.extraction_id = record.extraction_id
"""

# of a document the newest result counts: a later one that holds takes it out of review
_REVIEW = """
SELECT extractions.document_id, documents.origin, documents.content_hash, extractions.job_id,
    extractions.id AS extraction_id, jobs.error_code AS reason, jobs.error AS reasons, extractions.confidence,
    extractions.wire_record, extractions.answer, {created_at} AS extracted_at,
    schema_versions.digest AS schema_version, checkpoints.name AS checkpoint
FROM (
    SELECT max(extractions.id) AS extraction_id
    FROM extractions
    JOIN schema_versions ON schema_versions.id = extractions.schema_version_id
    WHERE schema_versions.name = '{schema}'
    GROUP BY extractions.document_id
) AS newest
JOIN extractions ON extractions.id = newest.extraction_id
JOIN jobs ON jobs.id = extractions.job_id
JOIN documents ON documents.id = extractions.document_id
JOIN schema_versions ON schema_versions.id = extractions.schema_version_id
JOIN checkpoints ON checkpoints.id = extractions.checkpoint_id
WHERE jobs.state = 'review'
"""

_ABOUT = {
    "documents": "where each record comes from",
    "fields": "where each value of each record stands in its document, and how sure it is",
    "review": "documents that wait for a person, with the reasons",
}


def ensure(conn: Connection, tables: RecordTables) -> None:
    """Make the views of a schema, or make them anew where they say something else.

    Raises:
        TableError: a table has the name of one of them.
    """
    present = set(inspect(conn).get_table_names())
    for kind, query in _queries(conn, tables).items():
        name = f"{tables.main.name}_{kind}"
        if name in present:
            raise TableError(
                f"The schema {tables.main.name} would get the view {name}, and there is a table of that name.",
                hint="Rename the field or the schema that the table is of.",
                name=name,
            )
        _ensure_view(conn, name, _ABOUT[kind], query)


def drop(conn: Connection, tables: RecordTables) -> None:
    """Drop the views that exist."""
    for kind in _ABOUT:
        conn.exec_driver_sql(f"DROP VIEW IF EXISTS {tables.main.name}_{kind}")


def _queries(conn: Connection, tables: RecordTables) -> dict[str, str]:
    zone = " AT TIME ZONE 'UTC'" if conn.dialect.name == "postgresql" else ""
    parts = {
        "schema": tables.main.name,
        "created_at": f"extractions.created_at{zone}",
        "field": _field_case(tables.form),
    }
    queries = {"documents": _DOCUMENTS, "fields": _FIELDS, "review": _REVIEW}
    return {kind: query.format(**parts) for kind, query in queries.items()}


def _ensure_view(conn: Connection, name: str, about: str, query: str) -> None:
    # what a database gives back of a view is not what it was given, so the version is noted beside it
    note = f"{about} ({sha256(query.encode()).hexdigest()[:8]})"
    if conn.dialect.name == "postgresql":
        found = conn.execute(text("SELECT obj_description(to_regclass(:name), 'pg_class')"), {"name": name})
        if found.scalar() != note:
            conn.exec_driver_sql(f"CREATE OR REPLACE VIEW {name} AS {query.replace('%', '%%')}")
            conn.exec_driver_sql(f"COMMENT ON VIEW {name} IS '{note}'")
        return
    made = f"CREATE VIEW {name} AS /* {note} */ {query.strip()}"
    found = conn.execute(text("SELECT sql FROM sqlite_master WHERE name = :name"), {"name": name})
    if found.scalar() != made:
        conn.exec_driver_sql(f"DROP VIEW IF EXISTS {name}")
        conn.exec_driver_sql(made)


def _field_case(form: ObjectForm) -> str:
    """`line_items[3].amount` -> `line_items.amount`, in the SQL that both databases have."""
    patterns = [path for path in _patterns(form, "") if "[" in path]
    # the longest first: the % of a shorter one may stand for the rest of a longer one
    patterns.sort(key=len, reverse=True)
    cases = [f"WHEN evidence.path LIKE '{path}' THEN '{path.replace('[%]', '')}'" for path in patterns]
    return f"CASE {' '.join(cases)} ELSE evidence.path END" if cases else "evidence.path"


def _patterns(form: Form, path: str) -> Iterator[str]:
    if path:
        yield path
    if isinstance(form, ListForm):
        yield from _patterns(form.item, f"{path}[%]")
    elif isinstance(form, ObjectForm):
        for name, field in form.wire_fields:
            yield from _patterns(field, f"{path}.{name}".removeprefix("."))
