"""The proof of Celery's alerts on real causes: each fires for its cause, at its broker, alone, and ends with it.

    make e2e-celery-alerts

Real Redis and RabbitMQ with real workers of a small Celery application, the exporter, and Prometheus with the shipped
rules, whose times are a sixtieth. Leaves its table in .e2e/ (or $E2E_FOLDER).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import NOT_RUN
from tests.e2e.alerts.telling import FOLDER, say
from tests.e2e.alerts.watching import Alert, Cause, Watch, shipped, watching
from tests.e2e.celery import causes
from tests.e2e.celery.site import Site, rabbitmq_site, redis_site
from tests.e2e.exactness.prometheus import find_prometheus
from tests.integration.celery import servers

FACTOR = 60
RULES = ("rules/settings.yml", "rules/celery.yml", "alerts/celery.yml")
NAMES = "AirflowCelery.+"
BEGINNING = 170.0
ENDING = 90.0
MAXMEMORY = ("--maxmemory", "24mb")
DEBUG = ("--enable-debug-command", "local")
REDIS, RABBITMQ, BRIEF, FULL, SLOW = "redis", "rabbitmq", "brief", "full", "slow"


GIVEN_BACK = Alert(RABBITMQ, "AirflowCeleryQueueWithoutWorker", "lost")
"""RabbitMQ puts the tasks of a worker that is gone back into their queue at once; Redis when the timeout is over."""


def programs_missing() -> list[str]:
    """What must be installed and is not."""
    found = {
        "prometheus": find_prometheus(),
        "redis-server": servers.find_redis(),
        "rabbitmq-server": Path(servers.RABBITMQ).exists(),
    }
    return [name for name, there in found.items() if not there]


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
        prometheus = stack.enter_context(watching(folder / "prometheus", targets, RULES, FACTOR))
        watch = Watch(prometheus, NAMES)
        going_on = stack.enter_context(ExitStack())
        for cause in begun:
            say(f"  {cause.alert.site}: {cause.alert.name}")
            going_on.enter_context(cause.context)
        expected = {cause.alert for cause in begun} | {GIVEN_BACK}
        watch.wait(expected, firing=True, seconds=BEGINNING)
        going_on.close()
        watch.wait(expected, firing=False, seconds=ENDING)
        watch.report("celery-alerts")
        assert set(watch.fired) == expected
        assert {alert.name for alert in expected} == shipped("AirflowCelery")
