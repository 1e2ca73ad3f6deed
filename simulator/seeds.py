"""Worlds to start from: a campsite, an empty site, a full one and a large one."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, get_args

from .dice import Dice
from .world import (
    AccessGroup,
    Account,
    GroupId,
    Iq,
    IqId,
    Lock,
    LockId,
    OAuthClient,
    Person,
    PlatformUserId,
    Role,
    RoleId,
    Schedule,
    ScheduleId,
    Site,
    SiteId,
    SiteUser,
    SiteUserId,
    World,
)

type SeedName = Literal["campsite", "empty", "full", "large"]

SEED_NAMES: tuple[SeedName, ...] = get_args(SeedName.__value__)
CLIENT_SECRET = "not-a-real-client-secret"
LOCKS_PER_IQ = 16
"""Most locks on one IQ. Evidence: DOC."""

_ROLES = (
    ("Site Owner", "site_owner", True),
    ("Site Admin", "site_admin", True),
    ("Site User", "site_user", True),
    ("Site Guest", "site_guest", True),
    ("Site Mobile User", "site_mobile_user", False),
    ("Remote Office Mode", "site_remote_office_mode_user", False),
)


@dataclass(frozen=True, slots=True)
class Seeded:
    """A world and the names under which a client is set up in it."""

    world: World
    client_id: str
    username: str
    site_id: SiteId


def build(
    name: SeedName, dice: Dice, now: datetime, *, doors: int | None, users: int | None
) -> Seeded:
    """Return the world of a seed; `doors` and `users` are for `large` only.

    Raises ValueError for an unknown seed or numbers that do not belong to it.
    """
    if name not in SEED_NAMES:
        raise ValueError(f"a seed is one of {', '.join(SEED_NAMES)}, not {name!r}")
    if name != "large" and (doors is not None or users is not None):
        raise ValueError("the numbers of doors and users belong to the seed large")
    if min(doors or 0, users or 0) < 0:
        raise ValueError("the numbers of doors and users are not negative")
    builder = _Builder(dice, now)
    site = builder.start()
    match name:
        case "campsite":
            builder.campsite(site)
        case "full":
            builder.full(site)
        case "large":
            builder.large(site, 100 if doors is None else doors, 500 if users is None else users)
        case "empty":
            pass
    builder.world.watch()
    return Seeded(builder.world, builder.client.client_id, builder.service.username, site.id)


class _Builder:
    """Adds to a world that nobody watches yet."""

    def __init__(self, dice: Dice, now: datetime) -> None:
        self._dice = dice
        self._created_at = now - timedelta(days=30)
        self.world = World()
        self.client = self.world.insert(
            OAuthClient(client_id="demo-client", client_secret=CLIENT_SECRET)
        )
        # A sign that a form has to encode is part of the password on purpose.
        self.service, self._service_person = self._login(
            "homeassistant@example.com", "not+a&real=password", "Home", "Assistant"
        )

    def start(self) -> Site:
        """Add the main site with its owner and the service account."""
        return self.site("NL0000000001", "Camping De Zilverspar", self._service_person)

    def _login(
        self, username: str, password: str, first_name: str, last_name: str
    ) -> tuple[Account, Person]:
        person = self._person(
            first_name, last_name, email=username, phone="+31 0 0000 0000", has_profile=True
        )
        account = Account(username=username, password=password, user_id=person.id)
        return self.world.insert(account), person

    def _person(
        self,
        first_name: str | None,
        last_name: str | None,
        *,
        email: str | None = None,
        phone: str | None = None,
        has_profile: bool = False,
    ) -> Person:
        return self.world.insert(
            Person(
                id=PlatformUserId(self._dice.uuid()),
                first_name=first_name,
                last_name=last_name,
                email=email,
                phone=phone,
                has_profile=has_profile,
            )
        )

    def site(self, site_uid: str, name: str, *admins: Person, **more: Any) -> Site:
        """Add a site with roles, an owner and administrators who may open remotely."""
        owner = self._person(
            "Olga", "Owner", email=f"owner.{site_uid.lower()}@example.com", has_profile=True
        )
        site = self.world.insert(
            Site(
                id=SiteId(self._dice.uuid()),
                site_uid=site_uid,
                customer_reference=name,
                owner_id=owner.id,
                **more,
            )
        )
        for title, code, hierarchical in _ROLES:
            self.world.insert(
                Role(
                    id=RoleId(self._dice.uuid()),
                    site_id=site.id,
                    customer_reference=title,
                    code=code,
                    is_hierarchical=hierarchical,
                )
            )
        self.user(site, owner, "site_owner", ownership_state="owner")
        for admin in admins:
            self.user(
                site,
                admin,
                "site_admin",
                "site_remote_office_mode_user",
                remote_access=True,
            )
        return site

    def user(self, site: Site, person: Person, *roles: str, **more: Any) -> SiteUser:
        """Add a site user."""
        return self.world.insert(
            SiteUser(
                id=SiteUserId(self._dice.uuid()),
                site_id=site.id,
                user_id=person.id,
                role_ids=tuple(self.world.role(site.id, code).id for code in roles),
                created_at=self._created_at,
                **more,
            )
        )

    def guest(self, site: Site, alias: str, **more: Any) -> SiteUser:
        """Add a guest with a keypad PIN."""
        pin = self._dice.digits(6)
        person = self._person(None, None)
        return self.user(
            site, person, "site_guest", alias=alias, **({"use_pin": True, "pin": pin} | more)
        )

    def iq(self, site: Site, name: str, mac: str) -> Iq:
        """Add an IQ."""
        return self.world.insert(
            Iq(
                id=IqId(self._dice.uuid()),
                site_id=site.id,
                customer_reference=name,
                time_zone=site.time_zone,
                mac=mac,
            )
        )

    def lock(self, iq: Iq, name: str, lock_type: str, **more: Any) -> Lock:
        """Add a lock."""
        number = len(self.world.locks) + 1
        return self.world.insert(
            Lock(
                id=LockId(self._dice.uuid()),
                site_id=iq.site_id,
                iq_id=iq.id,
                customer_reference=name,
                lock_type=lock_type,
                mac=f"{number:014X}",
                **more,
            )
        )

    def group(
        self, site: Site, name: str, locks: list[Lock], users: list[SiteUser], **schedule: Any
    ) -> AccessGroup:
        """Add an access group with a schedule, by default one that always holds."""
        group = self.world.insert(
            AccessGroup(
                id=GroupId(self._dice.uuid()),
                site_id=site.id,
                customer_reference=name,
                lock_ids=tuple(lock.id for lock in locks),
                user_ids=tuple(user.user_id for user in users),
                created_at=self._created_at,
            )
        )
        self.world.insert(Schedule(id=ScheduleId(self._dice.uuid()), group_id=group.id, **schedule))
        return group

    def campsite(self, site: Site) -> None:
        """Furnish the main site, and add two more sites and a second account."""
        locks = self._campsite_locks(site)
        cleaner = self.user(
            site,
            self._person("Carla", "Cleaner"),
            "site_user",
            alias="Cleaning",
            use_pin=True,
            pin=self._dice.digits(6),
        )
        seasonal = self.guest(site, "Pitch 14, season")
        self.user(site, self._person("Rob", "Reception"), "site_user", alias="Reception")
        self.group(site, "Staff", list(locks.values()), [cleaner])
        shared = [locks["Main gate"], locks["Sanitary block north"], locks["Sanitary block south"]]
        self.group(site, "Season", shared, [seasonal])
        self._neighbours()

    def _campsite_locks(self, site: Site) -> Mapping[str, Lock]:
        reception = self.iq(site, "IQ Reception", "AA.BB.01")
        field = self.iq(site, "IQ Field", "AA.BB.02")
        plan: tuple[tuple[Iq, str, str, dict[str, Any]], ...] = (
            (reception, "Main gate", "wall_reader_pin", {"open_time": 10}),
            (reception, "Pedestrian gate", "wall_reader", {}),
            (reception, "Reception office", "escutcheon", {}),
            (reception, "Store room", "cylinder", {}),
            (reception, "Bicycle shed", "unknown", {"communication_type": "rf_net"}),
            (reception, "Energy cabinet", "none", {}),
            (field, "Sanitary block north", "escutcheon_pin", {}),
            (field, "Sanitary block south", "escutcheon_pin", {"battery_level": "low"}),
            (field, "Laundry", "wall_reader_pin", {}),
            (field, "Pitch 12 cabin", "escutcheon_pin", {}),
            (field, "Pitch 13 cabin", "escutcheon_pin", {"privacy_mode": True}),
            (
                field,
                "Pitch 21 cabin",
                "escutcheon_pin",
                {"online": False, "offline_since": self._created_at + timedelta(days=29)},
            ),
        )
        return {name: self.lock(iq, name, lock_type, **more) for iq, name, lock_type, more in plan}

    def _neighbours(self) -> None:
        """Add a site that both accounts see and one that only the second account sees."""
        _, other = self._login("other@example.com", "not-a-real-password", "Other", "Account")
        marina = self.site("NL0000000002", "Jachthaven De Steiger", self._service_person, other)
        self.lock(self.iq(marina, "IQ Harbour", "AA.BB.03"), "Jetty gate", "wall_reader_pin")
        park = self.site("BE0000000003", "Bungalowpark Elders", other, country_code="BE")
        self.lock(self.iq(park, "IQ Park", "AA.BB.04"), "Swimming pool", "escutcheon_pin")

    def full(self, site: Site) -> None:
        """Furnish the main site with guests on all of its seats."""
        iq = self.iq(site, "IQ Reception", "AA.BB.01")
        gate = self.lock(iq, "Main gate", "wall_reader_pin", open_time=10)
        guests = [self.guest(site, f"Pitch {number}") for number in range(1, 9)]
        self.group(site, "Guests", [gate], guests)
        site.subscribed_user_amount = self.world.seats_used(site.id)

    def large(self, site: Site, doors: int, users: int) -> None:
        """Furnish the main site with that many doors and guests, a group for each door."""
        locks: list[Lock] = []
        for number in range(doors):
            if number % LOCKS_PER_IQ == 0:
                count = number // LOCKS_PER_IQ
                iq = self.iq(
                    site, f"IQ {count + 1:03d}", f"AA.{count // 256:02X}.{count % 256:02X}"
                )
            locks.append(self.lock(iq, f"Door {number + 1:04d}", "escutcheon_pin"))
        guests = [
            self.guest(site, f"Guest {number + 1:05d}", pin=f"{number + 1:06d}")
            for number in range(users)
        ]
        for number, lock in enumerate(locks):
            self.group(site, f"Group {number + 1:04d}", [lock], guests[number :: len(locks)])
        site.subscribed_user_amount = self.world.seats_used(site.id) + users + 100
