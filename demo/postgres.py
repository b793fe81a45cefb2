"""A separate PostgreSQL server on loopback, for one Airflow."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from demo.environment import SetupError

HOST = "127.0.0.1"
NAME = "airflow"  # of the role and of the database
FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")  # the data may be lost, it is a test's


def _numbered(path: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in path.parent.name.split(".") if part.isdigit())


def find_programs() -> Path:
    """The folder of initdb and pg_ctl; Debian keeps them out of PATH."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_numbered, reverse=True)
    for folder in folders:
        if all((folder / program).exists() for program in ("initdb", "pg_ctl", "createdb")):
            return folder
    raise SetupError(
        "PostgreSQL's initdb was not found: install PostgreSQL's server (Debian: apt-get install postgresql), "
        "or use SQLite with Airflow 3"
    )


class Postgres:
    """A server whose data lie in `base`; it refuses to run as root, so root lends it to the user postgres."""

    def __init__(self, base: Path, port: int, password: str) -> None:
        self._base = base
        self._data = base / "data"
        self._port = port
        self._password = password
        self._programs = find_programs()

    @staticmethod
    def make_base(workdir: Path, version: str) -> Path:
        """A folder for the data; for root a temporary one, because postgres cannot look into root's own."""
        if os.geteuid() != 0:
            base = workdir / "postgres"
            base.mkdir(mode=0o700, exist_ok=True)
            return base
        base = Path(tempfile.mkdtemp(prefix=f"airflow-{version}-postgres-"))
        try:
            shutil.chown(base, "postgres", pwd.getpwnam("postgres").pw_gid)
        except KeyError:
            raise SetupError("PostgreSQL does not run as root and there is no user 'postgres'") from None
        return base

    @property
    def url(self) -> str:
        """For SQLAlchemy; the driver is named because newer releases take a bare postgresql: for psycopg 3."""
        return f"postgresql+psycopg2://{NAME}:{self._password}@{HOST}:{self._port}/{NAME}"

    def start(self, settings: Sequence[str] = ()) -> None:
        """Make the database unless it is there, and start its server, with further settings, unless it runs."""
        if not (self._data / "PG_VERSION").exists():
            self._initialise()
        if not self.running():
            options = [
                "-p",
                str(self._port),
                "-h",
                HOST,
                "-c",
                "unix_socket_directories=''",
                "-c",
                "max_connections=200",
            ]
            options += [word for setting in (*FAST, *settings) for word in ("-c", setting)]
            self._run(
                "pg_ctl", "-D", str(self._data), "-w", "-l", str(self._base / "log"), "-o", " ".join(options), "start"
            )
        self._create_database()

    def running(self) -> bool:
        """Whether the server of this data folder runs."""
        return self._call("pg_ctl", "-D", str(self._data), "status").returncode == 0

    def stop(self) -> None:
        """Close all connections, end the server and wait for it."""
        if self.running():
            self._run("pg_ctl", "-D", str(self._data), "-m", "fast", "-w", "stop")

    def _initialise(self) -> None:
        secret = self._base / "password"
        secret.touch(mode=0o600)
        if os.geteuid() == 0:
            shutil.chown(secret, "postgres")
        secret.write_text(self._password)
        words = ["-D", str(self._data), "-U", NAME, "-E", "UTF8", "-A", "scram-sha-256", "--pwfile", str(secret)]
        try:
            self._run("initdb", "--locale=C", *words)
        finally:
            secret.unlink()

    def _create_database(self) -> None:
        done = self._call(
            "createdb", "-h", HOST, "-p", str(self._port), "-U", NAME, NAME, secret={"PGPASSWORD": self._password}
        )
        if done.returncode and "already exists" not in done.stderr:
            raise SetupError(f"createdb failed: {done.stderr.strip()}")

    def _call(
        self, program: str, *words: str, secret: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        command = [str(self._programs / program), *words]
        if os.geteuid() == 0:
            command = ["runuser", "-u", "postgres", "--", *command]
        # a file, not a pipe: the server that pg_ctl leaves behind would hold a pipe open for ever
        with tempfile.TemporaryFile("w+") as output:
            done = subprocess.run(
                command,
                cwd=self._base,
                env={**os.environ, "LC_ALL": "C", **(secret or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                check=False,
            )
            output.seek(0)
            return subprocess.CompletedProcess(command, done.returncode, "", output.read())

    def _run(self, program: str, *words: str) -> None:
        done = self._call(program, *words)
        if done.returncode:
            raise SetupError(f"PostgreSQL's {program} failed: {done.stderr.strip()}")
