"""Site users and guests, their seats and their keypad PINs."""

from datetime import timedelta
import re
from typing import Any

from aiohttp import web

from simulator import wire
from simulator.call import Body, BodyField, Call
from simulator.errors import (
    NO_SUBSCRIPTION,
    VendorError,
    forbidden,
    invalid_value,
    not_found,
)
from simulator.odata import Fields
from simulator.routing import RouteTable
from simulator.world import (
    Iq,
    Person,
    PlatformUserId,
    RoleId,
    Site,
    SiteUser,
    SiteUserId,
    World,
)

routes = RouteTable()

IQ_FIELDS: Fields[Iq] = {
    "id": lambda record: record.id,
    "customer_reference": lambda record: record.customer_reference,
    "otp_enabled": lambda record: record.otp_enabled,
}
KEY_FIELDS: Fields[SiteUser] = {
    "type": lambda _: "pin",
    "key_identifier": lambda _: "pin",
    "expiry_date": lambda record: record.pin_expiry_date,
}

_PROFILE = (
    BodyField("alias"),
    BodyField("toggle_easy_office_mode", "flag"),
    BodyField("toggle_manual_office_mode", "flag"),
    BodyField("blocked", "flag"),
    BodyField("override_privacy_mode", "flag"),
    BodyField("use_pin", "flag"),
)
_PATCHABLE = frozenset({item.name for item in _PROFILE} | {"remote_access"})


def _user_fields(world: World) -> Fields[SiteUser]:
    """Return what users can be filtered and sorted by. Evidence: CODE (`user/email`), INF."""

    def person(record: SiteUser) -> Person:
        return world.people[record.user_id]

    return {
        "id": lambda record: record.id,
        "alias": lambda record: record.alias,
        "blocked": lambda record: record.blocked,
        "use_pin": lambda record: record.use_pin,
        "remote_access": lambda record: record.remote_access,
        "subscription_state": lambda record: record.subscription_state,
        "expires_at": lambda record: record.expires_at,
        "user/id": lambda record: record.user_id,
        "user/email": lambda record: person(record).email,
        "user/first_name": lambda record: person(record).first_name,
        "user/last_name": lambda record: person(record).last_name,
    }


@routes.list("/sites/{site}/users")
async def list_users(call: Call) -> web.Response:
    """Return a site's users and guests; a new one is missing for a while.

    Evidence: MEAS (shape), INF (lag).
    """
    site = call.site()
    call.require_manager(site)
    seen_since = call.now - timedelta(seconds=call.quirks.listing_lag_s)
    world = call.world
    found = [user for user in world.users_of(site.id) if user.created_at <= seen_since]
    return call.page(found, _user_fields(world), lambda user: _shown(call, user))


@routes.add("GET", "/sites/{site}/users/{user}")
async def get_user(call: Call) -> web.Response:
    """Return a site user by its site-user id; `roles` are empty on a new one.

    Evidence: MEAS.
    """
    return call.json(_shown(call, _user(call)[1]))


@routes.add("POST", "/sites/{site}/users")
async def create_user(call: Call) -> web.Response:
    """Create a site user; with `email` that person is invited.

    Without a free seat the answer is the same and the user is suspended.

    Evidence: CODE and DOC (fields, empty `email` refused), MEAS (seats, for guests), INF (201).
    """
    body = call.body(
        BodyField("first_name", required=True),
        BodyField("last_name", required=True),
        BodyField("email"),
        BodyField("role_ids", "ids", required=True),
        BodyField("tag_id"),
        *_PROFILE,
    )
    site = call.site()
    call.require_manager(site)
    call.require_working(site)
    roles = _roles(call, site, body)
    person = _person(call, body)
    if call.world.user_by_platform_id(site.id, person.id) is not None:
        raise invalid_value("The user is already on this site.")
    user = _join(call, site, person, roles, {name: body.values[name] for name in _own(body)})
    return call.json(_shown(call, user), status=201)


@routes.add("POST", "/sites/{site}/guests")
async def create_guest(call: Call) -> web.Response:
    """Create a guest: role `site_guest`, no mail, no PIN yet.

    At the limit of seats it is still 201, and the guest is suspended. `expires_at` ends the
    guest's access and does not free the seat.

    Evidence: MEAS.
    """
    body = call.body(
        BodyField("alias", required=True), BodyField("expires_at", required=True, nullable=True)
    )
    site = call.site()
    call.require_manager(site)
    call.require_working(site)
    if not body.text("alias").strip():
        raise invalid_value("The alias field must not be empty.")
    expires_at = body.instant("expires_at")
    if expires_at is not None and expires_at <= call.now:
        raise invalid_value("The expires_at field must be in the future.")
    person = call.world.insert(Person(id=PlatformUserId(call.engine.dice.uuid())))
    role = call.world.role(site.id, "site_guest").id
    values = {"alias": body.text("alias"), "expires_at": expires_at}
    user = _join(call, site, person, (role,), values)
    return call.json(_shown(call, user), status=201)


@routes.add("PATCH", "/sites/{site}/users/{user}")
async def change_user(call: Call) -> web.Response:
    """Change a site user.

    Evidence: MEAS (`use_pin`, 200), INF (other fields), UNK (`expires_at`, a quirk).
    """
    body = call.body(
        *_PROFILE,
        BodyField("remote_access", "flag"),
        BodyField("expires_at", nullable=True),
    )
    site, user = _user(call)
    call.require_working(site)
    if "expires_at" in body:
        expires_at = body.instant("expires_at")
        if call.quirks.patch_expires_at == "refused":
            raise invalid_value("The expires_at field cannot be changed.")
        if call.quirks.patch_expires_at == "accepted":
            user.expires_at = expires_at
    for name in sorted(_PATCHABLE & set(body.values)):
        setattr(user, name, body.values[name])
    return call.json(_shown(call, user))


@routes.add("DELETE", "/sites/{site}/users/{user}")
async def delete_user(call: Call) -> web.Response:
    """Delete a site user: the seat is free at once, reading it says 404 a little later.

    Evidence: MEAS.
    """
    _, user = _user(call)
    if user.deleted_at is None:
        call.world.leave_groups(user)
        user.deleted_at = call.now
    return call.empty(202)


@routes.add("PATCH", "/sites/{site}/users/{user}/subscription")
async def set_subscription(call: Call) -> web.Response:
    """Give a user a seat or take it.

    Evidence: CODE (204), MEAS (field `state`), UNK (no seat free, a quirk).
    """
    body = call.body(BodyField("state", required=True))
    site, user = _user(call)
    match body.text("state"):
        case "suspended":
            user.subscription_state = "suspended"
        case "subscribed":
            call.require_working(site)
            _subscribe(call, site, user)
        case _:
            raise invalid_value("The value of the field 'state' is not valid.")
    return call.empty()


@routes.list("/sites/{site}/users/{user}/activated_iqs")
async def list_users_iqs(call: Call) -> web.Response:
    """Return the IQs that a site user has activated.

    Evidence: MEAS.
    """
    site, user = _user(call)
    found = [
        iq
        for iq in call.world.iqs_of(site.id)
        if (known := call.world.activation(user.user_id, iq.id)) is not None and known.activated
    ]
    return call.page(found, IQ_FIELDS, wire.users_iq)


@routes.list("/sites/{site}/users/{user}/keys")
async def list_keys(call: Call) -> web.Response:
    """Return a user's keys: the PIN as a fact, never its digits.

    Evidence: MEAS.
    """
    call.require_read(call.quirks.keys_read)
    _, user = _user(call)
    return call.page([user] if user.pin is not None else [], KEY_FIELDS, wire.key)


@routes.add("PUT", "/sites/{site}/users/{user}/pin")
async def set_pin(call: Call) -> web.Response:
    """Make a new keypad PIN and return it, this once, as a JSON string; an old one is replaced.

    A suspended user gets one too. A new user gets 403/2203 for a while.

    Evidence: MEAS; whether a door heeds `expiry_date` UNK, without site PINs INF.
    """
    body = call.body(BodyField("expiry_date", nullable=True))
    site, user = _user_for_pin(call)
    pins = set(call.world.pins_in_use(site.id))
    pin = call.engine.dice.digits(call.quirks.pin_digits)
    while pin in pins:
        pin = call.engine.dice.digits(call.quirks.pin_digits)
    user.pin_expiry_date = body.instant("expiry_date")
    user.pin = pin
    return call.json(pin)


@routes.add("PUT", "/sites/{site}/users/{user}/pin/custom")
async def set_custom_pin(call: Call) -> web.Response:
    """Set a keypad PIN of the caller's choice, 4 to 6 digits, with the feature `custom_pin`.

    Evidence: DOC (feature, length), UNK (field name, answer, a PIN that is taken).
    """
    name = call.quirks.custom_pin_field
    body = call.body(BodyField(name, required=True))
    site, user = _user_for_pin(call)
    if "custom_pin" not in site.features:
        raise VendorError(403, NO_SUBSCRIPTION, "This feature needs a valid subscription.")
    pin = body.text(name)
    if not re.fullmatch(r"[0-9]{4,6}", pin):
        raise invalid_value("The pin must have 4 to 6 digits.")
    if pin != user.pin and pin in set(call.world.pins_in_use(site.id)):
        raise invalid_value("The pin cannot be used.")
    user.pin = pin
    return call.json(pin)


def _young(call: Call, user: SiteUser, lag_s: float) -> bool:
    return call.now < user.created_at + timedelta(seconds=lag_s)


def _shown(call: Call, user: SiteUser) -> Any:
    settled = not _young(call, user, call.quirks.creation_lag_s)
    return wire.user(user, call.world, settled=settled)


def _user(call: Call) -> tuple[Site, SiteUser]:
    """Return site and user of the path, for an administrator. Raises 404/2202."""
    site = call.site()
    call.require_manager(site)
    user = call.world.users.get(SiteUserId(call.path_id("user")))
    if user is None or user.site_id != site.id or _young(call, user, call.quirks.detail_lag_s):
        raise not_found("User")
    return site, user


def _user_for_pin(call: Call) -> tuple[Site, SiteUser]:
    """Return site and user if the user can get a PIN now. Evidence: MEAS (2203 on a new one)."""
    site, user = _user(call)
    call.require_working(site)
    if user.deleted_at is not None:
        raise not_found("User")
    if _young(call, user, call.quirks.creation_lag_s):
        raise forbidden("User does not have permission for this operation on this user")
    if not site.pin_enabled:
        raise forbidden("Pin is not enabled on this site")
    return site, user


def _own(body: Body) -> list[str]:
    """Return the fields of a body that are fields of the site user, and not of the person."""
    return [name for name in body.values if name in _PATCHABLE | {"tag_id"}]


def _roles(call: Call, site: Site, body: Body) -> tuple[RoleId, ...]:
    """Return the roles of a new user, at least one of them hierarchical. Evidence: DOC, INF."""
    known = {role.id: role for role in call.world.roles_of(site.id)}
    roles = tuple(RoleId(item) for item in body.ids("role_ids"))
    if not set(roles) <= set(known):
        raise not_found("Role")
    if not any(known[item].is_hierarchical for item in roles):
        raise invalid_value("At least one hierarchical role is needed.")
    return roles


def _person(call: Call, body: Body) -> Person:
    """Return the person of a new user: the one with that e-mail address, or a new one."""
    email = body.maybe_text("email")
    if email is not None:
        if not re.fullmatch(r"[^@\s]+@[^@\s]+", email):
            raise invalid_value(f"Email '{email}' is not valid")
        for person in call.world.people.values():
            if person.email == email:
                return person
    return call.world.insert(
        Person(
            id=PlatformUserId(call.engine.dice.uuid()),
            first_name=body.text("first_name"),
            last_name=body.text("last_name"),
            email=email,
            has_profile=email is not None,
        )
    )


def _join(
    call: Call, site: Site, person: Person, roles: tuple[RoleId, ...], values: dict[str, Any]
) -> SiteUser:
    """Make a person a user of a site, with a seat if one is free."""
    free = call.world.seat_free(site)
    return call.world.insert(
        SiteUser(
            id=SiteUserId(call.engine.dice.uuid()),
            site_id=site.id,
            user_id=person.id,
            role_ids=roles,
            subscription_state="subscribed" if free else "suspended",
            created_at=call.now,
            **values,
        )
    )


def _subscribe(call: Call, site: Site, user: SiteUser) -> None:
    """Give a seat, if there is one. Evidence: INF."""
    if user.subscription_state == "subscribed" or user.deleted_at is not None:
        return
    if call.world.seat_free(site):
        user.subscription_state = "subscribed"
    elif call.quirks.subscribe_at_limit == "refused":
        raise forbidden("The subscription has no free seat")
