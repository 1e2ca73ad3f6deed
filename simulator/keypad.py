"""The decision a door takes when somebody types a PIN."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from .quirks import Quirks
from .rollout import FOREVER, RollOut, UserFact
from .world import Iq, Lock, Site, SiteUserId, World

type Reason = Literal[
    "granted",
    "no_keypad",
    "not_attached",
    "pin_disabled",
    "lock_offline",
    "unknown_pin",
    "use_pin_off",
    "no_access",
    "group_without_schedule",
    "blocked",
    "suspended",
    "expired",
    "outside_schedule",
    "privacy_mode",
    "not_rolled_out",
]
"""Why a door opened or did not. `not_rolled_out`: the service would say yes, the door has not
heard of it yet (it takes a while, or the door was offline when it was written)."""


@dataclass(frozen=True, slots=True)
class KeypadResult:
    """What happened at the keypad, and why."""

    result: Literal["opened", "rejected"]
    reason: Reason


@dataclass(frozen=True, slots=True)
class Decision:
    """What the door says, and whether the service would have said yes.

    `user` is the one whose PIN it was, None where the door knows no such PIN.
    """

    at_door: Reason
    user: SiteUserId | None
    granted_elsewhere: bool = False

    @property
    def opened(self) -> bool:
        """Tell whether the door opened."""
        return self.at_door == "granted"

    @property
    def reason(self) -> Reason:
        """The reason that helps: a door that does not know yet has no other."""
        return "not_rolled_out" if self.granted_elsewhere else self.at_door


@dataclass(frozen=True, slots=True, kw_only=True)
class Keypad:
    """A door with its surroundings, ready to be asked."""

    world: World
    rollout: RollOut
    quirks: Quirks
    site: Site
    lock: Lock

    def decide(self, pin: str, now: datetime) -> Decision:
        """Decide as the lock would, with what it knows. Evidence: DOC and MEAS, order INF."""
        refusal = self._closed_to_all()
        if refusal is not None:
            return Decision(refusal, None)
        iq = self.world.iq_of(self.lock)
        if iq is None:
            return Decision("not_attached", None)
        decision = self._ask(pin, now, iq, self.rollout.heard_at(self.lock))
        if not decision.opened and self._ask(pin, now, iq, FOREVER).opened:
            return Decision(decision.at_door, decision.user, granted_elsewhere=True)
        return decision

    def _closed_to_all(self) -> Reason | None:
        if not self.lock.has_keypad:
            return "no_keypad"
        if not self.site.pin_enabled:
            return "pin_disabled"
        if not self.lock.online and self.quirks.lock_offline_pin == "rejected":
            return "lock_offline"
        return None

    def _ask(self, pin: str, now: datetime, iq: Iq, moment: datetime) -> Decision:
        """Decide with what is known as of a moment; of several users the one that gets in."""
        answer = Decision("unknown_pin", None)
        for user, fact in self.rollout.users_with_pin(self.site.id, pin, moment):
            reason = self._reason(fact, now, iq, moment)
            known = reason not in {"use_pin_off", "no_access", "group_without_schedule"}
            answer = Decision(reason, user if known else None)
            if answer.opened:
                break
        return answer

    def _reason(self, fact: UserFact, now: datetime, iq: Iq, moment: datetime) -> Reason:
        """Decide about one user.

        A PIN without `use_pin`, or whose groups have no schedule, never got to the door, so the
        door does not know it (MEAS for the schedule).
        """
        if not fact.use_pin:
            return "use_pin_off"
        groups = list(self.rollout.groups_with(self.lock.id, fact.user_id, moment))
        if not groups:
            return "no_access"
        rules = [rule for group in groups for rule in self.rollout.schedules_of(group, moment)]
        if not rules:
            return "group_without_schedule"
        refusal = self._denied(fact, now)
        if refusal is not None:
            return refusal
        dates = self.quirks.dated_time_honoured
        if any(rule.holds(now, iq.time_zone, dates) for rule in rules):
            return "granted"
        return "outside_schedule"

    def _denied(self, fact: UserFact, now: datetime) -> Reason | None:
        if fact.blocked:
            return "blocked"
        if fact.suspended:
            return "suspended"
        ends = [fact.expires_at]
        if self.quirks.pin_expiry == "enforced":
            ends.append(fact.pin_expiry_date)
        if any(end is not None and end <= now for end in ends):
            return "expired"
        if self.lock.privacy_mode and not fact.override_privacy_mode:
            return "privacy_mode"
        return None
