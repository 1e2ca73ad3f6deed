"""A whole stay, under quirks of all kinds."""

from typing import Any

import pytest

from simulator import Quirks, pairwise

from .conftest import Serve
from .harness import Answer, Api

ROWS = pairwise(Quirks.instant())


def items(answer: Answer) -> list[Any]:
    """Return what a list holds, in either shape."""
    body = answer.json
    found: list[Any] = body if isinstance(body, list) else body["items"]
    return found


async def activated(api: Api) -> tuple[str, str]:
    """Activate the first IQ with the delivered PIN and return secret and PIN."""
    secret = (await api.site("GET", f"/iqs/{api.iq_id}/secret")).json["secret"]
    await api.site("GET", f"/iqs/{api.iq_id}/pin", params={"send_email": "true"})
    pin = api.sim.outbox[-1].pin
    body = {"otp": api.otp(secret, pin), "delta": "0000"}
    assert (await api.site("PUT", f"/iqs/{api.iq_id}/pin", body)).status == 204
    return secret, pin


@pytest.mark.parametrize("quirks", ROWS, ids=range(len(ROWS)))
async def test_a_stay(serve: Serve, quirks: Quirks) -> None:
    """Opening by OTP, and a guest's PIN from arrival to departure, work under every quirk."""
    api = await serve(quirks)
    secret, pin = await activated(api)
    gate = api.lock_id("Main gate")
    api.sim.clock.advance(1)
    assert (await api.open(gate, api.otp(secret, pin))).status in {200, 204}
    assert len(items(await api.site("GET", "/locks"))) == 12

    guest = await api.new_guest("Pitch 1")
    path = f"/users/{guest['id']}"
    assert (await api.site("PATCH", path, {"use_pin": True})).status == 200
    group = await api.new_group()
    inside = f"/access_groups/{group}"
    added = [
        await api.new_schedule(group),
        await api.site("POST", f"{inside}/locks", {"lock_id": gate}),
        await api.site("POST", f"{inside}/users", {"user_id": guest["user"]["id"]}),
    ]
    assert {answer.status for answer in added} <= {200, 204}
    code = (await api.site("PUT", f"{path}/pin", {})).json
    assert api.sim.keypad(gate, code).result == "opened"
    log = (await api.site("GET", "/entries", version="v1.1")).json["items"]
    assert {line["access_by"] for line in log} == {"remote", "pin_code"}

    assert (await api.site("DELETE", path)).status == 202
    assert (await api.site("DELETE", inside)).status == 204
    assert api.sim.keypad(gate, code).result == "rejected"
