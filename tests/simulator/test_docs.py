"""The page about the simulator says what the simulator does."""

from dataclasses import fields
from pathlib import Path
import re
from typing import Any

from simulator import Quirks
from simulator.control import add_control
from simulator.routes import ALL_ROUTES
from simulator.routing import Route

from .harness import Api
from .hub import connected

PAGE = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the table under a heading."""
    section = re.split(r"^#{2,3} ", PAGE.partition(f" {heading}\n")[2], flags=re.MULTILINE)[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[1:]]


def evidence(route: Route) -> str:
    """Return what a handler's docstring says about its evidence."""
    text = " ".join((route.handler.__doc__ or "").split())
    assert "Evidence: " in text, route.path
    return text.partition("Evidence: ")[2].rstrip(".")


def test_every_route_is_there_with_its_evidence() -> None:
    """Method, path, versions and tags are those of the handlers."""
    told = rows("Routes")
    assert told == [
        [
            f"`{route.method}`",
            f"`{route.path}`",
            " ".join(route.versions) or "–",
            evidence(route),
        ]
        for route in ALL_ROUTES
    ]


def test_every_quirk_is_there() -> None:
    """Names, values, tags and meanings are those of the dataclass."""
    told = rows("Quirks")
    assert told[: len(fields(Quirks))] == [
        [
            f"`{quirk.name}`",
            " · ".join(f"`{value}`" for value in quirk.metadata["values"])
            or f"number, `{quirk.default}`",
            quirk.metadata["evidence"],
            quirk.metadata["about"],
        ]
        for quirk in fields(Quirks)
    ]


def test_what_is_not_measured_is_listed_apart() -> None:
    """Every route and quirk tagged INF or UNK is in the list of its own."""
    apart = PAGE.partition("## Not measured")[2]
    for route in ALL_ROUTES:
        weak = bool(re.search("INF|UNK", evidence(route)))
        listed = f"| `{route.method} {route.path}` |" in apart
        if " ".join(route.versions) != "v1.2":
            assert listed is weak, route.path
    for quirk in fields(Quirks):
        weak = bool(re.search("INF|UNK", quirk.metadata["evidence"]))
        assert (f"| `{quirk.name}` |" in apart) is weak, quirk.name


def test_the_control_plane_is_there() -> None:
    """Every request of the control plane is described."""
    source = Path(add_control.__code__.co_filename).read_text(encoding="utf-8")
    requests = re.findall(r'\("(GET|POST|DELETE)", "(\w+)", control', source)
    assert len(requests) == 13
    for method, name in requests:
        assert re.search(rf"\| `{method} /_sim/{name}[`?]", PAGE), name


async def objects_of(api: Api) -> dict[str, Any]:
    """Return one of each object that the simulator sends."""
    guest = api.sim.world.guests[0]
    group = next(x for x in api.sim.world.groups.values() if guest.user_id in x.user_ids)
    lock = group.lock_ids[0]
    assert guest.pin is not None
    api.sim.keypad(lock, guest.pin)

    async def read(path: str, version: str = "v1.2") -> Any:
        return (await api.site("GET", path, version=version)).json

    async def first(path: str, version: str = "v1.2") -> Any:
        return (await read(path, version))["items"][0]

    site = await read("")
    own = await read("/me")
    user = await read(f"/users/{guest.id}")
    secret = await read(f"/iqs/{api.iq_id}/secret")
    activation = (await api.call("GET", f"/me/{api.site_id}/activated_iqs")).json["items"][0]
    api.sim.activate(api.iq_id)
    page = await read("/entries", "v1.1")
    async with connected(api) as listener:
        api.sim.keypad(lock, guest.pin)
        message = await listener.next()
    return {
        "token": (await api.log_in()).json,
        "list": await read("/locks"),
        "site": site,
        "person": site["owner"],
        "profile": (await api.call("GET", "/me")).json,
        "subscription": await read("/subscription"),
        "role": await first("/roles"),
        "iq": await first("/iqs"),
        "secret": secret,
        "own activation": activation,
        "user's IQ": await first(f"/users/{own['id']}/activated_iqs"),
        "lock": await first("/locks"),
        "lock's IQ": (await first("/locks"))["iq"],
        "lock settings": await read(f"/locks/{lock}/settings"),
        "site user": user,
        "own user": set(own) - set(user),
        "key": await first(f"/users/{guest.id}/keys"),
        "access group": await first("/access_groups"),
        "group lock": await first(f"/access_groups/{group.id}/locks"),
        "group user": await first(f"/access_groups/{group.id}/users"),
        "time schedule": await first(f"/access_groups/{group.id}/time_schedules", "v1.1"),
        "entries page": page,
        "entry": page["items"][0],
        "hub message": message,
        "negotiation": await listener.negotiate(),
        "error": await read("/nothing"),
    }


async def test_every_field_is_there(api: Api) -> None:
    """Each object is described with exactly the fields that go over the wire, and their tags."""
    sent = await objects_of(api)
    told = {row[0]: (set(re.findall(r"`(\w+)`", row[2])), row[3]) for row in rows("Objects")}
    assert {name: names for name, (names, _) in told.items()} == {
        name: set(item) for name, item in sent.items()
    }
    assert all(re.search("DOC|MEAS|CODE|INF|UNK", tags) for _, tags in told.values())
