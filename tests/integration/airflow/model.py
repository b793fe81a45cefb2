"""A model of Airflow's task instances for tests of counting. It knows every try, but shows only what the API shows.

Rows change as in the source of Airflow 3: a retry and a clear archive the try, an archived try that had not ended is
called failed, a clear raises max_tries unless the task runs, and a row that is up_for_retry is missing in its own
history of tries. A change becomes visible up to 1.3 s after its `updated_at`.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from exporter.sources.airflow.api.objects.dag_runs import DagRun
from exporter.sources.airflow.api.objects.task_instances import TIS_ACTIVE, TIS_ENDED, TaskInstance

Key = tuple[str, str, int]
RunVersion = tuple[float, float, float | None]
"""When a version of a run becomes visible, when it was updated, and when the run ended, if it did."""


def dag_of(run_id: str) -> str:
    """The DAG of a run."""
    return f"d{int(run_id[1:]) % 3}"


@dataclass
class Version:
    """What one task instance looks like from `visible` on; the row is None if it was deleted."""

    visible: float
    updated: float
    row: TaskInstance | None
    archive: tuple[TaskInstance, ...]


@dataclass
class Model:
    """An Airflow at the time `now`, with the part of the API that the readers of runs and task instances use."""

    seed: int
    clears: bool = True
    now: float = 1_000_000.0
    version: str = "3.3.2"
    major: int = 3
    failing: float = 0.0
    """The share of requests that fail."""
    truth: Counter[Any] = field(default_factory=Counter)
    outcomes: dict[tuple[str, str, int], str] = field(default_factory=dict)
    """How each try ended, by run, task and try number."""

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.versions: dict[Key, list[Version]] = {}
        self.last: dict[Key, Version] = {}
        self.alive: dict[Key, None] = {}
        self.ended: dict[Key, None] = {}
        self.due: dict[str, float] = {}
        self.members: dict[str, list[Key]] = {}
        self.run_versions: dict[str, list[RunVersion]] = {}
        self.cleared: dict[tuple[str, str], float] = {}
        self.repeats: list[tuple[float, TaskInstance]] = []
        """When a failure is handled again, and the row after it was handled first."""
        self.runs = 0
        self.quiet = self.paused = False

    # ---- what happens --------------------------------------------------------------------------

    def pass_time(self, seconds: float, pace: float = 6.0) -> None:
        """Let this many seconds pass, with about `pace` changes a second."""
        end = self.now + seconds
        while self.now < end:
            self.now += self.random.expovariate(pace)
            self._repeat()
            self._happen()
        self.now = max(self.now, end)

    def settle_down(self) -> None:
        """Start no new runs and let all of them end."""
        self.quiet = True
        while self.alive:
            self.pass_time(5.0, pace=40.0)

    def stand_still(self) -> None:
        """Pause every DAG: tasks that are queued or running end, and none follows."""
        self.paused = self.quiet = True
        while self._moving():
            self.pass_time(1.0)

    def _moving(self) -> list[TaskInstance]:
        rows = [self._row(key) for key in self.alive]
        return [row for row in rows if not self.paused or row.state in ("queued", "running", "restarting")]

    def _happen(self) -> None:
        moving = self._moving()
        if len(self.alive) < 25 and not self.quiet:
            self._create_run()
        elif moving:
            self._advance(self.random.choice(moving))
        recent = list(self.ended)[-40:]
        if recent and not self.quiet and self.clears and self.random.random() < 0.03:
            self._clear(self.random.choice(recent))
        elif recent and self.random.random() < 0.05:
            self._update(self.random.choice(recent))

    def _create_run(self) -> None:
        self.runs += 1
        run_id = f"r{self.runs}"
        self.due[run_id] = self.now - self.random.choice([0.0, 5.0, 700.0, 5000.0])
        count = self.random.randint(1, 6)
        self.members[run_id] = [(run_id, f"t{index}", -1) for index in range(count)]
        for index in range(count):
            tries = self.random.choice([0, 1, 2])
            self._write(TaskInstance(dag_id=dag_of(run_id), run_id=run_id, task_id=f"t{index}", max_tries=tries), ())

    def _advance(self, row: TaskInstance) -> None:
        step: dict[str | None, Any] = {
            None: self._leave_none, "scheduled": self._queue, "queued": self._start, "running": self._end,
            "restarting": self._retry_after_restart, "up_for_retry": self._schedule_next, "deferred": self._resume,
            "up_for_reschedule": self._resume,
        }  # fmt: skip
        step[row.state](row)

    def _leave_none(self, row: TaskInstance) -> None:
        chance = self.random.random()
        if chance < 0.06:
            self._reach_terminal(row, "upstream_failed", start_date=self.now, end_date=self.now)
        elif chance < 0.12:
            self._reach_terminal(row, "skipped", start_date=self.now, end_date=self.now)
        elif chance < 0.16:
            self._reach_terminal(
                row,
                "success",
                try_number=row.try_number + 1,
                hostname="",
                pid=None,
                start_date=self.now,
                end_date=self.now,
            )
        else:
            self._schedule_next(row)

    def _schedule_next(self, row: TaskInstance) -> None:
        self._change(row, state="scheduled", try_number=row.try_number + 1, scheduled_when=self.now)

    def _queue(self, row: TaskInstance) -> None:
        self._change(row, state="queued", queued_when=self.now)

    def _start(self, row: TaskInstance) -> None:
        resumed = self._resumed(row)
        start = row.start_date if resumed else self.now
        self._change(
            row, state="running", start_date=start, end_date=None, hostname="w", pid=self.random.randint(2, 9999)
        )

    def _resumed(self, row: TaskInstance) -> bool:
        return row.start_date is not None and row.end_date is None

    def _resume(self, row: TaskInstance) -> None:
        if self.clears and self.random.random() < 0.1:
            self._clear((row.run_id, row.task_id, row.map_index))
        else:
            self._change(row, state="scheduled", scheduled_when=self.now)

    def _end(self, row: TaskInstance) -> None:
        chance = self.random.random()
        if chance < 0.08:
            self._change(row, state="deferred")
        elif self.clears and chance < 0.12:
            self._clear((row.run_id, row.task_id, row.map_index))
        elif chance < 0.3:
            self._update((row.run_id, row.task_id, row.map_index))
        elif chance < 0.55:
            self._fail(row)
        else:
            state = "success" if chance < 0.95 else "skipped"
            self._end_try(row, state)
            self._reach_terminal(row, state, end_date=self.now)

    def _fail(self, row: TaskInstance) -> None:
        self._end_try(row, "failed")
        if row.try_number <= row.max_tries:
            self.truth["retries"] += 1
            ended = msgspec.structs.replace(row, state="failed", end_date=self.now)
            self._change(row, archive=ended, state="up_for_retry", end_date=self.now)
        else:
            self._reach_terminal(row, "failed", end_date=self.now)
        self._handle_twice(row)

    def _handle_twice(self, row: TaskInstance) -> None:
        """Airflow 2 may handle the failure of a task that was killed by a signal again, a final failure much later."""
        if self.major < 3 and self.random.random() < 0.5:
            final = row.try_number > row.max_tries
            delay = self.random.choice([0.05, 0.6, 2.4, *([12.0, 37.0] if final else [])])
            self.repeats.append((self.now + delay, self._row((row.run_id, row.task_id, row.map_index))))

    def _repeat(self) -> None:
        """Change only the end date. If the next try has started, Airflow fails that one; the model leaves it out."""
        due = [(moment, row) for moment, row in self.repeats if moment <= self.now]
        self.repeats = [entry for entry in self.repeats if entry not in due]
        for moment, row in due:
            if self._row((row.run_id, row.task_id, row.map_index)) == row:
                self._change(row, end_date=moment)

    def _retry_after_restart(self, row: TaskInstance) -> None:
        self._change(row, state="up_for_retry", end_date=self.now)

    def _clear(self, key: Key) -> None:
        row = self._row(key)
        self.cleared[row.dag_id, row.run_id] = self.now + 0.02
        ended = (
            row
            if row.state in TIS_ENDED
            else msgspec.structs.replace(row, state="failed", end_date=row.end_date or self.now)
        )
        if row.state == "running":
            self._end_try(row, "cleared")
            self._change(row, archive=ended, state="restarting", end_date=self.now)
            return
        if row.state in ("deferred", "up_for_reschedule"):
            self._end_try(row, "cleared")
        self._change(row, archive=ended, state=None, max_tries=row.try_number + 2, end_date=ended.end_date)

    def delete_run(self) -> None:
        """Delete a run with a running task."""
        running = [key for key, one in self.last.items() if one.row is not None and one.row.state == "running"]
        if running:
            run_id = self.random.choice(running)[0]
            for key in [key for key in self.last if key[0] == run_id]:
                self._store(key, None, ())

    def _end_try(self, row: TaskInstance, outcome: str) -> None:
        self.truth["tries"] += 1
        if outcome in ("failed", "cleared"):
            self.truth[outcome] += 1
        self.outcomes[row.run_id, row.task_id, row.try_number] = outcome

    def _reach_terminal(self, row: TaskInstance, state: str, **changes: Any) -> None:
        self.truth["terminal", state] += 1
        self._change(row, state=state, **changes)

    # ---- rows and what the API shows -----------------------------------------------------------

    def _row(self, key: Key) -> TaskInstance:
        row = self.last[key].row
        assert row is not None
        return row

    def _change(self, row: TaskInstance, archive: TaskInstance | None = None, **changes: Any) -> None:
        key = (row.run_id, row.task_id, row.map_index)
        archived = self.last[key].archive
        if archive is not None and all(one.try_number != archive.try_number for one in archived):
            archived += (archive,)
        self._write(msgspec.structs.replace(row, **changes), archived)

    def _write(self, row: TaskInstance, archive: tuple[TaskInstance, ...]) -> None:
        self._store((row.run_id, row.task_id, row.map_index), row, archive)

    def _update(self, key: Key) -> None:
        self._store(key, self.last[key].row, self.last[key].archive)

    def _store(self, key: Key, row: TaskInstance | None, archive: tuple[TaskInstance, ...]) -> None:
        history = self.versions.setdefault(key, [])
        visible = self.now + self.random.choice([0.0, 0.05, 0.3, 1.3])
        if history:
            visible = max(visible, history[-1].visible)
        version = Version(visible, self.now, row, archive)
        history.append(version)
        del history[:-30]
        self.last[key] = version
        self._follow_run(key[0], visible)
        self.alive.pop(key, None)
        self.ended.pop(key, None)
        if row is not None:
            (self.ended if row.state in TIS_ENDED else self.alive)[key] = None

    def _follow_run(self, run_id: str, visible: float) -> None:
        """End a run when all its task instances have ended; it is active again when one is cleared."""
        rows = [self.last[key].row for key in self.members[run_id] if key in self.last]
        over = len(rows) == len(self.members[run_id]) and all(row and row.state in TIS_ENDED for row in rows)
        versions = self.run_versions.setdefault(run_id, [])
        if not versions or over != bool(versions[-1][2]):
            after = max(self.last[key].visible for key in self.members[run_id] if key in self.last)
            versions.append((max(after, visible) + 0.2, self.now, self.now if over else None))

    def _visible(self, key: Key) -> Version | None:
        return next((one for one in reversed(self.versions[key]) if one.visible <= self.now), None)

    def _request(self) -> None:
        if self.random.random() < self.failing:
            raise ConnectionError
        self.pass_time(self.random.choice([0.05, 0.3, 1.0]))

    def _walk(
        self,
        states: Sequence[str],
        since: float = 0.0,
        until: float | None = None,
        due_since: float | None = None,
    ) -> list[TaskInstance]:
        keys = [key for key, one in self.last.items() if one.updated >= self.now - 20_000.0]
        self.random.shuffle(keys)
        found = []
        for index in range(0, len(keys), 200):
            self._request()
            for key in keys[index : index + 200]:
                visible = self._visible(key)
                if visible is None or visible.row is None or visible.row.state not in states:
                    continue
                if due_since is not None and self.due[key[0]] < due_since:
                    continue
                if visible.updated >= since and (until is None or visible.updated <= until):
                    found.append(visible.row)
        return found

    # ---- the API -------------------------------------------------------------------------------

    def server_time(self) -> float:
        return float(int(self.now))

    def task_instances_active(self) -> list[TaskInstance]:
        return self._walk(TIS_ACTIVE)

    def task_instances_ended(
        self,
        since: float,
        until: float | None = None,
        *,
        due_since: float | None = None,
    ) -> list[TaskInstance]:
        return self._walk(TIS_ENDED, since, until, due_since)

    def task_instances_ended_of_run(
        self, dag_id: str, run_id: str, since: float | None = None
    ) -> list[TaskInstance] | None:
        self._request()
        found = [visible for key in self.members[run_id] if (visible := self._visible(key)) and visible.row]
        rows = [one.row for one in found if one.row and one.row.state in TIS_ENDED and one.updated >= (since or 0.0)]
        return rows if found else None

    def dag_runs_active(self) -> list[DagRun]:
        self._request()
        return [
            DagRun(dag_id=dag_id, run_id=run_id, state="running", start_date=0.0, queued_at=queued)
            for run_id in self.members
            if (visible := self._visible_run(run_id)) and visible[2] is None
            for dag_id in [dag_of(run_id)]
            for queued in [self.cleared.get((dag_id, run_id)) if self.major >= 3 else None]
        ]

    def dag_runs_ended(self, since: float) -> list[DagRun]:
        self._request()
        return [
            DagRun(dag_id=dag_of(run_id), run_id=run_id, state="success", end_date=visible[2])
            for run_id in self.members
            if (visible := self._visible_run(run_id)) and visible[2] and visible[1] >= since
        ]

    def _visible_run(self, run_id: str) -> RunVersion | None:
        return next((one for one in reversed(self.run_versions.get(run_id, [])) if one[0] <= self.now), None)

    def tries(self, dag_id: str, run_id: str, task_id: str, map_index: int) -> list[TaskInstance] | None:
        self._request()
        visible = self._visible((run_id, task_id, map_index))
        if visible is None or visible.row is None:
            return None
        return [*visible.archive, *([] if visible.row.state == "up_for_retry" else [visible.row])]
