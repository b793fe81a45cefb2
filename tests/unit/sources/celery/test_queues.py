"""Queues that the broker does not let us read: each is passed over and reported, the others are read."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest
from redis.exceptions import NoPermissionError, ResponseError

from exporter.config.settings import CelerySettings
from exporter.metrics.reading import ReaderError
from exporter.sources.celery import amqp_queues, redis_queues
from exporter.sources.celery.broker import Broker
from exporter.sources.celery.broker_reading import BrokerReading, QueueDepth
from exporter.sources.celery.readers import CeleryState, QueuesReader
from exporter.sources.directory import Directory

DENIED = NoPermissionError("No permissions to access a key")


class Client:
    """A client of Redis that answers with these results."""

    def __init__(self, *results: object) -> None:
        self.results = results

    def ping(self) -> bool:
        return True

    def pipeline(self, **_: object) -> Client:
        return self

    def llen(self, _: str) -> None: ...
    def hlen(self, _: str) -> None: ...
    def zrange(self, *_: object, **__: object) -> None: ...

    def execute(self, *, raise_on_error: bool = True) -> Sequence[object]:
        for one in self.results:
            if isinstance(one, Exception) and raise_on_error:
                raise one
        return list(self.results)

    def info(self, _: str) -> dict[str, int]:
        return {"used_memory": 7, "maxmemory": 0}


class Channel:
    sep = "\x06\x16"
    priority_steps = (0, 3)
    unacked_key = "unacked"
    unacked_index_key = "unacked_index"


def test_a_list_of_redis_that_may_not_be_read_costs_its_queue() -> None:
    client = Client(1, 2, DENIED, DENIED, 4, ResponseError("WRONGTYPE"), 5, [(b"x", 9.0)])
    found = redis_queues.read_with(client, Channel(), ["default", "denied", "odd"])
    assert found.queues == {"default": QueueDepth(3)}
    assert found.unreadable == {"denied": "No permissions to access a key", "odd": "WRONGTYPE"}
    assert (found.unacknowledged, found.oldest_unacknowledged, found.memory) == (5, 9.0, 7)


def test_what_is_not_acknowledged_may_be_forbidden_too() -> None:
    found = redis_queues.read_with(Client(1, 2, DENIED, DENIED), Channel(), ["default"])
    assert found.queues == {"default": QueueDepth(3)}
    assert (found.unacknowledged, found.oldest_unacknowledged) == (None, None)


class AmqpError(Exception):
    def __init__(self, reply_code: int) -> None:
        super().__init__(f"({reply_code}) refused")
        self.reply_code = reply_code


class AmqpConnection:
    """A connection to RabbitMQ; queues are numbers of messages, or codes of errors.

    As with py-amqp, a channel that the broker closes with an error is opened again before the error is raised.
    """

    connection_errors = (OSError,)
    channel_errors = (AmqpError,)

    def __init__(self, *, closing: Exception | None = None, **queues: int | AmqpError) -> None:
        self.queues = queues
        self.closing = closing
        self.open = 0

    def channel(self) -> AmqpConnection:
        self.open += 1
        return self

    def close(self) -> None:
        self.open -= 1
        if self.closing:
            raise self.closing

    def queue_declare(self, *, queue: str, passive: bool) -> Any:
        found = self.queues[queue]
        if isinstance(found, AmqpError):
            raise found
        return type("Declared", (), {"message_count": found, "consumer_count": 1})


def test_a_queue_of_rabbitmq_that_may_not_be_read_costs_itself() -> None:
    connection: Any = AmqpConnection(default=3, denied=AmqpError(403), missing=AmqpError(404))
    found = amqp_queues.read(connection, ["default", "denied", "missing"])
    assert found.queues == {"default": QueueDepth(3, 1)}
    assert found.unreadable == {"denied": "(403) refused"}


@pytest.mark.parametrize("code", [403, 404, 541])
def test_no_channel_stays_open_whatever_the_answer_is(code: int) -> None:
    connection: Any = AmqpConnection(default=3, missing=AmqpError(code))
    with suppress(AmqpError):
        amqp_queues.read(connection, ["missing", "default"])
    assert connection.open == 0


@pytest.mark.parametrize("closing", [AmqpError(504), ConnectionResetError()])
def test_a_channel_that_cannot_be_closed_hides_no_error(closing: Exception) -> None:
    connection: Any = AmqpConnection(closing=closing)
    with pytest.raises(AmqpError, match="541"), amqp_queues.open_channel(connection):
        raise AmqpError(541)


def test_an_error_about_the_whole_connection_is_raised() -> None:
    connection: Any = AmqpConnection(default=AmqpError(541))
    with pytest.raises(AmqpError):
        amqp_queues.read(connection, ["default"])


def test_such_a_queue_is_reported_and_not_as_one_that_does_not_exist() -> None:
    class Api:
        def read_queues(self, _: object) -> BrokerReading:
            return BrokerReading({"default": QueueDepth(3)}, 0.001, unreadable={"denied": "(403) refused"})

    state = CeleryState(Directory(), ("default", "denied", "new"))
    reading = QueuesReader(Api(), state, 30.0).read()  # type: ignore[arg-type] # only what the reader asks
    assert reading.unanswered == ["queue denied: (403) refused"]
    assert "queues that do not exist in the broker yet: new" in reading.notes


def test_no_queue_at_all_is_an_error_about_permissions() -> None:
    class Connected(Broker):
        connection: Any = type("Connection", (), {"transport": type("Transport", (), {"driver_type": "amqp"})})

        def call(self, _: object) -> Any:
            return BrokerReading({}, 0.001, unreadable={"default": "(403) refused"})

    broker = Connected(CelerySettings(broker_url_environment="UNUSED"))
    with pytest.raises(ReaderError, match="no queue may be read") as caught:
        broker.read(["default"])
    assert caught.value.reason == "forbidden"
