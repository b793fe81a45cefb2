"""The configurations for managed Airflows work, and go on when the sidecar has renewed a token that ended."""

from __future__ import annotations

import base64
import json
import ssl
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from examples.managed import renew_token
from exporter.config import loader
from exporter.config.settings import Settings
from exporter.metrics.reading import ReaderError
from exporter.sources.airflow.api.detect import Connection, connect
from exporter.sources.airflow.api.objects.pools import read_pools
from exporter.sources.airflow.http import client as client_module
from tests.integration.airflow.managed_stubs import Bearer, Metadata, Mwaa, install_aws
from tests.integration.airflow.stub import Answer, serve

MANAGED = Path(renew_token.__file__).parent
AUTHORITY = trustme.CA()
TO_LOGIN = Answer(b"", 302, {"Location": "https://accounts.google.com/o/oauth2/v2/auth?client_id=1"})


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "BACKOFF", (0.01, 0.02))


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ssl.SSLContext]:
    """A certificate for 127.0.0.1 that the sidecar trusts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert("127.0.0.1").configure_cert(context)
    AUTHORITY.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    return context  # type: ignore[return-value]


def load(name: str, url: str, folder: Path, secret: str) -> Settings:
    """An example with this URL and the secret in this folder; everything else as it is in the file."""
    text = (MANAGED / f"{name}.yml").read_text(encoding="utf-8")
    for old in ("/run/airflow-token", "/run/secrets", "/var/lib/airflow-exporter"):
        text = text.replace(f"{old}/", f"{folder}/")
    path = folder / f"{name}.yml"
    path.write_text(text, encoding="utf-8")
    assert (folder / secret).exists()
    flags: dict[str, object] = {"config.file": str(path), "airflow.url": url}
    if url.startswith("https"):
        flags["airflow.ca_file"] = str(folder / "ca.pem")
    return loader.load(flags, {}).settings


def read(connection: Connection) -> list[str]:
    return [pool.name for pool in read_pools(connection.airflow)]


@pytest.mark.parametrize("major", [2, 3])
def test_mwaa(major: int, tls: ssl.SSLContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mwaa = Mwaa(major, tmp_path)
    secret = "token" if major == 3 else "headers"
    renew = [
        "mwaa",
        "--environment=production",
        f"--airflow-version={major}",
        f"--output={tmp_path / secret}",
        "--once",
    ]
    with serve(mwaa, tls) as stub:
        monkeypatch.setenv("PATH", install_aws(tmp_path / "bin", stub.url.removeprefix("https://"), mwaa.tokens))
        assert renew_token.main(renew) == 0
        assert stat.S_IMODE((tmp_path / secret).stat().st_mode) == 0o600
        settings = load(f"mwaa-airflow-{major}", stub.url, tmp_path, secret)
        assert settings.collectors == {
            "airflow": True,
            **dict.fromkeys(("statsd", "host", "celery", "database"), False),
        }
        connection = connect(settings.airflow)
        assert connection.airflow.major == major
        assert read(connection) == ["default_pool"]
        mwaa.sessions.append("another")
        with pytest.raises(ReaderError, match=r"HTTP 40[13]"):
            read(connection)
        assert renew_token.main(renew) == 0
        assert read(connection) == ["default_pool"]
        connection.client.close()


@pytest.mark.parametrize("major", [2, 3])
def test_composer(major: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    composer, metadata = Bearer(major, TO_LOGIN), Metadata()
    renew = ["google", f"--output={tmp_path / 'token'}", "--once"]
    with serve(composer) as stub, serve(metadata) as google:
        monkeypatch.setenv("GCE_METADATA_HOST", google.url.removeprefix("http://"))
        assert renew_token.main(renew) == 0
        composer.valid = metadata.token
        connection = connect(load("composer", stub.url, tmp_path, "token").airflow)
        assert read(connection) == ["default_pool"]
        composer.valid = metadata.token = "ya29.second"
        with pytest.raises(ReaderError):
            read(connection)
        assert renew_token.main(renew) == 0
        assert read(connection) == ["default_pool"]
        connection.client.close()


@pytest.mark.parametrize("major", [2, 3])
def test_astronomer(major: int, tmp_path: Path) -> None:
    astro = Bearer(major, Answer({"detail": "Unauthorized"}, 401), "/dz3uu847")
    astro.valid = "eyJhbGciOi.of.deployment"
    (tmp_path / "astro-api-token").write_text(f"{astro.valid}\n")
    with serve(astro) as stub:
        settings = load("astronomer", f"{stub.url}/dz3uu847", tmp_path, "astro-api-token")
        connection = connect(settings.airflow)
        assert read(connection) == ["default_pool"]
        assert all(path.startswith("/dz3uu847/api/") for path in stub.paths)
        connection.client.close()


def test_an_identity_token_for_a_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(Metadata()) as google:
        monkeypatch.setenv("GCE_METADATA_HOST", google.url.removeprefix("http://"))
        assert renew_token.main(["google", "--audience=1.apps/x", f"--output={tmp_path / 'token'}", "--once"]) == 0
    assert (tmp_path / "token").read_text() == "identity-for-1.apps/x\n"


def test_a_failure_leaves_the_old_file_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "token"
    output.write_text("old\n")
    metadata = Metadata()
    with serve(metadata) as google:
        monkeypatch.setenv("GCE_METADATA_HOST", google.url.removeprefix("http://"))
        metadata.token = "two words"
        assert renew_token.main(["google", f"--output={output}", "--once"]) == 1
        monkeypatch.setenv("PATH", str(tmp_path))
        assert renew_token.main(["mwaa", "--environment=production", f"--output={output}", "--once"]) == 1
        metadata.token = "good"
        assert renew_token.main(["google", f"--output={tmp_path / 'missing' / 'token'}", "--once"]) == 1
    errors = capsys.readouterr().err
    assert "access_token of the metadata server is not one word" in errors
    assert "aws is not installed" in errors
    assert "cannot be written" in errors
    assert "two words" not in errors
    assert output.read_text() == "old\n"
    assert [path.name for path in tmp_path.iterdir()] == ["token"]


def test_it_renews_before_the_token_ends_and_stops_on_a_signal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    metadata = Metadata()
    metadata.life = 250
    output = tmp_path / "token"
    with serve(metadata) as google:
        monkeypatch.setenv("GCE_METADATA_HOST", google.url.removeprefix("http://"))
        with subprocess.Popen(
            [sys.executable, renew_token.__file__, "google", f"--output={output}", "--interval=0.1"]
        ) as sidecar:
            wait_for(output, "ya29.first")
            metadata.token = "ya29.second"
            wait_for(output, "ya29.second")
            sidecar.terminate()
            assert sidecar.wait(30) == 0


def make_jwt(payload: object) -> str:
    return f"e30.{base64.urlsafe_b64encode(json.dumps(payload).encode()).decode().rstrip('=')}.x"


@pytest.mark.parametrize("gcloud", [False, True])
def test_an_identity_token_is_renewed_before_it_ends(
    gcloud: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may come from a cache, with a few minutes left of its hour."""
    token = make_jwt({"exp": int(time.time()) + 900})
    monkeypatch.setattr(renew_token, "ask_metadata", lambda _: token)
    monkeypatch.setattr(renew_token, "run", lambda _: f"{token}\n")
    options = renew_token.parse_arguments(
        ["google", "--audience=a", f"--output={tmp_path / 'token'}", *["--gcloud"][: int(gcloud)]]
    )
    assert 600 < renew_token.renew(renew_token.renew_google, options) <= 660


@pytest.mark.parametrize(
    "token", ["ya29.opaque", "one", "a.%%.c", "a.e30.c", make_jwt([]), make_jwt({"exp": None}), make_jwt({"exp": "x"})]
)
def test_a_token_that_does_not_say_when_it_ends_has_no_known_life(token: str) -> None:
    assert renew_token.read_life(token) == 0


def test_a_token_that_has_ended_is_renewed_soon() -> None:
    assert renew_token.read_life(make_jwt({"exp": 1})) == 1


def wait_for(path: Path, token: str) -> None:
    until = time.monotonic() + 60
    while not path.exists() or path.read_text() != f"{token}\n":
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.parametrize(("life", "wait"), [(0, 1800), (3599, 1800), (900, 660), (100, 10)])
def test_the_wait_follows_the_life_of_the_token(life: float, wait: float, tmp_path: Path) -> None:
    options = renew_token.parse_arguments(["google", f"--output={tmp_path / 'token'}"])
    assert renew_token.renew(lambda _: renew_token.Renewed("x", life), options) == wait
