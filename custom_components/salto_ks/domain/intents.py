"""What is about to be done to a key, written down before it is begun."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from .ids import KeyId
from .keys import KeyRecord


class IntentKind(StrEnum):
    """What is done to a key."""

    ISSUE = "issue"
    CHANGE = "change"
    RESTORE = "restore"
    """Bring Salto back to the record, whatever was done to it there."""
    REVOKE = "revoke"
    SUSPEND = "suspend"
    RESUME = "resume"
    ROTATE = "rotate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A step that was decided on, and may have been begun.

    Raises ValueError when the record is of another key, or the instant is naive.
    """

    key_id: KeyId
    kind: IntentKind
    record: KeyRecord
    """The key as it is wanted."""
    started_at: datetime
    who: str = ""
    """The user of Home Assistant, or the automation, that asked for it."""
    reason: str = field(default="", repr=False)
    """In the words of whoever asked."""

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        if self.record.key_id != self.key_id:
            raise ValueError("an intent is about one key")
        if self.started_at.tzinfo is None:
            raise ValueError("an intent starts at an aware instant")
