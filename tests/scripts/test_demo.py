"""The parts of the demo that decide something."""

from collections.abc import Iterator
import json
from pathlib import Path
import re
import signal
import socket
import sys
from typing import Any

import pytest

from scripts.demo_lib import dashboard, front_desk, words
from scripts.demo_lib.errors import DemoError
from scripts.demo_lib.folder import BLUEPRINTS, LOOPBACK, DemoFolder, Settings
from scripts.demo_lib.options import parse
from scripts.demo_lib.processes import Child, require_free
from scripts.demo_lib.registry import Devices
from scripts.demo_lib.simulated import Seed
from scripts.demo_lib.waiting import until

TOP = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> DemoFolder:
    """Return a folder that a demo was laid out in, with other ports than the usual ones."""
    kept = DemoFolder(tmp_path / "kept")
    kept.lay_out(Settings(9001, 9002, "campsite"), tmp_path / "salto_ks")
    return kept


def test_a_new_folder_takes_the_usual_settings(tmp_path: Path) -> None:
    """Without options the demo uses the documented ports and world."""
    assert DemoFolder(tmp_path).settle(parse([])) == Settings(8123, 8124, "campsite")


def test_a_kept_folder_keeps_its_settings(folder: DemoFolder) -> None:
    """A kept demo goes on where it was, and only Home Assistant's own port may move."""
    assert folder.settle(parse([])) == Settings(9001, 9002, "campsite")
    assert folder.settle(parse(["--port", "9009"])) == Settings(9009, 9002, "campsite")


@pytest.mark.parametrize("change", [["--sim-port", "9"], ["--seed", "other"]], ids=lambda c: c[0])
def test_a_kept_folder_refuses_another_simulator(folder: DemoFolder, change: list[str]) -> None:
    """The integration in a kept folder would not find its site again: refused, with the option."""
    with pytest.raises(DemoError, match=change[0]):
        folder.settle(parse(change))


@pytest.mark.parametrize("option", ["--port", "--sim-port"])
@pytest.mark.parametrize("port", ["0", "-1", "65536", "99999"])
def test_a_port_that_does_not_exist_is_refused(
    option: str, port: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A port out of range is said in one line, before anything is started."""
    with pytest.raises(SystemExit):
        parse([f"{option}={port}"])
    assert f"error: {option} is between 1 and 65535" in capsys.readouterr().err


def test_a_foreign_folder_is_refused(tmp_path: Path) -> None:
    """A folder with somebody's Home Assistant in it is never touched."""
    (tmp_path / "configuration.yaml").write_text("default_config:\n", encoding="utf-8")
    with pytest.raises(DemoError, match="not a demo's"):
        DemoFolder(tmp_path).settle(parse([]))


def test_the_server_listens_on_loopback_only(folder: DemoFolder) -> None:
    """Home Assistant is told its port and to be reachable from this machine alone."""
    told = json.loads((folder.path / ".storage" / "http").read_text(encoding="utf-8"))
    assert told["data"]["stable"]["server_host"] == ["127.0.0.1"]
    assert told["data"]["stable"]["server_port"] == 9001


def test_laying_out_again_keeps_the_onboarding(folder: DemoFolder, tmp_path: Path) -> None:
    """What Home Assistant wrote in a kept folder survives the next start."""
    onboarding = folder.path / ".storage" / "onboarding"
    onboarding.write_text('{"data": {"done": ["user"]}}', encoding="utf-8")
    folder.lay_out(Settings(9001, 9002, "campsite"), tmp_path / "salto_ks")
    assert json.loads(onboarding.read_text(encoding="utf-8")) == {"data": {"done": ["user"]}}


def test_blueprints_are_those_of_the_project(folder: DemoFolder) -> None:
    """All blueprints are files where Home Assistant looks for them, each start with the newest."""
    folder.offer_blueprints(TOP)
    (one, *_) = sorted((folder.path / BLUEPRINTS).iterdir())
    one.write_text("old", encoding="utf-8")
    folder.offer_blueprints(TOP)
    offered = {path.name: path.read_text("utf-8") for path in (folder.path / BLUEPRINTS).iterdir()}
    ours = {path.name: path.read_text("utf-8") for path in (TOP / BLUEPRINTS).iterdir()}
    assert offered == ours


def test_a_set_up_by_hand_is_told_whole() -> None:
    """Each form is told in its own words: the account, the IQ, and the unit with its calendar."""
    seed = Seed("ID", "secret", "user", "word", "site", {"iq": "IQ Field"}, ())
    integration = TOP / "custom_components" / "salto_ks"
    told = "\n".join(words.what_to_type("http://home", "http://vendor", seed, integration))
    for line in (
        r"Client ID +ID",
        r"IQ +IQ Field",
        r"Name +Pitch 12",
        r"Calendar +Bookings Pitch 12 .*",
        r"Doors +Main gate, .*",
    ):
        assert re.search(rf"^  {line}$", told, re.MULTILINE), line


@pytest.fixture
def listener(socket_enabled: None) -> Iterator[socket.socket]:
    """Return a socket that listens on loopback."""
    with socket.create_server((LOOPBACK, 0)) as server:
        yield server


def test_a_taken_port_is_named_with_its_option(listener: socket.socket) -> None:
    """A port that is in use is refused with the option that chooses another."""
    port = listener.getsockname()[1]
    with pytest.raises(DemoError, match=f"port {port} is taken: choose another with --port"):
        require_free(port, "--port")


def test_a_free_port_is_accepted(listener: socket.socket) -> None:
    """A port that was given back is free at once."""
    port = listener.getsockname()[1]
    listener.close()
    require_free(port, "--port")


def test_paths_are_the_callers(tmp_path: Path) -> None:
    """A relative folder is looked for where the person stands, not in the project."""
    told = parse(["--called-from", str(tmp_path), "--keep", "kept", "--hass-venv", "/other"])
    assert (told.keep, told.hass_venv) == (tmp_path / "kept", Path("/other"))


async def test_a_child_that_ends_tells_why(tmp_path: Path) -> None:
    """The end of a failing process's output is part of the error."""
    child = Child("It", [sys.executable, "-c", "print('no world')"], tmp_path / "log", tmp_path)
    await child.start()
    assert await child.ended() == 0
    assert str(child.failure()) == "It ended by itself:\nno world"
    await child.stop()


async def test_a_child_is_ended(tmp_path: Path) -> None:
    """Stopping waits until the process is gone."""
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    child = Child("It", command, tmp_path / "log", tmp_path)
    await child.start()
    await child.stop()
    assert await child.ended() == -signal.SIGTERM


async def test_waiting_ends_with_words() -> None:
    """What does not come in time is named."""

    async def never() -> bool:
        return False

    with pytest.raises(DemoError, match="the world answers: not after 0 seconds"):
        await until(never, 0.01, "the world answers")


def device(name: str) -> dict[str, Any]:
    """Return a device as the registry lists it."""
    return {"id": name, "name": name, "name_by_user": None}


def entity(of: str, entity_id: str, unique_id: str, **more: Any) -> dict[str, Any]:
    """Return an entity as the registry lists it."""
    known = {"device_id": of, "entity_id": entity_id, "unique_id": unique_id}
    return known | {"platform": "salto_ks", "disabled_by": None} | more


DEVICES = [device("Sauna"), device("Gate"), device("Gateway"), device("Campsite"), device("Sun")]
ENTITIES = [
    entity("Gate", "lock.gate", "1-lock"),
    entity("Gate", "binary_sensor.gate_left_open", "1-left_open"),
    entity("Gate", "sensor.gate_battery", "1-battery"),
    entity("Gate", "switch.gate_office_mode", "1-office_mode"),
    entity("Gate", "sensor.hidden", "1-signal", disabled_by="integration"),
    entity("Sauna", "lock.sauna", "2-lock"),
    entity("Gateway", "binary_sensor.gateway_active", "3-activated"),
    entity("Gateway", "binary_sensor.gateway_online", "3-online"),
    entity("Campsite", "switch.active", "4-active"),
    entity("Sun", "sensor.sun", "5-next", platform="sun"),
]


def test_devices_are_sorted_by_what_they_are() -> None:
    """Doors have a lock, IQs an activation; what is not ours or disabled is left out, the order kept."""
    found = Devices.sort(DEVICES, ENTITIES)
    assert [door.name for door in found.doors] == ["Sauna", "Gate"]
    assert [iq.name for iq in found.iqs] == ["Gateway"]
    assert [other.name for other in found.others] == ["Campsite"]
    assert "sensor.hidden" not in found.doors[1].entities.values()


def entities_in(card: Any) -> Iterator[str]:
    """Yield the entity ids that a card shows, wherever they are."""
    if isinstance(card, dict):
        if isinstance(card.get("entity"), str):
            yield card["entity"]
        card = list(card.values())
    if isinstance(card, list):
        for part in card:
            yield from entities_in(part)


def test_the_dashboard_shows_every_entity() -> None:
    """Locks, batteries, alarms, IQs and the site are on the first view, and nothing of others."""
    doors, *_ = dashboard.build(Devices.sort(DEVICES, ENTITIES))["views"]
    ours = {e["entity_id"] for e in ENTITIES if e["platform"] == "salto_ks"} - {"sensor.hidden"}
    assert set(entities_in(doors)) == ours


def test_the_second_view_is_for_the_front_desk() -> None:
    """The card, what the site says of its keys, and the button of the demo's automation."""
    of_keys = [
        entity("Campsite", "sensor.active_keys", "4-active_keys"),
        entity("Campsite", "sensor.seats", "4-seats_used"),
    ]
    _, keys, _ = dashboard.build(Devices.sort(DEVICES, [*ENTITIES, *of_keys]))["views"]
    assert keys["sections"][0]["cards"][0]["type"] == "custom:salto-ks-desk-card"
    assert set(entities_in(keys)) == {"sensor.active_keys", "sensor.seats", front_desk.BUTTON}


def test_an_alarm_is_a_badge_only_while_it_rings() -> None:
    """The badge of an alarm is bound to the alarm's state."""
    view, *_ = dashboard.build(Devices.sort(DEVICES, ENTITIES))["views"]
    alarm = "binary_sensor.gate_left_open"
    shown = {badge["entity"]: badge.get("visibility") for badge in view["badges"]}
    assert shown == {
        "binary_sensor.gateway_online": None,
        alarm: [{"condition": "state", "entity": alarm, "state": "on"}],
    }


def test_the_third_view_is_the_day() -> None:
    """Who comes to each unit, the windows of the keys, and what happens at doors; trouble is a badge."""
    more = [
        entity("Campsite", "sensor.active_keys", "4-active_keys"),
        entity("Campsite", "sensor.discrepancies", "4-discrepancies"),
        entity("Campsite", "binary_sensor.left_alone", "4-keys_left_alone"),
        entity("Campsite", "calendar.keys", "4-keys"),
        entity("Pitch", "sensor.current", "6-current_booking"),
        entity("Pitch", "binary_sensor.ready", "6-ready"),
    ]
    *_, today = dashboard.build(Devices.sort([*DEVICES, device("Pitch")], [*ENTITIES, *more]))[
        "views"
    ]
    assert [badge["entity"] for badge in today["badges"]] == [
        "sensor.discrepancies",
        "sensor.active_keys",
        "binary_sensor.left_alone",
    ]
    assert today["badges"][-1]["visibility"][0]["state"] == "on"
    arrivals, week, doors = (section["cards"] for section in today["sections"])
    assert set(entities_in(arrivals)) == {"sensor.current", "binary_sensor.ready"}
    assert week[-1]["entities"] == ["calendar.keys"]
    assert doors[-1]["target"] == {"entity_id": ["lock.sauna", "lock.gate"]}
