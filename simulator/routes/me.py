"""The caller."""

from aiohttp import web

from simulator import wire
from simulator.call import Call
from simulator.odata import Fields
from simulator.routing import RouteTable
from simulator.world import Activation

routes = RouteTable()

ACTIVATION_FIELDS: Fields[Activation] = {
    "iq_id": lambda record: record.iq_id,
    "activated": lambda record: record.activated,
    "activation_date": lambda record: record.activation_date,
}


@routes.add("GET", "/me")
async def get_profile(call: Call) -> web.Response:
    """Return the caller's platform profile.

    Evidence: MEAS.
    """
    return call.json(wire.profile(call.world.people[call.account.user_id]))


@routes.list("/me/{site}/activated_iqs")
async def list_own_activations(call: Call) -> web.Response:
    """Return on which IQs the caller is activated; a first read of the secret is in it as false.

    Evidence: MEAS.
    """
    site = call.site()
    found = [
        activation
        for activation in call.world.activations.values()
        if activation.user_id == call.account.user_id
        and activation.iq_id in {iq.id for iq in call.world.iqs_of(site.id)}
        and activation.secret is not None
    ]
    return call.page(found, ACTIVATION_FIELDS, wire.own_activation)
