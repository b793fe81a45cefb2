"""Creates all passwords and keys at the first start, each readable only by the service that needs it.

    python passwords.py FOLDER

Existing files are never changed. Runs without root: this process is in the group of each service, and a file belongs
to the group of its reader.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

EXPORTER, GRAFANA, AIRFLOW = 10112, 472, 50000
"""Group ids of the services in docker-compose.yaml."""


class Secret(NamedTuple):
    """One file: a function that makes its content, and the group that may read it."""

    name: str
    group: int
    make: Callable[[Path], str]
    mode: int = 0o440


def random_password(_folder: Path) -> str:
    """A random password of 32 characters."""
    return secrets.token_urlsafe(24)


def fernet_key(_folder: Path) -> str:
    """A random key for Airflow's encryption of connections."""
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


def database_url(folder: Path) -> str:
    """The URL for SQLAlchemy, with the driver, because the default driver depends on the release."""
    return f"postgresql+psycopg2://airflow:{_read(folder, 'database-password')}@airflow-database/airflow"


def airflow_users(folder: Path) -> str:
    """The users file of Airflow's simple auth manager."""
    return json.dumps(
        {"admin": _read(folder, "airflow-admin-password"), "exporter": _read(folder, "exporter-password")}
    )


def _read(folder: Path, name: str) -> str:
    return (folder / name).read_text(encoding="utf-8")


SECRETS = (
    Secret("grafana-admin-password", GRAFANA, random_password),
    Secret("grafana-secret-key", GRAFANA, random_password),
    Secret("exporter-password", EXPORTER, random_password),
    Secret("airflow-admin-password", AIRFLOW, random_password),
    Secret("airflow-users.json", AIRFLOW, airflow_users, 0o660),  # Airflow opens it for writing
    Secret("airflow-fernet-key", AIRFLOW, fernet_key),
    Secret("airflow-jwt-secret", AIRFLOW, random_password),
    Secret("airflow-api-secret-key", AIRFLOW, random_password),
    Secret("database-password", AIRFLOW, random_password),
    Secret("database-url", AIRFLOW, database_url),
)


def write(folder: Path, secret: Secret) -> bool:
    """Create a missing file, atomically and with its permissions. Returns whether it was missing."""
    path = folder / secret.name
    if path.exists():
        return False
    scratch = folder / f".{secret.name}"
    scratch.unlink(missing_ok=True)
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(secret.make(folder))
        os.fchown(descriptor, -1, secret.group)
        os.fchmod(descriptor, secret.mode)
    scratch.rename(path)
    return True


def main() -> int:
    """Create the missing files, and print their names."""
    folder = Path(sys.argv[1])
    made = [secret.name for secret in SECRETS if write(folder, secret)]
    print(f"created {', '.join(made)}" if made else "nothing to create: all passwords exist")
    return 0


if __name__ == "__main__":
    sys.exit(main())
