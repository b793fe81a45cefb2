"""A fresh Debian 12 whose systemd runs: the Debian package from installation to purge; pip with the units of systemd.

Needs root and debootstrap; E2E_DEBIAN_ROOT names a root made by it, which is then copied instead of fetched.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

ROOT = Path(__file__).parents[3]
MIRROR = "http://deb.debian.org/debian"
INCLUDED = "--include=ca-certificates,procps,python3,systemd"
NAMESPACES = ("--pid", "--mount", "--uts", "--ipc", "--net", "--cgroup", "--fork")
SERVICES = {"airflow-exporter.service": 10112, "airflow-exporter-worker.service": 10113}
FETCH = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=10).read().decode())"
LINE = "airflow.ti_successes:1|c"
SEND = f"import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b'{LINE}', ('127.0.0.1', 8125))"
Result = TypeVar("Result")
pytestmark = pytest.mark.e2e


def run(*command: str | Path, cwd: Path | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=1800, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


class Machine:
    """A Debian whose systemd is the first process of its namespaces."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with (folder.parent / "console").open("w") as console:
            self._process = subprocess.Popen(
                ["unshare", *NAMESPACES, Path(__file__).with_name("boot.sh"), folder],
                stdout=console, stderr=console, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        self._first = wait_for(lambda: find_child(self._process.pid), "its first process")
        wait_for(lambda: "running" in self.try_run("systemctl", "is-system-running")[1], "systemd")

    def try_run(self, *command: str) -> tuple[int, str]:
        """Exit code and output of a command in it."""
        done = subprocess.run(
            ["nsenter", "--target", self._first, "--all", *command],
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    def run(self, *command: str) -> str:
        """Output of a command that must succeed."""
        code, output = self.try_run(*command)
        assert code == 0, f"{command}: {output}"
        return output

    def fetch(self, port: int, path: str = "/metrics") -> str:
        return self.run("python3", "-c", FETCH, f"http://127.0.0.1:{port}{path}")

    def is_active(self, service: str) -> bool:
        return self.try_run("systemctl", "is-active", service)[0] == 0

    def stop(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(self._first), signal.SIGKILL)  # the kernel ends all others of the namespace
        self._process.wait(60)


def find_child(pid: int) -> str:
    """The process that `unshare --fork` started, once it is systemd."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    comm = Path(f"/proc/{children[0]}/comm").read_text(encoding="ascii") if children else ""
    return children[0] if comm == "systemd\n" else ""


def wait_for(condition: Callable[[], Result], what: str, seconds: float = 120) -> Result:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = condition()
        if found:
            return found
        time.sleep(0.5)
    raise AssertionError(f"no sign of {what} after {seconds:.0f} s")


def build(folder: Path, version: str | None = None) -> Path:
    """The package of these sources, under another version if one is given."""
    source = folder / "source"
    run("git", "clone", "--quiet", "--depth=1", f"file://{ROOT}", source)
    if version:
        module = source / "exporter/__init__.py"
        module.write_text(re.sub(r'(?<=__version__ = ").*(?=")', version, module.read_text(encoding="utf-8")))
    run("uv", "build", "--quiet", "--wheel", "--out-dir", folder, source)
    run(source / "packages/deb/build.sh", next(folder.glob("*.whl")), "3.11", "amd64", folder)
    return next(folder.glob("*.deb"))


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    if os.geteuid() != 0:
        pytest.skip("a privilege is missing: only root can start a systemd in namespaces")
    missing = [name for name in ("debootstrap", "nfpm", "uv", "unshare", "nsenter", "ip") if not shutil.which(name)]
    if missing:
        pytest.skip(f"a program is missing: {missing[0]} is not in PATH")
    folder = tmp_path / "root"
    prepared = os.environ.get("E2E_DEBIAN_ROOT")
    if prepared:
        run("cp", "-a", prepared, folder)
    else:
        run("debootstrap", "--variant=minbase", INCLUDED, "bookworm", folder, MIRROR)
    started = Machine(folder)
    try:
        yield started
    finally:
        started.stop()


def test_install_use_upgrade_remove_purge(machine: Machine, tmp_path: Path) -> None:
    for name, version in (("old", None), ("new", "99.0")):
        (tmp_path / name).mkdir()
        (machine.folder / "root" / f"{name}.deb").write_bytes(build(tmp_path / name, version).read_bytes())

    # Installed: nothing runs, everything is there.
    machine.run("dpkg", "--install", "/root/old.deb")
    assert not any(machine.is_active(service) for service in SERVICES)
    assert machine.run("stat", "-c", "%U:%G %a", "/etc/airflow-exporter").strip() == "root:airflow-exporter 750"
    assert "revision" in machine.run("airflow-exporter", "--version")
    machine.run("systemd-analyze", "verify", *SERVICES)

    # Started: each unit serves its metrics, as its user.
    machine.run("systemctl", "enable", "--now", *SERVICES)
    for port in SERVICES.values():
        wait_for(lambda port=port: is_up(machine, port), f"port {port}")  # type: ignore[misc]
    machine.run("python3", "-c", SEND)
    wait_for(lambda: "airflow_exporter_statsd_lines_total 1" in machine.fetch(10112), "the StatsD line")
    assert "airflow_exporter_state_persistent 1" in machine.fetch(10112)
    worker = machine.fetch(10113)
    assert 'airflow_exporter_source_up{source="host"} 1' in worker
    assert "airflow_host_memory_bytes" in worker
    assert 'airflow_exporter_host_unreadable_processes{file="stat"' not in re.sub(r".* 0\n", "", worker)
    users = machine.run("ps", "-e", "-o", "user:20,args")
    assert len(re.findall(r"^airflow-exporter +.*airflow-exporter serve$", users, re.MULTILINE)) == 2
    machine.run("systemctl", "reload", "airflow-exporter.service")

    # Upgraded: settings that were changed stay, what runs is the new release, counters go on.
    machine.run("sh", "-c", "echo AIRFLOW_EXPORTER_LOG_LEVEL=debug >> /etc/default/airflow-exporter")
    machine.run("dpkg", "--install", "/root/new.deb")
    for port in SERVICES.values():
        wait_for(lambda port=port: is_up(machine, port), f"port {port}")  # type: ignore[misc]
    assert 'airflow_exporter_build_info{version="99.0"' in machine.fetch(10112)
    assert "LOG_LEVEL=debug" in machine.run("cat", "/etc/default/airflow-exporter")

    # Removed: counters and settings stay; purged: nothing does.
    machine.run("dpkg", "--remove", "airflow-metrics-exporter")
    assert not any(machine.is_active(service) for service in SERVICES)
    assert machine.try_run("ls", "/usr/lib/airflow-metrics-exporter")[0] != 0
    machine.run("test", "-s", "/var/lib/airflow-exporter/state.sqlite")
    machine.run("dpkg", "--purge", "airflow-metrics-exporter")
    for path in ("/var/lib/airflow-exporter", "/etc/airflow-exporter", "/etc/default/airflow-exporter"):
        assert machine.try_run("ls", path)[0] != 0, path


def test_pip_and_the_units_as_the_page_says(machine: Machine, tmp_path: Path) -> None:
    """The commands of the section *systemd* of docs/installing.md, after those of *pip*."""
    run("uv", "build", "--quiet", "--wheel", "--out-dir", tmp_path, ROOT)
    environment = machine.folder / "opt/airflow-exporter"
    run("uv", "venv", "--quiet", "--relocatable", "--python", "/usr/bin/python3", environment)
    constrained = ("--constraint", ROOT / "constraints.txt", next(tmp_path.glob("*.whl")))
    run("uv", "pip", "install", "--quiet", "--python", environment / "bin/python", *constrained)
    section = (
        (ROOT / "docs/installing.md").read_text(encoding="utf-8").partition("\n## systemd\n")[2].partition("\n## ")[0]
    )
    blocks = re.findall(r"^```console\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    commands = re.sub(r"^\$ (?:(?:editor|journalctl) .*$)?", "", "\n".join(blocks), flags=re.MULTILINE)
    commands = re.sub(r"^(install .* /dev/stdin .*)$", r"echo secret | \1", commands, flags=re.MULTILINE)
    # There is no Airflow: `check` ends with 1, after it has said so.
    commands = re.sub(r"^(runuser .*)$", r"\1 >/root/checked || test $? = 1", commands, flags=re.MULTILINE)
    machine.run("bash", "-euxc", commands)
    assert "FAILED  connection" in machine.run("cat", "/root/checked")
    wait_for(lambda: is_up(machine, 10112), "port 10112")
    machine.run("systemd-analyze", "verify", "airflow-exporter.service")
    assert machine.run("stat", "-c", "%U:%G %a", "/etc/airflow-exporter/airflow-password").split() == [
        "root:airflow-exporter", "640",
    ]  # fmt: skip


def is_up(machine: Machine, port: int) -> bool:
    return machine.try_run("python3", "-c", FETCH, f"http://127.0.0.1:{port}/-/healthy")[0] == 0
