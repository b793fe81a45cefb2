"""Runs that failed because they took longer than the `dagrun_timeout` of their DAG: none of their tries fails."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

from exporter.diagnosis.report import TimedOutRun
from exporter.sources.airflow.api.objects.dag_runs import DagRun
from exporter.sources.airflow.ended_log import EndedLog
from exporter.sources.airflow.waits.questions import QuestionBudget

LIFETIME = 3_600.0
"""Seconds for which such a run is remembered."""
TIMEOUT_LIFETIME = 3_600.0
"""Seconds for which it holds how long a run of a DAG may take."""
MAX_DAGS_PER_READING = 3
"""DAGs that are asked for in one reading."""
MAX_RUNS = 200
"""Failed runs that wait for the answer, and those that are remembered; the oldest go first."""


class RunTimeouts:
    """Finds them among the runs that ended.

    Airflow does not say why it failed a run. One that took as long as it may was failed for that.
    """

    def __init__(self, questions: QuestionBudget, read_timeout: Callable[[str], float | None]) -> None:
        """`read_timeout` returns the seconds that a run of a DAG may take, or None; it may raise ReaderError."""
        self._questions = questions
        self._read_timeout = read_timeout
        self._position = 0
        self._failed: deque[DagRun] = deque(maxlen=MAX_RUNS)
        """Whose limit is not known yet."""
        self._found: deque[TimedOutRun] = deque(maxlen=MAX_RUNS)

    def find(self, ended: EndedLog[DagRun], now: float) -> Sequence[TimedOutRun]:
        """Those of the last hour, the newest first; `now` is Unix seconds."""
        batch = ended.read_from(self._position, self)
        self._position = batch.position
        self._failed.extend(run for run in batch.entries if run.state == "failed" and measure(run) is not None)
        for _ in range(len(self._failed)):
            run = self._failed.popleft()
            answer = self._questions.ask(
                "dagrun_timeout",
                run.dag_id,
                partial(self._read_timeout, run.dag_id),
                lifetime=TIMEOUT_LIFETIME,
                at_most=MAX_DAGS_PER_READING,
            )
            if answer is None:
                self._failed.append(run)
            elif answer.value is not None and (measure(run) or 0.0) >= answer.value:
                self._found.append(TimedOutRun(run.dag_id, run.run_id, run.end_date or 0.0, answer.value))
        recent = [one for one in self._found if now - one.ended_at < LIFETIME]
        return sorted(recent, key=lambda one: -one.ended_at)


def measure(run: DagRun) -> float | None:
    """How many seconds a run took; None where it has no start or no end."""
    return None if run.start_date is None or run.end_date is None else run.end_date - run.start_date
