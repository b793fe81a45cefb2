"""Ids in legacy names: where one ends and the next begins, and dots that Airflow 3.3 sends as two underscores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, islice
from typing import NamedTuple

from exporter.sources.directory import Directory
from exporter.sources.statsd.model import IdCorrections

MAX_KNOWN_IDS = 10_000
"""How many ids are learned from names that hold nothing else, and from tags."""
MAX_SPLITS = 200
"""How many ways to split a name are looked at."""
DOTLESS_VARIABLES = frozenset({"state", "job_id", "return_code", "executor", "bundle", "event_type"})
"""Variables that never hold a dot."""
STATES = frozenset({
    "success", "failed", "skipped", "up_for_retry", "up_for_reschedule", "deferred", "removed", "restarting",
    "upstream_failed", "running", "queued", "scheduled", "shutdown", "awaiting_input", "None", "none",
})  # fmt: skip


class IdSplit(NamedTuple):
    """Values of the variables of a legacy name."""

    values: dict[str, str]
    ambiguous: bool
    """They could be others."""
    doubtful: bool = False
    """Two underscores in the ids may be a dot, and nothing known tells."""


class IdSplitter:
    """The ids that are known: from the API, and from names that hold one id only."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self.revision = 0
        self._learned: set[str] = set()
        self._revision_seen = -1
        self._dags: dict[str, str] = {}
        self._tasks: dict[tuple[str, str], str] = {}
        self._doubtful: set[tuple[str, str]] = set()
        """DAGs and tasks that were given out as they were sent, though two underscores in them may be a dot."""

    def learn(self, dag_id: str, *, certain: bool = False) -> None:
        """Remember a DAG's id. Only one with a dot is likely to change how others are split; two underscores may be
        a dot, so they teach nothing unless it is `certain` that they are none.
        """
        if (certain or "__" not in dag_id) and dag_id not in self._learned and len(self._learned) < MAX_KNOWN_IDS:
            self._learned.add(dag_id)
            if "." in dag_id:
                self._revision_seen = -1
                self.revision += 1

    def split(self, variables: Sequence[str], text: str, *, dots_escaped: bool) -> IdSplit | None:
        """The values in a text that joins them by dots, or None where it has too few parts.

        `dots_escaped`: dots inside values may have been sent as two underscores.
        """
        segments = text.split(".")
        if len(segments) < len(variables) or "" in segments:
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
        """Series are made of ids that may prove to be spelled otherwise."""
        if len(self._doubtful) < MAX_KNOWN_IDS:
            self._doubtful.add((values.get("dag_id", ""), values.get("task_id", "")))

    def take_corrections(self, *, dots_escaped: bool) -> IdCorrections | None:
        """What doubtful ids have proved to be by now; each once, None without any. Unless dots are `spelled` by two
        underscores, nothing was doubtful.
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
        """The values where each is one segment, so that there is one way."""
        way = dict(zip(variables, segments, strict=True))
        if "state" in way and variables[-1] != "state" and way["state"] not in STATES:
            return None
        if not dots_escaped:
            return IdSplit(way, ambiguous=False)
        values = {name: self._restore_dots(name, value, way, dots_escaped=True) for name, value in way.items()}
        doubtful = self._hides_dots(values, dots_escaped=True)
        return IdSplit(values, doubtful, doubtful)

    def _rank(self, way: dict[str, str]) -> tuple[int, int]:
        """How much of a split is known; of several known DAGs the one with the longest id is meant."""
        dag_id, task_id = way.get("dag_id", ""), way.get("task_id", "")
        if not self._knows(dag_id):
            return (0, 0)
        return (2 if self._directory.has_task(dag_id, task_id) else 1, len(dag_id))

    def _knows(self, dag_id: str) -> bool:
        return dag_id in self._learned or dag_id in (self._directory.dag_ids or ())

    def _restore_dots(self, name: str, value: str, way: dict[str, str], *, dots_escaped: bool) -> str:
        """A value with its dots, where what is known tells that it has some."""
        if not dots_escaped or "__" not in value:
            return value
        if name == "hostname":  # a host's name has no underscores
            return value.replace("__", ".")
        if name == "dag_id":
            return self._restore_dag(value)
        return self._restore_task(self._restore_dag(way["dag_id"]), value) if name == "task_id" else value

    def _restore_dag(self, value: str) -> str:
        if self._revision_seen != self._directory.spelling:
            self._revision_seen = self._directory.spelling
            known = self._learned | (self._directory.dag_ids or set())
            self._dags = {dag_id.replace(".", "__"): dag_id for dag_id in known if "." in dag_id}
            self._tasks.clear()
        return value if self._knows(value) else self._dags.get(value, value)

    def _restore_task(self, dag_id: str, value: str) -> str:
        key = (dag_id, value)
        if key not in self._tasks:
            known = self._directory.tasks(dag_id)
            found = next((task for task in known if task.replace(".", "__") == value), value)
            if len(self._tasks) >= MAX_KNOWN_IDS:
                self._tasks.clear()
            self._tasks[key] = value if value in known else found
        return self._tasks[key]

    def _hides_dots(self, values: dict[str, str], *, dots_escaped: bool) -> bool:
        """Whether an id has underscores that may be a dot, and nothing tells."""
        if not dots_escaped:
            return False
        dag_id, task_id = values.get("dag_id", ""), values.get("task_id", "")
        doubtful = "__" in dag_id and not self._knows(dag_id)
        return doubtful or ("__" in task_id and not self._directory.has_task(dag_id, task_id))


def list_splits(variables: Sequence[str], segments: Sequence[str]) -> Iterator[dict[str, str]]:
    """Ways to give the segments to the variables in order, the most plausible first.

    The most plausible is that only the last that can hold dots does: DAG ids with dots are rarer than task ids, which
    have them wherever there are task groups.
    """
    end = len(segments)
    for cuts in islice(combinations(range(1, end), len(variables) - 1), MAX_SPLITS):
        sizes = [high - low for low, high in zip((0, *cuts), (*cuts, end), strict=True)]
        way = dict(zip(variables, join_segments(segments, sizes), strict=True))
        if is_valid_split(variables, sizes, way):
            yield way


def join_segments(segments: Sequence[str], sizes: Sequence[int]) -> Iterator[str]:
    place = 0
    for size in sizes:
        yield ".".join(segments[place : place + size])
        place += size


def is_valid_split(variables: Sequence[str], sizes: Sequence[int], way: dict[str, str]) -> bool:
    """Whether no variable holds a dot that cannot, and a state in the middle is one."""
    if any(size > 1 and name in DOTLESS_VARIABLES for name, size in zip(variables, sizes, strict=True)):
        return False
    return "state" not in way or variables[-1] == "state" or way["state"] in STATES
