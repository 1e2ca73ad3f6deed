"""What the tests of keys share."""

from collections.abc import AsyncIterator

import pytest

from .desk import Desk, desk_of


@pytest.fixture
async def desk(socket_enabled: None) -> AsyncIterator[Desk]:
    """Stand at the desk of a campsite where everything takes effect at once."""
    async with desk_of() as desk:
        yield desk
