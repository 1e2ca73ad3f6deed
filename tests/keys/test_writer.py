"""How writes are paced, repeated and given up."""

import asyncio
from collections.abc import Awaitable, Callable

from hypothesis import given, strategies as st
import pytest

from custom_components.salto_ks.api.exceptions import (
    AuthFailure,
    SaltoKsAuthError,
    SaltoKsConnectionError,
    SaltoKsError,
    SaltoKsForbiddenError,
    SaltoKsHardwareError,
    SaltoKsNotFoundError,
    SaltoKsRateLimitError,
    SaltoKsResponseError,
    SaltoKsServerError,
    SaltoKsUnexpectedResponseError,
)
from custom_components.salto_ks.keys.writer import (
    LONG_AGO,
    SETTLING,
    TRIES,
    Writer,
    WriteRate,
    is_final,
    is_passing,
    may_have_happened,
    monotonic,
)


class Clock:
    """Time that passes by being waited for."""

    def __init__(self) -> None:
        """Begin at nought."""
        self.now = 0.0
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        """Pass time, and let others have a turn."""
        assert seconds > 0
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)

    def monotonic(self) -> float:
        """Tell the time."""
        return self.now


class Script:
    """A request that answers by a list: an error is raised, anything else returned."""

    def __init__(self, clock: Clock, *answers: object) -> None:
        """Answer in this order; the last answer stays."""
        self._answers = list(answers)
        self._clock = clock
        self.sent_at: list[float] = []

    async def __call__(self) -> object:
        """Send it once."""
        self.sent_at.append(self._clock.now)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, SaltoKsError):
            raise answer
        return answer


def limited(seconds: float | None) -> SaltoKsRateLimitError:
    """Make a 429, with the header if told so."""
    err = SaltoKsRateLimitError(status=429)
    err.retry_after = seconds
    return err


LOST = SaltoKsConnectionError("no answer")
DOWN = SaltoKsServerError(status=503)
ODD = SaltoKsUnexpectedResponseError("a web page")
REFUSED = SaltoKsResponseError(status=400, code=1101)
LOGIN = SaltoKsAuthError("refused", failure=AuthFailure.ACCOUNT)
YOUNG = SaltoKsForbiddenError(status=403, code=2203)
UNKNOWN = SaltoKsNotFoundError(status=404, code=2202)
NO_FEATURE = SaltoKsForbiddenError(status=403, code=2212)
NOWHERE = SaltoKsNotFoundError(status=404)


@pytest.fixture
def clock() -> Clock:
    """Begin at nought."""
    return Clock()


@pytest.fixture
def rate(clock: Clock) -> WriteRate:
    """Allow many writes."""
    return WriteRate(1000, sleep=clock.sleep, monotonic=clock.monotonic)


@pytest.fixture
def writer(clock: Clock, rate: WriteRate) -> Writer:
    """Write without chance."""
    return Writer(rate, jitter=lambda: 1.0, sleep=clock.sleep, monotonic=clock.monotonic)


@given(per_minute=st.integers(1, 20), gaps=st.lists(st.floats(0, 30), max_size=60))
def test_no_minute_has_more_writes_than_allowed(per_minute: int, gaps: list[float]) -> None:
    """However writes come in, each span of a minute holds at most so many."""

    async def write() -> list[float]:
        clock = Clock()
        rate = WriteRate(per_minute, sleep=clock.sleep, monotonic=clock.monotonic)
        sent = []
        for gap in gaps:
            clock.now += gap
            await rate.wait()
            sent.append(clock.now)
        return sent

    sent = asyncio.run(write())
    for first, later in zip(sent, sent[per_minute:], strict=False):
        assert later - first >= 60 - 1e-6


async def test_many_at_once_keep_the_rate(clock: Clock) -> None:
    """Writers that wait together are let through one by one."""
    rate = WriteRate(2, sleep=clock.sleep, monotonic=clock.monotonic)

    async def write() -> float:
        await rate.wait()
        return clock.now

    assert await asyncio.gather(*(write() for _ in range(5))) == [0, 0, 60, 60, 120]


def test_a_rate_of_nothing_is_refused() -> None:
    """A rate that would wait for ever is an error."""
    with pytest.raises(ValueError, match="at least one"):
        WriteRate(0)


def test_the_clock_goes_forward() -> None:
    """Without another one the clock is the machine's."""
    assert monotonic() <= monotonic()


async def test_429_closes_for_everybody(clock: Clock, rate: WriteRate, writer: Writer) -> None:
    """What Salto asks for in one answer holds for reads and writes of the site alike."""
    script = Script(clock, limited(30), "done")
    assert await writer.once(script) == "done"
    assert script.sent_at == [0, 30]
    rate.close_for(10)
    rate.close_for(5)
    other = Script(clock, "read")
    assert await writer.read(other) == "read"
    assert other.sent_at == [40]


async def test_429_without_a_time_backs_off(clock: Clock, writer: Writer) -> None:
    """Pauses double where Salto does not say how long; in the end the refusal comes out."""
    script = Script(clock, limited(None))
    with pytest.raises(SaltoKsRateLimitError):
        await writer.once(script)
    assert script.sent_at == [0, 1, 3, 7, 15]
    reads = Script(clock, limited(None), limited(5), "read")
    assert await writer.read(reads) == "read"
    assert [at - 15 for at in reads.sent_at] == [0, 1, 6]


@pytest.mark.parametrize("err", [LOST, DOWN, ODD, REFUSED, LOGIN])
async def test_once_is_once(clock: Clock, writer: Writer, err: SaltoKsError) -> None:
    """Nothing but a 429 makes a write go out again."""
    script = Script(clock, err, "twice")
    with pytest.raises(type(err)):
        await writer.once(script)
    assert len(script.sent_at) == 1


type Way = Callable[[Writer, Callable[[], Awaitable[object]]], Awaitable[object]]


@pytest.mark.parametrize("way", [Writer.repeated, Writer.read])
@pytest.mark.parametrize("err", [LOST, DOWN, ODD])
async def test_repeated_until_patience_ends(
    clock: Clock, writer: Writer, err: SaltoKsError, way: Way
) -> None:
    """What has no answer is sent again with growing pauses, and comes out in the end."""
    assert await way(writer, Script(clock, err, err, "done")) == "done"
    script = Script(clock, err)
    start = clock.now
    with pytest.raises(type(err)):
        await way(writer, script)
    assert [at - start for at in script.sent_at] == [0, 1, 3, 7, 15]
    assert len(script.sent_at) == TRIES


@pytest.mark.parametrize("way", [Writer.repeated, Writer.read])
@pytest.mark.parametrize("err", [REFUSED, LOGIN, UNKNOWN, YOUNG])
async def test_a_refusal_is_not_repeated(
    clock: Clock, writer: Writer, err: SaltoKsError, way: Way
) -> None:
    """What Salto has understood and refused is sent once."""
    script = Script(clock, err, "again")
    with pytest.raises(type(err)):
        await way(writer, script)
    assert len(script.sent_at) == 1


@pytest.mark.parametrize("err", [YOUNG, UNKNOWN])
async def test_a_new_guest_is_waited_for(clock: Clock, writer: Writer, err: SaltoKsError) -> None:
    """A refusal that new guests get is waited out, until the guest is not new any more."""
    assert await writer.settled(Script(clock, err, err, "done"), since=clock.now) == "done"
    assert clock.slept == [5, 5]
    script = Script(clock, err)
    start = clock.now
    with pytest.raises(type(err)):
        await writer.settled(script, since=start)
    assert script.sent_at[-1] - start == SETTLING
    with pytest.raises(type(err)):
        await writer.settled(Script(clock, err, "settled"), since=LONG_AGO)


@pytest.mark.parametrize("err", [NO_FEATURE, NOWHERE, REFUSED])
async def test_a_right_that_is_missing_is_not_waited_for(
    clock: Clock, writer: Writer, err: SaltoKsError
) -> None:
    """A refusal with another reason has nothing to do with the guest's age."""
    with pytest.raises(type(err)):
        await writer.settled(Script(clock, err, "later"), since=clock.now)
    assert clock.slept == []


async def test_gone_is_gone(clock: Clock, writer: Writer) -> None:
    """What is not there has been removed; another refusal comes out."""

    async def remove(script: Script) -> None:
        async def send() -> None:
            await script()

        await writer.gone(send)

    await remove(Script(clock, LOST, UNKNOWN))
    with pytest.raises(SaltoKsForbiddenError):
        await remove(Script(clock, YOUNG))


async def test_made_anew_after_tidying(clock: Clock, writer: Writer) -> None:
    """Between two tries of what must not be there twice somebody looks after the first."""
    tidied: list[float] = []

    async def tidy() -> None:
        tidied.append(clock.now)

    assert await writer.anew(Script(clock, LOST, ODD, "made"), tidy=tidy) == "made"
    assert len(tidied) == 2
    for err in (LOST, REFUSED):
        with pytest.raises(type(err)):
            await writer.anew(Script(clock, err), tidy=tidy)
    assert len(tidied) == 4


@pytest.mark.parametrize(
    ("err", "unknown", "final", "passing"),
    [
        (LOST, True, False, True),
        (DOWN, True, False, True),
        (ODD, True, False, True),
        (limited(None), False, False, True),
        (LOGIN, False, False, False),
        (REFUSED, False, True, False),
        (UNKNOWN, False, True, False),
        (SaltoKsHardwareError(status=500, code=3101), True, False, True),
        (SaltoKsHardwareError(status=408, code=3102), True, False, True),
        (SaltoKsHardwareError(status=400, code=3102), False, True, False),
    ],
    ids=lambda value: getattr(value, "status", None) and f"{type(value).__name__} {value.status}",
)
def test_what_an_error_means(err: SaltoKsError, unknown: bool, final: bool, passing: bool) -> None:
    """Each error says whether Salto may have acted, has refused, or may answer later."""
    assert (may_have_happened(err), is_final(err), is_passing(err)) == (unknown, final, passing)
