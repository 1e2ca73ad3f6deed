"""IQs: reading, activation, wrong codes."""

import pytest

from simulator import Quirks

from .conftest import Serve
from .harness import NOWHERE, Answer, Api

IQ_KEYS = {
    "id", "customer_reference", "time_zone", "mac", "operator", "state", "restore_required",
    "reset_date", "online", "led_enabled", "data_sync_state", "signal_strength", "revision",
    "otp_enabled",
}  # fmt: skip

FAILED = "Request execution failed with code: "


async def secret_of(api: Api) -> Answer:
    """Read the secret."""
    return await api.site("GET", f"/iqs/{api.iq_id}/secret")


async def send_pin(api: Api, **params: str) -> Answer:
    """Ask for the PIN."""
    return await api.site("GET", f"/iqs/{api.iq_id}/pin", params=params)


async def set_pin(api: Api, otp: str, delta: str = "0000") -> Answer:
    """Set the PIN."""
    return await api.site("PUT", f"/iqs/{api.iq_id}/pin", {"otp": otp, "delta": delta})


async def activated(api: Api, delta: str = "0000") -> tuple[str, str]:
    """Go through the activation and return secret and delivered PIN."""
    secret = (await secret_of(api)).json["secret"]
    await send_pin(api, send_email="true")
    pin = api.sim.outbox[-1].pin
    assert (await set_pin(api, api.otp(secret, pin), delta)).status == 204
    return secret, pin


async def own_activations(api: Api) -> list[dict[str, object]]:
    """Return the caller's activations."""
    items: list[dict[str, object]] = (
        await api.call("GET", f"/me/{api.site_id}/activated_iqs")
    ).json["items"]
    return items


async def test_an_iq_as_measured(api: Api) -> None:
    """An IQ has exactly the measured fields; whether it is activated is not among them."""
    listed = (await api.site("GET", "/iqs")).json["items"]
    assert [iq["customer_reference"] for iq in listed] == ["IQ Reception", "IQ Field"]
    alone = (await api.site("GET", f"/iqs/{api.iq_id}")).json
    assert alone == listed[0]
    assert set(alone) == IQ_KEYS
    assert (alone["data_sync_state"], alone["otp_enabled"]) == ("not_synced", True)


async def test_an_iq_that_is_not_there(api: Api) -> None:
    """An IQ of another site is as unknown as one that does not exist."""
    elsewhere = next(iq.id for iq in api.sim.world.iqs.values() if iq.site_id != api.site_id)
    for iq_id in (elsewhere, NOWHERE):
        assert (await api.site("GET", f"/iqs/{iq_id}")).code == (404, "2202")
    assert (await api.site("GET", "/iqs/IQ01")).code == (400, "1100")


@pytest.mark.parametrize("version", ["v1.1", "v1.2"])
async def test_activation_as_measured(api: Api, version: str) -> None:
    """Secret, PIN by e-mail, `delta` 0000: each step answers as in the proven sequence."""
    path = f"/iqs/{api.iq_id}"
    answer = await api.site("GET", f"{path}/secret", version=version)
    assert set(answer.json) == {"secret"}
    secret = answer.json["secret"]
    assert len(secret) == 16
    before = await own_activations(api)
    assert before == [{"iq_id": api.iq_id, "activation_date": None, "activated": False}]

    params = {"send_email": "true"}
    answer = await api.site("GET", f"{path}/pin", params=params, version=version)
    assert (answer.status, answer.text) == (204, "")
    sent = api.sim.outbox[-1]
    assert (sent.iq_id, sent.user, sent.channel) == (api.iq_id, api.seed["username"], "email")
    assert len(sent.pin) == 4
    assert sent.pin not in repr(sent)

    body = {"otp": api.otp(secret, sent.pin), "delta": "0000"}
    answer = await api.site("PUT", f"{path}/pin", body, version=version)
    assert (answer.status, answer.text) == (204, "")
    (after,) = await own_activations(api)
    assert after["activated"] is True
    assert str(after["activation_date"]).endswith("Z")

    answer = await api.open(api.lock_id("Main gate"), api.otp(secret, sent.pin))
    assert answer.status == 200


async def test_after_activation_nothing_is_told_any_more(api: Api) -> None:
    """The literal refusals of secret and PIN once the PIN has been set."""
    await activated(api)
    assert (await secret_of(api)).error == (
        403,
        "2203",
        "Cannot get first secret for an already activated Iq.",
    )
    assert (await send_pin(api)).error == (403, "3102", FAILED + "command_forbidden")
    assert len(api.sim.outbox) == 1


async def test_the_secret_for_a_second_device(api: Api) -> None:
    """After activation a good code buys the same secret, a wrong one 403 and at last a block."""
    secret, pin = await activated(api)
    path = f"/iqs/{api.iq_id}/secret"
    good = await api.site("GET", path, params={"otp": api.otp(secret, pin)})
    assert good.json == {"secret": secret}
    for _ in range(3):
        wrong = await api.site("GET", path, params={"otp": "zzzzz"})
        assert wrong.error == (403, "3102", FAILED + "otp_invalid")
    blocked = await api.site("GET", path, params={"otp": api.otp(secret, pin)})
    assert blocked.error == (403, "3102", FAILED + "otp_blocked")


async def test_the_channel(api: Api) -> None:
    """Without `send_email` a text message goes out; nonsense is refused."""
    await send_pin(api)
    await send_pin(api, send_email="false")
    await send_pin(api, send_email="True")
    assert [item.channel for item in api.sim.outbox] == ["sms", "sms", "email"]
    assert (await send_pin(api, send_email="maybe")).code == (400, "1100")


@pytest.mark.parametrize("rereads", ["stable", "changes"])
async def test_reading_the_secret_twice(serve: Serve, rereads: str) -> None:
    """Before activation the secret stays readable; whether it stays the same is a quirk."""
    api = await serve(Quirks.instant(secret_rereads=rereads))
    first = (await secret_of(api)).json["secret"]
    second = (await secret_of(api)).json["secret"]
    assert (first == second) is (rereads == "stable")
    await send_pin(api)
    assert (await set_pin(api, api.otp(second, api.sim.outbox[-1].pin))).status == 204


@pytest.mark.parametrize("resend", ["new", "same"])
async def test_asking_for_the_pin_twice(serve: Serve, resend: str) -> None:
    """Whether a second message carries the same PIN is a quirk; the last one counts."""
    api = await serve(Quirks.instant(pin_resend=resend))
    secret = (await secret_of(api)).json["secret"]
    await send_pin(api)
    await send_pin(api)
    first, second = (item.pin for item in api.sim.outbox)
    assert (first == second) is (resend == "same")
    assert (await set_pin(api, api.otp(secret, second))).status == 204


async def test_secrets_are_per_user_and_iq(api: Api) -> None:
    """Two users on one IQ, and one user on two IQs, have different secrets."""
    mine = (await secret_of(api)).json["secret"]
    second = api.seed["iqs"][1]["id"]
    there = (await api.site("GET", f"/iqs/{second}/secret")).json["secret"]
    other = api.sim.world.accounts["other@example.com"]
    api.sim.add("user", {"user_id": other.user_id, "roles": ["site_user"]})
    await api.log_in(other.username, other.password)
    theirs = (await secret_of(api)).json["secret"]
    assert len({mine, there, theirs}) == 3


async def test_wrong_codes_and_the_block(api: Api) -> None:
    """Three wrong codes are 400, then even a right one is 403 for twenty minutes."""
    secret = (await secret_of(api)).json["secret"]
    await send_pin(api)
    pin = api.sim.outbox[-1].pin
    for _ in range(3):
        assert (await set_pin(api, "zzzzz")).error == (400, "3102", FAILED + "otp_invalid")
    for _ in range(2):
        right = await set_pin(api, api.otp(secret, pin))
        assert right.error == (403, "3102", FAILED + "otp_blocked")
    api.sim.clock.advance(1195)
    assert (await set_pin(api, api.otp(secret, pin))).code == (403, "3102")
    api.sim.clock.advance(10)
    assert (await set_pin(api, api.otp(secret, pin))).status == 204


async def test_a_right_code_ends_the_count(api: Api) -> None:
    """Two wrong codes, a right one and two wrong ones again do not block."""
    secret, pin = await activated(api)
    for _ in range(2):
        for _ in range(2):
            assert (await set_pin(api, "zzzzz")).code == (400, "3102")
        assert (await set_pin(api, api.otp(secret, pin))).status == 204


async def test_the_threshold_may_be_eight(serve: Serve) -> None:
    """With the other measured threshold seven wrong codes do not block and eight do."""
    api = await serve(Quirks.instant(block_threshold=8))
    secret, pin = await activated(api)
    for _ in range(8):
        assert (await set_pin(api, "zzzzz")).code == (400, "3102")
    assert (await set_pin(api, api.otp(secret, pin))).code == (403, "3102")


async def test_the_length_of_the_block_is_a_quirk(serve: Serve) -> None:
    """A shorter block ends sooner."""
    api = await serve(Quirks.instant(block_seconds=60.0))
    secret, pin = await activated(api)
    for _ in range(3):
        await set_pin(api, "zzzzz")
    assert (await set_pin(api, api.otp(secret, pin))).code == (403, "3102")
    api.sim.clock.advance(61)
    assert (await set_pin(api, api.otp(secret, pin))).status == 204


async def test_the_window_is_a_quirk(serve: Serve) -> None:
    """A narrower window refuses a code that the usual one takes."""
    api = await serve(Quirks.instant(otp_window_s=20))
    secret, pin = await activated(api)
    code = api.otp(secret, pin)
    api.sim.clock.advance(15)
    assert (await set_pin(api, code)).status == 204
    api.sim.clock.advance(10)
    assert (await set_pin(api, code)).code == (400, "3102")


async def test_blocks_are_per_command(api: Api) -> None:
    """A block of `pin` leaves opening alone, and the other way round."""
    secret, pin = await activated(api)
    for _ in range(3):
        await set_pin(api, "zzzzz")
    gate = api.lock_id("Main gate")
    assert (await api.open(gate, api.otp(secret, pin))).status == 200
    for _ in range(3):
        await api.open(gate, "zzzzz")
    assert (await api.open(gate, api.otp(secret, pin))).code == (403, "3102")


async def test_a_code_without_secret_or_pin(api: Api) -> None:
    """Setting a PIN that was never sent, for a secret never read, is a wrong code."""
    assert (await set_pin(api, "00000")).code == (400, "3102")
    await secret_of(api)
    assert (await set_pin(api, "00000")).code == (400, "3102")
    second = f"/iqs/{api.seed['iqs'][1]['id']}/pin"
    assert (await api.site("GET", second)).status == 204
    body = {"otp": "00000", "delta": "0000"}
    assert (await api.site("PUT", second, body)).code == (400, "3102")


@pytest.mark.parametrize("delta", ["0", "00000", "abcd", "-001", ""])
async def test_delta_has_four_digits(api: Api, delta: str) -> None:
    """Anything else than four digits is 400/1101."""
    assert (await set_pin(api, "00000", delta)).code == (400, "1101")


@pytest.mark.parametrize(
    ("rule", "step"), [("whole_add", 999), ("digit_sub", None), ("digit_add", None)]
)
async def test_a_chosen_pin(serve: Serve, rule: str, step: int | None) -> None:
    """After a delta of 0999 only the PIN of the rule in force makes good codes."""
    api = await serve(Quirks.instant(delta_rule=rule))
    secret, old = await activated(api, "0999")
    digits = [int(digit) for digit in old]
    if step is not None:
        new = f"{(int(old) + step) % 10_000:04d}"
    else:
        sign = 1 if rule == "digit_add" else -1
        new = "".join(
            str((digit + sign * by) % 10) for digit, by in zip(digits, (0, 9, 9, 9), strict=True)
        )
    assert (await set_pin(api, api.otp(secret, new))).status == 204
    assert (await set_pin(api, api.otp(secret, old))).code == (400, "3102")


async def test_activated_elsewhere(api: Api) -> None:
    """When an app has activated the user, the stored secret and PIN are worthless."""
    secret, pin = await activated(api)
    api.sim.set("iq", api.iq_id, activated_elsewhere=True)
    assert (await set_pin(api, api.otp(secret, pin))).code == (400, "3102")
    assert (await secret_of(api)).code == (403, "2203")
    api.sim.set("iq", api.iq_id, activated_elsewhere=False)
    assert (await secret_of(api)).status == 200


async def test_activation_by_hand(api: Api) -> None:
    """A test can start from a known secret and PIN, and take them away again."""
    chosen = api.sim.activate(api.iq_id, secret="0123456789ABCDEF", pin="0042")
    assert chosen == ("0123456789ABCDEF", "0042")
    assert (await set_pin(api, api.otp(*chosen))).status == 204
    api.sim.deactivate(api.iq_id)
    assert await own_activations(api) == []
    api.sim.deactivate(api.iq_id)


async def test_resetting_somebodys_pin(api: Api) -> None:
    """An administrator resets a PIN with an own OTP; without one the literal 400/1100."""
    secret, pin = await activated(api)
    me = (await api.site("GET", "/me")).json["id"]
    path = f"/iqs/{api.iq_id}/pin/{me}"
    assert (await api.site("DELETE", path)).error == (400, "1100", "The otp field is required.")
    assert (await api.site("DELETE", path, {"otp": "zzzzz"})).code == (400, "3102")
    good = {"otp": api.otp(secret, pin)}
    unknown = await api.site("DELETE", f"/iqs/{api.iq_id}/pin/{NOWHERE}", good)
    assert unknown.code == (404, "2202")
    assert (await api.site("DELETE", path, good)).status == 204
    assert await own_activations(api) == []
    assert (await secret_of(api)).status == 200


async def test_resetting_a_pin_that_was_never_set(api: Api) -> None:
    """A reset of somebody who never activated is no error."""
    secret, pin = await activated(api)
    guest = api.sim.world.guests[0]
    answer = await api.site(
        "DELETE", f"/iqs/{api.iq_id}/pin/{guest.id}", {"otp": api.otp(secret, pin)}
    )
    assert answer.status == 204


async def test_restoring(api: Api) -> None:
    """After a hardware reset opening is 403 until the IQ is restored."""
    secret, pin = await activated(api)
    gate = api.lock_id("Main gate")
    api.sim.set("iq", api.iq_id, restore_required=True)
    assert (await api.open(gate, api.otp(secret, pin))).code == (403, "2203")
    assert (await api.site("POST", f"/iqs/{api.iq_id}/restore")).status == 204
    assert (await api.site("GET", f"/iqs/{api.iq_id}")).json["restore_required"] is False
    assert (await api.open(gate, api.otp(secret, pin))).status == 200
    assert (await api.site("POST", f"/iqs/{api.iq_id}/restore", {})).status == 204


@pytest.mark.parametrize("status", [408, 404, 400, 403, 500])
async def test_an_iq_that_is_offline(serve: Serve, status: int) -> None:
    """Nothing that needs the IQ works, with whatever status the quirk says."""
    api = await serve(Quirks.instant(offline_status=status))
    api.sim.set("iq", api.iq_id, online=False)
    assert (await send_pin(api)).error == (status, "3102", FAILED + "iq_offline")
    assert (await set_pin(api, "00000")).code == (status, "3102")
    assert (await api.site("POST", f"/iqs/{api.iq_id}/restore")).code == (status, "3102")
    assert not api.sim.outbox
    assert (await secret_of(api)).status == 200


async def test_activated_iqs_of_a_user(api: Api) -> None:
    """The list of a site user has other fields, and only what is really activated."""
    me = (await api.site("GET", "/me")).json["id"]
    await secret_of(api)
    assert (await api.site("GET", f"/users/{me}/activated_iqs")).json["items"] == []
    await activated(api)
    found = (await api.site("GET", f"/users/{me}/activated_iqs")).json["items"]
    assert found == [{"id": api.iq_id, "customer_reference": "IQ Reception", "otp_enabled": True}]


async def test_otps_used_once(serve: Serve) -> None:
    """With the quirk a second use of one code is a wrong code, until it is out of its window."""
    api = await serve(Quirks.instant(otp_reuse="forbidden"))
    secret, pin = await activated(api)
    api.sim.clock.advance(60)
    code = api.otp(secret, pin)
    assert (await set_pin(api, code)).status == 204
    assert (await set_pin(api, code.upper())).code == (400, "3102")
    api.sim.clock.advance(1)
    assert (await set_pin(api, api.otp(secret, pin))).status == 204


async def test_otps_used_again(api: Api) -> None:
    """By default one code serves several commands within its window."""
    secret, pin = await activated(api)
    code = api.otp(secret, pin)
    gate = api.lock_id("Main gate")
    assert [(await api.open(gate, code)).status for _ in range(2)] == [200, 200]
    api.sim.clock.advance(170)
    assert (await api.open(gate, code)).status == 200
    api.sim.clock.advance(15)
    assert (await api.open(gate, code)).code == (400, "3102")
