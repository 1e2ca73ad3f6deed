"""The vendor's errors: an HTTP status, a number and a sentence."""

from collections.abc import Iterable, Mapping

INVALID_REQUEST = 1100
INVALID_VALUE = 1101
INVALID_QUERY = 1102
NOT_FOUND = 2202
FORBIDDEN = 2203
SITE_NOT_RELEASED = 2210
NO_SUBSCRIPTION = 2212
IQ_ERROR = 3102


class VendorError(Exception):
    """An answer in the vendor's error envelope. Evidence: MEAS, the numbers DOC."""

    def __init__(
        self, status: int, code: int, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})


class UnauthorizedError(Exception):
    """401 with an empty body; the reason is in `WWW-Authenticate`. Evidence: MEAS, INF."""

    def __init__(self, description: str | None = None) -> None:
        super().__init__(description or "no bearer token")
        self.challenge = (
            "Bearer"
            if description is None
            else f'Bearer error="invalid_token", error_description="{description}"'
        )


class MisfitError(ValueError):
    """Data that is not of the form it should have (state file, world changes, control plane)."""


class UnknownRecordError(LookupError):
    """An id that is not in the simulated world (keypad, world changes)."""


def invalid_request(message: str) -> VendorError:
    """Return 400/1100: the request has the wrong form. Evidence: MEAS."""
    return VendorError(400, INVALID_REQUEST, message)


def missing_field(name: str) -> VendorError:
    """Return 400/1100 for an absent body field. Evidence: MEAS for `otp`, else INF."""
    return invalid_request(f"The {name} field is required.")


def invalid_value(message: str) -> VendorError:
    """Return 400/1101: a value cannot be taken. Evidence: MEAS."""
    return VendorError(400, INVALID_VALUE, message)


def invalid_query(message: str) -> VendorError:
    """Return 400/1102: a query option cannot be taken. Evidence: MEAS."""
    return VendorError(400, INVALID_QUERY, message)


def not_found(what: str) -> VendorError:
    """Return 404/2202. Evidence: MEAS."""
    return VendorError(404, NOT_FOUND, f"{what} not found")


def forbidden(message: str = "User does not have permission for this operation") -> VendorError:
    """Return 403/2203. Evidence: MEAS."""
    return VendorError(403, FORBIDDEN, message)


def iq_error(status: int, reason: str) -> VendorError:
    """Return 3102, the IQ's own refusal. Evidence: MEAS for the form."""
    return VendorError(status, IQ_ERROR, f"Request execution failed with code: {reason}")


def method_not_allowed(allowed: Iterable[str]) -> VendorError:
    """Return 405. Evidence: MEAS for the status, INF for the body."""
    return VendorError(
        405,
        INVALID_REQUEST,
        "The requested resource does not support this http method.",
        {"Allow": ",".join(sorted(allowed))},
    )
