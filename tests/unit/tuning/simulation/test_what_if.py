"""Replaying what ran: the waits as they were, and those with other settings, which are simulated for comparison."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exporter.tuning.simulation.change import ChangeError, WhatIf, apply_all, parse_change
from exporter.tuning.simulation.comparison import MIN_TRIES, compare
from exporter.tuning.simulation.recorded import RecordedTry, Recording
from exporter.tuning.simulation.settings import QueueWorkers, SimulatedSettings
from exporter.tuning.simulation.starts import find_starts
from tests.unit.tuning.simulation.airflows import BEGIN, run_airflow

REAL = SimulatedSettings(parallelism=16, pools={"forklifts": 3}, loop_seconds=1, start_seconds=0.7)
KNOWN = replace(REAL, loop_seconds=0, start_seconds=0)
"""What is known of it: not how long its scheduler and its starts take."""


def get_all_waits(recording: Recording) -> float:
    """Seconds that tries and runs waited."""
    runs = sum(run.started_at - run.queued_at for run in recording.runs.values())
    return runs + sum(one.wait_seconds or 0 for one in recording.tries)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "text",
    [
        "pool:forklifts=4",
        "pool:forklifts=6",
        "parallelism=6",
        "parallelism=4",
        "max_active_tasks:north=1",
        "max_active_runs:south=1",
        "worker_concurrency=5",
    ],
)
def test_the_waits_are_those_of_an_airflow_with_the_other_value(text: str, seed: int) -> None:
    real = replace(REAL, default_workers=QueueWorkers(8))
    change = parse_change(text)
    result = compare(run_airflow(seed, real), [(0, replace(real, loop_seconds=0, start_seconds=0))], [change])
    assert result.refusal == ""
    assert result.error < 0.05
    really = get_all_waits(run_airflow(seed, change.apply(real)))
    assert result.scopes[0].after.all_seconds == pytest.approx(really, rel=0.1)


def test_the_change_is_measured_on_what_it_concerns() -> None:
    result = compare(run_airflow(1, REAL), [(0, KNOWN)], [parse_change("pool:forklifts=6")])
    everything, pool = result.scopes
    assert (everything.name, pool.name) == ("all tasks", "pool:forklifts")
    assert 0 < pool.before.tries < everything.before.tries
    assert pool.after.seconds < 0.2 * pool.before.seconds
    assert pool.after.p95 < pool.before.p95 <= pool.before.longest


def test_a_limit_that_changed_in_the_window_is_replayed_as_it_was() -> None:
    early, late = run_airflow(1, REAL, hours=6), run_airflow(1, replace(REAL, pools={"forklifts": 6}), hours=12)
    middle = BEGIN + 6 * 3600
    tries = [one for one in early.tries if one.started_at < middle]
    tries += [one for one in late.tries if one.ready_at is not None and one.ready_at >= middle]
    both = Recording(tries, {**early.runs, **{key: run for key, run in late.runs.items() if run.queued_at > middle}})
    change = parse_change("pool:forklifts=4")
    right = compare(both, [(0, KNOWN), (middle, replace(KNOWN, pools={"forklifts": 6}))], [change])
    assert right.refusal == ""
    wrong = compare(both, [(0, KNOWN)], [change])
    assert wrong.error > right.error


def test_it_says_that_it_cannot_tell_where_something_else_made_tasks_wait() -> None:
    hidden = replace(REAL, max_active_tis={("west", "move_1"): 1, ("north", "move_1"): 1}, pools={"forklifts": 2})
    result = compare(
        run_airflow(1, hidden), [(0, replace(KNOWN, pools={"forklifts": 9}))], [parse_change("pool:forklifts=12")]
    )
    assert "differ from the observed ones by -" in result.refusal
    assert result.error > 0.2


def test_it_says_that_it_cannot_tell_from_few_tries_or_unknown_waits() -> None:
    change = parse_change("parallelism=6")
    recording = run_airflow(1, REAL, hours=1)
    few = Recording(recording.tries[: MIN_TRIES - 1], recording.runs)
    assert compare(few, [(0, KNOWN)], [change]).refusal == "only 99 tries ended in the window: 100 are needed"
    unknown = Recording([one._replace(ready_at=None) for one in recording.tries], recording.runs)
    assert "Airflow does not show when they became ready" in compare(unknown, [(0, KNOWN)], [change]).refusal


def test_a_pool_without_tries_is_said() -> None:
    result = compare(run_airflow(1, REAL, hours=3), [(0, KNOWN)], [parse_change("pool:cranes=6")])
    assert result.refusal == "no try of pool:cranes ended in the window"


def test_tries_that_would_never_start_are_counted() -> None:
    recording = run_airflow(1, REAL, hours=3)
    wide = Recording(
        [one._replace(pool_slots=2 if one.pool == "forklifts" else 1) for one in recording.tries], recording.runs
    )
    result = compare(wide, [(0, replace(KNOWN, pools={"forklifts": 6}))], [parse_change("pool:forklifts=1")])
    assert result.scopes[1].after.never > 0
    assert result.scopes[1].before.never == 0


@pytest.mark.parametrize(
    ("text", "change"),
    [
        ("pool:forklifts=4", WhatIf("pool", "forklifts", 4)),
        ("pool:a:b=c=4", None),
        ("pool: x = 2", WhatIf("pool", " x", 2)),
        ("parallelism=8", WhatIf("parallelism", "", 8)),
        ("max_active_runs:north=2", WhatIf("max_active_runs", "north", 2)),
    ],
)
def test_changes_are_read(text: str, change: WhatIf | None) -> None:
    if change is None:
        with pytest.raises(ChangeError):
            parse_change(text)
    else:
        assert parse_change(text) == change


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("pools:x=4", "is not a change that can be simulated"),
        ("parallelism", "is not a change that can be simulated"),
        ("pool=4", "needs the name of a pool or DAG"),
        ("parallelism:x=4", "has no object"),
        ("parallelism=many", "'many' is not a whole number"),
        ("parallelism=0", "nothing would run"),
        ("parallelism=" + "9" * 400, "at most 1,000,000"),
    ],
)
def test_what_is_wrong_with_a_change_is_said(text: str, problem: str) -> None:
    with pytest.raises(ChangeError, match=problem):
        parse_change(text)


def test_changes_apply_to_what_is_there() -> None:
    settings = SimulatedSettings(parallelism=4, is_local=True, default_workers=QueueWorkers(4))
    changed = apply_all([parse_change("parallelism=8"), parse_change("pool:p=2")], settings)
    assert (changed.parallelism, changed.default_workers.concurrency, changed.pools) == (8, 8, {"p": 2})
    assert parse_change("worker_concurrency=2").apply(settings) == settings, "the LocalExecutor has none"
    celery = SimulatedSettings(workers={"q": QueueWorkers(4)}, default_workers=QueueWorkers(8))
    changed = parse_change("worker_concurrency=2").apply(celery)
    assert [changed.get_workers(queue).concurrency for queue in ("q", "other")] == [2, 2]
    assert [parse_change(f"{name}=1").get_current(settings) for name in ("parallelism", "pool:p")] == [4, float("inf")]
    assert parse_change("max_active_tasks:d=3").get_current(SimulatedSettings(max_active_tasks={"d": 2})) == 2


def test_what_is_missing_before_the_window_does_not_count_as_an_error() -> None:
    """In the middle of a busy time: the tries that held the slots at its beginning have ended before it."""
    whole = run_airflow(1, replace(REAL, pools={"forklifts": 2}), hours=3)
    begin = BEGIN + 2 * 3600
    late = Recording([one for one in whole.tries if one.ended_at >= begin], whole.runs, begin)
    blind = replace(late, begin=0.0)
    known = replace(KNOWN, pools={"forklifts": 2})
    change = parse_change("pool:forklifts=4")
    assert compare(late, [(0, known)], [change]).error < 0.05 < compare(blind, [(0, known)], [change]).error


def at_all_times(slots: float) -> list[tuple[float, SimulatedSettings]]:
    return [(0, SimulatedSettings(default_workers=QueueWorkers(slots)))]


def test_each_start_costs_what_it_did_unless_no_worker_was_free() -> None:
    def make(ready_at: float, started_at: float, ended_at: float) -> RecordedTry:
        return RecordedTry("d", "r", "t", -1, 1, ready_at, started_at, ended_at, "p", 1, 1, "q", started_at - ready_at)

    tries = [make(0, 1, 10), make(2, 4, 12), make(3, 12, 20), make(30, 33, 40)]
    assert find_starts(Recording(tries), at_all_times(2)) == [1, 2, 1, 3], (
        "when the third was queued, both workers were busy"
    )
    assert find_starts(Recording(tries), at_all_times(3)) == [1, 2, 9, 3]
    assert find_starts(Recording(), at_all_times(3)) == []
