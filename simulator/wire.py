"""Records as the vendor's JSON. The sets of fields are measured unless a docstring says other."""

from datetime import UTC, datetime, timedelta
from typing import Any

from .quirks import Quirks
from .schedule import ScheduleRule
from .world import (
    WEEKDAYS,
    AccessGroup,
    Activation,
    Entry,
    Iq,
    Lock,
    Person,
    Role,
    Schedule,
    Site,
    SiteUser,
    World,
    events_ttl,
)

type Json = dict[str, Any]

_ENTRY_TTL_SLACK = timedelta(seconds=1, milliseconds=123)


def instant(moment: datetime | None) -> str | None:
    """Return an instant in UTC to the second, with a `Z`."""
    if moment is None:
        return None
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def person(record: Person, *, managed: bool) -> Json:
    """Return a platform user as it appears inside other objects. Evidence: MEAS."""
    return {
        "id": record.id,
        "email": record.email,
        "image_url": record.image_url,
        "tag_number": record.tag_number,
        "is_managed_by_current_site": managed,
        "has_profile": record.has_profile,
        "first_name": record.first_name,
        "last_name": record.last_name,
    }


def profile(record: Person) -> Json:
    """Return the caller's platform profile. Evidence: MEAS."""
    return {
        "id": record.id,
        "first_name": record.first_name,
        "last_name": record.last_name,
        "phone": record.phone,
        "email": record.email,
        "language": record.language,
        "tag_number": record.tag_number,
        "tag_rf_id_uid": None,
        "image_url": record.image_url,
    }


def site(record: Site, world: World) -> Json:
    """Return a site. Evidence: MEAS."""
    return {
        "id": record.id,
        "site_uid": record.site_uid,
        "customer_reference": record.customer_reference,
        "active_user_amount": world.seats_used(record.id),
        "active_iq_amount": len(world.iqs_of(record.id)),
        "pin_enabled": record.pin_enabled,
        "subscribed_user_amount": record.subscribed_user_amount,
        "subscription_valid": record.subscription_valid,
        "country_code": record.country_code,
        "time_zone": record.time_zone,
        "owner": person(world.people[record.owner_id], managed=False),
        "installation_state": record.installation_state,
        "mkey_compatible": record.mkey_compatible,
        "store_events_ttl": f"{record.events_ttl_days}.00:00:00",
    }


def subscription(record: Site) -> Json:
    """Return a site's subscription. Evidence: MEAS."""
    return {
        "user_amount": record.subscribed_user_amount,
        "type": record.subscription_type,
        "features": list(record.features),
    }


def iq(record: Iq) -> Json:
    """Return an IQ; whether it is activated is not in it. Evidence: MEAS."""
    return {
        "id": record.id,
        "customer_reference": record.customer_reference,
        "time_zone": record.time_zone,
        "mac": record.mac,
        "operator": record.operator,
        "state": record.state,
        "restore_required": record.restore_required,
        "reset_date": instant(record.reset_date),
        "online": record.online,
        "led_enabled": record.led_enabled,
        "data_sync_state": record.data_sync_state,
        "signal_strength": record.signal_strength,
        "revision": record.revision,
        "otp_enabled": record.otp_enabled,
    }


def lock(record: Lock, world: World) -> Json:
    """Return a lock; there is no `name`, no site and no door contact. Evidence: MEAS."""
    gateway = world.iq_of(record)
    return {
        "id": record.id,
        "customer_reference": record.customer_reference,
        "mac": record.mac,
        "floor": record.floor,
        "locked_state": record.locked_state,
        "lock_type": record.lock_type,
        "online": record.online,
        "iq_link_state": record.iq_link_state,
        "tag_registration_state": record.tag_registration_state,
        "battery_level": record.battery_level,
        "left_open_alarm": record.left_open_alarm,
        "intrusion_alarm": record.intrusion_alarm,
        "easy_office_mode_schedule": {
            "eom_auto_start": True,
            **dict.fromkeys(WEEKDAYS, True),
            "start_time": "00:00:00",
            "end_time": "23:59:59",
            "start_date": None,
            "end_date": None,
        },
        "iq": None if gateway is None else _lock_iq(gateway),
        "repeater": None,
        "privacy_mode": record.privacy_mode,
        "communication_type": record.communication_type,
        "vendor": {
            "id": "6f1d5c0e-0000-4000-8000-000000000001",
            "reference": "sallis",
            "display_name": "SALTO Sallis",
        },
        "offline_access_keys_limit": record.offline_access_keys_limit,
        "offline_access_keys_count": record.offline_access_keys_count,
    }


def _lock_iq(record: Iq) -> Json:
    return {
        "id": record.id,
        "customer_reference": record.customer_reference,
        "mac_address": record.mac,
        "is_online": record.online,
        "revision": record.revision,
        "otp_enabled": record.otp_enabled,
    }


def lock_settings(record: Lock) -> Json:
    """Return a lock's settings. Evidence: CODE for the path, UNK for the fields."""
    return {"open_time": record.open_time}


def role(record: Role) -> Json:
    """Return a role. Evidence: MEAS."""
    return {
        "id": record.id,
        "customer_reference": record.customer_reference,
        "code": record.code,
        "parent_id": record.parent_id,
        "is_hierarchical": record.is_hierarchical,
    }


def user(record: SiteUser, world: World, *, settled: bool = True) -> Json:
    """Return a site user; `roles` may still be empty on a new one. Evidence: MEAS."""
    owner = world.people[record.user_id]
    return {
        "id": record.id,
        "user": person(owner, managed=not owner.has_profile),
        "roles": [role(world.roles[item]) for item in record.role_ids] if settled else [],
        "alias": record.alias,
        "toggle_easy_office_mode": record.toggle_easy_office_mode,
        "toggle_manual_office_mode": record.toggle_manual_office_mode,
        "remote_access": record.remote_access,
        "blocked": record.blocked,
        "tag_owned_by_this_site": record.tag_owned_by_this_site,
        "subscription_state": record.subscription_state,
        "override_privacy_mode": record.override_privacy_mode,
        "use_pin": record.use_pin,
        "data_removal_expires_at": instant(record.data_removal_expires_at),
        "expires_at": instant(record.expires_at),
    }


def own_user(record: SiteUser, world: World) -> Json:
    """Return the caller as a site user. Evidence: MEAS."""
    return user(record, world) | {
        "ownership_state": record.ownership_state,
        "member_of_pods": [],
        "guest_of_pods": [],
    }


def key(record: SiteUser) -> Json:
    """Return a user's PIN as a key, without the PIN. Evidence: MEAS."""
    return {
        "type": "pin",
        "key_identifier": "pin",
        "expiry_date": instant(record.pin_expiry_date),
        "offline_access": False,
    }


def own_activation(record: Activation) -> Json:
    """Return one of the caller's activations. Evidence: MEAS."""
    return {
        "iq_id": record.iq_id,
        "activation_date": instant(record.activation_date),
        "activated": record.activated,
    }


def users_iq(record: Iq) -> Json:
    """Return an IQ that a user has activated. Evidence: MEAS."""
    return {
        "id": record.id,
        "customer_reference": record.customer_reference,
        "otp_enabled": record.otp_enabled,
    }


def group(record: AccessGroup) -> Json:
    """Return an access group. Evidence: MEAS for the creation, INF for reading."""
    return {"id": record.id, "customer_reference": record.customer_reference}


def group_lock(record: Lock) -> Json:
    """Return a door of an access group. Evidence: INF."""
    return {"id": record.id, "customer_reference": record.customer_reference}


def group_user(record: SiteUser, world: World) -> Json:
    """Return a member of an access group, with both of its ids. Evidence: INF."""
    return {
        "id": record.id,
        "user": person(world.people[record.user_id], managed=False),
        "alias": record.alias,
    }


def schedule(record: Schedule) -> Json:
    """Return a time schedule, its times without a zone. Evidence: MEAS."""
    rule = ScheduleRule.of(record)
    return {
        "id": record.id,
        **dict(zip(WEEKDAYS, rule.days, strict=True)),
        "start_time": rule.start_time.isoformat(),
        "end_time": rule.end_time.isoformat(),
        "start_date": None if rule.start_date is None else rule.start_date.isoformat(),
        "end_date": None if rule.end_date is None else rule.end_date.isoformat(),
    }


def entry(record: Entry, world: World, zone: Any) -> Json:
    """Return a line of the door log. Evidence: MEAS."""
    door = world.locks.get(record.lock_id)
    gateway = None if door is None else world.iq_of(door)
    ttl = events_ttl(world.sites[record.site_id])
    expires = (record.utc_date_time + ttl + _ENTRY_TTL_SLACK).astimezone(UTC)
    local = record.utc_date_time.astimezone(zone)
    return {
        "id": record.id,
        "event_category": record.event_category,
        "event_detail": record.event_detail,
        "utc_date_time": instant(record.utc_date_time),
        "local_date_time": local.strftime("%Y-%m-%dT%H:%M:%S"),
        "lock_id": record.lock_id,
        "lock_mac_address": None if door is None else door.mac,
        "lock_customer_reference": None if door is None else door.customer_reference,
        "user_id": record.user_id,
        "user_first_name": record.user_first_name,
        "user_last_name": record.user_last_name,
        "user_image_url": None,
        "user_alias": record.user_alias,
        "iq_id": None if gateway is None else gateway.id,
        "iq_customer_reference": None if gateway is None else gateway.customer_reference,
        "iq_mac_address": None if gateway is None else gateway.mac,
        "iq_revision": None if gateway is None else gateway.revision,
        "exit_requested": record.exit_requested,
        "access_by": record.access_by,
        "access_detail": record.access_detail,
        "ttl_in_seconds": int(ttl.total_seconds()),
        "expiration_date_time": expires.strftime("%Y-%m-%dT%H:%M:%S.")
        + f"{expires.microsecond // 1000:03d}Z",
    }


def error(code: int, message: str, quirks: Quirks) -> Json:
    """Return the error envelope. Evidence: MEAS."""
    return {
        "ErrorCode": str(code) if quirks.error_code == "string" else code,
        "Message": message,
    }
