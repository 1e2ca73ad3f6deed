"""What tests of doors watch: what is on its way, what was asked, what was written, what failed."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.const import EVENT_STATE_CHANGED, EVENT_STATE_REPORTED
from homeassistant.core import (
    Event,
    EventStateChangedData,
    EventStateReportedData,
    HomeAssistant,
    callback,
)
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
import pytest

from simulator import Simulator

LOCK = "/v1.2/sites/{site}/locks/{lock}"
LOCKS = "/v1.2/sites/{site}/locks"
IQS = "/v1.2/sites/{site}/iqs"
LOCKING = "/v1.2/sites/{site}/locks/{lock}/locking"
TOKEN = "/connect/token"

TURNS = 20_000
"""How often the event loop may turn before something that is waited for is given up."""


async def until(condition: Callable[[], bool]) -> None:
    """Let everything run that can, without time passing, until something is so."""
    for _ in range(TURNS):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("what was waited for did not happen")


async def stand_still() -> None:
    """Let everything run that can, without time passing."""
    for _ in range(500):
        await asyncio.sleep(0)


def pass_by(freezer: FrozenDateTimeFactory, seconds: float) -> None:
    """Let time pass for what is on its way, and a moment more.

    At an exact end the event loop waits on: today's seconds leave a float no room for its
    resolution.
    """
    freezer.tick(seconds + 0.01)


def asked(sim: Simulator) -> list[tuple[str, str]]:
    """Return method and route of what was asked of Salto, oldest first."""
    return [(entry.method, entry.route) for entry in sim.journal.entries]


def commands(sim: Simulator) -> int:
    """Count the commands to doors that have reached Salto."""
    return sim.journal.count("PATCH", LOCKING)


@dataclass
class Raised:
    """The error that a person is shown."""

    error: HomeAssistantError = field(default_factory=HomeAssistantError)

    @property
    def placeholders(self) -> dict[str, str]:
        """Return what its text is filled with."""
        return dict(self.error.translation_placeholders or {})


@contextmanager
def shown(key: str, *, users: bool = False) -> Iterator[Raised]:
    """Expect the error with this text; `users` for one that the user could have avoided."""
    raised = Raised()
    with pytest.raises(HomeAssistantError) as caught:
        yield raised
    raised.error = caught.value
    assert (raised.error.translation_domain, raised.error.translation_key) == ("salto_ks", key)
    assert isinstance(raised.error, ServiceValidationError) is users
    assert str(raised.error) != key


@contextmanager
def running[T](coroutine: Coroutine[Any, Any, T]) -> Iterator[asyncio.Task[T]]:
    """Start something and let it run beside the test; it is over when the block is left."""
    task = asyncio.create_task(coroutine)
    yield task
    assert task.done()


@dataclass
class Written:
    """Entities whose state was written, changed or not, in the order it happened."""

    entity_ids: list[str] = field(default_factory=list)


@contextmanager
def written(hass: HomeAssistant) -> Iterator[Written]:
    """Note which entities write a state."""
    seen = Written()

    @callback
    def note(event: Event[EventStateChangedData] | Event[EventStateReportedData]) -> None:
        seen.entity_ids.append(event.data["entity_id"])

    @callback
    def every(_: object) -> bool:
        return True

    remove = [
        hass.bus.async_listen(EVENT_STATE_CHANGED, note),
        hass.bus.async_listen(EVENT_STATE_REPORTED, note, event_filter=every),
    ]
    try:
        yield seen
    finally:
        for stop in remove:
            stop()


async def act(hass: HomeAssistant, domain: str, action: str, entity_id: str, **data: Any) -> None:
    """Call an action of an entity and wait for its end."""
    await hass.services.async_call(domain, action, {"entity_id": entity_id, **data}, blocking=True)


def state_of(hass: HomeAssistant, entity_id: str) -> str:
    """Return the state of an entity that there has to be."""
    state = hass.states.get(entity_id)
    assert state is not None, entity_id
    return state.state
