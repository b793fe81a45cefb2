"""`advise --what-if worker_concurrency=N` for several Celery workers and queues, from series in a real Prometheus.

An Airflow with these workers is simulated; what the exporter would have exposed of it is written into a Prometheus, and
what ran into an events file. The waits that are predicted are then those of the same Airflow with the other setting.
"""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner

from exporter.cli import main
from exporter.tuning.simulation.change import parse_change
from exporter.tuning.simulation.settings import CeleryWorker, SimulatedSettings
from exporter.tuning.simulation.simulation import Simulation
from exporter.tuning.simulation.work import WAIT, Phase, Run, SimulatedTry
from tests.integration.advise.test_real import find_program, get_free_port, start
from tests.unit.tuning.simulation.airflows import BEGIN, write_lines

pytestmark = pytest.mark.slow
HOURS = 6
END = BEGIN + HOURS * 3600
STEP = 60
DEFAULT, HEAVY, BOTH = frozenset({"default"}), frozenset({"heavy"}), frozenset({"default", "heavy"})
FIRST = CeleryWorker("celery@first", 4, DEFAULT)
LATER = CeleryWorker("celery@later", 4, DEFAULT)
"""It is started in the middle of the window."""


class Fleet(NamedTuple):
    """Some workers."""

    name: str
    """The label `airflow`."""
    always: Sequence[CeleryWorker]

    def get_timeline(self) -> list[tuple[float, SimulatedSettings]]:
        """The settings, with the times from which they held."""
        before = SimulatedSettings(
            parallelism=64, pools={"default_pool": 128}, loop_seconds=1, start_seconds=0.7, celery_workers=self.always
        )
        after = replace(before, celery_workers=[*self.always, LATER])
        return [(BEGIN, before), (BEGIN + HOURS * 1800, after)]

    def run(self, *changes: str) -> list[SimulatedTry]:
        """What runs with these workers, and with other settings of them."""
        timeline = self.get_timeline()
        for change in map(parse_change, changes):
            timeline = [(at, change.apply(settings)) for at, settings in timeline]
        tries = make_tries()
        Simulation(timeline[0][1], tries, changes=timeline[1:]).run()
        return tries


FLEETS = [
    Fleet("apart", [FIRST, CeleryWorker("celery@a", 2, HEAVY), CeleryWorker("celery@b", 3, HEAVY)]),
    Fleet("shared", [FIRST, CeleryWorker("celery@both", 3, BOTH), CeleryWorker("celery@heavy", 2, HEAVY)]),
]
CHANGES = ["worker_concurrency=6", "worker_concurrency:heavy=5", "worker_concurrency=2"]


def make_tries() -> list[SimulatedTry]:
    """Every five minutes a burst for each queue, that of `default` growing."""
    chance, tries = random.Random(5), list[SimulatedTry]()
    for minute in range(0, HOURS * 60 - 30, 5):
        for queue, count, seconds in (("default", 8 + minute // 60, 60), ("heavy", 7, 90)):
            at = BEGIN + minute * 60 + chance.uniform(0, 60)
            run = Run(f"dag_{queue}", f"{queue} {minute}", at, at, tail_seconds=0.5)
            for number in range(count):
                phases = [Phase(WAIT, seconds * chance.uniform(0.5, 1.5))]
                tries.append(SimulatedTry(run, "work", phases, 0.2, map_index=number, queue=queue))
    return tries


def list_samples(fleet: Fleet, moment: float) -> Iterator[tuple[str, dict[str, str], float]]:
    """What the exporter would have exposed, and the rules recorded, of limits and workers."""
    yield "airflow_info", {"version": "3.3.2"}, 1
    yield "airflow_executor_info", {"executor": "CeleryExecutor", "team": "", "default": "true"}, 1
    yield "airflow:parallelism_slots:max", {}, 64
    yield "airflow_pool:slots:max", {"pool": "default_pool"}, 128
    [workers] = [settings.celery_workers for at, settings in fleet.get_timeline() if at <= moment][-1:]
    for worker in workers or ():
        yield "airflow_celery_worker_slots", {"worker": worker.name}, worker.concurrency
        for queue in worker.queues:
            yield "airflow_celery_worker_queue_info", {"worker": worker.name, "queue": queue}, 1


def write_samples() -> str:
    """All of it, as promtool reads it."""
    lines: dict[str, list[str]] = {}
    for fleet in FLEETS:
        for moment in range(int(BEGIN), int(END) + 1, STEP):
            for name, labels, value in list_samples(fleet, moment):
                inner = ",".join(f'{key}="{text}"' for key, text in {"airflow": fleet.name, **labels}.items())
                lines.setdefault(name, []).append(f"{name}{{{inner}}} {value} {moment}")
    return "\n".join(f"# TYPE {name} gauge\n" + "\n".join(found) for name, found in lines.items()) + "\n# EOF\n"


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    program, promtool = find_program("prometheus"), find_program("promtool")
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "data.om").write_text(write_samples(), encoding="utf-8")
    (folder / "prometheus.yml").write_text("global: {}\n", encoding="utf-8")
    create = [promtool, "tsdb", "create-blocks-from", "openmetrics", str(folder / "data.om"), str(folder / "data")]
    subprocess.run(create, check=True, capture_output=True)
    address = f"127.0.0.1:{get_free_port()}"
    command = [program, f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}"]
    retention = "--storage.tsdb.retention.time=100y"
    with start([*command, retention, f"--web.listen-address={address}"], f"http://{address}") as url:
        yield url


def ask(prometheus: str, fleet: Fleet, change: str, events: Path) -> dict[str, Any]:
    """What the command prints."""
    events.write_bytes(b"\n".join(write_lines(fleet.run())))
    arguments = [f"--prometheus.url={prometheus}", f"--airflow={fleet.name}", f"--window={HOURS}h", f"--end={END:.0f}"]
    more = [f"--what-if={change}", f"--events.file={events}", "--format=json"]
    done = CliRunner().invoke(main, ["advise", *arguments, *more], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def get_waits(tries: Sequence[SimulatedTry], queue: str = "") -> float:
    """Seconds that the tries of a queue, or all, waited."""
    return sum(one.wait_seconds for one in tries if queue in ("", one.queue))


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("fleet", FLEETS, ids=[fleet.name for fleet in FLEETS])
def test_the_waits_are_those_of_the_workers_with_the_other_setting(
    prometheus: str, fleet: Fleet, change: str, tmp_path: Path
) -> None:
    report = ask(prometheus, fleet, change, tmp_path / "events.jsonl")
    assert report["refusal"] is None
    assert report["changes"][0]["current"] == (3 if "heavy" in change else 4)
    everything = report["scopes"][0]
    assert abs(everything["error"]) < 0.05
    really, before = fleet.run(change), fleet.run()
    assert abs(get_waits(really) / get_waits(before) - 1) > 0.2, "the change matters"
    assert everything["changed"]["seconds"] == pytest.approx(get_waits(really), rel=0.15)
    if "heavy" in change:
        assert report["scopes"][1]["changed"]["seconds"] == pytest.approx(get_waits(really, "heavy"), rel=0.1)


def test_a_queue_whose_workers_are_full_is_not_taken_for_slow_starts(prometheus: str, tmp_path: Path) -> None:
    """While slots of other queues are free, tries of `heavy` wait for theirs: more slots take these waits away."""
    fleet = FLEETS[0]
    report = ask(prometheus, fleet, "worker_concurrency:heavy=20", tmp_path / "events.jsonl")
    heavy = report["scopes"][1]
    assert heavy["observed"]["mean_seconds"] > 20
    assert heavy["changed"]["mean_seconds"] < 3
