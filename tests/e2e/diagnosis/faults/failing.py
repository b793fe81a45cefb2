"""Faults that fail: one for each class of reasons, and retries that are far apart."""

from __future__ import annotations

from threading import Lock

from tests.e2e.diagnosis.faults.fault import Fault, make_fault
from tests.e2e.diagnosis.faults.limits import starting
from tests.e2e.diagnosis.faults.play import Play

RUNS = 5
TURN = Lock()
"""One class after the other: alerts look back on seconds here, and logs are read one by one."""
KNOBS = {
    "network": "host",
    "timeout": "execution_timeout",
    "memory": "memory",
    "database": "database",
    "killed": "memory",
    "dependency": "credentials",
    "configuration": "connection",
    "disk": "disk",
    "code": "log",
    "command": "log",
}
"""A word of what to look at, by class."""


def fail(error_class: str, knob: str) -> Fault:
    """Tasks that fail for reasons of one class, more often than by chance."""
    dag_id = f"fails_by_{error_class}"

    def begin(play: Play) -> None:
        with TURN:
            play.start(*[dag_id] * RUNS)
            play.wait_runs(dag_id, "failed", RUNS)

    return make_fault(f"fails: {error_class}", error_class, dag_id, knob, begin)


def time_out(play: Play) -> None:
    """A run takes longer than its DAG allows; no try of it fails."""
    play.start("takes_too_long")
    play.wait_runs("takes_too_long", "failed")


FAILURES = (
    *(fail(error_class, knob) for error_class, knob in KNOBS.items()),
    # Alerts about it need several failed runs.
    make_fault("a run that takes too long", "timeout", "takes_too_long", "dagrun_timeout", time_out, alerts=None),
    make_fault(
        "retries that are far apart",
        "retry_delay",
        "late_retries.fail_for_now",
        "retry_delay",
        starting("late_retries"),
    ),
)
