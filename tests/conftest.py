"""What every layer of tests shares: golden files, promtool, and saying aloud what did not run."""

from __future__ import annotations

import difflib
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from hypothesis import HealthCheck, settings

from exporter import redaction

GOLDEN = Path(__file__).parent / "golden"
CHECKED = "command of a page that was not run"
NOT_RUN = "a program is missing"
NO_PROMTOOL = f"{NOT_RUN}: promtool is neither in PATH nor named by $PROMTOOL"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write what is rendered now into tests/golden")
    parser.addoption("--seed", type=int, default=0, help="the first of the simulated Airflows of tests/e2e/advise")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = Counter(str(report.longrepr[-1]) for report in skipped if NOT_RUN in str(report.longrepr))
    for reason, tests in reasons.items():
        terminalreporter.write_sep("!", f"{tests} tests did NOT run: {reason}", red=True, bold=True)
    passed = terminalreporter.stats.get("passed", [])
    looked_at = Counter(why for report in passed for name, why in report.user_properties if name == CHECKED)
    for why, commands in looked_at.items():
        terminalreporter.write_line(f"{commands} commands of pages not run, only checked: {why}")


@pytest.fixture(autouse=True)
def _forgotten_globals() -> Iterator[None]:
    """What one test sets for its whole process must not reach another: its secrets, and where psutil reads."""
    yield
    redaction.known_secrets.clear()
    psutil.PROCFS_PATH = "/proc"


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, bytes], None]:
    """Compare bytes with a committed file of that name, or write it where --update-golden was given."""
    update = request.config.getoption("--update-golden")

    def compare(name: str, actual: bytes) -> None:
        path = GOLDEN / name
        if update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(actual)
        expected = path.read_bytes() if path.exists() else b""
        if actual != expected:
            before, after = (text.decode().splitlines() for text in (expected, actual))
            diff = "\n".join(difflib.unified_diff(before, after, f"golden/{name}", "rendered", lineterm=""))
            pytest.fail(f"{diff}\n\nif this is wanted: pytest --update-golden", pytrace=False)

    return compare


@pytest.fixture(scope="session")
def promtool() -> Path:
    """Prometheus's own tool; tests that need it are skipped without it, and the summary says so."""
    found = os.environ.get("PROMTOOL") or shutil.which("promtool")
    if not found:
        pytest.skip(NO_PROMTOOL)
    return Path(found)


@pytest.fixture
def lint_metrics(promtool: Path) -> Callable[[bytes], str]:
    """What `promtool check metrics` has to say of an exposition: nothing, where all is well."""

    def lint(exposition: bytes) -> str:
        command = [str(promtool), "check", "metrics"]
        done = subprocess.run(command, input=exposition, capture_output=True, check=False)
        return (done.stdout + done.stderr).decode()

    return lint


# Several tests run at a time on few cores: how long one takes to draw its input says nothing of it.
settings.register_profile("patient", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

# Servers that tests start must not fight for StatsD's port; tests of StatsD choose ports of their own.
os.environ["AIRFLOW_EXPORTER_COLLECTOR_STATSD"] = "false"
