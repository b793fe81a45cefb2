"""Days of work, compressed: memory, descriptors, threads and the state file do not grow.

    SOAK_MINUTES=30 python -m pytest tests/e2e/soak -m e2e -s

The clocks of an Airflow-like server and of the exporter jump on with each poll, so that what is kept for a day is also
removed. StatsD lines and scrapes come in real time. Descriptors and threads are judged after an hour. Records of what
ended and DAGs that are gone are kept for a day, so memory and the state file are judged from then on; a short run says
that it was too short for them.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from demo.workdir import free_port
from tests.e2e.exactness.subject import Subject
from tests.e2e.soak.airflow import ChangingAirflow
from tests.e2e.soak.load import PLAIN, Load
from tests.e2e.soak.trend import fit
from tests.integration.airflow.stub import serve

MINUTES = float(os.environ.get("SOAK_MINUTES", "2"))
SEED = int(os.environ.get("SOAK_SEED", "1"))
DAY = 86_400.0
DAY_LONG = 26 * 3600.0
"""Seconds on the fast clock after which all that is kept for a day is also removed."""
WARM_UP = {"descriptors": 3600.0, "threads": 3600.0}
"""Seconds on the fast clock before growth is judged; DAY_LONG for what holds records and series."""
MIN_SAMPLES = 36
PAUSE = 0.5
ALLOWED = 0.01
"""By which fraction of its mean a value may grow a day."""
REQUESTS_BETWEEN_TRIMS = 1_000


class Sample(NamedTuple):
    """What the exporter's process holds at a time on the fast clock."""

    at: float
    rss_bytes: float
    python_blocks: float
    descriptors: float
    threads: float
    state_bytes: float
    exposed_lines: float


def say(message: str) -> None:
    """Progress, past pytest's capture."""
    print(message, file=sys.__stderr__, flush=True)


@pytest.mark.e2e
def test_nothing_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = tmp_path / "blocks"
    monkeypatch.setenv("SOAK_BLOCKS", str(blocks))
    samples, load, airflow = soak(tmp_path, blocks)
    say(f"{samples[-1].at / DAY:.2f} days, {len(samples)} samples, {airflow.requests} requests, {load.counts}")
    grown = []
    for name in Sample._fields[1:]:
        kept = [sample for sample in samples if sample.at >= WARM_UP.get(name, DAY_LONG)]
        if len(kept) < MIN_SAMPLES:
            say(f"  {name:14} not judged: the run was too short; last {getattr(samples[-1], name):,.0f}")
            continue
        trend = fit([sample.at for sample in kept], [getattr(sample, name) for sample in kept], DAY)
        verdict = "GROWS" if trend.grows(ALLOWED) else ("steady" if trend.is_known(ALLOWED) else "not known this well")
        say(f"  {name:14} {trend.mean:14,.0f}  {trend.slope:+12,.1f} ± {trend.error:,.1f} a day: {verdict}")
        grown += [name] if trend.grows(ALLOWED) else []
    assert not airflow.unknown, "the exporter asked for what this server does not know"
    assert not load.counts["failures"]
    assert not grown


def soak(folder: Path, blocks: Path) -> tuple[list[Sample], Load, ChangingAirflow]:
    """Run the exporter under load, and measure it."""
    with ExitStack() as stack:
        airflow = ChangingAirflow(lambda now: subject.set_clock(round(now - time.time())), SEED)
        stub = stack.enter_context(serve(airflow))
        port, config, token = free_port(), folder / "exporter.yml", folder / "token"
        config.write_text(PLAIN)
        token.write_text("token")
        flags = [
            f"--config.file={config}",
            f"--airflow.url={stub.url}",
            f"--airflow.token-file={token}",
            "--airflow.interval=1s",
            "--collector.statsd",
            "--no-collector.host",
            f"--statsd.listen-udp=127.0.0.1:{port}",
            "--statsd.listen-tcp=",
            "--exposition.birth-hold=1s",
        ]
        subject = Subject(folder, flags, module="tests.e2e.soak.probe")
        stack.callback(subject.close)
        subject.start()
        subject.wait_ready()
        load = Load(subject, airflow, port, config, SEED)
        load.start()
        stack.callback(load.close)
        samples: list[Sample] = []
        end = time.monotonic() + MINUTES * 60
        while time.monotonic() < end:
            time.sleep(PAUSE)
            samples.append(measure(subject, load, airflow.clock.passed, blocks))
            if len(stub.asked) > REQUESTS_BETWEEN_TRIMS:
                stub.asked.clear()
        return samples, load, airflow


def measure(subject: Subject, load: Load, at: float, blocks: Path) -> Sample:
    """What the process holds now."""
    process = psutil.Process(subject.pid)
    files = subject.state_file.parent.glob(f"{subject.state_file.name}*")
    return Sample(
        at,
        process.memory_info().rss,
        float(blocks.read_text()),
        process.num_fds(),
        process.num_threads(),
        sum(file.stat().st_size for file in files),
        load.exposed,
    )
