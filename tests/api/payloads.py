"""The vendor's objects in full, field by field as they were measured, with invented values."""

from typing import Any

from .accounts import IQ, LOCK, SITE

type Json = dict[str, Any]

PLATFORM_USER = "44444444-4444-4444-8444-444444444444"
SITE_USER = "55555555-5555-4555-8555-555555555555"
ROLE = "66666666-6666-4666-8666-666666666666"

SITE_OBJECT: Json = {
    "id": SITE,
    "site_uid": "NL0000000001",
    "customer_reference": "Demo campsite",
    "active_user_amount": 5,
    "active_iq_amount": 1,
    "pin_enabled": True,
    "subscribed_user_amount": 10,
    "subscription_valid": True,
    "country_code": "NL",
    "time_zone": "Europe/Amsterdam",
    "owner": {
        "email": "owner@example.com",
        "image_url": None,
        "tag_number": None,
        "is_managed_by_current_site": False,
        "has_profile": True,
        "id": PLATFORM_USER,
        "first_name": "O",
        "last_name": "W",
    },
    "installation_state": "released",
    "mkey_compatible": True,
    "store_events_ttl": "90.00:00:00",
}

SUBSCRIPTION_OBJECT: Json = {
    "user_amount": 40,
    "type": "pro",
    "features": ["events_streaming", "nfc", "custom_pin"],
}

ROLE_OBJECT: Json = {
    "id": ROLE,
    "customer_reference": "Site User",
    "code": "site_user",
    "parent_id": None,
    "is_hierarchical": True,
}

MEMBER_OBJECT: Json = {
    "id": SITE_USER,
    "user": {
        "id": PLATFORM_USER,
        "email": None,
        "image_url": None,
        "tag_number": None,
        "is_managed_by_current_site": True,
        "has_profile": False,
        "first_name": "A",
        "last_name": "B",
    },
    "roles": [ROLE_OBJECT],
    "alias": "",
    "toggle_easy_office_mode": False,
    "toggle_manual_office_mode": False,
    "remote_access": True,
    "blocked": False,
    "tag_owned_by_this_site": False,
    "subscription_state": "subscribed",
    "override_privacy_mode": False,
    "use_pin": True,
    "data_removal_expires_at": None,
    "expires_at": None,
    "ownership_state": "none",
    "member_of_pods": [],
    "guest_of_pods": [],
}

IQ_OBJECT: Json = {
    "id": IQ,
    "customer_reference": "IQ 01",
    "time_zone": "Europe/Amsterdam",
    "mac": "AA.BB.CC",
    "operator": "carrier",
    "state": "active",
    "restore_required": False,
    "reset_date": None,
    "online": True,
    "led_enabled": True,
    "data_sync_state": "not_synced",
    "signal_strength": 21,
    "revision": "2.0",
    "otp_enabled": True,
}

ACTIVATION_OBJECT: Json = {
    "iq_id": IQ,
    "activation_date": "2026-08-25T07:25:00.1234567Z",
    "activated": True,
}

LOCK_OBJECT: Json = {
    "id": LOCK,
    "customer_reference": "Gate",
    "mac": "0000000000000A",
    "floor": None,
    "locked_state": "locked",
    "lock_type": "escutcheon_pin",
    "online": True,
    "iq_link_state": "attached",
    "tag_registration_state": "not_started",
    "battery_level": "fresh",
    "left_open_alarm": False,
    "intrusion_alarm": False,
    "easy_office_mode_schedule": {
        "eom_auto_start": True,
        "monday": True,
        "start_time": "00:00:00",
        "end_time": "23:59:59",
        "start_date": None,
        "end_date": None,
    },
    "iq": {
        "id": IQ,
        "customer_reference": "IQ 01",
        "mac_address": "AA.BB.CC",
        "is_online": True,
        "revision": "2.0",
        "otp_enabled": True,
    },
    "repeater": None,
    "privacy_mode": False,
    "communication_type": "blue_net",
    "vendor": {"id": ROLE, "reference": "sallis", "display_name": "SALTO Sallis"},
    "offline_access_keys_limit": 360,
    "offline_access_keys_count": 1,
}


def numbered_id(number: int) -> str:
    """Return a UUID that is known by its number."""
    return f"00000000-0000-4000-8000-{number:012d}"


def lock_object(number: int, **changed: object) -> Json:
    """Return a lock of its own."""
    return (
        LOCK_OBJECT | {"id": numbered_id(number), "customer_reference": f"Door {number}"} | changed
    )
