"""Somebody who means harm: a user without rights, a name that is more than one, many tries at once.

Everything is tried by the ways in that Home Assistant has: its WebSocket, its REST API, its actions.
What a secret may not come out by is in `test_secrets.py` and `test_key_secrets.py`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from http import HTTPStatus
import logging
from pathlib import Path
import re
import shutil
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.auth.models import User
from homeassistant.auth.permissions import PolicyPermissions
from homeassistant.auth.permissions.const import CAT_ENTITIES, POLICY_CONTROL, POLICY_READ
from homeassistant.components.websocket_api.const import DOMAIN as WEBSOCKET_API
from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.core import Context, HomeAssistant
from homeassistant.helpers import entity_registry as er, issue_registry as ir
from homeassistant.helpers.json import json_dumps
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
from markdown_it import MarkdownIt
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    MockUser,
    async_capture_events,
)
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.salto_ks.domain.bookings import BookingStatus
from custom_components.salto_ks.domain.fixes import Fix
from custom_components.salto_ks.domain.ids import KeyId
from custom_components.salto_ks.domain.key_requests import By
from custom_components.salto_ks.domain.outcomes import Outcome
from custom_components.salto_ks.keys.news import NewsKind
from custom_components.salto_ks.wording import unmarked
from simulator import Fault, Simulator

from .booking_helpers import bookings, keys, minutes_pass, only_key
from .conftest import SetUp
from .files import hass_config_dir, hass_storage
from .keys import ask, guests, issue as issue_key, opens
from .meddling import STRANGE_PIN, add_key_of, group_of
from .source import INTEGRATION
from .support import (
    DOMAIN,
    GATE,
    LAUNDRY,
    RECEPTION,
    account_input,
    delivered_pin,
    door,
    entity_id,
    iq_named,
    opened,
    unlock,
    wrong_pin,
)
from .texts import english
from .units import CABIN, add_unit, device_of, tell, unit_entity
from .watching import commands, shown

__all__ = ["hass_config_dir", "hass_storage"]

ENTRY = ConfigEntry[Any]
HOUR = timedelta(hours=1)
LABEL = "Family Jansen"
MARINA = "NL0000000002"
BLUEPRINTS = Path(__file__).parents[2] / "blueprints" / "automation" / DOMAIN

type Answer = dict[str, Any]
type Say = Callable[..., Awaitable[Answer]]
type Connect = Callable[[User], Awaitable[Say]]


@pytest.fixture
async def site(hass: HomeAssistant, set_up: SetUp, hass_admin_user: MockUser) -> ENTRY:
    """Return a site with both IQs; its administrator is somebody else than who attacks."""
    await hass.config.async_set_time_zone("Europe/Amsterdam")
    return await set_up()


@pytest.fixture
async def stay(hass: HomeAssistant, sim: Simulator, site: ENTRY) -> dict[str, Any]:
    """Have guests who are there, with a key; return it with its PIN."""
    await add_unit(hass, sim, site, mode="both")
    now = dt_util.utcnow()
    await tell(hass, site, starts_at=now - HOUR, ends_at=now + 24 * HOUR, label=LABEL)
    key = await only_key(hass, site)
    return await ask(hass, site, "get_pin", key_id=key["key_id"])


@pytest.fixture
async def stranger(hass: HomeAssistant, site: ENTRY) -> User:
    """Return an ordinary user, who is neither administrator nor at the desk."""
    return await hass.auth.async_create_user("Stranger", group_ids=["system-users"])


@pytest.fixture
async def porter(hass: HomeAssistant, sim: Simulator, site: ENTRY) -> User:
    """Return a user who may see and control one door and nothing else, and works at the desk."""
    user = await hass.auth.async_create_user("Porter", group_ids=[])
    hass.config_entries.async_update_entry(site, options={"front_desk": [user.id]})
    await hass.async_block_till_done(wait_background_tasks=True)
    rights = {POLICY_READ: True, POLICY_CONTROL: True}
    policy = {CAT_ENTITIES: {"entity_ids": {door(hass, sim): rights}}}
    user.permissions = PolicyPermissions(policy, None)  # type: ignore[arg-type] # no devices are asked for
    return user


async def token_of(hass: HomeAssistant, user: User) -> str:
    """Log a user in."""
    refresh = await hass.auth.async_create_refresh_token(user, "https://attack.example")
    return hass.auth.async_create_access_token(refresh)


@pytest.fixture
def connect(hass: HomeAssistant, hass_ws_client: Any) -> Connect:
    """Return what connects a user by the WebSocket, and gives what sends a command."""

    async def connect(user: User) -> Say:
        client = await hass_ws_client(hass, await token_of(hass, user))

        async def say(command: str, **data: Any) -> Answer:
            await client.send_json_auto_id({"type": command, **data})
            answer: Answer = await client.receive_json()
            if command == "render_template" and answer["success"]:
                answer = await client.receive_json()
            return answer

        return say

    return connect


def filled(schema: Any, entry: ENTRY, hass: HomeAssistant, sim: Simulator) -> dict[str, Any]:
    """Return what a schema requires, with values that would work for an administrator."""
    values = {
        "config_entry_id": entry.entry_id,
        "key_id": next(iter(entry.runtime_data.keys.ledger.records)),
        "doors": [door(hass, sim)],
        "starts_at": "2027-07-01T15:00",
        "ends_at": "2027-07-08T11:00",
        "unit": device_of(hass, entry),
        "booking_id": "R2",
        "status": BookingStatus.CONFIRMED.value,
    }
    required = {str(key) for key in schema if type(key).__name__ == "Required"}
    return {name: values[name] for name in required - {"type", "id"}}


# A user without rights


async def test_actions_are_for_administrators(
    hass: HomeAssistant,
    sim: Simulator,
    site: ENTRY,
    *,
    stay: Mapping[str, Any],
    stranger: User,
    connect: Connect,
    hass_client: ClientSessionGenerator,
) -> None:
    """Each action but one refuses who is no administrator, by either way in."""
    assert await async_setup_component(hass, "api", {})
    say, browser = await connect(stranger), await hass_client(await token_of(hass, stranger))
    sim.journal.clear()
    ours = hass.services.async_services_for_domain(DOMAIN)
    assert len(ours) >= 14
    for name, action in ours.items():
        if name == "open_door":
            continue
        assert action.schema is not None
        data = filled(action.schema.schema, site, hass, sim)
        answer = await say(
            "call_service", domain=DOMAIN, service=name, service_data=data, return_response=True
        )
        assert answer["error"]["message"] == "Unauthorized", name
        response = await browser.post(f"/api/services/{DOMAIN}/{name}?return_response", json=data)
        assert response.status == HTTPStatus.UNAUTHORIZED, name
    assert not [one for one in sim.journal.entries if one.method != "GET"]


async def test_commands_are_for_the_desk(
    hass: HomeAssistant,
    sim: Simulator,
    site: ENTRY,
    *,
    stay: Mapping[str, Any],
    stranger: User,
    connect: Connect,
) -> None:
    """Each command of the WebSocket but two refuses who is not at the desk, and those tell nothing."""
    say = await connect(stranger)
    ours = {
        name: schema
        for name, (_, schema) in hass.data[WEBSOCKET_API].items()
        if name.startswith(f"{DOMAIN}/")
    }
    assert len(ours) >= 7
    for name, schema in ours.items():
        answer = await say(name, **filled(schema.schema, site, hass, sim))
        if name.endswith(("/words", "/sites")):
            assert stay["key_id"] not in json_dumps(answer)
            assert site.entry_id not in json_dumps(answer)
        else:
            assert answer["error"]["code"] == "unauthorized", name


async def test_a_script_lends_no_rights(
    hass: HomeAssistant,
    site: ENTRY,
    stay: Mapping[str, Any],
    stranger: User,
    connect: Connect,
) -> None:
    """Who may run a script may not do by it what they may not do: its context is theirs."""
    steal = {
        "action": f"{DOMAIN}.get_pin",
        "data": {"config_entry_id": site.entry_id, "key_id": stay["key_id"]},
        "response_variable": "key",
    }
    sequence = [steal, {"stop": "done", "response_variable": "key"}]
    assert await async_setup_component(
        hass, "script", {"script": {"steal": {"sequence": sequence}}}
    )
    lines = len((await ask(hass, site, "get_audit_log"))["lines"])
    answer = await (await connect(stranger))(
        "call_service", domain="script", service="steal", return_response=True
    )
    assert not answer["success"]
    assert stay["pin"] not in json_dumps(answer)
    assert len((await ask(hass, site, "get_audit_log"))["lines"]) == lines


async def test_events_are_for_administrators(
    hass: HomeAssistant, site: ENTRY, stranger: User, connect: Connect
) -> None:
    """Nobody else listens to what happens to keys, bookings and doors on the bus."""
    say = await connect(stranger)
    ours = [f"{DOMAIN}_{kind}" for kind in NewsKind]
    for name in (*ours, f"{DOMAIN}_access", f"{DOMAIN}_booking_checked_in", "call_service", "*"):
        answer = await say("subscribe_events", event_type=name)
        assert answer["error"]["code"] == "unauthorized", name
        trigger = {"platform": "event", "event_type": name}
        answer = await say("subscribe_trigger", trigger=trigger)
        assert answer["error"]["code"] == "unauthorized", name


async def test_forms_are_for_administrators(
    hass: HomeAssistant,
    site: ENTRY,
    stay: Mapping[str, Any],
    *,
    stranger: User,
    connect: Connect,
    hass_client: ClientSessionGenerator,
) -> None:
    """Nobody else begins a form of ours, mends by a repair, or downloads diagnostics."""
    for component in ("config", "repairs", "diagnostics"):
        assert await async_setup_component(hass, component, {})
    unit = next(one for one in site.subentries.values() if one.subentry_type == "unit")
    say, browser = await connect(stranger), await hass_client(await token_of(hass, stranger))
    for path, form in (
        ("config/config_entries/flow", {"handler": DOMAIN}),
        ("config/config_entries/options/flow", {"handler": site.entry_id}),
        ("config/config_entries/subentries/flow", {"handler": [site.entry_id, "unit"]}),
        (
            "config/config_entries/subentries/flow",
            {"handler": [site.entry_id, "unit"], "subentry_id": unit.subentry_id},
        ),
        ("repairs/issues/fix", {"handler": DOMAIN, "issue_id": "seats_full"}),
        (f"config/config_entries/entry/{site.entry_id}/reload", {}),
    ):
        answer = await browser.post(f"/api/{path}", json=form)
        assert answer.status == HTTPStatus.UNAUTHORIZED, path
    answer = await browser.get(f"/api/diagnostics/config_entry/{site.entry_id}")
    assert answer.status == HTTPStatus.UNAUTHORIZED
    for command, data in (
        ("config_entries/subentries/list", {"entry_id": site.entry_id}),
        ("config_entries/flow/progress", {}),
        ("config/entity_registry/remove", {"entity_id": next(iter(hass.states.async_entity_ids("lock")))}),
        ("diagnostics/list", {}),
        ("fire_event", {"event_type": f"{DOMAIN}_access"}),
    ):  # fmt: skip
        assert (await say(command, **data))["error"]["code"] == "unauthorized", command


async def test_what_every_user_may_read(
    hass: HomeAssistant,
    sim: Simulator,
    site: ENTRY,
    *,
    stay: Mapping[str, Any],
    stranger: User,
    connect: Connect,
    hass_client: ClientSessionGenerator,
) -> None:
    """States, registries, repairs, calendars and templates have no PIN, no secret and no name."""
    for component in ("config", "repairs"):
        assert await async_setup_component(hass, component, {})
    await unlock(hass, sim)
    sim.set("iq", iq_named(sim, RECEPTION).id, restore_required=True)
    await site.runtime_data.doors.async_refresh()
    await hass.async_block_till_done()
    say, browser = await connect(stranger), await hass_client(await token_of(hass, stranger))
    read = [
        json_dumps(await say(command))
        for command in (
            "get_states",
            "get_services",
            "config_entries/get",
            "config/entity_registry/list",
            "config/entity_registry/list_for_display",
            "config/device_registry/list",
            "repairs/list_issues",
        )
    ]
    everything = (
        "{% for s in states %}{{ s.entity_id }} {{ s.state }} {{ s.attributes }}\n{% endfor %}"
    )
    read.append(json_dumps(await say("render_template", template=everything)))
    for entity in hass.states.async_entity_ids("calendar"):
        span = "start=2026-01-01T00:00:00Z&end=2028-01-01T00:00:00Z"
        answer = await browser.get(f"/api/calendars/{entity}?{span}")
        read.append(await answer.text())
    text = "\n".join(read)
    assert stay["key_id"] in text
    assert "iq_restore" in text
    activation = sim.world.activation(sim.account.user_id, iq_named(sim, RECEPTION).id)
    assert activation is not None
    assert activation.secret is not None
    info = sim.seed_info()
    for secret in (
        LABEL, activation.secret, info["password"], info["client_secret"],
    ):  # fmt: skip
        assert secret not in text
    for digits in (stay["pin"], delivered_pin(sim)):
        assert not re.search(rf"(?<![\w.-]){digits}(?![\w-])", text)


async def test_one_door_is_one_door(
    hass: HomeAssistant,
    sim: Simulator,
    site: ENTRY,
    *,
    stay: Mapping[str, Any],
    porter: User,
    connect: Connect,
    hass_client: ClientSessionGenerator,
) -> None:
    """Who has one door opens that one, and neither others nor a unit that has others as well."""
    say, browser = await connect(porter), await hass_client(await token_of(hass, porter))
    states = (await say("get_states"))["result"]
    assert {one["entity_id"] for one in states if not one["entity_id"].startswith("person.")} == {
        door(hass, sim)
    }
    sim.journal.clear()
    for domain, service, entity in (
        ("lock", "unlock", door(hass, sim, CABIN)),
        ("lock", "open", door(hass, sim, LAUNDRY)),
        ("button", "press", unit_entity(hass, site, "button", "open")),
        ("button", "press", unit_entity(hass, site, "button", "reissue")),
        ("switch", "turn_off", entity_id(hass, "switch", sim.site_id, "active")),
        ("calendar", "get_events", entity_id(hass, "calendar", sim.site_id, "keys")),
    ):
        answer = await say(
            "call_service",
            domain=domain,
            service=service,
            service_data={"end_date_time": "2028-01-01T00:00:00"} if domain == "calendar" else {},
            target={"entity_id": entity},
            return_response=domain == "calendar",
        )
        assert answer["error"]["message"] == "Unauthorized", entity
    calendar = entity_id(hass, "calendar", sim.site_id, "keys")
    answer = await browser.get(
        f"/api/calendars/{calendar}?start=2026-01-01T00:00:00Z&end=2028-01-01T00:00:00Z"
    )
    assert answer.status == HTTPStatus.UNAUTHORIZED
    at = {"config_entry_id": site.entry_id}
    assert (await say(f"{DOMAIN}/desk/keys", **at))["result"] == {"keys": []}
    assert commands(sim) == 0


# Opening for a booking


async def open_door(hass: HomeAssistant, user: User | None, **data: Any) -> dict[str, Any]:
    """Open as somebody; None for Home Assistant itself."""
    answer = await hass.services.async_call(
        DOMAIN,
        "open_door",
        data,
        blocking=True,
        context=Context(user_id=None if user is None else user.id),
        return_response=True,
    )
    return dict(answer or {})


async def test_who_may_not_open_is_told_nothing(
    hass: HomeAssistant, sim: Simulator, site: ENTRY, stay: Mapping[str, Any], porter: User
) -> None:
    """Whether somebody is booked, and from when on, is for those who may control the doors."""
    await add_unit(hass, sim, site, "Pitch 13", doors=(LAUNDRY,), mode="both")
    now = dt_util.utcnow()
    await tell(hass, site, "R9", unit="Pitch 13", starts_at=now + 9 * HOUR, ends_at=now + 30 * HOUR)
    free = device_of(hass, site, "Pitch 13")
    for given, key in (
        ({"unit": free}, "door_not_yours"),
        ({"booking_id": "R9"}, "door_not_yours"),
        ({"unit": free, "doors": [door(hass, sim)]}, "door_not_of_booking"),
        ({"unit": free, "doors": []}, "key_no_doors"),
    ):
        with shown(key, users=True) as raised:
            await open_door(hass, porter, **given)
        assert "from_when" not in raised.placeholders


async def test_name_of_the_guest_is_for_administrators(
    hass: HomeAssistant,
    sim: Simulator,
    stay: Mapping[str, Any],
    *,
    stranger: User,
    porter: User,
    hass_admin_user: MockUser,
) -> None:
    """Who opens a door by right is not told the name that `get_bookings` keeps from them."""
    gate = [door(hass, sim)]
    for user, label in ((stranger, ""), (porter, ""), (hass_admin_user, LABEL), (None, LABEL)):
        answer = await open_door(hass, user, booking_id="R1", doors=gate)
        assert answer["doors"] == gate
        assert answer["booking"]["label"] == label


async def test_door_without_an_entity(
    hass: HomeAssistant,
    sim: Simulator,
    site: ENTRY,
    *,
    stay: Mapping[str, Any],
    stranger: User,
    porter: User,
    connect: Connect,
) -> None:
    """A door whose entity was removed is nobody's but theirs who may control everything."""
    say, at = await connect(porter), {"config_entry_id": site.entry_id}
    er.async_get(hass).async_remove(door(hass, sim, CABIN))
    await hass.async_block_till_done()
    with shown("door_not_yours", users=True):
        await open_door(hass, porter, booking_id="R1")
    assert commands(sim) == 0
    assert (await say(f"{DOMAIN}/desk/keys", **at))["result"] == {"keys": []}
    for command in ("show_pin", "change", "revoke"):
        answer = await say(f"{DOMAIN}/desk/{command}", **at, key_id=stay["key_id"])
        assert answer["error"]["code"] == "unauthorized", command
    assert len(guests(sim)) == 1
    await open_door(hass, stranger, booking_id="R1")
    assert opened(sim, CABIN)


async def test_user_who_is_gone(
    hass: HomeAssistant, sim: Simulator, stay: Mapping[str, Any], stranger: User
) -> None:
    """A context with a user who was removed opens nothing."""
    await hass.auth.async_remove_user(stranger)
    with shown("door_not_yours", users=True):
        await open_door(hass, stranger, booking_id="R1")
    assert commands(sim) == 0


async def test_booking_id_of_two(
    hass: HomeAssistant, sim: Simulator, site: ENTRY, set_up: SetUp, stay: Mapping[str, Any]
) -> None:
    """An id that two sites have opens for neither, until it is said which unit is meant."""
    marina = await set_up(iqs=[], account=account_input(sim, site_uid=MARINA))
    await add_unit(hass, sim, marina, "Berth 1", doors=("Jetty gate",), mode="remote")
    now = dt_util.utcnow()
    times = {"starts_at": now - 2 * HOUR, "ends_at": now + 24 * HOUR}
    await tell(hass, marina, "R1", unit="Berth 1", **times)
    with shown("booking_ambiguous", users=True) as raised:
        await open_door(hass, None, booking_id="R1")
    assert raised.placeholders == {"booking_id": "R1"}
    assert commands(sim) == 0
    unit = device_of(hass, site)
    answer = await open_door(hass, None, booking_id="R1", unit=unit, doors=[door(hass, sim)])
    assert answer["booking"]["unit"] == unit
    await tell(hass, marina, "R1", unit="Berth 1", **times, status="cancelled")
    assert (await open_door(hass, None, booking_id="R1"))["booking"]["unit"] == unit


# The front desk


async def test_messages_that_are_not_the_cards(
    hass: HomeAssistant,
    sim: Simulator,
    site: ENTRY,
    *,
    porter: User,
    hass_ws_client: Any,
) -> None:
    """Fields that are not offered, odd languages and a message sent again are refused."""
    client = await hass_ws_client(hass, await token_of(hass, porter))
    window = {"starts_at": "2027-07-01T15:00", "ends_at": "2027-07-08T11:00"}
    at = {"config_entry_id": site.entry_id}
    number = 1

    async def say(command: str, **data: Any) -> Answer:
        nonlocal number
        number += 1
        message = {"id": number, "type": f"{DOMAIN}/desk/{command}", **data}
        await client.send_json(message)
        answer: Answer = await client.receive_json()
        return answer

    issued = await say("issue", **at, **window, doors=[door(hass, sim)])
    assert issued["success"]
    number -= 1
    again = await say("issue", **at, **window, doors=[door(hass, sim)])
    assert again["error"]["code"] == "id_reuse"
    key = at | {"key_id": issued["result"]["key_id"]}
    for command, data in (
        ("change", key | {"doors": [door(hass, sim, CABIN)]}),
        ("issue", at | window | {"doors": [door(hass, sim)], "pin_length": 4}),
        ("issue", at | window | {"doors": [door(hass, sim)], "booking_id": "R1"}),
        ("words", {"language": "nl\n"}),
        ("words", {"language": "../../../../etc"}),
        ("keys", at | {"user_id": "somebody else"}),
        ("show_pin", key | {"key_id": {"$ne": ""}}),
    ):
        assert (await say(command, **data))["error"]["code"] == "invalid_format", (command, data)
    both = [door(hass, sim), door(hass, sim, CABIN)]
    answer = await say("issue", **at, **window, doors=both)
    assert answer["error"]["code"] == "unauthorized"
    answer = await say("issue", **at, **window, doors=[door(hass, sim)], label="{{ 1 }}{0.x}%s<b>")
    assert answer["result"]["label"] == "{{ 1 }}{0.x}%s<b>"
    assert len(guests(sim)) == 2


def test_card_makes_no_markup_of_data() -> None:
    """The card puts texts into text nodes, keeps nothing, and loads nothing from anywhere."""
    source = (INTEGRATION / "frontend" / "salto-ks-desk-card.js").read_text("utf-8")
    code = re.sub(r"/\*.*?\*/|(?<!:)//[^\n]*", "", source, flags=re.DOTALL)
    for way in (
        "innerHTML", "outerHTML", "insertAdjacentHTML", "createContextualFragment", "DOMParser",
        "document.write", "unsafeHTML", "srcdoc", "eval(", "Function(", "javascript:", "import(",
        "localStorage", "sessionStorage", "indexedDB", "document.cookie", "console.", "fetch(",
        "XMLHttpRequest", "WebSocket(", "sendBeacon", "postMessage", "location", "window.open",
        ".href", "src:", "clipboard",
    ):  # fmt: skip
        assert way not in code, way
    made = set(re.findall(r"\bmake\(\s*\"(\w+)\"", code))
    assert not made & {"a", "img", "script", "iframe", "object", "embed", "link", "svg", "form"} - {
        "form"
    }


# Codes


async def test_many_codes_at_once(hass: HomeAssistant, sim: Simulator, set_up: SetUp) -> None:
    """Who tries codes, twenty at once and again after a reload, has three tries and no more."""
    site = await set_up(iqs=[RECEPTION], store_pin=False)
    tries = [wrong_pin(sim, nth=number % 5) for number in range(20)]
    sim.journal.clear()
    results = await asyncio.gather(
        *(unlock(hass, sim, code=code) for code in tries), return_exceptions=True
    )
    assert all(isinstance(result, Exception) for result in results)
    assert commands(sim) == 3
    await hass.config_entries.async_reload(site.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    with shown("otp_held"):
        await unlock(hass, sim, code=delivered_pin(sim))
    assert commands(sim) == 3


# Names

HOSTILE = (
    "[Gate](https://evil.example) ![x](//evil.example/p.png) <img src=x onerror=alert(1)>"
    " <https://evil.example> www.evil.example a@evil.example {site} {0.__class__} %s %(x)s $x"
)


@pytest.mark.parametrize("text", [
    HOSTILE,
    r"\[a](https://evil.example)",
    "`[a](https://evil.example)",
    "[a]: https://evil.example\n[a]",
    "HTTPS://EVIL.EXAMPLE WWW.evil.example",
    "<script>alert(1)</script>",
    "<!-- ",
])  # fmt: skip
def test_no_markup_of_somebody_elses(text: str) -> None:
    """Nothing that Markdown makes of a name leads, loads or runs anything."""
    shown_text = unmarked(text)
    assert_harmless(f"IQ {shown_text} is offline.\n\n- {shown_text}: x\n\n{shown_text}")
    assert not re.search(r"://|www\.|\w@\w", shown_text, re.IGNORECASE)


@pytest.mark.parametrize(
    "name", ["Pitch 12", "Tür (Nord), 2. OG", "A & B #4 * _x_", "10:30/11", ""]
)
def test_ordinary_names_stay(name: str) -> None:
    """A name that is one stays as it is."""
    assert unmarked(name) == name


def assert_harmless(markdown: str) -> None:
    """Assert that nothing but text comes of Markdown."""
    for block in MarkdownIt("commonmark").parse(markdown):
        kinds = {block.type, *(token.type for token in block.children or ())}
        assert not kinds & {"link_open", "image", "html_inline", "html_block"}, kinds


async def test_hostile_names(
    hass: HomeAssistant,
    caplog: pytest.LogCaptureFixture,
    sim: Simulator,
    *,
    set_up: SetUp,
    hass_admin_user: MockUser,
) -> None:
    """Names from Salto are names: in logs of one line, in issues and forms without markup."""
    caplog.set_level(logging.DEBUG)
    name = f"{HOSTILE}\n2026-12-07 ERROR all doors are open\N{RIGHT-TO-LEFT OVERRIDE}"
    site_id = sim.site_id
    sim.set("site", site_id, customer_reference=name)
    for lock in list(sim.world.locks.values()):
        sim.set("lock", lock.id, customer_reference=f"{lock.customer_reference} {name}")
    entry = await set_up(iqs=[RECEPTION])
    reception = iq_named(sim, RECEPTION).id
    sim.set("iq", reception, customer_reference=name, restore_required=True)
    subentry = next(iter(entry.subentries.values()))
    hass.config_entries.async_update_subentry(entry, subentry, title=f"IQ {name.splitlines()[0]}")
    total = sim.world.sites[site_id].subscribed_user_amount
    sim.set("site", site_id, subscribed_user_amount=min(total, 1))
    await hass.async_block_till_done(wait_background_tasks=True)
    await entry.runtime_data.site.async_refresh()
    await entry.runtime_data.doors.async_refresh()
    await hass.async_block_till_done(wait_background_tasks=True)
    assert entry.state is ConfigEntryState.LOADED
    issues = [one for one in ir.async_get(hass).issues.values() if one.domain == DOMAIN]
    assert {str(one.translation_key) for one in issues} >= {"seats_full", "iq_restore"}
    texts = english()["issues"]
    for issue in issues:
        assert issue.translation_key is not None
        about = dict(issue.translation_placeholders or {})
        text = texts[issue.translation_key]
        step = text.get("fix_flow", {}).get("step", {}).get("confirm", {})
        description = text.get("description") or step["description"]
        assert_harmless(description.format_map(about))
        assert not re.search(r"://|www\.", "".join(about.values()))
    ours = [record for record in caplog.records if record.name.startswith("custom_components")]
    assert ours
    assert not [record for record in ours if "\n" in record.getMessage()]
    states = hass.states.async_all()
    assert not [one for one in states if not str(one.attributes.get("friendly_name")).isprintable()]


async def test_marker_without_measure(hass: HomeAssistant, sim: Simulator, site: ENTRY) -> None:
    """A guest whose name looks like a marker with a number of any length stops no comparison."""
    user = next(one for one in sim.world.users.values() if one.user_id != sim.account.user_id)
    sim.set("user", user.id, alias=f"ha-abcd-{'9' * 5000}")
    answer = await ask(hass, site, "reconcile", deep=True)
    assert answer["findings"] == []


# Markers that somebody has written at Salto


async def test_marker_of_an_earlier_key(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    *,
    site: ENTRY,
    stay: Mapping[str, Any],
) -> None:
    """Who copies it gets neither the booking nor its doors, even where the copy is taken over."""
    manager, by = site.runtime_data.keys.manager, By(who="somebody")
    first = KeyId(stay["key_id"])
    sim.remove("user", (await only_key(hass, site))["salto_key_id"])
    await minutes_pass(hass, freezer, 10)
    await manager.reconcile(dry_run=False)
    assert await manager.mend(first, Outcome.MISSING_AT_SALTO, Fix.FORGET, by)
    sim.remove("group", group_of(sim, stay).id)
    await minutes_pass(hass, freezer, 10)
    key = await only_key(hass, site)
    key |= await ask(hass, site, "get_pin", key_id=key["key_id"])
    add_key_of(sim, first, LAUNDRY, key)
    await minutes_pass(hass, freezer, 10)
    await manager.reconcile(dry_run=False)
    assert await manager.mend(first, Outcome.UNKNOWN_AT_SALTO, Fix.ADOPT, by)
    await minutes_pass(hass, freezer, 20)
    assert {one["key_id"]: one["booking_id"] for one in await keys(hass, site)} == {
        key["key_id"]: "R1",
        first: None,
    }
    assert opens(sim, key["pin"])
    opened_by_copy = [name for name in (GATE, CABIN, LAUNDRY) if opens(sim, STRANGE_PIN, name)]
    assert opened_by_copy == [LAUNDRY]


async def test_number_after_which_there_is_none(
    hass: HomeAssistant, sim: Simulator, site: ENTRY, stay: Mapping[str, Any]
) -> None:
    """Who writes the highest number into a name does not use up those of later keys."""
    instance = stay["key_id"].partition("-")[0]
    sim.add("user", {"alias": f"ha-{instance}-{'9' * 12}"})
    sim.add("group", {"customer_reference": f"ha-{instance}-{'9' * 12}.1"})
    answer = await ask(hass, site, "reconcile", deep=True)
    assert (answer["findings"], answer["foreign"]) == ([], 1)
    issued = await issue_key(hass, sim, site)
    assert issued["key_id"] == f"{instance}-2"
    assert issued["status"] == "set"


async def test_people_are_no_guests(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    *,
    site: ENTRY,
    stay: Mapping[str, Any],
) -> None:
    """Our own account, and others with a role, are not removed for what they are called."""
    people = [
        one
        for one in sim.world.users.values()
        if one.site_id == sim.site_id and "site_guest" not in sim.world.role_codes(one)
    ]
    assert {sim.account.user_id} < {one.user_id for one in people}
    for person in people:
        sim.set("user", person.id, alias=f"Home Assistant ha-{stay['key_id']}")
    await minutes_pass(hass, freezer, 10)
    answer = await ask(hass, site, "reconcile", deep=True)
    assert answer["findings"] == []
    await ask(hass, site, "revoke_key", key_id=stay["key_id"])
    assert [one for one in people if one.deleted_at is not None] == []
    assert opens(sim, stay["pin"]) is False


async def test_groups_of_people(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    *,
    site: ENTRY,
    stay: Mapping[str, Any],
) -> None:
    """A group of the staff that carries a marker among other words is nothing of ours."""
    name = f"Cleaners ha-{stay['key_id']}.1"
    theirs = sim.add("group", {"customer_reference": name})
    await minutes_pass(hass, freezer, 10)
    answer = await ask(hass, site, "reconcile", deep=True)
    assert answer["findings"] == []
    await ask(hass, site, "revoke_key", key_id=stay["key_id"])
    assert [group.customer_reference for group in sim.world.groups.values()].count(name) == 1
    assert theirs
    assert opens(sim, stay["pin"]) is False


# What Salto says, and what a webhook is told


@pytest.mark.parametrize(
    ("method", "route"), [("POST", "/access_groups"), ("POST", "/guests"), ("PUT", "/pin")]
)
async def test_refusal_of_a_key(
    hass: HomeAssistant,
    caplog: pytest.LogCaptureFixture,
    sim: Simulator,
    *,
    site: ENTRY,
    method: str,
    route: str,
) -> None:
    """Whatever Salto says of a key becomes one short line of text in an issue, and is no event."""
    await add_unit(hass, sim, site, mode="both")
    failed = async_capture_events(hass, f"{DOMAIN}_key_failed")
    message = f"{HOSTILE}\n# now\r\n\x1b[2J\x00\N{RIGHT-TO-LEFT OVERRIDE}{'x' * 100_000}"
    body = {"ErrorCode": "3999", "Message": message}
    fault = sim.faults.add(Fault(method=method, route=route, status=400, body=body, count=None))
    now = dt_util.utcnow()
    await tell(hass, site, starts_at=now - HOUR, ends_at=now + 24 * HOUR)
    assert sim.faults.hits(fault)
    issue_id = f"booking_without_key_{site.entry_id}"
    raised = ir.async_get(hass).async_get_issue(DOMAIN, issue_id)
    assert raised is not None
    told = (raised.translation_placeholders or {})["bookings"]
    assert "evil" in told
    assert told.isprintable() or set(re.sub(r"[ -~]", "", told)) <= set(unmarked("[]<>@"))
    assert len(told) < 500
    assert_harmless(told)
    assert "evil" not in json_dumps([event.data for event in failed])
    ours = [one.getMessage() for one in caplog.records if one.name.startswith("custom_components")]
    assert [text for text in ours if "\n" in text or len(text) > 500] == []


async def test_webhook_of_one_unit(
    hass: HomeAssistant,
    sim: Simulator,
    site: ENTRY,
    *,
    hass_client_no_auth: ClientSessionGenerator,
) -> None:
    """Who knows a webhook chooses neither unit nor doors, and no text of theirs is a template."""
    await add_unit(hass, sim, site, mode="both")
    await add_unit(hass, sim, site, "Pitch 13", doors=(LAUNDRY,))
    shutil.copytree(BLUEPRINTS, hass.config.path("blueprints", "automation", DOMAIN))
    assert await async_setup_component(hass, "webhook", {})
    inputs = {"webhook": "long-and-secret", "unit": device_of(hass, site)}
    use = {"path": f"{DOMAIN}/booking_by_webhook.yaml", "input": inputs}
    config = {"automation": {"id": "hook", "alias": "hook", "use_blueprint": use}}
    assert await async_setup_component(hass, "automation", config)
    client, other = await hass_client_no_auth(), device_of(hass, site, "Pitch 13")
    now = dt_util.utcnow()
    times = {"arrival": str(now - HOUR), "departure": str(now + HOUR), "status": "confirmed"}
    more = {"unit": other, "doors": [door(hass, sim, LAUNDRY)], "label": "x"}
    for told in (
        {"id": f"a', 'unit': '{other}", "name": "x"},
        {"id": "b", "name": f"'}}) }}}}{{{{ states }}}} ', 'unit': '{other}"},
        {"id": {"unit": other}, "name": [{"doors": []}]},
        {"id": "d", "name": "\N{RIGHT-TO-LEFT OVERRIDE}x\n# y\x00"} | more,
        {"id": "e\n"} | {"status": ["confirmed"]},
        {"id": "f" * 101},
    ):
        answer = await client.post("/api/webhook/long-and-secret", json=times | told)
        assert answer.status == HTTPStatus.OK
        await hass.async_block_till_done(wait_background_tasks=True)
    for told in ([], ["name"], "name", 5):
        await client.post("/api/webhook/long-and-secret", json=told)
        await hass.async_block_till_done(wait_background_tasks=True)
    taken = {one["booking_id"]: one for one in await bookings(hass)}
    assert {name: one["label"] for name, one in taken.items()} == {
        f"a', 'unit': '{other}": "x",
        "b": f"'}}) }}}}{{{{ states }}}} ', 'unit': '{other}",
        str({"unit": other}): "[{'doors': []}]",
        "d": "x # y",
    }
    assert {one["unit"] for one in taken.values()} == {inputs["unit"]}
    assert door(hass, sim, LAUNDRY) not in json_dumps(await keys(hass, site))
    await hass.services.async_call("automation", "turn_off", {"entity_id": "all"}, blocking=True)


# Servers and files


@pytest.mark.parametrize("field", ["api_url", "identity_url"])
@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("http://salto.example", "server_refused"),
        ("http://127.0.0.1.salto.example", "server_refused"),
        ("ftp://127.0.0.1", "server_address_unusable"),
        ("https://a:secret@b.c", "server_address_unusable"),
        ("https://salto.example/api", "server_address_unusable"),
        ("salto.example", "server_address_unusable"),
        ("", "server_address_unusable"),
    ],
)
async def test_server_that_is_not_to_be_trusted(
    hass: HomeAssistant, sim: Simulator, field: str, address: str, reason: str
) -> None:
    """An address that the form would refuse is asked nothing, however it came to be there."""
    account = account_input(sim)
    data = {key: account[key] for key in ("client_id", "client_secret", "username", "password")} | {
        "environment": "custom",
        "api_url": "https://salto.example",
        "identity_url": "https://salto.example",
        "site_id": sim.site_id,
        field: address,
    }
    entry = MockConfigEntry(domain=DOMAIN, unique_id=sim.site_id, data=data)
    entry.add_to_hass(hass)
    assert not await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_ERROR
    assert entry.error_reason_translation_key == reason
    assert "secret" not in str(entry.error_reason_translation_placeholders)


def files_of_ours(hass: HomeAssistant) -> list[Path]:
    """Return all files and folders of ours, and what anybody has left half written."""
    storage = Path(hass.config.path(".storage"))
    half = [*Path(hass.config.config_dir).rglob("*.tmp")]
    return [*storage.glob(f"{DOMAIN}*"), *storage.glob(f"{DOMAIN}*/**/*"), *half]


async def test_files_are_their_owners(
    hass: HomeAssistant, sim: Simulator, site: ENTRY, stay: Mapping[str, Any]
) -> None:
    """All files of ours are for the owner of the process alone, and none is left half written."""
    await unlock(hass, sim)
    await ask(hass, site, "reconcile")
    await hass.config_entries.async_unload(site.entry_id)
    ours = files_of_ours(hass)
    assert {path.name for path in ours} >= {
        f"{DOMAIN}.iq_credentials",
        f"{DOMAIN}.pin_key",
        f"{DOMAIN}.ledger.{sim.site_id}",
        f"{DOMAIN}.bookings.{sim.site_id}",
        "keys.0000",
        "intents",
    }
    assert [str(path) for path in ours if path.stat().st_mode & 0o077] == []
    known = re.compile(rf"{DOMAIN}\.[\w.-]+|intents|keys\.\d+|audit\.\d{{4}}-\d\d\.jsonl")
    assert [path.name for path in ours if not known.fullmatch(path.name)] == []
