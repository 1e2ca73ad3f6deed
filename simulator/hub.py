"""Who listens to door logs as they are written, without the web server that they listen through."""

import asyncio
from dataclasses import dataclass, field

from .quirks import Quirks
from .world import MANAGERS, Entry, PlatformUserId, SiteId, World


@dataclass(eq=False, slots=True, kw_only=True)
class Subscriber:
    """One connection: whose it is, what it asked for, and what it has not been sent yet."""

    caller: PlatformUserId
    site_id: SiteId
    user_id: PlatformUserId | None
    """Only what this person does, if it was asked for (DOC)."""
    waiting: asyncio.Queue[Entry | None] = field(default_factory=asyncio.Queue)
    """Lines to send; None ends the connection."""
    ready: bool = False
    """Whether hands were shaken; nothing is sent before that."""

    def may_hear(self, entry: Entry, world: World) -> bool:
        """Tell whether a line is for this one.

        An administrator of the site hears everything, anybody else of himself alone (DOC).
        """
        if (
            not self.ready
            or entry.site_id != self.site_id
            or self.user_id not in {None, entry.user_id}
        ):
            return False
        member = world.user_by_platform_id(self.site_id, self.caller)
        if member is None or member.blocked:
            return False
        return bool(world.role_codes(member) & MANAGERS) or entry.user_id == self.caller


class Hub:
    """The connections of a world, and the tickets to connections that were negotiated."""

    def __init__(self, quirks: Quirks) -> None:
        self._quirks = quirks
        self._subscribers: set[Subscriber] = set()
        self._tickets: set[str] = set()
        self._is_open = True

    @property
    def connections(self) -> int:
        """How many are connected and have shaken hands."""
        return sum(subscriber.ready for subscriber in self._subscribers)

    def give_ticket(self, ticket: str) -> None:
        """Let one connection come that names this ticket."""
        self._tickets.add(ticket)

    def take_ticket(self, ticket: str) -> bool:
        """Tell whether there is such a ticket; it is good for once."""
        known = ticket in self._tickets
        self._tickets.discard(ticket)
        return known

    def join(self, subscriber: Subscriber) -> None:
        """Send to a connection from when it is ready."""
        self._subscribers.add(subscriber)
        if not self._is_open:
            subscriber.waiting.put_nowait(None)

    def leave(self, subscriber: Subscriber) -> None:
        """Send nothing more to a connection."""
        self._subscribers.discard(subscriber)

    def push(self, entry: Entry, world: World) -> None:
        """Send a new line to whoever may hear of it. How often is a quirk."""
        for subscriber in self._subscribers:
            if subscriber.may_hear(entry, world):
                for _ in range(2 if self._quirks.hub_delivery == "twice" else 1):
                    subscriber.waiting.put_nowait(entry)

    def open(self) -> None:
        """Let connections come."""
        self._is_open = True

    def close(self) -> None:
        """End every connection, and each that may still come."""
        self._is_open = False
        self.drop()

    def drop(self) -> None:
        """End every connection, as when the service is restarted."""
        for subscriber in self._subscribers:
            subscriber.waiting.put_nowait(None)
