"""Queues of a broker that speaks AMQP (RabbitMQ), or of another transport: asked for one by one, never created."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from kombu import Connection

from exporter.sources.celery.broker_reading import BrokerReading, QueueDepth, explain, is_hidden, is_refused, time_call


def read(connection: Connection, queues: Sequence[str]) -> BrokerReading:
    """Declare each queue passively; one that the user may not read is passed over.

    AMQP shows neither memory nor messages that were not acknowledged.
    """
    depths: dict[str, QueueDepth] = {}
    unreadable: dict[str, str] = {}
    response_seconds = time_call(lambda: connection.channel().close())
    for queue in queues:
        try:
            with open_channel(connection) as channel:
                found = channel.queue_declare(queue=queue, passive=True)
        except connection.channel_errors as error:
            if is_refused(error):
                unreadable[queue] = explain(error)
            elif not is_hidden(error):
                raise
            continue
        depths[queue] = QueueDepth(int(found.message_count), int(found.consumer_count))
    return BrokerReading(depths, response_seconds, unreadable=unreadable)


@contextmanager
def open_channel(connection: Connection) -> Iterator[Any]:
    """A channel, closed at the end also where the broker has closed it: py-amqp opens such a channel again."""
    channel = connection.channel()
    try:
        yield channel
    finally:
        with suppress(*connection.connection_errors, *connection.channel_errors):
            channel.close()
