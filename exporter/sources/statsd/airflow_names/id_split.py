"""Splits legacy names into ids, and restores the dots that Airflow 3.3 sends as two underscores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, islice
from typing import NamedTuple

from exporter.sources.directory import Directory
from exporter.sources.statsd.airflow_names.custom import MAX_VALUE_LENGTH
from exporter.sources.statsd.model import IdCorrections

MAX_KNOWN_IDS = 10_000
"""DAG ids that are learned from tags and from names that contain no other id."""
MAX_PARTS = 100
"""Parts of a text that is split into ids; one with more has no ids of Airflow."""
MAX_SPLITS = 200
"""Splits of one name that are considered."""
DOTLESS_VARIABLES = frozenset({"state", "job_id", "return_code", "executor", "bundle", "event_type"})
"""Variables whose values never contain a dot."""
STATES = frozenset({
    "success", "failed", "skipped", "up_for_retry", "up_for_reschedule", "deferred", "removed", "restarting",
    "upstream_failed", "running", "queued", "scheduled", "shutdown", "awaiting_input", "None", "none",
})  # fmt: skip


class IdSplit(NamedTuple):
    """Values of the variables of a legacy name."""

    values: dict[str, str]
    ambiguous: bool
    """Whether another split is as plausible."""
    doubtful: bool = False
    """Whether two underscores in the ids may be a dot, and no known id decides it."""
    exact: bool = False
    """Whether the values are the parts of the name, whatever ids are known."""


class IdSplitter:
    """Splits names by the ids that are known: from the API, and from names that contain one id only."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self.revision = 0
        self._learned: set[str] = set()
        self._revision_seen = -1
        self._dags: dict[str, str] = {}
        self._tasks: dict[tuple[str, str], str] = {}
        self._doubtful: set[tuple[str, str]] = set()
        """DAG and task ids that were used as sent, although two underscores in them may be a dot."""

    def learn(self, dag_id: str, *, certain: bool = False) -> None:
        """Remember a DAG's id. Only one with a dot is likely to change how others are split; two underscores may be
        a dot, so they teach nothing unless it is `certain` that they are none. An id is cut to the length of labels.
        """
        dag_id = dag_id[:MAX_VALUE_LENGTH]
        if (certain or "__" not in dag_id) and dag_id not in self._learned and len(self._learned) < MAX_KNOWN_IDS:
            self._learned.add(dag_id)
            if "." in dag_id:
                self._revision_seen = -1
                self.revision += 1

    def learn_tag(self, dag_id: str, *, old: bool) -> None:
        """Remember a DAG's id from a tag, which has its dots; `old`: whether Airflow 2 sends."""
        if old or "__" in dag_id:
            self.learn(dag_id, certain=True)

    def split(self, variables: Sequence[str], text: str, *, dots_escaped: bool) -> IdSplit | None:
        """The values in a text that joins them by dots; None if it has too few parts or too many.

        `dots_escaped`: dots inside values may be sent as two underscores.
        """
        segments = text.split(".")
        if not len(variables) <= len(segments) <= MAX_PARTS or "" in segments:
            return None
        if len(segments) == len(variables):
            return self._take_only(variables, segments, dots_escaped=dots_escaped and "__" in text)
        ways = list(list_splits(variables, segments))
        if not ways:
            return None
        ranked = [(self._rank(way), -number, way) for number, way in enumerate(ways)]
        best, _, chosen = max(ranked, key=lambda one: one[:2])
        rivals = sum(rank == best for rank, _, _ in ranked)
        values = {
            name: self._restore_dots(name, value, chosen, dots_escaped=dots_escaped) for name, value in chosen.items()
        }
        doubtful = self._hides_dots(values, dots_escaped=dots_escaped)
        return IdSplit(values, rivals > 1 or doubtful, doubtful)

    def record_doubtful(self, values: Mapping[str, str]) -> None:
        """Remember ids whose two underscores may be a dot, because series are created with them."""
        if len(self._doubtful) < MAX_KNOWN_IDS:
            self._doubtful.add((values.get("dag_id", ""), values.get("task_id", "")))

    def take_corrections(self, *, dots_escaped: bool) -> IdCorrections | None:
        """The corrected spelling of doubtful ids that are known by now; each is returned once. None if there are none.
        Unless dots are sent as two underscores (`dots_escaped`), no id is doubtful.
        """
        if not dots_escaped:
            self._doubtful.clear()
        dags: dict[str, str] = {}
        tasks: dict[tuple[str, str], str] = {}
        for dag_id, task_id in list(self._doubtful):
            right_dag = self._restore_dag(dag_id)
            right_task = self._restore_task(right_dag, task_id) if "__" in task_id else task_id
            if right_dag != dag_id:
                dags[dag_id] = right_dag
            if right_task != task_id:
                tasks[right_dag, task_id] = right_task
            if (right_dag, right_task) != (dag_id, task_id):
                self._doubtful.discard((dag_id, task_id))
                if "__" in right_task:
                    self._doubtful.add((right_dag, right_task))
        return IdCorrections(dags, tasks) if dags or tasks else None

    def _take_only(self, variables: Sequence[str], segments: Sequence[str], *, dots_escaped: bool) -> IdSplit | None:
        """The split if each value is one segment, so that there is only one."""
        way = dict(zip(variables, segments, strict=True))
        if "state" in way and variables[-1] != "state" and way["state"] not in STATES:
            return None
        if not dots_escaped:
            return IdSplit(way, ambiguous=False, exact=True)
        values = {name: self._restore_dots(name, value, way, dots_escaped=True) for name, value in way.items()}
        doubtful = self._hides_dots(values, dots_escaped=True)
        return IdSplit(values, doubtful, doubtful)

    def _rank(self, way: dict[str, str]) -> tuple[int, int]:
        """How much of a split is known. Of several known DAGs the one with the longest id is chosen."""
        dag_id, task_id = way.get("dag_id", ""), way.get("task_id", "")
        if not self._knows(dag_id):
            return (0, 0)
        return (2 if self._directory.has_task(dag_id, task_id) else 1, len(dag_id))

    def _knows(self, dag_id: str) -> bool:
        return dag_id in self._learned or dag_id in (self._directory.dag_ids or ())

    def _restore_dots(self, name: str, value: str, way: dict[str, str], *, dots_escaped: bool) -> str:
        """A value with its dots, if a known id shows that it has some."""
        if not dots_escaped or "__" not in value:
            return value
        if name == "hostname":  # a host's name has no underscores
            return value.replace("__", ".")
        if name == "dag_id":
            return self._restore_dag(value)
        return self._restore_task(self._restore_dag(way["dag_id"]), value) if name == "task_id" else value

    def _restore_dag(self, value: str) -> str:
        if self._revision_seen != self._directory.revision:
            self._revision_seen = self._directory.revision
            known = self._learned | (self._directory.dag_ids or set())
            self._dags = {dag_id.replace(".", "__"): dag_id for dag_id in known if "." in dag_id}
            self._tasks.clear()
        return value if self._knows(value) else self._dags.get(value, value)

    def _restore_task(self, dag_id: str, value: str) -> str:
        if len(dag_id) > MAX_VALUE_LENGTH or len(value) > MAX_VALUE_LENGTH:
            return value
        key = (dag_id, value)
        if key not in self._tasks:
            known = self._directory.tasks(dag_id)
            found = next((task for task in known if task.replace(".", "__") == value), value)
            if len(self._tasks) >= MAX_KNOWN_IDS:
                self._tasks.clear()
            self._tasks[key] = value if value in known else found
        return self._tasks[key]

    def _hides_dots(self, values: dict[str, str], *, dots_escaped: bool) -> bool:
        """Whether an id has two underscores that may be a dot, and no known id decides it."""
        if not dots_escaped:
            return False
        dag_id, task_id = values.get("dag_id", ""), values.get("task_id", "")
        doubtful = "__" in dag_id and not self._knows(dag_id)
        return doubtful or ("__" in task_id and not self._directory.has_task(dag_id, task_id))


def list_splits(variables: Sequence[str], segments: Sequence[str]) -> Iterator[dict[str, str]]:
    """The ways to assign the segments to the variables in order, the most plausible first.

    The most plausible is that only the last variable that can contain dots does: DAG ids with dots are rarer than task
    ids, which have dots in every task group.
    """
    end = len(segments)
    for cuts in islice(combinations(range(1, end), len(variables) - 1), MAX_SPLITS):
        sizes = [high - low for low, high in zip((0, *cuts), (*cuts, end), strict=True)]
        way = dict(zip(variables, join_segments(segments, sizes), strict=True))
        if is_valid_split(variables, sizes, way):
            yield way


def join_segments(segments: Sequence[str], sizes: Sequence[int]) -> Iterator[str]:
    """Yield the segments joined by dots, in groups of these sizes."""
    place = 0
    for size in sizes:
        yield ".".join(segments[place : place + size])
        place += size


def is_valid_split(variables: Sequence[str], sizes: Sequence[int], way: dict[str, str]) -> bool:
    """Whether variables without dots have none, and a state in the middle of the name is a known state."""
    if any(size > 1 and name in DOTLESS_VARIABLES for name, size in zip(variables, sizes, strict=True)):
        return False
    return "state" not in way or variables[-1] == "state" or way["state"] in STATES
