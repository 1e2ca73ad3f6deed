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
    known: Mapping[str, object], iq_id: str, vendor: SimulatorControl
) -> Callable[[Sequence[str]], Awaitable[Mapping[str, object]]]:
    """Return what fills the forms of one IQ's activation, in whichever order they come."""

    async def fill(fields: Sequence[str]) -> dict[str, object]:
        values = {**known, "iq_id": iq_id, "channel": "email", "store_pin": True}
        if "pin" in fields:
            values["pin"] = await vendor.pin_sent_for(iq_id)
        return {field: values[field] for field in fields if field in values}

    return fill


async def set_up(home: HomeAssistant, vendor: SimulatorControl) -> None:
    """Add the site with its first IQ, then the other IQs."""
    seed = await vendor.seed()
    known = credentials(seed, vendor.base)
    first, *others = seed.iqs
    result = await home.walk(FLOWS, DOMAIN, answers(known, first, vendor))
    entry_id = result["result"]["entry_id"]
    for iq_id in others:
        await settled(home)
        await home.walk(SUBENTRY_FLOWS, [entry_id, "iq"], answers({}, iq_id, vendor))
    await settled(home)


async def settled(home: HomeAssistant) -> None:
    """Wait until the integration is loaded and its doors have a state."""
    await until(lambda: _is_settled(home), SET_UP_PATIENCE, "the doors are there")


async def _is_settled(home: HomeAssistant) -> bool:
    entries = await home.entries(DOMAIN)
    for entry in entries:
        if entry["state"] in {"setup_error", "migration_error", "failed_unload"}:
            raise DemoError(f"the integration does not load: {entry['reason']}")
    if not entries or any(entry["state"] != "loaded" for entry in entries):
        return False
    states = await home.states()
    doors = [state for entity_id, state in states.items() if entity_id.startswith("lock.")]
    return bool(doors) and all(door["state"] != "unavailable" for door in doors)
