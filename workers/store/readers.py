"""A role of PostgreSQL that reads everything and writes nothing."""

from psycopg import sql
from sqlalchemy import Connection, Engine, text

from schemas.errors import ConfigurationError
from workers.store.session import transaction

_GRANTS = (
    "GRANT CONNECT ON DATABASE {database} TO {role}",
    "GRANT USAGE ON SCHEMA {schema} TO {role}",
    "GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role}",
    # typed tables and views that are made later, by whoever makes them now
    "ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT ON TABLES TO {role}",
    "ALTER ROLE {role} SET default_transaction_read_only = on",
)


def grant(engine: Engine, role: str) -> bool:
    """Let a role read, and make it if there is none; whether it was made.

    Raises:
        ConfigurationError: the database is a SQLite file, or who asks may not make roles.
    """
    if engine.dialect.name != "postgresql":
        raise ConfigurationError(
            "A SQLite file has no roles.", hint="Give readers leave to read the file, and `gleaner query`."
        )
    with transaction(engine) as conn:
        _check_may_make_roles(conn)
        is_new = (
            conn.execute(text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role}).first() is None
        )
        for statement in ("CREATE ROLE {role} LOGIN",) * is_new + _GRANTS:
            conn.exec_driver_sql(_composed(conn, statement, role))
    return is_new


def _check_may_make_roles(conn: Connection) -> None:
    query = "SELECT rolname, rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user"
    name, is_allowed = conn.execute(text(query)).one()
    if not is_allowed:
        raise ConfigurationError(
            f"The role {name} may not make roles.", hint="Run this with the URL of one that has CREATEROLE."
        )


def _composed(conn: Connection, statement: str, role: str) -> str:
    database, schema = conn.execute(text("SELECT current_database(), current_schema()")).one()
    names = {"role": role, "database": database, "schema": schema}
    quoted = {key: sql.Identifier(value) for key, value in names.items()}
    driver = conn.connection.driver_connection
    return sql.SQL(statement).format(**quoted).as_string(driver).replace("%", "%%")
