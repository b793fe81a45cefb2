"""What an endpoint of Airflow's REST API is: its path in each release, its permission, its name in metrics."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint of one release of the API."""

    name: str
    """Short and stable: the label `endpoint` of our metrics, and the subject of error messages."""
    path: str
    """Below the base URL, with a name in braces for each part that varies."""
    permission: str = ""
    """What the FAB auth manager calls the right to read it, several joined by ` and `; empty where none is needed."""
    operation: str = ""
    """The method of the generated client that reads it, as `Class.method` (3.x)."""


@dataclass(frozen=True)
class Resource:
    """One endpoint in both releases. Each is declared once, in the file of its object in `api/objects/`."""

    name: str
    permission: str = ""
    v1: str = ""
    """The path below /api/v1 (Airflow 2.x); empty where that release has no such endpoint."""
    v2: str = ""
    """The path below /api/v2 (Airflow 3.x)."""
    operation: str = ""
    permission_on_2: str = ""
    """What 2.x calls the permission, where its name differs."""

    @property
    def permissions(self) -> str:
        """The permission of both releases, for documentation."""
        return f"{self.permission} (2.x: {self.permission_on_2})" if self.permission_on_2 else self.permission

    @cached_property
    def on_2(self) -> Endpoint:
        """The endpoint of Airflow 2.x."""
        return Endpoint(self.name, f"/api/v1{self.v1}", self.permission_on_2 or self.permission)

    @cached_property
    def on_3(self) -> Endpoint:
        """The endpoint of Airflow 3.x."""
        return Endpoint(self.name, f"/api/v2{self.v2}", self.permission, self.operation)

    def get_endpoint(self, major: int) -> Endpoint:
        """The endpoint of a major version of Airflow."""
        return self.on_3 if major >= 3 else self.on_2
