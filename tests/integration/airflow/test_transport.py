"""Private authorities, client certificates and proxies, for both transports."""

from __future__ import annotations

import ssl
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
import trustme

from exporter.config.settings import AirflowSettings
from exporter.metrics.reading import ReaderError
from exporter.sources.airflow.api.objects.pools import POOLS
from exporter.sources.airflow.http.client import Client
from exporter.sources.airflow.http.reply import Reply
from exporter.sources.airflow.http.transport import Call, FormRequest
from tests.integration.airflow.stub import Answer, script, serve

CALLS = {2: Call(POOLS.on_2), 3: Call(POOLS.on_3)}
MAJORS = pytest.mark.parametrize("major", [2, 3])
POOLS_ANSWER = script(Answer({"pools": []}))
ENVIRONMENT = (
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "SSL_CERT_FILE",
)


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@cache
def authority() -> trustme.CA:
    return trustme.CA()


@cache
def context(*, wants_client: bool = False) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority().issue_cert("127.0.0.1").configure_cert(made)
    if wants_client:
        authority().configure_trust(made)
        made.verify_mode = ssl.CERT_REQUIRED
    return made


@pytest.fixture
def ca_file(tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    authority().cert_pem.write_to_path(path)
    return path


@pytest.fixture
def connect() -> Iterator[Callable[..., Client]]:
    clients: list[Client] = []

    def make(url: str, major: int, **settings: object) -> Client:
        clients.append(Client(AirflowSettings(url=url, timeout=5.0, **settings)))  # type: ignore[arg-type]
        clients[-1].use_api(major)
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, object]:
    path = tmp_path / "token"
    path.write_text("t")
    return {"token_file": path}


# ---- TLS ------------------------------------------------------------------------------------------


@MAJORS
def test_a_certificate_of_a_private_authority(
    major: int, connect: Callable[..., Client], settings: dict[str, object], ca_file: Path
) -> None:
    with serve(POOLS_ANSWER, context()) as stub:
        assert connect(stub.url, major, **settings, ca_file=ca_file).get(CALLS[major])


@MAJORS
def test_an_authority_from_the_environment(
    major: int,
    connect: Callable[..., Client],
    settings: dict[str, object],
    ca_file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(ca_file))
    with serve(POOLS_ANSWER, context()) as stub:
        assert connect(stub.url, major, **settings).get(CALLS[major])


@MAJORS
def test_a_certificate_that_nobody_vouches_for(
    major: int, connect: Callable[..., Client], settings: dict[str, object]
) -> None:
    with serve(POOLS_ANSWER, context()) as stub, pytest.raises(ReaderError) as caught:
        connect(stub.url, major, **settings).get(CALLS[major])
    assert (caught.value.reason, "Set airflow.ca_file" in str(caught.value)) == ("tls", True)
    assert not stub.asked


@MAJORS
def test_a_certificate_for_another_name(
    major: int, connect: Callable[..., Client], settings: dict[str, object], ca_file: Path
) -> None:
    with serve(POOLS_ANSWER, context()) as stub, pytest.raises(ReaderError) as caught:
        connect(stub.url.replace("127.0.0.1", "localhost"), major, **settings, ca_file=ca_file).get(CALLS[major])
    assert (caught.value.reason, "Check the host name" in str(caught.value)) == ("tls", True)


@MAJORS
def test_without_verification_anything_goes(
    major: int, connect: Callable[..., Client], settings: dict[str, object]
) -> None:
    with serve(POOLS_ANSWER, context()) as stub:
        assert connect(stub.url, major, **settings, insecure_skip_verify=True).get(CALLS[major])


@MAJORS
def test_https_to_a_port_of_plain_http(major: int, connect: Callable[..., Client], settings: dict[str, object]) -> None:
    with serve(POOLS_ANSWER) as stub, pytest.raises(ReaderError) as caught:
        connect(stub.url.replace("http:", "https:"), major, **settings).get(CALLS[major])
    assert (caught.value.reason, "airflow.url must begin with http://" in str(caught.value)) == ("tls", True)


@MAJORS
def test_a_client_certificate(
    major: int, connect: Callable[..., Client], settings: dict[str, object], ca_file: Path, tmp_path: Path
) -> None:
    leaf = authority().issue_cert("exporter.example")
    leaf.cert_chain_pems[0].write_to_path(tmp_path / "client.crt")
    leaf.private_key_pem.write_to_path(tmp_path / "client.key")
    pair = {"client_certificate_file": tmp_path / "client.crt", "client_key_file": tmp_path / "client.key"}
    with serve(POOLS_ANSWER, context(wants_client=True)) as stub:
        assert connect(stub.url, major, **settings, ca_file=ca_file, **pair).get(CALLS[major])
        with pytest.raises(ReaderError):
            connect(stub.url, major, **settings, ca_file=ca_file).get(CALLS[major])


@MAJORS
@pytest.mark.parametrize("name", ["ca_file", "client_certificate_file"])
def test_a_file_that_is_not_there(
    major: int, name: str, connect: Callable[..., Client], settings: dict[str, object], tmp_path: Path
) -> None:
    with serve(POOLS_ANSWER, context()) as stub, pytest.raises(ReaderError) as caught:
        connect(stub.url, major, **settings, **{name: tmp_path / "absent.pem"}).get(CALLS[major])
    assert caught.value.reason == "tls"


# ---- proxies --------------------------------------------------------------------------------------


@MAJORS
def test_a_proxy_for_plain_http(major: int, connect: Callable[..., Client], settings: dict[str, object]) -> None:
    with serve(POOLS_ANSWER) as proxy:
        connect("http://airflow.invalid", major, **settings, proxy_url=proxy.url).get(CALLS[major])
        assert proxy.asked[0].target == f"http://airflow.invalid/api/v{major - 1}/pools"


@MAJORS
def test_a_proxy_for_https_only_passes_bytes_on(
    major: int, connect: Callable[..., Client], settings: dict[str, object], ca_file: Path
) -> None:
    with serve(POOLS_ANSWER, context()) as stub, serve(POOLS_ANSWER) as proxy:
        connect(stub.url, major, **settings, ca_file=ca_file, proxy_url=proxy.url).get(CALLS[major])
        assert proxy.tunnels == [stub.url.removeprefix("https://")]
        assert not proxy.asked
        assert len(stub.asked) == 1


@MAJORS
@pytest.mark.parametrize(("login", "header"), [("user:word", b"user:word"), ("a%40b:p%3Aw%25%2F", b"a@b:p:w%/")])
def test_a_proxy_with_a_user(
    login: str, header: bytes, major: int, connect: Callable[..., Client], settings: dict[str, object]
) -> None:
    with serve(POOLS_ANSWER) as proxy:
        url = proxy.url.replace("http://", f"http://{login}@")
        connect("http://airflow.invalid", major, **settings, proxy_url=url).get(CALLS[major])
        assert proxy.asked[0].headers["Proxy-Authorization"] == f"Basic {b64encode(header).decode()}"


@MAJORS
def test_the_proxy_of_the_environment(
    major: int, connect: Callable[..., Client], settings: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(POOLS_ANSWER) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("http_proxy", proxy.url)
        connect("http://airflow.invalid", major, **settings).get(CALLS[major])
        assert len(proxy.asked) == 1


@MAJORS
def test_what_the_environment_excepts_from_its_proxy(
    major: int, connect: Callable[..., Client], settings: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serve(POOLS_ANSWER) as stub:
        assert connect(stub.url, major, **settings).get(CALLS[major])


@MAJORS
def test_a_proxy_that_is_not_there(major: int, connect: Callable[..., Client], settings: dict[str, object]) -> None:
    with pytest.raises(ReaderError) as caught:
        connect("http://airflow.invalid", major, **settings, proxy_url="http://127.0.0.1:9").get(CALLS[major])
    assert (caught.value.reason, "the proxy" in str(caught.value)) == ("unreachable", True)


# ---- what it costs, what it tells -----------------------------------------------------------------


def test_the_client_of_airflow_3_is_not_imported_before_one_is_there() -> None:
    program = (
        "import sys; from exporter.sources.airflow.http.client import Client;"
        "from exporter.config.settings import AirflowSettings;"
        "client = Client(AirflowSettings()); client.use_api(2); assert 'airflow_client' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_no_representation_holds_a_secret() -> None:
    headers = {"Cookie": "secret"}
    form = FormRequest("token", "POST", "http://x", {"password": "secret"}, {"password": "secret"}, headers)
    reply = Reply(200, None, b"secret")  # type: ignore[arg-type]
    assert "secret" not in repr(form) + repr(reply)
