"""A ledger on real files: what is put into it, and how its disk is made to fail."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
import json
from pathlib import Path
import resource
from typing import Any

from homeassistant.core import HomeAssistant

from custom_components.salto_ks.api.models import SiteId
from custom_components.salto_ks.domain.ids import BookingId, DoorId, GuestId, KeyId, PersonId
from custom_components.salto_ks.domain.intents import Intent, IntentKind
from custom_components.salto_ks.domain.keys import Guest, KeyRecord, KeyStatus
from custom_components.salto_ks.domain.windows import AccessWindow
from custom_components.salto_ks.keys.audit_log import AuditLine, AuditQuery
from custom_components.salto_ks.keys.ledger import Ledger
from custom_components.salto_ks.keys.ledger_codec import FORMAT, FileFormat
from custom_components.salto_ks.keys.pin_cipher import PinCipher

SITE = SiteId("0b0e5f9e-0001-4000-8000-00000000c0de")
NOW = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
DAY = timedelta(days=1)
EVERYTHING = AuditQuery(limit=10**6)


async def opened(
    hass: HomeAssistant,
    site_id: SiteId = SITE,
    *,
    cipher: PinCipher | None = None,
    file_format: FileFormat = FORMAT,
) -> Ledger:
    """Return a ledger as after a start."""
    ledger = Ledger(hass, site_id, cipher or PinCipher(hass), file_format=file_format)
    await ledger.async_load()
    return ledger


@contextmanager
def living_in(hass: HomeAssistant, folder: Path) -> Iterator[None]:
    """Have Home Assistant live in another folder for a while."""
    before, hass.config.config_dir = hass.config.config_dir, str(folder)
    try:
        yield
    finally:
        hass.config.config_dir = before


def folder_of(hass: HomeAssistant, site_id: SiteId = SITE) -> Path:
    """Return the folder of a site's ledger."""
    return Path(hass.config.path(".storage", f"salto_ks.ledger.{site_id}"))


def contents(folder: Path) -> dict[str, bytes]:
    """Return all files below a folder."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def read_data(hass: HomeAssistant, name: str) -> Any:
    """Return what one of the ledger's files holds."""
    return json.loads((folder_of(hass) / name).read_text())["data"]


def write_data(hass: HomeAssistant, name: str, data: Any, **frame: Any) -> Path:
    """Write one of the ledger's files, `frame` replacing parts of what is around the data."""
    path = folder_of(hass) / name
    key = f"salto_ks.ledger.{SITE}/{name}"
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = {"version": 1, "minor_version": 1, "key": key, "data": data} | frame
    path.write_text(json.dumps(whole))
    return path


def a_record(key_id: KeyId, **changes: Any) -> KeyRecord:
    """Return a key that is set, changed as wished."""
    record = KeyRecord(
        key_id=key_id,
        doors=frozenset({DoorId("gate"), DoorId("hall")}),
        window=AccessWindow(NOW, NOW + 3 * DAY),
        status=KeyStatus.SET,
        booking_id=BookingId(f"booking of {key_id}"),
        label="Pitch 12",
        guest=Guest(id=GuestId(f"guest {key_id}"), person_id=PersonId(f"person {key_id}")),
        created_at=NOW,
        changed_at=NOW,
    )
    return replace(record, **changes)


def an_intent(record: KeyRecord, kind: IntentKind = IntentKind.ISSUE, **changes: Any) -> Intent:
    """Return the intent to bring a key to where it is wanted."""
    intent = Intent(key_id=record.key_id, kind=kind, record=record, started_at=NOW, who="reception")
    return replace(intent, **changes)


def a_line(key_id: KeyId | None, action: str = "issue", **changes: Any) -> AuditLine:
    """Return a line for the audit log."""
    return replace(AuditLine(at=NOW, action=action, outcome="done", key_id=key_id), **changes)


async def issued(ledger: Ledger, **changes: Any) -> KeyRecord:
    """Issue a key, and return its record."""
    record = a_record(ledger.new_key_id(), **changes)
    intent = an_intent(record)
    await ledger.begin(intent)
    await ledger.finish(intent, record, a_line(record.key_id))
    return ledger.records[record.key_id]


async def actions(ledger: Ledger, key_id: KeyId | None = None) -> list[str]:
    """Return what the audit log says was done, oldest first."""
    lines = await ledger.audit.query(replace(EVERYTHING, key_id=key_id))
    return [line.action for line in reversed(lines)]


@contextmanager
def no_room(size: int = 0) -> Iterator[None]:
    """Let no file grow beyond a size: a write to the disk fails as on a full one."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def state(ledger: Ledger) -> tuple[Mapping[KeyId, KeyRecord], Mapping[KeyId, Intent]]:
    """Return what a ledger says of keys."""
    return dict(ledger.records), dict(ledger.intents)
