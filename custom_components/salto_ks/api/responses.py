"""Turn refusals of the API into exceptions, whatever shape they come in.

Seen or documented: `{"ErrorCode": "2202", "Message": "…"}` with the code as text or number, an
empty 401, RFC 7807 problems from newer endpoints, and HTML from whatever stands in between.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
import json
import re
from typing import Any, Final

from .exceptions import (
    AuthFailure,
    Endpoint,
    SaltoKsAuthError,
    SaltoKsForbiddenError,
    SaltoKsHardwareError,
    SaltoKsIqNotActivatedError,
    SaltoKsNotFoundError,
    SaltoKsOtpBlockedError,
    SaltoKsOtpRejectedError,
    SaltoKsRateLimitError,
    SaltoKsResponseError,
    SaltoKsServerError,
)
from .parsing import optional_integer, text
from .transport import Answer

_EXECUTION: Final = re.compile(r"failed with code:\s*([a-z0-9_]+)", re.IGNORECASE)
_MAX_MESSAGE: Final = 200

_CODE_NOT_FOUND: Final = 2202
_CODES_HARDWARE: Final = frozenset({3101, 3102})

_REASONS: Final[Mapping[str, type[SaltoKsResponseError]]] = {
    "otp_invalid": SaltoKsOtpRejectedError,
    "otp_blocked": SaltoKsOtpBlockedError,
    "pin_not_changed": SaltoKsIqNotActivatedError,
    "command_forbidden": SaltoKsForbiddenError,
}


@dataclass(frozen=True, slots=True)
class _Refusal:
    """A refusal as read from the answer."""

    status: int
    code: int | None
    message: str
    reason: str | None


def raise_for_status(answer: Answer, *, endpoint: Endpoint, sent: Iterable[str]) -> None:
    """Raise the exception that fits a refusal; return for a success.

    `sent` are the values of the request that must not come back in an exception's text.
    """
    if 200 <= answer.status < 300:
        return
    if answer.status == 401:
        raise SaltoKsAuthError("HTTP 401", failure=AuthFailure.BEARER)
    refusal = _read(answer, sent)
    error = _class_for(refusal)(
        status=refusal.status,
        code=refusal.code,
        message=refusal.message,
        reason=refusal.reason,
        endpoint=endpoint,
    )
    if isinstance(error, SaltoKsRateLimitError):
        error.retry_after = retry_after(answer.headers.get("Retry-After"), _utcnow)
    raise error


def retry_after(value: str | None, clock: Callable[[], datetime]) -> float | None:
    """Read a `Retry-After` header: seconds, or an HTTP date. None when it says neither."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - clock()).total_seconds())


def _class_for(refusal: _Refusal) -> type[SaltoKsResponseError]:
    """Choose the exception; what an OTP did wrong outranks the status it came with."""
    if refusal.status == 429:
        return SaltoKsRateLimitError
    if refusal.reason is not None and refusal.reason in _REASONS:
        return _REASONS[refusal.reason]
    if refusal.code == _CODE_NOT_FOUND and "otp is invalid" in refusal.message.lower():
        return SaltoKsOtpRejectedError
    if refusal.code in _CODES_HARDWARE:
        return SaltoKsHardwareError
    by_status = {403: SaltoKsForbiddenError, 404: SaltoKsNotFoundError}
    if refusal.status in by_status:
        return by_status[refusal.status]
    return SaltoKsServerError if refusal.status >= 500 else SaltoKsResponseError


def _read(answer: Answer, sent: Iterable[str]) -> _Refusal:
    """Read code, message and reason from whatever body there is."""
    try:
        data: Any = json.loads(answer.body)
    except ValueError, RecursionError:
        data = None
    fields = (
        {str(key).lower(): value for key, value in data.items()} if isinstance(data, dict) else {}
    )
    message = text(fields, "message") or text(fields, "title") or text(fields, "error")
    found = _EXECUTION.search(message)
    return _Refusal(
        status=answer.status,
        code=optional_integer(fields, "errorcode"),
        message=scrub(message, sent),
        reason=found.group(1).lower() if found else None,
    )


def scrub(message: str, sent: Iterable[str]) -> str:
    """Cut a vendor's message down to one short line without anything that was sent."""
    for value in sorted((value for value in sent if value), key=len, reverse=True):
        message = message.replace(value, "***")
    return " ".join(message.split())[:_MAX_MESSAGE]


def _utcnow() -> datetime:
    """Tell the time; looked up at each call, so that a test can move it."""
    return datetime.now(UTC)
