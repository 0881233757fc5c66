"""When a pipeline runs: at the times of a cron expression on the clock of a place, or every so often."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from schemas.errors import PipelineError

_FIELDS = "Write minute, hour, day of month, month and day of week, as Cron('30 6 * * 1-5', 'Europe/Berlin')."
_SHORTEST_S = 1.0


class Schedule(Protocol):
    """What says when the next run is due; printed, it says the same to people."""

    def after(self, moment: datetime) -> datetime:
        """The first time after a moment, in UTC."""


@dataclass(frozen=True)
class Cron:
    """The times of a cron expression on the clock of a time zone.

    When clocks are set forward, a run of the hour that is left out comes right after it. When they are set back, a
    run at a fixed time comes once, and one of every hour or every few minutes goes on in the hour that comes twice.

    Raises:
        PipelineError: the expression or the zone cannot be read, or its time never comes.
    """

    expression: str
    zone: str = "UTC"

    def __post_init__(self) -> None:
        try:
            zone = ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError, OSError, TypeError) as exc:
            raise PipelineError(
                f"{self.zone!r} is no time zone that is known here.",
                hint="Use a name of the IANA database as Europe/Berlin or UTC.",
            ) from exc
        try:
            next(CronSim(self.expression, datetime(2024, 1, 1, tzinfo=zone)))
        except CronSimError as exc:
            raise PipelineError(
                f"{self.expression!r} is no cron expression: {exc or 'it has not five fields'}.", hint=_FIELDS
            ) from exc

    def after(self, moment: datetime) -> datetime:
        """The first time after a moment, in UTC."""
        local = moment.astimezone(ZoneInfo(self.zone))
        return next(CronSim(self.expression, local)).astimezone(UTC)

    def __str__(self) -> str:
        return f"{self.expression} {self.zone}"


@dataclass(frozen=True, kw_only=True)
class Every:
    """Every so often, counted from 1970: `Every(minutes=15)` is at every full quarter of an hour.

    Raises:
        PipelineError: it is less than a second.
    """

    days: float = 0
    hours: float = 0
    minutes: float = 0
    seconds: float = 0

    def __post_init__(self) -> None:
        if self._step < timedelta(seconds=_SHORTEST_S):
            raise PipelineError(
                f"{self} is no interval: a second is the shortest.", hint="Write it as Every(minutes=15)."
            )

    @property
    def _step(self) -> timedelta:
        return timedelta(days=self.days, hours=self.hours, minutes=self.minutes, seconds=self.seconds)

    def after(self, moment: datetime) -> datetime:
        """The first time after a moment, in UTC."""
        epoch = datetime(1970, 1, 1, tzinfo=UTC)
        return epoch + ((moment - epoch) // self._step + 1) * self._step

    def __str__(self) -> str:
        return f"every {self._step}"
