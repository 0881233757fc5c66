"""A report as a directory of pages: an overview, lists of documents, and the documents themselves."""

from collections.abc import Callable
from itertools import groupby, islice
from operator import attrgetter
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row

from pipelines.report.chart import histogram
from pipelines.report.document import Shown, shown
from pipelines.report.render import GENERATOR, render
from pipelines.report.summary import INDEX, ROWS_PER_PAGE, Listing, Summary
from schemas.errors import ConfigurationError
from workers.store import outcomes
from workers.store.outcomes import Order

_PAGES = ("list-*.html", "documents-*.html")
# characters in which the first page of a report says that it is one
_HEAD = 2000


def write(
    conn: Connection, summary: Summary, directory: Path, *, on_shown: Callable[[int], None] = lambda num: None
) -> Path:
    """Write all pages, in the place of an earlier report; the first page to look at.

    Raises:
        ConfigurationError: the directory holds something else, or cannot be written.
    """
    try:
        _make_room(directory)
        for listing in [*summary.listings, *(listing for _, listing in summary.reasons)]:
            _write_listing(conn, summary, listing, directory)
        _write_documents(conn, summary, directory, on_shown)
    except OSError as exc:
        raise ConfigurationError(
            f"The report cannot be written to {directory}: {exc.strerror}.",
            hint="Name another directory with --out.",
        ) from exc
    return directory / INDEX


def _make_room(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    if any(directory.iterdir()) and not _is_report(directory / INDEX):
        raise ConfigurationError(
            f"{directory} is not empty and holds no report.", hint="Name another directory with --out."
        )
    for pattern in _PAGES:
        for old in directory.glob(pattern):
            old.unlink()


def _is_report(index: Path) -> bool:
    if not index.is_file():
        return False
    with index.open(encoding="utf-8", errors="replace") as file:
        return GENERATOR in file.read(_HEAD)


def _write_listing(conn: Connection, summary: Summary, listing: Listing, directory: Path) -> None:
    rows = outcomes.listing(conn, summary.scope, listing.order, state=listing.state, code=listing.code)
    for page in range(1, listing.num_pages + 1):
        name, chunk = listing.file(page), list(islice(rows, ROWS_PER_PAGE))
        template, more = ("index.html", _overview(conn, summary)) if name == INDEX else ("list.html", {})
        text = render(template, summary=summary, listing=listing, page=page, rows=chunk, **more)
        (directory / name).write_text(text, encoding="utf-8")


def _overview(conn: Connection, summary: Summary) -> dict[str, Any]:
    return {
        "columns": histogram(outcomes.confidence_bins(conn, summary.scope)),
        "evidence_states": outcomes.evidence_states(conn, summary.scope),
    }


def _write_documents(
    conn: Connection, summary: Summary, directory: Path, on_shown: Callable[[int], None]
) -> None:
    rows = outcomes.listing(conn, summary.scope, Order.LOOKED_AT)
    for page, together in groupby(rows, key=attrgetter("page")):
        documents = _documents(conn, summary, list(together))
        text = render("documents.html", summary=summary, page=page, documents=documents)
        (directory / f"documents-{page}.html").write_text(text, encoding="utf-8")
        on_shown(len(documents))


def _documents(conn: Connection, summary: Summary, rows: list[Row[Any]]) -> list[Shown]:
    contents = outcomes.contents(conn, [row.job_id for row in rows])
    ids = [content.extraction_id for content in contents.values() if content.extraction_id is not None]
    evidence = outcomes.evidence(conn, ids)
    found = ((row, contents[row.job_id]) for row in rows)
    return [
        shown(row, content, evidence.get(content.extraction_id, ()), summary.form) for row, content in found
    ]
