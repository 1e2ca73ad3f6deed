"""What goes wrong: Salto, its doors and clocks, the network, calendars."""

from typing import Any

from homeassistant.exceptions import HomeAssistantError
from homeassistant.util import dt as dt_util

from simulator import Fault
from tests.ha.keys import MINUTE
from tests.ha.support import iq_named, lock_named

from .houses import IQS, KEYPADS
from .scene import Scene


class Weather:
    """Makes things fail, and work again."""

    def __init__(self, scene: Scene) -> None:
        """Make them fail at this site; all is well yet."""
        self._scene = scene

    def go_wrong(self) -> None:
        """Have something fail, or work again."""
        luck, sim = self._scene.luck, self._scene.sim
        match luck.randrange(12):
            case 0 | 1 | 2 | 3 | 4:
                self._fail()
            case 5:
                sim.faults.clear()
                self.clear_up()
            case 6:
                sim.revoke_tokens()
            case 7:
                door = lock_named(sim, luck.choice(KEYPADS)).id
                sim.set("lock", door, online=luck.random() < 0.5)
            case 8:
                iq = iq_named(sim, luck.choice(IQS)).id
                sim.set("iq", iq, online=luck.random() < 0.5)
            case 9:
                self._scene.story.append("the clock of Salto is set")
                sim.clock.set(dt_util.utcnow() + luck.choice([-90, 0, 30, 400]) * MINUTE / 10)
            case 10:
                used = sim.world.seats_used(sim.site_id)
                amount = used + luck.choice([0, 2, 500])
                sim.set("site", sim.site_id, subscribed_user_amount=amount)
            case _:
                self._spoil_calendar()

    def _spoil_calendar(self) -> None:
        feed = self._scene.luck.choice(list(self._scene.home.feeds.values()))
        match self._scene.luck.randrange(5):
            case 0:
                feed.answer = HomeAssistantError("away")
            case 1:
                feed.answer = TimeoutError()
            case 2:
                feed.events = []
                feed.async_write_ha_state()
            case 3:
                feed.gate.clear()
            case _:
                feed.answer = "what is this"
        self._scene.story.append(f"calendar {feed.name} spoilt: {feed.answer!r}")

    def clear_up(self) -> None:
        """Have calendars answer again, and say what is in them."""
        for feed in self._scene.home.feeds.values():
            feed.answer = None
            feed.gate.set()
        self._scene.write_calendars()

    def _fail(self) -> None:
        luck = self._scene.luck
        kinds: list[dict[str, Any]] = [
            {"status": 503},
            {"status": 503, "commit": True},
            {"status": 500},
            {"reset": True},
            {"drop_after_commit": True},
            {"latency": 30.0},
            {"latency": 5.0},
            {"status": 429, "headers": {"Retry-After": str(luck.randint(1, 40))}},
            {"status": 429},
            {"status": 401},
            {"status": 400, "body": {"ErrorCode": "1101", "Message": "No."}},
            {"status": 403, "body": {"ErrorCode": "2203", "Message": "Not allowed."}},
            {"status": 200, "body": "<html>", "commit": True},
            {"truncate": 1},
        ]
        kind, count = luck.choice(kinds), luck.choice([1, 1, 1, 3, 10])
        fault = Fault(
            route=luck.choice(
                ["/v1.", "/v1.", "/guests", "/access_groups", "/pin", "/users", "/locks", "/token"]
            ),
            method=luck.choice([None, "POST", "PATCH", "DELETE", "PUT", "GET"]),
            count=count,
            after=luck.randrange(4),
            **kind,
        )
        self._scene.story.append(f"fault {fault.method} {fault.route} {kind} x{count}")
        self._scene.sim.faults.add(fault)
        self._scene.figures.faults += 1
