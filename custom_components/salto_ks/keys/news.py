"""What has happened to keys, for those who tell people about it."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from ..domain.keys import KeyProblem, KeyRecord


class NewsKind(StrEnum):
    """The kinds of news; each is an event of Home Assistant."""

    ISSUED = "key_issued"
    CHANGED = "key_changed"
    REVOKED = "key_revoked"
    """No door knows it any more."""
    FAILED = "key_failed"
    FIRST_USED = "key_first_used"


class KeyChangeKind(StrEnum):
    """What was different about a key that has changed."""

    WINDOW = "window"
    DOORS = "doors"
    WINDOW_AND_DOORS = "window_and_doors"
    SUSPENDED = "suspended"
    RESUMED = "resumed"
    RESTORED = "restored"
    """Somebody had changed it at Salto, and it is as it was."""
    ADOPTED = "adopted"
    """It is now as somebody had made it at Salto."""
    FORGOTTEN = "forgotten"
    """It is not in the ledger any more, whatever there is of it at Salto."""
    PIN = "pin"
    REMOVING = "removing"
    """Taken back at Salto; a door that has not heard of it may still open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyNews:
    """Something that has happened to a key, and is on disk."""

    kind: NewsKind
    record: KeyRecord
    """The key afterwards."""
    change: KeyChangeKind | None = None
    problem: KeyProblem | None = None


type Tell = Callable[[KeyNews], None]
