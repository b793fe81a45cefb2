"""The Celery source: the broker, its queues, and the workers that it connects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from exporter.config.settings import CelerySettings, Settings
from exporter.metrics.reading import Reader, Source
from exporter.sources.celery import workers
from exporter.sources.celery.broker import Broker
from exporter.sources.celery.broker_reading import BrokerReading
from exporter.sources.celery.readers import CeleryState, QueuesReader, WorkersReader
from exporter.sources.celery.workers import WorkersReading
from exporter.sources.context import Previous, SourceContext
from exporter.sources.directory import Directory

REMOTE_CONTROL_RATIO = 0.5
"""The part of the interval that all questions of one reading may take together: the same thread reads the queues."""


class CelerySource:
    """One broker."""

    name = "celery"
    vital = QueuesReader.name
    refused = False

    def __init__(self, settings: CelerySettings, directory: Directory) -> None:
        self._settings = settings
        self._broker = Broker(settings)
        state = CeleryState(directory, settings.queues)
        # The workers come first: they say which queues there are.
        self.readers: Sequence[Reader] = [
            WorkersReader(self, state, settings.interval),
            QueuesReader(self, state, settings.interval),
        ]

    def __str__(self) -> str:
        return self._broker.name

    def prepare(self) -> None:
        """Read the URL and the options, without a connection. Raises ReaderError."""
        self._broker.prepare()

    def connect(self) -> None:
        """Open the connection to the broker. Raises ReaderError."""
        self._broker.connect()

    def begin(self, deadline: float) -> None:
        """Does nothing: every request to the broker has a timeout."""

    def close(self) -> None:
        """Close the connection."""
        self._broker.close()

    def read_queues(self, queues: Iterable[str]) -> BrokerReading:
        """Read the queues that exist, and the broker. Raises ReaderError."""
        return self._broker.read(queues)

    def read_workers(self) -> WorkersReading:
        """Read the workers: by remote control, or by their heartbeats if none answers. Raises ReaderError."""
        connection = self._broker.connection
        if self._settings.remote_control:
            limit = REMOTE_CONTROL_RATIO * self._settings.interval
            ask = partial(workers.read_workers, connection, self._settings.reply_timeout, limit)
            if (found := self._broker.call(ask)).workers:
                return found
        return WorkersReading(self._broker.call(partial(workers.listen_to_heartbeats, connection)))

    def read_transport_options(self, worker: str) -> Mapping[str, Any] | None:
        """The broker_transport_options that a worker is configured with. Raises ReaderError."""
        connection = self._broker.connection
        return self._broker.call(
            partial(workers.read_transport_options, connection, worker, self._settings.reply_timeout)
        )


def build(settings: Settings, context: SourceContext, previous: Previous, /) -> list[Source]:
    """The Celery source. With unchanged settings the running one is kept: it knows which workers are gone."""
    kept = previous.sources.get(CelerySource.name)
    if kept is not None and settings.celery == previous.settings.celery:
        return [kept]
    return [CelerySource(settings.celery, context.directory)]
