"""Nothing unknown is shrugged off."""

import pytest

from simulator import Quirks

from .conftest import Serve
from .harness import Api


@pytest.mark.parametrize(
    "path", ["/", "/v1.2", "/v1.2/nothing", "/v1/sites", "/v2/sites", "/_sim/seed"]
)
async def test_unknown_paths(api: Api, path: str) -> None:
    """A path that does not exist is 404 in the vendor's envelope, control plane included."""
    assert (await api.send("GET", path)).code == (404, "2202")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/sites"),
        ("PUT", "/me"),
        ("HEAD", "/me"),
        ("PATCH", "/iqs"),
        ("PATCH", "/sites/x/iqs/y/pin"),
        ("PUT", "/sites/x/locks/y/locking"),
        ("PATCH", "/sites/x/users/y/pin"),
    ],
)
async def test_unknown_methods(api: Api, method: str, path: str) -> None:
    """A method that a path does not have is 405; setting the IQ PIN is no PATCH."""
    answer = await api.call(method, path)
    expected = 404 if path == "/iqs" else 405
    assert answer.status == expected
    if method != "HEAD" and expected == 405:
        assert answer.code == (405, "1100")
        assert method not in answer.headers["Allow"].split(",")


async def test_the_token_comes_before_everything(api: Api) -> None:
    """Without a token neither ids nor bodies are looked at."""
    answer = await api.send("PATCH", "/v1.2/sites/x/locks/y/locking", data=b"{")
    assert answer.status == 401


async def test_bodies(api: Api) -> None:
    """Wrong type 415, no JSON and missing fields 1100, unknown and mistyped fields 1101."""
    path = f"/v1.2/sites/{api.site_id}/guests"
    bearer = {"Authorization": f"Bearer {api.token}"}
    typed = bearer | {"Content-Type": "application/json"}
    form = await api.send("POST", path, data={"alias": "x"}, headers=bearer)
    assert form.code == (415, "1100")
    for data in (b"", b"{", b"[]", b"null", b"\xff"):
        answer = await api.send("POST", path, data=data, headers=typed)
        assert answer.code == (400, "1100")
    good = {"alias": "x", "expires_at": None}
    assert (await api.site("POST", "/guests", good | {"name": "x"})).code == (400, "1101")
    assert (await api.site("POST", "/guests", good | {"alias": 1})).code == (400, "1101")
    assert (await api.site("POST", "/guests", good | {"alias": None})).code == (400, "1101")
    assert (await api.site("POST", "/guests", {"alias": "x"})).code == (400, "1100")
    huge = await api.site("POST", "/guests", good | {"alias": "x" * 2_000_000})
    assert huge.code == (413, "1100")


async def test_the_literal_missing_field(api: Api) -> None:
    """The one captured sentence about a missing field is the pattern for all."""
    answer = await api.site("PUT", f"/iqs/{api.iq_id}/pin", {"delta": "0000"})
    assert answer.error == (400, "1100", "The otp field is required.")


async def test_options_where_there_are_none(api: Api) -> None:
    """Options of lists do not belong to single things and commands."""
    assert (await api.site("GET", "", params={"$top": "1"})).code == (400, "1102")
    guest = {"alias": "x", "expires_at": None}
    answer = await api.site("POST", "/guests", guest, params={"dry_run": "true"})
    assert answer.code == (400, "1102")


async def test_ids_in_upper_case(api: Api) -> None:
    """A UUID is the same in upper case."""
    assert (await api.call("GET", f"/sites/{api.site_id.upper()}")).status == 200


@pytest.mark.parametrize(("shape", "code"), [("string", "1100"), ("number", 1100)])
async def test_the_error_code_may_be_a_number(serve: Serve, shape: str, code: object) -> None:
    """Text in both literal captures, a number with the quirk."""
    api = await serve(Quirks.instant(error_code=shape))
    body = (await api.call("GET", "/sites/NL0000000001")).json
    assert set(body) == {"ErrorCode", "Message"}
    assert body["ErrorCode"] == code
    assert type(body["ErrorCode"]) is type(code)
