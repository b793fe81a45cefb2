"""A server, or a proxy before it, that repeats what it was sent: no secret reaches a message, a page or a log."""

from __future__ import annotations

import base64
import html
import io
import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from urllib.parse import quote, quote_plus, unquote_plus

import pytest

from exporter import application, logs, redaction
from exporter.commands import check
from exporter.config import loader
from exporter.config.settings import AirflowSettings, OAuth2Settings, Settings
from exporter.engine import Engine
from exporter.metrics.reading import ReaderError
from exporter.sources.airflow.api.detect import detect
from exporter.sources.airflow.api.objects.pools import POOLS
from exporter.sources.airflow.api.version import VERSION
from exporter.sources.airflow.http import client as client_module
from exporter.sources.airflow.http.client import Client
from exporter.sources.airflow.http.transport import Call
from exporter.store.exposition import Format, render
from exporter.web import pages
from tests.integration.airflow.stub import Answer, Asked, Stub, serve

PASSWORD = 'Tr0ub4dor & "3" <wörd>/+%41'
TOKEN = "tok-4f9c2a7e81b35d60c4a9/+Zq"
CLIENT_SECRET = "cs~9Yx.7Qw_2Lm-4Kp"
API_KEY = "key-77aa88bb99cc00dd"
COOKIE = "sessioncookie0123456789abcdef"
PROXY_PASSWORD = "pr0xy:p@ss/word"
ISSUED = "issued-9d8c7b6a5f4e3d2c1b0a"
SECRETS = (PASSWORD, TOKEN, CLIENT_SECRET, API_KEY, COOKIE, PROXY_PASSWORD, ISSUED)
SHOWN_AT_MOST = 7
"""Characters of a secret in a row that a message may have by chance, or where the other side cut it off."""

Encode = Callable[[str], str]


def all_of(asked: Asked) -> str:
    """Everything that was sent."""
    headers = "\n".join(f"{name}: {value}" for name, value in asked.headers.items())
    basic = asked.headers.get("Authorization", "").removeprefix("Basic ")
    decoded = base64.b64decode(basic + "==").decode("utf-8", "replace") if "Basic" in str(asked.headers) else ""
    body = asked.body.decode("utf-8", "replace")
    content = "\n".join(map(str, json.loads(body).values())) if body.startswith("{") else unquote_plus(body)
    return f"{headers}\n{decoded}\n{body}\n{content}\n{asked.target}"


ENCODINGS: dict[str, Encode] = {
    "as-it-is": str,
    "url": lambda text: quote(text, safe=""),
    "url-lower-case": lambda text: quote(text, safe="").lower() if text.islower() else quote(text),
    "form": quote_plus,
    "twice": lambda text: quote(quote(text, safe=""), safe=""),
    "json": json.dumps,
    "json-in-json": lambda text: json.dumps(json.dumps(text)),
    "html": html.escape,
    "repr": repr,
    "repr-of-bytes": lambda text: repr(text.encode()),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64-url": lambda text: base64.urlsafe_b64encode(b"x" + text.encode()).decode(),
    "wrong-charset": lambda text: text.encode().decode("latin-1"),
}

SHAPES: dict[str, Callable[[str, int], Answer]] = {
    "detail": lambda text, status: Answer({"detail": text}, status),
    "list": lambda text, status: Answer({"detail": [{"input": text, "loc": ["body"]}]}, status),
    "error": lambda text, status: Answer({"error": text}, status),
    "title": lambda text, status: Answer(f"<html><title>{text}</title></html>".encode(), status),
    "text": lambda text, status: Answer(text.encode(), status),
    "latin-1": lambda text, status: Answer(text.encode("latin-1", "replace"), status),
    "nested": lambda text, status: Answer(("[" * 3000 + text).encode(), status),
}


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "BACKOFF", (0.0, 0.0))
    monkeypatch.setenv("TOKEN_VARIABLE", TOKEN)


@pytest.fixture
def ways(tmp_path: Path) -> dict[str, dict[str, object]]:
    """Each way to sign in, as settings."""
    files = {
        "password": PASSWORD,
        "token": f"Bearer {TOKEN}\n",
        "client": CLIENT_SECRET,
        "headers": f"X-Api-Key: {API_KEY}\nCookie: session={COOKIE}; other=1\n",
    }
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    user = {"username": "reader", "password_file": tmp_path / "password"}
    return {
        "password": user,
        "token": {"token_file": tmp_path / "token"},
        "variable": {"token_environment": "TOKEN_VARIABLE"},
        "headers": {"headers_file": tmp_path / "headers"},
        "both": {**user, "headers_file": tmp_path / "headers"},
        "oauth2": {"oauth2": OAuth2Settings("", "us", tmp_path / "client")},
        "proxy": {**user, "proxy_url": f"http://pat:{quote(PROXY_PASSWORD, safe='')}@"},
    }


def settle(way: dict[str, object], url: str) -> AirflowSettings:
    """Settings for a stub, which is the identity provider and the proxy, too."""
    settings = AirflowSettings(url=url, timeout=5.0, **way)  # type: ignore[arg-type]
    if settings.oauth2:
        return replace(settings, oauth2=replace(settings.oauth2, token_url=f"{url}/oauth2"))
    if settings.proxy_url:
        return replace(settings, proxy_url=settings.proxy_url + url.partition("//")[2])
    return settings


def gather(settings: AirflowSettings) -> Iterator[str]:
    """What each request says when it fails, with the login of both releases."""
    for major, endpoints in ((3, (POOLS.on_3, VERSION.on_3)), (2, (POOLS.on_2,))):
        client = Client(settings)
        try:
            yield attempt(lambda client=client: detect(client))  # type: ignore[misc]
            client.use_api(major)
            for endpoint in endpoints:
                yield attempt(lambda client=client, endpoint=endpoint: client.get(Call(endpoint)))  # type: ignore[misc]
        finally:
            client.close()


def attempt(ask: Callable[[], object]) -> str:
    try:
        return f"{ask()!r}"[:0]
    except ReaderError as error:
        return f"{error} {getattr(error, 'detail', '')}"


def find_leaks(text: str, *, undo: bool = True) -> list[str]:
    """Which secrets, or longer parts of them, are in a text, in whatever encoding."""
    texts = [text, *(redaction.decode_once(text),) * undo]
    return [
        f"{part!r} of {secret!r}"
        for secret in SECRETS
        for form in (secret, quote(secret), json.dumps(secret), html.escape(secret))
        for part in (form[start : start + SHOWN_AT_MOST + 1] for start in range(len(form) - SHOWN_AT_MOST))
        if any(part in one for one in texts)
    ]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("way", ["password", "token", "variable", "headers", "both", "oauth2", "proxy"])
def test_an_error_holds_no_secret_that_was_sent(way: str, encoding: str, ways: dict[str, dict[str, object]]) -> None:
    encode = ENCODINGS[encoding]
    shapes = iter(list(SHAPES.values()) * 10)
    statuses = iter([401, 500, 422, 400, 403, 407, 404, 429, 502, 200, 418] * 10)

    def echo(asked: Asked) -> Answer:
        return next(shapes)(encode(all_of(asked)), next(statuses))

    with serve(echo) as stub:
        said = [text for _ in range(3) for text in gather(settle(ways[way], stub.url))]
        assert len(stub.asked) > 10
    assert [leak for text in said for leak in find_leaks(text)] == []
    assert all(len(text) < 900 for text in said)


@pytest.mark.parametrize("padding", [*range(150, 204, 3), *range(30, 62, 3), *range(60, 82, 3), 65_500])
def test_what_is_cut_off_leaves_no_part_of_a_secret(padding: int, ways: dict[str, dict[str, object]]) -> None:
    shapes = iter([SHAPES["detail"], SHAPES["title"], SHAPES["text"]] * 20)

    def echo(asked: Asked) -> Answer:
        sent = asked.headers.get("Authorization", "") or asked.body.decode()
        return next(shapes)("x" * padding + " " + sent, 401 if padding % 2 else 200)

    with serve(echo) as stub:
        for way in ("token", "password"):
            assert [leak for text in gather(settle(ways[way], stub.url)) for leak in find_leaks(text)] == []


@pytest.mark.parametrize("length", [8, 12, 20])
def test_a_part_of_a_secret_that_the_server_cut_off_is_hidden(length: int, ways: dict[str, dict[str, object]]) -> None:
    def echo(asked: Asked) -> Answer:
        token = asked.headers.get("Authorization", "").removeprefix("Bearer ")
        return Answer({"detail": f"Invalid token {token[:length]}...{token[-length:]}"}, 401)

    with serve(echo) as stub:
        said = list(gather(settle(ways["token"], stub.url)))
    assert any("Invalid token ***" in text for text in said)
    assert [leak for text in said for leak in find_leaks(text)] == []


@pytest.mark.parametrize("status", [301, 302, 307])
def test_a_redirect_that_carries_a_secret_does_not_show_it(status: int, ways: dict[str, dict[str, object]]) -> None:
    def echo(asked: Asked) -> Answer:
        token = asked.headers.get("Authorization", "").removeprefix("Bearer ")
        return Answer({}, status, headers={"Location": f"https://sso.example/back/{quote(token, safe='')}?t={token}"})

    with serve(echo) as stub:
        said = list(gather(settle(ways["token"], stub.url)))
    assert any("sso.example" in text for text in said)
    assert [leak for text in said for leak in find_leaks(text)] == []


def test_a_short_password_is_not_spelt_by_the_gaps(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("a1")
    with serve(lambda asked: Answer({"detail": "a1 is wrong, a1!"}, 401)) as stub:
        settings = AirflowSettings(url=stub.url, username="reader", password_file=tmp_path / "password")
        client = Client(settings)
        client.use_api(3)
        said = attempt(lambda: client.get(Call(POOLS.on_3)))
        client.close()
    assert "not shown: it repeats a secret" in said
    assert "wrong" not in said


def test_a_password_of_a_word_is_hidden_in_what_airflow_says(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("hunter2")
    with serve(lambda asked: Answer({"detail": f"{asked.body.decode()}"}, 422)) as stub:
        settings = AirflowSettings(url=stub.url, username="reader", password_file=tmp_path / "password")
        client = Client(settings)
        client.use_api(3)
        said = attempt(lambda: client.get(Call(POOLS.on_3)))
        client.close()
    assert "hunter2" not in said
    assert '"password": "***"' in said


class Airflow:
    """Lets in who it knows, then answers everything with an echo."""

    def __init__(self, encode: Encode) -> None:
        self.encode = encode
        self.codes = iter([500, 422, 401, 200, 404, 403, 503] * 100)

    def __call__(self, asked: Asked) -> Answer:
        if asked.path == "/auth/token":
            return Answer({"access_token": ISSUED}, 201)
        if asked.path.endswith("/version"):
            return Answer({"version": "3.3.2"})
        return Answer({"detail": self.encode(all_of(asked))}, next(self.codes))


@pytest.mark.parametrize("encoding", ["as-it-is", "url", "json", "base64"])
@pytest.mark.parametrize("works", [True, False])
def test_no_page_metric_log_line_or_command_shows_a_secret(
    encoding: str, works: bool, ways: dict[str, dict[str, object]]
) -> None:
    stream = io.StringIO()
    logs.configure("debug", "logfmt", stream)
    logging.getLogger("exporter").setLevel(logging.DEBUG)
    airflow = Airflow(ENCODINGS[encoding])

    def broken(asked: Asked) -> Answer:
        return Answer({"detail": ENCODINGS[encoding](all_of(asked))}, 422)

    with serve(airflow if works else broken) as stub:
        chosen = settle(ways["both"], stub.url)
        settings = Settings(airflow=chosen, collectors={"airflow": True, "statsd": False, "host": False})
        shown = [*show_pages(settings), *show_commands(settings)]
        assert all(find_leaks(quote(one, safe="")) for one in [all_of(asked) for asked in stub.asked[:1]])
    assert "***" in "".join(shown)
    assert [leak for text in (*shown, stream.getvalue()) for leak in find_leaks(text)] == []


def show_pages(settings: Settings) -> Sequence[str]:
    engine = Engine(settings)
    engine.read_once()
    engine.refresh()
    statuses = engine.status()
    assert any(reader.message for status in statuses for reader in status.readers)
    shown = (
        pages.render_landing_page(statuses, "/metrics", time.time()),
        pages.render_sources_page(statuses, time.time()),
        json.dumps([asdict(status) for status in statuses]),
        b"".join(render(engine.store, Format.TEXT)).decode(),
    )
    engine.stop(1.0)
    return shown


def show_commands(settings: Settings) -> Sequence[str]:
    configuration = loader.Configuration(settings, (), ())
    findings = "\n".join(map(str, check.run_checks(configuration)))
    text, problems = application.scrape_once(settings)
    assert problems
    return findings, text, "\n".join(problems)


def test_a_fault_of_ours_that_quotes_a_secret_is_kept_without_it(
    monkeypatch: pytest.MonkeyPatch, ways: dict[str, dict[str, object]], stub_that_works: Stub
) -> None:
    settings = Settings(
        airflow=settle(ways["token"], stub_that_works.url),
        collectors={"airflow": True, "statsd": False, "host": False},
    )

    def fail(*_: object) -> None:
        raise RuntimeError(f"header {TOKEN!r} and {quote(TOKEN, safe='')} cannot be sent")

    monkeypatch.setattr("exporter.sources.airflow.readers.instance.HealthReader.read", fail)
    shown = show_pages(settings)
    assert "RuntimeError: header" in shown[1]
    assert [leak for text in shown for leak in find_leaks(text)] == []


@pytest.fixture
def stub_that_works() -> Iterator[Stub]:
    with serve(Airflow(str)) as stub:
        yield stub
