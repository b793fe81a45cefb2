"""Real database servers on loopback: PostgreSQL, PgBouncer and MariaDB, each in a temporary folder."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import pymysql
from pymysql.constants import CLIENT

HOST = "127.0.0.1"
PATIENCE = 120.0
"""Seconds that a server may take to start or stop on a busy machine."""
SCHEMA = (Path(__file__).parent / "schema.sql").read_text()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen in {PATIENCE:.0f} s"
        time.sleep(0.05)


def is_listening(port: int) -> bool:
    with suppress(OSError), socket.create_connection((HOST, port), timeout=1):
        return True
    return False


def make_folder(user: str) -> Path:
    """A folder that this user owns; root's own temporary folders may not be entered by others."""
    folder = Path(tempfile.mkdtemp(prefix=f"test-{user}-"))
    if os.geteuid() == 0:
        os.chown(folder, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)
    return folder


class Server:
    """A program that serves a port, run as a user of its own where root starts it."""

    def __init__(self, user: str, port: int | None = None) -> None:
        self.user = user if os.geteuid() == 0 else None
        self.port = port or free_port()
        self.folder = make_folder(user)
        self.process: subprocess.Popen[bytes] | None = None

    def launch(self, command: Sequence[str]) -> None:
        with (self.folder / "output.log").open("ab") as output:
            self.process = subprocess.Popen(
                command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, cwd=self.folder, user=self.user
            )
        wait_for(lambda: is_listening(self.port), f"the start of {command[0]}")

    def call(self, *command: str, text: str | None = None) -> str:
        done = subprocess.run(
            command, cwd=self.folder, user=self.user, input=text, text=True, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def stop(self, number: int = signal.SIGTERM) -> None:
        process, self.process = self.process, None
        if process is not None:
            process.send_signal(signal.SIGCONT)
            process.send_signal(number)
            try:
                process.wait(PATIENCE / 2)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(PATIENCE / 2)

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def find_postgres() -> Path | None:
    """The folder of PostgreSQL's programs; Debian keeps them out of PATH."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "postgres").exists()), None)


class Postgres(Server):
    """PostgreSQL with pg_stat_statements; everybody on this machine may connect as any user."""

    def __init__(self, programs: Path) -> None:
        super().__init__("postgres")
        self.programs = programs
        words = ["-D", "data", "-U", "postgres", "-A", "scram-sha-256", "-E", "UTF8", "--locale=C", "--no-sync"]
        (self.folder / "password").write_text("open-postgres-9")
        (self.folder / "password").chmod(0o644)
        self.call(str(programs / "initdb"), *words, "--pwfile=password")

    def start(self, *settings: str) -> None:
        given = ("max_connections=20", "shared_preload_libraries=pg_stat_statements", "fsync=off", *settings)
        options = [word for setting in given for word in ("-c", setting)]
        command = [str(self.programs / "postgres"), "-D", "data", "-h", HOST, "-p", str(self.port), "-k", ""]
        self.launch([*command, *options])
        wait_for(self.answers, "the first answer of PostgreSQL")

    def answers(self) -> bool:
        command = [str(self.programs / "pg_isready"), "-q", "-h", HOST, "-p", str(self.port)]
        return subprocess.run(command, check=False).returncode == 0

    def stop(self, number: int = signal.SIGINT) -> None:
        """SIGINT ends the sessions too."""
        super().stop(number)

    def list_pids(self) -> list[int]:
        """The server and its children, one for each session."""
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [self.process.pid, *map(int, children)]

    def url(self, user: str = "postgres", password: str = "open-postgres-9", database: str = "airflow") -> str:
        return f"postgresql+psycopg2://{user}:{password}@{HOST}:{self.port}/{database}"

    def run(self, statements: str, database: str = "airflow") -> str:
        """Run statements as the superuser."""
        where = f"host={HOST} port={self.port} dbname={database} user=postgres password=open-postgres-9"
        return self.call(str(self.programs / "psql"), "-X", "-q", "-t", "-v", "ON_ERROR_STOP=1", where, text=statements)


class PgBouncer(Server):
    """PgBouncer in transaction mode before a PostgreSQL."""

    def __init__(self, postgres: Postgres, *, users: dict[str, str]) -> None:
        super().__init__("postgres")
        (self.folder / "users.txt").write_text("".join(f'"{name}" "{word}"\n' for name, word in users.items()))
        (self.folder / "pgbouncer.ini").write_text(
            f"[databases]\n* = host={HOST} port={postgres.port}\n[pgbouncer]\nlisten_addr = {HOST}\n"
            f"listen_port = {self.port}\nauth_type = scram-sha-256\nauth_file = users.txt\npool_mode = transaction\n"
            "default_pool_size = 3\nunix_socket_dir =\n"
        )
        for path in self.folder.iterdir():
            path.chmod(0o644)

    def start(self) -> None:
        program = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
        self.launch([program, "pgbouncer.ini"])

    def stop(self, number: int = signal.SIGINT) -> None:
        super().stop(number)


class MariaDb(Server):
    """MariaDB with the performance schema."""

    product = "mariadb"
    options: Sequence[str] = ("--no-defaults", "--performance-schema=ON")

    def __init__(self) -> None:
        super().__init__("mysql")
        self.create_data()

    def create_data(self) -> None:
        user = ["--user=mysql"] if self.user else []
        install = shutil.which("mariadb-install-db") or "mariadb-install-db"
        self.call(
            install, "--no-defaults", f"--datadir={self.folder}/data", "--auth-root-authentication-method=normal", *user
        )

    def find_program(self) -> str:
        return shutil.which("mariadbd") or "/usr/sbin/mariadbd"

    def start(self, *options: str) -> None:
        folder = self.folder
        given = [f"--datadir={folder}/data", f"--port={self.port}", f"--socket={folder}/sock", f"--bind-address={HOST}"]
        small = ["--innodb-buffer-pool-size=16M", "--max-connections=15", "--skip-name-resolve"]
        self.launch([self.find_program(), *self.options, *given, *small, *options])

    def run(self, statements: str, database: str = "") -> None:
        """Run statements as root."""
        connection = pymysql.connect(
            unix_socket=f"{self.folder}/sock",
            user="root",
            database=database or None,
            client_flag=CLIENT.MULTI_STATEMENTS,
            autocommit=True,
        )
        with connection, connection.cursor() as cursor:
            cursor.execute(statements)
            while cursor.nextset():
                pass

    def url(self, user: str, password: str, database: str = "airflow") -> str:
        return f"mysql+mysqldb://{user}:{password}@{HOST}:{self.port}/{database}"


class MySql(MariaDb):
    """MySQL 8 or later."""

    product = "mysql"
    options = ("--no-defaults", "--mysqlx=OFF", "--skip-log-bin", "--secure-file-priv=")

    def __init__(self, program: str) -> None:
        self.program = program
        super().__init__()

    def create_data(self) -> None:
        self.call(self.program, "--no-defaults", "--initialize-insecure", f"--datadir={self.folder}/data")

    def find_program(self) -> str:
        return self.program


def find_mysql() -> str | None:
    """The server of MySQL: MYSQLD, or a mysqld in PATH that is not MariaDB's."""
    program = os.environ.get("MYSQLD") or shutil.which("mysqld") or "/usr/sbin/mysqld"
    if not Path(program).exists():
        return None
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    return program if version and "MariaDB" not in version else None
