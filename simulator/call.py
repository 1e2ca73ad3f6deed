"""One authenticated request with everything a handler asks of it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
import json
import re
from typing import Any, Literal

from aiohttp import web
from yarl import URL

from . import wire
from .engine import Engine
from .errors import (
    INVALID_REQUEST,
    NO_SUBSCRIPTION,
    SITE_NOT_RELEASED,
    UnauthorizedError,
    VendorError,
    forbidden,
    invalid_query,
    invalid_request,
    invalid_value,
    method_not_allowed,
    missing_field,
    not_found,
)
from .odata import Fields, ordered, parse_filter, parse_order
from .quirks import Quirks
from .world import MANAGERS, Account, Iq, IqId, Lock, LockId, Site, SiteId, SiteUser, World

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)

NOTE = "note"
"""Where a request keeps what writes it down before its answer is over, given the status."""

V3_CONVERSION_OFF = "CLP-disable-odata-v3-conversion"


@dataclass(frozen=True, slots=True)
class BodyField:
    """A field that a JSON body may have."""

    name: str
    kind: Literal["text", "flag", "ids"] = "text"
    required: bool = False
    nullable: bool = False


@dataclass(frozen=True, slots=True)
class Body:
    """A checked JSON body."""

    values: Mapping[str, Any] = field(repr=False)

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def text(self, name: str) -> str:
        """Return a text that is required."""
        value: str = self.values[name]
        return value

    def maybe_text(self, name: str) -> str | None:
        """Return a text, None if it is absent or null."""
        value: str | None = self.values.get(name)
        return value

    def ids(self, name: str) -> list[str]:
        """Return a list of ids, empty if it is absent."""
        value: list[str] = self.values.get(name) or []
        return value

    def instant(self, name: str) -> datetime | None:
        """Return an instant, None if it is absent or null. Raises 400/1101."""
        text = self.maybe_text(name)
        if text is None:
            return None
        return parse_instant(text, name)


def parse_instant(text: str, name: str) -> datetime:
    """Return an instant; one without a zone is UTC (INF). Raises 400/1101."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise invalid_value(f"The {name} field is no valid date and time.") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _id(value: str) -> str:
    if not is_uuid(value):
        raise invalid_request(f"The value '{value}' is not valid.")
    return value.lower()


def is_uuid(text: str) -> bool:
    """Tell whether a text has the form of an id."""
    return _UUID.fullmatch(text) is not None


@dataclass(slots=True, kw_only=True)
class Call:
    """A request on its way through a handler."""

    engine: Engine
    request: web.Request
    raw_body: bytes = field(repr=False)
    now: datetime
    options: Mapping[str, str] = field(default_factory=dict, repr=False)
    caller: Account | None = None

    @property
    def world(self) -> World:
        """The world, brought up to date when the request came in."""
        return self.engine.world

    @property
    def quirks(self) -> Quirks:
        """The quirks in force."""
        return self.engine.quirks

    @property
    def account(self) -> Account:
        """The caller. Raises RuntimeError on a public route."""
        if self.caller is None:
            raise RuntimeError("this route has no caller")
        return self.caller

    def holder(self, token: str) -> Account:
        """Return the account of a bearer token, or raise 401. Evidence: MEAS, INF for Connect."""
        known = self.world.tokens.get(token)
        if known is None:
            raise UnauthorizedError("The token is not known")
        if known.expires_at <= self.now:
            raise UnauthorizedError(f"The token expired at '{wire.instant(known.expires_at)}'")
        account = self.world.accounts.get(known.username)
        if account is None:
            raise UnauthorizedError("The account of the token is gone")
        return account

    # Path

    def path_id(self, name: str) -> str:
        """Return an id from the path. Raises 400/1100 if it is no UUID (MEAS for sites)."""
        return _id(self.request.match_info[name])

    def site(self) -> Site:
        """Return the site of the path, see `site_by_id`."""
        return self.site_by_id(self.request.match_info["site"])

    def site_by_id(self, site_id: str) -> Site:
        """Return a site, if the caller belongs to it.

        Unknown: 404/2202 (INF); known and not the caller's: a quirk. Raises 400/1100 for no UUID.
        """
        site = self.world.sites.get(SiteId(_id(site_id)))
        if site is None:
            raise not_found("Site")
        if self.membership(site) is None:
            if self.quirks.foreign_site_status == 403:
                raise forbidden()
            raise not_found("Site")
        return site

    def membership(self, site: Site) -> SiteUser | None:
        """Return the caller as a user of a site, None if it is not its site."""
        return self.world.user_by_platform_id(site.id, self.account.user_id)

    def me(self, site: Site) -> SiteUser:
        """Return the caller as a user of a site that `site` has let through."""
        member = self.membership(site)
        if member is None:
            raise not_found("Site")
        return member

    def iq(self, site: Site) -> Iq:
        """Return the IQ of the path. Raises 404/2202."""
        found = self.world.iqs.get(IqId(self.path_id("iq")))
        if found is None or found.site_id != site.id:
            raise not_found("Iq")
        return found

    def lock(self, site: Site) -> Lock:
        """Return the lock of the path. Raises 404/2202."""
        return self.lock_by_id(site, self.path_id("lock"))

    def lock_by_id(self, site: Site, lock_id: str) -> Lock:
        """Return a lock of a site. Raises 404/2202."""
        found = self.world.locks.get(LockId(lock_id.lower()))
        if found is None or found.site_id != site.id:
            raise not_found("Lock")
        return found

    # Rights

    def require_manager(self, site: Site) -> None:
        """Raise 403/2203 unless the caller administers the site. Evidence: INF."""
        me = self.me(site)
        if me.blocked or not self.world.role_codes(me) & MANAGERS:
            raise forbidden()

    def require_working(self, site: Site) -> None:
        """Raise what a site without subscription or release answers. Evidence: DOC, where INF."""
        if not site.subscription_valid:
            raise VendorError(403, NO_SUBSCRIPTION, "This feature needs a valid subscription.")
        if site.installation_state != "released":
            raise VendorError(400, SITE_NOT_RELEASED, "The site is not released.")

    def require_read(self, present: str, *other_methods: str) -> None:
        """Raise what an inferred read answers if it is absent: 405, or 404 if nothing is there."""
        if present == "present":
            return
        if other_methods:
            raise method_not_allowed(other_methods)
        raise not_found("Resource")

    # Body

    def body(self, *allowed: BodyField, optional: bool = False) -> Body:
        """Return the JSON body, checked.

        Wrong content type 415 (CODE); no JSON object or a missing field 400/1100; an unknown
        field or a wrong type 400/1101 (MEAS for unknown).
        """
        if optional and not self.raw_body:
            return Body({})
        if self.request.content_type != "application/json":
            raise VendorError(415, INVALID_REQUEST, "The content type is not supported.")
        values = self._json_object()
        known = {item.name: item for item in allowed}
        for name, value in values.items():
            if name not in known:
                raise invalid_value(f"The field '{name}' is not known.")
            _check_type(known[name], value)
        for item in allowed:
            if item.required and item.name not in values:
                raise missing_field(item.name)
        return Body(values)

    def _json_object(self) -> dict[str, Any]:
        try:
            values = json.loads(self.raw_body)
        except ValueError:
            raise invalid_request("The request body is no valid JSON.") from None
        if not isinstance(values, dict):
            raise invalid_request("The request body is no JSON object.")
        return values

    # Answers

    def json(self, data: Any, status: int = 200) -> web.Response:
        """Return JSON."""
        return web.json_response(data, status=status, dumps=compact)

    def empty(self, status: int = 204) -> web.Response:
        """Return an answer without a body."""
        return web.Response(status=status)

    def page[T](
        self, items: Iterable[T], fields: Fields[T], render: Callable[[T], Any]
    ) -> web.Response:
        """Return one page of a list after filter, order, `$skip` and `$top`.

        Evidence: MEAS and CODE for the envelope, INF for the default size, UNK for the maximum.
        """
        found = list(items)
        if "$filter" in self.options:
            predicate = parse_filter(self.options["$filter"], fields, odata_v3=self.odata_v3)
            found = [item for item in found if predicate(item)]
        if "$orderby" in self.options:
            found = ordered(found, parse_order(self.options["$orderby"], fields))
        top = self.top()
        skip = self._number("$skip", 0)
        counted = self._counted()
        shown = [render(item) for item in found[skip : skip + top]]
        if self.quirks.list_shape == "bare":
            return self.json(shown)
        more = skip + top < len(found)
        return self.json(
            {
                "items": shown,
                "next_page_link": self._next_link(skip + top) if more else None,
                "count": len(found) if counted else None,
            }
        )

    @property
    def odata_v3(self) -> bool:
        """Tell whether OData 3 literals are understood; a header turns that off (CODE)."""
        return self.request.headers.get(V3_CONVERSION_OFF, "").lower() != "true"

    def top(self) -> int:
        """Return the size of a page. Raises 400/1102."""
        top = self._number("$top", self.quirks.default_page_size, least=1)
        largest = self.quirks.max_page_size
        if top > largest and self.quirks.top_over_max == "refuse":
            raise invalid_query(f"The limit of {largest} for $top has been exceeded.")
        return min(top, largest)

    def _number(self, option: str, default: int, least: int = 0) -> int:
        text = self.options.get(option)
        if text is None:
            return default
        if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) < least:
            raise invalid_query(f"The value of {option} is not valid.")
        return int(text)

    def _counted(self) -> bool:
        choice = self.options.get("$inlinecount", "none")
        if choice not in {"allpages", "none"}:
            raise invalid_query("The value of $inlinecount is not valid.")
        return choice == "allpages"

    def _next_link(self, skip: int) -> str:
        host = self.request.host if self.quirks.next_link_host == "same" else "pages.example.com"
        scheme = "http"
        if self.quirks.next_link_scheme == "same":
            scheme = self.request.headers.get("X-Forwarded-Proto", self.request.scheme)
        query = {name: value for name, value in self.options.items() if name != "$skip"}
        address = URL(f"{scheme}://{host}").with_path(self.request.path)
        return str(address.with_query(query | {"$skip": str(skip)}))


def compact(data: Any) -> str:
    """Return JSON without blanks."""
    return json.dumps(data, separators=(",", ":"))


def _check_type(item: BodyField, value: object) -> None:
    if value is None and item.nullable:
        return
    good = {
        "text": isinstance(value, str),
        "flag": isinstance(value, bool),
        "ids": isinstance(value, list) and all(isinstance(part, str) for part in value),
    }[item.kind]
    if not good:
        raise invalid_value(f"The value of the field '{item.name}' is not valid.")
