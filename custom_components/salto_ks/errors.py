"""The one table that says what an error means to Home Assistant and to its user.

Vendor errors, refusals of our own and failing storage become Home Assistant's exceptions here
and nowhere else, each with the key of a text that says what to do.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.util import dt as dt_util

from .api.exceptions import (
    AuthFailure,
    Endpoint,
    SaltoKsAuthError,
    SaltoKsConnectionError,
    SaltoKsError,
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
from .const import DOMAIN
from .domain.bookings import BookingRefusedError
from .domain.key_requests import OF_THE_WORLD, KeyRefusedError
from .domain.keys import KeyProblem
from .domain.refusals import CommandRefusedError, Refusal
from .iq_activation import ActivatedElsewhereError, PinUncertainError
from .keys.manager import KeyGivenUpError, KeyPendingError
from .keys.provider import KeyFailedError
from .storage import StorageError
from .wording import unmarked

_BY_KIND: Final[tuple[tuple[type[Exception], str], ...]] = (
    (SaltoKsAuthError, "auth_failed"),
    (SaltoKsRateLimitError, "rate_limited"),
    (SaltoKsServerError, "server_error"),
    (SaltoKsIqNotActivatedError, "iq_not_activated"),
    (SaltoKsOtpRejectedError, "otp_rejected"),
    (SaltoKsOtpBlockedError, "otp_blocked_by_salto"),
    (SaltoKsHardwareError, "hardware_failed"),
    (SaltoKsNotFoundError, "not_found"),
    (SaltoKsForbiddenError, "forbidden"),
    (SaltoKsResponseError, "refused"),
    (SaltoKsConnectionError, "cannot_connect"),
    (SaltoKsUnexpectedResponseError, "unexpected_answer"),
    (KeyPendingError, "key_pending"),
    (KeyGivenUpError, "key_given_up"),
    (StorageError, "storage_failed"),
    (ActivatedElsewhereError, "activated_elsewhere"),
    (PinUncertainError, "pin_uncertain"),
)
"""First match counts, so a class stands before those it derives from."""

_USERS_TO_MEND: Final = frozenset(
    {
        Refusal.INACTIVE,
        Refusal.LOCK_WITHOUT_IQ,
        Refusal.IQ_NOT_SET_UP,
        Refusal.CODE_REQUIRED,
        Refusal.CODE_INVALID,
    }
)
"""Refusals that the caller could have avoided; the others are the state of the world."""

_DETAILED: Final = frozenset({KeyProblem.FORBIDDEN, KeyProblem.REFUSED, KeyProblem.NOT_READ_BACK})
"""Problems that say little without what Salto has said."""

_OF_A_PART: Final[Mapping[tuple[KeyProblem, str], str]] = {
    (KeyProblem.NOT_READ_BACK, "guest"): "key_failed_guest_differs",
    (KeyProblem.NOT_READ_BACK, "marker"): "key_failed_guest_differs",
    (KeyProblem.NOT_READ_BACK, "subscription_state"): "key_failed_guest_differs",
    (KeyProblem.NOT_READ_BACK, "pin"): "key_failed_pin_differs",
    (KeyProblem.NOT_READ_BACK, "use_pin"): "key_failed_pin_differs",
    (KeyProblem.NOT_READ_BACK, "group"): "key_failed_group_differs",
    (KeyProblem.NOT_READ_BACK, "member"): "key_failed_group_differs",
    (KeyProblem.NOT_READ_BACK, "doors"): "key_failed_doors_differ",
    (KeyProblem.NOT_READ_BACK, "window"): "key_failed_times_differ",
    (KeyProblem.NOT_READ_BACK, "key"): "key_failed_not_shown",
    (KeyProblem.REFUSED, "no PIN of our choice was taken"): "key_failed_pin_not_taken",
    (KeyProblem.REFUSED, "the time zone of an IQ is not known"): "key_failed_zone_unknown",
}
"""Problems with a part of a key that is named by us and not by Salto; each says so in its text."""

_OUTCOME_UNKNOWN: Final = frozenset({"cannot_connect", "server_error", "unexpected_answer"})
"""Errors after which nobody knows what a command has done at the door."""

_LOGIN_ON_FORMS: Final = {
    AuthFailure.CLIENT: "client_refused",
    AuthFailure.ACCOUNT: "account_refused",
    AuthFailure.GRANT: "grant_refused",
    AuthFailure.BEARER: "token_refused",
    AuthFailure.UNCLEAR: "login_refused",
}

type KnownError = (
    SaltoKsError
    | CommandRefusedError
    | BookingRefusedError
    | KeyRefusedError
    | KeyFailedError
    | KeyPendingError
    | KeyGivenUpError
    | StorageError
    | ActivatedElsewhereError
    | PinUncertainError
)
KNOWN_ERRORS: Final = (
    SaltoKsError,
    CommandRefusedError,
    BookingRefusedError,
    KeyRefusedError,
    KeyFailedError,
    KeyPendingError,
    KeyGivenUpError,
    StorageError,
    ActivatedElsewhereError,
    PinUncertainError,
)
"""Everything that the parts below the user interface raise on purpose."""


def error_key(err: KnownError) -> str:
    """Return the key of the text for an error."""
    match err:
        case CommandRefusedError() | KeyRefusedError() | BookingRefusedError():
            return err.reason.value
        case KeyFailedError():
            return _OF_A_PART.get((err.problem, err.detail), f"key_failed_{err.problem}")
        case _:
            return next(key for kind, key in _BY_KIND if isinstance(err, kind))


def action_error_key(err: KnownError) -> str:
    """Return the key of the text for an error of an action or a poll.

    Where the identity server fails a command was not sent, or was refused for its token: unlike
    after a failure of the API, it is known that it has done nothing.
    """
    if (
        isinstance(err, SaltoKsConnectionError | SaltoKsServerError)
        and err.endpoint is Endpoint.IDENTITY
    ):
        return "login_failed"
    if isinstance(err, SaltoKsAuthError) and not err.failure.mends_with_credentials:
        return "login_refused"
    return error_key(err)


def opening_error_key(err: KnownError) -> str:
    """Return the key of the text for an error of an opening: it may have opened the door."""
    return _command_key(err, "opening")


def office_mode_error_key(err: KnownError) -> str:
    """Return the key of the text for an error of office mode: it may have begun or ended."""
    return _command_key(err, "office_mode")


def _command_key(err: KnownError, command: str) -> str:
    """Return the key of the text for an error of a command that is sent to a door.

    An answer of the identity server came before the command could leave.
    """
    key = action_error_key(err)
    may_have_left = getattr(err, "endpoint", None) is not Endpoint.IDENTITY
    return f"{key}_{command}" if may_have_left and key in _OUTCOME_UNKNOWN else key


def error_placeholders(err: KnownError) -> dict[str, str]:
    """Return what the text for an error has to be filled with; never a secret."""
    if isinstance(err, CommandRefusedError):
        return {} if err.until is None else {"until": clock_time(err.until)}
    if isinstance(err, KeyRefusedError | BookingRefusedError):
        return dict(err.about)
    if isinstance(err, KeyPendingError | KeyGivenUpError):
        return {"key_id": err.key_id, "detail": unmarked(str(err.cause))}
    if isinstance(err, KeyFailedError):
        is_told = err.problem in _DETAILED and (err.problem, err.detail) not in _OF_A_PART
        return {"detail": unmarked(err.detail)} if is_told else {}
    if isinstance(err, SaltoKsResponseError | SaltoKsUnexpectedResponseError):
        return {"detail": unmarked(str(err))}
    return {}


def clock_time(instant: datetime) -> str:
    """Write an instant as a person in this Home Assistant's zone reads it off a clock."""
    return dt_util.as_local(instant).strftime("%H:%M")


def form_error(err: KnownError) -> str:
    """Return the key of the text for an error on a form.

    It is told at the top of the form: on the screen of a phone nobody sees what stands at a field
    further down.
    """
    if isinstance(err, SaltoKsAuthError):
        return _LOGIN_ON_FORMS.get(err.failure, "login_refused")
    endpoint = getattr(err, "endpoint", None)
    if isinstance(err, SaltoKsConnectionError):
        return f"cannot_connect_{endpoint}"
    if isinstance(err, SaltoKsUnexpectedResponseError) and endpoint is Endpoint.IDENTITY:
        return "unexpected_answer_identity"
    return error_key(err)


@contextmanager
def raised_as_home_assistant_errors(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    text_of: Callable[[KnownError], str] = action_error_key,
) -> Iterator[None]:
    """Translate what an action runs into; refused credentials also start a reauth flow.

    `text_of` returns the key of the text for an error.
    """
    try:
        yield
    except KNOWN_ERRORS as err:
        cause = err.cause if isinstance(err, KeyPendingError | KeyGivenUpError) else err
        if isinstance(cause, SaltoKsAuthError) and cause.failure.mends_with_credentials:
            entry.async_start_reauth(hass)
        raise (ServiceValidationError if _is_users(err) else HomeAssistantError)(
            translation_domain=DOMAIN,
            translation_key=text_of(err),
            translation_placeholders=error_placeholders(err),
        ) from err


def _is_users(err: KnownError) -> bool:
    """Tell whether whoever asked could have avoided an error."""
    if isinstance(err, KeyRefusedError):
        return err.reason not in OF_THE_WORLD
    if isinstance(err, BookingRefusedError):
        return True
    return isinstance(err, CommandRefusedError) and err.reason in _USERS_TO_MEND
