"""A client of the query API that Prometheus, Thanos, Mimir and VictoriaMetrics share, on `requests`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import requests
from requests.auth import HTTPBasicAuth

from exporter.config.secret_file import SecretFile, clean_password, clean_token
from exporter.config.urls import mask_url
from exporter.redaction import redact_foreign
from exporter.tuning.series import PointSeries

MAX_POINTS = 10_000
"""Points of a series in one reply: Prometheus refuses more than 11,000."""
MAX_TEXT = 300
"""Characters of an error that are shown."""


class PrometheusError(Exception):
    """A question that was not answered; the message says what to do."""


@dataclass(frozen=True, slots=True)
class PrometheusSettings:
    """Where Prometheus is and how to log in."""

    url: str
    token_file: Path | None = None
    username: str = ""
    password_file: Path | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    skip_verify: bool = False
    headers: Mapping[str, str] | None = None
    """Further headers, such as X-Scope-OrgID of Mimir."""
    timeout: float = 60.0
    """Seconds for one question."""


class QueryRow(msgspec.Struct):
    """One series of a reply."""

    metric: dict[str, str]
    values: list[tuple[float, str]] = []
    value: tuple[float, str] | None = None


class QueryData(msgspec.Struct):
    """The series of a reply."""

    result: list[QueryRow] = []


class QueryReply(msgspec.Struct):
    """A reply, also one that says what is wrong."""

    status: str
    data: QueryData = msgspec.field(default_factory=QueryData)
    error: str = ""
    warnings: list[str] = []
    partial: bool = msgspec.field(default=False, name="isPartial")
    """VictoriaMetrics: not all of its nodes answered."""


class PrometheusClient:
    """Asks one Prometheus."""

    def __init__(self, settings: PrometheusSettings) -> None:
        self._settings = settings
        self._warnings: dict[str, None] = {}
        self._session = requests.Session()
        self._session.headers.update(settings.headers or {})
        # Given with each request: REQUESTS_CA_BUNDLE would else replace what the session has.
        self._verify = False if settings.skip_verify else str(settings.ca_file or "") or True
        if settings.cert_file:
            self._session.cert = (str(settings.cert_file), str(settings.key_file or settings.cert_file))

    @property
    def warnings(self) -> Iterable[str]:
        """What was said beside the answers, each once."""
        return self._warnings

    def query(self, expression: str, at: float) -> list[PointSeries]:
        """One value of each series. Raises PrometheusError."""
        rows = self._ask("query", {"query": expression, "time": f"{at:.3f}"})
        found = [PointSeries(row.metric, read_points([row.value])) for row in rows if row.value is not None]
        return [one for one in found if one.points]

    def query_range(self, expression: str, begin: float, end: float, step: float) -> list[PointSeries]:
        """The values of each series, `step` seconds apart, at multiples of `step`. Raises PrometheusError."""
        joined: dict[tuple[tuple[str, str], ...], dict[float, float]] = {}
        for first, last in split_range(begin, end, step):
            times = {"start": f"{first:.3f}", "end": f"{last:.3f}", "step": f"{step:.0f}"}
            # VictoriaMetrics would else go on with a value after its series has ended. Others ignore this parameter.
            times["max_lookback"] = f"{1000 * step - 1:.0f}ms"
            for row in self._ask("query_range", {"query": expression, **times}):
                joined.setdefault(tuple(sorted(row.metric.items())), {}).update(read_points(row.values))
        return [PointSeries(dict(labels), points) for labels, points in joined.items() if points]

    def _ask(self, endpoint: str, form: Mapping[str, str]) -> list[QueryRow]:
        settings = self._settings
        url = f"{settings.url.rstrip('/')}/api/v1/{endpoint}"
        try:
            response = self._session.post(
                url,
                data=form,
                auth=self._authorize,
                timeout=settings.timeout,
                verify=self._verify,
                allow_redirects=False,
            )
        except (requests.RequestException, OSError) as error:
            raise PrometheusError(explain(error, settings)) from error
        reply = read_reply(response, settings)
        self._warnings |= dict.fromkeys(redact_foreign(text)[:MAX_TEXT] for text in reply.warnings)
        if reply.partial:
            self._warnings["the answers are partial: not all nodes answered"] = None
        return reply.data.result

    def _authorize(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the credentials, read for each request: their files are renewed."""
        settings = self._settings
        if settings.token_file:
            token = SecretFile(settings.token_file, "--prometheus.bearer-token-file", clean_token).read()
            request.headers["Authorization"] = f"Bearer {token}"
        elif settings.username and settings.password_file:
            password = SecretFile(settings.password_file, "--prometheus.password-file", clean_password).read()
            HTTPBasicAuth(settings.username.encode(), password.encode())(request)
        return request


def read_reply(response: requests.Response, settings: PrometheusSettings) -> QueryReply:
    """A reply that says success. Raises PrometheusError."""
    host = mask_url(settings.url)
    if response.status_code in (401, 403):
        raise PrometheusError(
            f"{host} refuses the credentials (HTTP {response.status_code}); check --prometheus.…-file"
        )
    if response.is_redirect:
        raise PrometheusError(f"{host} redirects to another address; set --prometheus.url to that one")
    try:
        reply = msgspec.json.decode(response.content, type=QueryReply)
    except msgspec.DecodeError:
        text = redact_foreign(response.text)[:MAX_TEXT]
        raise PrometheusError(
            f"{host} did not answer as Prometheus does (HTTP {response.status_code}): {text}; check --prometheus.url"
        ) from None
    if reply.status != "success":
        raise PrometheusError(f"{host}: {redact_foreign(reply.error)[:MAX_TEXT]}")
    return reply


def read_points(values: Sequence[tuple[float, str] | None]) -> dict[float, float]:
    """Numbers by time; what is not a number is left out, infinity stays."""
    found = {float(pair[0]): float(pair[1]) for pair in values if pair is not None}
    return {moment: value for moment, value in found.items() if not math.isnan(value)}


def split_range(begin: float, end: float, step: float) -> Iterator[tuple[float, float]]:
    """Yield parts that one reply can hold, at multiples of `step`."""
    first = math.ceil(begin / step) * step
    while first <= end:
        last = min(end, first + (MAX_POINTS - 1) * step)
        yield first, last
        first += MAX_POINTS * step


def explain(error: Exception, settings: PrometheusSettings) -> str:
    """What went wrong, and what to set."""
    host = mask_url(settings.url)
    text = redact_foreign(str(error))[:MAX_TEXT]
    if isinstance(error, requests.exceptions.SSLError):
        return f"TLS with {host} failed: {text}; set --prometheus.ca-file to the authority that signed its certificate"
    if isinstance(error, requests.Timeout):
        return f"{host} did not answer in {settings.timeout:.0f} s; raise --prometheus.timeout or shorten --window"
    return f"{host} cannot be reached: {text}"
