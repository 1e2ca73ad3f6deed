"""Locks: reading and opening."""

from aiohttp import web

from simulator import wire
from simulator.call import Body, BodyField, Call
from simulator.codes import activation_for, refuse_blocked, spend
from simulator.doors import log, open_for_a_moment
from simulator.errors import (
    NOT_FOUND,
    VendorError,
    forbidden,
    invalid_value,
    iq_error,
)
from simulator.odata import Fields
from simulator.routing import RouteTable
from simulator.world import Iq, Lock, Site, SiteUser

routes = RouteTable()

LOCK_FIELDS: Fields[Lock] = {
    "id": lambda record: record.id,
    "customer_reference": lambda record: record.customer_reference,
    "mac": lambda record: record.mac,
    "locked_state": lambda record: record.locked_state,
    "lock_type": lambda record: record.lock_type,
    "online": lambda record: record.online,
    "iq_link_state": lambda record: record.iq_link_state,
    "battery_level": lambda record: record.battery_level,
}

COMMANDS = ("unlocked", "office_mode", "locked")

_ALL_DOORS = frozenset({"site_owner", "site_admin"})
_OWN_DOORS = frozenset({"site_user", "site_mobile_user"})
_OFFICE_MODE = frozenset({"site_owner", "site_admin", "site_remote_office_mode_user"})


@routes.list("/sites/{site}/locks")
async def list_locks(call: Call) -> web.Response:
    """Return a site's locks.

    Evidence: MEAS.
    """
    world = call.world
    return call.page(
        world.locks_of(call.site().id), LOCK_FIELDS, lambda lock: wire.lock(lock, world)
    )


@routes.add("GET", "/sites/{site}/locks/{lock}")
async def get_lock(call: Call) -> web.Response:
    """Return a lock.

    Evidence: MEAS.
    """
    return call.json(wire.lock(call.lock(call.site()), call.world))


@routes.add("GET", "/sites/{site}/locks/{lock}/settings")
async def get_lock_settings(call: Call) -> web.Response:
    """Return a lock's settings.

    Evidence: CODE (path), UNK (fields).
    """
    return call.json(wire.lock_settings(call.lock(call.site())))


@routes.add("PATCH", "/sites/{site}/locks/{lock}/locking")
async def set_locking(call: Call) -> web.Response:
    """Open a door for a moment, set it open, or end that.

    Checked in this order: form of ids and body, site and lock, subscription, rights, the IQ's need
    of restoring, presence of an OTP, IQ online, block, PIN ever set, OTP, lock online, privacy
    mode. A success is logged as `remote`.

    Evidence: MEAS and DOC (success, `otp_invalid`, `otp_blocked`, missing OTP as 404/2202), CODE
    (`pin_not_changed`, restore), UNK (offline, privacy mode), INF (order, log).
    """
    call.path_id("lock")
    body = call.body(BodyField("locked_state", required=True), BodyField("otp"))
    command = body.text("locked_state")
    if command not in COMMANDS:
        raise invalid_value("The value of the field 'locked_state' is not valid.")
    site = call.site()
    lock = call.lock(site)
    call.require_working(site)
    me = call.me(site)
    _require_right(call, me, lock, command)
    iq = _require_iq(call, lock)
    _require_otp(call, iq, body)
    if not lock.online:
        raise iq_error(call.quirks.offline_status, "lock_offline")
    if (
        lock.privacy_mode
        and not me.override_privacy_mode
        and call.quirks.remote_in_privacy == "refused"
    ):
        raise iq_error(403, "command_forbidden")
    _carry_out(call, lock, command, me)
    return _success(call, site, lock)


def _require_right(call: Call, me: SiteUser, lock: Lock, command: str) -> None:
    """Raise 403/2203 without the right to open remotely. Evidence: DOC (rights), INF (roles)."""
    codes = call.world.role_codes(me)
    if me.blocked or not me.remote_access:
        raise forbidden()
    if command != "unlocked" and not codes & _OFFICE_MODE:
        raise forbidden()
    if codes & _ALL_DOORS:
        return
    shared = any(
        lock.id in group.lock_ids and me.user_id in group.user_ids
        for group in call.world.groups_of(lock.site_id)
    )
    if not (codes & _OWN_DOORS and shared):
        raise forbidden()


def _require_iq(call: Call, lock: Lock) -> Iq:
    """Return the lock's IQ; 403 if it needs restoring (CODE), 3102 without one (INF)."""
    iq = call.world.iq_of(lock)
    if iq is None:
        raise iq_error(call.quirks.offline_status, "not_attached")
    if iq.restore_required:
        raise forbidden("The Iq must be restored first.")
    return iq


def _require_otp(call: Call, iq: Iq, body: Body) -> None:
    """Check the OTP, if the IQ wants one. Evidence: see `set_locking`."""
    if iq.otp_enabled and "otp" not in body:
        raise VendorError(404, NOT_FOUND, "Otp is invalid")
    if not iq.online:
        raise iq_error(call.quirks.offline_status, "iq_offline")
    if not iq.otp_enabled:
        return
    activation = activation_for(call.world, call.account.user_id, iq.id)
    refuse_blocked(activation, "locking", call.now)
    if not activation.activated:
        raise iq_error(call.quirks.pin_not_changed_status, "pin_not_changed")
    spend(call.world, activation, "locking", body.text("otp"), now=call.now, quirks=call.quirks)


def _carry_out(call: Call, lock: Lock, command: str, me: SiteUser) -> None:
    category, detail = "lock_opened", None
    if command == "unlocked":
        open_for_a_moment(lock, call.now)
    elif lock.locked_state == command:
        return
    else:
        was_office = lock.locked_state == "office_mode"
        lock.locked_state = command
        lock.relock_at = None
        if command == "locked" and not was_office:
            return
        category, detail = "office_mode", "end" if was_office else "start"
    log(
        call.world,
        call.engine.dice,
        lock,
        call.now,
        category=category,
        detail=detail,
        access_by="remote",
        user=me,
    )


def _success(call: Call, site: Site, lock: Lock) -> web.Response:
    match call.quirks.locking_success:
        case "200_json":
            return call.json({"id": lock.id, "site_id": site.id, "locked_state": lock.locked_state})
        case "204":
            return call.empty(204)
    return call.empty(200)
