"""The proof on real causes: things go wrong in a real Airflow, and the right people are told, once, until it is over.

    make e2e-alerts

Real Airflow, exporter, Prometheus and Alertmanager with what is shipped; overrides.py says what is hastened. Leaves its
table in .e2e/ (or $E2E_FOLDER). Needs PostgreSQL's server programs.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import NamedTuple

import pytest

from demo.preparation import Pool
from tests.alertmanager.server import Notice, hurried
from tests.e2e.alerts import causes, overrides
from tests.e2e.alerts.causes import order, run_to_the_end, triggered
from tests.e2e.alerts.history import NAME as HISTORY
from tests.e2e.alerts.history import LeakingWorker
from tests.e2e.alerts.journal import Journal, Trial
from tests.e2e.alerts.stage import NAME, Plan, Stage, open_stage, programs_missing
from tests.e2e.alerts.telling import FOLDER, HERE, say
from tests.e2e.exactness.environment import wait_until

FACTOR = 30
"""By which alerts and windows are shorter."""
FIRING = 150.0
RESOLVING = 200.0
HELD_BACK = 100.0
OTHERS = 420.0
"""Seconds that whatever else runs on this machine gets to end."""
SETTLED = 6.0
"""Seconds in which the inbox is told of what has just ended."""
LEAK_HOURS = 1.0
LEAK_BYTES_PER_HOUR = 1000.0 * 2**20
SCHEDULED = ("sales", "moody", "late")
NO_GROUPS = "NOT PROVED: this machine lets us make no control group that limits memory"
PLAN = Plan(
    version="3.3.2",
    port=18380,
    dags=HERE / "dags" / "commanded",
    pools={"narrow": Pool(1, "one slot for four")},
    settings={
        "AIRFLOW__CORE__PARALLELISM": "8",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "True",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "5",
    },
    exporter_flags=(
        "--airflow.interval=4s",
        "--host.interval=2s",
        "--exposition.birth-hold=3s",
        "--statsd.receive-buffer=32768",
    ),
    exporter_config="airflow:\n  intervals: {dags: 8s, jobs: 5s, import_errors: 5s, config: 5s}\n",
    change_rules=lambda rules: overrides.hasten(rules, FACTOR),
    change_routes=hurried,
    seconds=overrides.SECONDS,
)


class Cause(NamedTuple):
    """Something that goes wrong, while the context is open; and the alerts that must tell of it, with these labels."""

    name: str
    alerts: Mapping[str, Mapping[str, str]]
    context: AbstractContextManager[object]


class Play:
    """All causes, in acts: those of one act do not disturb each other."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.journal = Journal(stage.inbox.notices, say)
        self.held_back: dict[str, bool] = {}

    def act(self, *acts: Cause, meanwhile: Callable[[], None] | None = None, resolving: float = RESOLVING) -> None:
        """Begin these causes at once, end each when it has been told of, and wait until its end has been."""
        with ExitStack() as stack:
            begun = {cause.name: self.begin(cause, stack) for cause in acts}
            if meanwhile:
                meanwhile()
            end = time.monotonic() + FIRING
            while begun:
                over = time.monotonic() > end
                for name in [name for name in begun if over or self.journal.is_notified(name)]:
                    self.journal.end(name)
                    begun.pop(name).close()
                time.sleep(0.5)
        self.journal.wait_resolved(*(cause.name for cause in acts), seconds=resolving)

    def begin(self, cause: Cause, stack: ExitStack) -> ExitStack:
        """Let something go wrong; closing what this answers puts it right."""
        going_on = stack.enter_context(ExitStack())
        going_on.enter_context(cause.context)
        self.journal.begin(cause.name, cause.alerts)
        return going_on

    # ---- the acts -----------------------------------------------------------------------------

    def fall_and_stop(self) -> None:
        """Most of all outcomes are failures, triggerer and DAG processor stop."""
        self.act(
            Cause(
                "24 tasks of two DAGs fail at once",
                {"AirflowTaskFailureRatioHigh": {}},
                run_to_the_end(self.stage, "flop", "flop_again"),
            ),
            self.stop("triggerer", "AirflowTriggererHeartbeatOld"),
            self.stop("dag-processor", "AirflowDagProcessorHeartbeatOld"),
        )

    def misbehave(self) -> None:
        """DAGs, limits, files, memory, packets."""
        self.act(*self.small_causes())

    def small_causes(self) -> Iterator[Cause]:
        stage, sales = self.stage, {"dag_id": "sales", "owners": "sales-team"}
        failing = {
            "AirflowDagRunsFailingInARow": sales,
            "AirflowDagRunFailureRatioHigh": sales,
            "AirflowTasksFailing": sales,
        }
        yield Cause("a DAG made to fail, run after run", failing, order(stage, "fail"))
        storm = {"AirflowRetriesStorming": {"dag_id": "moody"}}
        yield Cause("a task that is retried again and again", storm, order(stage, "retry"))
        late = {"AirflowCriticalDagLate": {"dag_id": "late", "owners": "finance-team"}}
        yield Cause("a critical DAG's run that does not end", late, order(stage, "late"))
        yield Cause("a broken DAG file", {"AirflowImportErrors": {}}, causes.broken_file(stage))
        pool = {"AirflowTasksWaitingForPool": {"pool": "narrow", "reason": "pool"}}
        yield Cause("a pool of one slot, four tasks", pool, triggered(stage, "narrow"))
        limit = {"AirflowTasksWaitingForDagLimit": {"dag_id": "few", "reason": "max_active_tasks"}}
        yield Cause("max_active_tasks of 1, four tasks", limit, triggered(stage, "few"))
        lost = {"AirflowTasksCannotStart": {"reason": "pool_missing", "object": "nowhere"}}
        yield Cause("a pool that does not exist", lost, causes.waiting_for_ever(stage, "lost"))
        runs = {"AirflowDagRunsWaitingForLimit": {"dag_id": "single", "reason": "max_active_runs"}}
        yield Cause("max_active_runs of 1, two runs", runs, causes.triggered_twice(stage, "single"))
        yield Cause("StatsD's socket is flooded", {"AirflowStatsdPacketsDropped": {}}, causes.flood_statsd(stage))
        if causes.can_make_groups():
            hog = {"AirflowHostMemoryHigh": {"cgroup": f"/{causes.HOG_GROUP}"}}
            yield Cause("a memory hog in the triggerer's control group", hog, causes.hog(stage, "triggerer"))
        else:
            say(NO_GROUPS)

    def stop(self, part: str, alert: str) -> Cause:
        return Cause(f"the {part} stops", {alert: {}}, causes.without(self.stage, part))

    def stop_scheduler(self) -> None:
        """The scheduler stops, and comes back with parallelism 1."""
        self.stage.airflow.settings["AIRFLOW__CORE__PARALLELISM"] = "1"
        self.act(self.stop("scheduler", "AirflowSchedulerHeartbeatOld"))

    def stop_api_server(self) -> None:
        """The API server stops: the source that is down for it is not told of besides."""
        self.act(
            self.stop("api-server", "AirflowApiServerUnreachable"),
            meanwhile=lambda: self.watch_held_back("AirflowSourceDown"),
        )

    def crowd(self) -> None:
        """One task may run, six want to."""
        name = "parallelism of 1, six tasks"
        self.act(
            Cause(
                name, {"AirflowTasksWaitingForParallelism": {"reason": "parallelism"}}, triggered(self.stage, "crowd")
            )
        )

    def kill_exporter(self) -> None:
        """The exporter is killed."""
        alerts = {"AirflowExporterAbsent": {"airflow": NAME}}
        self.act(Cause("the exporter is killed", alerts, causes.killed(self.stage)))

    def burn(self) -> None:
        """CPUs burn: the last act, when a healthy Airflow that is watched beside this one has ended."""
        for dag_id in SCHEDULED:
            self.stage.console.pause(dag_id, True)
        firing = 'ALERTS{alertname="AirflowHostCpuSaturated",alertstate="firing"}'
        with contextlib.suppress(TimeoutError):  # a machine that others keep busy cannot show it: the table will say so
            wait_until(lambda: not self.stage.prometheus.query(firing), OTHERS, "the CPUs are idle")
        time.sleep(SETTLED)
        self.act(Cause("CPUs burn", {"AirflowHostCpuSaturated": {}}, causes.burn_cpu()), resolving=OTHERS)

    # ---- what is seen at the inbox ------------------------------------------------------------

    def watch_held_back(self, alert: str) -> None:
        """Wait until Alertmanager holds this alert back; it has to fire for that."""

        def is_suppressed() -> bool:
            return any(
                held["labels"]["alertname"] == alert and held["status"]["state"] == "suppressed"
                for held in self.stage.alertmanager.alerts()
            )

        with contextlib.suppress(TimeoutError):
            wait_until(is_suppressed, HELD_BACK, f"{alert} is held back")
        self.held_back[alert] = is_suppressed()

    def told_of(self, *alerts: str) -> list[str]:
        """Which of these the inbox was told of."""
        return sorted({name for notice in self.stage.inbox.notices() for name in notice.names()} & set(alerts))


def check_groups(notices: Sequence[Notice]) -> None:
    """All that is wrong with one DAG is one notification to its owners, never mixed with another DAG's."""
    groups = [notice for notice in notices if notice.receiver == "owners"]
    assert all(len(dags_of(notice)) == 1 for notice in groups)
    together = {"AirflowDagRunsFailingInARow", "AirflowDagRunFailureRatioHigh"}
    assert any(dags_of(notice) == {"sales"} and notice.names() >= together for notice in groups)


def dags_of(notice: Notice) -> set[str]:
    return {alert["labels"].get("dag_id", "") for alert in notice.alerts}


def start_work(stage: Stage) -> None:
    """Let the scheduled DAGs run well once, so that what comes is a change."""
    for dag_id in SCHEDULED:
        stage.console.pause(dag_id, False)
    query = "select distinct dag_id from dag_run where state = 'success'"
    wait_until(lambda: len(stage.airflow.query(query)) == len(SCHEDULED), 300, "each scheduled DAG has run")


@pytest.mark.e2e
def test_real_causes_are_told_of_once_until_they_end() -> None:
    assert programs_missing() == []
    folder = (FOLDER / "alerts-causes").resolve()
    with LeakingWorker(LEAK_HOURS, LEAK_BYTES_PER_HOUR) as worker, open_stage(PLAN, folder, say, worker) as stage:
        play = Play(stage)
        play.journal.begin("a worker that leaks, in history", {"AirflowComponentMemoryLeak": {"airflow": HISTORY}})
        for dag_id in stage.console.dag_ids() - set(SCHEDULED):
            stage.console.pause(dag_id, False)
        play.journal.wait_notified("a worker that leaks, in history", seconds=FIRING)
        worker.mend()
        play.journal.end("a worker that leaks, in history")
        play.fall_and_stop()
        start_work(stage)
        play.misbehave()
        play.stop_scheduler()
        play.stop_api_server()
        play.crowd()
        play.kill_exporter()
        play.burn()
        play.journal.wait_resolved("a worker that leaks, in history", seconds=1)
        report(play)
        check(play)


def report(play: Play) -> None:
    """Write and print the table."""
    expected = {trial.alert for trial in play.journal.trials}
    names = {name for notice in play.stage.inbox.notices() for name in notice.names()}
    lines = [
        *play.journal.table(),
        "",
        f"held back: {', '.join(sorted(alert for alert, held in play.held_back.items() if held))}",
        f"told of besides: {', '.join(sorted(names - expected - {'Watchdog'})) or 'nothing'}",
        *([] if causes.can_make_groups() else [NO_GROUPS]),
    ]
    (FOLDER / "alerts-causes.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    say("\n" + "\n".join(lines))


def check(play: Play) -> None:
    """Everything fired, went to the right place, resolved; what follows was held back and not told."""

    def lacks(trial: Trial) -> bool:
        return trial.notified is None or trial.resolved is None

    assert [trial.alert for trial in play.journal.trials if lacks(trial)] == []
    assert all(play.held_back.values()), play.held_back
    assert play.told_of(*play.held_back) == []
    rules = overrides.shipped_alerts()
    for trial in play.journal.trials:
        assert trial.receivers == receivers_of(rules[trial.alert]["labels"], trial), trial.alert
    check_groups(play.stage.inbox.notices())
    heartbeats = [notice for notice in play.stage.inbox.notices() if notice.receiver == "heartbeat"]
    assert len(heartbeats) > 10


def receivers_of(labels: Mapping[str, str], trial: Trial) -> tuple[str, ...]:
    """Who is to be told, by the table in docs/alertmanager.md."""
    owned = labels["component"] in {"dag", "task"} and "dag_id" in trial.labels
    if labels["severity"] == "critical":
        return ("owners", "pager") if owned else ("pager",)
    return ("owners",) if owned else ("operators",)
