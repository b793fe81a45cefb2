"""Runs that failed because they took longer than the `dagrun_timeout` of their DAG: none of their tries fails."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from exporter.diagnosis.report import TimedOutRun
from exporter.sources.airflow.api.objects.dag_runs import DagRun
from exporter.sources.airflow.ended_log import EndedLog
from exporter.sources.airflow.waits.questions import QuestionBudget

RunKey = tuple[str, str]
"""DAG and run id."""

LIFETIME = 3_600.0
"""Seconds for which such a run is remembered."""
TIMEOUT_LIFETIME = 3_600.0
"""Seconds for which it holds how long a run of a DAG may take."""
MAX_DAGS_PER_READING = 3
"""DAGs that are asked for in one reading."""
MAX_REACTION_SECONDS = 60.0
"""A run fails so soon after the try for which it fails: with the next look of the scheduler."""
MAX_RUNS = 200
"""Failed runs that wait for the answer, and those that are remembered; the oldest go first."""


class RunTimeouts:
    """Finds them among the runs that ended.

    Airflow does not say why it failed a run. One that took as long as it may was failed for that, unless a try failed
    just before its end.
    """

    def __init__(
        self,
        read_timeout: Callable[[str], float | None],
        *,
        with_backfills: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`read_timeout` returns the seconds that a run of a DAG may take, or None; it may raise ReaderError.

        Without `with_backfills` those of backfills have no limit, as on Airflow 2. `clock` is monotonic seconds.
        """
        self._questions = QuestionBudget(clock)
        self._read_timeout = read_timeout
        self._with_backfills = with_backfills
        self._position = 0
        self._failed: deque[DagRun] = deque(maxlen=MAX_RUNS)
        """Whose limit is not known yet."""
        self._found: deque[TimedOutRun] = deque(maxlen=MAX_RUNS)

    def find(self, ended: EndedLog[DagRun], failed_tries: Mapping[RunKey, float], now: float) -> Sequence[TimedOutRun]:
        """Those of the last hour, the newest first; `now` is Unix seconds.

        `failed_tries` has the end of the newest try of a run that failed for good, in Unix seconds.
        """
        batch = ended.read_from(self._position, self)
        self._position = batch.position
        self._failed.extend(run for run in batch.entries if self._may_be_one(run))
        self._questions.begin()
        for _ in range(len(self._failed)):
            self._look(self._failed.popleft(), now)
        recent = (one for one in self._found if now - one.ended_at < LIFETIME)
        found = [one for one in recent if not has_failed_itself(one, failed_tries)]
        return sorted(found, key=lambda one: -one.ended_at)

    def _may_be_one(self, run: DagRun) -> bool:
        if run.run_type == "backfill" and not self._with_backfills:
            return False
        return run.state == "failed" and run.start_date is not None and run.end_date is not None

    def _look(self, run: DagRun, now: float) -> None:
        begun, ended = run.start_date or 0.0, run.end_date or 0.0
        answer = self._questions.ask(
            "dagrun_timeout",
            run.dag_id,
            partial(self._ask, run.dag_id),
            lifetime=TIMEOUT_LIFETIME,
            at_most=MAX_DAGS_PER_READING,
        )
        if answer is not None and answer.value is not None:
            if ended - begun >= answer.value:
                self._found.append(TimedOutRun(run.dag_id, run.run_id, ended, answer.value))
        elif now - ended < LIFETIME:
            self._failed.append(run)

    def _ask(self, dag_id: str) -> float:
        timeout = self._read_timeout(dag_id)
        return math.inf if timeout is None else timeout


def has_failed_itself(run: TimedOutRun, failed_tries: Mapping[RunKey, float]) -> bool:
    """Whether a try failed for good just before the end of a run, which failed for that."""
    failed_at = failed_tries.get((run.dag_id, run.run_id))
    return failed_at is not None and run.ended_at - failed_at < MAX_REACTION_SECONDS
