"""The web configuration file: what it may say, and what is said of one that cannot be used."""

from __future__ import annotations

import re
import ssl
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.web.security import values
from exporter.web.security.file import load_web_config
from exporter.web.security.settings import WebConfig, WebConfigError
from exporter.web.security.tls import OPENSSL_CURVES, OPENSSL_SUITES
from tests.integration.web.certificates import issue, write_certificates

DATA = Path(__file__).parents[3] / "data" / "webconfig"
EXAMPLE = Path(__file__).parents[4] / "examples" / "web-config.yml"
BROKEN = sorted(DATA.glob("*.yml"))
TLS = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n"
HASH = "$2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG"

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["TLS12", "server.crt"])
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SCALARS, inner, max_size=3))
DOCUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "tls_server_config": st.dictionaries(st.sampled_from(sorted(values.TLS_KEYS)), VALUES) | VALUES,
        "http_server_config": st.dictionaries(st.sampled_from(sorted(values.HTTP_KEYS)), VALUES) | VALUES,
        "basic_auth_users": st.dictionaries(SCALARS, VALUES) | VALUES,
        "rate_limit": st.dictionaries(st.sampled_from(sorted(values.RATE_LIMIT_KEYS)), VALUES) | VALUES,
    },
)
"""Files that have the right keys and any values."""


@pytest.fixture(autouse=True)
def _certificates(tmp_path: Path) -> None:
    write_certificates(tmp_path)


def write(folder: Path, text: str) -> Path:
    path = folder / "web.yml"
    path.write_text(text)
    return path


def read_expected(text: str) -> list[str]:
    """The problems that a file of tests/data/webconfig names in its first lines."""
    return [line.removeprefix("# ") for line in text.splitlines() if line.startswith("# ")]


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_a_file_that_cannot_be_used_is_told_every_problem_and_its_place(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / path.name
    copy.write_bytes(path.read_bytes())
    with pytest.raises(WebConfigError) as caught:
        load_web_config(copy)
    problems = [problem.replace(f"{tmp_path}/", "") for problem in caught.value.problems]
    assert problems == read_expected(path.read_text())


class TestWhatIsRefused:
    """Cases that no file of text can hold."""

    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(WebConfigError, match=r"absent\.yml: the file cannot be read: No such file"):
            load_web_config(tmp_path / "absent.yml")

    def test_a_file_that_is_not_text(self, tmp_path: Path) -> None:
        path = tmp_path / "web.yml"
        path.write_bytes(b"\xff\xfe\x00")
        with pytest.raises(WebConfigError, match="not UTF-8"):
            load_web_config(path)

    def test_a_file_that_is_nested_without_end(self, tmp_path: Path) -> None:
        with pytest.raises(WebConfigError, match="nested too deeply"):
            load_web_config(write(tmp_path, "[" * 1000))

    @given(document=DOCUMENTS)
    @settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_whatever_a_file_says_it_is_used_or_refused(self, tmp_path: Path, document: object) -> None:
        path = write(tmp_path, yaml.safe_dump(document, allow_unicode=True))
        with suppress(WebConfigError):
            load_web_config(path)

    def test_secrets_are_not_repeated(self, tmp_path: Path) -> None:
        path = write(tmp_path, "tls_server_config:\n  key: [hunter2]\nbasic_auth_users:\n  prometheus: hunter2\n")
        with pytest.raises(WebConfigError) as caught:
            load_web_config(path)
        assert "hunter2" not in str(caught.value)


class TestWhatIsMeant:
    """Files that can be used."""

    @pytest.mark.parametrize(
        "text", ["", "# nothing\n", "{}", "tls_server_config:\nbasic_auth_users:\n", "rate_limit: {}"]
    )
    def test_an_empty_file_protects_nothing(self, tmp_path: Path, text: str) -> None:
        assert load_web_config(write(tmp_path, text)) == WebConfig()

    def test_files_are_relative_to_the_configuration(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir("/")
        config = load_web_config(write(tmp_path, TLS))
        assert config.files == {tmp_path / "server.crt", tmp_path / "server.key"}

    def test_certificate_and_key_may_be_inline(self, tmp_path: Path) -> None:
        leaf = issue("server")
        blocks = {"cert": leaf.cert_chain_pems[0], "key": leaf.private_key_pem}
        lines = ["tls_server_config:"]
        for name, blob in blocks.items():
            lines += [f"  {name}: |", *(f"    {line}" for line in blob.bytes().decode().splitlines())]
        config = load_web_config(write(tmp_path, "\n".join(lines)))
        assert isinstance(config.ssl_context, ssl.SSLContext)
        assert "PRIVATE" not in repr(config)

    def test_users_are_names_and_hashes(self, tmp_path: Path) -> None:
        config = load_web_config(write(tmp_path, f"basic_auth_users:\n  prometheus: {HASH}\n  zoë: {HASH}\n"))
        assert config.users == {b"prometheus": HASH.encode(), "zoë".encode(): HASH.encode()}
        assert HASH not in repr(config)

    def test_numbers_are_text_where_text_is_meant(self, tmp_path: Path) -> None:
        config = load_web_config(write(tmp_path, "http_server_config:\n  headers:\n    X-XSS-Protection: 1\n"))
        assert config.headers == {"X-XSS-Protection": "1"}

    @pytest.mark.parametrize(("written", "seconds"), [("1s", 1.0), ("200ms", 0.2), ("1m30s", 90.0)])
    def test_the_rate_limit_is_an_interval_and_a_burst(self, tmp_path: Path, written: str, seconds: float) -> None:
        limit = load_web_config(write(tmp_path, f"rate_limit:\n  interval: {written}\n  burst: 5\n")).rate_limit
        assert limit is not None
        assert (limit.interval, limit.burst) == (seconds, 5)

    def test_a_rate_limit_of_0_is_none(self, tmp_path: Path) -> None:
        assert load_web_config(write(tmp_path, "rate_limit:\n  interval: 0\n  burst: 0\n")).rate_limit is None


class TestTLS:
    """How the settings become a context."""

    def build(self, folder: Path, *lines: str) -> ssl.SSLContext:
        context = load_web_config(write(folder, TLS + "".join(f"  {line}\n" for line in lines))).ssl_context
        assert context is not None
        return context

    def test_defaults_are_those_of_the_toolkit(self, tmp_path: Path) -> None:
        context = self.build(tmp_path)
        assert context.minimum_version is ssl.TLSVersion.TLSv1_2
        assert context.maximum_version is ssl.TLSVersion.TLSv1_3
        assert context.verify_mode is ssl.CERT_NONE
        assert context.options & ssl.OP_CIPHER_SERVER_PREFERENCE

    @pytest.mark.parametrize(
        ("policy", "mode"),
        [("VerifyClientCertIfGiven", ssl.CERT_OPTIONAL), ("RequireAndVerifyClientCert", ssl.CERT_REQUIRED)],
    )
    def test_policies(self, tmp_path: Path, policy: str, mode: ssl.VerifyMode) -> None:
        assert self.build(tmp_path, f"client_auth_type: {policy}", "client_ca_file: ca.crt").verify_mode is mode

    @pytest.mark.parametrize(
        ("lines", "mode"),
        [
            (["client_auth_type: RequestClientCert"], ssl.CERT_NONE),
            (["client_auth_type: VerifyClientCertIfGiven"], ssl.CERT_OPTIONAL),
            (["curve_preferences: [CurveP521, CurveP384, CurveP256, X25519]"], ssl.CERT_NONE),
        ],
    )
    def test_what_the_toolkit_takes_and_lets_in_the_same_clients(
        self, tmp_path: Path, lines: list[str], mode: ssl.VerifyMode
    ) -> None:
        assert self.build(tmp_path, *lines).verify_mode is mode

    @pytest.mark.parametrize(
        "lines",
        [
            ["client_auth_type: RequireAnyClientCert"],
            ["client_auth_type: RequireAndVerifyClientCert"],
            ["client_auth_type: RequestClientCert", "client_allowed_sans: [prometheus]"],
            ["curve_preferences: [CurveP521, CurveP384]"],
        ],
    )
    def test_what_would_let_in_others_is_still_refused(self, tmp_path: Path, lines: list[str]) -> None:
        with pytest.raises(WebConfigError):
            self.build(tmp_path, *lines)

    def test_authorities_may_have_comments_in_any_script(self, tmp_path: Path) -> None:
        path = tmp_path / "ca.crt"
        path.write_bytes("# Türk Güven\n".encode() + path.read_bytes())
        self.build(tmp_path, "client_auth_type: RequireAndVerifyClientCert", "client_ca_file: ca.crt")

    def test_every_suite_of_the_toolkit_is_known_to_openssl(self, tmp_path: Path) -> None:
        context = self.build(tmp_path, f"cipher_suites: [{', '.join(OPENSSL_SUITES)}]")
        assert {cipher["name"] for cipher in context.get_ciphers()} >= set(OPENSSL_SUITES.values())

    def test_suites_of_tls_1_3_alone_leave_only_it(self, tmp_path: Path) -> None:
        context = self.build(tmp_path, "cipher_suites: [TLS_AES_256_GCM_SHA384]")
        assert context.minimum_version is ssl.TLSVersion.TLSv1_3

    @pytest.mark.parametrize("curve", ["X25519", "CurveP256", "CurveP384", "CurveP521"])
    def test_each_curve_that_openssl_has_can_be_chosen(self, tmp_path: Path, curve: str) -> None:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).set_ecdh_curve(OPENSSL_CURVES[curve])
        except ssl.SSLError:  # Debian 12's Python does not take X25519
            with pytest.raises(WebConfigError, match=f"does not support {curve}"):
                self.build(tmp_path, f"curve_preferences: [{curve}]")
        else:
            self.build(tmp_path, f"curve_preferences: [{curve}]")

    def test_the_client_may_choose_the_suite(self, tmp_path: Path) -> None:
        context = self.build(tmp_path, "prefer_server_cipher_suites: false")
        assert not context.options & ssl.OP_CIPHER_SERVER_PREFERENCE


class TestExample:
    """examples/web-config.yml."""

    def check(self, promtool: Path, path: Path) -> None:
        done = subprocess.run([promtool, "check", "web-config", path], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        load_web_config(path)

    def test_passes_promtool_as_it_is(self, promtool: Path) -> None:
        self.check(promtool, EXAMPLE)

    def test_passes_promtool_with_everything_switched_on(self, promtool: Path, tmp_path: Path) -> None:
        text = re.sub(r"(?m)^#(?! \S)", "", EXAMPLE.read_text())
        path = write(tmp_path, text)
        self.check(promtool, path)
        config = load_web_config(path)
        assert config.tls
        assert config.users
        assert config.rate_limit
        assert config.headers


def test_where_promtool_names_a_line_it_is_ours_too(promtool: Path, tmp_path: Path) -> None:
    for path in BROKEN:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    command: list[str | Path] = [promtool, "check", "web-config", *(tmp_path / path.name for path in BROKEN)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.findall(r"/([\w-]+\.yml) FAILED: yaml: unmarshal errors:\n  line (\d+): ", done.stdout + done.stderr)
    assert found
    for name, line in found:
        problems = read_expected((DATA / name).read_text())
        assert any(problem.startswith(f"{name}:{line}:") for problem in problems), name
