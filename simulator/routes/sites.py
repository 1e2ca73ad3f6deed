"""Sites and what belongs to a site as a whole."""

from aiohttp import web

from simulator import wire
from simulator.call import Call
from simulator.odata import Fields
from simulator.routing import RouteTable
from simulator.world import Role, Site

routes = RouteTable()

SITE_FIELDS: Fields[Site] = {
    "id": lambda record: record.id,
    "site_uid": lambda record: record.site_uid,
    "customer_reference": lambda record: record.customer_reference,
    "country_code": lambda record: record.country_code,
    "time_zone": lambda record: record.time_zone,
}

ROLE_FIELDS: Fields[Role] = {
    "id": lambda record: record.id,
    "customer_reference": lambda record: record.customer_reference,
    "code": lambda record: record.code,
    "is_hierarchical": lambda record: record.is_hierarchical,
}


@routes.list("/sites")
async def list_sites(call: Call) -> web.Response:
    """Return the sites that the caller belongs to.

    Evidence: MEAS; the filter on `site_uid` CODE.
    """
    visible = [site for site in call.world.sites.values() if call.membership(site) is not None]
    return call.page(visible, SITE_FIELDS, lambda site: wire.site(site, call.world))


@routes.add("GET", "/sites/{site}")
async def get_site(call: Call) -> web.Response:
    """Return a site by its UUID; its readable code in the path is 400/1100.

    Evidence: MEAS.
    """
    return call.json(wire.site(call.site(), call.world))


@routes.add("GET", "/sites/{site}/subscription")
async def get_subscription(call: Call) -> web.Response:
    """Return seats, type and features of a site's subscription.

    Evidence: MEAS.
    """
    return call.json(wire.subscription(call.site()))


@routes.add("GET", "/sites/{site}/me")
async def get_own_user(call: Call) -> web.Response:
    """Return the caller as a user of the site.

    Evidence: MEAS.
    """
    return call.json(wire.own_user(call.me(call.site()), call.world))


@routes.list("/sites/{site}/roles")
async def list_roles(call: Call) -> web.Response:
    """Return the roles that a user can be given.

    Evidence: MEAS.
    """
    return call.page(call.world.roles_of(call.site().id), ROLE_FIELDS, wire.role)
