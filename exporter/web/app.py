"""Endpoints of the web server: metrics, health, pages, runbooks, names of tries."""

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
from exporter.diagnosis.report import Diagnosis, HostSizing, to_json
from exporter.sources.directory import TaskKey
from exporter.store import exposition
from exporter.store.exposition import Format
from exporter.store.rendering import END
from exporter.store.store import Store
from exporter.web import pages
from exporter.web.compression import compress
from exporter.web.diagnosis_page import PageLinks, render_diagnosis_page, render_no_failed_try, select_dag
from exporter.web.negotiation import accepts_gzip, choose_format, prefers_json
from exporter.web.runbook_files import list_runbooks, read_runbook
from exporter.web.runbook_pages import fill_labels, get_title, render_runbook, select_labels
from exporter.web.style import CONTENT_SECURITY_POLICY

Render = Callable[[Store, Format, frozenset[str]], Iterator[bytes]]

TELEMETRY_PATH = re.compile(r"/[A-Za-z0-9/_.~-]*\Z")
DEFAULT_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "deny",
}
"""Headers of every response; the web configuration file can replace them."""
UNSUPPORTED_PARAMETERS = frozenset({"collect[]", "exclude[]"})
"""Parameters by which node_exporter chooses collectors. Here nothing is read at scrape time, so they cannot work."""
MAX_TRIES_PER_REQUEST = 200
"""UUIDs that one request to /tries may have."""
MAX_CONCURRENT_SCRAPES = 40
"""Scrapes that are served at the same time; as --web.max-requests of node_exporter."""


@dataclass(frozen=True, slots=True)
class AppContext:
    """What the endpoints need of the exporter. All but `reload` run in the event loop and must be fast."""

    store: Store
    ready: Callable[[], bool]
    """Whether every source was attempted once."""
    sources: Callable[[], Sequence[SourceStatus]]
    configuration: Callable[[], Sequence[Setting]]
    diagnosis: Callable[[], Diagnosis | None] = lambda: None
    """The newest diagnosis of what waits in Airflow."""
    sizing: Callable[[], Sequence[HostSizing]] = lambda: ()
    """What a slot costs on each machine, and how many more there is room for."""
    find_failed_log: Callable[[str, str], str] = lambda _dag_id, _task_id: ""
    """Returns the URL of the log of the last failed try of a task, or of a DAG if the task is empty; empty for none."""
    refresh: Callable[[], None] = lambda: None
    """Updates the `airflow_exporter_*` families before a scrape."""
    reload: Callable[[], None] | None = None
    """Reloads the configuration. Raises ValueError if it is invalid. None: reloading over HTTP is disabled."""
    find_try: Callable[[str], TaskKey | None] | None = None
    """Returns the task of the try with a UUID. None: this exporter does not read Airflow's API."""
    count_polls: Callable[[], int] = lambda: 0
    """Returns how many polls have recorded all tries that Airflow returned."""
    grafana_url: str = ""
    """URL of Grafana, for links to dashboards; empty for none."""
    render: Render = exposition.render


class Endpoints:
    """The handlers, one per path."""

    def __init__(self, context: AppContext, telemetry_path: str, max_scrapes: int) -> None:
        self._context = context
        self._telemetry_path = telemetry_path
        self._max_scrapes = max_scrapes
        self._open_scrapes = 0
        self._reloading = asyncio.Lock()

    async def get_metrics(self, request: Request) -> Response:
        """The exposition; `name[]` parameters choose single families."""
        if unknown := request.query_params.keys() & UNSUPPORTED_PARAMETERS:
            return PlainTextResponse(f"{min(unknown)} is not supported; use name[]=FAMILY to choose metrics.\n", 400)
        form = choose_format(request.headers.get("accept", ""))
        headers = {"Content-Type": form.content_type, "Vary": "Accept, Accept-Encoding"}
        use_gzip = accepts_gzip(request.headers.get("accept-encoding", ""))
        if use_gzip:
            headers["Content-Encoding"] = "gzip"
        if request.method == "HEAD":
            response = Response(headers=headers)
            del response.headers["Content-Length"]  # unknown without rendering
            return response
        if self._open_scrapes >= self._max_scrapes:
            return PlainTextResponse("Too many scrapes at the same time.\n", 503, {"Retry-After": "1"})
        names = frozenset(request.query_params.getlist("name[]"))
        self._context.refresh()
        chunks = self._context.render(self._context.store, form, names)
        return ScrapeResponse(self, compress(chunks) if use_gzip else chunks, headers)

    def change_open_scrapes(self, change: int) -> None:
        """Count a scrape that began (1) or ended (-1)."""
        self._open_scrapes += change

    async def get_landing_page(self, _: Request) -> Response:
        """The page `/`."""
        return HTMLResponse(pages.render_landing_page(self._context.sources(), self._telemetry_path, time.time()))

    async def get_diagnosis(self, request: Request) -> Response:
        """What waits, fails and costs, and what a slot costs, as a page or as JSON; `dag_id` chooses one DAG."""
        diagnosis, dag_id = self._context.diagnosis(), request.query_params.get("dag_id", "")
        if diagnosis is not None and dag_id:
            diagnosis = select_dag(diagnosis, dag_id)
        if prefers_json(request):
            return JSONResponse(to_json(diagnosis, self._context.sizing()))
        links = PageLinks(self._context.grafana_url, list_runbooks())
        return HTMLResponse(render_diagnosis_page(diagnosis, links, dag_id, self._context.sizing()))

    async def redirect_to_failed_log(self, request: Request) -> Response:
        """Redirect to the log of the last failed try of a DAG or task, in the Airflow that is configured."""
        dag_id, task_id = request.query_params.get("dag_id", ""), request.query_params.get("task_id", "")
        if not dag_id:
            return PlainTextResponse("Write /failed?dag_id=DAG or /failed?dag_id=DAG&task_id=TASK.\n", 400)
        url = self._context.find_failed_log(dag_id, task_id)
        return RedirectResponse(url, 302) if url else HTMLResponse(render_no_failed_try(dag_id, task_id), 404)

    async def get_sources(self, request: Request) -> Response:
        """The state of each source, as a page or as JSON."""
        sources = self._context.sources()
        if prefers_json(request):
            return JSONResponse({"sources": [asdict(source) for source in sources]})
        return HTMLResponse(pages.render_sources_page(sources, time.time()))

    async def get_configuration(self, request: Request) -> Response:
        """The configuration in use, as a page or as JSON."""
        settings = self._context.configuration()
        if prefers_json(request):
            return JSONResponse({"configuration": [setting._asdict() for setting in settings]})
        return HTMLResponse(pages.render_configuration_page(settings))

    async def get_runbooks(self, _: Request) -> Response:
        """The list of all runbooks."""
        return HTMLResponse(pages.render_runbook_list_page(list_runbooks()))

    async def get_runbook(self, request: Request) -> Response:
        """A runbook as HTML for browsers, else as Markdown; the query string has the labels of the alert."""
        text = read_runbook(request.path_params["name"])
        if text is None:
            return PlainTextResponse("There is no runbook of this name; /runbooks lists all runbooks.\n", 404)
        labels = select_labels(text, request.query_params)
        vary = {"Vary": "Accept"}
        if "text/html" not in request.headers.get("accept", ""):
            return PlainTextResponse(fill_labels(text, labels), headers=vary)
        content = render_runbook(text, labels, list_runbooks(), "{}.md".format)
        return HTMLResponse(pages.render_runbook_page(get_title(text), content), headers=vary)

    async def redirect_to_runbooks(self, _: Request) -> Response:
        """Redirect /runbooks/ to /runbooks; relative, so that it works behind a reverse proxy."""
        return RedirectResponse("../runbooks", 308)

    async def get_tries(self, request: Request) -> Response:
        """DAG and task of the tries with these UUIDs, for exporters on workers; unknown tries are left out.

        `polls` tells them whether a try that is left out may only have started after the last poll of Airflow.
        """
        find = self._context.find_try
        if find is None:
            return PlainTextResponse("This exporter does not read Airflow's API; ask the exporter that does.\n", 404)
        polls = self._context.count_polls()
        named = {uuid: find(uuid) for uuid in request.query_params.getlist("uuid")[:MAX_TRIES_PER_REQUEST]}
        return JSONResponse({"tries": {uuid: name._asdict() for uuid, name in named.items() if name}, "polls": polls})

    async def get_health(self, _: Request) -> Response:
        """Liveness: always status 200."""
        return PlainTextResponse("Healthy.\n")

    async def get_readiness(self, _: Request) -> Response:
        """Readiness: status 200 after the first attempt of each source, else 503."""
        if self._context.ready():
            return PlainTextResponse("Ready.\n")
        waiting = ", ".join(source.name for source in self._context.sources() if not source.attempted)
        return PlainTextResponse(f"Not ready: waiting for the first attempt of {waiting or 'the sources'}.\n", 503)

    async def reload(self, _: Request) -> Response:
        """Reload the configuration: 200, 403 if it is disabled, 500 if it is invalid."""
        reload = self._context.reload
        if reload is None:
            return PlainTextResponse(
                "Reloading over HTTP is disabled; start with --web.enable-lifecycle, or send SIGHUP.\n", 403
            )
        async with self._reloading:
            try:
                await asyncio.to_thread(reload)
            except ValueError as error:
                return PlainTextResponse(f"The configuration was not reloaded, the old one stays:\n{error}\n", 500)
        return PlainTextResponse("The configuration was reloaded.\n")


class ScrapeResponse(StreamingResponse):
    """A streamed exposition; each chunk is rendered when the chunk before it was sent."""

    def __init__(self, endpoints: Endpoints, chunks: Iterator[bytes], headers: dict[str, str]) -> None:
        self._endpoints = endpoints
        self._chunks = yield_control(chunks)
        super().__init__(self._chunks, headers=headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._endpoints.change_open_scrapes(1)
        try:
            # Close the rendering if the client disconnects.
            async with aclosing(self._chunks):
                await super().__call__(scope, receive, send)
        finally:
            self._endpoints.change_open_scrapes(-1)


async def yield_control(chunks: Iterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Yield the chunks without pauses, and let other connections and threads run after each."""
    try:
        for chunk in chunks:
            if chunk or chunk is END:
                yield chunk
            await asyncio.sleep(0)
    finally:
        if isinstance(chunks, Generator):
            chunks.close()


def build_app(context: AppContext, telemetry_path: str, max_scrapes: int = MAX_CONCURRENT_SCRAPES) -> Starlette:
    """The Starlette application, without AuthMiddleware. Raises ValueError for an invalid telemetry path."""
    endpoints = Endpoints(context, telemetry_path, max_scrapes)
    table: list[tuple[str, Any, list[str]]] = [
        ("/", endpoints.get_landing_page, ["GET"]),
        ("/-/healthy", endpoints.get_health, ["GET"]),
        ("/-/ready", endpoints.get_readiness, ["GET"]),
        ("/-/reload", endpoints.reload, ["POST", "PUT"]),
        ("/diagnosis", endpoints.get_diagnosis, ["GET"]),
        ("/failed", endpoints.redirect_to_failed_log, ["GET"]),
        ("/sources", endpoints.get_sources, ["GET"]),
        ("/config", endpoints.get_configuration, ["GET"]),
        ("/tries", endpoints.get_tries, ["GET"]),
        ("/runbooks", endpoints.get_runbooks, ["GET"]),
        ("/runbooks/", endpoints.redirect_to_runbooks, ["GET"]),
        ("/runbooks/{name}", endpoints.get_runbook, ["GET"]),
    ]
    check_telemetry_path(telemetry_path, {path for path, _, _ in table[1:]})
    # First, so that metrics at / replace the landing page.
    table.insert(0, (telemetry_path, endpoints.get_metrics, ["GET"]))
    routes = [Route(path, endpoint, methods=methods) for path, endpoint, methods in table]
    app = Starlette(routes=routes, exception_handlers={HTTPException: handle_http_error})
    app.router.redirect_slashes = False
    return app


def check_telemetry_path(path: str, taken: set[str]) -> None:
    """Raise ValueError for a path with other characters, or one that the exporter uses itself."""
    if not TELEMETRY_PATH.match(path):
        raise ValueError(f"web.telemetry-path {path!r} must begin with / and may only have letters, digits and /_.~-")
    # Below /runbooks/ no password is asked for.
    if path in taken or path.startswith("/runbooks/"):
        raise ValueError(f"web.telemetry-path {path!r} is already used by the exporter; choose another path")


async def handle_http_error(_: Request, error: Exception) -> Response:
    """The response for an unknown path or a wrong method."""
    status, headers = getattr(error, "status_code", 500), dict(getattr(error, "headers", None) or {})
    if status == 405:
        headers["Allow"] = ", ".join(sorted(headers.get("Allow", "").split(", ")))
        return PlainTextResponse(f"Method not allowed; use {headers['Allow']}.\n", status, headers)
    return PlainTextResponse("Not found; / has links to all pages.\n", status, headers)
