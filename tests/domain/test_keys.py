"""What a record of a key says of itself, and what an intent is about."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from custom_components.salto_ks.domain.ids import DoorId, KeyId
from custom_components.salto_ks.domain.intents import Intent, IntentKind
from custom_components.salto_ks.domain.keys import KeyRecord, KeyStatus
from custom_components.salto_ks.domain.windows import AccessWindow

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
RECORD = KeyRecord(
    key_id=KeyId("ab12-1"),
    doors=frozenset({DoorId("door")}),
    window=AccessWindow(NOON, NOON + timedelta(days=1)),
    status=KeyStatus.SET,
    label="Family Jansen",
    sealed_pin="gAAAAABsealed",
    created_at=NOON,
    changed_at=NOON,
)


@pytest.mark.parametrize("status", list(KeyStatus))
def test_key_lives_until_nothing_is_left_of_it(status: KeyStatus) -> None:
    """Only a revoked and a failed key are at no door any more."""
    assert replace(RECORD, status=status).is_live == (status not in {"revoked", "failed"})


def test_key_is_proven_by_its_first_use() -> None:
    """A key that has opened a door is proven."""
    assert not RECORD.proven
    assert replace(RECORD, first_used_at=NOON).proven


def test_record_keeps_to_itself() -> None:
    """Neither the sealed PIN nor what the key is called shows in a log."""
    intent = Intent(
        key_id=RECORD.key_id,
        kind=IntentKind.REVOKE,
        record=RECORD,
        started_at=NOON,
        reason="Mrs Jansen has left",
    )
    for shown in (repr(RECORD), repr(intent), f"{intent}"):
        assert "sealed" not in shown
        assert "Jansen" not in shown


def test_intent_is_about_one_key() -> None:
    """An intent with the record of another key cannot be made."""
    with pytest.raises(ValueError, match="one key"):
        Intent(key_id=KeyId("ab12-2"), kind=IntentKind.ISSUE, record=RECORD, started_at=NOON)


def test_intent_starts_at_an_instant() -> None:
    """An intent without a zone to its start cannot be made."""
    with pytest.raises(ValueError, match="aware"):
        Intent(
            key_id=RECORD.key_id,
            kind=IntentKind.ISSUE,
            record=RECORD,
            started_at=NOON.replace(tzinfo=None),
        )
