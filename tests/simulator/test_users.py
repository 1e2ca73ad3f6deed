"""Users, guests, seats and keypad PINs."""

from datetime import timedelta

import pytest

from simulator import Quirks

from .conftest import Serve
from .harness import NOWHERE, Api
from .test_sites import PERSON_KEYS, USER_KEYS


async def role_id(api: Api, code: str) -> str:
    """Look a role up by its code."""
    roles = (await api.site("GET", "/roles")).json["items"]
    found: str = next(role["id"] for role in roles if role["code"] == code)
    return found


async def new_user(api: Api, **changes: object) -> dict[str, object]:
    """Return a body that creates a user, with these changes."""
    return {
        "first_name": "Ada",
        "last_name": "Archer",
        "role_ids": [await role_id(api, "site_user")],
        "alias": "Ada",
        "tag_id": "",
        "use_pin": True,
    } | changes


async def seats(api: Api) -> int:
    """Return how many seats are taken."""
    used: int = (await api.site("GET", "")).json["active_user_amount"]
    return used


async def test_a_guest_as_measured(api: Api) -> None:
    """A new guest is 201 with the measured fields, without PIN and mail, in the guest role."""
    body = {"alias": "Pitch 7", "expires_at": "2027-01-01T12:00:00Z"}
    answer = await api.site("POST", "/guests", body)
    assert answer.status == 201
    guest = answer.json
    assert set(guest) == USER_KEYS
    assert set(guest["user"]) == PERSON_KEYS
    assert guest["alias"] == "Pitch 7"
    assert guest["expires_at"] == "2027-01-01T12:00:00Z"
    assert (guest["use_pin"], guest["subscription_state"]) == (False, "subscribed")
    assert [role["code"] for role in guest["roles"]] == ["site_guest"]
    assert guest["user"]["email"] is None
    assert guest["id"] != guest["user"]["id"]
    assert (await api.site("GET", f"/users/{guest['id']}")).json == guest
    listed = (await api.site("GET", "/users")).json["items"]
    assert guest in listed


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"alias": "x"}, (400, "1100")),
        ({"expires_at": None}, (400, "1100")),
        ({"alias": " ", "expires_at": None}, (400, "1101")),
        ({"alias": "x", "expires_at": "tomorrow"}, (400, "1101")),
        ({"alias": "x", "expires_at": "2020-01-01T00:00:00Z"}, (400, "1101")),
        ({"alias": "x", "expires_at": None, "use_pin": True}, (400, "1101")),
    ],
)
async def test_guests_that_are_refused(
    api: Api, body: dict[str, object], code: tuple[int, str]
) -> None:
    """Missing, empty, past and unknown fields are refused."""
    before = await seats(api)
    assert (await api.site("POST", "/guests", body)).code == code
    assert await seats(api) == before


async def test_seats_run_out_silently(serve: Serve) -> None:
    """At the limit a guest is still 201 and gets a PIN, but is suspended and takes no seat."""
    api = await serve(seed="full")
    used = await seats(api)
    assert used == (await api.site("GET", "/subscription")).json["user_amount"]
    guest = await api.new_guest()
    assert guest["subscription_state"] == "suspended"
    assert (await api.site("PUT", f"/users/{guest['id']}/pin", {})).status == 200
    assert await seats(api) == used


async def test_a_deleted_user_frees_its_seat_at_once(serve: Serve) -> None:
    """DELETE is 202 and frees the seat; reading fails some seconds later."""
    api = await serve(Quirks(), seed="full")
    guest = api.sim.world.guests[0]
    used = await seats(api)
    assert (await api.site("DELETE", f"/users/{guest.id}")).status == 202
    assert await seats(api) == used - 1
    assert (await api.site("GET", f"/users/{guest.id}")).status == 200
    assert (await api.site("DELETE", f"/users/{guest.id}")).status == 202
    assert (await api.site("PUT", f"/users/{guest.id}/pin", {})).code == (404, "2202")
    api.sim.clock.advance(11)
    assert (await api.site("GET", f"/users/{guest.id}")).code == (404, "2202")
    assert (await api.site("DELETE", f"/users/{guest.id}")).code == (404, "2202")
    assert (await api.new_guest())["subscription_state"] == "subscribed"


async def test_expiry_does_not_free_the_seat(api: Api) -> None:
    """A guest past `expires_at` still takes a seat."""
    expires_at = (api.sim.clock.now() + timedelta(hours=1)).isoformat()
    await api.site("POST", "/guests", {"alias": "x", "expires_at": expires_at})
    used = await seats(api)
    api.sim.clock.advance(2 * 3600)
    await api.log_in()
    assert await seats(api) == used


@pytest.mark.parametrize(("quirk", "status"), [("silent", 204), ("refused", 403)])
async def test_suspending_and_subscribing(serve: Serve, quirk: str, status: int) -> None:
    """A seat can be taken and given; without a free one the user stays suspended."""
    api = await serve(Quirks.instant(subscribe_at_limit=quirk), seed="full")
    first, second = api.sim.world.guests[:2]

    async def subscribe(user_id: str, state: str) -> int:
        return (await api.site("PATCH", f"/users/{user_id}/subscription", {"state": state})).status

    assert await subscribe(first.id, "suspended") == 204
    assert first.subscription_state == "suspended"
    assert await subscribe(first.id, "subscribed") == 204
    assert first.subscription_state == "subscribed"
    assert await subscribe(first.id, "subscribed") == 204
    assert await subscribe(first.id, "suspended") == 204
    guest = await api.new_guest()
    assert guest["subscription_state"] == "subscribed"
    assert await subscribe(first.id, "subscribed") == status
    assert first.subscription_state == "suspended"
    assert second.subscription_state == "subscribed"


async def test_the_field_is_called_state(api: Api) -> None:
    """The measured refusal of `subscription_state`, and of a state that does not exist."""
    guest = api.sim.world.guests[0]
    path = f"/users/{guest.id}/subscription"
    wrong = await api.site("PATCH", path, {"subscription_state": "suspended"})
    assert wrong.code == (400, "1101")
    assert (await api.site("PATCH", path, {"state": "asleep"})).code == (400, "1101")
    assert (await api.site("PATCH", path, {})).code == (400, "1100")


async def test_changing_a_user(api: Api) -> None:
    """PATCH answers 200 with the user."""
    guest = await api.new_guest()
    answer = await api.site("PATCH", f"/users/{guest['id']}", {"use_pin": True, "alias": "New"})
    assert answer.status == 200
    assert answer.json == guest | {"use_pin": True, "alias": "New"}
    wrong = await api.site("PATCH", f"/users/{guest['id']}", {"use_pin": "yes"})
    assert wrong.code == (400, "1101")


@pytest.mark.parametrize(
    ("quirk", "status", "result"),
    [
        ("accepted", 200, "2027-02-02T10:00:00Z"),
        ("ignored", 200, None),
        ("refused", 400, None),
    ],
)
async def test_changing_the_expiry(
    serve: Serve, quirk: str, status: int, result: str | None
) -> None:
    """Whether a guest's end can be moved is a quirk; reading back tells."""
    api = await serve(Quirks.instant(patch_expires_at=quirk))
    guest = await api.new_guest()
    path = f"/users/{guest['id']}"
    answer = await api.site("PATCH", path, {"expires_at": "2027-02-02T10:00:00"})
    assert answer.status == status
    assert (await api.site("GET", path)).json["expires_at"] == result


async def test_creating_a_user(api: Api) -> None:
    """A user with a role is created; an own person for each without e-mail."""
    answer = await api.site("POST", "/users", await new_user(api))
    assert answer.status == 201
    user = answer.json
    assert set(user) == USER_KEYS
    assert (user["user"]["first_name"], user["use_pin"]) == ("Ada", True)
    assert user["user"]["has_profile"] is False
    again = (await api.site("POST", "/users", await new_user(api))).json
    assert again["user"]["id"] != user["user"]["id"]


async def test_inviting_a_user(api: Api) -> None:
    """An e-mail address is a person: known on the platform once, and once on a site."""
    body = await new_user(api, email="ada@example.com")
    user = (await api.site("POST", "/users", body)).json
    assert user["user"]["email"] == "ada@example.com"
    assert (await api.site("POST", "/users", body)).code == (400, "1101")
    known = await new_user(api, email="other@example.com")
    other = (await api.site("POST", "/users", known)).json
    assert other["user"]["id"] == api.sim.world.accounts["other@example.com"].user_id


async def test_users_that_are_refused(api: Api) -> None:
    """The literal refusal of an empty address, and roles that do not do."""
    empty = await api.site("POST", "/users", await new_user(api, email=""))
    assert empty.error == (400, "1101", "Email '' is not valid")
    nobody = await new_user(api, role_ids=[NOWHERE])
    assert (await api.site("POST", "/users", nobody)).code == (404, "2202")
    flat = await new_user(api, role_ids=[await role_id(api, "site_mobile_user")])
    assert (await api.site("POST", "/users", flat)).code == (400, "1101")
    none = await new_user(api, role_ids=[])
    assert (await api.site("POST", "/users", none)).code == (400, "1101")


@pytest.mark.parametrize("digits", [6, 7])
async def test_a_keypad_pin(serve: Serve, digits: int) -> None:
    """The PIN comes once, as a bare JSON string; asking again rotates it."""
    api = await serve(Quirks.instant(pin_digits=digits))
    guest = await api.new_guest()
    path = f"/users/{guest['id']}"
    assert (await api.site("GET", f"{path}/keys")).json["items"] == []
    first = await api.site("PUT", f"{path}/pin", {})
    assert first.status == 200
    assert isinstance(first.json, str)
    assert len(first.json) == digits
    assert first.json.isdecimal()
    second = await api.site("PUT", f"{path}/pin", {"expiry_date": "2027-01-01T10:00:00Z"})
    assert second.json != first.json
    keys = (await api.site("GET", f"{path}/keys")).json["items"]
    assert keys == [
        {
            "type": "pin",
            "key_identifier": "pin",
            "expiry_date": "2027-01-01T10:00:00Z",
            "offline_access": False,
        }
    ]
    assert second.json not in (await api.site("GET", path)).text


async def test_pins_are_unique_on_a_site(serve: Serve) -> None:
    """A code that is taken is not given out again."""
    api = await serve()
    guest = await api.new_guest()
    other = Quirks.instant()
    twin = await serve(other)
    would_be = (await twin.site("PUT", f"/users/{(await twin.new_guest())['id']}/pin", {})).json
    taken = api.sim.world.guests[0]
    api.sim.set("user", taken.id, pin=would_be)
    assert (await api.site("PUT", f"/users/{guest['id']}/pin", {})).json != would_be


async def test_keys_may_be_absent(serve: Serve) -> None:
    """With the quirk the keys cannot be read at all."""
    api = await serve(Quirks.instant(keys_read="absent"))
    guest = api.sim.world.guests[0]
    assert (await api.site("GET", f"/users/{guest.id}/keys")).code == (404, "2202")


async def test_no_pins_on_this_site(api: Api) -> None:
    """Where the site has no PINs none is given out."""
    guest = await api.new_guest()
    api.sim.set("site", api.site_id, pin_enabled=False)
    assert (await api.site("PUT", f"/users/{guest['id']}/pin", {})).code == (403, "2203")


@pytest.mark.parametrize("field", ["pin", "pin_code"])
async def test_a_chosen_pin(serve: Serve, field: str) -> None:
    """With the feature a PIN of 4 to 6 digits can be chosen, if nobody else has it."""
    api = await serve(Quirks.instant(custom_pin_field=field))
    guest = await api.new_guest()
    path = f"/users/{guest['id']}/pin/custom"
    assert (await api.site("PUT", path, {field: "4711"})).code == (403, "2212")
    api.sim.set("site", api.site_id, features=["custom_pin"])
    for wrong in ("123", "1234567", "12a4"):
        assert (await api.site("PUT", path, {field: wrong})).code == (400, "1101")
    for _ in range(2):
        answer = await api.site("PUT", path, {field: "4711"})
        assert (answer.status, answer.json) == (200, "4711")
    other = await api.new_guest()
    taken = await api.site("PUT", f"/users/{other['id']}/pin/custom", {field: "4711"})
    assert taken.code == (400, "1101")


async def test_a_new_guest_takes_its_time(serve: Serve) -> None:
    """For a minute: no PIN (403/2203), no group (404/2202), no roles, not in the list."""
    api = await serve(Quirks())
    group = await api.new_group()
    guest = await api.new_guest()
    assert guest["roles"] == []

    async def tries() -> tuple[int, int, bool, int]:
        pin = await api.site("PUT", f"/users/{guest['id']}/pin", {})
        join = await api.site(
            "POST", f"/access_groups/{group}/users", {"user_id": guest["user"]["id"]}
        )
        listed = (await api.site("GET", "/users")).json["items"]
        shown = (await api.site("GET", f"/users/{guest['id']}")).json
        return (
            pin.status,
            join.status,
            guest["id"] in {user["id"] for user in listed},
            len(shown["roles"]),
        )

    assert await tries() == (403, 404, False, 0)
    refusal = await api.site("PUT", f"/users/{guest['id']}/pin", {})
    assert refusal.error == (
        403,
        "2203",
        "User does not have permission for this operation on this user",
    )
    api.sim.clock.advance(61)
    assert await tries() == (200, 204, True, 1)


async def test_a_new_guest_that_cannot_be_found(serve: Serve) -> None:
    """With the quirk a young guest is 404 under its own address, for reading and deleting."""
    api = await serve(Quirks.instant(detail_lag_s=30.0))
    guest = await api.new_guest()
    for method in ("GET", "DELETE"):
        assert (await api.site(method, f"/users/{guest['id']}")).code == (404, "2202")
    api.sim.clock.advance(31)
    assert (await api.site("GET", f"/users/{guest['id']}")).status == 200


async def test_ids_are_not_interchangeable(api: Api) -> None:
    """The platform id does not address a site user."""
    guest = await api.new_guest()
    assert (await api.site("GET", f"/users/{guest['user']['id']}")).code == (404, "2202")
    other = next(x.id for x in api.sim.world.users.values() if x.site_id != api.site_id)
    assert (await api.site("GET", f"/users/{other}")).code == (404, "2202")


async def test_only_administrators_manage(api: Api) -> None:
    """Users, groups and the door log are closed to others; locks are not."""
    me = (await api.site("GET", "/me")).json["id"]
    api.sim.set("user", me, roles=["site_user"])
    for path in ("/users", "/access_groups"):
        assert (await api.site("GET", path)).code == (403, "2203")
    assert (await api.site("GET", "/entries", version="v1.1")).code == (403, "2203")
    guest = {"alias": "x", "expires_at": None}
    assert (await api.site("POST", "/guests", guest)).code == (403, "2203")
    assert (await api.site("GET", "/locks")).status == 200


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"subscription_valid": False}, (403, "2212")),
        ({"installation_state": "in_progress"}, (400, "2210")),
    ],
)
async def test_a_site_out_of_order(
    api: Api, change: dict[str, object], code: tuple[int, str]
) -> None:
    """Nothing is given on such a site, but everything can be taken back."""
    guest = await api.new_guest()
    group = await api.new_group()
    api.sim.set("site", api.site_id, **change)
    gate = api.lock_id("Main gate")
    given = [
        await api.site("POST", "/guests", {"alias": "x", "expires_at": None}),
        await api.site("POST", "/users", await new_user(api)),
        await api.site("PATCH", f"/users/{guest['id']}", {"use_pin": True}),
        await api.site("PUT", f"/users/{guest['id']}/pin", {}),
        await api.site("PATCH", f"/users/{guest['id']}/subscription", {"state": "subscribed"}),
        await api.site("POST", "/access_groups", {"customer_reference": "x"}),
        await api.site("POST", f"/access_groups/{group}/locks", {"lock_id": gate}),
        await api.site("PATCH", f"/access_groups/{group}/locks", {"add_ids": [gate]}),
        await api.new_schedule(group),
    ]
    assert {answer.code for answer in given} == {code}
    taken = [
        await api.site("PATCH", f"/users/{guest['id']}/subscription", {"state": "suspended"}),
        await api.site("DELETE", f"/access_groups/{group}"),
        await api.site("DELETE", f"/users/{guest['id']}"),
    ]
    assert [answer.status for answer in taken] == [204, 204, 202]
