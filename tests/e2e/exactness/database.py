"""Airflow's database, queried and changed with psql, without any of Airflow's code."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from demo.postgres import find_programs

HERE = Path(__file__).resolve().parent


class DatabaseError(Exception):
    """PostgreSQL reported an error; the message is PostgreSQL's."""


class Database:
    """The PostgreSQL database behind one Airflow."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._environ = {
            "PATH": os.environ.get("PATH", os.defpath),
            "PGHOST": parts.hostname or "",
            "PGPORT": str(parts.port or 5432),
            "PGUSER": parts.username or "",
            "PGPASSWORD": parts.password or "",
            "PGDATABASE": parts.path.lstrip("/"),
            "PGTZ": "UTC",
            "PGOPTIONS": "-c client_min_messages=warning",
        }
        self._psql = str(find_programs() / "psql")

    def execute(self, sql: str) -> str:
        """Run statements in one transaction; returns what psql prints. Raises DatabaseError."""
        command = [self._psql, "-X", "-q", "-A", "-t", "-1", "-v", "ON_ERROR_STOP=1", "-f", "-"]
        done = subprocess.run(command, env=self._environ, input=sql, capture_output=True, text=True, check=False)
        if done.returncode:
            raise DatabaseError(done.stderr.strip())
        return done.stdout

    def execute_file(self, name: str) -> None:
        """Run one of the SQL files beside this module."""
        self.execute((HERE / name).read_text(encoding="utf-8"))

    def rows(self, query: str) -> list[dict[str, Any]]:
        """The rows of a query."""
        answer = self.execute(f"select coalesce(json_agg(answer), '[]') from ({query}) answer")
        rows: list[dict[str, Any]] = json.loads(answer)
        return rows

    def value(self, query: str) -> Any:
        """The only column of the only row of a query; None if there is no row."""
        rows = self.rows(query)
        return next(iter(rows[0].values())) if rows else None


def quote(text: str) -> str:
    """A text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"
