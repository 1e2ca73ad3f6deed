"""What the demo shows of keys: a user of the front desk, and an automation that issues a key."""

from collections.abc import Mapping, Sequence

from .home import OPTIONS_FLOWS, HomeAssistant
from .registry import Devices
from .set_up import DOMAIN

USERNAME = "desk"
PASSWORD = "desk"  # noqa: S105 - the whole house of this user is simulated and on loopback
NAME = "Front desk"

BUTTON = "input_button.pitch_12_is_booked"
AUTOMATION = "pitch_12_gets_a_key"
DOORS = ("Main gate", "Pitch 12 cabin")


async def set_up_desk(home: HomeAssistant, devices: Devices) -> None:
    """Make the user and the automation, unless they are there already."""
    (entry,) = await home.entries(DOMAIN)
    await _write_automation(home, entry["entry_id"], devices)
    async with home.commands() as commands:
        users = await commands.send("config/auth/list")
        if any(user["username"] == USERNAME for user in users):
            return
        user = (await commands.send("config/auth/create", name=NAME, group_ids=["system-users"]))[
            "user"
        ]
        await commands.send(
            "config/auth_provider/homeassistant/create",
            user_id=user["id"],
            username=USERNAME,
            password=PASSWORD,
        )

    async def name_desk(fields: Sequence[str]) -> Mapping[str, object]:
        options = {
            "polling_interval": 75,
            "writes_per_minute": 120,
            "audit_days": 730,
            "forget_pins": False,
            "strategy": "schedule",
            "front_desk": [user["id"]],
        }
        return {field: options[field] for field in fields if field in options}

    await home.walk(OPTIONS_FLOWS, entry["entry_id"], name_desk)


async def _write_automation(home: HomeAssistant, entry_id: str, devices: Devices) -> None:
    """Write the automation that gives the guest of a booking a key and a message."""
    doors = [door.entities["lock.lock"] for door in devices.doors if door.name in DOORS]
    if not doors:
        return
    await home.request(
        "POST",
        f"/api/config/automation/config/{AUTOMATION}",
        json={
            "alias": "Pitch 12 gets a key",
            "description": "Issues a key for tonight and writes the PIN to the guest.",
            "triggers": [{"trigger": "state", "entity_id": BUTTON}],
            "actions": [
                {
                    "action": f"{DOMAIN}.issue_key",
                    "data": {
                        "config_entry_id": entry_id,
                        "doors": doors,
                        "starts_at": "{{ now().replace(minute=0, second=0, microsecond=0) }}",
                        "ends_at": "{{ today_at('11:00') + timedelta(days=1) }}",
                        "booking_id": "pitch-12-{{ now().strftime('%Y-%m-%d-%H') }}",
                        "label": "Pitch 12",
                    },
                    "response_variable": "key",
                },
                {
                    "action": "persistent_notification.create",
                    "data": {
                        "title": "Message to the guest of Pitch 12",
                        "message": "Welcome! Type {{ key.pin }} and # at the gate and at your"
                        " cabin. The PIN works until tomorrow at 11:00.",
                    },
                },
            ],
            "mode": "single",
            "trace": {"stored_traces": 0},
        },
    )
