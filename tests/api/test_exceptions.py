"""The tree of errors."""

import inspect

import pytest

from custom_components.salto_ks.api import exceptions
from custom_components.salto_ks.api.exceptions import (
    SaltoKsError,
    SaltoKsResponseError,
    SaltoKsUnexpectedResponseError,
)

ERRORS = [
    kind
    for _, kind in inspect.getmembers(exceptions, inspect.isclass)
    if issubclass(kind, BaseException)
]


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_every_error_has_the_one_root(kind: type[BaseException]) -> None:
    """`except SaltoKsError` catches everything this client raises."""
    assert issubclass(kind, SaltoKsError)
    assert kind.__name__.startswith("SaltoKs")
    assert kind.__doc__


def test_all_classes_were_looked_at() -> None:
    """The list above is not empty by mistake."""
    assert {"SaltoKsAuthError", "SaltoKsConnectionError"} <= {kind.__name__ for kind in ERRORS}


def test_unexpected_answer_is_no_refusal() -> None:
    """What Salto refused and what we do not understand are told apart."""
    assert not issubclass(SaltoKsUnexpectedResponseError, SaltoKsResponseError)
