"""The door log. The vendor calls its lines entries."""

from datetime import timedelta
import json
from typing import Any

from aiohttp import web

from simulator import wire
from simulator.call import Call
from simulator.errors import invalid_request, method_not_allowed
from simulator.odata import Fields, ordered, parse_filter, parse_order
from simulator.routing import V1_1, V1_2, RouteTable
from simulator.world import Entry, events_ttl

routes = RouteTable()

OPTIONS = frozenset({"$filter", "$orderby", "$top"})
CONTINUATION = "CLP-Continuation-Token"

ENTRY_FIELDS: Fields[Entry] = {
    "id": lambda record: record.id,
    "utc_date_time": lambda record: record.utc_date_time,
    "event_category": lambda record: record.event_category,
    "event_detail": lambda record: record.event_detail,
    "lock_id": lambda record: record.lock_id,
    "user_id": lambda record: record.user_id,
    "access_by": lambda record: record.access_by,
}


@routes.add("GET", "/sites/{site}/entries", versions=V1_1, options=OPTIONS)
async def list_entries(call: Call) -> web.Response:
    """Return a page of the door log, newest first unless `$orderby` says other.

    There is no `$skip`: the body carries a `continuation_token`, a JSON document as a text, which
    goes back in a request header. A page may be empty and still carry one. Lines are kept for the
    days that the site says.

    Evidence: MEAS (fields, `$filter`, `$orderby`, 1102), DOC (continuation), INF (default order).
    """
    site = call.site()
    call.require_manager(site)
    oldest = call.now - events_ttl(site)
    told = call.now - timedelta(seconds=call.quirks.entries_lag_s)
    found = [
        entry
        for entry in call.world.entries
        if entry.site_id == site.id
        and entry.utc_date_time >= oldest
        and not told < entry.utc_date_time <= call.now
    ]
    if "$filter" in call.options:
        wanted = parse_filter(call.options["$filter"], ENTRY_FIELDS, odata_v3=call.odata_v3)
        found = [entry for entry in found if wanted(entry)]
    found = ordered(
        found, parse_order(call.options.get("$orderby", "utc_date_time desc"), ENTRY_FIELDS)
    )
    return _page(call, found)


@routes.add("GET", "/sites/{site}/entries", versions=V1_2)
async def refuse_entries(_call: Call) -> web.Response:
    """Refuse: the door log is not in this version.

    Evidence: MEAS.
    """
    raise method_not_allowed(())


def _page(call: Call, found: list[Entry]) -> web.Response:
    """Return the page at the continuation token of the request."""
    world = call.world
    place, pause = _position(call)
    size = call.top()
    empty = call.quirks.entries_empty_pages == "on" and pause
    shown = [] if empty else found[place : place + size]
    after = place + len(shown)
    body: dict[str, Any] = {
        "items": [wire.entry(entry, world, world.zone_of(entry)) for entry in shown]
    }
    if after < len(found):
        body["continuation_token"] = json.dumps({"offset": after, "pause": not empty})
    elif call.quirks.entries_last_token == "null":
        body["continuation_token"] = None
    return call.json(body)


def _position(call: Call) -> tuple[int, bool]:
    """Return where the page begins, and whether an empty one may come first."""
    text = call.request.headers.get(CONTINUATION)
    if text is None:
        return 0, False
    try:
        token = json.loads(text)
        offset, pause = token["offset"], token["pause"]
    except ValueError, KeyError, TypeError:
        raise invalid_request("The continuation token is not valid.") from None
    if not isinstance(offset, int) or offset < 0 or not isinstance(pause, bool):
        raise invalid_request("The continuation token is not valid.")
    return offset, pause
