"""The table of routes: which handler answers what, in which versions, with which options."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from aiohttp import web

from .call import Call

type Handler = Callable[[Call], Awaitable[web.StreamResponse]]
type Version = Literal["v1.1", "v1.2"]

BOTH: tuple[Version, ...] = ("v1.1", "v1.2")
V1_1: tuple[Version, ...] = ("v1.1",)
V1_2: tuple[Version, ...] = ("v1.2",)

LIST_OPTIONS = frozenset({"$filter", "$orderby", "$top", "$skip", "$inlinecount"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One method on one path template, without the version in front."""

    method: str
    path: str
    handler: Handler
    versions: tuple[Version, ...]
    options: frozenset[str]
    public: bool

    @property
    def templates(self) -> list[str]:
        """The templates as they are served and as the journal names them."""
        return [f"/{version}{self.path}" for version in self.versions] or [self.path]


class RouteTable:
    """The routes of one subject, collected by decorating their handlers."""

    def __init__(self) -> None:
        self.routes: list[Route] = []

    def add(
        self,
        method: str,
        path: str,
        *,
        versions: tuple[Version, ...] = BOTH,
        options: frozenset[str] = frozenset(),
        public: bool = False,
    ) -> Callable[[Handler], Handler]:
        """Register a handler; `options` are the query options it takes, others are refused."""

        def register(handler: Handler) -> Handler:
            self.routes.append(
                Route(
                    method=method,
                    path=path,
                    handler=handler,
                    versions=versions,
                    options=options,
                    public=public,
                )
            )
            return handler

        return register

    def list(
        self, path: str, *, versions: tuple[Version, ...] = BOTH
    ) -> Callable[[Handler], Handler]:
        """Register a handler for GET of a list with the OData options."""
        return self.add("GET", path, versions=versions, options=LIST_OPTIONS)
