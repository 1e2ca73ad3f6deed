"""The keys of a loaded site: the manager with its clockwork, and those who hear of keys."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
import random
import secrets
from typing import Any, Final

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import EVENT_HOMEASSISTANT_STOP
from homeassistant.core import CALLBACK_TYPE, Event, HomeAssistant, callback
from homeassistant.helpers.event import async_call_later, async_track_time_interval
from homeassistant.util import dt as dt_util

from .api.client import SaltoKsClient
from .api.exceptions import SaltoKsError
from .api.models import SiteId
from .const import (
    AUDIT_DAYS,
    CONF_AUDIT_DAYS,
    CONF_FORGET_PINS,
    CONF_WRITES_PER_MINUTE,
    DOMAIN,
    LOGGER,
    WRITES_PER_MINUTE,
)
from .domain.ids import DoorId
from .domain.key_requests import DoorFacts, KeyRefusedError
from .domain.keys import KeyRecord, KeyStatus
from .domain.observed import UNSEEN_FOR
from .door_ids import entity_ids_of
from .keys.connect_provider import ConnectProvider
from .keys.ledger import Ledger
from .keys.manager import KeyManager, KeyRules, Pass
from .keys.news import KeyNews
from .keys.pin_cipher import PinCipher
from .keys.provider import KeyFailedError
from .keys.writer import Writer, WriteRate
from .listeners import KeyedListeners
from .storage import StorageError

TICK: Final = timedelta(seconds=20)
"""How often is looked for what is due. Keys that we let in and out ourselves wait for this."""

FIRST_PASS_AFTER: Final = UNSEEN_FOR + timedelta(seconds=30)
"""When Salto is listed after a start: by then the listing has what was made before it."""

GUEST_NAME: Final = "Home Assistant"
"""What a guest is called at Salto, beside the marker, when its key belongs to no unit."""

_ACTIVE: Final = frozenset({KeyStatus.SET, KeyStatus.CHANGING})


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySummary:
    """What sensors show of the keys."""

    active: int
    """Keys that Salto has accepted and that are neither suspended nor on their way out."""
    next_start: datetime | None
    """The next time at which one of them begins to open."""


class SiteKeys:
    """The keys of one entry."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry[Any],
        client: SaltoKsClient,
        site_id: SiteId,
        *,
        ledger: Ledger,
        cipher: PinCipher,
        facts: Callable[[DoorId], DoorFacts | None],
        zone_of: Callable[[DoorId], str],
        is_active: Callable[[], bool],
    ) -> None:
        """Manage the keys of `site_id` as the entry's options say."""
        self._hass = hass
        self._entry = entry
        self.ledger = ledger
        options = entry.options
        rate = WriteRate(int(options.get(CONF_WRITES_PER_MINUTE, WRITES_PER_MINUTE.default)))
        provider = ConnectProvider(
            client,
            site_id,
            Writer(rate, jitter=_jitter),
            zone_of=zone_of,
            alias_of=lambda _: GUEST_NAME,
            clock=dt_util.utcnow,
        )
        audit_days = int(options.get(CONF_AUDIT_DAYS, AUDIT_DAYS.default))
        self.manager = KeyManager(
            ledger=ledger,
            cipher=cipher,
            provider=provider,
            facts=facts,
            is_active=is_active,
            clock=dt_util.utcnow,
            spawn=hass.async_create_background_task,
            jitter=_jitter,
            random_below=secrets.randbelow,
            rules=KeyRules(
                forget_pins=bool(options.get(CONF_FORGET_PINS, False)),
                audit_kept=timedelta(days=audit_days),
            ),
            tell=self._tell,
            on_login_refused=lambda: entry.async_start_reauth(hass),
            on_pass=self._note_pass,
        )
        self._news: dict[object, Callable[[KeyNews], None]] = {}
        self._changes = KeyedListeners(hass.loop)
        self._timers: list[CALLBACK_TYPE] = []
        self.summary = self._summarise()

    @callback
    def async_start(self) -> None:
        """Take up what was interrupted, and look for what is due from now on."""
        self._timers = [
            async_track_time_interval(self._hass, self._async_tick, TICK, cancel_on_shutdown=True),
            async_call_later(self._hass, FIRST_PASS_AFTER, self._async_first_pass),
            self._hass.bus.async_listen_once(EVENT_HOMEASSISTANT_STOP, self._async_stop),
        ]
        self._hass.async_create_background_task(self.manager.tick(), f"{DOMAIN} keys")

    async def async_close(self) -> None:
        """Begin nothing more, and let what is under way end."""
        self._cancel_timers()
        await self.manager.close()

    @callback
    def async_listen(self, hear: Callable[[KeyNews], None]) -> CALLBACK_TYPE:
        """Have somebody hear of what happens to keys."""
        token = object()
        self._news[token] = hear
        return lambda: self._news.pop(token, None) and None

    @callback
    def async_listen_to_changes(self, update: CALLBACK_TYPE) -> CALLBACK_TYPE:
        """Have an entity look again whenever keys or findings may have changed."""
        return self._changes.add(update, None)

    async def _async_tick(self, _: datetime) -> None:
        await self.manager.tick()
        self._look_again()

    async def _async_first_pass(self, _: datetime) -> None:
        """Compare with Salto once after a start, to find what an interruption has left there."""
        try:
            await self.manager.reconcile(dry_run=False)
        except (SaltoKsError, KeyFailedError, KeyRefusedError, StorageError) as err:
            LOGGER.warning("The keys could not be compared with Salto: %s", type(err).__name__)

    async def _async_stop(self, _: Event) -> None:
        """Cut off what is under way: nothing can be written down any more."""
        self._timers = [cancel for cancel in self._timers if cancel is not self._timers[-1]]
        self._cancel_timers()
        await self.manager.close(grace=0)

    @callback
    def _cancel_timers(self) -> None:
        for cancel in self._timers:
            cancel()
        self._timers = []

    @callback
    def _tell(self, news: KeyNews) -> None:
        """Let Home Assistant know, without a PIN and without anything personal."""
        self._hass.bus.async_fire(
            f"{DOMAIN}_{news.kind}",
            {"config_entry_id": self._entry.entry_id, **self.described_news(news)},
        )
        for hear in tuple(self._news.values()):
            hear(news)
        self._look_again()

    def described_news(self, news: KeyNews) -> dict[str, Any]:
        """Describe news for an event: neither a PIN nor anything personal is in it."""
        about = described_key(self._hass, self.manager.view(news.record))
        described = {
            name: about[name]
            for name in (
                "key_id", "salto_key_id", "booking_id", "doors", "starts_at", "ends_at", "status"
            )
        }  # fmt: skip
        if news.change is not None:
            described["change"] = news.change.value
        if news.problem is not None:
            described["problem"] = news.problem.value
        return described

    @callback
    def _note_pass(self, _: Pass) -> None:
        self.summary = self._summarise()
        self._changes.tell(None)

    @callback
    def _look_again(self) -> None:
        """Count anew, and have entities look where that has changed."""
        before, self.summary = self.summary, self._summarise()
        if before != self.summary:
            self._changes.tell(None)

    def _summarise(self) -> KeySummary:
        """Count the keys."""
        now, intents = dt_util.utcnow(), self.ledger.intents
        live = [
            record
            for record in self.ledger.records.values()
            if record.status in _ACTIVE and not record.window.is_over(now)
        ]
        starts = [
            record.window.starts_at
            for record in (*live, *(intent.record for intent in intents.values()))
            if record.is_live and record.window.starts_at > now
        ]
        return KeySummary(active=len(live), next_start=min(starts, default=None))


def described_key(hass: HomeAssistant, record: KeyRecord) -> dict[str, Any]:
    """Describe a key for people and automations; its PIN is not in it."""
    return {
        "key_id": record.key_id,
        "salto_key_id": None if record.guest is None else record.guest.id,
        "booking_id": record.booking_id,
        "label": record.label,
        "doors": entity_ids_of(hass, record.doors),
        "starts_at": record.window.starts_at.isoformat(),
        "ends_at": record.window.ends_at.isoformat(),
        "status": record.status.value,
        "errors": sorted(record.errors),
        "warnings": sorted(record.warnings),
        "proven": record.proven,
    }


def _jitter() -> float:
    """Return a factor from 0.5 to 1.5, so that not everybody tries again at the same moment."""
    return 0.5 + random.random()  # noqa: S311 - spreads pauses, and guards nothing
