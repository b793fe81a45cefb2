from __future__ import annotations

import pytest

from exporter.diagnosis import reasons
from exporter.diagnosis.findings import Finding, Observations, build_findings, name_obstacle
from exporter.diagnosis.situation import Situation
from exporter.diagnosis.waits.database import BlockedSessions, DatabaseFacts, find_obstacle
from exporter.diagnosis.waits.stalled import Stall
from exporter.diagnosis.waits.waiting import explain
from tests.unit.diagnosis.rows import NOW, run, situation, task

QUIET = DatabaseFacts(NOW, connections=20, limit=100.0, critical_section_seconds=0.02)
LOCK = BlockedSessions("scheduler", "other_application", "dag_run", 2, NOW - 90, blocker_is_idle=True)

BEHIND = "behind a session of other_application, which is idle in its transaction"


def find(given: Situation) -> list[Finding]:
    return build_findings(given, explain(given))


@pytest.mark.parametrize(
    "facts",
    [
        None,
        QUIET,
        QUIET._replace(blocked=[LOCK._replace(since=NOW - 1)]),
        QUIET._replace(blocked=[LOCK._replace(component="celery_worker")]),
        QUIET._replace(blocked=[LOCK._replace(blocked_by="scheduler")]),
        QUIET._replace(blocked=[LOCK._replace(component="unknown", since=NOW - 10)]),
        QUIET._replace(blocked=[LOCK._replace(component="unknown", table="xcom")]),
        QUIET._replace(oldest_idle=("unknown", NOW - 86_400)),
        QUIET._replace(connections=94),
        QUIET._replace(critical_section_seconds=None),
    ],
)
def test_without_evidence_the_database_is_not_named(facts: DatabaseFacts | None) -> None:
    assert find_obstacle(facts) is None


def test_a_lock_that_the_scheduler_waits_for() -> None:
    facts = QUIET._replace(
        blocked=[LOCK, LOCK._replace(table="job", since=NOW - 8)], oldest_idle=("unknown", NOW - 7200)
    )
    obstacle = find_obstacle(facts)
    assert obstacle is not None
    assert (obstacle.object, obstacle.since) == ("dag_run", NOW - 90)
    assert obstacle.facts == [
        f"2 sessions of scheduler wait for 1 min 30 s for a lock on table dag_run {BEHIND}",
        "a session of unknown has been idle in a transaction for 2 h",
    ]
    assert obstacle.suggestion.startswith("End that session")


def test_a_session_that_could_not_be_identified_counts_on_tables_of_the_scheduler() -> None:
    obstacle = find_obstacle(QUIET._replace(blocked=[LOCK._replace(component="unknown")]))
    assert obstacle is not None
    assert obstacle.facts[0].startswith("2 sessions of unknown wait for 1 min 30 s for a lock on table dag_run")


@pytest.mark.parametrize("facts", [QUIET._replace(connections=95), QUIET._replace(refuses=True)])
def test_connections_that_run_out(facts: DatabaseFacts) -> None:
    obstacle = find_obstacle(facts)
    assert obstacle is not None
    assert (obstacle.object, obstacle.limit, obstacle.used) == ("connections", 100, facts.connections)
    assert ("the database refuses new connections" in obstacle.facts) == facts.refuses


def test_connections_that_were_never_counted_have_no_limit() -> None:
    obstacle = find_obstacle(DatabaseFacts(NOW, 0, 0.0, refuses=True))
    assert obstacle is not None
    assert (obstacle.object, obstacle.limit, obstacle.used) == ("connections", None, None)


def test_a_slow_critical_section() -> None:
    obstacle = find_obstacle(QUIET._replace(critical_section_seconds=2.5))
    assert obstacle is not None
    assert obstacle.object == "critical_section"
    assert obstacle.facts == ["a statement of the scheduler's critical section takes 2.5 s on average"]


def test_what_only_waits_for_the_scheduler_waits_for_the_database_then() -> None:
    rows, runs = [task("scheduled"), task("scheduled", "other", pool="gone")], [run(), run("queued", "r2")]
    obstacle = find_obstacle(QUIET._replace(blocked=[LOCK]))
    given = situation(*rows, runs=runs, pools={}, obstacle=obstacle)
    found = {one.reason.name: one for one in find(given)}
    assert set(found) == {"pool_missing", "database"}, "a reason that Airflow itself shows stays"
    database = found["database"]
    assert (database.object, database.runs, database.patience.name) == ("dag_run", 1, "BUSY")
    assert database.title == "1 run waits (database dag_run)"
    assert "behind a session of other_application" in " ".join(database.list_evidence(NOW))


def test_runs_that_do_not_go_on_only_because_of_the_scheduler() -> None:
    given = situation(runs=[run()], obstacle=find_obstacle(QUIET._replace(blocked=[LOCK])))
    stalls = [Stall(run(), reasons.SCHEDULER, "load"), Stall(run(), reasons.PAST, "load")]
    more = name_obstacle(Observations(stalls=stalls), given)
    assert [one.reason.name for one in more.stalls] == ["database", "past"]
    found = {one.reason.name: one for one in build_findings(given, explain(given), more)}
    assert (found["database"].object, found["database"].runs, found["past"].object) == ("dag_run", 1, "orders.load")
    assert name_obstacle(Observations(stalls=stalls), situation()).stalls == stalls


def test_it_is_named_even_if_nothing_waits_yet() -> None:
    [finding] = find(situation(obstacle=find_obstacle(QUIET._replace(connections=99))))
    assert (finding.reason.name, finding.limit, finding.used) == ("database", 100, 99)
    assert finding.title == "the scheduler is held up (database connections)"
    assert "limit 100, 99 in use" in finding.list_evidence(NOW)


def test_task_instances_that_the_scheduler_could_queue() -> None:
    given = situation(task("scheduled"), task("scheduled", "b"), obstacle=find_obstacle(QUIET._replace(blocked=[LOCK])))
    [finding] = find(given)
    assert (finding.reason.name, finding.object, finding.tasks) == ("database", "dag_run", 2)
