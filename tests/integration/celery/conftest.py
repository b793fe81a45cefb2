"""Brokers and workers for the tests of this folder."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import NOT_RUN
from tests.integration.celery import servers

StartWorker = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis with a password."""
    if servers.find_redis() is None:
        pytest.skip(f"{NOT_RUN}: redis-server is not in PATH")
    with servers.run_redis(tmp_path_factory.mktemp("redis")) as redis:
        yield redis.url


@pytest.fixture(scope="module")
def rabbitmq_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A RabbitMQ; its user is the standard one."""
    if not Path(servers.RABBITMQ).exists():
        pytest.skip(f"{NOT_RUN}: {servers.RABBITMQ} is not there")
    with servers.run_rabbitmq(tmp_path_factory.mktemp("rabbitmq")) as rabbitmq:
        yield rabbitmq.url


@pytest.fixture
def start_worker(tmp_path: Path) -> Iterator[StartWorker]:
    """Starts workers: `start_worker(url, "queue,queue", name, "--option", ..., environment={...})`."""
    stack = ExitStack()

    def start(
        url: str, queues: str, name: str, *options: str, environment: dict[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        folder = tmp_path / name.replace("@", "-")
        worker = servers.run_worker(url, queues, name, folder, *options, environment=environment)
        return stack.enter_context(worker)

    with stack:
        yield start
