"""What a report is about, and the lists that its documents are on."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection

from schemas.forms import ObjectForm
from workers.store import outcomes
from workers.store.models import JobState
from workers.store.outcomes import Count, Order, Scope

ROWS_PER_PAGE = 100
INDEX = "index.html"


@dataclass(frozen=True, kw_only=True)
class Listing:
    """A list of documents, split in pages."""

    slug: str
    title: str
    num: int
    order: Order = Order.LEAST_SURE
    state: JobState | None = None
    code: str | None = None

    @property
    def num_pages(self) -> int:
        return max(1, -(-self.num // ROWS_PER_PAGE))

    def file(self, page: int = 1) -> str:
        """The name of a page, the first of which is 1."""
        return INDEX if self.slug == "all" and page == 1 else f"list-{self.slug}-{page}.html"


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What all pages share; its size does not grow with the documents."""

    scope: Scope
    # of the schema as it is now; None if it is not known here
    form: ObjectForm | None
    counts: list[Count]
    made_at: datetime

    @property
    def num(self) -> int:
        return sum(count.num for count in self.counts)

    @property
    def states(self) -> dict[JobState, int]:
        """How many documents are in each state that any is in."""
        found = {state: sum(c.num for c in self.counts if c.state is state) for state in JobState}
        return {state: num for state, num in found.items() if num}

    @property
    def reasons(self) -> list[tuple[Count, Listing]]:
        """Why documents are in review or failed, with the list of those."""
        why = [c for c in self.counts if c.state in (JobState.REVIEW, JobState.FAILED) and c.code]
        return [(count, _because(count)) for count in why]

    @property
    def listings(self) -> list[Listing]:
        """All documents in both orders, and those of each state."""
        return [
            Listing(slug="all", title="least sure first", num=self.num),
            Listing(slug="given", title="as given", num=self.num, order=Order.GIVEN),
            *(Listing(slug=state, title=state, num=num, state=state) for state, num in self.states.items()),
        ]


def _because(count: Count) -> Listing:
    slug, title = f"{count.state}-{count.code}", f"{count.state}: {count.code}"
    return Listing(slug=slug, title=title, num=count.num, state=count.state, code=count.code)


def summarize(conn: Connection, scope: Scope, form_of: Callable[[str], ObjectForm | None]) -> Summary:
    """Count what is in a scope."""
    return Summary(
        scope=scope,
        form=form_of(scope.schema),
        counts=outcomes.counts(conn, scope),
        made_at=datetime.now(UTC),
    )
