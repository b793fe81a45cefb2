"""Celery's workers: what they answer to remote control, or their heartbeats where remote control is disabled."""

from __future__ import annotations

import socket
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from kombu import Connection, Consumer, Exchange, Queue
from kombu.pidbox import Mailbox

from exporter.sources.celery.broker_reading import is_hidden

EVENT_EXCHANGE = "celeryev"
HEARTBEAT_SECONDS = 2.5
"""For how long heartbeats are listened to: workers send one every two seconds."""

QUEUES = "active_queues"
DETAILS = ("active", "stats", "reserved")
"""The further questions, what changes fastest first; in the order of the parameters of `to_reading`."""

Answers = Mapping[str, Any]
"""What each worker answered, by its name."""


class OutOfTimeError(Exception):
    """The limit of time for all questions is over."""


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


class WorkersReading(NamedTuple):
    """The workers that are alive."""

    workers: Sequence[WorkerReading]
    unanswered: Sequence[str] = ()
    """The questions of remote control to which not all answers came within the limit of time."""


def read_workers(connection: Connection, timeout: float, limit: float) -> WorkersReading:
    """Ask all workers, for at most `limit` seconds and the last `timeout`; what was answered until then is kept.

    The first question waits for `timeout` seconds, the others for those that answered it.
    """
    end = time.monotonic() + limit
    mailbox = Mailbox("celery", type="fanout", accept=["json"], serializer="json")(connection)
    queues, is_whole = ask(mailbox, QUEUES, timeout, end)
    unanswered = [] if is_whole else [QUEUES]
    found: dict[str, Answers] = {}
    for question in DETAILS if queues else ():
        found[question], is_whole = ask(mailbox, question, timeout, end, len(queues)) if is_whole else ({}, False)
        unanswered += [] if is_whole else [question]
    workers = [to_reading(name, queues[name], *(found[one].get(name) for one in DETAILS)) for name in queues]
    return WorkersReading(workers, unanswered)


def read_transport_options(connection: Connection, worker: str, timeout: float) -> Mapping[str, Any] | None:
    """The broker_transport_options that a worker is configured with; None if it does not answer."""
    mailbox = Mailbox("celery", type="fanout", accept=["json"], serializer="json")(connection)
    for reply in mailbox.call([worker], "conf", timeout=timeout) or ():
        found = reply.get(worker) if isinstance(reply, dict) else None
        if isinstance(found, dict):
            options = found.get("broker_transport_options")
            return options if isinstance(options, dict) else {}
    return None


def ask(mailbox: Any, command: str, timeout: float, end: float, limit: int = 0) -> tuple[Answers, bool]:  # noqa: ANN401 - kombu
    """The answers of the workers to one command, and whether time (monotonic seconds) sufficed for all of them.

    `limit` is the number of answers that are waited for, 0 if that is not known.
    """
    answers: dict[str, Any] = {}
    is_late = False

    def keep(reply: object) -> None:
        nonlocal is_late
        if isinstance(reply, dict):  # anything else is no answer of a worker
            answers.update(reply)
        # Raised once: while the question is taken back, further answers may come.
        if time.monotonic() >= end and not is_late:
            is_late = True
            raise OutOfTimeError

    with suppress(OutOfTimeError):
        mailbox.multi_call(command, timeout=timeout, limit=limit or None, callback=keep)
    return answers, not is_late or 0 < limit <= len(answers)


def to_reading(name: str, queues: object, active: object, stats: object, reserved: object) -> WorkerReading:
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
