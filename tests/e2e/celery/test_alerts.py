"""The proof of Celery's alerts on real causes: each fires for its cause, at its broker, alone, and ends with it.

    make e2e-celery-alerts

Real Redis and RabbitMQ with real workers of a small Celery application, the exporter, and Prometheus with the shipped
rules, whose times are a sixtieth. Leaves its table in .e2e/ (or $E2E_FOLDER).
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from tests.conftest import NOT_RUN
from tests.e2e.alerts import overrides
from tests.e2e.alerts.telling import FOLDER, say
from tests.e2e.celery import causes
from tests.e2e.celery.site import Site, rabbitmq_site, redis_site
from tests.e2e.exactness.prometheus import Prometheus, find_prometheus
from tests.integration.celery import servers

FACTOR = 60
RULES = ("rules/settings.yml", "rules/celery.yml", "alerts/celery.yml")
FIRING = 'label_replace(ALERTS{alertname=~"AirflowCelery.+",alertstate="firing"}, "site", "$1", "airflow", "(.*)")'
BEGINNING = 170.0
ENDING = 90.0
MAXMEMORY = ("--maxmemory", "24mb")
DEBUG = ("--enable-debug-command", "local")
REDIS, RABBITMQ, BRIEF, FULL, SLOW = "redis", "rabbitmq", "brief", "full", "slow"


class Alert(NamedTuple):
    """An alert that fires, and what it names."""

    site: str
    name: str
    object: str = ""


GIVEN_BACK = Alert(RABBITMQ, "AirflowCeleryQueueWithoutWorker", "lost")
"""RabbitMQ puts the tasks of a worker that is gone back into their queue at once; Redis when the timeout is over."""


class Cause(NamedTuple):
    """Something that goes wrong while the context is open, and the alert that must tell of it."""

    alert: Alert
    context: AbstractContextManager[None]


def programs_missing() -> list[str]:
    """What must be installed and is not."""
    found = {
        "prometheus": find_prometheus(),
        "redis-server": servers.find_redis(),
        "rabbitmq-server": Path(servers.RABBITMQ).exists(),
    }
    return [name for name, there in found.items() if not there]


@contextmanager
def watching(folder: Path, targets: Mapping[str, str]) -> Iterator[Prometheus]:
    """A Prometheus with the shipped rules of Celery, hastened."""
    for name, document in overrides.shipped_rules():
        if name in RULES:
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(yaml.safe_dump(overrides.hasten(document, FACTOR), width=1000), encoding="utf-8")
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
    """Which alerts have fired, and which fire."""

    def __init__(self, prometheus: Prometheus) -> None:
        self._prometheus = prometheus
        self._began = time.monotonic()
        self.fired: dict[Alert, float] = {}

    def look(self) -> set[Alert]:
        """What fires now."""
        found = set()
        for series in self._prometheus.query(FIRING):
            named = series.label("queue") or series.label("worker")
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


def shared_causes(site: Site) -> Iterator[Cause]:
    """What goes wrong with any broker."""
    exporter = site.start_exporter("--celery.queues=nobody,lost")
    exporter.wait_ready()
    site.show_starts("backlog")
    name = site.name
    yield Cause(Alert(name, "AirflowCeleryBacklogGrowing", "backlog"), causes.backlog(site))
    yield Cause(Alert(name, "AirflowCeleryQueueWithoutWorker", "nobody"), causes.queue_without_worker(site))
    yield Cause(Alert(name, "AirflowCeleryTasksHeld", "held"), causes.tasks_held(site, exporter))
    yield Cause(Alert(name, "AirflowCeleryWorkerGone", "celery@gone"), causes.worker_gone(site, exporter))


def redis_causes(brief: Site, full: Site, slow: Site) -> Iterator[Cause]:
    """What goes wrong with Redis alone."""
    for site, flags in ((brief, ()), (full, ()), (slow, ("--no-celery.remote-control",))):
        site.start_exporter(*flags).wait_ready()
    yield Cause(Alert(BRIEF, "AirflowCeleryVisibilityTimeoutShort"), causes.short_visibility_timeout(brief))
    yield Cause(Alert(FULL, "AirflowCeleryBrokerMemoryHigh"), causes.memory_used_up(full))
    yield Cause(Alert(SLOW, "AirflowCeleryBrokerSlow"), causes.slow_commands(slow))


@pytest.mark.e2e
def test_each_alert_fires_for_its_cause_and_for_nothing_else() -> None:
    if missing := programs_missing():
        pytest.skip(f"{NOT_RUN}: {', '.join(missing)} not found")
    folder = (FOLDER / "celery-alerts").resolve()
    shutil.rmtree(folder, ignore_errors=True)
    with ExitStack() as stack:
        redis, brief = (stack.enter_context(redis_site(name, folder)) for name in (REDIS, BRIEF))
        full = stack.enter_context(redis_site(FULL, folder, *MAXMEMORY))
        slow = stack.enter_context(redis_site(SLOW, folder, *DEBUG))
        rabbitmq = stack.enter_context(rabbitmq_site(RABBITMQ, folder))
        begun = [*redis_causes(brief, full, slow), *shared_causes(redis), *shared_causes(rabbitmq)]
        targets = {address: site.name for site in (redis, rabbitmq, brief, full, slow) for address in site.targets}
        watch = Watch(stack.enter_context(watching(folder / "prometheus", targets)))
        going_on = stack.enter_context(ExitStack())
        for cause in begun:
            say(f"  {cause.alert.site}: {cause.alert.name}")
            going_on.enter_context(cause.context)
        expected = {cause.alert for cause in begun} | {GIVEN_BACK}
        watch.wait(expected, firing=True, seconds=BEGINNING)
        going_on.close()
        watch.wait(expected, firing=False, seconds=ENDING)
        report(watch)
        assert set(watch.fired) == expected
        assert {alert.name for alert in expected} == celery_alerts()


def celery_alerts() -> set[str]:
    """The alerts that are shipped."""
    return {name for name in overrides.shipped_alerts() if name.startswith("AirflowCelery")}


def report(watch: Watch) -> None:
    """Write and print the table."""
    lines = ["| alert | of | broker | seconds |", "| --- | --- | --- | ---: |"]
    lines += [f"| {one.name} | {one.object} | {one.site} | {seconds:.0f} |" for one, seconds in watch.fired.items()]
    (FOLDER / "celery-alerts.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    say("\n" + "\n".join(lines))
