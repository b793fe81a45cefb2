"""The shipped compose project on the engine that is there: started, looked at from outside, stopped.

$E2E_COMPOSE_FILE names a file to put on top of the shipped one, for what an engine without a registry needs.
It takes whatever `docker` and `docker compose` (or `docker-compose`) reach, by DOCKER_HOST as they do. Images are built
and pulled as Compose does by itself; one that was built on this machine under a public name is called a stand-in.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import requests

from demo.workdir import free_port

ROOT = Path(__file__).resolve().parents[3]
PROJECT = "airflow-metrics-e2e"
PORTS = ("GRAFANA", "PROMETHEUS", "ALERTMANAGER", "EXPORTER", "AIRFLOW", "STATSD", "WORKER", "VICTORIA_METRICS")
MORE = os.environ.get("E2E_COMPOSE_FILE", "")
OURS = "airflow-metrics-exporter"
Found = TypeVar("Found")
OF_PROCESS = """
import json, pathlib, sys
status = lambda pid: dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
print(json.dumps({pid: status(pid) for pid in sys.argv[1:]}))
"""
PASSWORDS = """
import json, pathlib
print(json.dumps({path.name: path.read_text() for path in pathlib.Path("/passwords").iterdir()}))
"""
KILL = "import os, signal, sys; os.kill(int(sys.argv[1]), signal.SIGKILL)"


class EngineError(Exception):
    """A command of the engine failed; the message has the end of what it said."""


def find_compose() -> list[str]:
    """Docker's plugin, or the program of its own."""
    asked = ["docker", "compose", "version"]
    if shutil.which("docker") and subprocess.run(asked, capture_output=True, check=False).returncode == 0:
        return ["docker", "compose"]
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    raise EngineError("neither `docker compose` nor `docker-compose` is there")


def run(command: Sequence[str], environment: Mapping[str, str] | None = None, timeout: float = 600) -> str:
    """What a command prints. Raises EngineError where it fails."""
    done = subprocess.run(
        command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout,
        check=False,
    )  # fmt: skip
    if done.returncode:
        raise EngineError(f"{' '.join(command)} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-4000:]}")
    return done.stdout


class Stack:
    """One compose project with ports of its own, so that it runs beside others."""

    def __init__(self) -> None:
        self.ports = {name: free_port() for name in PORTS}
        given = {f"{name}_PORT": str(port) for name, port in self.ports.items()}
        self._environment = {**os.environ, **given, "COMPOSE_PROJECT_NAME": PROJECT}
        self._compose = find_compose()
        self._files = [ROOT / "docker-compose.yaml"]
        if MORE:
            self._files.append(Path(MORE).resolve())
        self._session = requests.Session()
        self._session.trust_env = False

    # ---- the project ------------------------------------------------------------------------------

    def use(self, override: Path, settings: Mapping[str, str]) -> None:
        """From now on with this file on top of the others, and these variables."""
        self._files.append(override)
        self.set(settings)

    def set(self, settings: Mapping[str, str]) -> None:
        """From now on with these variables, as from `.env`."""
        self._environment.update(settings)

    def compose(self, *words: str) -> str:
        """What `docker compose WORDS` prints, with all profiles known."""
        files = [word for file in self._files for word in ("--file", str(file))]
        return run([*self._compose, *files, *words], self._environment)

    def build(self) -> None:
        """Build our image."""
        self.compose("build", "--quiet", "exporter")

    def up(self, *profiles: str) -> None:
        """Start and wait until every service says that it is healthy."""
        wanted = [word for profile in profiles for word in ("--profile", profile)]
        self.compose(*wanted, "up", "--detach", "--wait", "--wait-timeout", "420")

    def down(self, *, volumes: bool = False) -> None:
        """Remove the containers; data stay unless `volumes`."""
        self.compose(
            "--profile", "*", "down", "--remove-orphans", "--timeout", "20", *(["--volumes"] if volumes else [])
        )

    def logs(self, service: str) -> str:
        """All that this service has printed."""
        return self.compose("--profile", "*", "logs", "--no-color", "--no-log-prefix", service)

    def images(self) -> dict[str, str]:
        """The image that each service names."""
        project = json.loads(self.compose("--profile", "*", "config", "--format", "json"))
        return {name: service["image"] for name, service in project["services"].items()}

    # ---- containers, from outside ------------------------------------------------------------------

    def containers(self) -> dict[str, dict[str, Any]]:
        """What the engine tells of each service's container, ended ones among them."""
        ids = self.compose("--profile", "*", "ps", "--all", "--quiet").split()
        found = json.loads(run(["docker", "inspect", *ids])) if ids else []
        return {container["Config"]["Labels"]["com.docker.compose.service"]: container for container in found}

    def running(self) -> dict[str, dict[str, Any]]:
        """Those that run."""
        return {name: one for name, one in self.containers().items() if one["State"]["Running"]}

    def processes(self) -> dict[str, dict[str, str]]:
        """Of each running service, what the kernel says of its first process (/proc/PID/status)."""
        pids = {name: str(container["State"]["Pid"]) for name, container in self.running().items()}
        told = json.loads(self.on_host(OF_PROCESS, *pids.values()))
        return {name: {key: value.strip() for key, value in told[pid].items()} for name, pid in pids.items()}

    def kill(self, service: str) -> None:
        """End its first process as a crash would: the engine does not know that somebody wanted it."""
        self.on_host(KILL, str(self.containers()[service]["State"]["Pid"]), rights=["--cap-add", "KILL"])

    def on_host(self, script: str, *arguments: str, rights: Sequence[str] = ()) -> str:
        """What a script prints that sees the processes of the engine's machine."""
        container = ["docker", "run", "--rm", "--pid", "host", "--user", "0", "--cap-drop", "ALL", *rights]
        return run([*container, "--entrypoint", "python", self.images()["exporter"], "-c", script, *arguments])

    def passwords(self) -> dict[str, str]:
        """What is secret, read as only the administrator of the engine can."""
        mounts = self.containers()["passwords"]["Mounts"]
        volume = next(mount["Name"] for mount in mounts if mount["Type"] == "volume")
        container = ["docker", "run", "--rm", "--user", "0", "--volume", f"{volume}:/passwords:ro"]
        python = ["--entrypoint", "python", self.images()["exporter"], "-c", PASSWORDS]
        found: dict[str, str] = json.loads(run([*container, *python]))
        return found

    def versions(self) -> dict[str, str]:
        """Of each image that is used and not ours: where it is from, by whether a registry knows it."""
        found, used = {}, self.containers().keys()
        for image in sorted({name for service, name in self.images().items() if service in used}):
            if image.startswith(OURS):
                continue
            digests = json.loads(run(["docker", "image", "inspect", "--format", "{{json .RepoDigests}}", image]))
            found[image] = "from its registry" if digests else "STAND-IN, built on this machine under this name"
        return found

    # ---- what it serves --------------------------------------------------------------------------

    def url(self, service: str, path: str = "") -> str:
        """Its address on this machine."""
        return f"http://127.0.0.1:{self.ports[service.upper().replace('-', '_')]}{path}"

    def get(self, service: str, path: str, **parameters: str) -> Any:
        """The decoded answer of one of the servers; Grafana is asked as its administrator."""
        login = ("admin", self.grafana_password()) if service == "grafana" else None
        reply = self._session.get(self.url(service, path), params=parameters, auth=login, timeout=15)
        reply.raise_for_status()
        return reply.json()["data"] if service in {"prometheus", "victoria-metrics"} else reply.json()

    def text(self, service: str, path: str) -> str:
        """A page."""
        reply = self._session.get(self.url(service, path), timeout=15)
        reply.raise_for_status()
        return reply.text

    def grafana_password(self) -> str:
        """As the docs say how to find it."""
        return self.compose("exec", "-T", "grafana", "cat", "/run/passwords/grafana-admin-password").strip()

    def query(self, promql: str, at: float | None = None, store: str = "prometheus") -> float | None:
        """The value of an expression that answers one series; None where it answers none."""
        moment = {"time": f"{at:.3f}"} if at is not None else {}
        found = self.get(store, "/api/v1/query", query=promql, **moment)["result"]
        return float(found[0]["value"][1]) if found else None

    def first_seen(self, promql: str, since: float) -> float:
        """The first moment at which an expression had a value, to 5 s."""
        moments = {"start": f"{since:.0f}", "end": f"{time.time() + 5:.0f}", "step": "5"}
        found = self.get("prometheus", "/api/v1/query_range", query=promql, **moments)["result"]
        return min(float(series["values"][0][0]) for series in found)


def wait_for(what: str, ask: Callable[[], Found | None], seconds: float) -> Found:
    """The first answer that says something; servers that do not answer yet are asked again."""
    end = time.monotonic() + seconds
    problem: Exception | None = None
    while time.monotonic() < end:
        try:
            answer = ask()
        except (requests.RequestException, EngineError) as error:
            problem = error
        else:
            if answer:
                return answer
        time.sleep(1)
    raise AssertionError(f"{what}: not within {seconds:.0f} s" + (f" ({problem})" if problem else ""))
