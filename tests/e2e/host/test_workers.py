"""How many workers are counted on a real Airflow with Celery and a real Redis, held against the processes themselves.

    AIRFLOW_VERSIONS=3.3.2 python -m pytest tests/e2e/host/test_workers.py -m e2e -s

Needs PostgreSQL's server programs and redis-server.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from demo.airflow import Airflow
from demo.workdir import free_port
from tests.e2e.exactness.subject import Subject

VERSIONS = os.environ.get("AIRFLOW_VERSIONS", "3.3.2 2.11.2").split()
FOLDER = Path(os.environ.get("E2E_FOLDER", ".e2e"))
DAGS = Path(__file__).resolve().parent / "dags"
CONCURRENCY = 4
PATIENCE = 300.0
AGREED = 3
"""How many scrapes in a row must show the true numbers, so that none was met by chance."""

COMPONENTS = ("celery_worker", "celery_pool", "scheduler", "triggerer")
Numbers = Mapping[str, int]


def list_processes() -> dict[int, tuple[int, str]]:
    """The parent and the command line of every process of this machine."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            text = (folder / "cmdline").read_bytes().rstrip(b"\0 ").replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        found[int(folder.name)] = (parent, text)
    return found


def count_truly() -> Numbers:
    """How many run, of all Airflows of this machine: told by what only a main process has.

    Of Celery that is its own title; of the rest that the parent does not have the same command line.
    """
    found = list_processes()
    mains = {pid for pid, (_, text) in found.items() if text.startswith("[celeryd:") and ":MainProcess]" in text}
    numbers = {"celery_worker": len(mains), "celery_pool": 0}
    numbers["celery_pool"] = sum(
        parent in mains and ("ForkPoolWorker" in text or text.startswith("airflow supervisor"))
        for parent, text in found.values()
    )
    for component, command in (("scheduler", "scheduler"), ("triggerer", "triggerer")):
        numbers[component] = sum(
            f"/airflow {command}" in text and text != found.get(parent, (0, ""))[1] for parent, text in found.values()
        )
    return numbers


class Watch:
    """The exporter, and what it says of workers."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self.shown: Numbers = {}

    def scrape(self) -> tuple[Numbers, float]:
        """The processes of each component that is counted here, and the slots of all workers."""
        exposition = self._subject.scrape()
        shown = {s.label("component"): int(v) for s, v in exposition.items() if s.name == "airflow_processes"}
        each = max((v for s, v in exposition.items() if s.name == "airflow_worker_concurrency"), default=0.0)
        return shown, each * shown.get("celery_worker", 0)

    def agree(self, workers: Callable[[int], bool], what: str, components: Collection[str] = COMPONENTS) -> None:
        """Wait until what is shown of these is true for some time, with so many workers."""
        end, agreed = time.monotonic() + PATIENCE, 0
        while agreed < AGREED:
            all_shown, slots = self.scrape()
            numbers = count_truly()
            truth = {name: numbers[name] for name in components}
            self.shown = {name: all_shown.get(name, 0) for name in components}
            right = self.shown == truth and slots == CONCURRENCY * truth["celery_worker"]
            agreed = agreed + 1 if right and workers(truth["celery_worker"]) else 0
            assert time.monotonic() < end, f"{what}: {self.shown} and {slots} slots are shown, true is {truth}"
            time.sleep(2)
        print(f"{what}: {self.shown}", file=sys.__stderr__, flush=True)


def make_flags(airflow: Airflow) -> list[str]:
    """How the exporter is started."""
    return [
        f"--airflow.url={airflow.url}",
        "--airflow.username=admin",
        f"--airflow.password-file={airflow.password_file}",
        "--airflow.interval=10s",
    ]


def start_second(airflow: Airflow) -> subprocess.Popen[bytes]:
    """Another worker on this machine."""
    command = [str(airflow.venv / "bin" / "airflow"), "celery", "worker", "--skip-serve-logs"]
    command += ["--celery-hostname", "second@%h", "--pid", str(airflow.folder.path / "second.pid")]
    with (airflow.folder.logs / "second-worker.log").open("wb") as log:
        return subprocess.Popen(
            command, env=airflow.environ(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )


def end_session(leader: int) -> None:
    """End whatever is left of a worker's processes: they share its process group."""
    with suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


@pytest.mark.e2e
@pytest.mark.parametrize("version", VERSIONS)
def test_a_celery_worker_is_one_worker(version: str) -> None:
    folder = FOLDER.resolve() / f"workers-{version}"
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"AIRFLOW__CELERY__WORKER_CONCURRENCY": str(CONCURRENCY)}
    airflow = Airflow(
        version,
        folder / "airflow",
        executor="CeleryExecutor",
        dags=DAGS,
        pools={},
        settings={"USAGE_FOLDER": str(folder), **settings},
        port=free_port(),
    )
    before = count_truly()["celery_worker"]
    subject: Subject | None = None
    second: subprocess.Popen[bytes] | None = None
    try:
        airflow.up()
        subject = Subject(folder / "exporter", make_flags(airflow))
        subject.start()
        subject.wait_ready()
        watch = Watch(subject)
        watch.agree(lambda number: number > before, "a worker")
        second = start_second(airflow)
        watch.agree(lambda number: number > before + 1, "two workers")
        second.kill()
        second.wait()
        watch.agree(lambda number: number > before, "one that was killed, and left children", {"celery_worker"})
    finally:
        if subject is not None:
            subject.close()
        if second is not None:
            end_session(second.pid)
        airflow.down()
