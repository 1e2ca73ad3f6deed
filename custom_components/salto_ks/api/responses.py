"""Turn refusals of the API into exceptions, whatever shape they come in.

Seen or documented: `{"ErrorCode": "2202", "Message": "…"}` with the code as text or number, an
empty 401, RFC 7807 problems from newer endpoints, and HTML from whatever stands in between.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
import re
from typing import Any, Final

from .exceptions import (
    Endpoint,
    SaltoKsForbiddenError,
    SaltoKsHardwareError,
    SaltoKsIqNotActivatedError,
    SaltoKsNotFoundError,
    SaltoKsOtpBlockedError,
    SaltoKsOtpRejectedError,
    SaltoKsRateLimitError,
    SaltoKsResponseError,
    SaltoKsServerError,
    SaltoKsUnexpectedResponseError,
)
from .parsing import one_line, optional_integer, text
from .transport import Answer

_EXECUTION: Final = re.compile(r"failed with code:\s*([a-z0-9_]+)", re.IGNORECASE)
_MAX_MESSAGE: Final = 200
_MAX_RETRY_AFTER: Final = 3600.0
"""Seconds; asking once an hour harms nobody, and a nonsensical header must not silence us."""

_CODE_NOT_FOUND: Final = 2202
_CODES_HARDWARE: Final = frozenset({3101, 3102})

_REASONS: Final[Mapping[str, type[SaltoKsResponseError]]] = {
    "otp_invalid": SaltoKsOtpRejectedError,
    "otp_blocked": SaltoKsOtpBlockedError,
    "pin_not_changed": SaltoKsIqNotActivatedError,
    "command_forbidden": SaltoKsForbiddenError,
}
_BY_STATUS: Final[Mapping[int, type[SaltoKsResponseError]]] = {
    403: SaltoKsForbiddenError,
    404: SaltoKsNotFoundError,
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

    `sent` are the secrets of the request, which must not come back in an exception's text.
    Only the API's own words mean that a thing does not exist or is forbidden: the same status
    from the identity server, or with a body that is not JSON, is somebody else's.
    """
    if 200 <= answer.status < 300:
        return
    refusal = _read(answer, endpoint, sent)
    error = _class_for(refusal, endpoint)(
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
    """Read a `Retry-After` header: seconds, or an HTTP date. None when it says neither.

    Never negative, and an hour at most.
    """
    if value is None:
        return None
    if value.strip().isdecimal():
        return min(float(value), _MAX_RETRY_AFTER)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max(0.0, (moment - clock()).total_seconds()), _MAX_RETRY_AFTER)


def _class_for(refusal: _Refusal, endpoint: Endpoint) -> type[SaltoKsResponseError]:
    """Choose the exception; a request that timed out on the way (408) may have been acted on."""
    if refusal.status == 429:
        return SaltoKsRateLimitError
    if endpoint is Endpoint.API and (by_the_vendor := _vendor_class(refusal)) is not None:
        return by_the_vendor
    failed = refusal.status >= 500 or refusal.status == 408
    return SaltoKsServerError if failed else SaltoKsResponseError


def _vendor_class(refusal: _Refusal) -> type[SaltoKsResponseError] | None:
    """Choose by the API's own words; what an OTP did wrong outranks the status it came with."""
    if refusal.reason is not None and refusal.reason in _REASONS:
        return _REASONS[refusal.reason]
    if refusal.code == _CODE_NOT_FOUND and "otp is invalid" in refusal.message.lower():
        return SaltoKsOtpRejectedError
    if refusal.code in _CODES_HARDWARE:
        return SaltoKsHardwareError
    if refusal.status == 404 and refusal.code not in {None, _CODE_NOT_FOUND}:
        return SaltoKsResponseError
    return _BY_STATUS.get(refusal.status)


def _read(answer: Answer, endpoint: Endpoint, sent: Iterable[str]) -> _Refusal:
    """Read code, message and reason from whatever body there is.

    Raises SaltoKsUnexpectedResponseError for a body that is not JSON, except where the status
    alone says what to do: wait.
    """
    try:
        data: Any = answer.json(endpoint)
    except SaltoKsUnexpectedResponseError:
        if answer.status < 500 and answer.status not in {408, 429}:
            raise
        data = None
    fields = (
        {str(key).lower(): value for key, value in data.items()} if isinstance(data, dict) else {}
    )
    raw = text(fields, "message") or text(fields, "title") or text(fields, "error")
    message = scrub(raw, sent)
    found = _EXECUTION.search(message)
    return _Refusal(
        status=answer.status,
        code=optional_integer(fields, "errorcode"),
        message=one_line(message, _MAX_MESSAGE),
        reason=found.group(1).lower() if found else None,
    )


def scrub(message: str, sent: Iterable[str]) -> str:
    """Take the secrets that were sent out of a vendor's message.

    An OTP may come back in either letter case (DOC), so case makes no difference.
    """
    for value in sorted((value for value in sent if value), key=len, reverse=True):
        message = re.sub(re.escape(value), "***", message, flags=re.IGNORECASE)
    return message


def _utcnow() -> datetime:
    """Tell the time; looked up at each call, so that a test can move it."""
    return datetime.now(UTC)
