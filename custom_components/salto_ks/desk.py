"""The front desk: what the card on a dashboard may ask for, and who may ask it.

Its users need no administrator's rights, so the actions are not for them. They ask by commands of
the WebSocket instead, which leave nothing in states, events or the recorder: an answer goes to
the one who asked. A site names who works at its desk, and nobody sees or changes a key with a
door that is not theirs to control.
"""

from collections.abc import Callable, Coroutine, Mapping
from functools import wraps
import re
from typing import Any, Final

from homeassistant.auth.permissions.const import POLICY_CONTROL
from homeassistant.components.websocket_api import async_register_command
from homeassistant.components.websocket_api.connection import ActiveConnection
from homeassistant.components.websocket_api.const import (
    ERR_HOME_ASSISTANT_ERROR,
    ERR_UNAUTHORIZED,
    WebSocketCommandHandler,
)
from homeassistant.components.websocket_api.decorators import async_response, websocket_command
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import ATTR_CONFIG_ENTRY_ID
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.translation import async_get_translations
import voluptuous as vol

from .const import CONF_FRONT_DESK, DOMAIN
from .coordinator import SaltoKsConfigEntry
from .domain.ids import DoorId, KeyId
from .domain.keys import KeyRecord, KeyStatus
from .door_ids import doors_beyond, entity_ids_of
from .errors import raised_as_home_assistant_errors
from .key_actions import (
    ATTR_DOORS,
    ATTR_ENDS_AT,
    ATTR_KEY_ID,
    ATTR_LABEL,
    ATTR_REASON,
    ATTR_STARTS_AT,
    async_by,
    described_handed_out,
    key_change,
    key_named,
    key_request,
)
from .site_keys import described_key
from .wording import async_said

ATTR_LANGUAGE: Final = "language"

SHOWN: Final = frozenset(KeyStatus) - {KeyStatus.REVOKED, KeyStatus.FAILED}
"""Where a key may stand to be on the list of the desk."""

_WORDS: Final = "desk_"
"""What the keys of the card's texts begin with, among the common ones."""

_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*")

_BASE: Final[Mapping[Any, Any]] = {
    vol.Optional(ATTR_LANGUAGE): vol.All(cv.string, vol.Match(rf"{_LANGUAGE.pattern}\Z"))
}
_SITE: Final[Mapping[Any, Any]] = {**_BASE, vol.Required(ATTR_CONFIG_ENTRY_ID): cv.string}
_KEY: Final[Mapping[Any, Any]] = {
    **_SITE,
    vol.Required(ATTR_KEY_ID): cv.string,
    vol.Optional(ATTR_REASON, default=""): cv.string,
}

type Message = dict[str, Any]
type Handler = Callable[[HomeAssistant, ActiveConnection, Message], Coroutine[Any, Any, Any]]


class NotAllowedError(Exception):
    """The user does not work at the desk of this site, or may not control a door of this key."""


@callback
def async_setup_desk(hass: HomeAssistant) -> None:
    """Register the commands."""
    for command in (
        _async_words,
        _async_sites,
        _async_keys,
        _async_issue,
        _async_show_pin,
        _async_change,
        _async_revoke,
    ):
        async_register_command(hass, command)


def _command(name: str, schema: Mapping[Any, Any]) -> Callable[[Handler], WebSocketCommandHandler]:
    """Make a command of a function: its result is the answer, what it raises an error in words."""

    def decorate(handler: Handler) -> WebSocketCommandHandler:
        @websocket_command({vol.Required("type"): f"{DOMAIN}/desk/{name}", **schema})
        @async_response
        @wraps(handler)
        async def answer(hass: HomeAssistant, connection: ActiveConnection, msg: Message) -> None:
            language = msg.get(ATTR_LANGUAGE) or hass.config.language
            try:
                result = await handler(hass, connection, msg)
            except NotAllowedError:
                text = (await _async_texts(hass, language)).get("not_allowed", ERR_UNAUTHORIZED)
                connection.send_error(msg["id"], ERR_UNAUTHORIZED, text)
            except HomeAssistantError as err:
                connection.send_error(
                    msg["id"],
                    ERR_HOME_ASSISTANT_ERROR,
                    await async_said(hass, err, language),
                    translation_domain=err.translation_domain,
                    translation_key=err.translation_key,
                    translation_placeholders=err.translation_placeholders,
                )
            else:
                connection.send_result(msg["id"], result)

        return answer

    return decorate


@_command("words", _BASE)
async def _async_words(
    hass: HomeAssistant, connection: ActiveConnection, msg: Message
) -> Mapping[str, Any]:
    """Give the card its texts."""
    return {"words": await _async_texts(hass, msg.get(ATTR_LANGUAGE) or hass.config.language)}


@_command("sites", _BASE)
async def _async_sites(
    hass: HomeAssistant, connection: ActiveConnection, msg: Message
) -> Mapping[str, Any]:
    """List the sites whose desk the user works at, with the doors that take a PIN."""
    entries: list[SaltoKsConfigEntry] = hass.config_entries.async_loaded_entries(DOMAIN)
    return {
        "sites": [
            {
                "config_entry_id": entry.entry_id,
                "title": entry.title,
                "active": entry.runtime_data.states.is_active(entry.runtime_data.site.site_id),
                "doors": _doors(hass, connection, entry),
            }
            for entry in entries
            if _works_at(connection, entry)
        ]
    }


@_command("keys", _SITE)
async def _async_keys(
    hass: HomeAssistant, connection: ActiveConnection, msg: Message
) -> Mapping[str, Any]:
    """List the keys of a site, newest first, without their PINs."""
    entry = _site(hass, connection, msg)
    return {
        "keys": [
            {**described_key(hass, record), "pin_kept": record.sealed_pin is not None}
            for record in entry.runtime_data.keys.manager.keys(statuses=SHOWN)
            if not doors_beyond(hass, connection.user, record.doors)
        ]
    }


@_command(
    "issue",
    {
        **_SITE,
        vol.Required(ATTR_DOORS): cv.entity_ids,
        vol.Required(ATTR_STARTS_AT): cv.datetime,
        vol.Required(ATTR_ENDS_AT): cv.datetime,
        vol.Optional(ATTR_LABEL, default=""): cv.string,
    },
)
async def _async_issue(
    hass: HomeAssistant, connection: ActiveConnection, msg: Message
) -> Mapping[str, Any]:
    """Issue a key, and show its PIN to the one who asked."""
    entry = _site(hass, connection, msg)
    _check_doors(connection, msg[ATTR_DOORS])
    with raised_as_home_assistant_errors(hass, entry):
        request = key_request(hass, entry, msg)
        by = await async_by(hass, connection.context(msg), msg)
        handed_out = await entry.runtime_data.keys.manager.issue(request, by)
    kept = handed_out.record.sealed_pin is not None
    return {**described_handed_out(hass, handed_out), "pin_kept": kept}


@_command("show_pin", _KEY)
async def _async_show_pin(
    hass: HomeAssistant, connection: ActiveConnection, msg: Message
) -> Mapping[str, Any]:
    """Show a PIN to the one who asked; the audit log knows who."""
    entry, key_id = _key_of(hass, connection, msg)
    with raised_as_home_assistant_errors(hass, entry):
        by = await async_by(hass, connection.context(msg), msg)
        handed_out = await entry.runtime_data.keys.manager.reveal(key_id, by)
    return {"key_id": key_id, "pin": handed_out.keypad_pin}


@_command(
    "change",
    {**_KEY, vol.Optional(ATTR_STARTS_AT): cv.datetime, vol.Optional(ATTR_ENDS_AT): cv.datetime},
)
async def _async_change(
    hass: HomeAssistant, connection: ActiveConnection, msg: Message
) -> Mapping[str, Any]:
    """Move the window of a key; the guest keeps the PIN."""
    entry, key_id = _key_of(hass, connection, msg)
    with raised_as_home_assistant_errors(hass, entry):
        change = key_change(hass, entry, msg)
        by = await async_by(hass, connection.context(msg), msg)
        record = await entry.runtime_data.keys.manager.change(key_id, change, by)
    return {"key": described_key(hass, record)}


@_command("revoke", _KEY)
async def _async_revoke(
    hass: HomeAssistant, connection: ActiveConnection, msg: Message
) -> Mapping[str, Any]:
    """Take a key back."""
    entry, key_id = _key_of(hass, connection, msg)
    with raised_as_home_assistant_errors(hass, entry):
        by = await async_by(hass, connection.context(msg), msg)
        record = await entry.runtime_data.keys.manager.revoke(key_id, by)
    return {"key": described_key(hass, record)}


def _site(hass: HomeAssistant, connection: ActiveConnection, msg: Message) -> SaltoKsConfigEntry:
    """Return the site that is meant. Raises NotAllowedError, for one that is not there as well.

    Who does not work at a desk is not told which sites there are.
    """
    entry = hass.config_entries.async_get_entry(msg[ATTR_CONFIG_ENTRY_ID])
    if (
        entry is None
        or entry.domain != DOMAIN
        or entry.state is not ConfigEntryState.LOADED
        or not _works_at(connection, entry)
    ):
        raise NotAllowedError
    return entry


def _key_of(
    hass: HomeAssistant, connection: ActiveConnection, msg: Message
) -> tuple[SaltoKsConfigEntry, KeyId]:
    """Return site and id of the key that is meant. Raises NotAllowedError.

    A key that is not there is left to the manager, which says so. Raises Home Assistant's errors
    for what is no key's id.
    """
    entry = _site(hass, connection, msg)
    with raised_as_home_assistant_errors(hass, entry):
        key_id = key_named(msg)
    record: KeyRecord | None = entry.runtime_data.keys.manager.get(key_id)
    if record is not None and doors_beyond(hass, connection.user, record.doors):
        raise NotAllowedError
    return entry, key_id


def _works_at(connection: ActiveConnection, entry: SaltoKsConfigEntry) -> bool:
    """Tell whether a user may work at the desk of a site."""
    user = connection.user
    return user.is_admin or user.id in entry.options.get(CONF_FRONT_DESK, ())


def _check_doors(connection: ActiveConnection, entity_ids: list[str]) -> None:
    """Raise NotAllowedError for a door that is not the user's to control."""
    if not _may_control(connection, entity_ids):
        raise NotAllowedError


def _may_control(connection: ActiveConnection, entity_ids: list[str]) -> bool:
    """Tell whether a user may control all of these doors."""
    may = connection.user.permissions.check_entity
    return all(may(entity_id, POLICY_CONTROL) for entity_id in entity_ids)


def _doors(
    hass: HomeAssistant, connection: ActiveConnection, entry: SaltoKsConfigEntry
) -> list[dict[str, str]]:
    """List the doors at which a PIN can be typed and that the user may control, by name."""
    locks = entry.runtime_data.doors.data.locks.values()
    found = []
    for lock in locks:
        for entity_id in entity_ids_of(hass, [DoorId(lock.id)]) if lock.has_keypad else ():
            if _may_control(connection, [entity_id]):
                state = hass.states.get(entity_id)
                found.append({"entity_id": entity_id, "name": state.name if state else lock.name})
    return sorted(found, key=lambda door: door["name"].casefold())


async def _async_texts(hass: HomeAssistant, language: str) -> dict[str, str]:
    """Return the texts of the card in a language, English where there is none."""
    start = f"component.{DOMAIN}.common.{_WORDS}"
    texts = await async_get_translations(hass, language, "common", [DOMAIN])
    return {key.removeprefix(start): text for key, text in texts.items() if key.startswith(start)}
