"""Salto KS for Home Assistant."""

from functools import partial
from typing import Final

from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import ConfigEntryError
from homeassistant.helpers import config_validation as cv, device_registry as dr
from homeassistant.helpers.start import async_at_started
from homeassistant.helpers.typing import ConfigType
from homeassistant.util import dt as dt_util

from .access_cursor import async_get_access_cursors
from .access_feed import SaltoKsAccessFeed
from .access_stream import AccessStream
from .api.access_events import AccessCategory, AccessEvent, AccessMethod
from .api.models import IqId, SiteId
from .booking_engine import BookingEngine
from .booking_services import async_setup_booking_services
from .booking_store import BookingStore
from .card import async_offer_card
from .const import (
    CONF_API_URL,
    CONF_IDENTITY_URL,
    CONF_IQ_ID,
    CONF_SITE_ID,
    DOMAIN,
    LOGGER,
    SUBENTRY_IQ,
)
from .coordinator import (
    SaltoKsConfigEntry,
    SaltoKsData,
    SaltoKsDoorsCoordinator,
    SaltoKsSiteCoordinator,
)
from .denials import denials_of, forget_denials
from .desk import async_setup_desk
from .devices import SiteDevices, async_device_ids
from .domain.ids import PersonId
from .door_commands import DoorCommands
from .door_events import DoorEvents
from .door_facts import conditions_from, facts_from, keypads_from, zones_from
from .explain_services import async_setup_explain_services
from .iq_credential import IqKey
from .iq_vault import async_get_iq_vault
from .issues import (
    BookingIssues,
    DefaultCodeIssue,
    IqIssues,
    KeyIssues,
    ReconciliationIssues,
    async_remove_issues,
)
from .keys.ledger import async_get_ledger
from .keys.pin_cipher import async_get_pin_cipher
from .seat_outlook import SeatOutlook
from .services import async_setup_services
from .session import async_create_session, create_client_from, server_url_error, stream_url_of
from .site_issues import SiteIssues
from .site_keys import SiteKeys
from .site_state import async_get_site_states
from .storage import FileUnusableError, StorageError
from .units import units_of

PLATFORMS: Final = (
    Platform.BINARY_SENSOR,
    Platform.BUTTON,
    Platform.CALENDAR,
    Platform.EVENT,
    Platform.LOCK,
    Platform.SENSOR,
    Platform.SWITCH,
)

_GOOD_ADDRESS: Final = "https://salto.example.com:8124"

CONFIG_SCHEMA: Final = cv.config_entry_only_config_schema(DOMAIN)


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:
    """Offer the actions, and the front desk with its card."""
    async_setup_services(hass)
    async_setup_booking_services(hass)
    async_setup_explain_services(hass)
    async_setup_desk(hass)
    await async_offer_card(hass)
    return True


async def async_setup_entry(hass: HomeAssistant, entry: SaltoKsConfigEntry) -> bool:
    """Connect to the site, read it once, and bring up its doors.

    What is changed in the entry meanwhile, as a unit that is deleted, counts from the next load,
    which then follows at once.
    """
    entry.async_on_unload(entry.add_update_listener(_async_reload))
    site_id = SiteId(entry.data[CONF_SITE_ID])
    _check_servers(entry)
    try:
        vault = await async_get_iq_vault(hass)
        states = await async_get_site_states(hass)
    except FileUnusableError as err:
        raise ConfigEntryError(
            translation_domain=DOMAIN,
            translation_key="storage_unreadable",
            translation_placeholders={"file": err.file},
        ) from err
    session = async_create_session(hass, auto_cleanup=True)
    client = create_client_from(session, entry.data)
    known = async_device_ids(dr.async_get(hass), entry.entry_id)
    site = SaltoKsSiteCoordinator(hass, entry, client, site_id)
    doors = SaltoKsDoorsCoordinator(hass, entry, client, site_id, known=known)
    await site.async_config_entry_first_refresh()
    await doors.async_config_entry_first_refresh()

    is_active = partial(states.is_active, site_id)
    set_up_iqs = _set_up_iqs(entry)  # When it changes the entry is loaded anew.
    commands = DoorCommands(
        client,
        vault,
        site_id=site_id,
        user_id=site.data.member.platform_id,
        set_up_iqs=lambda: set_up_iqs,
        is_active=is_active,
        clock=dt_util.utcnow,
        on_outcome=doors.async_note_outcome,
    )
    keys = SiteKeys(
        hass,
        entry,
        client,
        site_id,
        ledger=await async_get_ledger(hass, site_id),
        cipher=await async_get_pin_cipher(hass),
        facts=facts_from(doors),
        zone_of=zones_from(doors, site),
        is_active=is_active,
    )
    bookings = BookingStore(hass, site_id)
    await bookings.async_load()
    engine = BookingEngine(
        hass,
        entry,
        units=units_of(entry, hass.config.time_zone),
        store=bookings,
        keys=keys,
        has_keypad=keypads_from(doors),
        condition_of=conditions_from(doors),
        is_active=is_active,
    )
    seats = SeatOutlook(hass, entry, site=site, ledger=keys.ledger, bookings=engine)
    await seats.async_begin()
    cursors = await async_get_access_cursors(hass)
    feed = SaltoKsAccessFeed(hass, entry, client, site_id, cursors)
    entry.runtime_data = SaltoKsData(
        client=client,
        vault=vault,
        states=states,
        commands=commands,
        doors=doors,
        site=site,
        keys=keys,
        bookings=engine,
        seats=seats,
        denials=denials_of(hass, site_id),
        feed=feed,
        stream=AccessStream(
            hass,
            client,
            site_id,
            session=session,
            stream_url=stream_url_of(entry.data),
            feed=feed,
        ),
        door_events=DoorEvents(hass, entry),
    )
    devices = SiteDevices(hass, entry)
    await devices.async_begin()
    _async_follow(entry, devices, IqIssues(hass, entry))
    entry.async_on_unload(keys.async_listen(lambda _: site.async_read_soon()))
    _async_look_after_issues(hass, entry)
    await hass.config_entries.async_forward_entry_setups(entry, PLATFORMS)
    DefaultCodeIssue(hass, entry)
    keys.async_start()
    engine.async_start()
    _async_begin_reading(hass, entry)
    return True


def _check_servers(entry: SaltoKsConfigEntry) -> None:
    """Raise ConfigEntryError for an address that no form would have taken, as one without TLS."""
    for field in (CONF_API_URL, CONF_IDENTITY_URL):
        wrong = server_url_error(entry.data[field])
        if wrong == "url_insecure":
            raise ConfigEntryError(translation_domain=DOMAIN, translation_key="server_refused")
        if wrong is not None:
            raise ConfigEntryError(
                translation_domain=DOMAIN,
                translation_key="server_address_unusable",
                translation_placeholders={"example": _GOOD_ADDRESS},
            )


@callback
def _async_follow(entry: SaltoKsConfigEntry, devices: SiteDevices, issues: IqIssues) -> None:
    """Keep devices and the issues of IQs as the site, its doors and the credentials are."""
    data = entry.runtime_data
    doors, site = data.doors, data.site

    @callback
    def doors_changed() -> None:
        devices.async_update()
        issues.async_update()

    @callback
    def site_changed() -> None:
        doors_changed()
        doors.async_tell(*doors.data.iqs)

    @callback
    def credential_changed(key: IqKey) -> None:
        if key.site_id == site.site_id:
            issues.async_update()
            doors.async_tell(key.iq_id)

    issues.async_update()
    entry.async_on_unload(doors.async_add_listener(doors_changed))
    entry.async_on_unload(site.async_add_listener(site_changed))
    entry.async_on_unload(data.vault.subscribe(credential_changed))


@callback
def _async_begin_reading(hass: HomeAssistant, entry: SaltoKsConfigEntry) -> None:
    """Read the door log, at its own pace and when Salto tells of something live.

    That begins once Home Assistant has started: what happened while it was down is told then, and
    automations hear of nothing before.
    """
    data = entry.runtime_data
    feed, stream = data.feed, data.stream

    @callback
    def begin(_: HomeAssistant) -> None:
        entry.async_on_unload(feed.async_listen(partial(_async_note_uses, data.keys)))
        entry.async_on_unload(feed.async_listen(data.door_events.async_hear))
        entry.async_on_unload(feed.async_listen(data.denials.note))
        entry.async_create_background_task(hass, feed.async_refresh(), f"{DOMAIN} door log")
        entry.async_create_background_task(hass, stream.async_begin(), f"{DOMAIN} live events")

    entry.async_on_unload(stream.async_close)
    entry.async_on_unload(async_at_started(hass, begin))


@callback
def _async_look_after_issues(hass: HomeAssistant, entry: SaltoKsConfigEntry) -> None:
    """Raise what is the matter with keys, bookings and the site, and keep that up to date."""
    data = entry.runtime_data
    key_issues, booking_issues = KeyIssues(hass, entry), BookingIssues(hass, entry)
    entry.async_on_unload(data.site.async_add_listener(key_issues.async_update))
    key_issues.async_update()
    entry.async_on_unload(data.bookings.async_listen(booking_issues.async_update))
    booking_issues.async_update()
    reconciliation_issues = ReconciliationIssues(hass, entry)
    entry.async_on_unload(data.keys.async_listen_to_changes(reconciliation_issues.async_update))
    reconciliation_issues.async_update()
    SiteIssues(hass, entry).async_begin()


async def async_unload_entry(hass: HomeAssistant, entry: SaltoKsConfigEntry) -> bool:
    """Take the doors down, after the commands and the keys that are on their way."""
    await entry.runtime_data.feed.async_shutdown()  # What is read now would find no entity.
    await entry.runtime_data.commands.finish()
    await entry.runtime_data.bookings.async_close()
    await entry.runtime_data.keys.async_close()
    if entry.disabled_by is not None:
        async_remove_issues(hass, entry)
    return await hass.config_entries.async_unload_platforms(entry, PLATFORMS)


async def async_remove_entry(hass: HomeAssistant, entry: SaltoKsConfigEntry) -> None:
    """Take the issues back; what is in the vault stays, since it can never be read again.

    So does the ledger: its keys are still out. A site that is added again reads its door log from
    then on.
    """
    site_id = SiteId(entry.data[CONF_SITE_ID])
    async_remove_issues(hass, entry)
    forget_denials(hass, site_id)
    try:
        cursors = await async_get_access_cursors(hass)
        await cursors.forget(site_id)
    except StorageError as err:
        LOGGER.warning("How far the door log was read is still kept: %s", err)


async def async_remove_config_entry_device(
    hass: HomeAssistant, entry: SaltoKsConfigEntry, device: dr.DeviceEntry
) -> bool:
    """Let a person remove a device that Salto no longer lists, as far as that is known."""
    if entry.state is not ConfigEntryState.LOADED:
        return False
    data = entry.runtime_data
    kept = {data.site.site_id, *data.doors.data.known, *data.bookings.units}
    return not any(domain == DOMAIN and key in kept for domain, key in device.identifiers)


async def _async_note_uses(keys: SiteKeys, events: tuple[AccessEvent, ...]) -> None:
    """Have the key manager keep which PINs have opened a door, before the log is read on."""
    for event in events:
        opened = event.category == AccessCategory.LOCK_OPENED
        if opened and event.access_by == AccessMethod.PIN_CODE and event.person_id is not None:
            await keys.manager.note_use(PersonId(event.person_id), event.at)


async def _async_reload(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Load the entry anew with changed data, options or subentries."""
    hass.config_entries.async_schedule_reload(entry.entry_id)


def _set_up_iqs(entry: SaltoKsConfigEntry) -> frozenset[IqId]:
    """Return the IQs that have a subentry."""
    return frozenset(
        IqId(subentry.data[CONF_IQ_ID]) for subentry in entry.get_subentries_of_type(SUBENTRY_IQ)
    )
