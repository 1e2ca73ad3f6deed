"""Any JSON in any place of what we read: it is understood, or refused by the error that is told.

Each reader is given what it was made for with one place spoilt: replaced by anything at all, by
something hostile, taken away, or with one more beside it. Whatever it makes of that is then used.
"""

from collections.abc import Callable, Iterator, Mapping
import copy
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
import json
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from aiohttp import web
from homeassistant.config_entries import ConfigSubentryData
from hypothesis import HealthCheck, given, settings, strategies as st
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.salto_ks.access_cursor import AccessCursors
from custom_components.salto_ks.api.access_events import AccessEvent
from custom_components.salto_ks.api.access_models import (
    AccessGroup,
    SiteUser,
    TimeSchedule,
    UserKey,
)
from custom_components.salto_ks.api.exceptions import (
    Endpoint,
    SaltoKsError,
    SaltoKsUnexpectedResponseError,
)
from custom_components.salto_ks.api.models import (
    Iq,
    IqActivation,
    IqId,
    Lock,
    PlatformUserId,
    SiteId,
    SiteMember,
    Subscription,
)
from custom_components.salto_ks.api.responses import raise_for_status, retry_after
from custom_components.salto_ks.api.transport import Answer
from custom_components.salto_ks.domain.bookings import BookingRules, BookingStatus
from custom_components.salto_ks.domain.calendar_events import CalendarItem, read_items
from custom_components.salto_ks.domain.calendar_memory import (
    READ_BACK,
    CalendarMemory,
    GoodRead,
    after_read,
    believed,
)
from custom_components.salto_ks.domain.calendar_memory_json import (
    booking_from_json,
    booking_to_json,
    memory_from_json,
    memory_to_json,
)
from custom_components.salto_ks.domain.desired_keys import desired_keys
from custom_components.salto_ks.domain.ids import KeyId, UnitId
from custom_components.salto_ks.iq_credential import IqKey
from custom_components.salto_ks.iq_vault import IqVault
from custom_components.salto_ks.keys.audit_log import decode_line, encode_line
from custom_components.salto_ks.keys.ledger_codec import (
    Head,
    Shard,
    decode_intent,
    decode_record,
    encode_record,
    head_from_json,
    head_to_json,
    open_intent,
    shard_from_json,
    shard_to_json,
)
from custom_components.salto_ks.site_state import SiteStates
from custom_components.salto_ks.storage import StorageError, SureStore
from custom_components.salto_ks.units import units_of
from tests.api.accounts import IQ, LOCK
from tests.api.conftest import session
from tests.api.payloads import (
    ACTIVATION_OBJECT,
    IQ_OBJECT,
    LOCK_OBJECT,
    MEMBER_OBJECT,
    PLATFORM_USER,
    SITE_USER,
    SUBSCRIPTION_OBJECT,
)
from tests.api.test_event_stream import Ear, Hub, Talk, call, ear, hub, record
from tests.domain.stays import DAY, NOW, a_booking, a_unit
from tests.keys.ledgers import a_line, a_record, an_intent

__all__ = ["ear", "hub", "session"]

EXAMPLES = 800
KEY = KeyId("ab12-1")

HOSTILE: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    10**4000,
    float("nan"),
    float("inf"),
    -0.0,
    "",
    " ",
    "\ud83d",
    "\x00\x1b[31m\u202e",
    "x" * 10_000,
    "9" * 5000,
    "0001-01-01T00:00:00+14:00",
    "0001-01-01T00:00:00+00:00",
    "9999-12-31T23:59:59-14:00",
    "9999-12-31T23:59:59.999999+00:00",
    "2026-02-30T00:00:00Z",
    "2026-01-02T03:04:05",
    "24:00:00",
    [],
    {},
    [None],
    {"id": None},
)
"""What readers of JSON have stumbled over before."""

ANYTHING = st.sampled_from(HOSTILE) | st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats()
    | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to each place in a value, the whole among them."""
    yield path
    if isinstance(value, dict | list):
        for key, one in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _places(one, (*path, key))


@st.composite
def spoilt(draw: st.DrawFn, good: Any) -> Any:
    """Draw what was good, with one place of it spoilt."""
    *way, last = draw(st.sampled_from([path for path in _places(good) if path] or [(None,)]))
    if last is None or draw(st.integers(0, 20)) == 0:
        return draw(ANYTHING)
    value = copy.deepcopy(good)
    place = value
    for step in way:
        place = place[step]
    match draw(st.integers(0, 5)):
        case 0:
            del place[last]
        case 1 if isinstance(place, list):
            place.append(copy.deepcopy(place[last]))
        case 1:
            place[draw(st.text(max_size=5))] = draw(ANYTHING)
        case _:
            place[last] = draw(ANYTHING)
    return value


def _deep(levels: int = 900) -> Any:
    """Return lists in lists."""
    value: Any = []
    for _ in range(levels):
        value = [value]
    return value


# What Salto answers

USER = {
    "id": SITE_USER,
    "user": {"id": PLATFORM_USER},
    "alias": "Pitch 12 ha-ab12-1",
    "subscription_state": "subscribed",
    "use_pin": True,
    "blocked": False,
    "expires_at": "2026-08-25T07:25:00.1234567Z",
}
ENTRY = {
    "id": IQ,
    "utc_date_time": "2026-08-25T07:25:00.1234567Z",
    "event_category": "lock_opened",
    "event_detail": None,
    "lock_id": LOCK,
    "user_id": PLATFORM_USER,
    "user_first_name": "A",
    "user_last_name": "B",
    "user_alias": "C",
    "access_by": "pin_code",
    "exit_requested": False,
}
TIMES = {
    "id": IQ,
    "start_date": "2026-08-25T07:25:00",
    "end_date": None,
    "start_time": "00:00:00",
    "end_time": "23:59:59",
    "monday": True,
}
MODELS: dict[Any, Any] = {
    AccessEvent: ENTRY,
    AccessGroup: {"id": IQ, "customer_reference": "ha-ab12-1.1"},
    Iq: IQ_OBJECT,
    IqActivation: ACTIVATION_OBJECT,
    Lock: LOCK_OBJECT,
    SiteMember: MEMBER_OBJECT,
    SiteUser: USER,
    Subscription: SUBSCRIPTION_OBJECT,
    TimeSchedule: TIMES,
    UserKey: {"type": "pin", "expiry_date": None},
}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
@given(data=st.data())
@settings(deadline=None, max_examples=EXAMPLES)
def test_objects_of_salto(model: Any, data: st.DataObject) -> None:
    """An object becomes a model that can be written down, or our own error."""
    try:
        value = model.from_api(data.draw(spoilt(MODELS[model])))
    except SaltoKsUnexpectedResponseError:
        return
    assert isinstance(value, model)
    repr(value).encode()
    hash(value)


@given(
    status=st.integers(100, 599),
    endpoint=st.sampled_from(Endpoint),
    body=st.binary(max_size=40)
    | spoilt({"ErrorCode": "2202", "Message": "failed with code: otp_invalid", "title": 1}).map(
        lambda value: json.dumps(value).encode()
    )
    | st.sampled_from([b"[" * 100_000, b'{"a":' * 100_000, b'{"ErrorCode": 1e999}', b"9" * 5000]),
    wait=st.none() | st.text(max_size=30) | st.sampled_from(["9" * 400, "-1", "\u0665", "inf"]),
)
@settings(deadline=None, max_examples=3 * EXAMPLES)
def test_refusals(status: int, endpoint: Endpoint, body: bytes, wait: str | None) -> None:
    """A refusal is one of our errors whatever comes with it, and its text can be written down."""
    headers = {} if wait is None else {"Retry-After": wait}
    answer = Answer(status=status, headers=headers, body=body)
    if 200 <= status < 300:
        raise_for_status(answer, endpoint=endpoint, sent=("secret",))
        return
    with pytest.raises(SaltoKsError) as caught:
        raise_for_status(answer, endpoint=endpoint, sent=("secret",))
    text = str(caught.value)
    assert text.encode()
    assert "\n" not in text


@given(
    wait=st.text(max_size=40)
    | st.datetimes(timezones=st.timezones()).map(datetime.isoformat)
    | st.from_regex(
        r"\A(Mon, )?\d{1,4} (Jan|Feb|Dec|x) \d{1,5} \d\d:\d\d(:\d\d)? ([+-]\d{1,6}|GMT|Z)\Z"
    )
)
@settings(deadline=None, max_examples=3 * EXAMPLES)
def test_time_to_wait(wait: str) -> None:
    """Whatever a server says of when to come again, it is nothing, or up to an hour."""
    seconds = retry_after(wait, lambda: NOW)
    assert seconds is None or 0 <= seconds <= 3600


FRAMES = [
    call({"id": LOCK}),
    call(json.dumps({"id": LOCK})),
    record({"type": 6}),
    record({"type": 7, "error": "x"}),
    record({"type": 1, "target": "ReceiveMessage", "arguments": [{"id": 5}, None]}),
]


def _say(*frames: str) -> Talk:
    """Send these and hang up."""

    async def talk(socket: web.WebSocketResponse) -> None:
        for frame in frames:
            await socket.send_str(frame)

    return talk


async def test_frames_of_the_hub(hub: Hub, ear: Ear) -> None:
    """Whatever the hub sends, listening ends by one of our errors and rings at most."""
    bodies: list[Any] = [{"type": 1, "arguments": one} for one in (*HOSTILE, _deep(), [_deep()])]
    bodies += [{"type": one, "arguments": [{"id": one}]} for one in HOSTILE]
    bodies += [{"type": 1, "arguments": [{"id": one}]} for one in HOSTILE]
    frames = [*FRAMES, *map(record, bodies), *map(record, HOSTILE), "[" * 50_000 + "\x1e"]
    for number, frame in enumerate(frames):
        hub.talk = _say(FRAMES[number % 2], frame if number % 3 else frame[:-1])
        ear.rings.clear()
        await ear.error()
        assert len(ear.rings) <= 3


# What people and other people's programs write


@given(data=st.data())
@settings(deadline=None, max_examples=3 * EXAMPLES)
def test_events_of_a_calendar(data: st.DataObject) -> None:
    """An event becomes a booking, or is told as unreadable, and is believed or not without harm."""
    moments = st.datetimes(timezones=st.none() | st.timezones()) | st.dates()
    items = st.builds(
        CalendarItem,
        summary=st.text(st.characters(), max_size=30),
        starts=moments | st.sampled_from([date.min, datetime.min.replace(tzinfo=UTC), NOW]),
        ends=st.none() | moments | st.sampled_from([date.max, datetime.max.replace(tzinfo=UTC)]),
        uid=st.none() | st.text(st.characters(), max_size=5),
        recurrence_id=st.none() | st.text(st.characters(), max_size=5),
        status=st.none() | st.text(max_size=9) | st.sampled_from(["confirmed", "tentative"]),
    )
    given_items = data.draw(st.lists(items, max_size=4))
    unit = a_unit(rules=BookingRules(status_without_status=BookingStatus.PENDING))
    reading = read_items(given_items, unit, ZoneInfo("Europe/Amsterdam"))
    _believe(CalendarMemory(), reading.events, reading.unreadable)


def _believe(memory: CalendarMemory, events: Any = (), unreadable: Any = ()) -> None:
    """Read a calendar twice, have its bookings want keys, and keep what is believed."""
    for at in (NOW, NOW + timedelta(hours=1)):
        read = GoodRead(
            reads_from=at - READ_BACK,
            reads_until=at + 120 * DAY,
            events=events,
            unreadable=unreadable,
            trusted=False,
        )
        memory, _ = after_read(memory, read, at)
    desired_keys(believed([memory]), {UnitId("pitch"): a_unit()}, NOW)
    assert memory_from_json(json.loads(json.dumps(memory_to_json(memory)))) == memory


UNIT = {
    "doors": [LOCK],
    "mode": "both",
    "calendar": "calendar.stays",
    "lead_hours": 48,
    "seat_from_lead_time": True,
    "minutes_before": 30,
    "minutes_after": 15,
    "pin_length": 6,
    "strategy": "schedule",
    "on_removal": "revoke",
    "check_in": "15:00:00",
    "check_out": "10:00:00",
    "ends_next_day": True,
    "ignore_patterns": ["Blocked"],
    "pending_patterns": ["?"],
    "status_without_status": "confirmed",
    "opening_statuses": ["confirmed", "checked_in"],
    "opens_minutes_before": 15,
    "checks_in_on_opening": True,
}


@given(data=spoilt(UNIT))
@settings(deadline=None, max_examples=4 * EXAMPLES)
def test_units(data: Any) -> None:
    """A unit that no form of ours has written is left out, and the one beside it is there."""
    if not isinstance(data, dict):
        return  # Home Assistant itself takes nothing else.
    entry = MockConfigEntry(
        domain="salto_ks",
        subentries_data=[
            ConfigSubentryData(
                data=MappingProxyType(one),
                subentry_type="unit",
                title=title,
                unique_id=None,
            )
            for title, one in (("spoilt", data), ("good", UNIT))
        ],
    )
    units = units_of(entry, "Europe/Amsterdam")
    assert "good" in {unit.name for unit in units.values()}
    for unit in units.values():
        desired_keys([a_booking(unit_id=unit.unit_id)], units, NOW)


# What lies in our files


class Kept(SureStore):
    """A file that holds what a test has put into it."""

    def __init__(self, part: Any) -> None:
        """Hold this."""
        self.key, self._part = "salto_ks.kept", part
        self.saved: Mapping[str, Any] | None = None

    @property
    def path(self) -> str:
        """Return where it would be."""
        return "/nowhere"

    async def async_load_now(self, part: str) -> Any:
        """Return it."""
        return self._part

    async def async_save_now(self, data: Mapping[str, Any]) -> None:
        """Take what is written instead."""
        self.saved = data


CREDENTIAL = {
    "site_id": "site",
    "iq_id": "iq",
    "user_id": "me",
    "secret": "0123456789ABCDEF",
    "pin": "0042",
    "candidates": ["0043"],
    "activated": True,
    "rejections": 2,
    "blocked_until": NOW.isoformat(),
    "held_until": None,
}
CURSORS = {"site": {"newest_at": NOW.isoformat(), "handed_out": {LOCK: NOW.isoformat()}}}

FILES = settings(
    deadline=None,
    max_examples=2 * EXAMPLES,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@given(credentials=spoilt([CREDENTIAL, CREDENTIAL | {"user_id": "you"}]))
@FILES
async def test_vault(credentials: Any) -> None:
    """What cannot be read of IQ secrets is written back as it was found, and never used."""
    store = Kept(credentials)
    vault = IqVault(store)
    try:
        await vault.async_load()
    except StorageError:
        return
    for user in ("me", "you"):
        key = IqKey(SiteId("site"), IqId("iq"), PlatformUserId(user))
        if (known := vault.get(key)) is not None:
            known.guard.rejected(NOW)
            await vault.put(key, known)
    if store.saved is not None:
        written = len(store.saved["credentials"])
        assert written == len(credentials) or written == len(credentials) - 1


@given(sites=spoilt({"site": {"active": False, "more": [1]}}))
@FILES
async def test_site_states(sites: Any) -> None:
    """A site that was switched off does not come on by damage."""
    states = SiteStates(Kept(sites))
    try:
        await states.async_load()
    except StorageError:
        return
    assert states.is_active(SiteId("other"))
    states.is_active(SiteId("site"))


@given(sites=spoilt(CURSORS))
@FILES
async def test_cursors(sites: Any) -> None:
    """From any cursor that is believed, the door log can be read on."""
    cursors = AccessCursors(Kept(sites))
    await cursors.async_load()
    cursor = cursors.cursor_of(SiteId("site"))
    if cursor is not None:
        cursor.reads_from(NOW)
        await cursors.keep(SiteId("site"), cursor.after((), NOW))


def _memory() -> Any:
    """Return what is believed of a calendar, as it is kept."""
    item = CalendarItem(summary="Jansen", starts=NOW + DAY, ends=NOW + 3 * DAY, uid="one")
    reading = read_items([item], a_unit(), ZoneInfo("Europe/Amsterdam"))
    read = GoodRead(
        reads_from=NOW - READ_BACK,
        reads_until=NOW + 90 * DAY,
        events=reading.events,
        unreadable=(),
        trusted=False,
    )
    memory, _ = after_read(CalendarMemory(), read, NOW)
    return memory_to_json(memory)


@given(data=spoilt(_memory()))
@settings(deadline=None, max_examples=4 * EXAMPLES)
def test_memory_of_a_calendar(data: Any) -> None:
    """A memory that is believed can be gone on from."""
    try:
        memory = memory_from_json(data)
    except ValueError:
        return
    _believe(memory)


@given(data=spoilt(booking_to_json(a_booking())))
@settings(deadline=None, max_examples=2 * EXAMPLES)
def test_booking(data: Any) -> None:
    """A booking that is believed is written again as it is."""
    try:
        booking = booking_from_json(data)
    except ValueError:
        return
    assert booking_from_json(booking_to_json(booking)) == booking


@dataclass(frozen=True, slots=True)
class Text:
    """A JSON text of ours, and what reads it."""

    good: str
    read: Callable[[str], object]


TEXTS = {
    "record": Text(encode_record(a_record(KEY)), lambda text: decode_record(KEY, text)),
    "intent": Text(
        open_intent(an_intent(a_record(KEY)), 1).text, lambda text: decode_intent(KEY, text)
    ),
    "line of the log": Text(encode_line(a_line(KEY)), decode_line),
}


@pytest.mark.parametrize("name", TEXTS)
@given(data=st.data())
@settings(deadline=None, max_examples=3 * EXAMPLES)
def test_texts_of_the_ledger(name: str, data: st.DataObject) -> None:
    """A text that was cut off, overwritten or spoilt is read, or refused with a ValueError."""
    text = TEXTS[name]
    content = data.draw(
        spoilt(json.loads(text.good)).map(json.dumps)
        | st.integers(0, len(text.good)).map(lambda end: text.good[:end])
        | st.sampled_from(["[" * 100_000, "NaN", "9" * 5000, "\ud83d", "\x00"])
    )
    try:
        text.read(content)
    except ValueError:
        return


def _shard() -> Any:
    return shard_to_json(
        Shard(
            instance="ab12",
            records={KEY: a_record(KEY)},
            finished={KEY: 1},
            lines=[a_line(KEY)],
        )
    )


def _head() -> Any:
    opened = open_intent(an_intent(a_record(KEY)), 1)
    return head_to_json(
        Head(instance="ab12", highest_number=1, highest_serial=1, shards={0}, intents={KEY: opened})
    )


@given(data=spoilt(_shard()))
@settings(deadline=None, max_examples=4 * EXAMPLES)
def test_file_of_keys(data: Any) -> None:
    """What is read is written again with nothing lost, or the file is refused as a whole."""
    try:
        shard = shard_from_json(0, data)
    except ValueError:
        return
    again = shard_to_json(shard)
    assert again["keys"].keys() == dict(data["keys"]).keys()
    assert len(again["lines"]) == len(data["lines"])


@given(data=spoilt(_head()))
@settings(deadline=None, max_examples=4 * EXAMPLES)
def test_file_of_intents(data: Any) -> None:
    """What is read is written again with nothing lost, or the file is refused as a whole."""
    try:
        head = head_from_json(data)
    except ValueError:
        return
    assert head_to_json(head)["intents"].keys() == dict(data["intents"]).keys()
