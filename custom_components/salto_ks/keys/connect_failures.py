"""Name what Salto refuses for good, and tell what it does not offer from what is not there."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from enum import Enum, auto

from ..api.exceptions import (
    SaltoKsError,
    SaltoKsForbiddenError,
    SaltoKsNotFoundError,
    SaltoKsResponseError,
    SaltoKsServerError,
    SaltoKsUnexpectedResponseError,
)
from ..domain.keys import KeyProblem
from .provider import KeyFailedError
from .writer import Writer, is_final


@contextmanager
def finals_named() -> Iterator[None]:
    """Raise KeyFailedError for what Salto refuses for good; let all else pass as it is."""
    try:
        yield
    except SaltoKsError as err:
        if not is_final(err):
            raise
        raise failure(err) from err


def failure(err: SaltoKsError) -> KeyFailedError:
    """Name a refusal that trying again does not mend."""
    if isinstance(err, SaltoKsForbiddenError):
        return KeyFailedError(KeyProblem.FORBIDDEN, str(err))
    if isinstance(err, SaltoKsNotFoundError):
        return KeyFailedError(KeyProblem.NOT_READ_BACK, str(err))
    return KeyFailedError(KeyProblem.REFUSED, str(err))


class Unread(Enum):
    """Why something could not be read."""

    NOT_OFFERED = auto()
    """Salto has no such read, does not grant it, or answers in a form nobody has seen."""
    NOT_FOUND = auto()
    """Either there is no such read or no such thing; the answer is the same."""


async def offered[T](write: Writer, ask: Callable[[], Awaitable[T]]) -> T | Unread:
    """Read what Salto may not offer at all (INF), since a key does not depend on it.

    A read that fails again and again while others work is not offered either. Raises what is
    about connection, login or rate.
    """

    async def in_a_form_we_know() -> T | Unread:
        try:
            return await ask()
        except SaltoKsUnexpectedResponseError:
            return Unread.NOT_OFFERED

    try:
        return await write.read(in_a_form_we_know)
    except SaltoKsNotFoundError:
        return Unread.NOT_FOUND
    except SaltoKsServerError:
        return Unread.NOT_OFFERED
    except SaltoKsResponseError as err:
        if not is_final(err):
            raise
        return Unread.NOT_OFFERED
