"""The front desk: who may ask what, what is answered, and that it leaves nothing behind."""

from collections.abc import Awaitable, Callable
from typing import Any

from homeassistant.auth.models import User
from homeassistant.auth.permissions import PolicyPermissions
from homeassistant.auth.permissions.const import CAT_ENTITIES, POLICY_CONTROL
from homeassistant.components.frontend import DATA_EXTRA_MODULE_URL
from homeassistant.config_entries import ConfigEntry
from homeassistant.const import EVENT_CALL_SERVICE, MATCH_ALL
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.helpers.json import json_dumps
from homeassistant.setup import async_setup_component
import pytest

from simulator import Simulator

from .conftest import SetUp
from .files import hass_config_dir, hass_storage
from .keys import ask, guests, opens
from .support import DOMAIN, GATE, RECEPTION, door, entity_id

__all__ = ["hass_config_dir", "hass_storage"]

WINDOW = {"starts_at": "2027-07-01T15:00", "ends_at": "2027-07-08T11:00"}

type Answer = dict[str, Any]
type Say = Callable[..., Awaitable[Answer]]


@pytest.fixture
async def site(hass: HomeAssistant, set_up: SetUp) -> ConfigEntry[Any]:
    """Set the site up."""
    await hass.config.async_set_time_zone("Europe/Amsterdam")
    return await set_up(iqs=[RECEPTION])


@pytest.fixture
async def clerk(hass: HomeAssistant, site: ConfigEntry[Any]) -> User:
    """Return a user without administrator rights who works at the desk of the site."""
    user = await hass.auth.async_create_user("Clerk", group_ids=["system-users"])
    hass.config_entries.async_update_entry(site, options={"front_desk": [user.id]})
    await hass.async_block_till_done(wait_background_tasks=True)
    return user


@pytest.fixture
def saying(hass: HomeAssistant, hass_ws_client: Any) -> Callable[[User], Awaitable[Say]]:
    """Return what connects a user, and gives what sends a command of the desk."""

    async def connect(user: User) -> Say:
        refresh = await hass.auth.async_create_refresh_token(user, "https://desk.example")
        client = await hass_ws_client(hass, hass.auth.async_create_access_token(refresh))

        async def say(command: str, **data: Any) -> Answer:
            await client.send_json_auto_id({"type": f"{DOMAIN}/desk/{command}", **data})
            answer: Answer = await client.receive_json()
            return answer

        return say

    return connect


async def test_a_key_at_the_desk(
    hass: HomeAssistant,
    sim: Simulator,
    site: ConfigEntry[Any],
    clerk: User,
    saying: Callable[[User], Awaitable[Say]],
) -> None:
    """A clerk issues, lists, shows, moves and takes back a key; nobody else hears of its PIN."""
    say, heard = await saying(clerk), list[str]()

    @callback
    def hear(event: Event) -> None:
        heard.append(json_dumps([event.event_type, event.data]).lower())

    hass.bus.async_listen(MATCH_ALL, hear)
    (found,) = (await say("sites"))["result"]["sites"]
    assert (found["config_entry_id"], found["active"]) == (site.entry_id, True)
    names = [one["name"] for one in found["doors"]]
    assert GATE in names
    assert "Pedestrian gate" not in names
    at = {"config_entry_id": site.entry_id}
    issued = (await say("issue", **at, doors=[door(hass, sim)], label="Pitch 12", **WINDOW))[
        "result"
    ]
    assert issued["starts_at"] == "2027-07-01T13:00:00+00:00"
    assert issued["pin_kept"] is True
    (listed,) = (await say("keys", **at))["result"]["keys"]
    assert "pin" not in listed
    assert (listed["key_id"], listed["label"], listed["status"]) == (
        issued["key_id"],
        "Pitch 12",
        "set",
    )
    key = at | {"key_id": issued["key_id"]}
    assert (await say("show_pin", **key))["result"]["pin"] == issued["pin"]
    moved = (await say("change", **key, ends_at="2027-07-10T11:00"))["result"]["key"]
    assert moved["ends_at"] == "2027-07-10T09:00:00+00:00"
    taken = (await say("revoke", **key, reason="left"))["result"]["key"]
    assert taken["status"] == "removing"
    assert guests(sim) == []
    assert not [one for one in heard if one.startswith(f'["{EVENT_CALL_SERVICE}",')]
    lines = (await ask(hass, site, "get_audit_log"))["lines"]
    done = [(line["action"], line["who"]) for line in reversed(lines)]
    assert done == [(one, "Clerk") for one in ("issue", "reveal", "change", "revoke")]
    everything = " ".join([*heard, *(json_dumps(s.as_dict()) for s in hass.states.async_all())])
    assert str(issued["pin"]) not in everything
    assert not opens(sim, issued["pin"])


async def test_strangers_are_told_nothing(
    hass: HomeAssistant,
    sim: Simulator,
    site: ConfigEntry[Any],
    clerk: User,
    saying: Callable[[User], Awaitable[Say]],
) -> None:
    """A user who does not work at the desk sees no site and can do nothing, whatever the door."""
    stranger = await hass.auth.async_create_user("Stranger", group_ids=["system-users"])
    key = (await (await saying(clerk))(
        "issue", config_entry_id=site.entry_id, doors=[door(hass, sim)], **WINDOW
    ))["result"]  # fmt: skip
    say = await saying(stranger)
    assert (await say("sites"))["result"] == {"sites": []}
    at = {"config_entry_id": site.entry_id}
    sim.journal.clear()
    for command, data in (
        ("keys", at),
        ("issue", at | {"doors": [door(hass, sim)]} | WINDOW),
        ("show_pin", at | {"key_id": key["key_id"]}),
        ("change", at | {"key_id": key["key_id"]}),
        ("revoke", at | {"key_id": key["key_id"]}),
        ("keys", {"config_entry_id": "nowhere"}),
    ):
        answer = await say(command, **data)
        assert answer["error"]["code"] == "unauthorized", command
        assert "front desk" in answer["error"]["message"]
    assert not [one for one in sim.journal.entries if one.method != "GET"]
    assert (await say("words"))["result"]["words"]["issue"]


async def test_doors_that_are_not_the_clerks(
    hass: HomeAssistant,
    sim: Simulator,
    site: ConfigEntry[Any],
    clerk: User,
    saying: Callable[[User], Awaitable[Say]],
) -> None:
    """A clerk with rights for one door sees that door and its keys, and no others."""
    allowed = door(hass, sim)
    admin = await hass.auth.async_create_user("Admin", group_ids=["system-admin"])
    boss = await saying(admin)
    at = {"config_entry_id": site.entry_id}
    both = [allowed, door(hass, sim, "Laundry")]
    other = (await boss("issue", **at, doors=both, **WINDOW))["result"]
    clerk.groups = []
    clerk.permissions = _only(allowed)
    say = await saying(clerk)
    (found,) = (await say("sites"))["result"]["sites"]
    assert [one["entity_id"] for one in found["doors"]] == [allowed]
    assert (await say("keys", **at))["result"] == {"keys": []}
    for command, data in (
        ("issue", {"doors": both} | WINDOW),
        ("show_pin", {"key_id": other["key_id"]}),
        ("revoke", {"key_id": other["key_id"]}),
    ):
        assert (await say(command, **at, **data))["error"]["code"] == "unauthorized"
    own = await say("issue", **at, doors=[allowed], **WINDOW)
    assert own["success"]
    assert [key["key_id"] for key in (await say("keys", **at))["result"]["keys"]] == [
        own["result"]["key_id"]
    ]


def _only(allowed: str) -> Any:
    """Return permissions to control one entity."""
    policy = {CAT_ENTITIES: {"entity_ids": {allowed: {POLICY_CONTROL: True}}}}
    return PolicyPermissions(policy, None)  # type: ignore[arg-type] # no devices are asked for


async def test_mistakes_in_words(
    hass: HomeAssistant,
    sim: Simulator,
    site: ConfigEntry[Any],
    clerk: User,
    saying: Callable[[User], Awaitable[Say]],
) -> None:
    """What cannot work is said in words that can be translated, and nothing is sent."""
    say, at = await saying(clerk), {"config_entry_id": site.entry_id}
    sim.journal.clear()
    for command, data, key in (
        ("issue", {"doors": [door(hass, sim)], "starts_at": "2027-07-02", "ends_at": "2027-07-01"},
         "key_ends_before_start"),
        ("issue", {"doors": ["lock.nowhere"]} | WINDOW, "door_not_ours"),
        ("issue", {"doors": [door(hass, sim, "Pedestrian gate")]} | WINDOW,
         "key_door_without_keypad"),
        ("show_pin", {"key_id": "ab12-99"}, "key_unknown"),
        ("show_pin", {"key_id": ""}, "key_unknown"),
    ):  # fmt: skip
        answer = await say(command, **at, language="nl", **data)
        assert answer["error"]["translation_key"] == key
        assert "{" not in answer["error"]["message"]
    assert not [one for one in sim.journal.entries if one.method != "GET"]
    assert (await say("words", language="../x"))["error"]["code"] == "invalid_format"
    switch = entity_id(hass, "switch", str(site.unique_id), "active")
    await hass.services.async_call("switch", "turn_off", {"entity_id": switch}, blocking=True)
    assert (await say("sites"))["result"]["sites"][0]["active"] is False
    await hass.config_entries.async_unload(site.entry_id)
    assert (await say("sites"))["result"] == {"sites": []}


async def test_the_card_is_offered(
    hass: HomeAssistant, set_up: SetUp, hass_client: Any, socket_enabled: None
) -> None:
    """With a frontend every page loads the card, under an address of its version."""
    assert await async_setup_component(hass, "frontend", {})
    await set_up(iqs=[RECEPTION])
    (url,) = [one for one in hass.data[DATA_EXTRA_MODULE_URL].urls if DOMAIN in one]
    client = await hass_client()
    answer = await client.get(url)
    assert answer.status == 200
    text = await answer.text()
    assert "salto-ks-desk-card" in text
