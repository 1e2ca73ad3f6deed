"""The files of a ledger: where they are, how they are read, and when they are not believed.

They are read here and not by Home Assistant's Store, which moves a damaged file aside and goes
on with nothing: a ledger without its keys would let them open doors for ever.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
import re
from typing import Final, override

from homeassistant.core import HomeAssistant
from homeassistant.helpers.storage import STORAGE_DIR
from homeassistant.util.json import json_loads

from ..api.models import SiteId
from ..const import DOMAIN
from ..domain.ids import KeyId
from ..domain.keys import KeyRecord
from ..storage import Fault, SureStore
from .audit_log import is_log_file, keep_names
from .key_index import KeyIndex
from .ledger_codec import (
    FileFormat,
    Head,
    Json,
    Part,
    Shard,
    head_from_json,
    shard_from_json,
)

_LEDGER: Final = f"{DOMAIN}.ledger."
_PLAIN: Final = re.compile(r"[a-z0-9-]{1,64}")
_SHARD_FILE: Final = re.compile(rf"{Part.KEYS}\.([0-9]{{4}}|[1-9][0-9]{{4,14}})")
_HALF_WRITTEN: Final = "tmp*"
"""What an atomic write that was cut off leaves behind."""
_SEALED: Final = b"gAAAAA"
"""What every PIN that was ever sealed begins with: version and age of a Fernet token."""


@dataclass(frozen=True, slots=True)
class Quarantine:
    """Why a ledger is not written to."""

    fault: Fault
    file: str
    """Its name, from the folder .storage on."""


class FileFaultError(Exception):
    """A file is not to be believed."""

    def __init__(self, fault: Fault, path: Path) -> None:
        """Name the file, never what is in it."""
        super().__init__(f"{path.name} is {fault.value}")
        self.fault = fault
        self.file = path.name


@dataclass(frozen=True, slots=True)
class LedgerFiles:
    """Where the files of a site's ledger are."""

    storage: Path
    name: str

    @classmethod
    def of(cls, hass: HomeAssistant, site_id: SiteId) -> LedgerFiles:
        """Name the files of a site; an id that is no plain word is not used as a file's name."""
        plain = _PLAIN.fullmatch(site_id) is not None
        name = site_id if plain else sha256(site_id.encode()).hexdigest()
        return cls(Path(hass.config.path(STORAGE_DIR)), f"{_LEDGER}{name}")

    @property
    def folder(self) -> Path:
        """Return the folder that all files are in."""
        return self.storage / self.name

    @property
    def head_key(self) -> str:
        """Return the key of the Store of the intents."""
        return f"{self.name}/{Part.INTENTS}"

    def shard_key(self, number: int) -> str:
        """Return the key of the Store of some keys."""
        return f"{self.name}/{Part.KEYS}.{number:04}"

    def prepare(self) -> None:
        """Make the folder, for its owner alone. Raises OSError."""
        if not self.folder.is_dir():
            self.folder.mkdir(mode=0o700, parents=True)
            keep_names(self.storage)


class LedgerStore(SureStore):
    """Writes one file of a ledger."""

    def __init__(
        self, hass: HomeAssistant, files: LedgerFiles, *, key: str, file_format: FileFormat
    ) -> None:
        """Write in this format."""
        super().__init__(hass, version=file_format.version, key=key)
        self.minor_version = file_format.minor_version
        self._files = files

    @override
    def _write_prepared_data(self, mode: str, json_data: str | bytes) -> None:
        """Write, into a folder that nobody else can look into."""
        self._files.prepare()
        super()._write_prepared_data(mode, json_data)


@dataclass(slots=True, kw_only=True)
class Found:
    """What the files of a ledger hold."""

    head: Head | None = None
    shards: dict[int, Shard] = field(default_factory=dict)
    records: dict[KeyId, KeyRecord] = field(default_factory=dict)
    """Those of all shards."""
    index: KeyIndex = field(default_factory=KeyIndex)
    quarantine: Quarantine | None = None
    """The first thing that is wrong, if any; what could be read is there all the same."""


def read_ledger(files: LedgerFiles, file_format: FileFormat) -> Found:
    """Read all files of a ledger. Blocks; changes nothing."""
    found = Found()
    faults: list[Quarantine] = []
    try:
        names = sorted(path.name for path in files.folder.iterdir())
    except FileNotFoundError:
        return found
    except OSError:
        found.quarantine = Quarantine(Fault.UNREADABLE, files.name)
        return found
    try:
        found.head = _read_head(files, file_format, names)
    except FileFaultError as err:
        faults.append(Quarantine(err.fault, f"{files.name}/{err.file}"))
    listed = found.head.shards if found.head else set()
    there = {int(match[1]) for match in map(_SHARD_FILE.fullmatch, names) if match}
    for number in sorted(listed | there):
        try:
            found.shards[number] = _read_shard(files, file_format, number, found.head)
        except FileFaultError as err:
            faults.append(Quarantine(err.fault, f"{files.name}/{err.file}"))
    for shard in found.shards.values():
        found.records |= shard.records
    found.index = KeyIndex(found.records.values())
    found.quarantine = next(iter(faults), None)
    return found


def read_store(path: Path, key: str, version: int) -> tuple[int, Json] | None:
    """Read what a Store has written: its minor version and data; None when there is no file.

    Blocks. Raises FileFaultError for a file that is not to be believed, and leaves it where it is.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as err:
        raise FileFaultError(Fault.UNREADABLE, path) from err
    try:
        frame = _object(json_loads(content))
        found, minor = _whole(frame["version"]), _whole(frame["minor_version"])
        if found > version:
            raise FileFaultError(Fault.NEWER, path)
        if found < version or frame["key"] != key:
            raise ValueError("not this file")  # noqa: TRY301 - the except below names the file
        return minor, _object(frame["data"])
    except (KeyError, ValueError) as err:
        raise FileFaultError(Fault.DAMAGED, path) from err


def remove_half_written(files: LedgerFiles) -> None:
    """Remove what writes that were cut off have left behind, which may hold sealed PINs."""
    for path in files.folder.glob(_HALF_WRITTEN):
        path.unlink(missing_ok=True)


def holds_sealed_pins(storage: Path) -> bool:
    """Tell whether any site's ledger holds a sealed PIN, be the ledger damaged or not.

    Blocks. Raises OSError when that cannot be found out.
    """
    folders = [path for path in storage.glob(f"{_LEDGER}*") if path.is_dir()]
    return any(
        _SEALED in path.read_bytes()
        for folder in folders
        for path in folder.iterdir()
        if not is_log_file(path.name)
    )


def _read_head(files: LedgerFiles, file_format: FileFormat, names: Iterable[str]) -> Head | None:
    """Read the file of the intents; None for a ledger in which nothing was ever written."""
    path = files.folder / Part.INTENTS
    stored = read_store(path, files.head_key, file_format.version)
    if stored is None:
        if any(is_log_file(name) or name.startswith(tuple(Part)) for name in names):
            raise FileFaultError(Fault.MISSING, path)
        return None
    try:
        return head_from_json(file_format.bring_up(Part.INTENTS, *stored))
    except (KeyError, TypeError, ValueError) as err:
        raise FileFaultError(Fault.DAMAGED, path) from err


def _read_shard(
    files: LedgerFiles, file_format: FileFormat, number: int, head: Head | None
) -> Shard:
    """Read a file of keys, which has to be there and of the same ledger as the intents."""
    key = files.shard_key(number)
    path = files.storage / key
    stored = read_store(path, key, file_format.version)
    if stored is None:
        raise FileFaultError(Fault.MISSING, path)
    try:
        shard = shard_from_json(number, file_format.bring_up(Part.KEYS, *stored))
    except (KeyError, TypeError, ValueError) as err:
        raise FileFaultError(Fault.DAMAGED, path) from err
    if head is not None and shard.instance != head.instance:
        raise FileFaultError(Fault.DAMAGED, path)
    return shard


def _object(value: object) -> Json:
    if not isinstance(value, dict):
        raise ValueError("not an object")  # noqa: TRY004 - readers of files catch ValueError alone
    return value


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("not a number")  # noqa: TRY004 - readers of files catch ValueError alone
    return value
