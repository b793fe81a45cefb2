"""A user of Redis with the rights that docs/celery.md names can read all, and one with fewer is told so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import redis

from exporter.metrics.catalogue import celery
from exporter.metrics.reading import ReaderError
from exporter.sources.directory import Directory
from tests.integration.celery.conftest import StartWorker
from tests.integration.celery.servers import wait_for
from tests.integration.celery.test_brokers import open_source, read_all

PAGE = (Path(__file__).parents[3] / "docs" / "celery.md").read_text(encoding="utf-8")
WORKER = "celery@one"
USER = ("exporter", "sesame-open-9")


def list_rights() -> list[list[str]]:
    """What queues need, and what workers need besides."""
    [row] = [line for line in PAGE.splitlines() if line.startswith("| Redis |")]
    return [rights.replace("\\|", "|").split() for rights in re.findall(r"`(\+[^`]+)`", row)]


def make_user(url: str, rights: list[str]) -> str:
    """The URL of a user with these rights only."""
    name, password = USER
    with redis.Redis.from_url(url) as client:
        client.execute_command("ACL", "SETUSER", name, "reset", "on", f">{password}", "~*", "&*", *rights)
    return re.sub("://[^@]*@", f"://{name}:{password}@", url)


def has_worker(url: str, monkeypatch: pytest.MonkeyPatch) -> bool:
    """By a client of its own: workers that start are seen once they answer."""
    source = open_source(monkeypatch, url, Directory())
    try:
        return (WORKER,) in read_all(source)[celery.WORKER_SLOTS]
    finally:
        source.close()


def test_the_documented_rights_suffice(
    redis_url: str, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    start_worker(redis_url, "default", WORKER)
    for_queues, for_workers = list_rights()
    url = make_user(redis_url, [*for_queues, *for_workers])
    wait_for(lambda: has_worker(url, monkeypatch), "the worker")
    with redis.Redis.from_url(redis_url) as client:
        # Whose scripts are there depends on the release of the workers.
        client.execute_command("SCRIPT", "FLUSH")
        assert has_worker(url, monkeypatch)
        refused = [entry for entry in client.acl_log() if entry["username"] == USER[0]]
    assert [entry["object"] for entry in refused] == []


def test_a_missing_right_is_no_broker_that_cannot_be_reached(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for_queues, _ = list_rights()
    source = open_source(monkeypatch, make_user(redis_url, for_queues), Directory())
    with pytest.raises(ReaderError, match="no permissions to run the") as caught:
        read_all(source)
    assert caught.value.reason == "unauthorized"
    source.close()
