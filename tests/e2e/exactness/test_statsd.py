"""StatsD of real Airflows without the API: states and durations equal the database, in every dialect.

    AIRFLOW_VERSIONS="3.3.2 2.11.2" E2E_STATSD_SECONDS=90 python -m pytest tests/e2e/exactness/test_statsd.py -m e2e -s

$E2E_STATSD_MODES chooses dialects (plain, influxdb, datadog, modern). Needs PostgreSQL's server programs.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from demo.environment import release
from demo.workdir import free_port
from exporter.store.persistence.live_saver import MAX_INTERVAL
from tests.e2e.exactness.database import Database, quote
from tests.e2e.exactness.environment import SETTINGS, AuditedAirflow, start_audited_airflow, wait_until_quiet
from tests.e2e.exactness.subject import Exposition, Subject

VERSIONS = os.environ.get("AIRFLOW_VERSIONS", "3.3.2 2.11.2").split()
SECONDS = float(os.environ.get("E2E_STATSD_SECONDS", "90"))
FOLDER = Path(os.environ.get("E2E_FOLDER", ".e2e"))
MODES: Mapping[str, Mapping[str, str]] = {
    "plain": {},
    "influxdb": {"AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": "True"},
    "datadog": {"AIRFLOW__METRICS__STATSD_DATADOG_ENABLED": "True"},
    "modern": {
        "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": "True",
        "AIRFLOW__METRICS__LEGACY_NAMES_ON": "False",
    },
}
CHOSEN = os.environ.get("E2E_STATSD_MODES", " ".join(MODES)).split()
DEFERRED = {"deferred", "deferred_twice", "impatient", "rescheduled", "rescheduled_soft", "too_late"}
"""Tasks whose duration 2.x reports in parts; of a sensor it reports the seconds of each poke."""
ENDED_BY_SCHEDULER = {"killed", "killed_twice", "killed_for_good", "endless"} | DEFERRED
"""Tasks whose process dies, or that fail while they wait without one: Airflow sends nothing for such tries."""
SKIPPED = {"skip_itself", "poked_soft"}
"""Tasks that skip themselves: 3.x sends no task.duration for them."""
MAX_EXTRA_SECONDS = 0.6
"""Seconds by which the reported duration of a try may exceed that of the database."""
MAX_STARTUP_SECONDS = 12.0
"""Seconds between the state running and the moment when the process, which reports the duration, has loaded the task;
that long only where a small machine starts a dozen at once."""
MAX_RELATIVE_ERROR = 0.02
BIRTH_HOLD = 1
FIGURES = 6
"""How many values are compared for each task, at least."""
TOLERANCE = float(os.environ.get("E2E_TOLERANCE", "0"))
"""The share of values that may differ: 0, except for short runs on machines that stall."""
MIN_TRIES = 20
"""How many tries must have ended for a valid comparison."""


def say(message: str) -> None:
    """Progress, past pytest's capture."""
    print(message, file=sys.__stderr__, flush=True)


def is_release_3(audited: AuditedAirflow) -> bool:
    """Whether it is an Airflow 3."""
    return release(audited.airflow.version) >= (3,)


def choose_settings(mode: str, port: int) -> dict[str, str]:
    """Airflow's settings for a dialect."""
    return {
        **SETTINGS,
        "AIRFLOW__METRICS__STATSD_ON": "True",
        "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
        "AIRFLOW__METRICS__STATSD_PORT": str(port),
        **MODES[mode],
    }


def work(audited: AuditedAirflow, mode: str, port: int, folder: Path) -> Exposition:
    """Let Airflow run and send one dialect; returns what an exporter shows that receives only this."""
    stopped = change_settings(audited, choose_settings(mode, port))
    flags = [
        "--no-collector.airflow",
        "--no-collector.host",
        "--collector.statsd",
        f"--statsd.listen-udp=127.0.0.1:{port}",
        "--statsd.listen-tcp=",
        f"--statsd.release={audited.airflow.version}",
        f"--exposition.birth-hold={BIRTH_HOLD}s",
    ]
    subject = Subject(folder / mode, flags)
    try:
        subject.start()
        subject.wait_ready()
        since = clock(audited.database)
        if stopped:
            audited.airflow.start()
        for dag_id in audited.console.dag_ids():
            # A name that is not ASCII ends the scheduler of 2.x, because it has no timer for such a name.
            audited.console.pause(dag_id, not (is_release_3(audited) or dag_id.isascii()))
        say(f"  {mode}: Airflow runs for {SECONDS:.0f} s")
        time.sleep(SECONDS)
        wait_until_quiet(audited.console, audited.database, audited.audit, say)
        subject.scrape()
        wait_written(subject)
        audited.database.execute(f"insert into e2e_span values ({quote(mode)}, {quote(since)}, clock_timestamp())")
        return subject.scrape()
    finally:
        subject.close()


def wait_written(subject: Subject) -> None:
    """Wait until new series are past their birth hold: until their 0 was written to the state file."""
    held = time.time() + BIRTH_HOLD + 1
    end = held + MAX_INTERVAL + 30
    while subject.last_success(subject.scrape(), "state_file", "statsd") <= held:
        if time.time() > end:
            raise AssertionError(f"nothing was written to the state file for a minute: see {subject.log}")
        time.sleep(0.5)


def change_settings(audited: AuditedAirflow, settings: dict[str, str]) -> bool:
    """Stop an Airflow with other settings before the next exporter can receive from it. True if it was stopped."""
    if audited.airflow.settings == settings:
        return False
    audited.airflow.stop(*audited.airflow.parts)
    audited.airflow.settings = settings
    return True


def clock(database: Database) -> str:
    """The database's own time."""
    return str(database.value("select clock_timestamp() as now"))


class TrueTotals(NamedTuple):
    """The true totals of one task."""

    outcomes: Counter[str]
    seconds: float


def tries(audited: AuditedAirflow, mode: str) -> dict[tuple[str, str], TrueTotals]:
    """The tries that ended, by DAG and task."""
    found: dict[tuple[str, str], TrueTotals] = {}
    query = f"select dag_id, task_id, outcome, count(*) as n, sum(seconds) as seconds from e2e_sent_try \
        where mode = {quote(mode)} group by dag_id, task_id, outcome"
    for row in audited.database.rows(query):
        key = (row["dag_id"], row["task_id"])
        known = found.get(key, TrueTotals(Counter(), 0.0))
        known.outcomes[row["outcome"]] += row["n"]
        found[key] = known._replace(seconds=known.seconds + row["seconds"])
    return found


def can_be_sent(identity: tuple[str, ...], mode: str) -> bool:
    """Whether StatsD can carry these ids: Airflow drops what is not ASCII, and plain names hide where a dot was."""
    text = "".join(identity)
    return mode == "datadog" or (text.isascii() and not (mode == "plain" and ("." in text or "__" in text)))


def by_labels(exposition: Exposition, name: str, *labels: str) -> dict[tuple[str, ...], float]:
    """The samples of a metric, summed by some of their labels."""
    found: dict[tuple[str, ...], float] = defaultdict(float)
    for series, value in exposition.items():
        if series.name == name:
            found[tuple(series.label(label) for label in labels)] += value
    return found


FINISHED_STATES = ("success", "failed")
COUNTERS = {
    "airflow_task_tries_total": ("success", "failed", "skipped", "retried"),
    "airflow_task_tries_failed_total": ("failed", "retried"),
    "airflow_task_retries_total": ("retried",),
}


def compare_tries(exposition: Exposition, truth: Mapping[tuple[str, str], TrueTotals], mode: str) -> Iterator[str]:
    """Yield the differences of counters of tries."""
    for name, outcomes in COUNTERS.items():
        shown = by_labels(exposition, name, "dag_id", "task_id")
        for key in sorted({*truth, *shown}):
            if not can_be_sent(key, mode):
                continue
            known = truth.get((key[0], key[1]))
            true = sum(known.outcomes[outcome] for outcome in outcomes) if known else 0
            value = shown.get(key, 0.0)
            if value != true and not (key[1] in ENDED_BY_SCHEDULER and value < true):
                yield f"{name}{list(key)}: {value:g}, true {true}"


def compare_terminal_states(
    exposition: Exposition, truth: Mapping[tuple[str, str], TrueTotals], mode: str
) -> Iterator[str]:
    """Yield the differences of counters of terminal states."""
    shown = by_labels(exposition, "airflow_task_instances_finished_total", "dag_id", "task_id", "state")
    wanted = {
        (dag, task, state): known.outcomes[state] for (dag, task), known in truth.items() for state in FINISHED_STATES
    }
    for key in sorted({*shown, *wanted}):
        true, value = wanted.get((key[0], key[1], key[2]), 0), shown.get(key, 0.0)
        if can_be_sent(key[:2], mode) and value != true and not (key[1] in ENDED_BY_SCHEDULER and value < true):
            yield f"airflow_task_instances_finished_total{list(key)}: {value:g}, true {true}"


def compare_seconds(
    exposition: Exposition, truth: Mapping[tuple[str, str], TrueTotals], mode: str, *, is_3: bool
) -> Iterator[str]:
    """Yield the differences of the run time of tries."""
    shown = by_labels(exposition, "airflow_task_run_seconds_total", "dag_id", "task_id")
    for key, known in sorted(truth.items()):
        if not can_be_sent(key, mode) or key[1] in ENDED_BY_SCHEDULER or (is_3 and key[1] in SKIPPED):
            continue
        value, count = shown.get(key, 0.0), known.outcomes.total()
        most = known.seconds * (1 + MAX_RELATIVE_ERROR) + MAX_EXTRA_SECONDS * count
        if not max(0.001, known.seconds * (1 - MAX_RELATIVE_ERROR) - MAX_STARTUP_SECONDS * count) <= value <= most:
            yield f"airflow_task_run_seconds_total{list(key)}: {value:.2f}, true {known.seconds:.2f} ({is_3=})"


def compare_runs(audited: AuditedAirflow, exposition: Exposition, mode: str) -> Iterator[str]:
    """Yield the differences of runs: counts by state, and durations of successful ones."""
    shown = by_labels(exposition, "airflow_dag_runs_finished_total", "dag_id", "state")
    sums = by_labels(exposition, "airflow_dag_run_duration_seconds_sum", "dag_id")
    query = f"select dag_id, state, count(*) as n, sum(seconds) as seconds from e2e_sent_run \
        where mode = {quote(mode)} group by dag_id, state"
    truth = {(row["dag_id"], row["state"]): (row["n"], row["seconds"]) for row in audited.database.rows(query)}
    for key in sorted({*truth, *shown}):
        if not can_be_sent(key[:1], mode):
            continue
        true, seconds = truth.get((key[0], key[1]), (0, 0.0))
        if shown.get(key, 0.0) != true:
            yield f"airflow_dag_runs_finished_total{list(key)}: {shown.get(key, 0.0):g}, true {true}"
        total = sums.get(key[:1], 0.0)
        if key[1] == "success" and abs(total - seconds) > MAX_EXTRA_SECONDS * true + MAX_RELATIVE_ERROR * seconds:
            yield f"airflow_dag_run_duration_seconds{list(key[:1])} sum: {total:.2f}, true {seconds:.2f}"


def compare_names(exposition: Exposition) -> Iterator[str]:
    """Yield every name that was not recognised, rejected or lost: none of Airflow's names may be."""
    customs = {series.name for series in exposition if series.name.startswith("airflow_custom_")}
    yield from (f"a name of Airflow was treated as a custom metric: {name}" for name in sorted(customs))
    for series, value in exposition.items():
        if "statsd" in series.name and value and series.label("reason") in ("unmapped", "conflict", "capped"):
            yield f"{series.name} {series.label('reason')}: {value:g}"
        if "rejected" in series.name and "statsd" in series.name and value:
            yield f"{series.name} {series.label('reason')}: {value:g}"


@pytest.mark.e2e
@pytest.mark.parametrize("version", VERSIONS)
def test_what_airflow_sends_agrees_with_its_database(version: str) -> None:
    folder = (FOLDER / f"statsd-{version}").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    modes = [mode for mode in CHOSEN if mode != "modern" or release(version) >= (3, 2)]
    problems: list[str] = []
    port = free_port()
    with start_audited_airflow(version, folder, say, choose_settings(modes[0], port)) as audited:
        audited.database.execute("create table e2e_window (endpoint text, start timestamptz, walked timestamptz);")
        audited.database.execute("create table e2e_poll (endpoint text, began timestamptz, ended timestamptz);")
        audited.database.execute("create table e2e_span (mode text, since timestamptz, until timestamptz);")
        expositions = {mode: work(audited, mode, port, folder) for mode in modes}
        for name in ("oracle.sql", "statsd.sql"):
            audited.database.execute_file(name)
        for mode, exposition in expositions.items():
            found = list(compare(audited, exposition, mode))
            count = sum(known.outcomes.total() for known in tries(audited, mode).values())
            say(f"  {version} {mode}: {count} tries, {len(exposition)} samples, {len(found)} differences")
            if count < MIN_TRIES:
                found.append(f"only {count} tries ended, too few for a comparison")
            problems += [f"{mode}: {one}" for one in found]
        compared = sum(FIGURES * len(tries(audited, mode)) for mode in modes)
    say("\n".join(problems) or "no problems")
    if problems and len(problems) <= TOLERANCE * compared:
        say(f"TOLERATED: {len(problems)} of {compared} differ, see above")
        return
    assert not problems


def compare(audited: AuditedAirflow, exposition: Exposition, mode: str) -> Iterator[str]:
    """Yield every difference in one dialect."""
    truth = tries(audited, mode)
    yield from compare_tries(exposition, truth, mode)
    yield from compare_terminal_states(exposition, truth, mode)
    yield from compare_seconds(exposition, truth, mode, is_3=is_release_3(audited))
    yield from compare_runs(audited, exposition, mode)
    yield from compare_names(exposition)
