"""Who works on a SQLite file: whoever finds nobody there gives back the leases of the dead at once."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from workers.store.session import transaction
from workers.store.sweep import reset


@contextmanager
def present(store: sa.Engine) -> Iterator[None]:
    """Be seen by the other processes that work on the file; the first one there gives back every lease.

    Workers on a database server cannot be seen from here: there, leases expire with time.
    """
    database = store.url.database
    if store.dialect.name != "sqlite" or not database:
        yield
        return
    with open(f"{database}.lock", "w") as file:  # noqa: PTH123  a sibling of the database, whatever its name
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass
        else:
            with transaction(store) as conn:
                reset(conn)
        # shared, and waits while another gives leases back
        fcntl.flock(file, fcntl.LOCK_SH)
        yield
