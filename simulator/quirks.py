"""Everything the sources disagree about or nobody measured, as data.

One frozen dataclass holds a value for each contested behaviour of the vendor's API. The metadata
of a field says which values it takes, what is known about it and how well:
DOC documented by the vendor, MEAS measured, CODE seen in working code, INF inferred, UNK unknown.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import Field, dataclass, field, fields, replace
from itertools import combinations
from typing import Any, Literal, Self

type Value = str | int | float


def _choice[T](default: T, *others: T, evidence: str, about: str) -> T:
    """Declare a quirk with a short list of values, the default first."""
    declared: T = field(
        default=default,
        metadata={"values": (default, *others), "evidence": evidence, "about": about},
    )
    return declared


def _number[T: (int, float)](default: T, *, minimum: T, evidence: str, about: str) -> T:
    """Declare a quirk that is any number from a minimum up."""
    declared: T = field(
        default=default,
        metadata={"values": (), "minimum": minimum, "evidence": evidence, "about": about},
    )
    return declared


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirks:
    """One version of how the vendor's service might behave. The defaults are the likeliest."""

    list_shape: Literal["envelope", "bare"] = _choice(
        "envelope",
        "bare",
        evidence="MEAS",
        about="Lists as an envelope with `items`, or as a bare array without paging data.",
    )
    error_code: Literal["string", "number"] = _choice(
        "string",
        "number",
        evidence="MEAS",
        about="`ErrorCode` as a string (both captures) or as a number (a client compares so).",
    )
    locking_success: Literal["200_empty", "200_json", "204"] = _choice(
        "200_empty",
        "200_json",
        "204",
        evidence="MEAS (200), CODE (204), body UNK",
        about="Answer to a successful `locking`.",
    )
    block_threshold: Literal[3, 8] = _choice(
        3,
        8,
        evidence="MEAS",
        about="Wrong OTPs for one command after which the next answer is `otp_blocked`.",
    )
    block_seconds: float = _number(
        1200.0, minimum=0.0, evidence="DOC", about="How long `otp_blocked` lasts."
    )
    delta_rule: Literal["whole_add", "digit_sub", "digit_add"] = _choice(
        "whole_add",
        "digit_sub",
        "digit_add",
        evidence="CODE (whole_add), MEAS (digit_sub, doubtful), UNK",
        about="Arithmetic of a non-zero `delta`; `0000` keeps the PIN under each.",
    )
    otp_window_s: int = _number(
        180, minimum=0, evidence="DOC", about="Seconds an OTP may lie before or after now."
    )
    otp_reuse: Literal["allowed", "forbidden"] = _choice(
        "allowed",
        "forbidden",
        evidence="DOC (two pages disagree)",
        about="Whether one OTP may serve twice within its window.",
    )
    pin_not_changed_status: Literal[403, 400] = _choice(
        403, 400, evidence="UNK", about="Status of `pin_not_changed`."
    )
    offline_status: Literal[408, 404, 400, 403, 500] = _choice(
        408,
        404,
        400,
        403,
        500,
        evidence="UNK (the vendor's table allows each)",
        about="Status of a command whose IQ or lock is offline.",
    )
    secret_rereads: Literal["stable", "changes"] = _choice(
        "stable",
        "changes",
        evidence="UNK",
        about="Whether a second read of the secret before activation gives the same one.",
    )
    pin_resend: Literal["new", "same"] = _choice(
        "new",
        "same",
        evidence="UNK",
        about="Whether asking again for the IQ PIN delivers a new one.",
    )
    token_format: Literal["jwt", "opaque"] = _choice(
        "jwt", "opaque", evidence="MEAS (jwt), INF", about="What an access token looks like."
    )
    token_lifetime_s: int = _number(
        3600, minimum=1, evidence="MEAS", about="`expires_in` of an access token."
    )
    invalid_client_status: Literal[400, 401] = _choice(
        400, 401, evidence="UNK", about="Status of `invalid_client` at the token endpoint."
    )
    foreign_site_status: Literal[404, 403] = _choice(
        404,
        403,
        evidence="UNK",
        about="Answer for a site that exists and that the account does not see.",
    )
    default_page_size: int = _number(
        20, minimum=1, evidence="INF", about="Items on a page without `$top`."
    )
    max_page_size: int = _number(
        100, minimum=1, evidence="UNK (100 works, MEAS)", about="Most items on a page."
    )
    top_over_max: Literal["clamp", "refuse"] = _choice(
        "clamp", "refuse", evidence="UNK", about="What a `$top` above the maximum does."
    )
    undollared_options: Literal["refused", "accepted", "ignored"] = _choice(
        "refused",
        "accepted",
        "ignored",
        evidence="UNK (one client sends them)",
        about="What `skip`, `top`, `orderby` without the dollar sign do.",
    )
    next_link_scheme: Literal["same", "http"] = _choice(
        "same",
        "http",
        evidence="DOC",
        about="Scheme of `next_page_link`: that of the request, or always http.",
    )
    next_link_host: Literal["same", "other"] = _choice(
        "same",
        "other",
        evidence="INF",
        about="Host of `next_page_link`: that of the request, or another one.",
    )
    dated_time_honoured: Literal["yes", "date_only", "ignored"] = _choice(
        "yes",
        "date_only",
        "ignored",
        evidence="DOC, UNK",
        about="Whether a schedule's dates count to the time of day, to the day, or not at all.",
    )
    end_date_seconds: Literal["kept", "fifty_nine"] = _choice(
        "kept",
        "fifty_nine",
        evidence="UNK (MEAS for `end_time`)",
        about="Whether `end_date` comes back (and counts) with `:59` seconds, as `end_time` does.",
    )
    groups_read: Literal["present", "absent"] = _choice(
        "present", "absent", evidence="INF", about="`GET` of access groups, list and detail."
    )
    group_locks_read: Literal["present", "absent"] = _choice(
        "present", "absent", evidence="INF", about="`GET` of an access group's locks."
    )
    group_users_read: Literal["present", "absent"] = _choice(
        "present", "absent", evidence="INF", about="`GET` of an access group's users."
    )
    group_schedules_read: Literal["present", "absent"] = _choice(
        "present", "absent", evidence="INF", about="`GET` of an access group's time schedules."
    )
    keys_read: Literal["present", "absent"] = _choice(
        "present", "absent", evidence="MEAS", about="`GET` of a user's keys."
    )
    group_write_status: Literal[204, 200] = _choice(
        204, 200, evidence="MEAS", about="Status of adding to and removing from an access group."
    )
    patch_expires_at: Literal["accepted", "ignored", "refused"] = _choice(
        "accepted",
        "ignored",
        "refused",
        evidence="UNK",
        about="What `PATCH` of a user does with `expires_at`.",
    )
    subscribe_at_limit: Literal["silent", "refused"] = _choice(
        "silent",
        "refused",
        evidence="UNK",
        about="Subscribing without a free seat: 204 and still suspended, or 403.",
    )
    custom_pin_field: Literal["pin", "pin_code"] = _choice(
        "pin", "pin_code", evidence="UNK", about="Name of the field in `PUT …/pin/custom`."
    )
    pin_digits: Literal[6, 7] = _choice(
        6, 7, evidence="MEAS (6), DOC (sometimes 7)", about="Length of a keypad PIN."
    )
    pin_expiry: Literal["not_enforced", "enforced"] = _choice(
        "not_enforced",
        "enforced",
        evidence="UNK",
        about="Whether a door heeds the `expiry_date` given with a PIN.",
    )
    lock_offline_pin: Literal["rejected", "kept"] = _choice(
        "rejected",
        "kept",
        evidence="DOC (rejected), INF",
        about="PINs at a lock that has lost its IQ: refused, or as last known.",
    )
    remote_in_privacy: Literal["refused", "opens"] = _choice(
        "refused", "opens", evidence="UNK", about="Remote opening of a lock in privacy mode."
    )
    entries_last_token: Literal["null", "missing"] = _choice(
        "null",
        "missing",
        evidence="DOC (absent)",
        about="How the last page of entries says that nothing follows.",
    )
    entries_empty_pages: Literal["off", "on"] = _choice(
        "off",
        "on",
        evidence="DOC",
        about="Whether empty pages with a continuation token come in between.",
    )
    entries_lag_s: float = _number(
        0.0,
        minimum=0.0,
        evidence="UNK",
        about="How long a new line is missing from `entries`, not from the hub.",
    )
    hub_negotiation: Literal["optional", "required"] = _choice(
        "optional",
        "required",
        evidence="UNK",
        about="Whether a connection to the hub needs a ticket from `negotiate`.",
    )
    hub_argument: Literal["text", "object"] = _choice(
        "text",
        "object",
        evidence="CODE (text, one client)",
        about="Whether the hub sends an entry as a text that holds JSON, or as an object.",
    )
    hub_delivery: Literal["once", "twice"] = _choice(
        "once",
        "twice",
        evidence="UNK",
        about="How often the hub sends a line.",
    )
    creation_lag_s: float = _number(
        60.0,
        minimum=0.0,
        evidence="MEAS (up to about a minute)",
        about="How long a new user gets no PIN, joins no group and shows no roles.",
    )
    listing_lag_s: float = _number(
        60.0,
        minimum=0.0,
        evidence="INF",
        about="How long new users and access groups are missing from lists.",
    )
    detail_lag_s: float = _number(
        0.0, minimum=0.0, evidence="UNK", about="How long `/users/{user}` of a new user says 404."
    )
    delete_lag_s: float = _number(
        10.0, minimum=0.0, evidence="MEAS", about="How long a deleted user can still be read."
    )
    schedule_rollout_s: float = _number(
        210.0,
        minimum=0.0,
        evidence="MEAS (adding), INF (change, removal)",
        about="Until a time schedule is known at the doors.",
    )
    member_rollout_s: float = _number(
        45.0,
        minimum=0.0,
        evidence="MEAS (adding), INF (removal)",
        about="Until membership of a scheduled group is known at the doors.",
    )
    change_rollout_s: float = _number(
        45.0,
        minimum=0.0,
        evidence="INF",
        about="Until a PIN, a user's state or a group's doors are known at the doors.",
    )

    def __post_init__(self) -> None:
        """Refuse a value that its field does not take. Raises ValueError."""
        for quirk in fields(self):
            value = getattr(self, quirk.name)
            values = quirk.metadata["values"]
            if values and value not in values:
                raise ValueError(f"{quirk.name} is one of {_words(values)}, not {value!r}")
            if not values and value < quirk.metadata["minimum"]:
                raise ValueError(f"{quirk.name} is at least {quirk.metadata['minimum']}")

    @classmethod
    def instant(cls, **changes: Any) -> Self:
        """Return quirks without lags and roll-out delays, for tests that are not about those."""
        return cls(**(dict.fromkeys(LAGS, 0.0) | changes))

    @classmethod
    def from_pairs(cls, pairs: Iterable[str]) -> Self:
        """Read `name=value` texts as the command line has them.

        `preset=instant` takes every lag away; what follows it still counts. Raises ValueError
        with the name of what is wrong.
        """
        known = {quirk.name: quirk for quirk in fields(cls)}
        changes: dict[str, Value] = {}
        for pair in pairs:
            name, separator, text = pair.partition("=")
            if (name, text) == ("preset", "instant"):
                changes |= dict.fromkeys(LAGS, 0.0)
            elif not separator or name not in known:
                raise ValueError(f"no such quirk: {pair}")
            else:
                changes[name] = _parse(known[name], text)
        return cls(**changes)  # type: ignore[arg-type] # __post_init__ checks each value

    def as_pairs(self) -> list[str]:
        """Return what differs from the defaults as `name=value`, the inverse of `from_pairs`."""
        return [
            f"{quirk.name}={getattr(self, quirk.name)}"
            for quirk in fields(self)
            if getattr(self, quirk.name) != quirk.default
        ]


LAGS = (
    "entries_lag_s",
    "creation_lag_s",
    "listing_lag_s",
    "detail_lag_s",
    "delete_lag_s",
    "schedule_rollout_s",
    "member_rollout_s",
    "change_rollout_s",
)


def choices() -> dict[str, tuple[Value, ...]]:
    """Return the fields that have a list of values, with those values, the default first."""
    return {
        quirk.name: quirk.metadata["values"] for quirk in fields(Quirks) if quirk.metadata["values"]
    }


def pairwise(base: Quirks | None = None, names: Iterable[str] | None = None) -> list[Quirks]:
    """Return a short list of quirks in which every two values of every two fields meet.

    Lags and other numbers are those of `base`. The first row is made of defaults; the list is the
    same in every run. `names` keeps it to some of the fields.
    """
    start = Quirks() if base is None else base
    table = choices() if names is None else {name: choices()[name] for name in names}
    return [replace(start, **row) for row in _rows(table)]


def _words(values: Iterable[Value]) -> str:
    return ", ".join(str(value) for value in values)


def _parse(quirk: Field[Any], text: str) -> Value:
    for value in quirk.metadata["values"]:
        if str(value) == text:
            return value  # type: ignore[no-any-return] # metadata is untyped
    if quirk.metadata["values"]:
        raise ValueError(f"{quirk.name} is one of {_words(quirk.metadata['values'])}, not {text!r}")
    try:
        return int(text) if isinstance(quirk.default, int) else float(text)
    except ValueError:
        raise ValueError(f"{quirk.name} is a number, not {text!r}") from None


type _Cell = tuple[str, Value]


def _rows(table: Mapping[str, tuple[Value, ...]]) -> Iterator[dict[str, Any]]:
    """Yield rows until no pair of values is left that has not been together in one."""
    missing = {
        ((one, a), (other, b)): None
        for one, other in combinations(table, 2)
        for a in table[one]
        for b in table[other]
    }
    row: dict[str, Value] = {name: values[0] for name, values in table.items()}
    yield row
    _cover(missing, row)
    while missing:
        row = dict(next(iter(missing)))
        for name, values in table.items():
            if name not in row:
                gains = [_gain(missing, row, (name, value)) for value in values]
                row[name] = values[gains.index(max(gains))]
        yield row
        _cover(missing, row)


def _gain(
    missing: Mapping[tuple[_Cell, _Cell], None], row: Mapping[str, Value], cell: _Cell
) -> int:
    return sum((fixed, cell) in missing or (cell, fixed) in missing for fixed in row.items())


def _cover(missing: dict[tuple[_Cell, _Cell], None], row: Mapping[str, Value]) -> None:
    cells = list(row.items())
    for one in cells:
        for other in cells:
            missing.pop((one, other), None)
