"""The handlers, one module for each subject of the vendor's API."""

from simulator.routing import Route

from . import access_groups, entries, hub, identity, iqs, locks, me, sites, users

ALL_ROUTES: tuple[Route, ...] = tuple(
    route
    for module in (identity, me, sites, iqs, locks, users, access_groups, entries, hub)
    for route in module.routes.routes
)

TEMPLATES: frozenset[str] = frozenset(
    template for route in ALL_ROUTES for template in route.templates
)
