"""`advise --what-if`: reads the events file with those that were renamed, and prints waits, error and doubts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from exporter.commands.advise.observe import ChosenAirflow, ReadWindow
from exporter.commands.advise.what_if import FACTS, LIMITS, TRIES, WhatIfReport, make_what_if
from exporter.commands.advise.what_if_notes import APPROXIMATED
from exporter.commands.advise.what_if_texts import describe_slowdown
from exporter.tuning.query import STEP
from exporter.tuning.series import PointSeries
from exporter.tuning.simulation.change import ChangeError
from exporter.tuning.simulation.settings import SimulatedSettings
from exporter.tuning.simulation.simulation import Simulation
from exporter.tuning.simulation.work import SimulatedTry
from exporter.tuning.slowdown.fit import FittedSlowdown
from exporter.tuning.slowdown.model import Slowdown
from tests.unit.tuning.simulation.airflows import BEGIN, DAY, make_work, read_series, write_lines

POOL = "forklifts"
SETTINGS = SimulatedSettings(parallelism=16, pools={POOL: 3}, loop_seconds=1)
WINDOW = ReadWindow(BEGIN, BEGIN + DAY)


class FakePrometheus:
    """Answers the questions for limits; and for what ran, as the exporter would have read it every minute."""

    warnings = ()

    def __init__(self, slots: float, tries: Sequence[SimulatedTry] = ()) -> None:
        self.answers: dict[str, list[PointSeries]] = {
            "release": [PointSeries({"version": "3.3.2"}, {WINDOW.end: 1})],
            "executor": [PointSeries({"executor": "CeleryExecutor"}, {WINDOW.end: 1})],
            "slots": [PointSeries({}, {BEGIN: 16})],
            "worker_slots_over_time": [PointSeries({"worker": "one"}, {BEGIN: 100})],
            "worker_queues": [PointSeries({"worker": "one", "queue": "default"}, {WINDOW.end: 1})],
            "pool_slots": [PointSeries({"pool": POOL}, {BEGIN: slots})],
        }
        for dag in read_series(list(tries)) if tries else ():
            labels = {"dag_id": dag.dag_id}
            self.answers.setdefault("ended", []).append(PointSeries(labels, dag.ended))
            self.answers.setdefault("run_seconds", []).append(PointSeries(labels, dag.run_seconds))
            for state, pools in (("running", dag.running), ("queued", dag.waiting)):
                self.answers.setdefault("states", []).extend(
                    PointSeries({**labels, "pool": pool, "queue": "default", "state": state}, points)
                    for pool, points in pools.items()
                )

    def query(self, expression: str, at: float) -> list[PointSeries]:
        assert WINDOW.begin < at <= WINDOW.end
        return self._find(expression)

    def query_range(self, expression: str, begin: float, end: float, step: float) -> list[PointSeries]:
        assert (begin, end) == (WINDOW.begin, WINDOW.end)
        return self._find(expression)

    def _find(self, expression: str) -> list[PointSeries]:
        [name] = {one.name for one in LIMITS + FACTS + TRIES if one.fill("a", "1d") == expression}
        return self.answers.get(name, [])


def ask(events: Path | str, *changes: str, slots: float = 3) -> WhatIfReport:
    return make_what_if(FakePrometheus(slots), WINDOW, ChosenAirflow("a"), changes, str(events))


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tries = make_work(1, hours=4)
    Simulation(SETTINGS, tries).run()
    lines = write_lines(tries)
    path = tmp_path_factory.mktemp("events") / "events.jsonl"
    path.write_bytes(b"\n".join(lines[400:]))
    path.with_name("events.jsonl.1").write_bytes(b"\n".join(lines[200:400]))
    path.with_name("events.jsonl.2").write_bytes(b"\n".join(lines[:200]))
    path.with_name("events.jsonl.bak").write_bytes(b"not an event")
    return path


def test_the_waits_are_printed_with_the_error_of_the_simulation(events: Path) -> None:
    report = ask(events, "pool:forklifts=6")
    text = report.render("text").splitlines()
    assert text[0] == "WHAT IF pool:forklifts=6 (now 3)"
    assert report.notes == []
    count = len(make_work(1, hours=4))
    assert count - 5 <= int(text[1].split()[2]) < count, "those of all three files that were ready after the first end"
    assert [line.split()[0] for line in text[3:7]] == ["observed", "simulated", "with", "if"]
    assert "error of the simulation on the settings as they were: " in text[7]
    assert text[7].endswith("0.0% (allowed: 20%)")
    assert "pool:forklifts" in text[8]
    found = json.loads(report.render("json"))
    assert found["refusal"] is None
    assert found["scopes"][1]["changed"]["seconds"] < found["scopes"][1]["observed"]["seconds"]
    changed, full = (found["scopes"][1][name]["mean_run_seconds"] for name in ("changed", "changed_if_full"))
    assert changed < full
    assert found["slowdown"] is None
    assert found["changes"] == [{"setting": "pool:forklifts", "value": 6, "current": 3}]


def test_it_prints_why_it_cannot_say_and_no_waits_after_the_change(events: Path) -> None:
    report = ask(events, "pool:forklifts=20", slots=12)
    text = report.render("text")
    assert "Cannot say what would happen: with the settings as they were" in text
    assert "with it" not in text
    assert json.loads(report.render("json"))["scopes"][0]["changed"] is None


def test_doubts_about_the_data_are_notes(events: Path, tmp_path: Path) -> None:
    old = [json.loads(line) for line in events.read_bytes().splitlines()]
    for line in old:
        line.pop("priority_weight", None)
    path = tmp_path / "old.jsonl"
    path.write_text("\n".join(map(json.dumps, [*old, "?"])), encoding="utf-8")
    report = ask(path, "max_active_runs:north=2")
    assert report.notes[0] == "1 lines have no start or end, or cannot be read"
    assert "did not write pool_slots and priority_weight" in report.notes[1]
    assert report.notes[2] == "the value of max_active_runs:north is not known or unlimited: it is taken as unlimited"
    assert all(f"note: {note}" in report.render("text") for note in report.notes)


def test_without_an_events_file_the_tries_are_approximated_and_it_says_so() -> None:
    tries = make_work(1, hours=4)
    Simulation(SETTINGS, tries).run()
    report = make_what_if(FakePrometheus(3, tries), WINDOW, ChosenAirflow("a"), ["pool:forklifts=6"], "")
    assert report.notes == [APPROXIMATED]
    everything = report.result.scopes[0]
    assert everything.observed.tries == pytest.approx(len(tries), abs=10)
    assert everything.after.seconds < 0.3 * everything.before.seconds


def test_a_file_that_is_missing_and_a_wrong_change_are_errors(events: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        ask(tmp_path / "none.jsonl", "parallelism=4")
    with pytest.raises(ChangeError):
        ask(events, "pools=4")


def test_rules_that_the_simulation_does_not_have_are_said(events: Path, tmp_path: Path) -> None:
    lines = [json.loads(line) for line in events.read_bytes().splitlines()]
    for line in lines:
        line["waited_seconds"] = {"trigger": 5.0, "pool": 1.0}
    lines[0]["waited_seconds"] = None
    file = tmp_path / "events.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    tries = sum(line["event"] == "task_try" for line in lines[1:])
    [note] = ask(file, "pool:forklifts=6").notes
    assert note.startswith(f"{tries:,} tries were deferred for a part of their time")
    notes = ask(file, f"max_active_tasks:{lines[1]['dag_id']}=2").notes
    assert any("from Airflow 3.2 on the scheduler looks only at the first max_active_tasks" in one for one in notes)


def test_where_the_machines_were_not_seen_there_are_two_answers_and_how_to_get_one(events: Path) -> None:
    text = " ".join(ask(events, "pool:forklifts=6").render("text").split())
    assert "Tries keep the durations that they had: nothing shows that they slow each other down." in text
    assert "run the exporter with --collector.host on the machines where tasks run" in text
    smaller = ask(events, "pool:forklifts=2").render("text")
    assert "if full" not in smaller, "no more than before run at once"
    assert "--collector.host" not in smaller


@pytest.mark.parametrize(
    ("basis", "levels", "said"),
    [
        ("cpus", {"north": 5}, "they want more CPUs than the machines have for tasks: 4.0."),
        ("durations", {"north": 5}, "they want more than 4.0 CPUs at once: in the window the same tasks took longer"),
        ("durations", {}, "they want more than 4.0 tasks at once: in the window the same tasks took longer"),
        ("stretch", {}, "more than 4.0 tasks run: that is the recorded stretch."),
    ],
)
def test_it_says_from_what_it_knows_how_tries_slow_each_other_down(
    basis: str, levels: dict[str, int], said: str
) -> None:
    assert said in describe_slowdown(FittedSlowdown(Slowdown(4, None, levels), 5, basis))


def test_the_cpus_of_machines_and_of_tries_are_read(events: Path) -> None:
    """Four CPUs, of which half a one is used by others; each of ten tasks uses a third of one."""
    prometheus = FakePrometheus(3)
    moments = [WINDOW.end - STEP * number for number in range(12)]
    machine = {"instance": "worker-1:9112"}
    prometheus.answers |= {
        "running": [PointSeries({}, dict.fromkeys(moments, 10.0))],
        "task_cpus": [PointSeries(machine, dict.fromkeys(moments, 2.5))],
        "host_cpu": [PointSeries(machine, dict.fromkeys(moments, 0.75))],
        "host_cpus": [PointSeries(machine, {WINDOW.end: 4})],
        "try_cpu": [PointSeries({"dag_id": dag_id}, {WINDOW.end: 0.5}) for dag_id in ("north", "south", "west")],
    }
    report = make_what_if(prometheus, WINDOW, ChosenAirflow("a"), ["pool:forklifts=6"], str(events))
    fitted = report.result.fitted
    assert fitted is not None
    assert (fitted.basis, fitted.slowdown.capacity) == ("cpus", 3.5)
    assert "if full" not in report.render("text"), "it is known what the machines have room for"
    assert json.loads(report.render("json"))["slowdown"] == {"basis": "cpus", "capacity": 3.5, "unit": "cpus"}


def test_what_is_not_known_of_workers_is_said(events: Path) -> None:
    prometheus = FakePrometheus(3)

    def get_notes(change: str = "worker_concurrency=4") -> str:
        return " ".join(make_what_if(prometheus, WINDOW, ChosenAirflow("a"), [change], str(events)).notes)

    prometheus.answers["worker_queues"] = []
    assert "which queues the workers consume is not known: each is taken to consume all" in get_notes()
    prometheus.answers["worker_queues"] = [PointSeries({"worker": "one", "queue": "heavy"}, {WINDOW.end: 1})]
    assert "no worker that consumes default was seen: tasks of these queues are taken to start at once" in get_notes()
    del prometheus.answers["worker_slots_over_time"]
    assert "no worker of Celery was seen: their slots are taken as unlimited" in get_notes()
    prometheus.answers["executor"] = [PointSeries({"executor": "LocalExecutor"}, {WINDOW.end: 1})]
    assert "the LocalExecutor has no worker_concurrency: change parallelism instead" in get_notes()
    assert get_notes("pool:forklifts=6") == ""
