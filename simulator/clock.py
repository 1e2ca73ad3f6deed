"""The clock that everything in the simulator goes by."""

from datetime import UTC, datetime, timedelta


class Clock:
    """Real time plus an offset.

    Real time is looked up at every call, so a frozen test clock moves this one too; the offset is
    what `advance` and `set` add to it. Every instant is an aware UTC datetime.
    """

    def __init__(self, offset: timedelta = timedelta()) -> None:
        self.offset = offset

    def now(self) -> datetime:
        """Return the simulated instant."""
        return datetime.now(UTC) + self.offset

    def advance(self, seconds: float) -> datetime:
        """Move forward by a number of seconds and return the new instant.

        Raises ValueError for a negative number: going back is only meant with `set`.
        """
        if seconds < 0:
            raise ValueError("the clock only advances; use set() to go back")
        self.offset += timedelta(seconds=seconds)
        return self.now()

    def set(self, moment: datetime) -> datetime:
        """Jump to an instant, back or forth, and return it; time goes on from there.

        Raises ValueError for a naive datetime.
        """
        if moment.tzinfo is None:
            raise ValueError("an instant needs a time zone")
        self.offset = moment.astimezone(UTC) - datetime.now(UTC)
        return self.now()
