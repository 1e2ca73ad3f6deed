"""What is remembered of calls: bounded, and nothing that was in them."""

from datetime import UTC, datetime, timedelta

import aiohttp
import pytest

from custom_components.salto_ks.api.call_log import (
    KEPT_CALLS,
    Call,
    CallLog,
    CallResult,
    CallTotals,
)
from custom_components.salto_ks.api.client import SaltoKsClient
from custom_components.salto_ks.api.exceptions import (
    SaltoKsConnectionError,
    SaltoKsServerError,
    SaltoKsUnexpectedResponseError,
)
from custom_components.salto_ks.api.models import LockCommand
from custom_components.salto_ks.api.transport import MAX_BODY

from .accounts import LOCK, SITE, client_of
from .payloads import SITE_OBJECT
from .servers import TOKEN_PATH, RawServer, Reply, Vendor, reset

NOW = datetime(2026, 6, 1, 12, 0, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ROUTE = "/v1.2/sites/{site}"
TARGET = f"/v1.2/sites/{SITE}"


def a_call(at: datetime = NOW, result: CallResult = CallResult.ANSWERED, attempt: int = 1) -> Call:
    """Return a call."""
    return Call(at=at, method="GET", route=ROUTE, result=result, milliseconds=12, attempt=attempt)


@pytest.mark.parametrize(
    ("status", "result"),
    [
        (200, CallResult.ANSWERED),
        (204, CallResult.ANSWERED),
        (307, CallResult.FAILED),
        (400, CallResult.REFUSED),
        (401, CallResult.REFUSED),
        (404, CallResult.REFUSED),
        (408, CallResult.FAILED),
        (429, CallResult.FAILED),
        (500, CallResult.FAILED),
        (503, CallResult.FAILED),
    ],
)
def test_statuses(status: int, result: CallResult) -> None:
    """A refusal is an answer; what says nothing about the question is a failure."""
    assert CallResult.of_status(status) is result


def test_totals() -> None:
    """Refusals, errors and repeated attempts are counted apart."""
    log = CallLog()
    assert log.totals == CallTotals(requests=0, refusals=0, errors=0, repeats=0)
    assert log.totals.error_rate == 0
    for result in CallResult:
        log.note(a_call(result=result))
    log.note(a_call(attempt=2))
    assert log.totals == CallTotals(requests=5, refusals=1, errors=2, repeats=1)
    assert log.totals.error_rate == pytest.approx(0.4)


def test_last_calls_are_kept() -> None:
    """Only the last calls are remembered one by one; all are counted."""
    log = CallLog()
    calls = [a_call(NOW + number * MINUTE) for number in range(KEPT_CALLS + 20)]
    for call in calls:
        log.note(call)
    assert log.recent == tuple(calls[-KEPT_CALLS:])
    assert log.totals.requests == KEPT_CALLS + 20


def test_last_hour() -> None:
    """The last hour has the calls of sixty minutes of the clock, the one of now among them."""
    log = CallLog()
    assert log.last_hour(NOW).requests == 0
    for number in range(200):
        log.note(a_call(NOW + number * MINUTE))
        log.note(a_call(NOW + number * MINUTE, CallResult.FAILED))
    last = NOW + 199 * MINUTE
    assert log.last_hour(last) == CallTotals(requests=120, refusals=0, errors=60, repeats=0)
    assert log.last_hour(last + 10 * MINUTE).requests == 100
    assert log.last_hour(last + 60 * MINUTE).requests == 0


async def test_calls_of_a_client(client: SaltoKsClient, vendor: Vendor) -> None:
    """Each request is noted once, with what came of it, by the template of its route."""
    vendor.on("GET", TARGET, Reply(401), Reply(content=SITE_OBJECT), Reply(503))
    await client.site(SITE)
    with pytest.raises(SaltoKsServerError):
        await client.site(SITE)
    seen = [(call.route, call.result, call.status, call.attempt) for call in client.calls.recent]
    assert seen == [
        (TOKEN_PATH, CallResult.ANSWERED, 200, 1),
        (ROUTE, CallResult.REFUSED, 401, 1),
        (TOKEN_PATH, CallResult.ANSWERED, 200, 1),
        (ROUTE, CallResult.ANSWERED, 200, 2),
        (ROUTE, CallResult.FAILED, 503, 1),
    ]
    assert client.calls.totals.repeats == 1
    assert all(call.at.tzinfo is not None for call in client.calls.recent)
    assert all(0 <= call.milliseconds < 60_000 for call in client.calls.recent)
    assert SITE not in repr(client.calls.recent)


async def test_no_answer(
    session: aiohttp.ClientSession, client: SaltoKsClient, vendor: Vendor, raw: RawServer
) -> None:
    """Where no answer arrives, or one that is far too large, the kind of error is noted."""
    raw.then(reset)
    cut = client_of(session, raw.url, vendor.url)
    with pytest.raises(SaltoKsConnectionError):
        await cut.command_lock(SITE, LOCK, LockCommand.OPEN, otp="123456")
    (*_, call) = cut.calls.recent
    assert (call.method, call.result, call.status) == ("PATCH", CallResult.UNANSWERED, None)
    assert call.error is not None
    assert call.error.endswith("Error")
    assert LOCK not in repr(call)

    vendor.on("GET", TARGET, Reply(200, b" " * (MAX_BODY + 1)))
    with pytest.raises(SaltoKsUnexpectedResponseError):
        await client.site(SITE)
    (*_, call) = client.calls.recent
    assert (call.result, call.status) == (CallResult.UNANSWERED, None)
    assert call.error == "SaltoKsUnexpectedResponseError"
