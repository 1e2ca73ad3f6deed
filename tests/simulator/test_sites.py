"""Sites, the caller, roles and subscription."""

import pytest

from simulator import Quirks

from .conftest import Serve
from .harness import NOWHERE, Api

SITE_KEYS = {
    "id", "site_uid", "customer_reference", "active_user_amount", "active_iq_amount",
    "pin_enabled", "subscribed_user_amount", "subscription_valid", "country_code", "time_zone",
    "owner", "installation_state", "mkey_compatible", "store_events_ttl",
}  # fmt: skip
PERSON_KEYS = {
    "email", "image_url", "tag_number", "is_managed_by_current_site", "has_profile", "id",
    "first_name", "last_name",
}  # fmt: skip
USER_KEYS = {
    "id", "user", "roles", "alias", "toggle_easy_office_mode", "toggle_manual_office_mode",
    "remote_access", "blocked", "tag_owned_by_this_site", "subscription_state",
    "override_privacy_mode", "use_pin", "data_removal_expires_at", "expires_at",
}  # fmt: skip


@pytest.mark.parametrize("version", ["v1.1", "v1.2"])
async def test_a_site_as_measured(api: Api, version: str) -> None:
    """A site has exactly the measured fields, in the list and alone, in both versions."""
    listed = (await api.call("GET", "/sites", version=version)).json
    assert set(listed) == {"items", "next_page_link", "count"}
    assert (listed["next_page_link"], listed["count"]) == (None, None)
    alone = (await api.site("GET", "", version=version)).json
    assert alone == listed["items"][0]
    assert set(alone) == SITE_KEYS
    assert set(alone["owner"]) == PERSON_KEYS
    assert (alone["store_events_ttl"], alone["installation_state"]) == ("90.00:00:00", "released")
    assert (alone["active_iq_amount"], alone["subscribed_user_amount"]) == (2, 25)


async def test_the_readable_code_is_a_filter_and_no_path(api: Api) -> None:
    """A site is found by `site_uid` in a filter; in a path that is 400/1100."""
    uid = api.seed["site_uid"]
    found = await api.call("GET", "/sites", params={"$filter": f"site_uid eq '{uid}'"})
    assert [site["id"] for site in found.json["items"]] == [api.site_id]
    assert (await api.call("GET", f"/sites/{uid}")).code == (400, "1100")


async def test_customer_reference_is_the_name(api: Api) -> None:
    """The display name does not resolve as the readable code."""
    site = (await api.site("GET", "")).json
    assert site["customer_reference"] == "Camping De Zilverspar"
    assert site["customer_reference"] != site["site_uid"]


async def test_sites_of_others(serve: Serve) -> None:
    """A site exists for its users only: not in the list, and not found by its id."""
    api = await serve()
    seen = {site["site_uid"] for site in (await api.call("GET", "/sites")).json["items"]}
    assert seen == {"NL0000000001", "NL0000000002"}
    foreign = next(site for site in api.sim.world.sites.values() if site.country_code == "BE")
    assert (await api.call("GET", f"/sites/{foreign.id}")).code == (404, "2202")
    assert (await api.call("GET", f"/sites/{NOWHERE}")).code == (404, "2202")
    other = api.sim.world.accounts["other@example.com"]
    await api.log_in(other.username, other.password)
    seen = {site["site_uid"] for site in (await api.call("GET", "/sites")).json["items"]}
    assert seen == {"NL0000000002", "BE0000000003"}
    assert (await api.site("GET", "/locks")).code == (404, "2202")


async def test_sites_of_others_may_be_forbidden(serve: Serve) -> None:
    """With the quirk a foreign site is 403, an unknown one still 404."""
    api = await serve(Quirks.instant(foreign_site_status=403))
    foreign = next(site for site in api.sim.world.sites.values() if site.country_code == "BE")
    assert (await api.call("GET", f"/sites/{foreign.id}")).code == (403, "2203")
    assert (await api.call("GET", f"/sites/{NOWHERE}")).code == (404, "2202")


async def test_the_caller(api: Api) -> None:
    """The profile and the caller as site user have the measured fields and share the person."""
    profile = (await api.call("GET", "/me")).json
    assert set(profile) == {
        "id", "first_name", "last_name", "phone", "email", "language", "tag_number",
        "tag_rf_id_uid", "image_url",
    }  # fmt: skip
    me = (await api.site("GET", "/me")).json
    assert set(me) == USER_KEYS | {"ownership_state", "member_of_pods", "guest_of_pods"}
    assert me["user"]["id"] == profile["id"]
    assert me["id"] != profile["id"]
    assert me["remote_access"] is True
    assert {role["code"] for role in me["roles"]} >= {"site_admin"}


async def test_roles(api: Api) -> None:
    """Roles are found by code; they carry the measured fields."""
    roles = (await api.site("GET", "/roles")).json["items"]
    assert {"site_user", "site_admin", "site_guest"} <= {role["code"] for role in roles}
    assert all(
        set(role) == {"id", "customer_reference", "code", "parent_id", "is_hierarchical"}
        for role in roles
    )


async def test_the_subscription(api: Api) -> None:
    """Seats, type and features, `custom_pin` not among them."""
    found = (await api.site("GET", "/subscription")).json
    assert set(found) == {"user_amount", "type", "features"}
    assert found["user_amount"] == 25
    assert "custom_pin" not in found["features"]
    api.sim.set("site", api.site_id, features=["custom_pin"])
    assert (await api.site("GET", "/subscription")).json["features"] == ["custom_pin"]


async def test_a_site_that_vanishes(api: Api) -> None:
    """A site taken out of the world is gone with all that is on it."""
    api.sim.remove("site", api.site_id)
    assert (await api.site("GET", "")).code == (404, "2202")
    assert not api.sim.world.locks_of(api.site_id)
    assert not api.sim.world.groups_of(api.site_id)
