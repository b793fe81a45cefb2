"""Reads the logs of failed tries within a budget, and leaves alone what does not answer.

After a log did not come in time, those of the same task are not asked for during a while (a very long log takes Airflow
that long), and those of the same host if another task's did not come either: its log server hangs. The same holds for a
DAG whose logs may not be read.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from exporter.diagnosis.classify import classify
from exporter.diagnosis.error_classes import KILLED
from exporter.diagnosis.error_rules import ErrorRule
from exporter.diagnosis.evidence import Evidence
from exporter.metrics.reading import ReaderError
from exporter.sources.airflow.api.base import ApiBase
from exporter.sources.airflow.api.objects.task_logs import LogOutcome, LogTail, read_log_tail
from exporter.sources.airflow.failing.backlog import BacklogEntry
from exporter.sources.airflow.failing.log_evidence import read_evidence
from exporter.sources.airflow.failing.memory_evidence import MemoryEvidence
from exporter.sources.directory import Directory

log = logging.getLogger(__name__)

ReadTail = Callable[[BacklogEntry, float], LogTail]
"""Reads the end of the log of a try within this many seconds. Raises ReaderError."""

TIME_SHARE = 0.1
"""The share of the reader's interval in which one reading reads logs."""
MAX_LOGS = 200
"""Logs that one reading reads at most."""
LOG_SECONDS = 5.0
"""Time limit of one log. Airflow itself waits 5 s for the worker that has it."""
PAUSES = {LogOutcome.TIMEOUT: 300.0, LogOutcome.FORBIDDEN: 600.0, LogOutcome.TOO_LONG: 3600.0}
"""Seconds for which logs of the same host, DAG or task are not asked for after such an outcome."""
MAX_PAUSES = 5_000
"""Hosts, DAGs and tasks that are remembered."""
LOOK_AGAIN = (20.0, 60.0)
"""Seconds after which a log that says nothing is read again: it may be uploaded after the try ended."""
MAX_LOST = 10
"""Tries in a row whose log never came, after which logs that are not there are looked at once. Of one in so many tries
the log is looked at again all the same, so that it is noticed when logs come late."""


class Verdict(NamedTuple):
    """What a failed try's log led to."""

    error_class: str
    outcome: LogOutcome | None = None
    """None where logs are not read at all."""
    exception: str = ""
    """The type of the exception that ended the try; empty where there was none."""
    is_final: bool = True
    """False where a later look may show more: the log, or what the machine says, may not be known yet."""


class LogBudget:
    """How many logs one reading may still read, and for how long."""

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._end = clock() + seconds
        self.used = 0

    def take(self) -> bool:
        """Whether one more log may be read; the first one always may."""
        if self.used and (self.used >= MAX_LOGS or self._clock() >= self._end):
            return False
        self.used += 1
        return True


class LogReader:
    """Reads logs of failed tries, and gives each its class."""

    def __init__(
        self,
        read_tail: ReadTail,
        major: int,
        rules: Sequence[ErrorRule] = (),
        clock: Callable[[], float] = time.monotonic,
        memory: MemoryEvidence | None = None,
    ) -> None:
        """`memory` says which tries the kernel killed for lack of memory."""
        self._read_tail = read_tail
        self._major = major
        self._rules = rules
        self._clock = clock
        self._memory = memory or MemoryEvidence(Directory())
        self._pauses: dict[tuple[str, ...], tuple[float, LogOutcome]] = {}
        """Until when (monotonic seconds) what is not asked for, and because of which outcome."""
        self._slow: dict[str, tuple[str, str]] = {}
        """The task whose log did not come in time last, by host, until one of the host comes."""
        self._lost = 0
        """Tries whose log did not come, since the last one whose log did."""

    def find_pause(self, entry: BacklogEntry) -> Verdict | None:
        """The verdict where the log is not asked for, because such logs did not come before."""
        now = self._clock()
        for key in list_pause_keys(entry):
            until, outcome = self._pauses.get(key, (0.0, LogOutcome.ERROR))
            if now < until:
                return Verdict(classify(self._memory.add_to(Evidence(), entry), self._rules).name, outcome)
        return None

    def read(self, entry: BacklogEntry, seconds: float = LOG_SECONDS) -> Verdict:
        """Read the log of a try. Raises ReaderError if Airflow itself cannot be reached."""
        tail = self._read_tail(entry, seconds)
        if tail.outcome in PAUSES:
            self._pause(entry, tail.outcome)
        elif tail.outcome is LogOutcome.READ:
            self._slow.pop(entry.hostname, None)
        evidence = read_evidence(tail.text, self._major) if tail.outcome is LogOutcome.READ else Evidence()
        found = classify(self._memory.add_to(evidence, entry), self._rules)
        exception = evidence.chain[0].name if evidence.chain else ""
        is_final = self._is_final(entry, tail.outcome, evidence)
        if found is KILLED and self._memory.may_follow(entry):
            is_final = False
        return Verdict(found.name, tail.outcome, exception, is_final)

    def _is_final(self, entry: BacklogEntry, outcome: LogOutcome, evidence: Evidence) -> bool:
        """Whether a later look at the log would hardly show more."""
        if outcome is LogOutcome.READ:
            self._lost = 0
            return not evidence.is_empty
        if outcome is not LogOutcome.GONE:
            return True
        if entry.attempts:
            self._lost += entry.attempts >= len(LOOK_AGAIN)
            return False
        if self._lost < MAX_LOST:
            return False
        self._lost += 1
        return self._lost % MAX_LOST != 0

    def _pause(self, entry: BacklogEntry, outcome: LogOutcome) -> None:
        host, dag, task = list_pause_keys(entry)
        if outcome is LogOutcome.FORBIDDEN:
            self._stop(dag, outcome)
            return
        self._stop(task, outcome)
        if outcome is LogOutcome.TIMEOUT:
            if self._slow.get(entry.hostname, task[1:]) != task[1:]:
                self._stop(host, outcome)
            if len(self._slow) < MAX_PAUSES:
                self._slow[entry.hostname] = (entry.dag_id, entry.task_id)

    def _stop(self, key: tuple[str, ...], outcome: LogOutcome) -> None:
        now = self._clock()
        if len(self._pauses) >= MAX_PAUSES:
            self._pauses = {one: pause for one, pause in self._pauses.items() if pause[0] > now}
        if len(self._pauses) < MAX_PAUSES:
            if key not in self._pauses:
                log.info("the logs of %s are not read for %.0f s: %s", " ".join(key), PAUSES[outcome], outcome)
            self._pauses[key] = (now + PAUSES[outcome], outcome)


def list_pause_keys(entry: BacklogEntry) -> tuple[tuple[str, ...], ...]:
    """What may be left alone: the host that serves the log, the DAG, and the task."""
    return ("host", entry.hostname), ("DAG", entry.dag_id), ("task", entry.dag_id, entry.task_id)


def make_read_tail(api: ApiBase) -> ReadTail:
    """Reads logs from an Airflow."""
    return partial(_read_from, api)


def _read_from(api: ApiBase, entry: BacklogEntry, seconds: float) -> LogTail:
    try:
        return read_log_tail(api, entry.dag_id, entry.run_id, entry.task_id, entry.map_index, entry.try_number, seconds)
    except UnicodeError as error:
        raise ReaderError("bad_request", f"logs: {type(error).__name__} in an id") from None
