"""How many lines a family adds to an exposition: what each label counts, times the values that are known in advance."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from exporter.metrics.family import Family, Kind

COUNTED: Mapping[str, str] = {
    "asset": "assets",
    "cgroup": "cgroups",
    "code": "status codes",
    "component": "components",
    "dag_id": "DAGs",
    "device": "devices",
    "endpoint": "endpoints",
    "event_type": "event types",
    "exception": "exception types",
    "exception_class": "exception types",
    "executor": "executors",
    "family": "metrics",
    "file": "DAG files",
    "framework": "frameworks",
    "from_platform": "platforms",
    "hostname": "triggerers",
    "mountpoint": "file systems",
    "object": "objects waited for",
    "operator": "operators",
    "outcome": "outcomes",
    "platform": "platforms",
    "pool": "pools",
    "queue": "queues",
    "reader": "readers",
    "reason": "reasons",
    "resource": "resources",
    "return_code": "exit codes",
    "run_type": "run types",
    "source": "sources",
    "state": "states",
    "statement": "statements",
    "status": "statuses",
    "task_id": "tasks",
    "to_platform": "target platforms",
    "tool": "tools",
    "toolset": "toolsets",
    "transport": "transports",
    "type": "types",
    "worker": "workers",
}
"""What there is one series for, for each value of a label."""
IMPLIED: Mapping[str, frozenset[str]] = {
    "dag_id": frozenset({"bundle", "file"}),
    "file": frozenset({"bundle"}),
    "mountpoint": frozenset({"device", "fstype"}),
    "object": frozenset({"reason"}),
    "reader": frozenset({"source"}),
    "statement": frozenset({"text"}),
    "task_id": frozenset({"dag_id"}),
}
"""Labels whose value follows from that of another one: a task has one DAG."""
DESCRIPTIVE = frozenset(
    {
        *("columns", "implementation", "major", "meaning", "minor", "owners", "patchlevel", "patience", "product"),
        *("python", "revision", "schedule", "setting", "tags", "team", "url", "version"),
    }
)
"""Labels that say more about the same series. Without teams, `team` is empty."""


def format_cardinality(family: Family) -> str:
    """The highest number of lines of a family, as a product such as `DAGs * 4`."""
    counted = [COUNTED[label] for label in list_counted(family)]
    if set(family.labels) - family.closed.keys() == {"team"}:
        counted = ["teams"]
    known = count_lines(family) * prod(map(len, family.closed.values()))
    return " * ".join([*counted, *([str(known)] if known > 1 or not counted else [])])


def list_counted(family: Family) -> list[str]:
    """The labels that multiply the series by a number that depends on the Airflow."""
    open_labels = [label for label in family.labels if label not in family.closed]
    implied = frozenset().union(*(IMPLIED.get(label, frozenset()) for label in open_labels))
    return [label for label in open_labels if label not in implied | DESCRIPTIVE]


def count_lines(family: Family) -> int:
    """Lines of one series: a histogram has its buckets with +Inf, a sum and a count, a native one none of them."""
    return len(family.buckets) + 3 if family.kind is Kind.HISTOGRAM and not family.native_only else 1
