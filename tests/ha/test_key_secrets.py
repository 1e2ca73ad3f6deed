"""The PIN of a guest comes out in the answers to those who asked for it, and nowhere else.

A whole stay runs with every logger at DEBUG, while everything that comes out of Home Assistant is
collected. Afterwards each PIN that was on the wire is looked for in all of it, and in all files.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
import json
import re
import traceback
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer
from aiohttp.typedefs import Handler
from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
import pytest

from simulator import Fault, Simulator

from .files import files_with, hass_config_dir, hass_storage, path_of
from .keys import GUESTS, HOUR, MORNING, PIN, TIMES, ask, guests, issue, opens, passing
from .support import RECEPTION, entity_id, go_on, set_up_site
from .test_secrets import Seen, look_around, parts, seen
from .watching import act

__all__ = ["hass_config_dir", "hass_storage", "seen"]

ENTRY = ConfigEntry[Any]
LABEL = "Family Jansen"
PERSONAL = (LABEL, "R-2027-0815", "came by bicycle")
START, END = MORNING + 2 * HOUR, MORNING + 5 * HOUR


@dataclass
class PinWire:
    """Keypad PINs as they went over the wire, and what to do to one request."""

    pins: set[str] = field(default_factory=set)
    echo: bool = False
    """Refuse the next PIN of our choice with an error that quotes it."""


@pytest.fixture
def wire() -> PinWire:
    """Return what is heard on the wire."""
    return PinWire()


@pytest.fixture
async def server(sim: Simulator, wire: PinWire, socket_enabled: None) -> AsyncIterator[str]:
    """Serve the simulated Salto, with its access log and an ear on the wire."""

    @web.middleware
    async def listen(request: web.Request, handler: Handler) -> web.StreamResponse:
        body = await request.read()
        if re.search(r"/users/[^/]+/pin(/custom)?$", request.path) and request.method == "PUT":
            sent = {str(value) for value in json.loads(body or b"{}").values()}
            wire.pins |= {value for value in sent if value.isdigit()}
            if wire.echo and request.path.endswith("/custom"):
                said = {"ErrorCode": "1101", "Message": f"The PIN {sent} is one we do not like"}
                return web.json_response(said, status=400)
            response: Any = await handler(request)
            if response.status == 200 and isinstance(getattr(response, "body", None), bytes):
                wire.pins |= set(re.findall(r"\b\d{4,7}\b", response.body.decode()))
            answer: web.StreamResponse = response
            return answer
        return await handler(request)

    app = sim.app()
    app.middlewares.insert(0, listen)
    server = TestServer(app, host="127.0.0.1")
    await server.start_server()
    yield str(server.make_url("")).rstrip("/")
    await server.close()


async def fails(seen: Seen, hass: HomeAssistant, entry: ENTRY, action: str, **data: Any) -> None:
    """Ask for something in vain, and note all that can be read of the error."""
    with pytest.raises(HomeAssistantError) as caught:
        await ask(hass, entry, action, **data)
    error: BaseException | None = caught.value
    seen.note("exception", "".join(traceback.format_exception(caught.value)))
    while error is not None:
        about = getattr(error, "translation_placeholders", None)
        seen.note("exception", f"{error} {error!r} {error.args} {vars(error)} {about}")
        error = error.__cause__


@pytest.mark.parametrize("forget_pins", [False, True], ids=["kept", "forgotten"])
async def test_stay_at_debug(
    hass: HomeAssistant,
    caplog: pytest.LogCaptureFixture,
    freezer: FrozenDateTimeFactory,
    *,
    sim: Simulator,
    wire: PinWire,
    seen: Seen,
    server: str,
    forget_pins: bool,
) -> None:
    """From issue to revocation, with every failure on the way, no PIN comes out unasked."""
    freezer.move_to(MORNING)
    entry = await set_up_site(hass, sim, server, iqs=[RECEPTION])
    hass.config_entries.async_update_entry(entry, options={"forget_pins": forget_pins})
    await hass.async_block_till_done(wait_background_tasks=True)
    sim.set("site", sim.site_id, features=["custom_pin"])
    about = {"booking_id": PERSONAL[1], "label": LABEL, "reason": PERSONAL[2]}
    key = await issue(hass, sim, entry, **about)
    chosen = await issue(hass, sim, entry, pin_length=6)  # Five digits may be a port in a log.
    key_id, given = key["key_id"], {key["pin"], chosen["pin"]}
    if forget_pins:
        await fails(seen, hass, entry, "get_pin", key_id=key_id)
    else:
        assert (await ask(hass, entry, "get_pin", key_id=key_id))["pin"] == key["pin"]
    await look_around(seen, hass, entry, caplog)

    later = (END + HOUR).isoformat()
    await ask(hass, entry, "change_key", key_id=key_id, ends_at=later, reason=PERSONAL[2])
    await ask(hass, entry, "suspend_key", key_id=key_id)
    await fails(seen, hass, entry, "rotate_pin", key_id=key_id)
    await ask(hass, entry, "resume_key", key_id=key_id)
    for one in (key_id, chosen["key_id"]):
        given.add((await ask(hass, entry, "rotate_pin", key_id=one))["pin"])
    await look_around(seen, hass, entry, caplog)

    wire.echo = True
    await fails(seen, hass, entry, "rotate_pin", key_id=chosen["key_id"])
    wire.echo = False
    pin = guests(sim)[0].pin
    for fault in (
        Fault(method="PUT", route=PIN, status=200, body=f"<html>{pin}"),
        Fault(method="PUT", route=PIN, status=400, body={"ErrorCode": "1101", "Message": "No."}),
        Fault(method="PUT", route=PIN, drop_after_commit=True, count=None),
        Fault(method="PUT", route=PIN, truncate=3, count=None),
    ):
        sim.faults.add(fault)
        async with passing(freezer):
            if fault.status == 200:
                given.add((await ask(hass, entry, "rotate_pin", key_id=key_id))["pin"])
            else:
                await fails(seen, hass, entry, "rotate_pin", key_id=key_id)
        sim.faults.clear()
        await look_around(seen, hass, entry, caplog)
    wanted = {
        "doors": key["doors"],
        "starts_at": START.isoformat(),
        "ends_at": END.isoformat(),
        "label": LABEL,
    }
    for fault in (
        Fault(method="POST", route=GUESTS, status=503, count=None),
        Fault(method="GET", route=TIMES, status=200, body=[], count=None),
    ):
        sim.faults.add(fault)
        async with passing(freezer):
            await fails(seen, hass, entry, "issue_key", **wanted)
        sim.faults.clear()
    await go_on(hass, freezer, 60)
    await look_around(seen, hass, entry, caplog)

    sim.clock.set(START + HOUR)
    assert opens(sim, str(guests(sim)[0].pin))
    assert not opens(sim, "000000")
    sim.clock.set(MORNING)
    await go_on(hass, freezer, 400)
    await act(hass, "button", "press", entity_id(hass, "button", sim.site_id, "reconcile"))
    await look_around(seen, hass, entry, caplog)
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    for one in (key_id, chosen["key_id"]):
        await ask(hass, entry, "revoke_key", key_id=one, reason=PERSONAL[2])
    await look_around(seen, hass, entry, caplog)
    assert (await ask(hass, entry, "get_keys"))["keys"]
    await hass.config_entries.async_unload(entry.entry_id)
    await look_around(seen, hass, entry, caplog)

    assert given <= wire.pins
    assert len(wire.pins) >= 8
    assert {where for one in wire.pins for where in seen.leaks(one)} == set()
    assert [path for one in wire.pins for path in files_with(hass, one)] == []
    # What is looked for is what there is, and the search would find it.
    control = Seen()
    control.note("answer", key)
    assert control.leaks(key["pin"]) == {"answer"}


async def test_personal_texts_stay_where_they_belong(
    hass: HomeAssistant,
    caplog: pytest.LogCaptureFixture,
    freezer: FrozenDateTimeFactory,
    *,
    sim: Simulator,
    seen: Seen,
    server: str,
) -> None:
    """A label and a reason are in the ledger and where Home Assistant itself notes actions."""
    freezer.move_to(MORNING)
    entry = await set_up_site(hass, sim, server, iqs=[])
    key = await issue(hass, sim, entry, label=LABEL, reason=PERSONAL[2])
    await ask(hass, entry, "rotate_pin", key_id=key["key_id"], reason=PERSONAL[2])
    await look_around(seen, hass, entry, caplog)
    await ask(hass, entry, "revoke_key", key_id=key["key_id"], reason=PERSONAL[2])
    await go_on(hass, freezer, 60)
    await look_around(seen, hass, entry, caplog)
    for text in (LABEL, PERSONAL[2]):
        assert seen.leaks(text) <= {"event call_service", "log homeassistant.core"}
        ledger = path_of(hass, f"salto_ks.ledger.{sim.site_id}")
        assert {path.parent for path in files_with(hass, text)} == {ledger}


async def test_pins_are_sealed_on_disk(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, server: str
) -> None:
    """A PIN that is kept is in the ledger in sealed form, in files for their owner alone."""
    freezer.move_to(MORNING)
    entry = await set_up_site(hass, sim, server, iqs=[])
    key = await issue(hass, sim, entry)
    assert files_with(hass, key["pin"]) == []
    folder = path_of(hass, f"salto_ks.ledger.{sim.site_id}")
    sealed = files_with(hass, "gAAAAA")
    assert sealed == [folder / "keys.0000"]
    for path in folder.iterdir():
        assert path.stat().st_mode & 0o077 == 0, path
    assert folder.stat().st_mode & 0o077 == 0


async def test_objects_tell_no_pin(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, server: str
) -> None:
    """The parts that hold keys show neither PIN nor label when they are printed."""
    freezer.move_to(MORNING)
    entry = await set_up_site(hass, sim, server, iqs=[])
    key = await issue(hass, sim, entry, label=LABEL)
    found = Seen()
    known = [entry.runtime_data]
    for _ in range(4):
        known += [item for thing in known for item in parts(thing) if item not in known]
    for thing in known:
        found.note("repr", f"{thing!r} {thing}")
    for record in entry.runtime_data.keys.ledger.records.values():
        found.note("repr", f"{record!r} {record}")
    assert {type(thing).__name__ for thing in known} >= {"KeyManager", "Ledger", "PinCipher"}
    assert found.leaks(key["pin"]) == set()
    assert found.leaks(LABEL) == set()
    assert found.leaks(key["key_id"]) == {"repr"}
