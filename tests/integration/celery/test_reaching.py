"""Brokers that are reached by TLS with a private CA, or found by Redis Sentinel."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from exporter.config.settings import CelerySettings
from exporter.metrics.catalogue import celery
from exporter.metrics.family import Family, Labels
from exporter.metrics.reading import ReaderError
from exporter.sources.celery.source import CelerySource
from exporter.sources.directory import Directory
from tests.conftest import NOT_RUN
from tests.integration.celery import servers
from tests.integration.celery.conftest import StartWorker
from tests.integration.web.certificates import write_certificates

pytestmark = pytest.mark.slow
VARIABLE = "TEST_BROKER_URL"
WORKER = "celery@one"
MASTER = "mymaster"


def open_source(
    url: str, monkeypatch: pytest.MonkeyPatch, ca_file: Path | None = None, options_file: Path | None = None
) -> CelerySource:
    monkeypatch.setenv(VARIABLE, url)
    settings = CelerySettings(
        broker_url_environment=VARIABLE,
        queues=("heavy",),
        broker_ca_file=ca_file,
        broker_transport_options_file=options_file,
    )
    source = CelerySource(settings, Directory())
    source.connect()
    return source


def read_all(source: CelerySource) -> dict[Family, Mapping[Labels, float]]:
    return {family: values for reader in source.readers for family, values in reader.read().tables.items()}


def wait_until_up(source: CelerySource) -> dict[Family, Mapping[Labels, float]]:
    """Read until the worker answers; a broker that is being replaced may refuse before that."""
    found: dict[Family, Mapping[Labels, float]] = {}

    def answers() -> bool:
        try:
            found.update(read_all(source))
        except ReaderError:
            return False
        return found[celery.WORKER_UP].get((WORKER,)) == 1 and found[celery.WORKERS].get(("heavy",)) == 1

    servers.wait_for(answers, "an answer of the worker")
    return found


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    write_certificates(tmp_path)
    return tmp_path


class TestTls:
    @pytest.fixture
    def redis_url(self, certificates: Path) -> Iterator[str]:
        if servers.find_redis() is None:
            pytest.skip(f"{NOT_RUN}: redis-server is not in PATH")
        files = [("cert", "server.crt"), ("key", "server.key"), ("ca-cert", "ca.crt")]
        options = [word for name, file in files for word in (f"--tls-{name}-file", str(certificates / file))]
        port = servers.free_port()
        encrypted = ("--tls-port", str(port), "--tls-auth-clients", "no")
        with servers.run_redis(certificates, *encrypted, *options) as plain:
            servers.wait_for(lambda: servers.is_listening(port), "the start of TLS")
            yield plain.url.replace("redis://", "rediss://").replace(f":{plain.port}/", f":{port}/")

    @pytest.fixture
    def rabbitmq_url(self, certificates: Path) -> Iterator[str]:
        if not Path(servers.RABBITMQ).exists():
            pytest.skip(f"{NOT_RUN}: {servers.RABBITMQ} is not there")
        port = servers.free_port()
        settings = f"listeners.ssl.1 = 127.0.0.1:{port}\nssl_options.verify = verify_none\n" + "".join(
            f"ssl_options.{name} = {certificates / file}\n"
            for name, file in (("cacertfile", "ca.crt"), ("certfile", "server.crt"), ("keyfile", "server.key"))
        )
        with servers.run_rabbitmq(certificates, settings):
            servers.wait_for(lambda: servers.is_listening(port), "the start of TLS")
            yield f"amqps://guest:guest@127.0.0.1:{port}//"

    @pytest.mark.parametrize("broker", ["redis_url", "rabbitmq_url"])
    def test_a_private_authority(
        self,
        broker: str,
        request: pytest.FixtureRequest,
        certificates: Path,
        start_worker: StartWorker,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        url, ca_file = request.getfixturevalue(broker), certificates / "ca.crt"
        start_worker(url, "heavy", WORKER, environment={"BROKER_CA_FILE": str(ca_file)})
        asking = "?ssl_cert_reqs=required" if url.startswith("rediss") else ""
        source = open_source(url + asking, monkeypatch, ca_file)
        found = wait_until_up(source)
        assert found[celery.WORKER_SLOTS] == {(WORKER,): 2}
        assert found[celery.QUEUE_MESSAGES] == {("heavy",): 0}
        source.close()

    @pytest.mark.parametrize("broker", ["redis_url", "rabbitmq_url"])
    def test_an_authority_that_is_not_known_is_refused(
        self, broker: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with pytest.raises(ReaderError, match="certificate of") as caught:
            open_source(request.getfixturevalue(broker), monkeypatch)
        assert caught.value.reason == "tls"


class TestSentinel:
    @pytest.fixture
    def sentinel(self, tmp_path: Path) -> Iterator[servers.Sentinel]:
        if servers.find_redis() is None:
            pytest.skip(f"{NOT_RUN}: redis-server is not in PATH")
        with servers.run_sentinel(tmp_path, MASTER) as running:
            yield running

    @pytest.fixture
    def options(self, tmp_path: Path) -> Path:
        """The file of transport options, as for `[celery_broker_transport_options]`."""
        path = tmp_path / "options.json"
        path.write_text(json.dumps({"master_name": MASTER, "sentinel_kwargs": {"password": servers.PASSWORD}}))
        path.chmod(0o600)
        return path

    def test_the_master_is_found_and_the_one_that_takes_its_place(
        self,
        sentinel: servers.Sentinel,
        options: Path,
        start_worker: StartWorker,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        start_worker(sentinel.url, "heavy", WORKER, environment={"BROKER_OPTIONS": options.read_text()})
        source = open_source(sentinel.url, monkeypatch, options_file=options)
        assert servers.PASSWORD not in str(source)
        assert wait_until_up(source)[celery.WORKER_SLOTS] == {(WORKER,): 2}
        sentinel.fail()
        with pytest.raises(ReaderError):
            read_all(source)
        found = wait_until_up(source)
        assert found[celery.WORKER_SLOTS] == {(WORKER,): 2}
        assert found[celery.BROKER_MEMORY][()] > 100_000
        source.close()

    def test_tls_of_sentinel_and_of_the_servers(
        self,
        certificates: Path,
        tmp_path: Path,
        options: Path,
        start_worker: StartWorker,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        ca_file = certificates / "ca.crt"
        given = json.loads(options.read_text())
        given["sentinel_kwargs"] |= {"ssl": True, "ssl_ca_certs": str(ca_file)}
        options.write_text(json.dumps(given))
        with servers.run_sentinel(tmp_path, MASTER, servers.list_tls(certificates)) as sentinel:
            environment = {"BROKER_OPTIONS": options.read_text(), "BROKER_CA_FILE": str(ca_file)}
            start_worker(sentinel.url, "heavy", WORKER, environment=environment)
            source = open_source(sentinel.url, monkeypatch, ca_file, options_file=options)
            assert wait_until_up(source)[celery.WORKER_SLOTS] == {(WORKER,): 2}
            source.close()
            del given["sentinel_kwargs"]["ssl_ca_certs"]
            options.write_text(json.dumps(given))
            with pytest.raises(ReaderError, match="No master found"):
                open_source(sentinel.url, monkeypatch, ca_file, options_file=options)

    def test_a_master_that_sentinel_does_not_know(
        self, sentinel: servers.Sentinel, options: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        options.write_text(options.read_text().replace(MASTER, "othermaster"))
        with pytest.raises(ReaderError, match=r"No master found for [^<]*$") as caught:
            open_source(sentinel.url, monkeypatch, options_file=options)
        assert caught.value.reason == "unreachable"
