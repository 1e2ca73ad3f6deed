"""What the demo says on the terminal."""

from collections.abc import Iterator
import json
from pathlib import Path
from typing import Any

from . import front_desk
from .bookings import UNITS, DemoUnit
from .set_up import DOMAIN, credentials
from .simulated import Message, Seed

USERNAME = "demo"
PASSWORD = "demo"  # noqa: S105 - the whole house of this user is simulated and on loopback


def ready(home: str, vendor: str, seed: Seed, *, by_hand: bool) -> Iterator[str]:
    """Yield where everything is, and how to play with it; by hand there is no front desk yet."""
    yield ""
    yield f"Home Assistant is ready:  {home}"
    yield f"  user name               {USERNAME}"
    yield f"  password                {PASSWORD}"
    if not by_hand:
        yield f"  at the front desk       {front_desk.USERNAME}, password {front_desk.PASSWORD}"
    yield "  messages                notify.notify, shown under Notifications"
    yield "  blueprints              Settings > Automations & scenes > Blueprints"
    yield f"Simulated Salto KS:       {vendor}"
    yield f"  what it was asked       curl -s {vendor}/_sim/journal"
    for lock in seed.locks[:1]:
        body = json.dumps({"lock_id": lock.id, "pin": "1234"})
        yield f"  type at the keypad      curl -s --json '{body}' {vendor}/_sim/keypad"
        yield f"                          (that is {lock.name})"


def what_to_type(home: str, vendor: str, seed: Seed, integration: Path) -> Iterator[str]:
    """Yield how to set the integration up by hand, in the words of its own forms."""
    texts = json.loads((integration / "translations" / "en.json").read_text(encoding="utf-8"))
    steps = texts["config"]["step"]
    yield ""
    yield "Set it up: Settings > Devices & services > Add integration > Salto KS, or open"
    yield f"  {home}/config/integrations/dashboard/add?domain={DOMAIN}"
    for field, value in credentials(seed, vendor).items():
        shown = _option(texts, field, str(value))
        label = next(s["data"][field] for s in steps.values() if field in s.get("data", {}))
        yield f"  {label:<26} {shown}"
    for name in seed.iqs.values():
        yield f"  {'IQ':<26} {name}"
    yield "The PIN that is sent for an IQ appears below, as in a mailbox; to read it again:"
    yield f"  curl -s {vendor}/_sim/outbox"
    yield ""
    yield from _unit_to_type(texts, UNITS[0])


def _unit_to_type(texts: Any, unit: DemoUnit) -> Iterator[str]:
    """Yield how to add a unit by hand: its calendar is there already."""
    flow = texts["config_subentries"]["unit"]
    labels = flow["step"]["user"]["data"]
    values = {
        "name": unit.name,
        "calendar": f"{unit.calendar} (is there already, with bookings)",
        "doors": ", ".join(unit.doors),
    }
    yield f"Then give a pitch its bookings: Salto KS > {flow['initiate_flow']['user']}"
    for field, value in values.items():
        yield f"  {labels[field]:<26} {value}"


def _option(texts: Any, field: str, value: str) -> str:
    """Return the label of a choice, or the value itself where it is typed."""
    options = texts.get("selector", {}).get(field, {}).get("options", {})
    return str(options.get(value, value))


def mail(message: Message, seed: Seed) -> str:
    """Return what a person reads in the mail that holds an IQ PIN."""
    return f"[{message.channel}] the PIN of {seed.iqs[message.iq_id]} is {message.pin}"


def ending(kept: Path | None) -> str:
    """Return how it ends."""
    fate = f"everything stays in {kept}" if kept else "everything is thrown away then"
    return f"\nCtrl-C ends it; {fate}."
