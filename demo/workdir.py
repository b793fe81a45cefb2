"""The work folder of one Airflow: what must outlive the command that started it."""

from __future__ import annotations

import base64
import json
import os
import secrets
import socket
from dataclasses import asdict, dataclass, field
from pathlib import Path

from demo.environment import SetupError
from demo.settings import HOST, USERS


@dataclass
class State:
    """Choices made at the first start; processes are remembered apart, by Processes."""

    port: int = 0
    database_port: int = 0
    broker_port: int = 0
    statsd_port: int = 0
    database_folder: str = ""
    prepared: list[str] = field(default_factory=list)


def free_port(wanted: int = 0, kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """This port of loopback, or another one if it is taken."""
    for port in (wanted, 0):
        with socket.socket(type=kind) as probe:
            if kind == socket.SOCK_STREAM:  # for UDP it would share the port of another socket
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise SetupError("no free port on loopback")


def secret_file(path: Path, content: str) -> str:
    """The content of a file that only its owner reads; written the first time, kept ever after."""
    if not path.exists():
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(content)
    return path.read_text()


class Workdir:
    """The folder with its state, its secrets and its subfolders, made when first asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self._state_file = self.path / "state.json"
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (self.home, self.logs):
            folder.mkdir(exist_ok=True)
        known = json.loads(self._state_file.read_text()) if self._state_file.exists() else {}
        self.state = State(**known)

    @property
    def home(self) -> Path:
        """Airflow's own folder."""
        return self.path / "home"

    @property
    def logs(self) -> Path:
        """The output of every process and of the installation."""
        return self.path / "logs"

    @property
    def password_file(self) -> Path:
        """Holds the password of both users, admin and viewer, and nothing else."""
        file = self.path / "password"
        secret_file(file, secrets.token_urlsafe(12))
        return file

    @property
    def passwords_file(self) -> Path:
        """The same password in the form that Airflow 3's simple auth manager reads."""
        file = self.path / "passwords.json"
        secret_file(file, json.dumps(dict.fromkeys(USERS, self.password_file.read_text())))
        return file

    def keys(self) -> dict[str, str]:
        """Keys that Airflow signs and encrypts with, and the database's password."""
        fresh = {name: secrets.token_urlsafe(48) for name in ("jwt", "web", "database")}
        fresh["fernet"] = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
        known: dict[str, str] = json.loads(secret_file(self.path / "keys.json", json.dumps(fresh)))
        return known

    def save(self) -> None:
        """Keep the state for the next command."""
        scratch = self._state_file.with_suffix(".new")
        scratch.write_text(json.dumps(asdict(self.state), indent=1))
        scratch.replace(self._state_file)
