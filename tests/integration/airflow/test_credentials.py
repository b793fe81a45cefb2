"""Every way to be let in: renewed before it ends and when it is refused, and never told to anybody."""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from exporter import logs
from exporter.config.secret_file import SecretFile, clean_token
from exporter.config.settings import AirflowSettings, OAuth2Settings
from exporter.metrics.reading import ReaderError
from exporter.sources.airflow.api.objects.pools import POOLS
from exporter.sources.airflow.http import client as client_module
from exporter.sources.airflow.http import tokens
from exporter.sources.airflow.http.client import Client
from exporter.sources.airflow.http.credentials import ConfiguredToken, parse_headers
from exporter.sources.airflow.http.transport import Call
from tests.integration.airflow.stub import Answer, Asked, Stub, serve

POOL_CALLS = {2: Call(POOLS.on_2), 3: Call(POOLS.on_3)}
INVALID = Answer({"detail": "Invalid JWT token"}, 403)
FORBIDDEN = Answer({"detail": "Forbidden"}, 403)
ALONE = Answer({"detail": "Not authenticated"}, 401)
PASSWORD = "p&ss wörd=1"
Connect = Callable[..., Client]


def jwt(life: float, number: int = 0) -> str:
    content = {"sub": "1", "iat": 1_000, "exp": 1_000 + life, "jti": number}
    parts = [json.dumps(part).encode() for part in ({"alg": "HS512"}, content)]
    return ".".join([*(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts), "signature"])


class Airflow3:
    """Gives tokens to who knows the password, and lets in who shows one of the last tokens."""

    def __init__(self, life: float = 1000.0) -> None:
        self.life = life
        self.given: list[str] = []
        self.valid: set[str] = set()
        self.refusal = ALONE
        self.open = False
        self.broken = False

    def __call__(self, asked: Asked) -> Answer:
        if asked.path == "/auth/token":
            return self.give(asked)
        token = asked.headers.get("Authorization", "").removeprefix("Bearer ")
        return Answer({"pools": []}) if token in self.valid else self.refusal

    def give(self, asked: Asked) -> Answer:
        if self.broken:
            return Answer({}, 503)
        known = asked.method == "POST" and json.loads(asked.body) == {"username": "reader", "password": PASSWORD}
        if not known and not (self.open and asked.method == "GET"):
            return Answer({"detail": "Invalid credentials"}, 401)
        self.given.append(jwt(self.life, len(self.given)))
        self.valid = {self.given[-1]}
        return Answer({"access_token": self.given[-1]}, 201)


class Clock:
    """Monotonic time that a test moves."""

    def __init__(self) -> None:
        self.passed = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.passed


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(tokens.BearerAuth.__init__, "__defaults__", (clock,))
    return clock


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "BACKOFF", (0.01, 0.02))


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text(f"{PASSWORD}\n", encoding="utf-8")
    return path


@pytest.fixture
def connect(password_file: Path) -> Iterator[Connect]:
    clients: list[Client] = []

    def make(url: str, major: int, **settings: object) -> Client:
        clients.append(Client(AirflowSettings(url=url, timeout=5.0, **settings)))  # type: ignore[arg-type]
        clients[-1].use_api(major)
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def with_password(connect: Connect, password_file: Path) -> Connect:
    return lambda url, major, **more: connect(url, major, username="reader", password_file=password_file, **more)


def read(client: Client, major: int = 3) -> None:
    assert client.get(POOL_CALLS[major]) == b'{"pools": []}'


def fail(client: Client, major: int = 3) -> str:
    with pytest.raises(ReaderError) as caught:
        client.get(POOL_CALLS[major])
    assert caught.value.reason in ("unauthorized", "forbidden", "rate_limited")
    for secret in (PASSWORD, "secret", "Bearer", "eyJ"):
        assert secret not in str(caught.value)
    return f"{caught.value.reason}: {caught.value}"


def rewrite(path: Path, text: str) -> None:
    """Replace a file as a secret store does, with a time stamp of its own however coarse the clock is."""
    path.write_text(text, encoding="utf-8")
    later = time.time() + 10
    os.utime(path, (later, later))


# ---- tokens of Airflow 3 --------------------------------------------------------------------------


def test_one_token_serves_until_most_of_its_life_is_over(with_password: Connect, clock: Clock) -> None:
    airflow = Airflow3(life=1000)
    with serve(airflow) as stub:
        client = with_password(stub.url, 3)
        read(client)
        clock.passed = 750
        read(client)
        assert len(airflow.given) == 1
        clock.passed = 810
        read(client)
        assert len(airflow.given) == 2


@pytest.mark.parametrize("refusal", [ALONE, INVALID], ids=["401", "403-invalid-token"])
def test_a_token_that_is_refused_is_replaced_once(refusal: Answer, with_password: Connect, clock: Clock) -> None:
    airflow = Airflow3()
    airflow.refusal = refusal
    with serve(airflow) as stub:
        client = with_password(stub.url, 3)
        read(client)
        clock.passed = 60
        airflow.valid = set()
        read(client)
        assert len(airflow.given) == 2


@pytest.mark.parametrize("refusal", [ALONE, INVALID], ids=["401", "403-invalid-token"])
def test_a_new_token_that_is_refused_as_well_is_an_error(refusal: Answer, with_password: Connect, clock: Clock) -> None:
    airflow = Airflow3()
    airflow.refusal = refusal

    def suspicious(asked: Asked) -> Answer:
        airflow.valid = set()
        return airflow(asked)

    with serve(suspicious) as stub:
        client = with_password(stub.url, 3)
        assert "the token of the user 'reader' was not accepted" in fail(client)
        assert len(airflow.given) == 1
        clock.passed = 60
        fail(client)
        assert len(airflow.given) == 2


def test_a_missing_right_does_not_cost_a_token(with_password: Connect, clock: Clock) -> None:
    airflow = Airflow3()
    airflow.refusal = FORBIDDEN
    with serve(airflow) as stub:
        client = with_password(stub.url, 3)
        read(client)
        airflow.valid = set()
        clock.passed = 60
        assert fail(client).startswith("forbidden")
        assert len(airflow.given) == 1


def test_a_wrong_password(with_password: Connect, password_file: Path) -> None:
    with serve(Airflow3()) as stub:
        client = with_password(stub.url, 3)
        rewrite(password_file, "wrong")
        assert "refused the user 'reader' or its password (HTTP 401: Invalid credentials)" in fail(client)
        rewrite(password_file, f"{PASSWORD} \n\n")
        read(client)


def test_a_password_from_the_environment(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(Airflow3()) as stub:
        client = connect(stub.url, 3, username="reader", password_environment="READER_PASSWORD")
        assert "there is no password for the user 'reader'" in fail(client)
        monkeypatch.setenv("READER_PASSWORD", PASSWORD)
        read(client)


def test_an_old_token_outlasts_an_outage_of_who_renews_it(with_password: Connect, clock: Clock) -> None:
    airflow = Airflow3(life=1000)
    with serve(airflow) as stub:
        client = with_password(stub.url, 3)
        read(client)
        airflow.broken = True
        clock.passed = 900
        read(client)
        read(client)
        assert stub.paths.count("/auth/token") == 2
        clock.passed = 1001
        with pytest.raises(ReaderError, match="gave no token") as caught:
            client.get(POOL_CALLS[3])
    assert caught.value.reason == "server_error"


@pytest.mark.parametrize(
    "token",
    ["opaque", "a.b.c", f"a.{base64.urlsafe_b64encode(b'{}').decode()}.c", jwt(-5), jwt(10**400)],
    ids=["opaque", "no base64", "no times", "negative", "absurd"],
)
def test_a_token_that_states_no_life_serves_until_it_is_refused(token: str) -> None:
    assert tokens.jwt_life(token) is None


def test_the_life_of_a_token_does_not_depend_on_our_clock() -> None:
    assert tokens.jwt_life(jwt(86_400)) == 86_400


@pytest.mark.parametrize(
    "answer",
    [
        Answer({}, 201),
        Answer({"access_token": None}, 201),
        Answer(b"secret", 200),
        Answer({"access_token": "secret\nx"}, 201),
    ],
)
def test_a_reply_without_a_token(answer: Answer, with_password: Connect) -> None:
    with serve(lambda asked: answer) as stub, pytest.raises(ReaderError) as caught:
        with_password(stub.url, 3).get(POOL_CALLS[3])
    assert "secret" not in str(caught.value)


def test_an_auth_manager_without_tokens(with_password: Connect) -> None:
    with serve(lambda asked: Answer({"detail": "Not Found"}, 404)) as stub:
        assert "use airflow.token_file" in fail(with_password(stub.url, 3))


def test_an_airflow_where_everybody_is_admin(connect: Connect) -> None:
    airflow = Airflow3()
    airflow.open = True
    with serve(airflow) as stub:
        read(connect(stub.url, 3))


def test_no_credentials_where_some_are_needed(connect: Connect) -> None:
    with serve(Airflow3()) as stub:
        assert "a request without credentials was not accepted" in fail(connect(stub.url, 3))


# ---- sessions of Airflow 2 ------------------------------------------------------------------------

FORM = (
    b'<html><title>Airflow</title><form method="post"><input id="csrf_token" name="csrf_token" type="hidden" '
    b'value="to&amp;ken"><input name="username"><input name="password" type="password"></form></html>'
)


class Airflow2:
    """A form login with sessions, and basic authentication."""

    def __init__(self) -> None:
        self.sessions: set[str] = set()
        self.logins = 0
        self.takes_sessions = True
        self.takes_basic = True
        self.form = Answer(
            FORM, headers={"Content-Type": "text/html"}, cookies=("session=anonymous; Path=/; HttpOnly",)
        )
        self.refusal = FORBIDDEN
        self.denied = False

    def __call__(self, asked: Asked) -> Answer:
        cookie = asked.headers.get("Cookie", "")
        inside = cookie.removeprefix("session=") in self.sessions
        if asked.path == "/login/":
            return Answer(status=302, headers={"Location": "/home"}) if inside else self.log_in(asked, cookie)
        basic = asked.headers.get("Authorization", "").removeprefix("Basic ")
        by_password = self.takes_basic and base64.b64decode(basic).decode() == f"reader:{PASSWORD}"
        if self.denied or not (by_password or (inside and self.takes_sessions)):
            return self.refusal
        return Answer({"pools": []})

    def log_in(self, asked: Asked, cookie: str) -> Answer:
        if asked.method == "GET":
            return self.form
        fields = {name: values[0] for name, values in parse_qs(asked.body.decode()).items()}
        if cookie != "session=anonymous" or fields.get("csrf_token") != "to&ken":
            return Answer({}, 400)
        if (fields["username"], fields["password"]) != ("reader", PASSWORD):
            return Answer(status=302, headers={"Location": "/login/"})
        self.logins += 1
        self.sessions = {f"s{self.logins}"}
        return Answer(status=302, headers={"Location": "/home"}, cookies=(f"session=s{self.logins}; Path=/",))


def authorizations(stub: Stub) -> list[str]:
    return [asked.headers.get("Authorization", "") for asked in stub.asked if asked.path == "/api/v1/pools"]


def test_one_login_serves_all_requests(with_password: Connect) -> None:
    airflow = Airflow2()
    with serve(airflow) as stub:
        client = with_password(stub.url, 2)
        read(client, 2)
        read(client, 2)
        assert airflow.logins == 1
        assert authorizations(stub) == ["", ""]


@pytest.mark.parametrize("refusal", [FORBIDDEN, ALONE], ids=["403", "401"])
def test_a_session_that_is_gone_is_made_anew(refusal: Answer, with_password: Connect) -> None:
    airflow = Airflow2()
    airflow.refusal = refusal
    with serve(airflow) as stub:
        client = with_password(stub.url, 2)
        read(client, 2)
        airflow.sessions = set()
        read(client, 2)
    assert airflow.logins == 2


def test_a_missing_right_does_not_cost_a_login(with_password: Connect) -> None:
    airflow = Airflow2()
    with serve(airflow) as stub:
        client = with_password(stub.url, 2)
        read(client, 2)
        airflow.denied = True
        assert "can read on Pools" in fail(client, 2)
        assert airflow.logins == 1


def test_a_wrong_password_at_the_form(with_password: Connect, password_file: Path) -> None:
    with serve(Airflow2()) as stub:
        rewrite(password_file, "wrong")
        assert "refused the user 'reader' or its password" in fail(with_password(stub.url, 2), 2)


def test_too_many_logins(with_password: Connect) -> None:
    airflow = Airflow2()
    with serve(lambda asked: Answer({}, 429) if asked.method == "POST" else airflow(asked)) as stub:
        assert fail(with_password(stub.url, 2), 2).startswith("rate_limited")


@pytest.mark.parametrize(
    "form",
    [
        Answer({}, 404),
        Answer(b"<html><title>Sign in with SSO</title></html>"),
        Answer(FORM.replace(b'name="password"', b'name="pin"')),
        Answer(status=302, headers={"Location": "https://idp.example/"}),
    ],
    ids=["none", "sso", "other-fields", "elsewhere"],
)
def test_basic_authentication_where_no_form_works(form: Answer, with_password: Connect) -> None:
    airflow = Airflow2()
    airflow.form = form
    with serve(airflow) as stub:
        client = with_password(stub.url, 2)
        read(client, 2)
        read(client, 2)
        assert stub.paths.count("/login/") == 1
        assert all(authorizations(stub))


@pytest.mark.parametrize("refusal", [FORBIDDEN, ALONE], ids=["403", "401"])
def test_basic_authentication_where_sessions_are_not_taken(refusal: Answer, with_password: Connect) -> None:
    airflow = Airflow2()
    airflow.refusal = refusal
    airflow.takes_sessions = False
    with serve(forgetful(airflow) if refusal is FORBIDDEN else airflow) as stub:
        client = with_password(stub.url, 2)
        read(client, 2)
        assert airflow.logins == 1
        assert authorizations(stub)[-1].startswith("Basic ")
        read(client, 2)
        assert airflow.logins == 1


def forgetful(airflow: Airflow2) -> Callable[[Asked], Answer]:
    """Several web servers that share no secret: each forgets whom another one let in."""

    def answer(asked: Asked) -> Answer:
        if asked.method == "GET":
            airflow.sessions = set()
        return airflow(asked)

    return answer


def test_no_credentials_at_airflow_2(connect: Connect) -> None:
    with serve(Airflow2()) as stub:
        assert fail(connect(stub.url, 2), 2).startswith("unauthorized: pools: HTTP 403 (Forbidden): a request without")


# ---- token files ----------------------------------------------------------------------------------


def guard(*valid: str) -> Callable[[Asked], Answer]:
    allowed = {f"Bearer {token}" for token in valid}
    return lambda asked: Answer({"pools": []}) if asked.headers.get("Authorization") in allowed else ALONE


@pytest.mark.parametrize("major", [2, 3])
def test_a_token_file_is_read_anew_when_it_changes(major: int, connect: Connect, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("one\n")
    with serve(guard("one")) as stub:
        client = connect(stub.url, major, token_file=path)
        read(client, major)
        stub.answer = guard("two")
        assert f"the token in {path} was not accepted" in fail(client, major)
        rewrite(path, "two\n")
        read(client, major)
        assert stub.asked[-1].headers["Authorization"] == "Bearer two"


def test_a_token_that_changes_while_it_is_refused_is_tried_at_once(connect: Connect, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("one")
    rotated = guard("two")

    def rotate(asked: Asked) -> Answer:
        rewrite(path, "two")
        return rotated(asked)

    with serve(rotate) as stub:
        read(connect(stub.url, 3, token_file=path))
        assert len(stub.asked) == 2


def test_a_secret_from_a_file_never_shows_in_a_log_line(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("a-token-like-no-other\n")
    ConfiguredToken(SecretFile(path, "the token file", clean_token)).headers()
    parse_headers("X-Api-Key: quite-a-secret-key", "a file")
    assert logs.redact("sent a-token-like-no-other and quite-a-secret-key") == "sent *** and ***"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "cannot be read: No such file"),
        (b"", "is empty"),
        (b"secret\nsecret", "several lines"),
        (b"\xff", "UTF-8"),
    ],
)
def test_a_token_file_that_holds_no_token(content: bytes | None, says: str, connect: Connect, tmp_path: Path) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    assert says in fail(connect("http://127.0.0.1:9", 3, token_file=path))


@pytest.mark.parametrize("major", [2, 3])
def test_the_error_of_a_bad_token_names_where_it_is(
    major: int, connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "token"
    path.write_text("expired")
    monkeypatch.setenv("A_TOKEN", "expired")
    with serve(guard("other")) as stub:
        by_file = fail(connect(stub.url, major, token_file=path), major)
        by_variable = fail(connect(stub.url, major, token_environment="A_TOKEN"), major)
    assert f"check {path}: the token may have expired" in by_file
    assert "the token in the variable A_TOKEN was not accepted: check the variable A_TOKEN" in by_variable
    assert "username" not in by_file + by_variable


@pytest.mark.parametrize("text", ["Bearer one\n", '"one"', '{"access_token": "one"}', "TOKEN=one", "\ufeffone\r\n"])
def test_a_token_file_as_tools_write_it_is_sent_as_a_token(text: str, connect: Connect, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(text, encoding="utf-8")
    with serve(guard("one")) as stub:
        read(connect(stub.url, 3, token_file=path))


def test_headers_in_yaml_are_texts_whatever_they_look_like() -> None:
    text = "X-Day: 2024-13-45\nX-Flag: >\n  true\nX-Number: '0123'\n"
    assert parse_headers(text, "a file") == {"X-Day": "2024-13-45", "X-Flag": "true", "X-Number": "0123"}


def test_the_error_of_bad_headers_names_their_file(connect: Connect, tmp_path: Path) -> None:
    path = tmp_path / "headers"
    path.write_text("Cookie: session=old")
    with serve(guard("other")) as stub:
        said = fail(connect(stub.url, 3, headers_file=path))
    assert f"a request with the headers in {path} was not accepted: check the headers in {path}" in said
    assert "username" not in said


def test_a_refused_password_that_looks_wrapped_is_said_to(with_password: Connect, password_file: Path) -> None:
    with serve(Airflow3()) as stub:
        rewrite(password_file, f'"{PASSWORD}"')
        said = fail(with_password(stub.url, 3))
    assert f"check airflow.username, and the password in {password_file}, of which quotes or NAME= are taken" in said


# ---- OAuth2 ---------------------------------------------------------------------------------------


def type_and_start(value: object) -> str:
    """A short id of a test case."""
    return f"{type(value).__name__} {str(value)[:9]}"


class Provider:
    """An identity provider with the client credentials grant."""

    def __init__(self, *, in_header: bool = False, life: object = 100) -> None:
        self.in_header = in_header
        self.life = life
        self.given = 0

    def __call__(self, asked: Asked) -> Answer:
        fields = {name: values[0] for name, values in parse_qs(asked.body.decode()).items()}
        header = base64.b64decode(asked.headers.get("Authorization", "").removeprefix("Basic ")).decode()
        if (header if self.in_header else f"{fields.get('client_id')}:{fields.get('client_secret')}") != "us:secret":
            return Answer({"error": "invalid_client", "error_description": "secret"}, 401)
        assert fields["grant_type"] == "client_credentials"
        self.given += 1
        return Answer({"access_token": f"token-{self.given}", "token_type": "Bearer", "expires_in": self.life})


@pytest.fixture
def oauth2(tmp_path: Path) -> Callable[[Stub], OAuth2Settings]:
    secret = tmp_path / "client-secret"
    secret.write_text("secret\n")
    return lambda stub: OAuth2Settings(f"{stub.url}/token", "us", secret, scope="airflow", audience="")


@pytest.mark.parametrize("major", [2, 3])
@pytest.mark.parametrize("in_header", [False, True])
def test_client_credentials(
    major: int, connect: Connect, oauth2: Callable[[Stub], OAuth2Settings], clock: Clock, *, in_header: bool
) -> None:
    provider = Provider(in_header=in_header)
    with serve(provider) as issuer, serve(guard("token-1", "token-2")) as stub:
        client = connect(stub.url, major, oauth2=oauth2(issuer))
        read(client, major)
        clock.passed = 50
        read(client, major)
        assert provider.given == 1
        clock.passed = 90
        read(client, major)
        assert provider.given == 2
        assert parse_qs(issuer.asked[0].body.decode())["scope"] == ["airflow"]
        assert b"audience" not in issuer.asked[0].body


@pytest.mark.parametrize("life", [10**400, float("nan"), float("inf"), 0, -5, "soon", None], ids=type_and_start)
def test_a_token_whose_life_cannot_be_meant_serves_until_it_is_refused(
    connect: Connect, oauth2: Callable[[Stub], OAuth2Settings], clock: Clock, life: object
) -> None:
    provider = Provider(life=life)
    with serve(provider) as issuer, serve(guard("token-1")) as stub:
        client = connect(stub.url, 3, oauth2=oauth2(issuer))
        read(client)
        clock.passed = 1e6
        read(client)
        assert provider.given == 1


def test_a_client_that_the_provider_does_not_know(
    connect: Connect, oauth2: Callable[[Stub], OAuth2Settings], tmp_path: Path
) -> None:
    with serve(Provider()) as issuer:
        settings = oauth2(issuer)
        assert settings.client_secret_file
        settings.client_secret_file.write_text("wrong")
        text = fail(connect("http://127.0.0.1:9", 3, oauth2=settings))
    assert f"{issuer.url} gave no token (HTTP 401: invalid_client): check airflow.oauth2" in text


def test_a_client_secret_from_the_environment(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET", "secret\n")
    with serve(Provider()) as issuer, serve(guard("token-1")) as stub:
        settings = OAuth2Settings(f"{issuer.url}/token", "us", client_secret_environment="A_SECRET")
        read(connect(stub.url, 3, oauth2=settings))


def test_the_same_token_serves_while_the_version_is_found_out_and_after(
    connect: Connect, oauth2: Callable[[Stub], OAuth2Settings]
) -> None:
    provider = Provider()
    with serve(provider) as issuer, serve(guard("token-1")) as stub:
        client = connect(stub.url, 0, oauth2=oauth2(issuer))
        client.get(POOL_CALLS[2])
        client.use_api(3)
        read(client)
    assert provider.given == 1


# ---- extra headers --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "headers"),
    [
        ("X-Key: secret\nCookie: a=b; c=d", {"X-Key": "secret", "Cookie": "a=b; c=d"}),
        ("# comment\n\nX-Flag: yes\nX-Number: 007", {"X-Flag": "yes", "X-Number": "007"}),
        ('"X-Key": "quoted: value"', {"X-Key": "quoted: value"}),
        ("X-Key: 'quoted'", {"X-Key": "quoted"}),
        ("X-Key: >-\n  folded\n  text", {"X-Key": "folded text"}),
        ('{"X-Key": "json"}', {"X-Key": "json"}),
        ("Authorization: Bearer abc: def", {"Authorization": "Bearer abc: def"}),
    ],
)
def test_headers_as_lines_or_as_yaml(text: str, headers: dict[str, str]) -> None:
    assert parse_headers(text, "the file") == headers


@pytest.mark.parametrize(
    "text", ["secret", "- secret", "X-Key: {secret: 1}", "X: [secret", "X-Key: |\n  secret\n  secret", "X-Key: sécret"]
)
def test_headers_that_make_no_sense_are_not_quoted(text: str) -> None:
    with pytest.raises(ReaderError, match="the file") as caught:
        parse_headers(text, "the file")
    assert "cret" not in str(caught.value)


def test_a_headers_file_is_read_anew_when_it_changes(connect: Connect, tmp_path: Path) -> None:
    path = tmp_path / "headers"
    path.write_text("X-Key: one")
    with serve(lambda asked: Answer({"pools": []})) as stub:
        client = connect(stub.url, 3, headers_file=path)
        read(client)
        rewrite(path, "X-Key: two\nAuthorization: Custom x")
        read(client)
        assert [asked.headers.get("X-Key") for asked in stub.asked] == ["one", "two"]
        assert stub.asked[1].headers["Authorization"] == "Custom x"
        assert "/auth/token" not in stub.paths


def test_extra_headers_go_to_airflow_and_to_nobody_else(
    connect: Connect, oauth2: Callable[[Stub], OAuth2Settings], tmp_path: Path
) -> None:
    path = tmp_path / "headers"
    path.write_text("X-Key: secret")
    with serve(Provider()) as issuer, serve(guard("token-1")) as stub:
        read(connect(stub.url, 3, headers_file=path, oauth2=oauth2(issuer)))
        assert "X-Key" not in issuer.asked[0].headers
        assert stub.asked[0].headers["X-Key"] == "secret"


def test_extra_headers_go_with_a_request_for_a_token(with_password: Connect, tmp_path: Path) -> None:
    path = tmp_path / "headers"
    path.write_text("X-Key: secret")
    with serve(Airflow3()) as stub:
        read(with_password(stub.url, 3, headers_file=path))
        assert [asked.headers["X-Key"] for asked in stub.asked] == ["secret", "secret"]


def test_nothing_that_is_printed_holds_a_secret(
    with_password: Connect, caplog: pytest.LogCaptureFixture, password_file: Path
) -> None:
    caplog.set_level("DEBUG")
    with serve(Airflow3()) as stub, serve(Airflow2()) as older:
        for client, major in ((with_password(stub.url, 3), 3), (with_password(older.url, 2), 2)):
            read(client, major)
            credentials = client._credentials
            assert PASSWORD not in f"{credentials} {credentials!r} {vars(credentials)!r} {client!r}"
    assert PASSWORD not in caplog.text
    assert "eyJ" not in caplog.text
