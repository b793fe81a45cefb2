"""Queues of a broker on Redis: lists, one for each priority; what was delivered and not acknowledged is in a hash."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kombu import Connection
from redis.exceptions import NoPermissionError, ResponseError

from exporter.sources.celery.broker_reading import BrokerReading, QueueDepth, explain, time_call


def read(connection: Connection, queues: Sequence[str]) -> BrokerReading:
    """Read the queues in one round trip, and the memory in another."""
    channel = connection.default_channel
    # Not `channel.client`: the answers that remote control waits for may be on their way on its connection.
    with channel.conn_or_acquire() as client:
        return read_with(client, channel, queues)


def read_with(client: Any, channel: Any, queues: Sequence[str]) -> BrokerReading:  # noqa: ANN401 - no usable types
    """Read by a client; the channel knows how the lists are named. A queue that may not be read is passed over."""
    client.ping()  # opens the connection, which is not to be measured
    response_seconds = time_call(client.ping)
    names = [list_keys(queue, channel.sep, channel.priority_steps) for queue in queues]
    pipeline = client.pipeline(transaction=False)
    for keys in names:
        for key in keys:
            pipeline.llen(key)
    pipeline.hlen(channel.unacked_key)
    pipeline.zrange(prefix_key(client, channel, "ZRANGE", channel.unacked_index_key), 0, 0, withscores=True)
    *lengths, unacknowledged, oldest = pipeline.execute(raise_on_error=False)
    depths: dict[str, QueueDepth] = {}
    unreadable: dict[str, str] = {}
    for queue, keys in zip(queues, names, strict=True):
        found = [lengths.pop(0) for _ in keys]
        error = next((one for one in found if isinstance(one, ResponseError)), None)
        if error is None:
            depths[queue] = QueueDepth(sum(map(int, found)))
        else:
            unreadable[queue] = explain(error)
    memory, limit = read_memory(client)
    return BrokerReading(
        depths,
        response_seconds,
        None if isinstance(unacknowledged, ResponseError) else int(unacknowledged),
        float(oldest[0][1]) if oldest and not isinstance(oldest, ResponseError) else None,
        memory,
        limit,
        unreadable,
    )


def list_keys(queue: str, separator: str, priorities: Sequence[int]) -> list[str]:
    """The lists of a queue: messages of priority 0 are in the list with its name, others have the priority added."""
    return [f"{queue}{separator}{priority}" if priority else queue for priority in priorities]


def prefix_key(client: Any, channel: Any, command: str, key: str) -> str:  # noqa: ANN401 - no usable types
    """The key with `global_keyprefix`, if kombu does not add it: it does for commands that it sends itself."""
    prefix = getattr(channel, "global_keyprefix", "")
    return key if command in getattr(client, "PREFIXED_SIMPLE_COMMANDS", ()) else f"{prefix}{key}"


def read_memory(client: Any) -> tuple[int | None, int | None]:  # noqa: ANN401 - redis-py has no usable types
    """Bytes that Redis uses, and its `maxmemory` (None for no limit); None where the user may not see it."""
    try:
        found = client.info("memory")
    except (NoPermissionError, ResponseError):
        return None, None
    return int(found.get("used_memory", 0)), int(found.get("maxmemory", 0)) or None
