"""The Celery of one Airflow: a real broker with workers, the exporter that reads it, and how many tasks started."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from celery import Celery

from tests.e2e.exactness.subject import Subject
from tests.integration.airflow.stub import Answer, serve
from tests.integration.celery import servers

STARTED = 'airflow_task_queued_duration_seconds_count{{queue="{queue}"}} {starts}\n'
"""What Airflow's API would say about tasks that started: no Airflow runs here, so it is counted where they start."""
CONFIG = "collector: {airflow: false, statsd: false, host: false}\n"


class Site:
    """One broker; `name` is the label `airflow` of its alerts."""

    def __init__(self, name: str, url: str, folder: Path, stack: ExitStack) -> None:
        self.name = name
        self.url = url
        self.targets: list[str] = []
        """What Prometheus is to scrape."""
        self.app = Celery(broker=url)
        self._folder = folder
        self._stack = stack
        self._stops: dict[str, ExitStack] = {}

    def start_exporter(self, *flags: str) -> Subject:
        """Read the broker as often as it is possible."""
        config, secret = self._folder / "exporter.yml", self._folder / "broker-url"
        config.write_text(CONFIG, encoding="utf-8")
        secret.write_text(self.url, encoding="utf-8")
        secret.chmod(0o600)
        fixed = (f"--config.file={config}", f"--celery.broker-url-file={secret}", "--celery.interval=5s")
        exporter = Subject(self._folder / "exporter", [*fixed, *flags])
        self._stack.callback(exporter.close)
        self._stack.callback(exporter.kill)  # it may be in the middle of a reading
        exporter.start()
        self.targets.append(exporter.address)
        return exporter

    def start_worker(self, name: str, queue: str, options: str = "{}") -> subprocess.Popen[bytes]:
        """A worker with two slots that takes two further tasks ahead; `options` are those of the broker's transport."""
        worker = servers.run_worker(
            self.url,
            queue,
            f"celery@{name}",
            (self._folder / name).resolve(),
            environment={"STARTS_FILE": str(self.starts_file(queue).resolve()), "BROKER_OPTIONS": options},
        )
        self._stops[name] = self._stack.enter_context(ExitStack())
        return self._stops[name].enter_context(worker)

    def send(self, queue: str, count: int, seconds: float) -> None:
        """Send tasks that do nothing for so long."""
        with self.app.connection_for_write() as connection:
            for _ in range(count):
                self.app.send_task("nap", (seconds,), queue=queue, connection=connection)

    def purge(self, queue: str) -> None:
        """Take all messages out of a queue."""
        with self.app.connection_for_write() as connection:
            connection.default_channel.queue_purge(queue)

    def starts_file(self, queue: str) -> Path:
        """Has a byte for each task of a queue that started."""
        return self._folder / f"started-{queue}"

    def count_starts(self, queue: str) -> int:
        """How many tasks of a queue started."""
        file = self.starts_file(queue)
        return file.stat().st_size if file.exists() else 0

    def show_starts(self, queue: str) -> None:
        """Let Prometheus know of them."""

        def answer(_: object) -> Answer:
            text = STARTED.format(queue=queue, starts=self.count_starts(queue))
            return Answer(text.encode(), headers={"Content-Type": "text/plain; version=0.0.4"})

        stub = self._stack.enter_context(serve(answer))
        self.targets.append(stub.url.removeprefix("http://"))

    def shows(self, exporter: Subject, wanted: Mapping[str, float], **labels: str) -> bool:
        """Whether the exporter exposes these values with these labels."""
        found = {
            one.name: value for one, value in exporter.scrape().items() if labels.items() <= dict(one.labels).items()
        }
        return all(found.get(name) == value for name, value in wanted.items())

    def close(self) -> None:
        """Close the connections of this process."""
        self.app.close()


@contextmanager
def redis_site(name: str, folder: Path, *options: str) -> Iterator[Site]:
    """A Redis of its own."""
    place = folder / name
    place.mkdir(parents=True)
    with ExitStack() as stack:
        redis = stack.enter_context(servers.run_redis(place.resolve(), *options))
        yield from open_site(Site(name, redis.url, place, stack))


@contextmanager
def rabbitmq_site(name: str, folder: Path) -> Iterator[Site]:
    """A RabbitMQ of its own."""
    place = folder / name
    place.mkdir(parents=True)
    with ExitStack() as stack:
        rabbitmq = stack.enter_context(servers.run_rabbitmq(place.resolve()))
        yield from open_site(Site(name, rabbitmq.url, place, stack))


def open_site(site: Site) -> Iterator[Site]:
    """Yield the site, and close it."""
    try:
        yield site
    finally:
        site.close()
