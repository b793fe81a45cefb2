"""What an Airflow needs once before it can start: tables, users, pools."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from demo.settings import USERS

if TYPE_CHECKING:
    from demo.airflow import Airflow


@dataclass(frozen=True)
class Pool:
    """One of Airflow's pools."""

    slots: int
    description: str = ""
    include_deferred: bool = False


DEMO_POOLS = {"forklifts": Pool(2, "what the demo's pallets wait for")}


def prepare(airflow: Airflow, pools: Mapping[str, Pool]) -> None:
    """Take each step that this work folder has not seen yet; an upgrade or another pool is a new step."""
    prefix = f"{airflow.version} {airflow.database}"
    wanted = json.dumps({name: asdict(pool) for name, pool in pools.items()}, sort_keys=True)
    _once(airflow, f"{prefix} tables", lambda: airflow.cli("db", "migrate"))
    if not airflow.is_3:
        _once(airflow, f"{prefix} users", lambda: create_users(airflow))
    if pools:
        _once(airflow, f"{prefix} pools {wanted}", lambda: _import_pools(airflow, wanted))


def _once(airflow: Airflow, step: str, take: Callable[[], None]) -> None:
    done = airflow.folder.state.prepared
    if step not in done:
        take()
        done.append(step)
        airflow.folder.save()


def create_users(airflow: Airflow) -> None:
    """Airflow 2's users; their roles must exist first."""
    airflow.cli("sync-perm")
    for name, role in USERS.items():
        words = ["--username", name, "--role", role, "--firstname", name, "--lastname", "demo"]
        # One word, because a password that begins with a hyphen would be taken for an option.
        airflow.cli("users", "create", *words, "--email", f"{name}@example.org", f"--password={airflow.password}")


def _import_pools(airflow: Airflow, pools: str) -> None:
    file = airflow.folder.path / "pools.json"
    file.write_text(pools)
    airflow.cli("pools", "import", str(file))
