"""Make every password and key of the stack at the first start, each readable by who needs it; never change one.

    python passwords.py FOLDER

Runs as a user without rights: a file is given to its reader by a group that both are in.
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
"""Groups; in docker-compose.yaml each service is in its own."""


class Secret(NamedTuple):
    """One file: its content, made from the passwords that are there already, and the group that may read it."""

    name: str
    group: int
    make: Callable[[Path], str]
    mode: int = 0o440


def random_password(_folder: Path) -> str:
    return secrets.token_urlsafe(24)


def fernet_key(_folder: Path) -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


def database_url(folder: Path) -> str:
    """For SQLAlchemy, with the driver named: its releases differ in which one is the default."""
    return f"postgresql+psycopg2://airflow:{_read(folder, 'database-password')}@airflow-database/airflow"


def airflow_users(folder: Path) -> str:
    """The form that Airflow's simple auth manager reads."""
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
    """Whether it was missing. It appears whole and with its rights, or not at all."""
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
    """Write what is missing and say what was made, never what it is."""
    folder = Path(sys.argv[1])
    made = [secret.name for secret in SECRETS if write(folder, secret)]
    print(f"made {', '.join(made)}" if made else "nothing to make: all passwords are there")
    return 0


if __name__ == "__main__":
    sys.exit(main())
