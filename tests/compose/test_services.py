"""What each service of docker-compose.yaml must have: a pinned image, few rights, bounds, a health check."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from demo.__main__ import VERSION
from exporter import __version__

FILE = Path(__file__).resolve().parents[2] / "docker-compose.yaml"
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(FILE.read_text(encoding="utf-8"))["services"]
ONCE = {"passwords", "airflow-init", "longterm-volume"}
"""They run to their end before others start."""
LASTING = sorted(set(SERVICES) - ONCE)
DEFAULT = re.compile(r"\$\{\w+:-([^}]*)\}")
OURS = {"exporter", "exporter-worker", "inbox", "longterm-volume", "passwords"}

each_service = pytest.mark.parametrize("name", sorted(SERVICES))
each_lasting_service = pytest.mark.parametrize("name", LASTING)


def with_defaults(text: str) -> str:
    """As Compose reads it where .env says nothing."""
    return re.sub(r"\$\{\w+:\+[^}]*\}", "", DEFAULT.sub(r"\1", text))


def bind_mounts() -> list[str]:
    mounts = [mount for service in SERVICES.values() for mount in service.get("volumes", [])]
    sources = {with_defaults(mount).split(":")[0] for mount in mounts}
    return sorted(source for source in sources if source.startswith("."))


@each_service
def test_its_image_is_pinned_to_a_release(name: str) -> None:
    tag = SERVICES[name]["image"].partition(":")[2]
    assert re.match(r"v?\d+\.\d+(\.\d+)?(-|$)", tag), SERVICES[name]["image"]


@each_service
def test_it_runs_with_few_rights(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert "privileged" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]


@each_service
def test_it_is_not_root(name: str) -> None:
    """Our own image says itself who runs it."""
    user = with_defaults(str(SERVICES[name].get("user", "10112" if name in OURS else "")))
    assert user.split(":")[0] not in ("", "0", "root")


@each_service
def test_it_is_bounded_in_memory_processes_and_logs(name: str) -> None:
    limits = SERVICES[name]["deploy"]["resources"]["limits"]
    assert limits.keys() >= {"memory", "pids"}
    assert SERVICES[name]["logging"]["options"].keys() == {"max-size", "max-file"}


@each_service
def test_it_needs_one_processor_at_most(name: str) -> None:
    """The engine refuses a limit that is above what the machine has."""
    assert float(SERVICES[name]["deploy"]["resources"]["limits"].get("cpus", 0)) <= 1


@each_lasting_service
def test_it_has_a_health_check_without_a_shell_and_starts_again(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"
    assert SERVICES[name]["restart"] == "unless-stopped"


@each_service
def test_it_waits_until_what_it_needs_is_well(name: str) -> None:
    for other, wanted in SERVICES[name].get("depends_on", {}).items():
        expected = "service_completed_successfully" if other in ONCE else "service_healthy"
        assert wanted["condition"] == expected, other


@each_service
def test_it_publishes_on_loopback_unless_told_otherwise(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert with_defaults(port).startswith("127.0.0.1:"), port


@each_service
def test_no_password_is_in_its_environment_or_arguments(name: str) -> None:
    service = SERVICES[name]
    environment = {**service.get("environment", {})}
    secret = {key for key in environment if re.search(r"PASSWORD|SECRET|FERNET|TOKEN|SQL_ALCHEMY", key)}
    for key in secret:
        from_file = key.endswith(("_FILE", "_CMD")) or str(environment[key]).startswith("$$__file{")
        assert from_file, f"{key} holds a secret"


@pytest.mark.parametrize("source", bind_mounts())
def test_what_is_mounted_from_the_repository_exists(source: str) -> None:
    assert (FILE.parent / source).exists()


def test_each_named_volume_is_declared_and_used() -> None:
    declared = set(yaml.safe_load(FILE.read_text(encoding="utf-8"))["volumes"])
    mounts = [mount for service in SERVICES.values() for mount in service.get("volumes", [])]
    assert {mount.split(":")[0] for mount in mounts if re.match(r"[a-z]", mount)} == declared


def test_our_image_has_the_version_of_the_package() -> None:
    assert {SERVICES[name]["image"] for name in OURS} == {f"airflow-metrics-exporter:{__version__}"}


def test_the_demo_airflow_is_the_one_that_make_demo_runs() -> None:
    assert SERVICES["airflow-scheduler"]["image"].startswith(f"apache/airflow:{VERSION}-")


def test_what_reads_a_machine_is_in_its_namespaces_and_sees_its_files_read_only() -> None:
    """Of processes and control groups in a namespace of its own it would see none but its own."""
    service = SERVICES["exporter-worker"]
    assert (service["pid"], service["cgroup"]) == ("host", "host")
    paths = dict(word.removeprefix("--path.").split("=") for word in service["command"] if "--path." in word)
    mounts = {inside: (outside, mode) for outside, inside, mode in (one.split(":") for one in service["volumes"])}
    wanted = {"procfs": "/proc", "sysfs": "/sys", "rootfs": "/"}
    assert {name: mounts[inside] for name, inside in paths.items()} == {
        name: (path, "ro") for name, path in wanted.items()
    }


def test_an_airflow_of_ours_is_looked_at_from_its_machine_too() -> None:
    """As the user of its processes, whose memory and disk traffic the kernel shows to nobody else."""
    service = SERVICES["exporter-worker"]
    assert set(service["profiles"]) == {"airflow", "worker"}
    assert with_defaults(service["user"]) == SERVICES["airflow-scheduler"]["user"]
