"""The exporter under test as a process that a test starts, scrapes and kills, with a clock that can be stepped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import requests
from prometheus_client.parser import text_string_to_metric_families

from demo.workdir import free_port

CLOCK = Path(__file__).resolve().parent / "clock"
MAX_READY_WAIT = 180.0
SUCCESS = "airflow_exporter_reader_last_success_timestamp_seconds"


class Series(NamedTuple):
    """A series: a metric name with its labels."""

    name: str
    labels: frozenset[tuple[str, str]]

    def label(self, name: str) -> str:
        """The value of a label; empty if it is missing."""
        return dict(self.labels).get(name, "")


Exposition = Mapping[Series, float]


def parse(text: str) -> Exposition:
    """Parse an exposition. Raises ValueError for a series that is exposed twice."""
    found: dict[Series, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            series = Series(sample.name, frozenset(sample.labels.items()))
            if series in found:
                raise ValueError(f"{series} is exposed twice")
            found[series] = sample.value
    return found


class Subject:
    """The exporter as a process; its port, state file and log stay the same across restarts."""

    def __init__(
        self, folder: Path, flags: Sequence[str], module: str = "exporter", state_folder: Path | None = None
    ) -> None:
        """`module` is what is run: the exporter, or what starts it after changing something."""
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.log = folder / "exporter.log"
        self._clock = folder / "clock"
        self.state_file = (state_folder or folder) / "state.sqlite"
        for left in self.state_file.parent.glob("state.sqlite*"):
            left.unlink()
        self._flags = list(flags)
        self._module = module
        self._child: subprocess.Popen[bytes] | None = None
        self._session = requests.Session()
        self._session.trust_env = False
        self.unwritten: list[float] = []
        """When a poll may not have been written: the exporter was killed, or its disk was full (Unix seconds)."""
        self.ended: list[int] = []
        """The exit codes of processes that ended before they were killed."""
        self.clock_offset = 0
        self.set_clock(0)

    @property
    def address(self) -> str:
        """Host and port of its web server."""
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The process id, for measurements; 0 if it does not run."""
        return self._child.pid if self._child else 0

    def log_lines(self) -> list[str]:
        """What it logged, over all restarts."""
        return self.log.read_text(encoding="utf-8", errors="replace").splitlines()

    def set_clock(self, offset: int) -> None:
        """Let only the exporter's wall clock differ from the machine's by this many seconds."""
        self.clock_offset = offset
        scratch = self._clock.with_suffix(".new")
        scratch.write_text(f"{offset:+d}")
        scratch.replace(self._clock)

    def start(self) -> None:
        """Start the exporter without waiting."""
        command = [
            sys.executable,
            *("-m", self._module, "serve", *self._flags),
            f"--web.listen-address={self.address}",
            f"--state.file={self.state_file}",
        ]
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(
                command, env=self._environ(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def wait_ready(self) -> None:
        """Wait until every source was read once, or failed once. Raises RuntimeError."""
        end = time.monotonic() + MAX_READY_WAIT
        while time.monotonic() < end:
            if self._child and self._child.poll() is not None:
                raise RuntimeError(f"the exporter ended with {self._child.returncode}: see {self.log}")
            try:
                if self._session.get(f"http://{self.address}/-/ready", timeout=5).ok:
                    return
            except requests.RequestException:
                pass
            time.sleep(0.2)
        raise RuntimeError(f"the exporter did not become ready: see {self.log}")

    def kill(self) -> None:
        """Kill the exporter, as a power failure would."""
        if self._child:
            if (code := self._child.poll()) is not None:
                self.ended.append(code)
            self._child.send_signal(signal.SIGKILL)
            self._child.wait()
            self.unwritten.append(time.time())
            self._child = None

    def stop(self) -> int:
        """Terminate the exporter; returns its exit code."""
        if not self._child:
            return 0
        self._child.terminate()
        try:
            return self._child.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.kill()
            return -signal.SIGKILL
        finally:
            self._child = None

    def close(self) -> None:
        """Stop the exporter and close the connections."""
        self.stop()
        self._session.close()

    def scrape(self) -> Exposition:
        """What the exporter exposes now."""
        reply = self._session.get(f"http://{self.address}/metrics", timeout=30)
        reply.raise_for_status()
        return parse(reply.content.decode("utf-8"))

    def last_success(self, exposition: Exposition, reader: str, source: str = "airflow") -> float:
        """When a reader last succeeded, in Unix seconds of the machine's clock; from the exposition."""
        values = (
            value
            for series, value in exposition.items()
            if series.name == SUCCESS and (series.label("source"), series.label("reader")) == (source, reader)
        )
        return next(values, 0.0) - self.clock_offset

    def _environ(self) -> dict[str, str]:
        return {
            **os.environ,
            "PYTHONUNBUFFERED": "1",
            "PYTHONPATH": os.pathsep.join(filter(None, [str(CLOCK), os.environ.get("PYTHONPATH")])),
            "E2E_CLOCK": str(self._clock),
        }
