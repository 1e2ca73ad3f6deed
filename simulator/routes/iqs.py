"""IQs: reading, activation with secret and PIN, restoring."""

import re

from aiohttp import web

from simulator import otp, wire
from simulator.call import BodyField, Call
from simulator.codes import activation_for, refuse_blocked, spend
from simulator.errors import forbidden, invalid_request, invalid_value, iq_error, not_found
from simulator.odata import Fields
from simulator.routing import RouteTable
from simulator.world import Delivery, Iq, SiteUserId

routes = RouteTable()

IQ_FIELDS: Fields[Iq] = {
    "id": lambda record: record.id,
    "customer_reference": lambda record: record.customer_reference,
    "mac": lambda record: record.mac,
    "online": lambda record: record.online,
    "state": lambda record: record.state,
    "otp_enabled": lambda record: record.otp_enabled,
}


@routes.list("/sites/{site}/iqs")
async def list_iqs(call: Call) -> web.Response:
    """Return a site's IQs.

    Evidence: MEAS.
    """
    return call.page(call.world.iqs_of(call.site().id), IQ_FIELDS, wire.iq)


@routes.add("GET", "/sites/{site}/iqs/{iq}")
async def get_iq(call: Call) -> web.Response:
    """Return an IQ.

    Evidence: MEAS.
    """
    return call.json(wire.iq(call.iq(call.site())))


@routes.add("GET", "/sites/{site}/iqs/{iq}/secret", options=frozenset({"otp"}))
async def get_secret(call: Call) -> web.Response:
    """Return the caller's secret on an IQ, freely only until the PIN has been set.

    The first read leaves an activation that is false. After activation it takes a good `otp` in
    the query, for a second device.

    Evidence: MEAS (first read, refusal), CODE (with `otp`), UNK (whether a re-read changes it).
    """
    iq = call.iq(call.site())
    activation = activation_for(call.world, call.account.user_id, iq.id)
    if not activation.activated:
        if activation.secret is None or call.quirks.secret_rereads == "changes":
            activation.secret = call.engine.dice.secret()
        return call.json({"secret": activation.secret})
    if "otp" not in call.options:
        raise forbidden("Cannot get first secret for an already activated Iq.")
    refuse_blocked(activation, "secret", call.now)
    spend(
        call.world,
        activation,
        "secret",
        call.options["otp"],
        now=call.now,
        quirks=call.quirks,
        wrong_status=403,
    )
    return call.json({"secret": activation.secret})


@routes.add("GET", "/sites/{site}/iqs/{iq}/pin", options=frozenset({"send_email"}))
async def send_pin(call: Call) -> web.Response:
    """Send the caller a four-digit PIN by text message or e-mail; it is never in the answer.

    After activation `command_forbidden`; with the IQ offline the PIN cannot be sent.

    Evidence: MEAS (204, e-mail, refusal), CODE and DOC (text message), DOC (must be online), UNK
    (status when offline, whether a second request sends the same PIN).
    """
    iq = call.iq(call.site())
    choice = call.options.get("send_email", "false").lower()
    if choice not in {"true", "false"}:
        raise invalid_request(f"The value '{choice}' is not valid.")
    activation = activation_for(call.world, call.account.user_id, iq.id)
    if activation.activated:
        raise iq_error(403, "command_forbidden")
    _require_online(call, iq)
    if activation.pin is None or call.quirks.pin_resend == "new":
        activation.pin = call.engine.dice.digits(4)
    call.world.deliver_pin(
        Delivery(
            iq_id=iq.id,
            user=call.account.username,
            channel="email" if choice == "true" else "sms",
            pin=activation.pin,
        )
    )
    return call.empty()


@routes.add("PUT", "/sites/{site}/iqs/{iq}/pin")
async def set_pin(call: Call) -> web.Response:
    """Set the caller's PIN by a difference, with an OTP made from the PIN so far.

    The first success activates. `delta` `"0000"` keeps the PIN, and so tests secret, PIN and clock
    without moving a door.

    Evidence: MEAS (204, errors, `"0000"`), CODE and UNK (arithmetic of other deltas).
    """
    body = call.body(BodyField("otp", required=True), BodyField("delta", required=True))
    iq = call.iq(call.site())
    if not re.fullmatch(r"[0-9]{4}", body.text("delta")):
        raise invalid_value("The delta field must have four digits.")
    activation = activation_for(call.world, call.account.user_id, iq.id)
    _require_online(call, iq)
    refuse_blocked(activation, "pin", call.now)
    code = body.text("otp")
    pin = spend(call.world, activation, "pin", code, now=call.now, quirks=call.quirks)
    activation.pin = otp.changed_pin(pin, body.text("delta"), call.quirks.delta_rule)
    if not activation.activated:
        activation.activated = True
        activation.activation_date = call.now
    return call.empty()


@routes.add("DELETE", "/sites/{site}/iqs/{iq}/pin/{user}")
async def reset_pin(call: Call) -> web.Response:
    """Reset a site user's PIN on an IQ, with the caller's own OTP; the user must activate again.

    Evidence: MEAS (`otp` required), DOC (what it does), INF (which id, 204, `otp` in the body).
    """
    site = call.site()
    iq = call.iq(site)
    body = call.body(BodyField("otp"), optional=True)
    if "otp" not in body:
        raise invalid_request("The otp field is required.")
    call.require_manager(site)
    user = call.world.users.get(SiteUserId(call.path_id("user")))
    if user is None or user.site_id != site.id:
        raise not_found("User")
    _require_online(call, iq)
    own = activation_for(call.world, call.account.user_id, iq.id)
    refuse_blocked(own, "pin_delete", call.now)
    spend(call.world, own, "pin_delete", body.text("otp"), now=call.now, quirks=call.quirks)
    reset = call.world.activation(user.user_id, iq.id)
    if reset is not None:
        call.world.discard(reset)
    return call.empty()


@routes.add("POST", "/sites/{site}/iqs/{iq}/restore")
async def restore(call: Call) -> web.Response:
    """Restore an IQ after a hardware reset; until then it refuses to open.

    Evidence: CODE (path), INF (204, no body).
    """
    site = call.site()
    iq = call.iq(site)
    call.body(optional=True)
    call.require_manager(site)
    _require_online(call, iq)
    iq.restore_required = False
    return call.empty()


def _require_online(call: Call, iq: Iq) -> None:
    """Raise 3102 for an IQ that is offline. Evidence: DOC (fails), UNK (status, reason)."""
    if not iq.online:
        raise iq_error(call.quirks.offline_status, "iq_offline")
