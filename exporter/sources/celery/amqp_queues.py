"""Queues of a broker that speaks AMQP (RabbitMQ), or of another transport: asked for one by one, never created."""

from __future__ import annotations

from collections.abc import Sequence

from kombu import Connection

from exporter.sources.celery.broker_reading import BrokerReading, QueueDepth, is_hidden, time_call


def read(connection: Connection, queues: Sequence[str]) -> BrokerReading:
    """Declare each queue passively. AMQP shows neither memory nor messages that were not acknowledged."""
    depths: dict[str, QueueDepth] = {}
    response_seconds = time_call(lambda: connection.channel().close())
    for queue in queues:
        channel = connection.channel()
        try:
            found = channel.queue_declare(queue=queue, passive=True)
        except connection.channel_errors as error:
            # The broker has closed the channel.
            if not is_hidden(error):
                raise
            continue
        depths[queue] = QueueDepth(int(found.message_count), int(found.consumer_count))
        channel.close()
    return BrokerReading(depths, response_seconds)
