"""TLS, client certificates, users, rate limit: the web configuration file at work, and when it changes."""

from __future__ import annotations

import base64
import ssl
import threading
from collections.abc import Callable
from pathlib import Path

import bcrypt
import pytest

from tests.integration.web.certificates import issue, trust, write_certificates, write_pair
from tests.integration.web.conftest import Serve
from tests.integration.web.wire import ask, connect, read_all, read_until, request, wait_until

Write = Callable[[str], Path]
TLS = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n"
MUTUAL = TLS + "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n"
HASH = bcrypt.hashpw(b"open sesame", bcrypt.gensalt(4)).decode()
USERS = f"basic_auth_users:\n  prometheus: {HASH}\n"
PATHS = [
    "/",
    "/metrics",
    "/-/healthy",
    "/-/ready",
    "/diagnosis",
    "/failed?dag_id=x",
    "/sources",
    "/config",
    "/nope",
    "/runbooksx",
    "/runbooks/../config",
]


@pytest.fixture(autouse=True)
def _certificates(tmp_path: Path) -> None:
    write_certificates(tmp_path)


def sign_in(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def show_certificate(address: str) -> bytes:
    """The certificate that the server shows to a new client."""
    with connect(address) as bare, trust().wrap_socket(bare, server_hostname="127.0.0.1") as client:
        return client.getpeercert(binary_form=True) or b""


def certificate(name: str) -> bytes:
    return ssl.PEM_cert_to_DER_cert(issue(name).cert_chain_pems[0].bytes().decode())


class TestUsers:
    """Basic authentication."""

    @pytest.mark.parametrize("path", ["/runbooks", "/runbooks/AirflowDagLate.md"])
    def test_runbooks_are_for_anyone_who_is_paged(self, serve: Serve, web_config: Write, path: str) -> None:
        assert ask(serve(config_file=web_config(USERS)).addresses[0], path).status == 200

    @pytest.mark.parametrize("path", PATHS)
    def test_no_other_path_is_exempt(self, serve: Serve, web_config: Write, path: str) -> None:
        address = serve(config_file=web_config(USERS)).addresses[0]
        reply = ask(address, path)
        assert (reply.status, reply.headers["WWW-Authenticate"][:5]) == (401, "Basic")
        assert ask(address, path, headers=sign_in("prometheus", "open sesame")).status in (200, 404)

    def test_who_is_not_known_is_told_the_same_as_who_has_a_wrong_password(
        self, serve: Serve, web_config: Write
    ) -> None:
        server = serve(config_file=web_config(USERS))
        attempts = [sign_in("prometheus", "guess"), sign_in("nobody", "open sesame"), sign_in("", "")]
        replies = [ask(server.addresses[0], headers=attempt) for attempt in attempts]
        assert {(reply.status, reply.body) for reply in replies} == {(401, b"Unauthorized.\n")}
        assert server.counts.unauthorized == 3

    @pytest.mark.parametrize("value", ["Basic", "Basic !!!", "Bearer abc", "Basic bm9jb2xvbg==", ""])
    def test_what_is_no_basic_authentication_is_refused(self, serve: Serve, web_config: Write, value: str) -> None:
        address = serve(config_file=web_config(USERS)).addresses[0]
        assert ask(address, headers={"Authorization": value}).status == 401

    def test_a_refused_reload_changes_nothing(self, serve: Serve, web_config: Write) -> None:
        address = serve(config_file=web_config(USERS)).addresses[0]
        assert ask(address, "/-/reload", method="POST").status == 401

    def test_a_password_is_checked_off_the_event_loop_and_once(
        self, serve: Serve, web_config: Write, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        checkers: list[str] = []
        check = bcrypt.checkpw

        def watch(password: bytes, hashed: bytes) -> bool:
            checkers.append(threading.current_thread().name)
            return check(password, hashed)

        monkeypatch.setattr(bcrypt, "checkpw", watch)
        address = serve(config_file=web_config(USERS)).addresses[0]
        for _ in range(3):
            assert ask(address, headers=sign_in("prometheus", "open sesame")).status == 200
        assert len(checkers) == 1
        assert checkers[0].startswith("bcrypt")

    def test_a_slow_check_delays_nobody_else(
        self, serve: Serve, web_config: Write, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        address = serve(config_file=web_config(USERS)).addresses[0]
        known = sign_in("prometheus", "open sesame")
        ask(address, headers=known)
        guessing, finish = threading.Event(), threading.Event()

        def dawdle(_password: bytes, _hashed: bytes) -> bool:
            guessing.set()
            return finish.wait(10) and False

        monkeypatch.setattr(bcrypt, "checkpw", dawdle)
        try:
            with connect(address) as guesser:
                header = "Authorization: " + sign_in("prometheus", "guess")["Authorization"]
                guesser.sendall(request("/metrics", "GET", header))
                assert guessing.wait(10)
                assert ask(address, headers=known).status == 200
        finally:
            finish.set()

    def test_only_so_many_guesses_wait(self, serve: Serve, web_config: Write, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("exporter.web.security.login_queue.MAX_WAITING", 0)
        server = serve(config_file=web_config(USERS))
        assert ask(server.addresses[0], headers=sign_in("prometheus", "guess")).status == 503
        assert server.counts.limited == 1

    def test_neither_name_nor_password_is_logged(
        self, serve: Serve, web_config: Write, caplog: pytest.LogCaptureFixture
    ) -> None:
        address = serve(config_file=web_config(USERS)).addresses[0]
        ask(address, headers=sign_in("hunter2-as-a-name", "hunter2"))
        assert "wrong user or password" in caplog.text
        assert "hunter2" not in caplog.text


class TestTLS:
    """HTTPS and who may speak it."""

    def test_is_served(self, serve: Serve, web_config: Write) -> None:
        server = serve(config_file=web_config(TLS))
        assert ask(server.addresses[0], tls=trust()).status == 200

    def test_plain_http_is_not(self, serve: Serve, web_config: Write) -> None:
        address = serve(config_file=web_config(TLS)).addresses[0]
        with pytest.raises((ConnectionError, OSError)):
            ask(address)

    def test_the_oldest_version_can_be_chosen(self, serve: Serve, web_config: Write) -> None:
        address = serve(config_file=web_config(TLS + "  min_version: TLS13\n")).addresses[0]
        old = trust()
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises((ssl.SSLError, ConnectionError)):
            ask(address, tls=old)
        assert ask(address, tls=trust()).status == 200

    def test_suites_can_be_chosen(self, serve: Serve, web_config: Write) -> None:
        chosen = "  max_version: TLS12\n  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]\n"
        address = serve(config_file=web_config(TLS + chosen)).addresses[0]
        with connect(address) as bare, trust().wrap_socket(bare, server_hostname="127.0.0.1") as client:
            assert (client.cipher() or ("",))[0] == "ECDHE-ECDSA-AES256-GCM-SHA384"

    def test_clients_need_a_certificate_where_one_is_required(self, serve: Serve, web_config: Write) -> None:
        address = serve(config_file=web_config(MUTUAL)).addresses[0]
        assert ask(address, tls=trust(client="prometheus")).status == 200
        with pytest.raises((ssl.SSLError, ConnectionError)):
            ask(address, tls=trust())

    def test_clients_may_come_without_one_where_it_is_only_verified(self, serve: Serve, web_config: Write) -> None:
        lenient = MUTUAL.replace("RequireAndVerifyClientCert", "VerifyClientCertIfGiven")
        address = serve(config_file=web_config(lenient)).addresses[0]
        assert ask(address, tls=trust()).status == 200

    @pytest.mark.parametrize("name", ["prometheus", "10.1.2.3", "2001:db8::1", "prometheus@example.com"])
    def test_clients_can_be_told_apart_by_their_names(self, serve: Serve, web_config: Write, name: str) -> None:
        address = serve(config_file=web_config(f"{MUTUAL}  client_allowed_sans: ['{name}']\n")).addresses[0]
        assert ask(address, tls=trust(client=name)).status == 200
        with pytest.raises((ssl.SSLError, ConnectionError)):
            ask(address, tls=trust(client="somebody"))


class TestChanges:
    """The file and its certificates are read again when they change."""

    def test_a_renewed_certificate_is_shown_to_new_clients(
        self, serve: Serve, web_config: Write, tmp_path: Path
    ) -> None:
        address = serve(config_file=web_config(TLS)).addresses[0]
        assert show_certificate(address) == certificate("server")
        write_pair(tmp_path, "renewed")
        wait_until(lambda: show_certificate(address) == certificate("renewed"))

    def test_a_certificate_without_its_key_waits_for_it(
        self, serve: Serve, web_config: Write, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        server = serve(config_file=web_config(TLS))
        key = (tmp_path / "server.key").read_bytes()
        write_pair(tmp_path, "renewed")
        (renewed := tmp_path / "server.key").rename(tmp_path / "renewed.key")
        renewed.write_bytes(key)
        wait_until(lambda: server.config_failures == 1)
        assert show_certificate(server.addresses[0]) == certificate("server")
        (tmp_path / "renewed.key").replace(renewed)
        wait_until(lambda: show_certificate(server.addresses[0]) == certificate("renewed"))
        assert caplog.text.count("the key does not belong to the certificate") == 1

    def test_clients_that_were_there_come_again_under_the_new_rules(self, serve: Serve, web_config: Write) -> None:
        server = serve(
            config_file=web_config(MUTUAL.replace("RequireAndVerify", "Verify").replace("Cert\n", "CertIfGiven\n"))
        )
        with connect(server.addresses[0]) as bare, trust().wrap_socket(bare, server_hostname="127.0.0.1") as client:
            client.sendall(request("/-/healthy"))
            read_until(client, b"Healthy.\n")
            web_config(MUTUAL)
            assert client.recv(1) == b""

    def test_who_has_just_connected_is_still_served(self, serve: Serve, web_config: Write) -> None:
        server = serve(config_file=web_config("http_server_config:\n  headers: {X-XSS-Protection: 1}\n"))
        with connect(server.addresses[0]) as client:
            web_config("http_server_config:\n  headers: {X-XSS-Protection: 0}\n")
            wait_until(lambda: ask(server.addresses[0]).headers["X-XSS-Protection"] == "0")
            client.sendall(request("/-/healthy"))
            assert read_all(client).endswith(b"Healthy.\n")

    def test_a_new_user_gets_in_and_an_old_one_no_more(self, serve: Serve, web_config: Write) -> None:
        address = serve(config_file=web_config(USERS)).addresses[0]
        old, new = sign_in("prometheus", "open sesame"), sign_in("thanos", "open sesame")
        assert ask(address, headers=old).status == 200
        web_config(USERS.replace("prometheus", "thanos"))
        wait_until(lambda: ask(address, headers=new).status == 200)
        assert ask(address, headers=old).status == 401

    def test_a_broken_file_leaves_the_old_rules_and_is_logged_once(
        self, serve: Serve, web_config: Write, caplog: pytest.LogCaptureFixture
    ) -> None:
        server = serve(config_file=web_config(USERS), watch_interval=0.01)
        web_config("basic_auth_users: [")
        wait_until(lambda: server.config_failures == 1)
        for _ in range(5):
            assert ask(server.addresses[0], headers=sign_in("prometheus", "open sesame")).status == 200
        wait_until(lambda: "this is not YAML" in caplog.text)
        assert caplog.text.count("this is not YAML") == 1
        assert server.config_failures == 1

    def test_a_file_that_is_gone_leaves_the_old_rules(self, serve: Serve, web_config: Write) -> None:
        path = web_config(USERS)
        server = serve(config_file=path)
        path.unlink()
        wait_until(lambda: server.config_failures == 1)
        assert ask(server.addresses[0]).status == 401

    def test_a_mistake_can_be_mended_in_the_file_that_was_missing(
        self, serve: Serve, web_config: Write, tmp_path: Path
    ) -> None:
        server = serve(config_file=web_config(TLS))
        web_config(TLS.replace("server.", "next."))
        wait_until(lambda: server.config_failures == 1)
        write_pair(tmp_path, "renewed")
        for suffix in ("crt", "key"):
            (tmp_path / f"server.{suffix}").rename(tmp_path / f"next.{suffix}")
        wait_until(lambda: show_certificate(server.addresses[0]) == certificate("renewed"))

    @pytest.mark.parametrize(
        ("before", "after", "lost"),
        [
            (TLS, USERS, "tls_server_config was removed"),
            (USERS, "", "basic_auth_users was removed"),
            (MUTUAL, TLS, "became weaker"),
        ],
        ids=["TLS", "users", "client certificates"],
    )
    def test_a_protection_is_never_dropped_while_running(
        self, serve: Serve, web_config: Write, before: str, after: str, lost: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        server = serve(config_file=web_config(before))
        web_config(after)
        wait_until(lambda: lost in caplog.text)
        assert server.config_failures == 1

    def test_a_protection_can_be_added_while_running(self, serve: Serve, web_config: Write) -> None:
        address = serve(config_file=web_config("")).addresses[0]
        assert ask(address).status == 200
        web_config(USERS)
        wait_until(lambda: ask(address).status == 401)


def test_headers_of_the_file_replace_ours(serve: Serve, web_config: Write) -> None:
    chosen = "http_server_config:\n  headers:\n    X-Frame-Options: sameorigin\n    X-XSS-Protection: 1\n"
    headers = ask(serve(config_file=web_config(chosen)).addresses[0]).headers
    assert headers.get_all("X-Frame-Options") == ["sameorigin"]
    assert headers["X-XSS-Protection"] == "1"
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_requests_over_the_rate_limit_are_refused(serve: Serve, web_config: Write) -> None:
    server = serve(config_file=web_config("rate_limit:\n  interval: 1h\n  burst: 2\n"))
    statuses = [ask(server.addresses[0]).status for _ in range(4)]
    assert statuses == [200, 200, 429, 429]
    assert server.counts.limited == 2
