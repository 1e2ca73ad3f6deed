"""Where IQ secrets and IQ PINs are kept: on disk, in private, for each account, for good."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
import stat
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
import pytest

from custom_components.salto_ks.api.models import IqId, PlatformUserId, SiteId
from custom_components.salto_ks.domain.otp_guard import OtpGuard
from custom_components.salto_ks.iq_credential import IqCredential, IqKey
from custom_components.salto_ks.iq_vault import IqVault
from custom_components.salto_ks.storage import StorageError, SureStore
from simulator import Quirks, Simulator

from .conftest import SetUp
from .files import files_with, hass_config_dir, hass_storage, path_of, read, write
from .support import (
    RECEPTION,
    delivered_pin,
    fill,
    iq_named,
    lock_named,
    opened,
    reach_iq,
    reach_pin,
    restarted,
    set_up_site,
    start,
    start_iq,
    unlock,
    wrong_pin,
)

__all__ = ["hass_config_dir", "hass_storage"]

KEY = "salto_ks.iq_credentials"
PIN = "/v1.2/sites/{site}/iqs/{iq}/pin"
NOW = datetime(2026, 10, 25, 0, 59, 30, tzinfo=UTC)
MINE = IqKey(SiteId("site"), IqId("iq"), PlatformUserId("me"))
OTHERS = IqKey(SiteId("site"), IqId("iq"), PlatformUserId("somebody else"))


async def a_vault(hass: HomeAssistant) -> IqVault:
    """Return a vault as after a start."""
    vault = IqVault(SureStore(hass, version=1, key=KEY))
    await vault.async_load()
    return vault


def a_record(**changes: Any) -> dict[str, Any]:
    """Return a good record, changed as wished."""
    return {
        "site_id": "site",
        "iq_id": "iq",
        "user_id": "me",
        "secret": "0123456789ABCDEF",
        "pin": "0042",
        "candidates": [],
        "activated": True,
        "rejections": 0,
        "blocked_until": None,
        "held_until": None,
    } | changes


# On disk


async def test_file_of_a_site(hass: HomeAssistant, sim: Simulator, set_up: SetUp) -> None:
    """Secret and PIN are in one file that nobody else can read, and in no other."""
    await set_up(iqs=(RECEPTION,))
    assert stat.S_IMODE(path_of(hass, KEY).stat().st_mode) == 0o600
    (record,) = read(hass, KEY)["data"]["credentials"]
    assert record["pin"] == delivered_pin(sim)
    activation = sim.world.activation(sim.account.user_id, iq_named(sim, RECEPTION).id)
    assert activation is not None
    assert record["secret"] == activation.secret
    await hass.async_stop(force=True)
    assert files_with(hass, record["secret"]) == [path_of(hass, KEY)]
    assert path_of(hass, KEY) in files_with(hass, f'"{record["pin"]}"')
    assert len(files_with(hass, f'"{record["pin"]}"')) == 1


async def test_pin_that_is_not_to_be_stored(
    hass: HomeAssistant, sim: Simulator, *, server: str, account: dict[str, str]
) -> None:
    """With storing switched off the PIN touches no file, a wrong one and a new one neither."""
    result = await reach_pin(hass, server, account, iq_named(sim, RECEPTION).id)
    old, wrong = delivered_pin(sim), wrong_pin(sim)
    new = next(pin for pin in ("5678", "6789") if pin != old)
    for typed in ({"pin": wrong}, {"pin": old, "new_pin": new}):
        result = await fill(hass, result, typed | {"store_pin": False})
        for pin in (wrong, old, new):
            assert not files_with(hass, f'"{pin}"')
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    await unlock(hass, sim, code=new)
    assert opened(sim)


async def test_full_disk_stops_the_activation(
    hass: HomeAssistant, sim: Simulator, *, server: str, account: dict[str, str]
) -> None:
    """When the secret cannot be written no PIN is asked for; afterwards it works."""
    result = await reach_iq(hass, server, account)
    result = await fill(hass, result, {"iq_id": iq_named(sim, RECEPTION).id})
    path_of(hass, KEY).mkdir(parents=True)
    result = await fill(hass, result, {"channel": "email"})
    assert (result["step_id"], result["errors"]) == ("iq_delivery", {"base": "storage_failed"})
    assert sim.journal.count(route=PIN) == 0
    assert not sim.outbox
    path_of(hass, KEY).rmdir()
    result = await fill(hass, result, {"channel": "email"})

    path_of(hass, KEY).rename(path_of(hass, "aside"))
    path_of(hass, KEY).mkdir()
    typed = {"pin": delivered_pin(sim), "store_pin": True}
    result = await fill(hass, result, typed)
    assert (result["step_id"], result["errors"]) == ("iq_pin", {"base": "storage_failed"})
    assert sim.journal.count("PUT", PIN) == 0
    path_of(hass, KEY).rmdir()
    result = await fill(hass, result, typed)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    await unlock(hass, sim)
    assert opened(sim)


async def test_restart(hass: HomeAssistant, sim: Simulator, set_up: SetUp) -> None:
    """After a restart the doors open with what is in the file."""
    entry = await set_up()
    async with restarted(hass, entry) as (again, same):
        assert same.state is ConfigEntryState.LOADED
        await unlock(again, sim)
        assert opened(sim)


# What can be wrong with the file


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(None, id="nothing"),
        pytest.param("secret", id="a text"),
        pytest.param(["secret"], id="a list"),
        pytest.param({}, id="empty"),
        pytest.param({k: v for k, v in a_record().items() if k != "secret"}, id="no secret"),
        *(
            pytest.param(a_record(**{name: value}), id=f"{name} is {value!r}")
            for name, values in {
                "site_id": (None, "", 5),
                "iq_id": (None, ["iq"]),
                "user_id": (None, {}),
                "secret": (None, "", 5, ["0123456789ABCDEF"]),
                "pin": ("", "12", "12345", "12a4", 1234, ["1234"], "１２３４"),
                "candidates": (None, "1234", {"1234": 1}, ["12"], [1234], [None]),
                "activated": (None, "false", 1),
                "rejections": (None, "many", []),
                "blocked_until": (5, "soon", "2026-10-25T00:59:30", "0001-01-01T00:00:00+14:00"),
                "held_until": (True, "", "2026-10-25"),
            }.items()
            for value in values
        ),
    ],
)
async def test_damaged_record(hass: HomeAssistant, record: Any) -> None:
    """A record that makes no sense is not used, not lost, and in nobody's way."""
    good = a_record(user_id="somebody else", secret="good")
    write(hass, KEY, {"credentials": [record, good]})
    vault = await a_vault(hass)
    assert vault.get(MINE) is None
    assert vault.get(OTHERS) == IqCredential(secret="good", pin="0042", activated=True)
    await vault.put(OTHERS, IqCredential(secret="better"))
    records = read(hass, KEY)["data"]["credentials"]
    assert record in records
    assert [item["secret"] for item in records if item != record] == ["better"]


@pytest.mark.parametrize(
    ("data", "frame"),
    [({"credentials": {}}, {}), ([], {}), ({}, {}), ({"credentials": []}, {"version": 2})],
    ids=["another kind", "a list", "without credentials", "a newer version"],
)
async def test_file_that_is_not_understood(
    hass: HomeAssistant,
    sim: Simulator,
    *,
    server: str,
    account: dict[str, str],
    data: Any,
    frame: Mapping[str, Any],
) -> None:
    """Nothing works on a file that is not understood, nothing is written to it, and it is said."""
    entry = await set_up_site(hass, sim, server, iqs=(RECEPTION,))
    good = path_of(hass, KEY).read_bytes()
    await hass.config_entries.async_unload(entry.entry_id)
    path = write(hass, KEY, data, **frame)
    before = path.read_bytes()
    async with restarted(hass, entry) as (again, same):
        assert same.state is ConfigEntryState.SETUP_ERROR
        assert same.error_reason_translation_key == "storage_unreadable"
        result = await start_iq(again, same)
        assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "storage_unreadable")
        result = await fill(again, await start(again), account | {"site_uid": "NL0000000002"})
        result = await fill(again, result, {"api_url": server, "identity_url": server})
        assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "storage_unreadable")
        assert path.read_bytes() == before

        path.write_bytes(good)
        assert await again.config_entries.async_reload(same.entry_id)
        await unlock(again, sim)
        assert opened(sim)


async def test_file_that_is_no_json(hass: HomeAssistant, sim: Simulator, set_up: SetUp) -> None:
    """Over a file that is no JSON no new one is begun; with the old one back the doors open."""
    entry = await set_up(iqs=(RECEPTION,))
    await hass.config_entries.async_unload(entry.entry_id)
    path = path_of(hass, KEY)
    good = path.read_bytes()
    path.write_bytes(good[:-20])
    for _ in range(2):
        async with restarted(hass, entry) as (again, same):
            assert same.state is ConfigEntryState.SETUP_ERROR
            assert same.error_reason_translation_key == "storage_unreadable"
            (aside,) = path.parent.glob(f"{KEY}.corrupt.*")
            assert same.error_reason_translation_placeholders is not None
            assert same.error_reason_translation_placeholders["file"] == aside.name
            assert not path.exists()
    path.write_bytes(good)
    async with restarted(hass, entry) as (again, same):
        await unlock(again, sim)
        assert opened(sim)


# For each account


async def test_each_account_has_its_own(hass: HomeAssistant) -> None:
    """Two accounts on one IQ have two secrets, and neither touches the other's."""
    vault = await a_vault(hass)
    await vault.put(MINE, IqCredential(secret="mine", pin="0001"))
    await vault.put(OTHERS, IqCredential(secret="theirs", pin="0002"))
    await vault.put(MINE, IqCredential(secret="mine again"))
    again = await a_vault(hass)
    assert again.get(MINE) == IqCredential(secret="mine again")
    assert again.get(OTHERS) == IqCredential(secret="theirs", pin="0002")


async def test_everything_comes_back(hass: HomeAssistant) -> None:
    """What is kept is what is read, counters and pauses included."""
    credential = IqCredential(
        secret="Opaque, CaSe kept, \N{SNOWMAN}",
        pin="0000",
        candidates=("0001", "9999"),
        activated=True,
        guard=OtpGuard(rejections=3, blocked_until=NOW, held_until=NOW + timedelta(minutes=25)),
    )
    await (await a_vault(hass)).put(MINE, credential)
    assert (await a_vault(hass)).get(MINE) == credential


async def test_failed_write_is_raised(hass: HomeAssistant) -> None:
    """A credential that is not on disk is known for now, and whoever puts it hears of it."""
    vault = await a_vault(hass)
    path_of(hass, KEY).mkdir(parents=True)
    with pytest.raises(StorageError) as failed:
        await vault.put(MINE, IqCredential(secret="0123456789ABCDEF", pin="0042"))
    assert "0123456789ABCDEF" not in f"{failed.value}{failed.value.__cause__}"
    assert vault.get(MINE) is not None


async def test_nothing_shows(hass: HomeAssistant) -> None:
    """Neither a credential nor the vault shows a secret or a PIN when it is printed."""
    vault = await a_vault(hass)
    credential = IqCredential(secret="0123456789ABCDEF", pin="0042", candidates=("0043",))
    await vault.put(MINE, credential)
    shown = f"{credential!r} {credential} {vault!r} {vault} {vars(vault)!r} {MINE!r}"
    for secret in ("0123456789ABCDEF", "0042", "0043"):
        assert secret not in shown


# Changes and turns


async def test_change_starts_from_what_is_known_now(hass: HomeAssistant) -> None:
    """Two changes at once both count, and both are on disk when they return."""
    vault = await a_vault(hass)
    await vault.put(MINE, IqCredential(secret="mine", pin="0001"))

    async def activate() -> IqCredential:
        return await vault.change(MINE, lambda known: replace(known, activated=True))

    async def reject() -> IqCredential:
        return await vault.change(
            MINE, lambda known: replace(known, guard=known.guard.rejected(NOW))
        )

    await asyncio.gather(activate(), *(reject() for _ in range(3)))
    expected = IqCredential(
        secret="mine",
        pin="0001",
        activated=True,
        guard=OtpGuard(rejections=3, held_until=NOW + timedelta(minutes=25)),
    )
    assert vault.get(MINE) == expected
    assert (await a_vault(hass)).get(MINE) == expected


async def test_change_of_nothing_writes_nothing(hass: HomeAssistant) -> None:
    """A change that changes nothing leaves the disk alone, unless the disk has fallen behind."""
    vault = await a_vault(hass)
    await vault.put(MINE, IqCredential(secret="mine", pin="0001"))
    path_of(hass, KEY).unlink()
    assert await vault.change(MINE, lambda known: known) == vault.get(MINE)
    assert not path_of(hass, KEY).exists()

    path_of(hass, KEY).mkdir()
    with pytest.raises(StorageError):
        await vault.change(MINE, lambda known: replace(known, activated=True))
    path_of(hass, KEY).rmdir()
    await vault.change(MINE, lambda known: known)
    assert (await a_vault(hass)).get(MINE) == vault.get(MINE)
    path_of(hass, KEY).unlink()
    await vault.change(MINE, lambda known: known)
    assert not path_of(hass, KEY).exists()


async def test_change_of_nothing_known(hass: HomeAssistant) -> None:
    """What is not there cannot be changed."""
    with pytest.raises(KeyError):
        await (await a_vault(hass)).change(MINE, lambda known: known)


async def test_turns(hass: HomeAssistant) -> None:
    """Whoever works with a credential shares its turn, and no other's."""
    vault = await a_vault(hass)
    async with vault.turn(MINE):
        assert vault.turn(replace(MINE)).locked()
        assert not vault.turn(OTHERS).locked()
    assert not vault.turn(MINE).locked()


# Listeners


async def test_listeners_hear_of_changes(hass: HomeAssistant) -> None:
    """A listener hears of each change, on disk or not, until it listens no longer."""
    vault = await a_vault(hass)
    heard: list[tuple[IqKey, bool]] = []

    def listen(key: IqKey) -> None:
        known = vault.get(key)
        heard.append((key, known is not None and known.activated))

    unsubscribe = vault.subscribe(listen)
    await vault.put(MINE, IqCredential(secret="mine"))
    await vault.change(MINE, lambda known: replace(known, activated=True))
    await vault.put(OTHERS, IqCredential(secret="theirs"))
    await hass.async_block_till_done()
    assert heard == [(MINE, False), (MINE, True), (OTHERS, False)]

    await vault.put(MINE, IqCredential(secret="mine", activated=True))
    await hass.async_block_till_done()
    assert len(heard) == 3

    path_of(hass, KEY).unlink()
    path_of(hass, KEY).mkdir()
    with pytest.raises(StorageError):
        await vault.put(MINE, IqCredential(secret="mine"))
    await hass.async_block_till_done()
    assert heard[3:] == [(MINE, False)]

    unsubscribe()
    unsubscribe()
    with pytest.raises(StorageError):
        await vault.put(OTHERS, IqCredential(secret="others"))
    await hass.async_block_till_done()
    assert len(heard) == 4


async def test_listener_that_fails(hass: HomeAssistant) -> None:
    """A listener that fails keeps neither the credential from the disk nor others from hearing."""
    vault = await a_vault(hass)
    heard: list[IqKey] = []
    failures: list[object] = []
    hass.loop.set_exception_handler(lambda _, context: failures.append(context.get("exception")))

    def fail(_: IqKey) -> None:
        raise RuntimeError("on purpose")

    vault.subscribe(fail)
    vault.subscribe(heard.append)
    await vault.put(MINE, IqCredential(secret="mine"))
    await hass.async_block_till_done()
    assert heard == [MINE]
    assert [str(failure) for failure in failures] == ["on purpose"]
    assert (await a_vault(hass)).get(MINE) is not None


# Stamps


async def test_each_second_is_given_out_once(hass: HomeAssistant) -> None:
    """Commands within one second are signed for seconds of their own, never for the past."""
    vault = await a_vault(hass)
    stamps = [vault.stamp(MINE, NOW.replace(microsecond=micro)) for micro in (0, 5, 999_999)]
    assert stamps == [NOW + timedelta(seconds=number) for number in range(3)]
    later = NOW + timedelta(seconds=1)
    assert vault.stamp(MINE, later) == NOW + timedelta(seconds=3)
    assert vault.stamp(MINE, NOW + timedelta(seconds=10)) == NOW + timedelta(seconds=10)
    assert vault.stamp(OTHERS, NOW) == NOW


async def test_stamps_stay_near_the_clock(hass: HomeAssistant) -> None:
    """Even under a flood of commands a stamp stays within what the IQ accepts."""
    vault = await a_vault(hass)
    stamps = [vault.stamp(MINE, NOW) for _ in range(200)]
    assert max(stamps) - NOW <= timedelta(seconds=60)
    assert min(stamps) == NOW


async def test_clock_that_is_set_back(hass: HomeAssistant) -> None:
    """After the clock was set back stamps follow it."""
    vault = await a_vault(hass)
    vault.stamp(MINE, NOW)
    earlier = NOW - timedelta(hours=1)
    assert vault.stamp(MINE, earlier) == earlier


@pytest.mark.parametrize("quirks", [Quirks.instant(otp_reuse="forbidden")])
async def test_two_doors_in_one_second(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, *, sim: Simulator, set_up: SetUp
) -> None:
    """Where Salto takes each password once, doors of one IQ still open in the same second."""
    await set_up(iqs=(RECEPTION,))
    doors = ("Main gate", "Pedestrian gate", "Reception office")
    await asyncio.gather(*(unlock(hass, sim, name) for name in doors))
    assert {lock_named(sim, name).locked_state for name in doors} == {"unlocked"}
