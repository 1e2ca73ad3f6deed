"""The keys of a loaded site: the manager with its clockwork, and those who hear of keys."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
import logging
import random
import secrets
from typing import Any, Final

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import EVENT_HOMEASSISTANT_STOP
from homeassistant.core import CALLBACK_TYPE, Event, HomeAssistant, callback
from homeassistant.helpers.event import async_track_time_interval
from homeassistant.util import dt as dt_util

from .api.client import SaltoKsClient
from .api.exceptions import SaltoKsError
from .api.models import SiteId
from .const import (
    AUDIT_DAYS,
    CONF_AUDIT_DAYS,
    CONF_FORGET_PINS,
    CONF_RECONCILE_AT,
    CONF_REPAIRED,
    CONF_WRITES_PER_MINUTE,
    DOMAIN,
    LOGGER,
    RECONCILE_AT,
    WRITES_PER_MINUTE,
)
from .domain.fixes import BY_DEFAULT
from .domain.ids import DoorId, KeyId, UnitId, number_of
from .domain.key_requests import By, DoorFacts, KeyRefusedError
from .domain.keys import KeyRecord, KeyWarning
from .domain.outcomes import Outcome
from .domain.read_only import ReadOnly
from .domain.rounds import Rounds
from .domain.seats import HAS_SEAT
from .door_ids import entity_ids_of
from .keys.connect_provider import ConnectProvider
from .keys.ledger import Ledger
from .keys.ledger_files import Quarantine
from .keys.manager import KeyManager, KeyRules, Pass
from .keys.news import KeyNews
from .keys.pin_cipher import PinCipher
from .keys.provider import KeyFailedError
from .keys.writer import Writer, WriteRate
from .listeners import KeyedListeners
from .storage import StorageError

TICK: Final = timedelta(seconds=20)
"""How often is looked for what is due. Keys that we let in and out ourselves wait for this."""

PATIENCE: Final = 5.0
"""Seconds that a person in front of a form waits for Salto at most."""

NAMED_KEYS: Final = 5
"""Keys that a line of the log names for each kind of difference."""

GUEST_NAME: Final = "Home Assistant"
"""What a guest is called at Salto, beside the marker, when its key belongs to no unit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySummary:
    """What sensors show of the keys."""

    active: int
    """Keys that Salto has accepted and that are neither suspended nor on their way out."""
    next_start: datetime | None
    """The next time at which one of them begins to open."""
    overdue_since: datetime | None
    """When the keys were compared with Salto last, or the site was loaded, if that is too old."""
    read_only: ReadOnly | None
    """Why nothing is done at Salto by itself."""
    not_removed: tuple[KeyId, ...]
    """Keys that Salto has refused to take back, the oldest first."""


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
        self._cipher = cipher
        options = entry.options
        rate = WriteRate(int(options.get(CONF_WRITES_PER_MINUTE, WRITES_PER_MINUTE.default)))
        self._provider = ConnectProvider(
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
            provider=self._provider,
            facts=facts,
            is_active=is_active,
            clock=dt_util.utcnow,
            spawn=hass.async_create_background_task,
            jitter=_jitter,
            random_below=secrets.randbelow,
            rules=KeyRules(
                forget_pins=bool(options.get(CONF_FORGET_PINS, False)),
                audit_kept=timedelta(days=audit_days),
                repaired=repaired_outcomes(options),
            ),
            tell=self._tell,
            on_login_refused=lambda: entry.async_start_reauth(hass),
            on_pass=self._note_pass,
            on_begun=self._note_begun,
        )
        self._news: dict[object, Callable[[KeyNews], None]] = {}
        self._begun = KeyedListeners(hass.loop)
        self._changes = KeyedListeners(hass.loop)
        self._timers: list[CALLBACK_TYPE] = []
        self._rounds = Rounds(at=reconcile_at(options), started_at=dt_util.utcnow())
        self._is_comparing = False
        self._warned_of: frozenset[tuple[str, str]] = frozenset()
        self.summary = self._summarise()

    @property
    def quarantine(self) -> Quarantine | None:
        """Return the file because of which no key is touched, and what is wrong with it."""
        return self.ledger.quarantine or self._cipher.quarantine

    @callback
    def async_start(self) -> None:
        """Take up what was interrupted, and look for what is due from now on."""
        self._timers = [
            async_track_time_interval(self._hass, self._async_tick, TICK, cancel_on_shutdown=True),
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

    @callback
    def async_listen_to_begun(self, update: CALLBACK_TYPE, unit_id: UnitId) -> CALLBACK_TYPE:
        """Have somebody look again when something begins to be done to a key of a unit."""
        return self._begun.add(update, unit_id)

    async def async_can_choose_pin(self) -> bool | None:
        """Ask Salto whether the length of a PIN is ours to choose; None without an answer soon."""
        try:
            async with asyncio.timeout(PATIENCE):
                return (await self._provider.capabilities()).can_choose_pin
        except TimeoutError, SaltoKsError, KeyFailedError:
            return None

    async def async_go_on(self, by: By) -> None:
        """Look after keys by ourselves again, as a person has decided.

        Raises KeyRefusedError, or StorageError.
        """
        await self.manager.go_on(by)
        self._look_again()

    async def _async_tick(self, _: datetime) -> None:
        await self.manager.tick()
        self._look_again()
        is_due = self._rounds.is_due(dt_util.get_default_time_zone(), dt_util.utcnow())
        if is_due and not self._is_comparing:
            await self._async_compare()

    async def _async_compare(self) -> None:
        """Compare with Salto; what fails is begun again in a while, and logged once.

        While keys are left alone all of each is looked into, so that this can end it.
        """
        self._is_comparing = True
        try:
            deep = self.manager.read_only is not None
            await self.manager.reconcile(dry_run=False, deep=deep)
        except (SaltoKsError, KeyFailedError, KeyRefusedError, StorageError) as err:
            level = logging.WARNING if self._rounds.failed_at is None else logging.DEBUG
            LOGGER.log(level, "The keys could not be compared with Salto: %s", type(err).__name__)
            self._rounds = replace(self._rounds, failed_at=dt_util.utcnow())
        finally:
            self._is_comparing = False

    async def _async_stop(self, _: Event) -> None:
        """Cut off what is under way: nothing can be written down any more."""
        self._timers.pop()  # the last one is what was called here, and ended by that
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
    def _note_begun(self, record: KeyRecord) -> None:
        """Let it be seen that something is being done to a key, as long as that takes at Salto."""
        self._begun.tell([record.unit_id])
        self._look_again()

    @callback
    def _note_pass(self, done: Pass) -> None:
        """Take note of a comparison, or that a finding of the last one was mended."""
        if done.at != self._rounds.passed_at:
            self._rounds = replace(self._rounds, passed_at=done.at, failed_at=None)
            self._log(done)
        self.summary = self._summarise()
        self._changes.tell(None)

    def _log(self, done: Pass) -> None:
        """Tell the log what came of a comparison, and warn of what was not so before."""
        LOGGER.info(
            "%s: keys compared with Salto in %.1f s by %d requests: %d differences, %d put right",
            self._entry.title,
            done.seconds,
            done.requests,
            len(done.discrepancies),
            len(done.repaired),
        )
        found = [
            (finding.outcome.value, finding.key_id)
            for finding in done.discrepancies
            if finding.key_id is not None
        ]
        before, self._warned_of = self._warned_of, frozenset(found)
        news: dict[str, list[str]] = {}
        for outcome, key_id in found:
            if (outcome, key_id) not in before:
                news.setdefault(outcome, []).append(key_id)
        for outcome, keys in news.items():
            LOGGER.warning(
                "%s: keys that are not at Salto as they were left (%s): %s",
                self._entry.title,
                outcome,
                ", ".join(keys[:NAMED_KEYS]) + (", …" if len(keys) > NAMED_KEYS else ""),
            )

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
            if record.status in HAS_SEAT and not record.window.is_over(now)
        ]
        starts = [
            record.window.starts_at
            for record in (*live, *(intent.record for intent in intents.values()))
            if record.is_live and record.window.starts_at > now
        ]
        refused = (
            key_id
            for key_id, record in self.ledger.records.items()
            if KeyWarning.NOT_REMOVED in record.warnings
        )
        return KeySummary(
            active=len(live),
            next_start=min(starts, default=None),
            overdue_since=self._rounds.overdue_since(now),
            read_only=self.manager.read_only,
            not_removed=tuple(sorted(refused, key=number_of)),
        )


def reconcile_at(options: Mapping[str, Any]) -> time:
    """Return the time of day at which keys are compared with Salto."""
    return time.fromisoformat(options.get(CONF_RECONCILE_AT, RECONCILE_AT))


def repaired_outcomes(options: Mapping[str, Any]) -> frozenset[Outcome]:
    """Return the differences that are put right without asking."""
    chosen = options.get(CONF_REPAIRED, BY_DEFAULT)
    return frozenset(outcome for outcome in Outcome if outcome.value in chosen)


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
