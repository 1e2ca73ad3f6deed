"""Setting the integration up, through the same flows that a person clicks through."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from .errors import DemoError
from .home import FLOWS, SUBENTRY_FLOWS, HomeAssistant
from .simulated import Seed, SimulatorControl
from .waiting import until

DOMAIN = "salto_ks"

SET_UP_PATIENCE = 60.0
"""Seconds until everything that was set up has to be there."""


def credentials(seed: Seed, server: str) -> dict[str, object]:
    """Return the fields of the first forms, with what belongs in them, in the order of the forms."""
    return {
        "environment": "custom",
        "client_id": seed.client_id,
        "client_secret": seed.client_secret,
        "username": seed.username,
        "password": seed.password,
        "site_uid": seed.site_uid,
        "api_url": server,
        "identity_url": server,
    }


def answers(
    known: Mapping[str, object], iq_id: str | None, vendor: SimulatorControl
) -> Callable[[Sequence[str]], Awaitable[Mapping[str, object]]]:
    """Return what fills the forms in whichever order they come; without an IQ it is skipped."""

    async def fill(fields: Sequence[str]) -> dict[str, object]:
        values = {**known, "channel": "email", "store_pin": True}
        if iq_id is not None:
            values["iq_id"] = iq_id
            if "pin" in fields:
                values["pin"] = await vendor.pin_sent_for(iq_id)
        return {field: values[field] for field in fields if field in values}

    return fill


async def set_up(home: HomeAssistant, vendor: SimulatorControl) -> None:
    """Add the site with its first IQ, then the other IQs."""
    seed = await vendor.seed()
    known = credentials(seed, vendor.base)
    iq_ids = iter(seed.iqs)
    done = await home.walk(FLOWS, DOMAIN, answers(known, next(iq_ids, None), vendor))
    entry_id = done["result"]["entry_id"]
    await settled(home, seed)
    for iq_id in iq_ids:
        await home.walk(SUBENTRY_FLOWS, [entry_id, "iq"], answers({}, iq_id, vendor))
        await settled(home, seed)


async def settled(home: HomeAssistant, seed: Seed) -> None:
    """Wait until the integration is loaded and its doors have a state."""
    await until(lambda: _is_settled(home, len(seed.locks)), SET_UP_PATIENCE, "the doors are there")


async def _is_settled(home: HomeAssistant, doors: int) -> bool:
    entries = await home.entries(DOMAIN)
    for entry in entries:
        if entry["state"] in {"setup_error", "migration_error", "failed_unload"}:
            raise DemoError(f"the integration does not load: {entry['reason']}")
    if not entries or any(entry["state"] != "loaded" for entry in entries):
        return False
    states = await home.states()
    there = [
        entity_id
        for entity_id, state in states.items()
        if entity_id.startswith("lock.") and state["state"] != "unavailable"
    ]
    return len(there) >= doors
