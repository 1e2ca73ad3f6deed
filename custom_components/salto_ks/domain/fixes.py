"""What can be done about a difference between ledger and Salto, and what is done by itself."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from .outcomes import Outcome


class Fix(StrEnum):
    """A way to make ledger and Salto agree about a key."""

    REISSUE = "reissue"
    """Issue the key anew: another guest and another PIN, which the guest has to be told."""
    REVOKE = "revoke"
    """End the key and take back all that carries its marker; of one that has ended, the rest."""
    RESTORE = "restore"
    """Bring Salto back to what the ledger says: seat, right to use a PIN, end of the guest, doors,
    schedule and membership. The PIN stays; only one that is missing is another one afterwards."""
    ADOPT = "adopt"
    """Take into the ledger what Salto has. Nothing is written at Salto."""
    FORGET = "forget"
    """Drop the key from the ledger. Nothing is written at Salto."""
    REMOVE_AT_SALTO = "remove_at_salto"
    """Remove what carries the key's marker and is not in its record; the key itself stays."""


_FIXES: Final[Mapping[Outcome, tuple[Fix, ...]]] = {
    Outcome.MISSING_AT_SALTO: (Fix.REISSUE, Fix.REVOKE, Fix.FORGET),
    Outcome.UNKNOWN_AT_SALTO: (Fix.ADOPT, Fix.REMOVE_AT_SALTO),
    Outcome.DUPLICATE_AT_SALTO: (Fix.REMOVE_AT_SALTO,),
    Outcome.SUSPENDED: (Fix.RESTORE, Fix.ADOPT, Fix.REISSUE, Fix.REVOKE),
    Outcome.PIN_DISABLED: (Fix.RESTORE, Fix.REISSUE, Fix.REVOKE),
    Outcome.PIN_MISSING: (Fix.RESTORE, Fix.REISSUE, Fix.REVOKE),
    Outcome.EXPIRY_DIFFERS: (Fix.RESTORE, Fix.ADOPT, Fix.REISSUE, Fix.REVOKE),
    Outcome.GROUP_MISSING: (Fix.RESTORE, Fix.REISSUE, Fix.REVOKE),
    Outcome.MEMBER_MISSING: (Fix.RESTORE, Fix.REISSUE, Fix.REVOKE),
    Outcome.DOORS_DIFFER: (Fix.RESTORE, Fix.ADOPT, Fix.REISSUE, Fix.REVOKE),
    Outcome.GROUP_WITHOUT_SCHEDULE: (Fix.RESTORE, Fix.REISSUE, Fix.REVOKE),
    Outcome.WINDOW_DIFFERS: (Fix.RESTORE, Fix.ADOPT, Fix.REISSUE, Fix.REVOKE),
    Outcome.ORPHAN_GROUP: (Fix.REMOVE_AT_SALTO,),
    Outcome.EXPIRED_NOT_REMOVED: (Fix.REVOKE,),
    Outcome.SECOND_MANAGER: (),
    Outcome.NOT_OBSERVABLE: (),
}

BY_DEFAULT: Final = frozenset(
    {Outcome.DUPLICATE_AT_SALTO, Outcome.ORPHAN_GROUP, Outcome.EXPIRED_NOT_REMOVED}
)
"""What is mended by itself unless a person has chosen otherwise: only what tidies up after keys,
and never changes what a guest can open."""


def fixes_of(outcome: Outcome) -> tuple[Fix, ...]:
    """Return what can be done about an outcome, in the order in which it is offered.

    The first is what is done by itself where that was chosen. Empty for what is about the site.
    """
    return _FIXES[outcome]


def mended_with(outcome: Outcome, fix: Fix) -> frozenset[Outcome]:
    """Return the outcomes of a key that are no more, once one of them was mended in some way."""
    match fix:
        case Fix.REISSUE | Fix.REVOKE | Fix.FORGET:
            return frozenset(Outcome)
        case Fix.RESTORE | Fix.REMOVE_AT_SALTO:
            return frozenset(other for other, fixes in _FIXES.items() if fix in fixes)
        case _:
            return frozenset({outcome})
