"""The URL of the broker, its options, and the messages of failures: never with a secret."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from amqp.exceptions import PreconditionFailed
from kombu.exceptions import OperationalError
from redis.exceptions import AuthenticationError, NoPermissionError, OutOfMemoryError

from exporter.config.settings import CelerySettings
from exporter.metrics.reading import ReaderError
from exporter.sources.celery.broker import (
    NEVER,
    Broker,
    build_options,
    build_tls,
    classify,
    describe_url,
    drop_tls,
    read_transport_options,
    read_url,
)

VARIABLE = "TEST_BROKER_URL"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:sesame-open@cache:6379/2", "redis://cache:6379/2"),
        ("rediss://user:sesame-open@cache/0?ssl_cert_reqs=required", "rediss://cache/0"),
        ("sentinel://:sesame-open@one:26379/0;sentinel://two:26379/0", "sentinel://one:26379/0;sentinel://two:26379/0"),
        ("amqp://airflow:sesame-open@rabbit//", "amqp://rabbit//"),
        ("amqps://[::1]:5671/vhost", "amqps://::1:5671/vhost"),
    ],
)
def test_a_url_is_shown_without_credentials(url: str, shown: str) -> None:
    assert describe_url(url) == shown


@pytest.mark.parametrize("text", ["", "redis", "redis://a redis://b", "redis://a\nredis://b"])
def test_what_is_no_url_is_refused(text: str) -> None:
    with pytest.raises(ReaderError, match=r"contains no URL|is empty"):
        read_url(text, "the file")


@pytest.mark.parametrize(
    "text",
    [
        '"redis://cache:6379/0"\n',
        "AIRFLOW__CELERY__BROKER_URL=redis://cache:6379/0",
        "broker_url = redis://cache:6379/0\n",
        "export BROKER='redis://cache:6379/0'",
        "broker_url: redis://cache:6379/0",
    ],
)
def test_what_people_write_around_the_url_is_removed(text: str) -> None:
    assert read_url(text, "the file") == "redis://cache:6379/0"


UNENCODED = (
    "redis://:sesame/open@127.0.0.1:1/0",
    "redis://:12/sesame@127.0.0.1:1/0",
    "redis://:sesame#open@127.0.0.1:1/0",
    "redis://:sesame?open@127.0.0.1:1/0",
    "redis://:open[sesame]@127.0.0.1:1/0",
    "sentinel://one:26379;sentinel://:sesame/open@two:26379",
)


@pytest.mark.parametrize("url", UNENCODED)
def test_a_password_that_is_not_encoded_is_refused_and_not_repeated(tmp_path: Path, url: str) -> None:
    file = tmp_path / "url"
    file.write_text(url)
    broker = Broker(CelerySettings(broker_url_file=file, timeout=0.5))
    with pytest.raises(ReaderError, match="as %XX") as caught:
        broker.connect()
    assert caught.value.reason == "unauthorized"
    assert "sesame" not in f"{caught.value} {broker.name}"


def test_the_advice_is_readable() -> None:
    with pytest.raises(ReaderError) as caught:
        read_url("redis", "the file")
    assert "such as redis://redis:6379/0, with user:password@ before the host" in str(caught.value)


def test_an_assignment_is_not_shown_as_the_broker(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text("AIRFLOW__CELERY__BROKER_URL=redis://:sesame-open-8@127.0.0.1:1/0")
    broker = Broker(CelerySettings(broker_url_file=file, timeout=0.5))
    with pytest.raises(ReaderError):
        broker.connect()
    assert broker.name == "redis://127.0.0.1:1/0"


def test_an_encoded_password_is_masked_decoded_too(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text("redis://:sesame%40street@127.0.0.1:1/0")
    Broker(CelerySettings(broker_url_file=file, timeout=0.5)).prepare()
    assert "sesame" not in classify(ValueError("AUTH 'sesame@street' failed"), "redis://cache")[1]


def test_a_parameter_that_kombu_does_not_take_is_an_error_of_the_url(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text("redis://127.0.0.1:1/0?password=sesame-open-9")
    with pytest.raises(ReaderError) as caught:
        Broker(CelerySettings(broker_url_file=file, timeout=0.5)).connect()
    assert caught.value.reason == "bad_request"
    assert "sesame" not in str(caught.value)


def test_the_host_stays_readable_in_errors(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text("redis://:sesame-open-6@127.0.0.1:1/0")
    with pytest.raises(ReaderError, match=r"connecting to 127\.0\.0\.1:1"):
        Broker(CelerySettings(broker_url_file=file, timeout=0.5)).connect()


@pytest.mark.parametrize("scheme", ["redis", "rediss", "sentinel", "redis+socket"])
def test_this_client_never_puts_messages_back(scheme: str) -> None:
    options = build_options(f"{scheme}://cache/0", {"visibility_timeout": 3600, "global_keyprefix": "x"}, 5.0)
    assert options["visibility_timeout"] == NEVER
    assert options["global_keyprefix"] == "x"
    assert options["socket_timeout"] == 5.0


def test_rabbitmq_has_timeouts() -> None:
    assert build_options("amqp://rabbit//", {}, 5.0) == {"read_timeout": 5.0, "write_timeout": 5.0}


class TestTls:
    def test_redis_is_verified(self) -> None:
        assert build_tls("rediss://cache/0", CelerySettings()) == {"ssl_cert_reqs": ssl.CERT_REQUIRED}

    def test_redis_is_not_verified_if_its_url_says_so(self) -> None:
        found = build_tls("rediss://cache/0?ssl_cert_reqs=CERT_NONE", CelerySettings())
        assert found == {"ssl_cert_reqs": ssl.CERT_NONE}

    @pytest.mark.parametrize("query", ["", "?ssl_cert_reqs=required"])
    def test_the_files_are_used_beside_what_the_url_of_redis_says(self, tmp_path: Path, query: str) -> None:
        found = build_tls(f"rediss://cache/0{query}", CelerySettings(broker_ca_file=tmp_path / "ca.pem"))
        assert found == {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_ca_certs": str(tmp_path / "ca.pem")}

    @pytest.mark.parametrize(
        ("url", "rest"),
        [
            ("rediss://:a%3Fb@cache/0?ssl_cert_reqs=none&db=1", "rediss://:a%3Fb@cache/0?db=1"),
            ("sentinel://one/0?ssl_ca_certs=ca.pem;sentinel://two/0", "sentinel://one/0;sentinel://two/0"),
            ("amqp://rabbit//?heartbeat=10", "amqp://rabbit//?heartbeat=10"),
        ],
    )
    def test_the_url_is_left_without_them(self, url: str, rest: str) -> None:
        assert drop_tls(url) == rest

    def test_redis_without_tls(self) -> None:
        assert build_tls("redis://cache/0", CelerySettings()) is False

    def test_rabbitmq_is_always_verified(self) -> None:
        found = build_tls("amqps://rabbit:5671//", CelerySettings())
        assert isinstance(found, dict)
        assert found["cert_reqs"] is ssl.CERT_REQUIRED
        assert found["server_hostname"] == "rabbit"

    def test_plain_connections_have_none(self) -> None:
        assert build_tls("amqp://rabbit//", CelerySettings()) is False


class TestTransportOptions:
    def test_there_need_not_be_any(self) -> None:
        assert read_transport_options(CelerySettings()) == {}

    def test_a_json_object(self, tmp_path: Path) -> None:
        file = tmp_path / "options.json"
        file.write_text('{"master_name": "mymaster", "sentinel_kwargs": {"password": "sesame-sentinel"}}')
        found = read_transport_options(CelerySettings(broker_transport_options_file=file))
        assert found["master_name"] == "mymaster"

    @pytest.mark.parametrize("text", ["", "[]", "{", "visibility_timeout = 3600"])
    def test_anything_else_is_refused_with_an_example(self, tmp_path: Path, text: str) -> None:
        file = tmp_path / "options.json"
        file.write_text(text)
        with pytest.raises(ReaderError, match="contains no JSON object; write for example"):
            read_transport_options(CelerySettings(broker_transport_options_file=file))


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError("Error 111 connecting to cache:6379. Connection refused."), "unreachable"),
        (ValueError("invalid username-password pair or user is disabled."), "unauthorized"),
        (ValueError("(403) ACCESS_REFUSED - Login was refused"), "unauthorized"),
        (NoPermissionError("this user has no permissions to run the 'llen' command"), "unauthorized"),
        (AuthenticationError("Authentication required."), "unauthorized"),
        (ValueError("NOPERM this user has no permissions to run the 'llen' command"), "unauthorized"),
        (ValueError("No permissions to access a channel"), "unauthorized"),
        (TimeoutError("timed out"), "timeout"),
        (OperationalError("Timeout reading from socket"), "timeout"),
        (OutOfMemoryError("command not allowed when used memory > 'maxmemory'."), "server_error"),
        (PreconditionFailed("PRECONDITION_FAILED - inequivalent arg 'durable'", (50, 10), 406), "server_error"),
        (ssl.SSLCertVerificationError("certificate verify failed: self-signed certificate"), "tls"),
    ],
)
def test_failures_have_a_reason(error: Exception, reason: str) -> None:
    assert classify(error, "redis://cache/0")[0] == reason


def test_a_password_is_in_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "redis://:sesame-open-7@127.0.0.1:1/0")
    broker = Broker(CelerySettings(broker_url_environment=VARIABLE, timeout=0.5))
    with pytest.raises(ReaderError) as caught:
        broker.connect()
    assert "sesame" not in str(caught.value)
    assert caught.value.reason == "unreachable"
    assert "redis://127.0.0.1:1/0" in broker.name


def test_a_transport_that_does_not_exist_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "redsi://cache/0")
    with pytest.raises(ReaderError, match="broker URL cannot be used"):
        Broker(CelerySettings(broker_url_environment=VARIABLE)).connect()
