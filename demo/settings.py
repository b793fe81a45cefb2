"""Airflow's settings as environment variables: everything on loopback, nothing phoned home, nothing shared."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from demo.environment import release

HOST = "127.0.0.1"
USERS = {"admin": "Admin", "viewer": "Viewer"}


@dataclass(frozen=True)
class Place:
    """Where one Airflow lives, and what it keeps secret."""

    version: str
    workdir: Path
    venv: Path
    dags: Path
    port: int
    database_url: str
    keys: Mapping[str, str]
    passwords_file: Path

    @property
    def is_3(self) -> bool:
        """Airflow 3 differs from 2 in its parts, its API and its users."""
        return release(self.version) >= (3,)

    @property
    def url(self) -> str:
        """The root of the user interface and of the API."""
        return f"http://{HOST}:{self.port}"


def own(inherited: Mapping[str, str], venv: Path) -> dict[str, str]:
    """The environment that we were started in, without anybody's Airflow settings and without a proxy for loopback."""
    kept = {
        name: value for name, value in inherited.items() if not name.startswith(("AIRFLOW", "PYTHON", "VIRTUAL_ENV"))
    }
    kept["PATH"] = os.pathsep.join([str(venv / "bin"), inherited.get("PATH", os.defpath)])
    for name in ("no_proxy", "NO_PROXY"):
        kept[name] = ",".join(filter(None, [inherited.get(name), HOST, "localhost"]))
    return kept


def common(place: Place) -> dict[str, str]:
    """What every release understands."""
    return {
        "AIRFLOW_HOME": str(place.workdir / "home"),
        "PYTHONWARNINGS": "ignore",
        "AIRFLOW__CORE__DAGS_FOLDER": str(place.dags),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "8",
        "AIRFLOW__CORE__FERNET_KEY": place.keys["fernet"],
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": place.database_url,
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    }


def of_release_3(place: Place) -> dict[str, str]:
    """API server, simple users, and a separate DAG processor."""
    return {
        "AIRFLOW__API__HOST": HOST,
        "AIRFLOW__API__PORT": str(place.port),
        "AIRFLOW__API__BASE_URL": place.url,
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API__EXPOSE_CONFIG": "non-sensitive-only",
        "AIRFLOW__API__SECRET_KEY": place.keys["web"],
        "AIRFLOW__API_AUTH__JWT_SECRET": place.keys["jwt"],
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{place.url}/execution/",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{name}:{role.lower()}" for name, role in USERS.items()),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(place.passwords_file),
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "30",
    }


def of_release_2(place: Place) -> dict[str, str]:
    """Webserver, and an API that takes passwords and session cookies."""
    return {
        "AIRFLOW__WEBSERVER__WEB_SERVER_HOST": HOST,
        "AIRFLOW__WEBSERVER__WEB_SERVER_PORT": str(place.port),
        "AIRFLOW__WEBSERVER__BASE_URL": place.url,
        "AIRFLOW__WEBSERVER__WORKERS": "2",
        "AIRFLOW__WEBSERVER__WEB_SERVER_MASTER_TIMEOUT": "300",  # 120 s are too few on a small busy machine
        "AIRFLOW__WEBSERVER__EXPOSE_CONFIG": "non-sensitive-only",
        "AIRFLOW__WEBSERVER__SECRET_KEY": place.keys["web"],
        "AIRFLOW__API__AUTH_BACKENDS": "airflow.api.auth.backend.basic_auth,airflow.api.auth.backend.session",
        "AIRFLOW__SCHEDULER__DAG_DIR_LIST_INTERVAL": "30",
    }


def of_celery(place: Place, broker_port: int) -> dict[str, str]:
    """Tasks go to Celery's worker by Redis, results into Airflow's own database."""
    return {
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW__CELERY__BROKER_URL": f"redis://{HOST}:{broker_port}/0",
        "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{place.database_url}",
        "AIRFLOW__CELERY__WORKER_CONCURRENCY": "4",
    }


def of_statsd(version: str, port: int) -> dict[str, str]:
    """StatsD with tags to a port of this machine; from 3.3 on without the old names, which say the same again."""
    legacy = {"AIRFLOW__METRICS__LEGACY_NAMES_ON": "False"} if release(version) >= (3, 3) else {}
    return {
        "AIRFLOW__METRICS__STATSD_ON": "True",
        "AIRFLOW__METRICS__STATSD_HOST": HOST,
        "AIRFLOW__METRICS__STATSD_PORT": str(port),
        "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": "True",
        **legacy,
    }


def settings_of(place: Place, inherited: Mapping[str, str], extra: Mapping[str, str]) -> dict[str, str]:
    """The whole environment of Airflow's processes; `extra` has the last word."""
    releases = of_release_3(place) if place.is_3 else of_release_2(place)
    return {**own(inherited, place.venv), **common(place), **releases, **extra}
