"""Client for the Salto KS Connect API: one method for each call, typed in and out.

It keeps no state of the site, so what it returns is what Salto said just now. Paths use
version 1.2 (both versions are live and mostly interchangeable, MEAS).
"""

from collections.abc import Callable

from .caller import Caller
from .iq_pin import KEEP_PIN
from .models import (
    Iq,
    IqActivation,
    IqId,
    Lock,
    LockCommand,
    LockId,
    PinChannel,
    Site,
    SiteId,
    SiteMember,
    Subscription,
    secret_from_api,
)


class SaltoKsClient(Caller):
    """Read a site and command its doors."""

    async def sites(self) -> tuple[Site, ...]:
        """List the sites that the account sees (MEAS)."""
        return await self.read_all("/v1.2/sites", Site.from_api, lambda site: site.id)

    async def site(self, site_id: SiteId) -> Site:
        """Read one site (MEAS)."""
        return Site.from_api(await self.read("/v1.2/sites/{site}", site=site_id))

    async def subscription(self, site_id: SiteId) -> Subscription:
        """Read which features the site has (MEAS)."""
        return Subscription.from_api(
            await self.read("/v1.2/sites/{site}/subscription", site=site_id)
        )

    async def site_member(self, site_id: SiteId) -> SiteMember:
        """Read the account as a user of the site (MEAS)."""
        return SiteMember.from_api(await self.read("/v1.2/sites/{site}/me", site=site_id))

    async def iqs(self, site_id: SiteId) -> tuple[Iq, ...]:
        """List the site's IQs (MEAS)."""
        return await self.read_all(
            "/v1.2/sites/{site}/iqs", Iq.from_api, lambda iq: iq.id, site=site_id
        )

    async def iq(self, site_id: SiteId, iq_id: IqId) -> Iq:
        """Read one IQ (MEAS)."""
        return Iq.from_api(await self.read("/v1.2/sites/{site}/iqs/{iq}", site=site_id, iq=iq_id))

    async def activations(self, site_id: SiteId) -> tuple[IqActivation, ...]:
        """List on which IQs of the site this account is activated (MEAS)."""
        return await self.read_all(
            "/v1.2/me/{site}/activated_iqs",
            IqActivation.from_api,
            lambda item: item.iq_id,
            site=site_id,
        )

    async def first_secret(self, site_id: SiteId, iq_id: IqId) -> str:
        """Read the IQ secret, which works until the account is activated (MEAS).

        Raises SaltoKsForbiddenError afterwards (403/2203): it can never be read again.
        """
        return secret_from_api(
            await self.read("/v1.2/sites/{site}/iqs/{iq}/secret", site=site_id, iq=iq_id)
        )

    async def request_pin(self, site_id: SiteId, iq_id: IqId, channel: PinChannel) -> None:
        """Make Salto send the account an IQ PIN; the answer never holds it (MEAS)."""
        await self.write(
            "GET",
            "/v1.2/sites/{site}/iqs/{iq}/pin",
            query={"send_email": "true"} if channel is PinChannel.EMAIL else None,
            site=site_id,
            iq=iq_id,
        )

    async def set_pin(
        self, site_id: SiteId, iq_id: IqId, *, otp: str, delta: str = KEEP_PIN
    ) -> None:
        """Activate the account on the IQ, or change its PIN by `delta` (MEAS).

        With the default delta on an activated IQ this changes nothing and so proves secret,
        PIN and clock without moving a door.
        """
        await self.write(
            "PUT",
            "/v1.2/sites/{site}/iqs/{iq}/pin",
            body={"otp": otp, "delta": delta},
            site=site_id,
            iq=iq_id,
        )

    async def restore_iq(self, site_id: SiteId, iq_id: IqId) -> None:
        """Put an IQ back to work after a hardware reset (CODE)."""
        await self.write("POST", "/v1.2/sites/{site}/iqs/{iq}/restore", site=site_id, iq=iq_id)

    async def locks(self, site_id: SiteId) -> tuple[Lock, ...]:
        """List the site's locks (MEAS)."""
        return await self.read_all(
            "/v1.2/sites/{site}/locks", Lock.from_api, lambda lock: lock.id, site=site_id
        )

    async def lock(self, site_id: SiteId, lock_id: LockId) -> Lock:
        """Read one lock (MEAS)."""
        return Lock.from_api(
            await self.read("/v1.2/sites/{site}/locks/{lock}", site=site_id, lock=lock_id)
        )

    async def command_lock(
        self,
        site_id: SiteId,
        lock_id: LockId,
        command: LockCommand,
        *,
        otp: str | Callable[[], str | None] | None,
    ) -> None:
        """Open a door once, or start or end its office mode; 200 and 204 are success (DOC, CODE).

        It is sent once. After SaltoKsConnectionError or SaltoKsServerError nobody knows
        whether the door has opened. Only a refused token is answered with one repetition, since
        such a request never reached the IQ; an `otp` that is a function is then asked anew, and
        may raise to leave it at that.
        """

        def body() -> dict[str, object]:
            value = otp() if callable(otp) else otp
            signature: dict[str, object] = {} if value is None else {"otp": value}
            return {"locked_state": command.value, **signature}

        await self.write(
            "PATCH",
            "/v1.2/sites/{site}/locks/{lock}/locking",
            body=body,
            site=site_id,
            lock=lock_id,
        )
