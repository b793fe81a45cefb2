"""A real Prometheus with some of the shipped rules, hastened, and which of their alerts fire."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple

import yaml

from tests.e2e.alerts import overrides
from tests.e2e.alerts.telling import FOLDER, say
from tests.e2e.exactness.prometheus import Prometheus, find_prometheus

FIRING = 'label_replace(ALERTS{{alertname=~"{names}",alertstate="firing"}}, "site", "$1", "airflow", "(.*)")'
OBJECTS = ("queue", "worker", "table", "holder")
"""Labels of which an alert has one at most."""


class Alert(NamedTuple):
    """An alert that fires, and what it names."""

    site: str
    """Its label `airflow`."""
    name: str
    object: str = ""


class Cause(NamedTuple):
    """A fault that lasts while the context is open, and the alert that must fire."""

    alert: Alert
    context: AbstractContextManager[None]


@contextmanager
def watching(folder: Path, targets: Mapping[str, str], rules: Collection[str], factor: float) -> Iterator[Prometheus]:
    """A Prometheus with these files of rules, whose times are divided by a factor."""
    for name, document in overrides.shipped_rules():
        if name in rules:
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(yaml.safe_dump(overrides.hasten(document, factor), width=1000), encoding="utf-8")
    config = overrides.prometheus_config(targets, "", overrides.SECONDS)
    del config["alerting"]
    program = find_prometheus()
    assert program
    prometheus = Prometheus(program, folder, yaml.safe_dump(config, sort_keys=False))
    try:
        prometheus.wait_ready()
        yield prometheus
    finally:
        prometheus.close()


class Watch:
    """Which alerts have fired, and which fire; `names` is a regular expression of those that are looked at."""

    def __init__(self, prometheus: Prometheus, names: str) -> None:
        self._prometheus = prometheus
        self._query = FIRING.format(names=names)
        self._began = time.monotonic()
        self.fired: dict[Alert, float] = {}

    def look(self) -> set[Alert]:
        """What fires now."""
        found = set()
        for series in self._prometheus.query(self._query):
            named = next(filter(None, map(series.label, OBJECTS)), "")
            found.add(Alert(series.label("site"), series.label("alertname"), named))
        for alert in found - self.fired.keys():
            self.fired[alert] = time.monotonic() - self._began
            say(f"  {self.fired[alert]:.0f} s: {alert.name} {alert.object} of {alert.site}")
        return found

    def wait(self, wanted: set[Alert], *, firing: bool, seconds: float) -> None:
        """Wait until all of these have fired, or until none of them fires."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            now = self.look()
            if (wanted <= self.fired.keys()) if firing else not (wanted & now):
                return
            time.sleep(0.5)
        found = sorted((wanted - self.fired.keys()) if firing else wanted & self.look())
        raise AssertionError(f"after {seconds:.0f} s {'not fired' if firing else 'still firing'}: {found}")

    def report(self, name: str) -> None:
        """Write and print the table."""
        lines = ["| alert | of | airflow | seconds |", "| --- | --- | --- | ---: |"]
        lines += [f"| {one.name} | {one.object} | {one.site} | {seconds:.0f} |" for one, seconds in self.fired.items()]
        FOLDER.mkdir(exist_ok=True)
        (FOLDER / f"{name}.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
        say("\n" + "\n".join(lines))


def shipped(beginning: str) -> set[str]:
    """The shipped alerts whose names begin with this."""
    return {name for name in overrides.shipped_alerts() if name.startswith(beginning)}
