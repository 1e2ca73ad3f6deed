"""Nothing that opens a door, or logs in, is ever seen outside of its one file.

A whole life of a site runs with every logger at DEBUG, while everything that comes out of Home
Assistant is collected. Afterwards each secret that was on the wire is looked for in all of it.
"""

import base64
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
import json
import logging
import re
import traceback
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus

from aiohttp import web
from aiohttp.test_utils import TestServer
from aiohttp.typedefs import Handler
from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.const import EVENT_CALL_SERVICE, EVENT_LOGGING_CHANGED, MATCH_ALL
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import (
    device_registry as dr,
    entity_registry as er,
    issue_registry as ir,
)
from homeassistant.helpers.json import json_dumps
import pytest

from custom_components.salto_ks.diagnostics import async_get_config_entry_diagnostics
from simulator import Fault, Quirks, Simulator
from simulator.seeds import SeedName

from .files import files_with, hass_config_dir, hass_storage, path_of
from .support import (
    DOMAIN,
    RECEPTION,
    account_input,
    delivered_pin,
    door,
    fill,
    iq_named,
    reach_pin,
    set_up_site,
    unlock,
    wrong_pin,
)
from .watching import LOCKING, act

__all__ = ["hass_config_dir", "hass_storage"]

VAULT = "salto_ks.iq_credentials"
NEW_PASSWORD = "another/password=with&signs"
OURS = "custom_components.salto_ks"
SHORT = 8


@dataclass
class Wire:
    """Secrets as they went over the wire, and what to do to one request."""

    secrets: set[str] = field(default_factory=set)
    otps: list[str] = field(default_factory=list)
    echo: bool = False
    """Answer the next command with an error that quotes its secrets."""

    def heard(self, request: web.Request, body: bytes) -> None:
        """Note the secrets of a request."""
        if header := request.headers.get("Authorization"):
            self.secrets.add(header.partition(" ")[2])
        if request.content_type == "application/x-www-form-urlencoded":
            self.secrets.add(dict(parse_qsl(body.decode()))["password"])
        elif body:
            otp = json.loads(body).get("otp")
            if otp is not None:
                self.otps.append(otp)

    def answered(self, response: web.StreamResponse) -> None:
        """Note the secrets of an answer."""
        if isinstance(response, web.Response) and isinstance(response.body, bytes):
            text = response.body.decode()
            self.secrets.update(re.findall(r'"(?:access_token|secret)":\s*"([^"]+)"', text))


@pytest.fixture
def seed() -> SeedName:
    """Start with one door on one IQ."""
    return "full"


@pytest.fixture
def quirks() -> Quirks:
    """Let Salto block late, so that there are many rejections to talk about."""
    return Quirks.instant(block_threshold=8)


@pytest.fixture
def wire() -> Wire:
    """Return what is heard on the wire."""
    return Wire()


@pytest.fixture
async def server(sim: Simulator, wire: Wire, socket_enabled: None) -> AsyncIterator[str]:
    """Serve the simulated Salto, with its access log and an ear on the wire."""

    @web.middleware
    async def listen(request: web.Request, handler: Handler) -> web.StreamResponse:
        wire.heard(request, await request.read())
        if wire.echo and request.method == "PATCH":
            wire.echo = False
            said = f"{request.headers['Authorization']} sent {wire.otps[-1].upper()}"
            body = {"ErrorCode": "3102", "Message": f"Bad request: {said}"}
            return web.json_response(body, status=400)
        response = await handler(request)
        wire.answered(response)
        return response

    app = sim.app()
    app.middlewares.insert(0, listen)
    server = TestServer(app, host="127.0.0.1")
    await server.start_server()
    yield str(server.make_url("")).rstrip("/")
    await server.close()


@dataclass
class Seen:
    """Everything that came out of Home Assistant, by where it came out."""

    texts: dict[str, list[str]] = field(default_factory=dict)

    def note(self, where: str, what: object) -> None:
        """Note something, as a person or a program would read it."""
        text = what if isinstance(what, str) else json_dumps(what)
        self.texts.setdefault(where, []).append(text)

    def leaks(self, secret: str) -> set[str]:
        """Return where a secret came out; letter case makes no difference.

        A short one counts as a word of its own only: four digits are in many a number.
        """
        pattern = re.escape(secret)
        if len(secret) < SHORT:
            pattern = rf"(?<![\w.-]){pattern}(?![\w-])"
        wanted = re.compile(pattern, re.IGNORECASE)
        return {where for where, texts in self.texts.items() if any(map(wanted.search, texts))}


@pytest.fixture
def seen(hass: HomeAssistant, caplog: pytest.LogCaptureFixture) -> Iterator[Seen]:
    """Collect every event from now on, with everything being logged."""
    seen = Seen()
    for name in (None, "homeassistant", "aiohttp"):
        caplog.set_level(logging.DEBUG, name)
    hass.bus.async_fire_internal(EVENT_LOGGING_CHANGED)

    @callback
    def note(event: Event[Any]) -> None:
        seen.note(f"event {event.event_type}", json_dumps(event.as_dict()))

    remove = hass.bus.async_listen(MATCH_ALL, note)
    yield seen
    remove()


async def fails(seen: Seen, hass: HomeAssistant, sim: Simulator, code: str | None = None) -> None:
    """Open the door in vain, and note all that can be read of the error."""
    with pytest.raises(HomeAssistantError) as caught:
        await unlock(hass, sim, code=code)
    error: BaseException | None = caught.value
    seen.note("exception", "".join(traceback.format_exception(caught.value)))
    while error is not None:
        seen.note("exception", f"{error} {error!r} {error.args} {vars(error)}")
        error = error.__cause__


async def look_around(
    seen: Seen, hass: HomeAssistant, entry: ConfigEntry[Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Note states, registries, diagnostics, what objects say of themselves, and the log."""
    look_into_home_assistant(seen, hass, entry)
    if entry.state is ConfigEntryState.LOADED:
        seen.note("diagnostics", await async_get_config_entry_diagnostics(hass, entry))
        data = entry.runtime_data
        for thing in (data, *vars(data).values(), data.doors.data, data.site.data):
            seen.note("repr", repr(thing))
    for record in caplog.records:
        where = OURS if record.name.startswith(OURS) else record.name
        seen.note(f"log {where}", f"{record.getMessage()} {record.exc_text or ''}")
        if record.exc_info:
            seen.note(f"log {where}", "".join(traceback.format_exception(*record.exc_info)))
    caplog.clear()


def look_into_home_assistant(seen: Seen, hass: HomeAssistant, entry: ConfigEntry[Any]) -> None:
    """Note states, registries, issues, forms, and the entry as users can list it."""
    for state in hass.states.async_all():
        seen.note("state", state.as_dict())
    for device in dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id):
        seen.note("device", device.dict_repr)
    for entity in er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id):
        seen.note("entity", entity.extended_dict)
    for issue in ir.async_get(hass).issues.values():
        seen.note("issue", {"data": issue.data, "filled": issue.translation_placeholders})
    for flow in hass.config_entries.flow.async_progress():
        seen.note("flow", repr(flow))
    seen.note("entry in lists", entry.as_json_fragment)
    for subentry in entry.subentries.values():
        seen.note("subentry", repr(subentry.as_dict()))


def all_secrets(sim: Simulator, wire: Wire, *passwords: str) -> set[str]:
    """Return everything of this run that must not be seen."""
    info = sim.seed_info()
    known = {info["client_secret"], *passwords, *wire.secrets, *wire.otps}
    for activation in sim.world.activations.values():
        known |= {activation.secret or "", activation.pin or ""}
    known |= {delivery.pin for delivery in sim.outbox}
    pair = f"{info['client_id']}:{info['client_secret']}"
    known.add(base64.b64encode(pair.encode()).decode())
    spelled = {spell(secret) for secret in known for spell in (quote, quote_plus, repr)}
    return {secret.strip("'\"") for secret in known | spelled} - {""}


async def test_life_with_a_stored_pin(
    hass: HomeAssistant,
    caplog: pytest.LogCaptureFixture,
    sim: Simulator,
    wire: Wire,
    seen: Seen,
    *,
    server: str,
    account: dict[str, str],
) -> None:
    """From set-up to reauth, with every failure of doors on the way, no secret comes out."""
    result = await reach_pin(hass, server, account, iq_named(sim, RECEPTION).id)
    pin = delivered_pin(sim)
    wrong = {wrong_pin(sim)}
    for typed in (*wrong, pin):
        result = await fill(hass, result, {"pin": typed, "store_pin": True})
        seen.note("form", repr({key: result.get(key) for key in ("errors", "data_schema")}))
    entry: ConfigEntry[Any] = result["result"]
    await hass.async_block_till_done()

    await unlock(hass, sim)
    sim.revoke_tokens()
    await unlock(hass, sim)
    wire.echo = True
    await fails(seen, hass, sim)
    sim.faults.add(Fault(route=LOCKING, reset=True))
    await fails(seen, hass, sim)
    sim.faults.add(Fault(route=LOCKING, status=200, body=f"<html>{pin}"))
    await fails(seen, hass, sim)
    await look_around(seen, hass, entry, caplog)

    activation = sim.world.activation(sim.account.user_id, iq_named(sim, RECEPTION).id)
    assert activation is not None
    right, activation.pin = activation.pin, wrong_pin(sim)
    for _ in range(4):
        await fails(seen, hass, sim)
    await look_around(seen, hass, entry, caplog)
    await hass.config_entries.async_reload(entry.entry_id)
    await fails(seen, hass, sim)

    old_password = sim.account.password
    sim.account.password = NEW_PASSWORD
    sim.revoke_tokens()
    await entry.runtime_data.doors.async_refresh()
    await hass.async_block_till_done()
    await look_around(seen, hass, entry, caplog)
    (flow,) = hass.config_entries.flow.async_progress_by_handler(DOMAIN)
    for password in ("mistyped-password", NEW_PASSWORD):
        result = await fill(hass, flow, {"password": password})
        seen.note("form", repr({key: result.get(key) for key in ("errors", "data_schema")}))
    await hass.async_block_till_done()
    activation.pin = right
    await look_around(seen, hass, entry, caplog)
    await hass.config_entries.async_unload(entry.entry_id)
    await look_around(seen, hass, entry, caplog)

    secrets = all_secrets(sim, wire, old_password, NEW_PASSWORD, "mistyped-password", *wrong)
    assert len(wire.otps) >= 9
    leaks = {where for secret in secrets for where in seen.leaks(secret)}
    assert leaks == set()
    # What is looked for is what there is: it stands in the one file, and the search finds it.
    control = Seen()
    control.note("file", path_of(hass, VAULT).read_text("utf-8"))
    for secret in (activation.secret, pin):
        assert secret is not None
        assert secret in secrets
        assert control.leaks(secret) == {"file"}
        assert path_of(hass, VAULT) in files_with(hass, secret)


async def test_life_with_a_typed_code(
    hass: HomeAssistant,
    caplog: pytest.LogCaptureFixture,
    sim: Simulator,
    wire: Wire,
    seen: Seen,
    server: str,
) -> None:
    """A code that is typed comes out where Home Assistant itself notes actions, nowhere else."""
    entry = await set_up_site(hass, sim, server, iqs=[RECEPTION], store_pin=False)
    pin = delivered_pin(sim)
    await unlock(hass, sim, code=pin)
    sim.set("lock", next(iter(sim.world.locks)), locked_state="office_mode")
    await act(hass, "lock", "lock", door(hass, sim), code=pin)
    wrong = [wrong_pin(sim, nth=number) for number in range(3)]
    for code in (*wrong, f"{pin}\n", f"{pin}5", pin):
        await fails(seen, hass, sim, code=code)
    await look_around(seen, hass, entry, caplog)

    others = all_secrets(sim, wire, sim.account.password) - {pin}
    assert {where for secret in others for where in seen.leaks(secret)} == set()
    for code in (pin, *wrong):
        assert seen.leaks(code) == {f"event {EVENT_CALL_SERVICE}", "log homeassistant.core"}
    assert not files_with(hass, f'"{pin}"')


async def test_objects_tell_no_secret(
    hass: HomeAssistant, sim: Simulator, wire: Wire, server: str
) -> None:
    """The parts that hold secrets show none of them when they are printed."""
    entry = await set_up_site(hass, sim, server, iqs=[RECEPTION])
    await unlock(hass, sim)
    seen = Seen()
    known = [entry.runtime_data]
    for _ in range(4):
        known += [item for thing in known for item in parts(thing) if item not in known]
    for thing in known:
        seen.note("repr", f"{thing!r} {thing}")
    secrets = all_secrets(sim, wire, sim.account.password)
    assert any(type(thing).__name__ == "IqCredential" for thing in known)
    assert any(type(thing).__name__ == "Credentials" for thing in known)
    assert {where for secret in secrets for where in seen.leaks(secret)} == set()
    assert account_input(sim)["password"] in secrets


def parts(thing: object) -> list[Any]:
    """Return the objects of ours that an object holds."""
    values: list[object] = list(vars(thing).values()) if hasattr(thing, "__dict__") else []
    values += [getattr(thing, name, None) for name in getattr(type(thing), "__slots__", ())]
    for value in list(values):
        if isinstance(value, dict):
            values += [*value.keys(), *value.values()]
    return [value for value in values if type(value).__module__.startswith(OURS)]
