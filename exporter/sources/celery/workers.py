"""Celery's workers: what they answer to remote control, or their heartbeats where remote control is disabled."""

from __future__ import annotations

import socket
import time
import uuid
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from kombu import Connection, Consumer, Exchange, Queue
from kombu.pidbox import Mailbox

from exporter.sources.celery.broker_reading import is_hidden

EVENT_EXCHANGE = "celeryev"
HEARTBEAT_SECONDS = 2.5
"""For how long heartbeats are listened to: workers send one every two seconds."""

Answers = Mapping[str, Any]
"""What each worker answered, by its name."""


class WorkerReading(NamedTuple):
    """One worker that is alive. None: it did not say."""

    name: str
    queues: tuple[str, ...] = ()
    slots: int | None = None
    """How many tasks it runs at once."""
    active: int | None = None
    """Tasks that it runs now."""
    reserved: int | None = None
    """Tasks that it took from the broker and has not started."""


def read_workers(connection: Connection, timeout: float) -> list[WorkerReading]:
    """Ask all workers. The first question waits for `timeout` seconds, the others for those that answered it."""
    mailbox = Mailbox("celery", type="fanout", accept=["json"], serializer="json")(connection)
    queues = ask(mailbox, "active_queues", timeout)
    if not queues:
        return []
    known = len(queues)
    stats, active, reserved = (ask(mailbox, one, timeout, known) for one in ("stats", "active", "reserved"))
    return [
        to_reading(name, queues.get(name), stats.get(name), active.get(name), reserved.get(name)) for name in queues
    ]


def read_visibility_timeout(connection: Connection, worker: str, timeout: float) -> float | None:
    """The visibility timeout that a worker is configured with, in seconds; None if it has its broker's default."""
    mailbox = Mailbox("celery", type="fanout", accept=["json"], serializer="json")(connection)
    for reply in mailbox.call([worker], "conf", timeout=timeout) or ():
        options = reply.get(worker, {}).get("broker_transport_options") if isinstance(reply, dict) else None
        found = options.get("visibility_timeout") if isinstance(options, dict) else None
        if isinstance(found, int | float):
            return float(found)
    return None


def ask(mailbox: Any, command: str, timeout: float, limit: int | None = None) -> dict[str, Any]:  # noqa: ANN401 - kombu
    """The answers of the workers to one command; what is no answer of a worker is dropped."""
    replies = mailbox.multi_call(command, timeout=timeout, limit=limit)
    answers: dict[str, Any] = {}
    for reply in replies or ():
        if isinstance(reply, dict):
            answers.update(reply)
    return answers


def to_reading(name: str, queues: object, stats: object, active: object, reserved: object) -> WorkerReading:
    """A worker from its answers, in any of which something may be missing."""
    return WorkerReading(
        name,
        tuple(sorted({str(one["name"]) for one in as_list(queues) if isinstance(one, dict) and "name" in one})),
        get_slots(stats),
        len(active) if isinstance(active, list) else None,
        len(reserved) if isinstance(reserved, list) else None,
    )


def as_list(answer: object) -> list[Any]:
    """The answer, if it is a list."""
    return answer if isinstance(answer, list) else []


def get_slots(stats: object) -> int | None:
    """`max-concurrency` of the pool: processes of a prefork pool, threads, or green threads."""
    pool = stats.get("pool") if isinstance(stats, dict) else None
    found = pool.get("max-concurrency") if isinstance(pool, dict) else None
    return found if isinstance(found, int) else None


def listen_to_heartbeats(connection: Connection, seconds: float = HEARTBEAT_SECONDS) -> list[WorkerReading]:
    """The workers whose heartbeat comes within this time, with the tasks that they run."""
    found: dict[str, WorkerReading] = {}

    def on_event(body: object, _message: object) -> None:
        for event in body if isinstance(body, list) else [body]:
            if isinstance(event, dict) and event.get("type") == "worker-heartbeat" and "hostname" in event:
                active = event.get("active")
                name = str(event["hostname"])
                found[name] = WorkerReading(name, active=active if isinstance(active, int) else None)

    queue = build_event_queue(redis=connection.transport.driver_type == "redis")
    end = time.monotonic() + seconds
    try:
        with connection.channel() as channel:
            bound = queue(channel)
            with Consumer(channel, [bound], callbacks=[on_event], accept=["json"], no_ack=True):
                drain_until(connection, end)
            bound.delete()
    except connection.channel_errors as error:
        # No worker has created the exchange yet.
        if not is_hidden(error):
            raise
    return list(found.values())


def build_event_queue(*, redis: bool) -> Queue:
    """The queue for workers' events; it is deleted after each use."""
    exchange = Exchange(EVENT_EXCHANGE, type="fanout" if redis else "topic", passive=not redis)
    # On Redis a name that changes would stay in the exchange's list of bindings if this process were killed.
    name = f"celeryev.airflow-exporter.{socket.gethostname() if redis else uuid.uuid4()}"
    return Queue(name, exchange=exchange, routing_key="worker.#", auto_delete=True, durable=False, exclusive=True)


def drain_until(connection: Connection, end: float) -> None:
    """Handle what arrives until a moment (monotonic seconds)."""
    while (left := end - time.monotonic()) > 0:
        try:
            connection.drain_events(timeout=left)
        except TimeoutError:
            return


def list_queues(workers: Iterable[WorkerReading]) -> set[str]:
    """The queues that workers consume."""
    return {queue for worker in workers for queue in worker.queues}
