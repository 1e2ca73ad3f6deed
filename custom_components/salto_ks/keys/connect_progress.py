"""A key on its way: what there is of it at Salto so far."""

from dataclasses import replace
from datetime import datetime

from ..api.access_models import SiteUser
from ..api.exceptions import SaltoKsError
from ..domain.ids import GroupId, GuestId, PersonId
from ..domain.keys import DoorGroup, Guest, KeyProblem, KeyRecord, KeyWarning
from .provider import KeyFailedError
from .writer import LONG_AGO, may_have_happened


class Progress:
    """A record that grows while a key is made, so that a failure knows what there is."""

    def __init__(self, record: KeyRecord) -> None:
        """Start with what the record has."""
        self.record = record
        self.made: list[GroupId] = []
        """Groups that were made on the way and not taken back."""
        self.leftovers = False
        """Whether a creation without an answer may have left something."""
        self.since = LONG_AGO
        """Monotonic time of the guest's creation."""
        self.guest_seen = False
        """Whether Salto has known the guest since its creation."""

    def note_lost(self, err: SaltoKsError) -> None:
        """Take note of a creation that failed, and may have happened all the same."""
        self.leftovers |= may_have_happened(err)

    def note_guest(self, user: SiteUser, expires_at: datetime) -> None:
        """Take note of the guest that was made, to expire then."""
        self.record = replace(
            self.record,
            guest=Guest(
                id=GuestId(user.id),
                person_id=PersonId(user.platform_id),
                expires_at=user.expires_at or expires_at,
            ),
        )

    def note_made(self, group: DoorGroup) -> None:
        """Take note of a group that was made."""
        self.made.append(group.id)
        self.note_group(group)

    def note_group(self, group: DoorGroup) -> None:
        """Add a group, or replace what is known of it."""
        others = tuple(known for known in self.record.groups if known.id != group.id)
        self.record = replace(self.record, groups=(*others, group))

    def forget_group(self, group_id: GroupId) -> None:
        """Drop a group that is gone."""
        kept = tuple(group for group in self.record.groups if group.id != group_id)
        self.record = replace(self.record, groups=kept)
        self.made = [made for made in self.made if made != group_id]

    def warn(self, *warnings: KeyWarning) -> None:
        """Add warnings."""
        self.record = replace(self.record, warnings=self.record.warnings | set(warnings))


def guest_of(record: KeyRecord) -> Guest:
    """Return the guest of a key. Raises KeyFailedError when it has none."""
    if record.guest is None:
        raise KeyFailedError(KeyProblem.NOT_READ_BACK, "guest")
    return record.guest
