"""What can be done about what differs, and what is no more when it was done."""

from itertools import product

import pytest

from custom_components.salto_ks.domain.fixes import BY_DEFAULT, Fix, fixes_of, mended_with
from custom_components.salto_ks.domain.outcomes import Outcome
from custom_components.salto_ks.domain.plan import ABOUT_THE_SITE

RESTORABLE = {
    Outcome.SUSPENDED,
    Outcome.PIN_DISABLED,
    Outcome.PIN_MISSING,
    Outcome.EXPIRY_DIFFERS,
    Outcome.GROUP_MISSING,
    Outcome.MEMBER_MISSING,
    Outcome.DOORS_DIFFER,
    Outcome.GROUP_WITHOUT_SCHEDULE,
    Outcome.WINDOW_DIFFERS,
}
SPARE = {Outcome.UNKNOWN_AT_SALTO, Outcome.DUPLICATE_AT_SALTO, Outcome.ORPHAN_GROUP}
"""What is at Salto and in no record."""


@pytest.mark.parametrize("outcome", Outcome)
def test_fixes(outcome: Outcome) -> None:
    """Whatever is about a key can be mended, each in ways that have a meaning for it."""
    fixes = fixes_of(outcome)
    assert bool(fixes) is (outcome not in ABOUT_THE_SITE)
    assert len(set(fixes)) == len(fixes)
    assert (Fix.RESTORE in fixes) is (outcome in RESTORABLE)
    assert (Fix.REMOVE_AT_SALTO in fixes) is (outcome in SPARE)
    if outcome in RESTORABLE:
        assert fixes[0] is Fix.RESTORE
        assert {Fix.REISSUE, Fix.REVOKE} <= set(fixes)


def test_by_default() -> None:
    """Unasked only what is left over is removed, and no key is changed that a guest may use."""
    assert {outcome: fixes_of(outcome)[0] for outcome in BY_DEFAULT} == {
        Outcome.DUPLICATE_AT_SALTO: Fix.REMOVE_AT_SALTO,
        Outcome.ORPHAN_GROUP: Fix.REMOVE_AT_SALTO,
        Outcome.EXPIRED_NOT_REMOVED: Fix.REVOKE,
    }


@pytest.mark.parametrize(("outcome", "fix"), product(Outcome, Fix))
def test_what_is_mended_with_it(outcome: Outcome, fix: Fix) -> None:
    """A fix that is offered mends at least what it was offered for."""
    mended = mended_with(outcome, fix)
    if fix in fixes_of(outcome):
        assert outcome in mended
    match fix:
        case Fix.ADOPT:
            assert mended == {outcome}
        case Fix.RESTORE:
            assert mended == RESTORABLE
        case Fix.REMOVE_AT_SALTO:
            assert mended == SPARE
        case _:
            assert mended == set(Outcome)
