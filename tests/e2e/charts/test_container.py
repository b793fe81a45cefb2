"""The exporter's container starts on a Docker engine with what the chart renders: user, rights, mounts, arguments.

Docker is not Kubernetes: groups of volumes (fsGroup) and probes are done here by hand, and Secrets are not updated.
$E2E_IMAGE names the image; the default is the one that docker-compose.yaml builds.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.charts.conftest import helm
from tests.charts.helm import VALUES, Helm, Object, get_container, get_pod, read
from tests.charts.test_process import TOKEN, Container

pytestmark = pytest.mark.e2e
__all__ = ["helm"]
IMAGE = os.environ.get("E2E_IMAGE", "airflow-metrics-exporter:0.1.0")
DEPLOYED = [path for path in VALUES if path.stem in {"typical", "everything", "minimal"}]
ON_NODES = [path for path in VALUES if path.stem == "everything"]
WAIT = 60.0
LOOK = """
import json, os, pathlib
status = dict(line.split(":", 1) for line in pathlib.Path("/proc/1/status").read_text().splitlines())
own = dict(line.split(":", 1) for line in pathlib.Path("/proc/self/status").read_text().splitlines())
try:
    pathlib.Path("/opt/exporter/written").write_text("")
except OSError as error:
    refused = error.strerror
else:
    refused = ""
print(json.dumps({"user": os.getuid(), "capabilities": own["CapEff"].strip(), "refused": refused,
                  "first": status["Name"].strip(), "new_privileges": own["NoNewPrivs"].strip()}))
"""
"""What a process in the container may do."""


def docker(*words: str, check: bool = True) -> str:
    done = subprocess.run(["docker", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0 or not check, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def image() -> str:
    if not shutil.which("docker") or subprocess.run(["docker", "info"], capture_output=True, check=False).returncode:
        pytest.skip("a program is missing: no Docker engine answers")
    return IMAGE


def list_flags(objects: list[Object], kind: str, container: Container, folder: Path) -> Iterator[str]:
    """Yield Docker's flags for what the pod and its container ask of Kubernetes."""
    pod, spec = get_pod(objects, kind), get_container(objects, kind)
    security, rights = pod["securityContext"], spec["securityContext"]
    yield f"--user={security['runAsUser']}:{security['runAsGroup']}"
    if "fsGroup" in security:
        yield f"--group-add={security['fsGroup']}"
    if rights["readOnlyRootFilesystem"]:
        yield "--read-only"
    yield from (f"--cap-drop={one}" for one in rights["capabilities"]["drop"])
    if not rights["allowPrivilegeEscalation"]:
        yield "--security-opt=no-new-privileges"
    yield f"--memory={spec['resources']['limits']['memory'].removesuffix('i').lower()}"
    if pod.get("hostPID"):
        yield "--pid=host"
    yield f"--publish=127.0.0.1:{container.port}:10112"
    yield from (f"--env={one['name']}={one['value']}" for one in spec.get("env", ()))
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    for mount in spec["volumeMounts"]:
        volume = volumes[mount["name"]]
        if "emptyDir" in volume and mount["name"] == "tmp":
            yield f"--tmpfs={mount['mountPath']}"
            continue
        source = volume.get("hostPath", {}).get("path") or str(folder / mount["name"])
        yield f"--volume={source}:{mount['mountPath']}{':ro' if mount.get('readOnly') else ''}"


def own_volumes(folder: Path, group: int) -> None:
    """Give the volumes to the group of the pod, as a kubelet does for fsGroup."""
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, 0, group)
        path.chmod(0o2775 if path.is_dir() else 0o440)


@contextmanager
def run(image: str, objects: list[Object], kind: str, folder: Path) -> Iterator[tuple[Container, str]]:
    """Start the container; it is removed in any case."""
    container = Container(objects, kind, folder, translated=False)
    own_volumes(folder, get_pod(objects, kind)["securityContext"].get("fsGroup", 0))
    flags = list(list_flags(objects, kind, container, folder))
    name = f"chart-{os.getpid()}-{container.port}"
    docker("run", "--detach", f"--name={name}", *flags, image, *get_container(objects, kind)["args"])
    try:
        wait(name)
        yield container, name
    finally:
        docker("rm", "--force", name)


def wait(name: str) -> None:
    """Until the health check of the image succeeds."""
    deadline = time.monotonic() + WAIT
    while time.monotonic() < deadline:
        if docker("inspect", "--format={{.State.Running}}", name).strip() != "true":
            break
        done = subprocess.run(["docker", "exec", name, "airflow-exporter", "probe"], capture_output=True, check=False)
        if done.returncode == 0:
            return
        time.sleep(0.5)
    pytest.fail(docker("logs", name))


@pytest.mark.parametrize("path", DEPLOYED, ids=lambda path: path.stem)
def test_the_deployment_runs(image: str, helm: Helm, path: Path, tmp_path: Path) -> None:
    values = read(path)
    tmp_path.chmod(0o755)
    with run(image, helm.render(values), "Deployment", tmp_path) as (container, name):
        seen = json.loads(docker("exec", name, "python", "-c", LOOK))
        assert (seen["user"], int(seen["capabilities"], 16)) == (10112, 0)
        assert (seen["refused"], seen["new_privileges"]) == ("Read-only file system", "1")
        telemetry = values.get("config", {}).get("web", {}).get("telemetry_path", "/metrics")
        assert "airflow_exporter_build_info" in container.get(telemetry)
        assert TOKEN not in container.get("/config")
        assert "level=error" not in docker("logs", name)
        print(path.stem, docker("stats", "--no-stream", "--format={{.MemUsage}}", name).strip())
        assert docker("exec", name, "ls", "/var/lib/airflow-exporter").split()[0].startswith("state.sqlite")
        docker("stop", name)
        assert docker("inspect", "--format={{.State.ExitCode}}", name).strip() == "0"


@pytest.mark.parametrize("path", ON_NODES, ids=lambda path: path.stem)
def test_the_daemon_set_reads_its_node(image: str, helm: Helm, path: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with run(image, helm.render(read(path)), "DaemonSet", tmp_path) as (container, name):
        seen = json.loads(docker("exec", name, "python", "-c", LOOK))
        assert (seen["user"], int(seen["capabilities"], 16)) == (50000, 0)
        # With hostPID the first process is that of the machine.
        assert seen["first"] == Path("/proc/1/comm").read_text(encoding="utf-8").strip()
        exposition = container.get("/metrics")
        assert 'airflow_exporter_source_up{source="host"} 1' in exposition
        assert ("airflow_host_cpu_seconds_total{" in exposition) == bool(read(path)["workers"].get("machine"))
        print(path.stem, docker("stats", "--no-stream", "--format={{.MemUsage}}", name).strip())
