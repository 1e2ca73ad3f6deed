"""What can go wrong between us and Salto, one class for each different thing to do.

The tree follows what a caller does next, not HTTP statuses: wait and try again
(`SaltoKsConnectionError`, `SaltoKsServerError`, `SaltoKsRateLimitError`), ask for new
credentials (`SaltoKsAuthError`), tell the user what Salto refused
(`SaltoKsResponseError` and below), or report a bug (`SaltoKsUnexpectedResponseError`).

No text of any of these holds a secret: vendor messages are scrubbed of everything that was
sent before they get here.
"""

from enum import StrEnum


class SaltoKsError(Exception):
    """Base of every error this client raises."""


class Endpoint(StrEnum):
    """Which of the two servers of an environment an error came from."""

    IDENTITY = "identity"
    API = "api"


class SaltoKsConnectionError(SaltoKsError):
    """No complete answer arrived: DNS, refused, reset, TLS, time-out or a cut-off body.

    Whether the server acted on the request is unknown. A read may be repeated; a command
    signed with an OTP must not be.
    """

    def __init__(self, message: str, *, endpoint: Endpoint = Endpoint.API) -> None:
        """Remember which server did not answer."""
        super().__init__(message)
        self.endpoint = endpoint


class AuthFailure(StrEnum):
    """What exactly was refused, as far as the identity server tells."""

    CLIENT = "client"
    """Client id or client secret (`invalid_client`)."""
    ACCOUNT = "account"
    """User name or password (`invalid_grant`)."""
    GRANT = "grant"
    """The client may not use the password grant or this scope."""
    BEARER = "bearer"
    """The API refused a token that the identity server had just issued."""
    UNCLEAR = "unclear"
    """The identity server refused without saying what."""

    @property
    def mends_with_credentials(self) -> bool:
        """Tell whether other credentials are the way on; otherwise it may pass by itself."""
        return self in {AuthFailure.CLIENT, AuthFailure.ACCOUNT, AuthFailure.GRANT}


class SaltoKsAuthError(SaltoKsError):
    """The credentials were refused; repeating the request does not help."""

    def __init__(self, message: str, *, failure: AuthFailure) -> None:
        """Remember what was refused."""
        super().__init__(message)
        self.failure = failure


class SaltoKsResponseError(SaltoKsError):
    """Salto understood the request and refused it.

    `status` is the HTTP status, `code` the vendor's `ErrorCode` (None without one) and
    `reason` the word behind `Request execution failed with code:` (None without one).
    """

    def __init__(
        self,
        *,
        status: int,
        code: int | None = None,
        message: str = "",
        reason: str | None = None,
        endpoint: Endpoint = Endpoint.API,
    ) -> None:
        """Build a text from the parts that are there."""
        text = f"HTTP {status}"
        if code is not None:
            text += f", error code {code}"
        if message:
            text += f": {message}"
        super().__init__(text)
        self.status = status
        self.code = code
        self.message = message
        self.reason = reason
        self.endpoint = endpoint


class SaltoKsRateLimitError(SaltoKsResponseError):
    """Too many requests; `retry_after` is in seconds where the server said so."""

    retry_after: float | None = None


class SaltoKsServerError(SaltoKsResponseError):
    """The server failed or gave up (5xx, 408). Whether it acted on the request is unknown."""


class SaltoKsNotFoundError(SaltoKsResponseError):
    """The API says that the thing does not exist, or this account does not see it.

    Never raised for a 404 of the identity server or of something in between, so that a guest
    is not taken for gone while Salto is out of order.
    """


class SaltoKsForbiddenError(SaltoKsResponseError):
    """The operation is not open to this account, or not in this state."""


class SaltoKsHardwareError(SaltoKsResponseError):
    """The IQ or the lock did not carry the command out (`ErrorCode` 3101/3102)."""


class SaltoKsOtpRejectedError(SaltoKsResponseError):
    """The OTP did not fit: wrong IQ secret, wrong IQ PIN, or a clock over 3 minutes off."""


class SaltoKsOtpBlockedError(SaltoKsResponseError):
    """Too many wrong OTPs: the IQ takes none of this account for about 20 minutes (DOC)."""


class SaltoKsIqNotActivatedError(SaltoKsResponseError):
    """This account has never set its PIN on the IQ (`pin_not_changed`, MEAS)."""


class SaltoKsUnexpectedResponseError(SaltoKsError):
    """The answer is none of the shapes the API is known to give (HTML, broken JSON, redirect)."""

    def __init__(self, message: str, *, endpoint: Endpoint = Endpoint.API) -> None:
        """Remember which server gave it."""
        super().__init__(message)
        self.endpoint = endpoint
