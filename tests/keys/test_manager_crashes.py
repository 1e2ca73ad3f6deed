"""A key manager that is killed: at every moment at which anything had changed, here or at Salto.

An operation runs once, and a picture is taken of disk and simulated world at each moment. Then
every picture is started from, time goes on, and the keys are held to what they have to be.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
import itertools
import json
from pathlib import Path
import shutil
from typing import Any, override

from aiohttp import web
from aiohttp.typedefs import Handler
from homeassistant.core import HomeAssistant
import pytest
from yarl import URL

from custom_components.salto_ks.domain.fixes import Fix
from custom_components.salto_ks.domain.ids import KeyId
from custom_components.salto_ks.domain.intents import Intent
from custom_components.salto_ks.domain.key_requests import KeyChange, KeyRefusedError
from custom_components.salto_ks.domain.keys import KeyRecord, KeyStatus, Strategy
from custom_components.salto_ks.domain.observed import UNSEEN_FOR
from custom_components.salto_ks.domain.outcomes import Outcome
from custom_components.salto_ks.keys.manager import HandedOut
from simulator import Quirks
from tests.ha.files import hass_config_dir, hass_storage

from .camera import Camera
from .desk import HOUR, MINUTE, desk_of
from .ledgers import living_in
from .offices import INSIDE_ONLY, RECEPTION, Office, outcome_of

__all__ = ["hass_config_dir", "hass_storage"]

DAY = timedelta(days=1)
STEP = timedelta(seconds=30)


@dataclass(frozen=True, kw_only=True)
class Moment:
    """Disk and world at a moment."""

    name: str
    folder: Path
    world: dict[str, Any]
    under_way: Sent | None
    """The request that was sent and not carried out."""


@dataclass(frozen=True, kw_only=True)
class Sent:
    """A request as it was sent."""

    method: str
    path: str
    body: bytes = field(repr=False)


class Witness(Camera):
    """Takes pictures of the disk together with the world, before and after whatever changes one."""

    def __init__(self, folder: Path, album: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Be ready; `office` has to be given before watching."""
        super().__init__(folder, album, monkeypatch)
        self.office: Office
        self.moments: list[Moment] = []
        self._seen: set[str] = set()
        self._last = ""
        self._sent: Sent | None = None
        self.authorization = ""
        """That of the last request."""

    @web.middleware
    async def around(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Take pictures before and after a request is carried out."""
        name = f"{request.method} {request.path.rpartition('/sites/')[2].partition('/')[2]}"
        self.authorization = request.headers.get("Authorization", "")
        self._sent = Sent(
            method=request.method,
            path=request.path_qs,
            body=await request.read(),
        )
        self._see(f"before {name}")
        response = await handler(request)
        self._sent = None
        self._see(f"after {name}")
        return response

    @contextmanager
    def witnessing(self, office: Office) -> Iterator[None]:
        """Watch an office."""
        self.office, self.moments = office, []
        self._folder, self._seen, self._last = Path(office.hass.config.config_dir), set(), ""
        with self.watching():
            yield

    def _see(self, name: str) -> None:
        if self._is_watching:
            self._last = name
            self._take()

    @override
    def _take(self) -> None:
        """Keep the moment, if it is unlike all before."""
        super()._take()
        self._is_watching = False
        try:
            self._keep()
        finally:
            self._is_watching = True

    def _keep(self) -> None:
        picture, world = self._taken.pop(), self.office.desk.sim.dump()
        digest = sha256(json.dumps([world["world"], world["rollout"]]).encode())
        if self._sent is not None and self._sent.method != "GET":
            digest.update(repr(self._sent).encode())
        for path in sorted(picture.rglob("*")):
            if path.is_file() and not path.name.startswith("tmp"):
                digest.update(str(path.relative_to(picture)).encode() + path.read_bytes())
        if digest.hexdigest() in self._seen:
            shutil.rmtree(picture)
            return
        self._seen.add(digest.hexdigest())
        name = f"{len(self.moments)}: {self._last}"
        self.moments.append(Moment(name=name, folder=picture, world=world, under_way=self._sent))


@pytest.fixture
def witness(
    hass: HomeAssistant,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> Witness:
    """Watch the folder of Home Assistant."""
    album = tmp_path_factory.mktemp("album")
    return Witness(Path(hass.config.config_dir), album, monkeypatch)


type Begin = Callable[[Office], Awaitable[HandedOut | None]]
type Operate = Callable[[Office, HandedOut | None], Awaitable[object]]
type Expect = Callable[[KeyRecord, HandedOut | None], bool]


@dataclass(frozen=True, kw_only=True)
class Operation:
    """What is interrupted, and how a key has to be afterwards."""

    operate: Operate
    done: Expect
    """How the key is once the operation was begun on disk."""
    given_up: Expect | None = None
    """How it is where nobody waits for it, unless its result is on disk."""
    begin: Begin | None = None
    is_done_again: bool = False
    """Whether a person who was interrupted would do it again, and has to for all to agree."""
    writes: int
    """How many requests change something at Salto."""


async def a_key(office: Office) -> HandedOut:
    """Have a key of a booking."""
    return await office.issue(booking="b1")


async def a_suspended_key(office: Office) -> HandedOut:
    """Have a key that is suspended."""
    key = await office.issue(booking="b1")
    await office.manager.suspend(key.record.key_id, RECEPTION)
    return key


async def a_key_by_membership(office: Office) -> HandedOut:
    """Have a key whose guest we let in ourselves."""
    return await office.issue(booking="b1", strategy=Strategy.MEMBERSHIP)


async def a_key_that_was_meddled_with(office: Office) -> HandedOut:
    """Have a key of which somebody has changed about everything at Salto."""
    key = await office.issue(booking="b1")
    await office.passes(UNSEEN_FOR + MINUTE)
    meddle(office, key)
    return key


def meddle(office: Office, key: HandedOut) -> None:
    """Change about everything that a key has at Salto, but for its PIN."""
    sim, record = office.desk.sim, office.record(key)
    assert record.guest is not None
    (group,) = office.desk.groups(record)
    (schedule,) = sim.world.schedules_of(group.id)
    sim.set("user", record.guest.id, subscription_state="suspended", use_pin=False, blocked=True)
    sim.set("group", group.id, lock_ids=[office.desk.doors[1]], user_ids=[])
    sim.remove("schedule", schedule.id)


async def a_key_without_a_pin(office: Office) -> HandedOut:
    """Have a key of which somebody has taken the PIN away at Salto."""
    key = await office.issue(booking="b1")
    await office.passes(UNSEEN_FOR + MINUTE)
    assert key.record.guest is not None
    office.desk.sim.set("user", key.record.guest.id, pin=None)
    return key


def id_of(key: HandedOut | None) -> KeyId:
    """Return the id of the key that an operation is about."""
    assert key is not None
    return key.record.key_id


async def move(office: Office, key: HandedOut | None) -> object:
    """Move a key by an hour, to doors in another time zone."""
    assert key is not None
    window = key.record.window
    change = KeyChange(
        starts_at=window.starts_at + HOUR,
        ends_at=window.ends_at + HOUR,
        doors=frozenset(office.desk.doors[-2:]),
    )
    return await office.manager.change(key.record.key_id, change, RECEPTION)


async def end(office: Office, key: HandedOut | None) -> None:
    """Let the window of a key end."""
    assert key is not None
    await office.comes(key.record.window.ends_at)


async def start(office: Office, key: HandedOut | None) -> None:
    """Let the window of a key begin."""
    assert key is not None
    await office.comes(key.record.window.starts_at)


def is_set(record: KeyRecord, _: HandedOut | None) -> bool:
    """Tell whether a key is in force."""
    return record.status is KeyStatus.SET


def is_revoked(record: KeyRecord, _: HandedOut | None) -> bool:
    """Tell whether a key is gone."""
    return record.status is KeyStatus.REVOKED


OPERATIONS: dict[str, Operation] = {
    "issue for a booking": Operation(
        writes=11,
        operate=lambda office, _: office.issue(*office.desk.doors, booking="b1"),
        done=is_set,
    ),
    "issue": Operation(
        writes=7,
        operate=lambda office, _: office.issue(),
        done=is_set,
        given_up=lambda record, _: record.status is KeyStatus.FAILED,
    ),
    "change": Operation(
        writes=6,
        begin=a_key,
        operate=move,
        done=lambda record, key: (
            record.status is KeyStatus.SET
            and key is not None
            and record.window.starts_at == key.record.window.starts_at + HOUR
            and [group.zone for group in record.groups] == ["America/New_York"]
        ),
    ),
    "suspend": Operation(
        writes=1,
        begin=a_key,
        operate=lambda office, key: office.manager.suspend(id_of(key), RECEPTION),
        done=lambda record, _: record.status is KeyStatus.SUSPENDED,
    ),
    "resume": Operation(
        writes=1,
        begin=a_suspended_key,
        operate=lambda office, key: office.manager.resume(id_of(key), RECEPTION),
        done=is_set,
    ),
    "rotate": Operation(
        writes=1,
        begin=a_key,
        operate=lambda office, key: office.manager.rotate(id_of(key), RECEPTION),
        done=lambda record, key: (
            is_set(record, key) and key is not None and record.sealed_pin != key.record.sealed_pin
        ),
    ),
    "revoke": Operation(
        writes=2,
        begin=a_key,
        operate=lambda office, key: office.manager.revoke(id_of(key), RECEPTION),
        done=is_revoked,
    ),
    "reissue": Operation(
        writes=9,
        begin=a_key,
        operate=lambda office, key: office.manager.reissue(id_of(key), RECEPTION),
        done=lambda record, key: (
            is_set(record, key) and key is not None and record.guest != key.record.guest
        ),
    ),
    "mend by restoring": Operation(
        writes=9,
        begin=a_key_that_was_meddled_with,
        is_done_again=True,
        operate=lambda office, key: office.manager.mend(
            id_of(key), Outcome.SUSPENDED, Fix.RESTORE, RECEPTION
        ),
        done=lambda record, key: (
            is_set(record, key) and key is not None and record.guest == key.record.guest
        ),
    ),
    "mend by restoring a PIN": Operation(
        writes=2,
        begin=a_key_without_a_pin,
        is_done_again=True,
        operate=lambda office, key: office.manager.mend(
            id_of(key), Outcome.PIN_MISSING, Fix.RESTORE, RECEPTION
        ),
        done=is_set,
    ),
    "window end": Operation(writes=2, begin=a_key, operate=end, done=is_revoked),
    "join": Operation(
        writes=1,
        begin=a_key_by_membership,
        operate=start,
        done=lambda record, _: all(group.member for group in record.groups),
    ),
    "leave": Operation(writes=2, begin=a_key_by_membership, operate=end, done=is_revoked),
}


@asynccontextmanager
async def watched_office(hass: HomeAssistant, witness: Witness) -> AsyncIterator[Office]:
    """Open an office that can be watched, where things take as long as they were measured to."""
    async with desk_of(Quirks(), around=witness.around) as desk:
        desk.set_zone(desk.doors[-1], "America/New_York")
        yield await Office(hass, desk).open()


async def recovered(office: Office, *, opened: bool = False) -> None:
    """Start anew, unless that was done, and let time pass as it does after a start."""
    if not opened:
        await office.open()
    await office.tick()
    await office.passes(UNSEEN_FOR + MINUTE, every=STEP)
    await office.manager.reconcile(dry_run=False)
    await office.passes(UNSEEN_FOR + MINUTE, every=STEP)


async def check(office: Office) -> None:
    """Hold keys to one guest and its groups each, and PINs to windows and doors."""
    await office.assert_agreed()
    assert office.ledger.intents == {}
    for record in office.ledger.records.values():
        if not record.is_live:
            continue
        key = await office.manager.reveal(record.key_id, RECEPTION)
        inside = INSIDE_ONLY if record.status is KeyStatus.SET else (False,) * 4
        if record.strategy is Strategy.MEMBERSHIP:
            assert office.opens(key) is record.window.holds(office.desk.sim.clock.now())
            continue
        for door in office.desk.doors:
            wanted = inside if door in record.doors else (False,) * 4
            assert office.edges(key, door) == wanted, door


BY_TIME = frozenset({"window end", "join", "leave"})
"""Operations that a start begins by itself, whether or not they were begun before."""


@dataclass(frozen=True, kw_only=True)
class Story:
    """An operation that was watched from its beginning to its end."""

    operation: Operation
    by_time: bool
    key: HandedOut | None
    before: Mapping[KeyId, KeyRecord]
    after: Mapping[KeyId, KeyRecord]
    outcome: object

    def check(
        self, office: Office, intents: Mapping[KeyId, Intent], found: Mapping[KeyId, KeyRecord]
    ) -> str:
        """Hold the key to what it has to be after a start that has found this on disk."""
        ended = office.ledger.records
        if not intents and found == self.before and not self.by_time:
            assert ended.keys() == self.before.keys()
            return "as before"
        (record,) = ended.values()
        is_there = found.keys() == self.after.keys() and not intents
        if self.operation.given_up is not None and not is_there:
            assert self.operation.given_up(record, self.key), record
            return "given up"
        assert self.operation.done(record, self.key), record
        return "done"

    async def do_again(self, office: Office) -> None:
        """Have a person do again what was interrupted, where only that brings all to agree."""
        if self.operation.is_done_again:
            await self.operation.operate(office, self.key)
            await office.passes(UNSEEN_FOR + MINUTE, every=STEP)


async def told(office: Office, witness: Witness, name: str) -> Story:
    """Have an operation happen before a witness."""
    operation = OPERATIONS[name]
    key = None if operation.begin is None else await operation.begin(office)
    await office.passes(2 * MINUTE)
    before = office.ledger.records
    with witness.witnessing(office):
        outcome = await operation.operate(office, key)
    await office.manager.close(0)
    return Story(
        operation=operation,
        by_time=name in BY_TIME,
        key=key,
        before=before,
        after=office.ledger.records,
        outcome=outcome,
    )


@contextmanager
def killed_at(office: Office, moment: Moment) -> Iterator[None]:
    """Put disk and world back to a moment, and name it where something is wrong."""
    sim = office.desk.sim
    sim.restore(sim._start, moment.world)
    with living_in(office.hass, moment.folder):
        try:
            yield
        except AssertionError as err:
            err.add_note(f"killed at {moment.name}")
            raise


@pytest.mark.parametrize("name", OPERATIONS)
async def test_killed_at_any_moment(
    hass: HomeAssistant, socket_enabled: None, witness: Witness, name: str
) -> None:
    """Whenever it is killed: after a start a key is as before, or done, or taken back; never two."""
    async with watched_office(hass, witness) as office:
        strangers = office.desk.strangers()
        story = await told(office, witness, name)
        seen: set[str] = set()
        for moment in witness.moments:
            with killed_at(office, moment):
                await office.open()
                intents, found = office.ledger.intents, office.ledger.records
                await recovered(office)
                seen.add(story.check(office, intents, found))
                await story.do_again(office)
                await check(office)
                assert office.desk.strangers() == strangers
                if isinstance(story.outcome, HandedOut) and found == story.after and not intents:
                    shown = await office.manager.reveal(story.outcome.record.key_id, RECEPTION)
                    assert shown.keypad_pin == story.outcome.keypad_pin
                await office.manager.close(0)
        assert "done" in seen
        assert story.by_time or "as before" in seen
        writes = {m.name for m in witness.moments if ": after " in m.name}
        assert len(writes) >= story.operation.writes


@pytest.mark.parametrize("name", OPERATIONS)
async def test_what_was_sent_before_it_was_killed(
    hass: HomeAssistant, socket_enabled: None, witness: Witness, name: str
) -> None:
    """A request that Salto carries out only after the start does no harm in the end.

    But for a PIN: one that Salto makes this late would replace the next one unnoticed.
    """
    async with watched_office(hass, witness) as office:
        strangers = office.desk.strangers()
        story = await told(office, witness, name)
        late = [
            (moment, sent)
            for moment in witness.moments
            if (sent := moment.under_way) is not None and not sent.path.endswith("/pin")
        ]
        for moment, sent in late:
            with killed_at(office, moment):
                await office.open()
                intents, found = office.ledger.intents, office.ledger.records
                await office.tick()
                await office.manager.reconcile(dry_run=True)
                url = office.desk.url.join(URL(sent.path, encoded=True))
                headers = {
                    "Authorization": witness.authorization,
                    "Content-Type": "application/json",
                }
                async with office.desk.session.request(
                    sent.method, url, data=sent.body, headers=headers
                ) as answer:
                    assert answer.status < 500
                    assert answer.status != 401
                await recovered(office, opened=True)
                story.check(office, intents, found)
                await story.do_again(office)
                await check(office)
                assert office.desk.strangers() == strangers
                await office.manager.close(0)
        assert len(late) >= story.operation.writes - 1


@pytest.mark.parametrize("name", ["issue for a booking", "change", "reissue"])
async def test_killed_twice(
    hass: HomeAssistant, socket_enabled: None, witness: Witness, name: str
) -> None:
    """Killed while it takes up what the first kill has interrupted, it takes it up once more."""
    async with watched_office(hass, witness) as office:
        strangers = office.desk.strangers()
        story = await told(office, witness, name)
        firsts = [one for one in witness.moments if ": after P" in one.name]
        for first in firsts[:: max(1, len(firsts) // 2)]:
            with killed_at(office, first):
                await office.open()
                with witness.witnessing(office):
                    await office.tick()
                await office.manager.close(0)
            for moment in witness.moments[::2]:
                with killed_at(office, moment):
                    await office.open()
                    intents, found = office.ledger.intents, office.ledger.records
                    await recovered(office)
                    story.check(office, intents, found)
                    await check(office)
                    assert office.desk.strangers() == strangers
                    await office.manager.close(0)


@pytest.mark.parametrize("name", ["issue for a booking", "change", "rotate", "reissue", "revoke"])
async def test_cut_off_at_any_request(hass: HomeAssistant, socket_enabled: None, name: str) -> None:
    """Cut off while a request is on its way, the next manager finishes what this one has begun."""
    cut = _Cut()
    operation = OPERATIONS[name]
    async with desk_of(Quirks(), around=cut.around) as desk:
        desk.set_zone(desk.doors[-1], "America/New_York")
        strangers = desk.strangers()
        office = await Office(hass, desk).open()
        for index in itertools.count():
            key = None if operation.begin is None else await operation.begin(office)
            await office.passes(2 * MINUTE)
            cut.at = index
            cut.close = office.manager.close
            outcome = await outcome_of(operation.operate(office, key))
            was_cut, cut.at = cut.at is None, None
            await office.settled()
            await recovered(office)
            await check(office)
            assert desk.strangers() == strangers
            assert was_cut is isinstance(outcome, KeyRefusedError)
            for record in office.manager.keys(statuses={KeyStatus.SET}):
                await office.manager.revoke(record.key_id, RECEPTION)
            await office.passes(UNSEEN_FOR + MINUTE, every=STEP)
            if not was_cut:
                break
        assert index >= operation.writes


class _Cut:
    """Closes a manager in the middle of a request that changes something."""

    at: int | None = None
    close: Callable[[float], Awaitable[None]]

    @web.middleware
    async def around(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Close the manager after a request has been carried out."""
        response = await handler(request)
        if self.at is not None and request.method != "GET":
            self.at -= 1
            if self.at < 0:
                self.at = None
                await self.close(0)
        return response
