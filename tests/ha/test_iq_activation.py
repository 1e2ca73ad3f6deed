"""The activation itself: how far it has come, and how few passwords it risks to find out."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import aiohttp
from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util
import pytest

from custom_components.salto_ks.api import Credentials, SaltoKsClient, create_client
from custom_components.salto_ks.api.exceptions import (
    SaltoKsConnectionError,
    SaltoKsForbiddenError,
    SaltoKsHardwareError,
    SaltoKsOtpRejectedError,
)
from custom_components.salto_ks.api.models import (
    IqId,
    LockCommand,
    LockId,
    PinChannel,
    PlatformUserId,
    SiteId,
)
from custom_components.salto_ks.api.otp import IqOtp
from custom_components.salto_ks.domain.otp_guard import HOLD
from custom_components.salto_ks.domain.refusals import CommandRefusedError, Refusal
from custom_components.salto_ks.iq_activation import (
    ActivatedElsewhereError,
    IqActivation,
    PinUncertainError,
    Stage,
)
from custom_components.salto_ks.iq_credential import IqCredential, IqKey
from custom_components.salto_ks.iq_vault import IqVault
from custom_components.salto_ks.storage import SureStore
from simulator import Fault, Quirks, Simulator, pairwise

from .support import GATE, RECEPTION, delivered_pin, iq_named, lock_named, opened, pin_in_force

PIN = "/v1.2/sites/{site}/iqs/{iq}/pin"
SECRET = "/v1.2/sites/{site}/iqs/{iq}/secret"


class Party:
    """An account with its vault, at one IQ."""

    def __init__(self, sim: Simulator, client: SaltoKsClient, vault: IqVault) -> None:
        """Work on the IQ of the reception."""
        self.sim = sim
        self.client = client
        self.vault = vault
        self.key = IqKey(
            SiteId(sim.site_id),
            IqId(iq_named(sim, RECEPTION).id),
            PlatformUserId(sim.account.user_id),
        )
        self.activation = IqActivation(client, vault, self.key, dt_util.utcnow)

    @property
    def known(self) -> IqCredential:
        """Return what is in the vault."""
        credential = self.vault.get(self.key)
        if credential is None:
            raise LookupError("nothing is known")
        return credential

    async def know(self, **changes: object) -> None:
        """Change what is in the vault."""
        await self.vault.put(self.key, replace(self.known, **changes))  # type: ignore[arg-type] # names are the caller's

    async def activate(self) -> str:
        """Go the ordinary way and return the PIN."""
        await self.activation.deliver(PinChannel.EMAIL)
        await self.activation.confirm(delivered_pin(self.sim), store_pin=True)
        self.sim.journal.clear()
        return delivered_pin(self.sim)

    async def open_gate(self) -> bool:
        """Open a door with what is known, and tell whether that worked."""
        pin = self.known.pin
        if pin is None:
            raise LookupError("no PIN is known")
        stamp = self.vault.stamp(self.key, dt_util.utcnow())
        await self.client.command_lock(
            self.key.site_id,
            LockId(lock_named(self.sim, GATE).id),
            LockCommand.OPEN,
            otp=IqOtp(self.known.secret, pin).at(stamp),
        )
        return opened(self.sim)

    @property
    def passwords(self) -> int:
        """Return how many passwords were sent with a PIN."""
        return self.sim.journal.count("PUT", PIN)


@pytest.fixture
async def party(hass: HomeAssistant, sim: Simulator, server: str) -> AsyncIterator[Party]:
    """Return an account that nothing is known of."""
    known = sim.seed_info()
    names = ("client_id", "client_secret", "username", "password")
    credentials = Credentials(**{name: known[name] for name in names})
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        client = create_client(
            session, api_url=server, identity_url=server, credentials=credentials
        )
        yield Party(sim, client, IqVault(SureStore(hass, version=1, key="salto_ks.test")))


_QUIRKS = pairwise(
    Quirks.instant(),
    names=(
        "secret_rereads",
        "pin_resend",
        "delta_rule",
        "block_threshold",
        "otp_reuse",
        "error_code",
        "locking_success",
    ),
)


def _name(quirks: Quirks) -> str:
    """Return what is not the usual about quirks."""
    usual = Quirks.instant().as_pairs()
    return " ".join(pair for pair in quirks.as_pairs() if pair not in usual) or "usual"


@pytest.mark.parametrize("quirks", _QUIRKS, ids=_name)
async def test_activation_under_all_quirks(freezer: FrozenDateTimeFactory, party: Party) -> None:
    """Asked for twice, confirmed, proven, changed: it works in one second, whatever Salto is like."""
    assert await party.activation.find() is Stage.NEW
    assert await party.activation.deliver(PinChannel.EMAIL) is Stage.PIN_AWAITED
    assert await party.activation.find() is Stage.PIN_AWAITED
    assert await party.activation.deliver(PinChannel.SMS) is Stage.PIN_AWAITED
    await party.activation.confirm(delivered_pin(party.sim), store_pin=True)
    assert await party.activation.find() is Stage.ACTIVATED
    assert await party.open_gate()

    old = delivered_pin(party.sim)
    new = "1000" if old != "1000" else "2000"
    try:
        await party.activation.confirm(old, new_pin=new, store_pin=True)
    except PinUncertainError:
        assert party.sim.quirks.delta_rule == "digit_add"
        assert party.known.candidates[0] == new
        assert party.known.pin is None
    else:
        assert (party.known.pin, pin_in_force(party.sim)) == (new, new)
        assert await party.open_gate()


async def test_unknown_account_asks_nothing(party: Party) -> None:
    """Where nothing is known there is nothing to try."""
    assert await party.activation.find() is Stage.NEW
    assert not party.activation.is_known
    assert not party.activation.knows_pin
    assert party.sim.journal.entries == []
    with pytest.raises(ActivatedElsewhereError):
        await party.activation.confirm("1234", store_pin=True)
    assert party.sim.journal.entries == []


async def test_activated_elsewhere(party: Party) -> None:
    """A secret that is not to be had is named, and no PIN is asked for."""
    party.sim.activate(party.key.iq_id)
    with pytest.raises(ActivatedElsewhereError):
        await party.activation.deliver(PinChannel.EMAIL)
    assert party.sim.journal.count(route=PIN) == 0
    assert not party.activation.is_known


async def test_other_refusals_are_passed_on(party: Party) -> None:
    """A right that is missing is not taken for an activation, neither elsewhere nor here."""
    forbidden = Fault(route=SECRET, status=403, body={"ErrorCode": "2212"}, count=2)
    party.sim.faults.add(forbidden)
    with pytest.raises(SaltoKsForbiddenError):
        await party.activation.deliver(PinChannel.EMAIL)
    await party.vault.put(party.key, IqCredential(secret="from before"))
    with pytest.raises(SaltoKsForbiddenError):
        await party.activation.deliver(PinChannel.EMAIL)
    assert not party.known.activated


async def test_no_new_pin_while_activated(party: Party) -> None:
    """Asking for a PIN while ours is in force changes nothing of what is known."""
    pin = await party.activate()
    before = party.known
    assert await party.activation.deliver(PinChannel.EMAIL) is Stage.PIN_UNKNOWN
    assert party.known == before
    assert party.sim.journal.count(route=PIN) == 0
    assert (party.activation.is_known, party.activation.knows_pin) == (True, True)
    assert party.known.pin == pin


@pytest.mark.parametrize("quirks", [Quirks.instant(block_threshold=8)])
async def test_few_passwords_are_risked(party: Party) -> None:
    """Of several PINs that may be in force two are tried at a time, each in its turn."""
    pin = await party.activate()
    wrong = [f"000{number}" for number in range(5) if f"000{number}" != pin][:4]
    await party.know(pin=None, candidates=(*wrong[:3], pin))
    assert await party.activation.find() is Stage.PIN_UNKNOWN
    assert party.passwords == 2
    assert party.known.candidates == (wrong[2], pin, wrong[0], wrong[1])
    assert await party.activation.find() is Stage.ACTIVATED
    assert party.passwords == 4
    assert (party.known.pin, party.known.candidates) == (pin, ())
    assert party.known.guard.rejections == 0


async def test_block_is_met_and_kept(freezer: FrozenDateTimeFactory, party: Party) -> None:
    """A block found while looking is told with its end, and nothing is sent until then."""
    await party.activate()
    activation = party.sim.world.activation(party.key.user_id, party.key.iq_id)
    assert activation is not None
    activation.blocked_until = {"pin": party.sim.clock.now() + timedelta(minutes=20)}
    for _ in range(2):
        with pytest.raises(CommandRefusedError) as refused:
            await party.activation.find()
        assert refused.value.reason is Refusal.OTP_BLOCKED
        assert refused.value.until == dt_util.utcnow() + HOLD
        assert party.passwords == 1
    freezer.tick(HOLD)
    assert await party.activation.find() is Stage.ACTIVATED


@pytest.mark.parametrize("quirks", [Quirks.instant(block_threshold=8)])
async def test_pause_of_our_own_does_not_stop_a_person(party: Party) -> None:
    """After three rejections doors pause, but a person who types a PIN is let through."""
    pin = await party.activate()
    wrong = [f"000{number}" for number in range(5) if f"000{number}" != pin][:4]
    for typed in wrong:
        with pytest.raises(SaltoKsOtpRejectedError):
            await party.activation.confirm(typed, store_pin=True)
    assert party.known.guard.degraded
    assert party.known.guard.held_until is not None
    await party.activation.confirm(pin, store_pin=True)
    assert not party.known.guard.degraded
    assert party.known.guard.held_until is None


async def test_wrong_pin_takes_nothing_away(party: Party) -> None:
    """After a wrong PIN everything is as it was, but for the count."""
    pin = await party.activate()
    before = party.known
    with pytest.raises(SaltoKsOtpRejectedError):
        await party.activation.confirm("0001" if pin != "0001" else "0002", store_pin=True)
    assert replace(party.known, guard=before.guard) == before
    assert party.known.guard.rejections == 1
    assert await party.open_gate()


async def test_lost_answer_leaves_both_pins(party: Party) -> None:
    """While it is not known whether a PIN was taken, it stands beside the one before."""
    pin = await party.activate()
    typed = "0001" if pin != "0001" else "0002"
    party.sim.faults.add(Fault(route=PIN, method="PUT", reset=True))
    with pytest.raises(SaltoKsConnectionError):
        await party.activation.confirm(typed, store_pin=True)
    assert (party.known.pin, party.known.candidates) == (pin, (typed, pin))
    assert await party.open_gate()
    assert await party.activation.find() is Stage.ACTIVATED
    assert (party.known.pin, party.known.candidates) == (pin, ())


async def test_offline_iq_counts_for_nothing(party: Party) -> None:
    """An IQ that cannot be reached does not count as a rejection."""
    pin = await party.activate()
    iq_named(party.sim, RECEPTION).online = False
    with pytest.raises(SaltoKsHardwareError):
        await party.activation.find()
    assert party.known.guard.rejections == 0
    iq_named(party.sim, RECEPTION).online = True
    assert await party.activation.find() is Stage.ACTIVATED
    assert party.known.pin == pin


async def test_new_secret_comes_with_a_clean_slate(
    freezer: FrozenDateTimeFactory, party: Party
) -> None:
    """A new secret forgets old PINs and rejections, but not that Salto blocks the account."""
    await party.activate()
    blocked_until = dt_util.utcnow() + timedelta(minutes=10)
    guard = replace(party.known.guard, rejections=5, blocked_until=blocked_until)
    await party.know(candidates=("0001", "0002"), guard=guard)
    party.sim.deactivate(party.key.iq_id)
    assert await party.activation.deliver(PinChannel.EMAIL) is Stage.PIN_AWAITED
    assert (party.known.pin, party.known.candidates, party.known.activated) == (None, (), False)
    assert party.known.guard.rejections == 0
    assert party.known.guard.blocked_until == blocked_until
