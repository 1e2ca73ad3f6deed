"""From the vendor's JSON to our values: everything measured parses, nothing else breaks anything."""

from dataclasses import FrozenInstanceError, fields
import traceback
from typing import Any

from hypothesis import given, settings, strategies as st
import pytest

from custom_components.salto_ks.api import models
from custom_components.salto_ks.api.exceptions import SaltoKsUnexpectedResponseError
from custom_components.salto_ks.api.models import (
    BatteryLevel,
    Iq,
    IqActivation,
    Lock,
    LockedState,
    LockType,
    Site,
    SiteMember,
    Subscription,
    secret_from_api,
)

from .accounts import IQ, LOCK, SITE
from .payloads import (
    ACTIVATION_OBJECT,
    IQ_OBJECT,
    LOCK_OBJECT,
    MEMBER_OBJECT,
    PLATFORM_USER,
    SITE_OBJECT,
    SITE_USER,
    SUBSCRIPTION_OBJECT,
    Json,
)

PARSERS: dict[Any, Json] = {
    Site: SITE_OBJECT,
    Subscription: SUBSCRIPTION_OBJECT,
    SiteMember: MEMBER_OBJECT,
    Iq: IQ_OBJECT,
    IqActivation: ACTIVATION_OBJECT,
    Lock: LOCK_OBJECT,
}
MODELS = pytest.mark.parametrize("model", PARSERS, ids=lambda model: model.__name__)
REQUIRED = [
    (Site, "id"),
    (SiteMember, "id"),
    (Iq, "id"),
    (IqActivation, "iq_id"),
    (Lock, "id"),
]


def test_every_model_is_looked_at() -> None:
    """A model that is added here is added to these tests."""
    assert {
        thing for thing in vars(models).values() if hasattr(thing, "from_api")
    } == PARSERS.keys()


def test_site() -> None:
    """A site as measured; its name is the vendor's `customer_reference`."""
    assert Site.from_api(SITE_OBJECT) == Site(
        id=SITE,
        site_uid="NL0000000001",
        name="Demo campsite",
        pin_enabled=True,
        seats_used=5,
        seats_total=10,
        subscription_valid=True,
        time_zone="Europe/Amsterdam",
    )


def test_subscription() -> None:
    """A subscription as measured."""
    assert Subscription.from_api(SUBSCRIPTION_OBJECT) == Subscription(
        features=frozenset({"events_streaming", "nfc", "custom_pin"})
    )


def test_site_member() -> None:
    """A site user as measured, with both of its ids."""
    assert SiteMember.from_api(MEMBER_OBJECT) == SiteMember(
        id=models.SiteUserId(SITE_USER),
        platform_id=models.PlatformUserId(PLATFORM_USER),
        remote_access=True,
        role_codes=frozenset({"site_user"}),
        blocked=False,
    )


def test_iq() -> None:
    """An IQ as measured."""
    assert Iq.from_api(IQ_OBJECT) == Iq(
        id=IQ,
        name="IQ 01",
        online=True,
        restore_required=False,
        otp_enabled=True,
        signal_strength=21,
        time_zone="Europe/Amsterdam",
        revision="2.0",
        mac="AA.BB.CC",
    )


def test_activation() -> None:
    """An activation as measured."""
    assert IqActivation.from_api(ACTIVATION_OBJECT) == IqActivation(iq_id=IQ, activated=True)


def test_activation_by_the_first_secret() -> None:
    """Reading the first secret makes an entry that is not yet an activation (MEAS)."""
    begun = IqActivation.from_api(ACTIVATION_OBJECT | {"activated": False, "activation_date": None})
    assert not begun.activated


def test_lock() -> None:
    """A lock as measured."""
    lock = Lock.from_api(LOCK_OBJECT)
    assert lock == Lock(
        id=LOCK,
        name="Gate",
        locked_state=LockedState.LOCKED,
        lock_type=LockType.ESCUTCHEON_PIN,
        online=True,
        iq_id=IQ,
        iq_link_state="attached",
        battery_level=BatteryLevel.FRESH,
        left_open_alarm=False,
        intrusion_alarm=False,
        privacy_mode=False,
        vendor_name="SALTO Sallis",
        mac="0000000000000A",
    )
    assert lock.has_keypad


@pytest.mark.parametrize(
    ("lock_type", "has_keypad"),
    [(kind, kind in {LockType.ESCUTCHEON_PIN, LockType.WALL_READER_PIN}) for kind in LockType]
    + [("turnstile_pin", False), (None, False)],
)
def test_keypad(lock_type: str | None, has_keypad: bool) -> None:
    """A keypad is claimed for the two types that are known to have one, and for no other word."""
    assert Lock.from_api(LOCK_OBJECT | {"lock_type": lock_type}).has_keypad is has_keypad


@pytest.mark.parametrize(
    ("level", "is_low"),
    [
        (BatteryLevel.FRESH, False),
        (BatteryLevel.GOOD, False),
        (BatteryLevel.LOW, True),
        (BatteryLevel.CRITICAL, True),
        (BatteryLevel.UNKNOWN, None),
        ("half_full", None),
    ],
)
def test_battery(level: str, is_low: bool | None) -> None:
    """A battery is low only by a word that says so, and well only by one that does."""
    assert Lock.from_api(LOCK_OBJECT | {"battery_level": level}).battery_low is is_low


@pytest.mark.parametrize(("model", "raw"), [(Iq, IQ_OBJECT), (Lock, LOCK_OBJECT)])
def test_title(model: Any, raw: Json) -> None:
    """A thing without a name goes by what is printed on it, else by its id."""
    assert model.from_api(raw).title == raw["customer_reference"]
    nameless = raw | {"customer_reference": ""}
    assert model.from_api(nameless).title == raw["mac"]
    assert model.from_api(nameless | {"mac": None}).title == raw["id"]


def test_unknown_words_are_carried() -> None:
    """A word we do not know stays what it is, in the plain text that came."""
    lock = Lock.from_api(
        LOCK_OBJECT
        | {"locked_state": "ajar", "lock_type": "turnstile", "battery_level": "half_full"}
        | {"iq_link_state": "attached_pending"}
    )
    assert (lock.locked_state, lock.lock_type, lock.battery_level, lock.iq_link_state) == (
        "ajar",
        "turnstile",
        "half_full",
        "attached_pending",
    )


@pytest.mark.parametrize("word", list(LockedState))
def test_known_words_become_their_member(word: LockedState) -> None:
    """Each known state is the member itself, so that `is` works."""
    assert Lock.from_api(LOCK_OBJECT | {"locked_state": str(word)}).locked_state is word


def only_required(model: Any) -> Json:
    """Return the least that a model can be read from."""
    least = {key: PARSERS[model][key] for kind, key in REQUIRED if kind is model}
    return least | ({"user": {"id": PLATFORM_USER}} if model is SiteMember else {})


@MODELS
def test_null_is_the_same_as_absent(model: Any) -> None:
    """A field that is null reads as one that is missing, for every optional field."""
    least = only_required(model)
    assert model.from_api(dict.fromkeys(PARSERS[model]) | least) == model.from_api(least)


def test_defaults_are_the_cautious_ones() -> None:
    """What Salto does not say is not claimed: no rights, not online, OTP wanted, nothing alarming."""
    member = SiteMember.from_api(only_required(SiteMember))
    assert not member.remote_access
    assert member.role_codes == frozenset()
    iq = Iq.from_api(only_required(Iq))
    assert (iq.online, iq.restore_required, iq.otp_enabled) == (False, False, True)
    assert iq.signal_strength is None
    lock = Lock.from_api(only_required(Lock))
    assert lock.locked_state is LockedState.NONE
    assert lock.lock_type is LockType.UNKNOWN
    assert lock.battery_level is BatteryLevel.UNKNOWN
    assert (lock.online, lock.iq_id, lock.name, lock.vendor_name) == (False, None, "", "")
    assert (lock.left_open_alarm, lock.intrusion_alarm, lock.privacy_mode) == (None, None, None)
    site = Site.from_api(only_required(Site))
    assert (site.pin_enabled, site.seats_used, site.subscription_valid) == (False, None, None)
    assert not IqActivation.from_api(only_required(IqActivation)).activated


WRONG: list[object] = [None, "", "0042-secret-0042", 7, 7.5, True, [], ["x"], {"id": SITE}]


@pytest.mark.parametrize("wrong", WRONG, ids=repr)
@pytest.mark.parametrize(
    ("model", "key"), REQUIRED, ids=lambda part: getattr(part, "__name__", part)
)
def test_wrong_id_names_the_field_and_not_the_value(model: Any, key: str, wrong: object) -> None:
    """An id of another form is refused with the name of its field only."""
    with pytest.raises(SaltoKsUnexpectedResponseError) as caught:
        model.from_api(PARSERS[model] | {key: wrong})
    assert str(caught.value) == f"field {key} is not an id"
    assert "0042-secret-0042" not in "".join(traceback.format_exception_only(caught.value))


@pytest.mark.parametrize("user", [None, "x", [], {}, {"id": None}, {"id": SITE[:-1]}], ids=repr)
def test_site_user_without_a_platform_id_is_refused(user: object) -> None:
    """Both ids of a site user are needed, since confusing them is a 404 at Salto."""
    with pytest.raises(SaltoKsUnexpectedResponseError, match=r"profile|field id"):
        SiteMember.from_api(MEMBER_OBJECT | {"user": user})


@pytest.mark.parametrize("wrong", [None, "", "text", 5, True, [], [SITE_OBJECT]], ids=repr)
@MODELS
def test_anything_but_an_object_is_refused(model: Any, wrong: object) -> None:
    """JSON of another kind is named and not quoted."""
    with pytest.raises(SaltoKsUnexpectedResponseError, match=r"^an? [\w ]+ is not an object$"):
        model.from_api(wrong)


@MODELS
def test_ids_are_folded(model: Any) -> None:
    """An id in upper case, or with blanks around it, is the same id (INF: servers differ)."""

    def louder(value: object) -> object:
        if isinstance(value, dict):
            return {key: louder(inner) for key, inner in value.items()}
        return f" {value.upper()} " if isinstance(value, str) and value.count("-") == 4 else value

    raw = PARSERS[model]
    assert model is Subscription or louder(raw) != raw
    assert model.from_api(louder(raw)) == model.from_api(raw)


@pytest.mark.parametrize("iq", [None, {}, {"id": None}, "IQ 01", []], ids=repr)
def test_lock_without_an_iq(iq: object) -> None:
    """A lock that hangs on nothing has no IQ."""
    assert Lock.from_api(LOCK_OBJECT | {"iq": iq}).iq_id is None


def test_lock_with_a_garbled_iq_is_refused() -> None:
    """An IQ that is there but has no id would make an openable door look unopenable."""
    with pytest.raises(SaltoKsUnexpectedResponseError, match="field id"):
        Lock.from_api(LOCK_OBJECT | {"iq": {"id": "IQ 01"}})


@pytest.mark.parametrize(
    ("features", "known"),
    [
        (["nfc", 5, None, "pods"], {"nfc", "pods"}),
        (None, set()),
        ("nfc", set()),
        ({"nfc": 1}, set()),
    ],
)
def test_features(features: object, known: set[str]) -> None:
    """Of the features only texts count, and no list is no feature."""
    assert Subscription.from_api({"features": features}).features == known


@pytest.mark.parametrize("roles", [None, "site_admin", {"code": "site_admin"}, [5, None, "x"]])
def test_odd_roles_give_no_right(roles: object) -> None:
    """Roles in another shape are none."""
    assert SiteMember.from_api(MEMBER_OBJECT | {"roles": roles}).role_codes == frozenset()


@pytest.mark.parametrize("raw", [SITE_OBJECT, MEMBER_OBJECT, LOCK_OBJECT])
def test_unknown_fields_are_left_aside(raw: Json) -> None:
    """A field of tomorrow changes nothing."""
    model = next(kind for kind, known in PARSERS.items() if known is raw)
    assert model.from_api(raw | {"x_preview": {"nested": [1, None]}}) == model.from_api(raw)


@MODELS
def test_snapshots_cannot_be_changed(model: Any) -> None:
    """A model is frozen and has no room for other attributes."""
    value = model.from_api(PARSERS[model])
    with pytest.raises(FrozenInstanceError):
        setattr(value, fields(value)[0].name, None)
    assert not hasattr(value, "__dict__")
    assert hash(value) == hash(model.from_api(PARSERS[model]))


def test_secret_is_kept_byte_for_byte() -> None:
    """It is opaque: neither case nor blanks are touched."""
    assert secret_from_api({"secret": " aB\t"}) == " aB\t"
    assert secret_from_api({"secret": 1234567890123456}) == "1234567890123456"


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**25), 10**25)
    | st.floats()
    | st.text(st.characters())
    | st.sampled_from(
        [SITE, IQ.upper(), "true", "2026-01-02T03:04:05Z", "0001-01-01T00:00:00+01:00"]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@MODELS
@given(data=st.data())
@settings(deadline=None, max_examples=80)
def test_any_json_parses_or_is_refused(model: Any, data: st.DataObject) -> None:
    """Whatever stands in the fields, the result is a model or our own error, never another."""
    known = PARSERS[model]
    raw: object = data.draw(
        JSON
        | st.fixed_dictionaries({}, optional=dict.fromkeys(known, JSON)).map(lambda d: known | d)
    )
    try:
        value = model.from_api(raw)
    except SaltoKsUnexpectedResponseError:
        return
    assert isinstance(value, model)
    repr(value).encode()


@given(raw=JSON | st.fixed_dictionaries({"secret": JSON}))
@settings(deadline=None, max_examples=80)
def test_any_json_is_a_secret_or_is_refused(raw: object) -> None:
    """An odd answer gives a text that can be signed with, or our own error."""
    try:
        secret = secret_from_api(raw)
    except SaltoKsUnexpectedResponseError:
        return
    assert secret.encode()
