"""What a poll cycle of the exporter costs a real Airflow, and how that grows with Airflow's history.

    python -m benchmarks.poll                  both releases, 200,000 and 1,000,000 task instances, about half an hour
    python -m benchmarks.poll --peer           the same, before and after it scrapes of the epoch8 plugin
    python -m benchmarks.poll --quick          one release, 20,000 task instances, two cycles

Both sizes of a release run at the same time, with the same activity, so that what else this machine does weighs on
both alike. Each has an exporter of its own that reads through a counting proxy; CPU time is that of the processes.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks import epoch8
from benchmarks.counting import CountingProxy
from benchmarks.cpu import Meter
from benchmarks.report import Cycle, Result, render
from benchmarks.seed import Activity, Database, Scale, prepare
from benchmarks.subject import Exporter
from demo.airflow import Airflow
from exporter.metrics.reading import Memories
from exporter.sources.airflow.readers import history

SIZES = (200_000, 1_000_000)
RELEASES = ("3.3.2", "2.11.2")
PORT = 8190
"""The first that is tried for an Airflow."""
PEER_SCRAPES = 2
"""Of the plugin, before the exporter starts and again after it has ended; one before them is not counted."""
LAST_SUCCESSES = """
SELECT dag_id, extract(epoch FROM max(end_date)) FROM dag_run WHERE state = 'success' GROUP BY dag_id
"""
PEER_REST = 3.0
"""Seconds after a scrape in which the database may still work for it."""


class Bench:
    """One Airflow of one size, at work, with an exporter that reads it."""

    def __init__(self, stack: ExitStack, airflow: Airflow, scale: Scale) -> None:
        self._stack = stack
        self._airflow = airflow
        self._activity = stack.enter_context(Activity(airflow))
        self._proxy = stack.enter_context(CountingProxy(airflow.url))
        self._meter = Meter(airflow, self._activity)
        self._spent = self._meter.read()
        self._exporter: Exporter | None = None
        self.result = Result(airflow.version, scale.task_instances)

    def note_idle(self) -> None:
        """Note what Airflow spent since the last call, while nothing asked it anything."""
        self.result.idle = self._take().spent

    def start(self, interval: float) -> None:
        """Start the exporter."""
        folder = self._airflow.folder.path
        flags = ("--no-collector.statsd", "--no-collector.host")
        self._exporter = Exporter(
            self._proxy.url, self._airflow.password_file, folder, interval, flags, recall_histories(self._airflow)
        )
        self._stack.enter_context(self._exporter)
        self._meter.exporter = self._exporter.pid

    def begin(self) -> None:
        """Forget what came before: the first polls read what later ones only follow."""
        self._take()

    def end_cycle(self) -> None:
        """Note what the time since the last call cost."""
        self._activity.check()
        self.result.cycles.append(self._take().without(self.result.idle))

    def stop(self) -> None:
        """Ask the exporter how it went, and stop it."""
        self.result.problems = self._exporter.problems() if self._exporter else ["the exporter was not started"]
        if self._exporter:
            self._exporter.__exit__()
            self._exporter, self._meter.exporter = None, 0

    def scrape_peer(self, interval: float) -> None:
        """Note what a scrape of the plugin costs."""
        self._take()
        begun = time.monotonic()
        epoch8.scrape(self._airflow.url)
        self.result.peer_seconds.append(time.monotonic() - begun)
        time.sleep(PEER_REST)
        passed = (time.monotonic() - begun) / interval
        self.result.peer.append(self._take().without(self.result.idle.times(passed)).spent)

    def _take(self) -> Cycle:
        spent, before = self._meter.read(), self._spent
        self._spent = spent
        return Cycle(spent.since(before), tuple(self._proxy.take()))


def recall_histories(airflow: Airflow) -> Memories:
    """What an exporter knows of the DAGs some hours after its first start: their last runs, which it asks for once."""
    rows = (line.split("|") for line in Database(airflow).run(LAST_SUCCESSES).splitlines())
    ends = {dag_id: float(end) for dag_id, end in rows}
    return {
        history.SPACE: history.write_histories(
            {
                dag_id: history.DagHistory(asked=True, last_state="success", last_end=end, last_success=end)
                for dag_id, end in ends.items()
            }
        )
    }


@contextmanager
def running(version: str, scale: Scale, given: argparse.Namespace, port: int) -> Iterator[Airflow]:
    """A seeded Airflow, stopped at the end; its database stays for the next time."""
    folder = given.workdir / f"{version}-{scale.task_instances}"
    environment = {"PYTHONPATH": str(epoch8.install(version, given.workdir))} if given.peer else {}
    began = time.monotonic()
    say(f"Airflow {version} with {scale.task_instances:,} task instances")
    try:
        yield prepare(version, scale, folder, port, environment)
    finally:
        say(f"stopping Airflow {version}, {scale.task_instances:,}, after {time.monotonic() - began:.0f} s")
        Airflow(version, folder, database="postgres").down()


def measure(version: str, given: argparse.Namespace) -> list[Result]:
    """All sizes of one release, side by side."""
    with ExitStack() as stack:
        benches = []
        for number, size in enumerate(given.sizes):
            scale = Scale(size, dags=min(2000, size // 100))
            airflow = stack.enter_context(running(version, scale, given, PORT + number))
            benches.append((airflow, scale))
        at_work = [Bench(stack, airflow, scale) for airflow, scale in benches]
        time.sleep(given.interval)
        for bench in at_work:
            bench.note_idle()
        if given.peer:
            scrape_peers(at_work, given.interval, PEER_SCRAPES + 1)
        for bench in at_work:
            bench.result.peer, bench.result.peer_seconds = bench.result.peer[1:], bench.result.peer_seconds[1:]
            bench.start(given.interval)
        say(
            f"Airflow {version}: {given.warm_up:.0f} s to warm up, then {given.cycles} cycles of {given.interval:.0f} s"
        )
        time.sleep(given.warm_up)
        for bench in at_work:
            bench.begin()
        for cycle in range(1, given.cycles + 1):
            time.sleep(given.interval)
            for bench in at_work:
                bench.end_cycle()
            say(f"  cycle {cycle}: " + "; ".join(bench.result.cycles[-1].summary() for bench in at_work))
        for bench in at_work:
            bench.stop()
        if given.peer:
            scrape_peers(at_work, given.interval, PEER_SCRAPES)
        return [bench.result for bench in at_work]


def scrape_peers(benches: Sequence[Bench], interval: float, scrapes: int) -> None:
    """Scrape the plugin of each Airflow, one after the other."""
    for bench in benches:
        for _ in range(scrapes):
            bench.scrape_peer(interval)
            spent = bench.result.peer[-1]
            say(f"  the plugin at {bench.result.size:,}: {spent.api:.2f} s API, {spent.database:.2f} s database")


def say(words: str) -> None:
    """Progress, apart from the result."""
    print(words, file=sys.stderr, flush=True)


def arguments(words: Sequence[str] | None) -> argparse.Namespace:
    """The command line, read."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.poll", description="The cost of a poll cycle to Airflow."
    )
    parser.add_argument("--releases", nargs="+", default=list(RELEASES), metavar="VERSION")
    parser.add_argument("--sizes", nargs="+", type=int, default=list(SIZES), metavar="TASK_INSTANCES")
    parser.add_argument("--cycles", type=int, default=20)
    parser.add_argument("--interval", type=float, default=30.0, help="of the exporter, in seconds")
    parser.add_argument("--warm-up", type=float, default=420.0, help="seconds before the first cycle that counts")
    parser.add_argument("--workdir", type=Path, default=Path(".bench"), help="seeded databases stay there")
    parser.add_argument("--json", type=Path, help="also write every request and cycle there")
    parser.add_argument("--peer", action="store_true", help="also scrape the epoch8 plugin in the same Airflows")
    parser.add_argument("--quick", action="store_true", help="a small database, two cycles: does it work at all")
    given = parser.parse_args(words)
    if given.quick:
        given.releases, given.sizes = given.releases[:1], [20_000]
        given.cycles, given.interval, given.warm_up = 2, 15.0, 30.0
    return given


def main(words: Sequence[str] | None = None) -> int:
    """Measure and print; 1 if an exporter had problems."""
    given = arguments(words)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # servers are to be stopped then, too
    results = [result for version in given.releases for result in measure(version, given)]
    if given.json:
        given.json.write_text(json.dumps([result.plain() for result in results], indent=1))
    print(render(results))
    return int(any(result.problems or not result.requests for result in results))


if __name__ == "__main__":
    raise SystemExit(main())
