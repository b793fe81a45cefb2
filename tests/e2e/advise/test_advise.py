"""Advice on simulated Airflows whose best number of tasks is known, from series in a real Prometheus.

Each mix writes the series of a day; the shipped rules are evaluated over them by promtool; then the command `advise`
reads them. `--seed` chooses other mixes, E2E_ADVISE_MIXES how many, E2E_ADVISE_HOURS how long a day of theirs is.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from tests.e2e.advise.history import backfill, serve
from tests.e2e.advise.mixes import Mix, build_simulation, make_mix
from tests.e2e.advise.series import STEP, Recorder, write_openmetrics
from tests.e2e.exactness.prometheus import Prometheus, find_prometheus

pytestmark = pytest.mark.e2e

BEGIN = 1_767_225_600.0
HOURS = int(os.environ.get("E2E_ADVISE_HOURS", "24"))
END = BEGIN + HOURS * 3600
COUNT = int(os.environ.get("E2E_ADVISE_MIXES", "20"))
GOAL = float(os.environ.get("E2E_ADVISE_GOAL", "0.9"))
"""18 of 20, if it is not given."""
TOLERANCE = 0.2


class Verdict(NamedTuple):
    """What was advised for a mix."""

    mix: Mix
    advised: float
    """The setting after the advice: the present one if nothing is to be changed."""
    changes: list[str]
    """The titles of all recommendations."""

    @property
    def is_right(self) -> bool:
        """Whether the setting is then near the best one; or nothing is advised where nothing binds."""
        if self.mix.state == "idle":
            return not self.changes
        return abs(self.advised / self.mix.optimum - 1) <= TOLERANCE

    def __str__(self) -> str:
        mix = self.mix
        return (
            f"{mix.seed:5} {mix.kind:9} {mix.state:9} {len(mix.machines):8} {mix.optimum:8.1f} {mix.slots:8.0f} "
            f"{self.advised:8.0f} {self.advised / mix.optimum - 1:+8.0%}  {'right' if self.is_right else 'WRONG'}"
        )


@pytest.fixture(scope="module")
def mixes(request: pytest.FixtureRequest) -> list[Mix]:
    seed = request.config.getoption("--seed")
    return [make_mix(number) for number in range(seed, seed + COUNT)]


@pytest.fixture(scope="module")
def prometheus(mixes: list[Mix], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    program, promtool = find_prometheus(), os.environ.get("PROMTOOL") or shutil.which("promtool")
    if program is None or promtool is None:
        pytest.skip("needs prometheus and promtool in PATH, or PROMETHEUS_BIN and PROMTOOL")
    folder = tmp_path_factory.mktemp("history")
    samples = folder / "samples.om"
    with samples.open("w", encoding="utf-8") as file:
        write_openmetrics([record(mix) for mix in mixes], file)
    backfill(program, promtool, folder, samples, BEGIN, END)
    samples.unlink()
    with serve(program, folder) as server:
        yield server


def record(mix: Mix) -> Recorder:
    """The series of a mix."""
    recorder = Recorder(mix, BEGIN, END)
    build_simulation(mix, BEGIN, HOURS).run(recorder, STEP, END)
    return recorder


def advise(server: Prometheus, mix: Mix) -> dict[str, Any]:
    """What the command prints."""
    url = f"--prometheus.url=http://127.0.0.1:{server.port}"
    window = (f"--window={HOURS}h", f"--end={END:.0f}", f"--airflow={mix.name}")
    command = [sys.executable, "-m", "exporter", "advise", url, *window, "--format=json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.stdout, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def judge(mix: Mix, report: dict[str, Any]) -> Verdict:
    """The advice on how many tasks should run at once, and all that is advised."""
    changes = [one for answer in report["answers"] for one in answer["recommendations"]]
    advised = [
        float(one["value"])
        for answer in report["answers"]
        for one in answer["recommendations"]
        if answer["question"] == "parallelism"
    ]
    return Verdict(mix, advised[0] if advised else mix.slots, [one["title"] for one in changes])


def test_the_advice_is_near_the_known_optimum(prometheus: Prometheus, mixes: list[Mix]) -> None:
    verdicts = [judge(mix, advise(prometheus, mix)) for mix in mixes]
    print(f"\n{'seed':>5} {'limited by':9} {'setting':9} machines  optimum  present  advised    error")
    for verdict in verdicts:
        print(verdict)
    for verdict in verdicts:
        if not verdict.is_right:
            print(f"{verdict.mix.seed}: {'; '.join(verdict.changes) or 'nothing advised'}")
    right = sum(verdict.is_right for verdict in verdicts)
    print(f"{right} of {len(verdicts)} within {TOLERANCE:.0%}")
    assert right >= int(GOAL * len(verdicts))
