"""Why a command is not sent."""

from datetime import UTC, datetime

import pytest

from custom_components.salto_ks.domain.refusals import CommandRefusedError, Refusal


@pytest.mark.parametrize("reason", list(Refusal))
def test_refusal_tells_its_reason(reason: Refusal) -> None:
    """A refusal carries its reason, and its text is the reason's name and nothing else."""
    refused = CommandRefusedError(reason)
    assert refused.reason is reason
    assert refused.until is None
    assert str(refused) == reason.name.lower()


def test_refusal_tells_when_it_ends() -> None:
    """A refusal that ends by itself carries the instant of its end."""
    until = datetime(2026, 6, 1, 12, tzinfo=UTC)
    assert CommandRefusedError(Refusal.OTP_BLOCKED, until=until).until == until
