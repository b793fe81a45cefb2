"""What a statement of Airflow is for, by its text. The texts themselves are never kept or shown."""

from __future__ import annotations

import re

INNER = re.compile(r"\([^()]*\)")
"""A pair of parentheses with none inside."""
SPACE = re.compile(r"\s+")
CHOICE = re.compile(r"\border by [^()]*priority_weight")
"""How the scheduler orders the task instances among which it chooses."""
NAME = r"(?:only )?(?:\w+ ?\. ?)?(?!as |where )(\w+)"
MAIN_TABLE = {
    "select": re.compile(rf"\bfrom {NAME}"),
    "insert": re.compile(rf"\binto {NAME}"),
    "replace": re.compile(rf"\binto {NAME}"),
    "update": re.compile(rf"^update {NAME}"),
    "delete": re.compile(rf"\bfrom {NAME}"),
}
SYSTEM = re.compile(
    r"\b(?:pg_catalog|pg_stat_\w+|pg_locks|pg_class|pg_type|current_setting|information_schema|performance_schema)\b"
)
BY_VERB = {
    **dict.fromkeys(
        ("begin", "commit", "rollback", "start", "savepoint", "release", "set", "show", "discard", "deallocate"),
        "transaction",
    ),
    **dict.fromkeys(("vacuum", "analyze", "reindex", "cluster", "checkpoint", "optimize"), "maintenance"),
    **dict.fromkeys(("create", "alter", "drop", "truncate", "comment"), "migration"),
    "explain": "monitoring",
    "delete": "deletion",
}
BY_TABLE = {
    "alembic_version": "migration",
    "serialized_dag": "dag_serialization",
    "dag_code": "dag_serialization",
    "dag_version": "dag_serialization",
    "dag_bundle": "dag_serialization",
    "import_error": "dag_serialization",
    "dag_warning": "dag_serialization",
    "dag_priority_parsing_request": "dag_serialization",
    "log": "audit_log",
    "xcom": "xcom",
    "rendered_task_instance_fields": "rendered_fields",
    "variable": "variables_and_connections",
    "connection": "variables_and_connections",
    "slot_pool": "pools",
    "trigger": "triggers",
    "task_reschedule": "reschedules",
    "celery_taskmeta": "celery_results",
    "celery_tasksetmeta": "celery_results",
    "session": "login_sessions",
    "job": "job_heartbeat",
}
BY_PREFIX = (
    ("asset", "assets"),
    ("dagrun_asset_", "assets"),
    ("dataset", "assets"),
    ("dag_schedule_", "assets"),
    ("ab_", "login_sessions"),
)


def find_purpose(statement: str) -> str:
    """What a statement is for: one of `database_names.PURPOSES`."""
    text = SPACE.sub(" ", statement.replace("`", "").replace('"', "").lower()).strip(" ;(")
    verb = text.partition(" ")[0].rstrip(";")
    if SYSTEM.search(text):
        return "monitoring"
    if verb in BY_VERB:
        return BY_VERB[verb]
    table = find_table(text, verb)
    if not table:
        return "transaction" if re.fullmatch(r"select (?:\$?\d+|\?)", text) else "other"
    locks = " for update" in text or " for no key update" in text
    if table == "slot_pool" and locks:
        return "critical_section"
    return BY_TABLE.get(table) or find_by_verb(text, verb, table, locks=locks)


def find_by_verb(text: str, verb: str, table: str, *, locks: bool) -> str:
    """The purpose of a statement on a table that is used for several. `locks` is whether it locks rows."""
    if table == "task_instance":
        if verb == "select":
            return "task_instance_list" if not locks else "critical_section" if CHOICE.search(text) else "task_state"
        return "task_heartbeat" if "set last_heartbeat_at" in text else "task_state"
    if table == "dag_run":
        return "dag_run_state" if verb != "select" else "dag_run_scheduling" if locks else "dag_run_list"
    if table == "dag":
        return "dag_run_scheduling" if locks else "dag_list" if verb == "select" else "dag_serialization"
    if table.startswith("dag_tag") or table == "dag_owner_attributes":
        return "dag_list" if verb == "select" else "dag_serialization"
    return next((purpose for prefix, purpose in BY_PREFIX if table.startswith(prefix)), "other")


def find_table(text: str, verb: str) -> str:
    """The table that a statement reads first, or changes; empty if it has none."""
    pattern = MAIN_TABLE.get(verb)
    if pattern is None:
        return ""
    flat = text
    while (shorter := INNER.sub("", flat)) != flat:
        flat = shorter
    found = pattern.search(SPACE.sub(" ", flat)) or pattern.search(text)
    return found[1] if found else ""
