"""Why the database did not answer: errors of the drivers as reasons and messages, without secrets and SQL."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError

from exporter.redaction import redact_foreign

BY_STATE = {
    "57014": "timeout",
    "55P03": "timeout",
    "42501": "forbidden",
    "3D000": "not_found",
    "28000": "unauthorized",
    "28P01": "unauthorized",
}
"""The reason of an error by PostgreSQL's SQLSTATE."""
BY_NUMBER = {
    1044: "unauthorized",
    1045: "unauthorized",
    1698: "unauthorized",
    1049: "not_found",
    1142: "forbidden",
    1143: "forbidden",
    1227: "forbidden",
    1205: "timeout",
    1969: "timeout",
    3024: "timeout",
}
"""The reason of an error by the number of MySQL or MariaDB."""
LOCK_TIMEOUT_STATE = "55P03"
LOCK_TIMEOUT_NUMBER = 1205
BY_TEXT = (
    # The limit of the exporter's own role: it says nothing of the connections of Airflow.
    ("too many connections for role", "unreachable"),
    ("too many clients", "full"),
    ("remaining connection slots", "full"),
    ("too many connections", "full"),
    ("no more connections allowed", "full"),
    ("password authentication failed", "unauthorized"),
    ("no pg_hba.conf entry", "unauthorized"),
    ("no such user", "unauthorized"),
    ("does not exist", "not_found"),
    ("no such database", "not_found"),
    ("certificate", "tls"),
    ("ssl", "tls"),
    ("timeout", "timeout"),
    ("timed out", "timeout"),
)
"""The reason of an error by what its text contains, in small letters: a failed connection has no number."""
MESSAGES = {
    "timeout": "{name} did not answer in time (--database.timeout): {text}",
    "forbidden": "{name} does not permit it to the exporter's user: {text}",
    "not_found": "{name} is not there: {text}",
    "unauthorized": "{name} refuses the user of the URL: {text}",
    "tls": "{name} cannot be reached by TLS: {text}",
    "unreachable": "{name} cannot be reached: {text}",
}
FULL = "{name} has no free connection: {text}"
MAX_LENGTH = 300
"""Characters of a message of the database that are shown."""


def classify(error: BaseException, name: str) -> tuple[str, str]:
    """The reason of a failure, one of REASONS, and its message."""
    reason, shown = find_reason(error), explain(error)
    if reason == "full":
        return "unreachable", FULL.format(name=name, text=shown)
    return reason, MESSAGES[reason].format(name=name, text=shown)


def is_full(message: str) -> bool:
    """Whether a message of `classify` says that the database has no free connection."""
    return "has no free connection" in message


def is_lock_timeout(error: DBAPIError) -> bool:
    """Whether a statement was given up because it waited too long for a lock."""
    number = error.orig.args[0] if error.orig is not None and error.orig.args else None
    return getattr(error.orig, "sqlstate", None) == LOCK_TIMEOUT_STATE or number == LOCK_TIMEOUT_NUMBER


def find_reason(error: BaseException) -> str:
    """The reason; "full" if the database accepts no more connections."""
    original = error.orig if isinstance(error, DBAPIError) else error
    state = getattr(original, "sqlstate", None)
    number = original.args[0] if original is not None and original.args else None
    known = BY_STATE.get(state or "") or (BY_NUMBER.get(number) if isinstance(number, int) else None)
    if known:
        return known
    lowered = str(original).lower()
    return next((reason for part, reason in BY_TEXT if part in lowered), "unreachable")


def explain(error: BaseException) -> str:
    """The message of an error on one line, without secrets, and without the statement that caused it."""
    original = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    primary = getattr(getattr(original, "diag", None), "message_primary", None)
    numbered = len(original.args) > 1 and isinstance(original.args[0], int)
    message = primary or (original.args[1] if numbered else str(original)) or type(original).__name__
    return " ".join(redact_foreign(str(message)).split())[:MAX_LENGTH]
