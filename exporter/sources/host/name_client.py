"""Names of tries from another exporter, which reads Airflow's API. Used on workers that cannot read it.

Only unknown tries are requested, in few small requests per round.
"""

from __future__ import annotations

import base64
import http.client
import json
import ssl
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import urlencode, urlsplit

from exporter.config.secret_file import SecretFile, clean_password
from exporter.config.settings import HostSettings
from exporter.metrics.family import Family
from exporter.metrics.reading import Reader, ReaderError, Reading
from exporter.redaction import hide, redact_foreign
from exporter.sources.directory import Directory, TaskKey

TIMEOUT = 5.0
"""Seconds per request."""
TRIES_PER_REQUEST = 100
"""Maximum tries per request."""
MAX_TRIES_PER_ROUND = 2_000
"""Maximum tries per round."""
MAX_REPLY_BYTES = 1_000_000
"""Maximum bytes read of a reply."""
PATH = "/tries"
REASONS = {401: "unauthorized", 403: "forbidden", 404: "not_found", 429: "rate_limited"}


class TaskNamesReader:
    """Requests the names of unknown tries and stores them in the directory."""

    name = "names"
    help = "Names of running tasks, from the exporter that reads Airflow's API"
    families: Sequence[Family] = ()

    def __init__(self, settings: HostSettings, directory: Directory, list_unnamed: Callable[[], list[str]]) -> None:
        self.interval = settings.interval
        self._settings = settings
        self._directory = directory
        self._list_unnamed = list_unnamed
        self._polls: int | None = None
        """How often the other exporter had polled Airflow at the last request; None where it was not asked."""
        file = settings.task_names_password_file
        self._password = SecretFile(file, "the password file", clean_password) if file else None

    def read(self) -> Reading:
        """Run one round of requests. Raises ReaderError."""
        wanted = self._list_unnamed()[:MAX_TRIES_PER_ROUND]
        found, polls = 0, None
        for start in range(0, len(wanted), TRIES_PER_REQUEST):
            tries, polls = decode_tries(self._request(wanted[start : start + TRIES_PER_REQUEST]))
            for uuid, named in tries.items():
                self._directory.record_try(named.dag_id, named.task_id, uuid)
            found += len(tries)
        if wanted:
            self._record_polls(polls)
        else:
            # Its polls are not followed meanwhile: they are no polls of a try that starts later.
            self._polls = None
        return Reading(notes=[f"{found} of {len(wanted)} tries have a name"])

    def _record_polls(self, polls: int | None) -> None:
        """Record a poll if the other exporter has polled Airflow again: until then it cannot know a new try.

        Its count starts at 0 when it restarts. Older releases do not send it, so each round counts as a poll.
        """
        before, self._polls = self._polls, polls
        if polls is None or (before is not None and polls not in (0, before)):
            self._directory.record_poll()

    def _request(self, uuids: list[str]) -> bytes:
        """The reply to one request. Raises ReaderError."""
        where = urlsplit(self._settings.task_names_from)
        query = urlencode([("uuid", uuid) for uuid in uuids])
        try:
            connection = open_connection(self._settings)
            try:
                connection.request("GET", f"{where.path}{PATH}?{query}", headers=self._headers())
                reply = connection.getresponse()
                content = reply.read(MAX_REPLY_BYTES)
            finally:
                connection.close()
        except ssl.SSLError as error:
            raise ReaderError("tls", f"{where.netloc}: {redact_foreign(str(error))}") from error
        except TimeoutError as error:
            raise ReaderError("timeout", f"{where.netloc} did not answer within {TIMEOUT:.0f} s") from error
        except (OSError, http.client.HTTPException) as error:
            said = redact_foreign(str(error))
            raise ReaderError("unreachable", f"{where.netloc}: {said}; is that exporter running?") from error
        if reply.status != http.client.OK:
            said = f"{reply.status} {redact_foreign(reply.reason)}"
            raise ReaderError(get_reason(reply.status), f"{where.netloc} answered {said}")
        return content

    def _headers(self) -> Mapping[str, str]:
        """Headers for basic auth. Raises ReaderError if the password file is not readable."""
        if self._password is None:
            return {}
        pair = f"{self._settings.task_names_username}:{self._password.read()}"
        encoded = base64.b64encode(pair.encode()).decode()
        hide(encoded)
        return {"Authorization": f"Basic {encoded}"}


class TaskNamesSource:
    """The other exporter, as a separate source: if it is slow, the host source does not wait for it."""

    name = "task_names"
    vital = ""
    refused = False

    def __init__(self, reader: TaskNamesReader, url: str) -> None:
        self.readers: Sequence[Reader] = (reader,)
        self._url = url

    def __str__(self) -> str:
        return f"the exporter at {self._url}"

    def connect(self) -> None:
        """Does nothing: each request opens a connection, because they are rare."""

    def begin(self, deadline: float) -> None:
        """Does nothing: a round has few requests, each with a timeout."""

    def close(self) -> None:
        """Does nothing: no connection stays open."""


def decode_tries(content: bytes) -> tuple[dict[str, TaskKey], int | None]:
    """The tasks in a reply, by UUID, and the number of polls, None if it is not sent. Raises ReaderError."""
    try:
        reply = json.loads(content)
        tries = reply["tries"].items()
        named = {uuid: TaskKey(check_text(ids["dag_id"]), check_text(ids["task_id"])) for uuid, ids in tries}
        polls = reply.get("polls")
        return named, polls if isinstance(polls, int) else None
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        said = redact_foreign(str(error))
        raise ReaderError("bad_reply", f"the reply is not from the path {PATH} of an exporter: {said}") from error


def check_text(value: object) -> str:
    """Raises TypeError."""
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a string")
    return value


def get_reason(status: int) -> str:
    """The reason for a status: one of `reading.REASONS`."""
    return REASONS.get(status, "server_error" if status >= 500 else "bad_request")


def open_connection(settings: HostSettings) -> http.client.HTTPConnection:
    """Raises OSError where a certificate's file cannot be used."""
    where = urlsplit(settings.task_names_from)
    if where.scheme == "http":
        return http.client.HTTPConnection(where.hostname or "", where.port, timeout=TIMEOUT)
    context = ssl.create_default_context(cafile=settings.task_names_ca_file)
    if settings.task_names_client_certificate_file:
        context.load_cert_chain(settings.task_names_client_certificate_file, settings.task_names_client_key_file)
    return http.client.HTTPSConnection(where.hostname or "", where.port, timeout=TIMEOUT, context=context)
