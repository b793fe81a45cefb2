"""The reader of failures: it gives each failed try its class, and follows what becomes of retries.

Which tries failed was found by the reader of task instances, which wrote them to the backlog. Their logs are read in a
small share of the time, the oldest first; what is left over waits for the next reading. Nothing of a log is kept: only
the class.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

import msgspec

from exporter.config.settings import AirflowSettings
from exporter.diagnosis.error_classes import BY_NAME, CLASSES, UNKNOWN
from exporter.diagnosis.error_rules import ErrorRule
from exporter.diagnosis.failures import MAX_NEWEST, build_failures
from exporter.diagnosis.report import FailedTry, TimedOutRun
from exporter.diagnosis.retry_advice import advise_on_retries
from exporter.metrics.catalogue.api import failures
from exporter.metrics.family import Family, Labels
from exporter.metrics.reading import Memory, ReaderError, Reading
from exporter.sources.airflow.api.details.run_timeout import read_run_timeout
from exporter.sources.airflow.api.objects.task_logs import CHECKS, LogOutcome
from exporter.sources.airflow.failing.account import Account, recall_account
from exporter.sources.airflow.failing.backlog import (
    BACKLOG_SPACE,
    Backlog,
    BacklogEntry,
    find_excess,
    get_task_instance_key,
    recall_backlog,
)
from exporter.sources.airflow.failing.log_reader import (
    LOOK_AGAIN,
    TIME_SHARE,
    LogBudget,
    LogReader,
    Verdict,
    make_read_tail,
)
from exporter.sources.airflow.failing.memory_evidence import MemoryEvidence
from exporter.sources.airflow.failing.recent import to_failed_tries
from exporter.sources.airflow.failing.retry_counts import to_retry_counts
from exporter.sources.airflow.failing.run_timeouts import RunTimeouts
from exporter.sources.airflow.log_links import LogLinks, build_log_links
from exporter.sources.airflow.reader import ApiReader, ReaderContext
from exporter.sources.airflow.shared import AirflowState

MAX_BACKLOG = 1_000
"""Failed tries that wait for their log to be read; those beyond are counted as unknown."""
MAX_AGE = 3_600.0
"""Seconds after its end for which a failed try waits for its log to be read."""
ADVICE_ORIGIN = "retries"
"""Under which name the advice on retries is recorded beside other costs."""


class FailuresReader(ApiReader):
    """Counts failed tries by class."""

    name = "failures"
    help = "Why tries fail (from their logs), and whether retries help"
    families = (failures.CLASS_INFO,)
    needs = ("tasks",)
    checks = CHECKS

    def __init__(
        self,
        memory: Memory,
        shared: AirflowState,
        interval: float,
        *,
        log_reader: LogReader | None,
        links: LogLinks,
        run_timeouts: RunTimeouts | None = None,
        exception_labels: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`log_reader` is None where no logs are read; `run_timeouts` where runs are not looked at."""
        self.interval = interval
        self._memory = memory
        self._shared = shared
        self._log_reader = log_reader
        self._links = links
        self._exception_labels = exception_labels
        self._clock = clock
        self._run_timeouts = run_timeouts
        self._judged: dict[bytes, Verdict] = {}
        """Of the last reading: a log is not read again because the count of its try could not be written."""

    @classmethod
    def build(cls, context: ReaderContext, interval: float) -> FailuresReader:
        """A reader for the Airflow that is connected now."""
        airflow, settings = context.airflow, context.settings
        memory = MemoryEvidence(context.shared.directory)
        log_reader = LogReader(make_read_tail(airflow), airflow.major, make_rules(settings), memory=memory)
        return cls(
            context.memory,
            context.shared,
            interval,
            log_reader=log_reader if settings.read_logs else None,
            links=build_log_links(settings, airflow.major),
            run_timeouts=RunTimeouts(partial(read_run_timeout, airflow), with_backfills=airflow.major >= 3),
            exception_labels=settings.exception_labels,
        )

    def read(self) -> Reading:
        """Read logs, and count what ended since the last reading and is known now."""
        now = self._shared.tasks_read_at
        if not now:
            # After a long outage it is caught up first. Without a time, what is remembered would seem to be old.
            return Reading(tables=class_tables(), notes=["active task instances were not read yet"])
        backlog = recall_backlog(self._memory)
        verdicts, notes = self._judge(backlog, now)
        self._judged = {key: verdict for key, verdict in verdicts.items() if verdict.is_final}
        account = recall_account(self._memory, now, idle=not backlog, exception_labels=self._exception_labels)
        done, again = count_ended(backlog, verdicts, account, now)
        memories = account.write()
        self._record(account, backlog, now)
        outcomes = Counter(
            str(verdict.outcome) for verdict in verdicts.values() if verdict.outcome and verdict.is_final
        )
        summary = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items())) or "none"
        return Reading(
            tables=class_tables(),
            changes=account.changes,
            memories={**memories, BACKLOG_SPACE: {**dict.fromkeys(done), **again}} if backlog else memories,
            notes=[f"{len(backlog)} tries ended, {len(backlog) - len(done)} wait; logs: {summary}", *notes],
            moment=now,
            forget=account.forget,
        )

    def _judge(self, backlog: Backlog, now: float) -> tuple[dict[bytes, Verdict], Sequence[str]]:
        """A verdict for each failed try for which there was time, and what to say of it."""
        failed = {key: entry for key, entry in backlog.items() if entry.failed}
        if self._log_reader is None:
            return dict.fromkeys(failed, Verdict(UNKNOWN.name)), ["no logs are read (airflow.read_logs)"]
        verdicts = dict.fromkeys(find_excess(failed, MAX_BACKLOG), Verdict(UNKNOWN.name, LogOutcome.OVER_BUDGET))
        verdicts |= {key: verdict for key, verdict in self._judged.items() if key in failed}
        budget = LogBudget(self.interval * TIME_SHARE, self._clock)
        try:
            for key, entry in failed.items():
                if key not in verdicts and (verdict := judge(self._log_reader, entry, budget, now)) is not None:
                    verdicts[key] = verdict
        except ReaderError as error:
            return verdicts, [f"logs could not be read, the next reading tries again: {error.reason}"]
        return verdicts, list(say_forbidden(verdicts))

    def _find_timed_out(self, tries: Iterable[FailedTry], backlog: Backlog, now: float) -> Sequence[TimedOutRun]:
        """The runs of the last hour that failed for their time, and not because a try failed."""
        if self._run_timeouts is None:
            return ()
        known = [(one.dag_id, one.run_id, one.ended_at) for one in tries if not one.retried]
        waiting = [entry for entry in backlog.values() if entry.failed and not entry.retried]
        known += [(entry.dag_id, entry.run_id, entry.end_date or 0.0) for entry in waiting]
        failed: dict[tuple[str, str], float] = {}
        for dag_id, run_id, ended in known:
            failed[dag_id, run_id] = max(ended, failed.get((dag_id, run_id), 0.0))
        return self._run_timeouts.find(self._shared.ended_runs, failed, now)

    def _record(self, account: Account, backlog: Backlog, now: float) -> None:
        """Record for others what failed, and what is to be said of retries."""
        tries = to_failed_tries(account.recent, self._links)
        timed_out = self._find_timed_out(tries, backlog, now)
        self._shared.directory.record_failures(build_failures(tries, now, timed_out), tries[:MAX_NEWEST])
        self._shared.directory.record_costs(advise_on_retries(to_retry_counts(account.counts.values())), ADVICE_ORIGIN)
        if self._shared.events is not None:
            self._shared.failed_tries.extend(to_failed_tries(account.new, self._links)[::-1])


def judge(log_reader: LogReader, entry: BacklogEntry, budget: LogBudget, now: float) -> Verdict | None:
    """What a log says; None where it is left for a later reading. Raises ReaderError."""
    if (paused := log_reader.find_pause(entry)) is not None:
        return paused
    if entry.due <= now and budget.take():
        return log_reader.read(entry)
    return Verdict(UNKNOWN.name, LogOutcome.OVER_BUDGET) if now - (entry.end_date or now) > MAX_AGE else None


def count_ended(
    backlog: Backlog, verdicts: Mapping[bytes, Verdict], account: Account, now: float
) -> tuple[list[bytes], dict[bytes, bytes]]:
    """Count what is known. Returns which entries are done, and the changed entries of logs to be read again.

    What followed a try whose class is not known yet waits, too.
    """
    done: list[bytes] = []
    again: dict[bytes, bytes] = {}
    waiting: set[bytes] = set()
    for key, entry in backlog.items():
        task_instance = get_task_instance_key(key)
        verdict = verdicts.get(key)
        if verdict is not None and not verdict.is_final and entry.attempts < len(LOOK_AGAIN):
            again[key] = postpone(entry, now)
            verdict = None
        if task_instance in waiting or (entry.failed and verdict is None):
            waiting.add(task_instance)
            continue
        account.count(key, task_instance, entry, verdict)
        done.append(key)
    return done, {key: value for key, value in again.items() if key not in done}


def postpone(entry: BacklogEntry, now: float) -> bytes:
    """The entry with the time at which its log is read again."""
    due = now + LOOK_AGAIN[entry.attempts]
    return msgspec.msgpack.encode(msgspec.structs.replace(entry, attempts=entry.attempts + 1, due=due))


def say_forbidden(verdicts: Mapping[bytes, Verdict]) -> list[str]:
    """What to do where logs may not be read."""
    if any(verdict.outcome is LogOutcome.FORBIDDEN for verdict in verdicts.values()):
        return ["forbidden: the user's role needs “can read on Task Logs”; without it classes are unknown"]
    return []


def make_rules(settings: AirflowSettings) -> list[ErrorRule]:
    """The users' rules."""
    return [
        ErrorRule(BY_NAME[rule.error_class], rule.exception, rule.module, rule.words, rule.exit_codes)
        for rule in settings.error_rules
    ]


def class_tables() -> dict[Family, dict[Labels, float]]:
    """The family that describes the classes."""
    return {failures.CLASS_INFO: {(one.name, one.meaning, one.setting): 1 for one in CLASSES}}
