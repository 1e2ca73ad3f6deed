"""The connection test: who may log in where, and what the account sees there.

Used by the set-up, by reauth and reconfigure, so that all of them name the same failures.
Knows nothing of Home Assistant.
"""

from dataclasses import dataclass

from .api.client import SaltoKsClient
from .api.models import Iq, Site, SiteMember


class SiteNotFoundError(Exception):
    """The account sees sites, but not the one that was asked for."""


class NoSitesError(Exception):
    """The account sees no site at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What there is at a site for this account."""

    site: Site
    member: SiteMember
    iqs: tuple[Iq, ...]


async def find_sites(client: SaltoKsClient, site_uid: str) -> tuple[Site, ...]:
    """Log in and return the site that was asked for, or all sites when none was.

    Raises SiteNotFoundError, NoSitesError, or from `SaltoKsError`.
    """
    await client.check_login()
    sites = await client.sites()
    if not sites:
        raise NoSitesError
    wanted = site_uid.strip().casefold()
    if not wanted:
        return sites
    found = tuple(site for site in sites if wanted in {site.site_uid.casefold(), site.id})
    if not found:
        raise SiteNotFoundError
    return found


async def survey(client: SaltoKsClient, site: Site) -> Ground:
    """Read what the set-up has to know of a site. Raises from `SaltoKsError`."""
    return Ground(
        site=site,
        member=await client.site_member(site.id),
        iqs=await client.iqs(site.id),
    )
