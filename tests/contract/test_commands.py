"""Every command in README and docs works as it stands there; every file, option and variable that they name is there.

A command of a program without an entry in HANDLERS fails: decide how it is tried. Paths of a machine (`/var/lib`,
`/run/secrets`) lead into a folder of the test's, and ports are chosen by the kernel. What reaches beyond this
repository is checked without being run: CHECKED_ONLY says why, and the summary of the test run counts such commands.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from demo.airflow import _arguments as parse_demo_arguments
from docs.navigation import PATTERNS
from exporter import __version__
from exporter.cli import main
from exporter.config.options import OPTIONS

ROOT = Path(__file__).parents[2]
RUNBOOKS = sorted((ROOT / "docs/runbooks").glob("*.md"))
PAGES = sorted({path for pattern in PATTERNS for path in ROOT.glob(pattern)} - {*RUNBOOKS, ROOT / "CHANGELOG.md"})
"""Every page of the site with commands of ours; a new one is found by itself. The changelog names what is gone."""
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`\n]+)`")
COMMAND = re.compile(r"[a-z./]+\s")
CHECKED = "command of a page that was not run"
"""A property of a test's report: tests/conftest.py counts them in the summary."""
EXPORTER_PORT = "10112"
OTHER_PORTS = {"3000": "Grafana", "8080": "Airflow", "9090": "Prometheus", "9093": "Alertmanager"}
RUNBOOK_PROGRAMS = {
    *("airflow", "airflow-exporter", "docker", "journalctl", "kubectl", "mysql", "psql", "rabbitmqctl", "redis-cli"),
    "systemctl",
}
START = ("make ", "airflow-exporter ", "python ", "docker ", ".venv/")
"""How lines of a block without a prompt begin if they are commands."""


class Command(NamedTuple):
    """A command line of a page, in one line, without prompt and comment."""

    page: str
    words: tuple[str, ...]


def list_commands(text: str) -> Iterator[tuple[str, ...]]:
    """The simple commands of all blocks of a page: of `a && b` and `a | b` each part."""
    for kind, block in BLOCK.findall(text):
        lines = re.sub(r"\\\n\s*", " ", block).splitlines()
        for line in lines:
            prompted = line.startswith("$ ")
            if not prompted and not (kind in ("", "sh") and line.startswith((*START, "cd ", "node "))):
                continue
            yield from split_commands(line.removeprefix("$ "))


def split_commands(line: str) -> Iterator[tuple[str, ...]]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars="&|;")
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, "&&"]:
        if word and set(word) <= set("&|;"):
            if words:
                yield tuple(words)
            words = []
        else:
            words.append(word)


COMMANDS = [Command(page.name, words) for page in PAGES for words in list_commands(page.read_text(encoding="utf-8"))]


# ---- how the commands of each program are tried ------------------------------------------------------


class Place(NamedTuple):
    """Where a command is tried."""

    folder: Path
    monkeypatch: pytest.MonkeyPatch

    def move(self, argument: str) -> str:
        """An argument with paths of a machine led into the test's folder, and a free port for one that is fixed."""
        name, equals, value = argument.partition("=")
        if name == "--web.listen-address":
            return f"{name}=127.0.0.1:0"
        if not equals:
            name, value = "", argument
        moved = ("/run/", "/var/", "/opt/", "/host/", "/rootfs", "secrets/", "build/", "state.sqlite")
        if value.startswith("examples/"):
            value = str(ROOT / value)
        elif value.startswith(moved):
            path = self.folder / value.strip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            if "secret" in value:
                path.write_text("secret\n")
            elif value.startswith(("/host/", "/rootfs")):
                path.mkdir(exist_ok=True)
            value = str(path)
        return f"{name}{equals}{value}"


def try_exporter(words: tuple[str, ...], place: Place) -> None:
    """`serve` starts, answers and ends; `check` takes its configuration; what needs no Airflow is run."""
    arguments = [place.move(word) for word in words]
    command = arguments[0] if arguments and not arguments[0].startswith("-") else "serve"
    if command == "serve" and arguments != ["--version"]:
        serve_and_stop(arguments, place.folder)
        return
    done = run_exporter(arguments, place.folder)
    # An Airflow that cannot be reached is no fault of the configuration.
    # Nor is a Prometheus, or an Airflow that it does not know.
    assert done.returncode in {"check": (0, 1), "advise": (0, 2), "diagnose": (0, 1, 2)}.get(command, (0,)), done.stderr
    assert "Usage:" not in done.stderr
    assert command != "check" or "config" not in done.stderr.lower(), done.stderr


def run_exporter(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "exporter", *arguments],
        cwd=folder, capture_output=True, text=True, timeout=60, check=False, env=clean_environment(),
    )  # fmt: skip


def clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_EXPORTER_")}


def serve_and_stop(arguments: list[str], folder: Path) -> None:
    with (
        running_exporter(arguments, folder) as address,
        urllib.request.urlopen(f"http://{address}/-/healthy", timeout=10) as reply,
    ):
        assert reply.status == 200


@contextmanager
def running_exporter(arguments: list[str], folder: Path) -> Iterator[str]:
    """An exporter with these arguments, at the address that it yields; it must end well."""
    if not any(argument.startswith("--web.listen-address") for argument in arguments):
        arguments = [*arguments, "--web.listen-address=127.0.0.1:0"]
    with (folder / "log").open("w+") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "exporter", *arguments], cwd=ROOT, stderr=log, env=clean_environment()
        )
        try:
            yield wait_for_address(process, folder / "log")
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(60)
    assert code == 0, (folder / "log").read_text()


def wait_for_address(process: subprocess.Popen[bytes], log: Path) -> str:
    """Where it listens, as its log says."""
    for _ in range(600):
        found = re.search(r"127\.0\.0\.1:(\d+)", log.read_text())
        if found:
            return found[0]
        try:
            process.wait(0.1)
        except subprocess.TimeoutExpired:
            continue
        break
    raise AssertionError(log.read_text())


def try_docker(words: tuple[str, ...], place: Place) -> None:
    if words[0] == "compose":
        check_compose(list(words[1:]))
    elif words[0] == "run":
        image = words.index("airflow-metrics-exporter")
        for mounted in (word.partition(":")[0] for flag, word in pairwise(words) if flag == "-v"):
            assert mounted.startswith(("/", "$PWD/secrets/")) or "/" not in mounted
        try_exporter(words[image + 1 :], place)
    else:
        assert words[:2] in {("build", "-t"), ("push", IMAGE)}, words
        assert words[2:] in {("airflow-metrics-exporter", "."), (IMAGE, "."), ()}
        assert (ROOT / "Dockerfile").is_file()


IMAGE = f"registry.example.org/airflow-metrics-exporter:{__version__}"
"""The chart asks for the tag of its version."""


def check_compose(words: list[str]) -> None:
    """Profiles and services are those of the file. End-to-end tests run it."""
    file = yaml.safe_load((ROOT / "docker-compose.yaml").read_text(encoding="utf-8"))
    profiles = {name for service in file["services"].values() for name in service.get("profiles", ())}
    while words and words[0].startswith("-"):
        assert words.pop(0) == "--profile"
        assert words.pop(0) in profiles
    action, *rest = words
    named = [word for word in rest if not word.startswith("-")]
    assert action in ("up", "run", "exec", "logs", "down")
    assert set(named[:1] if action in ("run", "exec") else named) <= set(file["services"])


def try_make(words: tuple[str, ...], _: Place) -> None:
    done = subprocess.run(["make", "--dry-run", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def try_curl(words: tuple[str, ...], place: Place) -> None:
    """Ask an exporter that runs; what is asked of other programs is only checked for being an address of one."""
    (url,) = (word for word in words if word.startswith(("http://", "https://")))
    port = re.match(r"http://(?:localhost|127\.0\.0\.1):(\d+)/", url)
    assert port, f"{url}: which program of this machine is that?"
    if port[1] != EXPORTER_PORT:
        assert port[1] in OTHER_PORTS
        return
    with running_exporter(["--no-collector.airflow"], place.folder) as address:
        asked = [word.replace(f"localhost:{EXPORTER_PORT}", address) for word in words]
        done = subprocess.run(["curl", "--fail", *asked], capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        assert done.stdout


def try_in_shell(program: str) -> Callable[[tuple[str, ...], Place], None]:
    """Run it in a copy of the folder that has the file that it reads, or where it may write."""

    def attempt(words: tuple[str, ...], place: Place) -> None:
        shutil.copytree(ROOT / "alertmanager", place.folder / "alertmanager")
        shutil.copytree(ROOT / "prometheus", place.folder / "prometheus")
        (place.folder / "secrets").mkdir()
        (place.folder / "secrets/airflow-password").touch()
        reads = any((ROOT / "alertmanager" / word).is_file() for word in words)
        folder = place.folder / "alertmanager" if reads else place.folder
        line = " ".join(word if word in (">", "<") else shlex.quote(word) for word in (program, *words))
        done = subprocess.run(line, shell=True, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr

    return attempt


def try_python(words: tuple[str, ...], place: Place) -> None:
    if words[:2] == ("-m", "demo.airflow"):
        assert isinstance(parse_demo_arguments(words[2:]), argparse.Namespace)
    elif words[:2] == ("-m", "venv"):
        assert len(words) == 3
    elif words[0] == "-m":
        assert (ROOT / f"{words[1].replace('.', '/')}.py").is_file()
    else:
        assert (ROOT / words[0]).is_file()
        compile((ROOT / words[0]).read_text(encoding="utf-8"), words[0], "exec")


def try_in_copy(program: str) -> Callable[[tuple[str, ...], Place], None]:
    """Run it over a copy of what it reads."""

    def attempt(words: tuple[str, ...], place: Place) -> None:
        if words[:2] == ("test", "rules"):
            # tests/rules runs each of these files, which takes minutes of CPU.
            assert list(ROOT.glob(words[2]))
            return
        if words[0] == "silence":
            # It needs a server: tests/alertmanager has one.
            words = (*words[:2], "--help")
        found = shutil.which(program) or os.environ.get(f"{program.upper()}")
        if not found:
            pytest.skip(f"a program is missing: {program} is not in PATH")
        for name in ("prometheus", "alertmanager"):
            shutil.copytree(ROOT / name, place.folder / name)
        folder = place.folder / ("alertmanager" if "my-alertmanager.yml" in " ".join(words) else ".")
        for receiver in ("slack",):
            main_part = (ROOT / "alertmanager/alertmanager.yml").read_text().partition("\nreceivers:")[0]
            added = (ROOT / f"alertmanager/receivers/{receiver}.yml").read_text()
            (place.folder / "alertmanager/my-alertmanager.yml").write_text(f"{main_part}\n{added}")
        if words[1:2] == ("rules",) and words[-1] == "alerts/*.yml":
            folder = place.folder / "prometheus"
        done = subprocess.run(
            " ".join([found, *words]), shell=True, cwd=folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    return attempt


def check_files(*prefixes: str) -> Callable[[tuple[str, ...], Place], None]:
    """The files that it is given are there; what it does with them needs more than a test has."""

    def attempt(words: tuple[str, ...], _: Place) -> None:
        for word in words:
            if word.startswith(prefixes):
                assert (ROOT / word.rpartition("=")[2]).exists(), word

    return attempt


def try_pip(words: tuple[str, ...], _: Place) -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert words[0] == "install"
    assert "--constraint" not in words or (ROOT / words[words.index("--constraint") + 1]).is_file()
    given = [
        word
        for word in words[1:]
        if word not in (WHEEL, f"$(ls dist/*.whl){EXTRAS}", "--constraint", "constraints.txt")
    ]
    assert all(word == "." or word.lstrip("'").startswith(".[") or f'"{word}>=' in project for word in given), words


WHEEL = "dist/airflow_metrics_exporter-*.whl"
"""Built by `make packages`; tests/packages installs it as the pages say."""
EXTRAS = "[celery,database]"


def check_wheel(words: tuple[str, ...], _: Place) -> None:
    """pipx and uvx, which tests/packages runs."""
    assert WHEEL in words


def check_units(words: tuple[str, ...], _: Place) -> None:
    """The files and units that it names are there; tests/e2e/packages installs and starts them."""
    names = [Path(word.rstrip(")")).name for word in words]
    named = [name for name in names if name.startswith("airflow-exporter")]
    known = {path.name for path in (ROOT / "packages/systemd").iterdir()} | {
        "airflow-exporter",
        "airflow-exporter.conf",
    }
    assert set(named) <= known, words


def check_release(words: tuple[str, ...], _: Place) -> None:
    """Tags that the release workflow starts with."""
    assert re.fullmatch(r"v\d+\.\d+\.\d+", next(word for word in words if word.startswith("v")))


def check_package(words: tuple[str, ...], _: Place) -> None:
    """The Debian package, which tests/e2e/packages installs."""
    assert words == ("install", "./dist/airflow-metrics-exporter_*_py3.11_amd64.deb")


def check_bundle(words: tuple[str, ...], _: Place) -> None:
    """A server with the configuration of the bundle; tests/unit/commands/test_bundle.py has promtool check it."""
    assert words[0] == "--config.file=build/bundle/prometheus.yml"


def check_airflow(words: tuple[str, ...], _: Place) -> None:
    """Airflow's own commands, which the layers with a real Airflow run."""
    assert words[:2] in {("users", "create"), ("pools", "set"), ("db", "check")}


HANDLERS: dict[str, Callable[[tuple[str, ...], Place], Any]] = {
    "airflow-exporter": try_exporter,
    "docker": try_docker,
    "make": try_make,
    "python": try_python,
    "python3": try_python,
    "pip": try_pip,
    "pipx": check_wheel,
    "uvx": check_wheel,
    "apt": check_package,
    "git": check_release,
    **dict.fromkeys(
        ("editor", "install", "journalctl", "ln", "systemctl", "systemd-sysusers", "systemd-tmpfiles"), check_units
    ),
    "promtool": try_in_copy("promtool"),
    "amtool": try_in_copy("amtool"),
    "airflow": check_airflow,
    "alertmanager": check_files("--config.file"),
    "kubectl": check_files("prometheus/"),
    "helm": check_files("charts/"),
    "cp": check_files(".env.example"),
    "cd": check_files("alertmanager", "grafana"),
    "prometheus": check_bundle,
    "runuser": check_units,
    "npm": check_files("package.json"),
    "node": check_files("docs/"),
    "curl": try_curl,
    "printf": try_in_shell("printf"),
    "sed": try_in_shell("sed"),
    "chmod": try_in_shell("chmod"),
    "cat": try_in_shell("cat"),
    "amlint": check_files("docs/"),
}
CHECKED_ONLY: dict[str, str] = {
    "docker": "needs an engine with images: services, profiles and mounts are checked; make e2e-compose runs the stack",
    "make": "takes minutes: its dry run is run, and CI runs the targets",
    "python": "starts an Airflow, or a server for ever: arguments and files are checked",
    "python3": "makes an environment in /opt; tests/packages/test_installing.py runs it",
    "pip": "downloads: the extras that it names are checked; tests/packages/test_installing.py runs it with the wheel",
    "pipx": "needs the wheel: tests/packages/test_installing.py runs it",
    "uvx": "needs the wheel: tests/packages/test_installing.py runs it",
    "apt": "needs a Debian: make e2e-debian installs the package there",
    "git": "starts a release",
    **dict.fromkeys(
        ("editor", "install", "journalctl", "ln", "runuser", "systemctl", "systemd-sysusers", "systemd-tmpfiles"),
        "needs root and systemd: names of files and units are checked; make e2e-debian installs and starts the units",
    ),
    "airflow": "needs an Airflow: the layers with a real one run it",
    "alertmanager": "runs for ever: its file is checked; tests/alertmanager runs it",
    "kubectl": "needs a cluster: files are checked; make charts validates what is applied",
    "helm": "needs a cluster: the chart is checked; make charts renders what it would install",
    "prometheus": "runs for ever: its file is checked",
    "cp": "its source is checked",
    "cd": "is part of a line",
    "npm": "downloads: its package file is checked",
    "node": "needs Grafana's components and a Prometheus with data",
    "amlint": "reads a file that the reader makes; tests/alertmanager runs it",
}
"""Programs that are not run, with the reason."""


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: f"{command.page}: {' '.join(command.words)[:60]}")
def test_a_command_works_as_it_stands(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    program = command.words[0].rpartition("/")[2]
    assert program in HANDLERS, f"say in HANDLERS how a command of {program} is tried"
    if program in CHECKED_ONLY:
        record_property(CHECKED, f"{program}: {CHECKED_ONLY[program]}")
    HANDLERS[program](command.words[1:], Place(tmp_path, monkeypatch))


def test_a_program_is_run_or_says_why_not() -> None:
    only_looks = {name for name, attempt in HANDLERS.items() if attempt.__qualname__.startswith("check_")}
    only_looks |= {"docker", "make", "python", "python3", "pip"}
    assert CHECKED_ONLY.keys() == only_looks, "say in CHECKED_ONLY why its commands are not run"


@pytest.mark.parametrize("page", RUNBOOKS, ids=lambda page: page.name)
def test_commands_of_a_runbook_are_for_known_programs(
    page: Path, record_property: Callable[[str, object], None]
) -> None:
    """They are for the reader's own Airflow, and are not run: names of its parts differ."""
    programs = [words[0] for words in list_commands(page.read_text(encoding="utf-8"))]
    assert set(programs) <= RUNBOOK_PROGRAMS
    for _ in programs:
        record_property(CHECKED, "runbooks: they are for the installation of their reader")


def test_blocks_are_taken_apart() -> None:
    text = "```console\n$ cp a b  # why\n$ x --y=1 \\\n    z && w | v &\noutput\n```\n```yaml\n$ no: command\n"
    assert list(list_commands(text)) == [("cp", "a", "b"), ("x", "--y=1", "z"), ("w",), ("v",)]


# ---- what else pages name ------------------------------------------------------------------------

FLAGS = {flag for option in OPTIONS for flag in (option.flag, option.negative_flag) if flag} | {
    flag for command in main.commands.values() for parameter in command.params for flag in parameter.opts
}
VARIABLES = {option.variable for option in OPTIONS} | {
    parameter.envvar for command in main.commands.values() for parameter in command.params if parameter.envvar
}
NAMED_AS_ABSENT = {"--airflow.password"}
"""The flag that is not there on purpose: docs/configuration.md says why."""
FOREIGN = re.compile(
    r"--(?:web\.(?:external-url|enable-remote-write-receiver)|storage\.|config\.file|alertmanager\.url|query\.|rule\.)"
)
"""Options of Prometheus, Alertmanager, Thanos and of their kin."""
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*\.[a-z0-9.-]*[a-z0-9]|(?<![\w-])--no-[a-z.-]*[a-z]")
VARIABLE = re.compile(r"\bAIRFLOW_EXPORTER_[A-Z_]*[A-Z]\b")
FILE = re.compile(
    r"(?:exporter|docs|prometheus|alertmanager|grafana|examples|compose|demo|tests|benchmarks|secrets)/[\w./-]*"
)
MADE = ("secrets/", "alertmanager/secrets/", "prometheus/my-", "alertmanager/my-", "compose/my-")
"""Files that a user makes."""
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@each_page
def test_every_option_that_a_page_names_is_one(page: Path) -> None:
    named = set(FLAG.findall(page.read_text(encoding="utf-8")))
    assert {flag for flag in named if not FOREIGN.match(flag)} - FLAGS - NAMED_AS_ABSENT == set()


@each_page
def test_every_variable_that_a_page_names_is_one(page: Path) -> None:
    assert set(VARIABLE.findall(page.read_text(encoding="utf-8"))) - VARIABLES == set()


@each_page
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    named = [code for code in INLINE.findall(page.read_text(encoding="utf-8")) if FILE.fullmatch(code)]
    places = (ROOT, ROOT / "exporter")
    gone = [
        name for name in named if not name.startswith(MADE) and not any((place / name).exists() for place in places)
    ]
    assert gone == []
