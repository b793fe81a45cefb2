"""Which component of Airflow a session of the database belongs to."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

from exporter.sources.database.models import Session

BY_WORD = (
    ("exporter", "exporter"),
    ("dag_file_processor", "dag_file_processor"),
    ("dag_processor", "dag_processor"),
    ("dagprocessor", "dag_processor"),
    ("scheduler", "scheduler"),
    ("triggerer", "triggerer"),
    ("api_server", "api_server"),
    ("apiserver", "api_server"),
    ("web_server", "web_server"),
    ("webserver", "web_server"),
    ("celery_worker", "celery_worker"),
    ("edge_worker", "edge_worker"),
    ("flower", "flower"),
    ("worker", "celery_worker"),
    ("task", "task"),
)
"""Components by a word in the application name or user; the first that is found."""
NOT_NAMES = re.compile(r"psycopg.*|python.*|libpq|mysqlclient|mysqldb|pymysql|gunicorn|uvicorn|celery|airflow|")
"""Application names that drivers and servers set by themselves: they do not say which component it is."""
PUNCTUATION = re.compile(r"[^a-z0-9]+")

ASYNCHRONOUS = frozenset({"api_server", "triggerer"})
"""Components whose asynchronous connections have no name: asyncpg sends none."""
NO_COMPONENTS = frozenset({"exporter", "database_server", "other_database", "other_application", "unknown"})
LOCAL = frozenset({"", "127.0.0.1", "::1"})
"""Addresses of the database's own machine, where several components or a pooler may be."""

ClientComponents = Mapping[tuple[str, int], str]
"""The component of clients by address and port, as far as the processes of this machine show it."""


def name_components(sessions: Sequence[Session], clients: ClientComponents) -> dict[int, str]:
    """The component of each session; one without a name may be that of the others at its address."""
    found = {one.id: name_component(one, clients) for one in sessions}
    neighbours: defaultdict[str, set[str]] = defaultdict(set)
    for one in sessions:
        if found[one.id] not in NO_COMPONENTS:
            neighbours[one.address].add(found[one.id])
    for one in sessions:
        around = neighbours[one.address]
        if found[one.id] == "unknown" and one.address not in LOCAL and len(around) == 1 and around <= ASYNCHRONOUS:
            found[one.id] = next(iter(around))
    return found


def name_component(session: Session, clients: ClientComponents) -> str:
    """The component: by the name that the client gives itself, by its process, or by the database user."""
    if session.is_exporter:
        return "exporter"
    if not session.is_client:
        return "database_server"
    if not session.is_own_database:
        return "other_database"
    application = clean_name(session.application)
    found = find_word(application) or clients.get((session.address, session.port), "")
    if found or not NOT_NAMES.fullmatch(application):
        return found or "other_application"
    return find_word(clean_name(session.user)) or "unknown"


def needs_process(session: Session) -> bool:
    """Whether only its process can say which component a session belongs to."""
    is_airflow = session.is_client and session.is_own_database and not session.is_exporter
    return is_airflow and session.port > 0 and not find_word(clean_name(session.application))


def clean_name(name: str) -> str:
    """A name in small letters, with its words separated by underscores."""
    return PUNCTUATION.sub("_", name.lower()).strip("_")


def find_word(name: str) -> str:
    """The component that a name contains as a word; empty if it contains none."""
    padded = f"_{name}_"
    return next((component for word, component in BY_WORD if f"_{word}_" in padded), "")
