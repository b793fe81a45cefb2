"""The pages and endpoints of the web server, from what the rest of the exporter tells them."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import (
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from exporter.collect.status import SourceStatus
from exporter.config.settings import Setting
from exporter.sources.directory import Named
from exporter.store import exposition
from exporter.store.exposition import Format
from exporter.store.store import Store
from exporter.web import pages
from exporter.web.compression import compress
from exporter.web.negotiation import accepts_gzip, choose_format, prefers_json
from exporter.web.runbook_files import list_runbooks, read_runbook
from exporter.web.runbook_pages import choose_labels, fill_labels, find_title, show_runbook

Render = Callable[[Store, Format, frozenset[str]], Iterator[bytes]]

TELEMETRY_PATH = re.compile(r"/[A-Za-z0-9/_.~-]*\Z")
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": pages.POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "deny",
}
"""What every answer carries, unless the web configuration says otherwise."""
UNSUPPORTED = frozenset({"collect[]", "exclude[]"})
"""How node_exporter and others choose collectors at a scrape: what is read here does not depend on scrapes."""
MAX_TRIES = 200
"""How many tries one request may ask for."""
MAX_SCRAPES = 40
"""How many scrapes may be under way, as node_exporter's --web.max-requests."""


@dataclass(frozen=True, slots=True)
class Site:
    """What the pages show. The callables are called in the server's thread and must be quick, `reload` excepted."""

    store: Store
    ready: Callable[[], bool]
    """Whether each source was tried once."""
    sources: Callable[[], Sequence[SourceStatus]]
    configuration: Callable[[], Sequence[Setting]]
    refresh: Callable[[], None] = lambda: None
    """Brings the exporter's own families up to date before a scrape."""
    reload: Callable[[], None] | None = None
    """Reads the configuration anew; raises ValueError saying why it cannot be used. None: not enabled."""
    find_try: Callable[[str], Named | None] | None = None
    """The task of the try with a UUID; None: not known here, for want of Airflow's API."""
    render: Render = exposition.render


class Endpoints:
    """One method for each path."""

    def __init__(self, site: Site, telemetry_path: str, max_scrapes: int) -> None:
        self._site = site
        self._telemetry_path = telemetry_path
        self._max_scrapes = max_scrapes
        self._scrapes = 0
        self._reloading = asyncio.Lock()

    async def show_metrics(self, request: Request) -> Response:
        if unknown := request.query_params.keys() & UNSUPPORTED:
            return PlainTextResponse(f"{min(unknown)} is not supported: use name[]=FAMILY for single families.\n", 400)
        form = choose_format(request.headers.get("accept", ""))
        headers = {"Content-Type": form.content_type, "Vary": "Accept, Accept-Encoding"}
        packed = accepts_gzip(request.headers.get("accept-encoding", ""))
        if packed:
            headers["Content-Encoding"] = "gzip"
        if request.method == "HEAD":
            answer = Response(headers=headers)
            del answer.headers["Content-Length"]  # which is not known without rendering
            return answer
        if self._scrapes >= self._max_scrapes:
            return PlainTextResponse("Too many scrapes at once.\n", 503, {"Retry-After": "1"})
        names = frozenset(request.query_params.getlist("name[]"))
        self._site.refresh()
        chunks = self._site.render(self._site.store, form, names)
        return Scrape(self, compress(chunks) if packed else chunks, headers)

    def count_scrape(self, change: int) -> None:
        """Note that a scrape began (1) or ended (-1)."""
        self._scrapes += change

    async def show_landing(self, _: Request) -> Response:
        return HTMLResponse(pages.show_landing(self._site.sources(), self._telemetry_path, time.time()))

    async def show_sources(self, request: Request) -> Response:
        sources = self._site.sources()
        if prefers_json(request):
            return JSONResponse({"sources": [asdict(source) for source in sources]})
        return HTMLResponse(pages.show_sources(sources, time.time()))

    async def show_configuration(self, request: Request) -> Response:
        settings = self._site.configuration()
        if prefers_json(request):
            return JSONResponse({"configuration": [setting._asdict() for setting in settings]})
        return HTMLResponse(pages.show_configuration(settings))

    async def list_runbooks(self, _: Request) -> Response:
        return HTMLResponse(pages.show_runbooks(list_runbooks()))

    async def show_runbook(self, request: Request) -> Response:
        """HTML for a browser, else Markdown; the query string has the labels of the alert that links here."""
        text = read_runbook(request.path_params["name"])
        if text is None:
            return PlainTextResponse("There is no runbook of that name; /runbooks lists those that there are.\n", 404)
        labels = choose_labels(text, request.query_params)
        vary = {"Vary": "Accept"}
        if "text/html" not in request.headers.get("accept", ""):
            return PlainTextResponse(fill_labels(text, labels), headers=vary)
        content = show_runbook(text, labels, list_runbooks(), "{}.md".format)
        return HTMLResponse(pages.show_runbook(find_title(text), content), headers=vary)

    async def redirect_to_runbooks(self, _: Request) -> Response:
        """The list without a slash at its end, wherever a reverse proxy has put it."""
        return RedirectResponse("../runbooks", 308)

    async def tell_tries(self, request: Request) -> Response:
        """The names of tries, for exporters on workers: those that are known, by UUID."""
        find = self._site.find_try
        if find is None:
            return PlainTextResponse("This exporter does not read Airflow's API: ask the one that does.\n", 404)
        named = {uuid: find(uuid) for uuid in request.query_params.getlist("uuid")[:MAX_TRIES]}
        return JSONResponse({"tries": {uuid: name._asdict() for uuid, name in named.items() if name}})

    async def tell_health(self, _: Request) -> Response:
        return PlainTextResponse("Healthy.\n")

    async def tell_readiness(self, _: Request) -> Response:
        if self._site.ready():
            return PlainTextResponse("Ready.\n")
        waiting = ", ".join(source.name for source in self._site.sources() if not source.attempted)
        return PlainTextResponse(f"Not ready: waiting for the first attempt of {waiting or 'the sources'}.\n", 503)

    async def reload(self, _: Request) -> Response:
        reload = self._site.reload
        if reload is None:
            return PlainTextResponse(
                "Reloading is not enabled: start with --web.enable-lifecycle, or use SIGHUP.\n", 403
            )
        async with self._reloading:
            try:
                await asyncio.to_thread(reload)
            except ValueError as error:
                return PlainTextResponse(f"The configuration was not reloaded, the old one stays:\n{error}\n", 500)
        return PlainTextResponse("The configuration was reloaded.\n")


class Scrape(StreamingResponse):
    """A rendering on its way to one client; each chunk is made when the one before it has been taken."""

    def __init__(self, endpoints: Endpoints, chunks: Iterator[bytes], headers: dict[str, str]) -> None:
        self._endpoints = endpoints
        self._turns = take_turns(chunks)
        super().__init__(self._turns, headers=headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._endpoints.count_scrape(1)
        try:
            # Whoever went away must not leave a rendering behind.
            async with aclosing(self._turns):
                await super().__call__(scope, receive, send)
        finally:
            self._endpoints.count_scrape(-1)


async def take_turns(chunks: Iterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Yield the chunks, letting other connections and threads go on in between."""
    try:
        for chunk in chunks:
            yield chunk
            await asyncio.sleep(0)
    finally:
        if isinstance(chunks, Generator):
            chunks.close()


def build_app(site: Site, telemetry_path: str, max_scrapes: int = MAX_SCRAPES) -> Starlette:
    """The application without its gate. Raises ValueError for a telemetry path that cannot be used."""
    endpoints = Endpoints(site, telemetry_path, max_scrapes)
    table: list[tuple[str, Any, list[str]]] = [
        ("/", endpoints.show_landing, ["GET"]),
        ("/-/healthy", endpoints.tell_health, ["GET"]),
        ("/-/ready", endpoints.tell_readiness, ["GET"]),
        ("/-/reload", endpoints.reload, ["POST", "PUT"]),
        ("/sources", endpoints.show_sources, ["GET"]),
        ("/config", endpoints.show_configuration, ["GET"]),
        ("/tries", endpoints.tell_tries, ["GET"]),
        ("/runbooks", endpoints.list_runbooks, ["GET"]),
        ("/runbooks/", endpoints.redirect_to_runbooks, ["GET"]),
        ("/runbooks/{name}", endpoints.show_runbook, ["GET"]),
    ]
    check_telemetry_path(telemetry_path, {path for path, _, _ in table[1:]})
    # First, so that metrics at / take the place of the landing page.
    table.insert(0, (telemetry_path, endpoints.show_metrics, ["GET"]))
    routes = [Route(path, endpoint, methods=methods) for path, endpoint, methods in table]
    app = Starlette(routes=routes, exception_handlers={HTTPException: explain})
    app.router.redirect_slashes = False
    return app


def check_telemetry_path(path: str, taken: set[str]) -> None:
    if not TELEMETRY_PATH.match(path):
        raise ValueError(f"web.telemetry-path {path!r} must begin with / and have letters, digits and /_.~- only")
    if path in taken:
        raise ValueError(f"web.telemetry-path {path!r} is a path of the exporter's own; choose another")


async def explain(_: Request, error: Exception) -> Response:
    """The answer where there is no page, or not for this method."""
    status, headers = getattr(error, "status_code", 500), dict(getattr(error, "headers", None) or {})
    if status == 405:
        headers["Allow"] = ", ".join(sorted(headers.get("Allow", "").split(", ")))
        return PlainTextResponse(f"Method not allowed; use {headers['Allow']}.\n", status, headers)
    return PlainTextResponse("Not found; / has links to what there is.\n", status, headers)
