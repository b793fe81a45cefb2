"""Assets that a DAG waits for while the DAG that updates them cannot, or does not exist."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from exporter.diagnosis.words import format_time


@dataclass(frozen=True, slots=True)
class AssetState:
    """An asset (2.x: dataset)."""

    name: str
    consumers: Sequence[str]
    """The DAGs that it schedules."""
    producers: Sequence[tuple[str, str]] = ()
    """DAG and task of each task that updates it."""
    last_event: float | None = None
    """When it was updated last, in Unix seconds."""
    is_watched: bool | None = False
    """Whether something outside of Airflow updates it (an asset watcher); None where Airflow does not say."""
    has_queued: Sequence[str] = ()
    """The consumers for which events of other assets are queued."""


class ProducerRun(NamedTuple):
    """The last run of a DAG that updates assets, which failed. Times are Unix seconds."""

    run_id: str
    start: float
    end: float


class KnownDag(Protocol):
    """What is known of a DAG."""

    @property
    def is_paused(self) -> bool: ...
    @property
    def is_stale(self) -> bool: ...


class Known(Protocol):
    """What assets are judged by."""

    @property
    def dags(self) -> Mapping[str, KnownDag]: ...
    @property
    def producer_runs(self) -> Mapping[str, ProducerRun]: ...
    @property
    def complete(self) -> bool: ...


class HeldAsset(NamedTuple):
    """An asset that is not going to be updated."""

    asset: str
    facts: Sequence[str]
    suggestion: str
    since: float | None = None


def explain_assets(assets: Sequence[AssetState], known: Known) -> dict[str, HeldAsset]:
    """The DAGs that wait for an asset which is not going to be updated, each with the first such asset.

    A DAG may run after any of its assets, or after all of them, which the lists do not say. So it counts as waiting if
    events of others are queued for it, or if none of its assets is going to be updated.
    """
    held: defaultdict[str, list[HeldAsset | None]] = defaultdict(list)
    queued: set[str] = set()
    for asset in assets:
        found = explain_asset(asset, known)
        queued.update(asset.has_queued)
        for dag_id in asset.consumers:
            held[dag_id].append(found)
    waiting = {}
    for dag_id, states in held.items():
        stopped = [state for state in states if state is not None]
        if stopped and (len(stopped) == len(states) or dag_id in queued):
            waiting[dag_id] = stopped[0]
    return waiting


def explain_asset(asset: AssetState, known: Known) -> HeldAsset | None:
    """Why an asset is not going to be updated; None where it may be."""
    if asset.is_watched:
        return None
    if not asset.producers:
        if asset.last_event is not None:
            return None
        facts = ["it was never updated, and no task has it among its outlets"]
        text = f"Correct the asset {asset.name} in the DAG, or add a task that updates it."
        if asset.is_watched is None:
            facts.append("Airflow before 3.2 does not say whether an asset watcher updates it")
            text = f"If no asset watcher updates {asset.name}, correct it in the DAG, or add a task that updates it."
        return HeldAsset(asset.name, facts, text)
    found = [explain_producer(asset, dag_id, task_id, known) for dag_id, task_id in asset.producers]
    return None if None in found else found[0]


def explain_producer(asset: AssetState, dag_id: str, task_id: str, known: Known) -> HeldAsset | None:
    """Why a task is not going to update an asset; None where it may."""
    dag = known.dags.get(dag_id)
    if dag is None and not known.complete:
        return None
    if dag is None or dag.is_stale:
        facts = [f"its producer {dag_id}.{task_id} is no longer there"]
        return HeldAsset(asset.name, facts, f"Bring back the DAG {dag_id}, or remove the asset from the schedule.")
    if dag.is_paused:
        return HeldAsset(asset.name, [f"its producer {dag_id}.{task_id} is paused"], f"Unpause the DAG {dag_id}.")
    run = known.producer_runs.get(dag_id)
    if run is None or (asset.last_event is not None and asset.last_event >= run.start):
        return None
    facts = [f"its producer {dag_id}.{task_id}: run {run.run_id} failed at {format_time(run.end)}"]
    text = f"Fix the producer DAG {dag_id} (task {task_id}), then clear its failed run {run.run_id}."
    return HeldAsset(asset.name, facts, text, run.end)


def list_producers(assets: Sequence[AssetState]) -> set[str]:
    """The DAGs that update assets which schedule other DAGs."""
    return {dag_id for asset in assets if asset.consumers for dag_id, _ in asset.producers}
