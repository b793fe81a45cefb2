"""The Celery source beside real brokers and workers."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis
from celery import Celery
from kombu import Connection, Consumer, Queue
from kombu.transport.redis import GlobalKeyPrefixMixin

from benchmarks.celery import run_workers
from exporter.config.settings import CelerySettings
from exporter.diagnosis.situation import Workers
from exporter.metrics.catalogue import celery
from exporter.metrics.family import Family, Labels
from exporter.metrics.reading import ReaderError
from exporter.sources.celery import redis_queues
from exporter.sources.celery.source import CelerySource
from exporter.sources.directory import Directory
from tests.integration.celery.conftest import StartWorker
from tests.integration.celery.servers import PASSWORD, wait_for

VARIABLE = "TEST_BROKER_URL"
WORKER = "celery@one"


@pytest.fixture
def directory() -> Directory:
    found = Directory()
    found.set_queues(["default", "heavy", "nobody"])
    return found


def open_source(
    monkeypatch: pytest.MonkeyPatch, url: str, directory: Directory, *, remote_control: bool = True
) -> CelerySource:
    monkeypatch.setenv(VARIABLE, url)
    settings = CelerySettings(broker_url_environment=VARIABLE, remote_control=remote_control)
    source = CelerySource(settings, directory)
    source.connect()
    return source


def read_all(source: CelerySource) -> dict[Family, Mapping[Labels, float]]:
    return {family: values for reader in source.readers for family, values in reader.read().tables.items()}


def send(url: str, queue: str, count: int, seconds: float = 120.0, **options: int) -> None:
    with Celery(broker=url) as app:
        for _ in range(count):
            app.send_task("nap", (seconds,), queue=queue, **options)


def wait_until_running(
    source: CelerySource, worker: str, tasks: int, family: Family = celery.WORKER_SLOTS
) -> dict[Family, Mapping[Labels, float]]:
    found: dict[Family, Mapping[Labels, float]] = {}

    def runs() -> bool:
        found.update(read_all(source))
        return found[celery.WORKER_ACTIVE].get((worker,)) == tasks and (worker,) in found[family]

    wait_for(runs, f"{tasks} running tasks")
    return found


def check_workers(found: Mapping[Family, Mapping[Labels, float]], directory: Directory) -> None:
    """Two of nine tasks run, four are reserved (a prefetch of two for each thread), the others are in the queue."""
    assert found[celery.WORKERS] == {("default",): 1, ("heavy",): 1, ("nobody",): 0}
    assert found[celery.WORKER_UP] == {(WORKER,): 1}
    assert found[celery.WORKER_SLOTS] == {(WORKER,): 2}
    assert found[celery.WORKER_RESERVED][WORKER,] + found[celery.QUEUE_MESSAGES]["heavy",] == 7
    assert found[celery.WORKER_RESERVED][WORKER,] > 0
    assert found[celery.VISIBILITY_TIMEOUT] == {(): 21_600}
    assert directory.workers == {"default": Workers(2, 2), "heavy": Workers(2, 2)}


@pytest.mark.slow
class TestRedis:
    def test_queues_and_workers(
        self, redis_url: str, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch, directory: Directory
    ) -> None:
        start_worker(redis_url, "heavy,default", WORKER)
        source = open_source(monkeypatch, redis_url, directory)
        send(redis_url, "heavy", 9)
        send(redis_url, "nobody", 1)
        send(redis_url, "nobody", 2, priority=6)
        before = time.time()
        found = wait_until_running(source, WORKER, 2)
        check_workers(found, directory)
        assert found[celery.QUEUE_MESSAGES]["nobody",] == 3, "messages of every priority are added up"
        assert found[celery.UNACKNOWLEDGED][()] == 2 + found[celery.WORKER_RESERVED][WORKER,]
        assert before - 60 < found[celery.OLDEST_UNACKNOWLEDGED][()] < time.time()
        assert found[celery.BROKER_MEMORY][()] > 100_000
        assert found[celery.QUEUE_CONSUMERS] == {}
        assert 0 < found[celery.BROKER_RESPONSE][()] < 5
        source.close()

    def test_workers_without_remote_control_are_known_by_their_heartbeats(
        self, redis_url: str, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch, directory: Directory
    ) -> None:
        start_worker(redis_url, "quiet", "celery@quiet")
        source = open_source(monkeypatch, redis_url, directory, remote_control=False)
        send(redis_url, "quiet", 1)
        found = wait_until_running(source, "celery@quiet", 1, celery.WORKER_UP)
        assert found[celery.WORKER_UP]["celery@quiet",] == 1
        assert found[celery.WORKERS] == {}
        assert directory.workers is None
        source.close()

    def test_messages_that_wait_long_for_their_acknowledgement_are_left_to_the_workers(
        self, redis_url: str, monkeypatch: pytest.MonkeyPatch, directory: Directory
    ) -> None:
        parts = urlsplit(redis_url)
        client = redis.Redis(host=parts.hostname or "", port=parts.port or 0, password=PASSWORD)
        client.delete("unacked", "unacked_index")
        client.hset("unacked", "tag", '[{"body": "", "properties": {}}, "celery", "heavy"]')
        client.zadd("unacked_index", {"tag": time.time() - 10 * 86_400})
        source = open_source(monkeypatch, redis_url, directory)
        for _ in range(2):
            read_all(source)
        found = read_all(source)
        assert client.hlen("unacked") == 1
        assert found[celery.UNACKNOWLEDGED] == {(): 1}
        client.delete("unacked", "unacked_index")
        source.close()

    @pytest.mark.parametrize("prefixed", [True, False], ids=["kombu 5.7", "older kombu"])
    def test_keys_with_a_prefix(
        self, redis_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, directory: Directory, prefixed: bool
    ) -> None:
        if not prefixed:
            known = [one for one in GlobalKeyPrefixMixin.PREFIXED_SIMPLE_COMMANDS if one != "ZRANGE"]
            monkeypatch.setattr(GlobalKeyPrefixMixin, "PREFIXED_SIMPLE_COMMANDS", known)
        parts = urlsplit(redis_url)
        client = redis.Redis(host=parts.hostname or "", port=parts.port or 0, password=PASSWORD)
        client.flushall()
        client.zadd("unacked_index", {"that of another application": 1_000})
        client.zadd("air:unacked_index", {"tag": 2_000})
        client.hset("air:unacked", "tag", "message")
        client.lpush("air:heavy", "message")
        monkeypatch.setenv(VARIABLE, redis_url)
        options = tmp_path / "options.json"
        options.write_text('{"global_keyprefix": "air:"}')
        source = CelerySource(
            CelerySettings(broker_url_environment=VARIABLE, broker_transport_options_file=options), directory
        )
        found = source.read_queues(["heavy"])
        assert found.oldest_unacknowledged == 2_000
        assert found.unacknowledged == 1
        assert found.queues["heavy"].messages == 1
        client.flushall()
        source.close()

    def test_a_reading_leaves_nothing_behind(
        self, redis_url: str, monkeypatch: pytest.MonkeyPatch, directory: Directory
    ) -> None:
        parts = urlsplit(redis_url)
        client = redis.Redis(host=parts.hostname or "", port=parts.port or 0, password=PASSWORD)
        client.flushall()
        source = open_source(monkeypatch, redis_url, directory, remote_control=False)
        for _ in range(2):
            read_all(source)
        source.close()
        assert [key for key in client.scan_iter() if not key.startswith(b"_kombu.binding_")] == []

    def test_an_answer_that_is_waited_for_does_not_come_in_the_place_of_a_reading(self, redis_url: str) -> None:
        with Connection(redis_url) as connection:
            consumer = Consumer(connection.default_channel, [Queue("silent")], accept=["json"])
            with consumer, suppress(TimeoutError):
                connection.drain_events(timeout=0.2)
            reading = redis_queues.read(connection, ["heavy"])
        assert reading.memory is not None
        assert reading.memory > 100_000
        assert reading.response_seconds < 0.9, "Redis was asked while it held the other answer back"

    def test_a_wrong_password_is_said_without_repeating_it(
        self, redis_url: str, monkeypatch: pytest.MonkeyPatch, directory: Directory
    ) -> None:
        with pytest.raises(ReaderError, match="refuses the user") as caught:
            open_source(monkeypatch, redis_url.replace(PASSWORD, "sesame-wrong-7"), directory)
        assert "sesame" not in str(caught.value)
        assert caught.value.reason == "unauthorized"

    def test_what_redis_refuses_is_not_taken_for_a_broker_that_cannot_be_reached(
        self, redis_url: str, monkeypatch: pytest.MonkeyPatch, directory: Directory
    ) -> None:
        for url, reason, text in (
            (redis_url.replace(f":{PASSWORD}@", ""), "unauthorized", "refuses the user of the broker URL"),
            (redis_url.removesuffix("/0") + "/99", "server_error", "answers with an error: DB index is out of range"),
        ):
            with pytest.raises(ReaderError, match=text) as caught:
                open_source(monkeypatch, url, directory)
            assert caught.value.reason == reason

    def test_a_broker_that_goes_away_is_an_error_and_comes_back(
        self, redis_url: str, monkeypatch: pytest.MonkeyPatch, directory: Directory
    ) -> None:
        source = open_source(monkeypatch, redis_url, directory)
        read_all(source)
        parts = urlsplit(redis_url)
        client = redis.Redis(host=parts.hostname or "", port=parts.port or 0, password=PASSWORD)
        client.client_kill_filter(_type="normal", skipme=True)
        failures: list[str] = []
        while len(failures) < 3:
            try:
                assert read_all(source)[celery.QUEUE_MESSAGES]
            except ReaderError as error:
                failures.append(error.reason)
            else:
                break
        assert failures in ([], ["unreachable"], ["unreachable", "unreachable"])
        source.close()


@pytest.mark.slow
def test_the_questions_of_remote_control_end_in_time_and_keep_what_was_answered(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, directory: Directory
) -> None:
    source = open_source(monkeypatch, redis_url, directory)
    with run_workers(redis_url, 1000):
        wait_for(lambda: len(source.read_workers().workers) == 1000, "answers of all workers")
        monkeypatch.setattr("exporter.sources.celery.source.REMOTE_CONTROL_RATIO", 0.01)
        started = time.monotonic()
        found, unanswered = source.read_workers()
        assert time.monotonic() - started < 2.5, "0.3 s for the answers, 1 s for the last one, and leaving the queue"
    assert 0 < len(found) <= 1000
    assert unanswered[-1] == "reserved"
    assert all(worker.queues for worker in found)
    monkeypatch.undo()
    source.close()


class TestRabbitMq:
    def test_queues_and_workers(
        self, rabbitmq_url: str, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch, directory: Directory
    ) -> None:
        start_worker(rabbitmq_url, "heavy,default", WORKER)
        source = open_source(monkeypatch, rabbitmq_url, directory)
        send(rabbitmq_url, "heavy", 9)
        found = wait_until_running(source, WORKER, 2)
        check_workers(found, directory)
        assert found[celery.QUEUE_CONSUMERS] == {("default",): 1, ("heavy",): 1}
        assert ("nobody",) not in found[celery.QUEUE_MESSAGES], "a queue that does not exist is not created"
        assert found[celery.UNACKNOWLEDGED] == {}
        source.close()

    def test_heartbeats(
        self, rabbitmq_url: str, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch, directory: Directory
    ) -> None:
        start_worker(rabbitmq_url, "quiet", "celery@quiet")
        source = open_source(monkeypatch, rabbitmq_url, directory, remote_control=False)
        send(rabbitmq_url, "quiet", 1)
        wait_until_running(source, "celery@quiet", 1, celery.WORKER_UP)
        source.close()

    def test_a_wrong_password(self, rabbitmq_url: str, monkeypatch: pytest.MonkeyPatch, directory: Directory) -> None:
        with pytest.raises(ReaderError, match="refuses the user") as caught:
            open_source(monkeypatch, rabbitmq_url.replace(":guest@", ":sesame-wrong-7@"), directory)
        assert caught.value.reason == "unauthorized"
