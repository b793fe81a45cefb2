"""Faults that fail: one for each class of reasons, and retries that are far apart."""

from __future__ import annotations

from tests.e2e.diagnosis.faults.fault import Fault, make_fault
from tests.e2e.diagnosis.faults.limits import start_three, starting

KNOBS = {
    "network": "host",
    "timeout": "execution_timeout",
    "memory": "memory",
    "database": "database",
    "killed": "memory",
    "dependency": "service",
    "configuration": "connection",
    "disk": "disk",
    "code": "log",
    "command": "log",
}
"""A word of what to look at, by class."""


def fail(error_class: str, knob: str) -> Fault:
    """Tasks that fail for reasons of one class, more often than by chance."""
    dag_id = f"fails_by_{error_class}"
    return make_fault(f"fails: {error_class}", error_class, dag_id, knob, start_three(dag_id))


FAILURES = (
    *(fail(error_class, knob) for error_class, knob in KNOBS.items()),
    make_fault(
        "retries that are far apart",
        "retry_delay",
        "late_retries.fail_for_now",
        "retry_delay",
        starting("late_retries"),
    ),
)
