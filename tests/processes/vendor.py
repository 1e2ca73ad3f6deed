"""The simulated Salto KS as a process, looked at from outside."""

from datetime import datetime
import re
from typing import Any

from scripts.demo_lib.simulated import SimulatorControl

SITE = "/v1.2/sites/{site}"

_MARKER = re.compile(r"\bha-([a-z0-9]{4}-[0-9]+)")

type Record = dict[str, Any]


class Vendor(SimulatorControl):
    """The control plane, with what a test wants of it beside the demo."""

    async def _send(self, path: str, **body: object) -> Any:
        async with self._session.post(f"{self.base}/_sim/{path}", json=body) as answer:
            told = await answer.json()
            assert answer.status == 200, told
            return told

    async def of_keys(self, kind: str) -> dict[str, list[Record]]:
        """Return the guests or groups that carry a marker of ours, by the key that it names."""
        name = {"user": "alias", "group": "customer_reference"}[kind]
        found: dict[str, list[Record]] = {}
        for record in await self._get(f"world?kind={kind}"):
            if match := _MARKER.search(record[name]):
                found.setdefault(match[1], []).append(record)
        return found

    async def journal(self) -> list[Record]:
        """Return the requests that have ended, answered or not."""
        found: list[Record] = (await self._get("journal"))["requests"]
        return found

    async def writes(self) -> list[Record]:
        """Return the requests for a change that have ended."""
        return [
            request
            for request in await self.journal()
            if request["method"] != "GET" and request["route"] != "/connect/token"
        ]

    async def disturb(self, method: str, route: str, **how: object) -> None:
        """Have something go wrong with the next request of this kind."""
        await self._send("faults", method=method, route=route, **how)

    async def has_disturbed(self) -> bool:
        """Tell whether each request that something goes wrong with has arrived."""
        return not await self._get("faults")

    async def move_clock(self, moment: datetime) -> None:
        """Set the clock that Salto and its doors go by."""
        await self._send("clock", set=moment.isoformat())

    async def type_pin(self, door: str, pin: str) -> str:
        """Type a PIN at the door of this entity; return why it opens, or does not."""
        locks = {
            f"lock.{lock.name.lower().replace(' ', '_')}": lock.id
            for lock in (await self.seed()).locks
        }
        return str((await self._send("keypad", lock_id=locks[door], pin=pin))["reason"])
